local conc = require "conc"
local helper = require "spec.helper"

require "spec.queues" ("lifo_queue", function (q, value, timeout) return q:put(value, timeout) end)

describe("conc.lifo_queue", function ()
  it("is last in, first out", function ()
    local q = conc.lifo_queue()
    for i = 1, 3000 do q:put(i % 7 == 0 and ("x"):rep(i) or i) end
    for i = 3000, 1, -1 do assert.are.equal(i % 7 == 0 and ("x"):rep(i) or i, q:get(0)) end
  end)

  it("puts lists in order, and so gets them backwards", function ()
    local q = conc.lifo_queue()
    assert.are.equal(4, q:put_many({1, 2, ("x"):rep(2000), 4}))
    assert.are.same({4, ("x"):rep(2000), 2}, q:get_many(3))
    assert.are.same({1}, q:get_many(3))
  end)

  it("goes up and down over the ends of its segments", function ()
    local q, model = conc.lifo_queue(), {}
    for i = 1, 20000 do
      if math.random(100) <= (i % 4000 < 2000 and 70 or 30) then
        q:put(i)
        model[#model + 1] = i
      else
        assert.are.equal(table.remove(model), (q:get(0)))
      end
    end
    assert.are.equal(#model, #q, "seed " .. helper.seed)
  end)
end)
