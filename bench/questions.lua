-- What is asked, of whom, and what is to be reached.
--
-- A question: name, title, n (operations; how many do not change the answer, only its
-- noise), and who answers it: 'conc', 'floor' and 'others', each {label, "kind program
-- arguments" [, n = its own]}. Kinds: c (bench/floor), lua (a program without conc), conc,
-- python, and the peers by name. tied: all of them run on one CPU.
-- targets: {times, of whom [, the words of the target]}: conc may take at most so many times
-- as long as that one.
-- least: {name, value}, most: {name, value}: a line that conc's program prints besides.
-- unit: "bytes" where what is told is no time.
-- compare: the words of its row in the README's table, if it has one.
local list = {}

local function ask(question)
  question.conc = { "conc", question.conc }
  if question.floor then
    table.insert(question.floor, 1, question.floor_label or "C")
  end
  list[#list + 1] = question
end

local function python(command, n, label)
  return { label or "Python", "python " .. command, n = n }
end

local function peer(name, command, n) return { name, name .. " " .. command, n = n } end

-- ---- starting --------------------------------------------------------------------

for _, tied in ipairs { false, true } do
  ask {
    name = tied and "spawn-thread-tied" or "spawn-thread", tied = tied, n = 1000,
    title = "spawn + join of a thread, " .. (tied and "tied to one CPU" or "free"),
    conc = "conc spawn thread", floor = { "c thread" }, targets = { { 1.0, "C" } },
    compare = not tied and "start and join a thread" or nil,
    others = {
      python("spawn thread"), peer("Lanes", "spawn", 300),
      { "Lanes, no libraries", "Lanes spawn bare", n = 300 }, peer("effil", "spawn", 300),
      peer("llthreads2", "spawn", 300), peer("luaproc", "spawn"), peer("luv", "spawn", 300),
      peer("cqueues", "spawn", 300),
    },
  }
end

ask {
  name = "spawn-process", title = "fork + join of a process", n = 300,
  conc = "conc spawn process", floor = { "c fork" }, targets = { { 1.5, "C" } },
  compare = "start and join a process",
  others = { python("spawn process", 50) },
}

-- ---- locks -----------------------------------------------------------------------

ask {
  name = "lock", title = "lock + unlock, free", n = 1000000,
  conc = "conc lock", floor = { "lua empty" }, floor_label = "two empty methods",
  targets = { { 1.8, "two empty methods" } }, compare = "lock + unlock",
  others = {
    python("lock"), peer("Lanes", "lock", 50000), peer("effil", "lock", 100000),
    peer("mtmsg", "lock", 200000),
  },
}

ask {
  name = "lock-contended", title = "lock + unlock, two threads contending", n = 1000000,
  conc = "conc lock contended", floor = { "c mutex" }, targets = { { 3, "C" } },
  least = { "share", 20, "per cent of the work done by the slower when the first ends" },
  compare = "the same, two threads contending",
  others = {
    python("lock contended"), peer("Lanes", "contended", 30000),
    peer("effil", "contended", 100000), peer("mtmsg", "contended", 100000),
  },
}

-- ---- messages one way ------------------------------------------------------------

local kinds = {
  int = { "integers", n = 300000 },
  str = { "32-byte strings", n = 200000 },
  table = { "small tables", n = 100000 },
  big = { "1 MB strings, at most 16 waiting", n = 400 },
}

local function message(kind, from, to, o)
  local k, batch, bound = kinds[kind], o.batch or 1, o.bound
  local rest = ("%s %d %d"):format(kind, from, to)
  local more = bound and ("%s %d %d"):format(rest, batch, bound) or
    batch > 1 and rest .. " " .. batch or rest
  local title = ("%s, %s%s%s"):format(k[1], o.process and "process to process" or
    "thread to thread", from > 1 and (", %d to %d"):format(from, to) or "",
    batch > 1 and ", in batches of " .. batch or "")
  if bound and kind ~= "big" then title = title .. ", at most " .. bound .. " waiting" end
  local name = table.concat({ "message", kind, from > 1 and from .. "to" .. to or "one",
    batch > 1 and "batch" or bound and kind ~= "big" and "bound" or "single",
    o.process and "process" or "thread" }, "-")
  local others = {}
  if o.process then
    if from == 1 then others[1] = python("queue_ pipe " .. rest, k.n // 20, "Python Pipe") end
    others[#others + 1] = python("queue_ mp " .. more, k.n // 20, "Python Queue")
  else
    others = { python("queue_ queue " .. more, k.n // 4) }
    if batch == 1 and not bound then
      table.insert(others, 1, python("queue_ simple " .. rest, k.n // 2, "Python SimpleQueue"))
    end
    for _, who in ipairs { "Lanes", "effil", "mtmsg", "luaproc" } do
      local many = (who == "Lanes" or who == "effil") and 10 or 4
      if who ~= "luaproc" or kind ~= "table" or batch == 1 then
        others[#others + 1] = peer(who, "queue " .. more, k.n // many)
      end
    end
    if from == 1 and batch == 1 and (kind == "str" or kind == "big") then
      others[#others + 1] = peer("cqueues", "queue " .. kind, k.n // 4)
    end
  end
  local built = kind == "table"
  local floor_label = built and "building it in Lua" or "C ring between threads"
  local ring = ("c ring %s %d %d %s"):format(kind, from, to, kind == "big" and 16 or "")
  ask {
    name = name, title = title, n = k.n,
    conc = ("conc queue %s %s"):format(o.process and "process" or "thread", more),
    floor = { built and "lua build" or ring },
    floor_label = floor_label, targets = o.times and { { o.times, floor_label } },
    compare = o.compare, others = others,
  }
end

message("int", 1, 1, { times = 1.0, compare = "an integer, thread to thread" })
message("int", 1, 1, { bound = 1024 })
message("int", 1, 1, { batch = 100, times = 0.2, compare = "the same in batches of 100" })
message("int", 2, 2, {})
message("int", 2, 2, { batch = 100 })
message("str", 1, 1, { times = 1.2, compare = "a 32-byte string" })
message("str", 1, 1, { batch = 100 })
message("str", 2, 2, {})
message("table", 1, 1, { times = 3, compare = "a small table" })
message("table", 1, 1, { batch = 100 })
message("table", 2, 2, {})
message("big", 1, 1, { bound = 16, times = 1.3, compare = "a string of 1 MB" })
message("int", 1, 1, { process = true, times = 1.5, compare = "an integer, process to process" })
message("int", 1, 1, { process = true, batch = 100 })
message("int", 2, 2, { process = true })
message("str", 1, 1, { process = true })
message("table", 1, 1, { process = true })
message("big", 1, 1, { process = true, bound = 16 })

-- ---- round trips -----------------------------------------------------------------

local function trips(others)
  return {
    python("roundtrip simple", 10000), peer("Lanes", "roundtrip", 10000),
    peer("luv", "roundtrip", 10000), peer("cqueues", "roundtrip", 10000),
    peer("mtmsg", "roundtrip", 10000), peer("effil", "roundtrip", 10000),
    peer("luaproc", "roundtrip"),
    table.unpack(others or {}),
  }
end

ask {
  name = "roundtrip-thread", title = "round trip, two threads on two cores (queues)", n = 50000,
  conc = "conc roundtrip thread queue", floor = { "c handoff spin thread" },
  floor_label = "C spinning", targets = { { 5, "C spinning" } },
  compare = "round trip, two threads",
  others = trips { { "C futex", "c handoff futex thread", n = 10000 } },
}
ask {
  name = "roundtrip-thread-pipe", title = "the same through conc.pipe", n = 50000,
  conc = "conc roundtrip thread pipe", floor = { "c handoff spin thread" },
  floor_label = "C spinning", others = {},
}
ask {
  name = "roundtrip-thread-tied", title = "round trip, two threads tied to one core", n = 30000,
  tied = true, conc = "conc roundtrip thread queue", floor = { "c handoff futex thread" },
  floor_label = "C futex", targets = { { 1.3, "C futex" } }, others = trips(),
  compare = "the same tied to one CPU",
}
ask {
  name = "roundtrip-process", title = "round trip, two processes (queues)", n = 50000,
  conc = "conc roundtrip process queue", floor = { "c handoff spin process" },
  floor_label = "C spinning",
  others = { python("roundtrip pipe", 5000, "Python Pipe") },
}
ask {
  name = "idle", title = "a waiter that stays idle", n = 1, conc = "conc roundtrip idle",
  most = { "percent", 1, "per cent of a CPU" },
}

-- ---- pools -----------------------------------------------------------------------

ask {
  name = "pool-thread", title = "submit + result, thread pool of 2, 100,000 outstanding",
  n = 100000, steady = true, conc = "conc pool thread", floor = { "c pool" },
  targets = { { 3.3, "C" }, { 1 / 15, "Python" } },
  compare = "submit + result, 2 threads",
  others = {
    python("pool thread", 20000), peer("Lanes", "pool", 20000), peer("effil", "pool"),
    peer("mtmsg", "pool"), peer("luaproc", "pool"), peer("luv", "pool"),
  },
}
ask {
  name = "workers", title = "the same by hand: 2 threads take numbers from a queue to another",
  n = 100000, steady = true, conc = "conc pool thread hand", floor = { "c pool" },
  compare = "two workers between two queues",
  others = {
    peer("Lanes", "pool", 20000), peer("effil", "pool"), peer("mtmsg", "pool"),
    peer("luaproc", "pool"),
  },
}
ask {
  name = "pool-process", title = "submit + result, process pool of 2, 100,000 outstanding",
  n = 100000, steady = true, conc = "conc pool process", floor = { "c process_pool" },
  floor_label = "C, shared memory",
  targets = { { 7, "C, shared memory" }, { 1 / 20, "Python Pool" }, { 1 / 20, "Python Executor" } },
  compare = "submit + result, 2 processes",
  others = {
    python("pool mp", 5000, "Python Pool"), python("pool process", 5000, "Python Executor"),
  },
}
ask {
  name = "pool-idle", title = "one task through an idle thread pool, after a pause of 2 ms",
  n = 300, conc = "conc pool thread idle", floor = { "c handoff futex thread 2000" },
  floor_label = "C futex", targets = { { 1.5, "C futex" } },
  others = { python("pool thread idle") },
}
ask {
  name = "pool-idle-process", title = "the same through an idle process pool", n = 300,
  conc = "conc pool process idle", floor = { "c handoff futex process 2000" },
  floor_label = "C futex", others = { python("pool mp idle", nil, "Python Pool") },
}
ask {
  name = "pool-start", title = "process pool of 4, from its making to the first result", n = 20,
  conc = "conc pool process start", floor = { "c fork", n = 200 }, floor_label = "C, one fork",
  targets = { { 20, "C, one fork" } },
  others = { python("pool mp start", nil, "Python Pool") },
}

-- ---- maps ------------------------------------------------------------------------

ask {
  name = "map", title = "process pool of 2, map of x*x over 1,000,000", n = 1000000,
  steady = true, conc = "conc map process", floor = { "lua halves squares" },
  floor_label = "serial Lua loop",
  targets = { { 1.0, "serial Lua loop" }, { 1 / 3, "Python Pool" } },
  compare = "map of x*x, 2 processes, an item",
  others = {
    python("map pool 50000", nil, "Python Pool"),
    python("map executor 10000", nil, "Python Executor"),
  },
}
for _, shape in ipairs { "equal", "shuffled", "last" } do
  local words = { equal = "items of equal length", shuffled = "shuffled unequal items",
                  last = "the longest item last" }
  ask {
    name = "map-" .. shape, title = "map that computes, 2 processes, " .. words[shape], n = 200,
    conc = "conc map process " .. shape, floor = { "lua halves " .. shape },
    floor_label = "two plain Lua processes", targets = { { 1.08, "two plain Lua processes" } },
    others = {},
  }
end
ask {
  name = "scaling-thread", title = "primes below 1,000,000, thread pool of 2", n = 1000000,
  steady = true, conc = "conc scaling thread 2", floor = { "lua scaling serial" },
  floor_label = "serial Lua loop",
  others = { { "conc, 1 worker", "conc scaling thread 1" } },
}
ask {
  name = "scaling-process", title = "primes below 1,000,000, process pool of 2", n = 1000000,
  steady = true, conc = "conc scaling process 2", floor = { "lua scaling serial" },
  floor_label = "serial Lua loop",
  others = {
    { "conc, 1 worker", "conc scaling process 1" }, python("scaling 2", nil, "Python Pool(2)"),
  },
}

-- ---- encoding --------------------------------------------------------------------

ask {
  name = "codec", title = "decode(encode(t)) of a small table", n = 300000,
  conc = "conc codec small", floor = { "lua build" }, floor_label = "building it in Lua",
  targets = { { 2.5, "building it in Lua" } }, others = {},
}
for _, what in ipairs { "ints", "floats", "strings", "tree" } do
  for _, way in ipairs { "encode", "decode" } do
    local words = { ints = "list of a million integers", floats = "list of a million floats",
                    strings = "list of a million short strings",
                    tree = "tree of a million small tables" }
    ask {
      name = ("pickle-%s-%s"):format(what, way), title = way .. ", " .. words[what],
      n = 1 << 20, conc = ("conc codec %s %s"):format(what, way),
      floor = (what == "strings" or what == "tree") and way == "decode" and
        { "lua build " .. what } or nil,
      floor_label = what == "strings" and "lua_pushlstring" or "building it in Lua",
      targets = { { 1 / 2, "Python pickle" },
        what == "strings" and way == "decode" and { 1.0, "lua_pushlstring" } or nil },
      others = { python(("codec %s %s"):format(what, way), nil, "Python pickle") },
    }
  end
end
ask {
  name = "function", title = "a function put and taken out again, in one thread", n = 200000,
  conc = "conc queue self function", targets = { { 3, "an integer" } },
  others = { { "an integer", "conc queue self int" } },
}

-- ---- memory ----------------------------------------------------------------------

for _, what in ipairs { "thread", "process", "queue", "future" } do
  local others = { python("memory " .. what) }
  local have = {
    thread = { "Lanes", "effil", "llthreads2", "luv", "cqueues" },
    queue = { "Lanes", "effil", "mtmsg" },
  }
  for _, name in ipairs(have[what] or {}) do
    others[#others + 1] = peer(name, "memory " .. what)
  end
  ask {
    name = "memory-" .. what, title = "memory of an idle " .. what, unit = "bytes", steady = true,
    conc = "conc memory " .. what, others = others,
    compare = what ~= "future" and "memory of an idle " .. what or nil,
  }
end

return list
