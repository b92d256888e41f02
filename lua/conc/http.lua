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
local json = require "conc.http.json"
local session = require "conc.http.session"
local submit = require "conc.http.submit"

local shared = {}  -- the client of this thread: the default engine, no options

local http = {
  session = session.new,  -- http.session{...}
  submit = submit.module, -- http.submit("download", url, path) -> future
  null = json.null,       -- JSON's null
}

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
