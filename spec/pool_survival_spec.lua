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

  it("runs thousands of tasks with a new worker for each", function ()
    local n = helper.sanitizer and 200 or 2000
    local pool <close> = conc.process_pool { workers = 4, max_tasks_per_worker = 1 }
    local futures = {}
    for i = 1, n do futures[i] = pool:submit(function (x) return x + 1 end, i) end
    for i = 1, n do assert.are.equal(i + 1, futures[i]:result(soon)) end
  end)

  it("has ten thousand futures waited for at once", function ()
    local pool <close> = conc.process_pool(2)
    local futures = {}
    for i = 1, 10000 do futures[i] = pool:submit(function (x) return -x end, i) end
    local ended, left = conc.wait(futures, { timeout = soon })
    assert.are.equal(10000, #ended)
    assert.are.equal(0, #left)
    for i = 1, 10000 do assert.are.equal(-i, futures[i]:result(0)) end
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
    local other <close> = conc.thread(function ()
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

helper.each_pool(function (open)
  -- A task that waits for another of its pool runs that itself. A cancel of the inner
  -- one took that of the outer along: it went on for ever.
  for _, order in ipairs { "the inner first", "the outer first" } do
    it("a task and the one that it runs inside are both cancelled, " .. order, function ()
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
