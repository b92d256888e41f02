-- Runs jobs: starts as many as the limits allow, follows redirects, tries
-- again, ends each with a response. One group of transfers a run; other runs of
-- the same thread (a callback that calls http.get) go on beside it.
--
-- A job is a table with its template (options.lua) as __index; http_core reads
-- from it what the next transfer needs. The driver adds:
--   start           the URL it began with      hops       redirects followed
--   host            "name:port", for per_host  tries      attempts made
--   deadline        of its own timeout         not_before of a try after a pause
--   response        once it has ended
-- What a try or a redirect changes is set in the job itself and taken back by
-- 'rewind'; false there hides a field of the template.
local core = require "conc.http_core"
local download = require "conc.http.download"
local options = require "conc.http.options"
local response = require "conc.http.response"
local headers = require "conc.http.headers"

local driver = {}

local now, shown = core.now, options.shown
local setmetatable, max, min, huge = setmetatable, math.max, math.min, math.huge

local patience = 120     -- the longest Retry-After that is waited for, in seconds
local first_pause, longest_pause = 0.25, 10
local tick = 0.1         -- between two looks at the progress

local retry_failure = {connect = true, reset = true, timeout = true}
local retry_status = {[429] = true, [502] = true, [503] = true, [504] = true}
-- Also what libcurl may send again by itself, over a kept connection that broke.
local idempotent = {
  DELETE = true, GET = true, HEAD = true, OPTIONS = true, PUT = true, TRACE = true,
}
driver.idempotent = idempotent
local redirects = {[301] = true, [302] = true, [303] = true, [307] = true, [308] = true}

-- ---- the end of a job ----------------------------------------------------------

local function close_part(job)
  if job.part then job.part:close() end
end

local function finish(run, job, result)
  setmetatable(result, response)
  result.elapsed = now() - (job.began or run.began)
  job.response = result
  close_part(job)
  run.left = run.left - 1
  if run.on_done then run.on_done(job.index, result) end
end

local function fail(run, job, message)
  local url = shown(job.url or job.start)
  finish(run, job, {ok = false, error = message, url = url, path = job.path})
end

local function failf(run, job, message)
  return fail(run, job, ("%s %s: %s"):format(job.method, shown(job.url), message))
end

local function time_up(run, job, message)
  return fail(run, job, ("timeout: %s %s: %s"):format(job.method, shown(job.url or job.start),
                                                     message or "not done in time"))
end

-- ---- the state of a try --------------------------------------------------------

-- Back to what was asked for: before the first try, and before each other.
local function rewind(job)
  job.url, job.at, job.hops = job.start, job.host, 0
  if job.changed then
    job.changed = nil
    job.method, job.body, job.mime, job.headers = nil, nil, nil, nil
    job.user, job.password, job.once = nil, nil, not idempotent[job.asked]
  end
  if job.own_user then job.user, job.password = job.own_user, job.own_password end
end

-- May follow to another host; everything else that a program put into its
-- headers may be a credential, under whatever name.
local harmless = {
  accept = true, ["accept-charset"] = true, ["accept-encoding"] = true, ["accept-language"] = true,
  ["cache-control"] = true, ["content-encoding"] = true, ["content-language"] = true,
  ["content-type"] = true, expect = true, ["if-match"] = true, ["if-modified-since"] = true,
  ["if-none-match"] = true, ["if-range"] = true, ["if-unmodified-since"] = true, pragma = true,
  range = true, ["user-agent"] = true,
}

local function header_name(line)
  return line:match("^[^:;]*"):lower()
end

