-- semaphore: what CPython's semaphore tests check, bounded ones too.
local conc = require "conc"
local helper = require "spec.helper"

describe("conc.semaphore", function ()
  it("has one permit unless told otherwise", function ()
    local s = conc.semaphore()
    assert.are.equal("semaphore", conc.type(s))
    assert.are.equal(1, s:value())
    assert.is_true(s:acquire())
    assert.are.equal(0, s:value())
    assert.are.same({ nil, "timeout" }, { s:acquire(0) })
    s:release()
    assert.are.equal(1, s:value())
  end)

  it("says at the prompt how many are left", function ()
    assert.are.equal("conc.semaphore (2)", tostring(conc.semaphore(2)))
    local s = conc.semaphore(3, 4)
    s:acquire()
    assert.are.equal("conc.semaphore (2 of 4)", tostring(s))
  end)

  it("wants 0 or more permits, and no more than its maximum", function ()
    assert.are.equal(0, conc.semaphore(0):value())
    assert.are.equal(4, conc.semaphore(4, 4):value())
    local refused = { { -1 }, { 1.5 }, { "many" }, { 2, 1 }, { 0, 0 }, { 1, -1 }, { 1, {} } }
    for _, bad in ipairs(refused) do
      assert.is_false(pcall(conc.semaphore, table.unpack(bad)))
    end
    local _, message = pcall(conc.semaphore, -1)
    assert.matches("0 or more expected, got %-1", message)
    _, message = pcall(conc.semaphore, 3, 2)
    assert.matches("3 or more expected, got 2", message)
  end)

  it("refuses to pass its maximum, and nothing changes", function ()
    local s = conc.semaphore(2, 3)
    local ok, message = pcall(function () s:release(2) end)
    assert.is_false(ok)
    assert.matches("release", message)
    assert.matches("2 released, at most 1 expected", message)
    assert.are.equal(2, s:value())
    s:release()
    assert.is_false(pcall(s.release, s))
    assert.are.equal(3, s:value())
    for _, bad in ipairs { 0, -1, 1.5, "x" } do
      assert.is_false(pcall(s.release, s, bad))
      assert.are.equal(3, s:value())
    end
  end)

  it("without a maximum has no bound but that of integers", function ()
    local s = conc.semaphore(0)
    s:release(1000)
    assert.are.equal(1000, s:value())
    assert.is_false(pcall(s.release, s, math.maxinteger))
    assert.are.equal(1000, s:value())
  end)

  it("has guard and with", function ()
    local s = conc.semaphore(1)
    do
      local held <close> = s:guard()
      assert.are.equal(s, held)
      assert.are.equal(0, s:value())
      assert.are.same({ nil, "timeout" }, { s:guard(0.01) })
    end
    assert.are.equal(1, s:value())
    assert.are.same({ 0, "x" }, { s:with(function (x) return s:value(), x end, "x") })
    assert.are.equal(1, s:value())
    assert.is_false(pcall(s.with, s, error))
    assert.is_false(pcall(s.with, s, "no function"))
    assert.are.equal(1, s:value())
  end)

  it("waits out a timeout, and not less", function ()
    local s, began = conc.semaphore(0), conc.now()
    assert.are.same({ nil, "timeout" }, { s:acquire(0.05) })
    assert.is_true(conc.now() - began >= 0.05)
  end)

  helper.each_kind(function (start)
    it("lets as many in as it has permits", function ()
      local s, inside, most = conc.semaphore(3, 3), conc.value(0), conc.value(0)
      local list = {}
      for i = 1, 6 do
        list[i] = start(function ()
          for _ = 1, 200 do
            s:acquire()
            if inside:add(1) > 3 then most:add(1) end
            inside:add(-1)
            s:release()
          end
        end)
      end
      for _, t in ipairs(list) do t:result(helper.soon) end
      assert.are.equal(0, most:get())
      assert.are.equal(3, s:value())
    end)

    it("release(n) lets n go on", function ()
      local s, through = conc.semaphore(0), conc.value(0)
      local list = {}
      for i = 1, 5 do
        list[i] = start(function ()
          s:acquire()
          through:add(1)
        end)
      end
      conc.sleep(0.05)
      assert.are.equal(0, through:get())
      s:release(3)
      assert.is_truthy(helper.eventually(function () return through:get() == 3 end))
      conc.sleep(0.02)
      assert.are.equal(3, through:get())
      s:release(2)
      for _, t in ipairs(list) do assert.is_true(t:join(helper.soon)) end
      assert.are.equal(5, through:get())
      assert.are.equal(0, s:value())
    end)

    it("is released by another than who acquired", function ()
      local s = conc.semaphore(1, 1)
      s:acquire()
      local t <close> = start(function () s:release() end)
      t:result(helper.soon)
      assert.is_true(s:acquire(0))
    end)

    it("is not given back by one that ends", function ()
      local s = conc.semaphore(2)
      local t <close> = start(function () s:acquire() end)
      t:result(helper.soon)
      assert.are.equal(1, s:value())
    end)

    it("starves none of those that wait", function ()
      local worst = helper.longest_wait(start, conc.semaphore(1))
      assert.is_true(worst < helper.pace(2), ("waited %.3f s"):format(worst))
    end)

    it("a cancelled waiter takes no permit along", function ()
      local s = conc.semaphore(0)
      local t <close> = start(function () s:acquire() end)
      local u <close> = start(function () return s:acquire() end)
      conc.sleep(0.03)
      t:cancel()
      assert.is_true(t:join(helper.soon))
      s:release()
      assert.is_true((u:result(helper.soon)))
      assert.are.equal(0, s:value())
    end)
  end)

  it("survives processes killed while they wait and hold", function ()
    local s, rounds = conc.semaphore(2), conc.value(0)
    local function work()
      while true do
        s:acquire()
        rounds:add(1)
        s:release()
      end
    end
    helper.kill_at_random({ work, work, work }, rounds, function ()
      -- a permit may have died with its holder: it is not given back
      local before = rounds:get()
      if s:value() > 0 then return end
      conc.sleep(0.2)
      if rounds:get() == before then s:release() end
    end)
    assert.is_true(s:value() <= 2)
    s:release()
    assert.is_true(s:acquire(helper.soon))
  end)
end)
