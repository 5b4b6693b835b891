-- Reads what was used of the counters KEYS, of one tenant, and changes nothing. ARGV: the
-- time, a holder and a time that do not matter, terms, and the number of those of each counter. The
-- answer is words: of rates, for each window the units used and when they no longer
-- count, and of the others the units.

local all_terms, words = read_list(read_terms), {}
for i = 1, #KEYS do
  local terms = all_terms[number()]
  for _, w in ipairs(counter(i, terms):level(terms)) do words[#words + 1] = w end
end
return table.concat(words, ' ')
