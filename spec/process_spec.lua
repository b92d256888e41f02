local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

local function exists(pid)
  local file <close> = io.open("/proc/" .. pid .. "/stat")
  return file ~= nil
end

describe("conc.process", function ()
  it("sees everything its parent had, as a copy", function ()
    local t, co = {1}, coroutine.wrap(function () coroutine.yield(7) end)
    local p <close> = conc.process(function () t[1] = 2 return t[1], co() end)
    assert.are.same({2, 7}, {p:result(soon)})
    assert.are.equal(1, t[1])
  end)

  it("tells its exit code", function ()
    local gate = conc.event()
    local p = conc.process(function (e) e:wait() end, gate)
    assert.is_nil(p:exitcode())
    gate:set()
    p:join(soon)
    assert.are.equal(0, p:exitcode())
    p = conc.process(function () error "x" end)
    p:error(soon)
    assert.are.equal(1, p:exitcode())
    p = conc.process(function () os.exit(3) end)
    p:error(soon)
    assert.are.equal(3, p:exitcode())
    p = conc.process(function () os.exit(true) end)
    p:error(soon)
    assert.are.equal(0, p:exitcode())
    p = conc.process(function () conc.sleep(60) end)
    p:kill()
    p:join(soon)
    assert.are.equal(-9, p:exitcode())
    p = conc.process(function () conc.sleep(60) end)
    helper.eventually(function () return p:state() == "running" end)
    p:cancel()
    p:join(soon)
    assert.are.equal(1, p:exitcode())
  end)

  it("says how it died", function ()
    local p = conc.process({name = "cruncher"}, function () conc.sleep(60) end)
    p:kill("KILL")
    local ok, e = pcall(p.result, p, soon)
    assert.is_false(ok)
    assert.are.equal(('process "cruncher" (pid %d) was killed by signal 9'):format(p:pid()), e)
    assert.are.equal(e, (p:error()))
    assert.are.equal("failed", p:state())
    p = conc.process({name = "leaver"}, function () os.exit(0) end)
    ok, e = pcall(p.result, p, soon)
    assert.is_false(ok)
    assert.are.equal(('process "leaver" (pid %d) left by os.exit(0)'):format(p:pid()), e)
  end)

  it("is gone when join returns, no zombie either", function ()
    for _ = 1, 50 do
      local p = conc.process(function () end)
      p:join(soon)
      assert.is_false(exists(p:pid()))
    end
  end)

  -- Who joins it reaps it himself: one of them, once.
  it("is reaped once, whoever joins it", function ()
    local gate, all, joiners = conc.event(), {}, {}
    for i = 1, 20 do all[i] = conc.process(function () gate:wait() end) end
    for i = 1, 3 do
      joiners[i] = conc.thread(function (list)
        local codes = {}
        for k, p in ipairs(list) do codes[k] = p:join(5) and p:exitcode() end
        return codes
      end, all)
    end
    gate:set()
    for _, p in ipairs(all) do
      assert.is_true(p:join(soon))
      assert.is_false(exists(p:pid()))
    end
    for _, t in ipairs(joiners) do
      local codes = t:result(soon)
      for i = 1, 20 do assert.are.equal(0, codes[i]) end
    end
  end)

  -- Its exit is awaited awake for a moment only: here its output is stuck for longer.
  it("is joined though its exit takes long", function ()
    local out = assert(io.popen("sleep 0.5; cat > /dev/null", "w"))
    out:setvbuf("full", 1 << 20)
    local p = conc.process(function ()
      out:write(("x"):rep(1 << 19))
    end)
    assert.is_true(p:join(soon))
    assert.are.equal(0, p:exitcode())
    assert.is_false(exists(p:pid()))
    out:close()
  end)

  -- They run on a coroutine that is made once; but a child runs on its own.
  it("runs children of children on coroutines of their own, the parent's unharmed", function ()
    local function count(n)
      local me = coroutine.running()
      if n == 0 then return 0 end
      local p = conc.process(count, n - 1)
      local below = p:result(5)
      assert(me == coroutine.running() and coroutine.isyieldable() == false)
      return below + 1
    end
    assert.are.equal(4, conc.process(count, 4):result(soon))
    local values = {}
    for i = 1, 40 do values[i] = i end
    local p = conc.process(function (...) return select("#", ...), ... end, table.unpack(values))
    assert.are.same({40, table.unpack(values)}, {p:result(soon)})
    assert.are.equal(2, conc.process(function (...) return select("#", ...) end, 1, nil)
                          :result(soon))
  end)

  it("sees a hook that its parent had, as a new coroutine does", function ()
    local function mask() return select(2, debug.gethook()) end
    debug.sethook(function () end, "", 1000000)
    local with = conc.process(function () return (select(3, debug.gethook())) end)
    debug.sethook()
    local without = conc.process(mask)
    assert.are.equal(1000000, with:result(soon))
    assert.are.equal("", without:result(soon) or "")
  end)

  it("takes signals by number and name, and tells whether it was alive", function ()
    local p = conc.process(function () conc.sleep(60) end)
    assert.is_true(p:kill(0))
    assert.is_true(p:terminate())
    p:join(soon)
    assert.are.equal(-15, p:exitcode())
    assert.is_false(p:terminate())
    assert.is_false(p:kill())
    assert.is_false(p:cancel())
    p = conc.process(function () conc.sleep(60) end)
    assert.is_true(p:kill("SIGTERM"))
    p:join(soon)
    assert.are.equal(-15, p:exitcode())
    assert.has_error(function () p:kill("NONSUCH") end)
    assert.has_error(function () p:kill(5000) end)
    assert.has_error(function () p:kill({}) end)
  end)

  it("can be stopped by a sibling and by its child", function ()
    local p = conc.process(function () conc.sleep(60) end)
    local q <close> = conc.process(function (other) return other:kill() end, p)
    assert.is_true(q:result(soon))
    p:join(soon)
    assert.are.equal(-9, p:exitcode())
    local r = conc.process(function ()
      local me = conc.current()
      conc.process(function () me:terminate() end)
      conc.sleep(60)
    end)
    r:join(soon)
    assert.are.equal(-15, r:exitcode())
    r:error()
  end)

  it("can be waited for by whoever has it", function ()
    local p = conc.process(function () conc.sleep(0.05) return "x" end)
    local t <close> = conc.thread(function (other) return other:result() end, p)
    local q = conc.process(function () return p:result() end)
    assert.are.equal("x", t:result(soon))
    assert.are.equal("x", q:result(soon))
    p = conc.process(function () conc.sleep(60) end)
    q = conc.process(function () return (p:error()) end)
    conc.sleep(0.05)
    p:kill()
    assert.matches("was killed by signal 9", q:result(soon))
    p:error()
  end)

  it("forks from threads and from children, three deep", function ()
    local t <close> = conc.thread(function ()
      return conc.process(function ()
        return conc.process(function ()
          return conc.process(function () return "deep" end):result()
        end):result()
      end):result()
    end)
    assert.are.equal("deep", t:result(soon))
  end)

  it("lives on when the thread that forked it has ended", function ()
    local t <close> = conc.thread(function ()
      return conc.process(function () conc.sleep(0.1) return "alive" end)
    end)
    assert.are.equal("alive", t:result(soon):result(soon))
  end)

  it("tells of a thread that died with it", function ()
    local q = conc.queue()
    local p = conc.process(function ()
      q:put(conc.thread({name = "inner"}, function () conc.sleep(60) end))
      conc.sleep(60)
    end)
    local inner = q:get(soon)
    p:kill()
    local e = inner:error(soon)
    assert.matches('thread "inner" %(pid %d+%) died with its process', e)
    p:error()
  end)

  it("is reaped by its pid only: the host's own children stay its own", function ()
    local pipe = io.popen("sleep 0.1; exit 3")
    for _ = 1, 5 do conc.process(function () end):join(soon) end
    assert.are.same({nil, "exit", 3}, {pipe:close()})
  end)

  it("survives forks while other threads lock, allocate and print", function ()
    helper.needs_fork()
    local stop = conc.event()
    local noise = {}
    for i = 1, 3 do
      noise[i] = conc.thread(function (e)
        local d, l = conc.dict(), conc.lock()
        local n = 0
        while not e:is_set() do
          l:with(function () d[n % 10] = {n} end)
          local t = conc.thread(function (x) return x end, n)
          t:join()
          io.stderr:write("")
          n = n + 1
        end
        return n
      end, stop)
    end
    for i = 1, 40 do
      local p = conc.process(function ()
        local t = conc.thread(function () return 1 end)
        io.stdout:write("")
        local q = conc.queue()
        q:put({i})
        return q:get()[1] + t:result()
      end)
      assert.are.equal(i + 1, p:result(soon))
    end
    stop:set()
    for i = 1, 3 do assert.is_true(noise[i]:result(soon) > 0) end
  end)
end)

