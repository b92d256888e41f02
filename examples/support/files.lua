-- The files of a folder, sorted, for the examples that read many: files.list(folder).
local files = {}

function files.list(folder)
  local quoted = "'" .. folder:gsub("'", "'\\''") .. "'"
  local paths = {}
  local listing <close> = assert(io.popen("find -H " .. quoted .. " -maxdepth 1 -type f | sort"))
  for path in listing:lines() do
    paths[#paths + 1] = path
  end
  return paths
end

return files
