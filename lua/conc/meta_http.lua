---@meta conc.http
-- Definitions for LuaLS (lua-language-server). Made by docs/build.lua from reference.lua.
-- luacheck: ignore

---@class conc.response
---@field status? integer
---@field ok? boolean
---@field reason? string
---@field headers? table<string, string>
---@field body? string
---@field url? string
---@field elapsed? number
---@field path? string
---@field bytes? integer
---@field error? string

---@class conc.http
local http = {}

---@class conc.http_options
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---@class conc.content_options
---@field body? string as it is
---@field json? any a Lua value, encoded
---@field form? table urlencoded; with `files` part of a multipart body
---@field files? table multipart: `{field = path}` or `{field = {data =, filename =}}`
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---@class conc.request_options
---@field url? string
---@field method? string
---@field body? string as it is
---@field json? any a Lua value, encoded
---@field form? table urlencoded; with `files` part of a multipart body
---@field files? table multipart: `{field = path}` or `{field = {data =, filename =}}`
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---@class conc.download_options
---@field resume? boolean go on with what broke off
---@field sha256? string the file has to have
---@field progress? boolean|function a line on standard error, if that is a terminal
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---@class conc.many_options
---@field concurrency? integer transfers at once
---@field per_host? integer of these, to one host
---@field on_done? fun(i: integer, response: conc.response) called as each ends
---@field progress? boolean|function a line on standard error, if that is a terminal
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---@class conc.session_options
---@field base? string relative URLs start there; credentials go to that host only
---@field cookies? table[] to start with, as `session:cookies` gives them
---@field timeout? seconds of the whole call
---@field connect_timeout? seconds until connected
---@field stall_timeout? seconds a transfer that stands still for so long ends
---@field retries? integer further tries, with growing pauses, of GET, HEAD, PUT, DELETE
---@field redirects? integer most to follow; 0 gives the 3xx response itself
---@field max_bytes? integer of the body
---@field headers? table<string, string|string[]> of the request
---@field query? table added to the URL
---@field auth? string[] `{user, password}`
---@field bearer? string a token
---@field proxy? string|false a URL; `false`: none
---@field ca? string file of certificate authorities
---@field verify? boolean check the server's certificate
---@field user_agent? string

---Asks for a page: the response, or `nil` and what went wrong.
---
---Raises for a misspelt option, and for a header with a line break in it.
---```lua
---local page = assert(http.get("http://localhost:8000/lock.html", {timeout = 10}))
---print(page.status, page.headers["content-type"])   --> 200 text/html
---print(http.get("http://127.0.0.1:1/"))             --> nil ...
---```
---@param url string
---@param options? conc.http_options
---@return conc.response?
---@return string? message
function http.get(url, options) end

---The same without a body.
---```lua
---local page = http.head("http://localhost:8000/lock.html")
---print(page.status)   --> ...
---```
---@param url string
---@param options? conc.http_options
---@return conc.response?
---@return string? message
function http.head(url, options) end

---Sends a body (`body`, `json`, `form` or `files`) by POST.
---```lua
---local answer = http.post("http://localhost:8000/lock.html", {json = {name = "Ann"}})
---print(answer.ok, answer.status)   --> false 400
---```
---@param url string
---@param options? conc.content_options
---@return conc.response?
---@return string? message
function http.post(url, options) end

---Sends a body by PUT.
---```lua
---local answer = http.put("http://localhost:8000/lock.html", {body = "text"})
---print(answer.status)   --> 400
---```
---@param url string
---@param options? conc.content_options
---@return conc.response?
---@return string? message
function http.put(url, options) end

---Sends a body by PATCH.
---```lua
---local answer = http.patch("http://localhost:8000/lock.html", {body = "text"})
---print(answer.status)   --> 400
---```
---@param url string
---@param options? conc.content_options
---@return conc.response?
---@return string? message
function http.patch(url, options) end

---Asks for deletion by DELETE.
---```lua
---print(http.delete("http://localhost:8000/lock.html").status)   --> 400
---```
---@param url string
---@param options? conc.content_options
---@return conc.response?
---@return string? message
function http.delete(url, options) end

