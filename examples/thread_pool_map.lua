-- print_number over 1-10 with 3 workers, each call waiting a while.
-- Watch for: the numbers are printed as they come, three at a time; the results are in order.
--   lua5.4 examples/thread_pool_map.lua [SECONDS A CALL, 0.1 if not given]
local conc = require "conc"
local delay = tonumber(arg[1]) or 0.1

local function print_number(n)
  conc.sleep(delay)
  print("number " .. n)
  return n * 10
end

local start = conc.now()
local pool <close> = conc.thread_pool(3)
local results = pool:map(print_number, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
print("results: " .. table.concat(results, " "))
print(("10 calls, 3 workers: %.2f s"):format(conc.now() - start))
