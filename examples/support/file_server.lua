-- A small web server on loopback for the examples: the files of one folder, GET only.
--
--   local server <close> = file_server.start(folder [, {workers = 8, delay = 0}])
--   server.url    "http://127.0.0.1:PORT", the port chosen by the system
--
-- Each worker is a daemon process that answers one request at a time; all accept on the one
-- socket that was opened before they were forked. 'delay' is how long the answer takes,
-- as from a server far away.
local conc = require "conc"
local socket = require "socket"

local types = {html = "text/html", lua = "text/plain", txt = "text/plain"}

local function read_file(folder, name)
  local file <close> = io.open(folder .. "/" .. name, "rb")
  return file and file:read("a")
end

-- Status, content type and body that a request line is answered with.
local function answer(folder, request)
  local name = request:match("^GET /([%w_.-]+)[ ?]")
  if not name then
    return "400 Bad Request", "text/plain", "only GET of a file name\n"
  end
  local body = read_file(folder, name)
  if not body then
    return "404 Not Found", "text/plain", name .. " is not here\n"
  end
  return "200 OK", types[name:match("%w+$")] or "application/octet-stream", body
end

local function serve(client, folder, delay)
  client:settimeout(10)
  local request = client:receive("*l")
  repeat
    local header = client:receive("*l")
  until not header or header == ""
  if request then
    conc.sleep(delay)
    local status, kind, body = answer(folder, request)
    client:send(("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
      .. "Connection: close\r\n\r\n"):format(status, kind, #body) .. body)
  end
  client:close()
end

local function work(listener, folder, delay)
  while true do
    local client = listener:accept()
    if client then serve(client, folder, delay) end
  end
end

local file_server = {}

local function stop(server)
  for _, worker in ipairs(server.workers) do worker:terminate() end
  for _, worker in ipairs(server.workers) do worker:join() end
end

function file_server.start(folder, options)
  local workers, delay = options and options.workers or 8, options and options.delay or 0
  local listener = assert(socket.bind("127.0.0.1", 0, 128))
  local _, port = listener:getsockname()
  local server = {url = "http://127.0.0.1:" .. port, workers = {}}
  for i = 1, workers do
    server.workers[i] = conc.process({name = "server-" .. i, daemon = true},
      work, listener, folder, delay)
  end
  listener:close()  -- the workers have it; when they end, nobody listens
  return setmetatable(server, {__close = stop})
end

return file_server
