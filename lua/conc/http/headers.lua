-- The headers of a response: names in any case, repeated values kept.
--   headers["content-type"]       one string; repeated values joined by ", "
--   headers:all("set-cookie")     a list of them
--   for name, value in pairs(headers)   names in lower case, each once
-- Until somebody asks, the table holds the header block as it came, at 1; then
-- name, value, name, value, ... in that order. This module is its metatable, so
-- that headers sent to another thread find theirs there.
local headers = {}

-- Folded lines (obs-fold) go on the value before them.
local function parse(self)
  local block, n = rawget(self, 1), 0
  rawset(self, 1, nil)
  for line in (block:match("\n(.*)$") or ""):gmatch("[^\r\n]+") do
    local name, value = line:match("^([^%s:][^:]*):%s*(.-)%s*$")
    if name then
      rawset(self, n + 1, name)
      rawset(self, n + 2, value)
      n = n + 2
    elseif n > 0 and line:find("^%s") then
      rawset(self, n, rawget(self, n) .. " " .. line:match("^%s*(.-)%s*$"))
    end
  end
end

local function fields(self)
  local first = rawget(self, 1)
  if first and rawget(self, 2) == nil then parse(self) end
  return self
end

local function all(self, name)
  fields(self)
  local values, wanted = {}, name:lower()
  for i = 1, #self, 2 do
    if rawget(self, i):lower() == wanted then values[#values + 1] = rawget(self, i + 1) end
  end
  return values
end

local function joined(self, name)
  fields(self)
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
  fields(self)
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
  fields(self)
  local lines = {}
  for i = 1, #self, 2 do lines[#lines + 1] = rawget(self, i) .. ": " .. rawget(self, i + 1) end
  return table.concat(lines, "\n")
end

return headers
