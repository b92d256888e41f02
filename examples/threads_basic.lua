-- Numbers and letters with a pause after each: one after the other, then in two threads.
-- Watch for: in threads the lines mix, and the second total is about half of the first,
-- since a thread that waits leaves the time to the other.
--   lua5.4 examples/threads_basic.lua [SECONDS A STEP, 0.2 if not given; 2 gives 20 s and 10 s]
local conc = require "conc"
local delay = tonumber(arg[1]) or 0.2

local function numbers()
  for number = 0, 4 do
    print(number)
    conc.sleep(delay)
  end
end

local function letters()
  for letter in ("ABCDE"):gmatch(".") do
    print(letter)
    conc.sleep(delay)
  end
end

local start = conc.now()
numbers()
letters()
print(("one after the other: %.2f s"):format(conc.now() - start))

start = conc.now()
local first = conc.thread(numbers)
local second = conc.thread(letters)
first:join()
second:join()
print(("in two threads: %.2f s"):format(conc.now() - start))
