-- From what the caller wrote to what one transfer needs: options are checked
-- here, headers put together (bodies: content.lua), and all that could end up as
-- a line of its own in a request (CR, LF, zero bytes) is refused.
--
-- A template is a table whose fields http_core reads (src/http_bind.c) plus
-- those that the driver reads: retries, redirects, timeout, path, ...
local core = require "conc.http_core"

local options = {}

options.default_body = 1 << 30  -- max_bytes of a body in memory: stops a decompression bomb

local getinfo = debug and debug.getinfo  -- a host may have left it out

-- Raises in the name of the caller: at the nearest level outside this module.
local function raise(message, ...)
  local level, info = 1
  repeat
    level = level + 1
    info = getinfo and getinfo(level, "S")
  until not info or info.what ~= "C" and not info.source:find("conc/http[/.]")
  error(message:format(...), info and level or 0)
end
options.raise = raise

local function describe(value)
  local kind = type(value)
  if kind == "number" then return ("%.14g"):format(value) end
  return kind == "nil" and "nothing" or kind
end

function options.bad_argument(call, n, expected, value)
  raise("bad argument #%d to '%s' (%s expected, got %s)", n, call, expected,
        value == nil and "no value" or type(value))
end

-- ---- one check for each kind of option ---------------------------------------

local function bad(call, name, expected, value)
  raise("%s: option '%s': %s expected, got %s", call, name, expected, describe(value))
end

local function is_seconds(call, name, value)
  if type(value) ~= "number" or value ~= value then
    bad(call, name, "a number of seconds", value)
  end
end

local function is_count(least)
  return function (call, name, value)
    local whole = type(value) == "number" and (value == math.huge or math.tointeger(value))
    if not whole or value < least then
      bad(call, name, "an integer of " .. least .. " or more", value)
    end
  end
end

local function is_boolean(call, name, value)
  if type(value) ~= "boolean" then bad(call, name, "a boolean", value) end
end

local function is_table(call, name, value)
  if type(value) ~= "table" then bad(call, name, "a table", value) end
end

-- One line: what goes into a header or to the command line of nothing.
local function is_line(call, name, value)
  if type(value) ~= "string" then bad(call, name, "a string", value) end
  if value:find("[%c]") then raise("%s: option '%s' contains a control character", call, name) end
end

local function is_string(call, name, value)
  if type(value) ~= "string" then bad(call, name, "a string", value) end
end

local function is_path(call, name, value)
  is_string(call, name, value)
  if value == "" or value:find("\0", 1, true) then
    raise("%s: option '%s' is not a file name", call, name)
  end
end

local function is_proxy(call, name, value)
  if value ~= false then is_line(call, name, value) end
end

local function is_auth(call, name, value)
  is_table(call, name, value)
  local user, password = value[1], value[2]
  if type(user) ~= "string" or type(password) ~= "string" then
    raise("%s: option '%s': {user, password} expected", call, name)
  end
  if user:find("[:%c]") or password:find("%c") then
    raise("%s: option '%s': a colon in the user or a control character", call, name)
  end
end

local function is_sha256(call, name, value)
  if type(value) ~= "string" or #value ~= 64 or value:find("%X") then
    raise("%s: option '%s': 64 hexadecimal digits expected", call, name)
  end
end

local function is_progress(call, name, value)
  if type(value) ~= "boolean" and type(value) ~= "function" then
    bad(call, name, "a boolean or a function", value)
  end
end

local function is_function(call, name, value)
  if type(value) ~= "function" then bad(call, name, "a function", value) end
end

local function is_method(call, name, value)
  is_string(call, name, value)
  if not value:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    raise("%s: option '%s' is not an HTTP method", call, name)
  end
end

local checks = {
  auth = is_auth, base = is_line, bearer = is_line, body = is_string, ca = is_path,
  concurrency = is_count(1), connect_timeout = is_seconds, cookies = is_table, files = is_table,
  form = is_table, headers = is_table, json = function () end, max_bytes = is_count(0),
  method = is_method, on_done = is_function, path = is_path, per_host = is_count(1),
  progress = is_progress, proxy = is_proxy, query = is_table, redirects = is_count(0),
  resume = is_boolean, retries = is_count(0), sha256 = is_sha256, stall_timeout = is_seconds,
  timeout = is_seconds, url = is_string, user_agent = is_line, verify = is_boolean,
}

-- ---- which call takes which ----------------------------------------------------

local function set(...)
  local names = {}
  for _, list in ipairs {...} do
    for name in list:gmatch("%S+") do names[name] = true end
  end
  return names
end

local transfer = [[auth bearer ca connect_timeout headers max_bytes proxy query redirects retries
                   stall_timeout timeout user_agent verify]]
local content = "body files form json"
local saving = "resume sha256"
local many = "concurrency per_host on_done progress"

options.names = {
  get = set(transfer),
  send = set(transfer, content),                       -- post, put, patch, delete
  request = set(transfer, content, "method url"),
  download = set(transfer, saving, "progress"),
  get_many = set(transfer, many),
  download_many = set(transfer, saving, many),
  download_entry = set(transfer, saving, "url path"),
  session = set(transfer, "base cookies"),
}

