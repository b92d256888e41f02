-- What queue, lifo_queue and priority_queue have in common, tested for each:
--   require "spec.queues" (name, put)
-- 'put' is how a value is put without caring for its priority.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

local function pack_error(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

return function (name, put)
  local make = conc[name]
  local ordered = name == "priority_queue"

  describe("conc." .. name .. ", as any queue:", function ()
    it("gives back what was put, whatever it is", function ()
      local q = make()
      local large = ("large "):rep(100000)
      for _, v in ipairs { 1, -1, math.mininteger, 1.5, -0.0, 2 ^ 53, true, false, "", "\0x",
        ("s"):rep(480), ("s"):rep(481), large, ("x"):rep(31), ("x"):rep(32), ("x"):rep(33) } do
        assert.is_true(put(q, v))
        local got = q:get(0)
        assert.are.equal(v, got)
        assert.are.equal(math.type(v), math.type(got))
      end
      put(q, 0 / 0)
      local nan = q:get()
      assert.is_true(nan ~= nan)
      put(q, {1, 2, {3}, x = "y"})
      assert.are.same({1, 2, {3}, x = "y"}, (q:get()))
      local up = 7
      put(q, function (a) return a + up end)
      assert.are.equal(10, q:get()(3))
    end)

    it("carries objects by reference, itself too", function ()
      local q, lock = make(), conc.lock()
      put(q, lock)
      assert.are.equal(lock, (q:get()))
      put(q, {q = q})
      assert.are.equal(q, q:get().q)
      put(q, q)
      assert.are.equal(q, (q:get()))
    end)

    it("refuses nil, and what cannot be sent, before any waiting", function ()
      local q = make(1)
      assert.matches("bad argument #1 to 'put' %(a value other than nil expected",
        pack_error(function () q:put(nil, 1) end))
      put(q, 1)
      assert.matches("cannot send", pack_error(put, q, coroutine.create(print)))
      assert.matches("cannot send", pack_error(put, q, {a = io.tmpfile()}))
      assert.are.equal(1, #q)
      q:close()
      assert.matches("cannot send", pack_error(put, q, coroutine.create(print)))
      assert.are.equal(1, (q:get()))
    end)

    it("has a bound", function ()
      local q = make(2)
      assert.are.equal(2, q:maxsize())
      assert.is_nil(make():maxsize())
      assert.is_true(put(q, "a", 0))
      assert.is_false(q:full())
      assert.is_true(put(q, "b", 0))
      assert.is_true(q:full())
      assert.are.same({n = 2, nil, "timeout"}, table.pack(put(q, "c", 0)))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(put(q, "c", -1)))
      local begun = conc.now()
      assert.are.same({n = 2, nil, "timeout"}, table.pack(put(q, "c", 0.05)))
      assert.is_true(conc.now() - begun >= 0.05)
      assert.are.equal(2, #q)
      assert.is_false(make():full())
    end)

    it("has a maxsize of 1 or more, or none", function ()
      for _, bad in ipairs { 0, -1, 1.5, "x", {}, 0 / 0 } do
        assert.matches("bad argument #1", pack_error(make, bad))
      end
      assert.are.equal(1, make(1):maxsize())
      assert.is_nil(make(nil):maxsize())
    end)

    it("times out where nothing comes", function ()
      local q = make()
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:get(0)))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:get(-5)))
      local begun = conc.now()
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:get(0.05)))
      local took = conc.now() - begun
      assert.is_true(took >= 0.05 and took < 0.05 + helper.soon, took)
      assert.matches("bad argument #1 to 'get'", pack_error(function () q:get("1") end))
      assert.matches("bad argument #1 to 'get'", pack_error(function () q:get(0 / 0) end))
    end)

    it("tells its state", function ()
      local q, bounded = make(), make(10)
      assert.are.equal(name, conc.type(q))
      assert.are.equal(0, #q)
      assert.is_true(q:empty())
      assert.is_nil((q:peek()))
      assert.are.equal("conc." .. name .. " (0)", tostring(q))
      for i = 1, 3 do put(q, i); put(bounded, i) end
      assert.are.equal(3, #q)
      assert.is_false(q:empty())
      assert.are.equal("conc." .. name .. " (3)", tostring(q))
      assert.are.equal("conc." .. name .. " (3 of 10)", tostring(bounded))
      assert.is_false(q:closed())
      q:close()
      assert.is_true(q:closed())
      q:get()
      assert.are.equal("conc." .. name .. " (closed, 2 left)", tostring(q))
    end)

    it("shows what comes next, and leaves it there", function ()
      local q = make()
      for _, v in ipairs { 1, ("s"):rep(40), {x = 1}, ("l"):rep(5000) } do
        put(q, v)
        assert.are.same(v, (q:peek()))
        assert.are.same(v, (q:peek()))
        assert.are.same(v, (q:get()))
      end
      local lock = conc.lock()
      put(q, {lock})
      assert.are.equal(lock, q:peek()[1])
      assert.are.equal(lock, q:get()[1])
    end)

    it("closed: takes no more, gives what is left, then says so", function ()
      local q = make()
      put(q, 1)
      q:close()
      q:close()
      assert.are.same({n = 2, nil, "closed"}, table.pack(put(q, 2)))
      assert.are.equal(1, (q:get()))
      assert.are.same({n = 2, nil, "closed"}, table.pack(q:get()))
      assert.are.same({n = 2, nil, "closed"}, table.pack(q:get(0)))
      assert.are.same({n = 2, nil, "closed"}, table.pack(q:get_many(5)))
    end)

    it("closed with discard: what is in it is dropped", function ()
      local q = make()
      for i = 1, 50 do put(q, ("x"):rep(i * 100)) end
      q:close(true)
      assert.are.equal(0, #q)
      assert.is_true(q:empty())
      assert.is_nil((q:peek()))
      assert.are.same({n = 2, nil, "closed"}, table.pack(q:get()))
      assert.are.same({n = 2, nil, "closed"}, table.pack(put(q, 1)))
      q:close()
      assert.is_true(q:closed())
    end)

    it("may be closed and then discarded", function ()
      local q = make()
      put(q, 1)
      q:close()
      q:close(true)
      assert.are.same({n = 2, nil, "closed"}, table.pack(q:get()))
    end)

    it("is closed at the end of a <close> scope", function ()
      local kept
      do
        local q <close> = make()
        put(q, 5)
        kept = q
      end
      assert.is_true(kept:closed())
      assert.are.equal(5, (kept:get()))
    end)

    it("walks until closed and drained", function ()
      local q = make()
      for i = 1, 5 do put(q, false) end
      q:close()
      local n = 0
      local iterate = q:items()
      while iterate() ~= nil do n = n + 1 end
      assert.are.equal(5, n)
    end)

    it("counts what is done", function ()
      local q = make()
      assert.is_true(q:join(0))
      put(q, 1)
      put(q, 2)
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:join(0)))
      q:get()
      q:task_done()
      assert.are.same({n = 2, nil, "timeout"}, table.pack(q:join(0.01)))
      q:task_done()  -- before the get: allowed, what counts is what was put
      assert.is_true(q:join())
      assert.matches("task_done called more often than", pack_error(q.task_done, q))
      put(q, 3)
      put(q, 4)
      q:close(true)
      assert.is_true(q:join())
      assert.matches("task_done called more often than", pack_error(q.task_done, q))
    end)

    it("checks what it is called on", function ()
      local q = make()
      assert.matches("bad argument #1 to 'get' %(conc.queue expected, got table%)",
        pack_error(function () local get = q.get; get({}) end))
      assert.matches("bad argument #1 to 'get_many' %(max of 1 or more expected, got 0%)",
        pack_error(function () q:get_many(0) end))
      assert.matches("bad argument #1 to 'get_many'", pack_error(function () q:get_many() end))
      assert.matches("bad argument #1 to 'get_many'",
        pack_error(function () q:get_many("many") end))
      assert.matches("bad argument #1 to 'put_many' %(list expected, got number%)",
        pack_error(function () q:put_many(5) end))
    end)

    it("shared memory that is full is an error, and nothing is lost by it", function ()
      local core = require "conc.core"
      local q, lock, large = make(), conc.lock(), ("l"):rep(5000)
      put(q, large)
      local many = {}
      for i = 1, 30 do
        local v = i % 3 == 0 and large or i
        many[i] = ordered and {v, i} or v
      end
      for _, step in ipairs {
        function () put(q, large) end, function () put(q, {lock}) end, function () put(q, 1) end,
        function () q:put_many(many) end, function () q:peek() end, function () make() end,
        function () q:get(0) end, function () q:get_many(50, 0) end,
      } do
        for n = 1, 40 do
          core._fail(n)
          local before = #q
          local ok, message = pcall(step)
          core._fail(0)
          if ok then break end
          assert.matches("shared memory is full", message)
          assert.is_true(#q >= before)
        end
        assert.is_true(put(q, "after"))
      end
      while q:get(0) do end
      put(q, 1)
      assert.are.equal(1, (q:get(0)))
    end)

    it("holds many, and gives the memory back", function ()
      local core = require "conc.core"
      local q = make()
      collectgarbage()
      local before = core._arena()
      local n = 30000
      for i = 1, n do put(q, i) end
      assert.are.equal(n, #q)
      assert.is_true(core._arena().bytes - before.bytes < n * (ordered and 80 or 40))
      for _ = 1, n do q:get(0) end
      assert.is_true(q:empty())
      assert.is_true(core._arena().live - before.live < 8)
    end)

    helper.each_kind(function (start)
      it("works from one to another", function ()
        local q <close> = make(3)
        local t <close> = start(function (queue, add)
          for i = 1, 500 do add(queue, {i}) end
          queue:close()
        end, q, put)
        local seen = {}
        for v in q:items() do seen[v[1]] = (seen[v[1]] or 0) + 1 end
        for i = 1, 500 do assert.are.equal(1, seen[i]) end
        assert.is_true(t:join(soon))
      end)

      it("close wakes who waits to get, and who waits to put", function ()
        local empty, full = make(), make(1)
        put(full, 1)
        local get <close> = start(function (q) return q:get() end, empty)
        local many <close> = start(function (q) return q:get_many(3) end, empty)
        local putter <close> = start(function (q, add) return add(q, 2) end, full, put)
        conc.sleep(0.02)
        empty:close()
        full:close()
        assert.are.same({n = 2, nil, "closed"}, table.pack(get:result(soon)))
        assert.are.same({n = 2, nil, "closed"}, table.pack(many:result(soon)))
        assert.are.same({n = 2, nil, "closed"}, table.pack(putter:result(soon)))
        assert.are.equal(1, (full:get()))
      end)

      it("join waits for another's task_done", function ()
        local q = make()
        for i = 1, 20 do put(q, i) end
        local t <close> = start(function (queue)
          for _ in queue:items() do queue:task_done() end
        end, q)
        assert.is_true(q:join(soon))
        assert.is_true(q:empty())
        q:close()
        assert.is_true(t:join(soon))
      end)

      it("a wait ends by cancel, and the queue works on", function ()
        local q, full = make(), make(1)
        put(full, 1)
        for _, wait in ipairs {
          function (a) a:get() end, function (a) a:get_many(2) end,
          function (a) for _ in a:items() do end end,
          function (_, b, add) add(b, 2) end,
          function (_, b) b:put_many({2, 3}, 1) b:put_many({2, 3}, 1) end,
          function (_, b) b:join() end,
        } do
          local t <close> = start(function (f, a, b, add)
            if f then return f(a, b, add) end
          end, wait, q, full, put)
          conc.sleep(0.02)
          if t:alive() then
            local begun = conc.now()
            t:cancel()
            assert.is_true(t:join(soon))
            assert.is_true(conc.now() - begun < helper.pace(0.5))
          end
        end
        put(q, 1)
        assert.are.equal(1, (q:get()))
        assert.are.equal(1, (full:get(0)))
      end)

      it("several put, several get: each item once", function ()
        local q, results = make(7), conc.queue()
        local putters, getters = {}, {}
        for i = 1, 3 do
          putters[i] = start(function (queue, add, k)
            for j = 1, 200 do add(queue, k * 1000 + j) end
          end, q, put, i)
        end
        for i = 1, 3 do
          getters[i] = start(function (queue, out)
            for v in queue:items() do out:put(v) end
          end, q, results)
        end
        for _, p in ipairs(putters) do assert.is_true(p:join(soon)) end
        q:close()
        for _, g in ipairs(getters) do assert.is_true(g:join(soon)) end
        local seen = {}
        for _ = 1, 600 do
          local v = results:get(0)
          assert.is_nil(seen[v])
          seen[v] = true
        end
        assert.is_true(results:empty())
        for i = 1, 3 do
          for j = 1, 200 do assert.is_true(seen[i * 1000 + j]) end
        end
      end)
    end)
  end)
end
