-- A thread pool of 5 downloads a list of (url, file) pairs.
-- Watch for: the time is that of two rounds, not of nine downloads; a pair that cannot be had
-- says why (not found, refused, no such host, file not writable), and the others are finished.
--   lua5.4 examples/download_threads.lua [URL ...]    (into the current directory)
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local conc = require "conc"
local http = require "conc.http"
local file_server = require "support.file_server"

local jobs = {}
for i, url in ipairs(arg) do
  jobs[i] = {url, url:match("//.*/([^/?]+)[^/]*$") or "index.html"}
end
local server <close> = #arg == 0 and file_server.start(here .. "pages", {delay = 0.1}) or nil
if server then
  for i, page in ipairs {"thread", "process", "lock", "queue", "pool", "no-such-page"} do
    jobs[i] = {server.url .. "/" .. page .. ".html", os.tmpname()}
  end
  jobs[7] = {"http://127.0.0.1:1/refused.html", os.tmpname()}
  jobs[8] = {"http://no-such-host.invalid/page.html", os.tmpname()}
  jobs[9] = {server.url .. "/lock.html", "/no/such/folder/lock.html"}
end

local function download(job)
  local bytes, message = http.download(job[1], job[2], {timeout = 20})
  return bytes and bytes .. " bytes in " .. job[2] or "failed: " .. message
end

local start = conc.now()
do
  local pool <close> = conc.thread_pool(5)
  for i, outcome in pool:imap(download, jobs) do
    print(jobs[i][1] .. "  " .. outcome)
  end
end
print(("execution time: %.2f s"):format(conc.now() - start))
if server then
  for _, job in ipairs(jobs) do os.remove(job[2]) end
end
