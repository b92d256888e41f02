-- effil:  effil.lua spawn | queue KIND PRODUCERS CONSUMERS [BATCH [BOUND]] | roundtrip | pool
local kit = require "kit"
local effil = require "effil"

local question, ask = arg[1], {}

function ask.spawn()
  local n, empty = kit.n(300), function () end
  local began = kit.now()
  for _ = 1, n do effil.thread(empty)():wait() end
  kit.report(kit.now() - began, n)
end

function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local n, channel = kit.n(kind == "big" and 200 or 50000), effil.channel(tonumber(arg[6]))
  local function produce(out, what, count)
    local make = require "kit".payload(what)
    for i = 1, count do
      while not out:push(make(i)) do effil.yield() end
    end
  end
  local function consume(from, count)
    for _ = 1, count do from:pop() end
  end
  local all, began = {}, kit.now()
  for _ = 1, producers do
    all[#all + 1] = effil.thread(produce)(channel, kind, n // producers)
  end
  for _ = 1, consumers do all[#all + 1] = effil.thread(consume)(channel, n // consumers) end
  for _, one in ipairs(all) do one:wait() end
  kit.report(kit.now() - began, n)
end

function ask.roundtrip()
  local n, there, back = kit.n(20000), effil.channel(), effil.channel()
  local other = effil.thread(function (from, to, count)
    for _ = 1, count do to:push(from:pop()) end
  end)(there, back, n)
  local began = kit.now()
  for i = 1, n do
    there:push(i)
    back:pop()
  end
  kit.report(kit.now() - began, n)
  other:wait()
end

-- Two threads that take tasks from a channel.
function ask.pool()
  local n, tasks, results, sum = kit.n(100000), effil.channel(), effil.channel(), 0
  local function worker(from, to)
    while true do
      local x = from:pop()
      if x == "stop" then return end
      to:push(x)
    end
  end
  local a = effil.thread(worker)(tasks, results)
  local b = effil.thread(worker)(tasks, results)
  local began = kit.now()
  for i = 1, n do tasks:push(i) end
  for _ = 1, n do sum = sum + results:pop() end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
  tasks:push("stop")
  tasks:push("stop")
  a:wait()
  b:wait()
end

ask[question]()
