-- Random graphs on every road that a value can take. What graph it is follows from a seed,
-- so the far side makes its own and compares: arguments are told apart from results.
-- CONC_SEED=n runs them again with the seed that a failure names.
-- timeout: 600
local conc = require "conc"
local helper = require "spec.helper"
local graph = require "spec.graph"

local soon = helper.soon

-- At the far side: is v the graph of this seed? And: that graph.
local function check(v, ...) return graph.check(v, ...) or "equal" end
local function make(...) return graph.make(...) end
local function throw(...) error(graph.make(...), 0) end

-- road(v, seed, size, functions, depth) -> what came out at its end, and what the far
-- side said of what came out there, if it was asked.
local roads, order = {}, {}
local function road(name, f)
  roads[name] = f
  order[#order + 1] = name
end

local function error_of(future)
  local ok, value = pcall(future.result, future, soon)
  assert(not ok, "it should have failed")
  return value
end

-- ---- threads, processes, pools -----------------------------------------------------

for _, kind in ipairs(helper.kinds) do
  local start = conc[kind]
  road(kind .. ": argument", function (v, ...)
    return nil, (start(check, v, ...):result(soon))
  end)
  road(kind .. ": argument among others", function (v, ...)
    local same, said = start(function (a, ...)
      local b, c = select(2, ...)
      return rawequal(a, b) and rawequal(a, c), check(a, select(4, ...))
    end, v, 1, v, v, ...):result(soon)
    return nil, same and said or said .. ", but not one"
  end)
  road(kind .. ": upvalue", function (v, ...)
    return nil, (start(function (...) return check(v, ...) end, ...):result(soon))
  end)
  road(kind .. ": result", function (_, ...)
    return (start(make, ...):result(soon))
  end)
  road(kind .. ": error", function (_, ...)
    return error_of(start(throw, ...))
  end)
  road(kind .. ": generated", function (_, ...)
    local got
    for v in conc.generate({ process = kind == "process" }, function (...)
      coroutine.yield(make(...))
    end, ...) do got = v end
    return got
  end)
  road(kind .. ": supervised", function (v, ...)
    return nil, (conc.supervise({ process = kind == "process" }, check, v, ...):result(soon))
  end)
end

road("thread: global", function (v, ...)
  codec_graph = v
  local said = conc.thread(function (...) return check(codec_graph, ...) end, ...):result(soon)
  codec_graph = nil
  return nil, said
end)
road("timer: argument", function (v, ...)
  return nil, (conc.timer(0, check, v, ...):result(soon))
end)

local pools = {}              -- open while the tests run

for _, kind in ipairs(helper.kinds) do
  road(kind .. " pool: argument", function (v, ...)
    return nil, (pools[kind]:submit(check, v, ...):result(soon))
  end)
  road(kind .. " pool: upvalue", function (v, ...)
    return nil, (pools[kind]:submit(function (...) return check(v, ...) end, ...):result(soon))
  end)
  road(kind .. " pool: result", function (_, ...)
    return (pools[kind]:submit(make, ...):result(soon))
  end)
  road(kind .. " pool: error", function (_, ...)
    return error_of(pools[kind]:submit(throw, ...))
  end)
  road(kind .. " pool: item", function (v, ...)
    return nil, pools[kind]:starmap(check, { { v, ... } })[1]
  end)
  road(kind .. " pool: items and results", function (v)
    local list = pools[kind]:map(function (x) return x end, { 1, v, 2, v }, { chunk = 4 })
    assert(list[1] == 1 and list[3] == 2)
    return list[2], nil, list[4]
  end)
  road(kind .. " pool: error of an item", function (v)
    local _, errors = pools[kind]:map(function (x) error(x, 0) end, { v }, { errors = "collect" })
    return errors[1]
  end)
  road(kind .. " pool: imap", function (v)
    local got
    for _, x in pools[kind]:imap(function (x) return x end, { v }) do got = x end
    return got
  end)
end

-- ---- queues and containers ---------------------------------------------------------

road("bytes", function (v)
  return (conc.decode(conc.encode(v), { trusted = true }))
end)
road("bytes: among others", function (v)
  local _, a, b = conc.decode(conc.encode(1, v, v), { trusted = true })
  assert(rawequal(a, b))
  return a
end)
for _, kind in ipairs { "queue", "lifo_queue", "priority_queue" } do
  local priority = kind == "priority_queue" and 1 or nil
  road(kind .. ": item", function (v)
    local q = conc[kind]()
    q:put(v, priority)
    local peeked = q:peek()
    return q:get(soon), nil, peeked
  end)
  road(kind .. ": many", function (v)
    local q = conc[kind]()
    q:put_many(priority and { { v, 1 }, { v, 2 } } or { v, v })
    local list = q:get_many(5)
    return list[1], nil, list[2]
  end)
  road(kind .. ": to a process", function (v, ...)
    local q = conc[kind]()
    local p = conc.process(function (...) return check(q:get(soon), ...) end, ...)
    q:put(v, priority)
    return nil, (p:result(soon))
  end)
end
road("queue: items", function (v)
  local q = conc.queue()
  q:put(v)
  q:close()
  local got
  for x in q:items() do got = x end
  return got
end)
road("queue: selected", function (v)
  local q = conc.queue()
  q:put(v)
  return (select(2, conc.select({ q }, soon)))
end)
road("pipe", function (v)
  local a, b = conc.pipe()
  a:send(v, soon)
  return (b:recv(soon))
end)
road("list", function (v)
  local l = conc.list({ v })
  l:append(v)
  l[3] = v
  l:insert(1, v)
  for _, x in ipairs(l) do assert(graph.difference(v, x) == nil) end
  assert(graph.difference(v, l:totable()[4]) == nil)
  return l:pop(), nil, l[1]
end)
road("list: in a process", function (v, ...)
  local l = conc.list({ v })
  return nil, (conc.process(function (...) return check(l[1], ...) end, ...):result(soon))
end)
road("dict", function (v)
  local d = conc.dict({ first = v })
  d.second = v
  d:update("third", function () return v end)
  for _, x in pairs(d) do assert(graph.difference(v, x) == nil) end
  local updated
  d:update("first", function (x) updated = x return 1 end)
  return updated, nil, d:totable().third
end)
road("dict: in a process", function (v, ...)
  local d = conc.dict({ v })
  return nil, (conc.process(function (...) return check(d[1], ...) end, ...):result(soon))
end)

-- ---- what is sent ------------------------------------------------------------------

describe("random graphs arrive equal, identity included:", function ()
  local nth = 0
  setup(function ()
    for _, kind in ipairs(helper.kinds) do
      pools[kind] = conc[kind .. "_pool"](1)
      pools[kind]:submit(function () end):result(soon)   -- so that its worker runs
    end
  end)
  teardown(function ()
    for _, kind in ipairs(helper.kinds) do pools[kind]:shutdown() end
    pools = {}
  end)
  local function try(send, ...)
    nth = nth + 1
    local seed = helper.seed + nth
    local v = graph.make(seed, ...)
    local there, said, again = send(v, seed, ...)
    local why = said and said ~= "equal" and "the far side says: " .. tostring(said)
      or not said and graph.difference(v, there)
      or again ~= nil and graph.difference(v, again)
    if why then error(("seed %d: %s"):format(helper.seed, why), 0) end
  end
  for _, name in ipairs(order) do
    it(name, function ()
      for _ = 1, 6 do try(roads[name], math.random(12), true) end
      for _ = 1, 4 do try(roads[name], math.random(12), false) end
      try(roads[name], 300, true)
      try(roads[name], 300, false)
      try(roads[name], 5, true, 10000)
      try(roads[name], 5, false, 10000)
    end)
  end
end)

describe("numbers keep every bit", function ()
  local function bits(x)
    return math.type(x) .. string.pack(math.type(x) == "float" and "n" or "j", x)
  end
  local numbers = { 0, -1, math.maxinteger, math.mininteger, 0.0, -0.0, 5e-324, 1 / 0, -1 / 0 }
  for i = 0, 63 do
    numbers[#numbers + 1] = 1 << i
    numbers[#numbers + 1] = -(1 << i)
    numbers[#numbers + 1] = (1 << i) - 1
  end
  for _, payload in ipairs { 0x7ff8000000000000, 0x7ff8000000001234, 0x7fffffffffffffff,
    0xfff8000000000000, 0xfff800000000beef, 0x7ff0000000000001 } do
    numbers[#numbers + 1] = (string.unpack("n", string.pack("j", payload)))
  end
  for _ = 1, 300 do
    numbers[#numbers + 1] = (string.unpack("n", string.pack("j", math.random(0))))
  end
  for _, name in ipairs { "bytes", "queue: item", "pipe", "list", "dict" } do
    it(name, function ()
      local list = roads[name](numbers)
      assert.are.equal(#numbers, #list)
      for i, x in ipairs(numbers) do
        if bits(x) ~= bits(list[i]) then
          error(("seed %d: number %d, %s, became %s"):format(helper.seed, i, x, list[i]), 0)
        end
      end
    end)
  end
  it("one by one: queue, value, array, dict", function ()
    local q, d = conc.queue(), conc.dict()
    local floats, integers = conc.array("f64", 1), conc.array("i64", 1)
    for i, x in ipairs(numbers) do
      q:put(x)
      d[i] = x
      local v, a = conc.value(x), math.type(x) == "float" and floats or integers
      a[1] = x
      assert.are.equal(bits(x), bits(q:get()))
      assert.are.equal(bits(x), bits(d[i]))
      assert.are.equal(bits(x), bits(v:get()))
      assert.are.equal(bits(x), bits(a[1]))
    end
  end)
end)
