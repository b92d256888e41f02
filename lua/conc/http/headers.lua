-- The headers of a response: names in any case, repeated values kept.
--   headers["content-type"]       one string; repeated values joined by ", "
--   headers:all("set-cookie")     a list of them
--   for name, value in pairs(headers)   names in lower case, each once
-- The table holds name, value, name, value, ... as they came. This module is
-- its metatable, so that headers sent to another thread find theirs there.
local headers = {}

local function all(self, name)
  local values, wanted = {}, name:lower()
  for i = 1, #self, 2 do
    if rawget(self, i):lower() == wanted then values[#values + 1] = rawget(self, i + 1) end
  end
  return values
end

local function joined(self, name)
  local wanted, value = name:lower(), nil
  for i = 1, #self, 2 do
    if rawget(self, i):lower() == wanted then
      local v = rawget(self, i + 1)
      value = value and value .. ", " .. v or v
    end
  end
  return value
end

headers.all = all

function headers.__index(self, name)
  if type(name) ~= "string" then return nil end
  if name == "all" then return all end
  return joined(self, name)
end

function headers.__pairs(self)
  local i, seen = -1, {}
  return function ()
    local name
    repeat
      i = i + 2
      name = rawget(self, i)
      name = name and name:lower()
    until not name or not seen[name]
    if not name then return nil end
    seen[name] = true
    return name, joined(self, name)
  end
end

function headers.__tostring(self)
  local lines = {}
  for i = 1, #self, 2 do lines[#lines + 1] = rawget(self, i) .. ": " .. rawget(self, i + 1) end
  return table.concat(lines, "\n")
end

return headers
