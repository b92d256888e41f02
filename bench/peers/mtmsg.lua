-- mtmsg, in threads of llthreads2:
--   mtmsg.lua lock | contended | queue KIND PRODUCERS CONSUMERS | roundtrip | pool
-- It has no lock: a buffer that holds one token stands for one. It sends no tables: the
-- fields are sent flat, and the receiver makes the table again.
local kit = require "kit"
local mtmsg = require "mtmsg"
local threads = require "llthreads2"

local question, ask = arg[1], {}

local function start(code, ...)
  local one = threads.new("local mtmsg, kit = require 'mtmsg', require 'kit'\n" .. code, ...)
  one:start(false, true)
  return one
end

function ask.lock()
  local n, token = kit.n(300000), mtmsg.newbuffer()
  token:addmsg(1)
  local began = kit.now()
  for _ = 1, n do
    token:nextmsg()
    token:addmsg(1)
  end
  kit.report(kit.now() - began, n)
end

function ask.contended()
  local n, token = kit.n(200000), mtmsg.newbuffer()
  token:addmsg(1)
  local code = [[
    local id, n = ...
    local token, x = mtmsg.buffer(id), 0
    for _ = 1, n do token:nextmsg(); x = x + 1; token:addmsg(1) end]]
  local began = kit.now()
  local a, b = start(code, token:id(), n // 2), start(code, token:id(), n // 2)
  assert(a:join() and b:join())
  kit.report(kit.now() - began, n)
end

function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local n, buffer = kit.n(kind == "big" and 200 or 200000), mtmsg.newbuffer(1 << 20)
  local produce = [[
    local id, kind, n = ...
    local buffer, make = mtmsg.buffer(id), kit.payload(kind)
    for i = 1, n do
      local x = make(i)
      if kind == "table" then
        local v = x.values
        buffer:addmsg(x.id, x.name, v[1], v[2], v[3])
      else
        buffer:addmsg(x)
      end
    end]]
  local consume = [[
    local id, kind, n = ...
    local buffer, keep = mtmsg.buffer(id)
    for _ = 1, n do
      local x, name, a, b, c = buffer:nextmsg()
      keep = kind == "table" and { id = x, name = name, values = { a, b, c } } or x
    end]]
  local all, began = {}, kit.now()
  for _ = 1, producers do all[#all + 1] = start(produce, buffer:id(), kind, n // producers) end
  for _ = 1, consumers do all[#all + 1] = start(consume, buffer:id(), kind, n // consumers) end
  for _, one in ipairs(all) do assert(one:join()) end
  kit.report(kit.now() - began, n)
end

function ask.roundtrip()
  local n, there, back = kit.n(20000), mtmsg.newbuffer(), mtmsg.newbuffer()
  local other = start([[
    local there, back, n = ...
    there, back = mtmsg.buffer(there), mtmsg.buffer(back)
    for _ = 1, n do back:addmsg(there:nextmsg()) end]], there:id(), back:id(), n)
  local began = kit.now()
  for i = 1, n do
    there:addmsg(i)
    back:nextmsg()
  end
  kit.report(kit.now() - began, n)
  other:join()
end

-- Two threads that take tasks from a buffer.
function ask.pool()
  local n, tasks, results, sum = kit.n(100000), mtmsg.newbuffer(), mtmsg.newbuffer(), 0
  local code = [[
    local tasks, results = ...
    tasks, results = mtmsg.buffer(tasks), mtmsg.buffer(results)
    while true do
      local x = tasks:nextmsg()
      if x == "stop" then return end
      results:addmsg(x)
    end]]
  local a, b = start(code, tasks:id(), results:id()), start(code, tasks:id(), results:id())
  local began = kit.now()
  for i = 1, n do tasks:addmsg(i) end
  for _ = 1, n do sum = sum + results:nextmsg() end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
  tasks:addmsg("stop")
  tasks:addmsg("stop")
  a:join()
  b:join()
end

ask[question]()
