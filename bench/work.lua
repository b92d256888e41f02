-- Work for map.lua and halves.lua: n items in one of three shapes, each a number of turns.
local work = {}

local each = 60000  -- turns of an item, on average

function work.spin(turns)
  local x = 0
  for i = 1, turns do x = (x * 31 + i) % 65521 end
  return x
end

local function shuffle(list)
  local seed = 1
  for i = #list, 2, -1 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    local j = seed % i + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- equal: all alike. shuffled: lengths 1 to n times the same, in random order. last: alike
-- but for the last, which is an eighth of the whole.
function work.items(shape, n)
  local list = {}
  for i = 1, n do
    if shape == "shuffled" then
      list[i] = 2 * each * i // (n + 1)
    elseif shape == "last" then
      list[i] = i == n and each * n // 8 or each * n * 7 // (8 * (n - 1))
    else
      list[i] = each
    end
  end
  return shape == "shuffled" and shuffle(list) or list
end

-- The items of one of two halves of the same length in turns.
function work.half(items, which)
  local sums, halves = { 0, 0 }, { {}, {} }
  local sorted = table.move(items, 1, #items, 1, {})
  table.sort(sorted, function (a, b) return a > b end)
  for _, turns in ipairs(sorted) do
    local k = sums[1] <= sums[2] and 1 or 2
    sums[k] = sums[k] + turns
    table.insert(halves[k], turns)
  end
  return halves[which]
end

return work
