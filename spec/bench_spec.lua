-- What 'make bench' runs: it builds the floors, asks two cheap questions in turns, and prints
-- a table with their figures. How fast anything is, is not tested here.
local helper = require "spec.helper"

describe("bench/run.lua", function ()
  if helper.sanitizer then
    it("measures", function () pending("how fast anything is under a sanitizer says nothing") end)
    return
  end

  it("prints a table of what was asked", function ()
    local run = helper.run_script("bench/run.lua", {
      args = { "--quick", "^lock$", "^codec$" }, timeout = 20,
    })
    assert.is_false(run.timeout)
    assert.are.equal(0, run.code, run.err)
    assert.are.equal(0, run.left)
    local rows = 0
    for row in run.out:gmatch("[^\n]+") do
      local who, median, low, high = row:match(
        "^|[^|]*| (%a[^|]*) | ([%d.]+) %S+ | ([%d.]+) %S+ %- ([%d.]+) %S+ |")
      if who then
        rows = rows + 1
        assert.is_true(tonumber(median) > 0, row)
        assert.is_truthy(tonumber(low) and tonumber(high), row)
      end
    end
    assert.is_true(rows >= 4, run.out)  -- conc and a floor, twice
    assert.is_truthy(run.out:find("| 1.8 times two empty methods | ", 1, true), run.out)
    assert.is_truthy(run.out:find("| 2.5 times building it in Lua | ", 1, true), run.out)
  end)

  it("says so when nothing matches", function ()
    local run = helper.run_script("bench/run.lua", { args = { "no such question" }, timeout = 20 })
    assert.are.equal(2, run.code)
    assert.is_truthy(run.err:find("no question matches", 1, true))
  end)
end)
