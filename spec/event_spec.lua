-- event: what CPython's event tests check, and what set promises to those who wait.
local conc = require "conc"
local helper = require "spec.helper"

describe("conc.event", function ()
  it("is clear at first, set once set, clear once cleared", function ()
    local e = conc.event()
    assert.are.equal("event", conc.type(e))
    assert.is_false(e:is_set())
    assert.are.equal("conc.event (clear)", tostring(e))
    e:set()
    assert.is_true(e:is_set())
    assert.are.equal("conc.event (set)", tostring(e))
    e:set()
    assert.is_true(e:is_set())
    e:clear()
    assert.is_false(e:is_set())
    e:clear()
    assert.is_false(e:is_set())
  end)

  it("wait: true at once when set, a timeout when not", function ()
    local e = conc.event()
    assert.are.same({ nil, "timeout" }, { e:wait(0) })
    local began = conc.now()
    assert.are.same({ nil, "timeout" }, { e:wait(0.05) })
    assert.is_true(conc.now() - began >= 0.05)
    e:set()
    for _, timeout in ipairs { 0, -1, 0.5, math.huge } do
      assert.are.same({ true }, { e:wait(timeout) })
    end
    assert.are.same({ true }, { e:wait() })
    assert.is_false(pcall(e.wait, e, "soon"))
  end)

  helper.each_kind(function (start)
    it("set wakes all that wait", function ()
      local e, began = conc.event(), conc.value(0)
      local list = {}
      for i = 1, 5 do
        list[i] = start(function ()
          began:add(1)
          local first = e:wait(helper.soon)
          return first, e:wait(helper.soon)
        end)
      end
      helper.eventually(function () return began:get() == 5 end)
      conc.sleep(0.02)
      e:set()
      for _, t in ipairs(list) do
        assert.are.same({ true, true }, { t:result(helper.soon) })
      end
    end)

    it("set wakes all that wait, whatever clear does next", function ()
      local e, began = conc.event(), conc.value(0)
      local list = {}
      for i = 1, 8 do
        list[i] = start(function ()
          began:add(1)
          return e:wait(helper.soon)
        end)
      end
      helper.eventually(function () return began:get() == 8 end)
      conc.sleep(0.1)  -- until the last of them sleeps
      e:set()
      e:clear()
      for _, t in ipairs(list) do assert.are.same({ true }, { t:result(helper.soon) }) end
      assert.is_false(e:is_set())
      assert.are.same({ nil, "timeout" }, { e:wait(0.01) })
    end)

    it("what was done before set is seen after wait", function ()
      local e, box = conc.event(), conc.array("i64", 1)
      local t <close> = start(function ()
        e:wait()
        return box[1]
      end)
      box[1] = 42
      e:set()
      assert.are.equal(42, t:result(helper.soon))
    end)

    it("goes round between two, thousands of times", function ()
      local ping, pong = conc.event(), conc.event()
      local t <close> = start(function ()
        for _ = 1, 1000 do
          ping:wait()
          ping:clear()
          pong:set()
        end
      end)
      for _ = 1, 1000 do
        ping:set()
        assert.is_true(pong:wait(helper.soon))
        pong:clear()
      end
      assert.is_true(t:join(helper.soon))
    end)
  end)

  it("survives processes killed while they set, clear and wait", function ()
    local e, seen = conc.event(), conc.value(0)
    local function blink()
      while true do
        e:set()
        e:clear()
        conc.sleep(0)
      end
    end
    local function watch()
      while true do
        e:wait()
        seen:add(1)
      end
    end
    helper.kill_at_random({ blink, blink, watch, watch }, seen)
    e:set()
    assert.is_true(e:wait(helper.soon))
  end)
end)
