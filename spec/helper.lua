-- What the spec files share:  local helper = require "spec.helper"
--
-- Loading it at the top of a spec file also puts a leak check around each of
-- its tests: one that leaves a block in the arena, a running thread or a child
-- process fails. Handles kept in variables of a 'describe' count: drop them
-- ('q = nil', or 'local q <close>') in the test that made them.
-- helper.leakcheck(false) at the top of a file turns the check off.
local conc = require "conc"
local core = require "conc.core"

local helper = {}

-- "asan", "tsan" or "valgrind" where the tests run under one.
helper.sanitizer = os.getenv("CONC_SANITIZER")
local slow = ({ asan = 3, tsan = 5, valgrind = 20 })[helper.sanitizer] or 1

-- Seconds: a wait in a test that should end at once may take so long before
-- the test fails. Generous, since it is waited out only where something is wrong.
helper.soon = 20 * slow

-- A duration that stands for work, scaled to the machine's pace under a sanitizer.
function helper.pace(seconds) return seconds * slow end

-- What fails at every n does so for all of them, or, where that takes an hour, for
-- each seventh from a random one on:  for n = helper.first(), 5000, helper.stride
helper.stride = slow > 3 and 7 or 1
function helper.first() return math.random(helper.stride) end

-- The seed of everything random in tests; printed with a failure.
helper.seed = tonumber(os.getenv("CONC_SEED")) or os.time() % 0x7fffffff
math.randomseed(helper.seed)

helper.build = os.getenv("CONC_BUILD") or "build"
helper.lua = os.getenv("LUA") or "lua5.4"

-- Skips the test where no signal reaches a thread that only computes: ThreadSanitizer
-- keeps it back until the thread makes a call that it watches, in a child of a program
-- with threads for ever.
function helper.needs_signals()
  if helper.sanitizer == "tsan" then
    pending("ThreadSanitizer keeps signals back from code that only computes")
  end
end

-- Skips the test that forks while other threads allocate.
function helper.needs_fork()
  if helper.sanitizer == "asan" then
    pending("a lock of ASan's allocator that a thread holds stays held in a forked child")
  end
end

-- Skips the test where strace would see what is not the program's own.
function helper.needs_strace()
  if helper.sanitizer == "valgrind" then pending("valgrind makes system calls of its own") end
  local pipe = io.popen("command -v strace")
  local found = pipe:read("l")
  pipe:close()
  if not found then pending("no strace") end
end

-- For a program that is traced (strace): the leak check of ASan would trace it, too.
helper.traced = { ASAN_OPTIONS = (os.getenv("ASAN_OPTIONS") or "") .. ":detect_leaks=0" }

-- ---- both kinds --------------------------------------------------------------

helper.kinds = { "thread", "process" }

-- Runs the block twice: 'start' is conc.thread, then conc.process.
function helper.each_kind(block)
  for _, kind in ipairs(helper.kinds) do
    describe("(" .. kind .. ")", function () block(conc[kind], kind) end)
  end
end

-- The same for pools: 'open' is conc.thread_pool, then conc.process_pool.
function helper.each_pool(block)
  for _, kind in ipairs(helper.kinds) do
    describe("(" .. kind .. " pool)", function () block(conc[kind .. "_pool"], kind) end)
  end
end

-- ---- waiting -----------------------------------------------------------------

-- Waits until predicate() is true; returns its value, or nil once the time
-- (helper.soon) is over.
function helper.eventually(predicate, timeout)
  local limit = conc.now() + (timeout or helper.soon)
  repeat
    local value = predicate()
    if value then return value end
    conc.sleep(0.002)
  until conc.now() > limit
end

-- ---- who uses one thing together ----------------------------------------------

