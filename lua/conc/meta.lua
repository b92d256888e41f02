---@meta conc
-- Definitions for LuaLS (lua-language-server). Made by docs/build.lua from reference.lua.
-- luacheck: ignore

---@alias seconds number

---@class conc.pool_stats
---@field submitted integer
---@field running integer
---@field done integer
---@field failed integer
---@field restarted integer

---@class conc
---@field _VERSION string
local conc = {}

---@class conc.start_options
---@field name? string at most 47 bytes
---@field daemon? boolean the program's end does not wait for it, but stops it
---@field cpus? integer[] the CPUs (from 0) to stay on
---@field nice? integer added to the caller's niceness; below 0 takes a privilege
---@field setup? function runs first, in the new state or process; if it raises, that is the outcome

---@class conc.generate_options
---@field process? boolean f runs in a process
---@field ahead? integer values that wait for the loop; 1 or more
---@field name? string of the thread or process

---@class conc.wait_options
---@field timeout? seconds the lists come then, as they are
---@field return_when? "all"|"first"|"error" wait for all, for any, or for the first that failed or was cancelled

---@class conc.pool_options
---@field workers? integer how many; 1 or more
---@field name? string workers are called `name/worker-N`
---@field initializer? function runs first in each worker; if it fails, so do all open futures, and `submit` raises its error
---@field max_tasks_per_worker? integer a worker is replaced after so many
---@field retries? integer how often a task whose worker died is run again
---@field queue? integer how many tasks may wait; `submit` then blocks

---@class conc.map_options
---@field chunk? integer items that a task carries; 1 or more
---@field timeout? seconds that one item may take; its worker is then stopped, and the item fails with `"timeout"`
---@field ahead? integer of imap: items read early
---@field errors? "collect" of map and starmap: go on after errors
---@field progress? boolean a progress bar on standard error, if that is a terminal

---@class conc.shutdown_options
---@field wait? boolean until all workers have ended
---@field cancel? boolean what is queued is cancelled; what runs finishes

---@class conc.decode_options
---@field trusted? boolean functions are allowed: bytecode, that can do anything

---@class conc.supervise_options
---@field name? string of the supervisor; what it runs is `name/run-N`
---@field restart? "error"|"always" after what kind of end
---@field max_restarts? integer in any `within` seconds
---@field within? seconds
---@field backoff? seconds the first pause
---@field process? boolean f runs in a process
---@field daemon? boolean the program's end does not wait for it

---Runs `f(...)` in a new thread, at once. Upvalues and globals that f mentions travel
---with it.
---
---Raises `cannot send ...`, with the path to what cannot be sent; then nothing was started.
---```lua
---local n = 20
---local t = conc.thread({name = "adder"}, function (x) return x + n end, 1)
---print(t:result())   --> 21
---```
---@param options? conc.start_options
---@param f fun(...): ...
---@param ... any
---@return conc.thread
function conc.thread(options, f, ...) end

---Forks a process that runs `f(...)`. Results travel back like any value. It ends with
---its parent at the latest, even if that is killed.
---
---Raises where the system refuses to fork.
---```lua
---local p = conc.process(function () return conc.current():pid() end)
---print(p:result() == p:pid(), p:pid() ~= conc.current():pid())   --> true true
---```
---@param options? conc.start_options
---@param f fun(...): ...
---@param ... any
---@return conc.process
function conc.process(options, f, ...) end

---A thread that runs `f(...)` after `delay` seconds; `cancel` before that prevents
---it. A pending timer is waited for at the program's end, unless it is a daemon.
---```lua
---local t = conc.timer(0.01, function () return "late" end)
---print(t:result())   --> late
---```
---@param options? conc.start_options
---@param delay seconds
---@param f fun(...): ...
---@param ... any
---@return conc.thread
function conc.timer(options, delay, f, ...) end

---For a `for` loop: f runs beside the loop, and what it passes to `coroutine.yield`
---comes out, at most `ahead` values early. An error in f is raised in the loop, after the values
---before it. f's results are dropped. Leaving the loop early cancels it. It is a daemon.
---
---Raises inside f, at the yield, for a first value of `nil`.
---```lua
---local function count(to)
---  for i = 1, to do coroutine.yield(i, i * i) end
---end
---for i, square in conc.generate(count, 2) do
---  print(i, square)   --> 1 1
---end                  --> 2 4
---```
---@param options? conc.generate_options
---@param f fun(...): ...
---@param ... any
---@return fun(): ...
function conc.generate(options, f, ...) end

---The thread or process that runs this; the main one is a thread named `main`.
---```lua
---print(conc.current():name(), conc.type(conc.current()))   --> main thread
---```
---@return conc.thread|conc.process
function conc.current() end

---All that have not ended: the main one, threads, processes, timers, generators,
---supervisors and the workers of pools.
---```lua
---local t = conc.thread({name = "napper"}, conc.sleep, 60)
---for _, who in ipairs(conc.list_alive()) do
---  if who == t then print(who:name()) end   --> napper
---end
---t:cancel()
---```
---@return (conc.thread|conc.process)[]
function conc.list_alive() end

---How many CPUs this process may use, affinity and container quota counted; 1 or more.
---```lua
---print(conc.cpu_count() >= 1)   --> true
---```
---@return integer
function conc.cpu_count() end

---Waits. Zero or less returns at once; `math.huge` sleeps until cancelled. Ctrl-C and
---`cancel` end it.
---```lua
---local start = conc.now()
---conc.sleep(0.02)
---print(conc.now() - start >= 0.02)   --> true
---```
---@param duration seconds
function conc.sleep(duration) end

---A clock that only goes forward, one for all threads and processes.
---```lua
---print(conc.process(conc.now):result() <= conc.now())   --> true
---```
---@return seconds
function conc.now() end

---As `print`, one whole line at a time, whoever else prints; in threads `print` is
---that.
---```lua
---conc.print("one", 2)   --> one 2
---```
---@param ... any
function conc.print(...) end

