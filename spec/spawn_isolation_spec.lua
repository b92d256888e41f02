-- A new thread's state cannot be told from a fresh one, whatever the threads
-- before it did to theirs.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

-- A function that is kept keeps its code in the arena: these are made anew for
-- each test, by functions that are not sent themselves.

-- Everything that can be reached from the globals, by path: types, and the values
-- of what is neither table nor function. Runs in the new state.
local function new_survey() return function ()
  local found, seen = {}, {}
  local function walk(path, value, depth)
    local kind = type(value)
    local plain = kind ~= "table" and kind ~= "function" and kind ~= "userdata"
      and kind ~= "thread"
    found[path] = plain and tostring(value) or kind
    if kind ~= "table" or seen[value] or depth > 4 then return end
    seen[value] = true
    local keys = {}
    for k in next, value do keys[#keys + 1] = k end
    table.sort(keys, function (a, b) return tostring(a) < tostring(b) end)
    for _, k in ipairs(keys) do
      walk(path .. "." .. tostring(k), rawget(value, k), depth + 1)
    end
    local meta = debug.getmetatable(value)
    if meta then walk(path .. "<meta>", meta, depth + 1) end
  end
  local env = {}
  for k, v in next, _G do
    if k ~= "_G" and k ~= "arg" then env[k] = v end
  end
  walk("_G", env, 0)
  for _, value in ipairs {"", 0, true, print, io.stdout} do
    walk("meta of " .. type(value), debug.getmetatable(value) or "none", 0)
  end
  walk("meta of nil", debug.getmetatable(nil) or "none", 0)
  walk("meta of _G", debug.getmetatable(_G) or "none", 0)
  found.hook = tostring(debug.gethook())
  found.collector = collectgarbage("incremental")
  collectgarbage(found.collector)
  found.running = tostring(collectgarbage("isrunning"))
  found.main = tostring(select(2, coroutine.running()))
  return found
end end

-- What makes a mess of a state.
local function new_messes() return {
  function () leftover = {1, 2, 3} x = "y" end,
  function () string.format = nil table.insert = print math.pi = 3 end,
  function () getmetatable("").__index = function () return "gotcha" end end,
  function () debug.setmetatable(0, {__call = function () return 5 end}) end,
  function () debug.setmetatable(nil, {__index = function () return 1 end}) end,
  function () package.loaded.string = nil package.path = "nowhere" package.preload.x = print end,
  function () package.searchers[1] = nil table.remove(package.searchers) end,
  function () debug.sethook(function () end, "crl", 10) end,
  function () collectgarbage("generational") collectgarbage("stop") end,
  function () setmetatable(_G, {__newindex = error, __index = error}) end,
  function () _G.print, _G.pairs, _G.setmetatable = nil, nil, nil end,
  function () debug.getregistry().mine = {} debug.getregistry()[1] = nil end,
  function () keep = coroutine.wrap(function () coroutine.yield() end) keep() end,
  function () for i = 1, 1e5 do _G["g" .. i] = {i} end end,
  function () io.output(io.tmpfile()) end,
  function () error(setmetatable({}, {__gc = function () leftover = 1 end})) end,
  function () require "conc" end,
  function () _ENV = {} end,
  function () local t = setmetatable({}, {__mode = "k"}) t[{}] = 1 weak = t end,
  function () warn("@on") end,
  function () os.setlocale("C") math.randomseed(42) end,
} end

describe("a new thread's state", function ()
  it("looks the same whatever ran before", function ()
    local survey = new_survey()
    local first = conc.thread(survey):result(soon)
    for i, mess in ipairs(new_messes()) do
      local t = conc.thread(mess)
      t:error(soon)
      assert.are.same(first, conc.thread(survey):result(soon), "after mess " .. i)
    end
  end)

  it("looks like that of a fresh lua_State with its libraries", function ()
    local survey = new_survey()
    local here = conc.thread(survey):result(soon)
    local r = helper.run_script(([[
      local survey = load(%q, "survey", "b")
      for k, v in pairs(survey()) do
        io.write(("[%%q]=%%q,\n"):format(k, v))
      end
    ]]):format(string.dump(survey)))
    assert.are.equal(0, r.code, r.err)
    local there = assert.plain(load("return {" .. r.out .. "}"))()
    here.collector, there.collector = nil, nil  -- lua.c runs the generational one
    for _, found in ipairs {here, there} do
      for k in pairs(found) do
        if k:find("^_G%.package%.") then found[k] = nil end  -- paths; the script has its own
      end
    end
    assert.are.same(there, here)
  end)

  it("has no module loaded but the standard library's", function ()
    local names = conc.thread(function ()
      local list = {}
      for name in pairs(package.loaded) do list[#list + 1] = name end
      table.sort(list)
      return table.concat(list, " ")
    end):result(soon)
    assert.are.equal("_G coroutine debug io math os package string table utf8", names)
  end)

  it("has a generator of its own", function ()
    local function draw() return math.random(0) end
    local seen = {}
    for _ = 1, 50 do
      local n = conc.thread(draw):result(soon)
      assert.is_nil(seen[n])
      seen[n] = true
    end
    for _ = 1, 5 do
      local n = conc.process(draw):result(soon)
      assert.is_nil(seen[n])
      seen[n] = true
    end
  end)

  it("gets package.path, cpath, preload and added fields of the libraries", function ()
    local path, cpath = package.path, package.cpath
    package.path, package.cpath = path .. ";/nowhere/?.lua", cpath .. ";/nowhere/?.so"
    package.preload["spec.made_up"] = function () return {made = "up"} end
    string.shout = function (s) return s:upper() .. "!" end
    local t = conc.thread(function ()
      return package.path, package.cpath, require "spec.made_up".made, ("hey"):shout()
    end)
    local got = table.pack(pcall(t.result, t, soon))
    package.path, package.cpath = path, cpath
    package.preload["spec.made_up"], string.shout = nil, nil
    assert.are.same({n = 5, true, path .. ";/nowhere/?.lua", cpath .. ";/nowhere/?.so", "up",
                     "HEY!"}, got)
    local after = conc.thread(function () return package.path, ("").shout end)
    assert.are.same({n = 2, path, nil}, table.pack(after:result(soon)))
  end)

  it("does not grow from use to use", function ()
    local function size() return collectgarbage("count") end
    local first = conc.thread(size):result(soon)
    for _ = 1, 50 do
      conc.thread(function ()
        local t = {}
        for i = 1, 1000 do t[i] = {i} end
        return #t
      end):result(soon)
    end
    assert.are.equal(first, conc.thread(size):result(soon))
  end)
end)
