-- conc in a C program: examples/host, built with libconc.a.
local helper = require "spec.helper"

describe("the host in C", function ()
  it("has two main states, a queue between them, and a thread without Lua", function ()
    local r = helper.run_script(nil, { command = { helper.build .. "/host" }, timeout = 20 })
    assert.are.equal("", r.err)
    assert.are.equal(table.concat({
      "state two gets: example host, seen from a thread of conc",
      "state one gets: a table from state two, with 3 elements",
      "state one gets: 100", "state one gets: 200", "state one gets: 300",
      "state one gets: from C", "state two gets: still here", "" }, "\n"), r.out)
    assert.are.equal(0, r.code)
  end)
end)
