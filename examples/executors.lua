-- The same task mapped by a thread pool and by a process pool.
-- Watch for: only the constructor differs, and the results are the same. The threads all run
-- in this process and show one process id; each process worker has its own.
--   lua5.4 examples/executors.lua [SECONDS A TASK, 0.05 if not given]
local conc = require "conc"
local delay = tonumber(arg[1]) or 0.05

local function task(n)
  conc.sleep(delay)
  return {square = n * n, pid = conc.current():pid()}
end

for _, kind in ipairs {"thread_pool", "process_pool"} do
  local start = conc.now()
  local pool <close> = conc[kind](3)
  local squares, pids, seen = {}, {}, {}
  for i, result in ipairs(pool:map(task, {1, 2, 3, 4, 5, 6})) do
    squares[i] = result.square
    if not seen[result.pid] then pids[#pids + 1] = result.pid end
    seen[result.pid] = true
  end
  print(kind .. ": " .. table.concat(squares, " "))
  print(("  run by process %s in %.2f s"):format(table.concat(pids, ", "), conc.now() - start))
end
