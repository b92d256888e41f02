-- llthreads2:  llthreads2.lua spawn | memory thread
-- (What its threads say to each other is said through another library: mtmsg.lua.)
local kit = require "kit"
local threads = require "llthreads2"

local question, ask = arg[1], {}

local function start(code)
  local one = threads.new(code)
  one:start(false, true)  -- not detached, and to be joined
  return one
end

function ask.spawn()
  kit.calls(kit.n(500), function () start("return"):join() end)
end

function ask.memory()
  local keep = kit.memory(kit.n(50), function () return start("require 'kit'.sleep(2)") end)
  for _, one in ipairs(keep) do one:join() end
end

ask[question]()