---Runs `f(...)` with cancelling put off until it returns; f's results.
---```lua
---local t = conc.thread(function ()
---  conc.shield(conc.sleep, 0.05)
---  conc.sleep(60)
---end)
---t:cancel()
---t:join()
---print(t:state())   --> cancelled
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function conc.shield(f, ...) end

---The value that a cancelled thread, process or task is left by. It compares equal
---everywhere, also after it has travelled.
---@type any
conc.cancelled = nil

---A future is one call that runs somewhere: what `pool:submit` returns. Threads and
---processes are futures, with more. As a `<close>` variable: leaving the scope waits for the end;
---leaving it by an error cancels first.
---@class conc.future
local future = {}

---Waits for the end and returns what f returned, all of it; `nil, "timeout"` if it has
---not ended by then. Asking again gives the same.
---
---Raises f's error, the same value (a table arrives as an equal table); `conc.cancelled` if it
---was cancelled; how its process died, if it did; `deadlock: ...` for one's own result.
---```lua
---local t = conc.thread(function (...) return select("#", ...), ... end, 1, nil)
---print(t:result())                  --> 2 1 nil
---local bad = conc.thread(error, {code = 7})
---print(select(2, pcall(bad.result, bad)).code)   --> 7
---```
---@param timeout? seconds
---@return any ...
function future:result(timeout) end

---Waits for the end: `nil` where it ended well, else the error value and its traceback.
---`nil, "timeout"` if it has not ended by then. Of a cancelled one the value is `conc.cancelled`.
---```lua
---local t = conc.thread(function () error("boom", 0) end)
---local value, traceback = t:error()
---print(value, traceback:match("stack traceback"))   --> boom stack traceback
---```
---@param timeout? seconds
---@return any value
---@return string? traceback
function future:error(timeout) end

---Waits for the end, whatever it is: `true`, or `nil, "timeout"`. Does not count as
---asking for an error.
---
---Raises `deadlock: ...` where the wait closes a cycle, such as joining oneself.
---```lua
---local t = conc.thread(conc.sleep, 60)
---print(t:join(0.01))   --> nil timeout
---t:cancel()
---print(t:join())       --> true
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function future:join(timeout) end

---Has it ended, however?
---```lua
---local t = conc.thread(function () end)
---t:join()
---print(t:done())   --> true
---```
---@return boolean
function future:done() end

---Where it stands. `"cancelled"` only where `conc.cancelled` left f, or f never began:
---one that swallowed it and returned is `"done"`.
---```lua
---local t = conc.thread(error, "no")
---t:join()
---print(t:state(), (t:error()))   --> failed no
---```
---@return "pending"|"running"|"done"|"failed"|"cancelled"
function future:state() end

---Asks it to stop: its next wait, or its running Lua code, raises `conc.cancelled`;
---`<close>` variables run. One that has not begun never does. `true` if it had not ended yet.
---```lua
---local t = conc.thread(conc.sleep, math.huge)
---print(t:cancel())                 --> true
---t:join()
---print(t:state(), t:cancel())      --> cancelled false
---```
---@return boolean
function future:cancel() end

---A file descriptor that is readable once it has ended, for event loops. It belongs to
---the object: do not close it.
---```lua
---local t = conc.thread(function () end)
---print(math.type(t:pollfd()))   --> integer
---t:join()
---```
---@return integer
function future:pollfd() end

---What `conc.thread`, `conc.timer` and `conc.supervise` return: a future with a name.
---@class conc.thread : conc.future
local thread = {}

---Has it not ended yet?
---```lua
---local t = conc.thread(conc.sleep, 60)
---print(t:alive())   --> true
---t:cancel()
---t:join()
---print(t:alive())   --> false
---```
---@return boolean
function thread:alive() end

---Its name; `main` is the one that the program began with.
---```lua
---print(conc.current():name())                                        --> main
---print(conc.thread({name = "reader"}, function ()
---  return conc.current():name()
---end):result())                                                      --> reader
---```
---@return string
function thread:name() end

---A number that nothing else of this program has had or will have.
---```lua
---local a, b = conc.thread(conc.now), conc.thread(conc.now)
---print(a:id() ~= b:id(), conc.current():id())   --> true 1
---```
---@return integer
function thread:id() end

---The process that it runs in.
---```lua
---local t = conc.thread(function () return conc.current():pid() end)
---print(t:result() == conc.current():pid(), t:pid() == conc.current():pid())   --> true true
---```
---@return integer
function thread:pid() end

---What `conc.process` returns. A process that was killed, crashed or left by `os.exit`
---has not returned: `result` raises an error that says how it ended.
---@class conc.process : conc.thread
local process = {}

---`nil` while it is alive; 0; the code of `os.exit`; 1 for an uncaught error or a
---cancelled one; `-signal` when it was killed. Known once `join` has returned.
---```lua
---local p = conc.process(os.exit, 3)
---p:join()
---print(p:exitcode(), p:error())   --> 3 ...3...
---```
---@return integer?
function process:exitcode() end

---Sends SIGTERM. Was it still alive?
---```lua
---local p = conc.process(conc.sleep, 60)
---print(p:terminate())   --> true
---p:join()
---print(p:exitcode())    --> -15
---```
---@return boolean
function process:terminate() end

---Sends SIGKILL, or the signal: a number, or a name such as `"TERM"`. Was it still
---alive? A pid that was reused is never hit.
---
---Raises for a name or number that is no signal.
---```lua
---local p = conc.process(conc.sleep, 60)
---print(p:kill())        --> true
---p:join()
---print(p:exitcode())    --> -9
---```
---@param signal? integer|string
---@return boolean
function process:kill(signal) end

---Two lists, those that have ended and those that have not, in the order given.
---```lua
---local a, b = conc.thread(function () end), conc.thread(conc.sleep, 60)
---local ended, others = conc.wait({a, b}, {return_when = "first"})
---print(ended[1] == a, others[1] == b)   --> true true
---b:cancel()
---```
---@param futures conc.future[]
---@param options? conc.wait_options
---@return conc.future[] ended
---@return conc.future[] others
function conc.wait(futures, options) end

---For a `for` loop: the futures in the order in which they end, each once. When the
---timeout, which is for the whole loop, is over, the loop ends; `conc.wait` tells what is left.
---```lua
---local slow = conc.thread(function () conc.sleep(0.2) return "slow" end)
---local fast = conc.thread(function () return "fast" end)
---for f in conc.as_completed({slow, fast}) do
---  print(f:result())   --> fast
---end                   --> slow
---```
---@param futures conc.future[]
---@param timeout? seconds
---@return fun(): conc.future
function conc.as_completed(futures, timeout) end

---Waits for whichever is ready first, fairly when several are: `q, value` of a queue or
---pipe end, `f` of a future, thread, process or event; `nil, "timeout"`; `nil, "closed"` when all
---are queues or pipe ends that are closed.
---```lua
---local a, b = conc.queue(), conc.queue()
---b:put("hello")
---local which, value = conc.select({a, b})
---print(which == b, value)          --> true hello
---print(conc.select({a, b}, 0))     --> nil timeout
---```
---@param objects any[]
---@param timeout? seconds
---@return any object
---@return any value
function conc.select(objects, timeout) end

