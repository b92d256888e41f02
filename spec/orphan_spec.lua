-- No process outlives its parent, however that ends.
local helper = require "spec.helper"

local function run(code, opts)
  return helper.run_script('local conc = require "conc"\n' .. code, opts)
end

-- A tree of processes, three deep, each with a thread.
local tree = [[
  local function grow(depth)
    conc.thread({daemon = true}, function () conc.sleep(math.huge) end)
    if depth > 0 then
      conc.process(grow, depth - 1)
      conc.process(grow, depth - 1)
    end
    if depth == 0 then io.write "x" io.stdout:flush() end
    while true do conc.sleep(1) end
  end
  conc.process(grow, 2)
]]

local grown = ("conc.sleep(%g)\n"):format(helper.pace(0.5))  -- all of it is there by then

describe("no orphan is left", function ()
  it("by a parent that is killed", function ()
    local r = run(tree .. grown .. [[
      print "ready"
      io.stdout:flush()
      conc.sleep(60)
    ]], {signal = 9, when = "ready", alone = true})
    assert.are.equal(9, r.signal)
    assert.are.equal("xxxx", r.out:match("^x*"))
    assert.are.equal(0, r.left)
  end)

  it("by os.exit", function ()
    local r = run(tree .. grown .. [[
      os.exit(5)
    ]])
    assert.are.equal(5, r.code)
    assert.are.equal("xxxx", r.out)
    assert.are.equal(0, r.left)
  end)

  it("by a parent that was terminated", function ()
    local r = run(tree .. grown .. [[
      os.execute("kill -TERM " .. conc.current():pid())
      conc.sleep(60)
    ]])
    assert.are.equal(15, r.signal)
    assert.are.equal(0, r.left)
  end)

  it("by the death of a child in the middle", function ()
    local r = run [[
      local q = conc.queue()
      local p = conc.process(function ()
        local inner = conc.process(function ()
          q:put(conc.current())
          conc.sleep(60)
        end)
        inner:join()
      end)
      local inner = q:get(10)
      p:kill()
      print(p:join(10), inner:join(10))
      print((inner:error()))
    ]]
    assert.are.equal(0, r.code, r.err)
    assert.matches('^true\ttrue\nprocess "process%-%d+" %(pid %d+%) died with its parent\n$', r.out)
    assert.are.equal(0, r.left)
  end)

  it("by threads that come and go", function ()
    local r = run [[
      for _ = 1, 20 do
        conc.thread(function () conc.process({daemon = true}, conc.sleep, 60) end):join()
      end
      local n = 0
      for _, who in ipairs(conc.list_alive()) do
        if conc.type(who) == "process" then n = n + 1 end
      end
      print(n)
    ]]
    assert.are.equal(0, r.code, r.err)
    assert.are.equal("20\n", r.out)
    assert.are.equal(0, r.left)
  end)
end)
