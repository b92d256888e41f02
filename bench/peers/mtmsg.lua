-- mtmsg, in threads of llthreads2:
--   mtmsg.lua lock | contended | queue KIND PRODUCERS CONSUMERS [BATCH [BOUND]] | roundtrip
--   | pool | memory queue
-- It has no lock: a buffer that holds one token stands for one. It sends no tables: the
-- fields are sent flat, and the receiver makes the table again.
local kit = require "kit"
local mtmsg = require "mtmsg"
local threads = require "llthreads2"

local question, ask = arg[1], {}

local function start(code, ...)
  local one = threads.new("local mtmsg, kit = require 'mtmsg', require 'kit'\n" .. code, ...)
  one:start(false, true)  -- not detached, and to be joined
  return one
end

-- Starts them all, and then the clock: the code of a thread gets the arguments after that
-- of a buffer, from which it takes its leave to begin.
local function measure(n, all)
  local gate = mtmsg.newbuffer()
  for i, one in ipairs(all) do
    all[i] = start("local gate = mtmsg.buffer((...))\n" .. one[1], gate:id(),
      table.unpack(one, 2))
  end
  kit.sleep(0.05)
  local began = kit.now()
  for _ = 1, #all do gate:addmsg(true) end
  for _, one in ipairs(all) do assert(one:join()) end
  kit.report(kit.now() - began, n)
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
    local _, id, n = ...
    local token, x = mtmsg.buffer(id), 0
    gate:nextmsg()
    for _ = 1, n do token:nextmsg(); x = x + 1; token:addmsg(1) end]]
  measure(n, { { code, token:id(), n // 2 }, { code, token:id(), n // 2 } })
end

local produce = [[
  local _, id, kind, n, batch = ...
  local buffer, make = mtmsg.buffer(id), kit.payload(kind)
  gate:nextmsg()
  if batch > 1 then
    local writer = mtmsg.newwriter(1 << 16)
    for i = 1, n, batch do
      for j = 1, batch do
        local x = make(i + j)
        if kind == "table" then
          local v = x.values
          writer:add(x.id, x.name, v[1], v[2], v[3])
        else
          writer:add(x)
        end
      end
      writer:addmsg(buffer)
    end
  elseif kind == "table" then
    for i = 1, n do
      local x = make(i)
      local v = x.values
      buffer:addmsg(x.id, x.name, v[1], v[2], v[3])
    end
  else
    for i = 1, n do buffer:addmsg(make(i)) end
  end]]

local consume = [[
  local _, id, kind, n, batch = ...
  local buffer, keep = mtmsg.buffer(id)
  gate:nextmsg()
  if batch > 1 then
    local reader = mtmsg.newreader(1 << 16)
    for _ = 1, n, batch do
      reader:nextmsg(buffer)
      for _ = 1, batch do
        if kind == "table" then
          local x, name, a, b, c = reader:next(5)
          keep = { id = x, name = name, values = { a, b, c } }
        else
          keep = reader:next()
        end
      end
    end
  elseif kind == "table" then
    for _ = 1, n do
      local x, name, a, b, c = buffer:nextmsg()
      keep = { id = x, name = name, values = { a, b, c } }
    end
  else
    for _ = 1, n do keep = buffer:nextmsg() end
  end]]

-- A buffer that may not grow refuses what has no room, and does not wait for it. Asking again
-- and again is no faster than letting it grow, so BOUND is not heeded.
function ask.queue()
  local kind, producers, consumers = arg[2], tonumber(arg[3]), tonumber(arg[4])
  local batch, all = tonumber(arg[5] or 1), {}
  local n, buffer = kit.n(kind == "big" and 200 or 200000), mtmsg.newbuffer(1 << 20)
  for _ = 1, producers do
    all[#all + 1] = { produce, buffer:id(), kind, n // producers, batch }
  end
  for _ = 1, consumers do
    all[#all + 1] = { consume, buffer:id(), kind, n // consumers, batch }
  end
  measure(n, all)
end

function ask.roundtrip()
  local n, there, back = kit.n(20000), mtmsg.newbuffer(), mtmsg.newbuffer()
  local other = start([[
    local there, back, n = ...
    there, back = mtmsg.buffer(there), mtmsg.buffer(back)
    for _ = 1, n do back:addmsg(there:nextmsg()) end]], there:id(), back:id(), n + 1)
  kit.calls(n, function (i)
    there:addmsg(i)
    back:nextmsg()
  end)
  other:join()
end

-- Two threads that take tasks from a buffer.
function ask.pool()
  local tasks, results = mtmsg.newbuffer(1 << 20), mtmsg.newbuffer(1 << 20)
  local code = [[
    local tasks, results = ...
    tasks, results = mtmsg.buffer(tasks), mtmsg.buffer(results)
    while true do
      local x = tasks:nextmsg()
      if x == "stop" then return end
      results:addmsg(x)
    end]]
  local a, b = start(code, tasks:id(), results:id()), start(code, tasks:id(), results:id())
  kit.hand(kit.n(100000), tasks, "addmsg", results, "nextmsg")
  a:join()
  b:join()
end

function ask.memory() kit.memory(kit.n(5000), mtmsg.newbuffer) end

ask[question]()
