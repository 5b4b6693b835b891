-- Windows of rates. A counter only grows, and serves all its windows: each remembers
-- what the counter was when it began. A window is a list of numbers, w; what it is held
-- to, its spec, has field, limit, length and, if it is of the calendar, ends.
--
--   start     w is of a window in which nothing was used before now
--   roll      takes w to now; whether anything changed
--   used      what counts against the limit at now
--   edge      when that is less the next time
--   retry     the pair of when n more units have room, or nil: never
--   refund    n units were not used at the time at, in eighths of a millisecond: where
--             they were counted, they no longer are
--   reset     when what is used at now no longer counts, or begins to count less
--   forgotten when w is as good as a fresh one

-- rolling: the counter at the begin, the units of the window before, and which multiple
-- of its length since 1970 it is.
local rolling = {}

function rolling.start(w, spec, used, now) w[1], w[2], w[3] = used, 0, div(now, spec.length) end

function rolling.roll(w, spec, used, now)
  local index = div(now, spec.length)
  if index <= w[3] then return false end
  w[1], w[2], w[3] = used, index == w[3] + 1 and used - w[1] or 0, index
  return true
end

function rolling.edge(w, spec) return (w[3] + 1) * spec.length end

function rolling.used(w, spec, used, now)
  local left = min(rolling.edge(w, spec) - now, spec.length)
  return used - w[1] + muldivup(w[2], left, spec.length)
end

-- shrunk returns when room units at most still count of those before the window's end.
local function shrunk(before, room, length, ending)
  if before <= room then return ending - length, 0 end
  local ms, rest = muldiv(room, length, before)
  return minus(ending, 0, ms, (muldiv(rest, NANOS, before)))
end

function rolling.retry(w, spec, used, n, now)
  local ending, room = rolling.edge(w, spec), spec.limit - (used - w[1]) - n
  if room >= 0 then return shrunk(w[2], room, spec.length, ending) end
  if spec.limit < n then return nil end
  return shrunk(used - w[1], spec.limit - n, spec.length, ending + spec.length)
end

function rolling.refund(w, spec, used, n, at)
  local ago = w[3] - floor(at / (8 * spec.length))
  if ago == 0 then w[1] = min(used, w[1] + n) end
  if ago == 1 then w[2] = max(0, w[2] - n) end
end

rolling.reset = rolling.edge

function rolling.forgotten(w, spec) return (w[3] + 2) * spec.length end

-- strict: the counter at the begin of the last nine parts, each an eighth of the length,
-- and which multiple of it the last one is.
local strict = {}

local function slot(part) return fmod(part, 9) + 1 end

function strict.start(w, spec, used, now)
  for i = 1, 9 do w[i] = used end
  w[10] = div(now * 8, spec.length)
end

function strict.roll(w, spec, used, now)
  local last = div(now * 8, spec.length)
  if last <= w[10] then return false end
  for part = max(w[10], last - 9) + 1, last do w[slot(part)] = used end
  w[10] = last
  return true
end

function strict.used(w, _, used) return used - w[slot(w[10] - 8)] end

function strict.edge(w, spec) return (w[10] + 1) * spec.length / 8 end

function strict.retry(w, spec, used, n)
  for later = 0, 8 do
    if w[slot(w[10] - 8 + later)] + spec.limit - used >= n then return fine((w[10] + later) * spec.length / 8) end
  end
  if spec.limit < n then return nil end
  return fine((w[10] + 9) * spec.length / 8)
end

function strict.refund(w, spec, used, n, at)
  for part = w[10] - 8, w[10] do
    if part * spec.length <= at then w[slot(part)] = min(used, w[slot(part)] + n) end
  end
end

function strict.reset(w, spec) return (w[10] + 9) * spec.length / 8 end

strict.forgotten = strict.reset

-- calendar: the counter at the begin, the end, which only moves later until it is
-- reached, and since when it counts. The ends of a spec are those around now, the
-- earliest first.
local calendar = {}

-- around returns the begin and the end of the period that a time is in.
local function around(spec, time)
  local begin = 0
  for _, ending in ipairs(spec.ends) do
    if ending > time then return begin, ending end
    begin = ending
  end
  error('CLOCK the clocks of the client and of Redis are too far apart', 0)
end

function calendar.start(w, spec, used, now)
  local _, ending = around(spec, now)
  w[1], w[2], w[3] = used, ending, now
end

function calendar.roll(w, spec, used, now)
  local begin, ending = around(spec, now)
  local was = w[2]
  if now < was then
    w[2] = max(was, ending) -- of another zone, perhaps
    return w[2] > was
  end
  if begin < was then ending = select(2, around(spec, ending)) end -- of another zone: part of it was in the period before
  w[1], w[2], w[3] = used, ending, now
  return true
end

function calendar.used(w, _, used) return used - w[1] end

function calendar.edge(w) return w[2] end

function calendar.retry(w, spec, used, n, now)
  if used - w[1] + n <= spec.limit then return now, 0 end
  if n <= spec.limit then return w[2], 0 end
end

function calendar.refund(w, _, used, n, at)
  if at >= w[3] * 8 then w[1] = min(used, w[1] + n) end
end

calendar.reset, calendar.forgotten = calendar.edge, calendar.edge

-- By the first letter of a window's field.
local rolls = { r = rolling, s = strict, c = calendar }
local function roll_of(field) return rolls[string.sub(field, 1, 1)] end
