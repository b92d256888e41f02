local conc = require "conc"
local helper = require "spec.helper"

describe("conc.value", function ()
  it("keeps what was set", function ()
    local v = conc.value(42)
    assert.are.equal(42, v:get())
    v:set(-7)
    assert.are.equal(-7, v:get())
    assert.are.equal(-7, v.value)
    v.value = math.mininteger
    assert.are.equal(math.mininteger, v.value)
  end)

  it("keeps floats and booleans as they are", function ()
    local f, b = conc.value(1.5), conc.value(false)
    for _, x in ipairs { 0.0, -0.0, 1 / 0, -1 / 0, 1e-310, 2 ^ 63 } do
      f.value = x
      assert.are.equal(string.pack("d", x), string.pack("d", f.value))
    end
    f.value = 0 / 0
    assert.is_true(f.value ~= f.value)
    assert.are.equal("float", math.type(conc.value(3.0):get()))
    assert.is_false(b.value)
    b:set(true)
    assert.is_true(b:get())
  end)

  it("keeps its type", function ()
    local i, f, b = conc.value(1), conc.value(1.0), conc.value(true)
    assert.has_error(function () i:set(1.5) end,
      "bad argument #1 to 'set' (integer expected, got float)")
    assert.has_error(function () f:set(1) end,
      "bad argument #1 to 'set' (float expected, got integer)")
    assert.has_error(function () b:set(1) end,
      "bad argument #1 to 'set' (boolean expected, got integer)")
    assert.has_error(function () i:exchange("1") end,
      "bad argument #1 to 'exchange' (integer expected, got string)")
    assert.has_error(function () i:add(0.5) end,
      "bad argument #1 to 'add' (integer expected, got float)")
    assert.has_error(function () i.value = nil end)
    assert.are.equal(1, i.value)
  end)

  it("is made of a number or a boolean", function ()
    for _, x in ipairs { "x", {}, print } do
      assert.has_error(function () conc.value(x) end,
        "bad argument #1 to 'value' (number or boolean expected, got " .. type(x) .. ")")
    end
    assert.has_error(function () conc.value() end)
  end)

  it("adds and wraps", function ()
    local v = conc.value(math.maxinteger)
    assert.are.equal(math.mininteger, v:add(1))
    assert.are.equal(math.maxinteger, v:add(-1))
    local f = conc.value(0.5)
    assert.are.equal(0.75, f:add(0.25))
    assert.are.equal(2.75, f:add(2))
    assert.are.equal(2.75, f.value)
    assert.has_error(function () conc.value(true):add(1) end)
  end)

  it("exchanges", function ()
    local v = conc.value(1)
    assert.are.equal(1, v:exchange(2))
    assert.are.equal(2, v:exchange(3))
    assert.are.equal(3, v.value)
  end)

  it("compares type and value, then exchanges", function ()
    local v = conc.value(1)
    assert.are.same({ true, 1 }, { v:compare_exchange(1, 2) })
    assert.are.same({ false, 2 }, { v:compare_exchange(1, 5) })
    assert.are.same({ false, 2 }, { v:compare_exchange(2.0, 5) })
    assert.are.same({ false, 2 }, { v:compare_exchange("2", 5) })
    assert.are.equal(2, v.value)
    assert.has_error(function () v:compare_exchange(2, 2.5) end,
      "bad argument #2 to 'compare_exchange' (integer expected, got float)")
    local f = conc.value(0 / 0)
    assert.is_true((f:compare_exchange(f.value, -0.0)))
    assert.is_true((f:compare_exchange(0.0, 1.0)))
    assert.are.equal(1.0, f.value)
  end)

  it("says what it is", function ()
    assert.are.equal("conc.value (42)", tostring(conc.value(42)))
    assert.are.equal("conc.value (1.5)", tostring(conc.value(1.5)))
    assert.are.equal("conc.value (true)", tostring(conc.value(true)))
    assert.are.equal("value", conc.type(conc.value(1)))
    assert.is_nil(conc.value(1).other)
    assert.has_error(function () conc.value(1).other = 1 end,
      "bad argument #2 to 'newindex' (a conc.value has the one field 'value')")
    assert.has_error(function () conc.value(1).get(conc.array("u8", 1)) end,
      "bad argument #1 to 'get' (conc.value expected, got conc.array)")
  end)

  helper.each_kind(function (start)
    it("loses no addition", function ()
      local n, f = conc.value(0), conc.value(0.0)
      local workers = {}
      for i = 1, 3 do
        workers[i] = start(function ()
          for _ = 1, 5000 do n:add(1) f:add(0.5) end
        end)
      end
      for _, w in ipairs(workers) do assert(w:join(helper.soon)) w:result() end
      assert.are.equal(15000, n.value)
      assert.are.equal(7500.0, f.value)
    end)

    it("counts by compare_exchange", function ()
      local n = conc.value(0)
      local function count()
        for _ = 1, 2000 do
          local old = n:get()
          while true do
            local done, now = n:compare_exchange(old, old + 1)
            if done then break end
            old = now
          end
        end
      end
      local a, b = start(count), start(count)
      a:result(helper.soon) b:result(helper.soon)
      assert.are.equal(4000, n.value)
    end)

    it("is set on one side and seen on the other", function ()
      local flag, data = conc.value(false), conc.value(0)
      local t = start(function ()
        data.value = 11
        flag.value = true
      end)
      assert(helper.eventually(function () return flag.value end))
      assert.are.equal(11, data.value)
      t:result(helper.soon)
    end)
  end)
end)
