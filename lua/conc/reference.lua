-- The reference: every name of conc, once. From here come the reference and its
-- HTML of 'make docs' (docs/build.lua), the definitions for LuaLS that are
-- installed with the library (meta.lua), and what conc.help shows.
-- spec/reference_spec.lua fails for a registered name that is missing here, and
-- runs every example.
--
-- A list of sections {title =, text =, and entries}. An entry:
--   name      "conc.thread": a function; "queue:put": a method; "value.value": a field
--   params    "options?: conc.options, f: function, ...: any"; a '?' says that it may be left out
--   returns   "boolean?, reason: string?": types, with a name where that helps
--   text      what it does, its units and results
--   raises    what it raises, where there is more to say than wrong arguments
--   options   fields of its options table: {"name: type", "default", "text"}
--   example   a program that runs after 'local conc = require "conc"'; the comments
--             '--> text' say what it prints ('...' stands for anything)
-- A section with class = "queue" (length: '#' works; index: types of key and value)
-- has the methods of that class; like = "queue": and all those of that class too.
--
-- Types: seconds is a number (fractions welcome); any is a value that can be sent.

local start_options = {
  {"name: string", "`thread-N`, `process-N`", "at most 47 bytes"},
  {"daemon: boolean", "`false`", "the program's end does not wait for it, but stops it"},
  {"cpus: integer[]", "as the caller", "the CPUs (from 0) to stay on"},
  {"nice: integer", "`0`", "added to the caller's niceness; below 0 takes a privilege"},
  {"setup: function", "none", "runs first, in the new state or process; if it raises, that is " ..
    "the outcome"},
}

local lock_methods = {
  {
    name = "lock:acquire", params = "timeout?: seconds", returns = "true?, reason: string?",
    text = [[Waits until the lock is free, and takes it. `true`; `true, "abandoned"` where the last
holder ended without releasing it (what it protects may be half changed); `nil, "timeout"`.]],
    raises = "`deadlock: ...` where the wait would close a cycle of waits; nothing is then locked.",
    example = [[
local lock = conc.lock()
print(lock:acquire())      --> true
print(lock:acquire(0))     --> nil timeout
lock:release()]],
  },
  {
    name = "lock:release", params = "", returns = "",
    text = "Gives the lock back, to whoever waits.",
    raises = "where the caller is not its holder; the message names the holder.",
    example = [[
local lock = conc.lock()
lock:acquire()
lock:release()
print(lock:locked())   --> false]],
  },
  {
    name = "lock:locked", params = "", returns = "boolean",
    text = "Is it held at this moment, by whomever?",
    example = [[
local lock = conc.lock()
lock:acquire()
print(lock:locked(), lock)   --> true conc.lock (held by "main")
lock:release()]],
  },
  {
    name = "lock:guard", params = "timeout?: seconds",
    returns = "guard: conc.lock?, reason: string?",
    text = [[As `acquire`, but returns the lock itself, for a `<close>` variable: it is
released when the block is left, by an error too. `nil, "timeout"` otherwise. An abandoned lock
counts as new.]],
    raises = "`deadlock: ...` as `acquire` does.",
    example = [[
local lock = conc.lock()
do
  local _ <close> = lock:guard()
  print(lock:locked())   --> true
end
print(lock:locked())     --> false]],
  },
  {
    name = "lock:with", params = "f: function, ...: any", returns = "...: any",
    text = "Runs `f(...)` while it holds the lock, and returns f's results.",
    raises = "what f raises, with the lock released; `deadlock: ...` as `acquire` does.",
    example = [[
local lock = conc.lock()
print(lock:with(function (a, b) return a + b end, 2, 3))   --> 5]],
  },
}

