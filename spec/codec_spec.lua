local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local graph = require "spec.graph"

local soon = helper.soon

local function trusted(...) return conc.decode(conc.encode(...), { trusted = true }) end

-- Each way that a value can take; each gives back what came out at the far end.
local roads = {}
function roads.bytes(v) return trusted(v) end
function roads.queue(v)
  local q = conc.queue()
  q:put(v)
  return (q:get(soon))
end
function roads.thread(v)
  return (conc.thread(function (...) return ... end, v):result(soon))
end
function roads.process(v)
  return (conc.process(function () return v end):result(soon))
end

function roads.pipe(v)
  local a, b = conc.pipe()
  assert.is_true(a:send(v, soon))
  return (b:recv(soon))
end
function roads.dict(v)
  local d = conc.dict()
  d:set("entry", v)
  return d:get("entry")
end
function roads.error(v)
  local t = conc.thread(function (e) error(e, 0) end, v)
  local _, e = pcall(t.result, t, soon)
  return e
end
function roads.thread_pool(v)
  local pool <close> = conc.thread_pool(1)
  return (pool:submit(function (...) return ... end, v):result(soon))
end
function roads.process_pool(v)
  local pool <close> = conc.process_pool(1)
  return (pool:submit(function (...) return ... end, v):result(soon))
end

local function each_road(block)
  for _, name in ipairs { "bytes", "queue", "thread", "process", "pipe", "dict", "error",
    "thread_pool", "process_pool" } do
    describe("(" .. name .. ")", function () block(roads[name], name) end)
  end
end

