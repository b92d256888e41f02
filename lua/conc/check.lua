-- Checks of what the caller of a function of this module wrote. They raise in
-- the caller's name: 'level' is as for 'error', seen from the function that checks.
local check = {}

local function raise(level, text, ...)
  error(text:format(...), level + 2)
end

function check.argument(call, n, expected, value, level)
  raise(level, "bad argument #%d to '%s' (%s expected, got %s)", n, call, expected,
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

local function check_one(call, name, kind, value, level)
  if type(kind) == "table" then       -- one of these words
    for _, word in ipairs(kind) do
      if value == word then return end
    end
    raise(level + 1, "%s: option '%s': '%s' expected, got %s", call, name,
          table.concat(kind, "' or '"), shown(value))
  elseif not kinds[kind][2](value) then
    raise(level + 1, "%s: option '%s': %s expected, got %s", call, name, kinds[kind][1],
          shown(value))
  end
end

-- given: the options, or nil. known: name -> {kind, default}. Returns all of
-- them, with their defaults.
function check.options(call, given, known, level)
  local all = {}
  for name, option in pairs(known) do all[name] = option[2] end
  for name, value in pairs(given or {}) do
    if not known[name] then
      local near = require("conc.suggest")(name, known)
      raise(level, "%s: unknown option '%s'%s", call, tostring(name),
            near and ("; did you mean '%s'?"):format(near) or "")
    end
    check_one(call, name, known[name][1], value, level)
    all[name] = value
  end
  return all
end

-- Is it what a call '[options,] f, ...' may take for f?
function check.callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

return check
