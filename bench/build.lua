-- Plain Lua, no conc: what building the small table costs that queue.lua and codec.lua send.
local kit = require "kit"

local n, keep = kit.n(1000000), nil
local began = kit.now()
for i = 1, n do keep = { id = i, name = "x", values = { 1, 2, 3 } } end
kit.report(kit.now() - began, n)
assert(keep)
