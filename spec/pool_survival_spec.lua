-- timeout: 240
-- What kills or stalls other pools, at the size at which it does.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon * 3

-- Pids of the workers: the children of the template, which is our child.
local function workers_of(pool_name)
  local pids = {}
  for _, who in ipairs(conc.list_alive()) do
    if who:name():find(pool_name .. "/worker", 1, true) then pids[#pids + 1] = who:pid() end
  end
  return pids
end

describe("a process pool", function ()
  it("gets a map of 100000 items right while workers are killed every 20 ms", function ()
    local n = helper.sanitizer and 10000 or 100000
    local list = {}
    for i = 1, n do list[i] = i end
    local pool <close> = conc.process_pool { workers = 3, retries = 3, name = "victims" }
    local stop = conc.event()
    local killed = conc.value(0)
    local _killer <close> = conc.thread(function ()
      local random = math.random
      while not stop:wait(0.02) do
        local pids = workers_of("victims")
        if #pids > 0 then
          os.execute("kill -9 " .. pids[random(#pids)] .. " 2>/dev/null")
          killed:add(1)
        end
      end
    end)
    local function work(x)
      local sum = 0
      for i = 1, 1000 do sum = sum + i % 7 end
      return x * 2 + sum - sum
    end
    repeat  -- a fast machine is done before three have died
      local results = pool:map(work, list)
      assert.are.equal(n, results.n)
      for i = 1, n do
        if results[i] ~= i * 2 then assert.are.equal(i * 2, results[i]) end
      end
    until killed:get() >= 3
    stop:set()
  end)

  it("runs ten thousand tasks with a new worker for each", function ()
    local n = helper.sanitizer and 200 or 10000
    local pool <close> = conc.process_pool { workers = 4, max_tasks_per_worker = 1 }
    local futures = {}
    for i = 1, n do futures[i] = pool:submit(function (x) return x + 1 end, i) end
    for i = 1, n do assert.are.equal(i + 1, futures[i]:result(soon)) end
  end)

  -- By itself, not by a shell: one whose worker was stopped meanwhile is the child of
  -- whoever runs the tests, and that is what it would kill.
  it("fails with the story where its initializer crashes", function ()
    local pool = conc.process_pool { workers = 2, initializer = function ()
      require("conc").current():kill("ILL")
    end }
    local futures = {}
    for i = 1, 5 do futures[i] = pool:submit(function () return i end) end
    for i = 1, 5 do
      assert.matches("a worker was killed by signal 4 in its initializer",
                     (futures[i]:error(soon)))
    end
    assert.error_matches(function () pool:submit(print) end, "killed by signal 4")
    pool:shutdown()
  end)

  -- SIGILL: the one crash that the sanitizers leave to the system.
  for _, way in ipairs { "error", "exit", "crash" } do
    it("an " .. way .. " while a task is decoded, run, or its result encoded costs that task",
       function ()
      local pool <close> = conc.process_pool(2)
      local act = ({
        error = function () error("planned") end,
        exit = function () os.exit(7) end,
        crash = function () require("conc").current():kill("ILL") end,
      })[way]
      local expected = ({ error = "planned", exit = "os.exit%(7%)", crash = "signal 4" })[way]
      -- run
      local f = pool:submit(act)
      local ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches(expected, tostring(err))
      -- the result: __close runs after the function's own return
      f = pool:submit(function ()
        local _ <close> = setmetatable({}, { __close = act })
        return 1
      end)
      ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches(expected, tostring(err))
      -- a result that cannot be sent
      f = pool:submit(function () return io.tmpfile() end)
      ok, err = pcall(f.result, f, soon)
      assert.is_false(ok)
      assert.matches("cannot send", tostring(err))
      -- and the pool goes on
      assert.are.equal(5, pool:submit(function () return 5 end):result(soon))
    end)
  end
end)

helper.each_pool(function (open)
  it("has ten thousand futures waited for at once", function ()
    local pool <close> = open(2)
    local futures, go = {}, conc.event()
    for i = 1, 10000 do
      futures[i] = pool:submit(function (x) go:wait() return -x end, i)
    end
    local waiters = {}
    for i = 1, 3 do  -- by several at once
      waiters[i] = conc.thread(function ()
        local ended, left = conc.wait(futures, { timeout = soon })
        return #ended, #left
      end)
    end
    go:set()
    local ended, left = conc.wait(futures, { timeout = soon })
    assert.are.same({ 10000, 0 }, { #ended, #left })
    for i = 1, 10000 do assert.are.equal(-i, futures[i]:result(0)) end
    for i = 1, 3 do assert.are.same({ 10000, 0 }, { waiters[i]:result(soon) }) end
  end)

  it("takes submits from threads and processes at once", function ()
    local pool <close> = open(2)
    local runs = conc.value(0)
    local n = helper.sanitizer and 100 or 1000
    local function submits(who)
      local futures = {}
      for i = 1, n do
        futures[i] = pool:submit(function (w, x) runs:add(1) return w * x end, who, i)
      end
      for i = 1, n do
        if futures[i]:result(soon) ~= who * i then error("task " .. i .. " of " .. who) end
      end
      return pool:map(function (x) return x + who end, { 1, 2, 3 })
    end
    local others = {}
    for i = 1, 8 do others[i] = (i % 2 == 0 and conc.thread or conc.process)(submits, i) end
    assert.are.same({ 10, 11, 12, n = 3 }, submits(9))
    for i = 1, 8 do assert.are.same({ 1 + i, 2 + i, 3 + i, n = 3 }, others[i]:result(soon)) end
    assert.are.equal(9 * n, runs:get())
    local stats = pool:stats()
    assert.are.same({ 9 * n + 27, 9 * n + 27, 0, 0 },
                    { stats.submitted, stats.done, stats.failed, stats.running })
  end)

  it("survives a submitter that is killed", function ()
    local pool <close> = open(2)
    for _ = 1, 10 do
      local p = conc.process(function ()
        while true do pool:submit(function (x) return x end, 1) end
      end)
      conc.sleep(math.random() * 0.02)
      p:kill()
      assert.is_true(p:join(soon))
      p:error()
      assert.are.equal(1, pool:submit(function () return 1 end):result(soon))
    end
  end)

  it("imap_unordered raises what its source raises, after what came before", function ()
    local pool <close> = open(2)
    local n, seen = 0, 0
    local ok, err = pcall(function ()
      for _ in pool:imap_unordered(function (x) return x end, function ()
        n = n + 1
        if n == 50 then error({ "source" }) end
        return n
      end) do seen = seen + 1 end
    end)
    assert.is_false(ok)
    assert.are.same({ "source" }, err)
    assert.are.equal(49, seen)
    assert.are.equal(1, pool:submit(function () return 1 end):result(soon))
  end)

  it("is collected while a map and its tasks run elsewhere", function ()
    local started = conc.event()
    local pool = open(2)
    local other = conc.thread(function (p)
      local ok, e = pcall(p.map, p, function () started:set() conc.sleep(600) end, { 1, 2, 3 })
      return ok, e
    end, pool)
    assert.is_true(started:wait(soon))
    pool:terminate()
    pool = nil  -- luacheck: ignore 311 (what it held is dropped)
    collectgarbage() collectgarbage()
    local ok, e = other:result(soon)
    assert.is_false(ok)
    -- cancelled, or refused where it was still submitting
    assert.is_true(e == conc.cancelled or tostring(e):find("pool is shut down") ~= nil, e)
  end)

  for _, how in ipairs { "shutdown", "terminate" } do
    it(how .. " from inside a task ends the pool, and the task goes on or is cancelled", function ()
      local pool = open(2)
      local f = pool:submit(function ()
        for i = 1, 5 do pool:submit(function () return i end) end
        pool[how](pool)
        return "after"
      end)
      assert.is_true(f:join(soon))
      if how == "shutdown" then
        assert.are.equal("after", f:result(0))
      else
        assert.are.equal("cancelled", f:state())
      end
      assert.error_matches(function () pool:submit(print) end, "pool is shut down")
      pool:shutdown()
    end)
  end

  -- Nobody was left to empty it: its tasks and it held each other for good.
  it("leaves nothing behind when who made it is killed with tasks queued and running", function ()
    helper.needs_signals()
    for _ = 1, 5 do
      local started, all = conc.semaphore(0), conc.event()
      local futures = conc.queue()
      local owner = conc.process(function ()
        local pool = open(2)
        for i = 1, 10 do
          futures:put(pool:submit(function ()
            started:release()
            if i <= 2 then pool:submit(conc.sleep, 100):result() end
            conc.sleep(100)
          end))
        end
        all:set()
        conc.sleep(100)
      end)
      assert.is_true(started:acquire(soon) and started:acquire(soon) and all:wait(soon))
      owner:kill()
      assert.is_true(owner:join(soon))
      owner:error()
      for _ = 1, 10 do
        local f = futures:get(soon)
        assert.is_true(f:join(soon))
        assert.are.equal("failed", f:state())
        assert.matches("died", tostring(f:error()))
      end
    end
  end)

  it("abandons an endless source half-way", function ()
    local pool <close> = open(2)
    local n = 0
    for i in pool:imap(function (x) return x end, function () n = n + 1 return n end) do
      if i == 50 then break end
    end
    assert.are.equal(1, pool:submit(function () return 1 end):result(soon))
  end)

  it("can be opened and closed a hundred times", function ()
    for i = 1, 100 do
      local pool <close> = open(2)
      assert.are.equal(i, pool:submit(function (x) return x end, i):result(soon))
    end
  end)
end)

describe("a process pool whose workers are killed at any instant", function ()
  -- A worker that had taken a task off the queue and was killed before it began it
  -- cost that task, whatever 'retries' said; one killed between a task's end and its
  -- count was missing in the statistics.
  it("loses no task that may be tried again, and counts each", function ()
    local pool <close> = conc.process_pool { workers = 3, retries = 1000, name = "prey" }
    local stop = conc.event()
    local killer <close> = conc.thread(function ()
      while not stop:wait(0.005) do
        local prey = {}
        for _, who in ipairs(conc.list_alive()) do
          if who:name():find("prey/worker", 1, true) then prey[#prey + 1] = who end
        end
        if #prey > 0 then prey[math.random(#prey)]:kill() end
      end
    end)
    local n, limit = 0, conc.now() + helper.pace(1.5)
    while conc.now() < limit do
      local futures = {}
      for i = 1, 200 do futures[i] = pool:submit(function (x) return x end, i) end
      for i = 1, 200 do assert.are.equal(i, futures[i]:result(soon)) end
      n = n + 200
    end
    stop:set()
    assert.is_true(killer:join(soon))
    local stats = pool:stats()
    assert.are.same({ n, n, 0, 0 }, { stats.submitted, stats.done, stats.failed, stats.running })
  end)
end)

helper.each_pool(function (open, kind)
  it("counts late and cancelled tasks as failed at once", function ()
    local pool <close> = open(1)
    local started = conc.event()
    local busy = pool:submit(function () started:set() conc.sleep(600) end)
    local queued = pool:submit(function () return 1 end)
    assert.is_true(started:wait(soon))
    assert.is_true(queued:cancel())
    assert.are.equal(1, pool:stats().failed)
    busy:cancel()
    busy:join(soon)
    assert.are.equal(2, helper.eventually(function ()
      local failed = pool:stats().failed
      return failed == 2 and failed
    end))
    local _, errors = pool:map(function (x) if x == 2 then conc.sleep(600) end return x end,
                               { 1, 2, 3 }, { timeout = 0.1, errors = "collect", chunk = 1 })
    assert.are.same({ [2] = "timeout" }, errors)
    local stats = pool:stats()
    assert.are.same({ 5, 2, 3, 0 }, { stats.submitted, stats.done, stats.failed, stats.running },
                    kind)
  end)

  it("tells who waits of a queued future that another cancels, at once and in order", function ()
    local pool <close> = open(1)
    local go, started = conc.event(), conc.event()
    local first = pool:submit(function () started:set() go:wait() return "first" end)
    local second = pool:submit(function () return "second" end)
    local third = pool:submit(function () return "third" end)
    assert.is_true(started:wait(soon))
    local other = conc.thread(function ()
      conc.sleep(0.03)
      third:cancel()
      conc.sleep(0.03)
      go:set()
    end)
    local seen = {}
    for f in conc.as_completed({ first, second, third }, soon) do
      seen[#seen + 1] = f == first and 1 or f == second and 2 or 3
    end
    assert.are.same({ 3, 1, 2 }, seen)
    assert.is_true(other:join(soon))
  end)

  it("takes the same for each future of as_completed, be there few or many", function ()
    local n = helper.sanitizer and 2000 or 50000
    local pool <close> = open(2)
    local futures = {}
    for i = 1, n do futures[i] = pool:submit(function (x) return x end, i) end
    -- each is looked at once or so: with all looked at for each this takes minutes
    local count, limit = 0, conc.now() + soon
    for f in conc.as_completed(futures) do
      assert.is_true(f:done())
      count = count + 1
      if count % 100 == 0 then conc.sleep(0) end
    end
    assert.are.equal(n, count)
    assert.is_true(conc.now() < limit)
  end)

  it("gives each future once when a worker of the pool goes through those of it", function ()
    local pool <close> = open(2)
    local sum = pool:submit(function ()
      local list, total = {}, 0
      for i = 1, 300 do list[i] = pool:submit(function (x) return x end, i) end
      list[301] = list[1]
      for f in conc.as_completed(list) do total = total + f:result() end
      return total
    end)
    assert.are.equal(300 * 301 // 2, sum:result(soon))
  end)
end)

helper.each_pool(function (open, kind)
  -- A task that waits for another of its pool runs that itself. A cancel of the inner
  -- one took that of the outer along: it went on for ever.
  for _, order in ipairs { "the inner first", "the outer first" } do
    it("a task and the one that it runs inside are both cancelled, " .. order, function ()
      if kind == "process" then helper.needs_signals() end
      local pool <close> = open(1)
      for _ = 1, 20 do
        local started, inner = conc.event(), conc.queue()
        local outer = pool:submit(function ()
          local f = pool:submit(function () started:set() while true do end end)
          inner:put(f)
          pcall(f.result, f)
          while true do end
        end)
        local f = inner:get(soon)
        assert.is_true(started:wait(soon))
        if order == "the inner first" then
          f:cancel()
          outer:cancel()
        else
          outer:cancel()
          f:cancel()
        end
        assert.is_true(outer:join(soon))
        assert.is_true(f:join(soon))
        assert.are.equal("cancelled", outer:state())
        assert.are.equal("cancelled", f:state())
      end
      assert.are.equal(1, pool:submit(function () return 1 end):result(soon))
    end)
  end

  it("terminate stops a task that swallows the end of the one that it ran", function ()
    if kind == "process" then helper.needs_signals() end
    local beats, started = conc.value(0), conc.event()
    local pool = open(1)
    local outer = pool:submit(function ()
      local f = pool:submit(function () started:set() while true do end end)
      pcall(f.result, f)
      while true do beats:add(1) end
    end)
    assert.is_true(started:wait(soon))
    pool:terminate()
    assert.are.equal("cancelled", outer:state())
    assert.is_truthy(helper.eventually(function ()
      local n = beats:get()
      conc.sleep(0.02)
      return beats:get() == n
    end))
  end)
end)
