-- conc.generate([{process = false, ahead = 16, name =},] f, ...)
--
--   for a, b in conc.generate(f, ...) do ... end
--
-- f runs in a thread (or process) of its own, inside a coroutine; what it passes
-- to coroutine.yield goes into a bounded queue, and the loop takes it from there.
-- The producer never closes the queue: its end (a return, an error, the death of
-- its process) is seen in the thread or process itself, after what it had put.
local conc = require "conc"
local core = require "conc.core"
local check = require "conc.check"

local grace = 3          -- seconds that leaving the loop waits for f to stop

-- ---- beside the loop: f ---------------------------------------------------------

-- A plain value travels as it is; a table, or several values, in a table.
local function wrap(first, ...)
  if type(first) ~= "table" and select("#", ...) == 0 then return first end
  return {n = select("#", ...) + 1, first, ...}
end

local function unwrap(item)
  if type(item) ~= "table" then return item end
  return table.unpack(item, 1, item.n)
end

-- Has the coroutine raise an error where it goes on: at its yield. A hook
-- that is there already is that of its cancelling, and raises by itself.
local function refuse_nil(co)
  if debug.gethook(co) then return end
  debug.sethook(co, function ()
    debug.sethook(co)
    error("bad argument #1 to 'yield' (a value other than nil expected: nil ends a loop)", 2)
  end, "", 1)
end

-- What one run of the coroutine came to; true: it is to go on.
local function hand_over(queue, co, ok, ...)
  if not ok then core._raise((...), debug.traceback(co)) end
  if coroutine.status(co) == "dead" then return false end
  if (...) == nil then
    refuse_nil(co)
    return true
  end
  return queue:put(wrap(...))
end

-- Runs the <close> variables of a coroutine that is left for good.
local function close_coroutine(co, problem)
  local fine, new = coroutine.close(co)
  if not fine and new ~= problem then error(new, 0) end
end

local function produce(queue, f, ...)
  local co = coroutine.create(f)
  local _ <close> = setmetatable({}, {__close = function (_, problem)
    conc.shield(close_coroutine, co, problem)
  end})
  if not hand_over(queue, co, coroutine.resume(co, ...)) then return end
  while hand_over(queue, co, coroutine.resume(co)) do end
end

-- ---- the loop's side ------------------------------------------------------------

local generator = {__name = "conc.generate"}

-- Ends f, and with it the loop; returns who ran it.
local function leave(g)
  local runner, queue = g.runner, g.queue
  g.runner, g.queue = nil, nil
  queue:close(true)
  runner:cancel()
  return runner
end

local function finish(g)
  local runner = g.runner
  g.runner, g.queue = nil, nil
  runner:result()
end

function generator.__call(g)
  local queue = g.queue
  if not queue then return nil end
  local item, why = queue:get(0)
  if item == nil and why == "timeout" then
    local which, value = conc.select({queue, g.runner})
    if which == queue then
      item = value
    else
      item = queue:get(0)
    end
  end
  if item == nil then return finish(g) end
  return unwrap(item)
end

function generator.__close(g)
  if not g.runner then return end
  local runner = leave(g)
  if not runner:join(grace) and g.process then
    runner:kill()
    runner:join(grace)
  end
  runner:error(0)        -- what went wrong after the loop had enough is nobody's
end

-- Only where it was made: a copy in another state or process ends nothing.
function generator.__gc(g)
  if g.runner and g.home == core._home() then leave(g) end
end

function generator.__tostring(g)
  return ("conc.generate (%s)"):format(g.runner and g.runner:state() or "ended")
end

local known = {ahead = {"positive", 16}, name = {"string"}, process = {"boolean", false}}
local count = 0

-- The metatable comes last: so it is finalized before the handles that it needs.
local function begin(o, f, ...)
  local queue = conc.queue(o.ahead)
  count = count + 1
  local runner = (o.process and conc.process or conc.thread)(
    {name = o.name or "generator-" .. count, daemon = true},
    function (...) return produce(queue, f, ...) end, ...)
  return setmetatable({queue = queue, runner = runner, process = o.process,
                       home = core._home()}, generator)
end

-- Begun is begun whole: one that is cancelled meanwhile leaves nobody behind.
local function generate(options, f, ...)
  local o = check.options("generate", options, known)
  local ok, g = pcall(conc.shield, begin, o, f, ...)
  if not ok then check.relay(g, options and 0 or -1) end
  return g, nil, nil, g
end

return check.optional("generate", generate)
