-- Who is alive is known, too, where /proc cannot be read: it is not mounted, or no
-- descriptor is left to read it by.
local helper = require "spec.helper"

-- A program in which a process holds a lock, and another waits for that.
local function waits_for_a_lock(before, meanwhile)
  return 'local conc = require "conc"\n' .. before .. [[
    local lock, held, go = conc.lock(), conc.event(), conc.event()
    local p = conc.process(function ()
      lock:acquire() held:set() go:wait() lock:release()
      return "released"
    end)
    held:wait()
  ]] .. meanwhile .. [[
    print(lock:acquire(0.3))
    go:set()
    print(p:result())
  ]]
end

describe("without /proc", function ()
  -- The keeper, sweeping after one process, waited for a guard held by another that
  -- was a zombie: only the keeper reaps zombies, and only /proc told of them.
  it("what a killed process held is had all the same", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      require("fail").hide_proc()
      local d = conc.dict()
      local function work()
        while true do d:incr("count") d.text = ("s"):rep(math.random(900)) end
      end
      for _ = 1, 60 do
        local p, q = conc.process(work), conc.process(work)
        conc.sleep(math.random() * 0.01)
        p:kill() q:kill()
        p:join() q:join()
        p:error() q:error()
        d:incr("rounds")
      end
      print(d.rounds)
    ]], { timeout = 40 })
    assert.is_false(run.timeout)
    assert.are.equal("60\n", run.out, run.err)
  end)

  -- A zombie that is not one's own child, and whose parent does not reap it.
  it("what another's child held is had when it was killed", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      require("fail").hide_proc()
      local lock, held, pids = conc.lock(), conc.event(), conc.queue()
      local p = conc.process(function ()
        local child = conc.process(function () lock:acquire() held:set() conc.sleep(60) end)
        pids:put(child:pid())
        child:error()
      end)
      held:wait()
      local pid = pids:get()
      p:kill("STOP")
      os.execute("kill -KILL " .. pid)
      print(lock:acquire(10))
      p:kill("CONT")
      p:join()
    ]])
    assert.are.equal("true\tabandoned\n", run.out, run.err)
  end)

  it("a live holder keeps its lock", function ()
    local run = helper.run_script(waits_for_a_lock("require('fail').hide_proc()\n", ""))
    assert.are.equal("nil\ttimeout\nreleased\n", run.out, run.err)
  end)
end)

describe("without a descriptor left", function ()
  -- What could not be opened counted as not there: a live process as dead.
  it("a live holder keeps its lock", function ()
    local script = os.tmpname()
    helper.write_file(script, waits_for_a_lock("", [[
      local files = {}
      repeat files[#files + 1] = io.open("/dev/null") until not io.open("/dev/null")
    ]]))
    local run = helper.run_script(nil, { command = { "sh", "-c",
      ("ulimit -n 64; exec %s %s"):format(helper.lua, script) } })
    os.remove(script)
    assert.are.equal("nil\ttimeout\nreleased\n", run.out, run.err)
  end)
end)
