-- Waiting (sleep, files, network) and computing: serially, with threads, with processes.
-- Watch for: what waits is done in a fraction of the time by either; what computes gains as
-- much as there are cores. Files that the system holds in memory do not wait: they compute.
-- So: threads first, for they start sooner; processes where a crash must not reach the rest.
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local conc = require "conc"
local http = require "conc.http"
local server <close> = require("support.file_server").start(here .. "pages", {delay = 0.05})
local processes <close> = conc.process_pool(4)
local threads <close> = conc.thread_pool(4)
local url, script, items = server.url .. "/thread.html", arg[0], {1, 2, 3, 4, 5, 6, 7, 8}

local function sleep() conc.sleep(0.05) end
local function files()
  for _ = 1, 2000 do for _ in io.lines(script) do end end
end
local function network() assert(http.get(url)) end
local function computing()
  for i = 1, 3000000 do local _ = i % 7 end
end

local ways = {
  function (f) for _ = 1, #items do f() end end,
  function (f) threads:map(f, items) end,
  function (f) processes:map(f, items) end,
}
print(("%-12s%12s%12s%12s"):format("8 times", "serially", "4 threads", "4 processes"))
for _, row in ipairs {{"sleep", sleep}, {"files", files}, {"network", network},
                      {"computing", computing}} do
  local line = ("%-12s"):format(row[1])
  for _, way in ipairs(ways) do
    local start = conc.now()
    way(row[2])
    line = line .. ("%10.3f s"):format(conc.now() - start)
  end
  print(line)
end
