-- A web server that misbehaves on demand, for spec/http_spec.lua:
--   lua5.4 server.lua FILE
-- writes the two ports that it listens on to FILE and ends when its standard
-- input does, so that it never outlives the test. What a path does is said in
-- the table 'paths' below. One process; each connection is a coroutine.
local socket = require "socket"

-- ---- connections as coroutines -------------------------------------------------

local waiting = {}  -- coroutine -> {read = sock} or {write = sock} or {at = time}

local function wait(what)
  waiting[coroutine.running()] = what
  coroutine.yield()
end

local function sleep(seconds) wait {at = socket.gettime() + seconds} end

local function send(conn, data)
  local at = 1
  while at <= #data do
    local last, message, partial = conn.sock:send(data, at)
    at = (last or partial) + 1
    if message == "timeout" then
      wait {write = conn.sock}
    elseif message then
      error("gone", 0)
    end
  end
end

local function fill(conn)
  local data, message, partial = conn.sock:receive(65536)
  data = data or partial
  conn.buffer = conn.buffer .. data
  if data == "" then
    if message == "closed" then return nil end
    wait {read = conn.sock}
  end
  return true
end

local function read_line(conn)
  while true do
    local line, rest = conn.buffer:match("^(.-)\r\n(.*)$")
    if line then
      conn.buffer = rest
      return line
    end
    if not fill(conn) then return nil end
  end
end

local function read_bytes(conn, n)
  while #conn.buffer < n do
    if not fill(conn) then return nil end
  end
  local data = conn.buffer:sub(1, n)
  conn.buffer = conn.buffer:sub(n + 1)
  return data
end

