-- Random graphs of values, and their comparison:  local graph = require "spec.graph"
local graph = {}

local function bits(x) return string.pack("n", x) end

-- Compares two graphs, identity included: what is one object in the one is one in
-- the other. Returns nil, or where they differ.
function graph.difference(a, b)
  local ab, ba = {}, {}                 -- object -> its counterpart
  local work = { { a, b, "value" } }
  local function push(x, y, where)
    if #where > 200 then where = "..." .. where:sub(-150) end
    work[#work + 1] = { x, y, where }
  end

  -- Upvalues: the same variable in the one is the same variable in the other.
  local upvalues, counterparts = {}, {}
  local function functions(f, g, where)
    local i = 1
    while true do
      local name, x = debug.getupvalue(f, i)
      local other, y = debug.getupvalue(g, i)
      if name ~= other then return where .. ": other upvalues" end
      if not name then return end
      local fid, gid = debug.upvalueid(f, i), debug.upvalueid(g, i)
      if (upvalues[fid] or gid) ~= gid or (counterparts[gid] or fid) ~= fid then
        return where .. ": upvalue '" .. name .. "' is shared otherwise"
      end
      upvalues[fid], counterparts[gid] = gid, fid
      if name ~= "_ENV" then push(x, y, where .. "^" .. name) end
      i = i + 1
    end
  end

  -- Keys that are objects are found by an order that both graphs have: by the
  -- field 'key' that graph.random puts into each of them.
  local function tables(x, y, where)
    local named = {}
    for k in pairs(y) do
      if type(k) == "table" then named[rawget(k, "key") or false] = k end
    end
    local n = 0
    for k, v in next, x do
      n = n + 1
      local other = k
      if type(k) == "table" then
        other = named[rawget(k, "key") or false]
        if other == nil then return where .. ": a key is missing" end
        push(k, other, where .. "[key]")
      end
      push(v, rawget(y, other), where .. "[" .. tostring(k) .. "]")
    end
    for _ in next, y do n = n - 1 end
    if n ~= 0 then return where .. ": " .. -n .. " fields more" end
    push(debug.getmetatable(x), debug.getmetatable(y), where .. "^meta")
  end

  while #work > 0 do
    local x, y, where = table.unpack(table.remove(work))
    local kind = type(x)
    if kind ~= type(y) then
      return where .. ": " .. kind .. " became " .. type(y)
    elseif kind == "number" then
      if math.type(x) ~= math.type(y) then return where .. ": " .. math.type(x) end
      if math.type(x) == "float" and bits(x) ~= bits(y) or math.type(x) == "integer" and x ~= y then
        return where .. ": " .. x .. " became " .. y
      end
    elseif kind == "table" or kind == "function" then
      if (ab[x] == nil) ~= (ba[y] == nil) or ab[x] ~= nil and ab[x] ~= y then
        return where .. ": identity"
      end
      if ab[x] == nil then
        ab[x], ba[y] = y, x
        local why
        if rawequal(x, y) then why = nil  -- the receiver's own
        elseif kind == "table" then why = tables(x, y, where)
        elseif debug.getinfo(x, "S").what ~= "C" then why = functions(x, y, where)
        elseif x ~= y then why = where .. ": another C function" end
        if why then return why end
      end
    elseif x ~= y then
      return where .. ": " .. tostring(x) .. " became " .. tostring(y)
    end
  end
end

local numbers = {
  0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, -32769, 2147483647, 2147483648,
  -2147483648, -2147483649, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, -1.5, 1e308,
  5e-324, 1 / 0, -1 / 0, 0 / 0, -(0 / 0), 2 ^ 53, 2 ^ 63,
  string.unpack("n", string.pack("j", 0x7ff8000000001234)),   -- a NaN with a payload
  string.unpack("n", string.pack("j", 0xfff0000000000001 | 0)),
}

-- Every byte once.
graph.bytes = ""
for i = 0, 255 do graph.bytes = graph.bytes .. string.char(i) end

local function random_string()
  if math.random(20) == 1 then return graph.bytes end
  local n = ({ 0, 1, 5, 31, 32, 40, 41, 255, 256, 300 })[math.random(10)]
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Two functions that share a counter, with a table among their upvalues.
local function pair_of_functions(t)
  local count = math.random(100)
  return function () count = count + 1 return count, t end, function () return count, t end
end

local function recursive(t)
  local function f(n) if n == 0 then return t end return f(n - 1) end
  return f
end

-- A chain of 'depth' objects that ends in 'v', each in the one before as an element, a
-- field, a key; with functions also as a metatable or an upvalue.
local function chain(depth, functions, v)
  for i = 1, depth do
    local how = math.random(functions and 6 or 4)
    if how == 1 then v = { v }
    elseif how == 2 then v = { x = v, i }
    elseif how == 3 then v = { i, v, i + 0.5, nil, i }
    elseif how == 4 or type(v) ~= "table" then v = { [{ key = i, inner = v }] = i }
    elseif how == 5 then v = debug.setmetatable({ i }, v)
    else
      local inner = v
      function v() return inner end
    end
  end
  return v
end

-- A graph of about 'size' objects, with sharing and cycles everywhere.
-- 'functions': also functions, metatables and parts of the standard library.
-- 'depth': and so many inside each other.
function graph.random(size, functions, depth)
  local objects, key = {}, 0
  local function any()
    local r = math.random(functions and 14 or 11)
    if r <= 3 then return numbers[math.random(#numbers)]
    elseif r == 4 then return math.random(0)
    elseif r == 5 then return math.random() * 10 ^ math.random(-300, 300)
    elseif r == 6 then return random_string()
    elseif r == 7 then return math.random(2) == 1
    elseif r <= 11 then return objects[math.random(#objects)]
    elseif r == 12 then
      return ({ print, string.format, math.random, io.stdout, string, _G })[math.random(6)]
    else return objects[math.random(#objects)] end
  end
  local function new_table()
    key = key + 1
    return { key = key }
  end
  objects[1] = new_table()
  for _ = 2, size do
    local o
    if functions and math.random(5) == 1 then
      local f, g = pair_of_functions(any())
      objects[#objects + 1] = g
      o = math.random(2) == 1 and f or recursive(any())
    else
      o = new_table()
    end
    objects[#objects + 1] = o
  end
  for _, o in ipairs(objects) do
    if type(o) == "table" then
      for i = 1, math.random(0, 8) do o[i] = any() end
      for _ = 1, math.random(0, 4) do
        local k = any()
        if type(k) == "function" or type(k) == "userdata" or k ~= k or k == _G or k == string
            or type(k) == "table" and not rawget(k, "key") or k == "key" then
          k = random_string()
        end
        o[k] = any()
      end
      if functions and math.random(6) == 1 then
        local mt = objects[math.random(#objects)]
        if type(mt) == "table" and rawget(mt, "__gc") == nil then debug.setmetatable(o, mt) end
      end
    elseif math.random(2) == 1 then
      for i = 1, 9 do
        local name = debug.getupvalue(o, i)
        if name == "t" then debug.setupvalue(o, i, any()) end
      end
    end
  end
  -- so that everything is reached
  return { all = objects, any = any(), deep = depth and chain(depth, functions, any()) }
end

-- The graph of that seed, the same in every state.
function graph.make(seed, size, functions, depth)
  math.randomseed(seed)
  return graph.random(size, functions, depth)
end

-- Is v that graph? Returns nil, or where it differs.
function graph.check(v, ...) return graph.difference(graph.make(...), v) end

return graph
