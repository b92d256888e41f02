-- The primes up to 10000, 20000 and 30000, by plain trial division: pure computing.
-- Watch for: threads and processes both use every core. The largest job alone is more than
-- half of the work, so the speed-up stays below two however many cores there are.
--   lua5.4 examples/primes_processes.lua [LIMIT ...]
local conc = require "conc"
local limits = #arg > 0 and {table.unpack(arg)} or {10000, 20000, 30000}

local function primes(limit)
  local found = {}
  for n = 2, tonumber(limit) do
    local divisor = 2
    while n % divisor ~= 0 do divisor = divisor + 1 end
    if divisor == n then found[#found + 1] = n end
  end
  return found
end

local function serially()
  for _, limit in ipairs(limits) do
    print(("  up to %d: %d primes"):format(limit, #primes(limit)))
  end
end

local function side_by_side(start)
  local jobs = {}
  for i, limit in ipairs(limits) do jobs[i] = start(primes, limit) end
  for i, job in ipairs(jobs) do
    print(("  up to %d: %d primes"):format(limits[i], #job:result()))
  end
end

local base
for _, way in ipairs {{"serially", serially}, {"threads", side_by_side, conc.thread},
                      {"processes", side_by_side, conc.process}} do
  local start = conc.now()
  way[2](way[3])
  local seconds = conc.now() - start
  base = base or seconds
  print(("%s: %.2f s, speed-up %.2f"):format(way[1], seconds, base / seconds))
end
