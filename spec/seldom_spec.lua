-- Ways that are seldom taken: odd errors, odd tables, limits, what a new state does
-- in place of Lua's own.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

describe("errors that are odd", function ()
  helper.each_kind(function (start)
    it("a value whose __tostring fails arrives all the same", function ()
      for _, trouble in ipairs { "no text", { "why" } } do
        local t = start(function (e)
          error(setmetatable({ 7 }, { __tostring = function () error(e, 0) end }))
        end, trouble)
        assert.is_true(t:join(soon))
        assert.are.equal("failed", t:state())
        assert.are.equal(7, rawget(t:error(), 1))
      end
    end)

    it("a value that cannot travel is replaced by its text", function ()
      local t = start(function () error({ coroutine.create(print) }) end)
      assert.is_true(t:join(soon))
      assert.matches("^table: .*%(.*coroutine", (t:error()))
    end)
  end)

  helper.each_pool(function (open)
    it("error(nil) in a map is an error all the same", function ()
      local pool <close> = open(1)
      local got, errors = pool:map(function (x)
        if x == 2 then error(nil) end
        return x
      end, { 1, 2, 3 }, { errors = "collect" })
      assert.are.same({ 1, nil, 3 }, { got[1], got[2], got[3] })
      assert.is_not_nil(errors[2])
    end)
  end)
end)

describe("a map over numbers", function ()
  -- Filled from the end: its entries are in the hash part.
  local function hashed(n, make)
    local list = {}
    for i = n, 1, -1 do list[i] = make(i) end
    return list
  end

  helper.each_pool(function (open)
    it("takes them from wherever they are in the table", function ()
      local pool <close> = open(1)
      local same = function (x) return x end
      local whole = pool:map(same, hashed(40, function (i) return i end))
      local parts = pool:map(same, hashed(40, function (i) return i + 0.5 end))
      for i = 1, 40 do
        assert.are.equal(i, whole[i])
        assert.are.equal("integer", math.type(whole[i]))
        assert.are.equal(i + 0.5, parts[i])
      end
    end)

    it("that change their type, or end, on the way", function ()
      local pool <close> = open(1)
      for _, odd in ipairs { "text", 7, 7.25, true } do
        for _, make in ipairs { function (i) return i end, function (i) return i + 0.5 end } do
          local list = hashed(40, make)
          list[33] = odd
          local got = pool:map(function (x) return x end, list, { chunk = 40 })
          for i = 1, 40 do
            assert.are.equal(list[i], got[i])
            assert.are.equal(math.type(list[i]), math.type(got[i]))
          end
        end
      end
    end)

    it("whose results change theirs", function ()
      local pool <close> = open(1)
      local list = {}
      for i = 1, 40 do list[i] = i end
      local got = pool:map(function (x)
        return x < 10 and x or x < 20 and x / 2 or x < 30 and tostring(x) or x / 4
      end, list, { chunk = 40 })
      assert.are.same({ 9, 5.0, "25", 7.5 }, { got[9], got[10], got[25], got[30] })
      assert.are.equal(0.5, pool:map(function (x) return x / 2 end, { 1, 2 })[1])
      local first = pool:map(function (x) return x == 1.5 and "one" or x end, { 1.5, 2.5 })
      assert.are.same({ "one", 2.5, n = 2 }, first)
    end)
  end)

  it("has a limit of arguments to unpack", function ()
    local pool <close> = conc.thread_pool(1)
    local many = { n = 201 }
    local ok, e = pcall(pool.starmap, pool, select, { many })
    assert.is_false(ok)
    assert.matches("too many arguments", e)
    many = { "#", n = 200 }
    assert.are.same({ 199 }, { pool:starmap(select, { many })[1] })
  end)
end)

describe("a pool's worker", function ()
  helper.each_pool(function (open)
    it("works itself rather than wait for room in its own pool", function ()
      local pool <close> = open { workers = 1, queue = 1 }
      local f = pool:submit(function (p)
        local all, sum = {}, 0
        for i = 1, 8 do all[i] = p:submit(function (x) return x end, i) end
        for i = 1, 8 do sum = sum + all[i]:result() end
        return sum
      end, pool)
      assert.are.equal(36, f:result(soon))
    end)

    it("that shuts its pool down waits for the others' tasks", function ()
      local pool <close> = open(2)
      local go, begun = conc.event(), conc.event()
      local other = pool:submit(function (e, b) b:set() e:wait() return 1 end, go, begun)
      assert.is_true(begun:wait(soon))
      local f = pool:submit(function (p, e)
        conc.timer(0.05, function (x) x:set() end, e)
        p:shutdown()
        return e:is_set()
      end, pool, go)
      assert.is_true((f:result(soon)))
      assert.are.equal(1, other:result(soon))
    end)
  end)
end)

