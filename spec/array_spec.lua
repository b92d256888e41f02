local conc = require "conc"
local helper = require "spec.helper"

local limits = {
  i8 = { -128, 127 }, u8 = { 0, 255 }, i16 = { -32768, 32767 }, u16 = { 0, 65535 },
  i32 = { -2 ^ 31 | 0, 2 ^ 31 - 1 | 0 }, u32 = { 0, 2 ^ 32 - 1 | 0 },
  i64 = { math.mininteger, math.maxinteger }, u64 = { math.mininteger, math.maxinteger },
}
local integer_types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64" }
local types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }
local formats = { i8 = "<b", u8 = "<B", i16 = "<h", u16 = "<H", i32 = "<i4", u32 = "<I4",
                  i64 = "<i8", u64 = "<i8", f32 = "<f", f64 = "<d" }

local function totable(a)
  local t = {}
  for i = 1, #a do t[i] = a[i] end
  return t
end

describe("conc.array", function ()
  it("starts at zero", function ()
    for _, type in ipairs(types) do
      local a = conc.array(type, 5)
      assert.are.equal(5, #a)
      for i = 1, 5 do assert.are.equal(0, a[i]) end
      assert.are.equal(type:sub(1, 1) == "f" and "float" or "integer", math.type(a[1]))
    end
    assert.are.equal(0, #conc.array("u8", 0))
    assert.are.equal(0, #conc.array("u8", {}))
  end)

  it("is made of a list", function ()
    assert.are.same({ 1, 2, 3 }, totable(conc.array("i16", { 1, 2.0, 3 })))
    assert.are.same({ 0.5, -0.25 }, totable(conc.array("f32", { 0.5, -0.25 })))
    assert.has_error(function () conc.array("u8", { 1, 256 }) end,
      "bad argument #2 to 'array' (element 2: integer that fits u8 expected, got 256)")
    assert.has_error(function () conc.array("u8", { 1, "2" }) end,
      "bad argument #2 to 'array' (element 2: integer expected for an array of u8, got string)")
    assert.has_error(function () conc.array("u8", -1) end)
    assert.has_error(function () conc.array("int", 1) end,
      "bad argument #1 to 'array' (one of i8 u8 i16 u16 i32 u32 i64 u64 f32 f64 "
      .. "expected, got 'int')")
    assert.has_error(function () conc.array(8, 1) end)
  end)

  it("refuses a size that no memory has", function ()
    assert.has_error(function () conc.array("i64", math.maxinteger) end)
    assert.has_error(function () conc.array("i64", math.maxinteger // 8) end)
  end)

  it("holds what its type holds", function ()
    for _, type in ipairs(integer_types) do
      local a = conc.array(type, 3)
      for _, x in ipairs(limits[type]) do
        a[2] = x
        assert.are.equal(x, a[2])
      end
      assert.are.same({ 0, 0 }, { a[1], a[3] })
      if type:sub(2) ~= "64" then
        for k, x in ipairs(limits[type]) do
          local beyond = k == 1 and x - 1 or x + 1
          assert.has_error(function () a[2] = beyond end,
            ("bad argument #3 to 'newindex' (integer that fits %s expected, got %d)")
            :format(type, beyond))
        end
      end
      assert.has_error(function () a[2] = 1.5 end)
      assert.has_error(function () a[2] = "1" end)
      assert.has_error(function () a[2] = nil end)
      assert.are.equal(limits[type][2], a[2])
    end
  end)

  it("holds floats", function ()
    local d, s = conc.array("f64", 1), conc.array("f32", 1)
    for _, x in ipairs { 0.1, -0.0, 1 / 0, -1 / 0, 1e300 } do
      d[1] = x
      assert.are.equal(string.pack("d", x), string.pack("d", d[1]))
    end
    s[1] = 0.1
    assert.are.equal((string.unpack("f", string.pack("f", 0.1))), s[1])
    s[1] = 1 / 0
    assert.are.equal(1 / 0, s[1])
    s[1] = 0 / 0
    assert.is_true(s[1] ~= s[1])
    assert.has_error(function () s[1] = 1e300 end,
      "bad argument #3 to 'newindex' (number that fits f32 expected, got 1e+300)")
    d[1] = 7
    assert.are.equal("float", math.type(d[1]))
  end)

  it("checks indices", function ()
    local a = conc.array("i32", 10)
    for _, i in ipairs { 0, 11, -1, math.mininteger, math.maxinteger, 1.5 } do
      assert.has_error(function () return a[i] end,
        ("bad argument #2 to 'index' (index from 1 to 10 expected, got %s)"):format(i))
      assert.has_error(function () a[i] = 1 end,
        ("bad argument #2 to 'newindex' (index from 1 to 10 expected, got %s)"):format(i))
      assert.has_error(function () a:add(i, 1) end)
    end
    assert.has_error(function () return a[{}] end,
      "bad argument #2 to 'index' (integer expected as index, got table)")
    assert.has_error(function () a.x = 1 end)
    assert.is_nil(a.x)
    a[2.0] = 5
    assert.are.equal(5, a[2])
  end)

  it("adds, and refuses what leaves the range", function ()
    for _, type in ipairs(integer_types) do
      local least, most = limits[type][1], limits[type][2]
      local a = conc.array(type, 3)
      assert.are.equal(5, a:add(2, 5))
      assert.are.equal(3, a:add(2, -2))
      assert.are.equal(0, a[1] + a[3])
      if type ~= "u64" then
        a[2] = most
        assert.has_error(function () a:add(2, 1) end,
          "bad argument #2 to 'add' (the sum does not fit " .. type .. ")")
        assert.are.equal(most, a[2])
        a[2] = least
        assert.has_error(function () a:add(2, -1) end)
        assert.has_error(function () a:add(2, math.mininteger) end)
        assert.are.equal(least, a[2])
      end
    end
    local u = conc.array("u64", { -1 })
    assert.are.equal(1, u:add(1, 2))
    local f = conc.array("f32", { 0.5 })
    assert.are.equal(0.75, f:add(1, 0.25))
    assert.has_error(function () f:add(1, 3.5e38) end)
    assert.are.equal(0.75, f[1])
    assert.are.equal(1 / 0, f:add(1, 1 / 0))
    assert.are.equal(1 / 0, f:add(1, 1))
  end)

  it("fills", function ()
    for _, type in ipairs(types) do
      local a = conc.array(type, 40)
      a:fill(7)
      for i = 1, 40 do assert.are.equal(7, a[i]) end
      for first = 1, 20 do
        a:fill(0)
        a:fill(9, first, 30)
        for i = 1, 40 do
          assert.are.equal((i >= first and i <= 30) and 9 or 0, a[i])
        end
      end
      a:fill(3, 5, 4)
      assert.are.equal(9, a[30])
    end
    local a = conc.array("i8", 3)
    a:fill(-1, 2)
    assert.are.same({ 0, -1, -1 }, totable(a))
    assert.has_error(function () a:fill(300) end)
    assert.has_error(function () a:fill(1, 0) end)
    assert.has_error(function () a:fill(1, 1, 4) end)
  end)

  it("gives its bytes, and takes them", function ()
    for _, type in ipairs(types) do
      local a = conc.array(type, 23)
      for i = 1, 23 do a[i] = i end
      for i = 1, 9 do
        for j = i - 1, 23, 3 do
          local expected = {}
          for k = i, j do expected[#expected + 1] = formats[type]:pack(a[k]) end
          assert.are.equal(table.concat(expected), a:bytes(i, j))
        end
      end
      local b = conc.array(type, 25)
      b:set_bytes(a:bytes(), 3)
      assert.are.equal(0, b[2])
      for i = 1, 23 do assert.are.equal(i, b[i + 2]) end
    end
    local a = conc.array("i32", 2)
    assert.has_error(function () a:set_bytes("abc") end,
      "bad argument #1 to 'set_bytes' (bytes of whole elements expected (4 each), got 3 bytes)")
    assert.has_error(function () a:set_bytes(("x"):rep(12)) end)
    assert.has_error(function () a:set_bytes("abcd", 3) end)
    assert.has_error(function () a:bytes(1, 3) end)
    a:set_bytes("", 3)
    assert.are.equal("", a:bytes(3))
  end)

  it("copies, also within itself", function ()
    for _, type in ipairs(types) do
      for n = 0, 20 do
        for at = 1, 6 do
          local a, t = conc.array(type, 26), {}
          for i = 1, 26 do a[i] = i t[i] = i end
          a:copy(a, 4, 3 + n, at)
          table.move(t, 4, 3 + n, at)
          assert.are.same(t, totable(a))
        end
      end
    end
    local a, b = conc.array("u16", { 1, 2, 3 }), conc.array("u16", 5)
    b:copy(a)
    assert.are.same({ 1, 2, 3, 0, 0 }, totable(b))
    b:copy(a, 2)
    assert.are.same({ 2, 3, 3, 0, 0 }, totable(b))
    b:copy(a, 1, 2, 4)
    assert.are.same({ 2, 3, 3, 1, 2 }, totable(b))
    assert.has_error(function () b:copy(a, 1, 3, 4) end,
      "bad argument #4 to 'copy' (3 elements from 4 on do not fit in an array of 5)")
    assert.has_error(function () b:copy(a, 1, 4) end)
    assert.has_error(function () b:copy({ 1 }) end)
  end)

  it("converts where the types differ", function ()
    local f = conc.array("f64", { 1, 200, -3 })
    local i = conc.array("i16", 3)
    i:copy(f)
    assert.are.same({ 1, 200, -3 }, totable(i))
    assert.has_error(function () conc.array("u8", 3):copy(f) end,
      "bad argument #1 to 'copy' (element 3 (-3.0) does not fit u8)")
    local u = conc.array("u8", { 9, 9, 9 })
    pcall(u.copy, u, i)
    assert.are.same({ 9, 9, 9 }, totable(u))
    f:copy(conc.array("u64", { -1 }))
    assert.are.equal(2.0 ^ 64, f[1])
    assert.has_error(function () conc.array("i64", 1):copy(conc.array("u64", { -1 })) end)
    assert.has_error(function () i:copy(conc.array("f32", { 0.5 })) end)
  end)

  it("says what it is", function ()
    assert.are.equal("conc.array (i32, 10)", tostring(conc.array("i32", 10)))
    assert.are.equal("array", conc.type(conc.array("u8", 1)))
  end)

  helper.each_kind(function (start)
    it("is one block for all", function ()
      local a = conc.array("f64", 1000)
      local t = start(function (b)
        for i = 1, #b do b[i] = i / 2 end
        return b
      end, a)
      assert.are.equal(a, t:result(helper.soon))
      for i = 1, 1000 do assert.are.equal(i / 2, a[i]) end
    end)

    it("loses no addition", function ()
      for _, type in ipairs { "u16", "i32", "i64", "f32", "f64" } do
        local a = conc.array(type, 3)
        local function add() for _ = 1, 3000 do a:add(2, 1) end end
        local workers = { start(add), start(add), start(add) }
        for _, w in ipairs(workers) do w:result(helper.soon) end
        assert.are.same({ 0, 9000, 0 }, totable(a))
      end
    end)

    it("shows no element half written", function ()
      local a, stop = conc.array("i64", 3), conc.value(false)
      local t = start(function ()
        while not stop.value do a[2] = 0 a[2] = -1 a:fill(0) a:fill(-1, 1, 3) end
      end)
      for _ = 1, 20000 do
        local x = a[2]
        assert(x == 0 or x == -1)
        local s = string.unpack("<i8", a:bytes(2, 2))
        assert(s == 0 or s == -1)
      end
      stop.value = true
      t:result(helper.soon)
    end)
  end)
end)
