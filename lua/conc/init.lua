-- conc: threads, processes and pools for Lua 5.4.   local conc = require "conc"
--
-- The functions of the C core (conc.core), and what Lua says better: each of
-- those in a file of its own, loaded when it is first used, since this file
-- is read in every thread whose function mentions conc.
local core = require "conc.core"

local conc = {}

for name, value in pairs(core) do
  if name:sub(1, 1) ~= "_" then conc[name] = value end
end

conc._VERSION = "conc 0.1.0"

-- Functions by the file that they come from: what it returns, or a field of that.
local files = {
  as_completed = {"conc.wait", "as_completed"},
  generate = {"conc.generate"},
  help = {"conc.help"},
  process_pool = {"conc.pool", "process_pool"},
  supervise = {"conc.supervise"},
  thread_pool = {"conc.pool", "thread_pool"},
  wait = {"conc.wait", "wait"},
}

local function load_from(file)
  local loaded = require(file[1])
  return file[2] and loaded[file[2]] or loaded
end

-- Modules of their own, for who looks for them here.
local modules = { http = "conc.http", timeline = "conc.timeline" }

local function misspelt(name)
  local text = ("no '%s' in conc"):format(tostring(name))
  if modules[name] then
    return ('%s; it is a module of its own: require "%s"'):format(text, modules[name])
  end
  local names = {}
  for known in next, conc do names[known] = true end
  for known in pairs(files) do names[known] = true end
  local near = require("conc.suggest")(name, names)
  return near and ("%s; did you mean '%s'?"):format(text, near) or text
end

return setmetatable(conc, {
  __index = function (_, name)
    local file = files[name]
    if not file then error(misspelt(name), 2) end
    conc[name] = load_from(file)
    return conc[name]
  end,

  -- Everything, for who lists the names.
  __pairs = function ()
    for name, file in pairs(files) do conc[name] = load_from(file) end
    return next, conc, nil
  end,
})