describe("the way to what does not travel", function ()
  local thread = coroutine.create(print)

  local function way(value)
    local ok, e = pcall(conc.encode, value)
    assert.is_false(ok)
    return e
  end

  it("names keys of all kinds", function ()
    for text, value in pairs {
      ["field 'deep' of element 3 of value"] = { 1, 2, { deep = thread } },
      ["field [1.5] of value"] = { [1.5] = thread },
      ["field [true] of value"] = { [true] = thread },
      ["field [a table] of value"] = { [{}] = thread },
      ["field '" .. ("k"):rep(60) .. "...' of value"] = { [("k"):rep(100)] = thread },
      ["a key of value"] = { [thread] = 1 },
    } do
      assert.are.equal("cannot send " .. text .. ": a coroutine does not travel", way(value))
    end
  end)

  it("is cut where it is long", function ()
    local deep = thread
    for _ = 1, 500 do deep = { deep } end
    local cut = "^cannot send element 1 of .*element 1 of %.%.%. of value: a coroutine"
    assert.matches(cut, way(deep))
  end)

  it("goes through functions, with or without names", function ()
    local up = thread
    local function f() return up end
    assert.matches("^cannot send upvalue 'up' of function at [^ ]*seldom_spec.lua:%d+ %(cor",
      way(f))
    local bare = load(string.dump(f, true))
    debug.setupvalue(bare, 1, thread)
    assert.matches("^cannot send upvalue 1 of function at %?:%d+ %(coroutine%)", way({ bare }))
    local main = load("return 1", "=chunk", "t", { bad = thread })
    assert.matches("^cannot send field 'bad' of upvalue '_ENV' of main chunk of chunk", way(main))
  end)
end)

describe("who is wrong is told", function ()
  it("in methods of futures and pools that are called with something else", function ()
    local pool <close> = conc.thread_pool(1)
    local f = pool:submit(math.abs, 1)
    for _, method in ipairs { "result", "error", "join", "done", "state", "cancel" } do
      local ok, e = pcall(f[method], 5)
      assert.is_false(ok)
      assert.matches("conc.future, thread or process expected, got number", e)
    end
    for _, method in ipairs { "submit", "stats", "workers", "terminate" } do
      local ok, e = pcall(pool[method], "x", print)
      assert.is_false(ok)
      assert.matches("conc.thread_pool or process_pool expected, got string", e)
    end
    assert.are.equal(1, f:result(soon))
  end)

  it("by the state of a future in its text", function ()
    local pool <close> = conc.thread_pool(1)
    local go = conc.event()
    local f = pool:submit(function (e) e:wait() error("bad", 0) end, go)
    local pending = pool:submit(math.abs, 1)
    assert.matches("^conc.future %(pending", tostring(pending))
    go:set()
    assert.is_true(f:join(soon))
    assert.matches("^conc.future %(failed.*bad", tostring(f))
    assert.is_true(pending:join(soon))
    assert.matches("^conc.future %(done", tostring(pending))
    assert.matches("^conc.thread_pool \"[^\"]+\" %(1 workers, 0 queued%)$", tostring(pool))
    pool:shutdown()
    assert.matches("shut down%)$", tostring(pool))
  end)

  it("of processors that there are not", function ()
    for _, list in ipairs { { 5000 }, { 1023 }, { 0, 100000 } } do
      local ok, e = pcall(conc.thread, { cpus = list }, print)
      assert.is_false(ok)
      assert.matches("option 'cpus': Invalid argument", e)
    end
  end)
end)