local function filtered(lines, keep)
  local kept = {}
  for _, line in ipairs(lines or kept) do
    if keep(header_name(line)) then kept[#kept + 1] = line end
  end
  return kept
end

function driver.strip_credentials(job)
  job.user, job.password, job.profile, job.changed = false, false, false, true
  job.headers = filtered(job.headers, function (name) return harmless[name] end)
end

local function drop_body(job)
  job.method, job.body, job.mime, job.once = "GET", false, false, false
  job.profile, job.changed = false, true
  job.headers = filtered(job.headers, function (name) return not name:find("^content%-") end)
end

-- "http://user:password@host/" -> the URL without them; false if it has none
local function split_user(url)
  if not url:find("@", 1, true) then return false end
  return core.split_user(url)
end

-- ---- redirects and further tries -----------------------------------------------

-- nil: goes on; otherwise why it does not
local function redirect(job, res)
  local target = res.redirect
  if job.hops >= job.redirects then
    return ("more than %d redirects; the next goes to %s"):format(job.redirects, shown(target))
  end
  local scheme, host = options.check_url(target)
  if not scheme then return ("redirect refused: %s"):format(host) end
  local was = core.parse_url(job.url)
  target = split_user(target) or target  -- a server does not give us credentials
  if host ~= job.at or scheme ~= was then driver.strip_credentials(job) end
  if res.status == 303 and job.method ~= "HEAD"
     or job.method == "POST" and (res.status == 301 or res.status == 302) then
    drop_body(job)
  end
  job.url, job.at, job.hops = target, host, job.hops + 1
end

local function backoff(tries)
  local pause = min(longest_pause, first_pause * 2.0 ^ (tries - 1))
  return pause * (0.5 + core.random())
end

local function deadline_of(run, job)
  return min(run.deadline, job.deadline or huge)
end

-- Whether the job is to be tried again, and from when on.
local function try_again(run, job, res, failure)
  if job.tries > job.retries or not idempotent[job.asked] then return false end
  local pause
  if failure then
    if not retry_failure[failure] then return false end
    pause = backoff(job.tries)
  else
    if not retry_status[res.status] then return false end
    pause = res.retry_after or backoff(job.tries)
    if pause > patience then return false end
  end
  job.not_before = now() + pause
  return job.not_before < deadline_of(run, job)
end

-- ---- starting ------------------------------------------------------------------

-- Of a download: what is there already, and what is asked for besides
local function prepare_part(job)
  local part = job.part
  local validator = part:resumable(job.start)
  job.resume = 0
  if not validator or job.resume_off then
    local ok, message = part:restart()
    return ok, message
  end
  job.resume = part:size()
  local lines = filtered(job.headers, function () return true end)
  lines[#lines + 1] = ("Range: bytes=%d-"):format(job.resume)
  lines[#lines + 1] = "If-Range: " .. validator
  job.headers, job.profile, job.changed = lines, false, true
  return true
end

-- Makes the job ready for a try; otherwise the message why it cannot be. A job
-- with a path has its part file from the first try on.
local function start_try(job)
  job.tries = job.tries + 1
  rewind(job)
  if job.confine then job.confine(job) end
  if job.path then
    local refused = not job.part and download.open(job)
    if refused then return refused end
    local ok, message = prepare_part(job)
    if not ok then return ("cannot write %s.part: %s"):format(job.path, message) end
  end
end

-- A host that has jobs waiting and room for one is in 'ready' (a queue), so the
-- next job is found without a search and hosts take turns.
local function push_ready(run, host)
  if not host.ready and host.first <= host.last and host.active < run.per_host then
    host.ready = true
    run.ready_last = run.ready_last + 1
    run.ready[run.ready_last] = host
  end
end

-- Begins the transfer that the job now asks for; false if its time is up.
local function launch(run, job)
  local deadline = deadline_of(run, job)
  if deadline < huge then
    job.remaining = deadline - now()
    if job.remaining <= 0 then return false end
  end
  run.group:start(job)
  return true
end

local function take_slot(run, job)
  local host = run.hosts[job.host]
  run.active = run.active + 1
  host.active = host.active + 1
end

local function give_slot(run, job)
  local host = run.hosts[job.host]
  run.active = run.active - 1
  host.active = host.active - 1
  push_ready(run, host)
end

local function begin(run, job)
  if not job.began then
    job.began = now()
    job.deadline = job.timeout and job.began + job.timeout
  end
  local message = start_try(job)
  if message then return fail(run, job, message) end
  if not launch(run, job) then return time_up(run, job) end
  take_slot(run, job)
end

-- ---- who is next ---------------------------------------------------------------

local function enqueue(run, job)
  local host = run.hosts[job.host]
  if not host then
    host = {active = 0, first = 1, last = 0, ready = false}
    run.hosts[job.host] = host
  end
  host.last = host.last + 1
  host[host.last] = job
  push_ready(run, host)
end

local function next_job(host)
  local job = host[host.first]
  host[host.first] = nil
  host.first = host.first + 1
  return job
end

local function next_host(run)
  local host = run.ready[run.ready_first]
  run.ready[run.ready_first] = nil
  run.ready_first = run.ready_first + 1
  host.ready = false
  return host
end

local function start_ready(run)
  while run.active < run.concurrency and run.ready_first <= run.ready_last do
    local host = next_host(run)
    if host.first <= host.last then begin(run, next_job(host)) end
    push_ready(run, host)
  end
end

local function wake_later(run)
  local at, later = now(), run.later
  for i = #later, 1, -1 do
    local job = later[i]
    if at >= min(job.not_before, deadline_of(run, job)) then
      table.remove(later, i)
      if at >= deadline_of(run, job) then time_up(run, job) else enqueue(run, job) end
    end
  end
end

-- ---- checking a finished file ----------------------------------------------------

local function keep_file(run, job, res)
  if job.rename then
    local path, message = job.rename(job, res)
    if not path then
      job.part:discard()
      return failf(run, job, message)
    end
  end
  local size = job.part:size()
  local ok, message = job.part:commit(job.path, job.keep_existing)
  if not ok then
    job.part:discard()
    return failf(run, job, ("cannot rename %s.part: %s"):format(job.path, message))
  end
  res.path, res.bytes = job.path, size
  finish(run, job, res)
end

-- One slice of the hash; the other transfers go on between slices.
local function hash_slice(run, job)
  if now() >= deadline_of(run, job) then return time_up(run, job) end
  local digest, state, at = job.part:hash(job.hash_state, job.hash_at)
  if digest then
    run.hashing[job] = nil
    if digest == job.sha256:lower() then return keep_file(run, job, job.hash_for) end
    job.part:discard()
    return failf(run, job, ("sha256 is %s, expected %s"):format(digest, job.sha256:lower()))
  elseif not at then
    run.hashing[job] = nil
    return failf(run, job, ("cannot read %s.part: %s"):format(job.path, state))
  end
  job.hash_state, job.hash_at = state, at
end

local function check_file(run, job, res)
  if not job.sha256 then return keep_file(run, job, res) end
  job.hash_state, job.hash_at, job.hash_for = nil, nil, res
  run.hashing[job] = true
end

-- ---- a transfer has ended --------------------------------------------------------

local function dress(res)
  setmetatable(res.headers, headers)
  local status = res.status
  res.ok = status < 400
  if res.reason == "" then res.reason = response.reasons[status] or "" end
  res.redirect, res.retry_after = nil, nil
  return res
end

-- The answer to a download that brings no file
local function no_file(run, job, res)
  dress(res)
  res.ok = false
  res.error = ("%s %s: %s"):format(job.method, shown(res.url), response.status_line(res))
  res.path = job.path
  job.part:discard()
  finish(run, job, res)
end

-- 206 only where a range was asked for: by us, or by the program's own header
local function brings_file(job, res)
  if res.status == 206 then return job.resume > 0 or job.header_set.range ~= nil end
  return res.status >= 200 and res.status <= 299
end

local function succeeded(run, job, res)
  if not job.part then return finish(run, job, dress(res)) end
  if not brings_file(job, res) then return no_file(run, job, res) end
  return check_file(run, job, dress(res))
end

local function failed(run, job, failure, message)
  if failure == "timeout" then return time_up(run, job, message) end
  if failure == "too_large" then
    message = ("the body is larger than max_bytes (%d)"):format(job.max_bytes)
  elseif failure == "write" then
    message = ("cannot write %s.part: %s"):format(job.path, message)
  end
  if job.part and (failure == "too_large" or failure == "write") then job.part:discard() end
  return failf(run, job, message)
end

-- What is there does not go on as the server has it: once more from its start
local function start_over(run, job, res, failure)
  if job.part and job.resume > 0 and not job.resume_off
     and (failure == "range" or res and res.status == 416) then
    job.resume_off = true
    job.tries = job.tries - 1
    enqueue(run, job)
    return true
  end
end

-- Whether the job goes on, in the slot that it has; otherwise it has ended.
local function follow(run, job, res)
  local refused = redirect(job, res)
  if refused then
    failf(run, job, refused)
  elseif launch(run, job) then
    return true
  else
    time_up(run, job)
  end
end

local function ended(run, job, res, failure, message)
  if not failure and res.redirect and redirects[res.status] and job.redirects > 0 then
    if not follow(run, job, res) then give_slot(run, job) end
    return
  end
  give_slot(run, job)
  if start_over(run, job, res, failure) then return end
  if try_again(run, job, res, failure) then
    run.later[#run.later + 1] = job
  elseif failure then
    failed(run, job, failure, message)
  else
    succeeded(run, job, res)
  end
end

-- ---- the loop ------------------------------------------------------------------

local function patience_of(run)
  local until_ = run.deadline
  for _, job in ipairs(run.later) do until_ = min(until_, job.not_before, deadline_of(run, job)) end
  local seconds = max(0, until_ - now())
  if next(run.hashing) then return 0 end
  return run.progress and min(seconds, tick) or seconds
end

local function show_progress(run)
  local at = now()
  if at >= run.progress_at then
    run.progress_at = at + tick
    local received = run.group:received()
    run.progress:update(run.total - run.left, run.total, received, received + run.group:expected())
  end
end

local function step(run)
  start_ready(run)
  if run.left == 0 then return end
  local job, res, failure, message = run.group:wait(patience_of(run))
  if job then ended(run, job, res, failure, message) end
  if run.later[1] then wake_later(run) end
  local hashing = next(run.hashing)
  if hashing then hash_slice(run, hashing) end
  if run.progress then show_progress(run) end
  if now() >= run.deadline then run.late = true end
end

-- The time of the whole run is up: what runs is ended by libcurl's own clock,
-- what has not begun ends here.
local function end_waiting(run)
  for _, host in pairs(run.hosts) do
    while host.first <= host.last do time_up(run, next_job(host)) end
  end
end

-- Parts are left behind closed, whatever ends the run: their locks are free.
local function parts_guard(jobs)
  return setmetatable({}, {__close = function ()
    for _, job in ipairs(jobs) do close_part(job) end
  end})
end

-- limits: concurrency, per_host, timeout (of all together), on_done, progress.
-- A job with 'refused' (a message) has ended before it began.
function driver.run(engine, jobs, limits)
  local began = now()
  local _ <close> = parts_guard(jobs)
  local group <close> = engine:group(limits.concurrency)
  local run = {
    group = group, began = began, deadline = limits.timeout and began + limits.timeout or huge,
    concurrency = limits.concurrency, per_host = limits.per_host,
    on_done = limits.on_done, progress = limits.progress, progress_at = 0,
    left = #jobs, total = #jobs, active = 0, hosts = {}, later = {}, hashing = {},
    ready = {}, ready_first = 1, ready_last = 0,
  }
  for i, job in ipairs(jobs) do
    job.index = i
    if job.refused then fail(run, job, job.refused) else enqueue(run, job) end
  end
  while run.left > 0 do
    step(run)
    if run.late then end_waiting(run) end
  end
end

return driver
