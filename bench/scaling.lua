-- Do two cores do twice the work? Primes below N by trial division, in 16 parts:
--   scaling.lua serial             a plain loop, no conc
--   scaling.lua thread|process 1|2   a pool of so many workers
local kit = require "kit"

local kind, workers = arg[1], tonumber(arg[2])
local limit, parts = kit.n(1000000), {}
for i = 1, 16 do parts[i] = i end

local function count(part) return kit.primes(2 * part + 1, limit - 1, 32) end

local began, total
if kind == "serial" then
  total, began = 1, kit.now()
  for _, part in ipairs(parts) do total = total + count(part) end
else
  local conc = require "conc"
  local pool <close> = conc[kind .. "_pool"](workers)
  pool:submit(math.abs, 1):result()
  total, began = 1, kit.now()
  for _, primes in ipairs(pool:map(count, parts)) do total = total + primes end
end
kit.report(kit.now() - began, limit)
assert(limit ~= 1000000 or total == 78498)
