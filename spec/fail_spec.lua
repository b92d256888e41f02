-- The n-th allocation, fork, mmap, pthread_create ... fails, for n = 1, 2, 3 ...
-- until none does: an error each time, or the thing is done without; and nothing is
-- left behind.
-- timeout: 600
local core = require "conc.core"
local has_http, http = pcall(require, "conc.http")
local fail = require "fail"  -- spec/c/fail_so.c: all that it is to redirect is loaded
local helper = require "spec.helper"
local operations = require "spec.failing"

-- What may be said: by whom depends on where it failed.
local told = {
  "shared memory is full", "no worker could be started", "not enough memory",
  "Cannot allocate memory", "Resource temporarily unavailable", "Too many open files",
  "stack overflow",  -- luaL_checkstack, where the stack cannot grow: Lua 5.4.7 shrinks it earlier
}

local function is_told(e)
  for _, text in ipairs(told) do
    if e:find(text, 1, true) then return true end
  end
end

-- arm(n): the n-th from now fails; arm(0): none, and whether none has. How often
-- 'run' failed. What a process fails by is its own, it counts from the fork on: so
-- this goes on for a while when nothing has failed any more here.
local function walk(run, arm, first, stride)
  local failed, whole = 0, 0
  for n = first or helper.first(), 5000, stride or helper.stride do
    arm(n)
    local ok, e = pcall(run)
    local spared = arm(0)
    if not ok then
      failed = failed + 1
      assert.is_true(is_told(tostring(e)), ("the %d-th: %s"):format(n, tostring(e)))
    end
    whole = ok and spared and whole + 1 or 0
    if whole == 5 then return failed end
  end
  error("there is no end to it")
end

describe("shared memory that is full at the n-th allocation", function ()
  local function arm(n) return core._fail(n) > 0 end
  for _, operation in ipairs(operations) do
    it("costs an error and nothing else: " .. operation.name, function ()
      operation.run()
      assert.is_true(walk(operation.run, arm, 1, 1) > 0)
      operation.run()
    end)
  end
end)

-- A cache grows for a while, a leak for ever. (Not where it takes long: up to eight walks.)
local function has_leak(what, run, arm)
  if helper.stride > 1 then return end
  local blocks, maps
  for _ = 1, 8 do
    walk(run, arm)
    local now, now_maps
    helper.eventually(function ()
      core._forget()
      collectgarbage() collectgarbage()
      now, now_maps = fail.live()
      return blocks and now <= blocks and now_maps <= maps
    end, blocks and helper.pace(0.2) or 0)
    if blocks and now <= blocks and now_maps <= maps then return end
    blocks, maps = now, now_maps
  end
  return ("%s: %d blocks of malloc's, %d maps"):format(what, blocks, maps)
end

for _, what in ipairs { "malloc", "mmap", "fork", "pthread_create", "descriptor" } do
  describe("a " .. what .. " that fails the n-th time", function ()
    local function arm(n) return fail.at(what, n) > 0 end
    for _, operation in ipairs(operations) do
      it("costs an error and nothing else: " .. operation.name, function ()
        operation.run()
        if walk(operation.run, arm) > 0 then
          assert.is_nil(has_leak(what, operation.run, arm))
        end
        operation.run()
      end)
    end
  end)
end

describe("conc.http", function ()
  if not has_http then pending("built without libcurl") return end

  local servers = require "spec.http.servers"
  local dir, server

  setup(function ()
    local pipe = io.popen("mktemp -d")
    dir = pipe:read("l")
    pipe:close()
    server = servers.misbehaving(dir)
  end)
  teardown(function ()
    server.stop()
    os.execute("rm -r '" .. dir .. "'")
  end)

  local function need(value, e)
    if not value then error(tostring(e), 0) end
    return value
  end

  local requests = {
    get = function () assert.are.equal(200, need(http.get(server.url .. "/echo")).status) end,
    post = function ()
      local r = need(http.post(server.url .. "/echo", {
        headers = { ["X-One"] = "1", ["X-Two"] = "2" }, auth = { "ann", "secret" },
        form = { a = "b", c = "d" },
      }))
      assert.truthy(r.body:find("a=b", 1, true))
    end,
    ["post files"] = function ()
      local r = need(http.post(server.url .. "/echo", {
        files = { one = { data = "first" }, two = { data = "second" } },
      }))
      assert.truthy(r.body:find("second", 1, true))
    end,
    redirect = function ()
      assert.are.equal(200, need(http.get(server.url .. "/302?/echo")).status)
    end,
    session = function ()
      local s <close> = http.session { headers = { ["X-Mine"] = "1" } }
      need(s:get(server.url .. "/cookie?a=1"))
      assert.truthy(need(s:get(server.url .. "/echo")).body:find("a=1", 1, true))
    end,
    ["get_many"] = function ()
      local got, errors = http.get_many { server.url .. "/echo", server.url .. "/echo?2" }
      for i = 1, 2 do need(got[i], errors and errors[i]) end
    end,
    download = function ()
      local path = dir .. "/got"
      os.remove(path)
      local n, e = http.download(server.url .. "/content?5000", path)
      os.remove(path .. ".part")
      need(n, e)
      assert.is_true(os.remove(path))
    end,
  }

  for _, what in ipairs { "malloc", "curl" } do
    local function arm(n) return fail.at(what, n) > 0 end
    for name, run in pairs(requests) do
      it(("costs an error and nothing else: %s, %s fails"):format(name, what), function ()
        run()
        walk(run, arm)
        assert.is_nil(has_leak(what, run, arm))
        run()
      end)
    end
  end
end)

-- What is kept once it was made is made only by the first who needs it: here each
-- is the first.
describe("in a program that has started nothing yet", function ()
  if helper.sanitizer == "valgrind" then pending("too slow under valgrind") return end

  local first = [[
    local conc = require "conc"
    local fail = require "fail"
    local what, n, name = arg[1], tonumber(arg[2]), arg[3]
    local run
    for _, operation in ipairs(require "spec.failing") do
      if operation.name == name then run = operation.run end
    end
    fail.at(what, n)
    local ok, e = pcall(run)
    local left = fail.at(what, 0)
    local again, e2 = pcall(run)
    assert(again, e2)
    print(ok and "done" or "failed", left > 0 and "spared" or "met", ok or e)
  ]]

  for _, what in ipairs { "malloc", "mmap", "pthread_create", "descriptor" } do
    for _, name in ipairs { "conc.thread", "conc.process", "conc.timer", "pollfd",
                            "thread pool: submit", "process pool: submit" } do
      it(("the n-th %s fails: %s"):format(what, name), function ()
        local failed, whole = 0, 0
        for n = 1, 300 do
          local r = helper.run_script(first, { args = { what, n, name }, timeout = 20 })
          assert.are.equal(0, r.code, r.err)
          local how, met, e = r.out:match("(%a+)\t(%a+)\t(.*)\n")
          if how == "failed" then
            failed = failed + 1
            assert.is_true(is_told(e), ("the %d-th: %s"):format(n, e))
          end
          whole = how == "done" and met == "spared" and whole + 1 or 0
          if whole == 2 then break end
        end
        assert.are.equal(2, whole)
        if what == "malloc" then assert.is_true(failed > 0) end
      end)
    end
  end

  it("shared memory cannot be had at all", function ()
    if helper.sanitizer then pending("the sanitizer needs more address space than that") return end
    local r = helper.run_script([[print(pcall(require, "conc"))]],
      { command = { "sh", "-c", "ulimit -v 30000; exec lua5.4 \"$0\"" } })
    assert.matches("^false\tconc: no shared memory could be reserved", r.out .. r.err)
  end)
end)