---One holder at a time, in whatever thread or process. A lock whose holder died is handed
---on.
---@class conc.lock
local lock = {}

---Waits until the lock is free, and takes it. `true`; `true, "abandoned"` where the last
---holder ended without releasing it (what it protects may be half changed); `nil, "timeout"`.
---
---Raises `deadlock: ...` where the wait would close a cycle of waits; nothing is then locked.
---```lua
---local lock = conc.lock()
---print(lock:acquire())      --> true
---print(lock:acquire(0))     --> nil timeout
---lock:release()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function lock:acquire(timeout) end

---Gives the lock back, to whoever waits.
---
---Raises where the caller is not its holder; the message names the holder.
---```lua
---local lock = conc.lock()
---lock:acquire()
---lock:release()
---print(lock:locked())   --> false
---```
function lock:release() end

---Is it held at this moment, by whomever?
---```lua
---local lock = conc.lock()
---lock:acquire()
---print(lock:locked(), lock)   --> true conc.lock (held by "main")
---lock:release()
---```
---@return boolean
function lock:locked() end

---As `acquire`, but returns the lock itself, for a `<close>` variable: it is
---released when the block is left, by an error too. `nil, "timeout"` otherwise. An abandoned lock
---counts as new.
---
---Raises `deadlock: ...` as `acquire` does.
---```lua
---local lock = conc.lock()
---do
---  local _ <close> = lock:guard()
---  print(lock:locked())   --> true
---end
---print(lock:locked())     --> false
---```
---@param timeout? seconds
---@return conc.lock? guard
---@return string? reason
function lock:guard(timeout) end

---Runs `f(...)` while it holds the lock, and returns f's results.
---
---Raises what f raises, with the lock released; `deadlock: ...` as `acquire` does.
---```lua
---local lock = conc.lock()
---print(lock:with(function (a, b) return a + b end, 2, 3))   --> 5
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function lock:with(f, ...) end

---A new lock, free.
---```lua
---print(conc.lock())   --> conc.lock (free)
---```
---@return conc.lock
function conc.lock() end

---A lock that its holder may acquire again; it is free after as many releases.
---@class conc.rlock : conc.lock
local rlock = {}

---A new recursive lock, free.
---```lua
---local lock = conc.rlock()
---print(lock:acquire(), lock:acquire())   --> true true
---lock:release()
---lock:release()
---print(lock:locked())                    --> false
---```
---@return conc.rlock
function conc.rlock() end

---Many readers or one writer. A waiting writer holds back new readers; a reader may read
---again; a reader that asks to write, or a writer that asks to read, raises.
---@class conc.rwlock
local rwlock = {}

---Waits until nobody writes or waits to write: `true`; `true, "abandoned"`;
---`nil, "timeout"`.
---
---Raises `deadlock: ...`; where the caller writes.
---```lua
---local rw = conc.rwlock()
---print(rw:acquire_read(), rw:locked())   --> true read
---rw:release()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function rwlock:acquire_read(timeout) end

---Waits until nobody reads or writes: `true`; `true, "abandoned"`; `nil,
---"timeout"`.
---
---Raises `deadlock: ...`; where the caller reads.
---```lua
---local rw = conc.rwlock()
---print(rw:acquire_write(), rw:locked())   --> true write
---rw:release()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function rwlock:acquire_write(timeout) end

---Ends the reading or writing of the caller.
---
---Raises where it does neither.
---```lua
---local rw = conc.rwlock()
---rw:acquire_read()
---rw:release()
---print(rw:locked())   --> false
---```
function rwlock:release() end

---As `acquire_read`, for a `<close>` variable.
---```lua
---local rw = conc.rwlock()
---do
---  local _ <close> = rw:guard_read()
---  print(rw:locked())   --> read
---end
---print(rw:locked())     --> false
---```
---@param timeout? seconds
---@return conc.rwlock? guard
---@return string? reason
function rwlock:guard_read(timeout) end

---As `acquire_write`, for a `<close>` variable.
---```lua
---local rw = conc.rwlock()
---do
---  local _ <close> = rw:guard_write()
---  print(rw:locked())   --> write
---end
---print(rw:locked())     --> false
---```
---@param timeout? seconds
---@return conc.rwlock? guard
---@return string? reason
function rwlock:guard_write(timeout) end

---Runs `f(...)` while it reads; f's results.
---```lua
---local rw = conc.rwlock()
---print(rw:with_read(function () return rw:locked() end))   --> read
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function rwlock:with_read(f, ...) end

---Runs `f(...)` while it writes; f's results.
---```lua
---local rw = conc.rwlock()
---print(rw:with_write(function () return rw:locked() end))   --> write
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function rwlock:with_write(f, ...) end

---How it is held at this moment.
---```lua
---print(conc.rwlock():locked())   --> false
---```
---@return "read"|"write"|false
function rwlock:locked() end

---A new lock, free.
---```lua
---print(conc.rwlock():locked())   --> false
---```
---@return conc.rwlock
function conc.rwlock() end

---So many permits. A permit has no holder: one that a dead process had is not given
---back.
---@class conc.semaphore
local semaphore = {}

---Takes a permit, waiting for one: `true`, or `nil, "timeout"`.
---```lua
---local s = conc.semaphore(1)
---print(s:acquire())    --> true
---print(s:acquire(0))   --> nil timeout
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function semaphore:acquire(timeout) end

---Gives n permits (1) back, whoever took them.
---
---Raises where there would be more than `max`; nothing has then changed.
---```lua
---local s = conc.semaphore(0)
---s:release(2)
---print(s:value())   --> 2
---```
---@param n? integer
function semaphore:release(n) end

---The permits that are there at this moment.
---```lua
---print(conc.semaphore(3):value())   --> 3
---```
---@return integer
function semaphore:value() end

---As `acquire`, for a `<close>` variable: the permit is given back at its end.
---```lua
---local s = conc.semaphore(1)
---do
---  local _ <close> = s:guard()
---  print(s:value())   --> 0
---end
---print(s:value())     --> 1
---```
---@param timeout? seconds
---@return conc.semaphore? guard
---@return string? reason
function semaphore:guard(timeout) end

---Runs `f(...)` with a permit; f's results.
---```lua
---local s = conc.semaphore(1)
---print(s:with(function () return s:value() end))   --> 0
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function semaphore:with(f, ...) end

