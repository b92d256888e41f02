-- JSON by what is installed: lua-cjson (fast), dkjson (exact), or both. An
-- integer arrives as one, with either. cjson takes all numbers for floats, so
-- what may hold an integer beyond 2^53 is left to dkjson, where that is installed.
-- JSON's null is json.null (light userdata, the same value in any thread).
local json = {null = require("conc.http_core").null}

local exact = 1 << 53  -- up to here a float is as good as an integer
local deepest = 1000

local libraries = {}

local function library(name)
  if libraries[name] == nil then
    local ok, found = pcall(require, name)
    libraries[name] = ok and found or false
  end
  return libraries[name]
end

local function cjson()
  local found = library "cjson"
  if found and not libraries.own then
    libraries.own = found.new()  -- the program's own settings stay as they are
    libraries.own.encode_number_precision(14)
  end
  return libraries.own
end

local function none()
  error("JSON needs the Lua library lua-cjson or dkjson; neither is installed", 0)
end

local function integers(value)
  if type(value) == "table" then
    for key, element in next, value do
      local kind = type(element)
      if kind == "number" then
        value[key] = math.tointeger(element) or element
      elseif kind == "table" then
        integers(element)
      end
    end
    return value
  end
  return math.type(value) == "float" and math.tointeger(value) or value
end

local function large_integer(value, depth)
  if type(value) == "table" then
    if depth > deepest then error("the table is nested too deeply, or contains itself", 0) end
    for key, element in next, value do
      if large_integer(key, depth + 1) or large_integer(element, depth + 1) then return true end
    end
  end
  return math.type(value) == "integer" and (value > exact or value < -exact)
end

local function dkjson_encode(dkjson, value)
  local function special(_, v, _, message)
    if v == json.null then return "null" end
    return nil, message
  end
  return (assert(dkjson.encode(value, {exception = special})))
end

function json.encode(value)
  local fast, large = cjson(), large_integer(value, 0)
  if fast and not large then return fast.encode(value) end
  local dkjson = library "dkjson"
  if dkjson then return dkjson_encode(dkjson, value) end
  if not fast then none() end
  error("cjson cannot encode an integer beyond 2^53; dkjson can, but is not installed", 0)
end

local function dkjson_decode(dkjson, text)
  local value, at, message = dkjson.decode(text, 1, json.null)
  if message then error(message, 0) end
  if text:find("%S", at) then error("something follows the value, at column " .. at, 0) end
  return value
end

function json.decode(text)
  local fast = cjson()
  local large = text:find(("%d"):rep(16))
  local dkjson = (large or not fast) and library "dkjson"
  if dkjson then return dkjson_decode(dkjson, text) end
  return integers((fast or none()).decode(text))
end

return json
