-- Downloads beside curl -Z and Python, from one nginx on loopback:
--   lua5.4 bench/http.lua [RUNS]          (7 by default; needs nginx, curl, python3)
-- Every row is a whole process, timed from outside; the rows take turns, and
-- what counts is the ratio to curl in the same round. "memory" keeps the bodies or
-- drops them at once (curl: /dev/null), "files" writes each to a file of its own.
-- Prints a Markdown table; the programs that are compared are in this file.
local socket = require "socket"

local runs = tonumber(arg[1]) or 7
local here = arg[0]:match("^(.*/)") or "./"
local root = here .. "../"
local build = os.getenv("CONC_BUILD") or root .. "build"
local lua = os.getenv("LUA") or "lua5.4"

local function sh(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  local ok = pipe:close()
  return ok and text, text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- ---- the server ------------------------------------------------------------------

local dir = sh("mktemp -d /dev/shm/conc-http-XXXXXX 2>/dev/null || mktemp -d"):gsub("\n", "")
sh(("mkdir '%s/www' '%s/out' && chmod 755 '%s'"):format(dir, dir, dir))

local sets = {
  small = {count = 1000, what = "1000 files of 10 KB"},
  large = {count = 50, what = "50 files of 10 MB"},
}
for name, size in pairs {small = 10000, large = 10000000} do
  sh(("head -c %d /dev/urandom > '%s/www/%s'"):format(size, dir, name))
  for i = 1, sets[name].count do
    sh(("cp '%s/www/%s' '%s/www/%s%d'"):format(dir, name, dir, name, i))
  end
end
sh(("truncate -s 1073741824 '%s/www/huge'"):format(dir))

local listener = assert(socket.bind("127.0.0.1", 0))
local port = select(2, listener:getsockname())
listener:close()
write(dir .. "/nginx.conf", ([[
worker_processes 1; daemon off; pid DIR/pid; error_log DIR/log;
events { worker_connections 512; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  open_file_cache max=2000;
  client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3;
  uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5;
  server { listen 127.0.0.1:PORT; root DIR/www; }
}]]):gsub("DIR", dir):gsub("PORT", tostring(port)))
local nginx = assert(io.popen(([[nginx -p '%s' -c '%s/nginx.conf' 2>/dev/null & server=$!
  cat >/dev/null; kill $server; wait $server]]):format(dir, dir), "w"))
local url = "http://127.0.0.1:" .. port
for _ = 1, 1000 do
  local client = socket.connect("127.0.0.1", port)
  if client then
    client:close()
    break
  end
  socket.sleep(0.01)
end

-- ---- the clients -----------------------------------------------------------------

write(dir .. "/conc.lua", [[
local http = require "conc.http"
local url, set, count, out = arg[1], arg[2], tonumber(arg[3]), arg[4]
local list = {}
for i = 1, count do
  local from = ("%s/%s%d"):format(url, set, i)
  list[i] = out and {from, ("%s/%s%d"):format(out, set, i)} or from
end
for _, r in ipairs(out and http.download_many(list) or http.get_many(list)) do
  assert(r.ok, r.error)
end]])

write(dir .. "/python.py", [[
import sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
url, name, count, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), (sys.argv + [None])[4]
def fetch(i):
    with urllib.request.urlopen(f"{url}/{name}{i}") as r:
        data = r.read()
    if out:
        with open(f"{out}/{name}{i}", "wb") as f:
            f.write(data)
    return None if out else data
with ThreadPoolExecutor(8) as pool:
    list(pool.map(fetch, range(1, count + 1)))
]])

for name, set in pairs(sets) do
  for kind, target in pairs {memory = "/dev/null", files = dir .. "/out/%s%d"} do
    local lines = {}
    for i = 1, set.count do
      lines[i] = ('url="%s/%s%d"\noutput="%s"'):format(url, name, i, target:format(name, i))
    end
    write(("%s/%s-%s.curl"):format(dir, name, kind), table.concat(lines, "\n"))
  end
end

local environment = ("LUA_PATH='%slua/?.lua;%slua/?/init.lua;;' LUA_CPATH='%s/?.so;;'"):format(
  root, root, build)

local function command(client, name, kind)
  local out = kind == "files" and dir .. "/out" or ""
  local count = sets[name].count
  if client == "conc" then
    return ("%s %s %s/conc.lua %s %s %d %s"):format(environment, lua, dir, url, name, count, out)
  elseif client == "python" then
    return ("python3 %s/python.py %s %s %d %s"):format(dir, url, name, count, out)
  end
  local parallel = client == "curl -Z" and "" or "--parallel-max 8 "
  return ("curl -s -Z %s-K %s/%s-%s.curl"):format(parallel, dir, name, kind)
end

-- ---- measuring -------------------------------------------------------------------

local clients = {"curl -Z", "curl -Z --parallel-max 8", "conc", "python"}

local function median(list)
  table.sort(list)
  return (list[(#list + 1) // 2] + list[#list // 2 + 1]) / 2
end

local function measure(name, kind)
  local times = {}
  for _, client in ipairs(clients) do times[client] = {} end
  for round = 0, runs do
    for _, client in ipairs(clients) do
      sh(("rm -f '%s'/out/*"):format(dir))
      local began = socket.gettime()
      assert(os.execute(command(client, name, kind) .. " >/dev/null 2>&1"), client)
      if round > 0 then table.insert(times[client], socket.gettime() - began) end
    end
  end
  local best = math.min(median(times["curl -Z"]), median(times["curl -Z --parallel-max 8"]))
  for _, client in ipairs(clients) do
    local list = times[client]
    local middle = median(list)
    print(("| %s, %s | %s | %.0f | %.0f - %.0f | %.2f |"):format(sets[name].what, kind, client,
      middle * 1e3, list[1] * 1e3, list[#list] * 1e3, best / middle))
  end
end

print("| what | client | ms (median) | min - max | speed, best curl = 1 |")
print("|---|---|--:|--:|--:|")
for _, name in ipairs {"small", "large"} do
  for _, kind in ipairs {"files", "memory"} do measure(name, kind) end
end

local memory = sh(([[%s %s -e '
  assert(require("conc.http").download("%s/huge", "%s/out/huge"))
  for line in io.lines("/proc/self/status") do
    local kb = line:match("VmHWM:%%s*(%%d+)")
    if kb then print(kb) end
  end']]):format(environment, lua, url, dir))
print(("\nMost memory used while downloading 1 GB to a file: %.1f MB."):format(memory / 1000))

nginx:close()
sh(("rm -rf '%s'"):format(dir))
