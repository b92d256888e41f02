-- A module for codec_spec.lua: what it has is the receiver's own.
local M = { limits = { most = 7 } }
local private = 0
M.Point = {}
M.Point.__index = M.Point
function M.count() private = private + 1 return private end
function M.point(x) return setmetatable({ x = x }, M.Point) end
function M.Point:double() return self.x * 2 end
return M
