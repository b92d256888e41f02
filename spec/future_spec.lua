local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

local function names(list)
  local all = {}
  for i, f in ipairs(list) do all[i] = f:name() end
  return all
end

describe("conc.wait", function ()
  helper.each_kind(function (start)
    local function sleeper(name, seconds, fails)
      return start({name = name}, function ()
        conc.sleep(seconds)
        if fails then error("meant", 0) end
      end)
    end

    it("waits for all, in the order given", function ()
      local a, b = sleeper("a", 0.05), sleeper("b", 0)
      local ended, rest = conc.wait({a, b, a})
      assert.are.same({"a", "b"}, names(ended))
      assert.are.same({}, rest)
    end)

    it("waits for the first", function ()
      local e = conc.event()
      local a = start({name = "a"}, function () e:wait() end)
      local b = sleeper("b", 0.02)
      local ended, rest = conc.wait({a, b}, {return_when = "first"})
      assert.are.same({"b"}, names(ended))
      assert.are.same({"a"}, names(rest))
      e:set()
      a:join(soon)
    end)

    it("waits for an error, or all", function ()
      local e = conc.event()
      local a = start({name = "a"}, function () e:wait() end)
      local b, c = sleeper("b", 0), sleeper("c", 0.05, true)
      local ended, rest = conc.wait({a, b, c}, {return_when = "error"})
      assert.are.same({"b", "c"}, names(ended))
      assert.are.same({"a"}, names(rest))
      e:set()
      ended, rest = conc.wait({a, b}, {return_when = "error"})
      assert.are.same({"a", "b"}, names(ended))
      assert.are.same({}, rest)
      c:error()
    end)

    it("counts a cancelled one as an error", function ()
      local e = conc.event()
      local a = start({name = "a"}, function () e:wait() end)
      local b = start({name = "b"}, function () conc.sleep(60) end)
      b:cancel()
      local ended = conc.wait({a, b}, {return_when = "error", timeout = soon})
      assert.are.same({"b"}, names(ended))
      e:set()
      a:join(soon)
    end)

    it("gives both lists when its time is over", function ()
      local e = conc.event()
      local a, b = start({name = "a"}, function () e:wait() end), sleeper("b", 0)
      b:join(soon)
      for _, when in ipairs {"all", "error"} do
        local from = conc.now()
        local ended, rest = conc.wait({a, b}, {timeout = 0.03, return_when = when})
        assert.is_true(conc.now() - from >= 0.03)
        assert.are.same({"b"}, names(ended))
        assert.are.same({"a"}, names(rest))
      end
      e:set()
      a:join(soon)
    end)
  end)

  it("returns at once for none", function ()
    assert.are.same({{}, {}}, {conc.wait({})})
    assert.are.same({{}, {}}, {conc.wait({}, {return_when = "first"})})
  end)

  it("refuses what it does not know", function ()
    assert.has_error(function () conc.wait() end)
    assert.has_error(function () conc.wait({1}) end)
    assert.has_error(function () conc.wait({}, {timeuot = 1}) end)
    assert.has_error(function () conc.wait({}, {return_when = "some"}) end)
    assert.has_error(function () conc.wait({}, 5) end)
  end)
end)

describe("conc.as_completed", function ()
  helper.each_kind(function (start)
    it("gives each once, in the order in which they end", function ()
      local gates, all = {}, {}
      for i = 1, 4 do
        gates[i] = conc.event()
        all[i] = start({name = "f" .. i}, function () gates[i]:wait() end)
      end
      all[5] = all[1]
      local order, got = {3, 1, 4, 2}, {}
      gates[order[1]]:set()
      for f in conc.as_completed(all, soon) do
        got[#got + 1] = f:name()
        local next = order[#got + 1]
        if next then gates[next]:set() end
      end
      assert.are.same({"f3", "f1", "f4", "f2"}, got)
    end)

    it("orders those that had ended before by when they did", function ()
      local all = {}
      for i = 1, 4 do all[i] = start({name = "f" .. i}, function () end) end
      for _, i in ipairs {2, 4, 1, 3} do all[i]:join(soon) end
      local last = 0
      local seen = 0
      for f in conc.as_completed(all) do
        seen = seen + 1
        assert.is_not_nil(f)
        last = last + f:id()
      end
      assert.are.equal(4, seen)
      assert.are.equal(all[1]:id() + all[2]:id() + all[3]:id() + all[4]:id(), last)
    end)

    it("ends with its time, for the whole loop", function ()
      local e = conc.event()
      local a, b = start(function () e:wait() end), start(function () end)
      b:join(soon)
      local n, from = 0, conc.now()
      for _ in conc.as_completed({a, b}, 0.05) do n = n + 1 end
      assert.are.equal(1, n)
      assert.is_true(conc.now() - from >= 0.05)
      e:set()
      a:join(soon)
    end)
  end)

  it("gives nothing for none", function ()
    for _ in conc.as_completed({}) do error("one") end
  end)

  it("refuses what is no future", function ()
    assert.has_error(function () conc.as_completed({5}) end)
    assert.has_error(function () conc.as_completed() end)
    assert.has_error(function () conc.as_completed({}, "x") end)
  end)
end)
