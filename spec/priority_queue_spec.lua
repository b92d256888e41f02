local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

require "spec.queues" ("priority_queue", function (q, value, timeout)
  return q:put(value, 1, timeout)
end)

describe("conc.priority_queue", function ()
  it("gives the lowest number first, with its priority", function ()
    local q = conc.priority_queue()
    q:put("c", 3)
    q:put("a", -1)
    q:put("b", 2.5)
    assert.are.same({"a", -1}, {q:get()})
    assert.are.same({"b", 2.5}, {q:peek()})
    assert.are.same({"b", 2.5}, {q:get()})
    assert.are.same({"c", 3}, {q:get()})
  end)

  it("equal priorities: in order of arrival, 1 and 1.0 too", function ()
    local q = conc.priority_queue()
    for i = 1, 500 do q:put(i, i % 2 == 0 and 1 or 1.0) end
    q:put("first", 0)
    assert.are.equal("first", (q:get()))
    for i = 1, 500 do
      local v, p = q:get()
      assert.are.equal(i, v)
      assert.are.equal(i % 2 == 0 and "integer" or "float", math.type(p))
    end
  end)

  it("compares integers and floats as Lua does", function ()
    local q = conc.priority_queue()
    local list = { -math.huge, math.mininteger, math.mininteger + 1, -2.0 ^ 53 - 2, -1.5, -1,
      -0.5, 0, 0.5, 1, 2 ^ 53, (1 << 53) + 1, 2 ^ 53 + 2,
      math.maxinteger - 1, math.maxinteger, 2.0 ^ 63, math.huge }
    local order = {}
    for i = 1, #list do order[i] = i end
    for i = #order, 2, -1 do
      local j = math.random(i)
      order[i], order[j] = order[j], order[i]
    end
    for _, i in ipairs(order) do q:put(i, list[i]) end
    for i = 1, #list do
      assert.are.same({i, list[i]}, {q:get(0)}, "seed " .. helper.seed)
    end
  end)

  it("wants a priority that is a number", function ()
    local q = conc.priority_queue(1)
    for _, bad in ipairs { false, "1", 0 / 0, {} } do
      local ok, message = pcall(q.put, q, "v", bad)
      assert.is_false(ok)
      assert.matches("priority %(a number%) expected", message)
    end
    assert.matches("priority %(a number%) expected, got no value", select(2, pcall(q.put, q, "v")))
    assert.are.equal(0, #q)
    assert.is_true(q:put("v", 1))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(q:put("w", 1, 0)))
  end)

  it("items gives value and priority, get_many values only", function ()
    local q = conc.priority_queue()
    for i = 5, 1, -1 do q:put("v" .. i, i) end
    assert.are.same({"v1", "v2"}, q:get_many(2))
    q:close()
    local list = {}
    for v, p in q:items() do list[#list + 1] = v .. p end
    assert.are.same({"v33", "v44", "v55"}, list)
  end)

  it("put_many takes pairs of value and priority", function ()
    local q = conc.priority_queue(4)
    local list = {{"x", 2}, {("b"):rep(1000), 1}, {"a", -0.5}, {"y", 2}, {"z", 0}}
    assert.are.equal(4, (q:put_many(list, 0)))
    assert.are.same({"a", ("b"):rep(1000), "x", "y"}, q:get_many(9))
    for _, bad in ipairs { {1}, {{1}}, {{1, "2"}}, {{1, 0 / 0}}, {{nil, 1}},
      {{1, 1}, {coroutine.create(print), 1}} } do
      assert.is_false((pcall(q.put_many, q, bad)))
      assert.are.equal(0, #q)
    end
  end)

  it("is a heap at any size", function ()
    local q, model, arrival = conc.priority_queue(), {}, 0
    for i = 1, 4000 do
      if math.random(100) <= (i % 1000 < 600 and 70 or 25) then
        local p = math.random(20)
        arrival = arrival + 1
        q:put(arrival % 5 == 0 and ("x"):rep(100) .. arrival or arrival, p)
        local at = #model + 1
        while at > 1 and model[at - 1][2] > p do at = at - 1 end
        table.insert(model, at, {arrival % 5 == 0 and ("x"):rep(100) .. arrival or arrival, p})
      else
        local want = table.remove(model, 1)
        local v, p = q:get(0)
        if want then
          assert.are.same(want, {v, p}, "seed " .. helper.seed)
        else
          assert.is_nil(v)
        end
      end
    end
  end)

  helper.each_kind(function (start)
    it("a waiting getter gets the first that comes", function ()
      local q = conc.priority_queue()
      local t <close> = start(function (queue) return queue:get() end, q)
      conc.sleep(0.02)
      q:put("late", 9)
      assert.are.same({"late", 9}, {t:result(soon)})
    end)
  end)
end)
