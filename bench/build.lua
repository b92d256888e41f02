-- Plain Lua, no conc: what building costs that others send.
--   build.lua            the small table of queue.lua and codec.lua
--   build.lua strings    a list of N short strings, made in plain C of their bytes with
--                        lua_pushlstring and lua_rawseti
--   build.lua tree       the tree of codec.lua
local kit = require "kit"

local what = arg[1]

local function node(depth)
  if depth == 0 then return nil end
  return { v = depth, left = node(depth - 1), right = node(depth - 1) }
end

if what then
  local n = kit.n(1 << 20)
  local depth = math.floor(math.log(n, 2) + 0.5)
  local text = {}
  for i = 1, what == "strings" and n or 0 do text[i] = string.pack("s1", "item" .. i) end
  text = table.concat(text)
  local strings = require "benchfloor".strings
  kit.report(kit.time(3, function ()
    return what == "tree" and node(depth) or strings(text, n)
  end), n)
else
  local n, keep = kit.n(1000000), nil
  local began = kit.now()
  for i = 1, n do keep = { id = i, name = "x", values = { 1, 2, 3 } } end
  kit.report(kit.now() - began, n)
  assert(keep)
end
