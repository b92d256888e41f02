-- timeout: 200
-- Every waiting call of the module: Ctrl-C and cancel end it soon, and the
-- object is as usable as before.
local conc = require "conc"
local helper = require "spec.helper"

-- name -> source of a function that makes what it needs, calls ready() and
-- waits for ever; and of one that shows that the object still works. They are
-- texts: Ctrl-C is tried in a program of its own.
local waits = {
  ["lock:acquire"] = { [[
    x = conc.lock()
    held = conc.thread({daemon = true}, function (l) l:acquire() conc.sleep(100) end, x)
    while not x:locked() do conc.sleep(0.001) end
    ready() x:acquire()]],
    [[assert(x:locked() and x:acquire(0) == nil)]] },
  ["rlock:acquire"] = { [[
    x = conc.rlock()
    held = conc.thread({daemon = true}, function (l) l:acquire() conc.sleep(100) end, x)
    while not x:locked() do conc.sleep(0.001) end
    ready() x:acquire()]],
    [[assert(x:acquire(0) == nil)]] },
  ["rwlock:acquire_read"] = { [[
    x = conc.rwlock()
    held = conc.thread({daemon = true}, function (l) l:acquire_write() conc.sleep(100) end, x)
    while not x:locked() do conc.sleep(0.001) end
    ready() x:acquire_read()]],
    [[assert(x:acquire_read(0) == nil)]] },
  ["rwlock:acquire_write"] = { [[
    x = conc.rwlock()
    held = conc.thread({daemon = true}, function (l) l:acquire_read() conc.sleep(100) end, x)
    while not x:locked() do conc.sleep(0.001) end
    ready() x:acquire_write()]],
    [[assert(x:acquire_write(0) == nil) assert(x:acquire_read(0)) x:release()]] },
  ["semaphore:acquire"] = { [[x = conc.semaphore(0) ready() x:acquire()]],
    [[x:release() assert(x:acquire(0))]] },
  ["condition:wait"] = { [[x = conc.condition() x:acquire() ready() x:wait()]],
    [[x:notify() x:release()]] },
  ["condition:wait_for"] = { [[x = conc.condition() x:acquire() ready()
    x:wait_for(function () return false end)]], [[x:notify() x:release()]] },
  ["event:wait"] = { [[x = conc.event() ready() x:wait()]], [[x:set() assert(x:wait(0))]] },
  ["barrier:wait"] = { [[x = conc.barrier(2) ready() x:wait()]],
    [[assert(x:broken()) x:reset() assert(not x:broken())]] },
  ["queue:get"] = { [[x = conc.queue() ready() x:get()]], [[x:put(1) assert(x:get(0) == 1)]] },
  ["queue:get_many"] = { [[x = conc.queue() ready() x:get_many(5)]],
    [[x:put(1) assert(x:get(0) == 1)]] },
  ["queue:put"] = { [[x = conc.queue(1) x:put(1) ready() x:put(2)]],
    [[assert(x:get(0) == 1 and x:get(0) == nil)]] },
  ["queue:put_many"] = { [[x = conc.queue(2) ready() x:put_many{1, 2, 3}]],
    [[assert(x:get(0) == 1 and x:get(0) == 2 and x:get(0) == nil)]] },
  ["queue:items"] = { [[x = conc.queue() ready() for _ in x:items() do end]],
    [[x:put(1) assert(x:get(0) == 1)]] },
  ["queue:join"] = { [[x = conc.queue() x:put(1) ready() x:join()]],
    [[x:get() x:task_done() assert(x:join(0))]] },
  ["lifo_queue:get"] = { [[x = conc.lifo_queue() ready() x:get()]],
    [[x:put(1) assert(x:get(0) == 1)]] },
  ["priority_queue:get"] = { [[x = conc.priority_queue() ready() x:get()]],
    [[x:put(1, 5) assert(x:get(0) == 1)]] },
  ["pipe:recv"] = { [[x, y = conc.pipe() ready() x:recv()]], [[y:send(1) assert(x:recv(0) == 1)]] },
  ["pipe:poll"] = { [[x, y = conc.pipe() ready() x:poll(math.huge)]],
    [[y:send(1) assert(x:recv(0) == 1)]] },
  ["select"] = { [[x = conc.queue() ready() conc.select{x, conc.event()}]],
    [[x:put(1) assert(x:get(0) == 1)]] },
  ["wait"] = { [[x = conc.thread({daemon = true}, conc.sleep, 100) ready() conc.wait{x}]],
    [[assert(not x:done())]] },
  ["as_completed"] = { [[x = conc.thread({daemon = true}, conc.sleep, 100) ready()
    for _ in conc.as_completed{x} do end]], [[assert(not x:done())]] },
  ["thread:join"] = { [[x = conc.thread({daemon = true}, conc.sleep, 100) ready() x:join()]],
    [[assert(x:alive())]] },
  ["thread:result"] = { [[x = conc.thread({daemon = true}, conc.sleep, 100) ready() x:result()]],
    [[assert(x:alive())]] },
  ["process:join"] = { [[x = conc.process({daemon = true}, conc.sleep, 100) ready() x:join()]],
    [[assert(x:alive()) x:kill() assert(x:join(10))]] },
  ["sleep"] = { [[ready() conc.sleep(math.huge)]], [[conc.sleep(0)]] },
  ["list:with"] = { [[x = conc.list{1}
    held = conc.thread({daemon = true}, function (l, e) l:with(function ()
      e:set() conc.sleep(100) end) end, x, evt)
    evt:wait() ready() x:with(function () end)]], [[held:cancel() held:join() assert(x[1] == 1)]] },
  ["dict:update"] = { [[x = conc.dict{a = 1}
    held = conc.thread({daemon = true}, function (l, e) l:with(function ()
      e:set() conc.sleep(100) end) end, x, evt)
    evt:wait() ready() x:update("a", function (v) return v end)]],
    [[held:cancel() held:join() assert(x.a == 1)]] },
  ["pool future:result"] = { [[x = conc.thread_pool(1)
    f = x:submit(conc.sleep, 100) ready() f:result()]],
    [[x:terminate()]] },
  ["pool:submit, bounded"] = { [[x = conc.thread_pool{workers = 1, queue = 1}
    x:submit(function (e) e:set() conc.sleep(100) end, evt) evt:wait()
    x:submit(conc.sleep, 100) ready() x:submit(conc.sleep, 100)]],
    [[x:terminate()]] },
  ["pool:map"] = { [[x = conc.process_pool(1) ready() x:map(conc.sleep, {100, 100})]],
    [[x:terminate()]] },
  ["pool:imap"] = { [[x = conc.thread_pool(1) ready()
    for _ in x:imap(conc.sleep, {100, 100}) do end]],
    [[x:terminate()]] },
  ["pool:shutdown"] = { [[x = conc.thread_pool(1) x:submit(conc.sleep, 100) ready() x:shutdown()]],
    [[x:terminate()]] },
  ["generate"] = { [[x = conc.queue() ready()
    for _ in conc.generate(function () conc.sleep(100) end) do end]],
    [[x:put(1) assert(x:get(0) == 1)]] },
}

