-- Memory that ends at the n-th allocation, for every n, wherever values travel: an error,
-- nothing half sent, nothing left behind. (spec/fail_spec.lua does the same to what the
-- core itself asks for; here it is the allocator of the sender's Lua state.)
-- timeout: 600
local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local graph = require "spec.graph"

local soon = helper.soon
local starve = assert(package.loadlib(helper.build .. "/spec/starve.so", "luaopen_starve"))()

local count = 0
local value = setmetatable({ 1, "x", { { ("long"):rep(20) } }, function () count = count + 1
  return count, codec_memory end, string.format, 1.5 }, { __index = { y = 1 } })
value.self = value
for i = 1, 40 do value[{ key = i }] = { i, tostring(i) } end

local function settle()
  core._forget()
  collectgarbage()
  collectgarbage()
end

-- Runs f with ever more memory, until it has enough; 'check' after each time. What is in
-- the arena then must not grow with the number of failures. A forked child has the same
-- allocator: it may fail where this state has enough.
local function every(f, check)
  settle()
  local first
  for n = helper.first(), 20000, helper.stride do
    local fired, ok, message = starve(n, f)
    if check then check(ok) end
    if not fired and ok then return n end
    if not ok then assert.matches("memory", tostring(message)) end
    if n % 25 == 0 then
      settle()
      local live = core._arena().live
      first = first or live
      assert.is_true(helper.eventually(function ()
        live = core._arena().live
        return live <= first + 4
      end, 2), ("%d blocks after 25 failures, %d after %d"):format(first, live, n))
    end
  end
  error("it never had enough")
end

local function same(r) assert.is_nil(graph.difference(value, r)) end
local function back(...) return ... end

describe("memory of Lua that ends at any point", function ()
  before_each(function () codec_memory = { "global" } end)
  after_each(function () codec_memory = nil end)

  it("of encoding", function ()
    local s
    every(function () s = conc.encode(value, string, ("x"):rep(1000)) end)
    same((conc.decode(s, { trusted = true })))
  end)

  it("of decoding", function ()
    local s, r = conc.encode(value, print), nil
    every(function () r = conc.decode(s, { trusted = true }) end)
    same(r)
  end)

  it("of decoding a large message: the collector runs again", function ()
    local big = { text = ("x"):rep(70000) }
    for i = 1, 5000 do big[i] = { i } end
    local s = conc.encode(big)
    for _, n in ipairs { 1, 2, 3, 10, 4097, 4100, 5000 } do
      local fired, ok = starve(n, function () return conc.decode(s) end)
      assert.is_true(fired and not ok)
      assert.is_true(collectgarbage("isrunning"))
    end
    assert.are.equal(5000, #conc.decode(s))
    collectgarbage("stop")
    conc.decode(s)
    local running = collectgarbage("isrunning")
    collectgarbage("restart")
    assert.is_false(running)
  end)

  for _, kind in ipairs { "queue", "lifo_queue", "priority_queue" } do
    local priority = kind == "priority_queue" and 1 or nil
    it("of a put: " .. kind, function ()
      local q = conc[kind]()
      local big = { value, ("x"):rep(100000), q }
      local n = 0
      every(function () q:put(big, priority) end, function (ok)
        if ok then n = n + 1 end
        assert.are.equal(n, #q)
      end)
      same(q:get()[1])
      q:close(true)
    end)
    it("of a get: " .. kind, function ()
      local q = conc[kind]()
      local big = { value, ("x"):rep(100000), q }
      every(function () q:put(big, priority) q:get() end)
    end)
    it("of many: " .. kind, function ()
      local q = conc[kind]()
      local list = priority and { { value, 1 }, { 2, 2 }, { ("x"):rep(3000), 3 } }
        or { value, 2, ("x"):rep(3000) }
      every(function () q:put_many(list) end, function (ok)
        assert.are.equal(ok and 3 or 0, #q)
        while not q:empty() do q:get() end
      end)
      every(function ()
        q:put_many(list)
        assert(#q:get_many(10) == 3)
      end, function ()
        while not q:empty() do q:get() end
      end)
    end)
  end

  it("of a pipe", function ()
    local a, b = conc.pipe()
    every(function () a:send(value, soon) b:recv(soon) end, function ()
      while b:poll() do b:recv(0) end
    end)
  end)

  it("of a list", function ()
    local l = conc.list()
    every(function () l:append(value) end, function (ok)
      assert.are.equal(ok and 1 or 0, #l)
    end)
    local function unchanged() assert.are.equal(1, #l) end
    every(function () same(l[1]) end, unchanged)
    every(function () l[1] = { value } end, unchanged)
    every(function () return l:totable(), l[1][1] end, unchanged)
  end)

  it("of a dict", function ()
    local d = conc.dict({ a = 1 })
    every(function () d.b = value end, function (ok)
      assert.are.equal(ok and 2 or 1, #d)
    end)
    local function unchanged() assert.are.equal(2, #d) end
    every(function () same(d.b) end, unchanged)
    every(function () d:update("b", function (x) return { x } end) end, function ()
      unchanged()
      d.b = value
    end)
  end)

  it("of can_send", function ()
    every(function () assert(conc.can_send(value)) end)
  end)

  helper.each_kind(function (start)
    it("of starting one, and of its result", function ()
      every(function () return start(back, value):result(soon) end)
    end)
    it("of its error", function ()
      local t = start(function () error(graph.make(1, 20, true)) end)
      t:join(soon)
      every(function () t:error() end)
    end)
  end)

  it("of what is generated", function ()
    every(function ()
      local first
      for x in conc.generate(function () coroutine.yield({ "first" }) end) do first = x end
      assert(first[1] == "first")
    end)
  end)

  helper.each_pool(function (open)
    it("of a task and its result", function ()
      local pool <close> = open(1)
      pool:submit(back, 1):result(soon)
      every(function () same((pool:submit(back, value):result(soon))) end)
    end)
    it("of a map", function ()
      local pool <close> = open(1)
      local list = { 1, value, "three", n = 3 }
      every(function ()
        local r = pool:map(back, list, { chunk = 3 })
        assert(r[1] == 1 and r[3] == "three")
      end)
      every(function () pool:starmap(back, { { 1, 2 }, { value } }, { chunk = 2 }) end)
    end)
  end)
end)

describe("shared memory that is full at any point", function ()
  local big = { ("x"):rep(300000), value, ("y"):rep(300000) }

  -- The n-th allocation in the arena from now on fails, for every n.
  local function each(f, check)
    local failed = 0
    for n = 1, 1000 do
      settle()
      core._fail(n)
      local ok, message = pcall(f)
      local spared = core._fail(0) > 0
      if not ok then
        failed = failed + 1
        assert.matches("shared memory is full", tostring(message))
      end
      if check then check(ok) end
      if spared then
        assert.is_true(ok)
        return failed
      end
    end
    error("it never had enough")
  end

  it("of a put", function ()
    local q = conc.queue()
    assert.is_true(1 < each(function () q:put(big) end, function (ok)
      assert.are.equal(ok and 1 or 0, #q)
      if ok then assert.is_nil(graph.difference(big, q:get())) end
    end))
  end)
  it("of put_many", function ()
    local q = conc.queue()
    assert.is_true(1 < each(function () q:put_many({ big, 1, { value } }) end, function (ok)
      assert.is_true(#q == 0 or ok)
      while not q:empty() do q:get() end
    end))
  end)
  it("of an entry", function ()
    local d = conc.dict()
    assert.is_true(1 < each(function () d.key = big end, function (ok)
      assert.are.equal(ok and 1 or 0, #d)
      d.key = nil
    end))
  end)
  it("of encoding: it needs none but for bytecode", function ()
    local t = { 1, ("x"):rep(300000) }
    assert.are.equal(0, each(function () return conc.encode(t) end))
    local s
    assert.are.equal(1, each(function () s = conc.encode(function () return 1 end) end))
    assert.are.equal(1, conc.decode(s, { trusted = true })())
  end)
end)
