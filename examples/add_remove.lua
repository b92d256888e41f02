-- One thread adds numbers to a shared list, another removes them, a lock between them.
-- Watch for: the two take turns in no fixed order, and yet nothing is lost:
-- the list is empty at the end and both sums agree.
--   lua5.4 examples/add_remove.lua [SECONDS BETWEEN NUMBERS, 0.02 if not given]
local conc = require "conc"
local delay = tonumber(arg[1]) or 0.02
local count = 10

local numbers = conc.list()
local lock = conc.lock()

local function add()
  local sum = 0
  for n = 1, count do
    lock:with(function () numbers:append(n) end)
    print("added " .. n)
    sum = sum + n
    conc.sleep(delay)
  end
  return sum
end

local function remove()
  local sum, removed = 0, 0
  while removed < count do
    local n = lock:with(function () return numbers:pop() end)
    if n then
      print("removed " .. n)
      sum, removed = sum + n, removed + 1
    end
    conc.sleep(delay)  -- also where the list was empty: look again later
  end
  return sum
end

local adder = conc.thread({name = "adder"}, add)
local remover = conc.thread({name = "remover"}, remove)
print("sums: added " .. adder:result() .. ", removed " .. remover:result())
print("left in the list: " .. #numbers)
