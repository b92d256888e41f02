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

  -- Whoever has not the other libraries and runs it does not lose their columns.
  describe("with --write, README.md", function ()
    local folder

    local function sh(command, ...)
      local words = { "sh", "-ec", command:format(...) }
      local r = helper.run_script(nil, { command = words, timeout = 20 })
      assert(r.code == 0, r.err)
      return r.out
    end

    local function read(path)
      local file <close> = assert(io.open(path, "rb"))
      return file:read("a")
    end

    local before = "above\n<!-- compare: begin -->\nold\n<!-- compare: end -->\nbelow\n"

    -- A tree with a README, and libraries that can be required; that is all they can.
    setup(function ()
      folder = sh("mktemp -d"):match("%S+")
      sh("cp -r bench lua '%s' && cd '%s' && mkdir docs build peers peers/cqueues", folder, folder)
      sh("ln -s \"$(realpath '%s')/conc\" '%s/build/conc'", helper.build, folder)
      helper.write_file(folder .. "/docs/performance.md",
        "<!-- bench: begin -->\n<!-- bench: end -->\n")
      for _, name in ipairs { "effil", "llthreads2", "mtmsg", "luaproc", "luv", "cqueues",
                              "cqueues/thread" } do
        helper.write_file(("%s/peers/%s.lua"):format(folder, name), "return {}")
      end
    end)
    teardown(function () sh("rm -rf '%s'", folder) end)

    local function measure(lanes)
      helper.write_file(folder .. "/peers/lanes.lua", lanes)
      helper.write_file(folder .. "/README.md", before)
      local paths = ("%s/peers/?.lua;;"):format(folder)
      local run = helper.run_script(folder .. "/bench/run.lua", {
        args = { "--quick", "--write", "^spawn%-process$" }, timeout = 40,
        env = { CONC_BUILD = folder .. "/build", LUA_PATH_5_4 = paths, PYTHON = "true" },
      })
      assert.are.equal(0, run.code, run.err)
      return run, read(folder .. "/README.md")
    end

    it("gets a table of all beside each other", function ()
      local _, text = measure("return {}")
      local head = text:match("\n(| | conc |[^\n]*)")
      local row = text:match("\n(| start and join a process |[^\n]*)")
      assert.are.equal("| | conc | Lanes | effil | llthreads2 + mtmsg | luaproc | luv | cqueues "
        .. "| Python |", head)
      assert.is_truthy(row:find("^| start and join a process | [%d.]+ %S+ |"), text)
      assert.is_truthy(text:find("^above\n<!") and text:find("\nbelow\n$"), text)
      assert.is_falsy(text:find("old", 1, true))
    end)

    it("keeps its table where one of them is not installed", function ()
      local run, text = measure("error('not installed')")
      assert.are.equal(before, text)
      assert.is_truthy(run.err:find("README.md keeps its table, for these are not installed: Lanes",
        1, true), run.err)
      assert.is_truthy(run.out:find("; not installed: Lanes\n", 1, true), run.out)
    end)
  end)
end)
