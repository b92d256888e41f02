-- A process puts a message into a queue; its parent gets it.
-- Watch for: the queue is the same object on both sides, nothing had to be set up for it.
local conc = require "conc"

local function worker(queue)
  queue:put("Hello from the worker!")
end

local queue = conc.queue()
local process = conc.process(worker, queue)
print(queue:get())
process:join()
print("exit code " .. process:exitcode())
