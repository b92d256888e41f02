-- The calls: http.get is client.get on the client that a thread shares, s:get
-- on that of a session. A client has an engine (connections, cookies) and a
-- template (the options of all its calls).
local core = require "conc.http_core"
local driver = require "conc.http.driver"
local options = require "conc.http.options"

local client = {}

local default_concurrency, default_per_host = 16, 8

local function check_opts(call, n, opts, names, positional)
  if opts == nil then return {} end
  if type(opts) ~= "table" then options.bad_argument(call, n, "table", opts) end
  options.check(call, opts, names, positional)
  return opts
end

local function check_string(call, n, value)
  if type(value) ~= "string" then options.bad_argument(call, n, "string", value) end
  return value
end

-- A template is also the metatable of its jobs.
local function inherit(template)
  template.__index = template
  return template
end

-- A job for url with that template; a bad URL makes one that has failed. All
-- its usual fields are named at once: a table that grows costs more.
local function new_job(self, call, url, template, multiplex, path)
  if self.base then url = core.resolve(self.base, url) or url end
  if template.query then
    url = require("conc.http.content").url(call, url, template.query)
  end
  local scheme, host = options.check_url(url)
  local job = setmetatable({
    start = url, url = url, host = scheme and host, at = host, asked = template.method,
    once = not driver.idempotent[template.method],
    index = 0, tries = 0, hops = 0, began = false, deadline = false, response = false,
    path = path, part = nil, resume = nil,
  }, inherit(template))
  if not scheme then
    job.refused = host
    return job
  end
  if url:find("@", 1, true) then
    local user, password
    job.start, user, password = core.split_user(url)
    if not template.user and not template.header_set.authorization then
      job.own_user, job.own_password, job.profile = user, password, false
    end
  end
  if multiplex and scheme == "https" then
    job.multiplex, job.profile = true, job.profile and job.profile + 1
  end
  if self.origin and self.origin ~= scheme .. "://" .. host then
    job.confine = driver.strip_credentials
  end
  return job
end

local function engine_of(self)
  return self.engine or core.default()
end

local function body_limit(template)
  template.max_bytes = template.max_bytes or options.default_body
  return template
end

-- ---- one -----------------------------------------------------------------------

local single = {concurrency = 1, per_host = 1}

local function run_one(self, job)
  driver.run(engine_of(self), {job}, single)
  local res = job.response
  if res.error then return nil, res.error end
  return res
end

local function one(self, call, method, url, opts, names)
  check_string(call, 1, url)
  local plain = opts == nil and not self.template and method == "GET" and client.plain
  local template = plain
  if not template then
    opts = check_opts(call, 2, opts, names)
    template = options.template(call, opts, self.template)
    template.method = method
    body_limit(template)
  end
  return run_one(self, new_job(self, call, url, template))
end

client.plain = body_limit(options.template("get", {}))

function client.get(self, url, opts)
  return one(self, "get", "GET", url, opts, options.names.get)
end

function client.head(self, url, opts)
  return one(self, "head", "HEAD", url, opts, options.names.get)
end

for _, method in ipairs {"post", "put", "patch", "delete"} do
  client[method] = function (self, url, opts)
    return one(self, method, method:upper(), url, opts, options.names.send)
  end
end

function client.request(self, request)
  if type(request) ~= "table" then options.bad_argument("request", 1, "table", request) end
  options.check("request", request, options.names.request)
  if request.url == nil then options.raise("request: option 'url' is missing") end
  local template = body_limit(options.template("request", request, self.template))
  return run_one(self, new_job(self, "request", request.url, template))
end

-- Loaded where it is wanted; the bar is a to-be-closed variable of the caller.
local function new_bar(opts, concurrency)
  return opts.progress and require("conc.http.progress").new(opts.progress, concurrency) or nil
end

local function file_template(call, opts, base)
  local template = options.template(call, opts, base)
  template.compressed = false  -- the file as it is, so that it can be gone on with
  template.resume_off = template.resume == false or template.header_set.range ~= nil
  template.resume = nil
  return template
end


function client.download(self, url, path, opts)
  check_string("download", 1, url)
  check_string("download", 2, path)
  opts = check_opts("download", 3, opts, options.names.download)
  local template = file_template("download", opts, self.template)
  local bar <close> = new_bar(opts, 1)
  local limits = bar and {concurrency = 1, per_host = 1, progress = bar}
  local job = new_job(self, "download", url, template, false, path)
  driver.run(engine_of(self), {job}, limits or single)
  local res = job.response
  if not res.error then return res.bytes, res end
  return nil, res.error, res.status and res or nil
end

-- ---- many ----------------------------------------------------------------------

local function whole(n)
  return n and (n < 1e9 and math.tointeger(n) or 1000000000)
end

local function limits_of(opts, bar)
  return {
    concurrency = whole(opts.concurrency) or default_concurrency,
    per_host = whole(opts.per_host) or whole(opts.concurrency) or default_per_host,
    timeout = opts.timeout ~= math.huge and opts.timeout or nil,
    on_done = opts.on_done, progress = bar,
  }
end

local function run_many(self, jobs, opts)
  local bar <close> = new_bar(opts, opts.concurrency or default_concurrency)
  if jobs[1] then driver.run(engine_of(self), jobs, limits_of(opts, bar)) end
  local responses = {}
  for i, job in ipairs(jobs) do responses[i] = job.response end
  return responses
end

local function check_list(call, list)
  if type(list) ~= "table" then options.bad_argument(call, 1, "table", list) end
end

-- The template of all; 'timeout' is that of the whole call.
local function common_template(make, call, opts, base)
  local template = make(call, opts, base)
  template.timeout = nil
  return template
end

local function bad_entry(call, i, expected, entry)
  options.raise("%s: entry %d: %s expected, got %s", call, i, expected, type(entry))
end

function client.get_many(self, requests, opts)
  check_list("get_many", requests)
  opts = check_opts("get_many", 2, opts, options.names.get_many)
  local common = body_limit(common_template(options.template, "get_many", opts, self.template))
  local jobs = {}
  for i = 1, #requests do
    local entry, template = requests[i], common
    local url = entry
    if type(entry) == "table" then
      options.check("get_many", entry, options.names.request, 1)
      url, template = entry.url or entry[1], options.template("get_many", entry, common)
    end
    if type(url) ~= "string" then bad_entry("get_many", i, "a URL or {url = ...}", entry) end
    jobs[i] = new_job(self, "get_many", url, template, true)
  end
  return run_many(self, jobs, opts)
end

local function has_options(entry)
  for key in pairs(entry) do
    if key ~= 1 and key ~= 2 then return true end
  end
end

local function file_job(self, call, i, entry, common)
  if type(entry) ~= "table" then bad_entry(call, i, "{url, path}", entry) end
  local url, path, template = entry[1] or entry.url, entry[2] or entry.path, common
  if type(url) ~= "string" or type(path) ~= "string" then
    bad_entry(call, i, "{url, path}", entry)
  end
  if has_options(entry) then
    options.check(call, entry, options.names.download_entry, 2)
    template = file_template(call, entry, common)
  end
  return new_job(self, call, url, template, true, path)
end

function client.download_many(self, entries, opts)
  check_list("download_many", entries)
  opts = check_opts("download_many", 2, opts, options.names.download_many)
  local common = common_template(file_template, "download_many", opts, self.template)
  local jobs = {}
  for i = 1, #entries do
    jobs[i] = file_job(self, "download_many", i, entries[i], common)
  end
  return run_many(self, jobs, opts)
end

return client
