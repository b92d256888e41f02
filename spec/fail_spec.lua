-- The n-th allocation fails, for n = 1, 2, 3 ... until none does: an error each
-- time, or the thing is done without; and nothing is left behind.
-- timeout: 300
local core = require "conc.core"
local operations = require "spec.failing"
require "spec.helper"  -- its leak check

-- What a process fails by is its own: it counts from the fork on. So this goes on
-- for a while when nothing has failed any more here.
local function walk(run)
  local failed, whole = 0, 0
  for n = 1, 3000 do
    core._fail(n)
    local ok, e = pcall(run)
    local fired = core._fail(0) <= 0
    if not ok then
      failed = failed + 1
      e = tostring(e)
      assert.is_true(e:find("shared memory is full", 1, true) ~= nil
        or e:find("no worker could be started", 1, true) ~= nil, ("the %d-th: %s"):format(n, e))
    end
    whole = ok and not fired and whole + 1 or 0
    if whole == 10 then return failed end
  end
  error("there is no end to it")
end

describe("shared memory that is full at the n-th allocation", function ()
  for _, operation in ipairs(operations) do
    it("costs an error and nothing else: " .. operation.name, function ()
      operation.run()
      local failed = walk(operation.run)
      assert.is_true(failed > 0)
      operation.run()
    end)
  end
end)