-- Those of a C library, or of a module for POSIX: conc is told of them by the system.
describe("a fork of the host's own", function ()
  it("gives a process like any", function ()
    local fork = require "fork"
    local q, n, lock = conc.queue(), conc.value(5), conc.lock()
    assert.are.equal(0, fork(function ()
      assert(lock:acquire() == true)
      assert(n:add(2) == 7)
      lock:release()
      assert(conc.thread(function () return 1 end):result(20) == 1)
      assert(conc.process(function () return 2 end):result(20) == 2)
      q:put("done")
    end))
    assert.are.equal("done", q:get(soon))
    assert.are.equal(7, n:get())
    assert.are.equal(-9, fork(function ()
      lock:acquire()
      q:put(conc.process(function () conc.sleep(60) end))
      conc.current()  -- a thread like the main one
      os.execute "true"
      fork(function () conc.sleep(0.01) end)
      assert(q:get(20):kill())
      local self = io.open("/proc/self/stat"):read("n")
      os.execute("kill -9 " .. self)
      conc.sleep(60)
    end))
    assert.are.same({true, "abandoned"}, {lock:acquire(soon)})
    lock:release()
  end)

  -- One held what the other waited for, and the other way round.
  it("goes on beside those of conc", function ()
    helper.needs_fork()
    local r = helper.run_script(([[
      local conc = require "conc"
      local fork = require "fork"
      local stop = conc.event()
      local forks = conc.thread(function ()
        local n = 0
        while not stop:is_set() do n = n + 1 + require "fork"() end
        return n
      end)
      for i = 1, %d do conc.process(function () end):join(20) end
      for i = 1, 50 do fork() end
      stop:set()
      print(forks:result(20) > 0)
    ]]):format(helper.sanitizer and 50 or 500), { timeout = 30 })
    assert.is_false(r.timeout)
    assert.are.equal("true\n", r.out, r.err)
  end)
end)
