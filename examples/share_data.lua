-- A queue, a list, a value and an array, changed by a child process and read by its parent.
-- Watch for: what the child wrote is there, 'data', ['data'] and 1 [1, 1, 2, 3], while the plain
-- table that it changed was a copy. A pipe carries questions and answers, both ways.
local conc = require "conc"

local queue, list = conc.queue(), conc.list()
local value, array = conc.value(0), conc.array("i32", {0, 1, 2, 3})
local plain = {"unchanged"}

local function change()
  queue:put("data")
  list:append("data")
  value:set(1)
  array[1] = 1
  plain[1] = "changed"
end

local child = conc.process(change)
child:join()
print(queue:get())
print("['" .. table.concat(list:totable(), "', '") .. "']")
print(("%d [%d, %d, %d, %d]"):format(value:get(), array[1], array[2], array[3], array[4]))
print("a plain table is copied: " .. plain[1])

local here, there = conc.pipe()
local shouter = conc.process(function ()
  there:send(there:recv():upper() .. "!")
end)
here:send("hello")
print(here:recv())
shouter:join()
