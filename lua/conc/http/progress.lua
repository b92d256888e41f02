-- A line on standard error that tells how far the transfers are: a bar, bytes,
-- rate, time left. Only where standard error is a terminal, unless the caller
-- gave a function to be told instead.
local core = require "conc.http_core"

local progress = {}
progress.__index = progress

local function size(bytes)
  if bytes < 1000 then return ("%.0f B"):format(bytes) end
  for _, unit in ipairs {"KB", "MB", "GB"} do
    bytes = bytes / 1000
    if bytes < 1000 then return ("%.1f %s"):format(bytes, unit) end
  end
  return ("%.1f TB"):format(bytes / 1000)
end

local function clock(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- One file is measured by its bytes, several by how many are done and, of
-- those that run, by the share of their bytes.
local function share(self, state)
  local of_bytes = state.expected > 0 and state.bytes / state.expected or 0
  if state.total == 1 then return of_bytes end
  local running = math.min(self.concurrency, state.total - state.done)
  return math.min(1, (state.done + of_bytes * running * 0.5) / state.total)
end

function progress.line(self, state, elapsed)
  local part = share(self, state)
  local width = 24
  local filled = math.floor(part * width + 0.5)
  local left = part > 0 and part < 1 and elapsed / part - elapsed
  return ("%s[%s%s] %3d%%  %s  %s/s%s"):format(
    state.total > 1 and ("%d/%d "):format(state.done, state.total) or "",
    ("#"):rep(filled), ("."):rep(width - filled), math.floor(part * 100),
    size(state.bytes), size(state.bytes / math.max(elapsed, 1e-3)),
    left and "  " .. clock(left) .. " left" or "")
end

-- option: what the caller gave as 'progress'. nil if nobody is to be told.
function progress.new(option, concurrency)
  if type(option) == "function" then
    return setmetatable({tell = option, began = core.now()}, progress)
  elseif option and core.isatty(2) then
    return setmetatable({concurrency = concurrency, began = core.now()}, progress)
  end
end

function progress:update(done, total, bytes, expected)
  local state = {done = done, total = total, bytes = bytes, expected = expected,
                 elapsed = core.now() - self.began}
  if self.tell then return self.tell(state) end
  io.stderr:write("\r", self:line(state, state.elapsed), "\27[K")
  self.shown = true
end

function progress:close()
  if self.shown then io.stderr:write("\n") end
  self.shown = false
end
progress.__close = progress.close

return progress
