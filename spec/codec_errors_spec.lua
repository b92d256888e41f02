-- Error values of every kind, raised wherever f can run: they arrive whole, with file
-- and line, and a traceback.
-- timeout: 300
local conc = require "conc"
local helper = require "spec.helper"
local graph = require "spec.graph"

local soon = helper.soon

-- Each runs f(...) and gives a future.
local runners = {
  { "thread", conc.thread },
  { "process", conc.process },
  { "timer", function (f, ...) return conc.timer(0, f, ...) end },
  { "supervised thread", function (f, ...)
    return conc.supervise({ max_restarts = 0 }, f, ...)
  end },
  { "supervised process", function (f, ...)
    return conc.supervise({ max_restarts = 0, process = true }, f, ...)
  end },
  { "setup of a thread", function (f, ...)
    local args = table.pack(...)
    return conc.thread({ setup = function () return f(table.unpack(args, 1, args.n)) end },
      function () end)
  end },
}

local this = "codec_errors_spec.lua:"
local function line() return debug.getinfo(2, "l").currentline end

-- The same block for all of them, and for the tasks of pools: run(f, ...) -> value,
-- traceback of a failure.
local function each_runner(block)
  for _, r in ipairs(runners) do
    describe("(" .. r[1] .. ")", function ()
      block(function (f, ...)
        local t = r[2](f, ...)
        assert.is_true(t:join(soon))
        assert.are.equal("failed", t:state())
        local value, traceback = t:error()
        local ok, raised = pcall(t.result, t)
        assert.is_false(ok)
        assert.is_nil(graph.difference(value, raised))
        return value, traceback
      end, r[1])
    end)
  end
  helper.each_pool(function (open)
    local pool
    setup(function ()
      pool = open(1)
      pool:submit(function () end):join(soon)   -- so that its worker runs
    end)
    teardown(function () pool:shutdown() pool = nil end)
    block(function (f, ...)
      local t = pool:submit(f, ...)
      local ok, raised = pcall(t.result, t, soon)
      assert.is_false(ok)
      local value, traceback = t:error()
      assert.is_nil(graph.difference(value, raised))
      local list = { { ... } }
      list[1].n = select("#", ...)
      local mapped_ok, mapped = pcall(pool.starmap, pool, f, list)
      assert.is_false(mapped_ok)
      assert.are.equal(type(value), type(mapped))
      return value, traceback
    end)
  end)
end

