local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

describe("conc.select", function ()
  it("gives the queue and its value", function ()
    local a, b = conc.queue(), conc.lifo_queue()
    b:put("x")
    local q, v = conc.select({a, b}, 0)
    assert.are.equal(b, q)
    assert.are.equal("x", v)
    assert.is_true(b:empty())
    local pq = conc.priority_queue()
    pq:put("p", 4)
    assert.are.same({n = 3, pq, "p", 4}, table.pack(conc.select({a, b, pq}, 0)))
    a:put(false)
    assert.are.same({n = 2, a, false}, table.pack(conc.select({a, b, pq}, 0)))
  end)

  it("gives the end of a pipe and its value", function ()
    local a, b = conc.pipe()
    a:send(7)
    assert.are.same({n = 2, b, 7}, table.pack(conc.select({a, b}, 0)))
  end)

  it("gives futures, threads, processes and events as they are", function ()
    local e = conc.event()
    local pool <close> = conc.thread_pool(1)
    local t <close> = conc.thread(function () end)
    t:join(soon)
    assert.are.same({n = 1, t}, table.pack(conc.select({e, t}, 0)))
    assert.are.same({n = 1, t}, table.pack(conc.select({e, t}, 0)))  -- as often as asked
    local p <close> = conc.process(function () end)
    assert.are.same({n = 1, p}, table.pack(conc.select({e, p}, soon)))
    local f = pool:submit(function () return 1 end)
    assert.are.same({n = 1, f}, table.pack(conc.select({e, f}, soon)))
    e:set()
    assert.are.same({n = 1, e}, table.pack(conc.select({e, conc.queue()}, soon)))
  end)

  it("times out", function ()
    local a, b = conc.queue(), conc.event()
    assert.are.same({n = 2, nil, "timeout"}, table.pack(conc.select({a, b}, 0)))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(conc.select({a, b}, -1)))
    local begun = conc.now()
    assert.are.same({n = 2, nil, "timeout"}, table.pack(conc.select({a, b}, 0.05)))
    assert.is_true(conc.now() - begun >= 0.05)
  end)

  it("is fair where several are ready", function ()
    local list, count = {}, {}
    for i = 1, 4 do
      list[i] = conc.queue()
      count[list[i]] = 0
      for j = 1, 400 do list[i]:put(j) end
    end
    for _ = 1, 800 do
      local q = conc.select(list, 0)
      count[q] = count[q] + 1
    end
    for i = 1, 4 do assert.is_true(count[list[i]] >= 150, count[list[i]]) end
  end)

  it("looks at each, the last one too, with timeout 0", function ()
    local list = {}
    for i = 1, 50 do list[i] = conc.queue() end
    for i = 1, 50 do
      list[i]:put(i)
      assert.are.same({n = 2, list[i], i}, table.pack(conc.select(list, 0)))
    end
  end)

  it("may be given one object twice", function ()
    local q = conc.queue()
    local t <close> = conc.thread(function (queue)
      return select(2, conc.select({queue, queue}))
    end, q)
    conc.sleep(0.02)
    q:put(1)
    assert.are.equal(1, t:result(soon))
    q:put(2)
    assert.are.same({n = 2, q, 2}, table.pack(conc.select({q, q}, 0)))
    assert.is_true(q:empty())
  end)

  it("refuses an empty list, and what cannot be waited for", function ()
    assert.has_error(function () conc.select({}) end, "bad argument #1 to 'select' (list is empty)")
    for _, bad in ipairs { 5, "x", false } do
      assert.is_false((pcall(conc.select, bad)))
      local ok, message = pcall(conc.select, {conc.queue(), bad}, 0)
      assert.is_false(ok)
      assert.matches("expected as item 2, got " .. type(bad), message)
    end
    assert.matches("as item 1, got lock", select(2, pcall(conc.select, {conc.lock()}, 0)))
    assert.is_false((pcall(conc.select, {conc.queue()}, "1")))
    assert.is_false((pcall(conc.select, {conc.queue()}, 0 / 0)))
  end)

  it("skips what is closed, and says so when all are", function ()
    local a, b = conc.queue(), conc.queue()
    local x, y = conc.pipe()
    a:put(1)
    a:close()
    assert.are.same({n = 2, a, 1}, table.pack(conc.select({a, b}, soon)))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(conc.select({a, b}, 0)))
    b:close()
    assert.are.same({n = 2, nil, "closed"}, table.pack(conc.select({a, b})))
    x:close()
    assert.are.same({n = 2, nil, "closed"}, table.pack(conc.select({a, b, y})))
    local e = conc.event()
    assert.are.same({n = 2, nil, "timeout"}, table.pack(conc.select({a, e}, 0.01)))
  end)

  helper.each_kind(function (start)
    it("wakes for whichever comes", function ()
      local a, b, e, box = conc.queue(), conc.queue(), conc.event(), conc.queue()
      local t <close> = start(function (x, y, z, out)
        for _ = 1, 60 do
          local which, v = conc.select({x, y, z})
          if which == z then z:clear() end
          out:put({which, v})
        end
      end, a, b, e, box)
      for i = 1, 60 do
        local which = i % 3 == 0 and a or i % 3 == 1 and b or e
        if i % 5 == 0 then conc.sleep(0.002) end
        if which == e then e:set() else which:put(i) end
        local got = box:get(soon)
        assert.are.equal(which, got[1])
        if which ~= e then assert.are.equal(i, got[2]) end
      end
      assert.is_true(t:join(soon))
    end)

    it("wakes when all are closed", function ()
      local a, b = conc.queue(), conc.queue()
      local t <close> = start(function (x, y) return conc.select({x, y}) end, a, b)
      conc.sleep(0.02)
      a:close()
      conc.sleep(0.01)
      assert.is_true(t:alive())
      b:close()
      assert.are.same({n = 2, nil, "closed"}, table.pack(t:result(soon)))
    end)

    it("wakes for the end of another", function ()
      local e = conc.event()
      local other <close> = start(function (go) go:wait() end, e)
      local t <close> = conc.thread(function (x)
        return conc.select({x, conc.queue()}) == x
      end, other)
      conc.sleep(0.02)
      e:set()
      assert.is_true(t:result(soon))
    end)

    it("two that select and two that get: each item once", function ()
      local a, b, out = conc.queue(), conc.queue(3), conc.queue()
      local all = {}
      for i = 1, 2 do
        all[i] = start(function (x, y, to)
          while true do
            local q, v = conc.select({x, y})
            if not q then return end
            to:put(v)
          end
        end, a, b, out)
      end
      for i, q in ipairs { a, b } do
        all[i + 2] = start(function (from, to) for v in from:items() do to:put(v) end end, q, out)
      end
      for i = 1, 600 do (i % 2 == 0 and a or b):put(i) end
      a:close()
      b:close()
      for _, t in ipairs(all) do assert.is_true(t:join(soon)) end
      local seen = {}
      for _ = 1, 600 do
        local v = out:get(0)
        assert.is_nil(seen[v])
        seen[v] = true
      end
      assert.is_true(out:empty())
    end)

    it("ends by cancel, and leaves its lines", function ()
      local a, b = conc.queue(), conc.queue()
      local t <close> = start(function (x, y) conc.select({x, y}) end, a, b)
      conc.sleep(0.02)
      t:cancel()
      assert.is_true(t:join(soon))
      local u <close> = start(function (x) return x:get() end, b)
      conc.sleep(0.01)
      b:put("u's")
      assert.are.equal("u's", u:result(soon))
    end)
  end)

  it("one that is killed swallows nothing", function ()
    for _ = 1, 5 do
      local a, b = conc.queue(), conc.queue()
      local victim = conc.process({daemon = true}, function (x, y) conc.select({x, y}) end, a, b)
      conc.sleep(0.02)
      local t <close> = conc.thread(function (x) return x:get() end, b)
      conc.sleep(0.01)
      victim:kill()
      b:put("kept")
      assert.are.equal("kept", t:result(soon))
      victim:join(soon)
    end
  end)

  it("Ctrl-C ends it", function ()
    local result = helper.interrupt_script([[
      local conc = require "conc"
      local q = conc.queue()
      io.stdout:setvbuf("no")
      print("ready")
      local ok, message = pcall(conc.select, {q, conc.event()})
      print(ok, message)
      q:put(5)
      print(select(2, conc.select({q})))
    ]])
    assert.matches("false\t.*interrupted!.*\n5\n", result.out)
    assert.is_true(result.after < helper.pace(2))
  end)
end)
