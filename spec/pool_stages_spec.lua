-- timeout: 240
-- An error, an exit and a crash at each stage of a task's way: while it is
-- encoded, decoded, run, while its result is encoded, and decoded. What goes
-- wrong in a worker costs that task alone; what goes wrong in who asks is his.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

-- What happens, as a function that any process may run, and how it is told of
-- in the process that asks, where a worker process did it.
local troubles = {
  error = { does = function () error("planned", 0) end, told = "^planned" },
  exit = { does = function () os.exit(7) end, told = "os%.exit%(7%)" },
  -- the one crash that a sanitizer leaves to the system
  crash = { does = function () require("conc").current():kill("ILL") end,
            told = "killed by signal 4" },
}

-- A userdata that runs 'encode' where it is sent, and 'decode' where it arrives; here
-- and in programs of their own.
local rigged_code = [[
function rigged(encode, decode)
  local file = io.tmpfile()
  file:close()
  return debug.setmetatable(file, { __name = "rigged", __conc = function ()
    if encode then encode() end
    return function ()
      if decode then decode() end
      return "arrived"
    end
  end })
end
]]
assert(load(rigged_code))()

-- {=== in a worker process ===}

local function run(does) does() end
local function echo(x) return x end
local function result_of(encode, decode) return rigged(encode, decode) end

local stages = {
  { "the task is decoded", function (does) return echo, rigged(nil, does) end },
  { "the task runs", function (does) return run, does end },
  { "a variable of the task is closed", function (does)
    return function ()
      local _ <close> = setmetatable({}, { __close = does })
      return 1
    end
  end },
  { "the result is encoded", function (does) return result_of, does end },
}

describe("in a worker process", function ()
  for name, trouble in pairs(troubles) do
    for _, stage in ipairs(stages) do
      it(("an %s while %s costs that task"):format(name, stage[1]), function ()
        local pool <close> = conc.process_pool(2)
        local before = pool:submit(echo, 1)
        local future = pool:submit(stage[2](trouble.does))
        local after = pool:submit(echo, 2)
        local ok, err = pcall(future.result, future, soon)
        assert.is_false(ok)
        assert.matches(trouble.told, tostring(err))
        assert.are.equal("failed", future:state())
        assert.are.equal(1, before:result(soon))
        assert.are.equal(2, after:result(soon))
        assert.are.equal(3, pool:submit(echo, 3):result(soon))
        local n = pool:stats()
        assert.are.same({ 4, 3, 1, 0 }, { n.submitted, n.done, n.failed, n.running })
        assert.are.equal(name == "error" and 0 or 1, n.restarted)
      end)

      it(("an %s while %s costs that item of a map"):format(name, stage[1]), function ()
        local pool <close> = conc.process_pool(2)
        local list = {}
        for i = 1, 20 do list[i] = { echo, i } end
        list[7] = table.pack(stage[2](trouble.does))
        local results, errors = pool:starmap(function (f, ...) return f(...) end, list,
                                             { errors = "collect", chunk = 5 })
        assert.matches(trouble.told, tostring(errors[7]))
        errors[7] = nil
        assert.is_nil(next(errors))
        for i = 1, 20 do
          assert.are.equal(i ~= 7 and i or nil, results[i], "item " .. i)
        end
      end)
    end
  end

  it("a result that cannot be sent, or held, costs that task", function ()
    local pool <close> = conc.process_pool(1)
    for _, bad in ipairs { function () return coroutine.create(print) end,
                           function () return { deep = { io.tmpfile() } } end,
                           function () error(coroutine.create(print)) end } do
      local future = pool:submit(bad)
      local ok, err = pcall(future.result, future, soon)
      assert.is_false(ok)
      assert.matches("cannot send", tostring(err))
    end
    assert.are.equal(3, pool:submit(echo, 3):result(soon))
  end)
end)

-- {=== in who submits and asks, and in worker threads ===}

