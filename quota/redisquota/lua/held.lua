-- Counters of what is held, and of stock. The hash of one has a field for each holder,
-- h: and its name, with units and when they run out, and of stock the field kept.

local held = {}
held.__index = held

function held.load(key)
  local c = { key = key, kept = 0, others = 0, n = 0, till = 0, last = 0, dead = {}, mine = 'h:' .. holder }
  local hash = redis.call('HGETALL', key)
  for i = 1, #hash, 2 do held.read(c, hash[i], hash[i + 1]) end
  c.was = { c.kept, c.n, c.till }
  return setmetatable(c, held)
end

-- read takes in a field of the hash.
function held.read(c, field, value)
  if field == 'kept' then
    c.kept = tonumber(value)
    return
  end
  local n, till = string.match(value, '^(%d+) (%d+)$')
  n, till = tonumber(n), tonumber(till)
  if field == c.mine then
    c.n, c.till = n, till
  elseif till <= now then
    c.dead[#c.dead + 1] = field
  else
    c.others, c.last = c.others + n, max(c.last, till)
  end
end

-- used returns what is kept and held, and forgets what has run out.
function held:used()
  if self.till <= now then self:set(0, 0) end
  return self.kept + self.others + self.n
end

-- set makes n units held until a time.
function held:set(n, till)
  if n <= 0 then n, till = 0, 0 end
  self.n, self.till = n, till
end

-- charge is as of rates.
function held:charge(terms, n, least)
  local used, room = self:used(), EXACT
  if terms.max >= 0 then room = terms.max - used end
  if least > 0 then n = min(n, max(room, least)) end
  if n > room then
    if n > terms.max then return false, { 'large', '0', '0' } end
    if terms.stock then return false, { 'stock', '0', '0' } end
    return false, { 'busy', '0', nanos(1000, 0) }
  end
  self:set(self.n + n, max(self.till, now + ttl))
  return true, { text(n), text(room - n), '0' }
end

-- give_back makes units less held, and more kept: or, if it is exact, so many.
function held:give_back(terms, back)
  self:used()
  self:set(self.n - back.n, self.till)
  if terms.stock then self.kept = max(0, back.exact and back.kept or self.kept + back.kept) end
end

function held:mark() return { self.n, self.till } end

function held:undo(mark) self.n, self.till = mark[1], mark[2] end

-- save writes down what changed, and forgets holders whose time is over.
function held:save()
  self:used()
  local was = self.was
  if self.kept == was[1] and self.n == was[2] and self.till == was[3] then return end
  local gone = self.dead
  if self.n > 0 then
    redis.call('HSET', self.key, self.mine, text(self.n) .. ' ' .. text(self.till))
  elseif was[2] > 0 then
    gone[#gone + 1] = self.mine
  end
  if self.kept > 0 then
    redis.call('HSET', self.key, 'kept', text(self.kept))
  elseif was[1] > 0 then
    gone[#gone + 1] = 'kept'
  end
  for i = 1, #gone, 1000 do redis.call('HDEL', self.key, unpack(gone, i, min(#gone, i + 999))) end
  if self.kept == 0 then
    keep(self.key, max(self.last, self.till))
  elseif was[1] == 0 then
    redis.call('PERSIST', self.key)
  end
end

function held:level() return { text(self:used()) } end
