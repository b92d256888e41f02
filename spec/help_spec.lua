local conc = require "conc"
local helper = require "spec.helper"
local manual = require "conc.manual"

local function has(text, name)
  local shown = conc.help(name)
  assert.is_truthy(shown:find(text, 1, true), ("no %q in:\n%s"):format(text, shown))
end

describe("conc.help", function ()
  it("tells of a method, however its name is written", function ()
    for _, name in ipairs { "queue.put", "queue:put", "conc.queue.put", "queue:put()" } do
      has("queue:put(value [, timeout])", name)
    end
    has("lifo_queue:put(value [, timeout])", "lifo_queue.put")
    has("priority_queue:put(value, priority [, timeout])", "priority_queue.put")
    has("process_pool:map(f, list [, options])", "process_pool.map")
    has("value.value: ", "value.value")
  end)

  it("tells of a function, with options, errors and an example", function ()
    has("conc.thread([options,] f, ...)", "thread")
    has("daemon: boolean", "conc.thread")
    has("Raises cannot send", "thread")
    has("http.get(url [, options])", "http.get")
    has("print(t:result())   --> 21", "thread")
    has("session:get(url [, options])", "session.get")
  end)

  it("tells of the methods of a name that is no function's", function ()
    has("thread_pool:map(f, list [, options])", "map")
    has("queue:put(value [, timeout])", "put")
    has("priority_queue:put(value, priority [, timeout])", "put")
  end)

  it("shows each option in a line of its own", function ()
    has("\n    initializer: function  runs first in each worker; if it fails, so do all open "
      .. "futures, and submit raises its error\n", "process_pool")
  end)

  it("tells of a class where its name, or an object, is given", function ()
    has("Methods\n  lock:acquire([timeout])", "lock")
    has("Methods\n  lock:acquire([timeout])", conc.lock())
    has("rwlock:with_read(f, ...)", conc.rwlock())
    has("thread:join([timeout])", conc.current())
    has("conc.queue([maxsize])", "Queues")
    has("http.get_many(requests [, options])", "conc.http")
  end)

  it("tells of a function that is given itself", function ()
    has("conc.select(objects [, timeout])", conc.select)
    has("conc.generate([options,] f, ...)", conc.generate)
    has("queue:peek()", conc.queue().peek)
  end)

  it("lists all without a name", function ()
    local text = conc.help()
    for _, section in ipairs(manual.sections()) do
      assert.is_truthy(text:find(section.title, 1, true))
      for _, entry in ipairs(manual.functions(section)) do
        assert.is_truthy(text:find(entry.name, 1, true), entry.name)
      end
    end
  end)

  it("tells the nearest name for a misspelt one", function ()
    local ok, message = pcall(conc.help, "queue.putt")
    assert.is_false(ok)
    assert.is_truthy(message:find("no 'queue.putt' in the reference; did you mean 'queue.put'?", 1,
                                  true), message)
    ok, message = pcall(conc.help, "pool")
    assert.is_false(ok)
    assert.is_truthy(message:find("no 'pool' in the reference; there is process_pool, thread_pool",
                                  1, true), message)
    ok, message = pcall(conc.help, 42)
    assert.is_false(ok)
    assert.is_truthy(message:find("bad argument #1 to 'help'", 1, true), message)
  end)

  it("is shown at the prompt", function ()
    local run = helper.run_script(nil, {
      command = { helper.lua, "-i" }, stdin = 'conc = require "conc"\nconc.help("queue.get")\n' })
    assert.is_truthy(run.out:find("queue:get([timeout])", 1, true), run.out)
  end)
end)
