local conc = require "conc"
local cjson = require "cjson"
local helper = require "spec.helper"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- All events of a trace: the file with its last bracket, as JSON.
local function events_of(path)
  local text = read(path)
  assert.is_truthy(text:find("^%[{"), text:sub(1, 100))
  return cjson.decode(text .. "]"), text
end

local function traced(f)
  local path = os.tmpname()
  assert.is_true(conc.trace(path))
  f()
  assert.is_true(conc.trace())
  local events, text = events_of(path)
  os.remove(path)
  return events, text
end

-- The events that have these fields.
local function select_events(events, fields)
  local list = {}
  for _, e in ipairs(events) do
    local fits = true
    for name, value in pairs(fields) do fits = fits and e[name] == value end
    if fits then list[#list + 1] = e end
  end
  return list
end

local function one(events, fields)
  local list = select_events(events, fields)
  assert.are.equal(1, #list, "events with " .. cjson.encode(fields))
  return list[1]
end

describe("conc.trace", function ()
  it("writes JSON but for the last bracket, one event a line", function ()
    local _, text = traced(function () conc.sleep(0.001) end)
    for line in text:gmatch("[^\n]+") do
      assert.is_truthy(line:find("^[%[,]{.*}$"), line)
      assert.is_table(cjson.decode((line:sub(2))))
    end
  end)

  for _, kind in ipairs(helper.kinds) do
    it("has begin and end of a " .. kind .. ", and its name", function ()
      local id, pid
      local events = traced(function ()
        local t <close> = conc[kind]({ name = "worker" }, conc.sleep, 0.02)
        id, pid = t:id(), t:pid()
      end)
      local b = one(events, { ph = "B", name = "worker" })
      local e = one(events, { ph = "E", name = "worker" })
      assert.are.equal(id, b.tid)
      assert.are.equal(id, e.tid)
      assert.are.equal(pid, b.pid)
      assert.is_true(e.ts - b.ts >= 20000)
      local function told(fields) return one(events, fields).args.name end
      assert.are.equal("worker", told { ph = "M", name = "thread_name", tid = id })
      if kind == "process" then
        assert.are.equal("worker", told { ph = "M", name = "process_name", pid = pid })
      end
    end)
  end

  it("has waits, with what was waited for, and where", function ()
    local events = traced(function ()
      local q = conc.queue()
      local _ <close> = conc.thread(function () conc.sleep(0.02) q:put("x") end)
      assert.are.equal("x", q:get(helper.soon))
    end)
    local wait = one(events, { ph = "X", name = "get" })
    assert.are.equal("wait", wait.cat)
    assert.is_truthy(wait.args.of:find("^queue"))
    assert.is_truthy(wait.args.at:find("trace_spec.lua:%d+"), wait.args.at)
    assert.is_true(wait.dur >= 5000)
    assert.is_true(one(events, { ph = "X", name = "sleep" }).dur >= 20000)
  end)

  it("has lock holds, one track for each lock", function ()
    local a, b, r = conc.lock(), conc.lock(), conc.rlock()
    local events = traced(function ()
      a:acquire()
      b:acquire()
      a:release()
      b:release()
      r:acquire()
      r:acquire()
      r:release()
      r:release()
      local _ <close> = conc.process(function () a:with(conc.sleep, 0.01) end)
    end)
    local begins, ends = select_events(events, { ph = "b" }), select_events(events, { ph = "e" })
    assert.are.equal(4, #begins)
    assert.are.equal(4, #ends)
    assert.are.equal(begins[1].id, ends[1].id)
    assert.are.equal(begins[2].id, ends[2].id)
    assert.are_not.equal(begins[1].id, begins[2].id)
    assert.are.equal(begins[1].id, begins[4].id)
    assert.are_not.equal(begins[1].pid, begins[4].pid)
    assert.is_truthy(begins[1].name:find("^lock made at .*trace_spec.lua:%d+$"))
  end)

  it("has holds of a contended lock without overlap", function ()
    local lock = conc.lock()
    local events = traced(function ()
      local list = {}
      for i = 1, 4 do
        list[i] = conc[i % 2 == 0 and "thread" or "process"](function ()
          for _ = 1, 50 do lock:with(function () end) end
        end)
      end
      for _, t in ipairs(list) do t:join() end
    end)
    assert.are.equal(200, #select_events(events, { ph = "b" }))
    assert.are.equal(200, #select_events(events, { ph = "e" }))
  end)

  it("has readers and writers, and a condition's lock", function ()
    local rw, c = conc.rwlock(), conc.condition()
    local events = traced(function ()
      rw:with_read(function () rw:with_read(function () end) end)
      rw:with_write(function () end)
      c:with(function () c:wait(0.001) end)
    end)
    local names = {}
    for _, e in ipairs(events) do
      if e.ph == "b" then names[#names + 1] = e.name:match("^%a+") end
    end
    assert.are.same({ "rwlock", "rwlock", "rwlock", "rlock", "rlock" }, names)
    assert.are.equal(5, #select_events(events, { ph = "e" }))
  end)

  it("has the tasks of pools, in their workers", function ()
    for _, open in ipairs { conc.thread_pool, conc.process_pool } do
      local events = traced(function ()
        local pool <close> = open(2)
        pool:submit(conc.sleep, 0.01):result()
      end)
      local b, e = select_events(events, { ph = "B", cat = "future" }),
                   select_events(events, { ph = "E", cat = "future" })
      assert.are.equal(1, #b)
      assert.are.equal(1, #e)
      assert.are.equal(b[1].tid, e[1].tid)
    end
  end)

  it("turns on processes that run already, and off again", function ()
    local go, more = conc.event(), conc.event()
    local path = os.tmpname()
    local p <close> = conc.process(function ()
      go:wait()
      conc.sleep(0.001)
      more:wait()
    end)
    conc.trace(path)
    go:set()
    conc.sleep(helper.pace(0.1))
    conc.trace(false)
    more:set()
    p:join()
    local events = events_of(path)
    os.remove(path)
    assert.are.equal(1, #select_events(events, { ph = "X", name = "sleep", pid = p:pid() }))
    assert.are.equal(0, #select_events(events, { ph = "E", pid = p:pid() }))
  end)

  it("may be begun again with another file", function ()
    for i = 1, 3 do
      local events = traced(function ()
        local _ <close> = conc.process({ name = "p" .. i }, conc.sleep, 0.001)
        conc.sleep(0.001)
      end)
      assert.are.equal(1, #select_events(events, { ph = "B", name = "p" .. i }))
      assert.is_true(#select_events(events, { ph = "X", name = "sleep" }) == 2)
    end
  end)

  it("keeps whole lines when a process is killed", function ()
    local lock = conc.lock()
    local events = traced(function ()
      for _ = 1, 5 do
        local p <close> = conc.process(function () while true do lock:with(function () end) end end)
        conc.sleep(helper.pace(0.01))
        p:kill()
        p:join()
        p:error()
      end
    end)
    assert.is_true(#select_events(events, { ph = "b" }) > 5)
  end)

  it("raises where the file cannot be written", function ()
    local ok, message = pcall(conc.trace, "/no/such/folder/trace.json")
    assert.is_false(ok)
    assert.is_truthy(message:find("trace: /no/such/folder/trace.json: No such file", 1, true))
    assert.has_error(function () conc.trace({}) end)
  end)
end)

describe("CONC_TRACE", function ()
  it("traces a whole program, wherever that goes", function ()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local run = helper.run_script([[
      local conc = require "conc"
      conc.thread({name = "t"}, conc.sleep, 0.001):join()
      conc.process({name = "p"}, conc.sleep, 0.001):join()
    ]], { env = { CONC_TRACE = folder .. "/trace.json" } })
    assert.are.equal("", run.err)
    local events = events_of(folder .. "/trace.json")
    os.execute("rm -r " .. folder)
    one(events, { ph = "E", name = "t" })
    one(events, { ph = "E", name = "p" })
  end)

  it("that cannot be written is told, and the program goes on", function ()
    local run = helper.run_script([[require "conc" print "on"]],
                                  { env = { CONC_TRACE = "/no/such/folder/x" } })
    assert.are.equal("on\n", run.out)
    assert.are.equal("conc: CONC_TRACE=/no/such/folder/x: No such file or directory\n", run.err)
  end)
end)
