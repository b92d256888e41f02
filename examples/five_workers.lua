-- Five named threads start, sleep and finish; the program waits for all of them.
-- Watch for: all start at once, and they finish in the order of their sleeps, not of their starts.
--   lua5.4 examples/five_workers.lua [SECONDS A STEP, 0.1 if not given]
local conc = require "conc"
local step = tonumber(arg[1]) or 0.1

local function work(seconds)
  local name = conc.current():name()
  print(name .. " starts")
  conc.sleep(seconds)
  print(name .. " finishes")
end

local start = conc.now()
local workers = {}
for i = 1, 5 do
  local seconds = (6 - i) * step  -- the first sleeps longest
  workers[i] = conc.thread({name = "worker-" .. i}, work, seconds)
end
for _, worker in ipairs(workers) do
  worker:join()
end
print(("all five have finished: %.2f s"):format(conc.now() - start))