helper.each_pool(function (open, kind)
  it("an error while the task is encoded is raised at submit", function ()
    local pool <close> = open(2)
    local ok, err = pcall(pool.submit, pool, echo, rigged(troubles.error.does))
    assert.is_false(ok)
    assert.matches("planned", tostring(err))
    local results, errors = pool:map(echo, { 1, rigged(troubles.error.does), 3 },
                                     { errors = "collect" })
    assert.are.equal(1, results[1])
    assert.are.equal(3, results[3])
    assert.matches("planned", tostring(errors[2]))
    assert.are.equal(4, pool:submit(echo, 4):result(soon))
  end)

  it("an error while the task is decoded, run, or its result encoded is its outcome", function ()
    local pool <close> = open(2)
    for _, stage in ipairs(stages) do
      local future = pool:submit(stage[2](troubles.error.does))
      local ok, err = pcall(future.result, future, soon)
      assert.is_false(ok)
      assert.matches("^planned", tostring(err))
    end
    assert.are.equal(4, pool:submit(echo, 4):result(soon))
  end)

  it("an error while the result is decoded is raised in whoever asks, each time", function ()
    local pool <close> = open(2)
    local future = pool:submit(result_of, nil, troubles.error.does)
    for _ = 1, 2 do
      local ok, err = pcall(future.result, future, soon)
      assert.is_false(ok)
      assert.matches("planned", tostring(err))
      assert.are.equal("done", future:state())
    end
    assert.are.equal(4, pool:submit(echo, 4):result(soon))
  end)

  it("an error while one result of a map is decoded is that item's", function ()
    local pool <close> = open(2)
    local does = troubles.error.does
    local function some(i)
      if i == 4 then return rigged(nil, does) end
      return "item " .. i
    end
    for _, chunk in ipairs { 1, 3, 10 } do
      local results, errors = pool:map(some, { 1, 2, 3, 4, 5, 6, 7 },
                                       { errors = "collect", chunk = chunk })
      assert.matches("planned", tostring(errors[4]))
      errors[4] = nil
      assert.is_nil(next(errors))
      for i = 1, 7 do
        assert.are.equal(i ~= 4 and "item " .. i or nil, results[i])
      end
      local ok, err = pcall(pool.map, pool, some, { 1, 2, 3, 4, 5 }, { chunk = chunk })
      assert.is_false(ok)
      assert.matches("planned", tostring(err))
      local seen = {}
      ok, err = pcall(function ()
        for i, r in pool:imap(some, { 1, 2, 3, 4, 5 }, { chunk = chunk }) do seen[i] = r end
      end)
      assert.is_false(ok)
      assert.matches("planned", tostring(err))
      assert.are.same({ "item 1", "item 2", "item 3" }, seen)
    end
    assert.are.equal(4, pool:submit(echo, 4):result(soon))
  end)

  -- The program that submits and asks leaves or dies itself; so does that of a
  -- worker thread. It does so as ever: at once, by that code or signal, and
  -- nothing of the pool stays.
  local own = {
    ["the task is encoded"] = "pool:submit(echo, rigged(does))",
    ["an item is encoded"] = "pool:map(echo, {1, 2, rigged(does)})",
    ["the result is decoded"] = "pool:submit(rigged, nil, does):result()",
    ["an item's result is decoded"] = "pool:map(rigged_result, {1, 2, 3})",
  }
  if kind == "thread" then
    own["the task is decoded"] = "pool:submit(echo, rigged(nil, does)):result()"
    own["the task runs"] = "pool:submit(does):result()"
    own["the result is encoded"] = "pool:submit(rigged, does):result()"
  end
  for _, name in ipairs { "exit", "crash" } do
    for stage, call in pairs(own) do
      it(("an %s while %s is the program's own"):format(name, stage), function ()
        if name == "crash" and helper.sanitizer == "valgrind" then
          pending("a SIGILL from without, while valgrind is not waiting, makes it wait for itself")
        end
        local run_ = helper.run_script(rigged_code .. ([[
          local conc = require "conc"
          local function echo(x) return x end
          local function does() %s end
          local function rigged_result() return rigged(nil, does) end
          local pool <close> = conc.%s_pool(2)
          local busy = pool:submit(conc.sleep, 600)
          %s
        ]]):format(name == "exit" and "os.exit(7)"
                   or "os.execute('kill -ILL ' .. conc.current():pid()) while true do end",
                   kind, call),
          { timeout = 30 })
        assert.is_falsy(run_.timeout)
        if name == "exit" then
          assert.are.equal(7, run_.code)
        else
          assert.are.equal(4, run_.signal)
        end
        assert.are.equal(0, run_.left)
        assert.is_true(run_.seconds < helper.pace(10), run_.seconds)
      end)
    end
  end
end)
