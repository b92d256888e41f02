-- barrier: what CPython's barrier tests and Java's CyclicBarrier tests check.
local conc = require "conc"
local helper = require "spec.helper"

local function until_waiting(b, n)
  return assert(helper.eventually(function () return b:waiting() == n end), "they do not come")
end

describe("conc.barrier", function ()
  it("tells its parties and how many wait", function ()
    local b = conc.barrier(3)
    assert.are.equal("barrier", conc.type(b))
    assert.are.equal(3, b:parties())
    assert.are.equal(0, b:waiting())
    assert.is_false(b:broken())
    assert.are.equal("conc.barrier (0 of 3 waiting)", tostring(b))
  end)

  it("wants 1 party or more, and an action that can be called", function ()
    for _, bad in ipairs { { 0 }, { -1 }, { 1.5 }, { "x" }, {}, { 2, 42 }, { 2, "f" } } do
      assert.is_false(pcall(conc.barrier, table.unpack(bad)))
    end
    local _, message = pcall(conc.barrier, 0)
    assert.matches("1 to %d+ expected, got 0", message)
    assert.is_false(pcall(conc.barrier, 2, coroutine.wrap(print)))
  end)

  it("of one lets through at once, and runs its action", function ()
    local runs = 0
    local b = conc.barrier(1, function () runs = runs + 1 end)
    for _ = 1, 3 do assert.are.equal(1, b:wait()) end
    assert.are.equal(3, runs)
    assert.are.equal(1, b:wait(0))
  end)

  it("breaks by a timeout, is mended by reset", function ()
    local b = conc.barrier(2)
    local began = conc.now()
    assert.are.same({ nil, "timeout" }, { b:wait(0.05) })
    assert.is_true(conc.now() - began >= 0.05)
    assert.is_true(b:broken())
    assert.are.equal("conc.barrier (broken)", tostring(b))
    assert.are.same({ nil, "broken" }, { b:wait() })
    assert.are.same({ nil, "broken" }, { b:wait(0) })
    b:reset()
    assert.is_false(b:broken())
    assert.are.same({ nil, "timeout" }, { b:wait(0) })
    assert.is_true(b:broken())
    b:reset()
    b:abort()
    b:abort()
    assert.is_true(b:broken())
    b:reset()
    b:reset()
    assert.is_false(b:broken())
    assert.are.equal(0, b:waiting())
  end)

  it("an action that raises breaks it, and is raised in who ran it", function ()
    local value = {}
    local b = conc.barrier(1, function () error(value) end)
    local ok, raised = pcall(b.wait, b)
    assert.is_false(ok)
    assert.are.equal(value, raised)
    assert.is_true(b:broken())
    b = conc.barrier(1, function () b:wait() end)
    ok, raised = pcall(b.wait, b)
    assert.is_false(ok)
    assert.matches("this thread is running", raised)
  end)

  helper.each_kind(function (start)
    it("lets nobody on before all have come, round after round", function ()
      local b, come = conc.barrier(4), conc.value(0)
      local list = {}
      for i = 1, 4 do
        list[i] = start(function ()
          local places, bad = 0, 0
          for round = 1, 50 do
            local before = come:add(1) - 1
            if before < (round - 1) * 4 or before >= round * 4 then bad = bad + 1 end
            places = places + b:wait()
            if come:get() < round * 4 then bad = bad + 1 end
          end
          return places, bad
        end)
      end
      local sum = 0
      for _, t in ipairs(list) do
        local places, bad = t:result(helper.soon)
        assert.are.equal(0, bad)
        sum = sum + places
      end
      assert.are.equal(50 * (1 + 2 + 3 + 4), sum)
    end)

    it("gives places in the order of coming", function ()
      local b = conc.barrier(3)
      local first <close> = start(function () return b:wait() end)
      until_waiting(b, 1)
      assert.are.equal("conc.barrier (1 of 3 waiting)", tostring(b))
      local second <close> = start(function () return b:wait() end)
      until_waiting(b, 2)
      assert.are.equal(3, b:wait(helper.soon))
      assert.are.equal(1, first:result(helper.soon))
      assert.are.equal(2, second:result(helper.soon))
      assert.are.equal(0, b:waiting())
    end)

    it("runs its action once a round, in the last, before anyone goes on", function ()
      local runs, seen = conc.value(0), conc.value(0)
      local b = conc.barrier(3, function ()
        conc.sleep(0.01)
        runs:add(1)
      end)
      local list = {}
      for i = 1, 3 do
        list[i] = start(function ()
          for round = 1, 5 do
            b:wait()
            if runs:get() < round then seen:add(1) end
          end
        end)
      end
      for _, t in ipairs(list) do t:result(helper.soon) end
      assert.are.equal(5, runs:get())
      assert.are.equal(0, seen:get())
    end)

    it("an action that raises: its error for one, broken for the others", function ()
      local b = conc.barrier(2, function () error("no way") end)
      local t <close> = start(function () return b:wait() end)
      until_waiting(b, 1)
      local u <close> = start(function ()
        local ok, message = pcall(b.wait, b)
        return ok, message
      end)
      local ok, message = u:result(helper.soon)
      assert.is_false(ok)
      assert.matches("no way", message)
      assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
      assert.is_true(b:broken())
    end)

    it("one timeout breaks it for all", function ()
      local b = conc.barrier(3)
      local t <close> = start(function () return b:wait() end)
      until_waiting(b, 1)
      assert.are.same({ nil, "timeout" }, { b:wait(0.02) })
      assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
      assert.is_true(b:broken())
    end)

    it("abort breaks it for all, until a reset", function ()
      local b = conc.barrier(3)
      local t <close> = start(function () return b:wait() end)
      until_waiting(b, 1)
      b:abort()
      assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
      assert.are.same({ nil, "broken" }, { b:wait() })
      b:reset()
      local u <close> = start(function () return b:wait() end)
      local v <close> = start(function () return b:wait() end)
      assert.is_truthy(b:wait(helper.soon))
      assert.is_truthy(u:result(helper.soon))
      assert.is_truthy(v:result(helper.soon))
    end)

    it("reset tells those who wait, and the next round is a new one", function ()
      local b = conc.barrier(2)
      local t <close> = start(function () return b:wait() end)
      until_waiting(b, 1)
      b:reset()
      assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
      assert.is_false(b:broken())
      local u <close> = start(function () return b:wait() end)
      assert.is_truthy(b:wait(helper.soon))
      assert.is_truthy(u:result(helper.soon))
    end)

    it("a cancelled waiter breaks it", function ()
      local b = conc.barrier(3)
      local t <close> = start(function () b:wait() end)
      until_waiting(b, 1)
      local u <close> = start(function () return b:wait() end)
      until_waiting(b, 2)
      t:cancel()
      assert.are.same({ nil, "broken" }, { u:result(helper.soon) })
      assert.is_true(t:join(helper.soon))
      assert.are.equal("cancelled", t:state())
      assert.is_true(b:broken())
    end)

    it("more threads than parties: rounds go on", function ()
      local b, rounds = conc.barrier(2), conc.value(0)
      local list = {}
      for i = 1, 5 do
        list[i] = start(function ()
          while b:wait() do rounds:add(1) end
        end)
      end
      assert.is_truthy(helper.eventually(function () return rounds:get() > 200 end))
      b:abort()
      for _, t in ipairs(list) do assert.is_true(t:join(helper.soon)) end
    end)
  end)

  it("is broken by a waiter that is killed", function ()
    local b = conc.barrier(3)
    local function wait() return b:wait() end
    local p = conc.process(wait)
    until_waiting(b, 1)
    local t <close> = conc.thread(wait)
    until_waiting(b, 2)
    p:kill()
    assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
    assert.is_true(p:join(helper.soon))
    b:reset()
    p = conc.process(wait)
    until_waiting(b, 1)
    p:kill()
    assert.is_true(p:join(helper.soon))
    assert.is_true(b:broken())
    assert.are.same({ nil, "broken" }, { b:wait() })
  end)

  it("is broken by one that dies in the action", function ()
    local b = conc.barrier(2, function () os.exit(3) end)
    local t <close> = conc.thread(function () return b:wait() end)
    until_waiting(b, 1)
    local p = conc.process(function () b:wait() end)
    assert.are.same({ nil, "broken" }, { t:result(helper.soon) })
    assert.is_true(p:join(helper.soon))
    assert.is_false(pcall(p.result, p))
  end)

  it("survives processes killed while they wait and act", function ()
    local rounds = conc.value(0)
    local b = conc.barrier(2, function () rounds:add(1) end)
    local function work()
      while true do
        if not b:wait() then b:reset() end
      end
    end
    helper.kill_at_random({ work, work, work, work }, rounds)
    b:reset()
    assert.are.equal(0, b:waiting())
    local t <close> = conc.thread(function () return b:wait() end)
    assert.is_truthy(b:wait(helper.soon))
    assert.is_truthy(t:result(helper.soon))
  end)
end)
