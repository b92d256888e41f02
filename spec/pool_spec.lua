-- timeout: 240
-- Pools: the same tests for both kinds, then what only processes can suffer.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

-- What a task runs; globals, so that they travel as globals do.
function square(x) return x * x end
tag = tostring(os.time())
function pool_fails(x) error("bad item " .. tostring(x)) end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

helper.each_pool(function (open, kind)
  local is_process = kind == "process"

  describe("submit", function ()
    it("gives a future with all of the results", function ()
      local pool <close> = open(2)
      local f = pool:submit(function (a, b) return a + b, a * b, nil end, 3, 4)
      local got = table.pack(f:result(soon))
      assert.are.same({ 7, 12, nil, n = 3 }, got)
      assert.are.equal("done", f:state())
      assert.is_true(f:done())
    end)

    it("sends upvalues, local recursion, globals and modules", function ()
      local pool <close> = open(2)
      local factor = 10
      local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
      assert.are.equal(550, pool:submit(function (n) return fib(n) * factor end, 10):result(soon))
      assert.are.equal(49, pool:submit(function () return square(7) end):result(soon))
    end)

    it("re-raises errors as they were", function ()
      local pool <close> = open(1)
      local f = pool:submit(pool_fails, 5)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("pool_spec.lua:%d+: bad item 5", err)
      local value, trace = f:error()
      assert.are.equal(err, value)
      assert.matches("stack traceback", trace)
      local t = pool:submit(function () error({ code = 42 }) end)
      ok, err = pcall(t.result, t, soon)
      assert.is_false(ok)
      assert.are.same({ code = 42 }, err)
    end)

    it("refuses what cannot be sent, and goes on", function ()
      local pool <close> = open(1)
      local co = coroutine.create(function () end)
      local ok, err = pcall(pool.submit, pool, function () return co end)
      assert.is_false(ok)
      assert.matches("cannot send", err)
      assert.are.equal(4, pool:submit(square, 2):result(soon))
    end)

    it("fails a result that cannot be sent", function ()
      local pool <close> = open(1)
      local f = pool:submit(function () return coroutine.create(print) end)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("cannot send", err)
      assert.are.equal(4, pool:submit(square, 2):result(soon))
    end)

    it("raises once the pool is shut down", function ()
      local pool = open(1)
      local f = pool:submit(square, 3)
      pool:shutdown()
      assert.are.equal(9, f:result(0))
      local ok, err = pcall(pool.submit, pool, square, 1)
      assert.is_false(ok)
      assert.matches("pool is shut down", err)
    end)

    it("blocks when the queue is bounded", function ()
      local pool <close> = open { workers = 1, queue = 2 }
      local go = conc.event()
      local futures = {}
      for i = 1, 3 do futures[i] = pool:submit(function (e) e:wait() return 1 end, go) end
      local done = conc.event()
      local t <close> = conc.thread(function (p, d)
        local f = p:submit(function () return 2 end)
        d:set()
        return f:result()
      end, pool, done)
      assert.is_nil((done:wait(0.05)))
      go:set()
      assert.are.equal(2, t:result(soon))
      for i = 1, 3 do assert.are.equal(1, futures[i]:result(soon)) end
    end)

    it("takes many tasks at once", function ()
      local pool <close> = open(3)
      local futures, sum = {}, 0
      for i = 1, 3000 do futures[i] = pool:submit(square, i) end
      for i = 1, 3000 do sum = sum + futures[i]:result(soon) end
      assert.are.equal(3000 * 3001 * 6001 // 6, sum)
      local n = pool:stats()
      assert.are.equal(3000, n.submitted)
      assert.are.equal(3000, n.done)
      assert.are.equal(0, n.failed)
    end)
  end)

  -- A small call travels inside the record of its task, and a small outcome takes
  -- its place; larger ones have a block of their own.
  describe("sizes", function ()
    it("of calls and outcomes around the room in a task", function ()
      local pool <close> = open(2)
      local function echo(...) return ... end
      for n = 0, 300, 7 do
        local text = ("x"):rep(n)
        assert.are.equal(text, pool:submit(echo, text):result(soon))
        assert.are.equal(n, #pool:submit(function (s) return s .. s end, text):result(soon) // 2)
      end
    end)

    it("an outcome may name what the call named", function ()
      local pool <close> = open(2)
      local q = conc.queue()
      local f, p = pool:submit(function (f, p) return f, p end, math.max, q):result(soon)
      assert.are.equal(math.max, f)
      assert.are.equal(q, p)
      local function big() return { tag, square(2), square(3), square(4), ("y"):rep(200) } end
      local again = pool:submit(function (g) return g end, big):result(soon)
      assert.are.equal(9, again()[3])
    end)

    it("an error, too", function ()
      local pool <close> = open(2)
      local value = pool:submit(function (n) error({ code = n }) end, 7):error(soon)
      assert.are.same({ code = 7 }, value)
      assert.is_nil((pool:submit(error):error(soon)))
    end)
  end)

  it("a future that was sent comes back as the same object", function ()
    local pool <close> = open(1)
    local q = conc.queue()
    local f, g = pool:submit(square, 3), pool:submit(square, 4)
    q:put(f)
    assert.are.equal(f, q:get(soon))
    q:put({ g, g, f })
    local list = q:get(soon)
    assert.are.equal(g, list[1])
    assert.are.equal(g, list[2])
    assert.are.equal(f, list[3])
    assert.are.equal(25, f:result(soon) + g:result(soon))
  end)

  -- An idle worker that still looks around is not rung for each task of a burst:
  -- the one behind a long task must find it all the same.
  it("no task waits behind a long one while a worker is idle", function ()
    local pool <close> = open(2)
    local function nap() conc.sleep(1) return true end
    for _ = 1, 20 do
      local burst = {}
      for i = 1, 50 do burst[i] = pool:submit(square, i) end
      for i = 1, 50 do burst[i]:join(soon) end
      local long = pool:submit(nap)
      local short = pool:submit(square, 5)
      assert.are.equal(25, (short:result(0.5)))
      long:cancel()
    end
  end)

  describe("map", function ()
    it("gives results in order", function ()
      local pool <close> = open(3)
      local got = pool:map(square, range(1000))
      assert.are.equal(1000, got.n)
      for i = 1, 1000 do assert.are.equal(i * i, got[i]) end
    end)

    it("begins the last item of a long list early: it may be the longest", function ()
      local pool <close> = open(2)
      local begun = conc.queue()
      local results = pool:map(function (x) begun:put(x) conc.sleep(0.002) return -x end, range(60))
      assert.are.equal(60, results.n)
      for i = 1, 60 do assert.are.equal(-i, results[i]) end
      local first = begun:get_many(10, soon)
      local at
      for i, x in ipairs(first) do if x == 60 then at = i end end
      assert.is_truthy(at, "not among the first ten")
    end)

    it("keeps nil results in their places", function ()
      local pool <close> = open(2)
      local got = pool:map(function (x) if x % 2 == 0 then return x end end, range(5))
      assert.are.same({ nil, 2, nil, 4, nil, n = 5 }, got)
    end)

    it("gives an empty list for one", function ()
      local pool <close> = open(1)
      assert.are.same({ n = 0 }, pool:map(square, {}))
    end)

    it("raises the first error, and the pool goes on", function ()
      local pool <close> = open(2)
      local ok, err = pcall(pool.map, pool, function (x)
        if x == 17 then error("item 17") end
        return x
      end, range(100))
      assert.is_false(ok)
      assert.matches("item 17", err)
      assert.are.same({ 1, 4, n = 2 }, pool:map(square, { 1, 2 }))
    end)

    it("collects errors by index where asked", function ()
      local pool <close> = open(2)
      local got, errors = pool:map(function (x)
        if x % 10 == 0 then error({ x }) end
        return -x
      end, range(30), { errors = "collect" })
      assert.are.equal(30, got.n)
      assert.are.equal(-29, got[29])
      assert.is_nil(got[20])
      assert.are.same({ [10] = { 10 }, [20] = { 20 }, [30] = { 30 } }, errors)
    end)

    it("has one item that cannot be sent fail alone", function ()
      local pool <close> = open(2)
      local list = range(9)
      list[5] = coroutine.create(print)
      local got, errors = pool:map(square, list, { errors = "collect" })
      assert.are.equal(81, got[9])
      assert.is_nil(got[5])
      assert.matches("cannot send", errors[5])
    end)

    it("shows no item what another did to an upvalue", function ()
      local pool <close> = open(1)
      local count = 0
      local got = pool:map(function () count = count + 1 return count end, range(50),
                           { chunk = 25 })
      for i = 1, 50 do assert.are.equal(1, got[i]) end
    end)

    -- Its length was asked of its metatable, with a bundle in hand that was lost.
    it("starmap runs nothing of its items' metatables", function ()
      local pool <close> = open(1)
      local item = setmetatable({ 1, 2 }, { __index = function () error "asked" end })
      for _ = 1, 100 do
        pcall(pool.starmap, pool, math.max, { item, item })
      end
      assert.are.same({ 2, n = 1 }, pool:starmap(math.max, { { 1, 2 } }))
    end)

    it("unpacks argument lists", function ()
      local pool <close> = open(2)
      local got = pool:starmap(function (a, b, c)
        return (a or 0) + (b or 0) * 10 + (c or 0) * 100
      end, { { 1, 2, 3 }, { 4, n = 3, [3] = 6 }, {} })
      assert.are.same({ 321, 604, 0, n = 3 }, got)
    end)

    it("refuses options that it does not know", function ()
      local pool <close> = open(1)
      assert.error_matches(function () pool:map(square, { 1 }, { chunks = 3 }) end, "chunk")
      assert.error_matches(function () pool:map(square, { 1 }, { chunk = 0 }) end, "chunk")
      assert.error_matches(function () open { worker = 3 } end, "workers")
      assert.error_matches(function () open(0) end, "workers")
    end)
  end)

  describe("imap", function ()
    it("gives results in order, lazily, from an endless source", function ()
      local pool <close> = open(2)
      local read = 0
      local function source() read = read + 1 return read end
      local seen = 0
      for i, r in pool:imap(square, source, { ahead = 8 }) do
        seen = seen + 1
        assert.are.equal(seen, i)
        assert.are.equal(i * i, r)
        assert.is_true(read <= i + 8)
        if i == 100 then break end
      end
      assert.are.equal(100, seen)
      assert.are.equal(4, pool:submit(square, 2):result(soon))
    end)

    it("gives the results before a failing item first", function ()
      local pool <close> = open(2)
      local seen = {}
      local ok, err = pcall(function ()
        for i, r in pool:imap(function (x)
          if x == 6 then error("six") end
          return x
        end, range(20), { chunk = 4 }) do seen[i] = r end
      end)
      assert.is_false(ok)
      assert.matches("six", err)
      assert.are.same({ 1, 2, 3, 4, 5 }, seen)
    end)

    it("raises what the source raises, after what came before", function ()
      local pool <close> = open(2)
      local n, seen = 0, 0
      local ok, err = pcall(function ()
        for _ in pool:imap(square, function ()
          n = n + 1
          if n == 7 then error("source ends badly") end
          return n
        end) do seen = seen + 1 end
      end)
      assert.is_false(ok)
      assert.matches("source ends badly", err)
      assert.are.equal(6, seen)
    end)

    it("unordered gives each once, with its place", function ()
      local pool <close> = open(3)
      local seen, count = {}, 0
      for i, r in pool:imap_unordered(function (x)
        if x == 1 then require("conc").sleep(0.05) end
        return x * 2
      end, range(200)) do
        assert.is_nil(seen[i])
        seen[i] = r
        count = count + 1
      end
      assert.are.equal(200, count)
      for i = 1, 200 do assert.are.equal(i * 2, seen[i]) end
    end)
  end)

  describe("options", function ()
    it("an initializer runs first in each worker", function ()
      local pool <close> = open { workers = 2, initializer = function () initialized = "yes" end }
      assert.are.equal("yes", pool:submit(function () return initialized end):result(soon))
    end)

    it("an initializer that fails fails every future", function ()
      local pool = open { workers = 2, initializer = function () error("no start") end }
      local f = pool:submit(square, 2)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("no start", err)
      ok, err = pcall(pool.submit, pool, square, 2)
      assert.is_false(ok)
      assert.matches("no start", err)
      pool:shutdown()
    end)

    it("workers are replaced after max_tasks_per_worker", function ()
      local pool <close> = open { workers = 2, max_tasks_per_worker = 3 }
      local got = pool:map(function (x)
        mine = (mine or 0) + 1
        return mine
      end, range(20), { chunk = 1 })
      for i = 1, 20 do assert.is_true(got[i] <= 3) end
    end)

    it("a task that takes too long fails with timeout, alone", function ()
      local pool <close> = open(2)
      local got, errors = pool:map(function (x)
        while x == 3 do end
        return x
      end, range(6), { timeout = 0.2, errors = "collect", chunk = 3 })
      assert.are.same({ 1, 2, nil, 4, 5, 6, n = 6 }, got)
      assert.are.same({ [3] = "timeout" }, errors)
    end)
  end)

  describe("cancel", function ()
    it("a queued task never begins", function ()
      local pool <close> = open(1)
      local go = conc.event()
      local first = pool:submit(function (e) e:wait() end, go)
      local ran = conc.value(0)
      local second = pool:submit(function (v) v:set(1) end, ran)
      assert.is_true(second:cancel())
      assert.are.equal("cancelled", second:state())
      go:set()
      first:result(soon)
      assert.are.equal(0, ran:get())
      assert.is_false(first:cancel())
    end)

    it("a running task is stopped, its worker lives on", function ()
      if kind == "process" then helper.needs_signals() end
      local pool <close> = open(1)
      local started = conc.event()
      local f = pool:submit(function (e) e:set() while true do end end, started)
      assert.is_true(started:wait(soon))
      assert.is_true(f:cancel())
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.are.equal(conc.cancelled, err)
      assert.are.equal(9, pool:submit(square, 3):result(soon))
    end)
  end)

  describe("the end", function ()
    it("shutdown lets queued work finish", function ()
      local pool = open(1)
      local futures = {}
      for i = 1, 20 do futures[i] = pool:submit(square, i) end
      assert.is_true(pool:shutdown())
      for i = 1, 20 do assert.are.equal(i * i, futures[i]:result(0)) end
    end)

    it("shutdown with cancel drops what is queued", function ()
      local pool = open(1)
      local go, started = conc.event(), conc.event()
      local first = pool:submit(function (e, s) s:set() e:wait() return 1 end, go, started)
      local second = pool:submit(square, 2)
      started:wait(soon)
      pool:shutdown { wait = false, cancel = true }
      assert.are.equal("cancelled", second:state())
      go:set()
      assert.are.equal(1, first:result(soon))
      pool:shutdown()
    end)

    it("terminate cancels what runs and what is pending", function ()
      local pool = open(1)
      local started = conc.event()
      local first = pool:submit(function (s) s:set() while true do end end, started)
      local second = pool:submit(square, 2)
      started:wait(soon)
      pool:terminate()
      assert.are.equal("cancelled", first:state())
      assert.are.equal("cancelled", second:state())
    end)

    it("a pool that is collected while tasks run is terminated", function ()
      local started = conc.event()
      local pool = open(1)
      local f = pool:submit(function (s) s:set() while true do end end, started)
      started:wait(soon)
      pool = nil  -- luacheck: ignore 311 (what it held is dropped)
      collectgarbage() collectgarbage()
      assert.is_true((f:join(soon)))
      assert.are.equal("cancelled", f:state())
    end)

    it("shutdown from inside a task does not wait for it", function ()
      local pool = open(2)
      local f = pool:submit(function (p) p:shutdown() return "done" end, pool)
      assert.are.equal("done", f:result(soon))
      pool:shutdown()
    end)
  end)

  describe("waiting inside", function ()
    it("a task that waits for its own pool's tasks locks nothing up", function ()
      local pool <close> = open(1)
      function pool_fib(p, n)
        if n < 2 then return n end
        local a = p:submit(pool_fib, p, n - 1)
        local b = p:submit(pool_fib, p, n - 2)
        return a:result() + b:result()
      end
      assert.are.equal(55, pool:submit(pool_fib, pool, 10):result(soon))
    end)

    it("a map inside a task of the same pool", function ()
      local pool <close> = open(2)
      local f = pool:submit(function (p)
        local sum = 0
        for _, r in ipairs(p:map(square, { 1, 2, 3, 4 })) do sum = sum + r end
        return sum
      end, pool)
      assert.are.equal(30, f:result(soon))
    end)

    it("a pool inside a task", function ()
      local pool <close> = open(1)
      local f = pool:submit(function ()
        local inner <close> = require("conc").thread_pool(2)
        return inner:submit(function () return "inner" end):result()
      end)
      assert.are.equal("inner", f:result(soon))
    end)

    it("a deep chain of waits", function ()
      local pool <close> = open(2)
      function pool_chain(p, n)
        if n == 0 then return 0 end
        return 1 + p:submit(pool_chain, p, n - 1):result()
      end
      assert.are.equal(120, pool:submit(pool_chain, pool, 120):result(soon))
    end)
  end)

  it("takes submits from several threads and processes", function ()
    local pool <close> = open(2)
    local t <close> = conc.thread(function (p) return p:submit(square, 5):result() end, pool)
    local p <close> = conc.process(function () return pool:submit(square, 6):result() end)
    assert.are.equal(25, t:result(soon))
    assert.are.equal(36, p:result(soon))
  end)

  it("has 64 workers on few processors", function ()
    local pool <close> = open(64)
    local got = pool:map(function (x) require("conc").sleep(0.01) return x end, range(128),
                         { chunk = 1 })
    for i = 1, 128 do assert.are.equal(i, got[i]) end
  end)

  if is_process then
    it("a killed worker costs one task", function ()
      local pool <close> = open(2)
      local f = pool:submit(function () require("conc").current():kill() end)
      local g = pool:submit(square, 4)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("killed by signal 9", err)
      assert.are.equal(16, g:result(soon))
      assert.are.equal(25, pool:submit(square, 5):result(soon))
      assert.are.equal(1, pool:stats().restarted)
    end)

    it("a worker that leaves by os.exit costs one task", function ()
      local pool <close> = open(1)
      local f = pool:submit(function () os.exit(3) end)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("os.exit%(3%)", err)
      assert.are.equal(16, pool:submit(square, 4):result(soon))
    end)

    it("retries a task whose worker died", function ()
      local pool <close> = open { workers = 2, retries = 3 }
      local tries = conc.value(0)
      local f = pool:submit(function (v)
        if v:add(1) < 3 then os.exit(1) end
        return v:get()
      end, tries)
      assert.are.equal(3, f:result(soon))
    end)

    it("a killed template ends the pool with an error", function ()
      local pool = open(2)
      local started = conc.event()
      local f = pool:submit(function (s) s:set() while true do end end, started)
      local g = pool:submit(function () while true do end end)
      local h = pool:submit(square, 2)
      assert.is_true(started:wait(soon))
      local parent = pool:submit(function () return 1 end)
      -- the children of this thread, which made the pool; a ps with a sanitizer
      -- preloaded does not come to its end beside busy workers
      local children <close> = io.open("/proc/thread-self/children")
      local killed = 0
      for pid in children:read("a"):gmatch("%d+") do
        os.execute("kill -9 " .. pid)
        killed = killed + 1
      end
      assert.is_true(killed >= 1)
      for _, future in ipairs { f, g, h, parent } do
        local ok, err = pcall(future.result, future, soon)
        assert.is_false(ok)
        assert.matches("template process died", err)
      end
      assert.error_matches(function () pool:submit(square, 1) end, "template process died")
      pool:shutdown()
    end)

    it("an initializer that exits fails the pool", function ()
      local pool = open { workers = 2, initializer = function () os.exit(5) end }
      local f = pool:submit(square, 2)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("initializer", err)
      pool:shutdown()
    end)

    it("a map survives the death of its workers", function ()
      local pool <close> = open { workers = 2, retries = 3 }
      local got = pool:map(function (x)
        if x % 500 == 0 and not os.rename("/proc/self/none", "none") then
          -- dies at the first try of some items only
          local mark = "/tmp/conc-pool-" .. tag .. "-" .. x
          local f = io.open(mark)
          if not f then
            io.open(mark, "w"):close()
            os.exit(1)
          end
          f:close()
          os.remove(mark)
        end
        return x + 1
      end, range(2000))
      for i = 1, 2000 do assert.are.equal(i + 1, got[i]) end
    end)
  end
end)
