-- Six primitives, each doing a thing that goes wrong without it.
-- Watch for: the comment after each print says what it would have said then.
local conc = require "conc"
local lock, again, shelf = conc.lock(), conc.rlock(), conc.condition()
local seats, ready, line = conc.semaphore(2), conc.event(), conc.barrier(3)
local total, inside, goods = conc.value(0), conc.value(0), conc.list()
local function crew(n, f)  -- f(1) .. f(n), each in a thread of its own
  local team, results = {}, {}
  for i = 1, n do team[i] = conc.thread(f, i) end
  for i = 1, n do results[i] = team[i]:result() end
  return results
end
crew(4, function ()
  local _ <close> = lock:guard()
  local old = total:get()
  conc.sleep(0.01)
  total:set(old + 1)
end)
print("lock: 4 additions make " .. total:get())  -- 1: each reads 0 and writes 1
local function nest(n) return n == 0 and 0 or 1 + again:with(nest, n - 1) end
print("rlock: taken again by its holder, depth " .. nest(3))  -- lock: error "deadlock"
conc.timer(0.01, function ()
  shelf:with(function () goods:append("bread") shelf:notify() end)
end)
local bought = shelf:with(shelf.wait_for, shelf, function () return goods:pop() end)
print("condition: the buyer waited for " .. bought)  -- nil: the shelf is empty
local crowd = crew(6, function ()
  local _ <close>, now = seats:guard(), inside:add(1)
  conc.sleep(0.01)
  inside:add(-1)
  return now
end)
print("semaphore: 6 guests, 2 seats, most inside " .. math.max(table.unpack(crowd)))  -- 6
conc.timer(0.01, function () goods:append("news") ready:set() end)
print("event: " .. (ready:wait() and goods[1]))  -- nil: not there yet
local seen = crew(3, function ()
  inside:add(1)
  return line:wait() and inside:get()
end)
print("barrier: all three see " .. table.concat(seen, " "))  -- 1 2 3: whoever is first
