-- luaproc:  luaproc.lua spawn | queue KIND PRODUCERS CONSUMERS [BATCH] | roundtrip | pool
-- Its processes are no threads of the system: they are states that take turns on some
-- workers, so a switch between two is none of threads. What waits in a channel is one
-- message, and its sender waits with it. It sends no tables: the fields are sent flat, and
-- the receiver makes the table again.
local kit = require "kit"
local luaproc = require "luaproc"

local question, ask = arg[1], {}

local prelude = [[
  string, table, math = require "string", require "table", require "math"
  local luaproc, kit = require "luaproc", require "kit"
]]

-- Starts them all, and then the clock: each process begins by taking its leave.
local function measure(n, codes)
  luaproc.newchannel("go")
  for _, code in ipairs(codes) do assert(luaproc.newproc(prelude .. code)) end
  kit.sleep(0.05)
  local began = kit.now()
  for _ = 1, #codes do assert(luaproc.send("go", true)) end
  luaproc.wait()
  kit.report(kit.now() - began, n)
end

-- States are used again, and have the base library alone.
function ask.spawn()
  luaproc.recycle(1)
  kit.calls(kit.n(1000), function ()
    luaproc.newproc("return")
    luaproc.wait()
  end)
end

local produce = [[
  local kind, n, batch = %q, %d, %d
  local make, send = kit.payload(kind), luaproc.send
  luaproc.receive("go")
  if kind == "table" then
    for i = 1, n do
      local x = make(i)
      local v = x.values
      send("q", x.id, x.name, v[1], v[2], v[3])
    end
  elseif batch > 1 then
    local list = {}
    for i = 1, n, batch do
      for j = 1, batch do list[j] = make(i + j) end
      send("q", table.unpack(list, 1, batch))
    end
  else
    for i = 1, n do send("q", make(i)) end
  end]]

local consume = [[
  local kind, n, batch = %q, %d, %d
  local receive, keep = luaproc.receive
  luaproc.receive("go")
  if kind == "table" then
    for _ = 1, n do
      local x, name, a, b, c = receive("q")
      keep = { id = x, name = name, values = { a, b, c } }
    end
  else
    for _ = 1, n, batch do keep = receive("q") end
  end]]

function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local batch, n, codes = tonumber(arg[5] or 1), kit.n(kind == "big" and 200 or 200000), {}
  luaproc.setnumworkers(2)
  luaproc.newchannel("q")
  for _ = 1, producers do codes[#codes + 1] = produce:format(kind, n // producers, batch) end
  for _ = 1, consumers do codes[#codes + 1] = consume:format(kind, n // consumers, batch) end
  measure(n, codes)
end

function ask.roundtrip()
  local n = kit.n(50000)
  luaproc.setnumworkers(2)
  luaproc.newchannel("there")
  luaproc.newchannel("back")
  measure(n, {
    ([[luaproc.receive("go")
      for i = 1, %d do luaproc.send("there", i) luaproc.receive("back") end]]):format(n),
    ([[luaproc.receive("go")
      for _ = 1, %d do luaproc.send("back", (luaproc.receive("there"))) end]]):format(n),
  })
end

-- Two processes that take tasks from a channel; one gives them and one takes the results.
-- (A process for each task is three times as dear.)
function ask.pool()
  local n = kit.n(50000)
  luaproc.setnumworkers(2)
  luaproc.newchannel("in")
  luaproc.newchannel("out")
  local worker = [[
    local send, receive = luaproc.send, luaproc.receive
    receive("go")
    while true do
      local x = receive("in")
      if x == "stop" then return end
      send("out", x)
    end]]
  measure(n, { worker, worker, ([[
    local send = luaproc.send
    luaproc.receive("go")
    for i = 1, %d do send("in", i) end
    send("in", "stop")
    send("in", "stop")]]):format(n), ([[
    local n, sum, receive = %d, 0, luaproc.receive
    receive("go")
    for _ = 1, n do sum = sum + receive("out") end
    assert(sum == n * (n + 1) // 2)]]):format(n) })
end

ask[question]()
