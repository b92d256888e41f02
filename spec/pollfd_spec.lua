local conc = require "conc"
local helper = require "spec.helper"
local poll = require "poll"

local soon_ms = math.floor(helper.soon * 1000)

-- Does the descriptor cease to be readable in time?
local function quiet(fd)
  return helper.eventually(function () return not poll(fd) end)
end

local function descriptors()
  local list = io.popen("ls -l /proc/" .. conc.current():pid() .. "/fd")
  local text, n = list:read("a"), 0
  list:close()
  for _ in text:gmatch("eventfd") do n = n + 1 end
  return n
end

describe("pollfd", function ()
  for _, name in ipairs { "queue", "lifo_queue", "priority_queue" } do
    it("of a " .. name .. " is readable while there is something to get", function ()
      local q = conc[name]()
      local fd = q:pollfd()
      assert.are.equal("integer", math.type(fd))
      assert.are.equal(fd, q:pollfd())
      assert.is_false(poll(fd))
      for _ = 1, 3 do
        q:put("a", 1)
        assert.is_true(poll(fd))
        q:put("b", 1)
        assert.is_true(poll(fd))
        q:get()
        assert.is_true(poll(fd))
        q:get()
        assert.is_false(poll(fd))
      end
      q:close()
      assert.is_true(poll(fd))  -- a get would return at once
    end)
  end

  it("asked for when it is ready already", function ()
    local q = conc.queue()
    q:put(1)
    assert.is_true(poll(q:pollfd()))
    q:get_many(5)
    assert.is_false(poll(q:pollfd()))
  end)

  it("of a pipe's end", function ()
    local a, b = conc.pipe()
    local fd, other = b:pollfd(), a:pollfd()
    assert.are_not.equal(fd, other)
    a:send(1)
    assert.is_true(poll(fd))
    assert.is_false(poll(other))
    b:recv()
    assert.is_false(poll(fd))
    b:close()
    assert.is_true(poll(other))
    assert.is_true(poll(fd))
  end)

  it("of an event", function ()
    local e = conc.event()
    local fd = e:pollfd()
    assert.is_false(poll(fd))
    for _ = 1, 3 do
      e:set()
      assert.is_true(poll(fd))
      e:clear()
      assert.is_false(poll(fd))
    end
  end)

  it("of a future, a thread, a process", function ()
    local go = conc.event()
    local pool <close> = conc.thread_pool(1)
    local t <close> = conc.thread(function (e) e:wait() end, go)
    local p <close> = conc.process(function (e) e:wait() end, go)
    local f = pool:submit(function (e) e:wait() end, go)
    local fds = {t:pollfd(), p:pollfd(), f:pollfd()}
    for _, fd in ipairs(fds) do assert.is_false(poll(fd)) end
    go:set()
    for _, fd in ipairs(fds) do assert.is_true(poll(fd, soon_ms)) end
    for _, fd in ipairs(fds) do assert.is_true(poll(fd)) end
  end)

  it("of a process that is killed", function ()
    local p = conc.process({daemon = true}, function () conc.sleep(60) end)
    local fd = p:pollfd()
    assert.is_false(poll(fd))
    p:kill()
    assert.is_true(poll(fd, soon_ms))
    p:join()
  end)

  helper.each_kind(function (start, kind)
    it("follows what another does", function ()
      local q, ack = conc.queue(), conc.queue()
      local fd = q:pollfd()
      local t <close> = start(function (queue, go)
        while true do
          local what = go:get()
          if what == "put" then queue:put(1)
          elseif what == "get" then queue:get()
          else return end
        end
      end, q, ack)
      for _ = 1, 20 do
        ack:put("put")
        assert.is_true(poll(fd, soon_ms))
        ack:put("get")
        assert.is_true(quiet(fd))
      end
      local begun = conc.now()
      for _ = 1, 20 do
        ack:put("put")
        poll(fd, soon_ms)
        q:get()
      end
      assert.is_true(conc.now() - begun < helper.pace(20 * 0.05))
      ack:put("end")
      assert.is_true(t:join(helper.soon))
    end)

    it("does not keep items from who waits for them", function ()
      local q, out = conc.queue(), conc.queue()
      q:pollfd()
      local t <close> = start(function (queue, to)
        for v in queue:items() do to:put(v) end
      end, q, out)
      for i = 1, 100 do
        q:put(i)
        assert.are.equal(i, out:get(helper.soon))
      end
      q:close()
      assert.is_true(t:join(helper.soon))
    end)

    it("is one for each process", function ()
      local q = conc.queue()
      local fd = q:pollfd()
      local t <close> = start(function (queue)
        local poll_there = require "poll"
        local mine = queue:pollfd()
        local before = poll_there(mine)
        queue:put(1)
        return before, poll_there(mine)
      end, q)
      local before, after = t:result(helper.soon)
      assert.is_false(before)
      assert.is_true(after)
      assert.is_true(poll(fd, soon_ms))
      assert.are.equal(1, q:get())
      assert.is_true(quiet(fd))
    end)
  end)

  it("of an event that another process sets and clears", function ()
    local e, go = conc.event(), conc.queue()
    local fd = e:pollfd()
    local p <close> = conc.process(function (event, what)
      for v in what:items() do event[v](event) end
    end, e, go)
    for _ = 1, 5 do
      go:put("set")
      assert.is_true(poll(fd, soon_ms))
      go:put("clear")
      assert.is_true(quiet(fd))
    end
    go:close()
    assert.is_true(p:join(helper.soon))
  end)

  it("is closed when the handle is collected", function ()
    do
      local warm = conc.queue()
      warm:pollfd()
    end
    collectgarbage()
    collectgarbage()
    collectgarbage()
    local before = descriptors()
    for _ = 1, 50 do conc.queue():pollfd() end
    assert.is_true(descriptors() > before)
    collectgarbage()
    collectgarbage()
    collectgarbage()
    assert.is_true(descriptors() <= before, descriptors() .. " after " .. before)
  end)

  it("an idle one costs next to nothing", function ()
    local q = conc.queue()
    q:pollfd()
    conc.sleep(0.1)
    local begun = os.clock()
    conc.sleep(0.5)
    assert.is_true(os.clock() - begun < 0.05)
  end)

  it("refuses what is never ready", function ()
    assert.is_nil(conc.lock().pollfd)
    local pollfd = conc.queue().pollfd
    assert.is_false((pcall(pollfd, conc.lock())))
    assert.is_false((pcall(pollfd, 5)))
  end)
end)
