-- 'make layers': the rules of who may call what, read off the sources.
--
-- The floors are those of the map at the top of src/ground.h. An #include
-- points to the same floor or down; what else only some files may do stands in
-- 'only' below. A file without a floor is an error: add it to the map.
local map_file = "src/ground.h"
local patterns, floors = {}, {}

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- "queue, pipe" or "http (a shared object of its own)": the names in it.
local function add_names(floor, text)
  for name in text:gsub("%b()", ""):gmatch("[%w_<>.]+") do
    name = name:gsub("%.[ch]$", "")
    if name:find("<%w+>") then
      patterns[#patterns + 1] = { "^" .. name:gsub("<%w+>", "[%%w_]+") .. "$", floor }
    else
      floors[name] = floor
    end
  end
end

local function read_map()
  local floor
  for line in read(map_file):match("^/%*(.-)%*/"):gmatch("[^\n]+") do
    local number, names = line:match("^%*%*%s+(%d)%s+%a+%s%s+(.+)$")
    if number then
      floor = tonumber(number)
      add_names(floor, names)
    elseif floor and line:find("^%*%*%s%s%s%s%s+%S") then
      add_names(floor, line:sub(3))
    else
      floor = nil
    end
  end
end

local function floor_of(name)
  if name:find("^sys_") then return floors.sys end
  if floors[name] then return floors[name] end
  for _, p in ipairs(patterns) do
    if name:find(p[1]) then return p[2] end
  end
  return floors[name:match("^(%a+)_")]  -- http_part belongs to http
end

-- A pattern of the code, the files that may have it, and why; 'above': so may floors above that.
local only = {
  { '#include%s*[<"]l[ua]%w+%.h', { "^core_api$", "^conc$" },
    "floors 0 to 3 know no Lua", above = 3 },
  { "#include%s*<curl/", { "^http" }, "only the HTTP module knows libcurl" },
  { "%f[%w_]pthread_create%s*%(", { "^thread" }, "threads are made in one place" },
  { "%f[%w_]v?fork%s*%(", { "^process", "^keeper" }, "processes are made in one place" },
  { "SYS_futex", { "^sys_" }, "the system is known in sys_<os>.c" },
  { "%f[%w_]nanosleep%s*%(", { "^sys_" }, "all sleeping goes through the gate" },
  { "%f[%w_]usleep%s*%(", {}, "all sleeping goes through the gate" },
  { "%f[%w_]sleep%s*%(", {}, "all sleeping goes through the gate" },
  { "%f[%w_]pthread_cond_%a*wait%s*%(", {}, "all sleeping goes through the gate" },
  { "%f[%w_]atomic_load%s*%(", {}, "every atomic names its memory order" },
  { "%f[%w_]atomic_store%s*%(", {}, "every atomic names its memory order" },
  { "%f[%w_]atomic_exchange%s*%(", {}, "every atomic names its memory order" },
  { "%f[%w_]atomic_fetch_%a+%s*%(", {}, "every atomic names its memory order" },
  { "%f[%w_]atomic_compare_exchange_%a+%s*%(", {}, "every atomic names its memory order" },
}

local function allowed(name, list)
  for _, p in ipairs(list) do
    if name:find(p) then return true end
  end
end

-- Comments and strings blanked, newlines kept.
local function code_of(text)
  local blank = function (s) return (s:gsub("[^\n]", " ")) end
  return (text:gsub("/%*.-%*/", blank):gsub("//[^\n]*", blank))
end

local problems, count = 0, 0
local function problem(path, line, text)
  problems = problems + 1
  print(("%s:%d: %s"):format(path, line, text))
end

local function check_line(path, name, floor, number, line)
  local included = line:match('^%s*#%s*include%s*"([%w_]+)%.h"')
  if included and not included:find("^l[ua]") then
    local below = floor_of(included)
    if not below then
      problem(path, number, ("'%s.h' has no floor in the map of %s"):format(included, map_file))
    elseif below > floor then
      problem(path, number, ("floor %d includes '%s.h' of floor %d"):format(floor, included, below))
    end
  end
  for _, rule in ipairs(only) do
    local found = line:match(rule[1])
    local above = rule.above and floor > rule.above
    if found and not above and not allowed(name, rule[2]) then
      problem(path, number, rule[3] .. ": " .. line:match("^%s*(.-)%s*$"))
    end
  end
end

local function check(path)
  local name = path:match("([%w_]+)%.[ch]$")
  local floor = floor_of(name)
  count = count + 1
  if not floor then
    return problem(path, 1, ("no floor in the map of %s"):format(map_file))
  end
  local text = read(path)
  local said = text:match("^/%*\n%*%* [%w_.]+ %- floor (%d)")
  if said and tonumber(said) ~= floor then
    problem(path, 2, ("says floor %s, and the map of %s floor %d"):format(said, map_file, floor))
  end
  local number = 0
  for line in (code_of(text) .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    check_line(path, name, floor, number, line)
  end
end

read_map()
local list = io.popen("ls src/*.c src/*.h")
for path in list:lines() do check(path) end
list:close()
print(("layers: %d files, %d problems"):format(count, problems))
os.exit(problems == 0 and count > 0)