---A new semaphore with n permits (1; 0 or more), never more than `max` (no bound).
---```lua
---local s = conc.semaphore(2)
---print(s:value())   --> 2
---```
---@param n? integer
---@param max? integer
---@return conc.semaphore
function conc.semaphore(n, max) end

---To wait, with a lock held, for something that others change under that lock. All calls
---need the lock held. Its own lock is recursive.
---@class conc.condition
local condition = {}

---Its lock's `acquire`.
---```lua
---local c = conc.condition()
---print(c:acquire())   --> true
---c:release()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function condition:acquire(timeout) end

---Its lock's `release`.
---```lua
---local lock = conc.lock()
---local c = conc.condition(lock)
---c:acquire()
---c:release()
---print(lock:locked())   --> false
---```
function condition:release() end

---Its lock's `guard`.
---```lua
---local lock = conc.lock()
---local c = conc.condition(lock)
---do
---  local _ <close> = c:guard()
---  print(lock:locked())   --> true
---end
---```
---@param timeout? seconds
---@return conc.condition? guard
---@return string? reason
function condition:guard(timeout) end

---Its lock's `with`.
---```lua
---print(conc.condition():with(function (x) return x end, 7))   --> 7
---```
---@param f fun(...): ...
---@param ... any
---@return any ...
function condition:with(f, ...) end

---Gives the lock up, waits for a notify, and has the lock back: `true`;
---`true, "abandoned"`; `nil, "timeout"`. Cancelled, it has the lock back before it raises.
---
---Raises where the lock is not held.
---```lua
---local c = conc.condition()
---c:acquire()
---print(c:wait(0.01))   --> nil timeout
---c:release()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function condition:wait(timeout) end

---Waits until the predicate, called with the lock held, is true: its value, or
---`nil, "timeout"`.
---
---Raises what the predicate raises, with the lock held.
---```lua
---local c, ready = conc.condition(), conc.value(false)
---local t = conc.thread(function ()
---  c:with(function () ready:set(true) c:notify() end)
---end)
---c:with(function ()
---  print(c:wait_for(function () return ready:get() end))   --> true
---end)
---t:join()
---```
---@param predicate (fun(): any)
---@param timeout? seconds
---@return any value
---@return string? reason
function condition:wait_for(predicate, timeout) end

---Wakes n (1) of those that wait. A dead waiter swallows no notify.
---
---Raises where the lock is not held.
---```lua
---local c = conc.condition()
---c:with(function () c:notify(2) end)
---print("nobody waited")   --> nobody waited
---```
---@param n? integer
function condition:notify(n) end

---Wakes all that wait.
---
---Raises where the lock is not held.
---```lua
---local c = conc.condition()
---c:with(function () c:notify_all() end)
---print("nobody waited")   --> nobody waited
---```
function condition:notify_all() end

---A new condition, of that lock or of a new rlock.
---```lua
---print(conc.type(conc.condition()))   --> condition
---```
---@param lock? conc.lock|conc.rlock
---@return conc.condition
function conc.condition(lock) end

---A flag to wait for.
---@class conc.event
local event = {}

---Sets it, and wakes all that wait then, whatever `clear` does next.
---```lua
---local e = conc.event()
---e:set()
---print(e:wait())   --> true
---```
function event:set() end

---It is not set any more.
---```lua
---local e = conc.event()
---e:set()
---e:clear()
---print(e:is_set())   --> false
---```
function event:clear() end

---Is it set at this moment?
---```lua
---local e = conc.event()
---e:set()
---print(e:is_set())   --> true
---```
---@return boolean
function event:is_set() end

---Waits until it is set: `true`, or `nil, "timeout"`.
---```lua
---local go = conc.event()
---local p = conc.process(function () return go:wait() end)
---go:set()
---print(p:result())      --> true
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function event:wait(timeout) end

---A file descriptor that is readable while the event is set. Do not close it.
---```lua
---print(math.type(conc.event():pollfd()))   --> integer
---```
---@return integer
function event:pollfd() end

---A new event, not set.
---```lua
---print(conc.event():is_set())   --> false
---```
---@return conc.event
function conc.event() end

---Where n meet: nobody goes on before all have come.
---@class conc.barrier
local barrier = {}

---Waits for the others: an index from 1 to n, each given once; `nil,
---"timeout"`, which breaks the barrier for all; `nil, "broken"`.
---```lua
---local b = conc.barrier(2)
---local t = conc.thread(function () return b:wait() end)
---print(b:wait() + t:result())   --> 3
---```
---@param timeout? seconds
---@return integer? index
---@return string? reason
function barrier:wait(timeout) end

---As new; those that wait get `nil, "broken"`.
---```lua
---local b = conc.barrier(2)
---b:abort()
---b:reset()
---print(b:broken())   --> false
---```
function barrier:reset() end

---Breaks it: who waits, or comes, gets `nil, "broken"` until `reset`.
---```lua
---local b = conc.barrier(2)
---b:abort()
---print(b:wait())   --> nil broken
---```
function barrier:abort() end

---Is it broken? A waiter that was cancelled, timed out or died breaks it.
---```lua
---local b = conc.barrier(2)
---b:wait(0)
---print(b:broken())   --> true
---```
---@return boolean
function barrier:broken() end

---How many wait at this moment.
---```lua
---print(conc.barrier(2):waiting())   --> 0
---```
---@return integer
function barrier:waiting() end

---For how many it is.
---```lua
---print(conc.barrier(2):parties())   --> 2
---```
---@return integer
function barrier:parties() end

---A new barrier for n. The action runs once a pass, in the last to arrive, before
---anyone goes on; if it raises, the barrier is broken and that one gets the error.
---```lua
---print(conc.barrier(3):parties())   --> 3
---```
---@param n integer
---@param action? fun(...): ...
---@return conc.barrier
function conc.barrier(n, action) end

---First in, first out. No value is lost or seen twice, whoever is killed: it is in the
---queue or with exactly one getter. `#q` is the number of values in it.
---@class conc.queue
---@operator len: integer
local queue = {}

---Adds a copy of the value, waiting while the queue is full: `true`;
---`nil, "timeout"`; `nil, "closed"`.
---
---Raises for `nil`; `cannot send ...` for what cannot be sent, before anything else.
---```lua
---local q = conc.queue(1)
---print(q:put("a"))      --> true
---print(q:put("b", 0))   --> nil timeout
---```
---@param value any
---@param timeout? seconds
---@return true?
---@return string? reason
function queue:put(value, timeout) end

