-- JSON by whichever library is installed: lua-cjson, else dkjson. JSON's null
-- is json.null (light userdata, the same value with both, and in any thread).
local json = {null = require("conc.http_core").null}

local function installed(name)
  local ok, library = pcall(require, name)
  return ok and library or nil
end

local function adapt_cjson(cjson)
  return {encode = cjson.encode, decode = cjson.decode}
end

local function adapt_dkjson(dkjson)
  local null = json.null
  local function replace(_, value)
    if value == null then return "null" end
    return nil, "cannot encode a " .. type(value)
  end
  return {
    encode = function (value)
      return (assert(dkjson.encode(value, {exception = function (_, v, _, message)
        return replace(message, v)
      end})))
    end,
    decode = function (text)
      local value, at, message = dkjson.decode(text, 1, null)
      if message then error(message, 0) end
      if text:find("%S", at) then error("garbage after the value, at column " .. at, 0) end
      return value
    end,
  }
end

local library

local function find()
  if not library then
    local cjson = installed "cjson"
    local dkjson = not cjson and installed "dkjson"
    library = cjson and adapt_cjson(cjson) or dkjson and adapt_dkjson(dkjson)
  end
  return library or error("JSON needs the Lua library lua-cjson or dkjson; neither is installed", 0)
end

function json.encode(value) return find().encode(value) end

function json.decode(text) return find().decode(text) end

return json
