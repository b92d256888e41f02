-- rwlock: many readers or one writer; who may go first; what deaths leave.
local conc = require "conc"
local helper = require "spec.helper"

describe("conc.rwlock", function ()
  it("tells how it is held", function ()
    local rw = conc.rwlock()
    assert.are.equal("rwlock", conc.type(rw))
    assert.is_false(rw:locked())
    assert.are.equal("conc.rwlock (free)", tostring(rw))
    assert.is_true(rw:acquire_read())
    assert.are.equal("read", rw:locked())
    assert.are.equal('conc.rwlock (read by "main")', tostring(rw))
    rw:release()
    assert.is_true(rw:acquire_write())
    assert.are.equal("write", rw:locked())
    assert.are.equal('conc.rwlock (written by "main")', tostring(rw))
    rw:release()
    assert.is_false(rw:locked())
  end)

  it("is read again by a reader, and released as often", function ()
    local rw = conc.rwlock()
    for _ = 1, 20 do assert.is_true(rw:acquire_read()) end
    for _ = 1, 20 do
      assert.are.equal("read", rw:locked())
      rw:release()
    end
    assert.is_false(rw:locked())
    local ok, message = pcall(function () rw:release() end)
    assert.is_false(ok)
    assert.matches("release by its holder expected: rwlock is not held", message)
  end)

  it("raises for a reader that asks to write, a writer that asks to read", function ()
    local rw = conc.rwlock()
    rw:acquire_read()
    for _, timeout in ipairs { 0, 0.01, math.huge } do
      local ok, message = pcall(function () rw:acquire_write(timeout) end)
      assert.is_false(ok)
      assert.matches("acquire_write.*it reads, and asks to write", message)
    end
    assert.is_false(pcall(rw.guard_write, rw))
    assert.is_false(pcall(rw.with_write, rw, print))
    assert.are.equal("read", rw:locked())
    rw:release()
    rw:acquire_write()
    local ok, message = pcall(function () rw:acquire_read(0) end)
    assert.is_false(ok)
    assert.matches("acquire_read.*it writes, and asks to read", message)
    assert.are.same({ nil, "timeout" }, { rw:acquire_write(0.01) })
    ok, message = pcall(rw.acquire_write, rw)
    assert.is_false(ok)
    assert.matches("deadlock: ", message)
    rw:release()
    assert.is_false(rw:locked())
  end)

  it("has guards and withs", function ()
    local rw = conc.rwlock()
    do
      local held <close> = rw:guard_read()
      assert.are.equal(rw, held)
      assert.are.equal("read", rw:locked())
    end
    do
      local _ <close> = rw:guard_write(1)
      assert.are.equal("write", rw:locked())
    end
    assert.is_false(rw:locked())
    assert.are.same({ 1, 2 }, { rw:with_read(function (...)
      assert(rw:locked() == "read")
      return ...
    end, 1, 2) })
    assert.are.equal("write", rw:with_write(function () return rw:locked() end))
    local ok, message = pcall(rw.with_write, rw, error, "boom", 0)
    assert.is_false(ok)
    assert.are.equal("boom", message)
    assert.is_false(rw:locked())
    assert.is_false(pcall(rw.with_read, rw))
    assert.is_false(rw:locked())
  end)

  helper.each_kind(function (start)
    it("is read by many at once, more than a few", function ()
      local rw, inside, go = conc.rwlock(), conc.value(0), conc.event()
      local list = {}
      for i = 1, 12 do
        list[i] = start(function ()
          rw:acquire_read()
          inside:add(1)
          go:wait()
          rw:release()
        end)
      end
      assert.is_truthy(helper.eventually(function () return inside:get() == 12 end))
      assert.are.equal("read", rw:locked())
      assert.are.equal("conc.rwlock (read by 12)", tostring(rw))
      assert.are.same({ nil, "timeout" }, { rw:acquire_write(0.01) })
      go:set()
      assert.is_true(rw:acquire_write(helper.soon))
      rw:release()
      for _, t in ipairs(list) do assert.is_true(t:join(helper.soon)) end
    end)

    it("keeps everybody out while one writes", function ()
      local rw = conc.rwlock()
      rw:acquire_write()
      local t <close> = start(function ()
        return rw:acquire_read(0), rw:acquire_write(0), rw:acquire_read(0.02),
               select(2, pcall(rw.release, rw)), rw:locked()
      end)
      local a, b, c, refusal, how = t:result(helper.soon)
      assert.is_nil(a)
      assert.is_nil(b)
      assert.is_nil(c)
      assert.matches('rwlock is held by "main"', refusal)
      assert.are.equal("write", how)
      rw:release()
    end)

    it("is never written and read at once", function ()
      local rw, a, b = conc.rwlock(), conc.value(0), conc.value(0)
      local list = {}
      for i = 1, 4 do
        list[i] = start(function ()
          local bad = 0
          for n = 1, 300 do
            if (n + i) % 3 == 0 then
              local _ <close> = rw:guard_write()
              local x = a:add(1)
              if b:add(1) ~= x then bad = bad + 1 end
            else
              local _ <close> = rw:guard_read()
              if a:get() ~= b:get() then bad = bad + 1 end
            end
          end
          return bad
        end)
      end
      for _, t in ipairs(list) do assert.are.equal(0, t:result(helper.soon)) end
      assert.are.equal(400, a:get())
      assert.is_false(rw:locked())
    end)

    it("a waiting writer holds back new readers, not one who reads", function ()
      local rw, wrote = conc.rwlock(), conc.value(false)
      rw:acquire_read()
      local writer <close> = start(function ()
        rw:acquire_write()
        wrote:set(true)
        rw:release()
      end)
      local function held_back()
        local t <close> = start(function ()
          local got = rw:acquire_read(0)
          if got then rw:release() end
          return not got
        end)
        return t:result(helper.soon)
      end
      assert.is_true(helper.eventually(held_back))
      assert.is_true(rw:acquire_read(0))
      rw:release()
      local reader <close> = start(function ()
        rw:acquire_read()
        rw:release()
        return wrote:get()
      end)
      conc.sleep(0.02)
      assert.is_false(wrote:get())
      rw:release()
      assert.is_true(reader:result(helper.soon))
      assert.is_true(writer:join(helper.soon))
    end)

    it("a writer that gives up lets those behind him read", function ()
      local rw = conc.rwlock()
      rw:acquire_read()
      local writer <close> = start(function () return rw:acquire_write(0.1) end)
      conc.sleep(0.03)
      local reader <close> = start(function ()
        local got = rw:acquire_read()
        rw:release()
        return got
      end)
      assert.is_nil((writer:result(helper.soon)))
      assert.is_true((reader:result(helper.soon)))
      rw:release()
    end)

    it("starves neither readers nor writers", function ()
      local rw, stop = conc.rwlock(), conc.event()
      local function busy(acquire)
        return start(function ()
          local n = 0
          repeat
            rw[acquire](rw)
            n = n + 1
            rw:release()
          until n % 10 == 0 and stop:is_set()
          return n
        end)
      end
      local r1 <close> = busy "acquire_read"
      local r2 <close> = busy "acquire_read"
      local w1 <close> = busy "acquire_write"
      local worst = 0
      for i = 1, 20 do
        local began = conc.now()
        rw[i % 2 == 0 and "acquire_read" or "acquire_write"](rw)
        worst = math.max(worst, conc.now() - began)
        rw:release()
        conc.sleep(0.001)
      end
      stop:set()
      for _, t in ipairs { r1, r2, w1 } do assert.is_true(t:result(helper.soon) > 0) end
      assert.is_true(worst < helper.pace(2), ("waited %.3f s"):format(worst))
    end)

    it("left by a writer that ended, tells all readers until one may write", function ()
      local rw = conc.rwlock()
      local t <close> = start(function () rw:acquire_write() end)
      assert.is_true(t:join(helper.soon))
      for _ = 1, 2 do
        assert.are.same({ true, "abandoned" }, { rw:acquire_read(helper.soon) })
        rw:release()
      end
      assert.are.same({ true, "abandoned" }, { rw:acquire_write(helper.soon) })
      rw:release()
      assert.are.same({ true }, { rw:acquire_read(0) })
      rw:release()
    end)

    it("is abandoned by a writer, and by a reader, that ended", function ()
      for _, left in ipairs { "acquire_read", "acquire_write" } do
        local rw = conc.rwlock()
        local t <close> = start(function () rw[left](rw) end)
        assert.is_true(t:join(helper.soon))
        assert.are.same({ true, "abandoned" }, { rw:acquire_write(helper.soon) })
        rw:release()
        assert.are.same({ true }, { rw:acquire_read(0) })
        rw:release()
      end
    end)
  end)

  it("survives processes killed while they read, write or wait", function ()
    local rw, a, b = conc.rwlock(), conc.value(0), conc.value(0)
    local rounds = conc.value(0)
    local function work()
      while true do
        if math.random(3) == 1 then
          local _, abandoned = rw:acquire_write()
          if abandoned then b:set(a:get()) end
          if a:get() ~= b:get() then os.exit(3) end
          a:add(1)
          b:add(1)
        else
          local _, abandoned = rw:acquire_read()
          if not abandoned and a:get() ~= b:get() then os.exit(4) end
        end
        rw:release()
        rounds:add(1)
      end
    end
    helper.kill_at_random({ work, work, work, work }, rounds)
    assert.is_true(rw:acquire_write(helper.soon))
    rw:release()
  end)
end)
