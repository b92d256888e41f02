-- How the reference (reference.lua) is read: signatures, classes and what they
-- have in common, looking names up. For conc.help, docs/build.lua and the specs.
local reference = require "conc.reference"

local manual = {}

-- ---- names -----------------------------------------------------------------------

local by_class = {}
for _, section in ipairs(reference) do
  if section.class then by_class[section.class] = section end
end

-- The same entry under the name that it has in another class.
local function renamed(entry, class)
  local copy = {}
  for key, value in pairs(entry) do copy[key] = value end
  copy.name = entry.name:gsub("^[%w_]+([:.])", class .. "%1")
  copy.of = entry.of or entry.name
  return copy
end

-- The methods and fields of a class: its own, then those of the class that it is
-- like, but for those that it has itself, and the functions of the module that are
-- its methods as well. 'of' names where one comes from that is not its own.
function manual.members(section)
  local list, has = {}, {}
  for _, entry in ipairs(section) do
    local member = entry.name:match("^" .. (section.class or "%0") .. "[:.](.*)$")
    if member then
      list[#list + 1] = entry
      has[member] = true
    end
  end
  if section.like then
    for _, entry in ipairs(manual.members(by_class[section.like])) do
      if not has[entry.name:match("[:.](.*)$")] then
        list[#list + 1] = renamed(entry, section.class)
      end
    end
  end
  for _, entry in ipairs(section.calls or {}) do
    local call = entry.name:match("^%w+%.(.*)$")
    if not entry.field and call ~= section.class and not has[call] then
      local method = renamed(entry, section.class)
      method.name = section.class .. ":" .. call
      list[#list + 1] = method
    end
  end
  return list
end

-- The functions of the module (conc, http) in a section.
function manual.functions(section)
  local list, module = {}, section.module or "conc"
  for _, entry in ipairs(section) do
    if entry.name:match("^(%w+)%.") == module then list[#list + 1] = entry end
  end
  return list
end

function manual.sections() return reference end

function manual.class(name) return by_class[name] end

-- Every entry by its name: "conc.queue", "queue:put", "lifo_queue:put".
function manual.index()
  local index = {}
  for _, section in ipairs(reference) do
    for _, entry in ipairs(section) do index[entry.name] = entry end
    if section.class then
      for _, entry in ipairs(manual.members(section)) do index[entry.name] = entry end
    end
  end
  return index
end

-- ---- signatures --------------------------------------------------------------------

-- Splits at commas that are in no bracket: "a: fun(x, y), b?: any" in two.
local function split(text)
  local list, depth, from = {}, 0, 1
  for at, c in text:gmatch("()([%(%)%[%]{},])") do
    if c == "," and depth == 0 then
      list[#list + 1] = text:sub(from, at - 1)
      from = at + 1
    elseif c ~= "," then
      depth = depth + (c:find("[%(%[{]") and 1 or -1)
    end
  end
  if text:find("%S") then list[#list + 1] = text:sub(from) end
  return list
end

-- {name =, type =, optional =} for each parameter.
function manual.params(entry)
  local list = {}
  for _, text in ipairs(split(entry.params or "")) do
    local name, mark, kind = text:match("^%s*([%w_.]+)(%??):%s*(.-)%s*$")
    list[#list + 1] = {name = name, type = kind, optional = mark == "?"}
  end
  return list
end

-- {type =, name = or nil} for each result.
function manual.returns(entry)
  local list = {}
  for _, text in ipairs(split(entry.returns or "")) do
    local name, kind = text:match("^%s*([%w_.]+):%s*(.-)%s*$")
    list[#list + 1] = {name = name, type = kind or text:match("^%s*(.-)%s*$")}
  end
  return list
end

-- "[options,] f, ..." and "value [, timeout]"
local function shown_params(entry)
  local params, text, open = manual.params(entry), "", 0
  for i, p in ipairs(params) do
    local more = params[i + 1]
    if p.optional and more and not more.optional and more.name ~= "..." then
      text = text .. ("[%s,] "):format(p.name)
    elseif p.optional then
      text = text .. (i > 1 and " [, " or "[") .. p.name
      open = open + 1
    else
      local comma = i > 1 and text:sub(-2) ~= "] " and ", " or ""
      text = text .. comma .. p.name
    end
  end
  return text .. ("]"):rep(open)
end

-- "queue:put(value [, timeout])"
function manual.call(entry)
  if entry.field then return entry.name end
  return ("%s(%s)"):format(entry.name, shown_params(entry))
end

-- The same with the results: "-> true?, reason: string?"
function manual.signature(entry)
  local call = manual.call(entry)
  if entry.field then return call .. ": " .. entry.field end
  return entry.returns ~= "" and ("%s -> %s"):format(call, entry.returns) or call
end

-- ---- looking up -----------------------------------------------------------------------

-- "queue.put", "queue:put", "conc.queue", "queue", "Queues" -> entry, section (either may be nil)
function manual.find(name)
  local index = manual.index()
  name = name:gsub("^conc%.([%w_]+[.:])", "%1"):gsub("%(.*$", "")
  local class = name:match("^([%w_]+)[.:]")
  local entry = index[name] or index["conc." .. name]
  if not entry and class then
    entry = index[name:gsub("[.:]", ":", 1)] or index[name:gsub("[.:]", ".", 1)]
  end
  local section = by_class[name:gsub("^conc%.", "")]
  for _, other in ipairs(reference) do
    local module = not other.class and other.module
    if other.title:lower() == name:lower() or module and name:gsub("^conc%.", "") == module then
      section = other
    end
  end
  return entry, section
end

-- The methods and fields of that name, of whichever class; those of their own only.
function manual.methods(name)
  local list = {}
  for _, section in ipairs(reference) do
    for _, entry in ipairs(section.class and section or {}) do
      if entry.name:match("^" .. section.class .. "[:.](.*)$") == name then
        list[#list + 1] = entry
      end
    end
  end
  return list
end

-- All names, as a person would ask for them.
function manual.names()
  local names = {}
  for name in pairs(manual.index()) do
    names[#names + 1] = (name:gsub("^conc%.", ""):gsub(":", "."))
  end
  table.sort(names)
  return names
end

return manual
