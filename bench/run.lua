-- Measures conc beside its floors in C and Lua, Python, and the Lua libraries that are there:
--
--   lua5.4 bench/run.lua [--quick] [--rounds N] [--write] [FILTER ...]     (make bench)
--
-- FILTER: a Lua pattern; only the questions (bench/questions.lua) whose name matches.
-- Who answers a question runs as a process of its own, one after the other, in turns
-- (A B C A B C ...); a ratio is of two that ran in the same turn. Told are medians of the
-- turns (5; with --quick 2 and a tenth of the operations), lowest and highest.
-- A run of all questions that is not quick, and any with --write, goes into
-- docs/performance.md, its plots into docs/performance/, and the table of all beside each
-- other into README.md, unless one of them is not installed; questions that were not asked
-- keep what was measured before (it is kept in BUILD/bench).
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local questions = require "questions"
local chart = require "chart"

-- ---- the machine -----------------------------------------------------------------

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Runs a command: its output, or nil and what it said.
local function sh(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  if pipe:close() then return text end
  return nil, text
end

local function line(command) return ((sh(command) or ""):match("[^\n]*")) end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local pwd = line("pwd")
local function absolute(path) return path:find("^/") and path or pwd .. "/" .. path end

local bench = absolute(here):gsub("/%./", "/"):gsub("/$", "")
local root = bench:gsub("/[^/]+$", "")
local build = absolute(os.getenv("CONC_BUILD") or root .. "/build")
local lua = os.getenv("LUA") or "lua5.4"
local cc = os.getenv("CC") or "cc"
local python = os.getenv("PYTHON") or read("/usr/bin/python3") and "/usr/bin/python3" or "python3"
local programs = build .. "/bench"

-- The other libraries are found as everywhere: in Lua's paths.
local function path(name) return os.getenv(name .. "_5_4") or os.getenv(name) or ";" end

local lua_path = ("%s/?.lua;%s/lua/?.lua;%s/lua/?/init.lua;%s"):format(bench, root, root,
  path("LUA_PATH"))
local lua_cpath = ("%s/?.so;%s/?.so;%s"):format(build, programs, path("LUA_CPATH"))
local environment = ("env PYTHONDONTWRITEBYTECODE=1 LUA=%s LUA_PATH_5_4=%s LUA_CPATH_5_4=%s")
  :format(quote(lua), quote(lua_path), quote(lua_cpath))

-- ---- building the floors ---------------------------------------------------------

local function lua_headers()
  local found = line("pkg-config --cflags lua5.4 || pkg-config --cflags lua-5.4")
  return os.getenv("LUA_INCDIR") and "-I" .. os.getenv("LUA_INCDIR") or
    found:find("^-I") and found or "-I/usr/include/lua5.4"
end

local function compile(target, source, options)
  local command = ("test %s -nt %s || %s -O2 -o %s %s %s"):format(quote(target), quote(source),
    cc, quote(target), quote(source), options)
  local ok, said = sh(command)
  if not ok then error("cannot build " .. source .. ":\n" .. said, 0) end
end

local function build_floors()
  assert(sh("mkdir -p " .. quote(programs)))
  for name in sh("ls " .. quote(bench .. "/floor")):gmatch("([%w_]+)%.c\n") do
    local source = ("%s/floor/%s.c"):format(bench, name)
    if name == "benchfloor" then
      compile(programs .. "/benchfloor.so", source, "-shared -fPIC " .. lua_headers())
    else
      compile(programs .. "/" .. name, source, "-pthread")
    end
  end
end

-- ---- who answers -----------------------------------------------------------------

local peers = {
  Lanes = { "lanes" }, luv = { "luv" }, cqueues = { "cqueues", "cqueues.thread" },
  effil = { "effil" }, mtmsg = { "mtmsg", "llthreads2" }, llthreads2 = { "llthreads2" },
  luaproc = { "luaproc" },
}

local present = {}
for name, modules in pairs(peers) do
  local all = true
  for _, module in ipairs(modules) do
    all = all and sh(("timeout 10 %s %s -e 'require %q'"):format(environment, lua, module)) ~= nil
  end
  present[name] = all
end
present.python = sh(python .. " --version") ~= nil

local first_cpu = (read("/proc/self/status") or ""):match("Cpus_allowed_list:%s*(%d+)") or "0"

-- The shell command of one who answers, or nil if it is not there.
local function command_of(who, question, n)
  local kind, program, rest = who[2]:match("^(%S+) (%S+)%s*(.*)$")
  local words = { n and "N=" .. n or "", "timeout 120" }
  if question.tied then words[#words + 1] = "taskset -c " .. first_cpu end
  if kind == "c" then
    words[#words + 1] = ("%s %s"):format(quote(programs .. "/" .. program), rest)
  elseif kind == "lua" or kind == "conc" then
    words[#words + 1] = ("%s %s %s"):format(lua, quote(("%s/%s.lua"):format(bench, program)), rest)
  elseif kind == "python" then
    if not present.python then return nil end
    words[#words + 1] = ("%s %s %s"):format(python,
      quote(("%s/python/%s.py"):format(bench, program)), rest)
  else
    if not present[kind] then return nil end
    words[#words + 1] = ("%s %s %s %s"):format(lua, quote(("%s/peers/%s.lua"):format(bench,
      kind:lower())), program, rest)
  end
  return environment .. " " .. table.concat(words, " ")
end

-- ---- asking ----------------------------------------------------------------------

local options = { rounds = 5, filters = {} }
do
  local i = 1
  while arg[i] do
    if arg[i] == "--quick" then
      options.quick, options.rounds = true, 2
    elseif arg[i] == "--write" then
      options.write = true
    elseif arg[i] == "--rounds" then
      i = i + 1
      options.rounds = assert(math.tointeger(tonumber(arg[i])), "--rounds needs a number")
    else
      options.filters[#options.filters + 1] = arg[i]
    end
    i = i + 1
  end
end

local function wanted(name)
  for _, filter in ipairs(options.filters) do
    if name:find(filter) then return true end
  end
  return #options.filters == 0
end

local function median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return (sorted[(#sorted + 1) // 2] + sorted[#sorted // 2 + 1]) / 2, sorted[1], sorted[#sorted]
end

local function amount(n)
  if not n or not options.quick then return n end
  return math.max(n // 10, math.min(n, 20))
end

-- The lines that a program prints, as a table; raises if it failed.
local function answer(who, command)
  local text, said = sh(command)
  if not text then error(("%s (%s) failed:\n%s"):format(who[1], command, said), 0) end
  local values = {}
  for name, value in text:gmatch("(%w+) (-?[%d.]+)") do values[name] = tonumber(value) end
  return values
end

local failures = 0

-- Asks all in turns -> {[label] = {[name] = {value of each turn}}, order = {labels}}
local function ask(question)
  local all, told = {}, { order = {} }
  local asked = { question.conc, question.floor or false, table.unpack(question.others or {}) }
  for _, who in ipairs(asked) do
    local n = who and (who.n or question.n)
    local command = who and command_of(who, question, question.steady and n or amount(n))
    if command then
      all[#all + 1] = { who = who, command = command }
      told.order[#all], told[who[1]] = who[1], {}
    end
  end
  for _ = 1, options.rounds do
    for i = #all, 1, -1 do
      local one = all[i]
      local ok, values = pcall(answer, one.who, one.command)
      if ok then
        for name, value in pairs(values) do
          local list = told[one.who[1]][name] or {}
          list[#list + 1], told[one.who[1]][name] = value, list
        end
      else
        io.stderr:write(question.name, ": ", values, "\n")
        if one.who == question.conc then failures = failures + 1 end
        told[one.who[1]] = {}
        table.remove(all, i)
        table.remove(told.order, i)
      end
    end
  end
  return told
end

-- ---- telling ---------------------------------------------------------------------

local function span(value, unit)
  local steps = unit == "bytes" and { { 1 << 20, "MB" }, { 1 << 10, "KB" }, { 1, "bytes" } } or
    { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "µs" }, { 0, "ns" } }
  for _, step in ipairs(steps) do
    if value >= step[1] then
      return ("%.3g %s"):format(value / math.max(step[1], 1), step[2])
    end
  end
  return ("%.3g %s"):format(value, unit == "bytes" and "bytes" or "ns")
end

local function ratios(a, b)
  local list = {}
  for i = 1, math.min(#a, #b) do list[i] = a[i] / b[i] end
  if #list > 0 then return median(list) end
end

local function number(x) return (("%.2f"):format(x):gsub("(%d%d%d?)%.%d+$", "%1")) end

local function target_row(question, told, target)
  local times, label = target[1], target[2]
  local key = question.unit or "ns"
  local mine, theirs = told.conc[key], told[label] and told[label][key]
  if not mine or not theirs then return nil end
  local middle, low, high = ratios(mine, theirs)
  local words = times < 1 and label:find("Python") and
    ("%.0f times faster than %s"):format(1 / times, label) or
    ("%g times %s"):format(times, label)
  return ("| %s | %s | %s | %s | %s - %s | %s | %s |"):format(question.title,
    span(median(mine)), span(median(theirs)), number(middle), number(low), number(high), words,
    middle <= times and "yes" or "**no**")
end

local function value_row(question, told, bound, least)
  local values = told.conc[bound[1]]
  if not values then return nil end
  local middle, low, high = median(values)
  local met = middle <= bound[2]
  if least then met = middle >= bound[2] end
  return ("| %s | %s | | | %s - %s | %s %g %s | %s |"):format(question.title, number(middle),
    number(low), number(high), least and "at least" or "at most", bound[2], bound[3],
    met and "yes" or "**no**")
end

local function target_rows(question, told)
  local rows = {}
  for _, target in ipairs(question.targets or {}) do
    rows[#rows + 1] = target_row(question, told, target)
  end
  if question.least then rows[#rows + 1] = value_row(question, told, question.least, true) end
  if question.most then rows[#rows + 1] = value_row(question, told, question.most, false) end
  return rows
end

local function side_rows(question, told)
  local rows, key = {}, question.unit or "ns"
  local mine = told.conc[key]
  for i, label in ipairs(told.order) do
    local values = told[label][key]
    if values and mine then
      local middle, low, high = median(values)
      local ratio, ratio_low, ratio_high = ratios(values, mine)
      rows[#rows + 1] = ("| %s | %s | %s | %s - %s | %s | %s |"):format(
        i == 1 and question.title or "", label, span(middle, key), span(low, key),
        span(high, key), label == "conc" and "1" or number(ratio), label == "conc" and "" or
        ("%s - %s"):format(number(ratio_low), number(ratio_high)))
    end
  end
  return rows
end

local target_head = "| question | conc | beside | ratio | min - max | target: at most | met |\n" ..
  "|---|--:|--:|--:|--:|---|---|"
local side_head = "| question | who | median | min - max | times conc | min - max |\n" ..
  "|---|---|--:|--:|--:|--:|"

-- The columns of the README's table, and who is in each.
local columns = {
  { "Lanes", "Lanes" }, { "effil", "effil" }, { "llthreads2 + mtmsg", "llthreads2", "mtmsg" },
  { "luaproc", "luaproc" }, { "luv", "luv" }, { "cqueues", "cqueues" }, { "Python", "Python" },
}

-- -> {"conc<tab>time", "label<tab>how many times that"}
local function compare_cells(question, told)
  local cells, key = {}, question.unit or "ns"
  local mine = told.conc[key]
  if not question.compare or not mine then return cells end
  for _, label in ipairs(told.order) do
    local values = told[label][key]
    local ratio = values and ratios(values, mine)
    cells[#cells + 1] = label == "conc" and "conc\t" .. span(median(mine), key) or
      ratio and ("%s\t%.17g"):format(label, ratio)
  end
  return cells
end

-- -> how many times as much as conc the best of a column takes, or nil. "Python Pool" is
-- in the column of Python.
local function best_of(column, cells)
  local best
  for _, cell in ipairs(cells) do
    local label, ratio = cell:match("^(.*)\t(.*)$")
    for i = 2, #column do
      if label == column[i] or column[i] == "Python" and label:find("^Python ") then
        best = math.min(best or math.huge, tonumber(ratio))
      end
    end
  end
  return best
end

local function compare_row(question, cells)
  local row = { question.compare, cells[1]:match("\t(.*)$") }
  for _, column in ipairs(columns) do
    local best = best_of(column, cells)
    row[#row + 1] = not best and "" or (best < 1 and "**%s**" or "%s"):format(number(best))
  end
  return "| " .. table.concat(row, " | ") .. " |"
end

-- ---- cost against size -----------------------------------------------------------

local plots = {
  { name = "queued", title = "One put and one get, with so many in the queue",
    x = "items in the queue", y = "one put and one get", n = 100000,
    sizes = { 1, 10, 100, 1000, 10000, 100000, 1000000 } },
  { name = "threads", title = "Start, wake and join of one thread, among so many",
    x = "threads alive at once", y = "one thread", sizes = { 1, 3, 10, 30, 100, 300, 1000 } },
  { name = "futures", title = "Submit of one task and wait for it, among so many",
    x = "futures waited for at once", y = "one task",
    sizes = { 1, 10, 100, 1000, 10000, 100000 } },
}

-- Asks for all sizes in turns -> {points}
local function measure_plot(plot)
  local points, sizes = {}, plot.sizes
  for i = 1, options.quick and #sizes - 1 or #sizes do points[i] = { x = sizes[i], values = {} } end
  for _ = 1, options.rounds do
    for _, point in ipairs(points) do
      local who = { "conc", ("conc size %s %d"):format(plot.name, point.x) }
      local ok, values = pcall(answer, who, command_of(who, {}, amount(plot.n)))
      if ok and values.ns then
        table.insert(point.values, values.ns)
      else
        io.stderr:write(tostring(values), "\n")
        failures = failures + 1
      end
    end
  end
  local whole = {}
  for _, point in ipairs(points) do
    if #point.values > 0 then
      point.y, point.low, point.high = median(point.values)
      whole[#whole + 1] = point
    end
  end
  return whole
end

local function plot_row(plot, points)
  local cells = {}
  for i, p in ipairs(points) do cells[i] = ("%d: %s"):format(p.x, span(p.y)) end
  return ("| %s | %s |"):format(plot.title, table.concat(cells, ", "))
end

-- ---- the document ----------------------------------------------------------------

local function machine()
  local cpu = (read("/proc/cpuinfo") or ""):match("model name%s*:%s*([^\n]+)") or line("uname -m")
  local list = {
    ("- %s, %s CPUs, %s"):format(cpu, line("nproc"), line("uname -sr")),
    ("- %s; %s; %s"):format(line(lua .. " -v"):match("^Lua [%d.]+") or "Lua",
      line(cc .. " --version"), line(python .. " --version")),
  }
  local there, absent = {}, {}
  for name in pairs(peers) do table.insert(present[name] and there or absent, name) end
  table.sort(there)
  table.sort(absent)
  list[3] = ("- peers installed: %s; not installed: %s"):format(
    #there > 0 and table.concat(there, ", ") or "none",
    #absent > 0 and table.concat(absent, ", ") or "none")
  return table.concat(list, "\n")
end

local results = {}  -- name -> {targets = {rows}, side = {rows}} or {size = row}

local function load_results()
  for _, question in ipairs(questions) do
    local text = read(("%s/%s.rows"):format(programs, question.name))
    if text then results[question.name] = load("return " .. text)() end
  end
  for _, plot in ipairs(plots) do
    local text = read(("%s/%s.rows"):format(programs, plot.name))
    if text then results[plot.name] = load("return " .. text)() end
  end
end

local function keep(name, result)
  local parts = {}
  for key, rows in pairs(result) do
    local list = {}
    for i, row in ipairs(rows) do list[i] = ("%q"):format(row) end
    parts[#parts + 1] = ("%s = {%s}"):format(key, table.concat(list, ",\n"))
  end
  write(("%s/%s.rows"):format(programs, name), "{" .. table.concat(parts, ",\n") .. "}")
end

-- The Markdown of all results, or of those that were asked for now.
local function document(names)
  local targets, side, size = { target_head }, { side_head }, {}
  for _, question in ipairs(questions) do
    local result = results[question.name]
    if result and (not names or names[question.name]) then
      table.move(result.targets, 1, #result.targets, #targets + 1, targets)
      table.move(result.side, 1, #result.side, #side + 1, side)
    end
  end
  for _, plot in ipairs(plots) do
    local result = results[plot.name]
    if result and (not names or names[plot.name]) then size[#size + 1] = result.size[1] end
  end
  local parts = { machine() }
  local function section(title, rows, least)
    if #rows > least then
      parts[#parts + 1] = ("### %s\n\n%s"):format(title, table.concat(rows, "\n"))
    end
  end
  section("Targets", targets, 1)
  section("Side by side", side, 1)
  if #size > 0 then
    table.insert(size, 1, "| what | cost of one, by how many there are |\n|---|---|")
    section("Cost against size", size, 0)
  end
  return table.concat(parts, "\n\n") .. "\n"
end

-- The README's table, or nil and who is not there.
local function comparison()
  local names, rule, absent = {}, {}, {}
  for i, column in ipairs(columns) do
    names[i], rule[i] = column[1], "--:"
    for j = 2, #column do
      if not present[column[j]:gsub("^Python$", "python")] then absent[#absent + 1] = column[j] end
    end
  end
  if #absent > 0 then return nil, table.concat(absent, ", ") end
  local rows = { ("| | conc | %s |"):format(table.concat(names, " | ")),
                 ("|---|--:|%s|"):format(table.concat(rule, "|")) }
  for _, question in ipairs(questions) do
    local cells = results[question.name] and results[question.name].compare
    if cells and cells[1] then rows[#rows + 1] = compare_row(question, cells) end
  end
  return table.concat(rows, "\n") .. "\n"
end

-- Puts a text between two markers of a document.
local function write_between(name, marker, new)
  local file = root .. "/" .. name
  local text = assert(read(file), file .. " is missing")
  local _, begun = text:find(("<!-- %s: begin -->\n"):format(marker), 1, true)
  local ended = text:find(("<!-- %s: end -->"):format(marker), 1, true)
  assert(begun and ended and begun < ended, file .. ": no markers")
  write(file, text:sub(1, begun) .. "\n" .. new .. "\n" .. text:sub(ended))
end

local function write_documents()
  write_between("docs/performance.md", "bench", document())
  local table_of_all, absent = comparison()
  if table_of_all then
    write_between("README.md", "compare", table_of_all)
  else
    io.stderr:write("README.md keeps its table, for these are not installed: ", absent, "\n")
  end
end

-- ---- all of it -------------------------------------------------------------------

build_floors()
load_results()

local asked = {}
local write_all = options.write or not options.quick and #options.filters == 0

for _, question in ipairs(questions) do
  if wanted(question.name) then
    local told = ask(question)
    local result = { targets = target_rows(question, told), side = side_rows(question, told),
                     compare = compare_cells(question, told) }
    results[question.name], asked[question.name] = result, true
    io.stderr:write(question.name, "\n")
    for _, row in ipairs(result.targets) do io.stderr:write("  ", row, "\n") end
    if not options.quick then keep(question.name, result) end
  end
end

for _, plot in ipairs(plots) do
  if wanted("size-" .. plot.name) then
    local points = measure_plot(plot)
    results[plot.name], asked[plot.name] = { size = { plot_row(plot, points) } }, true
    io.stderr:write("size-", plot.name, "\n")
    if not options.quick then keep(plot.name, results[plot.name]) end
    if write_all and #points > 1 then
      plot.points = points
      assert(sh("mkdir -p " .. quote(root .. "/docs/performance")))
      write(("%s/docs/performance/%s.svg"):format(root, plot.name), chart(plot))
    end
  end
end

if not next(asked) then
  io.stderr:write("no question matches\n")
  os.exit(2)
end
io.write(document(asked))
if write_all then write_documents() end
os.exit(failures == 0)
