local conc = require "conc"
local helper = require "spec.helper"

-- The table as rows: name -> {pid, id, name, state, rest}. Columns are two or more
-- blanks apart; an empty one is none.
local function rows_of(text)
  local rows = {}
  for line in text:gmatch("[^\n]+") do
    local pid, id, name, state, rest = line:match("^ *(%d+) +(%d+)  (%S+) +(%a+)(.*)$")
    if pid then
      rows[name] = { pid = tonumber(pid), id = tonumber(id), state = state, rest = rest }
    end
  end
  return rows
end

local function dump()
  local path = os.tmpname()
  assert(conc.dump(path))
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text, rows_of(text)
end

local function do_nothing() end

-- Dumps until the row of 'name' matches the pattern.
local function dump_shows(name, pattern)
  local text, rows
  local found = helper.eventually(function ()
    text, rows = dump()
    return rows[name] and (rows[name].state .. rows[name].rest):find(pattern)
  end, helper.pace(5))
  assert.is_truthy(found, ("no %q of %s in\n%s"):format(pattern, name, text))
  return rows, text
end

describe("conc.dump", function ()
  it("has the caller, running, at its line", function ()
    local here = debug.getinfo(1, "l").currentline + 1
    local text, rows = dump()  -- inside it conc.dump is at another line of this file
    assert.is_truthy(text:find("^conc: 1 process, 1 thread\n"), text)
    assert.are.equal("running", rows.main.state)
    assert.is_truthy(rows.main.rest:find("dump_spec.lua:%d+"), text)
    assert.is_true(here > 0)
    assert.are.equal(conc.current():pid(), rows.main.pid)
    assert.are.equal(conc.current():id(), rows.main.id)
  end)

  it("writes to an open file, a path, and standard error", function ()
    local file <close> = io.tmpfile()
    assert.is_true(conc.dump(file))
    file:seek("set")
    assert.is_truthy(file:read("a"):find("main"))
    local run = helper.run_script [[require("conc").dump() print "out"]]
    assert.are.equal("out\n", run.out)
    assert.is_truthy(run.err:find("^conc: 1 process, 1 thread\n"), run.err)
    assert.has_error(function () conc.dump(42) end)
    assert.has_error(function () conc.dump("/no/such/folder/file") end)
    file:close()
    assert.has_error(function () conc.dump(file) end)
  end)

  it("tells what a thread waits for, since when, and who holds it", function ()
    local lock = conc.lock()
    lock:acquire()
    local t <close> = conc.thread({ name = "waiter" }, function () lock:with(do_nothing) end)
    local rows = dump_shows("waiter",
      "acquire lock made at .*dump_spec.lua:%d+ +[%d.]+ s +\"main\"")
    assert.are.equal("waiting", rows.waiter.state)
    assert.are.equal(t:id(), rows.waiter.id)
    lock:release()
  end)

  it("tells the same of a process, and of a holder in another process", function ()
    local lock, held, go = conc.lock(), conc.event(), conc.event()
    local p <close> = conc.process({ name = "holder" }, function ()
      lock:with(function () held:set() go:wait() end)
    end)
    held:wait(helper.soon)
    local _ <close> = conc.thread({ name = "waiter" }, function () lock:with(do_nothing) end)
    local rows, text = dump_shows("waiter", "acquire lock .*\"holder\" %(id " .. p:id() .. "%)")
    assert.are.equal(p:pid(), rows.holder.pid)
    assert.is_truthy(rows.holder.rest:find("wait event"), text)
    assert.is_truthy(text:find("^conc: 2 processes, 3 threads\n"), text)
    go:set()
  end)

  it("tells timeouts, joins and timers", function ()
    local q = conc.queue()
    local getter = conc.thread({ name = "getter" }, function () q:get(60) end)
    local joiner = conc.thread({ name = "joiner" }, function () getter:join() end)
    local timer = conc.timer({ name = "alarm" }, 60, print)
    dump_shows("getter", "get queue %(timeout in [%d.]+ s%)")
    dump_shows("joiner", 'join thread "getter" .*"getter"')
    dump_shows("alarm", "its time %(due in [%d.]+ s%)")
    for _, t in ipairs { getter, joiner, timer } do
      t:cancel()
      t:join()
    end
  end)

  for _, kind in ipairs(helper.kinds) do
    it("asks a busy " .. kind .. " for its line, inside of a coroutine too", function ()
      local stop = conc.value(false)
      local _ <close> = conc[kind]({ name = "busy" }, function ()
        local step = coroutine.wrap(function ()
          local n = 0
          while not stop:get() do
            n = n + 1
          end
        end)
        step()
      end)
      local rows = dump_shows("busy", "running +%S*dump_spec.lua:%d+$")
      assert.are.equal("running", rows.busy.state)
      stop:set(true)
    end)
  end

  -- It said "work object (timeout in -4.8 s)": of a wait that had a deadline at first.
  it("tells that a pool's worker waits for work, without end", function ()
    local pool <close> = conc.process_pool { workers = 2, name = "idle" }
    local both = conc.barrier(2)  -- each worker has had a task: they have begun
    local function meet() both:wait() end
    conc.wait { pool:submit(meet), pool:submit(meet) }
    dump_shows("idle/worker-1", "waiting +work +[%d.]+ s$")
    dump_shows("idle/worker-2", "waiting +work +[%d.]+ s$")
  end)

  it("leaves a debug hook of the program alone", function ()
    local run = helper.run_script [[
      local conc = require "conc"
      local t = conc.thread({name = "hooked"}, function ()
        local n = 0
        debug.sethook(function () n = n + 1 end, "", 1000)
        local before = conc.now()
        while conc.now() - before < 0.4 do end
        return n > 10, debug.gethook() ~= nil
      end)
      conc.sleep(0.1)
      conc.dump(io.tmpfile())
      print(t:result())
    ]]
    assert.are.equal("true\ttrue\n", run.out, run.err)
  end)

  it("is not held up by who does not answer", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      local socket = require "socket"
      local t = conc.thread({name = "stuck", daemon = true}, function ()
        require("socket").sleep(20)
      end)
      conc.sleep(0.2)
      local start = conc.now()
      conc.dump(io.stdout)
      print(conc.now() - start < 1)
      os.exit(0)
    ]], { timeout = 15 })
    assert.is_truthy(run.out:find("stuck +running"), run.out .. run.err)
    assert.is_truthy(run.out:find("true\n$"), run.out)
  end)

  it("can be asked by many at once", function ()
    local threads = {}
    for i = 1, 6 do
      threads[i] = conc[i % 2 == 0 and "thread" or "process"](function ()
        local path = os.tmpname()
        for _ = 1, 10 do conc.dump(path) end
        os.remove(path)
      end)
    end
    for _, t in ipairs(threads) do
      assert.is_true(t:join(helper.soon))
      assert.is_nil((t:error()))
    end
  end)
