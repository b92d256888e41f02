-- A session: its own connections and cookies, and options for all its calls.
--   local s <close> = http.session{base = "https://api.example.org/v1/", bearer = token}
--   local users = s:get("users"):json()
-- With 'base', credentials and headers of the session go to that host only;
-- what is asked of another one is asked without them.
local core = require "conc.http_core"
local client = require "conc.http.client"
local options = require "conc.http.options"

local session = {}
session.__index = session

for _, name in ipairs {"get", "head", "post", "put", "patch", "delete", "request", "download",
                       "get_many", "download_many"} do
  session[name] = client[name]
end

-- ---- cookies: libcurl's lines (Netscape's format) and tables --------------------

local fields = {"domain", "subdomains", "path", "secure", "expires", "name", "value"}

local function cookie_of(line)
  local cookie, i = {}, 0
  for text in (line .. "\t"):gmatch("([^\t]*)\t") do
    i = i + 1
    if fields[i] then cookie[fields[i]] = text end
  end
  local domain = cookie.domain:match("^#HttpOnly_(.*)$")
  cookie.httponly, cookie.domain = domain ~= nil, domain or cookie.domain
  cookie.subdomains, cookie.secure = cookie.subdomains == "TRUE", cookie.secure == "TRUE"
  cookie.expires = math.tointeger(tonumber(cookie.expires))
  return cookie
end

local function field(cookie, name, default)
  local value = cookie[name]
  if value == nil then value = default end
  if type(value) ~= "string" or value:find("%c") then
    options.raise("session: option 'cookies': '%s': a string without control characters expected",
                  name)
  end
  return value
end

local function line_of(cookie)
  if type(cookie) ~= "table" then
    options.raise("session: option 'cookies': a list of tables expected")
  end
  local function flag(value) return value and "TRUE" or "FALSE" end
  return table.concat({
    (cookie.httponly and "#HttpOnly_" or "") .. field(cookie, "domain"), flag(cookie.subdomains),
    field(cookie, "path", "/"), flag(cookie.secure), ("%d"):format(cookie.expires or 0),
    field(cookie, "name"), field(cookie, "value"),
  }, "\t")
end

-- A list of {name=, value=, domain=, path=, expires=, secure=, httponly=,
-- subdomains=}; session{cookies = list} starts with them.
function session:cookies()
  local list = {}
  for i, line in ipairs(self.engine:cookies()) do list[i] = cookie_of(line) end
  return list
end

-- ---- life ----------------------------------------------------------------------

local function set_base(self, base)
  local scheme, host = options.check_url(base)
  if not scheme then options.raise("session: option 'base': %s", host) end
  self.base, self.origin = base, scheme .. "://" .. host
end

function session.new(opts)
  opts = opts or {}
  if type(opts) ~= "table" then options.bad_argument("session", 1, "table", opts) end
  options.check("session", opts, options.names.session)
  local self = setmetatable({template = options.template("session", opts)}, session)
  self.opts = opts
  if opts.base then set_base(self, opts.base) end
  self.engine = core.engine(true)
  for _, cookie in ipairs(opts.cookies or {}) do self.engine:set_cookie(line_of(cookie)) end
  return self
end

-- Ends its connections and forgets its cookies; transfers that run end too.
function session:close()
  self.engine:close()
end
session.__close = session.close

-- session:submit(name, ...) -> a future of self[name](...), run in another
-- thread by a session like this one: its options, and its cookies as they are
-- now. Cookies set there stay there.
function session:submit(name, ...)
  local opts = {}
  for key, value in pairs(self.opts) do opts[key] = value end
  opts.cookies = self:cookies()
  return require("conc.http.submit").session(opts, name, ...)
end

function session:__tostring()
  local state = self.engine:closed() and "closed" or #self:cookies() .. " cookies"
  local base = self.base and options.shown(self.base) .. ", " or ""
  return ("conc.http session (%s%s)"):format(base, state)
end

return session
