-- What does a lock cost that nobody else wants?   lock.lua
-- And one that two threads want all the time?     lock.lua contended
-- Each of the two is tied to a CPU of its own: on one, in turns, they would not contend.
-- "share": of all that both had done when the first of them ended, the part of the other,
-- in per cent; half is fair.
local conc = require "conc"
local kit = require "kit"

local lock, n = conc.lock(), kit.n(1000000)

local function free()
  local began = kit.now()
  for _ = 1, n do
    lock:acquire()
    lock:release()
  end
  kit.report(kit.now() - began, n)
end

-- Returns when it was how far: the time of each 256th turn.
local function work(mutex, go, turns)
  local times, x = {}, 0
  go:wait()
  for i = 1, turns do
    mutex:acquire()
    x = x + 1
    mutex:release()
    if i & 255 == 0 then times[i >> 8] = conc.now() end
  end
  times.ended = conc.now()
  return times
end

local function contended()
  local go, turns = conc.event(), n // 2
  local cpus = kit.cpus()
  local a = conc.thread({ cpus = { cpus[1] } }, work, lock, go, turns)
  local b = conc.thread({ cpus = { cpus[2] or cpus[1] } }, work, lock, go, turns)
  conc.sleep(0.05)
  local began = conc.now()
  go:set()
  a, b = a:result(), b:result()
  kit.report(math.max(a.ended, b.ended) - began, 2 * turns)
  local slower = a.ended > b.ended and a or b
  local first, done = math.min(a.ended, b.ended), 0
  for i, time in ipairs(slower) do
    if time <= first then done = i << 8 end
  end
  print(("share %.1f"):format(100 * done / (done + turns)))
end

if arg[1] == "contended" then contended() else free() end
