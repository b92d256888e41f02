-- timeout: 400
-- Long use does not creep: what the arena held before is what it holds after.
local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"

-- A hundredth under a sanitizer.
local scale = helper.sanitizer and 0.01 or 1

local function live()
  collectgarbage()
  collectgarbage()
  local arena = core._arena(true)
  return arena.live - arena.kept
end

local function settled(before)
  return helper.eventually(function () return live() <= before end)
end

describe("a soak", function ()
  it("of ten million messages of mixed sizes", function ()
    local n = math.floor(10000000 * scale)
    local before = live()
    do
      local q = conc.queue(4096)
      local producer <close> = conc.thread(function (out, count)
        local sizes = { 0, 7, 40, 200, 700, 5000 }
        local texts = {}
        for i, size in ipairs(sizes) do texts[i] = ("s"):rep(size) end
        local batch = {}
        for i = 1, count do
          local k = i % 100
          local item = i
          if k == 0 then item = { id = i, text = texts[i // 100 % 6 + 1] }
          elseif k < 6 then item = texts[k + 1] end
          batch[#batch + 1] = item
          if #batch == 50 or i == count then
            out:put_many(batch)
            batch = {}
          end
          if i % 1000000 == 0 then out:put(("L"):rep(3000000)) end
        end
        out:close()
      end, q, n)
      local got, large, sum = 0, 0, 0
      while true do
        local items = q:get_many(200)
        if not items then break end
        for _, item in ipairs(items) do
          if type(item) == "string" and #item > 1000000 then large = large + 1
          else got = got + 1 end
          if math.type(item) == "integer" then sum = sum + 1 end
        end
      end
      assert.are.equal(n, got)
      assert.are.equal(n // 1000000, large)
      assert.is_true(producer:join(helper.soon))
    end
    assert.is_truthy(settled(before))
  end)

  it("of ten thousand threads", function ()
    local before = live()
    for i = 1, math.floor(10000 * scale) do
      assert.are.equal(i, conc.thread(function (x) return x end, i):result(helper.soon))
    end
    assert.is_truthy(settled(before))
  end)

  it("of ten thousand processes", function ()
    local before = live()
    for i = 1, math.floor(10000 * scale) do
      assert.are.equal(i, conc.process(function (x) return x end, i):result(helper.soon))
    end
    assert.is_truthy(settled(before))
  end)

  it("of a full arena, which works again once something is freed", function ()
    local r = helper.run_script([[
      local conc = require "conc"
      local q = conc.queue()
      local text, n = ("x"):rep(1 << 20), 0
      local ok, err
      repeat
        ok, err = pcall(q.put, q, text)
        if ok then n = n + 1 end
      until not ok
      assert(err:find("shared memory is full", 1, true), err)
      assert(n > 10, n)
      assert(q:get() == text)
      assert(q:put(text))
      for _ = 1, n do q:get() end
      local small = 0
      repeat ok, err = pcall(q.put, q, ("y"):rep(1000)) small = small + 1 until not ok
      for _ = 1, small - 1 do q:get() end
      for _ = 1, n - 2 do assert(q:put(text)) end
      for _ = 1, n - 2 do q:get() end
      local t = conc.thread(function () return "fine" end)
      print(t:result(5))
    ]], { env = { CONC_ARENA = "64M" }, timeout = 60 })
    assert.are.equal("", r.err)
    assert.are.equal("fine\n", r.out)
    assert.are.equal(0, r.code)
  end)
end)
