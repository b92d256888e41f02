local conc = require "conc"
local helper = require "spec.helper"

-- What a loop over a generator hands out, as a list of lists.
local function collect(...)
  local list = {}
  for a, b, c in conc.generate(...) do list[#list + 1] = { a, b, c } end
  return list
end

for _, kind in ipairs(helper.kinds) do
  describe("conc.generate (" .. kind .. ")", function ()
    local options = { process = kind == "process" }

    it("hands over what f yields, in order", function ()
      local list = collect(options, function (from, to)
        for i = from, to do coroutine.yield(i) end
      end, 1, 100)
      assert.are.equal(100, #list)
      for i = 1, 100 do assert.are.equal(i, list[i][1]) end
    end)

    it("hands over several values, nil among them, tables and false", function ()
      local list = collect(options, function ()
        coroutine.yield(1, nil, 3)
        coroutine.yield(false, "x")
        coroutine.yield({ n = 9, "a" }, { 2 })
        return "dropped"
      end)
      assert.are.same({ { 1, nil, 3 }, { false, "x" }, { { n = 9, "a" }, { 2 } } }, list)
    end)

    it("keeps the number of values", function ()
      local counts = {}
      local g = conc.generate(options, function ()
        coroutine.yield(1, nil, nil)
        coroutine.yield({})
      end)
      counts[1], counts[2], counts[3] = select("#", g()), select("#", g()), g()
      assert.are.same({ 3, 1 }, counts)
    end)

    it("ends where f returns without a yield", function ()
      assert.are.same({}, collect(options, function () return 1 end))
    end)

    it("gives the values before an error, then raises it", function ()
      local got = {}
      local ok, err = pcall(function ()
        for v in conc.generate(options, function ()
          coroutine.yield(1)
          coroutine.yield(2)
          error({ code = 42 })
        end) do got[#got + 1] = v end
      end)
      assert.is_false(ok)
      assert.are.same({ code = 42 }, err)
      assert.are.same({ 1, 2 }, got)
    end)

    it("leaves f's own coroutines alone", function ()
      local list = collect(options, function ()
        local inner = coroutine.wrap(function ()
          for i = 1, 3 do coroutine.yield(i) end
        end)
        for _ = 1, 3 do coroutine.yield(10 * inner()) end
      end)
      assert.are.same({ { 10 }, { 20 }, { 30 } }, list)
    end)

    it("raises at the yield for a first value of nil", function ()
      local ok, err = pcall(collect, options, function () coroutine.yield(nil, 1) end)
      assert.is_false(ok)
      assert.is_truthy(err:find("generate_spec.lua:%d+: bad argument #1 to 'yield'"), err)
      local list = collect(options, function ()
        local fine, message = pcall(function () coroutine.yield(nil) end)
        coroutine.yield(fine, message:match("bad argument #1"))
        coroutine.yield("goes on")
      end)
      assert.are.same({ { false, "bad argument #1" }, { "goes on" } }, list)
    end)

    it("runs ahead of the loop, but not further than it may", function ()
      local made = conc.value(0)
      local g <close> = conc.generate({ process = options.process, ahead = 3 }, function ()
        while true do coroutine.yield(made:add(1)) end
      end)
      assert.are.equal(1, g())
      assert.is_truthy(helper.eventually(function () return made:get() >= 4 end))
      conc.sleep(helper.pace(0.05))
      assert.is_true(made:get() <= 5, "made " .. made:get())  -- 1 taken, 3 wait, 1 in hand
    end)

    it("is cancelled when the loop is left, and closes what f has open", function ()
      local closed = conc.event()
      for v in conc.generate(options, function ()
        local _ <close> = setmetatable({}, { __close = function () closed:set() end })
        for i = 1, math.huge do coroutine.yield(i) end
      end) do
        if v == 3 then break end
      end
      assert.is_true(closed:wait(helper.soon))
      assert.are.equal(1, #conc.list_alive())
    end)

    it("is cancelled when the loop is left by an error", function ()
      pcall(function ()
        for _ in conc.generate(options, function () while true do coroutine.yield(1) end end) do
          error "enough"
        end
      end)
      assert.are.equal(1, #conc.list_alive())
    end)

    it("is cancelled when it is collected", function ()
      local g = conc.generate(options, function () while true do coroutine.yield(1) end end)
      assert.are.equal(1, g())
      g = nil  -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_truthy(helper.eventually(function () return #conc.list_alive() == 1 end))
    end)

    it("can be cancelled by who waits in the loop", function ()
      local t <close> = conc.thread(function ()
        for _ in conc.generate(options, function () conc.sleep(60) end) do end
      end)
      assert.is_truthy(helper.eventually(function () return #conc.list_alive() == 3 end))
      t:cancel()
      assert.is_true(t:join(helper.soon))
      assert.are.equal("cancelled", t:state())
    end)

    it("is listed under its name", function ()
      local g <close> = conc.generate({ process = options.process, name = "primes" }, function ()
        coroutine.yield(conc.current():name())
      end)
      assert.are.equal("primes", g())
    end)

    it("is no reason for the program to wait at its end", function ()
      local run = helper.run_script(([[
        local conc = require "conc"
        g = conc.generate({process = %s}, function () while true do coroutine.yield(1) end end)
        g()
        print "end"
      ]]):format(options.process), { timeout = 20 })
      assert.are.equal("end\n", run.out)
      assert.are.equal("", run.err)
      assert.are.equal(0, run.code)
      assert.is_true(run.seconds < helper.pace(3))
    end)
  end)
end

describe("conc.generate", function ()
  it("sends globals that f mentions over the standard ones", function ()
    local run = helper.run_script [[
      local conc = require "conc"
      function twice(x) return 2 * x end
      print = function (...) coroutine.yield("mine", ...) end
      for a, b in conc.generate(function () print(twice(4)) end) do io.write(a, " ", b, "\n") end
    ]]
    assert.are.equal("mine 8\n", run.out, run.err)
  end)

  it("tells how its process died, after the values before", function ()
    local got = {}
    local ok, err = pcall(function ()
      for v in conc.generate({ process = true, name = "doomed" }, function ()
        coroutine.yield(1)
        conc.sleep(0.05)
        conc.current():kill()
      end) do got[#got + 1] = v end
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find('process "doomed" %(pid %d+%) was killed by signal 9'), err)
    assert.are.same({ 1 }, got)
  end)

  it("keeps the traceback of f's error", function ()
    local t <close> = conc.thread(function ()
      local function deep() error "deep" end
      for _ in conc.generate(function () deep() end) do end
    end)
    assert.is_truthy(t:error(helper.soon):find("deep"))
    local run = helper.run_script [[
      local conc = require "conc"
      local g = conc.generate(function ()
        local function deep() error "deep" end
        deep()
      end)
      conc.sleep(0.2)
      g = nil
      collectgarbage()
      collectgarbage()
    ]]
    assert.is_truthy(run.err:find("in local 'deep'", 1, true), run.err)
  end)

  it("refuses what it cannot send, as the program wrote it", function ()
    local file <close> = io.tmpfile()
    local ok, message = pcall(conc.generate, function () file:read() end)
    assert.is_false(ok)
    assert.is_truthy(message:find("cannot send upvalue 'file' of function at [^,]*$"), message)
    ok, message = pcall(conc.generate, print, 1, file)
    assert.is_false(ok)
    assert.is_truthy(message:find("cannot send argument 3"), message)
    ok, message = pcall(conc.generate, { ahead = 1 }, print, file)
    assert.is_false(ok)
    assert.is_truthy(message:find("cannot send argument 3"), message)
  end)

  it("wants a function", function ()
    for _, call in ipairs { { 1 }, { {} }, { {}, "f" }, {} } do
      local ok, message = pcall(conc.generate, table.unpack(call))
      assert.is_false(ok)
      assert.is_truthy(message:find("bad argument #%d to 'generate' %(function expected"), message)
    end
  end)

  it("ends no generator of another state when a copy of it is collected", function ()
    local g <close> = conc.generate(function () for i = 1, 3 do coroutine.yield(i) end end)
    conc.thread(function () local _ = g end):join()
    assert.are.equal(1, g())
  end)
end)
