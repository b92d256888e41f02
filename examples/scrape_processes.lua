-- A process pool maps collect(url) over pages.
-- Watch for: the pages arrive in the order of the list, and in the time of the slowest one;
-- a page that cannot be had says why in its place.
--   lua5.4 examples/scrape_processes.lua [URL ...]
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local conc = require "conc"
local http = require "conc.http"
local file_server = require "support.file_server"

function collect(url)  -- luacheck: ignore 111 (a global function travels too)
  local page, message = http.get(url, {timeout = 20})
  if not page then return message end
  if not page.ok then return page.status .. " " .. page.reason end
  return (page.body:sub(1, 50):gsub("%s+", " "))
end

local urls = {table.unpack(arg)}
local server <close> = #arg == 0 and file_server.start(here .. "pages", {delay = 0.1}) or nil
if server then
  for i, page in ipairs {"thread", "process", "lock", "queue", "pool", "no-such-page"} do
    urls[i] = server.url .. "/" .. page .. ".html"
  end
end

local start = conc.now()
local pool <close> = conc.process_pool(6)
for i, text in ipairs(pool:map(collect, urls)) do
  print(urls[i] .. "  " .. text)
end
print(("execution time: %.2f s"):format(conc.now() - start))
