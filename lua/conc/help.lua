-- conc.help([name]) -> text: the reference at the prompt.
--
--   > conc.help("queue.put")     a method; also "queue:put"
--   > conc.help("put")           the methods of that name
--   > conc.help("queue")         a function and its class; also an object
--   > conc.help(conc.select)     a function of conc, a method
--   > conc.help()                the list of all
local conc = require "conc"
local core = require "conc.core"
local manual = require "conc.manual"

local function indent(text, by)
  return (text:gsub("[^\n]+", (" "):rep(by or 2) .. "%0"))
end

local function plain(text) return (text:gsub("`", "")) end

local function options_text(entry)
  local lines = {"Options:"}
  for _, option in ipairs(entry.options) do
    local default = option[2] ~= "none" and (" (default %s)"):format(plain(option[2])) or ""
    local text = plain(option[3]):gsub("\n", " ")
    lines[#lines + 1] = ("  %s%s%s"):format(option[1], text ~= "" and "  " or "", text .. default)
  end
  return table.concat(lines, "\n")
end

local function entry_text(entry)
  local parts = {manual.signature(entry), indent(plain(entry.text))}
  if entry.raises then parts[#parts + 1] = indent("Raises " .. plain(entry.raises)) end
  if entry.options then parts[#parts + 1] = indent(options_text(entry)) end
  parts[#parts + 1] = indent("Example:\n" .. indent(entry.example))
  return table.concat(parts, "\n\n")
end

local function list_text(title, entries)
  local lines = {title}
  for _, entry in ipairs(entries) do lines[#lines + 1] = "  " .. manual.signature(entry) end
  return table.concat(lines, "\n")
end

local function section_text(section)
  local parts = {section.title, section.text and indent(plain(section.text))}
  local functions = manual.functions(section)
  if #functions > 0 then parts[#parts + 1] = list_text("Functions", functions) end
  local members = section.class and manual.members(section) or {}
  if #members > 0 then parts[#parts + 1] = list_text("Methods", members) end
  return table.concat(parts, "\n\n")
end

local function contents()
  local parts = {'conc.help("name") tells more of any of these:'}
  for _, section in ipairs(manual.sections()) do
    local names = {}
    for _, entry in ipairs(manual.functions(section)) do names[#names + 1] = entry.name end
    for _, entry in ipairs(section.class and manual.members(section) or {}) do
      names[#names + 1] = (entry.name:gsub("^[%w_]+", ""))
    end
    parts[#parts + 1] = ("%s\n  %s"):format(section.title, table.concat(names, " "))
  end
  return table.concat(parts, "\n")
end

-- The name of a function of conc, or of a method of a class.
local function name_of(f)
  for name, value in pairs(conc) do
    if rawequal(value, f) then return "conc." .. name end
  end
  for _, section in ipairs(manual.sections()) do
    local ok, methods = pcall(core._methods, section.class)
    for name, value in pairs(ok and type(methods) == "table" and methods or {}) do
      if rawequal(value, f) then return section.class .. ":" .. name end
    end
  end
end

-- What there may be instead of a name that is not there.
local function instead_of(name)
  local near = require("conc.suggest")(name, manual.names())
  if near then return ("; did you mean '%s'?"):format(near) end
  local list = {}
  for _, known in ipairs(manual.names()) do
    if known:find(name, 1, true) and not known:find(".", 1, true) then list[#list + 1] = known end
  end
  return #list > 0 and "; there is " .. table.concat(list, ", ") or ""
end

return function (name)
  if name == nil then return contents() end
  local wanted = conc.type(name) or type(name) == "function" and name_of(name) or name
  if type(wanted) ~= "string" then
    error(("bad argument #1 to 'help' (name, object or function of conc expected, got %s)")
          :format(type(name)), 2)
  end
  local entry, section = manual.find(wanted)
  local parts = {}
  for _, other in ipairs(entry and {entry} or section and {} or manual.methods(wanted)) do
    parts[#parts + 1] = entry_text(other)
  end
  if #parts == 0 and not section then
    error(("no '%s' in the reference%s"):format(wanted, instead_of(wanted)), 2)
  end
  if section then parts[#parts + 1] = section_text(section) end
  return table.concat(parts, "\n\n") .. "\n"
end
