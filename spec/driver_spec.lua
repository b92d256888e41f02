-- The test driver itself: what must fail a run does, and is told.
local helper = require "spec.helper"

local function sh(command, ...)
  return helper.run_script(nil, { command = { "sh", "-c", command:format(...) } })
end

describe("spec/run.lua", function ()
  local folder

  setup(function ()
    folder = sh("mktemp -d").out:match("%S+")
    local made = sh("mkdir %s/spec && ln -s '%s/spec/bounded' %s/spec", folder, helper.build,
                    folder)
    assert.are.equal(0, made.code)
  end)
  teardown(function () sh("rm -rf '%s'", folder) end)

  -- Runs a spec file with this body inside a 'describe'.
  local function drive(body, head, env)
    local file = helper.write_file(folder .. "/made_spec.lua",
      (head or "") .. "\ndescribe('made', function ()\n" .. body .. "\nend)\n")
    local plain = { TEST_REPORTS = "", TEST_COMMAND = "", TEST_SLOW = 1, FILTER = "" }
    for name, value in pairs(env or {}) do plain[name] = value end
    return helper.run_script("spec/run.lua", { args = { folder, file }, env = plain })
  end

  local function last_line(run) return run.out:match("([^\n]+)\n$") end

  it("counts what passes, fails and is skipped", function ()
    local run = drive [[
      it("a", function () end)
      it("b", function () assert.are.equal(1, 2) end)
      it("c", function () error({}) end)
      it("d", function () pending("why") end)
    ]]
    assert.are.equal("1 passed, 2 failed, 1 skipped", last_line(run))
    assert.are.equal(1, run.code)
    assert.is_truthy(run.out:find("not ok 2 - made b", 1, true))
    run = drive [[it("a", function () end)]]
    assert.are.equal("1 passed, 0 failed, 0 skipped", last_line(run))
    assert.are.equal(0, run.code)
  end)

  it("fails a file that crashes in a test, and names the test", function ()
    local run = drive [[
      it("a", function () end)
      it("b", function ()
        os.execute("kill -KILL " .. require("conc").current():pid())
        require("system").sleep(9)
      end)
    ]]
    assert.are.equal("1 passed, 1 failed, 0 skipped", last_line(run))
    assert.is_truthy(run.out:find("was killed by signal 9, in: made b", 1, true))
    assert.are.equal(1, run.code)
  end)

  it("fails a file that ends badly after its last test", function ()
    local run = drive([[it("a", function () end)]],
      "setmetatable({}, { __gc = function () os.exit(3) end })")
    assert.is_truthy(run.out:find("ended with exit code 3 after its last test", 1, true))
    assert.are.equal("1 passed, 1 failed, 0 skipped", last_line(run))
  end)

  it("fails a file that leaves in the middle", function ()
    local run = drive [[it("a", function () os.exit(0) end)]]
    assert.is_truthy(run.out:find("ended early, in: made a", 1, true))
    assert.are.equal("0 passed, 1 failed, 0 skipped", last_line(run))
  end)

  it("fails a file without tests, and one that does not load", function ()
    assert.are.equal("0 passed, 1 failed, 0 skipped", last_line(drive("")))
    assert.are.equal("0 passed, 1 failed, 0 skipped", last_line(drive("", "x = = 1")))
  end)

  it("begins no file when its time is over, and tells which", function ()
    local run = drive([[it("a", function () end)]], "", { TEST_BUDGET = -1 })
    assert.is_truthy(run.out:find("not run, the time is over: made_spec.lua", 1, true))
    assert.are.equal("0 passed, 0 failed, 0 skipped", last_line(run))
    assert.are.equal(0, run.code)
  end)

  it("kills what takes too long", function ()
    local run = drive([[it("a", function () while true do end end)]], "-- timeout: 1")
    assert.is_truthy(run.out:find("took longer than 1 s and was killed, in: made a", 1, true))
    assert.are.equal("0 passed, 1 failed, 0 skipped", last_line(run))
  end)

  it("finds and kills what is left behind", function ()
    local run = drive [[it("a", function () os.execute("setsid sleep 1000 &") end)]]
    local pid = run.out:match("left processes behind: 1 (%d+):sleep")
    assert.is_truthy(pid, run.out)
    assert.is_nil(io.open("/proc/" .. pid .. "/stat"))
    assert.are.equal("1 passed, 1 failed, 0 skipped", last_line(run))
  end)
end)
