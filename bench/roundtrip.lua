-- How long is the way there and back, between two threads, or two processes?
--   roundtrip.lua thread|process queue|pipe
-- And what does one cost that waits, and nothing comes?   roundtrip.lua idle
-- ("percent": of one CPU, over a second).
local conc = require "conc"
local kit = require "kit"

local kind, by = arg[1], arg[2]

local function idle()
  local there = conc.queue()
  conc.thread({ daemon = true }, function () there:get() end)
  local seconds = kit.n(1)
  conc.sleep(0.1)
  local used, began = os.clock(), kit.now()
  conc.sleep(seconds)
  print(("percent %.3f"):format(100 * (os.clock() - used) / (kit.now() - began)))
end

local function by_queue(start, n)
  local there, back = conc.queue(), conc.queue()
  local other = start(function ()
    for _ = 1, n do back:put(there:get()) end
  end)
  return other, function (i)
    there:put(i)
    return back:get()
  end
end

local function by_pipe(start, n)
  local near, far = conc.pipe()
  local other = start(function ()
    for _ = 1, n do far:send(far:recv()) end
  end)
  return other, function (i)
    near:send(i)
    return near:recv()
  end
end

if kind == "idle" then
  idle()
else
  local n = kit.n(50000)
  local other, ask = (by == "pipe" and by_pipe or by_queue)(conc[kind], n + 1)
  kit.calls(n, ask)
  other:join()
end
