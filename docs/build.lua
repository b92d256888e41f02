-- Makes, from lua/conc/reference.lua, in the build folder:
--
--   conc/meta.lua        definitions for LuaLS (an editor's completion and checks);
--   conc/meta_http.lua   the same for conc.http; both are installed with the library
--   docs/reference.md    every name, with types, results, errors and an example
--   docs/*.html          that and the other documents
--
--   lua5.4 docs/build.lua          all of it ('make docs')
--   lua5.4 docs/build.lua meta     the definitions only (a part of 'make')
package.path = "lua/?.lua;docs/?.lua;" .. package.path
local manual = require "conc.manual"
local markdown = require "markdown"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- ---- docs/reference.md -----------------------------------------------------------

local function options_table(entry)
  local lines = {"", "| option | default | |", "|---|---|---|"}
  for _, o in ipairs(entry.options) do
    lines[#lines + 1] = ("| `%s` | %s | %s |"):format(o[1]:gsub("|", "\\|"), o[2], o[3])
  end
  return table.concat(lines, "\n")
end

local function entry_markdown(entry)
  local lines = {"### `" .. manual.call(entry) .. "`", ""}
  if entry.field then
    lines[#lines + 1] = "Field: `" .. entry.field .. "`  "
  elseif entry.returns ~= "" then
    lines[#lines + 1] = "Returns `" .. entry.returns .. "`  "
  end
  local types = {}
  for _, p in ipairs(manual.params(entry)) do
    types[#types + 1] = ("`%s: %s`"):format(p.name, p.type)
  end
  if #types > 0 then lines[#lines + 1] = "Takes " .. table.concat(types, ", ") end
  if lines[#lines] ~= "" then lines[#lines + 1] = "" end
  lines[#lines + 1] = entry.text
  if entry.raises then lines[#lines + 1] = "\nRaises " .. entry.raises end
  if entry.options then lines[#lines + 1] = options_table(entry) end
  lines[#lines + 1] = "\n```lua\n" .. entry.example .. "\n```\n"
  return table.concat(lines, "\n")
end

local function inherited_line(section)
  local names = {}
  for _, entry in ipairs(manual.members(section)) do
    if entry.of then
      local call = manual.call(entry):gsub("^[%w_]+", entry.of:match("^[%w_]+"), 1)
      names[#names + 1] = ("[`%s`](#%s)"):format(entry.name:match("[:.].*$"), markdown.anchor(call))
    end
  end
  if #names > 0 then
    return ("As of %s: %s.\n"):format(section.calls and "`conc.http`"
      or ("a `%s`"):format(section.like), table.concat(names, " "))
  end
end

local function section_markdown(section)
  local lines = {"## " .. section.title, ""}
  if section.text then lines[#lines + 1] = section.text .. "\n" end
  lines[#lines + 1] = (section.like or section.calls) and inherited_line(section)
  for _, entry in ipairs(section) do lines[#lines + 1] = entry_markdown(entry) end
  return table.concat(lines, "\n")
end

local preface = [[
# Reference

<!-- Made by docs/build.lua from lua/conc/reference.lua. -->

Every name of `conc`, with the types of what it takes and returns. Each example runs after
`local conc = require "conc"` (those of `conc.http` after `local http = require "conc.http"`); its
comments `-->` say what it prints, `...` standing for anything. At the prompt,
`conc.help("queue.put")` shows the same.

In general: a timeout is a number of seconds (fractions welcome), the last argument of a waiting
call. Without one the call waits for ever; zero or less tries once. What was not to be had is
`nil, "timeout"`, `nil, "closed"` or `nil, "broken"`. A misuse raises and names function, argument,
what was expected and what came. A waiting call that is cancelled raises `conc.cancelled`; Ctrl-C
ends it too. `seconds` below is a number; `any` is a value that can be sent.
]]

local function contents()
  local lines = {}
  for _, section in ipairs(manual.sections()) do
    local title = section.title
    lines[#lines + 1] = ("- [%s](#%s)"):format(title, markdown.anchor(title))
  end
  return table.concat(lines, "\n") .. "\n"
end

local function reference_markdown()
  local parts = {preface, contents()}
  for _, section in ipairs(manual.sections()) do
    parts[#parts + 1] = section_markdown(section)
  end
  return table.concat(parts, "\n")
end

-- ---- lua/conc/meta.lua -----------------------------------------------------------

local function comment(text)
  return "---" .. text:gsub("\n", "\n---")
end

local function name_of_option(option)
  local name, kind = option:match("^([%w_]+): (.*)$")
  return name, kind
end

-- The classes of option tables, each once.
local function option_classes(out, module)
  local done = {}
  for _, section in ipairs(manual.sections()) do
    for _, entry in ipairs((section.module or "conc") == module and section or {}) do
      local class = entry.options and (entry.params or ""):match("conc%.[%w_]+_options")
      if class and not done[class] then
        done[class] = true
        out[#out + 1] = "---@class " .. class
        for _, option in ipairs(entry.options) do
          local name, kind = name_of_option(option[1])
          local text = option[3] ~= "" and " " .. option[3]:gsub("\n", " ") or ""
          out[#out + 1] = ("---@field %s? %s%s"):format(name, kind, text)
        end
        out[#out + 1] = ""
      end
    end
  end
end

local function lua_type(kind)
  return kind == "function" and "fun(...): ..." or kind
end

-- A call that begins with options may be made without them.
local function overload(entry)
  local params = manual.params(entry)
  if not (params[1] and params[1].optional and params[2] and not params[2].optional
          and params[2].name ~= "...") then
    return nil
  end
  local list, returns = {}, {}
  for i = 2, #params do list[#list + 1] = params[i].name .. ": " .. params[i].type end
  for i, r in ipairs(manual.returns(entry)) do returns[i] = r.type end
  return ("---@overload fun(%s)%s"):format(table.concat(list, ", "),
    #returns > 0 and ": " .. table.concat(returns, ", ") or "")
end

local function define(out, entry, target)
  out[#out + 1] = comment(entry.text .. (entry.raises and "\n\nRaises " .. entry.raises or ""))
  out[#out + 1] = comment("```lua\n" .. entry.example .. "\n```")
  local names = {}
  for _, p in ipairs(manual.params(entry)) do
    names[#names + 1] = p.name
    out[#out + 1] = ("---@param %s%s %s"):format(p.name, p.optional and "?" or "", lua_type(p.type))
  end
  for _, r in ipairs(manual.returns(entry)) do
    out[#out + 1] = ("---@return %s%s"):format(lua_type(r.type), r.name and " " .. r.name or "")
  end
  out[#out + 1] = overload(entry)
  out[#out + 1] = ("function %s(%s) end\n"):format(target, table.concat(names, ", "))
end

local function define_class(out, section)
  local fields = {}
  out[#out + 1] = comment(section.text or section.title)
  out[#out + 1] = ("---@class conc.%s%s"):format(section.class,
    section.like and " : conc." .. section.like or "")
  for _, entry in ipairs(manual.members(section)) do
    if entry.field and not entry.of then
      fields[#fields + 1] = ("---@field %s %s"):format(entry.name:match("%.(.*)$"), entry.field)
    end
  end
  table.move(fields, 1, #fields, #out + 1, out)
  if section.index then
    out[#out + 1] = ("---@field [%s] %s"):format(table.unpack(section.index))
  end
  if section.length then out[#out + 1] = "---@operator len: integer" end
  out[#out + 1] = ("local %s = {}\n"):format(section.class)
  for _, entry in ipairs(manual.members(section)) do
    if not entry.field and (not entry.of or section.calls) then
      define(out, entry, entry.name)
    end
  end
end

local function define_functions(out, section, module)
  for _, entry in ipairs(section) do
    if entry.name:match("^(%w+)%.") == module then
      if entry.field then
        out[#out + 1] = comment(entry.text)
        out[#out + 1] = ("---@type %s\n%s = nil\n"):format(entry.field, entry.name)
      else
        define(out, entry, entry.name)
      end
    end
  end
end

local function definitions(name, module, head)
  local out = {
    "---@meta " .. name,
    "-- Definitions for LuaLS (lua-language-server). Made by docs/build.lua from reference.lua.",
    "-- luacheck: ignore\n",
  }
  table.move(head, 1, #head, #out + 1, out)
  option_classes(out, module)
  for _, section in ipairs(manual.sections()) do
    if (section.module or "conc") == module then
      if section.class then define_class(out, section) end
      define_functions(out, section, module)
    end
  end
  out[#out + 1] = ("return %s\n"):format(module)
  return table.concat(out, "\n")
end

local function meta()
  return definitions("conc", "conc", {
    "---@alias seconds number\n",
    "---@class conc.pool_stats",
    "---@field submitted integer", "---@field running integer", "---@field done integer",
    "---@field failed integer", "---@field restarted integer\n",
    "---@class conc", "---@field _VERSION string", "local conc = {}\n",
  })
end

local response_fields = {
  "status integer", "ok boolean", "reason string", "headers conc.headers", "body string",
  "url string", "elapsed number", "path string", "bytes integer", "error string",
}

local function http_meta()
  local head = {
    "---@class conc.headers", "---@field [string] string",
    "---@field all fun(self: conc.headers, name: string): string[]\n", "---@class conc.response",
  }
  for _, field in ipairs(response_fields) do
    head[#head + 1] = "---@field " .. field:gsub(" ", "? ", 1)
  end
  table.move({"", "---@class conc.http", "local http = {}\n"}, 1, 3, #head + 1, head)
  return definitions("conc.http", "http", head)
end

-- ---- HTML ------------------------------------------------------------------------

local page = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
body { font: 16px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem;
  color: #222; background: #fff; }
nav { border-bottom: 1px solid #ccc; padding-bottom: .5rem; }
nav a { margin-right: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #f5f5f5; padding: .7rem 1rem; overflow-x: auto; border-radius: 4px; }
code { background: #f5f5f5; } pre code { background: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid #ccc; padding: .25rem .6rem; text-align: left; vertical-align: top; }
h2 { border-bottom: 1px solid #ddd; margin-top: 2.2rem; } h3 { margin-top: 1.8rem; }
a { color: #06c; text-decoration: none; } a:hover { text-decoration: underline; }
</style>
</head>
<body>
<nav>%s</nav>
%s
</body>
</html>
]]

local function title_of(text, path)
  return text:match("^# ([^\n]+)") or text:match("\n# ([^\n]+)") or path
end

local function html_name(path)
  local name = path:match("([^/]+)%.md$")
  return (name == "README" and "index" or name) .. ".html"
end

local function documents()
  local list = {"README.md"}
  local found = io.popen("ls docs/*.md")
  for path in found:lines() do list[#list + 1] = path end
  found:close()
  list[#list + 1] = (os.getenv("CONC_BUILD") or "build") .. "/docs/reference.md"
  list[#list + 1] = "CHANGELOG.md"
  return list
end

local function navigation(list)
  local links = {}
  for _, path in ipairs(list) do
    links[#links + 1] = ('<a href="%s">%s</a>'):format(html_name(path), title_of(read(path), path))
  end
  return table.concat(links, "\n")
end

-- What a page links to besides pages (plots, programs) lies beside it.
local function carry_along(html, from, folder)
  return (html:gsub('href="([^":#]+)"', function (target)
    if target:find("%.html$") then return nil end
    local name = target:gsub("^%.%./", "")
    os.execute(("mkdir -p '%s'"):format((folder .. "/" .. name):match("^(.*)/")))
    write(folder .. "/" .. name, read(from .. target))
    return ('href="%s"'):format(name)
  end))
end

local function build_html(folder)
  os.execute(("mkdir -p '%s'"):format(folder))
  local list = documents()
  local links = navigation(list)
  for _, path in ipairs(list) do
    local text = read(path)
    local html = markdown.html((text:gsub("<!%-%-.-%-%->\n?", "")))
    html = html:gsub('href="README%.html', 'href="index.html')
    html = carry_along(html, path:match("^.*/") or "", folder)
    write(folder .. "/" .. html_name(path), page:format(title_of(text, path), links, html))
  end
  print(("%s: %d pages"):format(folder, #list))
end

-- ---- run ---------------------------------------------------------------------------

local build = os.getenv("CONC_BUILD") or "build"
os.execute(("mkdir -p '%s/conc' '%s/docs'"):format(build, build))
write(build .. "/conc/meta.lua", meta())
write(build .. "/conc/meta_http.lua", http_meta())
if arg[1] ~= "meta" then
  write(build .. "/docs/reference.md", reference_markdown())
  build_html(build .. "/docs")
end
