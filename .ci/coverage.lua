-- 'make coverage': what share of the lines of C the test run has executed.
--   lua5.4 .ci/coverage.lua BUILD_DIR
-- Lists by file the lines that were not reached, and at the end the functions among
-- them that docs/coverage.md does not name with a reason. Lines between "coverage:
-- off" and "coverage: on" comments (each with its reason) do not count; they are
-- listed too. Fails below 90 %.
local build = assert(arg[1], "usage: coverage.lua BUILD_DIR")
local wanted = 90

-- The counters of one object file: {file = {line = times}}.
local function read_gcov(object, into)
  local pipe = assert(io.popen(("gcov -t '%s' 2>/dev/null"):format(object)))
  local file
  for line in pipe:lines() do
    local times, number, text = line:match("^%s*([^:]+):%s*(%d+):(.*)$")
    local source = text and number == "0" and text:match("^Source:(.*)")
    if source then
      file = source:find("^src/") and source or false
      if file then into[file] = into[file] or {} end
    elseif file and times and times ~= "-" and number ~= "0" then
      local n = tonumber((times:match("^%d+"))) or 0
      local lines, i = into[file], tonumber(number)
      lines[i] = math.max(lines[i] or 0, n)
    end
  end
  pipe:close()
end

-- The lines that the source itself excludes, and why.
local function excluded(path, reasons)
  local set, off, number = {}, false, 0
  for line in io.lines(path) do
    number = number + 1
    local why = line:match("coverage: off,?%s*(.-)%s*%*/")
    if why then
      off = true
      reasons[#reasons + 1] = ("%s:%d: %s"):format(path, number, why)
    end
    set[number] = off
    if line:find("coverage: on", 1, true) then off = false end
  end
  return set
end

-- The function that each line is in.
local function functions(path)
  local map, number, name = {}, 0, nil
  for line in io.lines(path) do
    number = number + 1
    local opens = line:match("^[%a_][%w_%s%*]-([%w_]+) ?%(")
    if opens and not line:find(";%s*$") then name = opens end
    map[number] = name or "?"
  end
  return map
end

-- What docs/coverage.md explains: {["file.c"] = {[function] = true}}; its rows
-- are "| `file.c` | `function`, `function` |".
local function explained()
  local known, file = {}, io.open("docs/coverage.md")
  if not file then return known end
  for line in file:lines() do
    local source, names = line:match("^| `([%w_]+%.[ch])` | (.-) |")
    if source then
      known[source] = known[source] or {}
      for name in names:gmatch("`([%w_]+)`") do known[source][name] = true end
    end
  end
  file:close()
  return known
end

local function ranges(list)
  local out, i = {}, 1
  while i <= #list do
    local j = i
    while list[j + 1] and list[j + 1] == list[j] + 1 do j = j + 1 end
    out[#out + 1] = i == j and tostring(list[i]) or list[i] .. "-" .. list[j]
    i = j + 1
  end
  return table.concat(out, " ")
end

local counts, reasons = {}, {}
local list = io.popen(("find '%s' -name '*.gcda'"):format(build))
for object in list:lines() do read_gcov(object, counts) end
list:close()

local known, unexplained = explained(), {}

-- Notes the functions of the missed lines that nobody has explained.
local function ask_why(file, missed)
  local base, map, asked = file:match("[^/]+$"), functions(file), {}
  for _, line in ipairs(missed) do
    local name = map[line]
    if not asked[name] and not (known[base] and known[base][name]) then
      asked[name] = true
      asked[#asked + 1] = name
    end
  end
  if #asked > 0 then unexplained[#unexplained + 1] = base .. ": " .. table.concat(asked, ", ") end
end

local files = {}
for file in pairs(counts) do files[#files + 1] = file end
table.sort(files)
local all, reached = 0, 0
for _, file in ipairs(files) do
  local skip, missed, n = excluded(file, reasons), {}, 0
  for line, times in pairs(counts[file]) do
    if not skip[line] then
      n = n + 1
      if times == 0 then missed[#missed + 1] = line end
    end
  end
  table.sort(missed)
  all, reached = all + n, reached + n - #missed
  ask_why(file, missed)
  print(("%-24s %5d lines %6.1f %%  %s"):format(file, n, n > 0 and 100 * (n - #missed) / n or 100,
    #missed > 0 and "not: " .. ranges(missed) or ""))
end
if #reasons > 0 then print("\nexcluded:\n  " .. table.concat(reasons, "\n  ")) end
if #unexplained > 0 then
  print("\nnot in docs/coverage.md:\n  " .. table.concat(unexplained, "\n  "))
end
local share = all > 0 and 100 * reached / all or 0
print(("\n%d of %d lines, %.1f %%"):format(reached, all, share))
os.exit(share >= wanted)
