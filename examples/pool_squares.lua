-- A pool of 4 maps squares of 1-5; then pools of 2, 4 and 8 over 1-10 and over a long list.
-- Watch for: for ten squares starting the pool is all the time there is. For the long list the
-- number of workers matters, up to the number of CPUs that this program may use.
--   lua5.4 examples/pool_squares.lua [LENGTH OF THE LONG LIST, 8000 if not given]
local conc = require "conc"
local long = tonumber(arg[1]) or 8000

local function square(x)  -- the sum of the first x odd numbers: work that grows with x
  local sum = 0
  for odd = 1, 2 * x - 1, 2 do sum = sum + odd end
  return sum
end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function timed_map(workers, list)
  local start = conc.now()
  local pool <close> = conc.process_pool(workers)
  local squares = pool:map(square, list)
  return squares, conc.now() - start
end

local squares = timed_map(4, range(5))
print("squares of 1-5: " .. table.concat(squares, " "))
for _, n in ipairs {10, long} do
  local list = range(n)
  for _, workers in ipairs {1, 2, 4, 8} do
    local result, seconds = timed_map(workers, list)
    print(("1-%d, %d workers: last is %d, %.3f s"):format(n, workers, result[n], seconds))
  end
end
print("CPUs: " .. conc.cpu_count())
