-- The bodies of requests: JSON, forms, files; and queries, which are written alike.
local options = require "conc.http.options"

local raise = options.raise

local content = {}

local function escape(text, plus)
  return (text:gsub("[^A-Za-z0-9%-._~]", function (c)
    if plus and c == " " then return "+" end
    return ("%%%02X"):format(c:byte())
  end))
end

local function scalar(call, option, name, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    raise("%s: option '%s': field '%s': string expected, got %s", call, option, tostring(name),
          kind)
  end
  return tostring(value)
end

-- Calls f(name, value) for {name = value}, {name = {value, value}} (in the order
-- of names) and {{name, value}, ...} (in the order given).
local function each_field(call, option, fields, f)
  local function field(name, value)
    if type(name) ~= "string" or value == nil then
      raise("%s: option '%s': {name = value} or {{name, value}, ...} expected", call, option)
    end
    for _, one in ipairs(type(value) == "table" and value or {value}) do
      f(name, scalar(call, option, name, one))
    end
  end
  local names = {}
  for key, value in pairs(fields) do
    if type(key) == "string" then
      names[#names + 1] = key
    elseif type(value) ~= "table" then
      field(key)
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do field(name, fields[name]) end
  for _, pair in ipairs(fields) do field(pair[1], pair[2]) end
end

local function urlencoded(call, option, fields, plus)
  local parts = {}
  each_field(call, option, fields, function (name, value)
    parts[#parts + 1] = escape(name, plus) .. "=" .. escape(value, plus)
  end)
  return table.concat(parts, "&")
end

-- One of 'files': a path, or {path =, data =, filename =, type =}.
local function file_part(call, name, given)
  local file = given
  if type(file) == "string" then file = {path = file} end
  if type(file) ~= "table" or (file.path == nil) == (file.data == nil) then
    raise("%s: option 'files': '%s': a path, or a table with path or data expected", call, name)
  end
  local part = {name = name, path = file.path, data = file.data, filename = file.filename,
                type = file.type}
  for key, value in pairs(file) do
    if part[key] == nil or key == "name" then
      raise("%s: option 'files': '%s': unknown field '%s'", call, name, tostring(key))
    end
    if type(value) ~= "string" then
      raise("%s: option 'files': '%s': %s: string expected, got %s", call, name, key, type(value))
    end
    if key ~= "data" and value:find("%c") then
      raise("%s: option 'files': '%s': %s contains a control character", call, name, key)
    end
  end
  if part.path then
    local readable, message = io.open(part.path, "rb")
    if not readable then raise("%s: option 'files': %s", call, message) end
    readable:close()
  end
  return part
end

local function multipart(call, opts)
  local parts = {}
  each_field(call, "form", opts.form or {}, function (name, value)
    parts[#parts + 1] = {name = name, data = value}
  end)
  for name, given in pairs(opts.files) do
    if type(name) ~= "string" or name:find("%c") then
      raise("%s: option 'files': {field = path} expected", call)
    end
    local list = type(given) == "table" and given[1] ~= nil and given or {given}
    for _, one in ipairs(list) do parts[#parts + 1] = file_part(call, name, one) end
  end
  return parts
end

local function exclusive(call, opts)
  local first
  for _, name in ipairs {"body", "json", "form", "files"} do
    if opts[name] ~= nil then
      if first and not (first == "form" and name == "files") then
        raise("%s: options '%s' and '%s' exclude each other", call, first, name)
      end
      first = name
    end
  end
end

local function default_header(headers, name, value)
  local key = name:lower()
  if not headers[key] then headers[key] = {name, value} end
end

function content.set(call, t, opts, headers)
  exclusive(call, opts)
  if opts.files then
    t.mime = multipart(call, opts)
  elseif opts.json ~= nil then
    local ok, text = pcall(require("conc.http.json").encode, opts.json)
    if not ok then raise("%s: option 'json': %s", call, tostring(text)) end
    t.body = text
    default_header(headers, "Content-Type", "application/json")
  elseif opts.form then
    t.body = urlencoded(call, "form", opts.form, true)
    default_header(headers, "Content-Type", "application/x-www-form-urlencoded")
  elseif opts.body then
    t.body = opts.body
  end
  if t.body or t.mime then
    default_header(headers, "Expect", false)       -- no round trip before a body
    if not t.mime then default_header(headers, "Content-Type", false) end
  end
end

-- The URL with the query added
function content.url(call, url, query)
  local text = urlencoded(call, "query", query)
  if text == "" then return url end
  local base, fragment = url:match("^([^#]*)(.*)$")
  return base .. (base:find("?", 1, true) and "&" or "?") .. text .. fragment
end

return content
