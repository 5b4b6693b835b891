-- KEYS are the counters' and, of take, the answer's. ARGV is read from the left.

local cursor = 0

local function word()
  cursor = cursor + 1
  return ARGV[cursor]
end

local function number() return tonumber(word()) end

-- The time in milliseconds: Redis' own, unless the client passes one.
local now = number()
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- keep has a key expire at a time. With GT, it does not bring an expiry forward.
local function keep(key, at, condition)
  local ttl = string.format('%.0f', math.max(1, math.ceil(at - now)))
  if condition then
    redis.call('PEXPIRE', key, ttl, condition)
  else
    redis.call('PEXPIRE', key, ttl)
  end
end

-- Who holds what is held, and for how many milliseconds.
local holder, ttl = word(), number()
