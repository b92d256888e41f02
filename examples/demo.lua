-- The tour: every example, one after the other, each a program of its own.
--   lua5.4 examples/demo.lua [COMMAND ...]    (commands to run after the examples)
-- Each has 30 seconds. The table at the end says what ran and how long; exit code 1 if one failed.
local conc = require "conc"

local tour = {
  "threads_basic", "five_workers", "safe_worker", "add_remove", "sync_tour",
  "download_threads", "scrape_processes", "primes_processes", "process_queue", "pool_squares",
  "thread_pool_map", "factorials", "executors", "share_data", "errors", "supervisor",
  "read_files", "read_then_crunch", "which_one",
}
local bound = 30

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Runs a command under timeout(1); its name, seconds and what went wrong, if anything did.
local function run(name, command)
  print("\n== " .. name .. " " .. ("="):rep(math.max(0, 76 - #name)))
  io.stdout:flush()
  local start = conc.now()
  local ok, how, code = os.execute(("timeout --foreground -k 5 %d %s"):format(bound, command))
  local result = {name = name, seconds = conc.now() - start}
  if code == 124 or code == 137 then
    result.failure = "still running after " .. bound .. " s"
  elseif code == 130 or how == "signal" and code == 2 then
    os.exit(130, true)  -- Ctrl-C is meant for the tour
  elseif not ok then
    result.failure = how .. " " .. code
  end
  return result
end

local function interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

local here = arg[0]:match("^(.*/)") or "./"
local results = {}
for _, name in ipairs(tour) do
  local command = quote(interpreter()) .. " " .. quote(here .. name .. ".lua")
  results[#results + 1] = run(name, command)
end
for _, command in ipairs(arg) do
  results[#results + 1] = run(command:match("^[^ ]*"):match("[^/]*$"), command)
end

local total, failed = 0, 0
print("\n" .. ("="):rep(80))
for _, result in ipairs(results) do
  print(("%-20s %6.2f s  %s"):format(result.name, result.seconds,
    result.failure and "FAILED: " .. result.failure or "ok"))
  total = total + result.seconds
  failed = failed + (result.failure and 1 or 0)
end
print(("%-20s %6.2f s  %d of %d ok"):format("total", total, #results - failed, #results))
if failed > 0 then
  io.stderr:write(("demo: %d of %d FAILED\n"):format(failed, #results))
  os.exit(1, true)
end
