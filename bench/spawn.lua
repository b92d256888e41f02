-- What does it cost to start a thread (or a process) and to wait for its end?
--   spawn.lua thread|process
local conc = require "conc"
local kit = require "kit"

local start = conc[arg[1]]
local function empty() end

kit.calls(kit.n(1000), function () start(empty):join() end)
