-- timeout: 400
-- The reference is complete and true: every registered name is in it, every name in it is
-- registered, and every example, and every program in the README, prints what it says.
local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local manual = require "conc.manual"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function names_missing(names, present)
  local missing = {}
  for name in pairs(names) do
    if not present[name] then missing[#missing + 1] = name end
  end
  table.sort(missing)
  return table.concat(missing, " ")
end

-- ---- which names there are --------------------------------------------------------

local classes = {}
for _, section in ipairs(manual.sections()) do
  if section.class and not section.module then classes[section.class] = section end
end

describe("the reference", function ()
  it("has every function of conc, and no other", function ()
    local there, told = {}, {}
    for name in pairs(conc) do
      if name ~= "_VERSION" then there["conc." .. name] = true end
    end
    for _, section in ipairs(manual.sections()) do
      for _, entry in ipairs(section.module and {} or manual.functions(section)) do
        told[entry.name] = true
      end
    end
    assert.are.equal("", names_missing(there, told), "not in lua/conc/reference.lua")
    assert.are.equal("", names_missing(told, there), "not in conc")
  end)

  it("has every function of conc.http, of a session and of a response", function ()
    local index = manual.index()
    for name in pairs(require "conc.http") do assert.is_table(index["http." .. name], name) end
    for name, value in pairs(require "conc.http.session") do
      if type(value) == "function" and name:sub(1, 2) ~= "__" and name ~= "new" then
        assert.is_truthy(index["session:" .. name] or index["http." .. name], name)
      end
    end
    for name, value in pairs(require "conc.http.response") do
      if type(value) == "function" and name:sub(1, 2) ~= "__" then
        assert.is_table(index["response:" .. name], name)
      end
    end
  end)

  it("has every class", function ()
    for _, kind in ipairs {
      "lock", "rlock", "rwlock", "semaphore", "condition", "event", "barrier", "queue",
      "lifo_queue", "priority_queue", "pipe", "value", "array", "list", "dict", "future", "thread",
      "process", "thread_pool", "process_pool",
    } do
      assert.is_table(classes[kind], kind)
      assert.is_table(core._methods(kind), kind)
    end
  end)

  for class, section in pairs(classes) do
    it("has every method of a " .. class .. ", and no other", function ()
      require "conc.pool"
      local there, told = {}, {}
      for name in pairs(core._methods(class)) do
        if name:sub(1, 1) ~= "_" then there[name] = true end
      end
      for _, entry in ipairs(manual.members(section)) do
        if not entry.field then told[entry.name:match("[:.](.*)$")] = true end
      end
      assert.are.equal("", names_missing(there, told), "not in lua/conc/reference.lua")
      assert.are.equal("", names_missing(told, there), "not methods of it")
    end)
  end

  it("says all that it should of each name", function ()
    local seen = {}
    for _, section in ipairs(manual.sections()) do
      for _, entry in ipairs(section) do
        local name = entry.name
        assert.is_nil(seen[name], name .. " is there twice")
        seen[name] = true
        assert.is_truthy(entry.field or entry.params and entry.returns, name .. ": no types")
        assert.is_truthy(#entry.text > 10, name .. ": no text")
        assert.is_truthy(entry.example and entry.example:find("-->", 1, true),
                         name .. ": no example that prints something")
        for _, p in ipairs(manual.params(entry)) do
          assert.is_truthy(p.name and p.type, name .. ": a parameter without name or type")
        end
      end
    end
  end)

  it("makes definitions for editors that are Lua", function ()
    for _, name in ipairs { "meta", "meta_http" } do
      local path = ("%s/conc/%s.lua"):format(helper.build, name)
      assert.is_function(loadfile(path))
      assert.is_truthy(read_file(path):find("^%-%-%-@meta conc"))
    end
  end)

  it("makes definitions of each function, method and type", function ()
    local text = read_file(helper.build .. "/conc/meta.lua")
      .. read_file(helper.build .. "/conc/meta_http.lua")
    local defined, named = {}, {}
    for word in text:gmatch("%-%-%-@class ([%w_.]+)") do defined[word] = true end
    for line in text:gmatch("%-%-%-@[^cm][^\n]*") do
      for word in line:gmatch("conc%.[%l_]+") do named[word] = true end
    end
    assert.are.equal("", names_missing(named, defined), "types that are not defined")
    for _, section in ipairs(manual.sections()) do
      for _, entry in ipairs(section) do
        assert.is_truthy(entry.field or text:find("\nfunction " .. entry.name .. "(", 1, true),
                         entry.name)
      end
    end
    assert.is_truthy(text:find("\nfunction session:get_many(", 1, true))
    assert.is_truthy(text:find("---@overload fun(f: function, ...: any): conc.process\n", 1, true))
  end)
end)

-- ---- pages ------------------------------------------------------------------------

describe("docs/build.lua", function ()
  it("makes pages whose links all lead somewhere", function ()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local run = helper.run_script("docs/build.lua", { env = { CONC_BUILD = folder } })
    assert.are.equal(0, run.code, run.err)
    local list, lost = io.popen(("ls %s/docs/*.html"):format(folder)), {}
    for path in list:lines() do
      local page = read_file(path)
      for file, anchor in page:gmatch('href="([^":#]*)#?([^":]*)"') do
        local target = file == "" and path or folder .. "/docs/" .. file
        local there = io.open(target)
        local text = there and there:read("a") or ""
        if there then there:close() end
        if not there or anchor ~= "" and not text:find(('id="%s"'):format(anchor), 1, true) then
          lost[#lost + 1] = path:match("[^/]+$") .. " -> " .. file .. "#" .. anchor
        end
      end
    end
    list:close()
    os.execute("rm -r " .. folder)
    assert.are.equal("", table.concat(lost, "\n"))
  end)
end)

-- ---- programs ---------------------------------------------------------------------

describe("the example of", function ()
  for _, section in ipairs(manual.sections()) do
    for _, entry in ipairs(section.module and {} or section) do
      it(entry.name .. " prints what it says", function ()
        local run = helper.run_script('local conc = require "conc"\n' .. entry.example,
                                      { timeout = 20 })
        helper.prints_what_it_says(entry.example, run, true)
      end)
    end
  end
end)

-- Port 8000 may be in use here: the examples get the address of a server of ours.
describe("beside a server, the example of", function ()
  local server

  setup(function ()
    package.path = "examples/?.lua;" .. package.path
    server = require("support.file_server").start("examples/pages", { workers = 2 })
  end)
  teardown(function () getmetatable(server).__close(server) end)

  for _, section in ipairs(manual.sections()) do
    for _, entry in ipairs(section.module and section or {}) do
      it(entry.name .. " prints what it says", function ()
        local code = entry.example:gsub("http://localhost:8000", server.url)
        local run = helper.run_script(section.prelude .. code, { timeout = 20 })
        helper.prints_what_it_says(entry.example, run, true)
      end)
    end
  end
end)

describe("the README", function ()
  local n = 0
  for code in read_file("README.md"):gmatch("```lua\n(.-)```") do
    n = n + 1
    it("has a program, number " .. n .. ", that prints what it says", function ()
      helper.prints_what_it_says(code, helper.run_script(code, { timeout = 30 }), true)
    end)
  end
end)