-- Raises for an unknown name (with the nearest known one) or a bad value.
-- Positions 1 to 'positional' belong to somebody else.
function options.check(call, opts, names, positional)
  for name, value in pairs(opts) do
    if not names[name] then
      if math.type(name) ~= "integer" or name < 1 or name > (positional or 0) then
        local near = require("conc.suggest")(name, names)
        raise("%s: unknown option '%s'%s", call, tostring(name),
              near and ("; did you mean '%s'?"):format(near) or "")
      end
    else
      checks[name](call, name, value)
    end
  end
end

-- ---- headers -------------------------------------------------------------------

local reserved = {
  ["content-length"] = "it follows from the body",
  ["transfer-encoding"] = "it follows from the body",
}

local function check_header(call, name, value)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    raise("%s: header %q is not a header name", call, tostring(name))
  end
  if reserved[name:lower()] then
    raise("%s: header '%s' cannot be given: %s", call, name, reserved[name:lower()])
  end
  if value == false then return value end
  if type(value) ~= "string" and type(value) ~= "number" then
    raise("%s: header '%s': string expected, got %s", call, name, type(value))
  end
  value = tostring(value)
  if value:find("[\r\n\0]") then
    raise("%s: header '%s' contains a line break or a zero byte", call, name)
  end
  return value
end

-- 'into' maps a name in lower case to {name, value, value, ...}; later calls
-- replace earlier ones. A value false removes the header.
local function merge_headers(call, into, given)
  for name, value in pairs(given or {}) do
    local entry = {name}
    for i, one in ipairs(type(value) == "table" and value or {value}) do
      entry[i + 1] = check_header(call, name, one)
    end
    check_header(call, name, "")
    into[name:lower()] = entry
  end
end

-- A list of lines in libcurl's form: "Name: value", "Name;" for an empty
-- value, "Name:" for a header that is not to be sent.
local function header_lines(headers)
  local lines = {}
  for _, entry in pairs(headers) do
    for i = 2, #entry do
      local value = entry[i]
      lines[#lines + 1] = value == false and entry[1] .. ":"
        or value:find("%S") and entry[1] .. ": " .. value or entry[1] .. ";"
    end
  end
  table.sort(lines)
  return lines[1] and lines or nil
end

-- ---- URLs ----------------------------------------------------------------------

-- What may be shown: without user and password.
local function shown(url)
  return (url:gsub("^([^/?#]*//)[^/?#]*@", "%1"):gsub("%c", "?"))
end
options.shown = shown

-- url -> scheme, host:port | nil, message
function options.check_url(url)
  local plain, at = core.origin(url)
  if plain then return plain, at end
  if url:find("[%c%s]") then
    return nil, ("bad URL %q: it contains a space or a control character"):format(shown(url))
  end
  local named = url:match("^(%a[%w+.-]*):%D") or url:match("^(%a[%w+.-]*):$")
  named = named and named:lower()
  if not named then
    return nil, ("bad URL '%s': it does not begin with http:// or https://"):format(shown(url))
  elseif named ~= "http" and named ~= "https" then
    return nil, ("bad URL '%s': scheme '%s' is not supported; only http and https are"):format(
      shown(url), named)
  elseif url:find("^%a+:///") then
    return nil, ("bad URL '%s': it has no host"):format(shown(url))
  end
  local scheme, host, port = core.parse_url(url)
  if not scheme then return nil, ("bad URL '%s': %s"):format(shown(url), host) end
  return scheme, host:lower() .. ":" .. port
end

-- ---- templates -----------------------------------------------------------------

local plain = {
  "ca", "connect_timeout", "max_bytes", "per_host", "redirects", "resume", "retries", "sha256",
  "stall_timeout", "timeout", "user_agent", "verify",
}

local function finite(value)
  return value ~= math.huge and value or nil
end

local function set_identity(t, opts, headers)
  if opts.auth then
    t.user, t.password = opts.auth[1], opts.auth[2]
    headers.authorization = nil
  end
  if opts.bearer then
    t.user, t.password = nil, nil
    headers.authorization = {"Authorization", "Bearer " .. opts.bearer}
  end
end

local function copy(t)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  return c
end

local defaults = {
  connect_timeout = 10, stall_timeout = 30, redirects = 10, retries = 0, verify = true,
  compressed = true, follow = true, header_set = {},
  user_agent = "conc (libcurl/" .. core.curl_version .. ")",
}

-- A template out of 'base' (another template, or nil) and checked options.
function options.template(call, opts, base)
  local t = copy(base or defaults)
  local headers = copy(t.header_set)
  for _, name in ipairs(plain) do
    if opts[name] ~= nil then t[name] = opts[name] end
  end
  merge_headers(call, headers, opts.headers)
  set_identity(t, opts, headers)
  if opts.body or opts.json ~= nil or opts.form or opts.files then
    require("conc.http.content").set(call, t, opts, headers)
  end
  if opts.proxy ~= nil then t.proxy = opts.proxy or "" end
  if opts.query then t.query = opts.query end
  t.method = opts.method and opts.method:upper() or (t.body or t.mime) and "POST" or "GET"
  t.follow = t.redirects > 0
  t.stall_timeout, t.timeout = finite(t.stall_timeout), finite(t.timeout)
  t.connect_timeout = finite(t.connect_timeout)
  if t.max_bytes then
    t.max_bytes = finite(t.max_bytes) and math.tointeger(t.max_bytes) or math.maxinteger
  end
  t.header_set, t.headers = headers, header_lines(headers)
  -- http_core keeps transfers that are set up, by this number; the next one is for
  -- those of this template that are multiplexed.
  t.profile = core.profile()
  return t
end

return options
