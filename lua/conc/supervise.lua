-- conc.supervise([{name =, restart = "error"|"always", max_restarts = 5, within = 60,
--                  backoff = 0.1, process = false, daemon = false},] f, ...)
--
-- A thread that runs f in another thread (or process), and runs it again when it
-- ends. The supervisor's outcome is that of the last run; cancelled, or left by
-- any error, it stops what it runs: asks first, and kills a process that does not
-- stop. What it runs is a daemon: it never outlives its supervisor.
local conc = require "conc"
local core = require "conc.core"
local check = require "conc.check"

local grace = 2          -- seconds that what is asked to stop has for it
local longest_pause = 30

local known = {
  backoff = {"seconds", 0.1}, daemon = {"boolean", false}, max_restarts = {"count", 5},
  name = {"string"}, process = {"boolean", false}, restart = {{"error", "always"}, "error"},
  within = {"seconds", 60},
}

-- ---- in the supervisor's thread ----------------------------------------------

local function stop(self)
  local child = self.child
  if child and child:cancel() and not child:join(grace) and self.process then
    child:kill()
    child:join(grace)
  end
end

local runner = {__close = function (self) conc.shield(stop, self) end}

local function start(self, ...)
  self.child = (self.process and conc.process or conc.thread)(...)
end

-- Runs f once and waits for its end. Cancelled at whatever moment, it stops what
-- it has begun.
local function run(o, n, f, ...)
  local self <close> = setmetatable({process = o.process}, runner)
  conc.shield(start, self, {name = ("%s/run-%d"):format(o.name, n), daemon = true}, f, ...)
  self.child:join()
  return self.child
end

-- The times of the restarts that still count.
local function recent(restarts, within)
  local list, limit = {}, conc.now() - within
  for _, time in ipairs(restarts) do
    if time >= limit then list[#list + 1] = time end
  end
  return list
end

-- The last error goes on as it is; how often it was tried is told with its
-- traceback. "always" may give up without there being an error.
local function give_up(o, failed)
  local text = ("given up after %.14g restart%s in %.14g s"):format(o.max_restarts,
    o.max_restarts == 1 and "" or "s", o.within)
  if not failed then error(("%s: %s"):format(o.name, text), 0) end
  local value, traceback = failed:error()
  core._raise(value, ("%s\n\t(%s: %s)"):format(traceback or "stack traceback:", o.name, text))
end

local function oversee(o, f, ...)
  local restarts, pause, failed = {}, o.backoff, nil
  for n = 1, math.huge do
    local child = run(o, n, f, ...)
    local state = child:state()
    if state == "failed" then
      child:error()                -- asked for: it is not reported by itself
      failed = child
    elseif o.restart == "error" then
      return child:result()
    end
    restarts = recent(restarts, o.within)
    if #restarts >= o.max_restarts then return give_up(o, failed) end
    if #restarts == 0 then pause = o.backoff end
    restarts[#restarts + 1] = conc.now()
    conc.sleep(pause)
    pause = math.min(2 * pause, longest_pause)
  end
end

-- ---- the call -----------------------------------------------------------------

local count = 0

local function supervise(options, f, ...)
  local o = check.options("supervise", options, known)
  count = count + 1
  o.name = o.name or "supervisor-" .. count
  local ok, thread = pcall(conc.thread, {name = o.name, daemon = o.daemon},
    function (...) return oversee(o, f, ...) end, ...)
  if not ok then check.relay(thread, options and 0 or -1) end
  return thread
end

return check.optional("supervise", supervise)
