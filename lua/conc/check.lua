-- Checks of what a program wrote in a call of conc. What they raise tells the
-- program's line: the nearest one outside of conc's own Lua files.
local check = {}

local here = debug.getinfo(1, "S").source:match("^(.*)check%.lua$")

local function position()
  for level = 3, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then return "" end
    if info.currentline > 0 and info.source:sub(1, #here) ~= here then
      return ("%s:%d: "):format(info.short_src, info.currentline)
    end
  end
end

local function raise(text, ...)
  error(position() .. text:format(...), 0)
end

-- What the core raised in a call that this module made for the program. Arguments
-- are counted as the program counts them: 'shift' more. Lines of this module are
-- left out, and a function of it that carries the program's own.
function check.relay(problem, shift)
  if type(problem) ~= "string" then error(problem, 0) end
  problem = problem:gsub("^%S*conc/%a+%.lua:%d+: ", "")
                   :gsub(", upvalue 'f' of function at [^,]*generate%.lua:%d+$", "")
                   :gsub(", upvalue 'f' of function at [^,]*supervise%.lua:%d+$", "")
  if problem:find("^cannot send") then
    problem = problem:gsub("argument (%d+)", function (n)
      return "argument " .. math.tointeger(n) + shift
    end, 1)
  end
  error(position() .. problem, 0)
end

function check.argument(call, n, expected, value)
  raise("bad argument #%d to '%s' (%s expected, got %s)", n, call, expected,
        value == nil and "no value" or type(value))
end

local function is_number(value)
  return type(value) == "number" and value == value
end

-- What an option may be: words that a message says, and the test.
local kinds = {
  boolean = {"a boolean", function (v) return type(v) == "boolean" end},
  count = {"an integer of 0 or more", function (v)
    return is_number(v) and v >= 0 and (v == math.huge or math.tointeger(v) ~= nil)
  end},
  ["function"] = {"a function", function (v) return type(v) == "function" end},
  positive = {"an integer of 1 or more", function (v)
    return is_number(v) and v >= 1 and math.tointeger(v) ~= nil
  end},
  seconds = {"a number of seconds, 0 or more", function (v) return is_number(v) and v >= 0 end},
  timeout = {"a number of seconds", is_number},
  string = {"a string", function (v) return type(v) == "string" end},
}

local function shown(value)
  if value == nil or type(value) == "boolean" then return tostring(value) end
  if type(value) == "string" then return ("'%s'"):format(value) end
  return math.type(value) and ("%.14g"):format(value) or type(value)
end

local function check_one(call, name, kind, value)
  if type(kind) == "table" then       -- one of these words
    for _, word in ipairs(kind) do
      if value == word then return end
    end
    raise("%s: option '%s': '%s' expected, got %s", call, name,
          table.concat(kind, "' or '"), shown(value))
  elseif not kinds[kind][2](value) then
    raise("%s: option '%s': %s expected, got %s", call, name, kinds[kind][1],
          shown(value))
  end
end

-- given: the options, or nil. known: name -> {kind, default}. Returns all of
-- them, with their defaults.
function check.options(call, given, known)
  local all = {}
  for name, option in pairs(known) do all[name] = option[2] end
  for name, value in pairs(given or {}) do
    if not known[name] then
      local near = require("conc.suggest")(name, known)
      raise("%s: unknown option '%s'%s", call, tostring(name),
            near and ("; did you mean '%s'?"):format(near) or "")
    end
    check_one(call, name, known[name][1], value)
    all[name] = value
  end
  return all
end

-- A call '[options,] f, ...': make(options or nil, f, ...).
function check.optional(call, make)
  return function (first, ...)
    if type(first) == "table" then
      if type((...)) ~= "function" then check.argument(call, 2, "function", (...)) end
      return make(first, ...)
    end
    if type(first) ~= "function" then check.argument(call, 1, "function", first) end
    return make(nil, first, ...)
  end
end

-- Is it what a call '[options,] f, ...' may take for f?
function check.callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

return check
