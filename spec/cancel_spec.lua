local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

-- Waits that a thread or process can be stopped in. Each makes what it needs.
-- (Functions that are kept keep their code in the arena: made anew for each test.)
local function new_waits() return {
  sleep = function () conc.sleep(math.huge) end,
  join = function (q) q:get():join() end,
  result = function (q) q:get():result() end,
  event = function () conc.event():wait() end,
  get = function () conc.queue():get() end,
  put = function () local q = conc.queue(1) q:put(1) q:put(2) end,
  semaphore = function () conc.semaphore(0):acquire() end,
  condition = function () local c = conc.condition() c:acquire() c:wait() end,
  barrier = function () conc.barrier(2):wait() end,
  recv = function () local a, b = conc.pipe() a:recv() b:close() end,
  select = function () conc.select({conc.queue(), conc.event()}) end,
  wait = function (q) conc.wait({q:get()}, {return_when = "first"}) end,
} end

describe("cancelling", function ()
  helper.each_kind(function (start)
    for name in pairs(new_waits()) do
      it("ends a wait: " .. name, function ()
        local begun, q = conc.event(), conc.queue()
        local other = conc.thread(conc.sleep, 60)
        local t = start(function (e, f, ...) e:set() f(...) end, begun, new_waits()[name], q)
        begun:wait(soon)
        q:put(other)
        conc.sleep(0.02)
        local from = conc.now()
        assert.is_true(t:cancel())
        assert.is_true(t:join(soon))
        assert.is_true(conc.now() - from < helper.pace(0.5), conc.now() - from)
        assert.are.equal("cancelled", t:state())
        local ok, e = pcall(t.result, t)
        assert.is_false(ok)
        assert.are.equal(conc.cancelled, e)
        assert.is_false(t:cancel())
        other:cancel()
        assert.is_true(other:join(soon))
      end)
    end

    local function stops(f, ...)
      local begun = conc.event()
      local t = start(function (e, g, ...) e:set() return g(...) end, begun, f, ...)
      begun:wait(soon)
      conc.sleep(0.01)
      t:cancel()
      assert.is_true(t:join(soon))
      return t
    end

    it("stops a busy loop", function ()
      helper.needs_signals()
      local t = stops(function () while true do end end)
      assert.are.equal("cancelled", t:state())
    end)

    it("stops a busy coroutine, and busy calls of C in a loop", function ()
      helper.needs_signals()
      local t = stops(function () coroutine.wrap(function () while true do end end)() end)
      assert.are.equal("cancelled", t:state())
      t = stops(function () while true do string.rep("x", 100) end end)
      assert.are.equal("cancelled", t:state())
    end)

    it("is met again by who swallows it", function ()
      helper.needs_signals()
      local t = stops(function ()
        while true do pcall(function () while true do end end) end
      end)
      assert.are.equal("cancelled", t:state())
      t = stops(function () while true do pcall(conc.sleep, 60) end end)
      assert.are.equal("cancelled", t:state())
    end)

    it("leaves time to clean up", function ()
      local q = conc.queue()
      local t = stops(function (out)
        local _, e = pcall(conc.sleep, 60)
        out:close()
        local sum = 0
        for i = 1, 50 do sum = sum + i end
        error(sum > 0 and e)
      end, q)
      assert.are.equal("cancelled", t:state())
      assert.is_true(q:closed())
    end)

    it("is an outcome only where it leaves f", function ()
      local t = stops(function ()
        pcall(conc.sleep, 60)
        return "fine"
      end)
      assert.are.equal("done", t:state())
      assert.are.equal("fine", t:result())
      t = stops(function ()
        pcall(conc.sleep, 60)
        error("other", 0)
      end)
      assert.are.equal("failed", t:state())
      assert.are.equal("other", (t:error()))
    end)

    it("runs <close> variables, which it does not interrupt", function ()
      helper.needs_signals()
      local v = conc.value(0)
      local t = stops(function (out)
        local _ <close> = setmetatable({}, {__close = function ()
          conc.sleep(0.05)
          local n = 0
          for _ = 1, 200000 do n = n + 1 end
          conc.event():wait(0.01)
          out:set(n)
        end})
        conc.sleep(60)
      end, v)
      assert.are.equal("cancelled", t:state())
      assert.are.equal(200000, v:get())
      v:set(0)
      t = stops(function (out)
        local _ <close> = setmetatable({}, {__close = function ()
          for i = 1, 200000 do if i == 200000 then out:set(i) end end
        end})
        while true do end
      end, v)
      assert.are.equal("cancelled", t:state())
      assert.are.equal(200000, v:get())
    end)

    it("is put off by shield", function ()
      local t = stops(function ()
        local got = table.pack(conc.shield(function (...)
          conc.sleep(0.05)
          local n = 0
          for _ = 1, 200000 do n = n + 1 end
          return n, ...
        end, "a", nil))
        return got.n, got[1], got[2]
      end)
      assert.are.equal("done", t:state())
      assert.are.same({3, 200000, "a"}, {t:result()})
      t = stops(function ()
        conc.shield(conc.sleep, 0.05)
        conc.sleep(60)
      end)
      assert.are.equal("cancelled", t:state())
    end)

    it("never lets begin what has not begun", function ()
      local v = conc.value(0)
      for _ = 1, 20 do
        local t = start(function (x) x:add(1) conc.sleep(60) end, v)
        t:cancel()
        assert.is_true(t:join(soon))
        assert.are.equal("cancelled", t:state())
      end
    end)

    it("reaches threads of another process", function ()
      helper.needs_signals()
      local q = conc.queue()
      local p = start(function (out)
        out:put(conc.thread(function () while true do end end))
        out:put(conc.thread(function () conc.sleep(60) end))
      end, q)
      local busy, idle = q:get(soon), q:get(soon)
      conc.sleep(0.02)
      assert.is_true(busy:cancel())
      assert.is_true(idle:cancel())
      assert.is_true(busy:join(soon))
      assert.is_true(idle:join(soon))
      assert.are.equal("cancelled", busy:state())
      assert.are.equal("cancelled", idle:state())
      p:join(soon)
    end)
  end)

  it("of a thread here works from a child", function ()
    helper.needs_signals()
    local t = conc.thread(function () while true do end end)
    conc.sleep(0.02)
    local p = conc.process(function (x) return x:cancel() end, t)
    assert.is_true(p:result(soon))
    assert.is_true(t:join(soon))
    assert.are.equal("cancelled", t:state())
  end)

  it("raises one value, equal everywhere, and re-raised as it is", function ()
    local t = conc.thread(function () error(conc.cancelled) end)
    assert.is_true(t:join(soon))
    assert.are.equal("cancelled", t:state())
    assert.are.equal(conc.cancelled, (t:error()))
    local same = conc.thread(function (c) return c == conc.cancelled, c end, conc.cancelled)
    assert.are.same({true, conc.cancelled}, {same:result(soon)})
    assert.matches("cancelled", tostring(conc.cancelled))
  end)

  it("leaves the program's SIGURG as it was", function ()
    local r = helper.run_script [[
      local conc = require "conc"
      local function dispositions()
        local text = io.open("/proc/self/status"):read("a")
        return text:match("SigCgt:%s*(%x+)"), text:match("SigIgn:%s*(%x+)")
      end
      conc.thread(function () end):join()  -- pthreads take signals for themselves
      local caught, ignored = dispositions()
      for _ = 1, 5 do
        local t = conc.thread(function () while true do end end)
        conc.sleep(0.01)
        t:cancel()
        t:join()
      end
      local c, i = dispositions()
      print(caught == c, ignored == i, c, i, caught, ignored)
    ]]
    assert.matches("^true\ttrue", r.out)
  end)
end)

describe("conc.shield", function ()
  it("gives f's results and passes its errors on", function ()
    assert.are.same({n = 3, 1, nil, 3}, table.pack(conc.shield(function () return 1, nil, 3 end)))
    local ok, e = pcall(conc.shield, error, "x")
    assert.is_false(ok)
    assert.are.equal("x", e)
    assert.has_error(function () conc.shield(5) end)
  end)

  it("may be left by a yield", function ()
    local co = coroutine.wrap(function () return conc.shield(coroutine.yield, 1) end)
    assert.are.equal(1, co())
    assert.are.equal(2, co(2))
  end)
end)