describe("a state of conc's own", function ()
  it("has warn, with its control messages and pieces", function ()
    local r = helper.run_script([[
      require "conc".thread(function ()
        warn("not yet")
        warn("@what")
        warn("@on")
        warn("one ", "in ", "pieces")
        warn("@", "on")
        warn("@unknown")
        warn("another")
        warn("@off")
        warn("no more")
      end):result(20)
    ]])
    assert.are.equal(0, r.code)
    assert.are.equal("Lua warning: one in pieces\nLua warning: @on\nLua warning: another\n", r.err)
  end)

  it("has setmetatable as Lua has it", function ()
    local t <close> = conc.thread(function ()
      local locked = setmetatable({}, { __metatable = "mine" })
      local _, protected = pcall(setmetatable, locked, {})
      local _, wrong = pcall(setmetatable, {}, 5)
      local _, none = pcall(setmetatable, {})
      local _, no_table = pcall(setmetatable, 5, {})
      local plain = setmetatable({}, nil)
      return protected, wrong, none, no_table, getmetatable(locked), getmetatable(plain)
    end)
    local protected, wrong, none, no_table, mine, nothing = t:result(soon)
    assert.matches("cannot change a protected metatable", protected)
    assert.matches("bad argument #2 to 'setmetatable' %(nil or table expected", wrong)
    assert.matches("bad argument #2 to 'setmetatable' %(nil or table expected", none)
    assert.matches("bad argument #1 to 'setmetatable' %(table expected, got number", no_table)
    assert.are.equal("mine", mine)
    assert.is_nil(nothing)
  end)

  it("can have a great many coroutines, and be cancelled in one", function ()
    local t = conc.thread(function ()
      local all = {}
      for i = 1, 3000 do
        all[i] = coroutine.create(function (x) while true do x = x + coroutine.yield(x) end end)
        if i % 3 == 0 then all[i - 1] = nil end
      end
      collectgarbage()
      local sum = 0
      for i = 1, 3000, 3 do
        local _, x = coroutine.resume(all[i], i)
        sum = sum + x
      end
      coroutine.wrap(function () while true do conc.sleep(0.001) end end)()
      return sum
    end)
    helper.eventually(function () return t:state() == "running" end)
    conc.sleep(helper.pace(0.05))
    t:cancel()
    assert.is_true(t:join(soon))
    assert.are.equal("cancelled", t:state())
  end)
end)

describe("conc.trace", function ()
  it("takes a path that is relative to the folder, and tells what is wrong with one", function ()
    local r = helper.run_script([[
      local conc = require "conc"
      local function ends(how) how = tostring(how) return how:sub(-60) end
      print(ends(select(2, pcall(conc.trace, ("x"):rep(5000)))))
      print(ends(select(2, pcall(conc.trace, "no/such/folder.json"))))
      conc.trace("timeline.json")
      conc.thread({ name = "a\tb\1\"\\" }, function () end):join()
      conc.trace()
      local file = assert(io.open("timeline.json"))
      print(file:read("a"):find('"a\\u0009b\\u0001\\"\\\\', 1, true) ~= nil)
      file:close()
      os.remove("timeline.json")
    ]], { command = { "sh", "-c", "d=$(mktemp -d) && cd $d && " .. helper.lua
                      .. " \"$0\"; cd / && rmdir $d" } })
    assert.are.equal("", r.err)
    assert.matches("File name too long\n.*No such file or directory\ntrue\n$", r.out)
  end)
end)

describe("conc.dump", function ()
  it("tells who waits for which dict, and where it was made", function ()
    local file <close> = assert(io.tmpfile())
    local d, in_it, go = conc.dict(), conc.event(), conc.event()
    local holder = conc.thread({ name = "holder" }, function (x, i, g)
      x:with(function () i:set() g:wait() end)
    end, d, in_it, go)
    assert.is_true(in_it:wait(soon))
    local waiter = conc.thread({ name = "waiter" }, function (x) return x:get("key") end, d)
    local text
    assert.is_true(helper.eventually(function ()
      file:seek("set")
      conc.dump(file)
      file:flush()
      file:seek("set")
      text = file:read("a")
      return text:find("waiter +waiting.*dict made at .*seldom_spec.lua:%d+.*holder")
    end) ~= nil, text)
    go:set()
    holder:result(soon)
    waiter:result(soon)
  end)
end)

