local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"

describe("conc.dict", function ()
  it("keeps values by key", function ()
    local d = conc.dict()
    assert.are.equal(0, #d)
    assert.is_nil(d.a)
    d.a = 1
    d["b c"] = "two"
    d[3] = { 3 }
    assert.are.equal(3, #d)
    assert.are.equal(1, d.a)
    assert.are.same({ a = 1, ["b c"] = "two", [3] = { 3 } }, d:totable())
    d.a = nil
    d.never = nil
    assert.are.equal(2, #d)
    assert.is_nil(d.a)
  end)

  it("is made of a table", function ()
    local t = { 1, 2, x = "y", [true] = false, [1.5] = { 1 } }
    assert.are.same(t, conc.dict(t):totable())
    assert.has_error(function () conc.dict(5) end,
      "bad argument #1 to 'dict' (table expected, got number)")
    assert.has_error(function () conc.dict { [{}] = 1 } end,
      "bad argument #1 to 'dict' (key (string, number or boolean) expected, got table)")
  end)

  it("has keys as a table has", function ()
    local d = conc.dict()
    d[1] = "one"
    d[2.0] = "two"
    assert.are.equal("one", d[1.0])
    assert.are.equal("two", d[2])
    assert.is_nil(d["1"])
    d[true] = "yes"
    d[false] = "no"
    d[0.5] = "half"
    d[-0.0] = "zero"
    assert.are.equal("zero", d[0])
    d[1 / 0] = "inf"
    d[math.maxinteger] = "max"
    d[math.mininteger] = "min"
    d[-2.0 ^ 63] = "the same min"
    d[2.0 ^ 63] = "beyond"
    d[""] = "empty"
    d["\0"] = "null"
    d[("k"):rep(1000)] = "long"
    local t = d:totable()
    assert.are.equal(13, #d)
    local n = 0
    for k, v in pairs(t) do
      n = n + 1
      assert.are.equal(v, d[k])
      if math.type(k) == "float" then assert(k ~= math.floor(k) or k >= 2.0 ^ 63) end
    end
    assert.are.equal(13, n)
    assert.are.equal("the same min", t[math.mininteger])
  end)

  it("refuses other keys", function ()
    local d = conc.dict()
    local bad = {
      { {}, "table" }, { print, "function" }, { 0 / 0, "NaN" },
      { conc.value(1), "userdata" }, { nil, "nil" },
    }
    for i = 1, 5 do
      local key, name = bad[i][1], bad[i][2]
      local want = "(key (string, number or boolean) expected, got " .. name .. ")"
      assert.has_error(function () d[key] = 1 end, "bad argument #2 to 'newindex' " .. want)
      assert.has_error(function () return d[key] end, "bad argument #2 to 'index' " .. want)
      assert.has_error(function () d:get(key) end, "bad argument #1 to 'get' " .. want)
      assert.has_error(function () d:set(key, 1) end, "bad argument #1 to 'set' " .. want)
      assert.has_error(function () d:incr(key) end)
      assert.has_error(function () d:update(key, print) end)
    end
    assert.are.equal(0, #d)
  end)

  it("reaches the names of methods by get and set", function ()
    local d = conc.dict()
    for _, name in ipairs { "get", "set", "update", "incr", "totable", "with" } do
      assert.has_error(function () d[name] = 1 end,
        ("bad argument #2 to 'newindex' ('%s' is the name of a method: use set('%s', value))")
        :format(name, name))
      d:set(name, name .. "!")
      assert.are.equal(name .. "!", d:get(name))
      assert.are.equal("function", type(d[name]))
    end
    assert.are.equal(6, #d)
    d:set("get", nil)
    assert.is_nil(d:get("get"))
    assert.has_error(function () d:set("x") end)
  end)

  it("keeps tables, functions and objects", function ()
    local d, n = conc.dict(), 1
    d.f = function () n = n + 1 return n end
    d.t = setmetatable({ 1 }, { __index = { deep = "er" } })
    d.d = d
    assert.are.equal(2, d.f())
    assert.are.equal("er", d.t.deep)
    assert.are.equal(d, d.d)
    assert.has_error(function () d.c = coroutine.create(print) end)
    assert.is_nil(d.c)
    d.d = nil
  end)

  it("does what a table does", function ()
    local d, t, n = conc.dict(), {}, 0
    for i = 1, 5000 do
      local k = math.random(400)
      if k % 3 == 0 then k = "key " .. k elseif k % 3 == 1 then k = k / 4 end
      local v
      if math.random() < 0.6 then v = i % 2 == 0 and i or "value " .. i end
      if t[k] == nil and v ~= nil then n = n + 1 end
      if t[k] ~= nil and v == nil then n = n - 1 end
      d[k] = v
      t[k] = v
      assert(#d == n)
    end
    assert.are.same(t, d:totable())
    for k in pairs(t) do d[k] = nil end
    assert.are.equal(0, #d)
    assert.are.same({}, d:totable())
  end)

  it("walks a snapshot", function ()
    local d, seen = conc.dict(), {}
    for i = 1, 100 do d[i] = i end
    for k, v in pairs(d) do
      seen[k] = v
      d[k] = nil
      d[k + 1000] = v
    end
    for i = 1, 100 do assert.are.equal(i, seen[i]) end
    assert.are.equal(100, #d)
    for _ in pairs(conc.dict()) do error("an empty dict has no entry") end
  end)

  it("updates", function ()
    local d = conc.dict { n = 1, t = { 1 } }
    assert.are.equal(2, d:update("n", function (old) return old + 1 end))
    assert.are.equal(2, d.n)
    assert.are.equal("new", d:update("x", function (old) assert.is_nil(old) return "new" end))
    d:update("t", function (t) t[2] = 2 return t end)
    assert.are.same({ 1, 2 }, d.t)
    assert.is_nil(d:update("x", function () end))
    assert.is_nil(d.x)
    assert.are.equal(2, #d)
    assert.are.equal(false, d:update("get", function () return false end))
    assert.is_false(d:get("get"))
  end)

  it("leaves the old value when an update fails", function ()
    local d = conc.dict { n = 1 }
    local ok, err = pcall(d.update, d, "n", function () error({ 7 }) end)
    assert.is_false(ok)
    assert.are.same({ 7 }, err)
    assert.has_error(function () d:update("n", function () return coroutine.create(print) end) end)
    assert.has_error(function () d:update("n", 5) end)
    assert.are.equal(1, d.n)
    local t = conc.thread(function () return d.n end)   -- it was let go of
    assert.are.equal(1, t:result(helper.soon))
  end)

  it("lets an update use the dict, and update another key", function ()
    local d = conc.dict { a = 1, b = 10 }
    d:update("a", function (a)
      d:update("b", function (b) return b + a end)
      d.c = #d
      return d.b
    end)
    assert.are.same({ a = 11, b = 11, c = 2 }, d:totable())
  end)

  it("increments", function ()
    local d = conc.dict()
    assert.are.equal(1, d:incr("n"))
    assert.are.equal(6, d:incr("n", 5))
    assert.are.equal(6.5, d:incr("n", 0.5))
    assert.are.equal(-1, d:incr("m", -1))
    d.big = math.maxinteger
    assert.are.equal(math.mininteger, d:incr("big"))
    d.s = "text"
    d.b = true
    d.t = {}
    assert.has_error(function () d:incr("s") end,
      "bad argument #1 to 'incr' (entry that is a number expected, got a string)")
    assert.has_error(function () d:incr("b") end)
    assert.has_error(function () d:incr("t") end)
    assert.has_error(function () d:incr("n", "1") end)
    assert.are.equal("text", d.s)
  end)

  it("runs with(f) with the dict locked", function ()
    local d = conc.dict { n = 1 }
    assert.are.same({ 2, "b" }, { d:with(function (x, b)
      assert.are.equal(d, x)
      d.n = d.n + 1
      return d.n, b
    end, "b") })
    assert.has_error(function () d:with(function () error("boom", 0) end) end, "boom")
    local t = conc.thread(function () return d.n end)
    assert.are.equal(2, t:result(helper.soon))
  end)

  it("says what it is", function ()
    assert.are.equal("conc.dict (2 entries)", tostring(conc.dict { a = 1, b = 2 }))
    assert.are.equal("conc.dict (1 entry)", tostring(conc.dict { 1 }))
    assert.are.equal("dict", conc.type(conc.dict()))
    assert.has_error(function () conc.dict().get(conc.list(), 1) end,
      "bad argument #1 to 'get' (conc.dict expected, got conc.list)")
  end)

  it("gives room back", function ()
    local d = conc.dict()
    for k = 1, 50000 do d[k] = k end
    local full = core._arena().bytes
    for k = 1, 50000 do d[k] = nil end
    assert.is_true(core._arena().bytes < full)
    for k = 1, 3000 do d["key number " .. k] = k d["key number " .. k - 5] = nil end
    assert.are.equal(5, #d)
  end)

  it("changes nothing when memory is full", function ()
    local d = conc.dict { ["a long key of a dict"] = 1 }
    finally(function () core._fail(0) end)
    for n = 1, 3 do
      for _, change in ipairs {
        function () d["another long key of a dict"] = 1 end,
        function () d["a long key of a dict"] = { 1 } end,
        function () d:incr("a long key of a dict", math.maxinteger) end,
      } do
        core._fail(n)
        pcall(change)
        core._fail(0)
      end
    end
    local n = 0
    for k, v in pairs(d) do
      n = n + 1
      assert.are.equal(v, type(v) ~= "table" and d[k] or v)
    end
    assert.are.equal(#d, n)
  end)

  helper.each_kind(function (start)
    it("is one dict for all", function ()
      local d = conc.dict { here = 1 }
      local t = start(function (there)
        there.there = { 2 }
        return there, conc.dict { new = true }
      end, d)
      local back, new = t:result(helper.soon)
      assert.are.equal(d, back)
      assert.are.same({ here = 1, there = { 2 } }, d:totable())
      assert.are.same({ new = true }, new:totable())
    end)

    it("loses no increment and no update", function ()
      local d = conc.dict { u = 0 }
      local function work()
        for i = 1, 500 do
          d:incr("n")
          d:incr(i % 10)
          d:update("u", function (n) return n + 1 end)
        end
      end
      local workers = { start(work), start(work), start(work) }
      for _, w in ipairs(workers) do w:result(helper.soon) end
      assert.are.equal(1500, d.n)
      assert.are.equal(1500, d.u)
      for i = 0, 9 do assert.are.equal(150, d[i]) end
    end)

    it("shows with's changes all at once", function ()
      local d, stop = conc.dict { a = 0, b = 0 }, conc.value(false)
      local t = start(function ()
        while not stop.value do
          d:with(function () d.a = d.a + 1 d.b = d.b + 1 end)
        end
      end)
      for _ = 1, 300 do
        local now = d:totable()
        assert.are.equal(now.a, now.b)
      end
      stop.value = true
      t:result(helper.soon)
    end)

    it("is waited for by who can be cancelled", function ()
      local d, inside = conc.dict { a = 1 }, conc.event()
      d:with(function ()
        local t = start(function () inside:set() return d.a end)
        assert(inside:wait(helper.soon))
        conc.sleep(0.02)
        assert.is_true(t:cancel())
        local ok, err = pcall(t.result, t, helper.soon)
        assert.is_false(ok)
        assert.are.equal(conc.cancelled, err)
      end)
      assert.are.equal(1, d.a)
    end)
  end)

  it("goes on when its owner was killed", function ()
    local d, inside = conc.dict { a = 1 }, conc.event()
    local p = conc.process(function ()
      d:update("a", function () inside:set() conc.sleep(60) end)
    end)
    assert(inside:wait(helper.soon))
    p:kill()
    assert.are.equal(1, d.a)
    assert.are.equal(2, d:incr("a"))
    p:join(helper.soon)
    p:error()
  end)

  it("is in order after kills at random", function ()
    local d = conc.dict()
    local function work(seed)
      math.randomseed(seed)
      while true do
        local r = math.random(8)
        local k = math.random() < 0.5 and math.random(50) or "a longer key " .. math.random(50)
        if r == 1 then d[k] = nil
        elseif r == 2 then d[k] = { k, d }
        elseif r == 3 then d[k] = ("s"):rep(math.random(900))
        elseif r == 4 then d:update(k, function (old) return not old and { k, d } or nil end)
        elseif r == 5 then d:with(function () local v = d[k] d[k] = nil d[k] = v end)
        elseif r == 6 then d:incr("count")
        else local _ = d[k] end
      end
    end
    for round = 1, 40 do
      local p = conc.process(work, helper.seed + round)
      local q = conc.process(work, helper.seed - round)
      conc.sleep(math.random() * 0.01)
      p:kill() q:kill()
      assert(p:join(helper.soon)) assert(q:join(helper.soon))
      p:error() q:error()
      local n = 0
      for k, x in pairs(d) do
        n = n + 1
        assert(type(x) ~= "table" or (x[1] == k and x[2] == d), k)
      end
      assert.are.equal(#d, n)
    end
    for k in pairs(d) do d[k] = nil end   -- it was in itself
  end)
end)