---Takes the first value, waiting for one: the value (a priority queue: value, priority);
---`nil, "timeout"`; `nil, "closed"` once it is closed and drained.
---```lua
---local q = conc.queue()
---q:put("a")
---print(q:get())    --> a
---print(q:get(0))   --> nil timeout
---```
---@param timeout? seconds
---@return any value
---@return string? reason
function queue:get(timeout) end

---Adds all values of a list, in order, by few synchronisations: how many are in, and
---where that is not all, why: `"timeout"` or `"closed"`. If one cannot be sent, none is put. Of a
---priority queue the list holds pairs `{value, priority}`.
---```lua
---local q = conc.queue(2)
---print(q:put_many({"a", "b", "c"}, 0))   --> 2 timeout
---```
---@param list any[]
---@param timeout? seconds
---@return integer
---@return string? reason
function queue:put_many(list, timeout) end

---Waits for one value and takes what is there with it: a list of 1 to max values;
---`nil, "timeout"`; `nil, "closed"`. Of a priority queue: values only.
---```lua
---local q = conc.queue()
---q:put_many({1, 2, 3})
---print(#q:get_many(100))   --> 3
---```
---@param max integer
---@param timeout? seconds
---@return any[]? list
---@return string? reason
function queue:get_many(max, timeout) end

---For a `for` loop: takes values until the queue is closed and drained.
---```lua
---local q = conc.queue()
---q:put_many({"a", "b"})
---q:close()
---for v in q:items() do
---  print(v)   --> a
---end          --> b
---```
---@return fun(): any
function queue:items() end

---No more puts; who waits to put gets `nil, "closed"`. What is in it can still be taken;
---with `discard` it is dropped, counted as done, and getters wake at once. Again: nothing.
---```lua
---local q = conc.queue()
---q:put("last")
---q:close()
---print(q:put("late"))    --> nil closed
---print(q:get())          --> last
---print(q:get())          --> nil closed
---```
---@param discard? boolean
function queue:close(discard) end

---Was it closed?
---```lua
---local q = conc.queue()
---q:close()
---print(q:closed())   --> true
---```
---@return boolean
function queue:closed() end

---Is there nothing in it at this moment? (`#q` tells how many.)
---```lua
---local q = conc.queue()
---print(q:empty(), #q)   --> true 0
---```
---@return boolean
function queue:empty() end

---Would a put have to wait at this moment?
---```lua
---local q = conc.queue(1)
---q:put(1)
---print(q:full(), conc.queue():full())   --> true false
---```
---@return boolean
function queue:full() end

---Its bound; `nil` where it has none.
---```lua
---print(conc.queue(5):maxsize(), conc.queue():maxsize())   --> 5 nil
---```
---@return integer?
function queue:maxsize() end

---A copy of what `get` would take (a priority queue: value, priority); `nil` if it is
---empty.
---```lua
---local q = conc.queue()
---q:put("a")
---print(q:peek(), #q)   --> a 1
---```
---@return any
function queue:peek() end

---Says that one value taken before has been dealt with; `join` waits for that.
---
---Raises where it is called more often than values were put.
---```lua
---local q = conc.queue()
---q:put("work")
---q:get()
---q:task_done()
---print(q:join())   --> true
---```
function queue:task_done() end