describe("a dict that is emptied", function ()
  it("gives its table back, long keys too", function ()
    local d = conc.dict()
    local long = ("k"):rep(100)
    for round = 1, 3 do
      for i = 1, 500 do d[long .. i] = i end
      assert.are.equal(500, #d)
      for i = 1, 500 do d[long .. i] = nil end
      assert.are.equal(0, #d)
      d[round] = round
      assert.are.same({ [round] = round }, d:totable())
      d[round] = nil
    end
  end)
end)

describe("CONC_ARENA", function ()
  local function limit_of(size)
    local r = helper.run_script([[
      local conc = require "conc"
      print(require "conc.core"._arena().limit)
      print(conc.thread(function () return "works" end):result(20))
    ]], { env = { CONC_ARENA = size } })
    assert.are.equal(0, r.code, r.err)
    return tonumber(r.out:match("^(%d+)\nworks\n$"))
  end

  -- A size below what the library itself needs ended the program by an abort.
  it("is a size with a unit, of 8 MB at least", function ()
    local page = 4096
    for size, bytes in pairs { ["64M"] = 64 << 20, ["1g"] = 1 << 30, ["20000k"] = 20000 << 10,
                               ["200000000"] = 200000000, ["300k"] = 8 << 20, ["1"] = 8 << 20 } do
      local limit = limit_of(size)
      assert.is_true(limit <= bytes and limit > bytes - page, size .. ": " .. limit)
    end
  end)

  it("is not heard where it is none", function ()
    local without = limit_of("")
    for _, size in ipairs { "junk", "5X", "-1", "0", "1e30" } do
      assert.are.equal(without, limit_of(size))
    end
  end)
end)

describe("a program with little address space", function ()
  local function run_within(kilobytes)
    return helper.run_script([[
      local ok, conc = pcall(require, "conc")
      if not ok then print(conc) os.exit(7) end
      local function ask() return "works" end
      local made, t = pcall(conc.thread, ask)
      if not made then print(t) os.exit(7) end
      print((select(2, pcall(t.result, t, 20))))
      print((select(2, pcall(function () return conc.process(ask):result(20) end))))
    ]], { command = { "sh", "-c", 'ulimit -v "$0"; exec "$@"', kilobytes, helper.lua } })
  end

  -- All that the system granted went to shared memory: what the library itself needed
  -- besides was not to be had, and it aborted.
  it("has threads and processes, or an error that says why not", function ()
    if helper.sanitizer then pending("the sanitizer needs more address space than that") return end
    for kilobytes = 20000, 340000, 20000 do
      local r = run_within(kilobytes)
      local said = kilobytes .. ": " .. tostring(r.code) .. " " .. r.out .. r.err
      if kilobytes >= 120000 then
        assert.are.equal("works\nworks\n", r.out, said)
      else
        assert.is_true(r.code == 0 or r.code == 7, said)
        assert.is_true(r.code == 0 or r.out:find("%a%a%a") ~= nil, said)
      end
    end
  end)
end)

describe("a program that took away the global 'package'", function ()
  it("loads conc by its 'require', and has threads and processes", function ()
    local r = helper.run_script [[
      local require = require
      package = nil
      local conc = require "conc"
      print(conc.thread(function () return package ~= nil end):result(20))
      print(conc.process(function () return package end):result(20))
    ]]
    assert.are.equal("", r.err)
    assert.are.equal("true\nnil\n", r.out)
  end)
end)

describe("light userdata", function ()
  it("goes to threads and processes as the address that it is, and not to bytes", function ()
    local up = 1
    local id = debug.upvalueid(function () return up end, 1)
    assert.are.equal("userdata", type(id))
    local q = conc.queue()
    q:put(id)
    assert.are.equal(id, (q:get(soon)))
    q:put({ id, { [id] = "key" } })
    local got = q:get(soon)
    assert.are.equal(id, got[1])
    assert.are.equal("key", got[2][id])
    assert.are.equal(id, (conc.process(function (x) return x end, id):result(soon)))
    for _, value in ipairs { id, { id } } do
      local ok, e = pcall(conc.encode, value)
      assert.is_false(ok)
      assert.matches("light userdata", e)
    end
  end)
end)

describe("wrong arguments", function ()
  it("of conc.dump, kill, rlock and guards are told", function ()
    local function told(pattern, f, ...)
      local ok, e = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(pattern, e)
    end
    told("open file or path expected, got number", conc.dump, 5)
    told("no/such/folder/x: No such file", conc.dump, "/no/such/folder/x")
    local p = conc.process(conc.sleep, 60)
    told("no such signal", p.kill, p, 1000)
    told("no signal 'NOPE'", p.kill, p, "NOPE")
    assert.is_true(p:kill())
    assert.is_true(p:join(soon))
    for _, make in ipairs { "lock", "rlock", "condition" } do
      local object = conc[make]()
      told("release by its holder expected", function ()
        local _held <close> = object:guard()
        object:release()
      end)
    end
    local rw = conc.rwlock()
    told("release by its holder expected", function ()
      local _held <close> = rw:guard_write()
      rw:release()
    end)
    told("option 'cpus': list of CPU numbers expected", conc.thread, { cpus = 5 }, print)
    told("option 'cpus': CPU numbers start at 0", conc.thread, { cpus = { -1 } }, print)
    told("option 'nice': integer of %-40 to 40 expected", conc.thread, { nice = 99 }, print)
    told("option 'name': at most %d+ bytes expected", conc.thread, { name = ("n"):rep(99) }, print)
  end)
end)
