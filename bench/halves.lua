-- Plain Lua, no conc: the floor of map.lua.
--   halves.lua squares                 the serial loop
--   halves.lua equal|shuffled|last     two processes, each of which does half of the work
--   halves.lua SHAPE 1|2               one of them: prints when it began and ended
local kit = require "kit"
local work = require "work"

local shape, which = arg[1], tonumber(arg[2])

if shape == "squares" then
  local list, results, n = {}, {}, kit.n(1000000)
  for i = 1, n do list[i] = i end
  local function square(x) return x * x end
  local began = kit.now()
  for i = 1, n do results[i] = square(list[i]) end
  kit.report(kit.now() - began, n)
  assert(results[n] == n * n)
elseif which then
  local items = work.half(work.items(shape, kit.n(200)), which)
  io.read("l")
  local began = kit.now()
  for _, turns in ipairs(items) do work.spin(turns) end
  print(began, kit.now())
else
  -- Both are started first, then told to begin: starting them is no part of the work.
  local lua = os.getenv("LUA") or "lua5.4"
  local name = os.tmpname()
  local halves = {}
  for k = 1, 2 do
    halves[k] = io.popen(("%s '%s' %s %d > %s.%d"):format(lua, arg[0], shape, k, name, k), "w")
  end
  for k = 1, 2 do
    halves[k]:write("go\n")
    halves[k]:flush()
  end
  local began, ended = math.huge, 0
  for k = 1, 2 do
    halves[k]:close()
    local file <close> = assert(io.open(name .. "." .. k))
    local b, e = file:read("n", "n")
    began, ended = math.min(began, b), math.max(ended, e)
    os.remove(name .. "." .. k)
  end
  os.remove(name)
  kit.report(ended - began, kit.n(200))
end