---Waits until each value put has been marked done: `true`, or `nil, "timeout"`.
---```lua
---local q = conc.queue()
---local t = conc.thread(function ()
---  for _ in q:items() do q:task_done() end
---end)
---q:put_many({1, 2, 3})
---print(q:join())   --> true
---q:close()
---t:join()
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function queue:join(timeout) end

---A file descriptor that is readable while there is something to get, or the queue is
---closed; for event loops. It belongs to the queue: do not close it.
---```lua
---local q = conc.queue()
---print(math.type(q:pollfd()))   --> integer
---```
---@return integer
function queue:pollfd() end

---A new queue; without `maxsize` (1 or more) it has no bound but memory.
---```lua
---local q = conc.queue(10)
---q:put("a")
---print(#q, q)   --> 1 conc.queue (1 of 10)
---```
---@param maxsize? integer
---@return conc.queue
function conc.queue(maxsize) end

---A queue that hands out the youngest value first.
---@class conc.lifo_queue : conc.queue
local lifo_queue = {}

---A new one, empty; `maxsize` as of a queue.
---```lua
---local q = conc.lifo_queue()
---q:put_many({1, 2})
---print(q:get())   --> 2
---```
---@param maxsize? integer
---@return conc.lifo_queue
function conc.lifo_queue(maxsize) end

---A queue in the order of priorities, lower numbers first; equal ones in order of
---arrival.
---@class conc.priority_queue : conc.queue
local priority_queue = {}

---Adds the value with its priority, any number but NaN: `true`; `nil, "timeout"`;
---`nil, "closed"`.
---
---Raises for `nil`; without a priority.
---```lua
---local q = conc.priority_queue()
---print(q:put("a", 0.5))   --> true
---```
---@param value any
---@param priority number
---@param timeout? seconds
---@return true?
---@return string? reason
function priority_queue:put(value, priority, timeout) end

---For a `for` loop: `value, priority` until the queue is closed and drained.
---```lua
---local q = conc.priority_queue()
---q:put("b", 2)
---q:put("a", 1)
---q:close()
---for v, priority in q:items() do
---  print(v, priority)   --> a 1
---end                    --> b 2
---```
---@return fun(): any
---@return number
function priority_queue:items() end

---A new one, empty; `maxsize` as of a queue.
---```lua
---local q = conc.priority_queue()
---q:put("later", 2)
---q:put("soon", 1)
---print(q:get())   --> soon 1
---```
---@param maxsize? integer
---@return conc.priority_queue
function conc.priority_queue(maxsize) end

---Two ends; what one sends, the other receives. An end closes for all its holders; when
---nobody alive holds the other end, that counts as closed.
---@class conc.pipe
local pipe = {}

---Sends a copy of the value: `true`; `nil, "timeout"`; `nil, "closed"`.
---
---Raises for `nil`; `cannot send ...`.
---```lua
---local a, b = conc.pipe()
---print(a:send({1, 2}))   --> true
---b:close()
---print(a:send("x"))      --> nil closed
---```
---@param value any
---@param timeout? seconds
---@return true?
---@return string? reason
function pipe:send(value, timeout) end

---The next value that the other end sent: the value; `nil, "timeout"`;
---`nil, "closed"` once all that was sent before has been received.
---```lua
---local a, b = conc.pipe()
---a:send("x")
---a:close()
---print(b:recv(), b:recv())   --> x nil closed
---```
---@param timeout? seconds
---@return any value
---@return string? reason
function pipe:recv(timeout) end

---Would `recv` return at once? `true`, waiting for that as long as the timeout (0);
---`nil, "timeout"`.
---```lua
---local a, b = conc.pipe()
---print(b:poll())   --> nil timeout
---a:send("x")
---print(b:poll())   --> true
---```
---@param timeout? seconds
---@return true?
---@return string? reason
function pipe:poll(timeout) end

---Closes this end. Again: nothing. A `<close>` variable does the same.
---```lua
---local a, b = conc.pipe()
---a:close()
---print(b:recv())   --> nil closed
---```
function pipe:close() end

---A file descriptor that is readable while `recv` would return at once. Do not close
---it.
---```lua
---local a = conc.pipe()
---print(math.type(a:pollfd()))   --> integer
---```
---@return integer
function pipe:pollfd() end

---A new pipe's two ends.
---```lua
---local here, there = conc.pipe()
---local p = conc.process(function () there:send("got " .. there:recv()) end)
---here:send("this")
---print(here:recv())   --> got this
---p:join()
---```
---@return conc.pipe
---@return conc.pipe
function conc.pipe() end

---A few workers for many calls. The pool ends when the scope of its `<close>` variable is
---left (what is queued finishes), or when it is collected.
---@class conc.thread_pool
local thread_pool = {}

---Runs `f(...)` in a worker as soon as one is free. With `queue = n`: waits for room.
---
---Raises `pool is shut down`; `cannot send ...`; why the pool failed, if it did.
---```lua
---local pool <close> = conc.thread_pool(2)
---print(pool:submit(function (a, b) return a + b end, 2, 3):result())   --> 5
---```
---@param f fun(...): ...
---@param ... any
---@return conc.future
function thread_pool:submit(f, ...) end

---Calls f on each item: the list of the first results, in order, `n` of them. The first
---error cancels what has not started and is raised; with `errors = "collect"` everything runs, and two
---tables come back, results and errors, both by index.
---
---Raises the error that came first in time.
---```lua
---local pool <close> = conc.thread_pool(2)
---print(table.concat(pool:map(function (x) return x * x end, {1, 2, 3}), " "))   --> 1 4 9
---local good, bad = pool:map(function (x) return x // x end, {1, 0}, {errors = "collect"})
---print(good[1], bad[2])   --> 1 ...zero...
---```
---@param f fun(...): ...
---@param list any[]
---@param options? conc.map_options
---@return any[] results
---@return table? errors
function thread_pool:map(f, list, options) end

---As `map`, each item being the list of f's arguments.
---```lua
---local pool <close> = conc.thread_pool(2)
---print(table.concat(pool:starmap(math.max, {{1, 2}, {4, 3}}), " "))   --> 2 4
---```
---@param f fun(...): ...
---@param lists any[][]
---@param options? conc.map_options
---@return any[] results
---@return table? errors
function thread_pool:starmap(f, lists, options) end

---For a `for` loop: `i, result` in order, while later items run. The source is a list or
---an iterator, read only `ahead` items ahead: it may be endless.
---
---Raises the first error of an item, after the results before it.
---```lua
---local pool <close> = conc.thread_pool(2)
---for i, square in pool:imap(function (x) return x * x end, {5, 6}) do
---  print(i, square)   --> 1 25
---end                  --> 2 36
---```
---@param f fun(...): ...
---@param source any[]|(fun(): any)
---@param options? conc.map_options
---@return fun(): integer
---@return any
function thread_pool:imap(f, source, options) end

---As `imap`, but as they finish; `i` is the item's place in the source.
---```lua
---local pool <close> = conc.thread_pool(2)
---local sum = 0
---for _, x in pool:imap_unordered(function (x) return x end, {1, 2, 3}) do sum = sum + x end
---print(sum)   --> 6
---```
---@param f fun(...): ...
---@param source any[]|(fun(): any)
---@param options? conc.map_options
---@return fun(): integer
---@return any
function thread_pool:imap_unordered(f, source, options) end

---Takes no more tasks, lets what is queued finish, and waits for that. Leaving the scope
---of a `<close>` variable does the same. From inside one of its tasks it does not wait for that
---task.
---```lua
---local pool = conc.thread_pool(2)
---local f = pool:submit(function () return "finished" end)
---pool:shutdown()
---print(f:result())   --> finished
---```
---@param options? conc.shutdown_options
function thread_pool:shutdown(options) end

---Ends the pool at once: what is queued or runs is cancelled.
---```lua
---local pool = conc.thread_pool(1)
---local f = pool:submit(conc.sleep, 60)
---pool:terminate()
---f:join()
---print(f:state())   --> cancelled
---```
function thread_pool:terminate() end

---How many workers it has.
---```lua
---local pool <close> = conc.thread_pool(3)
---print(pool:workers())   --> 3
---```
---@return integer
function thread_pool:workers() end

---`{submitted=, running=, done=, failed=, restarted=}`: items so far (those cancelled or
---timed out are among the failed), and workers that were replaced.
---```lua
---local pool <close> = conc.thread_pool(2)
---pool:map(function (x) return x end, {1, 2, 3})
---print(pool:stats().done)   --> 3
---```
---@return conc.pool_stats
function thread_pool:stats() end

---A new pool of threads; `min(32, conc.cpu_count() + 4)` of them by default.
---```lua
---local pool <close> = conc.thread_pool{workers = 2, name = "readers"}
---local function who() return conc.current():name() end
---print(pool:submit(who):result())   --> readers/worker-...
---```
---@param workers_or_options? integer|conc.pool_options
---@return conc.thread_pool
function conc.thread_pool(workers_or_options) end

---The same with processes: `conc.cpu_count()` of them by default. They are forked from a
---quiet process made with the pool, so locks held elsewhere cannot hang them. A worker that dies
---fails only the task that it ran, and is replaced.
---@class conc.process_pool : conc.thread_pool
local process_pool = {}

---A new pool of processes.
---```lua
---local pool <close> = conc.process_pool(2)
---print(table.concat(pool:map(function (x) return 2 * x end, {1, 2, 3}), " "))   --> 2 4 6
---```
---@param workers_or_options? integer|conc.pool_options
---@return conc.process_pool
function conc.process_pool(workers_or_options) end

---One integer, float or boolean that all see, lock-free. It keeps its type.
---@class conc.value
---@field value integer|number|boolean
local value = {}

---What it is now.
---```lua
---print(conc.value(1.5):get())   --> 1.5
---```
---@return integer|number|boolean
function value:get() end

---It is x from now on.
---
---Raises for a value of another type.
---```lua
---local v = conc.value(1)
---v:set(2)
---print(v:get())   --> 2
---```
---@param x integer|number|boolean
function value:set(x) end

---Adds n in one step: the sum. Integers wrap.
---
---Raises for a boolean, and for a number of the other type.
---```lua
---local v = conc.value(40)
---print(v:add(2))   --> 42
---```
---@param n integer|number
---@return integer|number
function value:add(n) end

---Sets x and returns what was there, in one step.
---```lua
---local v = conc.value(false)
---print(v:exchange(true), v:get())   --> false true
---```
---@param x integer|number|boolean
---@return integer|number|boolean
function value:exchange(x) end

---Sets `new` if it is `expected` (type and value), in one step: was it? And what was
---there.
---```lua
---local v = conc.value(1)
---print(v:compare_exchange(1, 2))   --> true 1
---print(v:compare_exchange(1, 3))   --> false 2
---```
---@param expected integer|number|boolean
---@param new integer|number|boolean
---@return boolean
---@return integer|number|boolean old
function value:compare_exchange(expected, new) end

---A new one with that value, which settles its type.
---```lua
---local v = conc.value(0)
---conc.thread(function () v:add(5) end):join()
---print(v:get(), v)   --> 5 conc.value (5)
---```
---@param x integer|number|boolean
---@return conc.value
function conc.value(x) end

---Numbers of one machine type, fixed in number, never copied when sent: `a[i]`,
---`a[i] = x` (from 1, range-checked), `#a`. Types: `i8 u8 i16 u16 i32 u32 i64 u64 f32 f64`; a u64 is
---the bit pattern of a Lua integer.
---@class conc.array
---@field [integer] number
---@operator len: integer
local array = {}

---Adds n to element i in one step: the sum.
---
---Raises where the sum is out of range; nothing has then changed (u64 wraps).
---```lua
---local a = conc.array("i32", 2)
---print(a:add(1, 5))   --> 5
---```
---@param i integer
---@param n number
---@return number
function array:add(i, n) end

---Sets elements i (1) to j (the last) to x.
---```lua
---local a = conc.array("f64", 3)
---a:fill(0.5)
---print(a[3])   --> 0.5
---```
---@param x number
---@param i? integer
---@param j? integer
function array:fill(x, i, j) end

---Copies elements i (1) to j (the last) of another array to place `at` (1) on.
---
---Raises for a value that the type cannot hold, or out of range; nothing has then changed.
---```lua
---local a, b = conc.array("i8", {1, 2, 3}), conc.array("f64", 3)
---b:copy(a, 2, 3)
---print(b[1], b[2])   --> 2.0 3.0
---```
---@param from conc.array
---@param i? integer
---@param j? integer
---@param at? integer
function array:copy(from, i, j, at) end

---The bytes of elements i (1) to j (the last), in the machine's order.
---```lua
---print(conc.array("u8", {72, 105}):bytes())   --> Hi
---```
---@param i? integer
---@param j? integer
---@return string
function array:bytes(i, j) end

---Sets elements from `at` (1) on to the numbers that the bytes are.
---
---Raises where they do not fit, or are no whole number of elements.
---```lua
---local a = conc.array("u8", 2)
---a:set_bytes("Hi")
---print(a[1], a[2])   --> 72 105
---```
---@param s string
---@param at? integer
function array:set_bytes(s, at) end

---A new array of n zeros, or of the numbers of a list.
---
---Raises for a number that the type cannot hold.
---```lua
---local a = conc.array("u8", {1, 2, 255})
---print(#a, a[3], pcall(function () a[1] = 256 end))   --> 3 255 false ...
---```
---@param type string
---@param n_or_list integer|number[]
---@return conc.array
function conc.array(type, n_or_list) end

---Any values in order: `l[i]`, `l[i] = v`, `#l`, `ipairs(l)`. What comes out is a copy:
---write it back to change it. Reading beyond the end is `nil`; writing at `#l + 1` appends,
---elsewhere outside raises, as `nil` does.
---@class conc.list
---@field [integer] any
---@operator len: integer
local list = {}

---Adds a value at the end.
---```lua
---local l = conc.list()
---conc.process(function () l:append("from afar") end):join()
---print(l[1])   --> from afar
---```
---@param v any
function list:append(v) end

---Adds a value at place i (1 to #l + 1); those from there on move up.
---```lua
---local l = conc.list({"b"})
---l:insert(1, "a")
---print(l[1], l[2])   --> a b
---```
---@param i integer
---@param v any
function list:insert(i, v) end

---Takes out the value at i (the last); `nil` if the list is empty.
---```lua
---local l = conc.list({"a", "b"})
---print(l:pop(), l:pop(1), l:pop())   --> b a nil
---```
---@param i? integer
---@return any
function list:pop(i) end

---A copy as a table, as it was at one moment.
---```lua
---print(table.concat(conc.list({"a", "b"}):totable(), " "))   --> a b
---```
---@return any[]
function list:totable() end

---Runs `f(list, ...)` while nobody else can use the list; f's results.
---
---Raises `deadlock: ...` as a lock's `acquire` does; what f raises.
---```lua
---local l = conc.list({1, 2})
---print(l:with(function (l)
---  local sum = 0
---  for _, x in ipairs(l) do sum = sum + x end
---  return sum
---end))   --> 3
---```
---@param f (fun(list: conc.list, ...: any): ...)
---@param ... any
---@return any ...
function list:with(f, ...) end

---A new list, with copies of the values of a table.
---```lua
---local l = conc.list({"a", "b"})
---l[3] = "c"
---print(#l, l[3], l)   --> 3 c conc.list (3 items)
---```
---@param t? any[]
---@return conc.list
function conc.list(t) end

---Any values by key: `d[k]`, `d[k] = v` (`nil` removes), `pairs(d)` (of a snapshot),
---`#d` (the number of keys). Keys are strings, numbers (as in a table: 1 and 1.0 are one) and
---booleans. What comes out is a copy. A key that is the name of a method is reached by `get` and
---`set` only.
---@class conc.dict
---@field [string|number|boolean] any
---@operator len: integer
local dict = {}

---The value of a key, whatever its name; `nil` if there is none.
---```lua
---local d = conc.dict()
---d:set("get", 7)
---print(d:get("get"))   --> 7
---```
---@param k string|number|boolean
---@return any
function dict:get(k) end

---Sets the value of a key, whatever its name; `nil` removes it.
---```lua
---local d = conc.dict({a = 1})
---d:set("a", nil)
---print(#d)   --> 0
---```
---@param k string|number|boolean
---@param v any
function dict:set(k, v) end

---Sets a key to what f makes of its value, in one step: the new value. f returning
---`nil` removes it.
---```lua
---local d = conc.dict({a = {1}})
---print(#d:update("a", function (t) t[#t + 1] = 2 return t end))   --> 2
---```
---@param k string|number|boolean
---@param f (fun(old: any): any)
---@return any
function dict:update(k, f) end

---Adds n (1) to the number of a key, in one step; a missing one counts as 0. The sum.
---
---Raises where the value is no number.
---```lua
---local d = conc.dict()
---print(d:incr("hits"), d:incr("hits", 10))   --> 1 11
---```
---@param k string|number|boolean
---@param n? number
---@return number
function dict:incr(k, n) end

---A copy as a table, as it was at one moment.
---```lua
---print(conc.dict({a = 1}):totable().a)   --> 1
---```
---@return table
function dict:totable() end

---Runs `f(dict, ...)` while nobody else can use the dict; f's results.
---
---Raises `deadlock: ...` as a lock's `acquire` does; what f raises.
---```lua
---local d = conc.dict({from = 10, to = 0})
---d:with(function (d) d.from, d.to = d.from - 5, d.to + 5 end)
---print(d.from, d.to)   --> 5 5
---```
---@param f (fun(dict: conc.dict, ...: any): ...)
---@param ... any
---@return any ...
function dict:with(f, ...) end

---A new dict, with copies of the entries of a table.
---```lua
---local d = conc.dict({a = 1})
---d.b = {2}
---print(#d, d.a, d.b[1])   --> 2 1 2
---```
---@param t? table
---@return conc.dict
function conc.dict(t) end

---Can the value be sent? `true`, or `nil` and the reason.
---```lua
---print(conc.can_send({1, {2}}))             --> true
---print(conc.can_send(coroutine.create(print)))   --> nil ...cannot send...
---```
---@param v any
---@return true?
---@return string? reason
function conc.can_send(v) end

---The values as a string, for a file or a socket; `conc.decode` makes equal ones.
---
---Raises for conc objects, light userdata, and whatever cannot be sent.
---```lua
---print(conc.decode(conc.encode({x = 1}, nil, "s")).x)   --> 1
---```
---@param ... any
---@return string
function conc.encode(...) end

---The values of `conc.encode`. Without `trusted` it takes data only: no
---functions, and nothing that makes it call `require`.
---
---Raises for a malformed string; never anything worse.
---```lua
---local s = conc.encode(function (x) return x + 1 end)
---print(conc.decode(s, {trusted = true})(1), pcall(conc.decode, s))   --> 2 false ...
---```
---@param s string
---@param options? conc.decode_options
---@return any ...
function conc.decode(s, options) end

---What kind of conc object x is: `lock` `rlock` `rwlock` `semaphore` `condition`
---`event` `barrier` `queue` `lifo_queue` `priority_queue` `pipe` `value` `array` `list` `dict`
---`future` `thread` `process` `thread_pool` `process_pool`; `nil` for anything else.
---```lua
---print(conc.type(conc.queue()), conc.type({}))   --> queue nil
---```
---@param x any
---@return string?
function conc.type(x) end

---Runs `f(...)` in a thread (or process) of its own, and again when it ends by an error
---(or at all). The pause before that begins at `backoff` and doubles up to 30 seconds. More restarts
---than `max_restarts` in `within` seconds, and it fails with the last error. Cancelled, it stops
---what it runs: asks it first, and kills a process that does not stop.
---```lua
---local tries = conc.value(0)
---local s = conc.supervise({backoff = 0.01}, function ()
---  if tries:add(1) < 3 then error("not yet") end
---  return "well"
---end)
---print(s:result(), tries:get())   --> well 3
---```
---@param options? conc.supervise_options
---@param f fun(...): ...
---@param ... any
---@return conc.thread
function conc.supervise(options, f, ...) end

---Writes a table of every thread and process to an open file or a path, on standard
---error without: name, state, the Lua line that it is on, what it waits for, since when, who holds
---that.
---```lua
---local lock = conc.lock()
---lock:acquire()
---local t = conc.thread({name = "waiter"}, function () lock:acquire(60) end)
---conc.sleep(0.05)
---conc.dump(io.stdout)
---t:cancel()
---lock:release()   --> conc: 1 process, 2 threads
---                 --> ...pid id name state line waits for since held by
---                 --> ...main running...
---                 --> ...waiter waiting ...acquire lock made at ..."main" (id 1)
---```
---@param file? file*|string
---@return true
function conc.dump(file) end

---From now on SIGQUIT (Ctrl-\ at a terminal, `kill -QUIT`) has that table written to
---standard error. The environment variable `CONC_DUMP=1` does the same. Call it before anything is
---forked: Ctrl-\ goes to every process, and ends those that were there before.
---```lua
---print(conc.dump_on_signal())   --> true
---```
---@return true
function conc.dump_on_signal() end

---Writes a timeline of threads, tasks, waits and lock holds of all processes from now
---on, in the Chrome trace format that Perfetto (ui.perfetto.dev) and chrome://tracing open; without
---a path it ends. `CONC_TRACE=path` traces a whole program. `lua -l conc.timeline path` draws it in
---the terminal.
---
---Raises where the file cannot be written.
---```lua
---local path = os.tmpname()
---conc.trace(path)
---conc.thread({name = "napper"}, conc.sleep, 0.01):join()
---conc.trace()
---local drawing = require("conc.timeline")(path, {width = 60})
---print(drawing:match("napper"))   --> napper
---os.remove(path)
---```
---@param path? string|false
---@return true
function conc.trace(path) end

---What this reference says of a name (`"queue.put"`, `"thread"`, an object, a
---function of conc); without one, the list of all.
---```lua
---print(conc.help("queue.put"):match("^[^\n]+"))   --> queue:put(value [, timeout]) -> ...
---```
---@param name? any
---@return string
function conc.help(name) end

return conc
