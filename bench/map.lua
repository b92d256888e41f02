-- map.lua thread|process       f(x) = x * x over N integers, with default options
-- map.lua process equal|shuffled|last
--   200 tasks that compute, on two workers: all alike, of unequal length in random
--   order, short ones with the longest at the end
local conc = require "conc"
local kit = require "kit"
local work = require "work"

local open, shape = conc[arg[1] .. "_pool"], arg[2]

local function squares()
  local pool <close> = open(2)
  local list, n = {}, kit.n(1000000)
  for i = 1, n do list[i] = i end
  local function square(x) return x * x end
  pool:map(square, { 1, 2 })
  local began = kit.now()
  local results = pool:map(square, list)
  kit.report(kit.now() - began, n)
  assert(#results == n and results[n] == n * n)
end

local function computing()
  local pool <close> = open(2)
  local items = work.items(shape, kit.n(200))
  local function spin(turns) return work.spin(turns) end
  pool:map(spin, { 1, 2 })
  local began = kit.now()
  pool:map(spin, items)
  kit.report(kit.now() - began, #items)
end

if shape then computing() else squares() end
