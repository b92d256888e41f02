-- timeout: 240
-- How much of the machine pools take: their template, pools in pools, chunks.
local conc = require "conc"
local helper = require "spec.helper"

local soon = helper.soon

local function status_of(pid, field)
  local file <close> = io.open(("/proc/%d/status"):format(pid))
  return file and tonumber(file:read("a"):match(field .. ":%s+(%d+)"))
end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("the template process", function ()
  it("has one thread, is our child, and the parent of all workers", function ()
    local pool <close> = conc.process_pool { workers = 3, name = "quiet" }
    local pids = {}
    for i, pid in pool:imap_unordered(function ()
      conc.sleep(0.02)
      return conc.current():pid()
    end, range(30), { chunk = 1 }) do
      pids[pid] = i
    end
    local template
    for pid in pairs(pids) do
      local parent = status_of(pid, "PPid")
      template = template or parent
      assert.are.equal(template, parent)
    end
    assert.are.equal(conc.current():pid(), status_of(template, "PPid"))
    assert.are.equal(1, status_of(template, "Threads"))
  end)

  it("takes its workers along when it is killed", function ()
    local pool = conc.process_pool(2)
    local q = conc.queue()
    local futures = {}
    for i = 1, 2 do
      futures[i] = pool:submit(function () q:put(conc.current():pid()) conc.sleep(600) end)
    end
    local pids = { q:get(soon), q:get(soon) }
    os.execute("kill -9 " .. status_of(pids[1], "PPid"))
    for i = 1, 2 do
      assert.matches("template process died", (futures[i]:error(soon)))
      assert.is_truthy(helper.eventually(function () return not status_of(pids[i], "PPid") end))
    end
    pool:shutdown()
  end)
end)

helper.each_pool(function (open, kind)
  it("pools in tasks share the machine: by default they are not multiplied", function ()
    local widest = open():workers()
    local outer <close> = open(3)
    local inner = outer:submit(function (kinds)
      local counts = {}
      for _, k in ipairs(kinds) do
        local pool <close> = conc[k .. "_pool"]()
        counts[#counts + 1] = pool:workers()
        counts[#counts + 1] = pool:submit(function ()
          local deeper <close> = conc.thread_pool()
          return deeper:workers() * deeper:submit(function () return 1 end):result()
        end):result()
      end
      return counts
    end, helper.kinds):result(soon)
    local share = math.max(1, conc.thread_pool():workers() // 3)
    assert.are.same({ share, 1 }, { inner[1], inner[2] })
    assert.are.equal(math.max(1, conc.cpu_count() // 3), inner[3])
    assert.is_true(inner[3] * 3 <= math.max(3, conc.cpu_count()))
    assert.are.equal(widest, open():workers())  -- outside of tasks as ever
    assert.are.equal(2, outer:submit(function ()
      local asked <close> = conc.thread_pool(2)
      return asked:workers()
    end):result(soon), kind)
  end)

  it("starts no worker that nobody has work for", function ()
    local pool <close> = open { workers = 50, name = "lazy" }
    assert.are.equal(50, pool:workers())
    for i = 1, 5 do assert.are.equal(i, pool:submit(function (x) return x end, i):result(soon)) end
    local n = 0
    for _, who in ipairs(conc.list_alive()) do
      if who:name():find("lazy/worker", 1, true) then n = n + 1 end
    end
    assert.is_true(n <= 5, n .. " workers")
  end)

  it("spreads ten slow items, and packs many fast ones", function ()
    local pool <close> = open(5)
    local function who(x)
      conc.sleep(helper.pace(0.05))
      return conc.current():name()
    end
    pool:map(who, range(5), { chunk = 1 })   -- all are there
    local count = {}
    for _, name in ipairs(pool:map(who, range(10))) do count[name] = (count[name] or 0) + 1 end
    for name, n in pairs(count) do assert.is_true(n <= 4, name .. " had " .. n) end
    -- each task counts its items by itself: a global of the worker's state
    local n = helper.sanitizer and 5000 or 100000
    local start = conc.now()
    local got = pool:map(function (x) return x end, range(n))
    assert.are.equal(n, got[n])
    assert.is_true(conc.now() - start < helper.pace(10))
  end)

  it("reads an endless source no further than it was told, in whatever order", function ()
    local pool <close> = open(2)
    for _, call in ipairs { "imap", "imap_unordered" } do
      for _, ahead in ipairs { 1, 3, 20 } do
        local read, given, most = 0, 0, 0
        for _, r in pool[call](pool, function (x) return x end,
                               function () read = read + 1 return read end, { ahead = ahead }) do
          given = given + 1
          most = math.max(most, read - given + 1)
          assert.is_true(r >= 1 and r <= read)
          if given == 200 then break end
        end
        assert.is_true(most <= ahead, ("%s: %d read ahead, %d asked"):format(call, most, ahead))
      end
    end
    assert.are.equal(1, pool:submit(function () return 1 end):result(soon))
  end)
end)
