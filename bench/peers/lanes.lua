-- Lanes:  lanes.lua spawn [bare] | lock | contended | queue KIND PRODUCERS CONSUMERS
--   [BATCH [BOUND]] | roundtrip | pool | memory thread|queue
local kit = require "kit"
local lanes = require "lanes".configure()

local question, ask = arg[1], {}

-- Starts them all, and then the clock: a lane begins with  gate:receive("go").
local function measure(n, starters)
  local gate, all = lanes.linda(), {}
  for i, start in ipairs(starters) do all[i] = start(gate) end
  kit.sleep(0.05)
  local began = kit.now()
  for _ = 1, #all do gate:send("go", true) end
  for _, lane in ipairs(all) do assert(lane:join()) end
  kit.report(kit.now() - began, n)
end

-- bare: a state without any library, which is what Lanes makes unless told otherwise.
function ask.spawn()
  local function empty() end
  local start = arg[2] == "bare" and lanes.gen(empty) or lanes.gen("*", empty)
  kit.calls(kit.n(500), function () start():join() end)
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
  local start = lanes.gen("*", function (gate)
    local x = 0
    gate:receive("go")
    for _ = 1, each do
      lock(1)
      x = x + 1
      lock(-1)
    end
  end)
  measure(n, { start, start })
end

function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local batch, bound = tonumber(arg[5] or 1), tonumber(arg[6])
  local n, linda = kit.n(kind == "big" and 200 or 50000), lanes.linda()
  if bound then linda:limit("q", bound) end
  local produce = lanes.gen("*", function (gate)
    local make, list = require "kit".payload(kind), {}
    gate:receive("go")
    if batch == 1 then
      for i = 1, n // producers do linda:send("q", make(i)) end
    else
      for i = 1, n // producers, batch do
        for j = 1, batch do list[j] = make(i + j) end
        linda:send("q", table.unpack(list, 1, batch))
      end
    end
  end)
  local consume = lanes.gen("*", function (gate)
    local left = n // consumers
    gate:receive("go")
    while left > 0 do
      if batch == 1 then
        linda:receive("q")
        left = left - 1
      else
        left = left - select("#", linda:receive_batched("q", 1, math.min(batch, left))) + 1
      end
    end
  end)
  local starters = {}
  for _ = 1, producers do starters[#starters + 1] = produce end
  for _ = 1, consumers do starters[#starters + 1] = consume end
  measure(n, starters)
end

function ask.roundtrip()
  local n, there, back = kit.n(20000), lanes.linda(), lanes.linda()
  local other = lanes.gen("*", function ()
    for _ = 1, n + 1 do back:send("x", (select(2, there:receive("x")))) end
  end)()
  kit.calls(n, function (i)
    there:send("x", i)
    back:receive("x")
  end)
  other:join()
end

-- Two lanes that take tasks from a linda. (A lane for each task is ten times as dear.)
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
  kit.sleep(0.05)
  local began = kit.now()
  for i = 1, n do linda:send("in", i) end
  for _ = 1, n do sum = sum + select(2, linda:receive("out")) end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
  linda:send("in", "stop", "stop")
  a:join()
  b:join()
end

function ask.memory()
  if arg[2] == "queue" then
    kit.memory(kit.n(5000), lanes.linda)
  else
    local gate = lanes.linda()
    local keep = kit.memory(kit.n(50), lanes.gen("*", function () gate:receive("go") end))
    for _ = 1, #keep do gate:send("go", true) end
    for _, lane in ipairs(keep) do lane:join() end
  end
end

ask[question]()
