local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

-- A pipe whose second end only a table holds.
local function pipe_in_box()
  local a, b = conc.pipe()
  return a, {b}
end

describe("conc.pipe", function ()
  it("gives to one end what the other sends, both ways", function ()
    local a, b = conc.pipe()
    assert.are.equal("pipe", conc.type(a))
    assert.is_true(a:send("to b"))
    assert.is_true(b:send({"to", "a"}))
    assert.are.equal("to b", b:recv(0))
    assert.are.same({"to", "a"}, a:recv(0))
    for _, v in ipairs { 1, 2.5, false, ("x"):rep(100000), a, b } do
      a:send(v)
      assert.are.equal(v, b:recv(0))
    end
    assert.are.same({n = 2, nil, "timeout"}, table.pack(a:recv(0)))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(a:recv(0.01)))
  end)

  it("polls without taking", function ()
    local a, b = conc.pipe()
    assert.are.same({n = 2, nil, "timeout"}, table.pack(b:poll()))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(b:poll(0.01)))
    a:send(1)
    assert.is_true(b:poll())
    assert.is_true(b:poll(soon))
    assert.are.equal(1, b:recv(0))
    assert.are.same({n = 2, nil, "timeout"}, table.pack(b:poll(0)))
    b:close()
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:poll()))
  end)

  it("closed: what was sent before is still received", function ()
    local a, b = conc.pipe()
    a:send(1)
    a:send(2)
    a:close()
    a:close()
    assert.are.equal(1, b:recv())
    assert.are.equal(2, b:recv())
    assert.are.same({n = 2, nil, "closed"}, table.pack(b:recv()))
    assert.are.same({n = 2, nil, "closed"}, table.pack(b:send(3)))
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:send(3)))
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:recv()))
  end)

  it("says so when nobody holds the other end", function ()
    local a, box = pipe_in_box()
    box[1]:send("last")
    box[1] = nil
    collectgarbage()
    collectgarbage()
    assert.are.equal("last", a:recv())
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:recv()))
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:send(1)))
  end)

  it("an end that is under way counts as held", function ()
    local a, box = pipe_in_box()
    local q = conc.queue()
    q:put(box)
    box[1] = nil
    collectgarbage()
    collectgarbage()
    assert.is_true(a:send("still"))
    assert.are.equal("still", q:get()[1]:recv(0))
    collectgarbage()
    collectgarbage()
    assert.are.same({n = 2, nil, "closed"}, table.pack(a:send(1)))
  end)

  it("refuses what a queue refuses", function ()
    local a, b = conc.pipe()
    assert.has_error(function () a:send(nil) end,
      "bad argument #1 to 'send' (a value other than nil expected)")
    assert.is_false((pcall(a.send, a, coroutine.create(print))))
    b:close()
    assert.is_false((pcall(a.send, a, coroutine.create(print))))
    assert.has_error(function () a.recv(conc.queue()) end)
  end)

  it("tells its state, and is closed by <close>", function ()
    local kept
    do
      local a <close>, b = conc.pipe()
      b:send(1)
      assert.are.equal("conc.pipe (1 to receive)", tostring(a))
      assert.are.equal("conc.pipe (0 to receive)", tostring(b))
      kept = b
    end
    assert.are.equal("conc.pipe (closed, 0 left)", tostring(kept))
    assert.are.same({n = 2, nil, "closed"}, table.pack(kept:send(1)))
  end)

  helper.each_kind(function (start)
    it("talks with another", function ()
      local a, b = conc.pipe()
      local t <close> = start(function (theirs)
        local n = 0
        while true do
          local v = theirs:recv()
          if v == nil then return n end
          theirs:send(v * 2)
          n = n + 1
        end
      end, b)
      for i = 1, 200 do
        a:send(i)
        assert.are.equal(i * 2, a:recv(soon))
      end
      a:close()
      assert.are.equal(200, t:result(soon))
    end)

    it("close of an end is for all who hold it, and wakes who waits", function ()
      local a, b = conc.pipe()
      local t <close> = start(function (theirs) return theirs:recv() end, b)
      local u <close> = start(function (ours) return ours:recv() end, a)
      conc.sleep(0.02)
      a:close()
      assert.are.same({n = 2, nil, "closed"}, table.pack(t:result(soon)))
      assert.are.same({n = 2, nil, "closed"}, table.pack(u:result(soon)))
    end)
  end)

  it("whose other end died with its process is closed", function ()
    for _ = 1, 5 do
      local a, box = pipe_in_box()
      local p = conc.process({daemon = true}, function (theirs)
        theirs:send("here")
        conc.sleep(60)
      end, box[1])
      box[1] = nil
      collectgarbage()
      collectgarbage()
      assert.are.equal("here", a:recv(soon))
      p:kill()
      p:join(soon)
      local v, why = a:recv(soon)
      assert.are.same({n = 2, nil, "closed"}, {n = 2, v, why})
      assert.are.same({n = 2, nil, "closed"}, table.pack(a:send(1)))
    end
  end)
end)