---Any request: `{url =, method =, ...}`; with a body the method is POST unless given.
---```lua
---print(http.request{url = "http://localhost:8000/pool.html", method = "GET"}.ok)   --> true
---```
---@param request conc.request_options
---@return conc.response?
---@return string? message
function http.request(request) end

---Saves a page: the size of the finished file and the response; `nil,
---message` and, of a status of 400 or more, the response. It is written beside the path and renamed
---when it is complete; what broke off is gone on with at the next call. A path that ends in `/` gets
---the server's name for the file.
---```lua
---local path = os.tmpname()
---print(http.download("http://localhost:8000/lock.html", path) > 100)   --> true
---os.remove(path)
---```
---@param url string
---@param path string
---@param options? conc.download_options
---@return integer? bytes
---@return any response_or_message
---@return conc.response? response
function http.download(url, path, options) end

---Asks for many at once, from this one thread: the responses in order. One that failed
---has `ok = false`, `error` with the message, and no `status`.
---```lua
---local list = http.get_many({"http://localhost:8000/lock.html", "http://127.0.0.1:1/"})
---print(list[1].ok, list[2].ok, list[2].error ~= nil)   --> true false true
---```
---@param requests (string|table)[]
---@param options? conc.many_options
---@return conc.response[]
function http.get_many(requests, options) end

---Saves many at once, `{url, path}` each: responses with `path` and `bytes`.
---```lua
---local path = os.tmpname()
---local list = http.download_many({{"http://localhost:8000/lock.html", path}})
---print(list[1].ok, list[1].bytes > 100)   --> true true
---os.remove(path)
---```
---@param pairs string[][]
---@param options? conc.many_options
---@return conc.response[]
function http.download_many(pairs, options) end

---Connections, cookies and options of its own, for all its calls.
---```lua
---local s <close> = http.session{base = "http://localhost:8000/"}
---print(s:get("lock.html").status)   --> 200
---```
---@param options? conc.session_options
---@return conc.session
function http.session(options) end

---A future of the call of that name (`get` where a URL is given), in another thread.
---```lua
---local f = http.submit("http://localhost:8000/lock.html", {timeout = 10})
---print(f:result().status)   --> 200
---```
---@param name_or_url string
---@param ... any
---@return conc.future
function http.submit(name_or_url, ...) end

---JSON's null, in what `response:json` gives and `json` takes.
---@type lightuserdata
http.null = nil

---Fields: `status`, `ok` (the status is below 400), `reason`, `headers` (by name in any
---case; a repeated one joined by ", "; `headers:all(name)` is the list), `body`, `url` (the final
---one), `elapsed` (seconds); of a download `path` and `bytes`; of a failed one `error`.
---@class conc.response
local response = {}

---The body as a Lua value. It takes lua-cjson or dkjson.
---
---Raises where it is no JSON.
---```lua
---local page = http.get("http://localhost:8000/lock.html")
---print(pcall(page.json, page))   --> false ...
---```
---@return any
function response:json() end

---Itself, if it is ok.
---
---Raises otherwise, what went wrong.
---```lua
---print(pcall(function ()
---  return http.get("http://localhost:8000/none.html"):raise_for_status()
---end))   --> false ...404...
---```
---@return conc.response
function response:raise_for_status() end

---Status and reason in one line.
---```lua
---print(http.get("http://localhost:8000/none.html"):status_line())   --> 404 Not Found
---```
---@return string
function response:status_line() end

---All calls of `conc.http` but `session` as methods: `s:get(url, options)` and so on.
---@class conc.session
local session = {}

---The cookies that it has: a list of `{name =, value =, domain =, path =, expires =,
---secure =, httponly =, subdomains =}`.
---```lua
---local s <close> = http.session()
---print(#s:cookies())   --> 0
---```
---@return table[]
function session:cookies() end

---A future of one of its calls, made in another thread by a session like this one, with
---a copy of its cookies.
---```lua
---local s <close> = http.session{base = "http://localhost:8000/"}
---print(s:submit("get", "lock.html"):result().status)   --> 200
---```
---@param name_or_url string
---@param ... any
---@return conc.future
function session:submit(name_or_url, ...) end

---Ends its connections and forgets its cookies. A `<close>` variable does the same.
---```lua
---local s = http.session()
---s:close()
---print(s)   --> conc.http session (closed)
---```
function session:close() end

return http
