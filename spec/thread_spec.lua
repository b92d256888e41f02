local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

describe("conc.thread", function ()
  helper.each_kind(function (start, kind)
    it("gives all results, nils included", function ()
      local t <close> = start(function (a, b) return a + b, nil, "x", nil end, 1, 2)
      assert.are.same({n = 4, 3, nil, "x", nil}, table.pack(t:result(soon)))
      assert.are.same({n = 4, 3, nil, "x", nil}, table.pack(t:result()))
      assert.is_nil(t:error())
    end)

    it("gives no results where f has none", function ()
      local t <close> = start(function () end)
      assert.are.equal(0, select("#", t:result(soon)))
    end)

    it("joins: true however it ended, nil and \"timeout\" before", function ()
      local good <close> = start(function () end)
      local bad <close> = start(function () error("boom") end)
      local gate = conc.event()
      local slow <close> = start(function (e) e:wait() end, gate)
      assert.is_true(good:join(soon))
      assert.is_true(bad:join(soon))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(slow:join(0)))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(slow:join(0.01)))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(slow:result(0)))
      assert.are.same({n = 2, nil, "timeout"}, table.pack(slow:error(-1)))
      gate:set()
      assert.is_true(slow:join(soon))
      bad:error()
    end)

    it("re-raises the same error value, with its traceback on demand", function ()
      local t <close> = start(function () error({code = 5, list = {1, 2}}) end)
      local ok, e = pcall(t.result, t, soon)
      assert.is_false(ok)
      assert.are.same({code = 5, list = {1, 2}}, e)
      local value, traceback = t:error()
      assert.are.same({code = 5, list = {1, 2}}, value)
      assert.matches("stack traceback:.*thread_spec.lua:%d+", traceback)
      assert.are.equal("failed", t:state())
    end)

    it("keeps position and text of a string error", function ()
      local t <close> = start(function () error("boom") end)
      local ok, e = pcall(t.result, t, soon)
      assert.is_false(ok)
      assert.matches("^.*thread_spec.lua:%d+: boom$", e)
    end)

    it("tells error(nil) from no error", function ()
      local t <close> = start(function () error(nil) end)
      t:join(soon)
      assert.are.equal("failed", t:state())
      local value, traceback = t:error()
      assert.is_nil(value)
      assert.matches("stack traceback", traceback)
      assert.is_false((pcall(t.result, t)))
    end)

    it("turns results that cannot travel into an error naming them", function ()
      local t <close> = start(function () return 1, {co = coroutine.create(print)} end)
      local ok, e = pcall(t.result, t, soon)
      assert.is_false(ok)
      assert.matches("cannot send field 'co' of result 2", e)
    end)

    it("turns an error value that cannot travel into its text and the reason", function ()
      local t <close> = start(function ()
        error(setmetatable({io.tmpfile()}, {__tostring = function () return "odd one" end}))
      end)
      local e = t:error(soon)
      assert.matches("^odd one %(.*cannot send", e)
    end)

    it("has a name, an id and a pid", function ()
      local t <close> = start({name = "reader"}, function ()
        local me = conc.current()
        return me:name(), me:id(), me:pid(), conc.type(me)
      end)
      local name, id, pid, type = t:result(soon)
      assert.are.equal("reader", name)
      assert.are.equal("reader", t:name())
      assert.are.equal(t:id(), id)
      assert.are.equal(t:pid(), pid)
      assert.are.equal(kind, type)
      assert.are.equal(kind, conc.type(t))
      local other <close> = start(function () end)
      assert.are.equal(kind .. "-" .. other:id(), other:name())
      assert.are_not.equal(t:id(), other:id())
      assert.are.equal("integer", math.type(t:id()))
    end)

    it("is alive until it has ended, and listed so long", function ()
      local gate = conc.event()
      local t <close> = start({name = "listed"}, function (e) e:wait() end, gate)
      local function listed()
        for _, who in ipairs(conc.list_alive()) do
          if who == t then return true end
        end
        return false
      end
      assert.is_true(t:alive())
      assert.is_true(listed())
      gate:set()
      t:join(soon)
      assert.is_false(t:alive())
      assert.is_false(listed())
    end)

    it("passes pending or running, then done", function ()
      local gate = conc.event()
      local t <close> = start(function (e) e:wait() end, gate)
      assert.is_true(t:state() == "pending" or t:state() == "running")
      helper.eventually(function () return t:state() == "running" end)
      assert.are.equal("running", t:state())
      assert.is_false(t:done())
      gate:set()
      t:join(soon)
      assert.are.equal("done", t:state())
      assert.is_true(t:done())
    end)

    it("runs setup first, once its globals and those of f are there", function ()
      order, limit = {}, 7
      local t <close> = start({setup = function () order[#order + 1] = "setup " .. limit end},
        function () return table.concat(order, ","), limit end)
      local text, n = t:result(soon)
      order, limit = nil, nil
      assert.are.equal("setup 7", text)
      assert.are.equal(7, n)
    end)

    it("does not run f where setup raises", function ()
      local t <close> = start({setup = function () error("no setup", 0) end},
        function () return "ran" end)
      assert.are.equal("no setup", (t:error(soon)))
    end)

    it("shares upvalues between setup and f", function ()
      local found
      local t <close> = start({setup = function () found = 42 end}, function () return found end)
      assert.are.equal(42, t:result(soon))
    end)

    it("stays on the CPUs it is told", function ()
      local t <close> = start({cpus = {0}}, function () return conc.cpu_count() end)
      assert.are.equal(1, t:result(soon))
    end)

    it("adds to the caller's niceness", function ()
      local function niceness()
        local file <close> = io.open("/proc/thread-self/stat")
        local rest = file:read("a"):match("%) (.*)")
        local i = 0
        for word in rest:gmatch("%S+") do
          i = i + 1
          if i == 17 then return tonumber(word) end
        end
      end
      local t <close> = start({nice = 3}, niceness)
      local plain <close> = start(niceness)
      assert.are.equal(math.min(niceness() + 3, 19), t:result(soon))
      assert.are.equal(niceness(), plain:result(soon))
    end)

    it("refuses options before anything is started", function ()
      local function refused(pattern, ...)
        local ok, e = pcall(start, ...)
        assert.is_false(ok)
        assert.matches(pattern, e)
      end
      local function f() end
      refused("no option 'nam'; did you mean 'name'%?", {nam = "x"}, f)
      refused("option 'name': string expected, got number", {name = 5}, f)
      refused("option 'daemon': boolean expected, got string", {daemon = "yes"}, f)
      refused("option 'cpus'", {cpus = {}}, f)
      refused("option 'cpus': list of CPU numbers expected, got string", {cpus = {"a"}}, f)
      refused("option 'cpus': Invalid argument", {cpus = {1000}}, f)
      refused("option 'nice': integer expected, got string", {nice = "x"}, f)
      refused("option 'setup': function expected", {setup = 1}, f)
      refused("function, or options and function expected, got number", 5)
      refused("#2.*function expected, got no value", {})
      refused("got nil", nil)
    end)

    it("refuses at once what cannot be sent", function ()
      if kind == "process" then return end
      local co = coroutine.create(function () end)
      local ok, e = pcall(start, function () end, 1, {co})
      assert.is_false(ok)
      assert.matches("cannot send .* of argument 3", e)
      ok, e = pcall(start, function () return co end)
      assert.is_false(ok)
      assert.matches("cannot send upvalue 'co' of function at .*thread_spec.lua:%d+", e)
    end)

    it("can be waited for from several threads at once", function ()
      local gate = conc.event()
      local t = start(function (e) e:wait() return 5 end, gate)
      local waiters = {}
      for i = 1, 4 do waiters[i] = conc.thread(function (x) return x:result() end, t) end
      gate:set()
      for i = 1, 4 do assert.are.equal(5, waiters[i]:result(soon)) end
    end)

    it("shows its state when printed", function ()
      local t <close> = start({name = "shown"}, function () error("boom", 0) end)
      t:join(soon)
      assert.are.equal(("conc.%s \"shown\" (failed: boom)"):format(kind), tostring(t))
      t:error()
    end)

    it("refuses to wait for itself", function ()
      local box = conc.queue()
      local t <close> = start(function (q) q:get():join() end, box)
      box:put(t)
      local ok, e = pcall(t.result, t, soon)
      assert.is_false(ok)
      assert.matches("deadlock: ", e)
    end)

    it("finds a circle of joins", function ()
      local box = conc.queue()
      local a = start(function (q) return q:get():result() end, box)
      local b = start(function (other) return other:result() end, a)
      box:put(b)
      local ok, e = pcall(a.result, a, soon)
      assert.is_false(ok)
      assert.matches("deadlock: ", e)
      assert.is_false((pcall(b.result, b, soon)))
    end)

    it("waits at the end of its scope, and stops it where that is left by an error", function ()
      local seen = conc.value(0)
      do
        local _ <close> = start(function (v) conc.sleep(0.02) v:set(1) end, seen)
      end
      assert.are.equal(1, seen:get())
      local t
      local ok, e = pcall(function ()
        t = start(function () conc.sleep(math.huge) end)
        local _ <close> = t
        error("out", 0)
      end)
      assert.is_false(ok)
      assert.are.equal("out", e)
      assert.are.equal("cancelled", t:state())
    end)

    it("starts further ones", function ()
      local t <close> = start(function (n)
        local function down(k)
          if k == 0 then return 1 end
          return 1 + conc.thread(down, k - 1):result()
        end
        return down(n)
      end, 5)
      assert.are.equal(6, t:result(soon))
    end)
  end)

  it("lists the main one, which is a thread named main", function ()
    local main = conc.current()
    assert.are.equal("main", main:name())
    assert.are.equal("thread", conc.type(main))
    assert.is_true(main:alive())
    assert.are.equal("running", main:state())
    local found
    for _, who in ipairs(conc.list_alive()) do found = found or who == main end
    assert.is_true(found)
  end)

  it("is one object with one handle in a state", function ()
    local t <close> = conc.thread(function (me) return me, me == conc.current() end, conc.current())
    local main, same = t:result(soon)
    assert.are.equal(conc.current(), main)
    assert.is_false(same)
  end)

  it("runs a thousand, one after the other and many at once", function ()
    for i = 1, 1000 do
      assert.are.equal(i, conc.thread(function (n) return n end, i):result(soon))
    end
    local all = {}
    for i = 1, 200 do all[i] = conc.thread(function (n) return n end, i) end
    for i = 1, 200 do assert.are.equal(i, all[i]:result(soon)) end
  end)

  -- States are copies of the first, with the pointers moved: each is whole, and its own.
  it("has all that a state has in each of many that live at once", function ()
    local barrier, threads = conc.barrier(24), {}
    local function look()
      local bad = {}
      barrier:wait()
      for name, library in pairs(package.loaded) do
        if type(library) == "table" then
          for key, value in pairs(library) do
            if rawget(library, key) ~= value then bad[#bad + 1] = name .. "." .. tostring(key) end
            if type(value) == "function" and not conc.can_send(value) then
              bad[#bad + 1] = "cannot send " .. name .. "." .. tostring(key)
            end
          end
        end
      end
      local keyed = {}
      for _, value in pairs(_G) do keyed[value] = true end
      for _, value in pairs(_G) do if not keyed[value] then bad[#bad + 1] = "lost" end end
      local inner = require("conc").thread(function () return string.gmatch, io.lines end)
      local gmatch, lines = inner:result(5)
      if gmatch ~= string.gmatch or lines ~= io.lines then bad[#bad + 1] = "another function" end
      string.added = true  -- nobody else is to see it
      return table.concat(bad, ", "), math.random(0), string, require, io.stdout, require("conc")
    end
    for _ = 1, 2 do  -- the second time in states that were used before
      local seen = {}
      for i = 1, 24 do threads[i] = conc.thread(look) end
      for i = 1, 24 do
        local bad, random, lib, f, file, module = threads[i]:result(soon)
        assert.are.equal("", bad)
        assert.is_true(lib == string and f == require and file == io.stdout and module == conc)
        assert.is_nil(seen[random])
        seen[random] = true
      end
    end
  end)

  it("has finalizers run and files flushed before its join returns", function ()
    local path = os.tmpname()
    local t <close> = conc.thread(function (p)
      local file = io.open(p, "w")
      file:write("flushed")
      unflushed = file
      closing = setmetatable({}, {__gc = function () file:write(" at the end") end})
    end, path)
    t:join(soon)
    local file <close> = io.open(path)
    assert.are.equal("flushed at the end", file:read("a"))
    os.remove(path)
  end)
end)

describe("conc.timer", function ()
  it("runs f later, with its arguments", function ()
    local from = conc.now()
    local t <close> = conc.timer(0.05, function (a, b) return a + b end, 1, 2)
    assert.are.equal("pending", t:state())
    assert.are.equal(3, t:result(soon))
    assert.is_true(conc.now() - from >= 0.05)
    assert.are.equal("thread", conc.type(t))
  end)

  it("never begins once it was cancelled", function ()
    local ran = conc.value(false)
    local t <close> = conc.timer(0.03, function (v) v:set(true) end, ran)
    assert.is_true(t:cancel())
    assert.are.equal("cancelled", t:state())
    conc.sleep(0.06)
    assert.is_false(ran:get())
    assert.is_false(t:cancel())
    local ok, e = pcall(t.result, t)
    assert.is_false(ok)
    assert.are.equal(conc.cancelled, e)
  end)

  it("can be cancelled while it runs, and takes options", function ()
    local t <close> = conc.timer({name = "ticker"}, 0, function () conc.sleep(math.huge) end)
    assert.are.equal("ticker", t:name())
    helper.eventually(function () return t:state() == "running" end)
    assert.is_true(t:cancel())
    t:join(soon)
    assert.are.equal("cancelled", t:state())
  end)

  it("refuses what is no time", function ()
    assert.has_error(function () conc.timer("x", print) end)
    assert.has_error(function () conc.timer(0 / 0, print) end)
    assert.has_error(function () conc.timer(1) end)
    assert.has_error(function () conc.timer(1, 5) end)
  end)
end)

describe("small things", function ()
  it("sleeps", function ()
    local from = conc.now()
    conc.sleep(0.03)
    local took = conc.now() - from
    assert.is_true(took >= 0.03 and took < soon)
    conc.sleep(0)
    conc.sleep(-5)
    assert.has_error(function () conc.sleep() end)
    assert.has_error(function () conc.sleep(0 / 0) end)
    assert.has_error(function () conc.sleep("1") end)
  end)

  it("has one clock for all", function ()
    local a = conc.now()
    local b = conc.process(conc.now):result(soon)
    local c = conc.now()
    assert.is_true(a <= b and b <= c)
  end)

  it("counts the CPUs that may be used", function ()
    assert.is_true(conc.cpu_count() >= 1)
  end)

  it("prints whole lines", function ()
    local r = helper.run_script([[
      local conc = require "conc"
      local all = {}
      for i = 1, 4 do
        local start = i % 2 == 0 and conc.thread or conc.process
        all[i] = start(function (n)
          for k = 1, 200 do print(n, ("x"):rep(50), k) end
        end, i)
      end
      for i = 1, 4 do all[i]:join() end
    ]])
    assert.are.equal(0, r.code)
    local n = 0
    for line in r.out:gmatch("([^\n]*)\n") do
      n = n + 1
      assert.matches("^%d\t" .. ("x"):rep(50) .. "\t%d+$", line)
    end
    assert.are.equal(800, n)
  end)
end)
