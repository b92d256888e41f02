-- What does one cost in memory that does nothing?
--   memory.lua thread|process|queue|future
-- "bytes": what N more of them add to the resident memory of this program and its
-- children, each shared page divided among those that share it (Pss).
local conc = require "conc"
local kit = require "kit"

local what = arg[1]
local usual = { thread = 50, process = 20, queue = 5000, future = 20000 }
local n, keep = kit.n(usual[what]), {}

local function pss(pid)
  local file <close> = io.open("/proc/" .. pid .. "/smaps_rollup")
  local text = file and file:read("a") or ""
  return tonumber(text:match("\nPss:%s*(%d+)")) or 0
end

local function total()
  collectgarbage()
  collectgarbage()
  local sum = pss("self")
  for _, one in ipairs(keep) do
    if conc.type(one) == "process" then sum = sum + pss(one:pid()) end
  end
  return sum * 1024
end

local stop = conc.event()
local function idle() stop:wait() end

local make = {}
function make.thread() return conc.thread(idle) end
function make.process() return conc.process(idle) end
function make.queue() return conc.queue() end

-- A future that is done; its pool is one and the same.
local pool
function make.future() return pool:submit(math.abs, 1) end

if what == "future" then
  pool = conc.thread_pool(1)
  for _ = 1, 2000 do make.future():join() end
else
  keep[1] = make[what]()  -- what the first one sets up is not counted
end
conc.sleep(0.2)
local before, first = total(), #keep
for i = first + 1, first + n do keep[i] = make[what]() end
if what == "future" then conc.wait(keep) end
conc.sleep(0.2)
print(("bytes %.0f"):format((total() - before) / n))
stop:set()
if pool then pool:shutdown() end
