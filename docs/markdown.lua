-- Markdown to HTML: the part of it that this project's documents use. Headings,
-- paragraphs, fenced and indented code, tables, lists (one level in another),
-- quotes; in a line code, links, emphasis. What it does not know stays text.
local markdown = {}

local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;"}

local function escape(text) return (text:gsub('[&<>"]', entities)) end

-- As GitHub makes the anchor of a heading.
function markdown.anchor(title)
  return (title:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

-- Code spans are taken out first, and put back when the rest is done.
local function inline(text)
  local codes = {}
  local function keep(html)
    codes[#codes + 1] = html
    return ("\1%d\1"):format(#codes)
  end
  text = text:gsub("``(.-)``", function (c) return keep("<code>" .. escape(c) .. "</code>") end)
  text = text:gsub("`([^`]+)`", function (c) return keep("<code>" .. escape(c) .. "</code>") end)
  text = escape(text)
  text = text:gsub("%[([^%]]+)%]%(([^%s)]+)%)", function (label, target)
    target = target:gsub("^([%w/_.-]+)%.md", "%1.html"):gsub("^docs/", "")
    return keep(('<a href="%s">'):format(target)) .. label .. keep("</a>")
  end)
  text = text:gsub("&lt;(https?://[^%s&]+)&gt;", '<a href="%1">%1</a>')
  text = text:gsub("%*%*(.-)%*%*", "<strong>%1</strong>")
  text = text:gsub("%f[%w*]%*(%S[^*]*)%*", "<em>%1</em>")
  repeat
    local count
    text, count = text:gsub("\1(%d+)\1", function (n) return codes[tonumber(n)] end)
  until count == 0
  return text
end

local function cells(line)
  local list, inside, cell = {}, false, ""
  for c in line:gsub("^%s*|", ""):gsub("|%s*$", ""):gmatch(".") do
    if c == "`" then inside = not inside end
    if c == "|" and not inside then
      list[#list + 1] = cell
      cell = ""
    else
      cell = cell .. c
    end
  end
  list[#list + 1] = cell
  return list
end

local function row(line, tag)
  local out = {}
  for _, cell in ipairs(cells(line)) do
    out[#out + 1] = ("<%s>%s</%s>"):format(tag, inline(cell:match("^%s*(.-)%s*$")), tag)
  end
  return "<tr>" .. table.concat(out) .. "</tr>"
end

-- ---- blocks: each takes lines from 'at' on and returns HTML and the next line --------

local function fence(lines, at)
  local mark, out = lines[at]:match("^%s*(```+)"), {}
  at = at + 1
  while lines[at] and not lines[at]:find("^%s*" .. mark .. "%s*$") do
    out[#out + 1] = escape(lines[at])
    at = at + 1
  end
  return "<pre><code>" .. table.concat(out, "\n") .. "</code></pre>", at + 1
end

local function indented(lines, at)
  local out = {}
  while lines[at] and (lines[at]:find("^    ") or lines[at] == "" and
                       (lines[at + 1] or ""):find("^    ")) do
    out[#out + 1] = escape(lines[at]:sub(5))
    at = at + 1
  end
  return "<pre><code>" .. table.concat(out, "\n") .. "</code></pre>", at
end

local function table_of(lines, at)
  local out = {"<table>", row(lines[at], "th")}
  at = at + 2
  while lines[at] and lines[at]:find("^%s*|") do
    out[#out + 1] = row(lines[at], "td")
    at = at + 1
  end
  out[#out + 1] = "</table>"
  return table.concat(out, "\n"), at
end

local function bullet(line)
  local spaces, mark, text = line:match("^(%s*)([-*+])%s+(.*)$")
  if not mark then spaces, mark, text = line:match("^(%s*)(%d+%.)%s+(.*)$") end
  if mark then return #spaces, mark:find("%d") and "ol" or "ul", text end
end

local blocks

-- Is the line a further one of an item at that depth?
local function belongs(lines, at, depth)
  local line, following = lines[at], lines[at + 1] or ""
  if not line or bullet(line) and bullet(line) <= depth then return false end
  return line:find("^%s+%S") or line == "" and following:find("^%s+%S")
end

local function list_of(lines, at)
  local depth, tag = bullet(lines[at])
  local out = {"<" .. tag .. ">"}
  while lines[at] do
    local d, t, text = bullet(lines[at])
    if not d or d < depth or t ~= tag and d == depth then break end
    local item = {text}
    at = at + 1
    while belongs(lines, at, depth) do
      local spaces = math.min(depth + 2, #lines[at]:match("^%s*"))
      item[#item + 1] = lines[at]:sub(spaces + 1)
      at = at + 1
    end
    local html = blocks(item)
    if not html:find("</p>.*</?p>") then html = html:gsub("^<p>(.-)</p>", "%1") end
    out[#out + 1] = "<li>" .. html .. "</li>"
    if lines[at] == "" and bullet(lines[at + 1] or "") then at = at + 1 end
  end
  out[#out + 1] = "</" .. tag .. ">"
  return table.concat(out, "\n"), at
end

local function quote(lines, at)
  local inner = {}
  while lines[at] and lines[at]:find("^>") do
    inner[#inner + 1] = lines[at]:gsub("^> ?", "")
    at = at + 1
  end
  return "<blockquote>\n" .. blocks(inner) .. "\n</blockquote>", at
end

local function heading(line)
  local marks, title = line:match("^(#+)%s+(.-)%s*$")
  local level = #marks
  return ('<h%d id="%s">%s</h%d>'):format(level, markdown.anchor(title), inline(title), level)
end

local function starts_block(lines, at)
  local line = lines[at]
  return line:find("^#+%s") or line:find("^%s*```") or line:find("^>") or bullet(line)
    or line:find("^%s*|") and (lines[at + 1] or ""):find("^%s*|[%s:|-]+$")
end

local function paragraph(lines, at)
  local out = {}
  repeat
    out[#out + 1] = lines[at]
    at = at + 1
  until not lines[at] or lines[at] == "" or starts_block(lines, at)
  return "<p>" .. inline(table.concat(out, "\n")) .. "</p>", at
end

function blocks(lines)
  local out, at = {}, 1
  while lines[at] do
    local line, html = lines[at], nil
    if line:find("^%s*$") then
      at = at + 1
    elseif line:find("^#+%s") then
      html, at = heading(line), at + 1
    elseif line:find("^%s*```") then
      html, at = fence(lines, at)
    elseif line:find("^    ") then
      html, at = indented(lines, at)
    elseif line:find("^>") then
      html, at = quote(lines, at)
    elseif bullet(line) then
      html, at = list_of(lines, at)
    elseif starts_block(lines, at) then
      html, at = table_of(lines, at)
    else
      html, at = paragraph(lines, at)
    end
    out[#out + 1] = html
  end
  return table.concat(out, "\n")
end

function markdown.html(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return blocks(lines)
end

return markdown
