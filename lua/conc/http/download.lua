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
  local quoted = value:match('^"(.-[^\\])"', stop + 1)
  local name = quoted and quoted:gsub("\\(.)", "%1") or value:match("^[^;%s]*", stop + 1)
  return download.safe_name(name)
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

-- Gives the job its part file; nil, message if there cannot be one.
function download.prepare(job, path)
  if path == "" or path:find("\0", 1, true) then
    return nil, ("cannot write %q: not a file name"):format(path)
  end
  if path:sub(-1) == "/" or core.kind(path) == "directory" then
    local folder = path:gsub("/*$", "") .. "/"
    path = folder .. (download.name_of_url(job.start) or "download")
    job.rename = server_name(folder)
  end
  local part, message = core.part(path)
  if not part then return nil, ("cannot write %s.part: %s"):format(path, message) end
  job.path, job.part = path, part
  return true
end

return download
