-- Errors raised elsewhere, caught by who asks for the result.
-- Watch for: the value is the one that was raised, a table too, and its traceback shows the line
-- that failed over there; a killed process says how it died, and the other items are finished.
local conc = require "conc"

local function fail(where)
  error("nothing works in a " .. where)
end

local function refuse(where)
  error({code = 42, where = where})
end

local function fragile(n)
  if n == 3 then conc.current():kill() end  -- SIGKILL, as if it had crashed
  return n * n
end

local pool <close> = conc.process_pool(2)
local function submit(f, ...) return pool:submit(f, ...) end
local places = {{"thread", conc.thread}, {"process", conc.process}, {"pooled task", submit}}
for _, place in ipairs(places) do
  local where, start = table.unpack(place)
  local failed = start(fail, where)
  local _, message = pcall(failed.result, failed)
  print("caught: " .. message)
  print("with its " .. select(2, failed:error()))
  local _, object = pcall(function () return start(refuse, where):result() end)
  print("caught: a table, code " .. object.code .. ", from a " .. object.where)
end

local results, errors = pool:map(fragile, {1, 2, 3, 4, 5}, {errors = "collect"})
for i = 1, results.n do
  print("item " .. i .. ": " .. (results[i] or "failed: " .. errors[i]))
end
