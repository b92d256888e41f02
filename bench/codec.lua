-- codec.lua small                           encode and decode of a small table
-- codec.lua ints|floats|strings|tree encode|decode    a million of them, each way
local conc = require "conc"
local kit = require "kit"

local what, way = arg[1], arg[2]
local make = {}

function make.ints(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

function make.floats(n)
  local list = {}
  for i = 1, n do list[i] = i + 0.5 end
  return list
end

function make.strings(n)
  local list = {}
  for i = 1, n do list[i] = "item" .. i end
  return list
end

-- A binary tree of n - 1 tables, for n a power of two.
function make.tree(n)
  local function node(depth)
    if depth == 0 then return nil end
    return { v = depth, left = node(depth - 1), right = node(depth - 1) }
  end
  return node(math.floor(math.log(n, 2) + 0.5))
end

if what == "small" then
  local n, t = kit.n(300000), { id = 1, name = "x", values = { 1, 2, 3 } }
  local encode, decode = conc.encode, conc.decode
  local began = kit.now()
  for _ = 1, n do decode(encode(t)) end
  kit.report(kit.now() - began, n)
else
  local n = kit.n(1 << 20)
  local value = make[what](n)
  local text = conc.encode(value)
  if way == "decode" then value = nil end
  local time = kit.time(3, function ()
    return way == "encode" and conc.encode(value) or conc.decode(text)
  end)
  kit.report(time, n)
end
