-- Terms and counters, as the client numbers them.

local function read_window()
  local spec = { field = word(), length = number(), limit = number(), ends = {} }
  for i = 1, number() do spec.ends[i] = number() end
  return spec
end

local function read_terms()
  local kind = word()
  if kind ~= 'rate' then return { kind = held, stock = kind == 'stock', max = number() } end
  local terms, units = { kind = rate, windows = {} }, number()
  for i = 1, number() do terms.windows[i] = read_window() end
  local first = terms.windows[1]
  if units > 0 and first then terms.burst = { units = units, limit = first.limit, length = first.length } end
  return terms
end

-- read_list reads how many there are of something, and each.
local function read_list(read)
  local list = {}
  for i = 1, number() do list[i] = read() end
  return list
end

local counters = {} -- by their number, as far as they were asked for

local function counter(index, terms)
  counters[index] = counters[index] or terms.kind.load(KEYS[index])
  return counters[index]
end
