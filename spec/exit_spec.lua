-- How programs end. Each test is a script of its own.
local helper = require "spec.helper"

-- Runs a program that begins by requiring conc.
local function run(code, opts)
  return helper.run_script('local conc = require "conc"\n' .. code, opts)
end

local function ends(code, status, opts)
  local r = run(code, opts)
  assert.is_false(r.timeout, "timed out: " .. r.out .. r.err)
  assert.are.equal(status or 0, r.code, r.err)
  assert.are.equal(0, r.left)
  return r
end

-- Who is how fast is not told.
local function sorted(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  table.sort(list)
  return list
end

describe("the end of a program", function ()
  it("waits for threads, processes and timers that are no daemons", function ()
    local r = ends [[
      conc.thread(function () conc.sleep(0.2) print "thread" end)
      conc.process(function () conc.sleep(0.25) print "process" end)
      conc.timer(0.3, function () print "timer" end)
    ]]
    assert.are.same({ "process", "thread", "timer" }, sorted(r.out))
    assert.are.equal("", r.err)
  end)

  it("waits for those that threads started", function ()
    local r = ends [[
      conc.thread(function ()
        conc.thread(function () conc.sleep(0.1) print "inner" end)
        conc.process(function () conc.sleep(0.2) print "innermost" end)
      end)
    ]]
    assert.are.same({ "inner", "innermost" }, sorted(r.out))
  end)

  -- A child writes out what is left in its buffers when its function has returned. One
  -- whose reader took longer than two seconds was given up there: its last words were
  -- lost, and with them whatever else the program still waited for was cancelled.
  it("waits for the last words of a child, however slowly they are read", function ()
    local r = ends(([[
      local script = os.tmpname()
      local file = io.open(script, "w")
      file:write(%q)
      file:close()
      local pipe = io.popen(%q .. " " .. script, "r")
      conc.sleep(%g)
      local text = pipe:read "a"
      pipe:close()
      os.remove(script)
      print(#text, text:sub(-7))
    ]]):format([[
      local conc = require "conc"
      local pipe <const> = 1 << 16  -- what goes into one unread
      conc.thread(function () conc.sleep(3) io.write "thread" end)
      conc.process(function () io.write(("x"):rep(pipe)) io.write(("y"):rep(3000)) end)
      conc.sleep(0.5)
    ]], helper.lua, helper.pace(2.8)))
    assert.are.equal("68542\tythread\n", r.out)
    assert.are.equal("", r.err)
  end)

  it("waits after an error, and keeps its code", function ()
    local r = ends([[
      conc.thread(function () conc.sleep(0.1) print "done" end)
      error "main failed"
    ]], 1)
    assert.are.equal("done\n", r.out)
    assert.matches("main failed", r.err)
  end)

  it("waits at os.exit(code, true), and not at os.exit(code)", function ()
    local r = ends([[
      conc.thread(function () conc.sleep(0.1) print "done" end)
      os.exit(7, true)
    ]], 7)
    assert.are.equal("done\n", r.out)
    r = ends([[
      conc.thread(function () conc.sleep(5) print "thread" end)
      conc.process(function () conc.sleep(5) print "process" end)
      conc.sleep(0.05)
      os.exit(9)
    ]], 9)
    assert.are.equal("", r.out)
    assert.is_true(r.seconds < helper.pace(2))
  end)

  it("cancels daemons: waiting, busy, in pcall, in coroutines", function ()
    local r = ends([[
      local v = conc.value(0)
      conc.thread({daemon = true}, function () conc.sleep(math.huge) end)
      conc.thread({daemon = true}, function () while true do end end)
      conc.thread({daemon = true}, function ()
        while true do pcall(function () while true do end end) end
      end)
      conc.thread({daemon = true}, function () while true do pcall(conc.sleep, 1) end end)
      conc.thread({daemon = true}, function ()
        coroutine.wrap(function () while true do end end)()
      end)
      conc.timer({daemon = true}, 60, print)
      conc.sleep(0.1)
      os.exit(5, true)
    ]], 5)
    assert.are.equal("", r.out)
    assert.are.equal("", r.err)
    assert.is_true(r.seconds < helper.pace(1.5), r.seconds)
  end)

  it("runs the <close> variables of daemons that it cancels", function ()
    local r = ends [[
      conc.thread({daemon = true}, function ()
        local _ <close> = setmetatable({}, {__close = function () print "closed" end})
        conc.sleep(math.huge)
      end)
      conc.sleep(0.1)
    ]]
    assert.are.equal("closed\n", r.out)
  end)

  it("terminates daemon processes, also those that will not go", function ()
    local r = ends([[
      local function stubborn()
        while true do pcall(function () while true do end end) end
      end
      conc.process({daemon = true}, function () conc.sleep(math.huge) end)
      conc.process({daemon = true}, stubborn)
      conc.process({daemon = true}, function ()
        os.execute("kill -STOP " .. conc.current():pid())
        while true do end
      end)
      conc.sleep(0.2)
      os.exit(4, true)
    ]], 4)
    assert.is_true(r.seconds < helper.pace(2.5), r.seconds)
    assert.are.equal("", r.err)
  end)

  it("is bounded with a thread stuck in C", function ()
    local r = ends([[
      conc.thread({daemon = true}, function ()
        string.rep("a", 28):find(string.rep("a?", 28) .. string.rep("a", 28))
      end)
      conc.sleep(0.1)
      os.exit(3, true)
    ]], 3)
    assert.is_true(r.seconds < helper.pace(4.5), r.seconds)
  end)

  it("is at once where Ctrl-C comes while it waits", function ()
    local r = helper.interrupt_script([[
      local conc = require "conc"
      conc.thread(function () conc.sleep(30) end)
      conc.process(function () conc.sleep(30) end)
      print "ready"
      io.stdout:flush()
    ]], {after = 0.3})
    assert.are.equal(2, r.signal)
    assert.is_true(r.after < helper.pace(1), r.after)
    assert.are.equal(0, r.left)
  end)

  it("comes after what <close> variables and finalizers did", function ()
    local r = ends [[
      local q = conc.queue()
      conc.thread(function (from) print(from:get()) end, q)
      local _ <close> = setmetatable({}, {__close = function () q:put "from close" end})
    ]]
    assert.are.equal("from close\n", r.out)
  end)
end)

describe("an error that nobody asks for", function ()
  it("is printed once, with name and traceback, when the handle is gone", function ()
    local r = ends [[
      local t = conc.thread({name = "worker-a"}, function () error "boom" end)
      t:join()
      io.stderr:write "before\n"
      t = nil
      collectgarbage()
      io.stderr:write "after\n"
    ]]
    assert.matches('^before\nconc: thread "worker%-a" failed: .*boom\nstack traceback:.*after\n$',
                   r.err)
    assert.are.equal(1, select(2, r.err:gsub("boom", "")))
  end)

  it("is printed at the end of the program", function ()
    local r = ends [[
      t = conc.thread(function () error "boom" end)
      p = conc.process(function () error "bang" end)
    ]]
    assert.are.equal(1, select(2, r.err:gsub("boom", "")))
    assert.are.equal(1, select(2, r.err:gsub("bang", "")))
    assert.matches('process "process%-%d+" failed: ', r.err)
  end)

  -- It was not: os.exit runs no finalizer, and a child's end none of its state.
  for _, how in ipairs { "by os.exit", "by os.exit in a thread", "in a child" } do
    it("is printed at the end " .. how .. ", once", function ()
      local body = [[
        t = conc.thread({name = "first"}, function () error {code = 5} end)
        p = conc.process({name = "second"}, function () error "bang" end)
        q = conc.process({name = "third"}, function () os.exit(3) end)
        asked = conc.thread(function () error "asked" end)
        pcall(asked.result, asked)
        stopped = conc.thread(conc.sleep, 60)
        stopped:cancel()
        left = conc.thread({daemon = true}, function () while true do end end)
        for _, x in ipairs {t, p, q, stopped} do x:join() end
      ]]
      local r = ends(({
        ["by os.exit"] = body .. "os.exit(7)",
        ["by os.exit in a thread"] = body .. "conc.thread(function () os.exit(7) end):join()",
        ["in a child"] = "conc.process(function ()\n" .. body .. " end):join() os.exit(7)",
      })[how], 7)
      assert.are.equal(1, select(2, r.err:gsub('thread "first" failed: table: ', "")))
      assert.are.equal(1, select(2, r.err:gsub('process "second" failed: [^\n]*bang\nstack', "")))
      local _, told = r.err:gsub('process "third" %(pid %d+%) left by os.exit%(3%)', "")
      assert.are.equal(1, told)
      assert.are.equal(3, select(2, r.err:gsub("conc: ", "")), r.err)
    end)
  end

  it("is printed where the handle was dropped before it failed", function ()
    local r = ends [[
      conc.thread(function () conc.sleep(0.1) error({code = 5}) end)
      conc.process(function () conc.sleep(0.1) error "bang" end)
      collectgarbage()
    ]]
    assert.are.equal(1, select(2, r.err:gsub("failed: table: ", "")))
    assert.are.equal(1, select(2, r.err:gsub("bang", "")))
  end)

  it("is quiet once result or error was asked for; join, done and state ask not", function ()
    local r = ends [[
      local a = conc.thread(function () error "one" end)
      local b = conc.thread(function () error "two" end)
      local c = conc.thread(function () error "three" end)
      print(pcall(a.result, a))
      print(b:error())
      print(c:join(), c:done(), c:state())
    ]]
    assert.not_matches("one", r.err)
    assert.not_matches("two", r.err)
    assert.matches("three", r.err)
  end)

  it("is none where it was cancelled", function ()
    local r = ends [[
      local t = conc.thread(function () conc.sleep(60) end)
      local p = conc.process(function () conc.sleep(60) end)
      conc.sleep(0.05)
      t:cancel()
      p:cancel()
    ]]
    assert.are.equal("", r.err)
  end)

  it("is told of deaths, unless the program asked for them", function ()
    local r = ends [[
      conc.process({name = "odd"}, function () os.exit(3) end)
      conc.process({name = "fine"}, function () os.exit(0) end)
      local p = conc.process({name = "meant"}, function () conc.sleep(60) end)
      p:kill()
      local q = conc.process({name = "self"}, function ()
        os.execute("kill -9 " .. conc.current():pid())
        conc.sleep(60)
      end)
    ]]
    assert.matches('conc: process "odd" %(pid %d+%) left by os.exit%(3%)\n', r.err)
    assert.matches('conc: process "self" %(pid %d+%) was killed by signal 9\n', r.err)
    assert.not_matches("fine", r.err)
    assert.not_matches("meant", r.err)
  end)
end)

describe("a child process", function ()
  it("prints nothing twice", function ()
    local r = ends [[
      io.write "once "
      io.stdout:setvbuf("full")
      io.write "again "
      for i = 1, 3 do conc.process(function () io.write("child ") end):join() end
    ]]
    assert.are.equal("once again child child child ", r.out)
  end)

  -- Between the flush and the fork other threads write on: what was in the buffers then
  -- was in the child's copies too, and written at its end.
  it("prints nothing of what threads of its parent print meanwhile", function ()
    helper.needs_fork()
    local name = os.tmpname()
    local r = ends(([[
      local stop = conc.event()
      local writer = conc.thread(function (name)
        local file, n = assert(io.open(name, "w")), 0
        while not stop:is_set() do
          n = n + 1
          io.write(n, "\n")
          file:write(n, "\n")
        end
        file:close()
        return n
      end, %q)
      for i = 1, 150 do conc.process(function () end):join() end
      stop:set()
      writer:join()
      io.stderr:write(writer:result())
    ]]):format(name))
    local n = tonumber(r.err)
    local file = assert(io.open(name))
    local written = file:read("a")
    file:close()
    os.remove(name)
    for where, text in pairs { stdout = r.out, file = written } do
      local _, lines = text:gsub("\n", "\n")
      assert.are.equal(n, lines, where)
    end
  end)

  it("runs neither <close> variables nor finalizers of its parent", function ()
    local r = ends [[
      local _ <close> = setmetatable({}, {__close = function () print "close" end})
      local kept = setmetatable({}, {__gc = function () print "gc" end})
      conc.process(function () end):join()
      conc.process(function () error "x" end):error()
      conc.process(function () os.exit(0, true) end):join()
      conc.process(function () os.exit(1) end):error()
      print "parent"
      kept = kept
    ]]
    assert.are.equal("parent\nclose\ngc\n", r.out)
  end)

  it("waits for its own threads and children", function ()
    local r = ends [[
      local p = conc.process(function ()
        conc.thread(function () conc.sleep(0.1) print "thread" end)
        conc.process(function () conc.sleep(0.2) print "grandchild" end)
        return 1
      end)
      print(p:result())
    ]]
    assert.are.same({ "1", "grandchild", "thread" }, sorted(r.out))
  end)

  it("ignores Ctrl-C: the parent decides", function ()
    local r = helper.interrupt_script([[
      local conc = require "conc"
      local p = conc.process(function () conc.sleep(0.5) return "went on" end)
      print "ready"
      io.stdout:flush()
      print(pcall(conc.sleep, 20))
      print(p:result())
    ]])
    assert.are.equal(0, r.code, r.err)
    assert.are.equal("ready\nfalse\tinterrupted!\nwent on\n", r.out)
  end)
end)
