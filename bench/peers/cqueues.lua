-- cqueues:  cqueues.lua spawn | queue str|big | roundtrip
-- Its threads have one socket pair each, and that carries bytes.
local kit = require "kit"
local thread = require "cqueues.thread"

local question, ask = arg[1], {}

function ask.spawn()
  local n, empty = kit.n(300), function () end
  local began = kit.now()
  for _ = 1, n do
    local one, socket = thread.start(empty)
    one:join()
    socket:close()
  end
  kit.report(kit.now() - began, n)
end

function ask.queue()
  local kind = arg[2]
  local n = kit.n(kind == "big" and 200 or 200000)
  local began = kit.now()
  local one, socket = thread.start(function (out, what, count)
    local make = require "kit".payload(what)
    out:setmode(what == "big" and "bn" or "tf", what == "big" and "bn" or "tf")
    for i = 1, tonumber(count) do
      out:write(make(i))
      if what ~= "big" then out:write("\n") end
    end
    out:flush()
  end, kind, tostring(n))
  socket:setmode(kind == "big" and "bn" or "tf", kind == "big" and "bn" or "tf")
  for _ = 1, n do assert(socket:read(kind == "big" and 1 << 20 or "*l")) end
  one:join()
  kit.report(kit.now() - began, n)
end

function ask.roundtrip()
  local n = kit.n(20000)
  local one, socket = thread.start(function (far, count)
    far:setmode("tl", "tl")
    for _ = 1, tonumber(count) do far:write(far:read("*l"), "\n") end
  end, tostring(n))
  socket:setmode("tl", "tl")
  local began = kit.now()
  for _ = 1, n do
    socket:write("1\n")
    socket:read("*l")
  end
  kit.report(kit.now() - began, n)
  one:join()
end

ask[question]()
