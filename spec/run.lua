-- The test driver: each spec file and each C test in a process of its own.
--
--   lua5.4 spec/run.lua BUILD_DIR [FILE ...]
--
-- FILE is a spec file (spec/lock_spec.lua) or a compiled C test; 'make test'
-- names them all. Each runs under spec/bounded.c: with a time limit (120 s, or
-- what a line "timeout: 300" among its first ten says), in a session of
-- its own, and with nothing left behind. A file fails if a test in it fails,
-- if it crashes or exits with an error after its last test, if it takes too
-- long, or if a process of it stays.
--
-- From the environment: FILTER (a Lua pattern: only tests whose name matches),
-- LUA (what runs the spec files), TEST_SLOW (a factor on time limits), TEST_COMMAND
-- (put before a C test, e.g. valgrind and its options), TEST_REPORTS (a path: files
-- that begin so, with a dot and a process id, are reports of a sanitizer; one that is
-- not empty fails the file), TEST_BUDGET (seconds: no file is begun later; which were
-- not is told).
local build = table.remove(arg, 1)
local lua = os.getenv("LUA") or "lua5.4"
local slow = tonumber(os.getenv("TEST_SLOW")) or 1
local filter = os.getenv("FILTER") or ""
local before = os.getenv("TEST_COMMAND") or ""
local reports = os.getenv("TEST_REPORTS") or ""
local last_start = os.time() + (tonumber(os.getenv("TEST_BUDGET")) or math.huge)

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function lines_of(path)
  local list, file = {}, io.open(path)
  if file then
    for line in file:lines() do list[#list + 1] = line end
    file:close()
  end
  return list
end

-- The limit that the source of a test asks for.
local function limit_of(source)
  local limit, lines = 120, lines_of(source)
  for i = 1, math.min(10, #lines) do
    limit = tonumber(lines[i]:match("timeout: (%d+)")) or limit
  end
  return limit * slow
end

-- What is to be run for a file: its name, source, command and report.
local function plan(file)
  local name = file:match("([^/]+)$"):gsub("%.lua$", "")
  local log = build .. "/test/" .. name .. ".log"
  if not file:find("_spec%.lua$") then  -- a C test reports on standard output
    local source = "spec/c/" .. name .. ".c"
    return { name = name, source = source, command = before .. " " .. quote(file),
             log = log, report = log }
  end
  local report = build .. "/test/" .. name .. ".report"
  local words = { "CONC_REPORT=" .. quote(report), lua, "spec/one.lua", quote(file) }
  if filter ~= "" then words[#words + 1] = "--filter=" .. quote(filter) end
  local command = table.concat(words, " ")
  return { name = name, source = file, command = command, log = log, report = report,
           is_spec = true }
end

-- The lines of all sanitizer reports since the last call; the files go. What stands
-- between dashes is valgrind's own (that it does not know pidfd_open, say); what has no
-- name is in Lua.
local function take_reports()
  local all = {}
  if reports == "" then return all end
  local list = io.popen("ls " .. quote(reports) .. ".* 2>/dev/null")
  for path in list:lines() do
    local n = 0
    for _, line in ipairs(lines_of(path)) do
      local told = not line:find("^%-%-%d+%-%-") and not line:find("<null> <null>", 1, true)
      n = told and n + 1 or n
      if told and n <= 60 then all[#all + 1] = line end
    end
    os.remove(path)
  end
  list:close()
  return all
end

local function run(p)
  os.remove(p.report)
  take_reports()
  local bounded = ("exec %s/spec/bounded -t %g -h spec/stacks -o %s env %s"):format(quote(build),
    limit_of(p.source), quote(p.log), p.command)
  local pipe = assert(io.popen(bounded))
  local outcome = pipe:read("a")
  pipe:close()
  local result = { left = outcome:match("left=(%d+.*)\n") or "?" }
  for key, value in outcome:gmatch("(%a+)=([%d.]+)") do
    if key ~= "left" then result[key] = tonumber(value) end
  end
  return result
end

-- Counts the lines of a report and collects its failures with their comments.
local function read_report(p)
  local tally = { passed = 0, failed = 0, skipped = 0, failures = {} }
  local failure
  for _, line in ipairs(lines_of(p.report)) do
    local kind = line:match("^(%a[%a ]-)[ %d]* %- ")
    if kind == "ok" then
      failure = nil
      local key = line:find("# SKIP", 1, true) and "skipped" or "passed"
      tally[key] = tally[key] + 1
    elseif kind == "not ok" then
      failure = { line }
      tally.failed = tally.failed + 1
      table.insert(tally.failures, failure)
    elseif failure and line:find("^#") and not line:find("^# running:") then
      table.insert(failure, line)
    else
      failure = nil
      tally.running = line:match("^# running: (.*)") or tally.running
      tally.complete = tally.complete or line:find("^1%.%.%d+$") ~= nil
    end
  end
  return tally
end

-- What is wrong with the process itself, apart from its tests.
local function complaint(p, result, tally, reported)
  local during = not tally.complete and tally.running and ", in: " .. tally.running or ""
  if not result.exit then return "could not be run" end
  if result.timeout == 1 then
    return ("took longer than %g s and was killed"):format(limit_of(p.source)) .. during
  elseif result.signal ~= 0 then
    return "was killed by signal " .. math.tointeger(result.signal) .. during
  end
  if p.is_spec and not tally.complete then return "ended early" .. during end
  if tally.failed == 0 and result.exit ~= 0 then
    local code = math.tointeger(result.exit)
    return "ended with exit code " .. code .. (p.is_spec and " after its last test" or "")
  end
  if tally.passed + tally.failed + tally.skipped == 0 and filter == "" then
    return "has no tests"
  end
  if result.left ~= "0" then return "left processes behind: " .. result.left end
  if #reported > 0 then return "has reports of the sanitizer" end
end

local function show(lines, first, last)
  for i = math.max(1, first), math.min(last, #lines) do
    print("    | " .. lines[i])
  end
end

local total = { passed = 0, failed = 0, skipped = 0 }
local bad = {}

local function test(file)
  local p = plan(file)
  io.write(("%-28s"):format(p.name)):flush()
  local result = run(p)
  local tally = read_report(p)
  local reported = take_reports()
  local trouble = complaint(p, result, tally, reported)
  if trouble then tally.failed = tally.failed + 1 end
  if #reported > 0 then  -- a run may take an hour: readable before its end
    local copy = assert(io.open(build .. "/test/" .. p.name .. ".reports", "w"))
    copy:write(table.concat(reported, "\n"), "\n"):close()
  end
  for key in pairs(total) do total[key] = total[key] + tally[key] end
  print(("%4d passed %3d failed %3d skipped %7.1f s%s"):format(tally.passed, tally.failed,
    tally.skipped, result.seconds or 0, trouble and "  " .. trouble or ""))
  if tally.failed > 0 then
    table.insert(bad, { plan = p, trouble = trouble, hung = result.timeout == 1,
                        failures = tally.failures,
                        reported = reported })
  end
end

-- The first failures of a file, in full where they are not too long.
local function explain(b)
  print("\n== " .. b.plan.source)
  for i, failure in ipairs(b.failures) do
    if i > 20 then
      print(("  ... and %d more, in %s"):format(#b.failures - 20, b.plan.report))
      break
    end
    print("  " .. table.concat(failure, "\n  ", 1, math.min(#failure, 40)))
  end
  if b.trouble then
    print("  " .. b.plan.name .. " " .. b.trouble)
    print("  the end of " .. b.plan.log .. ":")
    local lines = lines_of(b.plan.log)
    show(lines, #lines - (b.hung and 119 or 29), #lines)
  end
  show(b.reported, 1, 120)
end

assert(build, "usage: lua5.4 spec/run.lua BUILD_DIR FILE ...")
os.execute("mkdir -p " .. quote(build .. "/test"))
local late = {}
for _, file in ipairs(arg) do
  if os.time() <= last_start then test(file) else late[#late + 1] = file:match("[^/]+$") end
end
if #late > 0 then print("\nnot run, the time is over: " .. table.concat(late, " ")) end
for _, b in ipairs(bad) do explain(b) end
if #bad > 0 then print() end
print(("%d passed, %d failed, %d skipped"):format(total.passed, total.failed, total.skipped))
os.exit(total.failed == 0 and #arg > 0)
