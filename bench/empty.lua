-- Plain Lua, no conc: two calls of a method that does nothing.
local kit = require "kit"
local object = require "benchfloor".object()

local n = kit.n(1000000)
local began = kit.now()
for _ = 1, n do
  object:empty()
  object:empty()
end
kit.report(kit.now() - began, n)
