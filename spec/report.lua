-- Output handler for busted: one line a test, written as the test ends, so
-- that what a crash or a time limit cuts short is still told.
--
-- With CONC_REPORT=path the same lines go there too, apart from whatever the
-- tests print: spec/run.lua counts those. The last line, "1..N", says that the
-- run came to its end.
return function ()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local path = os.getenv("CONC_REPORT")
  local report = path and assert(io.open(path, "w"))
  local count, last = 0, "the first test"

  local function say(text)
    io.stdout:write(text, "\n"):flush()
    if report then report:write(text, "\n"):flush() end
  end

  local function comment(text)
    say("# " .. tostring(text):gsub("\n", "\n# "))
  end

  local function seed()
    local helper = package.loaded["spec.helper"]
    if helper then comment("seed: CONC_SEED=" .. helper.seed) end
  end

  local function failed(failure)
    count = count + 1
    say("not ok " .. count .. " - " .. failure.name)
    local message, trace = failure.message, failure.trace or {}
    if type(message) ~= "string" then
      message = message == nil and "nil error" or require("pl.pretty").write(message)
    end
    comment(message)
    if failure.isError and trace.traceback then comment(trace.traceback:gsub("^\n", "")) end
    seed()
  end

  function handler.testStart(element)
    last = handler.getFullName(element)
    if report then report:write("# running: ", last, "\n"):flush() end
    return nil, true
  end

  function handler.testEnd(element, _, status)
    local name = handler.getFullName(element)
    if status == "success" then
      count = count + 1
      say(("ok %d - %s"):format(count, name))
    elseif status == "pending" then
      count = count + 1
      local why = handler.pendings[#handler.pendings].message
      say(("ok %d - %s # SKIP %s"):format(count, name, why or "pending"))
    elseif status == "failure" then
      failed(handler.failures[#handler.failures])
    else
      failed(handler.errors[#handler.errors])
    end
    return nil, true
  end

  -- Outside of any test: a file that does not load, a failing after_each.
  function handler.error(element)
    if element.descriptor ~= "it" then
      local failure = handler.errors[#handler.errors]
      if element.descriptor == "after_each" then failure.name = "after_each of " .. last end
      failed(failure)
    end
    return nil, true
  end

  function handler.suiteEnd()
    say("1.." .. count)
    return nil, true
  end

  busted.subscribe({ "test", "end" }, handler.testEnd)
  busted.subscribe({ "test", "start" }, handler.testStart)
  busted.subscribe({ "error" }, handler.error)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
