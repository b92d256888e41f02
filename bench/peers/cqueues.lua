-- cqueues:  cqueues.lua spawn | queue str|big | roundtrip | memory thread
-- Its threads have one socket pair each, and that carries bytes.
local kit = require "kit"
local thread = require "cqueues.thread"

local question, ask = arg[1], {}

function ask.spawn()
  kit.calls(kit.n(300), function ()
    local other, socket = thread.start(function () end)
    other:join()
    socket:close()
  end)
end

function ask.queue()
  local kind = arg[2]
  local n, mode = kit.n(kind == "big" and 200 or 200000), kind == "big" and "bn" or "tf"
  local one, socket = thread.start(function (out, what, count, how)
    local make = require "kit".payload(what)
    out:setmode(how, how)
    out:read(what == "big" and 1 or "*l")
    for i = 1, tonumber(count) do
      out:write(make(i))
      if what ~= "big" then out:write("\n") end
    end
    out:flush()
  end, kind, tostring(n), mode)
  socket:setmode(mode, mode)
  kit.sleep(0.05)
  local began = kit.now()
  socket:write("\n")
  socket:flush()
  for _ = 1, n do assert(socket:read(kind == "big" and 1 << 20 or "*l")) end
  one:join()
  kit.report(kit.now() - began, n)
end

function ask.roundtrip()
  local n = kit.n(20000)
  local one, socket = thread.start(function (far, count)
    far:setmode("tl", "tl")
    for _ = 1, tonumber(count) do far:write(far:read("*l"), "\n") end
  end, tostring(n + 1))
  socket:setmode("tl", "tl")
  kit.calls(n, function ()
    socket:write("1\n")
    socket:read("*l")
  end)
  one:join()
end

function ask.memory()
  local sockets = {}
  local keep = kit.memory(kit.n(50), function ()
    local one, socket = thread.start(function (far) far:read("*l") end)
    sockets[#sockets + 1] = socket
    return one
  end)
  for _, socket in ipairs(sockets) do socket:close() end
  for _, one in ipairs(keep) do one:join() end
end

ask[question]()
