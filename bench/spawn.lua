-- What does it cost to start a thread (or a process) and to wait for its end?
--   spawn.lua thread|process
local conc = require "conc"
local kit = require "kit"

local start, n = conc[arg[1]], kit.n(1000)
local function empty() end

start(empty):join()
local began = kit.now()
for _ = 1, n do start(empty):join() end
kit.report(kit.now() - began, n)
