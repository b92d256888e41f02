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

-- The list without its repetitions.
local function distinct(futures)
  local list, seen = {}, {}
  for i = 1, #futures do
    local f = futures[i]
    if f == nil or not seen[f] then
      if f ~= nil then seen[f] = true end
      list[#list + 1] = f
    end
  end
  return list
end

-- Takes the positions out of the list; the rest keeps its order.
local function without(list, positions)
  local gone, rest = {}, {}
  for _, i in ipairs(positions) do gone[i] = true end
  for i, f in ipairs(list) do
    if not gone[i] then rest[#rest + 1] = f end
  end
  return rest
end

-- conc.as_completed(futures [, timeout]) -> iterator over them in the order in
-- which they end
function wait.as_completed(futures, timeout)
  if type(futures) ~= "table" then check.argument("as_completed", 1, "table", futures, 1) end
  check_timeout("as_completed", 2, timeout)
  core._ended(futures, 0)  -- refuses what is no future
  local pending, deadline = distinct(futures), deadline_of(timeout)
  local ready, at = {}, 0
  return function ()
    at = at + 1
    if not ready[at] then
      local positions = core._ended(pending, time_left(deadline))
      ready, at = {}, 1
      for n, i in ipairs(positions) do ready[n] = pending[i] end
      pending = without(pending, positions)
    end
    return ready[at]
  end
end

local function has_error(list, positions)
  for _, i in ipairs(positions) do
    local state = list[i]:state()
    if state == "failed" or state == "cancelled" then return true end
  end
end

-- Waits until the condition holds for those that have ended.
local function await(list, enough, deadline)
  local pending, ended = list, 0
  while #pending > 0 do
    local positions = core._ended(pending, time_left(deadline))
    ended = ended + #positions
    if #positions == 0 or enough(pending, positions, ended) then return end
    pending = without(pending, positions)
  end
end

local conditions = {
  first = function () return true end,
  error = has_error,
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
  core._ended(futures, 0)
  local list, deadline = distinct(futures), deadline_of(options.timeout)
  if options.return_when == "all" then
    await_all(list, deadline)
  else
    await(list, conditions[options.return_when], deadline)
  end
  local ended, rest = {}, {}
  local done = {}
  for _, i in ipairs(core._ended(list, 0)) do done[i] = true end
  for i, f in ipairs(list) do
    local into = done[i] and ended or rest
    into[#into + 1] = f
  end
  return ended, rest
end

return wait
