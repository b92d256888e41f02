-- Everything that allocates, for spec/fail_spec.lua: {name, function} of each. A
-- function does it all from the start, checks what comes of it, and keeps
-- nothing: it can be run again and again, with something failing in it.
--
-- Errors that were carried here from a thread, process or task are raised here.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon
local big = ("b"):rep(200000)

local function same(expected, got)
  if expected ~= got then
    error(("expected %s, got %s"):format(tostring(expected), tostring(got)), 2)
  end
end

local list = {}
local function op(name, f) list[#list + 1] = { name = name, run = f } end

-- ---- objects -----------------------------------------------------------------

for name, args in pairs {
  lock = {}, rlock = {}, rwlock = {}, semaphore = { 2 }, condition = {}, event = {},
  barrier = { 2 }, value = { 7 }, array = { "f64", 100 }, list = { { 1, "two", { 3 } } },
  dict = { { a = 1, b = "two", c = { 3 } } }, queue = { 5 }, lifo_queue = {}, priority_queue = {},
} do
  op("conc." .. name, function ()
    same("conc." .. name, tostring(conc[name](table.unpack(args))):match("^conc%.[%w_]+"))
  end)
end

op("conc.pipe", function ()
  local a, b = conc.pipe()
  a:send(big)
  same(big, b:recv(soon))
end)

op("many handles", function ()
  local held = {}
  for i = 1, 300 do held[i] = conc.event() end
  same(300, #held)
end)

op("a barrier with an action", function ()
  local b = conc.barrier(1, function () return big end)
  b:wait(soon)
end)

op("a condition and its lock", function ()
  local lock = conc.lock()
  local c = conc.condition(lock)
  c:with(function () c:notify_all() end)
end)

for _, name in ipairs { "queue", "lifo_queue" } do
  op(name .. " of all sizes", function ()
    local q = conc[name]()
    q:put(1) q:put("text") q:put(big) q:put { big } q:put { q = conc.lock() }
    same(5, #q)
    for _ = 1, 5 do assert(q:get(0) ~= nil) end
    local many = {}
    for i = 1, 300 do many[i] = i % 7 == 0 and big:sub(1, 3000) or i end
    q:put_many(many)
    same(300, #q:get_many(300, soon))
  end)
end

op("priority_queue of all sizes", function ()
  local q = conc.priority_queue()
  q:put(1, 3) q:put(big, 2) q:put({ big }, 1)
  same(big, q:get(0)[1])
  same(big, (q:get(0)))
  local many = {}
  for i = 1, 200 do many[i] = { i, 200 - i } end
  q:put_many(many)
  same(200, q:get(0))
end)

op("list", function ()
  local l = conc.list()
  for i = 1, 100 do l:append(i) end
  l:append(big) l:insert(1, { big }) l:insert(50, conc.lock())
  l[2] = big
  same(big, l[1][1])
  same(103, #l:totable())
  same(big, l:pop())
  same("conc.lock", "conc." .. conc.type(l:pop(50)))
end)

op("dict", function ()
  local d = conc.dict()
  for i = 1, 100 do d["key" .. i] = i end
  d[big] = big
  d.lock = conc.lock()
  d.another = 2.5
  same(big, d:update("more", function () return { big } end)[1])
  same(3, d:incr("key2"))
  same(big, d[big])
  same(big, d.more[1])
  same(104, #d)
  same(2.5, d:totable().another)
end)

op("array", function ()
  local a = conc.array("f64", 1000)
  a:fill(2)
  same(2.0, a[1000])
  local b = conc.array("f64", 1000)
  b:copy(a)
  same(2.0, b[1])
end)

-- ---- running -----------------------------------------------------------------

for _, kind in ipairs(helper.kinds) do
  local start, open = conc[kind], conc[kind .. "_pool"]

  op("conc." .. kind, function ()
    local q = conc.queue()
    local t = start({ name = "failing" }, function (x, out) out:put(x) return x, { x } end, big, q)
    local x, y = t:result(soon)
    same(big, x)
    same(big, y[1])
    same(big, (q:get(soon)))
  end)

  op(kind .. " that fails", function ()
    local t = start(function (x) error({ x }) end, big)
    local e = t:error()
    if type(e) ~= "table" then error(e, 0) end
    same(big, e[1])
  end)

  op(kind .. " that makes objects", function ()
    local t = start(function ()
      local d = conc.dict { a = 1 }
      return d, conc.lock()
    end)
    same(1, (t:result(soon)).a)
  end)

  op(kind .. " that starts others", function ()
    local t = start(function (x)
      local inner = require "conc".thread(function (y) return y end, x)
      return (inner:result(20))
    end, big)
    same(big, (t:result(soon)))
  end)

  op(kind .. " pool: submit", function ()
    local pool <close> = open { workers = 1, initializer = function () ready = 7 end }
    local f = pool:submit(function (x) return x, ready end, big)
    local x, seven = f:result(soon)
    same(big, x)
    same(7, seven)
    pool:shutdown()
  end)

  op(kind .. " pool: map", function ()
    local pool <close> = open(1)
    local numbers, words = {}, {}
    for i = 1, 40 do
      numbers[i] = i
      words[i] = ("w"):rep(i * 100)
    end
    same(80, pool:map(function (x) return x * 2 end, numbers)[40])
    same(0.5, pool:map(function (x) return x / 2 end, numbers)[1])
    same(words[40] .. "!", pool:map(function (x) return x .. "!" end, words)[40])
    local mixed = pool:map(function (x) return x % 2 == 0 and x or big:sub(1, x) end, numbers)
    same("b", mixed[1])
    same(40, mixed[40])
    pool:shutdown()
  end)

  op(kind .. " pool: imap, starmap", function ()
    local pool <close> = open(1)
    local n = 0
    for i, x in pool:imap(function (x) return x .. "" end, { "a", "b", big }) do
      n = n + i + #x
    end
    same(6 + 2 + #big, n)
    same(3, pool:starmap(function (a, b) return a + b end, { { 1, 2 } })[1])
    pool:shutdown()
  end)
end

op("many threads at once", function ()
  local go, all = conc.event(), {}
  local ok, e = pcall(function ()
    for i = 1, 20 do all[i] = conc.thread(function () go:wait() return i end) end
  end)
  go:set()
  for i, t in ipairs(all) do same(i, (t:result(soon))) end
  assert(ok, e)
end)

op("conc.timer", function ()
  local t = conc.timer(0, function (x) return x end, big)
  same(big, t:result(soon))
end)

op("conc.generate", function ()
  local n = 0
  for x in conc.generate(function () for _ = 1, 3 do coroutine.yield(big) end end) do
    n = n + #x
  end
  same(3 * #big, n)
end)

-- ---- waiting -----------------------------------------------------------------

op("conc.wait, conc.select", function ()
  local all, events = {}, {}
  for i = 1, 3 do all[i] = conc.thread(function () return i end) end
  for i = 1, 20 do events[i] = conc.event() end
  local ended = conc.wait(all, { timeout = soon })
  same(3, #ended)
  for i = 1, 3 do same(i, (all[i]:result(soon))) end
  events[20]:set()
  same(events[20], (conc.select(events, soon)))
end)

op("pollfd", function ()
  local q, e = conc.queue(), conc.event()
  local a, b = conc.pipe()
  for _, x in ipairs { q, e, a, b } do same("number", type(x:pollfd())) end
  q:put(1)
  same(1, (q:get(soon)))
end)

op("conc.dump", function ()
  local file <close> = assert(io.tmpfile())
  local lock = conc.lock()
  lock:with(function () conc.dump(file) end)
  file:seek("set")
  assert(file:read("a"):find("running", 1, true))
end)

return list
