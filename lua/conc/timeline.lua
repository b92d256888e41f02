-- Draws a trace (conc.trace, CONC_TRACE) in the terminal:
--
--   lua -l conc.timeline trace.json          at the shell
--   print(require "conc.timeline"("trace.json"))   in a program; also (path, {width =, waits =})
--
-- A row for each thread, a column for each stretch of time:
--   #  runs    .  waits    x  waits for a lock    (nothing: was not there yet, or any more)
-- and below, a row for each lock with who held it, by the letter of the thread's row.
-- Where several things fall into one column, the one that took longest is drawn.
local check = require "conc.check"

-- ---- reading --------------------------------------------------------------------

-- The few forms of JSON that src/trace.c writes, one event a line.
local escapes = {n = "\n", t = "\t", r = "\r", b = "\b", f = "\f"}

local function unescape(s)
  s = s:gsub("\\u(%x%x%x%x)", function (hex) return utf8.char(tonumber(hex, 16)) end)
  return (s:gsub("\\(.)", function (c) return escapes[c] or c end))
end

local parse_value

local function parse_string(text, at)
  local to = at + 1
  while true do
    local found = text:find('["\\]', to)
    if not found then error("unfinished string", 0) end
    if text:byte(found) == 34 then return unescape(text:sub(at + 1, found - 1)), found + 1 end
    to = found + 2
  end
end

local function parse_object(text, at)
  local object = {}
  at = text:match("^%s*()", at + 1)
  while text:sub(at, at) ~= "}" do
    local key, value
    if text:sub(at, at) ~= '"' then error("name expected", 0) end
    key, at = parse_string(text, at)
    at = text:match("^%s*:%s*()", at) or error("':' expected", 0)
    value, at = parse_value(text, at)
    object[key] = value
    at = text:match("^%s*,%s*()", at) or text:match("^%s*()", at)
    if at > #text then error("unfinished object", 0) end
  end
  return object, at + 1
end

function parse_value(text, at)
  local c = text:sub(at, at)
  if c == '"' then return parse_string(text, at) end
  if c == "{" then return parse_object(text, at) end
  local word, to = text:match("^([%w.+-]+)()", at)
  if not word then error("value expected", 0) end
  return tonumber(word) or word, to
end

