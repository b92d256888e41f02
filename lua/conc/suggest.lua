-- suggest(name, candidates) -> the candidate that 'name' was probably meant to be, or nil.
-- 'candidates' is a list of names, or a table whose string keys are names (an options table, a
-- module). For messages: no 'semaphor' in conc; did you mean 'semaphore'?

-- Edits that turn a into b: insert, delete, replace, swap of two neighbours (optimal string
-- alignment). Gives up with 'limit' + 1 once the distance is known to be larger than 'limit'.
local function distance(a, b, limit)
  local la, lb = #a, #b
  if math.abs(la - lb) > limit then return limit + 1 end
  local before, above = nil, {}
  for j = 0, lb do above[j] = j end
  for i = 1, la do
    local row = {[0] = i}
    local least = i
    for j = 1, lb do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
      if d < least then least = d end
    end
    if least > limit then return limit + 1 end
    before, above = above, row
  end
  return above[lb]
end

local function fold(name)
  return (name:lower():gsub("[_%-%s]", ""))
end

-- Ties go to the name that comes first in the alphabet, so that the answer never depends on the
-- order of 'pairs'.
local function suggest(name, candidates)
  if type(name) ~= "string" then return nil end
  local wanted = fold(name)
  local limit = math.max(1, (#wanted + 1) // 3)
  local best, least
  local function consider(candidate)
    if type(candidate) ~= "string" or candidate == name then return end
    local d = distance(wanted, fold(candidate), limit)
    if d > limit or d >= #wanted then return end
    if not least or d < least or d == least and candidate < best then
      best, least = candidate, d
    end
  end
  for key, value in pairs(candidates) do
    consider(type(key) == "string" and key or value)
  end
  return best
end

return suggest
