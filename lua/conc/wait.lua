-- Waiting for many futures: conc.wait and conc.as_completed.
local conc = require "conc"
local core = require "conc.core"
local check = require "conc.check"

local wait = {}

local function deadline_of(timeout)
  return timeout and timeout < math.huge and conc.now() + timeout or nil
end

local function time_left(deadline)
  return deadline and math.max(0, deadline - conc.now())
end

local function check_timeout(call, n, timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout ~= timeout) then
    check.argument(call, n, "timeout in seconds", timeout, 2)
  end
end

-- conc.as_completed(futures [, timeout]) -> iterator over them in the order in
-- which they end
function wait.as_completed(futures, timeout)
  if type(futures) ~= "table" then check.argument("as_completed", 1, "table", futures, 1) end
  check_timeout("as_completed", 2, timeout)
  local completion, list = core._completion(futures)  -- refuses what is no future
  local deadline = deadline_of(timeout)
  return function ()
    return list[core._next(completion, time_left(deadline))]
  end
end

local function is_error(future)
  local state = future:state()
  return state == "failed" or state == "cancelled"
end

-- Until one has ended that is enough, or all, or the time is over.
local function await(completion, list, enough, deadline)
  repeat
    local i = core._next(completion, time_left(deadline))
  until not i or enough(list[i])
end

local conditions = {
  first = function () return true end,
  error = is_error,
}

-- One after the other: a worker of a pool runs those of its own pool meanwhile.
local function await_all(list, deadline)
  for _, f in ipairs(list) do
    if not f:join(time_left(deadline)) then return end
  end
end

-- conc.wait(futures [, {timeout=, return_when="all"|"first"|"error"}]) -> those
-- that have ended, those that have not
function wait.wait(futures, options)
  if type(futures) ~= "table" then check.argument("wait", 1, "table", futures, 1) end
  if options ~= nil and type(options) ~= "table" then
    check.argument("wait", 2, "table of options", options, 1)
  end
  options = check.options("wait", options, {
    timeout = {"timeout"},
    return_when = {{"all", "first", "error"}, "all"},
  }, 1)
  local completion, list = core._completion(futures)
  local deadline = deadline_of(options.timeout)
  if options.return_when == "all" then
    await_all(list, deadline)
  else
    await(completion, list, conditions[options.return_when], deadline)
  end
  local ended, rest = {}, {}
  for _, f in ipairs(list) do
    local into = f:done() and ended or rest
    into[#into + 1] = f
  end
  return ended, rest
end

return wait