end)

describe("SIGQUIT", function ()
  local script = [[
    local conc = require "conc"
    %s
    local p = conc.process({name = "child"}, conc.sleep, 600)
    local t = conc.thread({name = "napper"}, conc.sleep, 600)
    conc.sleep(0.1)
    io.stdout:write("ready\n")
    io.stdout:flush()
    conc.sleep(1)
    p:cancel()
    t:cancel()
    io.stdout:write("end\n")
  ]]

  local function quit(setup, env, alone)
    return helper.run_script(script:format(setup), {
      signal = 3, when = "ready", after = 0.1, timeout = 30, env = env, alone = alone,
    })
  end

  local function has_table(run)
    assert.are.equal("ready\nend\n", run.out, run.err)
    assert.are.equal(0, run.code)
    local _, count = run.err:gsub("conc: 2 processes, 3 threads\n", "")
    assert.are.equal(1, count, run.err)
    assert.is_truthy(run.err:find("napper +waiting .*sleep"), run.err)
    assert.is_truthy(run.err:find("child +waiting .*sleep"), run.err)
  end

  it("has the table written once, after conc.dump_on_signal()", function ()
    has_table(quit("conc.dump_on_signal() conc.dump_on_signal()"))
  end)

  it("does so where only the main process gets it", function ()
    has_table(quit("conc.dump_on_signal()", nil, true))
  end)

  it("does so with CONC_DUMP=1", function ()
    has_table(quit("", { CONC_DUMP = 1 }))
  end)

  it("has it written while the main thread is busy, at its line", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      conc.dump_on_signal()
      io.stdout:write("ready\n")
      io.stdout:flush()
      local start = conc.now()
      local n = 0
      while n < 5e9 and conc.now() - start < 1 do n = n + 1 end
      print "end"
    ]], { signal = 3, when = "ready", after = 0.1, timeout = 30 })
    assert.are.equal("ready\nend\n", run.out)
    assert.is_truthy(run.err:find("main +running +%S+:[67]\n"), run.err)
  end)

  it("ends the program as ever without either", function ()
    local run = quit("", { CONC_DUMP = "" })
    assert.are.equal(3, run.signal)
    assert.is_nil(run.err:find("conc: 2 processes", 1, true))
  end)
end)
