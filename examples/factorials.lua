-- The factorials of 1-10, submitted to a thread pool and printed as they complete.
-- Watch for: they do not come in order, so each is printed with its own number,
-- which a table keyed by the future remembers.
--   lua5.4 examples/factorials.lua [LONGEST PAUSE IN SECONDS, 0.2 if not given]
local conc = require "conc"
local longest = tonumber(arg[1]) or 0.2

local function factorial(n)
  return n <= 1 and 1 or n * factorial(n - 1)
end

local function slow_factorial(n)
  conc.sleep(longest * math.random())
  return factorial(n)
end

local pool <close> = conc.thread_pool(5)
local futures, number = {}, {}
for n = 1, 10 do
  local future = pool:submit(slow_factorial, n)
  futures[n] = future
  number[future] = n
end
for future in conc.as_completed(futures) do
  print(("%d! = %d"):format(number[future], future:result()))
end
