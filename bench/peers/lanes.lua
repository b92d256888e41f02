-- Lanes:  lanes.lua spawn | lock | contended | queue KIND PRODUCERS CONSUMERS [BATCH [BOUND]]
--   | roundtrip | pool
local kit = require "kit"
local lanes = require "lanes".configure()

local question, ask = arg[1], {}

function ask.spawn()
  local start, n = lanes.gen("*", function () end), kit.n(500)
  local began = kit.now()
  for _ = 1, n do start():join() end
  kit.report(kit.now() - began, n)
end

function ask.lock()
  local lock, n = lanes.genlock(lanes.linda(), "M", 1), kit.n(100000)
  local began = kit.now()
  for _ = 1, n do
    lock(1)
    lock(-1)
  end
  kit.report(kit.now() - began, n)
end

function ask.contended()
  local n = kit.n(50000)
  local lock, each = lanes.genlock(lanes.linda(), "M", 1), n // 2
  local start = lanes.gen("*", function ()
    local x = 0
    for _ = 1, each do
      lock(1)
      x = x + 1
      lock(-1)
    end
  end)
  local began = kit.now()
  local a, b = start(), start()
  a:join()
  b:join()
  kit.report(kit.now() - began, n)
end

function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local batch, bound = tonumber(arg[5] or 1), tonumber(arg[6])
  local n, linda = kit.n(kind == "big" and 200 or 50000), lanes.linda()
  if bound then linda:limit("q", bound) end
  local produce = lanes.gen("*", function ()
    local make, list = require "kit".payload(kind), {}
    for i = 1, n // producers, batch do
      for j = 1, batch do list[j] = make(i + j) end
      linda:send("q", table.unpack(list, 1, batch))
    end
  end)
  local consume = lanes.gen("*", function ()
    local left = n // consumers
    while left > 0 do
      if batch == 1 then
        linda:receive("q")
        left = left - 1
      else
        left = left - select("#", linda:receive_batched("q", 1, math.min(batch, left))) + 1
      end
    end
  end)
  local all, began = {}, kit.now()
  for _ = 1, producers do all[#all + 1] = produce() end
  for _ = 1, consumers do all[#all + 1] = consume() end
  for _, lane in ipairs(all) do lane:join() end
  kit.report(kit.now() - began, n)
end

function ask.roundtrip()
  local n, linda = kit.n(20000), lanes.linda()
  local other = lanes.gen("*", function ()
    for _ = 1, n do linda:send("back", (select(2, linda:receive("there")))) end
  end)()
  local began = kit.now()
  for i = 1, n do
    linda:send("there", i)
    linda:receive("back")
  end
  kit.report(kit.now() - began, n)
  other:join()
end

-- Two lanes that take tasks from a linda.
function ask.pool()
  local n, linda, sum = kit.n(50000), lanes.linda(), 0
  local worker = lanes.gen("*", function ()
    while true do
      local _, x = linda:receive("in")
      if x == "stop" then return end
      linda:send("out", x)
    end
  end)
  local a, b = worker(), worker()
  local began = kit.now()
  for i = 1, n do linda:send("in", i) end
  for _ = 1, n do sum = sum + select(2, linda:receive("out")) end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
  linda:send("in", "stop", "stop")
  a:join()
  b:join()
end

ask[question]()
