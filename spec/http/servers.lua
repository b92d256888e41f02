-- Starts what spec/http_spec.lua talks to, all on loopback and free ports: the
-- misbehaving server (server.lua) and nginx with and without TLS. Both end when
-- the test process does, however it ends: they read from a pipe that it holds.
local socket = require "socket"

local servers = {}

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"

local function run(command)
  assert(os.execute("(" .. command .. ") >/dev/null 2>&1"), "failed: " .. command)
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- Waits for a server to be there: it is polled, at most 20 s.
local function until_true(what, predicate)
  local limit = socket.gettime() + 20
  repeat
    local value = predicate()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > limit
  error(what .. " did not start")
end

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end
servers.free_port = free_port

local function listens(port)
  return function ()
    local client = socket.connect("127.0.0.1", port)
    if client then client:close() end
    return client ~= nil
  end
end

-- {url =, other =, stop =}: the same server under two origins
function servers.misbehaving(dir)
  local base = dir .. "/ports"
  run(("head -c 20000000 /dev/zero | gzip > '%s.gz'"):format(base))
  local lua = os.getenv("LUA") or "lua5.4"
  local pipe = assert(io.popen(("exec %s '%sserver.lua' '%s'"):format(lua, here, base), "w"))
  local ports = until_true("the misbehaving server", function () return read(base) end)
  local first, second = ports:match("^(%d+) (%d+)")
  return {
    url = "http://127.0.0.1:" .. first, other = "http://127.0.0.1:" .. second,
    stop = function () pipe:close() end,
  }
end

local function certificates(dir)
  run(([[cd '%s' && openssl genrsa -out key.pem 2048 &&
    openssl req -x509 -new -key key.pem -subj '/CN=conc test CA' -days 2 -out ca.pem &&
    openssl req -new -key key.pem -subj '/CN=127.0.0.1' -out req.pem &&
    echo 'subjectAltName=IP:127.0.0.1,DNS:localhost' > ext &&
    openssl x509 -req -in req.pem -CA ca.pem -CAkey key.pem -CAcreateserial -days 2 \
      -extfile ext -out good.pem &&
    { openssl x509 -req -in req.pem -CA ca.pem -CAkey key.pem -days -1 \
        -extfile ext -out expired.pem ||   # OpenSSL 3.4 and later want dates
      openssl x509 -req -in req.pem -CA ca.pem -CAkey key.pem \
        -not_before 20240101000000Z -not_after 20240102000000Z \
        -extfile ext -out expired.pem; } &&
    openssl req -x509 -key key.pem -subj '/CN=127.0.0.1' -days 2 \
      -addext subjectAltName=IP:127.0.0.1 -out selfsigned.pem &&
    mkdir authorities && cp ca.pem authorities && openssl rehash authorities &&
    printf 'ann:%%s\n' "$(openssl passwd -apr1 secret)" > passwords]]):format(dir))
end

local function files(dir)
  run(("cd '%s' && mkdir -p www/private www/packed www/slow && chmod -R a+rX ."):format(dir))
  write(dir .. "/www/hello.txt", "hello\n")
  write(dir .. "/www/private/secret.txt", "the secret\n")
  write(dir .. "/www/packed/long.txt", ("all the same "):rep(10000))
  for i = 1, 40 do write(("%s/www/n%d"):format(dir, i), "file " .. i) end
  run(("head -c 3000000 /dev/urandom > '%s/www/slow/big'"):format(dir))
  run(([[cd '%s/www' && mkdir dated && cp slow/big dated/big && touch -d '1 day ago' dated/big &&
    cp slow/big big && cat big big big > bigger && truncate -s 1073741824 huge]]):format(dir))
end

-- {http =, https =, expired =, selfsigned = (URLs), ca = (a path), stop =}
function servers.nginx(dir)
  certificates(dir)
  files(dir)
  local ports, urls = {}, {ca = dir .. "/ca.pem", www = dir .. "/www"}
  for _, name in ipairs {"http", "https", "expired", "selfsigned"} do
    ports[name] = free_port()
    urls[name] = ("%s://127.0.0.1:%d"):format(name == "http" and name or "https", ports[name])
  end
  local conf = read(here .. "nginx.conf"):gsub("@(%l+)@", function (name)
    return ports[name] or name == "dir" and dir
  end)
  if os.getenv("USER") == "root" or read("/proc/self/status"):find("Uid:%s*0%s") then
    conf = "user root;\n" .. conf  -- its workers read a folder that only root may enter
  end
  write(dir .. "/nginx.conf", conf)
  local pipe = assert(io.popen(([[nginx -p '%s' -c '%s/nginx.conf' 2>/dev/null & server=$!
    cat >/dev/null; kill $server; wait $server]]):format(dir, dir), "w"))
  until_true("nginx", listens(ports.selfsigned))
  urls.stop = function () pipe:close() end
  return urls
end

return servers
