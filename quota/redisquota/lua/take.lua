-- Takes and returns units of one tenant. KEYS[1] is where the answer is remembered.
-- ARGV: the time, the holder, how long it holds, terms, how long to remember the answer,
-- the number of the key of an answer that was heard, or 0, returns, charges. The answer is
-- words: 1, the time, and of each charge the units granted, the units left and the
-- nanoseconds of use; or 0, the time, the charge refused, why, the window and the
-- nanoseconds to wait.

-- recall returns an answer, when it was given and until when it is remembered. How long
-- that is is written before it: keys expire by the time of Redis, not the client's.
local function recall(key)
  local lasts, answer, at = string.match(redis.call('GET', key) or '', '^(%d+) (%d (%d+).*)$')
  if lasts and at + lasts > now then return answer, tonumber(at), at + lasts end
end

local function remember(key, answer, at, till)
  redis.call('SET', key, text(till - at) .. ' ' .. answer, 'PX', text(till - now))
end

local answer = recall(KEYS[1])
if answer then return answer end

local all_terms = read_list(read_terms)
local lasts, heard = number(), number()

-- An answer that was heard is remembered for a minute more, should a copy of the question
-- come yet.
if heard > 0 then
  local old, at, till = recall(KEYS[heard])
  if old and till > now + 60000 then remember(KEYS[heard], old, at, now + 60000) end
end

for _ = 1, number() do
  local index, terms = number(), all_terms[number()]
  local back = { n = number(), ms = number(), ns = number(), kept = number(), exact = word() == '1' }
  counter(index, terms):give_back(terms, back)
end

-- charge_all returns the words of the answer. It undoes its charges if one is refused.
local function charge_all()
  local words, marks = { '1', text(now) }, {}
  for i = 0, number() - 1 do
    local index, terms = number(), all_terms[number()]
    local c = counter(index, terms)
    marks[#marks + 1] = { c, c:mark() }
    local granted, more = c:charge(terms, number(), number())
    if not granted then
      for m = #marks, 1, -1 do marks[m][1]:undo(marks[m][2]) end
      words = { '0', text(now), text(i) }
    end
    for _, w in ipairs(more) do words[#words + 1] = w end
    if not granted then break end
  end
  return table.concat(words, ' ')
end

answer = charge_all()
for _, c in pairs(counters) do c:save() end
remember(KEYS[1], answer, now, now + lasts)
return answer
