-- Says what a holder holds. KEYS are counters of one tenant. ARGV: the time, the holder,
-- for how long, and the units of each counter.

for _, key in ipairs(KEYS) do
  local c = held.load(key)
  c:set(number(), now + ttl)
  c:save()
end
return #KEYS
