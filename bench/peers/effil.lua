-- effil:  effil.lua spawn | lock | contended | queue KIND PRODUCERS CONSUMERS [BATCH [BOUND]]
--   | roundtrip | pool | memory thread|queue
-- It has no lock: a channel that holds one token stands for one. A table that is pushed
-- arrives as a shared one (effil.table), whose fields are then read one by one; the
-- receiver leaves it at that.
local kit = require "kit"
local effil = require "effil"

local question, ask = arg[1], {}

-- Starts them all, and then the clock: a thread's first argument is a channel, from which
-- it takes its leave to begin.
local function measure(n, all)
  local gate = effil.channel()
  for i, one in ipairs(all) do all[i] = effil.thread(one[1])(gate, table.unpack(one, 2)) end
  kit.sleep(0.05)
  local began = kit.now()
  for _ = 1, #all do gate:push(true) end
  for _, one in ipairs(all) do
    local status, message = one:wait()
    assert(status == "completed", message)
  end
  kit.report(kit.now() - began, n)
end

function ask.spawn()
  local start = effil.thread(function () end)
  kit.calls(kit.n(300), function () start():wait() end)
end

function ask.lock()
  local n, token = kit.n(200000), effil.channel()
  token:push(1)
  local began = kit.now()
  for _ = 1, n do
    token:pop()
    token:push(1)
  end
  kit.report(kit.now() - began, n)
end

function ask.contended()
  local n, token = kit.n(100000), effil.channel()
  token:push(1)
  local function work(gate, mutex, count)
    local x = 0
    gate:pop()
    for _ = 1, count do
      mutex:pop()
      x = x + 1
      mutex:push(1)
    end
  end
  measure(n, { { work, token, n // 2 }, { work, token, n // 2 } })
end

-- A batch is a message of several values, of 20 at most: taking one of 100 out again writes
-- beyond the stack of Lua and aborts.
function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local batch, bound = math.min(tonumber(arg[5] or 1), 20), tonumber(arg[6])
  local n, channel = kit.n(kind == "big" and 200 or 50000), effil.channel(bound)
  local function produce(gate, out, what, count, many)
    local make, yield = require "kit".payload(what), require "effil".yield
    gate:pop()
    if many == 1 then
      for i = 1, count do
        while not out:push(make(i)) do yield() end  -- it does not wait for room
      end
    else
      local list = {}
      for i = 1, count, many do
        for j = 1, many do list[j] = make(i + j) end
        while not out:push(table.unpack(list, 1, many)) do yield() end
      end
    end
  end
  local function consume(gate, from, count, many)
    gate:pop()
    if many == 1 then
      for _ = 1, count do from:pop() end
    else
      local left = count
      while left > 0 do left = left - select("#", from:pop()) end
    end
  end
  local all = {}
  for _ = 1, producers do
    all[#all + 1] = { produce, channel, kind, n // producers, batch }
  end
  for _ = 1, consumers do all[#all + 1] = { consume, channel, n // consumers, batch } end
  measure(n, all)
end

function ask.roundtrip()
  local n, there, back = kit.n(20000), effil.channel(), effil.channel()
  local other = effil.thread(function (from, to, count)
    for _ = 1, count do to:push(from:pop()) end
  end)(there, back, n + 1)
  kit.calls(n, function (i)
    there:push(i)
    back:pop()
  end)
  other:wait()
end

-- Two threads that take tasks from a channel.
function ask.pool()
  local tasks, results = effil.channel(), effil.channel()
  local worker = effil.thread(function (from, to)
    while true do
      local x = from:pop()
      if x == "stop" then return end
      to:push(x)
    end
  end)
  local a, b = worker(tasks, results), worker(tasks, results)
  kit.hand(kit.n(100000), tasks, "push", results, "pop")
  a:wait()
  b:wait()
end

function ask.memory()
  if arg[2] == "queue" then
    kit.memory(kit.n(5000), effil.channel)
  else
    local gate = effil.channel()
    local start = effil.thread(function (go) go:pop() end)
    local keep = kit.memory(kit.n(50), function () return start(gate) end)
    for _ = 1, #keep do gate:push(true) end
    for _, one in ipairs(keep) do one:wait() end
  end
end

ask[question]()
