-- Pools: what their constructors take, and map with its relatives.
--
-- A map cuts its source into chunks, each a future of its own that carries the
-- function and some items. How many follows what came before: the first chunks
-- are small, the next are as large as makes them last TARGET seconds, and
-- towards the end they shrink, so that no worker is left with a long rest. A
-- worker adds each result to the chunk as it comes: of a chunk whose worker
-- died or was stopped, what was finished is kept, the item at fault fails (or
-- runs again), and the rest travels on.
local core = require "conc.core"
local check = require "conc.check"

local TARGET = 0.004         -- seconds that a chunk should take
local GROWTH = 8             -- how much larger the next may be
local MOST = 100000          -- items in one chunk
local WINDOW = 2             -- chunks under way for each worker

-- {=== one map, imap, ... ===}

local Job = {}
Job.__index = Job

-- How many items the next chunk takes, of 'left' (nil: not known).
function Job:size(left)
  if self.chunk then return self.chunk end
  local n = self.step
  if left then
    n = math.min(n, math.max(1, left // (WINDOW * self.workers)))
  end
  if self.ahead then
    n = math.min(n, math.max(1, self.ahead // (WINDOW * self.workers)))
  end
  return math.max(1, math.min(n, MOST))
end

-- A chunk of n items took so many seconds.
function Job:learn(n, seconds)
  if n == 0 or seconds <= 0 then return end
  local each = seconds / n
  self.each = self.each and (self.each + each) / 2 or each
  local want = math.floor(TARGET / self.each)
  self.step = math.max(1, math.min(want, self.step * GROWTH, MOST))
end

function Job:fail(index, value)
  self.errors[index] = value
  self.failed = self.failed + 1
  self.landed = self.landed + 1
  self.arrived[#self.arrived + 1] = index
  if self.stop and not self.raised then
    self.raised = true
    self.first_error = value
  end
end

-- Sends list[first..last], the items number base + first, ...
function Job:send(list, first, last, base)
  while first <= last and not self.raised do
    local future, bad, reason = core._chunk(self.pool, self.f, list, first, last,
                                            self.spread, self.stop, self.timeout, base)
    local upto = last
    if not future then
      upto = bad - 1
      if upto >= first then
        future = core._chunk(self.pool, self.f, list, first, upto, self.spread,
                             self.stop, self.timeout, base)
      end
    end
    if future then
      self.live[#self.live + 1] = future
      self.parts[future] = { list = list, first = first, last = upto, base = base }
    end
    if bad then self:fail(base + bad, reason) end
    first = upto + (bad and 2 or 1)
  end
end

-- What a chunk that did not get through leaves: item 'at' is at fault.
function Job:mend(future, part, at)
  local fate = core._fate(future)
  if at > part.last then return end
  if fate == "cancelled" then error(core.cancelled, 0) end
  -- "ended": what left f was conc.cancelled, though nobody had asked for it
  local value = core.cancelled
  if fate ~= "ended" then value = future:error() end
  if fate == "failed" then  -- the pool is broken, or memory is full
    for i = at, part.last do self:fail(part.base + i, value) end
    return
  end
  local index = part.base + at
  local tries = self.tries[index] or 0
  if fate == "died" and tries < self.retries then
    self.tries[index] = tries + 1
    self:send(part.list, at, part.last, part.base)
  else
    self:fail(index, value)
    self:send(part.list, at + 1, part.last, part.base)
  end
end

function Job:land(at)
  local future = table.remove(self.live, at)
  local part = self.parts[future]
  self.parts[future] = nil
  local base = part.base + part.first - 1
  local errors = self.errors
  local had = self.failed
  local n, bad, value = core._results(future, base, self.results,
                                      not self.stop and self.caught or nil)
  n = n or 0
  for index, what in next, self.caught do
    errors[index] = what
    self.failed = self.failed + 1
    self.caught[index] = nil
  end
  if self.ordered ~= nil then
    for i = base + 1, base + n do self.arrived[#self.arrived + 1] = i end
  end
  self.landed = self.landed + n
  if bad then
    self.raised, self.first_error, self.failed = true, value, had + 1
    return
  end
  if not part.apart then self:learn(n, core._elapsed(future)) end
  self:mend(future, part, part.first + n)
end

-- Waits for a chunk and takes it in.
function Job:wait()
  self:land(core._any(self.pool, self.live, #self.live))
  if self.bar then self.bar:update(self.landed, self.failed) end
end

-- Keeps the workers supplied.
function Job:fill()
  while not self.raised and not self.drained
        and #self.live < WINDOW * self.workers do
    if self.ahead and self.read - self.given >= self.ahead then return end
    self:feed()
  end
end

-- The next items of a list.
local function feed_list(self)
  local first = self.read + 1
  local last = math.min(self.upto, self.read + self:size(self.upto - self.read))
  if self.ahead then last = math.min(last, self.given + self.ahead) end
  if first > last then
    self.drained = self.read >= self.upto
    return
  end
  self.read = last
  self.drained = last >= self.upto
  self:send(self.list, first, last, 0)
end

-- The last item goes second. Where the longest one stands at the end, as in a sorted
-- list, it would begin when all else is done, and one worker would be left with it.
local function send_last_early(self)
  if self.chunk or self.workers < 2 or self.total <= 2 * WINDOW * self.workers then return end
  self.upto = self.total - 1
  self:feed()
  local n = #self.live
  self:send(self.list, self.total, self.total, 0)
  if #self.live > n then self.parts[self.live[n + 1]].apart = true end
end

-- The next items of an iterator. What it raises is raised after what came before.
local function feed_iterator(self)
  local items, n = {}, 0
  local most = self:size()
  if self.ahead then most = math.min(most, self.given + self.ahead - self.read) end
  while n < most do
    local ok, item = pcall(self.list)
    if not ok then
      self.drained = true
      self.source_error = { item }
      break
    end
    if item == nil then
      self.drained = true
      break
    end
    n = n + 1
    items[n] = item
  end
  if n > 0 then
    local base = self.read
    self.read = base + n
    self:send(items, 1, n, base)
  end
end

function Job:cancel()
  for _, future in ipairs(self.live) do future:cancel() end
  self.live, self.parts = {}, {}
  if self.bar then
    self.bar:finish()
    self.bar = nil
  end
end

Job.__close = Job.cancel
Job.__gc = Job.cancel

local map_options = {
  chunk = { "positive" }, timeout = { "seconds" }, progress = { "boolean" },
  errors = { { "collect" } },
}
local imap_options = {
  chunk = { "positive" }, timeout = { "seconds" }, progress = { "boolean" },
  ahead = { "positive" },
}

-- 'level' 3: the caller of the method.
local function check_options(what, n, opts, known, level)
  if opts ~= nil and type(opts) ~= "table" then
    check.argument(what, n, "table of options", opts, level + 1)
  end
  return check.options(what, opts, known, level + 1)
end

local function length(list)
  local n = rawget(list, "n")
  return math.type(n) == "integer" and n or #list
end

local function new_job(what, pool, f, source, opts, known)
  local kind = core.type(pool)
  if kind ~= "thread_pool" and kind ~= "process_pool" then
    check.argument(what, 1, "conc.thread_pool or process_pool", pool, 3)
  end
  if not check.callable(f) then check.argument(what, 2, "function", f, 3) end
  local is_list = type(source) == "table"
  if not is_list and not (known.ahead and type(source) == "function") then
    check.argument(what, 3, known.ahead and "list or iterator function" or "list", source, 3)
  end
  opts = check_options(what, 4, opts, known, 3)
  local workers = pool:workers()
  local job = setmetatable({
    pool = pool, f = f, list = source, total = is_list and length(source) or nil,
    workers = workers, retries = core._retries(pool), timeout = opts.timeout,
    chunk = opts.chunk, ahead = opts.ahead, step = 1, stop = true,
    results = is_list and known.errors and core._list(length(source)) or {},
    errors = {}, caught = {}, tries = {}, arrived = {},
    upto = is_list and length(source) or nil,
    live = {}, parts = {}, read = 0, given = 0, landed = 0, failed = 0,
    feed = is_list and feed_list or feed_iterator,
  }, Job)
  if not is_list and not job.ahead then job.ahead = math.max(2 * workers, 16) end
  if opts.progress then
    job.bar = require("conc.progress")(job.total, what)
  end
  return job, opts
end

-- {=== map, starmap ===}

local function map(what, pool, f, list, opts, spread)
  local job <close>, given = new_job(what, pool, f, list, opts, map_options)
  job.spread = spread
  job.stop = given.errors == nil
  send_last_early(job)
  job:fill()
  while #job.live > 0 and not job.raised do
    job:wait()
    job:fill()
  end
  if job.raised then error(job.first_error, 0) end
  local results = job.results
  results.n = job.total
  if job.stop then return results end
  return results, job.errors
end

-- {=== imap, imap_unordered ===}

-- The error at its place in the order, after what came before it.
local function raise(job, index)
  local value = job.errors[index]
  job:cancel()
  error(value, 0)
end

local function source_ended(job)
  if job.source_error then
    local value = job.source_error[1]
    job.source_error = nil
    error(value, 0)
  end
  if job.bar then
    job.bar:finish()
    job.bar = nil
  end
end

-- Whether item 'index' has come.
local function has(job, index)
  return job.came[index] ~= nil
end

local function note_arrivals(job)
  for i, index in ipairs(job.arrived) do
    job.came[index] = true
    job.arrived[i] = nil
  end
end

local function next_ordered(job, index)
  index = index + 1
  job.given = index - 1
  job:fill()
  note_arrivals(job)
  while not has(job, index) do
    if #job.live == 0 then return source_ended(job) end
    job:wait()
    note_arrivals(job)
    job:fill()
    note_arrivals(job)
  end
  job.came[index] = nil
  if job.errors[index] ~= nil then raise(job, index) end
  local value = job.results[index]
  job.results[index] = nil
  return index, value
end

local function next_arrived(job)
  job.given = job.out
  job:fill()
  while job.out >= #job.arrived do
    if #job.live == 0 then return source_ended(job) end
    job:wait()
    job:fill()
  end
  job.out = job.out + 1
  local index = job.arrived[job.out]
  job.arrived[job.out] = false
  if job.errors[index] ~= nil then raise(job, index) end
  local value = job.results[index]
  job.results[index] = nil
  return index, value
end

local function imap(what, pool, f, source, opts, ordered)
  local job = new_job(what, pool, f, source, opts, imap_options)
  job.ordered = ordered
  job.stop = false
  job.came = {}
  job.out = 0
  return ordered and next_ordered or next_arrived, job, 0, job
end

-- {=== methods ===}

local methods = {}

-- pool:map(f, list [, opts]) -> list of results
function methods.map(pool, f, list, opts)
  return map("map", pool, f, list, opts, false)
end

-- pool:starmap(f, list of argument lists [, opts]) -> list of results
function methods.starmap(pool, f, list, opts)
  return map("starmap", pool, f, list, opts, true)
end

-- for i, result in pool:imap(f, source [, opts]) do
function methods.imap(pool, f, source, opts)
  return imap("imap", pool, f, source, opts, true)
end

-- for i, result in pool:imap_unordered(f, source [, opts]) do
function methods.imap_unordered(pool, f, source, opts)
  return imap("imap_unordered", pool, f, source, opts, false)
end

local shutdown_options = { wait = { "boolean", true }, cancel = { "boolean", false } }

-- pool:shutdown([{wait = true, cancel = false}]) -> true
function methods.shutdown(pool, opts)
  opts = check_options("shutdown", 2, opts, shutdown_options, 1)
  return core._shutdown(pool, opts.wait, opts.cancel)
end

for _, kind in ipairs { "thread_pool", "process_pool" } do
  local class = core._methods(kind)
  for name, method in pairs(methods) do class[name] = method end
end

-- {=== constructors ===}

local pool_options = {
  workers = { "positive" }, name = { "string" }, initializer = { "function" },
  max_tasks_per_worker = { "positive", 0 }, retries = { "count", 0 },
  queue = { "positive", 0 },
}

local most_workers = 2000

local function constructor(kind, process, default)
  return function (config)
    if math.tointeger(config) then config = { workers = math.tointeger(config) } end
    if config ~= nil and type(config) ~= "table" then
      check.argument(kind, 1, "number of workers, or table of options", config, 1)
    end
    local opts = check.options(kind, config, pool_options, 1)
    -- made inside a task it has its share of the machine: pools in pools in pools
    -- have together about as many as one
    local workers = opts.workers or math.max(1, default() // core._within())
    if workers > most_workers then
      error(("%s: at most %d workers expected, got %d"):format(kind, most_workers, workers), 2)
    end
    return core._pool(process, workers, opts.name or "pool-" .. core._new_id(),
                      opts.max_tasks_per_worker, opts.retries, opts.queue, opts.initializer)
  end
end

return {
  thread_pool = constructor("thread_pool", false, function ()
    return math.min(32, core.cpu_count() + 4)
  end),
  process_pool = constructor("process_pool", true, core.cpu_count),
}
