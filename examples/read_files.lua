-- A thread pool reads the files of a folder.
-- Watch for: the sizes come in the order of the list, and a file that cannot be read says why
-- without stopping the others.
--   lua5.4 examples/read_files.lua [FOLDER, the examples' own if not given]
local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local conc = require "conc"
local files = require "support.files"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  local text = assert(file:read("a"))
  local _, lines = text:gsub("\n", "")
  return {bytes = #text, lines = lines}
end

local paths = files.list(arg[1] or here)
paths[#paths + 1] = "/no/such/file"

local start = conc.now()
local pool <close> = conc.thread_pool(5)
local results, errors = pool:map(read, paths, {errors = "collect"})
local bytes = 0
for i, path in ipairs(paths) do
  local result = results[i]
  print(path .. "  " .. (result and ("%d bytes, %d lines"):format(result.bytes, result.lines)
    or "failed: " .. errors[i]))
  bytes = bytes + (result and result.bytes or 0)
end
print(("%d files, %d bytes: %.3f s"):format(#paths, bytes, conc.now() - start))
