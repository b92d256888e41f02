-- condition: what CPython's condition tests check; cancels, deaths and abandoned locks.
local conc = require "conc"
local helper = require "spec.helper"

-- Until n wait on it, as its text tells.
local function until_waiting(c, n)
  return assert(helper.eventually(function ()
    return tostring(c):find((" %d waiting"):format(n), 1, true)
  end), "nobody waits")
end

describe("conc.condition", function ()
  it("has an rlock of its own, or the lock that it is given", function ()
    local c = conc.condition()
    assert.are.equal("condition", conc.type(c))
    assert.is_true(c:acquire())
    assert.is_true(c:acquire())
    c:release()
    assert.are.equal('conc.condition (held by "main", 0 waiting)', tostring(c))
    c:release()
    assert.are.equal("conc.condition (free, 0 waiting)", tostring(c))
    for _, kind in ipairs { "lock", "rlock" } do
      local lock = conc[kind]()
      c = conc.condition(lock)
      c:acquire()
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(pcall(c.release, c))
      lock:acquire()
      c:notify()
      c:release()
      assert.is_false(lock:locked())
    end
    local ok, message = pcall(conc.condition, conc.event())
    assert.is_false(ok)
    assert.matches("conc.lock or conc.rlock expected, got conc.event", message)
    assert.is_false(pcall(conc.condition, 42))
  end)

  it("keeps its lock alive", function ()
    local c = conc.condition(conc.lock())
    collectgarbage()
    c:acquire()
    c:release()
  end)

  it("needs the lock held", function ()
    local c = conc.condition()
    for _, call in ipairs { "wait", "notify", "notify_all" } do
      local ok, message = pcall(function () c[call](c) end)
      assert.is_false(ok)
      assert.matches("by its holder expected: condition is not held", message)
    end
    local called = false
    assert.is_false(pcall(c.wait_for, c, function () called = true end))
    assert.is_false(called)
    assert.is_false(pcall(c.release, c))
  end)

  it("wait: a timeout, with the lock held again as deep as it was", function ()
    local c = conc.condition()
    c:acquire()
    c:acquire()
    local began = conc.now()
    assert.are.same({ nil, "timeout" }, { c:wait(0.05) })
    assert.is_true(conc.now() - began >= 0.05)
    assert.are.same({ nil, "timeout" }, { c:wait(0) })
    c:release()
    c:release()
    assert.is_false(pcall(c.release, c))
  end)

  it("wait_for: the predicate's value, or a timeout", function ()
    local c = conc.condition()
    local _ <close> = c:guard()
    assert.are.equal("yes", c:wait_for(function () return "yes" end))
    assert.are.equal(5, c:wait_for(function () return 5 end, 0))
    assert.are.same({ nil, "timeout" }, { c:wait_for(function () return false end, 0) })
    local looks, began = 0, conc.now()
    assert.are.same({ nil, "timeout" }, { c:wait_for(function () looks = looks + 1 end, 0.05) })
    assert.is_true(conc.now() - began >= 0.05)
    assert.are.equal(2, looks)
    assert.is_false(pcall(c.wait_for, c))
    assert.is_false(pcall(c.wait_for, c, 42))
    assert.is_false(pcall(c.wait_for, c, print, "soon"))
  end)

  it("an error in a predicate leaves the lock held, as before the call", function ()
    local c = conc.condition()
    c:acquire()
    local value = {}
    local ok, raised = pcall(c.wait_for, c, function () error(value) end)
    assert.is_false(ok)
    assert.are.equal(value, raised)
    assert.matches('held by "main"', tostring(c))
    c:release()
  end)

  it("a predicate may yield", function ()
    local c = conc.condition()
    local co = coroutine.wrap(function ()
      local _ <close> = c:guard()
      return c:wait_for(function () return coroutine.yield("asked") end)
    end)
    assert.are.equal("asked", co())
    assert.are.equal("told", co("told"))
    assert.matches("free", tostring(c))
  end)

  it("notify with nobody there is lost; its number is 0 or more", function ()
    local c = conc.condition()
    local _ <close> = c:guard()
    c:notify()
    c:notify(10)
    c:notify(0)
    c:notify_all()
    assert.are.same({ nil, "timeout" }, { c:wait(0.01) })
    for _, bad in ipairs { -1, 1.5, "x" } do assert.is_false(pcall(c.notify, c, bad)) end
  end)

  helper.each_kind(function (start)
    it("notify(n) wakes n of those that wait, notify_all the rest", function ()
      local c, woken = conc.condition(), conc.value(0)
      local list = {}
      for i = 1, 6 do
        list[i] = start(function ()
          local _ <close> = c:guard()
          local result = c:wait()
          woken:add(1)
          return result
        end)
        until_waiting(c, i)
      end
      c:with(c.notify, c)
      assert.is_truthy(helper.eventually(function () return woken:get() == 1 end))
      c:with(c.notify, c, 3)
      assert.is_truthy(helper.eventually(function () return woken:get() == 4 end))
      conc.sleep(0.02)
      assert.are.equal(4, woken:get())
      until_waiting(c, 2)
      c:with(c.notify_all, c)
      for _, t in ipairs(list) do assert.is_true(t:result(helper.soon)) end
      assert.are.equal(6, woken:get())
    end)

    it("gives the lock up while it waits, all of it", function ()
      local c, state = conc.condition(), conc.value(0)
      local t <close> = start(function ()
        c:acquire()
        c:acquire()
        c:wait_for(function () return state:get() == 1 end)
        state:set(2)
        c:release()
        c:release()
        return (pcall(c.release, c))
      end)
      until_waiting(c, 1)
      assert.is_true(c:acquire(helper.soon))
      state:set(1)
      c:notify()
      assert.are.equal(1, state:get())  -- he cannot go on before we release
      c:release()
      assert.is_false(t:result(helper.soon))
      assert.are.equal(2, state:get())
    end)

    it("wait_for looks again after each notify", function ()
      local c, state = conc.condition(), conc.value(0)
      local t <close> = start(function ()
        return c:with(function ()
          return c:wait_for(function () return state:get() == 4 and state:get() end)
        end)
      end)
      for i = 1, 4 do
        until_waiting(c, 1)
        c:with(function ()
          state:set(i)
          c:notify()
        end)
      end
      assert.are.equal(4, t:result(helper.soon))
    end)

    it("hands over items, each to one, none lost", function ()
      local c, made, taken = conc.condition(), conc.value(0), conc.value(0)
      local takers = {}
      for i = 1, 3 do
        takers[i] = start(function ()
          local n = 0
          while true do
            local _ <close> = c:guard()
            c:wait_for(function () return taken:get() < made:get() or made:get() == 300 end)
            if taken:get() == made:get() then return n end
            taken:add(1)
            n = n + 1
          end
        end)
      end
      for _ = 1, 300 do
        c:with(function ()
          made:add(1)
          if made:get() == 300 then c:notify_all() else c:notify() end
        end)
      end
      local sum = 0
      for _, t in ipairs(takers) do sum = sum + t:result(helper.soon) end
      assert.are.equal(300, sum)
    end)

    it("cancelled in wait, it holds the lock again before that is raised", function ()
      local c, text = conc.condition(), conc.queue()
      local t <close> = start({ name = "waiter" }, function ()
        c:acquire()
        local _ <close> = setmetatable({}, { __close = function ()
          text:put(tostring(c))
          c:release()
        end })
        c:wait()
      end)
      until_waiting(c, 1)
      c:acquire()
      t:cancel()
      conc.sleep(0.03)
      assert.is_false(t:done())
      c:release()
      assert.are.equal('conc.condition (held by "waiter", 0 waiting)', text:get(helper.soon))
      assert.is_true(t:join(helper.soon))
      assert.are.equal("cancelled", t:state())
      assert.is_true(c:acquire(helper.soon))
      c:release()
    end)

    it("tells where its lock is had back from one that ended", function ()
      local c = conc.condition()
      local t <close> = start(function ()
        c:acquire()
        local list = table.pack(c:wait(helper.soon))
        c:release()
        return table.unpack(list, 1, list.n)
      end)
      until_waiting(c, 1)
      local u <close> = start(function ()
        c:acquire()
        c:notify()
      end)
      assert.are.same({ true, "abandoned" }, { t:result(helper.soon) })
      assert.is_true(u:join(helper.soon))
    end)
  end)

  it("a dead waiter swallows no notify", function ()
    for _ = 1, 10 do
      local c = conc.condition()
      local function wait() return c:with(c.wait, c, helper.soon) end
      local p = conc.process(wait)
      until_waiting(c, 1)
      local t <close> = conc.thread(wait)
      until_waiting(c, 2)
      c:acquire()
      if math.random(2) == 1 then
        p:kill()
        c:notify()
      else  -- told, and killed on the way to its lock
        c:notify()
        conc.sleep(math.random() * 0.01)
        p:kill()
      end
      c:release()
      assert.is_true(t:result(helper.soon))
      assert.is_true(p:join(helper.soon))
    end
  end)

  it("survives processes killed while they wait, notify and hold", function ()
    local c, n = conc.condition(), conc.value(0)
    local function work()
      while true do
        local _ <close> = c:guard()
        n:add(1)
        c:notify()
        c:wait(0.005)
      end
    end
    helper.kill_at_random({ work, work, work }, n)
    assert.is_true(c:acquire(helper.soon))
    assert.are.same({ nil, "timeout" }, { c:wait(0.01) })
    c:release()
    assert.are.equal("conc.condition (free, 0 waiting)", tostring(c))
  end)
end)
