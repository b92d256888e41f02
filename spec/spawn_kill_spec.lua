-- Processes that start threads and processes of their own are killed at random
-- instants: nothing hangs, nothing stays.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

describe("a process that is killed while it starts others", function ()
  it("leaves nothing behind, and no waiter waiting", function ()
    for round = 1, 60 do
      local q = conc.queue()
      local p = conc.process(function ()
        while true do
          local t = conc.thread({name = "inner"}, function (out)
            out:put(conc.current())
            return 1
          end, q)
          local c = conc.process({name = "child"}, function () q:put(conc.current()) return 2 end)
          conc.timer(0.001, function () end):cancel()
          q:put(t)
          t:join()
          c:join()
          conc.list_alive()
        end
      end)
      conc.sleep(math.random() * 0.02)
      assert.is_true(p:kill())
      assert.is_true(p:join(soon), "round " .. round)
      assert.are.equal(-9, p:exitcode())
      assert.matches("was killed by signal 9", (p:error()))
      q:close()
      local seen = 0
      for t in q:items() do
        seen = seen + 1
        assert.is_true(t:join(soon), "round " .. round .. ", " .. tostring(t))
        t:error()
      end
    end
  end)

  it("while others list, join and cancel what it made", function ()
    local stop = conc.event()
    local onlookers = {}
    for i = 1, 2 do
      onlookers[i] = conc.thread(function (e)
        local n = 0
        while not e:is_set() do
          for _, who in ipairs(conc.list_alive()) do
            if who:name() == "inner" then who:cancel() who:error(20) end
            n = n + #tostring(who)
          end
        end
        return n
      end, stop)
    end
    for _ = 1, 30 do
      local p = conc.process({name = "victim"}, function ()
        while true do
          conc.thread({name = "inner"}, function () conc.sleep(60) end)
          conc.sleep(0.001)
        end
      end)
      conc.sleep(math.random() * 0.02)
      p:kill()
      assert.is_true(p:join(soon))
      p:error()
    end
    stop:set()
    for i = 1, 2 do assert.is_true(onlookers[i]:result(soon) > 0) end
  end)
end)

describe("a process that is listed", function ()
  -- It was listed before it was forked, and what its task said of it then was true of
  -- the program's first process: to kill the one that was to come killed that.
  it("is there to be killed, and nobody else is", function ()
    helper.needs_fork()
    local r = helper.run_script [[
      local conc = require "conc"
      local stop = conc.event()
      local killer = conc.thread(function ()
        local unborn = 0
        while not stop:is_set() do
          for _, who in ipairs(conc.list_alive()) do
            if who:pid() == 0 then unborn = unborn + 1 end
            if conc.type(who) == "process" then who:kill() end
          end
        end
        return unborn
      end)
      for i = 1, 300 do
        conc.process(function () conc.sleep(0.001) end):error()
      end
      stop:set()
      print(killer:result(20))
    ]]
    assert.are.equal(0, r.code, r.err)
    assert.are.equal("0\n", r.out)
  end)
end)
