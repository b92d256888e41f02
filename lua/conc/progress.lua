-- A progress bar on standard error, where that is a terminal; elsewhere nothing
-- is ever written.
--
--   local progress = require "conc.progress"
--   local bar <close> = progress(total, "squares")   -- total nil: not known
--   bar:update(done, failed)                         -- as often as you like
--   bar:finish()                                     -- or by <close>
--
--   squares  42% [##########..............] 4200/10000  1.2k/s  0:05 left  3 failed
--
-- It is drawn at most ten times a second and takes one line, which other
-- output to the same terminal pushes down: at the end there is one last line.
local conc = require "conc"
local core = require "conc.core"

local interval = 0.1
local bar_width = 24
local memory = 5           -- seconds that the rate looks back

local bar = {}
bar.__index = bar
bar.__name = "conc.progress"

local function count(n)
  if n < 10000 then return ("%d"):format(n) end
  for _, unit in ipairs {"k", "M", "G"} do
    n = n / 1000
    if n < 999.5 then return ("%.3g%s"):format(n, unit) end
  end
  return ("%.0fT"):format(n / 1000)
end

local function per_second(rate)
  if rate >= 100 then return count(math.floor(rate + 0.5)) .. "/s" end
  if rate >= 1 or rate == 0 then return ("%.3g/s"):format(rate) end
  return ("%.3g/min"):format(rate * 60)
end

local function clock(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 100 * 3600 then return ("%dd"):format(seconds // 86400) end
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Items a second: over the last few seconds, so that it follows what happens.
local function rate_of(self, now)
  local marks = self.marks
  while #marks > 1 and marks[2].time < now - memory do table.remove(marks, 1) end
  local first = marks[1]
  local span = now - first.time
  return span > 0 and (self.done - first.done) / span or 0
end

local function note_mark(self, now)
  local marks = self.marks
  if now - marks[#marks].time >= memory / 10 then
    marks[#marks + 1] = {time = now, done = self.done}
  end
end

-- The text of the line, without colours or control characters.
function bar:line(now)
  now = now or conc.now()
  local parts, done, total = {}, self.done, self.total
  if self.label then parts[#parts + 1] = self.label end
  local rate = rate_of(self, now)
  if total then
    local share = total > 0 and math.min(1, done / total) or 1
    local filled = math.floor(share * bar_width)
    parts[#parts + 1] = ("%3d%% [%s%s] %d/%d"):format(math.floor(share * 100),
      ("#"):rep(filled), ("."):rep(bar_width - filled), done, total)
  else
    parts[#parts + 1] = ("%d done"):format(done)
  end
  if self.ended then
    local took = now - self.began
    parts[#parts + 1] = per_second(took > 0 and done / took or 0)
    parts[#parts + 1] = clock(took)
  else
    parts[#parts + 1] = per_second(rate)
    if total and rate > 0 and done < total then
      parts[#parts + 1] = clock((total - done) / rate) .. " left"
    end
  end
  if self.failed > 0 then parts[#parts + 1] = ("%d failed"):format(self.failed) end
  return table.concat(parts, "  ")
end

-- One write: nobody else's output gets into it.
local function draw(self, now, ending)
  local columns = core._terminal()
  if not columns then return end
  local text = self:line(now)
  if #text >= columns then text = text:sub(1, math.max(0, columns - 1)) end
  io.stderr:write("\r", text, "\27[K", ending)
  io.stderr:flush()
  self.shown = true
end

-- done: items ended, those that failed included. failed: of them; nil: as before.
function bar:update(done, failed)
  self.done, self.failed = done, failed or self.failed
  if not self.drawing then return end
  local now = conc.now()
  if now < self.next then return end
  self.next = now + interval
  note_mark(self, now)
  draw(self, now, "")
end

-- The last state stays on the screen, with the time that it all took.
function bar:finish()
  if self.ended then return end
  self.ended = true
  if self.drawing then draw(self, conc.now(), "\n") end
end

bar.__close = bar.finish

return function (total, label)
  local now = conc.now()
  return setmetatable({
    total = total, label = label, done = 0, failed = 0, began = now, next = now + interval,
    marks = {{time = now, done = 0}}, drawing = core._terminal() ~= nil,
  }, bar)
end
