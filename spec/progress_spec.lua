local conc = require "conc"
local helper = require "spec.helper"
local progress = require "conc.progress"

-- Runs a script on a terminal (script(1) makes it): what the terminal shows.
local function on_terminal(code, columns)
  local path = helper.write_file(os.tmpname(), code)
  local log = path .. ".log"
  local command = ("stty cols %d; exec %s %s"):format(columns or 80, helper.lua, path)
  local run = helper.run_script(nil, {
    command = { "script", "-qefc", command, log }, env = { SHELL = "/bin/sh" }, timeout = 30,
  })
  os.remove(path)
  os.remove(log)
  return run.out
end

local slow_map = [[
  local conc = require "conc"
  local pool <close> = conc.thread_pool(2)
  local list = {}
  for i = 1, %d do list[i] = i end
  local results = pool:map(function (x) conc.sleep(0.02) return x end, list, {progress = true})
  print("sum " .. #results)
]]

describe("the progress bar", function ()
  it("tells done and total, rate, time left and failures", function ()
    local bar = progress(200, "squares")
    local start = conc.now()
    bar.marks[1].time, bar.began = start - 10, start - 10
    bar:update(50, 3)
    assert.are.equal("squares   25% [######..................] 50/200  5/s  0:30 left  3 failed",
                     bar:line(start))
    bar:update(200, 0)
    assert.are.equal("squares  100% [########################] 200/200  20/s", bar:line(start))
  end)

  it("does without a total and a label", function ()
    local bar = progress(nil)
    local start = conc.now()
    bar.marks[1].time = start - 10
    bar:update(2)
    assert.are.equal("2 done  12/min", bar:line(start))
  end)

  it("writes large numbers short, and knows no division by zero", function ()
    local bar = progress(0)
    assert.are.equal("100% [########################] 0/0  0/s", bar:line(conc.now()))
    bar = progress(1000000)
    local now = conc.now()
    bar.marks[1].time = now - 1
    bar:update(123456)
    local line = bar:line(now)
    assert.is_truthy(line:find("123456/1000000  123k/s  0:07 left", 1, true), line)
  end)

  it("writes nothing where standard error is no terminal", function ()
    local run = helper.run_script(slow_map:format(12))
    assert.are.equal("sum 12\n", run.out)
    assert.are.equal("", run.err)
    run = helper.run_script [[
      local bar <close> = require("conc.progress")(10)
      for i = 1, 10 do bar:update(i) end
    ]]
    assert.are.equal("", run.out .. run.err)
  end)

  it("is drawn by a map where standard error is a terminal, not into the output", function ()
    local shown = on_terminal(slow_map:format(20))
    assert.is_truthy(shown:find("\rmap +%d+%% %[#*%.+%] %d+/20 "), shown)
    assert.is_truthy(shown:find("100%% %[#+%] 20/20  [%d.]+/s  0:00"), shown)
    assert.is_truthy(shown:find("\nsum 20\r\n"), shown)
  end)

  it("is drawn at most ten times a second, and once at the end", function ()
    local shown = on_terminal [[
      local conc = require "conc"
      local bar <close> = require("conc.progress")(1000, "work")
      local start = conc.now()
      local n = 0
      while conc.now() - start < 0.55 do
        n = n + 1
        bar:update(math.min(n, 1000))
      end
    ]]
    local _, count = shown:gsub("\rwork", "")
    assert.is_true(count >= 2 and count <= 7, count .. " times")
    local _, lines = shown:gsub("\n", "")
    assert.are.equal(1, lines)
  end)

  it("never takes more than a line", function ()
    local shown = on_terminal([[
      local bar <close> = require("conc.progress")(10, ("long label "):rep(20))
      bar:update(5)
    ]], 40)
    local line = shown:match("\r([^\27]*)\27%[K")
    assert.are.equal(39, #line)
  end)
end)
