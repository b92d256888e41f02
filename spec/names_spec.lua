-- What 'require "conc"' gives, before anything is called.
local conc = require "conc"
local helper = require "spec.helper"

describe("the module conc", function ()
  it("has a version", function ()
    assert.is_truthy(conc._VERSION:find("^conc %d+%.%d+%.%d+$"))
  end)

  it("tells the nearest name for a misspelt one", function ()
    local function read(name) return pcall(function () return conc[name] end) end
    for wrong, right in pairs {
      semaphor = "semaphore", treadpool = "thread_pool", Queue = "queue", proces = "process",
      as_complete = "as_completed", supervize = "supervise", canceled = "cancelled",
      threadpool = "thread_pool", helpp = "help",
    } do
      local ok, message = read(wrong)
      assert.is_false(ok)
      assert.is_truthy(message:find(("no '%s' in conc; did you mean '%s'?"):format(wrong, right), 1,
                                    true), message)
    end
  end)

  it("tells the line of the misspelling", function ()
    local f = load("local conc = ...\nreturn conc.lok", "=app.lua")
    local ok, message = pcall(f, conc)
    assert.is_false(ok)
    assert.are.equal("app.lua:2: no 'lok' in conc; did you mean 'lock'?", message)
  end)

  it("makes no suggestion where nothing is near", function ()
    local _, message = pcall(function () return conc.frobnicate end)
    assert.is_truthy(message:find("no 'frobnicate' in conc$"), message)
    _, message = pcall(function () return conc[42] end)
    assert.is_truthy(message:find("no '42' in conc$"), message)
  end)

  it("names the module for who looks for it as a field", function ()
    local _, message = pcall(function () return conc.http end)
    assert.is_truthy(message:find('require "conc.http"', 1, true), message)
  end)

  it("lists all its names, those that are loaded later too", function ()
    local names = {}
    for name, value in pairs(conc) do names[name] = type(value) end
    for _, name in ipairs { "thread", "generate", "supervise", "thread_pool", "wait", "help" } do
      assert.are.equal("function", names[name], name)
    end
    assert.is_nil(names._methods)
  end)

  it("loads the Lua files of what is not used, later", function ()
    local run = helper.run_script [[
      local conc = require "conc"
      for _, name in ipairs { "generate", "supervise", "pool", "help", "reference", "progress" } do
        assert(not package.loaded["conc." .. name], name)
      end
      local generate = conc.generate
      assert(package.loaded["conc.generate"] == generate and rawget(conc, "generate") == generate)
      print "well"
    ]]
    assert.are.equal("well\n", run.out, run.err)
  end)

  it("sends functions of its Lua part as they are there", function ()
    local generate = conc.generate
    local t <close> = conc.thread(function ()
      return generate == require("conc").generate and conc.generate == generate
    end)
    assert.is_true(t:result(helper.soon))
  end)
end)

describe("an option", function ()
  it("that does not exist is told with the nearest that does", function ()
    for _, call in ipairs {
      { conc.thread, { daemn = true }, print }, { conc.process, { nam = "x" }, print },
      { conc.generate, { ahed = 2 }, print }, { conc.supervise, { bakoff = 2 }, print },
      { conc.wait, {}, { timout = 1 } }, { conc.thread_pool, { worker = 2 } },
    } do
      local ok, message = pcall(table.unpack(call))
      assert.is_false(ok)
      assert.is_truthy(message:find("option '%w+'; did you mean '%w+'%?"), message)
    end
  end)

  it("of the wrong type is told with what was expected", function ()
    local _, message = pcall(conc.generate, { ahead = "two" }, print)
    assert.is_truthy(message:find("option 'ahead': an integer of 1 or more expected, got 'two'", 1,
                                  true), message)
    _, message = pcall(conc.supervise, { restart = "never" }, print)
    assert.is_truthy(message:find("option 'restart': 'error' or 'always' expected, got 'never'", 1,
                                  true), message)
  end)
end)