each_runner(function (run)
  it("a message with file and line, and a traceback", function ()
    local at = line() + 1
    local value, traceback = run(function () error "it failed" end)
    assert.matches(this .. at .. ": it failed$", value)
    assert.matches("stack traceback:.*" .. this .. at, traceback)
    assert.are.equal("bare", (run(function () error("bare", 0) end)))
    local bytes = graph.bytes
    assert.are.equal(bytes, (run(function () error(bytes, 0) end)))
  end)

  it("an error of Lua's own, of a C function, of a coroutine inside", function ()
    local at = line() + 2
    assert.matches(this .. at .. ": attempt to index a nil value %(local 'x'%)$",
      (run(function (x) return x.field end)))
    assert.matches(this .. "%d+: bad argument #1 to 'rep'", (run(function ()
      local s = string.rep(nil)
      return s
    end)))
    assert.matches("stack overflow", (run(function ()
      local function f() return 1 + f() end
      return f()
    end)))
    at = line() + 2
    assert.matches(this .. at .. ": inside$", (run(function ()
      coroutine.wrap(function () error "inside" end)()
    end)))
  end)

  it("nil", function ()
    local value, traceback = run(function () error(nil) end)
    assert.is_nil(value)
    assert.matches("stack traceback:.*" .. this, traceback)
    assert.is_nil((run(function () error() end)))
  end)

  it("numbers and booleans", function ()
    for _, x in ipairs { 42, -0.5, math.mininteger, 1 / 0, true, false } do
      local value = run(function () error(x) end)
      assert.are.equal(math.type(x), math.type(value))
      assert.are.equal(x, value)
    end
  end)

  it("a table, as an equal one", function ()
    local value = run(function ()
      local t = { code = 7, list = { 1, 2 } }
      t.self, t.again = t, t.list
      error(t)
    end)
    assert.are.equal(7, value.code)
    assert.are.equal(value, value.self)
    assert.are.equal(value.list, value.again)
  end)

  it("a table with __tostring, which stays one", function ()
    local value, traceback = run(function ()
      error(setmetatable({ code = 404 }, {
        __tostring = function (e) return "HTTP " .. e.code end }))
    end)
    assert.are.equal("table", type(value))
    assert.are.equal(404, value.code)
    assert.are.equal("HTTP 404", tostring(value))
    assert.matches("stack traceback", traceback)
  end)

  it("a function, a conc object", function ()
    local n = 6
    assert.are.equal(7, run(function () error(function () return n + 1 end) end)())
    local q <close> = conc.queue()
    assert.are.equal(q, (run(function () error(q) end)))
    run(function ()   -- a worker that goes on lets go of it
      collectgarbage()
      collectgarbage()
      error(0)
    end)
  end)

  it("one raised while another is on its way: in __close", function ()
    local at = line() + 4
    local value = run(function ()
      local _ <close> = setmetatable({}, { __close = function (_, e)
        assert(e == nil)
        error "in close"
      end })
      return 1
    end)
    assert.matches(this .. at .. ": in close$", value)
    value = run(function ()
      local _ <close> = setmetatable({}, { __close = function (_, e)
        error({ after = e })
      end })
      error "in the body"
    end)
    assert.matches(this .. at + 9 .. ": in the body$", value.after)
  end)

  it("none of __gc's, which is a warning", function ()
    local value = run(function ()
      setmetatable({}, { __gc = function () error "in gc" end })
      collectgarbage()
      error("of f", 0)
    end)
    assert.are.equal("of f", value)
  end)

  it("one that cannot travel, as its text with the reason", function ()
    local value = run(function () error(coroutine.create(print)) end)
    assert.matches("^thread: 0x%x+ %(cannot send error value: a coroutine does not travel%)$",
      value)
    value = run(function ()
      error(setmetatable({ inner = { coroutine.create(print) } },
        { __tostring = function () return "mine" end }))
    end)
    assert.are.equal("mine (cannot send element 1 of field 'inner' of error value: " ..
      "a coroutine does not travel)", value)
    value = run(function ()
      error(setmetatable({ coroutine.create(print) }, { __tostring = function () error "no" end }))
    end)
    assert.matches("its __tostring failed: .*: no%) %(cannot send element 1 of error value", value)
  end)

  it("a table whose __tostring fails, as that table", function ()
    local value, traceback = run(function ()
      error(setmetatable({ code = 5 }, { __tostring = function () error "no" end }))
    end)
    assert.are.equal(5, value.code)
    assert.is_false(pcall(tostring, value))
    assert.matches("stack traceback", traceback)
  end)
end)

describe("an error in __gc", function ()
  it("is told as Lua tells it, with file and line, where warnings are on", function ()
    for _, kind in ipairs(helper.kinds) do
      local r = helper.run_script(([[
        local conc = require "conc"
        print(conc.%s(function ()
          warn "@on"
          setmetatable({}, { __gc = function () error "in gc" end })
          collectgarbage()
          return "fine"
        end):result(20))
      ]]):format(kind))
      assert.are.equal("fine\n", r.out)
      assert.matches("warning: error in __gc", r.err)
      assert.matches("%.lua:4: in gc", r.err)
    end
  end)
end)

describe("an error of a generator", function ()
  it("comes after what was yielded, whole", function ()
    for _, process in ipairs { false, true } do
      local got = {}
      local ok, e = pcall(function ()
        for x in conc.generate({ process = process }, function ()
          coroutine.yield(1)
          error({ text = "whole", line = 1 })
        end) do got[#got + 1] = x end
      end)
      assert.is_false(ok)
      assert.are.same({ 1 }, got)
      assert.are.equal("whole", e.text)
      assert.are.equal(1, e.line)
    end
  end)
end)