-- Processes, one for each function of the list 'work', of which one at a time is killed at a
-- random moment and replaced. Those that live go on: 'turns', a shared value, grows after each
-- death. nudge(), where it is given, is called until it does.
function helper.kill_at_random(work, turns, nudge)
  local list = {}
  local function end_of(p)
    assert.is_true(p:join(helper.soon))
    assert.are.equal(-9, p:exitcode())
  end
  for i, f in ipairs(work) do list[i] = conc.process(f) end
  for _ = 1, 30 do
    local i = math.random(#list)
    conc.sleep(math.random() * 0.005)
    list[i]:kill()
    local before = turns:get()
    assert.is_truthy(helper.eventually(function ()
      if nudge then nudge() end
      return turns:get() > before
    end), "those that live go on")
    end_of(list[i])
    list[i] = conc.process(work[i])
  end
  for _, p in ipairs(list) do
    p:kill()
    end_of(p)
  end
end

-- The longest wait, in seconds, of one who acquires 'lock' now and then beside one, made with
-- 'start', who never pauses.
function helper.longest_wait(start, lock)
  local stop, worst = conc.event(), 0
  local t <close> = start(function ()
    local n = 0
    repeat
      lock:acquire()
      n = n + 1
      lock:release()
    until n % 100 == 0 and stop:is_set()
    return n
  end)
  for _ = 1, 50 do
    local began = conc.now()
    lock:acquire()
    worst = math.max(worst, conc.now() - began)
    lock:release()
    conc.sleep(0.001)
  end
  stop:set()
  assert.is_true(t:result(helper.soon) > 0)
  return worst
end

-- ---- leaks -------------------------------------------------------------------

-- The children of this process, as a set; only those of the thread that asks
-- are listed, which is where tests run.
local function children()
  local set, file = {}, io.open("/proc/thread-self/children")
  if file then
    for pid in file:read("a"):gmatch("%d+") do set[pid] = true end
    file:close()
  end
  return set
end

local function count(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

local function census()
  if core._forget then core._forget() end
  collectgarbage()
  collectgarbage()
  local arena = core._arena(true)
  return {
    -- Kept for good reason: the bytecode of a function that was sent, as long as
    -- the function is there; places for as many handles as there ever were.
    blocks = arena.live - (arena.kept or 0), kinds = arena.kinds or {},
    running = #conc.list_alive(),
    children = children(),
  }
end

-- What 'now' has more of than 'before', in words; nil if nothing.
local function excess(now, before)
  local list = {}
  if now.blocks > before.blocks then
    local more = {}
    for kind, n in pairs(now.kinds) do
      local was = before.kinds[kind] or 0
      if n > was then more[#more + 1] = ("of kind %s %d, then %d"):format(kind, was, n) end
    end
    list[#list + 1] = ("%d arena blocks (%s; see enum kind in src/arena.h)"):format(
      now.blocks - before.blocks, table.concat(more, "; "))
  end
  if now.running > before.running then
    local names = {}
    for i, who in ipairs(conc.list_alive()) do names[i] = who:name() end
    list[#list + 1] = ("%d running (alive: %s)"):format(
      now.running - before.running, table.concat(names, ", "))
  end
  local new = {}
  for pid in pairs(now.children) do
    if not before.children[pid] then new[#new + 1] = pid end
  end
  if count(now.children) > count(before.children) then
    list[#list + 1] = "child processes " .. table.concat(new, ", ")
  end
  if #list > 0 then return table.concat(list, "; ") end
end

local checking, before = true, nil

-- leakcheck(false) turns the check off from here on, leakcheck() on again.
function helper.leakcheck(on)
  checking = on ~= false
end

-- What was ended a moment ago may take a while to be gone: up to two seconds.
function helper.leaks()
  local limit = conc.now() + helper.pace(2)
  while true do
    local now = census()
    local text = excess(now, before)
    if not text then return nil end
    if conc.now() > limit then return text, now end
    conc.sleep(0.005)
  end
end

if before_each then
  before_each(function ()
    before = checking and census() or nil
  end)
  after_each(function ()
    local text = before and helper.leaks()
    if text then error("the test left behind: " .. text, 0) end
  end)
end

-- ---- scripts -----------------------------------------------------------------

local function quote(s) return "'" .. tostring(s):gsub("'", "'\\''") .. "'" end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

function helper.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return path
end

local bounded = helper.build .. "/spec/bounded"

local function environment(vars)
  local list = { "env" }
  for name, value in pairs(vars or {}) do
    list[#list + 1] = quote(name .. "=" .. tostring(value))
  end
  return table.concat(list, " ")
end

-- Runs a script in a 'lua5.4' of its own, with the modules of this tree.
-- 'code' is the path of a file (it ends in ".lua") or the program itself.
-- opts: timeout (60 s; everything of it is killed then), env (a table), stdin
--   (a string), args (a list), options (a list for lua5.4, e.g. {"-i"}), command
--   (a list: what to run in place of lua5.4 and a script),
--   signal (a number, sent to its process group as by a terminal; with alone = true
--   to its main process only), when (a text: sent once it was printed), after
--   (seconds: sent so much later).
-- Returns {code =, signal =, timeout =, out =, err =, seconds =, after =, left =}:
--   code is nil if it was killed by 'signal' or timed out; 'after' are the
--   seconds from the signal that was sent to the end; 'left' counts processes
--   that it left behind (they were killed).
function helper.run_script(code, opts)
  opts = opts or {}
  local base = os.tmpname()
  local script = code
  if code and not code:find("^[^\n]+%.lua$") then
    script = helper.write_file(base .. ".lua", code)
  end
  local words = {}
  local function add(...)
    for _, word in ipairs { ... } do words[#words + 1] = word end
  end
  add(bounded, "-t", (opts.timeout or 60) * slow, "-o", base .. ".out", "-e", base .. ".err")
  if opts.stdin then add("-i", helper.write_file(base .. ".in", opts.stdin)) end
  if opts.signal then add("-s", opts.signal, "-d", opts.after or 0) end
  if opts.when then add("-w", opts.when) end
  if opts.alone then add("-1") end
  for i, word in ipairs(words) do words[i] = quote(word) end
  words[#words + 1] = environment(opts.env)
  for _, word in ipairs(opts.command or { helper.lua }) do add(quote(word)) end
  for _, word in ipairs(opts.options or {}) do add(quote(word)) end
  if script then add(quote(script)) end
  for _, word in ipairs(opts.args or {}) do add(quote(word)) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local outcome = pipe:read("a")
  pipe:close()
  local told = {}
  for key, value in outcome:gmatch("(%a+)=([%d.]+)") do told[key] = tonumber(value) end
  assert(told.exit, "spec/bounded did not run (make test builds it): " .. table.concat(words, " "))
  local result = {
    signal = told.signal ~= 0 and told.signal or nil, timeout = told.timeout == 1,
    out = slurp(base .. ".out"), err = slurp(base .. ".err"),
    seconds = told.seconds, after = told.after, left = told.left,
  }
  if not result.signal and not result.timeout then result.code = told.exit end
  for _, suffix in ipairs { "", ".in", ".lua" } do os.remove(base .. suffix) end
  return result
end

-- ---- programs in documents ------------------------------------------------------

-- A comment '--> text' announces a line of output; '...' stands for anything in it. The lines
-- that a program's comments announce: {text =, pattern =}.
local function announced(code)
  local list = {}
  for text in code:gmatch("%-%-> ([^\n]+)") do
    local pattern = text:gsub("%s+", " "):gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*")
    list[#list + 1] = { text = text, pattern = "^" .. pattern .. "$" }
  end
  return list
end

-- The run of a program printed each line that its comments announce, in that order; where
-- 'no_other' is true, no other.
function helper.prints_what_it_says(code, run, no_other)
  local told = ("\nprogram:\n%s\nout:\n%s\nerr:\n%s"):format(code, run.out, run.err)
  assert.is_false(run.timeout, "took too long" .. told)
  assert.are.equal(0, run.code, "exit code" .. told)
  assert.are.equal("", run.err, told)
  assert.are.equal(0, run.left, "left processes behind" .. told)
  local list, at = announced(code), 1
  for line in run.out:gmatch("[^\n]+") do
    line = line:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    local this = list[at]
    if this and line:find(this.pattern) then
      at = at + 1
    elseif no_other then
      error(("line %q, announced: %q%s"):format(line, this and this.text or "no more", told), 2)
    end
  end
  assert.is_nil(list[at], "what is not printed was announced" .. told)
end

-- Runs a script and presses Ctrl-C once it has printed 'when' ("ready").
function helper.interrupt_script(code, opts)
  local copy = { signal = 2, when = "ready", after = 0.1 }
  for k, v in pairs(opts or {}) do copy[k] = v end
  return helper.run_script(code, copy)
end

return helper
