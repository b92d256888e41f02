-- What cannot be started raises, and leaves nothing behind.
local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"

local soon = helper.soon

describe("starting with shared memory that fails", function ()
  local starts = {
    thread = function (f) return conc.thread(f, 1) end,
    process = function (f) return conc.process(f, 1) end,
    timer = function (f) return conc.timer(0, f, 1) end,
  }

  for name, start in pairs(starts) do
    it("raises or works, whichever allocation fails: " .. name, function ()
      local failed, q = 0, conc.queue()
      for n = 1, 30 do
        core._fail(n)
        local ok, t = pcall(start, function (x) return x + 1, q end)
        core._fail(0)
        if ok then
          local good, e = pcall(t.result, t, soon)
          assert.is_true(good or e:find("shared memory is full", 1, true) ~= nil, tostring(e))
        else
          failed = failed + 1
          assert.matches("shared memory is full", t)
        end
      end
      assert.is_true(failed >= 2)
      local t = start(function (x) return x + 1 end)
      assert.are.equal(2, (t:result(soon)))
    end)
  end
end)

describe("starting more than the system grants", function ()
  it("raises, and goes on once there is room", function ()
    if helper.sanitizer then pending("the sanitizer needs more address space than that") return end
    local r = helper.run_script([[
      local conc = require "conc"
      local e = conc.event()
      local all, problem = {}, nil
      for i = 1, 400 do  -- their stacks alone are more than that
        local ok, t = pcall(conc.thread, function (x) x:wait() return 1 end, e)
        if not ok then problem = t break end
        all[i] = t
      end
      print(problem and problem:find("no thread could be started: ", 1, true) ~= nil, #all > 3)
      e:set()
      for _, t in ipairs(all) do
        local ok, got = pcall(t.result, t, 20)
        assert(ok and got == 1 or not ok and got:find "not enough memory", got)
      end
      all = nil
      print(conc.thread(function () return "again" end):result(20))
    ]], {command = {"sh", "-c", "ulimit -v 3000000; exec \"$0\" \"$1\"", helper.lua},
         env = {CONC_ARENA = "256M"}})
    assert.are.equal(0, r.code, r.err)
    assert.are.equal("true\ttrue\nagain\n", r.out)
  end)

  it("raises where there are no descriptors for a keeper", function ()
    local r = helper.run_script([[
      local conc = require "conc"
      local files = {}
      repeat
        local file = io.open("/dev/null")
        files[#files + 1] = file
      until not file
      print(pcall(conc.thread, function () end))
      for _, f in ipairs(files) do f:close() end
      print(conc.thread(function () return "again" end):result(20))
    ]], {command = {"sh", "-c", "ulimit -n 20; exec \"$0\" \"$1\"", helper.lua}})
    assert.are.equal(0, r.code, r.err)
    assert.matches("^false\t.*Too many open files\nagain\n$", r.out)
  end)
end)

describe("starting a process without memory for its coroutine", function ()
  -- That coroutine had no error handler: its error went to the main thread of the state,
  -- past every pcall of the coroutine that called.
  it("raises where it was called, in a coroutine too", function ()
    local r = helper.run_script [[
      local conc = require "conc"
      local starve = require "starve"
      local registry = debug.getregistry()
      local function start()
        for key, value in pairs(registry) do  -- each makes it anew
          if type(value) == "thread" and key ~= 1 then registry[key] = nil end
        end
        return conc.process(function () end)
      end
      local failed, n, fired, ok, result = 0, 0, nil, nil, nil
      repeat
        n = n + 1
        fired, ok, result = coroutine.wrap(function () return starve(n, start) end)()
        if ok then result:error() else failed = failed + 1 end
      until not fired
      print(ok, failed > 10)
    ]]
    assert.are.equal("true\ttrue\n", r.out, r.err)
  end)
end)