local function refusal(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("what travels", function ()
  each_road(function (send, name)
    it("scalars, bit for bit", function ()
      local list = { true, false, 0, -1, 127, 128, -129, 40000, -40000, 1 << 31, 1 << 40,
        math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, 0.1, 1 / 0, -1 / 0, 0 / 0, 5e-324,
        string.unpack("n", string.pack("j", 0x7ff8000000001234)),
        "", "\0", "a\0b", ("x"):rep(31), ("x"):rep(32), ("x"):rep(40), ("x"):rep(41),
        ("x"):rep(255), ("x"):rep(256), ("x"):rep(100000) }
      assert.is_nil(graph.difference(list, send(list)))
      if name == "bytes" or name == "queue" then
        for _, v in ipairs(list) do assert.is_nil(graph.difference(v, send(v))) end
      end
    end)

    it("tables of every shape", function ()
      local holes = { 1, nil, 3, nil, 5 }
      local reversed, wide = {}, {}
      for i = 300, 1, -1 do reversed[i] = i end
      for i = 1, 300 do wide["k" .. i] = i end
      local grown = {}
      for i = 1, 21 do grown[#grown + 1] = i end
      grown[20] = nil
      grown[30] = 30
      local t = { {}, { 1, 2, 3 }, { a = 1, [2] = 2, [1.5] = 3, [true] = 4 }, holes, reversed, wide,
        grown, { [{}] = "key" }, { { { {} } } }, { [0] = 0, [-1] = 1, [math.mininteger] = 2 } }
      t[8] = { [{ key = 1 }] = "key" }
      assert.is_nil(graph.difference(t, send(t)))
    end)

    it("sharing and cycles", function ()
      local shared, long = { "shared" }, ("long"):rep(20)
      local t = { shared, shared, { shared }, long, long }
      t.self, t[6] = t, { t }
      local r = send(t)
      assert.is_nil(graph.difference(t, r))
      assert.are.equal(r, r.self)
      assert.are.equal(r[1], r[3][1])
    end)

    it("metatables, cycles through them included", function ()
      local Class = {}
      Class.__index = Class
      function Class.name() return "class" end
      Class.prototype = setmetatable({ x = 1 }, Class)
      local r = send({ setmetatable({ x = 2 }, Class), setmetatable({ x = 3 }, Class), Class })
      assert.are.equal("class", r[1]:name())
      assert.are.equal(getmetatable(r[1]), getmetatable(r[2]))
      assert.are.equal(r[3], getmetatable(r[1]))
      assert.are.equal(r[3], getmetatable(r[3].prototype))
    end)

    it("functions with their upvalues", function ()
      local count = 5
      local function up() count = count + 1 return count end
      local function get() return count end
      local function fact(n) if n == 0 then return 1 end return n * fact(n - 1) end
      local even, odd
      function even(n) if n == 0 then return true end return odd(n - 1) end
      function odd(n) if n == 0 then return false end return even(n - 1) end
      local own = {}
      function own.f() return own end
      local r = send({ up = up, get = get, fact = fact, even = even, own = own })
      assert.are.equal(6, r.up())
      assert.are.equal(6, r.get())
      assert.are.equal(3628800, r.fact(10))
      assert.is_true(r.even(100))
      assert.are.equal(r.own, r.own.f())
      if name ~= "process" then assert.are.equal(5, count) end
    end)

    it("lines of functions", function ()
      local r = send(function () error "here" end)
      local _, message = pcall(r)
      assert.matches("codec_spec.lua:%d+: here", message)
    end)

    it("parts of the standard library as the receiver's own", function ()
      local list = { print, string, string.format, math.random, io.stdout, io.stdin, io.stderr,
        os.time, package, package.loaded, _G, getmetatable(""), coroutine.wrap, require,
        io.stdout.write }
      assert.is_nil(graph.difference(list, send(list)))
      for i, v in ipairs(send(list)) do assert.are.equal(list[i], v) end
    end)

    it("light userdata, as the same pointer", function ()
      local function f() return name end
      local pointer = debug.upvalueid(f, 1)
      assert.are.equal("userdata", type(pointer))
      if name ~= "bytes" then
        assert.are.equal(pointer, send(pointer))
        assert.are.equal(pointer, send({ { pointer } })[1][1])
      end
      assert.matches("light userdata cannot leave", refusal(conc.encode, { pointer }))
    end)

    it("nests 10,000 deep and more", function ()
      for _, depth in ipairs { 10000, 250000 } do
        local t = {}
        local at = t
        for i = 1, depth do
          local below = {}
          if i % 3 == 0 then at[1] = below
          elseif i % 3 == 1 then at.x = below
          else at.x, at[1] = below, "beside" end
          at = below
        end
        at.x = "bottom"
        local r, n = send(t), 0
        while type(r) == "table" do
          r = r[1] ~= nil and r[1] ~= "beside" and r[1] or r.x
          n = n + 1
        end
        assert.are.equal("bottom", r)
        assert.are.equal(depth + 1, n)
      end
    end)

    it("a deep graph of functions and metatables", function ()
      local f = function () return "bottom" end
      for i = 1, 30000 do
        local g = f
        if i % 2 == 0 then f = function () return g end
        else f = setmetatable({ f = g }, { __index = { mine = g } }) end
      end
      local r = send(f)
      for _ = 1, 30000 do
        if type(r) == "table" then
          assert.are.equal(r.f, getmetatable(r).__index.mine)
          r = r.f
        else
          r = r()
        end
      end
      assert.are.equal("bottom", r())
    end)

    it("what a module has", function ()
      local m = require "spec.modules.travelled"
      local r = send({ m, m.limits, m.count, m.point(4), m.Point })
      assert.are.equal(m, r[1])
      assert.are.equal(m.limits, r[2])
      assert.are.equal(m.count, r[3])
      assert.are.equal(8, r[4]:double())
      assert.are.equal(m.Point, getmetatable(r[4]))
    end)
  end)

  -- Tables made room on the Lua stack, functions did not: what could be sent could not
  -- be received.
  it("functions in tables in functions, deeper than the Lua stack", function ()
    local depth = helper.sanitizer and 1000 or 340000
    local v = "bottom"
    for _ = 1, depth do
      local below = v
      v = { x = function () return below end }
    end
    local r = roads.queue(v)
    for _ = 1, depth do r = r.x() end
    assert.are.equal("bottom", r)
  end)

  it("keeps functions apart that are not the same", function ()
    local function make() return function () return 1 end end
    local a, b = make(), make()
    local r = roads.queue({ a, b, a })
    assert.are_not.equal(r[1], r[2])
    assert.are.equal(r[1], r[3])
  end)

  it("conc objects, by reference", function ()
    local q, v = conc.queue(), conc.value(1)
    local r = roads.queue({ q, v, q, { [q] = v } })
    assert.are.equal(q, r[1])
    assert.are.equal(r[2], v)
    assert.are.equal(v, r[4][q])
    local f = roads.thread(function () q:put("in " .. v:add(1)) end)
    f()
    assert.are.equal("in 2", q:get(soon))
  end)

  it("conc.cancelled", function ()
    for _, send in pairs(roads) do
      if send ~= roads.process then assert.are.equal(conc.cancelled, send(conc.cancelled)) end
    end
  end)

  it("print, as the receiver's own", function ()
    local p = print
    local same, back = conc.thread(function () return p == print, print end):result(soon)
    assert.is_true(same)
    assert.are.equal(print, back)
  end)

  it("many values, none, and nils", function ()
    assert.are.equal(0, select("#", conc.decode(conc.encode())))
    local r = table.pack(conc.decode(conc.encode(nil, 1, nil, nil)))
    assert.are.equal(4, r.n)
    local list = {}
    for i = 1, 300 do list[i] = i end
    assert.are.same(list, { conc.decode(conc.encode(table.unpack(list))) })
  end)

  it("an upvalue that is the table of globals, and _ENV of its own", function ()
    local env = { y = 5 }
    local f = load("return function () y = y + 1 return y end", "=own", "t", env)()
    assert.are.equal(6, roads.thread(f)())
    assert.are.equal(5, env.y)
    local g = _G
    assert.is_true(conc.thread(function () return g == _G end):result(soon))
  end)

  it("a metatable with __gc that is complete only later", function ()
    local q = conc.queue()
    conc.thread(function (out)
      local M = {}
      M.first = setmetatable({}, M)
      M.__gc = function () end
      out:put(M)
    end, q):join(soon)
    local M = q:get(soon)
    local ran = 0
    M.__gc = function () ran = ran + 1 end
    M.first = nil
    collectgarbage()
    collectgarbage()
    assert.are.equal(1, ran)
  end)
end)

describe("globals that a function mentions", function ()
  local names = { "codec_helper", "codec_value", "codec_say", "codec_module", "codec_deep" }
  after_each(function () for _, n in ipairs(names) do _G[n] = nil end end)

  it("travel, through nested functions and functions so reached", function ()
    codec_value = 10
    function codec_helper(x) return (function () return x + codec_value end)() end
    local t = { run = function (x) return codec_helper(x) end }
    local function f(x) return t.run(x) end
    assert.are.equal(15, conc.thread(f, 5):result(soon))
    local s = conc.encode(f)
    codec_value, codec_helper = nil, nil
    assert.are.equal(17, conc.decode(s, { trusted = true })(7))
    assert.are.equal(10, codec_value)
  end)

  it("are assigned only where there is none, unless the function is about to run", function ()
    codec_value = "sender's"
    local s = conc.encode(function () return codec_value end)
    codec_value = "receiver's"
    assert.are.equal("receiver's", conc.decode(s, { trusted = true })())
    local pool <close> = conc.thread_pool(1)
    local function f() return codec_value end
    assert.are.equal("receiver's", pool:submit(f):result(soon))
    codec_value = "again"
    assert.are.equal("again", pool:submit(f):result(soon))
  end)

  it("are assigned anew once redefined, and left alone where the sender has none", function ()
    local function f() return codec_helper and codec_helper(), codec_value end
    local pool <close> = conc.thread_pool(1)
    pool:submit(function () codec_value = "worker's" end):result(soon)
    for _, kind in ipairs { "first", "second" } do
      codec_helper = load("return '" .. kind .. "'")
      assert.are.same({ kind, "worker's" }, { pool:submit(f):result(soon) })
    end
    codec_helper = nil
    assert.are.same({ "second", "worker's" }, { pool:submit(f):result(soon) })
  end)

  it("are settled by value, not by name", function ()
    codec_say = print
    assert.is_true(conc.thread(function () return codec_say == print end):result(soon))
    local own = tostring
    local pool <close> = conc.thread_pool(1)
    local function f() return tostring(1) end
    function tostring() return "mine" end -- luacheck: ignore
    local mine = pool:submit(f):result(soon)
    tostring = own -- luacheck: ignore
    assert.are.equal("mine", mine)
    assert.are.equal("1", pool:submit(f):result(soon))
  end)

  it("may be modules", function ()
    codec_module = require "spec.modules.travelled"
    assert.are.equal(6, conc.thread(function () return codec_module.point(3):double() end)
      :result(soon))
  end)

  it("are found in functions of more than 255 constants", function ()
    local text = { "local t = {" }
    for i = 1, 300 do text[#text + 1] = ("%d.5, 'c%d',"):format(i, i) end
    text[#text + 1] = "} codec_deep = codec_value + #t return codec_deep"
    codec_value = 1
    local f = load(table.concat(text))
    assert.are.equal(601, conc.thread(f):result(soon))
  end)

  it("are found behind many upvalues", function ()
    local text = {}
    for i = 1, 100 do text[i] = ("local u%d = %d"):format(i, i) end
    text[#text + 1] = "return function () return u1"
    for i = 2, 100 do text[#text + 1] = "+ u" .. i end
    text[#text + 1] = "+ codec_value end"
    codec_value = 1
    assert.are.equal(5051, conc.thread(load(table.concat(text, "\n"))()):result(soon))
  end)

  it("with names too long for an instruction", function ()
    local long = ("long_name_"):rep(6)
    _G[long] = 3
    local f = load("return " .. long .. " + 1")
    local r = conc.thread(f):result(soon)
    _G[long] = nil
    assert.are.equal(4, r)
  end)
end)

describe("userdata with __conc", function ()
  local class = debug.getmetatable(io.tmpfile())   -- any full userdata will do
  it("is rebuilt by what it gives", function ()
    local file = io.tmpfile()
    file:write("content")
    class.__conc = function (f)
      f:seek("set")
      return function (text, extra)
        local copy = io.tmpfile()
        copy:write(text)
        return copy, extra
      end, f:read("a"), { "extra" }
    end
    local r = roads.queue({ file, file, { file } })
    local function reads(f) f:seek("set") return f:read("a") end
    for _, road in ipairs { "bytes", "pipe", "dict" } do
      local there = roads[road]({ file, file })
      assert.are.equal("content", reads(there[1]))
      assert.are.equal(there[1], there[2])
    end
    local pool <close> = conc.process_pool(1)
    assert.are.equal("content", pool:submit(reads, file):result(soon))
    assert.are.equal("content", (conc.thread(reads, file):result(soon)))
    assert.are.equal("content", reads(r[1]))
    assert.are.equal(r[1], r[2])
    assert.are.equal(r[1], r[3][1])
    assert.are_not.equal(file, r[1])
    class.__conc = function () return 42 end
    assert.matches("__conc gave number where a function was expected",
      refusal(conc.encode, { file }))
    class.__conc = function (f) return print, f end
    assert.matches("refers to itself", refusal(conc.encode, { file }))
    class.__conc = function () error "no way" end
    assert.matches("no way", refusal(conc.encode, { file }))
    class.__conc = function (f)   -- encodes while it is being encoded
      return load, conc.encode({ f:seek("cur"), "nested" })
    end
    assert.are.same("table", type(trusted({ 1, { 2 } })))
    assert.is_string(conc.encode({ file, ("x"):rep(1000) }))
    class.__conc = nil
  end)

  -- What __conc gave was collected while the rest was encoded: the next one's got the
  -- same addresses and were taken for it, and a queue was sent that was gone.
  local function open_files(n)
    local list = {}
    for i = 1, n do
      list[i] = assert(io.open("/dev/null"))
      list[list[i]] = i
    end
    return list
  end
  local function collected(t)
    for i = 1, 20 do t[i + 1] = { i } end
    collectgarbage()
    return t[1]
  end

  it("keeps apart what each gave", function ()
    local files = open_files(100)
    class.__conc = function (f)
      local i = collected { files[f] }
      return function (t, s) return { t[1], s, t } end, { i }, ("x"):rep(50) .. i
    end
    local list = table.move(files, 1, 100, 1, {})
    for _, road in ipairs { "bytes", "queue" } do
      local there = roads[road](list)
      for i = 1, 100 do
        assert.are.equal(i, there[i][1])
        assert.are.equal(("x"):rep(50) .. i, there[i][2])
      end
      assert.are_not.equal(there[1][3], there[2][3])
    end
    class.__conc = nil
  end)

  it("may give conc objects that nobody else has", function ()
    local files = open_files(5)
    local function as_is(q) return q end
    class.__conc = function (f)
      local q = conc.queue()
      q:put(collected { files[f] })
      return as_is, q
    end
    local there = roads.queue(table.move(files, 1, 5, 1, {}))
    for i = 1, 5 do assert.are.equal(i, there[i]:get(0)) end
    class.__conc = nil
    core._forget()
  end)

  -- Each message is in hand while what it has is made; a hand that was full ended the
  -- process.
  it("may receive more while it is rebuilt, up to a depth", function ()
    local file = open_files(1)[1]
    local function receive(q) return q == nil and "the end" or q:get(0) end
    local function chain(n)
      local q
      for _ = 1, n do
        local after = q
        class.__conc = function () return receive, after end
        q = conc.queue()
        q:put({ file, ("x"):rep(1000) })
      end
      class.__conc = nil
      return q
    end
    local v, depth = chain(10):get(0), 0
    while type(v) == "table" do v, depth = v[1], depth + 1 end
    assert.are.same({ "the end", 10 }, { v, depth })
    local deep = chain(100)
    assert.matches("nested too deeply", refusal(deep.get, deep, 0))
    deep = chain(100)
    assert.matches("nested too deeply", refusal(deep.get_many, deep, 5, 0))
    core._forget()
  end)

  it("does not lose what a weak table alone had", function ()
    local files = open_files(2)
    local function as_is(...) return ... end
    class.__conc = function () return as_is, { collected { "fresh" } } end
    for _ = 1, 20 do
      local weak, also = setmetatable({}, { __mode = "v" }), setmetatable({}, { __mode = "v" })
      for i = 1, 10 do weak["k" .. i], also[i] = { i }, conc.queue() end
      local there = roads.queue({ weak, also, files[1], weak, files[2] })
      for i = 1, 10 do
        assert.is_true(there[1]["k" .. i] == nil or there[1]["k" .. i][1] == i)
        assert.is_true(there[2][i] == nil or conc.type(there[2][i]) == "queue")
      end
      assert.are.same({ "fresh" }, there[3])
      assert.are.same({ "fresh" }, there[5])
    end
    class.__conc = nil
    core._forget()
  end)
end)

describe("what does not travel", function ()
  local co = coroutine.create(function () end)

  it("is refused with the path", function ()
    local log = io.tmpfile()
    local function f() return log end
    local line = debug.getinfo(f, "S").linedefined
    local where = "codec_spec.lua:" .. line
    local cases = {
      ["cannot send value: a coroutine does not travel"] = co,
      ["cannot send field 'client' of value: a coroutine does not travel"] = { client = co },
      ["cannot send field 'x' of element 2 of value: a coroutine"] = { 1, { x = co } },
      ["cannot send a key of value: a coroutine"] = { [co] = 1 },
      ["cannot send metatable of field 'm' of value"] = { m = setmetatable({}, { __index = co }) },
      ["cannot send value: a FILE* does not travel"] = log,
      ["cannot send upvalue 'log' of function at .-" .. where .. " %(FILE%*%)$"] = f,
      ["cannot send upvalue 'log' of function at .-" .. where
        .. " %(FILE%*%), field 'cb' of value"] = { cb = f },
    }
    cases["cannot send metatable of field 'm' of value"] = nil
    cases["cannot send field '__index' of metatable of field 'm' of value: a coroutine"] =
      { m = setmetatable({}, { __index = co }) }
    for expected, value in pairs(cases) do
      local ok, reason = conc.can_send(value)
      assert.is_nil(ok)
      expected = expected:find("%%") and expected or expected:gsub("%p", "%%%0")
      assert.matches(expected, reason)
      assert.matches(expected, refusal(conc.encode, value))
    end
  end)

  it("names the argument and the place", function ()
    local message = refusal(function () conc.encode(1, { client = co }) end)
    assert.matches("^.-codec_spec.lua:%d+: cannot send field 'client' of value 2:", message)
    assert.matches("field 'client' of argument", refusal(conc.thread, print, { client = co }))
  end)

  it("names a global", function ()
    codec_global = { co }
    local message = refusal(conc.encode, function () return codec_global end)
    codec_global = nil
    assert.matches("element 1 of global 'codec_global' of function at .-codec_spec.lua:%d+ %(corou",
      message)
  end)

  it("is refused before anything is sent", function ()
    local q = conc.queue(2)
    q:put(1)
    assert.has_error(function () q:put({ co }) end)
    assert.has_error(function () q:put_many({ 2, 3, co }) end)
    assert.are.equal(1, #q)
    assert.is_true(conc.can_send({ 1, { 2 } }))
  end)

  it("includes C functions that no module has", function ()
    local f = io.lines("/dev/null")
    assert.matches("C function", refusal(conc.encode, f))
  end)

  it("leaves nothing behind, however large it was", function ()
    local before = core._arena().live
    local t = { ("x"):rep(200000), {}, co }
    for _ = 1, 10 do
      assert.is_false(pcall(function () conc.queue():put(t) end))
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal(before, core._arena().live)
  end)

  it("includes objects and pointers in bytes", function ()
    assert.matches("conc object", refusal(conc.encode, { q = conc.queue() }))
  end)
end)

describe("what cannot be sent is refused with the path by", function ()
  local co = coroutine.create(print)
  local function back(...) return ... end

  -- What each road says of {client = a coroutine}, the second of what it is given.
  local function says(expected, f, ...)
    local message = tostring(refusal(f, ...))
    if not message:find("cannot send field 'client' of " .. expected, 1, true) then
      error(("expected '... of %s', got: %s"):format(expected, message), 2)
    end
  end

  it("threads, timers, generators, supervisors", function ()
    local bad = { client = co }
    local count = #conc.list_alive()
    says("argument 3: a coroutine does not travel", conc.thread, back, 1, bad)
    says("argument 4: ", conc.thread, { name = "never" }, back, 1, bad)
    says("argument 4: ", conc.timer, 1, back, 1, bad)
    says("argument 4: ", conc.generate, { ahead = 1 }, back, 1, bad)
    says("argument 4: ", conc.supervise, {}, back, 1, bad)
    says("upvalue 'bad' of function at ", conc.thread, function () return bad end)
    says("upvalue 'bad' of function at ", conc.thread,
      { setup = function () return bad end }, back)
    codec_bad = bad
    says("global 'codec_bad' of function at ", conc.thread, function () return codec_bad end)
    codec_bad = nil
    assert.are.equal(count, #conc.list_alive())
  end)

  it("a process takes all that there is; its results are sent", function ()
    local bad = { client = co }
    assert.are.equal("thread", (conc.process(function (_, x)
      return type(x.client)
    end, 1, bad):result(soon)))
  end)

  helper.each_kind(function (start)
    it("results, error values", function ()
      local function bad() return { client = coroutine.create(print) } end
      local t = start(function () return 1, bad() end)
      says("result 2: a coroutine", t.result, t, soon)
      t = start(function () error(bad()) end)
      says("error value: a coroutine", t.result, t, soon)
      says("element 1 of item", function ()
        for _ in conc.generate(function () coroutine.yield(bad()) end) do error "none" end
      end)
    end)
  end)

  helper.each_pool(function (open)
    it("arguments, items, results", function ()
      local pool <close> = open(1)
      local bad = { client = co }
      local function source()
        local n = 0
        return function ()
          n = n + 1
          return n == 14 and bad or n < 20 and n or nil
        end
      end
      says("argument 3: ", pool.submit, pool, back, 1, bad)
      says("upvalue 'bad' of function at ", pool.submit, pool, function () return bad end)
      says("item 2: ", pool.map, pool, back, { 1, bad, 3 })
      says("item 2, argument 3: ", pool.starmap, pool, back, { { 1 }, { 2, 3, bad }, { 4 } })
      says("item 14: ", function () for _ in pool:imap(back, source()) do end end)
      says("item 14: ", function () for _ in pool:imap_unordered(back, source()) do end end)
      local results, errors = pool:map(back, { 1, bad, 3 }, { errors = "collect" })
      assert.are.same({ 1, nil, 3 }, { results[1], results[2], results[3] })
      assert.matches("field 'client' of item 2: ", errors[2])
      local function make() return { client = coroutine.create(print) } end
      says("result 2: ", function () pool:submit(function () return 1, make() end):result(soon) end)
      says("result 1: ", pool.map, pool, function () return make() end, { 1 })
      says("upvalue 'bad' of function at ", conc.thread_pool,
        { workers = 1, initializer = function () return bad end })
    end)
  end)

  it("queues, pipes, lists, dicts, which stay as they were", function ()
    local bad = { client = co }
    local a, b = conc.pipe()
    local l, d, v = conc.list({ 1 }), conc.dict({ x = 1 }), conc.value(1)
    for _, kind in ipairs { "queue", "lifo_queue", "priority_queue" } do
      local q = conc[kind](1)
      local priority = kind == "priority_queue" and 1 or nil
      says("item: ", q.put, q, bad, priority or 0)
      says("item 2: ", q.put_many, q, priority and { { 1, 1 }, { bad, 1 } } or { 1, bad })
      assert.are.equal(0, #q)
      q:put(1, priority)
      says("item: ", q.put, q, bad, priority or 0)       -- it is full
      q:close()
      says("item: ", q.put, q, bad, priority or 0)
      assert.are.equal(1, (q:get()))
    end
    says("item: ", a.send, a, bad)
    assert.is_falsy((b:poll()))
    says("value: ", l.append, l, bad)
    says("value: ", l.insert, l, 1, bad)
    says("value: ", function () l[1] = bad end)
    says("value: ", conc.list, { bad })
    assert.are.same({ 1 }, l:totable())
    says("value: ", function () d.x = bad end)
    says("value: ", d.set, d, "x", bad)
    says("value: ", d.update, d, "x", function () return bad end)
    says("value: ", conc.dict, { x = bad })
    assert.are.same({ x = 1 }, d:totable())
    assert.is_false(pcall(v.set, v, bad))
    assert.are.equal(1, v.value)
    says("value 2: ", conc.encode, 1, bad)
  end)
end)

describe("modules", function ()
  local m = require "spec.modules.travelled"

  it("that were patched are told from their own parts", function ()
    local own = m.count
    m.count = function () return "patched" end
    local r = roads.thread({ m.count, own })
    assert.are.equal("patched", r[1]())
    assert.are.equal(own, r[2])
    m.count = own
  end)

  -- A module in a file of its own, for the time of f(it, package.loaded's name).
  local function with_module(text, f)
    local path, name = package.path, "codec_module_" .. math.random(1 << 30)
    local file = helper.build .. "/" .. name .. ".lua"
    package.path = helper.build .. "/?.lua;" .. path
    helper.write_file(file, text)
    local ok, e = pcall(f, name)
    package.loaded[name], package.path = nil, path
    os.remove(file)
    assert(ok, e)
  end

  it("are the receiver's own as globals, with what they have there", function ()
    with_module("local M = { n = 1 } function M.bump() M.n = M.n + 1 return M.n end return M",
      function (name)
        codec_own = require(name)
        codec_own.bump()
        local function look()
          local mine = require(name)
          return codec_own == mine, codec_own.n, codec_own.bump()
        end
        local same, n, bumped = conc.thread(look):result(soon)
        assert.is_true(same)
        assert.are.equal(1, n)         -- as it was loaded there
        assert.are.equal(2, bumped)
        assert.are.equal(2, codec_own.n)
        codec_own = nil
      end)
  end)

  it("have a function that was sent alone while they were loaded by its name after", function ()
    with_module([[
      local M = {}
      function M.f() return 1 end
      M.early = codec_send(M.f)
      return M
    ]], function (name)
      codec_send = function (f) return roads.queue(f) end
      local loaded = require(name)
      assert.are_not.equal(loaded.f, loaded.early)   -- a copy: there was no module yet
      assert.are.equal(1, loaded.early())
      for _ = 1, 2 do assert.are.equal(loaded.f, codec_send(loaded.f)) end
      codec_send = nil
    end)
  end)

  it("have a function that was sent alone before require by its name after", function ()
    with_module("return { f = codec_given }", function (name)
      codec_given = load("return 5", "@elsewhere.lua")
      local function send(f) return roads.queue(f) end
      assert.are.equal(5, send(codec_given)())
      assert.are.equal(5, send(codec_given)())
      local loaded = require(name)
      -- of another file: the program's own, and copied
      assert.are_not.equal(loaded.f, send(loaded.f))
      assert.are.equal(5, send(loaded.f)())
      codec_given = nil
    end)
    with_module("return { f = function () return 6 end }", function (name)
      local loaded = require(name)
      assert.are.equal(loaded.f, roads.queue(loaded.f))
      package.loaded[name] = nil                      -- no longer a module's
      assert.are_not.equal(loaded.f, roads.queue(loaded.f))
      local again = require(name)
      assert.are.equal(again.f, roads.queue(again.f))
      assert.are_not.equal(loaded.f, roads.queue(loaded.f))
    end)
  end)

  it("that were patched: each function is what it was called as, or a copy", function ()
    with_module([[
      local M = {}
      function M.get() return "own" end
      function M.call() return M.get() end
      return M
    ]], function (name)
      local patched = require(name)
      local own = patched.get
      roads.queue(own)                                -- noted as the module's
      function patched.get() return "patched" end
      local new = patched.get
      local function look(a, b)
        local mine = require(name)
        return a == mine.get, a(), b == mine.get, b(), mine.call()
      end
      assert.are.same({ true, "own", false, "patched", "own" },
        { conc.thread(look, own, new):result(soon) })
      local pool <close> = conc.process_pool(1)
      assert.are.same({ true, "own", false, "patched", "own" },
        { pool:submit(look, own, new):result(soon) })
      -- and what the receiver patches is the receiver's business
      assert.are.equal("own", (conc.thread(function (f)
        require(name).get = print
        return f()
      end, own):result(soon)))
    end)
  end)

  it("of C: found by name whatever was done to the field", function ()
    local upper, format = string.upper, string.format
    string.upper = string.lower                       -- luacheck: ignore
    local a, b, c = conc.thread(function (x, y) return x("a"), y("A"), x end,
      upper, string.upper):result(soon)
    string.upper = upper                              -- luacheck: ignore
    assert.are.same({ "A", "a" }, { a, b })
    assert.are.equal(upper, c)
    string.format = nil                               -- luacheck: ignore
    local r = conc.thread(function (f) return f("%d", 7) end, format):result(soon)
    string.format = format                            -- luacheck: ignore
    assert.are.equal("7", r)
  end)

  it("in whatever order they were loaded, by sender and receiver", function ()
    with_module("return { f = function () return 'a' end }", function (first)
      with_module("return { g = require('" .. first .. "').f, h = function () return 'b' end }",
        function (second)
          local s, f = require(second), require(first)
          local function look(g, h)
            return g == require(first).f, h == require(second).h, g(), h()
          end
          assert.are.same({ true, true, "a", "b" }, { conc.thread(look, s.g, s.h):result(soon) })
          assert.are.equal(f.f, roads.queue(s.g))
          local t = conc.thread({ setup = function () return require(first), require(second) end },
            look, f.f, s.h)
          assert.are.same({ true, true, "a", "b" }, { t:result(soon) })
        end)
    end)
  end)

  it("that cannot be found again travel as tables", function ()
    package.loaded["codec.by.hand"] = { answer = 42 }
    local t = package.loaded["codec.by.hand"]
    local same, answer = conc.thread(function ()
      return t == package.loaded["codec.by.hand"], t.answer
    end):result(soon)
    package.loaded["codec.by.hand"] = nil
    assert.is_false(same)
    assert.are.equal(42, answer)
  end)

  it("come by preload, too", function ()
    package.preload["codec.preloaded"] = function () return { name = "preloaded" } end
    local p = require "codec.preloaded"
    local same = conc.thread(function () return require "codec.preloaded" == p and p.name end)
      :result(soon)
    package.preload["codec.preloaded"], package.loaded["codec.preloaded"] = nil, nil
    assert.are.equal("preloaded", same)
  end)

  it("that the receiver lacks are told with the path", function ()
    local path = package.path
    package.path = helper.build .. "/?.lua;" .. path
    local file = assert(io.open(helper.build .. "/codec_gone.lua", "w"))
    file:write("return { f = function () end }")
    file:close()
    local gone = require "codec_gone"
    local s = conc.encode({ 1, { here = gone } })
    package.loaded.codec_gone = nil
    package.path = path
    os.remove(helper.build .. "/codec_gone.lua")
    local message = refusal(conc.decode, s, { trusted = true })
    assert.matches("cannot receive field 'here' of element 2 of value 1: ", message)
    assert.matches("module 'codec_gone' not found", message)
  end)

  it("are found whatever loads them", function ()
    local before = conc.encode({})     -- what is loaded has been looked at
    assert.is_string(before)
    package.loaded["spec.modules.travelled"] = nil
    local again = require "spec.modules.travelled"
    assert.are_not.equal(m, again)
    assert.are.equal(again, roads.bytes(again))
    assert.are.equal(7, roads.bytes(m).limits.most)
    assert.are_not.equal(m, roads.bytes(m))
    package.loaded["spec.modules.travelled"] = m
  end)
end)

describe("new states", function ()
  it("get path, cpath, preload and what was added to the standard library", function ()
    local path, cpath = package.path, package.cpath
    package.path, package.cpath = path .. ";/codec/?.lua", cpath .. ";/codec/?.so"
    function string.codec_trim(s) return (s:gsub("^%s+", "")) end -- luacheck: ignore
    table.codec_empty = {}
    local r = { conc.thread(function ()
      return package.path, package.cpath, ("  x"):codec_trim(), next(table.codec_empty)
    end):result(soon) }
    package.path, package.cpath = path, cpath
    string.codec_trim, table.codec_empty = nil, nil
    assert.are.same({ path .. ";/codec/?.lua", cpath .. ";/codec/?.so", "x" }, r)
    assert.is_nil(conc.thread(function () return string.codec_trim end):result(soon))
  end)
end)

describe("conc.decode", function ()
  it("takes data only, unless it trusts", function ()
    for _, v in ipairs { print, function () end, string, conc, _G, { io.stdout },
      setmetatable({}, { __index = function () end }) } do
      assert.matches("malformed message at byte %d+: .*only data",
        refusal(conc.decode, conc.encode(v)))
    end
    assert.are.same({ 1, { "x" } }, conc.decode(conc.encode({ 1, { "x" } })))
    assert.are.equal(1, getmetatable(conc.decode(conc.encode(setmetatable({}, { x = 1 })))).x)
  end)

  it("raises at every cut and every flipped byte, or gives a value", function ()
    local t = { 1, 2.5, "text", ("long"):rep(20), { a = { b = {} } }, true, 1 << 40, -5 }
    t.self, t.again = t, t[5]
    setmetatable(t[5], { __name = "meta" })
    local s = conc.encode(t, "second", nil)
    for i = 0, #s - 1 do
      assert.matches("malformed message at byte %d+: ", refusal(conc.decode, s:sub(1, i)))
    end
    for i = 1, #s do
      for _ = 1, 8 do
        local bad = s:sub(1, i - 1) .. string.char(math.random(0, 255)) .. s:sub(i + 1)
        local ok, message = pcall(conc.decode, bad)
        if not ok then assert.matches("malformed message at byte %d+: ", message) end
      end
    end
    assert.matches("more bytes than values", refusal(conc.decode, s .. "x"))
  end)

  it("makes nothing large for something small", function ()
    local head = conc.encode(1):sub(1, -3)
    local hostile = head .. "\1" .. ("\xc2\xff\xff\xff\x7f\xe0"):rep(50)
    collectgarbage()
    local before = collectgarbage("count")
    assert.is_false(pcall(conc.decode, hostile))
    assert.is_true(collectgarbage("count") - before < 100)
  end)

  it("checks its arguments", function ()
    assert.matches("bad argument #1 to '.*decode'", refusal(conc.decode, 42))
    assert.matches("bad argument #2 to '.*decode'", refusal(conc.decode, "", 1))
    assert.matches("did you mean 'trusted'", refusal(conc.decode, "", { trust = true }))
    assert.matches("does not begin as what conc.encode gives", refusal(conc.decode, "hello"))
  end)
end)
