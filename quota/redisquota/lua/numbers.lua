-- Numbers are doubles, which are exact for whole numbers up to 2^53. Times are
-- milliseconds since 1970, and where they are finer, pairs of whole milliseconds and
-- nanoseconds.

local EXACT = 9007199254740992 -- 2^53
local NANOS = 1000000          -- in a millisecond

local ceil, floor, fmod, max, min = math.ceil, math.floor, math.fmod, math.max, math.min

-- div returns a/b rounded down, for whole a >= 0 and b > 0.
local function div(a, b) return (a - fmod(a, b)) / b end

-- muldiv returns a*b/c rounded down, and the remainder. Both are exact for whole numbers
-- from 0 to 2^53 (c: from 1), as long as the quotient is below 2^53.
local function muldiv(a, b, c)
  local product = a * b
  if product < EXACT then
    local rest = fmod(product, c)
    return (product - rest) / c, rest
  end
  local part = fmod(a, c) -- a = whole*c + part
  local whole, quotient, rest, bit = (a - part) / c, 0, 0, 1
  while bit * 2 <= b do bit = bit * 2 end
  local bits = b
  while bit >= 1 do -- part*b/c, from the highest bit of b; 2*rest is even, and so exact
    quotient, rest = quotient * 2, rest * 2
    if rest >= c then quotient, rest = quotient + 1, rest - c end
    if bits >= bit then
      bits = bits - bit
      if rest >= c - part then
        quotient, rest = quotient + 1, rest - (c - part)
      else
        rest = rest + part
      end
    end
    bit = bit / 2
  end
  return whole * b + quotient, rest
end

-- muldivup returns a*b/c rounded up.
local function muldivup(a, b, c)
  local quotient, rest = muldiv(a, b, c)
  if rest > 0 then quotient = quotient + 1 end
  return quotient
end

-- text writes whole numbers down, all their digits.
local function text(n) return string.format('%.0f', n) end

-- nanos writes a time down in nanoseconds.
local function nanos(ms, ns) return string.format('%.0f%06.0f', ms, ns) end

-- fine makes a pair of milliseconds with a fraction of eighths.
local function fine(ms)
  local whole = floor(ms)
  return whole, (ms - whole) * NANOS
end

-- less compares two pairs.
local function less(ams, ans, bms, bns) return ams < bms or ams == bms and ans < bns end

-- minus subtracts a pair from another.
local function minus(ams, ans, bms, bns)
  if ans < bns then return ams - bms - 1, ans - bns + NANOS end
  return ams - bms, ans - bns
end

-- plus adds two pairs.
local function plus(ams, ans, bms, bns)
  if ans + bns >= NANOS then return ams + bms + 1, ans + bns - NANOS end
  return ams + bms, ans + bns
end

-- atmost returns the earlier one of two pairs.
local function atmost(ams, ans, bms, bns)
  if less(bms, bns, ams, ans) then return bms, bns end
  return ams, ans
end
