-- lock and rlock: what CPython's lock tests check, for threads and processes,
-- and what a holder's death leaves.
local conc = require "conc"
local helper = require "spec.helper"

for _, kind in ipairs { "lock", "rlock" } do
  describe("conc." .. kind, function ()
    it("is free at first, held once acquired, free once released", function ()
      local lock = conc[kind]()
      assert.are.equal(kind, conc.type(lock))
      assert.is_false(lock:locked())
      assert.is_true(lock:acquire())
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
      for _ = 1, 100 do
        assert.is_true(lock:acquire())
        lock:release()
      end
    end)

    it("says at the prompt who holds it", function ()
      local lock = conc[kind]()
      assert.are.equal(("conc.%s (free)"):format(kind), tostring(lock))
      lock:acquire()
      assert.are.equal(('conc.%s (held by "main")'):format(kind), tostring(lock))
      lock:release()
    end)

    it("refuses a release when free, by name", function ()
      local lock = conc[kind]()
      local ok, message = pcall(function () lock:release() end)
      assert.is_false(ok)
      assert.matches("'release' on bad self", message)
      assert.matches("release by its holder expected: " .. kind .. " is not held", message)
      lock:acquire()
      lock:release()
      assert.is_false(pcall(lock.release, lock))
    end)

    it("refuses what is no timeout", function ()
      local lock = conc[kind]()
      for _, bad in ipairs { "soon", true, {}, 0 / 0 } do
        local ok, message = pcall(lock.acquire, lock, bad)
        assert.is_false(ok)
        assert.matches("timeout in seconds expected", message)
        assert.is_false(lock:locked())
      end
      assert.is_false(pcall(lock.acquire))
      assert.is_false(pcall(lock.acquire, conc.event()))
      for _, never in ipairs { math.huge, 1e300 } do
        assert.is_true(lock:acquire(never))
        lock:release()
      end
      assert.is_true(lock:acquire(nil))
      lock:release()
      assert.is_true(lock:acquire(-1))
      lock:release()
    end)

    it("is held by guard until its scope is left, however", function ()
      local lock = conc[kind]()
      do
        local held <close> = lock:guard()
        assert.are.equal(lock, held)
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
      local ok, message = pcall(function ()
        local _ <close> = lock:guard(1)
        error("boom", 0)
      end)
      assert.is_false(ok)
      assert.are.equal("boom", message)
      assert.is_false(lock:locked())
    end)

    it("runs a function in with: all its results, released even on error", function ()
      local lock = conc[kind]()
      local function id(...)
        assert(lock:locked())
        return ...
      end
      assert.are.same(table.pack(1, nil, "x", nil), table.pack(lock:with(id, 1, nil, "x", nil)))
      assert.are.equal(0, select("#", lock:with(id)))
      local value = {}
      local ok, raised = pcall(lock.with, lock, error, value)
      assert.is_false(ok)
      assert.are.equal(value, raised)
      assert.is_false(lock:locked())
      assert.is_false(pcall(lock.with, lock, 42))
      assert.is_false(lock:locked())
      local callable = setmetatable({}, { __call = function (_, x) return x + 1 end })
      assert.are.equal(3, lock:with(callable, 2))
    end)

    it("is let go by a coroutine that yields inside of with, at its end or close", function ()
      local lock = conc[kind]()
      local function body() coroutine.yield("in") return "out" end
      local co = coroutine.create(function () return lock:with(body) end)
      assert.are.same({ true, "in" }, { coroutine.resume(co) })
      assert.is_true(lock:locked())
      assert.are.same({ true, "out" }, { coroutine.resume(co) })
      assert.is_false(lock:locked())
      co = coroutine.create(function () return lock:with(body) end)
      coroutine.resume(co)
      assert.is_true(lock:locked())
      assert.is_true(coroutine.close(co))
      assert.is_false(lock:locked())
    end)

    it("keeps the traceback of an error inside of with", function ()
      local lock = conc[kind]()
      local function deep_inside() error("lost") end
      local _, trace = xpcall(lock.with, debug.traceback, lock, function () deep_inside() end)
      assert.matches("deep_inside", trace)
    end)

    it("can be dropped while it is held", function ()
      local lock = conc[kind]()
      lock:acquire()
      lock = nil  -- luacheck: ignore
      collectgarbage()
    end)

    helper.each_kind(function (start)
      it("keeps others out, and tells them who holds it", function ()
        local lock = conc[kind]()
        lock:acquire()
        local t <close> = start(function ()
          local now = table.pack(lock:acquire(0))
          local began = conc.now()
          local later = table.pack(lock:acquire(0.05))
          local spent = conc.now() - began
          return now, later, spent, select(2, pcall(lock.release, lock)), tostring(lock)
        end)
        local now, later, spent, refusal, text = t:result(helper.soon)
        assert.are.same({ nil, "timeout", n = 2 }, now)
        assert.are.same({ nil, "timeout", n = 2 }, later)
        assert.is_true(spent >= 0.05, "a timeout that was early")
        assert.matches(kind .. ' is held by "main"', refusal)
        assert.are.equal(('conc.%s (held by "main")'):format(kind), text)
        assert.is_true(lock:locked())
        lock:release()
      end)

      it("goes to one who waits when it is released", function ()
        local lock = conc[kind]()
        lock:acquire()
        local t <close> = start({ name = "taker" }, function ()
          assert(lock:acquire())
          local text = tostring(lock)
          lock:release()
          return text
        end)
        conc.sleep(0.03)
        lock:release()
        assert.are.equal(('conc.%s (held by "taker")'):format(kind), t:result(helper.soon))
        assert.is_true(lock:acquire(helper.soon))
        lock:release()
      end)

      it("lets one at a time through", function ()
        local lock, a, b = conc[kind](), conc.value(0), conc.value(0)
        local list = {}
        for i = 1, 4 do
          list[i] = start(function ()
            local bad = 0
            for n = 1, 500 do
              if n % 5 == 0 then
                while not lock:acquire(0.001) do end
              else
                lock:acquire()
              end
              local x = a:get()
              if x ~= b:get() then bad = bad + 1 end
              a:set(x + 1)
              b:set(x + 1)
              lock:release()
            end
            return bad
          end)
        end
        for _, t in ipairs(list) do assert.are.equal(0, t:result(helper.soon)) end
        assert.are.equal(2000, a:get())
        assert.is_false(lock:locked())
      end)

      it("does not starve one who waits beside one who never pauses", function ()
        local worst = helper.longest_wait(start, conc[kind]())
        assert.is_true(worst < helper.pace(2), ("waited %.3f s"):format(worst))
      end)

      it("is handed on as abandoned by a holder that ended normally", function ()
        local lock = conc[kind]()
        local t <close> = start(function () lock:acquire() end)
        t:result(helper.soon)
        assert.are.same({ true, "abandoned" }, { lock:acquire(helper.soon) })
        lock:release()
        assert.are.same({ true }, { lock:acquire(0) })
        lock:release()
      end)

      it("is told abandoned to one who has been waiting", function ()
        local lock, held, go = conc[kind](), conc.event(), conc.event()
        local t <close> = start(function ()
          lock:acquire()
          held:set()
          go:wait()
        end)
        local w <close> = start(function ()
          held:wait()
          return lock:acquire(helper.soon)
        end)
        held:wait()
        conc.sleep(0.03)
        go:set()
        assert.are.same({ true, "abandoned" }, { w:result(helper.soon) })
        assert.is_true(t:join(helper.soon))
      end)

      it("goes on, as if new, with guard and with on an abandoned one", function ()
        local lock = conc[kind]()
        local t <close> = start(function () lock:acquire() end)
        t:join(helper.soon)
        do
          local held <close> = assert(lock:guard(helper.soon))
          assert.are.equal(lock, held)
        end
        assert.is_false(lock:locked())
        local u <close> = start(function () lock:acquire() end)
        u:join(helper.soon)
        assert.are.equal("in", lock:with(function () return "in" end))
        assert.is_false(lock:locked())
      end)

      it("is let go by one that is cancelled in its section", function ()
        local lock, inside = conc[kind](), conc.event()
        local t <close> = start(function ()
          local _ <close> = lock:guard()
          inside:set()
          conc.sleep(60)
        end)
        inside:wait(helper.soon)
        t:cancel()
        assert.are.same({ true }, { lock:acquire(helper.soon) })
        lock:release()
        assert.are.equal("cancelled", helper.eventually(function ()
          return t:done() and t:state()
        end))
      end)

      it("is not taken along by a waiter that is cancelled", function ()
        local lock = conc[kind]()
        lock:acquire()
        local t <close> = start(function () lock:acquire() end)
        local u <close> = start(function ()
          local ok, why = lock:acquire()
          lock:release()
          return ok, why
        end)
        conc.sleep(0.03)
        assert.is_true(t:cancel())
        assert.is_true(t:join(helper.soon))
        lock:release()
        assert.are.same({ true }, { u:result(helper.soon) })
      end)
    end)

    it("survives a process killed while it holds or waits", function ()
      local lock, a, b = conc[kind](), conc.value(0), conc.value(0)
      local function work()
        while true do
          local _, abandoned = lock:acquire()
          if abandoned then b:set(a:get()) end
          if a:get() ~= b:get() then os.exit(3) end
          a:add(1)
          b:add(1)
          lock:release()
        end
      end
      helper.kill_at_random({ work, work, work }, a)
      assert.is_true(lock:acquire(helper.soon))
      lock:release()
    end)

    it("made in a child, is used by its parent", function ()
      local q = conc.queue()
      local p <close> = conc.process(function ()
        local lock = conc[kind]()
        lock:acquire()
        q:put({ box = { lock } })
        conc.sleep(60)
      end)
      local lock = q:get(helper.soon).box[1]
      assert.are.equal(kind, conc.type(lock))
      assert.are.same({ nil, "timeout" }, { lock:acquire(0.01) })
      p:kill()
      assert.are.same({ true, "abandoned" }, { lock:acquire(helper.soon) })
      lock:release()
    end)
  end)