local future_methods = {
  {
    name = "future:result", params = "timeout?: seconds", returns = "...: any",
    text = [[Waits for the end and returns what f returned, all of it; `nil, "timeout"` if it has
not ended by then. Asking again gives the same.]],
    raises = [[f's error, the same value (a table arrives as an equal table); `conc.cancelled` if it
was cancelled; how its process died, if it did; `deadlock: ...` for one's own result.]],
    example = [[
local t = conc.thread(function (...) return select("#", ...), ... end, 1, nil)
print(t:result())                  --> 2 1 nil
local bad = conc.thread(error, {code = 7})
print(select(2, pcall(bad.result, bad)).code)   --> 7]],
  },
  {
    name = "future:error", params = "timeout?: seconds", returns = "value: any, traceback: string?",
    text = [[Waits for the end: `nil` where it ended well, else the error value and its traceback.
`nil, "timeout"` if it has not ended by then. Of a cancelled one the value is `conc.cancelled`.]],
    example = [[
local t = conc.thread(function () error("boom", 0) end)
local value, traceback = t:error()
print(value, traceback:match("stack traceback"))   --> boom stack traceback]],
  },
  {
    name = "future:join", params = "timeout?: seconds", returns = "true?, reason: string?",
    text = [[Waits for the end, whatever it is: `true`, or `nil, "timeout"`. Does not count as
asking for an error.]],
    raises = "`deadlock: ...` where the wait closes a cycle, such as joining oneself.",
    example = [[
local t = conc.thread(conc.sleep, 60)
print(t:join(0.01))   --> nil timeout
t:cancel()
print(t:join())       --> true]],
  },
  {
    name = "future:done", params = "", returns = "boolean",
    text = "Has it ended, however?",
    example = [[
local t = conc.thread(function () end)
t:join()
print(t:done())   --> true]],
  },
  {
    name = "future:state", params = "",
    returns = '"pending"|"running"|"done"|"failed"|"cancelled"',
    text = [[Where it stands. `"cancelled"` only where `conc.cancelled` left f, or f never began:
one that swallowed it and returned is `"done"`.]],
    example = [[
local t = conc.thread(error, "no")
t:join()
print(t:state(), (t:error()))   --> failed no]],
  },
  {
    name = "future:cancel", params = "", returns = "boolean",
    text = [[Asks it to stop: its next wait, or its running Lua code, raises `conc.cancelled`;
`<close>` variables run. One that has not begun never does. `true` if it had not ended yet.]],
    example = [[
local t = conc.thread(conc.sleep, math.huge)
print(t:cancel())                 --> true
t:join()
print(t:state(), t:cancel())      --> cancelled false]],
  },
  {
    name = "future:pollfd", params = "", returns = "integer",
    text = [[A file descriptor that is readable once it has ended, for event loops. It belongs to
the object: do not close it.]],
    example = [[
local t = conc.thread(function () end)
print(math.type(t:pollfd()))   --> integer
t:join()]],
  },
}

local task_methods = {
  {
    name = "thread:alive", params = "", returns = "boolean",
    text = "Has it not ended yet?",
    example = [[
local t = conc.thread(conc.sleep, 60)
print(t:alive())   --> true
t:cancel()
t:join()
print(t:alive())   --> false]],
  },
  {
    name = "thread:name", params = "", returns = "string",
    text = "Its name; `main` is the one that the program began with.",
    example = [[
print(conc.current():name())                                        --> main
print(conc.thread({name = "reader"}, function ()
  return conc.current():name()
end):result())                                                      --> reader]],
  },
  {
    name = "thread:id", params = "", returns = "integer",
    text = "A number that nothing else of this program has had or will have.",
    example = [[
local a, b = conc.thread(conc.now), conc.thread(conc.now)
print(a:id() ~= b:id(), conc.current():id())   --> true 1]],
  },
  {
    name = "thread:pid", params = "", returns = "integer",
    text = "The process that it runs in.",
    example = [[
local t = conc.thread(function () return conc.current():pid() end)
print(t:result() == conc.current():pid(), t:pid() == conc.current():pid())   --> true true]],
  },
}

local queue_put = {
  name = "queue:put", params = "value: any, timeout?: seconds", returns = "true?, reason: string?",
  text = [[Adds a copy of the value, waiting while the queue is full: `true`;
`nil, "timeout"`; `nil, "closed"`.]],
  raises = "for `nil`; `cannot send ...` for what cannot be sent, before anything else.",
  example = [[
local q = conc.queue(1)
print(q:put("a"))      --> true
print(q:put("b", 0))   --> nil timeout]],
}

local queue_methods = {
  {
    name = "queue:get", params = "timeout?: seconds", returns = "value: any, reason: string?",
    text = [[Takes the first value, waiting for one: the value (a priority queue: value, priority);
`nil, "timeout"`; `nil, "closed"` once it is closed and drained.]],
    example = [[
local q = conc.queue()
q:put("a")
print(q:get())    --> a
print(q:get(0))   --> nil timeout]],
  },
  {
    name = "queue:put_many", params = "list: any[], timeout?: seconds",
    returns = "integer, reason: string?",
    text = [[Adds all values of a list, in order, by few synchronisations: how many are in, and
where that is not all, why: `"timeout"` or `"closed"`. If one cannot be sent, none is put. Of a
priority queue the list holds pairs `{value, priority}`.]],
    example = [[
local q = conc.queue(2)
print(q:put_many({"a", "b", "c"}, 0))   --> 2 timeout]],
  },
  {
    name = "queue:get_many", params = "max: integer, timeout?: seconds",
    returns = "list: any[]?, reason: string?",
    text = [[Waits for one value and takes what is there with it: a list of 1 to max values;
`nil, "timeout"`; `nil, "closed"`. Of a priority queue: values only.]],
    example = [[
local q = conc.queue()
q:put_many({1, 2, 3})
print(#q:get_many(100))   --> 3]],
  },
  {
    name = "queue:items", params = "", returns = "fun(): any",
    text = "For a `for` loop: takes values until the queue is closed and drained.",
    example = [[
local q = conc.queue()
q:put_many({"a", "b"})
q:close()
for v in q:items() do
  print(v)   --> a
end          --> b]],
  },
  {
    name = "queue:close", params = "discard?: boolean", returns = "",
    text = [[No more puts; who waits to put gets `nil, "closed"`. What is in it can still be taken;
with `discard` it is dropped, counted as done, and getters wake at once. Again: nothing.]],
    example = [[
local q = conc.queue()
q:put("last")
q:close()
print(q:put("late"))    --> nil closed
print(q:get())          --> last
print(q:get())          --> nil closed]],
  },
  {
    name = "queue:closed", params = "", returns = "boolean",
    text = "Was it closed?",
    example = [[
local q = conc.queue()
q:close()
print(q:closed())   --> true]],
  },
  {
    name = "queue:empty", params = "", returns = "boolean",
    text = "Is there nothing in it at this moment? (`#q` tells how many.)",
    example = [[
local q = conc.queue()
print(q:empty(), #q)   --> true 0]],
  },
  {
    name = "queue:full", params = "", returns = "boolean",
    text = "Would a put have to wait at this moment?",
    example = [[
local q = conc.queue(1)
q:put(1)
print(q:full(), conc.queue():full())   --> true false]],
  },
  {
    name = "queue:maxsize", params = "", returns = "integer?",
    text = "Its bound; `nil` where it has none.",
    example = [[
print(conc.queue(5):maxsize(), conc.queue():maxsize())   --> 5 nil]],
  },
  {
    name = "queue:peek", params = "", returns = "any",
    text = [[A copy of what `get` would take (a priority queue: value, priority); `nil` if it is
empty.]],
    example = [[
local q = conc.queue()
q:put("a")
print(q:peek(), #q)   --> a 1]],
  },
  {
    name = "queue:task_done", params = "", returns = "",
    text = "Says that one value taken before has been dealt with; `join` waits for that.",
    raises = "where it is called more often than values were put.",
    example = [[
local q = conc.queue()
q:put("work")
q:get()
q:task_done()
print(q:join())   --> true]],
  },
  {
    name = "queue:join", params = "timeout?: seconds", returns = "true?, reason: string?",
    text = [[Waits until each value put has been marked done: `true`, or `nil, "timeout"`.]],
    example = [[
local q = conc.queue()
local t = conc.thread(function ()
  for _ in q:items() do q:task_done() end
end)
q:put_many({1, 2, 3})
print(q:join())   --> true
q:close()
t:join()]],
  },
  {
    name = "queue:pollfd", params = "", returns = "integer",
    text = [[A file descriptor that is readable while there is something to get, or the queue is
closed; for event loops. It belongs to the queue: do not close it.]],
    example = [[
local q = conc.queue()
print(math.type(q:pollfd()))   --> integer]],
  },
}

local pool_methods = {
  {
    name = "thread_pool:submit", params = "f: function, ...: any", returns = "conc.future",
    text = "Runs `f(...)` in a worker as soon as one is free. With `queue = n`: waits for room.",
    raises = "`pool is shut down`; `cannot send ...`; why the pool failed, if it did.",
    example = [[
local pool <close> = conc.thread_pool(2)
print(pool:submit(function (a, b) return a + b end, 2, 3):result())   --> 5]],
  },
  {
    name = "thread_pool:map", params = "f: function, list: any[], options?: conc.map_options",
    returns = "results: any[], errors: table?",
    text = [[Calls f on each item: the list of the first results, in order, `n` of them. Items begin
in order, but for the last of a long list, which begins early: it may be the longest. The first
error cancels what has not started and is raised; with `errors = "collect"` everything runs, and two
tables come back, results and errors, both by index.]],
    raises = "the error that came first in time.",
    options = {
      {"chunk: integer", "automatic", "items that a task carries; 1 or more"},
      {"timeout: seconds", "none", [[that one item may take; its worker is then stopped, and the
item fails with `"timeout"`]]},
      {"ahead: integer", "at least twice the workers", "of imap: items read early"},
      {'errors: "collect"', "none", "of map and starmap: go on after errors"},
      {"progress: boolean", "`false`", "a progress bar on standard error, if that is a terminal"},
    },
    example = [[
local pool <close> = conc.thread_pool(2)
print(table.concat(pool:map(function (x) return x * x end, {1, 2, 3}), " "))   --> 1 4 9
local good, bad = pool:map(function (x) return x // x end, {1, 0}, {errors = "collect"})
print(good[1], bad[2])   --> 1 ...zero...]],
  },
  {
    name = "thread_pool:starmap",
    params = "f: function, lists: any[][], options?: conc.map_options",
    returns = "results: any[], errors: table?",
    text = "As `map`, each item being the list of f's arguments.",
    example = [[
local pool <close> = conc.thread_pool(2)
print(table.concat(pool:starmap(math.max, {{1, 2}, {4, 3}}), " "))   --> 2 4]],
  },
  {
    name = "thread_pool:imap",
    params = "f: function, source: any[]|(fun(): any), options?: conc.map_options",
    returns = "fun(): integer, any",
    text = [[For a `for` loop: `i, result` in order, while later items run. The source is a list or
an iterator, read only `ahead` items ahead: it may be endless.]],
    raises = "the first error of an item, after the results before it.",
    example = [[
local pool <close> = conc.thread_pool(2)
for i, square in pool:imap(function (x) return x * x end, {5, 6}) do
  print(i, square)   --> 1 25
end                  --> 2 36]],
  },
  {
    name = "thread_pool:imap_unordered",
    params = "f: function, source: any[]|(fun(): any), options?: conc.map_options",
    returns = "fun(): integer, any",
    text = "As `imap`, but as they finish; `i` is the item's place in the source.",
    example = [[
local pool <close> = conc.thread_pool(2)
local sum = 0
for _, x in pool:imap_unordered(function (x) return x end, {1, 2, 3}) do sum = sum + x end
print(sum)   --> 6]],
  },
  {
    name = "thread_pool:shutdown", params = "options?: conc.shutdown_options", returns = "",
    text = [[Takes no more tasks, lets what is queued finish, and waits for that. Leaving the scope
of a `<close>` variable does the same. From inside one of its tasks it does not wait for that
task.]],
    options = {
      {"wait: boolean", "`true`", "until all workers have ended"},
      {"cancel: boolean", "`false`", "what is queued is cancelled; what runs finishes"},
    },
    example = [[
local pool = conc.thread_pool(2)
local f = pool:submit(function () return "finished" end)
pool:shutdown()
print(f:result())   --> finished]],
  },
  {
    name = "thread_pool:terminate", params = "", returns = "",
    text = "Ends the pool at once: what is queued or runs is cancelled.",
    example = [[
local pool = conc.thread_pool(1)
local f = pool:submit(conc.sleep, 60)
pool:terminate()
f:join()
print(f:state())   --> cancelled]],
  },
  {
    name = "thread_pool:workers", params = "", returns = "integer",
    text = "How many workers it has.",
    example = [[
local pool <close> = conc.thread_pool(3)
print(pool:workers())   --> 3]],
  },
  {
    name = "thread_pool:stats", params = "", returns = "conc.pool_stats",
    text = [[`{submitted=, running=, done=, failed=, restarted=}`: items so far (those cancelled or
timed out are among the failed), and workers that were replaced.]],
    example = [[
local pool <close> = conc.thread_pool(2)
pool:map(function (x) return x end, {1, 2, 3})
print(pool:stats().done)   --> 3]],
  },
}

local pool_options = {
  {"workers: integer", "`conc.cpu_count()`; of threads `min(32, conc.cpu_count() + 4)`",
    "how many; 1 or more"},
  {"name: string", "`pool-N`", "workers are called `name/worker-N`"},
  {"initializer: function", "none", [[runs first in each worker; if it fails, so do all open
futures, and `submit` raises its error]]},
  {"max_tasks_per_worker: integer", "none", "a worker is replaced after so many"},
  {"retries: integer", "`0`", "how often a task whose worker died is run again"},
  {"queue: integer", "none", "how many tasks may wait; `submit` then blocks"},
}

-- ---- conc.http --------------------------------------------------------------------

local http_options = {
  {"timeout: seconds", "none", "of the whole call"},
  {"connect_timeout: seconds", "`10`", "until connected"},
  {"stall_timeout: seconds", "`30`", "a transfer that stands still for so long ends"},
  {"retries: integer", "`0`", "further tries, with growing pauses, of GET, HEAD, PUT, DELETE"},
  {"redirects: integer", "`10`", "most to follow; 0 gives the 3xx response itself"},
  {"max_bytes: integer", "1 GiB; of a file, none", "of the body"},
  {"headers: table<string, string|string[]>", "none", "of the request"},
  {"query: table", "none", "added to the URL"},
  {"auth: string[]", "none", "`{user, password}`"},
  {"bearer: string", "none", "a token"},
  {"proxy: string|false", "from the environment", "a URL; `false`: none"},
  {"ca: string", "the system's", "file or folder of certificate authorities"},
  {"verify: boolean", "`true`", "check the server's certificate"},
  {"user_agent: string", "`conc (libcurl/...)`", ""},
}

local content_options = table.move(http_options, 1, #http_options, 5, {
  {"body: string", "none", "as it is"},
  {"json: any", "none", "a Lua value, encoded"},
  {"form: table", "none", "urlencoded; with `files` part of a multipart body"},
  {"files: table", "none", "multipart: `{field = path}` or `{field = {data =, filename =}}`"},
})

local many_options = table.move(http_options, 1, #http_options, 5, {
  {"concurrency: integer", "`16`", "transfers at once"},
  {"per_host: integer", "`concurrency` if given, else `8`", "of these, to one host"},
  {"on_done: fun(i: integer, response: conc.response)", "none", "called as each ends"},
  {"progress: boolean|function", "`false`", "a line on standard error, if that is a terminal"},
})

local many_files_options = table.move(many_options, 1, #many_options, 2, {
  {"resume: boolean", "`true`", "go on with what broke off"},
})

local function sends(name, text, example)
  return {
    name = "http." .. name, params = "url: string, options?: conc.content_options",
    returns = "conc.response?, message: string?", text = text, options = content_options,
    example = example,
  }
end

-- Examples run beside a server of examples/pages on port 8000.
local http_section = {
  title = "HTTP: conc.http", module = "http",
  prelude = 'local conc = require "conc"\nlocal http = require "conc.http"\n',
  text = [[A module of its own: `local http = require "conc.http"`; [HTTP](http.md) tells it as a
whole. A network failure is `nil, message`; a status of 400 or more is a response like any other.
The examples ask a server that has `examples/pages` on port 8000.]],
  {
    name = "http.get", params = "url: string, options?: conc.http_options",
    returns = "conc.response?, message: string?",
    text = "Asks for a page: the response, or `nil` and what went wrong.",
    raises = "for a misspelt option, and for a header with a line break in it.",
    options = http_options,
    example = [[
local page = assert(http.get("http://localhost:8000/lock.html", {timeout = 10}))
print(page.status, page.headers["content-type"])   --> 200 text/html
print(http.get("http://127.0.0.1:1/"))             --> nil ...]],
  },
  {
    name = "http.head", params = "url: string, options?: conc.http_options",
    returns = "conc.response?, message: string?",
    text = "The same without a body.",
    options = http_options,
    example = [[
local page = http.head("http://localhost:8000/lock.html")
print(page.status)   --> ...]],
  },
  sends("post", "Sends a body (`body`, `json`, `form` or `files`) by POST.", [[
local answer = http.post("http://localhost:8000/lock.html", {json = {name = "Ann"}})
print(answer.ok, answer.status)   --> false 400]]),
  sends("put", "Sends a body by PUT.", [[
local answer = http.put("http://localhost:8000/lock.html", {body = "text"})
print(answer.status)   --> 400]]),
  sends("patch", "Sends a body by PATCH.", [[
local answer = http.patch("http://localhost:8000/lock.html", {body = "text"})
print(answer.status)   --> 400]]),
  sends("delete", "Asks for deletion by DELETE.", [[
print(http.delete("http://localhost:8000/lock.html").status)   --> 400]]),
  {
    name = "http.request", params = "request: conc.request_options",
    returns = "conc.response?, message: string?",
    text = "Any request: `{url =, method =, ...}`; with a body the method is POST unless given.",
    options = table.move(content_options, 1, #content_options, 3, {
      {"url: string", "needed", ""}, {"method: string", "`GET`", ""},
    }),
    example = [[
print(http.request{url = "http://localhost:8000/pool.html", method = "GET"}.ok)   --> true]],
  },
  {
    name = "http.download",
    params = "url: string, path: string, options?: conc.download_options",
    returns = "bytes: integer?, response_or_message: any, response: conc.response?",
    text = [[Saves a page: the size of the finished file and the response; `nil,
message` and, where there was one that brings no file (its status is not 2xx), the response. It is
written beside the path and renamed when it is complete; what broke off is gone on with at the next
call. A path that ends in `/` gets the server's name for the file.]],
    options = table.move(http_options, 1, #http_options, 4, {
      {"resume: boolean", "`true`", "go on with what broke off"},
      {"sha256: string", "none", "the file has to have"},
      {"progress: boolean|function", "`false`", "a line on standard error, if that is a terminal"},
    }),
    example = [[
local path = os.tmpname()
print(http.download("http://localhost:8000/lock.html", path) > 100)   --> true
os.remove(path)]],
  },
  {
    name = "http.get_many", params = "requests: (string|table)[], options?: conc.many_options",
    returns = "conc.response[]",
    text = [[Asks for many at once, from this one thread: the responses in order. One that failed
has `ok = false`, `error` with the message, and no `status`.]],
    options = many_options,
    example = [[
local list = http.get_many({"http://localhost:8000/lock.html", "http://127.0.0.1:1/"})
print(list[1].ok, list[2].ok, list[2].error ~= nil)   --> true false true]],
  },
  {
    name = "http.download_many",
    params = "pairs: table[], options?: conc.download_many_options",
    returns = "conc.response[]",
    text = [[Saves many at once, `{url, path}` each, which may have options of its own, such as
`sha256`: responses with `path` and `bytes`. One that brings no file has failed.]],
    options = many_files_options,
    example = [[
local path = os.tmpname()
local list = http.download_many({{"http://localhost:8000/lock.html", path}})
print(list[1].ok, list[1].bytes > 100)   --> true true
os.remove(path)]],
  },
  {
    name = "http.session", params = "options?: conc.session_options", returns = "conc.session",
    text = "Connections, cookies and options of its own, for all its calls.",
    options = table.move(http_options, 1, #http_options, 3, {
      {"base: string", "none", "relative URLs start there; credentials go to that host only"},
      {"cookies: table[]", "none", "to start with, as `session:cookies` gives them"},
    }),
    example = [[
local s <close> = http.session{base = "http://localhost:8000/"}
print(s:get("lock.html").status)   --> 200]],
  },
  {
    name = "http.submit", params = "call: string|table, ...: any", returns = "conc.future",
    text = [[A future of the call of that name, in another thread; of `get` where a URL is given, of
`request` where a table is.]],
    example = [[
local f = http.submit("http://localhost:8000/lock.html", {timeout = 10})
print(f:result().status)   --> 200]],
  },
  {
    name = "http.null", field = "lightuserdata",
    text = "JSON's null, in what `response:json` gives and `json` takes.",
    example = [[
print(type(http.null))   --> userdata]],
  },
}

local response_section = {
  title = "HTTP responses", class = "response", module = "http", prelude = http_section.prelude,
  text = [[Fields: `status`, `ok` (the status is below 400), `reason`, `headers` (by name in any
case; a repeated one joined by ", "; `headers:all(name)` is the list), `body`, `url` (the final
one), `elapsed` (seconds); of a download `path` and `bytes`; of a failed one `error`.]],
  {
    name = "response:json", params = "", returns = "any",
    text = "The body as a Lua value. It takes lua-cjson or dkjson.",
    raises = "where it is no JSON.",
    example = [[
local page = http.get("http://localhost:8000/lock.html")
print(pcall(page.json, page))   --> false ...]],
  },
  {
    name = "response:raise_for_status", params = "", returns = "conc.response",
    text = "Itself, if it is ok.",
    raises = "otherwise, what went wrong.",
    example = [[
print(pcall(function ()
  return http.get("http://localhost:8000/none.html"):raise_for_status()
end))   --> false ...404...]],
  },
  {
    name = "response:status_line", params = "", returns = "string",
    text = "Status and reason in one line.",
    example = [[
print(http.get("http://localhost:8000/none.html"):status_line())   --> 404 Not Found]],
  },
}

local session_section = {
  title = "HTTP sessions", class = "session", module = "http", prelude = http_section.prelude,
  calls = http_section,
  text = [[All calls of `conc.http` but `session` as methods: `s:get(url, options)` and so on.]],
  {
    name = "session:cookies", params = "", returns = "table[]",
    text = [[The cookies that it has: a list of `{name =, value =, domain =, path =, expires =,
secure =, httponly =, subdomains =}`.]],
    example = [[
local s <close> = http.session()
print(#s:cookies())   --> 0]],
  },
  {
    name = "session:submit", params = "call: string|table, ...: any", returns = "conc.future",
    text = [[A future of one of its calls, made in another thread by a session like this one, with
a copy of its cookies.]],
    example = [[
local s <close> = http.session{base = "http://localhost:8000/"}
print(s:submit("get", "lock.html"):result().status)   --> 200]],
  },
  {
    name = "session:close", params = "", returns = "",
    text = "Ends its connections and forgets its cookies. A `<close>` variable does the same.",
    example = [[
local s = http.session()
s:close()
print(s)   --> conc.http session (closed)]],
  },
}

-- ---- the sections --------------------------------------------------------------

return {
  {
    title = "Threads and processes",
    text = [[Both are handles of a function that runs elsewhere, and differ in where: a thread has a
Lua state of its own in this process; a process is forked, and sees everything that the caller
had, as a copy. What is handed over is copied; conc objects are the same object on both sides.]],
    {
      name = "conc.thread", params = "options?: conc.start_options, f: function, ...: any",
      returns = "conc.thread",
      text = [[Runs `f(...)` in a new thread, at once. Upvalues and globals that f mentions travel
with it.]],
      raises = "`cannot send ...`, with the path to what cannot be sent; then nothing was started.",
      options = start_options,
      example = [[
local n = 20
local t = conc.thread({name = "adder"}, function (x) return x + n end, 1)
print(t:result())   --> 21]],
    },
    {
      name = "conc.process", params = "options?: conc.start_options, f: function, ...: any",
      returns = "conc.process",
      text = [[Forks a process that runs `f(...)`. Results travel back like any value. It ends with
its parent at the latest, even if that is killed.]],
      raises = "where the system refuses to fork.",
      options = start_options,
      example = [[
local p = conc.process(function () return conc.current():pid() end)
print(p:result() == p:pid(), p:pid() ~= conc.current():pid())   --> true true]],
    },
    {
      name = "conc.timer",
      params = "options?: conc.start_options, delay: seconds, f: function, ...: any",
      returns = "conc.thread",
      text = [[A thread that runs `f(...)` after `delay` seconds; `cancel` before that prevents
it. Until then it takes no native thread: there may be thousands. A pending timer is
waited for at the program's end, unless it is a daemon.]],
      options = start_options,
      example = [[
local t = conc.timer(0.01, function () return "late" end)
print(t:result())   --> late]],
    },
    {
      name = "conc.generate", params = "options?: conc.generate_options, f: function, ...: any",
      returns = "fun(): ...",
      text = [[For a `for` loop: f runs beside the loop, and what it passes to `coroutine.yield`
comes out, at most `ahead` values early. An error in f is raised in the loop, after the values
before it. f's results are dropped. Leaving the loop early cancels it. It is a daemon.]],
      raises = "inside f, at the yield, for a first value of `nil`.",
      options = {
        {"process: boolean", "`false`", "f runs in a process"},
        {"ahead: integer", "`16`", "values that wait for the loop; 1 or more"},
        {"name: string", "`generator-N`", "of the thread or process"},
      },
      example = [[
local function count(to)
  for i = 1, to do coroutine.yield(i, i * i) end
end
for i, square in conc.generate(count, 2) do
  print(i, square)   --> 1 1
end                  --> 2 4]],
    },
    {
      name = "conc.current", params = "", returns = "conc.thread|conc.process",
      text = "The thread or process that runs this; the main one is a thread named `main`.",
      example = [[
print(conc.current():name(), conc.type(conc.current()))   --> main thread]],
    },
    {
      name = "conc.list_alive", params = "", returns = "(conc.thread|conc.process)[]",
      text = [[All that have not ended: the main one, threads, processes, timers, generators,
supervisors and the workers of pools.]],
      example = [[
local t = conc.thread({name = "napper"}, conc.sleep, 60)
for _, who in ipairs(conc.list_alive()) do
  if who == t then print(who:name()) end   --> napper
end
t:cancel()]],
    },
    {
      name = "conc.cpu_count", params = "", returns = "integer",
      text = "How many CPUs this process may use, affinity and container quota counted; 1 or more.",
      example = [[
print(conc.cpu_count() >= 1)   --> true]],
    },
    {
      name = "conc.sleep", params = "duration: seconds", returns = "",
      text = [[Waits. Zero or less returns at once; `math.huge` sleeps until cancelled. Ctrl-C and
`cancel` end it.]],
      example = [[
local start = conc.now()
conc.sleep(0.02)
print(conc.now() - start >= 0.02)   --> true]],
    },
    {
      name = "conc.now", params = "", returns = "seconds",
      text = "A clock that only goes forward, one for all threads and processes.",
      example = [[
print(conc.process(conc.now):result() <= conc.now())   --> true]],
    },
    {
      name = "conc.print", params = "...: any", returns = "",
      text = [[As `print`, one whole line at a time, whoever else prints; in threads `print` is
that.]],
      example = [[
conc.print("one", 2)   --> one 2]],
    },
    {
      name = "conc.shield", params = "f: function, ...: any", returns = "...: any",
      text = "Runs `f(...)` with cancelling put off until it returns; f's results.",
      example = [[
local t = conc.thread(function ()
  conc.shield(conc.sleep, 0.05)
  conc.sleep(60)
end)
t:cancel()
t:join()
print(t:state())   --> cancelled]],
    },
    {
      name = "conc.cancelled", field = "any",
      text = [[The value that a cancelled thread, process or task is left by. It compares equal
everywhere, also after it has travelled.]],
      example = [[
local t = conc.thread(conc.sleep, 60)
t:cancel()
print(select(2, pcall(t.result, t)) == conc.cancelled)   --> true]],
    },
  },
  {
    title = "Futures", class = "future",
    text = [[A future is one call that runs somewhere: what `pool:submit` returns. Threads and
processes are futures, with more. As a `<close>` variable: leaving the scope waits for the end;
leaving it by an error cancels first.]],
    table.unpack(future_methods),
  },
  {
    title = "Thread handles", class = "thread", like = "future",
    text = "What `conc.thread`, `conc.timer` and `conc.supervise` return: a future with a name.",
    table.unpack(task_methods),
  },
  {
    title = "Process handles", class = "process", like = "thread",
    text = [[What `conc.process` returns. A process that was killed, crashed or left by `os.exit`
has not returned: `result` raises an error that says how it ended.]],
    {
      name = "process:exitcode", params = "", returns = "integer?",
      text = [[`nil` while it is alive; 0; the code of `os.exit`; 1 for an uncaught error or a
cancelled one; `-signal` when it was killed. Known once `join` has returned.]],
      example = [[
local p = conc.process(os.exit, 3)
p:join()
print(p:exitcode(), p:error())   --> 3 ...3...]],
    },
    {
      name = "process:terminate", params = "", returns = "boolean",
      text = "Sends SIGTERM. Was it still alive?",
      example = [[
local p = conc.process(conc.sleep, 60)
print(p:terminate())   --> true
p:join()
print(p:exitcode())    --> -15]],
    },
    {
      name = "process:kill", params = "signal?: integer|string", returns = "boolean",
      text = [[Sends SIGKILL, or the signal: a number, or a name such as `"TERM"`. Was it still
alive? A pid that was reused is never hit.]],
      raises = "for a name or number that is no signal.",
      example = [[
local p = conc.process(conc.sleep, 60)
print(p:kill())        --> true
p:join()
print(p:exitcode())    --> -9]],
    },
  },
  {
    title = "Waiting for several",
    {
      name = "conc.wait", params = "futures: conc.future[], options?: conc.wait_options",
      returns = "ended: conc.future[], others: conc.future[]",
      text = "Two lists, those that have ended and those that have not, in the order given.",
      options = {
        {"timeout: seconds", "none", "the lists come then, as they are"},
        {'return_when: "all"|"first"|"error"', '`"all"`',
          'wait for all, for any, or for the first that failed or was cancelled'},
      },
      example = [[
local a, b = conc.thread(function () end), conc.thread(conc.sleep, 60)
local ended, others = conc.wait({a, b}, {return_when = "first"})
print(ended[1] == a, others[1] == b)   --> true true
b:cancel()]],
    },
    {
      name = "conc.as_completed", params = "futures: conc.future[], timeout?: seconds",
      returns = "fun(): conc.future",
      text = [[For a `for` loop: the futures in the order in which they end, each once. When the
timeout, which is for the whole loop, is over, the loop ends; `conc.wait` tells what is left.]],
      example = [[
local slow = conc.thread(function () conc.sleep(0.2) return "slow" end)
local fast = conc.thread(function () return "fast" end)
for f in conc.as_completed({slow, fast}) do
  print(f:result())   --> fast
end                   --> slow]],
    },
    {
      name = "conc.select", params = "objects: any[], timeout?: seconds",
      returns = "object: any, value: any",
      text = [[Waits for whichever is ready first, fairly when several are: `q, value` of a queue or
pipe end, `f` of a future, thread, process or event; `nil, "timeout"`; `nil, "closed"` when all
are queues or pipe ends that are closed.]],
      example = [[
local a, b = conc.queue(), conc.queue()
b:put("hello")
local which, value = conc.select({a, b})
print(which == b, value)          --> true hello
print(conc.select({a, b}, 0))     --> nil timeout]],
    },
  },
  {
    title = "Locks", class = "lock",
    text = [[One holder at a time, in whatever thread or process. A lock whose holder died is handed
on.]],
    {
      name = "conc.lock", params = "", returns = "conc.lock",
      text = "A new lock, free.",
      example = [[
print(conc.lock())   --> conc.lock (free)]],
    },
    table.unpack(lock_methods),
  },
  {
    title = "Recursive locks", class = "rlock", like = "lock",
    text = "A lock that its holder may acquire again; it is free after as many releases.",
    {
      name = "conc.rlock", params = "", returns = "conc.rlock",
      text = "A new recursive lock, free.",
      example = [[
local lock = conc.rlock()
print(lock:acquire(), lock:acquire())   --> true true
lock:release()
lock:release()
print(lock:locked())                    --> false]],
    },
  },
  {
    title = "Readers and writers", class = "rwlock",
    text = [[Many readers or one writer. A waiting writer holds back new readers; a reader may read
again; a reader that asks to write, or a writer that asks to read, raises.]],
    {
      name = "conc.rwlock", params = "", returns = "conc.rwlock",
      text = "A new lock, free.",
      example = [[
print(conc.rwlock():locked())   --> false]],
    },
    {
      name = "rwlock:acquire_read", params = "timeout?: seconds",
      returns = "true?, reason: string?",
      text = [[Waits until nobody writes or waits to write: `true`; `true, "abandoned"`;
`nil, "timeout"`.]],
      raises = "`deadlock: ...`; where the caller writes.",
      example = [[
local rw = conc.rwlock()
print(rw:acquire_read(), rw:locked())   --> true read
rw:release()]],
    },
    {
      name = "rwlock:acquire_write", params = "timeout?: seconds",
      returns = "true?, reason: string?",
      text = [[Waits until nobody reads or writes: `true`; `true, "abandoned"`; `nil,
"timeout"`.]],
      raises = "`deadlock: ...`; where the caller reads.",
      example = [[
local rw = conc.rwlock()
print(rw:acquire_write(), rw:locked())   --> true write
rw:release()]],
    },
    {
      name = "rwlock:release", params = "", returns = "",
      text = "Ends the reading or writing of the caller.",
      raises = "where it does neither.",
      example = [[
local rw = conc.rwlock()
rw:acquire_read()
rw:release()
print(rw:locked())   --> false]],
    },
    {
      name = "rwlock:guard_read", params = "timeout?: seconds",
      returns = "guard: conc.rwlock?, reason: string?",
      text = "As `acquire_read`, for a `<close>` variable.",
      example = [[
local rw = conc.rwlock()
do
  local _ <close> = rw:guard_read()
  print(rw:locked())   --> read
end
print(rw:locked())     --> false]],
    },
    {
      name = "rwlock:guard_write", params = "timeout?: seconds",
      returns = "guard: conc.rwlock?, reason: string?",
      text = "As `acquire_write`, for a `<close>` variable.",
      example = [[
local rw = conc.rwlock()
do
  local _ <close> = rw:guard_write()
  print(rw:locked())   --> write
end
print(rw:locked())     --> false]],
    },
    {
      name = "rwlock:with_read", params = "f: function, ...: any", returns = "...: any",
      text = "Runs `f(...)` while it reads; f's results.",
      example = [[
local rw = conc.rwlock()
print(rw:with_read(function () return rw:locked() end))   --> read]],
    },
    {
      name = "rwlock:with_write", params = "f: function, ...: any", returns = "...: any",
      text = "Runs `f(...)` while it writes; f's results.",
      example = [[
local rw = conc.rwlock()
print(rw:with_write(function () return rw:locked() end))   --> write]],
    },
    {
      name = "rwlock:locked", params = "", returns = '"read"|"write"|false',
      text = "How it is held at this moment.",
      example = [[
print(conc.rwlock():locked())   --> false]],
    },
  },
  {
    title = "Semaphores", class = "semaphore",
    text = [[So many permits. A permit has no holder: one that a dead process had is not given
back.]],
    {
      name = "conc.semaphore", params = "n?: integer, max?: integer", returns = "conc.semaphore",
      text = "A new semaphore with n permits (1; 0 or more), never more than `max` (no bound).",
      example = [[
local s = conc.semaphore(2)
print(s:value())   --> 2]],
    },
    {
      name = "semaphore:acquire", params = "timeout?: seconds", returns = "true?, reason: string?",
      text = [[Takes a permit, waiting for one: `true`, or `nil, "timeout"`.]],
      example = [[
local s = conc.semaphore(1)
print(s:acquire())    --> true
print(s:acquire(0))   --> nil timeout]],
    },
    {
      name = "semaphore:release", params = "n?: integer", returns = "",
      text = "Gives n permits (1) back, whoever took them.",
      raises = "where there would be more than `max`; nothing has then changed.",
      example = [[
local s = conc.semaphore(0)
s:release(2)
print(s:value())   --> 2]],
    },
    {
      name = "semaphore:value", params = "", returns = "integer",
      text = "The permits that are there at this moment.",
      example = [[
print(conc.semaphore(3):value())   --> 3]],
    },
    {
      name = "semaphore:guard", params = "timeout?: seconds",
      returns = "guard: conc.semaphore?, reason: string?",
      text = "As `acquire`, for a `<close>` variable: the permit is given back at its end.",
      example = [[
local s = conc.semaphore(1)
do
  local _ <close> = s:guard()
  print(s:value())   --> 0
end
print(s:value())     --> 1]],
    },
    {
      name = "semaphore:with", params = "f: function, ...: any", returns = "...: any",
      text = "Runs `f(...)` with a permit; f's results.",
      example = [[
local s = conc.semaphore(1)
print(s:with(function () return s:value() end))   --> 0]],
    },
  },
  {
    title = "Conditions", class = "condition",
    text = [[To wait, with a lock held, for something that others change under that lock. All calls
need the lock held. Its own lock is recursive.]],
    {
      name = "conc.condition", params = "lock?: conc.lock|conc.rlock", returns = "conc.condition",
      text = "A new condition, of that lock or of a new rlock.",
      example = [[
print(conc.type(conc.condition()))   --> condition]],
    },
    {
      name = "condition:acquire", params = "timeout?: seconds", returns = "true?, reason: string?",
      text = "Its lock's `acquire`.",
      example = [[
local c = conc.condition()
print(c:acquire())   --> true
c:release()]],
    },
    {
      name = "condition:release", params = "", returns = "",
      text = "Its lock's `release`.",
      example = [[
local lock = conc.lock()
local c = conc.condition(lock)
c:acquire()
c:release()
print(lock:locked())   --> false]],
    },
    {
      name = "condition:guard", params = "timeout?: seconds",
      returns = "guard: conc.condition?, reason: string?",
      text = "Its lock's `guard`.",
      example = [[
local lock = conc.lock()
local c = conc.condition(lock)
do
  local _ <close> = c:guard()
  print(lock:locked())   --> true
end]],
    },
    {
      name = "condition:with", params = "f: function, ...: any", returns = "...: any",
      text = "Its lock's `with`.",
      example = [[
print(conc.condition():with(function (x) return x end, 7))   --> 7]],
    },
    {
      name = "condition:wait", params = "timeout?: seconds", returns = "true?, reason: string?",
      text = [[Gives the lock up, waits for a notify, and has the lock back: `true`;
`true, "abandoned"`; `nil, "timeout"`. Cancelled, it has the lock back before it raises.]],
      raises = "where the lock is not held.",
      example = [[
local c = conc.condition()
c:acquire()
print(c:wait(0.01))   --> nil timeout
c:release()]],
    },
    {
      name = "condition:wait_for", params = "predicate: (fun(): any), timeout?: seconds",
      returns = "value: any, reason: string?",
      text = [[Waits until the predicate, called with the lock held, is true: its value, or
`nil, "timeout"`.]],
      raises = "what the predicate raises, with the lock held.",
      example = [[
local c, ready = conc.condition(), conc.value(false)
local t = conc.thread(function ()
  c:with(function () ready:set(true) c:notify() end)
end)
c:with(function ()
  print(c:wait_for(function () return ready:get() end))   --> true
end)
t:join()]],
    },
    {
      name = "condition:notify", params = "n?: integer", returns = "",
      text = "Wakes n (1) of those that wait. A dead waiter swallows no notify.",
      raises = "where the lock is not held.",
      example = [[
local c = conc.condition()
c:with(function () c:notify(2) end)
print("nobody waited")   --> nobody waited]],
    },
    {
      name = "condition:notify_all", params = "", returns = "",
      text = "Wakes all that wait.",
      raises = "where the lock is not held.",
      example = [[
local c = conc.condition()
c:with(function () c:notify_all() end)
print("nobody waited")   --> nobody waited]],
    },
  },
  {
    title = "Events", class = "event",
    text = "A flag to wait for.",
    {
      name = "conc.event", params = "", returns = "conc.event",
      text = "A new event, not set.",
      example = [[
print(conc.event():is_set())   --> false]],
    },
    {
      name = "event:set", params = "", returns = "",
      text = "Sets it, and wakes all that wait then, whatever `clear` does next.",
      example = [[
local e = conc.event()
e:set()
print(e:wait())   --> true]],
    },
    {
      name = "event:clear", params = "", returns = "",
      text = "It is not set any more.",
      example = [[
local e = conc.event()
e:set()
e:clear()
print(e:is_set())   --> false]],
    },
    {
      name = "event:is_set", params = "", returns = "boolean",
      text = "Is it set at this moment?",
      example = [[
local e = conc.event()
e:set()
print(e:is_set())   --> true]],
    },
    {
      name = "event:wait", params = "timeout?: seconds", returns = "true?, reason: string?",
      text = [[Waits until it is set: `true`, or `nil, "timeout"`.]],
      example = [[
local go = conc.event()
local p = conc.process(function () return go:wait() end)
go:set()
print(p:result())      --> true]],
    },
    {
      name = "event:pollfd", params = "", returns = "integer",
      text = "A file descriptor that is readable while the event is set. Do not close it.",
      example = [[
print(math.type(conc.event():pollfd()))   --> integer]],
    },
  },
  {
    title = "Barriers", class = "barrier",
    text = "Where n meet: nobody goes on before all have come.",
    {
      name = "conc.barrier", params = "n: integer, action?: function", returns = "conc.barrier",
      text = [[A new barrier for n. The action runs once a pass, in the last to arrive, before
anyone goes on; if it raises, the barrier is broken and that one gets the error.]],
      example = [[
print(conc.barrier(3):parties())   --> 3]],
    },
    {
      name = "barrier:wait", params = "timeout?: seconds",
      returns = "index: integer?, reason: string?",
      text = [[Waits for the others: an index from 1 to n, each given once; `nil,
"timeout"`, which breaks the barrier for all; `nil, "broken"`.]],
      example = [[
local b = conc.barrier(2)
local t = conc.thread(function () return b:wait() end)
print(b:wait() + t:result())   --> 3]],
    },
    {
      name = "barrier:reset", params = "", returns = "",
      text = [[As new; those that wait get `nil, "broken"`.]],
      example = [[
local b = conc.barrier(2)
b:abort()
b:reset()
print(b:broken())   --> false]],
    },
    {
      name = "barrier:abort", params = "", returns = "",
      text = "Breaks it: who waits, or comes, gets `nil, \"broken\"` until `reset`.",
      example = [[
local b = conc.barrier(2)
b:abort()
print(b:wait())   --> nil broken]],
    },
    {
      name = "barrier:broken", params = "", returns = "boolean",
      text = "Is it broken? A waiter that was cancelled, timed out or died breaks it.",
      example = [[
local b = conc.barrier(2)
b:wait(0)
print(b:broken())   --> true]],
    },
    {
      name = "barrier:waiting", params = "", returns = "integer",
      text = "How many wait at this moment.",
      example = [[
print(conc.barrier(2):waiting())   --> 0]],
    },
    {
      name = "barrier:parties", params = "", returns = "integer",
      text = "For how many it is.",
      example = [[
print(conc.barrier(2):parties())   --> 2]],
    },
  },
  {
    title = "Queues", class = "queue", length = true,
    text = [[First in, first out. No value is lost or seen twice, whoever is killed: it is in the
queue or with exactly one getter. `#q` is the number of values in it.]],
    {
      name = "conc.queue", params = "maxsize?: integer", returns = "conc.queue",
      text = "A new queue; without `maxsize` (1 or more) it has no bound but memory.",
      example = [[
local q = conc.queue(10)
q:put("a")
print(#q, q)   --> 1 conc.queue (1 of 10)]],
    },
    queue_put,
    table.unpack(queue_methods),
  },
  {
    title = "Last in, first out", class = "lifo_queue", like = "queue",
    text = "A queue that hands out the youngest value first.",
    {
      name = "conc.lifo_queue", params = "maxsize?: integer", returns = "conc.lifo_queue",
      text = "A new one, empty; `maxsize` as of a queue.",
      example = [[
local q = conc.lifo_queue()
q:put_many({1, 2})
print(q:get())   --> 2]],
    },
  },
  {
    title = "Priority queues", class = "priority_queue", like = "queue",
    text = [[A queue in the order of priorities, lower numbers first; equal ones in order of
arrival.]],
    {
      name = "conc.priority_queue", params = "maxsize?: integer", returns = "conc.priority_queue",
      text = "A new one, empty; `maxsize` as of a queue.",
      example = [[
local q = conc.priority_queue()
q:put("later", 2)
q:put("soon", 1)
print(q:get())   --> soon 1]],
    },
    {
      name = "priority_queue:put", params = "value: any, priority: number, timeout?: seconds",
      returns = "true?, reason: string?",
      text = [[Adds the value with its priority, any number but NaN: `true`; `nil, "timeout"`;
`nil, "closed"`.]],
      raises = "for `nil`; without a priority.",
      example = [[
local q = conc.priority_queue()
print(q:put("a", 0.5))   --> true]],
    },
    {
      name = "priority_queue:items", params = "", returns = "fun(): any, number",
      text = "For a `for` loop: `value, priority` until the queue is closed and drained.",
      example = [[
local q = conc.priority_queue()
q:put("b", 2)
q:put("a", 1)
q:close()
for v, priority in q:items() do
  print(v, priority)   --> a 1
end                    --> b 2]],
    },
  },
  {
    title = "Pipes", class = "pipe",
    text = [[Two ends; what one sends, the other receives. An end closes for all its holders; when
nobody alive holds the other end, that counts as closed.]],
    {
      name = "conc.pipe", params = "", returns = "conc.pipe, conc.pipe",
      text = "A new pipe's two ends.",
      example = [[
local here, there = conc.pipe()
local p = conc.process(function () there:send("got " .. there:recv()) end)
here:send("this")
print(here:recv())   --> got this
p:join()]],
    },
    {
      name = "pipe:send", params = "value: any, timeout?: seconds",
      returns = "true?, reason: string?",
      text = [[Sends a copy of the value: `true`; `nil, "timeout"`; `nil, "closed"`.]],
      raises = "for `nil`; `cannot send ...`.",
      example = [[
local a, b = conc.pipe()
print(a:send({1, 2}))   --> true
b:close()
print(a:send("x"))      --> nil closed]],
    },
    {
      name = "pipe:recv", params = "timeout?: seconds", returns = "value: any, reason: string?",
      text = [[The next value that the other end sent: the value; `nil, "timeout"`;
`nil, "closed"` once all that was sent before has been received.]],
      example = [[
local a, b = conc.pipe()
a:send("x")
a:close()
print(b:recv(), b:recv())   --> x nil closed]],
    },
    {
      name = "pipe:poll", params = "timeout?: seconds", returns = "true?, reason: string?",
      text = [[Would `recv` return at once? `true`, waiting for that as long as the timeout (0);
`nil, "timeout"`.]],
      example = [[
local a, b = conc.pipe()
print(b:poll())   --> nil timeout
a:send("x")
print(b:poll())   --> true]],
    },
    {
      name = "pipe:close", params = "", returns = "",
      text = "Closes this end. Again: nothing. A `<close>` variable does the same.",
      example = [[
local a, b = conc.pipe()
a:close()
print(b:recv())   --> nil closed]],
    },
    {
      name = "pipe:pollfd", params = "", returns = "integer",
      text = [[A file descriptor that is readable while `recv` would return at once. Do not close
it.]],
      example = [[
local a = conc.pipe()
print(math.type(a:pollfd()))   --> integer]],
    },
  },
  {
    title = "Thread pools", class = "thread_pool",
    text = [[A few workers for many calls. The pool ends when the scope of its `<close>` variable is
left (what is queued finishes), or when it is collected. One made inside a task has by default
its share of the workers only: pools in the tasks of pools do not multiply.]],
    {
      name = "conc.thread_pool", params = "workers_or_options?: integer|conc.pool_options",
      returns = "conc.thread_pool",
      text = "A new pool of threads; `min(32, conc.cpu_count() + 4)` of them by default.",
      options = pool_options,
      example = [[
local pool <close> = conc.thread_pool{workers = 2, name = "readers"}
local function who() return conc.current():name() end
print(pool:submit(who):result())   --> readers/worker-...]],
    },
    table.unpack(pool_methods),
  },
  {
    title = "Process pools", class = "process_pool", like = "thread_pool",
    text = [[The same with processes: `conc.cpu_count()` of them by default. They are forked from a
quiet process made with the pool, so locks held elsewhere cannot hang them. A worker that dies
fails only the task that it ran, and is replaced.]],
    {
      name = "conc.process_pool", params = "workers_or_options?: integer|conc.pool_options",
      returns = "conc.process_pool",
      text = "A new pool of processes.",
      options = pool_options,
      example = [[
local pool <close> = conc.process_pool(2)
print(table.concat(pool:map(function (x) return 2 * x end, {1, 2, 3}), " "))   --> 2 4 6]],
    },
  },
  {
    title = "Shared values", class = "value",
    text = "One integer, float or boolean that all see, lock-free. It keeps its type.",
    {
      name = "conc.value", params = "x: integer|number|boolean", returns = "conc.value",
      text = "A new one with that value, which settles its type.",
      example = [[
local v = conc.value(0)
conc.thread(function () v:add(5) end):join()
print(v:get(), v)   --> 5 conc.value (5)]],
    },
    {
      name = "value:get", params = "", returns = "integer|number|boolean",
      text = "What it is now.",
      example = [[
print(conc.value(1.5):get())   --> 1.5]],
    },
    {
      name = "value:set", params = "x: integer|number|boolean", returns = "",
      text = "It is x from now on.",
      raises = "for a value of another type.",
      example = [[
local v = conc.value(1)
v:set(2)
print(v:get())   --> 2]],
    },
    {
      name = "value:add", params = "n: integer|number", returns = "integer|number",
      text = "Adds n in one step: the sum. Integers wrap.",
      raises = "for a boolean, and for a number of the other type.",
      example = [[
local v = conc.value(40)
print(v:add(2))   --> 42]],
    },
    {
      name = "value:exchange", params = "x: integer|number|boolean",
      returns = "integer|number|boolean",
      text = "Sets x and returns what was there, in one step.",
      example = [[
local v = conc.value(false)
print(v:exchange(true), v:get())   --> false true]],
    },
    {
      name = "value:compare_exchange",
      params = "expected: integer|number|boolean, new: integer|number|boolean",
      returns = "boolean, old: integer|number|boolean",
      text = [[Sets `new` if it is `expected` (type and value), in one step: was it? And what was
there.]],
      example = [[
local v = conc.value(1)
print(v:compare_exchange(1, 2))   --> true 1
print(v:compare_exchange(1, 3))   --> false 2]],
    },
    {
      name = "value.value", field = "integer|number|boolean",
      text = "To read and assign, as `get` and `set`.",
      example = [[
local v = conc.value(1)
v.value = v.value + 1
print(v.value)   --> 2]],
    },
  },
  {
    title = "Shared arrays", class = "array", length = true, index = {"integer", "number"},
    text = [[Numbers of one machine type, fixed in number, never copied when sent: `a[i]`,
`a[i] = x` (from 1, range-checked), `#a`. Types: `i8 u8 i16 u16 i32 u32 i64 u64 f32 f64`; a u64 is
the bit pattern of a Lua integer.]],
    {
      name = "conc.array", params = "type: string, n_or_list: integer|number[]",
      returns = "conc.array",
      text = "A new array of n zeros, or of the numbers of a list.",
      raises = "for a number that the type cannot hold.",
      example = [[
local a = conc.array("u8", {1, 2, 255})
print(#a, a[3], pcall(function () a[1] = 256 end))   --> 3 255 false ...]],
    },
    {
      name = "array:add", params = "i: integer, n: number", returns = "number",
      text = "Adds n to element i in one step: the sum.",
      raises = "where the sum is out of range; nothing has then changed (u64 wraps).",
      example = [[
local a = conc.array("i32", 2)
print(a:add(1, 5))   --> 5]],
    },
    {
      name = "array:fill", params = "x: number, i?: integer, j?: integer", returns = "",
      text = "Sets elements i (1) to j (the last) to x.",
      example = [[
local a = conc.array("f64", 3)
a:fill(0.5)
print(a[3])   --> 0.5]],
    },
    {
      name = "array:copy", params = "from: conc.array, i?: integer, j?: integer, at?: integer",
      returns = "",
      text = "Copies elements i (1) to j (the last) of another array to place `at` (1) on.",
      raises = "for a value that the type cannot hold, or out of range; nothing has then changed.",
      example = [[
local a, b = conc.array("i8", {1, 2, 3}), conc.array("f64", 3)
b:copy(a, 2, 3)
print(b[1], b[2])   --> 2.0 3.0]],
    },
    {
      name = "array:bytes", params = "i?: integer, j?: integer", returns = "string",
      text = "The bytes of elements i (1) to j (the last), in the machine's order.",
      example = [[
print(conc.array("u8", {72, 105}):bytes())   --> Hi]],
    },
    {
      name = "array:set_bytes", params = "s: string, at?: integer", returns = "",
      text = "Sets elements from `at` (1) on to the numbers that the bytes are.",
      raises = "where they do not fit, or are no whole number of elements.",
      example = [[
local a = conc.array("u8", 2)
a:set_bytes("Hi")
print(a[1], a[2])   --> 72 105]],
    },
  },
  {
    title = "Shared lists", class = "list", length = true, index = {"integer", "any"},
    text = [[Any values in order: `l[i]`, `l[i] = v`, `#l`, `ipairs(l)`. What comes out is a copy:
write it back to change it. Reading beyond the end is `nil`; writing at `#l + 1` appends,
elsewhere outside raises, as `nil` does.]],
    {
      name = "conc.list", params = "t?: any[]", returns = "conc.list",
      text = "A new list, with copies of the values of a table.",
      example = [[
local l = conc.list({"a", "b"})
l[3] = "c"
print(#l, l[3], l)   --> 3 c conc.list (3 items)]],
    },
    {
      name = "list:append", params = "v: any", returns = "",
      text = "Adds a value at the end.",
      example = [[
local l = conc.list()
conc.process(function () l:append("from afar") end):join()
print(l[1])   --> from afar]],
    },
    {
      name = "list:insert", params = "i: integer, v: any", returns = "",
      text = "Adds a value at place i (1 to #l + 1); those from there on move up.",
      raises = "for another place.",
      example = [[
local l = conc.list({"b"})
l:insert(1, "a")
print(l[1], l[2])   --> a b]],
    },
    {
      name = "list:pop", params = "i?: integer", returns = "any",
      text = "Takes out the value at i (the last); `nil` if the list is empty.",
      raises = "for a place that the list has not.",
      example = [[
local l = conc.list({"a", "b"})
print(l:pop(), l:pop(1), l:pop())   --> b a nil]],
    },
    {
      name = "list:totable", params = "", returns = "any[]",
      text = "A copy as a table, as it was at one moment.",
      example = [[
print(table.concat(conc.list({"a", "b"}):totable(), " "))   --> a b]],
    },
    {
      name = "list:with", params = "f: (fun(list: conc.list, ...: any): ...), ...: any",
      returns = "...: any",
      text = "Runs `f(list, ...)` while nobody else can use the list; f's results.",
      raises = "`deadlock: ...` as a lock's `acquire` does; what f raises.",
      example = [[
local l = conc.list({1, 2})
print(l:with(function (l)
  local sum = 0
  for _, x in ipairs(l) do sum = sum + x end
  return sum
end))   --> 3]],
    },
  },
  {
    title = "Shared dicts", class = "dict", length = true, index = {"string|number|boolean", "any"},
    text = [[Any values by key: `d[k]`, `d[k] = v` (`nil` removes), `pairs(d)` (of a snapshot),
`#d` (the number of keys). Keys are strings, numbers (as in a table: 1 and 1.0 are one) and
booleans. What comes out is a copy. A key that is the name of a method is reached by `get` and
`set` only.]],
    {
      name = "conc.dict", params = "t?: table", returns = "conc.dict",
      text = "A new dict, with copies of the entries of a table.",
      example = [[
local d = conc.dict({a = 1})
d.b = {2}
print(#d, d.a, d.b[1])   --> 2 1 2]],
    },
    {
      name = "dict:get", params = "k: string|number|boolean", returns = "any",
      text = "The value of a key, whatever its name; `nil` if there is none.",
      example = [[
local d = conc.dict()
d:set("get", 7)
print(d:get("get"))   --> 7]],
    },
    {
      name = "dict:set", params = "k: string|number|boolean, v: any", returns = "",
      text = "Sets the value of a key, whatever its name; `nil` removes it.",
      example = [[
local d = conc.dict({a = 1})
d:set("a", nil)
print(#d)   --> 0]],
    },
    {
      name = "dict:update", params = "k: string|number|boolean, f: (fun(old: any): any)",
      returns = "any",
      text = [[Sets a key to what f makes of its value, in one step: the new value. f returning
`nil` removes it.]],
      example = [[
local d = conc.dict({a = {1}})
print(#d:update("a", function (t) t[#t + 1] = 2 return t end))   --> 2]],
    },
    {
      name = "dict:incr", params = "k: string|number|boolean, n?: number", returns = "number",
      text = "Adds n (1) to the number of a key, in one step; a missing one counts as 0. The sum.",
      raises = "where the value is no number.",
      example = [[
local d = conc.dict()
print(d:incr("hits"), d:incr("hits", 10))   --> 1 11]],
    },
    {
      name = "dict:totable", params = "", returns = "table",
      text = "A copy as a table, as it was at one moment.",
      example = [[
print(conc.dict({a = 1}):totable().a)   --> 1]],
    },
    {
      name = "dict:with", params = "f: (fun(dict: conc.dict, ...: any): ...), ...: any",
      returns = "...: any",
      text = "Runs `f(dict, ...)` while nobody else can use the dict; f's results.",
      raises = "`deadlock: ...` as a lock's `acquire` does; what f raises.",
      example = [[
local d = conc.dict({from = 10, to = 0})
d:with(function (d) d.from, d.to = d.from - 5, d.to + 5 end)
print(d.from, d.to)   --> 5 5]],
    },
  },
  {
    title = "What travels",
    text = [[Values that are handed over are copied as one graph: sharing, cycles and identity
inside it are kept. Functions travel with their upvalues and the globals that they mention; conc
objects by reference. What cannot travel is refused where it is sent, with the path to it.]],
    {
      name = "conc.can_send", params = "v: any", returns = "true?, reason: string?",
      text = "Can the value be sent? `true`, or `nil` and the reason.",
      example = [[
print(conc.can_send({1, {2}}))             --> true
print(conc.can_send(coroutine.create(print)))   --> nil ...cannot send...]],
    },
    {
      name = "conc.encode", params = "...: any", returns = "string",
      text = "The values as a string, for a file or a socket; `conc.decode` makes equal ones.",
      raises = "for conc objects, light userdata, and whatever cannot be sent.",
      example = [[
print(conc.decode(conc.encode({x = 1}, nil, "s")).x)   --> 1]],
    },
    {
      name = "conc.decode", params = "s: string, options?: conc.decode_options",
      returns = "...: any",
      text = [[The values of `conc.encode`. Without `trusted` it takes data only: no
functions, and nothing that makes it call `require`.]],
      raises = "for a malformed string; never anything worse.",
      options = {
        {"trusted: boolean", "`false`", "functions are allowed: bytecode, that can do anything"},
      },
      example = [[
local s = conc.encode(function (x) return x + 1 end)
print(conc.decode(s, {trusted = true})(1), pcall(conc.decode, s))   --> 2 false ...]],
    },
    {
      name = "conc.type", params = "x: any", returns = "string?",
      text = [[What kind of conc object x is: `lock` `rlock` `rwlock` `semaphore` `condition`
`event` `barrier` `queue` `lifo_queue` `priority_queue` `pipe` `value` `array` `list` `dict`
`future` `thread` `process` `thread_pool` `process_pool`; `nil` for anything else.]],
      example = [[
print(conc.type(conc.queue()), conc.type({}))   --> queue nil]],
    },
  },
  {
    title = "Supervision and sight",
    {
      name = "conc.supervise", params = "options?: conc.supervise_options, f: function, ...: any",
      returns = "conc.thread",
      text = [[Runs `f(...)` in a thread (or process) of its own, and again when it ends by an error
(or at all). The pause before that begins at `backoff` and doubles up to 30 seconds. More restarts
than `max_restarts` in `within` seconds, and it fails with the last error. Cancelled, it stops
what it runs: asks it first, and kills a process that does not stop.]],
      options = {
        {"name: string", "`supervisor-N`", "of the supervisor; what it runs is `name/run-N`"},
        {'restart: "error"|"always"', '`"error"`', "after what kind of end"},
        {"max_restarts: integer", "`5`", "in any `within` seconds"},
        {"within: seconds", "`60`", ""},
        {"backoff: seconds", "`0.1`", "the first pause"},
        {"process: boolean", "`false`", "f runs in a process"},
        {"daemon: boolean", "`false`", "the program's end does not wait for it"},
      },
      example = [[
local tries = conc.value(0)
local s = conc.supervise({backoff = 0.01}, function ()
  if tries:add(1) < 3 then error("not yet") end
  return "well"
end)
print(s:result(), tries:get())   --> well 3]],
    },
    {
      name = "conc.dump", params = "file?: file*|string", returns = "true",
      text = [[Writes a table of every thread and process to an open file or a path, on standard
error without: name, state, the Lua line that it is on, what it waits for, since when, who holds
that.]],
      example = [[
local lock = conc.lock()
lock:acquire()
local t = conc.thread({name = "waiter"}, function () lock:acquire(60) end)
conc.sleep(0.05)
conc.dump(io.stdout)
t:cancel()
lock:release()   --> conc: 1 process, 2 threads
                 --> ...pid id name state line waits for since held by
                 --> ...main running...
                 --> ...waiter waiting ...acquire lock made at ..."main" (id 1)]],
    },
    {
      name = "conc.dump_on_signal", params = "", returns = "true",
      text = [[From now on SIGQUIT (Ctrl-\ at a terminal, `kill -QUIT`) has that table written to
standard error. The environment variable `CONC_DUMP=1` does the same. Call it before anything is
forked: Ctrl-\ goes to every process, and ends those that were there before.]],
      example = [[
print(conc.dump_on_signal())   --> true]],
    },
    {
      name = "conc.trace", params = "path?: string|false", returns = "true",
      text = [[Writes a timeline of threads, tasks, waits and lock holds of all processes from now
on, in the Chrome trace format that Perfetto (ui.perfetto.dev) and chrome://tracing open; without
a path it ends. `CONC_TRACE=path` traces a whole program. `lua -l conc.timeline path` draws it in
the terminal.]],
      raises = "where the file cannot be written.",
      example = [[
local path = os.tmpname()
conc.trace(path)
conc.thread({name = "napper"}, conc.sleep, 0.01):join()
conc.trace()
local drawing = require("conc.timeline")(path, {width = 60})
print(drawing:match("napper"))   --> napper
os.remove(path)]],
    },
    {
      name = "conc.help", params = "name?: any", returns = "string",
      text = [[What this reference says of a name (`"queue.put"`, `"thread"`, an object, a
function of conc); without one, the list of all.]],
      example = [[
print(conc.help("queue.put"):match("^[^\n]+"))   --> queue:put(value [, timeout]) -> ...]],
    },
  },
  http_section, response_section, session_section,
}
