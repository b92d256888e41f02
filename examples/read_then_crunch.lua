-- Threads read files, processes count the words in them, a bounded queue lies between.
-- Watch for: the queue holds at most 4 texts, so readers never run far ahead of the counters;
-- closing it tells the counters that no more will come.
--   lua5.4 examples/read_then_crunch.lua [FOLDER, the examples' own if not given]
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local conc = require "conc"
local files = require "support.files"

local paths, texts = conc.queue(), conc.queue(4)

local function read()
  for path in paths:items() do
    local file <close> = assert(io.open(path, "rb"))
    texts:put(file:read("a"))
  end
end

local function crunch()
  local words = 0
  for text in texts:items() do
    for _ in text:gmatch("%a+") do words = words + 1 end
  end
  return words
end

local start, total = conc.now(), 0
local crunchers = {conc.process(crunch), conc.process(crunch)}
local readers = {conc.thread(read), conc.thread(read)}
local count = paths:put_many(files.list(arg[1] or here))
paths:close()
for _, reader in ipairs(readers) do reader:result() end
texts:close()
for _, cruncher in ipairs(crunchers) do
  local words = cruncher:result()
  print(cruncher:name() .. ": " .. words .. " words")
  total = total + words
end
print(("%d files, %d words: %.3f s"):format(count, total, conc.now() - start))