end

describe("conc.lock", function ()
  it("waits out a timeout of its own holder, and raises without one", function ()
    local lock = conc.lock()
    lock:acquire()
    assert.are.same({ nil, "timeout" }, { lock:acquire(0) })
    local began = conc.now()
    assert.are.same({ nil, "timeout" }, { lock:acquire(0.02) })
    assert.is_true(conc.now() - began >= 0.02)
    local ok, message = pcall(lock.acquire, lock)
    assert.is_false(ok)
    assert.matches("^deadlock: ", (message:gsub("^.-:%d+: ", "")))
    assert.matches('"main" waits for lock made at .*lock_spec.lua:%d+, held by "main"', message)
    assert.is_true(lock:locked())
    lock:release()
    assert.is_false(lock:locked())
  end)

  it("makes no system call while it is free", function ()
    helper.needs_strace()
    local r = helper.run_script([[
      local conc = require "conc"
      local lock, rlock, rw, s = conc.lock(), conc.rlock(), conc.rwlock(), conc.semaphore()
      local e, c = conc.event(), conc.condition()
      collectgarbage("stop")
      local function use()
        lock:acquire() lock:release()
        rlock:acquire() rlock:acquire() rlock:release() rlock:release()
        rw:acquire_read() rw:release() rw:acquire_write() rw:release()
        s:acquire() s:release()
        e:set() e:wait() e:clear()
        c:acquire() c:notify() c:release()
      end
      use()
      io.stderr:write("begin\n")
      for _ = 1, 1000 do use() end
      io.stderr:write("end\n")
    ]], { command = { "strace", "-f", "-o", "/dev/stdout", helper.lua }, env = helper.traced })
    local between = r.out:match('"begin\\n"[^\n]*\n(.*)\n[^\n]*"end\\n"')
    assert.is_truthy(r.out:find('"begin\\n"', 1, true), r.err)
    local calls = {}
    for line in (between or ""):gmatch("[^\n]+") do
      -- other threads of the library may run; a process of one thread has none
      if not line:find("resumed>") and not line:find("brk%(") then calls[#calls + 1] = line end
    end
    assert.is_true(#calls < 10, table.concat(calls, "\n"))
  end)
end)

describe("conc.rlock", function ()
  it("is acquired again by its holder and released as often", function ()
    local lock = conc.rlock()
    for _ = 1, 50 do assert.is_true(lock:acquire()) end
    assert.is_true(lock:acquire(0))
    for _ = 1, 51 do
      assert.is_true(lock:locked())
      lock:release()
    end
    assert.is_false(lock:locked())
    assert.is_false(pcall(lock.release, lock))
  end)

  it("nests guard and with", function ()
    local lock = conc.rlock()
    do
      local _ <close> = lock:guard()
      assert.are.equal(7, lock:with(function ()
        local _ <close> = lock:guard()
        return 7
      end))
      assert.is_true(lock:locked())
    end
    assert.is_false(lock:locked())
  end)

  helper.each_kind(function (start)
    it("is not had by another until the last release", function ()
      local lock, count = conc.rlock(), conc.value(0)
      lock:acquire()
      lock:acquire()
      local t <close> = start(function ()
        lock:acquire()
        count:add(1)
        lock:release()
      end)
      conc.sleep(0.02)
      lock:release()
      conc.sleep(0.02)
      assert.are.equal(0, count:get())
      lock:release()
      assert.is_true(t:join(helper.soon))
      assert.are.equal(1, count:get())
    end)

    it("left held twice by its holder's end is free after one release", function ()
      local lock = conc.rlock()
      local t <close> = start(function () lock:acquire() lock:acquire() end)
      t:join(helper.soon)
      assert.are.same({ true, "abandoned" }, { lock:acquire(helper.soon) })
      lock:release()
      assert.is_false(lock:locked())
    end)
  end)
end)