local function read_request(conn)
  local line = read_line(conn)
  if not line then return nil end
  local request = {headers = {}, order = {}, conn = conn}
  request.method, request.target = line:match("^(%S+) (%S+)")
  request.path, request.query = request.target:match("^([^?]*)%??(.*)$")
  for header in function () return read_line(conn) end do
    if header == "" then break end
    local name, value = header:match("^([^:]+):%s*(.*)$")
    request.headers[name:lower()] = value
    request.order[#request.order + 1] = header
  end
  request.body = read_bytes(conn, tonumber(request.headers["content-length"]) or 0)
  return request
end

-- ---- answers -------------------------------------------------------------------

local function head(status, headers)
  local lines = {"HTTP/1.1 " .. status}
  for i = 1, #headers, 2 do lines[#lines + 1] = headers[i] .. ": " .. headers[i + 1] end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function answer(request, status, body, headers)
  headers = headers or {}
  headers[#headers + 1] = "Content-Length"
  headers[#headers + 1] = #body
  send(request.conn, head(status, headers) .. (request.method == "HEAD" and "" or body))
end

local function close(request, reset)
  if reset then request.conn.sock:setoption("linger", {on = true, timeout = 0}) end
  request.conn.ended = true
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function (hex) return string.char(tonumber(hex, 16)) end))
end

local function echo(request)
  local text = {request.method .. " " .. request.target}
  for _, line in ipairs(request.order) do text[#text + 1] = line end
  return table.concat(text, "\n") .. "\n\n" .. request.body
end

local counts = {}

local function count(key)
  counts[key] = (counts[key] or 0) + 1
  return counts[key]
end

-- 600 KB that differ everywhere, and again for another version
local function content(version)
  local lines = {}
  for i = 1, 20000 do lines[i] = ("%s line %08d of the file\n"):format(version, i) end
  return table.concat(lines)
end

local inside, most = 0, 0
local connections = 0

local paths = {}

paths["/echo"] = function (r) answer(r, "200 OK", echo(r), {"X-Twice", "one", "x-twice", "two"}) end

paths["/status"] = function (r)
  answer(r, r.query .. " Whatever", "body of " .. r.query, {"Content-Type", "text/plain"})
end

paths["/json"] = function (r) answer(r, "200 OK", unescape(r.query)) end

paths["/connection"] = function (r) answer(r, "200 OK", tostring(r.conn.id)) end

-- How many were in here at once: /gate?seconds, then /most
paths["/gate"] = function (r)
  inside = inside + 1
  most = math.max(most, inside)
  sleep(tonumber(r.query))
  inside = inside - 1
  answer(r, "200 OK", "in and out")
end

paths["/most"] = function (r)
  answer(r, "200 OK", tostring(most))
  most = 0
end

-- ---- slow, short, long, endless ---------------------------------------------------

paths["/slow"] = function (r)
  sleep(tonumber(r.query))
  answer(r, "200 OK", "at last")
end

paths["/drip"] = function (r)
  send(r.conn, head("200 OK", {"Content-Length", 1000000}))
  while true do
    send(r.conn, ".")
    sleep(0.05)
  end
end

paths["/stall"] = function (r)
  send(r.conn, head("200 OK", {"Content-Length", 1000}) .. "only this")
  sleep(60)
end

paths["/half"] = function (r)
  send(r.conn, head("200 OK", {"Content-Length", 1000}) .. ("x"):rep(500))
  close(r)
end

paths["/long"] = function (r)
  send(r.conn, head("200 OK", {"Content-Length", 5}) .. "12345 and more than announced")
  close(r)
end

paths["/reset"] = function (r) close(r, true) end

paths["/nothing"] = function (r) close(r) end

paths["/garbage"] = function (r)
  send(r.conn, "\0\1\2\3 this is not HTTP\r\n\r\n")
  close(r)
end

paths["/endless"] = function (r)
  send(r.conn, head("200 OK", {"Transfer-Encoding", "chunked"}))
  local chunk = ("%x\r\n%s\r\n"):format(16384, ("e"):rep(16384))
  while true do send(r.conn, chunk) end
end

paths["/endless-headers"] = function (r)
  send(r.conn, "HTTP/1.1 200 OK\r\n")
  for i = 1, math.huge do send(r.conn, ("X-Header-%d: %s\r\n"):format(i, ("h"):rep(1000))) end
end

paths["/endless-error"] = function (r)
  send(r.conn, head("500 Broken", {"Transfer-Encoding", "chunked"}))
  local chunk = ("%x\r\n%s\r\n"):format(16384, ("e"):rep(16384))
  while true do send(r.conn, chunk) end
end

-- FILE.gz beside the ports: 20 MB of zeros, compressed
paths["/bomb"] = function (r)
  local file = assert(io.open(arg[1] .. ".gz", "rb"))
  local body = file:read("a")
  file:close()
  answer(r, "200 OK", body, {"Content-Encoding", "gzip"})
end

-- ---- redirects -------------------------------------------------------------------

local function redirect(status)
  return function (r) answer(r, status, "elsewhere", {"Location", unescape(r.query)}) end
end

paths["/301"] = redirect "301 Moved Permanently"
paths["/302"] = redirect "302 Found"
paths["/303"] = redirect "303 See Other"
paths["/307"] = redirect "307 Temporary Redirect"

paths["/loop"] = function (r) answer(r, "302 Found", "again", {"Location", "/loop"}) end

paths["/hops"] = function (r)
  local n = tonumber(r.query)
  if n == 0 then return answer(r, "200 OK", "arrived") end
  answer(r, "302 Found", "", {"Location", "/hops?" .. n - 1})
end

-- ---- tries: ?key,failures[,Retry-After] ------------------------------------------

local function flaky(fail)
  return function (r)
    local key, failures, after = r.query:match("^([^,]*),(%d+),?(.*)$")
    if count(key) <= tonumber(failures) then return fail(r, after) end
    answer(r, "200 OK", "try " .. counts[key])
  end
end

paths["/flaky"] = flaky(function (r, after)
  answer(r, "503 Busy", "later", after ~= "" and {"Retry-After", unescape(after)} or {})
end)

paths["/flaky-reset"] = flaky(function (r) close(r, true) end)

-- How often a key was asked for
paths["/count"] = function (r) answer(r, "200 OK", tostring(counts[r.query] or 0)) end

-- ---- cookies, credentials, names ---------------------------------------------------

paths["/cookie"] = function (r) answer(r, "200 OK", "set", {"Set-Cookie", r.query}) end

paths["/cookie-and-go"] = function (r)
  answer(r, "302 Found", "", {"Set-Cookie", r.query, "Location", "/echo"})
end

paths["/disposition"] = function (r)
  answer(r, "200 OK", "content", {"Content-Disposition", unescape(r.query)})
end

-- ---- files that break off: ?key,bytes before the connection is closed ------------

local function ranged(r, version, ignore_if_range)
  local key, cut = r.query:match("^([^,]*),(%d+)")
  local body, etag = content(version), ('"%s"'):format(version)
  local from = tonumber((r.headers.range or ""):match("^bytes=(%d+)%-$"))
  if from and from >= #body then return answer(r, "416 Range Not Satisfiable", "too far") end
  if from and (ignore_if_range or r.headers["if-range"] == etag) then
    counts[key .. "/from"] = from
    return answer(r, "206 Partial Content", body:sub(from + 1), {"ETag", etag, "Content-Range",
      ("bytes %d-%d/%d"):format(from, #body - 1, #body)})
  end
  send(r.conn, head("200 OK", {"ETag", etag, "Accept-Ranges", "bytes", "Content-Length", #body}))
  if count(key) == 1 then
    send(r.conn, body:sub(1, tonumber(cut)))
    return close(r)
  end
  send(r.conn, body)
end

paths["/part"] = function (r) ranged(r, "first") end

-- The file changes between the tries
paths["/part-changed"] = function (r)
  local key = r.query:match("^[^,]*")
  ranged(r, (counts[key] or 0) == 0 and "first" or "other")
end

-- A range that is none: the part was longer than the file
paths["/part-nonsense"] = function (r)
  local key, etag = r.query:match("^[^,]*"), '"first"'
  if not r.headers.range then return ranged(r, "first") end
  local from = r.headers.range:match("%d+")
  counts[key .. "/from"] = from
  answer(r, "206 Partial Content", "", {"ETag", etag, "Content-Range",
    ("bytes %d-%d/100"):format(from, from)})
end

-- and the server answers with a range of the new one all the same
paths["/part-liar"] = function (r)
  local key = r.query:match("^[^,]*")
  ranged(r, (counts[key] or 0) == 0 and "first" or "other", true)
end

paths["/content"] = function (r) answer(r, "200 OK", content(r.query)) end

-- A range that nobody asked for, or one that somebody did
paths["/unasked"] = function (r)
  answer(r, "206 Partial Content", "part", {"Content-Range", "bytes 10-13/100"})
end

-- Where the last 206 began
paths["/from"] = function (r) answer(r, "200 OK", tostring(counts[r.query .. "/from"])) end

-- ---- the loop --------------------------------------------------------------------

local function serve(conn)
  while not conn.ended do
    local request = read_request(conn)
    if not request then break end
    local path = paths[request.path]
    if path then path(request) else answer(request, "404 Not Found", "no " .. request.path) end
  end
end

local function resume(co)
  waiting[co] = nil
  local ok, message = coroutine.resume(co)
  if not ok and message ~= "gone" then io.stderr:write(debug.traceback(co, message), "\n") end
end

local function accept(listener)
  local sock = listener:accept()
  if not sock then return end
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  connections = connections + 1
  local conn = {sock = sock, buffer = "", id = connections}
  resume(coroutine.create(function ()
    local ok, message = pcall(serve, conn)
    sock:close()
    if not ok then error(message, 0) end
  end))
end

local standard_input = {getfd = function () return 0 end, dirty = function () return false end}

local function turn(listeners)
  local readers, writers, by = {standard_input, table.unpack(listeners)}, {}, {}
  local until_
  for co, what in pairs(waiting) do
    if what.read then readers[#readers + 1], by[what.read] = what.read, co end
    if what.write then writers[#writers + 1], by[what.write] = what.write, co end
    if what.at then until_ = math.min(until_ or what.at, what.at) end
  end
  local timeout = until_ and math.max(0, until_ - socket.gettime())
  local readable, writable = socket.select(readers, writers, timeout)
  for _, listener in ipairs(listeners) do
    if readable[listener] then accept(listener) end
  end
  for sock, co in pairs(by) do
    if (readable[sock] or writable[sock]) and waiting[co] then resume(co) end
  end
  local now = socket.gettime()
  for co, what in pairs(waiting) do by[co] = what.at and what.at <= now end
  for co, due in pairs(by) do
    if due == true and waiting[co] then resume(co) end
  end
  return not readable[standard_input]
end

local listeners, ports = {}, {}
for i = 1, 2 do
  listeners[i] = assert(socket.bind("127.0.0.1", 0, 128))
  listeners[i]:settimeout(0)
  ports[i] = select(2, listeners[i]:getsockname())
end
local file = assert(io.open(arg[1] .. ".new", "w"))
file:write(table.concat(ports, " "), "\n")
file:close()
assert(os.rename(arg[1] .. ".new", arg[1]))
repeat until not turn(listeners)
