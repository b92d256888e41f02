-- http.submit: the calls of conc.http as futures, through one thread pool for
-- each process and state. What runs in the pool is found there by its name in
-- this module; what comes back is what the call returns.
local core = require "conc.http_core"
local options = require "conc.http.options"

local submit = {}

local workers = 8
local pools = {}  -- by process: a forked child makes its own

local function pool()
  local pid = core.pid()
  if not pools[pid] then
    pools[pid] = require("conc").thread_pool{workers = workers, name = "http"}
  end
  return pools[pid]
end

function submit.call(name, ...)
  return require("conc.http")[name](...)
end

function submit.call_session(opts, name, ...)
  local session <close> = require("conc.http").session(opts)
  return session[name](session, ...)
end

local callable = {
  delete = true, download = true, download_many = true, get = true, get_many = true, head = true,
  patch = true, post = true, put = true, request = true,
}

-- submit(name, ...), submit(url [, opts]) and submit{url =, ...} alike
local function named(what, ...)
  if type(what) == "table" then return "request", what, ... end
  if type(what) ~= "string" then options.bad_argument("submit", 1, "string", what) end
  if what:find("[^%a_]") then return "get", what, ... end
  if not callable[what] then
    local near = require("conc.suggest")(what, callable)
    options.raise("submit: no call '%s' in conc.http%s", what,
                  near and ("; did you mean '%s'?"):format(near) or "")
  end
  return what, ...
end

function submit.module(...)
  return pool():submit(submit.call, named(...))
end

function submit.session(opts, ...)
  return pool():submit(submit.call_session, opts, named(...))
end

return submit
