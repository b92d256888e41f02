-- Where a download goes: the part file of a path, or, of a folder, the name
-- that the server gives, made harmless.
local core = require "conc.http_core"

local download = {}

-- A name for a file, out of anything: no folders, no control characters, not
-- hidden, not too long. nil if nothing is left.
function download.safe_name(name)
  name = name:gsub("[%c]", ""):gsub("^.*[/\\]", ""):gsub("^[%s.~-]+", ""):gsub("[%s.]+$", "")
  name = name:gsub('[<>:"|?*]', "_")
  if #name > 200 then  -- keep the ending; cut at a whole UTF-8 character
    local ending = name:match("%.%w+$") or ""
    if #ending > 20 then ending = "" end
    name = name:sub(1, 200 - #ending):gsub("[\xC0-\xFF][\x80-\xBF]*$", "") .. ending
  end
  return name ~= "" and name or nil
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function (hex) return string.char(tonumber(hex, 16)) end))
end

function download.name_of_url(url)
  local path = url:gsub("[?#].*$", ""):gsub("^%a[%w+.-]*://[^/]*", "")
  return download.safe_name(unescape(path:match("[^/]*$")))
end

-- "text", a backslash before a character stands for that character; or one word
local function quoted_or_word(text)
  if text:sub(1, 1) ~= '"' then return text:match("^[^;%s]*") end
  local out, i = {}, 2
  while i <= #text do
    local c = text:sub(i, i)
    if c == '"' then break end
    if c == "\\" then
      i = i + 1
      c = text:sub(i, i)
    end
    out[#out + 1] = c
    i = i + 1
  end
  return table.concat(out)
end

-- filename* (RFC 6266, UTF-8) before filename
function download.name_of_disposition(value)
  if not value then return nil end
  local lower = value:lower()
  local at = lower:find("filename%*%s*=%s*utf%-8'[^']*'")
  if at then
    local text = value:sub(at):match("'[^']*'([^;%s]*)")
    return download.safe_name(unescape(text))
  end
  local _, stop = lower:find("filename%s*=%s*")
  if not stop then return nil end
  return download.safe_name(quoted_or_word(value:sub(stop + 1)))
end

-- The path that the file gets at the end, once the server has named it.
local function server_name(folder)
  return function (job, res)
    local name = download.name_of_disposition(res.headers["content-disposition"])
    if name and folder .. name ~= job.path then
      job.path, job.keep_existing = folder .. name, true
    end
    return job.path
  end
end

local function in_folder(job, path)
  local folder = path:gsub("/*$", "") .. "/"
  job.rename = server_name(folder)
  return folder .. (download.name_of_url(job.start) or "download")
end

-- Gives the job its part file, at its first try; otherwise the message why
-- there cannot be one.
function download.open(job)
  local path = job.path
  if path == "" or path:find("\0", 1, true) then
    return ("cannot write %q: not a file name"):format(path)
  end
  if path:sub(-1) == "/" then path = in_folder(job, path) end
  local part, message, directory = core.part(path)
  if directory and not job.rename then
    path = in_folder(job, path)
    part, message = core.part(path)
  end
  job.path, job.part = path, part or nil
  return not part and ("cannot write %s.part: %s"):format(path, message) or nil
end

return download
