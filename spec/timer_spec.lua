-- conc.timer: many that wait cost one thread between them.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

local function threads()
  local file <close> = io.open("/proc/self/status")
  return tonumber(file:read("a"):match("Threads:%s+(%d+)"))
end

describe("conc.timer", function ()
  it("has thousands that wait in no thread of their own", function ()
    local n = helper.sanitizer and 500 or 5000
    local before, list = threads(), {}
    for i = 1, n do list[i] = conc.timer(60 + i % 7, print) end
    local most = helper.sanitizer == "tsan" and 3 or 2  -- it has a thread of its own
    assert.is_true(threads() - before <= most, threads() - before .. " threads more")
    assert.are.equal(n + 1, #conc.list_alive())
    for i = 1, n do assert.is_true(list[i]:cancel()) end
    assert.are.equal(1, #conc.list_alive())
  end)

  it("runs each at its time, in whatever order they were made", function ()
    local q = conc.queue()
    local late = conc.timer(600, print)
    local list, from = {}, conc.now()
    for _, i in ipairs { 5, 1, 4, 2, 3, 8, 6, 7 } do
      list[#list + 1] = conc.timer(0.02 * i, function () q:put { i, conc.now() } end)
    end
    local seen = {}
    for _ = 1, #list do
      local got = assert(q:get(soon))
      assert.is_nil(seen[got[1]])
      seen[got[1]] = true
      assert.is_true(got[2] - from >= 0.02 * got[1])
    end
    late:cancel()
    conc.wait(list)
  end)

  it("loses none of many that are set and cancelled by many", function ()
    local ran, threads_done = conc.value(0), {}
    for k = 1, 4 do
      threads_done[k] = conc.thread(function ()
        local kept, list = 0, {}
        for i = 1, 300 do
          local t = conc.timer(math.random() * 0.05, function () ran:add(1) end)
          if i % 3 == 0 then
            if t:cancel() and t:state() == "cancelled" then kept = kept - 1 end
          end
          kept = kept + 1
          list[i] = t
        end
        for _, t in ipairs(list) do t:join() end
        local cancelled = 0
        for _, t in ipairs(list) do
          if t:state() == "cancelled" then cancelled = cancelled + 1 end
        end
        return 300 - cancelled
      end)
    end
    local expected = 0
    for k = 1, 4 do expected = expected + threads_done[k]:result(soon) end
    -- one that was cancelled while it ran may have counted before it stopped
    assert.is_true(ran:get() >= expected and ran:get() <= 1200, ran:get() .. " of " .. expected)
  end)

  it("is cancelled from another process, and nothing of it stays", function ()
    local ran = conc.value(false)
    local t = conc.timer(60, function () ran:set(true) end)
    local p <close> = conc.process(function () return t:cancel(), t:state() end)
    assert.are.same({ true, "cancelled" }, { p:result(soon) })
    assert.is_true(t:join(soon))
    assert.are.equal("cancelled", t:state())
    assert.is_false(ran:get())
  end)

  it("runs in the process that made it, and not in a child", function ()
    local pids = conc.list()
    local t <close> = conc.timer(helper.pace(0.1), function ()
      pids:append(conc.current():pid())
    end)
    local p <close> = conc.process(function ()
      local own = conc.timer(0.01, function () pids:append(conc.current():pid()) end)
      conc.sleep(helper.pace(0.3))
      own:result()
      return t:state()
    end)
    assert.are.equal("done", p:result(soon))
    assert.are.same({ p:pid(), conc.current():pid() }, pids:totable())
  end)

  it("fails with the process that made it", function ()
    local q = conc.queue()
    local p = conc.process(function ()
      q:put(conc.timer(60, print))
      conc.sleep(60)
    end)
    local t = q:get(soon)
    p:kill()
    p:join(soon)
    assert.is_true(t:join(soon))
    assert.matches("died with its process", (t:error()))
    assert.matches("signal 9", (p:error()))
  end)

  it("inherits the CPUs of who made it", function ()
    local function allowed()
      for line in io.lines("/proc/thread-self/status") do
        local list = line:match("Cpus_allowed_list:%s+(%S+)")
        if list then return list end
      end
    end
    local cpu = tonumber(allowed():match("%d+"))
    local t <close> = conc.thread({ cpus = { cpu } }, function ()
      return conc.timer(0.01, allowed):result()
    end)
    assert.are.equal(tostring(cpu), t:result(soon))
  end)

  it("holds up no program's end once it was cancelled, by whomever", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      conc.timer(60, print):cancel()
      local t = conc.timer(60, print)
      conc.process(function () t:cancel() end):join()
      local u = conc.timer(60, print)
      conc.thread(function () u:cancel() end):join()
      conc.timer({daemon = true}, 60, print)
      conc.timer(0.05, print, "last")
    ]], { timeout = 30 })
    assert.are.equal("last\n", run.out)
    assert.are.equal("", run.err)
    assert.are.equal(0, run.code)
    assert.is_true(run.seconds < helper.pace(5), run.seconds)
  end)

  -- The first thread that a child begins gives back what its copy of the parent's table
  -- had of the parent's threads and timers: of a pool several began as the first.
  it("are the parent's, when a child of his begins some threads at once", function ()
    local timers, sums = {}, {}
    for i = 1, 5000 do timers[i] = conc.timer({daemon = true}, 600, print) end
    for i = 1, 20 do
      local p = conc.process(function ()
        local pool <close> = conc.thread_pool(8)
        local sum = 0
        for n in pool:imap(function (x) return x end, {1, 2, 3, 4, 5}) do sum = sum + n end
        return sum
      end)
      local _, sum = pcall(p.result, p, helper.soon)
      sums[i] = sum
    end
    for _, t in ipairs(timers) do t:cancel() end
    assert.are.equal(("15"):rep(20, " "), table.concat(sums, " "))
  end)

  it("fails where no thread can be had, or no memory, at its time", function ()
    if helper.sanitizer then pending("the sanitizer needs more address space than that") end
    local run = helper.run_script(nil, { timeout = 30, command = { "sh", "-c",
      'ulimit -v 1500000; exec "$0" -e "$1"', helper.lua, [[
      local conc = require "conc"
      local go = conc.event()
      local t = conc.timer(3, print, "ran")  -- until then no thread is left to be had
      local hold, refused = {}, 0
      repeat  -- what a refused one gave back may do for another
        local ok, e = pcall(conc.thread, function () go:wait() end)
        hold[#hold + 1] = ok and e or nil
        refused = ok and 0 or refused + 1
      until refused == 20
      t:join()
      print(t:state(), (t:error()))
      go:set()
    ]] }, env = { CONC_ARENA = "256M" } })
    assert.matches("^failed\t%a", run.out .. run.err)  -- what was short differs
  end)
end)