-- The last line of a program that was killed may be cut off: it is left out.
local function read_events(path)
  local file <close> = assert(io.open(path))
  local events, number = {}, 0
  for line in file:lines() do
    number = number + 1
    local at = line:match("^%s*[%[,]?%s*(){")
    if at then
      local ok, event = pcall(parse_object, line, at)
      if ok then
        events[#events + 1] = event
      elseif file:read(0) then
        error(("%s:%d: %s"):format(path, number, event), 0)
      end
    elseif number == 1 and not line:find("^%s*%[%s*$") then
      error(path .. ": not a trace", 0)
    end
  end
  if #events == 0 then error(path .. ": not a trace", 0) end
  return events
end

-- ---- what happened -----------------------------------------------------------------

local function new_lane(self, key, event)
  local lane = {pid = event.pid, tid = event.tid, name = "(conc's own)", spans = {}, open = {}}
  self.lanes[key] = lane
  self.order[#self.order + 1] = lane
  return lane
end

local function lane_of(self, event)
  local key = ("%d/%d"):format(event.pid, event.tid)
  return self.lanes[key] or new_lane(self, key, event)
end

local lock_kinds = {lock = true, rlock = true, rwlock = true, list = true, dict = true}

local handle = {}

function handle.M(self, e)
  if e.name == "process_name" then
    self.processes[e.pid] = e.args.name
  elseif e.name == "thread_name" then
    local lane = lane_of(self, e)
    lane.name, lane.named = e.args.name, true
  end
end

function handle.B(self, e)
  local lane = lane_of(self, e)
  if not lane.begun and not lane.named and (e.cat == "thread" or e.cat == "process") then
    lane.name = e.name  -- a pool's template tells it no other way
    if e.cat == "process" then self.processes[e.pid] = self.processes[e.pid] or e.name end
  end
  lane.begun = true
  lane.open[#lane.open + 1] = e
end

function handle.E(self, e)
  local lane = lane_of(self, e)
  local begin = table.remove(lane.open)
  if begin then lane.spans[#lane.spans + 1] = {from = begin.ts, to = e.ts, mark = "#"} end
end

function handle.X(self, e)
  local lane = lane_of(self, e)
  local kind = e.args.of:match("^%a+")
  local span = {from = e.ts, to = e.ts + e.dur, event = e,
                mark = lock_kinds[kind] and "x" or "."}
  lane.spans[#lane.spans + 1] = span
  self.waits[#self.waits + 1] = {lane = lane, span = span}
end

function handle.b(self, e)
  local lock = self.locks[e.id]
  if not lock then
    local name = e.name:gsub(" made at [^ ]*/", " "):gsub(" made at ", " ")
    lock = {name = name, spans = {}, open = {}}
    self.locks[e.id] = lock
    self.lock_order[#self.lock_order + 1] = lock
  end
  local lane = lane_of(self, e)
  lock.open[lane] = lock.open[lane] or {}
  table.insert(lock.open[lane], e)
end

function handle.e(self, e)
  local lock, lane = self.locks[e.id], lane_of(self, e)
  local begin = lock and lock.open[lane] and table.remove(lock.open[lane])
  if begin then lock.spans[#lock.spans + 1] = {from = begin.ts, to = e.ts, lane = lane} end
end

-- One that ran before the trace began is known from its first event on.
local function begin_early(lane)
  local from, to = math.huge, 0
  for _, span in ipairs(lane.spans) do
    from, to = math.min(from, span.from), math.max(to, span.to)
  end
  if to > 0 then lane.spans[#lane.spans + 1] = {from = from, to = to, mark = "#"} end
end

-- What was going on when the trace broke off lasts to its end.
local function close_open(self)
  for _, lane in ipairs(self.order) do
    for _, begin in ipairs(lane.open) do
      lane.spans[#lane.spans + 1] = {from = begin.ts, to = self.last, mark = "#"}
    end
    if not lane.begun then begin_early(lane) end
  end
  for _, lock in ipairs(self.lock_order) do
    for lane, list in pairs(lock.open) do
      for _, begin in ipairs(list) do
        lock.spans[#lock.spans + 1] = {from = begin.ts, to = self.last, lane = lane}
      end
    end
  end
end

local function collect(events)
  local self = {lanes = {}, order = {}, processes = {}, locks = {}, lock_order = {}, waits = {},
                last = 0}
  for _, e in ipairs(events) do
    if e.ts then self.last = math.max(self.last, e.ts + (e.dur or 0)) end
    if handle[e.ph] then handle[e.ph](self, e) end
  end
  close_open(self)
  table.sort(self.order, function (a, b)
    if a.pid ~= b.pid then return a.pid < b.pid end
    return a.tid < b.tid
  end)
  return self
end

-- ---- drawing ---------------------------------------------------------------------

-- Adds the time that a span spends in each column to 'cells[column][mark]'.
local function spread(cells, span, mark, scale, width)
  local first = math.min(width, math.floor(span.from / scale) + 1)
  local last = math.max(first, math.min(width, math.ceil(span.to / scale)))
  for column = first, last do
    local from = math.max(span.from, (column - 1) * scale)
    local to = math.min(span.to, column * scale)
    local cell = cells[column] or {}
    cells[column] = cell
    cell[mark] = (cell[mark] or 0) + math.max(0, to - from) + 1e-6
  end
end

-- A run covers its waits: what is left of it after them is what it ran.
local function choose(cell)
  if not cell then return " " end
  local waited = (cell["."] or 0) + (cell.x or 0)
  local best, most = " ", 0
  for mark, time in pairs(cell) do
    if mark == "#" then time = math.max(0, time - waited) end
    if time > most or time == most and mark < best then best, most = mark, time end
  end
  return best
end

local function row_of(spans, scale, width, mark_of)
  local cells, text = {}, {}
  for _, span in ipairs(spans) do spread(cells, span, mark_of(span), scale, width) end
  for column = 1, width do text[column] = choose(cells[column]) end
  return table.concat(text)
end

local letters = "ABCDEFGHIJKLMNOPQRSTUVWYZabcdefghijklmnopqrstuvwyz"

local function duration(us)
  if us >= 1e6 then return ("%.2f s"):format(us / 1e6) end
  if us >= 1e3 then return ("%.2f ms"):format(us / 1e3) end
  return ("%.1f us"):format(us)
end

local function clip(text, width)
  return #text > width and text:sub(1, width - 2) .. ".." or text
end

local function ruler(last, width)
  local right = duration(last)
  return "0" .. (" "):rep(width - 1 - #right) .. right
end

local function title_width(self)
  local width = 8
  for _, lane in ipairs(self.order) do width = math.max(width, #lane.name + 4) end
  for _, lock in ipairs(self.lock_order) do width = math.max(width, #lock.name + 2) end
  return math.min(width, 36)
end

local function draw_lanes(self, add, titles, scale, width)
  local pid
  for i, lane in ipairs(self.order) do
    lane.letter = letters:sub(i, i) ~= "" and letters:sub(i, i) or "*"
    if lane.pid ~= pid then
      pid = lane.pid
      add(("process %d%s"):format(pid, self.processes[pid]
        and (' "%s"'):format(self.processes[pid]) or ""))
    end
    local title = clip(("  %s %s"):format(lane.letter, lane.name), titles)
    add(("%-" .. titles .. "s |%s|"):format(title,
      row_of(lane.spans, scale, width, function (span) return span.mark end)))
  end
end

local function draw_locks(self, add, titles, scale, width)
  if #self.lock_order == 0 then return end
  add "held by"
  for _, lock in ipairs(self.lock_order) do
    add(("%-" .. titles .. "s |%s|"):format(clip("  " .. lock.name, titles),
      row_of(lock.spans, scale, width, function (span) return span.lane.letter end)))
  end
end

local function list_waits(self, add, n)
  table.sort(self.waits, function (a, b)
    return a.span.event.dur > b.span.event.dur
  end)
  local shown = 0
  for _, wait in ipairs(self.waits) do
    local e = wait.span.event
    if shown < n and e.name ~= "sleep" then
      if shown == 0 then add "longest waits" end
      shown = shown + 1
      add(("  %9s  %s  %s%s%s"):format(duration(e.dur), wait.lane.name, e.name,
        e.args.of ~= "" and " " .. e.args.of or "", e.args.at ~= "" and "  at " .. e.args.at or ""))
    end
  end
end

local known = {waits = {"count", 5}, width = {"positive"}}

-- timeline(path [, {width = columns, waits = 5}]) -> the drawing, a string
local function timeline(path, options)
  if type(path) ~= "string" then check.argument("timeline", 1, "path", path) end
  local o = check.options("timeline", options, known)
  local self = collect(read_events(path))
  local titles = title_width(self)
  local columns = o.width or require("conc.core")._terminal(1) or 100
  local width = math.max(20, columns - titles - 3)
  local scale = math.max(self.last, 1e-3) / width
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  add((" "):rep(titles + 2) .. ruler(self.last, width))
  draw_lanes(self, add, titles, scale, width)
  draw_locks(self, add, titles, scale, width)
  list_waits(self, add, o.waits)
  add "#  runs    .  waits    x  waits for a lock"
  return table.concat(lines, "\n") .. "\n"
end

-- lua -l conc.timeline path: 'lua' would now run the trace as a script.
local function from_command_line()
  if type(arg) ~= "table" or not arg[0] then return false end
  for i = -1, -64, -1 do
    if not arg[i] then return false end
    if arg[i] == "-lconc.timeline" or arg[i] == "conc.timeline" and arg[i - 1] == "-l" then
      return true
    end
  end
end

if from_command_line() then
  local ok, text = pcall(timeline, arg[0])
  if ok then
    io.stdout:write(text)
  else
    io.stderr:write(text, "\n")
  end
  os.exit(ok, true)
end

return timeline
