local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

require "spec.queues" ("queue", function (q, value, timeout) return q:put(value, timeout) end)

describe("conc.queue", function ()
  it("is first in, first out", function ()
    local q = conc.queue()
    for i = 1, 3000 do q:put(i % 7 == 0 and ("x"):rep(i) or i) end
    for i = 1, 3000 do assert.are.equal(i % 7 == 0 and ("x"):rep(i) or i, q:get(0)) end
  end)

  describe("in batches:", function ()
    it("puts all of a list and gets up to so many", function ()
      local q = conc.queue()
      assert.are.equal(5, q:put_many({1, "two", {3}, 4.5, false}))
      assert.are.same({1, "two", {3}}, q:get_many(3))
      assert.are.same({4.5, false}, q:get_many(100))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:get_many(3, 0)))
      assert.are.equal(0, q:put_many({}))
    end)

    it("large lists and large values, in order", function ()
      local q, list = conc.queue(), {}
      for i = 1, 5000 do list[i] = i % 10 == 0 and ("v"):rep(i) or i end
      assert.are.equal(5000, q:put_many(list))
      assert.are.equal(5000, #q)
      local got = {}
      while #got < 5000 do
        for _, v in ipairs(q:get_many(777)) do got[#got + 1] = v end
      end
      assert.are.same(list, got)
      assert.are.equal(5000, q:put_many(list))
      assert.are.same(list, q:get_many(math.maxinteger))
    end)

    it("one that cannot be sent: nothing is put", function ()
      local q = conc.queue()
      local ok, message = pcall(q.put_many, q, {1, ("x"):rep(5000), {coroutine.create(print)}})
      assert.is_false(ok)
      assert.matches("cannot send", message)
      assert.are.equal(0, #q)
      ok, message = pcall(q.put_many, q, setmetatable({}, {__len = function () return 2 end}))
      assert.is_false(ok)
      assert.matches("item 1 of the list is nil", message)
    end)

    it("past a timeout, or a close, tells how many are in", function ()
      local q = conc.queue(3)
      assert.are.equal(3, (q:put_many({1, 2, 3, 4, 5}, 0)))
      assert.are.equal(0, (q:put_many({6}, 0.01)))
      q:get()
      assert.are.equal(1, (q:put_many({"a", ("b"):rep(9000)}, 0)))
      assert.are.same({2, 3, "a"}, q:get_many(9))
      q:close()
      assert.are.equal(0, (q:put_many({1})))
    end)

    it("waits for room", function ()
      local q = conc.queue(2)
      local t <close> = conc.thread(function (queue)
        return queue:put_many({1, 2, 3, 4, 5, 6, 7})
      end, q)
      for i = 1, 7 do assert.are.equal(i, q:get(soon)) end
      assert.are.equal(7, t:result(soon))
    end)

    it("takes what is there without waiting for more", function ()
      local q = conc.queue()
      local t <close> = conc.thread(function (queue) return #queue:get_many(100) end, q)
      conc.sleep(0.02)
      q:put(1)
      assert.are.equal(1, t:result(soon))
    end)

    it("reads a conc.list too", function ()
      local q = conc.queue()
      assert.are.equal(3, q:put_many(conc.list({7, 8, 9})))
      assert.are.same({7, 8, 9}, q:get_many(3))
    end)
  end)

  it("one whose value cannot be made here raises, once, and keeps no other back", function ()
    local q = conc.queue()
    local function unmakeable(what)
      local file = io.tmpfile()
      file:close()
      return debug.setmetatable(file, { __conc = function ()
        return function () error("no " .. what, 0) end
      end })
    end
    q:put_many({ unmakeable("first"), "a", unmakeable("second"), "b" })
    assert.are.same({ "a", "b" }, q:get_many(10))  -- the errors wait for who asks next
    q:put("c")
    assert.are.same({ false, "no first" }, { pcall(q.get_many, q, 10) })
    assert.are.same({ false, "no second" }, { pcall(q.get, q) })
    assert.are.same({ "c" }, q:get_many(10))
    q:put_many({ unmakeable("third"), unmakeable("fourth") })
    assert.are.same({ false, "no third" }, { pcall(q.get_many, q, 10) })
    assert.are.same({ false, "no fourth" }, { pcall(q:items()) })
    q:put(unmakeable("fifth"))
    assert.are.same({ false, "no fifth" }, { pcall(q.get, q) })
    assert.are.same({ n = 2, nil, "timeout" }, table.pack(q:get(0)))
  end)

  it("keeps the order of each producer", function ()
    local q = conc.queue(5)
    local producers = {}
    for k = 1, 3 do
      producers[k] = (k == 2 and conc.process or conc.thread)(function (queue, who)
        for i = 1, 300 do queue:put({who, i}) end
      end, q, k)
    end
    local last = {0, 0, 0}
    for _ = 1, 900 do
      local v = q:get(soon)
      assert.are.equal(last[v[1]] + 1, v[2])
      last[v[1]] = v[2]
    end
    for _, p in ipairs(producers) do assert.is_true(p:join(soon)) end
  end)

  it("is made in a child and used by its parent", function ()
    local box = conc.queue()
    local p <close> = conc.process(function (out)
      local up, down = conc.queue(), conc.queue()
      up:put("from below")
      out:put({up, down})
      return down:get(20)
    end, box)
    local up, down = table.unpack(box:get(soon))
    assert.are.equal("from below", up:get(soon))
    down:put("from above")
    assert.are.equal("from above", p:result(soon))
  end)

  it("a bug of old: a batch of no items extended the queue by a segment of none", function ()
    local q = conc.queue()
    q:put(1)
    for _ = 1, 10 do assert.are.equal(0, q:put_many({})) end
    q:put(2)
    assert.are.same({1, 2}, q:get_many(5))
  end)

  describe("when its users are killed", function ()
    it("loses and doubles nothing of the others", function ()
      for round = 1, 15 do
        local q, done = conc.queue(round % 2 == 0 and 4 or nil), conc.array("i64", 1)
        local victim = conc.process({daemon = true}, function (queue, sure)
          for i = 1, math.maxinteger do
            queue:put(i % 3 == 0 and {i, ("x"):rep(1000)} or {i})
            sure[1] = i
          end
        end, q, done)
        conc.sleep(math.random() * 0.004)
        while done[1] < 3 do q:get(0.001) end
        local last = 0
        victim:kill()
        victim:join(soon)
        assert.are.equal(-9, victim:exitcode())
        q:close()
        for v in q:items() do
          assert.is_true(last == 0 or v[1] == last + 1)
          last = v[1]
        end
        assert.is_true(last == 0 or last == done[1] or last == done[1] + 1,
          ("round %d seed %d: %d after %d"):format(round, helper.seed, last, done[1]))
      end
    end)

    it("a getter takes at most what is in its hands", function ()
      for round = 1, 10 do
        local q, seen = conc.queue(), conc.queue()
        local victim = conc.process({daemon = true}, function (from, to)
          for v in from:items() do to:put(v) end
        end, q, seen)
        for i = 1, 2000 do q:put(i) end
        while seen:empty() do conc.sleep(0.0005) end
        conc.sleep(math.random() * 0.002)
        victim:kill()
        victim:join(soon)
        q:close()
        local count = 0
        for _ in q:items() do count = count + 1 end
        seen:close()
        for _ in seen:items() do count = count + 1 end
        assert.is_true(count == 2000 or count == 1999,
          ("round %d seed %d: %d"):format(round, helper.seed, count))
      end
    end)
  end)

  it("Ctrl-C ends a wait, and the queue works on", function ()
    local result = helper.interrupt_script([[
      local conc = require "conc"
      local q = conc.queue()
      io.stdout:setvbuf("no")
      print("ready")
      local ok, message = pcall(q.get, q)
      print(ok, message)
      q:put(5)
      print(q:get())
    ]])
    assert.matches("false\t.*interrupted!.*\n5\n", result.out)
    assert.is_true(result.after < helper.pace(2))
  end)

  it("nothing uncontended makes a system call", function ()
    helper.needs_strace()
    local script = [[
      local conc = require "conc"
      local q = conc.queue()
      for i = 1, 100 do q:put(i); q:get() end  -- what is made once is made
      collectgarbage("stop")
      io.stderr:write("BEGIN\n")
      for i = 1, 2000 do q:put(i); q:get() end
      io.stderr:write("END\n")
      os.exit(0)
    ]]
    local log = os.tmpname()
    helper.run_script(script, {command = {"strace", "-f", "-o", log, helper.lua},
                               env = helper.traced})
    local inside, calls = false, {}
    for line in io.lines(log) do
      if line:find("BEGIN", 1, true) then inside = true
      elseif line:find("END", 1, true) then inside = false
      elseif inside and not line:find("+++", 1, true) then calls[#calls + 1] = line end
    end
    os.remove(log)
    assert.are.same({}, calls)
  end)
end)
