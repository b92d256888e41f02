local conc = require "conc"
local helper = require "spec.helper"

local function stopped_within(s, seconds)
  local start = conc.now()
  assert.is_true(s:join(helper.soon))
  local took = conc.now() - start
  assert.is_true(took < seconds, ("took %.2f s"):format(took))
end

for _, kind in ipairs(helper.kinds) do
  describe("conc.supervise (" .. kind .. ")", function ()
    local function supervise(options, ...)
      options.process = kind == "process"
      options.backoff = options.backoff or 0.005
      return conc.supervise(options, ...)
    end

    it("ends with f's results where f returns", function ()
      local s <close> = supervise({}, function (...) return select("#", ...), ... end, 1, nil, "x")
      assert.are.same({ 3, 1, nil, "x" }, { s:result(helper.soon) })
      assert.are.equal("done", s:state())
    end)

    it("runs f again after an error, with the same arguments", function ()
      local runs = conc.value(0)
      local s <close> = supervise({}, function (name)
        if runs:add(1) < 3 then error("lost") end
        return name, runs:get()
      end, "link")
      assert.are.same({ "link", 3 }, { s:result(helper.soon) })
    end)

    it("gives up with the last error, itself", function ()
      local runs = conc.value(0)
      local s <close> = supervise({ max_restarts = 2 }, function ()
        error({ run = runs:add(1) })
      end)
      local value, traceback = s:error(helper.soon)
      assert.are.same({ run = 3 }, value)
      assert.is_truthy(traceback:find("given up after 2 restarts in 60 s", 1, true), traceback)
      assert.is_truthy(traceback:find("supervise_spec.lua:%d+"), traceback)
      assert.are.equal(3, runs:get())
      local ok, raised = pcall(s.result, s)
      assert.is_false(ok)
      assert.are.same({ run = 3 }, raised)
    end)

    it("gives up at once with max_restarts = 0", function ()
      local runs = conc.value(0)
      local s <close> = supervise({ max_restarts = 0 }, function ()
        error("no " .. runs:add(1), 0)
      end)
      assert.are.equal("no 1", (s:error(helper.soon)))
    end)

    it('with restart = "always" runs f again after a return too', function ()
      local runs = conc.value(0)
      local s <close> = supervise({ restart = "always", max_restarts = 3 }, function ()
        runs:add(1)
      end)
      assert.is_truthy(s:error(helper.soon):find("given up after 3 restarts"))
      assert.are.equal(4, runs:get())
    end)

    it('with restart = "always" fails with the last error, if there was one', function ()
      local runs = conc.value(0)
      local s <close> = supervise({ restart = "always", max_restarts = 3 }, function ()
        if runs:add(1) == 2 then error("second", 0) end
      end)
      assert.are.equal("second", (s:error(helper.soon)))
    end)

    it("pauses longer each time", function ()
      local starts = conc.list()
      local s <close> = supervise({ max_restarts = 3, backoff = 0.04 }, function ()
        starts:append(conc.now())
        error "again"
      end)
      s:error(helper.soon)
      local t = starts:totable()
      for i, pause in ipairs { 0.04, 0.08, 0.16 } do
        assert.is_true(t[i + 1] - t[i] >= pause, ("pause %d: %.3f s"):format(i, t[i + 1] - t[i]))
      end
    end)

    it("counts only restarts of the last 'within' seconds", function ()
      local runs = conc.value(0)
      local s <close> = supervise({ max_restarts = 1, within = 0.02, backoff = 0.001 }, function ()
        if runs:add(1) == 6 then return "well" end
        conc.sleep(helper.pace(0.05))
        error "now and then"
      end)
      assert.are.equal("well", s:result(helper.soon))
    end)

    it("stops what it runs when it is cancelled", function ()
      local beats = conc.value(0)
      local s <close> = supervise({}, function ()
        while true do
          beats:add(1)
          conc.sleep(0.002)
        end
      end)
      assert.is_truthy(helper.eventually(function () return beats:get() > 3 end))
      assert.is_true(s:cancel())
      stopped_within(s, helper.pace(1))
      assert.are.equal("cancelled", s:state())
      local n = beats:get()
      conc.sleep(0.02)
      assert.are.equal(n, beats:get())
      assert.are.equal(1, #conc.list_alive())
    end)

    it("stops in the middle of a pause", function ()
      local s <close> = supervise({ backoff = 30 }, error, "once")
      conc.sleep(helper.pace(0.1))
      s:cancel()
      stopped_within(s, helper.pace(1))
      assert.are.equal("cancelled", s:state())
    end)

    it("ends as cancelled where what it runs is cancelled from outside", function ()
      local runs = conc.value(0)
      local s <close> = supervise({ name = "boss" }, function ()
        runs:add(1)
        conc.sleep(60)
      end)
      local child = helper.eventually(function ()
        for _, who in ipairs(conc.list_alive()) do
          if who:name() == "boss/run-1" and runs:get() == 1 then return who end
        end
      end)
      child:cancel()
      assert.is_true(s:join(helper.soon))
      assert.are.equal("cancelled", s:state())
      assert.are.equal(1, runs:get())
    end)

    it("reports no error that it dealt with", function ()
      local run = helper.run_script(([[
        local conc = require "conc"
        local runs = conc.value(0)
        print(conc.supervise({process = %s, backoff = 0.001}, function ()
          if runs:add(1) < 4 then error "passing" end
          return "well"
        end):result())
      ]]):format(kind == "process"))
      assert.are.equal("well\n", run.out)
      assert.are.equal("", run.err)
    end)

    it("reports its own error that nobody asked for", function ()
      local run = helper.run_script(([[
        local conc = require "conc"
        local options = {process = %s, backoff = 0.001, max_restarts = 1, name = "boss"}
        conc.supervise(options, error, "fatal")
      ]]):format(kind == "process"))
      assert.is_truthy(run.err:find('"boss" failed: fatal', 1, true), run.err)
      assert.is_truthy(run.err:find("given up after 1 restart in 60 s", 1, true), run.err)
      assert.is_nil(run.err:find("run-1", 1, true), run.err)
    end)
  end)
end

describe("conc.supervise", function ()
  it("runs a process again that was killed", function ()
    local runs = conc.value(0)
    local s <close> = conc.supervise({ process = true, backoff = 0.001 }, function ()
      if runs:add(1) < 3 then conc.current():kill() end
      return "survived"
    end)
    assert.are.equal("survived", s:result(helper.soon))
  end)

  it("tells how the process died when it gives up", function ()
    local options = { process = true, backoff = 0.001, max_restarts = 1 }
    local s <close> = conc.supervise(options, os.exit, 3)
    assert.is_truthy(s:error(helper.soon):find("os.exit(3)", 1, true))
  end)

  it("kills a process that does not stop", function ()
    local ready = conc.event()
    local s <close> = conc.supervise({ process = true }, function ()
      conc.shield(function ()
        ready:set()
        conc.sleep(600)
      end)
    end)
    assert.is_true(ready:wait(helper.soon))
    s:cancel()
    stopped_within(s, helper.pace(5))
    assert.are.equal("cancelled", s:state())
  end)

  it("is a thread by kind, with a name and an id", function ()
    local s <close> = conc.supervise({ name = "boss" }, conc.sleep, 0.01)
    assert.are.equal("thread", conc.type(s))
    assert.are.equal("boss", s:name())
    assert.are.equal("integer", math.type(s:id()))
  end)

  it("as a daemon is stopped at the program's end, with what it runs", function ()
    local run = helper.run_script([[
      local conc = require "conc"
      conc.supervise({daemon = true, restart = "always"}, conc.sleep, 600)
      conc.supervise({daemon = true, restart = "always", process = true}, conc.sleep, 600)
      conc.sleep(0.1)
      print "end"
    ]], { timeout = 30 })
    assert.are.equal("end\n", run.out)
    assert.are.equal(0, run.code)
    assert.are.equal(0, run.left)
    assert.is_true(run.seconds < helper.pace(5), run.seconds)
  end)

  it("can supervise a supervisor", function ()
    local runs = conc.value(0)
    local s <close> = conc.supervise({ backoff = 0.001, max_restarts = 3 }, function ()
      return conc.supervise({ backoff = 0.001, max_restarts = 1 }, function ()
        if runs:add(1) < 5 then error "inner" end
        return "deep"
      end):result()
    end)
    assert.are.equal("deep", s:result(helper.soon))
  end)

  it("wants a function", function ()
    for _, call in ipairs { { 1 }, { {} }, { { backoff = 1 }, "f" }, {} } do
      local ok, message = pcall(conc.supervise, table.unpack(call))
      assert.is_false(ok)
      assert.is_truthy(message:find("bad argument #%d to 'supervise' %(function expected"), message)
    end
  end)
end)
