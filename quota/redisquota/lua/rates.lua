-- Counters of rates. The hash of one has the fields used, arrival (of the burst) and one
-- for each window that it ever had. Windows which are not asked for stay as they are.

local rate = {}
rate.__index = rate

local function numbers(written)
  local list = {}
  for number in string.gmatch(written, '%S+') do list[#list + 1] = tonumber(number) end
  return list
end

local function written(list)
  local texts = {}
  for i, number in ipairs(list) do texts[i] = text(number) end
  return table.concat(texts, ' ')
end

function rate.load(key)
  local c = { key = key, used = 0, added = 0, ms = 0, ns = 0, was = {}, windows = {}, changed = {}, lasts = 0 }
  local hash = redis.call('HGETALL', key)
  for i = 1, #hash, 2 do c.was[hash[i]] = hash[i + 1] end
  c.fresh = #hash == 0
  if c.was.used then c.used = tonumber(c.was.used) end
  if c.was.arrival then c.ms, c.ns = unpack(numbers(c.was.arrival)) end
  return setmetatable(c, rate)
end

-- window returns a window, rolled to now. One that the counter never had begins now.
function rate:window(spec)
  local w, roll = self.windows[spec.field], roll_of(spec.field)
  if not w then
    w = {}
    if self.was[spec.field] then
      w = numbers(self.was[spec.field])
    else
      roll.start(w, spec, self.used, now)
      self:touch(spec, roll, w)
    end
    self.windows[spec.field] = w
  end
  if roll.roll(w, spec, self.used, now) then self:touch(spec, roll, w) end
  return w, roll
end

-- touch notes that a window has to be written, and how long the counter must stay.
function rate:touch(spec, roll, w)
  self.changed[spec.field] = true
  self.lasts = max(self.lasts, roll.forgotten(w, spec))
end

-- add counts n units. Before the counter gets inexact, it begins at nought again, and
-- its windows with it.
function rate:add(n)
  if self.used + n >= EXACT then
    for field in pairs(self.was) do
      if roll_of(field) then self.windows[field] = self.windows[field] or numbers(self.was[field]) end
    end
    for field, w in pairs(self.windows) do
      for i = 1, field:sub(1, 1) == 's' and 9 or 1 do w[i] = w[i] - self.used end
      self.changed[field] = true
    end
    self.used = 0
  end
  self.used, self.added = self.used + n, self.added + n
end

-- Bounds of times in nanoseconds, 2^61 and 2^62, far beyond all that matter.
local SPREAD, SPREAD_NS = 2305843009213, 693952
local ARRIVAL, ARRIVAL_NS = 4611686018427, 387904

-- spread returns the pair of how long n units take at the rate of a burst.
local function spread(burst, n)
  local ms, rest = muldiv(n, burst.length, burst.limit)
  if ms > SPREAD then return SPREAD, SPREAD_NS end
  ms, rest = plus(ms, 0, 0, muldivup(rest, NANOS, burst.limit))
  return atmost(ms, rest, SPREAD, SPREAD_NS)
end

-- ahead returns the pair of how far the next arrival is from now.
function rate:ahead()
  if less(self.ms, self.ns, now, 0) then return 0, 0 end
  return self.ms - now, self.ns
end

-- after returns the pair of the arrival after n units more.
function rate:after(burst, n)
  local ms, ns = self:ahead()
  ms, ns = plus(ms, ns, spread(burst, n))
  ms, ns = plus(now, 0, ms, ns)
  return atmost(ms, ns, ARRIVAL, ARRIVAL_NS)
end

-- come lets n units come at once whatever the rate, or if they go back, makes them not
-- have come at a time, save what of them was due since.
function rate:come(burst, n, at, finer)
  if not burst or burst.limit == 0 then return end
  if n <= 0 then
    self.ms, self.ns = self:after(burst, -n)
    return
  end
  local ms, ns = spread(burst, n)
  local since, finest = minus(now, 0, at, finer)
  if since < 0 then since, finest = 0, 0 end
  if less(ms, ns, since, finest) then return end
  ms, ns = minus(ms, ns, since, finest)
  self.ms, self.ns = minus(self.ms, self.ns, ms, ns)
end

-- at_once returns how many units a burst lets come now.
function rate:at_once(burst)
  local ms, ns = spread(burst, burst.units)
  local ahead, finer = self:ahead()
  if less(ms, ns, ahead, finer) then return 0 end
  ms, ns = minus(ms, ns, ahead, finer)
  local units, rest = muldiv(burst.limit, ms, burst.length)
  local more, finest = muldiv((muldiv(burst.limit, ns, NANOS)), 1, burst.length)
  return units + more + div(rest + finest, burst.length)
end

-- squeeze lets n units come, or as many as may from least on. It returns how many, or
-- nil and the refusal.
function rate:squeeze(terms, n, least)
  local burst = terms.burst
  if not burst then return n end
  local too_large = { 'large', text(#terms.windows), '0' }
  if burst.limit == 0 then return nil, too_large end
  if least > 0 then n = max(least, min(n, self:at_once(burst))) end
  if n > burst.units then return nil, too_large end
  local next, finer = self:after(burst, n)
  local ahead, finest = minus(next, finer, now, 0)
  local room, rest = spread(burst, burst.units)
  if less(room, rest, ahead, finest) then
    return nil, { 'limit', text(#terms.windows), nanos(minus(ahead, finest, room, rest)) }
  end
  self.ms, self.ns = next, finer
  return n
end

-- charge takes n units, or as many as there are from least on. It returns whether, and
-- the words of the answer.
function rate:charge(terms, n, least)
  local room, edge = EXACT, nil
  for _, spec in ipairs(terms.windows) do
    local w, roll = self:window(spec)
    room = min(room, spec.limit - roll.used(w, spec, self.used, now))
    edge = min(edge or ARRIVAL, roll.edge(w, spec))
  end
  if least > 0 then n = min(n, max(room, least)) end
  local ms, ns = self.ms, self.ns
  local units, refusal = self:squeeze(terms, n, least)
  if not units then return false, refusal end
  if units > room then
    self.ms, self.ns = ms, ns
    return false, self:refusal(terms, units)
  end
  self:add(units)
  return true, { text(units), text(room - units), edge and nanos(fine(edge - now)) or '0' }
end

-- refusal says which window has room for n units last, and when.
function rate:refusal(terms, n)
  local window, ms, ns = 0, now, 0
  for i, spec in ipairs(terms.windows) do
    local w, roll = self:window(spec)
    local later, finer = roll.retry(w, spec, self.used, n, now)
    if not later then return { 'large', text(i - 1), '0' } end
    if less(ms, ns, later, finer) then window, ms, ns = i - 1, later, finer end
  end
  return { 'limit', text(window), nanos(ms - now, ns) }
end

-- give_back takes back n units that were counted at the time at, or below zero counts
-- them now.
function rate:give_back(terms, back)
  local at = back.ms * 8 + div(back.ns * 8, NANOS)
  for _, spec in ipairs(terms.windows) do
    local w, roll = self:window(spec)
    if back.n > 0 then
      roll.refund(w, spec, self.used, back.n, at)
      self.changed[spec.field] = true
    end
  end
  if back.n < 0 then self:add(-back.n) end
  self:come(terms.burst, back.n, back.ms, back.ns)
end

function rate:mark() return { self.added, self.ms, self.ns } end

-- undo takes back what was charged since the mark.
function rate:undo(mark)
  self.used, self.added = self.used - (self.added - mark[1]), mark[1]
  self.ms, self.ns = mark[2], mark[3]
end

-- save writes down what changed. A counter that never had a window needs nothing.
function rate:save()
  local fields = {}
  local function set(field, value)
    if value ~= self.was[field] then
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
  end
  for field in pairs(self.changed) do set(field, written(self.windows[field])) end
  if self.fresh and #fields == 0 then return end
  if self.used ~= 0 or self.was.used then set('used', text(self.used)) end
  if not less(self.ms, self.ns, now, 0) then
    set('arrival', written({ self.ms, self.ns }))
    self.lasts = max(self.lasts, self.ms + 1)
  elseif self.was.arrival then
    set('arrival', '0 0')
  end
  if #fields == 0 then return end
  redis.call('HSET', self.key, unpack(fields))
  if self.fresh then
    keep(self.key, self.lasts)
  elseif self.lasts > 0 then
    keep(self.key, self.lasts, 'GT')
  end
end

-- level returns the words of what is used of each window, and until when.
function rate:level(terms)
  local words = {}
  for _, spec in ipairs(terms.windows) do
    local w, roll = self:window(spec)
    words[#words + 1] = text(roll.used(w, spec, self.used, now))
    words[#words + 1] = nanos(fine(roll.reset(w, spec)))
  end
  return words
end
