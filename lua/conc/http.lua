-- conc.http: requests and downloads on libcurl.
--   local http = require "conc.http"
--   local page = assert(http.get("https://example.org/"))
--   print(page.status, page.headers["content-type"], #page.body)
-- A network failure is nil and a message; a status of 400 or more is an answer.
-- Connections are kept for the thread that made them. Reference: docs/http.md.
--
-- Where things are: options.lua checks, driver.lua runs (limits, redirects,
-- tries), download.lua names files, client.lua has the calls. In C, one request
-- is one transfer (src/http_bind.c, src/http_engine.c).
local client = require "conc.http.client"

local shared = {}  -- the client of this thread: the default engine, no options

local http = {null = require("conc.http_core").null}  -- JSON's null

-- http.session{...} -> a session
function http.session(...)
  return require("conc.http.session").new(...)
end

-- http.submit("download", url, path) -> a future
function http.submit(...)
  return require("conc.http.submit").module(...)
end

for _, name in ipairs {"get", "head", "post", "put", "patch", "delete", "request", "download",
                       "get_many", "download_many"} do
  local call = client[name]
  http[name] = function (...) return call(shared, ...) end
end

return setmetatable(http, {
  __index = function (_, name)
    if type(name) ~= "string" then return nil end
    local near = require("conc.suggest")(name, http)
    local hint = near and ("; did you mean '%s'?"):format(near) or ""
    error(("no '%s' in conc.http%s"):format(name, hint), 2)
  end,
})
