-- Deadlocks: a wait that would close a cycle raises, and says who and what.
local conc = require "conc"
local helper = require "spec.helper"

local function is_deadlock(ok, message)
  assert.is_false(ok)
  assert.matches("deadlock: ", message)
  return message
end

-- Starts n that each take locks[i], meet, and ask for locks[i + 1]: of those that
-- close the cycle one is told. Returns how many were, and their messages.
local function ring(start, locks, acquire)
  local n = #locks
  local met, list = conc.barrier(n), {}
  for i = 1, n do
    local mine, other = locks[i], locks[i % n + 1]
    list[i] = start({ name = "ring-" .. i }, function ()
      local _ <close> = mine.guard and mine:guard() or mine:guard_write()
      met:wait()
      local ok, message = pcall(other[acquire], other)
      if ok then other:release() end
      return ok, message
    end)
  end
  local told = {}
  for i = 1, n do
    local ok, message = list[i]:result(helper.soon)
    if not ok then told[#told + 1] = message end
  end
  return told
end

describe("a deadlock", function ()
  it("of one alone: its own lock, rlocks not", function ()
    local lock, rlock = conc.lock(), conc.rlock()
    lock:acquire()
    local message = is_deadlock(pcall(lock.acquire, lock))
    assert.matches('"main" waits for lock made at .*deadlock_spec.lua:%d+', message)
    is_deadlock(pcall(lock.acquire, lock, math.huge))
    is_deadlock(pcall(lock.guard, lock))
    is_deadlock(pcall(lock.with, lock, print))
    assert.is_true(lock:locked())
    lock:release()
    assert.is_false(lock:locked())
    rlock:acquire()
    rlock:acquire()
    rlock:release()
    rlock:release()
  end)

  it("is none where a wait has a timeout", function ()
    local lock = conc.lock()
    lock:acquire()
    assert.are.same({ nil, "timeout" }, { lock:acquire(0) })
    assert.are.same({ nil, "timeout" }, { lock:acquire(0.01) })
    assert.are.same({ nil, "timeout" }, { lock:guard(0.01) })
    lock:release()
  end)

  it("of one that joins itself", function ()
    local me = conc.current()
    is_deadlock(pcall(me.join, me))
    local box = conc.queue()
    local t <close> = conc.thread(function ()
      local myself = box:get()
      return pcall(myself.result, myself)
    end)
    box:put(t)
    is_deadlock(t:result(helper.soon))
  end)

  helper.each_kind(function (start)
    for _, case in ipairs {
      { "two that cross", 2, "lock" }, { "two that cross, rlocks", 2, "rlock" },
      { "five in a ring", 5, "lock" },
    } do
      it("of " .. case[1] .. ": one is told, the others have their locks", function ()
        for _ = 1, 5 do
          local locks = {}
          for i = 1, case[2] do locks[i] = conc[case[3]]() end
          local told = ring(start, locks, "acquire")
          assert.are.equal(1, #told)
          is_deadlock(false, told[1])
          for i = 1, case[2] do
            assert.matches('"ring%-' .. i .. '" waits for ' .. case[3]
              .. " made at .*deadlock_spec.lua:%d+", told[1])
            assert.is_false(locks[i]:locked())
          end
        end
      end)
    end

    it("through writers and readers of rwlocks", function ()
      for _, acquire in ipairs { "acquire_read", "acquire_write" } do
        local told = ring(start, { conc.rwlock(), conc.rwlock() }, acquire)
        assert.are.equal(1, #told)
        assert.matches("rwlock made at", told[1])
      end
      local rw, lock, met = conc.rwlock(), conc.lock(), conc.barrier(2)
      local t <close> = start(function ()
        rw:acquire_read()
        met:wait()
        local ok, message = pcall(lock.acquire, lock)
        if ok then lock:release() end
        rw:release()
        return ok, message
      end)
      lock:acquire()
      met:wait()
      local ok, message = pcall(rw.acquire_write, rw)
      if ok then rw:release() end
      lock:release()
      local its, words = t:result(helper.soon)
      assert.are_not.equal(ok, its)
      is_deadlock(false, ok and words or message)
    end)

    it("through a join", function ()
      local lock, go = conc.lock(), conc.event()
      lock:acquire()
      local t <close> = start({ name = "stuck" }, function ()
        go:wait()
        local ok, message = pcall(lock.acquire, lock)
        if ok then lock:release() end
        return ok, message
      end)
      go:set()
      conc.sleep(0.05)
      local ok, message = pcall(t.join, t)
      lock:release()
      local its, words = t:result(helper.soon)
      if ok == its then assert.is_false(ok) end  -- one of the two at least
      is_deadlock(false, ok and words or message)
    end)

    it("as a condition gets its lock back", function ()
      local c, lock = conc.condition(), conc.lock()
      local t <close> = start(function ()
        lock:acquire()
        c:acquire()
        local ok, message = pcall(c.wait, c)
        if ok then c:release() end
        lock:release()
        return ok, message
      end)
      helper.eventually(function () return tostring(c):find("1 waiting", 1, true) end)
      c:acquire()
      c:notify()
      local ok, message = pcall(lock.acquire, lock)
      if ok then lock:release() end
      c:release()
      local its, words = t:result(helper.soon)
      assert.are_not.equal(ok, its)
      is_deadlock(false, ok and words or message)
      assert.matches("free", tostring(c))
      assert.is_false(lock:locked())
    end)

    it("is none where one of the cycle has a timeout", function ()
      local a, b, met = conc.lock(), conc.lock(), conc.barrier(2)
      local t <close> = start(function ()
        a:acquire()
        met:wait()
        local got, why = b:acquire(0.3)
        if got then b:release() end
        a:release()
        return got, why
      end)
      b:acquire()
      met:wait()
      assert.is_true((a:acquire()))
      a:release()
      b:release()
      assert.are.same({ nil, "timeout" }, { t:result(helper.soon) })
    end)

    it("is not seen where there is only a long queue", function ()
      local lock = conc.lock()
      local list = {}
      for i = 1, 8 do
        list[i] = start(function ()
          for _ = 1, 50 do
            lock:acquire()
            lock:release()
          end
        end)
      end
      for _, t in ipairs(list) do t:result(helper.soon) end
    end)

    it("in hand-overs at full speed is never seen where there is none", function ()
      local a, b = conc.lock(), conc.lock()
      local list = {}
      for i = 1, 4 do
        list[i] = start(function ()
          for _ = 1, 300 do
            a:acquire()
            b:acquire()
            if i % 2 == 0 then a:release() b:release() else b:release() a:release() end
          end
        end)
      end
      for _, t in ipairs(list) do t:result(helper.soon) end
      assert.is_false(a:locked() or b:locked())
    end)
  end)

  it("across a thread and a process, with a thread of each", function ()
    local a, b, c, met = conc.lock(), conc.lock(), conc.lock(), conc.barrier(3)
    local function take(mine, other)
      return function ()
        local _ <close> = mine:guard()
        met:wait()
        local ok, message = pcall(other.acquire, other)
        if ok then other:release() end
        return ok, message
      end
    end
    local t <close> = conc.thread({ name = "left" }, take(a, b))
    local p <close> = conc.process({ name = "right" }, take(b, c))
    local q <close> = conc.process(function ()
      local inner <close> = conc.thread({ name = "inner" }, take(c, a))
      return inner:result()
    end)
    local told = {}
    for _, x in ipairs { t, p, q } do
      local ok, message = x:result(helper.soon)
      if not ok then told[#told + 1] = message end
    end
    assert.are.equal(1, #told)
    for _, name in ipairs { "left", "right", "inner" } do
      assert.matches('"' .. name .. '" waits for lock made at', told[1])
    end
  end)
end)
