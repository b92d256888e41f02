-- The keeper of a process hears whoever rings it.
local conc = require "conc"
local helper = require "spec.helper"

describe("a cancel from another process", function ()
  -- A poked thread is signalled by a borrowed SIGURG, and giving that back has the
  -- system throw away those that are pending: the ring for the keeper too. Then
  -- a thread never heard of its cancel from another process, and a keeper that slept
  -- for ever did not wake for new children.
  it("is heard while other threads are poked all the time", function ()
    local rounds = helper.sanitizer and 50 or 500
    local q, stop = conc.queue(), conc.event()
    local child <close> = conc.process(function ()
      for t in q:items() do t:cancel() end
    end)
    local noise <close> = conc.thread(function ()
      while not stop:is_set() do
        local t = conc.thread(function () while true do end end)
        t:cancel()
        t:join()
      end
    end)
    for i = 1, rounds do
      local t = conc.thread(function () while true do end end)
      q:put(t)
      local heard = t:join(helper.soon)
      t:cancel()
      assert.is_true(heard, "round " .. i)
    end
    stop:set()
    q:close()
    assert.is_true(child:join(helper.soon) and noise:join(helper.soon))
  end)
end)