local names = {}
for name in pairs(waits) do names[#names + 1] = name end
table.sort(names)

-- Run as a program: '#' is Ctrl-C at the moment of ready().
local program = [[
  conc = require "conc"
  evt = conc.event()
  local function wait()
    local conc, ready = conc, ready
    %s
  end
  function ready()
    local parent = conc.current():pid()
    os.execute("(sleep 0.15; kill -INT " .. parent .. ") >/dev/null 2>&1 &")
    began = conc.now()
  end
  local ok, err = pcall(wait)
  local spent = conc.now() - began
  assert(not ok and tostring(err):find("interrupted!", 1, true), tostring(err))
  assert(spent < %g, "it took " .. spent)
  %s
  print("usable")
  os.exit(0)
]]

describe("Ctrl-C ends", function ()
  for _, name in ipairs(names) do
    it(name, function ()
      local r = helper.run_script(program:format(waits[name][1], helper.pace(1), waits[name][2]),
                                  { timeout = helper.pace(15) })
      assert.are.equal("", r.err)
      assert.are.equal("usable\n", r.out)
    end)
  end
end)

describe("cancel ends", function ()
  for _, name in ipairs(names) do
    it(name, function ()
      local code = ([[
        local conc = require "conc"
        _G.conc = conc
        local begun = ...
        local evt, x, y, f, held = conc.event()
        local function ready() begun:set() end
        local ok, err = pcall(function () %s end)
        assert(not ok and err == conc.cancelled, tostring(err))
        conc.shield(function () %s end)
        if type(held) == "userdata" then held:cancel() end
        error(err, 0)
      ]]):format(waits[name][1], waits[name][2])
      local begun = conc.event()
      local t = conc.thread(function (text, e) return assert(load(text))(e) end, code, begun)
      assert.is_true(begun:wait(helper.soon))
      conc.sleep(0.03)
      local from = conc.now()
      assert.is_true(t:cancel())
      assert.is_true(t:join(helper.soon))
      local spent = conc.now() - from
      local value, trace = t:error()
      assert.are.equal("cancelled", t:state(), tostring(value) .. tostring(trace))
      assert.is_true(spent < helper.pace(1), "it took " .. spent)
      for _, who in ipairs(conc.list_alive()) do
        if who:name() ~= "main" and who:alive() then who:cancel() end
      end
    end)
  end
end)
