local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"

-- One value of each form that a list keeps in its own way.
local many = {
  0, -1, 1 << 61, -(1 << 61) - 1, math.maxinteger, math.mininteger,
  0.0, -0.0, 1.5, -1e76, 1e-300, 1e300, 1 / 0, -1 / 0, true, false,
  "", "a", "\0", "1234567", "12345678", ("x"):rep(500), ("y"):rep(100000),
}

local function same(a, b)
  return math.type(a) == math.type(b) and a == b
     and (a ~= 0 or 1 / a == 1 / b or math.type(a) == "integer")
end

describe("conc.list", function ()
  it("is a sequence", function ()
    local l = conc.list()
    assert.are.equal(0, #l)
    assert.is_nil(l[1])
    l:append("a")
    l[2] = "c"
    l:insert(2, "b")
    l:insert(1, "first")
    l:insert(5, "last")
    assert.are.same({ "first", "a", "b", "c", "last" }, l:totable())
    assert.are.equal("last", l:pop())
    assert.are.equal("a", l:pop(2))
    assert.are.equal("first", l:pop(1))
    assert.are.same({ "b", "c" }, l:totable())
    assert.are.equal(2, #l)
  end)

  it("is made of a table", function ()
    assert.are.same({ 1, "two", { 3 } }, conc.list({ 1, "two", { 3 } }):totable())
    assert.has_error(function () conc.list(5) end,
      "bad argument #1 to 'list' (table expected, got number)")
    local holed = setmetatable({ 1 }, { __len = function () return 2 end })
    assert.has_error(function () conc.list(holed) end,
      "bad argument #1 to 'list' (element 2 is nil)")
  end)

  it("keeps every value bit for bit", function ()
    local l = conc.list(many)
    for i, x in ipairs(many) do assert.is_true(same(x, l[i]), tostring(x)) end
    l:append(0 / 0)
    assert.is_true(l[#l] ~= l[#l])
    for i = #many, 1, -1 do l[i] = many[#many + 1 - i] end
    for i = 1, #many do assert.is_true(same(many[#many + 1 - i], l:pop(1))) end
  end)

  it("keeps tables, functions and objects", function ()
    local q, n = conc.list { 7 }, 5
    local shared = { 1 }
    local l = conc.list { { x = shared, y = shared }, function (k) n = n + k return n end, q }
    local t = l[1]
    assert.are.equal(t.x, t.y)
    assert.are_not.equal(t, l[1])
    assert.are.equal(6, l[2](1))
    assert.are.equal(6, l[2](1))
    assert.are.equal(q, l[3])
    l[3]:append(8)
    assert.are.equal(2, #q)
  end)

  it("may hold itself through another", function ()
    local l = conc.list { 1 }
    l:append { list = l }
    assert.are.equal(l, l[2].list)
    l:pop()
  end)

  it("is walked by ipairs", function ()
    local seen = {}
    for i, x in ipairs(conc.list { "a", "b", "c" }) do seen[i] = x end
    assert.are.same({ "a", "b", "c" }, seen)
  end)

  it("is nil beyond its end", function ()
    local l = conc.list { "a" }
    for _, i in ipairs { 0, 2, -1, 1.5, math.mininteger, math.maxinteger } do
      assert.is_nil(l[i])
    end
    assert.is_nil(l.nothing)
    assert.is_nil(l[{}])
    assert.are.equal("a", l[1.0])
  end)

  it("refuses what is outside, and nil", function ()
    local l = conc.list { "a", "b" }
    for _, i in ipairs { 0, 4, -1, 1.5, math.maxinteger } do
      assert.has_error(function () l[i] = 1 end,
        ("bad argument #2 to 'newindex' (index from 1 to 3 expected, got %s)"):format(i))
      assert.has_error(function () l:insert(i, 1) end,
        ("bad argument #1 to 'insert' (index from 1 to 3 expected, got %s)"):format(i))
    end
    assert.has_error(function () l:pop(3) end,
      "bad argument #1 to 'pop' (index from 1 to 2 expected, got 3)")
    assert.has_error(function () l.x = 1 end,
      "bad argument #2 to 'newindex' (integer expected as index, got string)")
    assert.has_error(function () l[1] = nil end,
      "bad argument #3 to 'newindex' (value expected, got nil)")
    assert.has_error(function () l:append() end,
      "bad argument #1 to 'append' (value expected, got nil)")
    assert.has_error(function () l:append(nil) end)
    assert.has_error(function () l:insert(1, nil) end)
    assert.has_error(function () l:append(coroutine.create(print)) end)
    assert.are.same({ "a", "b" }, l:totable())
  end)

  it("pops nil when it is empty", function ()
    local l = conc.list()
    assert.is_nil(l:pop())
    assert.is_nil(l:pop(1))
    assert.is_nil(l:pop(7))
  end)

  it("does what table.insert and table.remove do", function ()
    local l, t = conc.list(), {}
    for k = 1, 3000 do
      local r = math.random(10)
      if r <= 3 then
        l:append(k) t[#t + 1] = k
      elseif r <= 6 then
        local i, x = math.random(#t + 1), math.random() < 0.5 and k or "value " .. k
        l:insert(i, x) table.insert(t, i, x)
      elseif #t > 0 then
        local i = math.random(#t)
        assert.are.equal(table.remove(t, i), l:pop(i))
      end
    end
    assert.are.same(t, l:totable())
  end)

  it("is a queue of any length at constant cost", function ()
    local l = conc.list()
    for k = 1, 50000 do
      l:append(k)
      if k > 1000 then assert(l:pop(1) == k - 1000) end
    end
    assert.are.equal(1000, #l)
    for k = 1, 20000 do l:insert(1, k) end
    assert.are.equal(21000, #l)
  end)

  it("gives room back", function ()
    local l = conc.list()
    for k = 1, 100000 do l:append(k) end
    local full = core._arena().bytes
    for _ = 1, 100000 do l:pop() end
    assert.is_true(core._arena().bytes < full)
  end)

  it("runs with(f) with the list locked", function ()
    local l = conc.list { 1 }
    assert.are.same({ 3, "b" }, { l:with(function (x, a, b)
      assert.are.equal(l, x)
      l:append(2)
      return l:with(function () return #l + a, b end)
    end, 1, "b") })
    local ok, err = pcall(l.with, l, function () error({ "boom" }) end)
    assert.is_false(ok)
    assert.are.same({ "boom" }, err)
    local t = conc.thread(function () return #l end)   -- it was let go of
    assert.are.equal(2, t:result(helper.soon))
    assert.has_error(function () l:with(5) end)
    assert.has_error(function () l:with() end)
  end)

  it("lets a coroutine yield inside of with", function ()
    local l = conc.list { 1 }
    local co = coroutine.wrap(function ()
      return l:with(function () coroutine.yield("inside") return "done" end)
    end)
    assert.are.equal("inside", co())
    assert.are.equal("done", co())
  end)

  it("shows an error's own place in the traceback", function ()
    local l = conc.list()
    local _, trace = xpcall(l.with, debug.traceback, l, function ()
      local function deep_inside() error("boom") end
      deep_inside()
    end)
    assert.is_truthy(trace:find("deep_inside", 1, true))
  end)

  it("says what it is", function ()
    assert.are.equal("conc.list (3 items)", tostring(conc.list { 1, 2, 3 }))
    assert.are.equal("conc.list (1 item)", tostring(conc.list { 1 }))
    assert.are.equal("list", conc.type(conc.list()))
    assert.has_error(function () conc.list().append(conc.dict(), 1) end,
      "bad argument #1 to 'append' (conc.list expected, got conc.dict)")
  end)

  it("changes nothing when memory is full", function ()
    local l = conc.list { "a", ("b"):rep(100) }
    finally(function () core._fail(0) end)
    for _, change in ipairs {
      function () l:append { 1 } end, function () l[1] = ("x"):rep(50) end,
      function () l:insert(1, math.maxinteger) end, function () l:insert(2, { l }) end,
    } do
      core._fail(1)
      assert.has_error(change)
      core._fail(0)
      assert.are.same({ "a", ("b"):rep(100) }, l:totable())
    end
    core._fail(1)
    assert.are.equal(("b"):rep(100), l:pop())
    core._fail(0)
  end)

  helper.each_kind(function (start)
    it("is one list for all", function ()
      local l = conc.list { "here" }
      local t = start(function (there)
        there:append("there")
        return there, conc.list { "made there" }
      end, l)
      local back, new = t:result(helper.soon)
      assert.are.equal(l, back)
      assert.are.same({ "here", "there" }, l:totable())
      assert.are.same({ "made there" }, new:totable())
    end)

    it("loses nothing that many put and take", function ()
      local l, sum = conc.list(), conc.value(0)
      local workers = {}
      for i = 1, 2 do
        workers[i] = start(function ()
          for k = 1, 1000 do l:append(k % 2 == 0 and k or { k }) end
        end)
        workers[i + 2] = start(function ()
          for _ = 1, 1000 do
            local x
            repeat x = l:pop(1) until x
            sum:add(type(x) == "table" and x[1] or x)
          end
        end)
      end
      for _, w in ipairs(workers) do w:result(helper.soon) end
      assert.are.equal(2 * 500500, sum.value)
      assert.are.equal(0, #l)
    end)

    it("keeps others out while with runs", function ()
      local l = conc.list { 0 }
      local function count()
        for _ = 1, 300 do
          l:with(function () local n = l[1] l[1] = n + 1 end)
        end
      end
      local workers = { start(count), start(count), start(count) }
      for _, w in ipairs(workers) do w:result(helper.soon) end
      assert.are.equal(900, l[1])
    end)

    it("is waited for by who can be cancelled", function ()
      local l, inside = conc.list { 1 }, conc.event()
      local t
      l:with(function ()
        t = start(function () inside:set() return l[1] end)
        assert(inside:wait(helper.soon))
        conc.sleep(0.02)
        assert.is_true(t:cancel())
        local ok, err = pcall(t.result, t, helper.soon)
        assert.is_false(ok)
        assert.are.equal(conc.cancelled, err)
      end)
      assert.are.equal(1, l[1])
    end)

    it("tells a deadlock", function ()
      local a, b, inside = conc.list { 1 }, conc.list { 2 }, conc.event()
      local t
      local _, mine = pcall(a.with, a, function ()
        t = start(function ()
          return b:with(function () inside:set() return a[1] end)
        end)
        assert(inside:wait(helper.soon))
        return b[1]
      end)
      local _, theirs = pcall(t.result, t, helper.soon)
      local told = 0
      for _, outcome in ipairs { mine, theirs } do
        if type(outcome) == "string" then
          assert.is_truthy(outcome:find("deadlock: ", 1, true), outcome)
          assert.is_truthy(outcome:find("list_spec.lua", 1, true), outcome)
          told = told + 1
        end
      end
      assert.are.equal(1, told)
      assert.are.equal(1, a[1])
      assert.are.equal(2, b[1])
    end)
  end)

  it("lets Ctrl-C end the wait for it", function ()
    local r = helper.interrupt_script([[
      local conc = require "conc"
      local l, held, go = conc.list { 1 }, conc.event(), conc.event()
      local t = conc.thread(function ()
        l:with(function () held:set() go:wait() end)
      end)
      held:wait()
      io.write("ready\n") io.flush()
      local ok, err = pcall(function () return l[1] end)
      print(ok, err)
      go:set()
      t:join()
      print(l[1])
    ]])
    assert.are.equal(0, r.code, r.err)
    assert.is_truthy(r.out:find("^ready\nfalse\t[^\n]*interrupted!\n1\n$"), r.out)
    assert.is_true(r.after < helper.pace(1))
  end)

  it("goes on when its owner was killed", function ()
    local l, inside = conc.list { 1 }, conc.event()
    local p = conc.process(function ()
      l:with(function () inside:set() conc.sleep(60) end)
    end)
    assert(inside:wait(helper.soon))
    p:kill()
    assert.are.equal(1, l[1])
    l:append(2)
    p:join(helper.soon)
    p:error()
  end)

  it("is in order after kills at random", function ()
    local l = conc.list()
    local function work(seed)
      math.randomseed(seed)
      while true do
        local r, n = math.random(6), #l
        if n > 200 then r = 4 end
        if r == 1 then l:append(("s"):rep(n))
        elseif r == 2 then l:insert(math.random(n + 1) == 1 and 1 or 1, { n, l })
        elseif r == 3 then pcall(function () l[math.random(n)] = n + 0.5 end)
        elseif r == 4 then pcall(l.pop, l, math.random(n < 1 and 1 or n))
        elseif r == 5 then l:with(function () l:append(1) l:pop(1) end)
        else local _ = l[math.random(n < 1 and 1 or n)] end
      end
    end
    for round = 1, 40 do
      local p = conc.process(work, helper.seed + round)
      local q = conc.process(work, helper.seed - round)
      conc.sleep(math.random() * 0.01)
      p:kill() q:kill()
      assert(p:join(helper.soon)) assert(q:join(helper.soon))
      p:error() q:error()
      for i, x in ipairs(l:totable()) do
        assert(type(x) ~= "table" or x[2] == l, i)
      end
    end
    while l:pop() do end   -- it was in itself
  end)
end)
