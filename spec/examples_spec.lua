-- timeout: 400
-- Every example, run as a reader runs it and held to what it promises to show; the tour that
-- runs them all; and the programs in docs/guide.md with the output that they announce.
local helper = require "spec.helper"

local pwd = assert(io.popen("pwd"))
local root = pwd:read("l")
pwd:close()
local build = helper.build:find("^/") and helper.build or root .. "/" .. helper.build

-- So that what runs elsewhere than in the root of the tree finds the modules too.
local absolute = {
  LUA_PATH_5_4 = ("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(root, root),
  LUA_CPATH_5_4 = build .. "/?.so;;",
}

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function example_names()
  local names = {}
  local listing <close> = assert(io.popen("ls examples/*.lua"))
  for path in listing:lines() do
    local name = path:match("([%w_]+)%.lua$")
    if name ~= "demo" then names[#names + 1] = name end
  end
  return names
end

local function ended_well(run)
  local told = ("\nout: %s\nerr: %s"):format(run.out, run.err)
  assert.is_false(run.timeout, "took too long" .. told)
  assert.are.equal(0, run.code, "exit code" .. told)
  assert.are.equal("", run.err)
  assert.are.equal(0, run.left, "left processes behind" .. told)
end

local function run_example(name, ...)
  local run = helper.run_script("examples/" .. name .. ".lua", { args = { ... }, timeout = 30 })
  ended_well(run)
  return run.out
end

local function has(text, out)
  assert.is_truthy(out:find(text, 1, true), ("no %q in:\n%s"):format(text, out))
end

-- The captures of a pattern that must match, as numbers.
local function numbers(pattern, out)
  local found = { out:match(pattern) }
  assert.is_truthy(found[1], ("no match of %q in:\n%s"):format(pattern, out))
  for i, text in ipairs(found) do found[i] = assert(tonumber(text)) end
  return table.unpack(found)
end

local function lines(out)
  local list = {}
  for line in out:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

local checks = {}

function checks.threads_basic()
  local out = run_example("threads_basic", 0.05)
  local serial = numbers("one after the other: ([%d.]+) s", out)
  local threads = numbers("in two threads: ([%d.]+) s", out)
  assert.is_true(serial >= 0.5)
  assert.is_true(threads < 0.75 * serial, out)
  local half = out:sub(1, out:find("one after", 1, true) - 1)
  assert.are.equal("0\n1\n2\n3\n4\nA\nB\nC\nD\nE\n", half)
  assert.are.equal(22, #lines(out))
end

function checks.five_workers()
  local list = lines(run_example("five_workers", 0.1))
  for i = 1, 5 do assert.is_truthy(list[i]:find("^worker%-%d starts$"), list[i]) end
  for i = 1, 5 do assert.are.equal(("worker-%d finishes"):format(6 - i), list[5 + i]) end
  assert.is_truthy(list[11]:find("all five have finished"))
end

function checks.safe_worker()
  local out = run_example("safe_worker")
  assert.is_true(numbers("without lock: balance %d+ of 100, (%d+) lost", out) >= 20, out)
  has("with lock: balance 100 of 100, 0 lost", out)
end

function checks.add_remove()
  local out = run_example("add_remove", 0.01)
  for n = 1, 10 do
    has("added " .. n .. "\n", out)
    has("removed " .. n .. "\n", out)
  end
  has("sums: added 55, removed 55\nleft in the list: 0\n", out)
end

function checks.sync_tour()
  assert.are.same({
    "lock: 4 additions make 4",
    "rlock: taken again by its holder, depth 3",
    "condition: the buyer waited for bread",
    "semaphore: 6 guests, 2 seats, most inside 2",
    "event: news",
    "barrier: all three see 3 3 3",
  }, lines(run_example("sync_tour")))
end

local pages = { "thread", "process", "lock", "queue", "pool" }

local function size_of(page)
  return #read_file("examples/pages/" .. page .. ".html")
end

function checks.download_threads()
  local out = run_example("download_threads")
  for _, page in ipairs(pages) do
    assert.are.equal(size_of(page), numbers("/" .. page .. "%.html  (%d+) bytes in", out))
  end
  local list = lines(out)
  assert.are.equal(10, #list)
  for i = 6, 9 do has("  failed: ", list[i]) end
  has("404", list[6])
  has("no-such-host.invalid", list[8])
  has("/no/such/folder", list[9])
  assert.is_true(numbers("execution time: ([%d.]+) s", out) < 30)
end

function checks.scrape_processes()
  local list = lines(run_example("scrape_processes"))
  assert.are.equal(7, #list)
  for i, page in ipairs(pages) do
    local shown = list[i]:match("/" .. page .. "%.html  (.*)$")
    local text = read_file("examples/pages/" .. page .. ".html"):sub(1, 50):gsub("%s+", " ")
    assert.are.equal(text, shown)
  end
  has("no-such-page.html  404 Not Found", list[6])
  assert.is_true(numbers("execution time: ([%d.]+) s", list[7]) < 30)
end

function checks.primes_processes()
  local out = run_example("primes_processes")
  for _, way in ipairs { "serially", "threads", "processes" } do
    has("  up to 10000: 1229 primes\n  up to 20000: 2262 primes\n"
      .. "  up to 30000: 3245 primes\n" .. way, out)
    assert.is_true(numbers(way .. ": [%d.]+ s, speed%-up ([%d.]+)", out) > 0)
  end
end

function checks.process_queue()
  assert.are.equal("Hello from the worker!\nexit code 0\n", run_example("process_queue"))
end

function checks.pool_squares()
  local out = run_example("pool_squares", 2000)
  has("squares of 1-5: 1 4 9 16 25\n", out)
  for _, workers in ipairs { 2, 4, 8 } do
    has(("1-10, %d workers: last is 100, "):format(workers), out)
    has(("1-2000, %d workers: last is 4000000, "):format(workers), out)
  end
end

function checks.thread_pool_map()
  local out = run_example("thread_pool_map", 0.1)
  for n = 1, 10 do has("number " .. n .. "\n", out) end
  has("results: 10 20 30 40 50 60 70 80 90 100\n", out)
  local seconds = numbers("10 calls, 3 workers: ([%d.]+) s", out)
  assert.is_true(seconds >= 0.4 and seconds < 0.9, out)
end

function checks.factorials()
  local list, expected, product = lines(run_example("factorials", 0.05)), {}, 1
  for n = 1, 10 do
    product = product * n
    expected[n] = ("%d! = %d"):format(n, product)
  end
  table.sort(list)
  table.sort(expected)
  assert.are.same(expected, list)
end

function checks.executors()
  local list = lines(run_example("executors"))
  assert.are.equal("thread_pool: 1 4 9 16 25 36", list[1])
  assert.is_truthy(list[2]:find("^  run by process %d+ in "), list[2])
  assert.are.equal("process_pool: 1 4 9 16 25 36", list[3])
  assert.is_truthy(list[4]:find("^  run by process %d+"), list[4])
  assert.are_not.equal(list[2]:match("process %d+"), list[4]:match("process %d+"))
end

function checks.share_data()
  assert.are.same({
    "data", "['data']", "1 [1, 1, 2, 3]", "a plain table is copied: unchanged", "HELLO!",
  }, lines(run_example("share_data")))
end

function checks.errors()
  local out = run_example("errors")
  for _, where in ipairs { "thread", "process", "pooled task" } do
    local line = numbers("caught: %S*errors%.lua:(%d+): nothing works in a " .. where .. "\n", out)
    has("errors.lua:" .. line .. ": in ", out)  -- in its traceback
    has("caught: a table, code 42, from a " .. where .. "\n", out)
  end
  local _, tracebacks = out:gsub("with its stack traceback:\n", "")
  assert.are.equal(3, tracebacks)
  for _, n in ipairs { 1, 2, 4, 5 } do has(("item %d: %d\n"):format(n, n * n), out) end
  assert.is_truthy(out:find("item 3: failed: [^\n]*killed by signal 9"), out)
end

function checks.supervisor()
  local out = run_example("supervisor", 0.05)
  local times = {}
  for at, start in out:gmatch("([%d.]+) s: start (%d)\n") do
    times[tonumber(start)] = tonumber(at)
  end
  assert.are.equal(4, #times)
  assert.is_true(times[4] - times[3] > times[2] - times[1], out)
  assert.is_truthy(out:find("given up: %S*supervisor%.lua:%d+: crash 4\n"), out)
  has("stopped: cancelled, 0 beats since\n", out)
end

function checks.read_files()
  local out = run_example("read_files", "examples/pages")
  for _, page in ipairs(pages) do
    has(("examples/pages/%s.html  %d bytes"):format(page, size_of(page)), out)
  end
  assert.is_truthy(out:find("/no/such/file  failed: [^\n]*No such file or directory"), out)
end

function checks.read_then_crunch()
  local words = 0
  for _, page in ipairs(pages) do
    local _, count = read_file("examples/pages/" .. page .. ".html"):gsub("%a+", "")
    words = words + count
  end
  has(("5 files, %d words: "):format(words), run_example("read_then_crunch", "examples/pages"))
end

-- Its output, and whether both kinds of pools waited faster than the serial loop.
local function run_which_one()
  local out = run_example("which_one")
  local faster = true
  assert.are.equal(5, #lines(out))
  for _, work in ipairs { "sleep", "files", "network", "computing" } do
    local pattern = "\n" .. work .. " +([%d.]+) s +([%d.]+) s +([%d.]+) s"
    local serial, threads, processes = numbers(pattern, out)
    if work == "sleep" or work == "network" then
      faster = faster and threads < 0.75 * serial and processes < 0.75 * serial
    end
  end
  return out, faster
end

function checks.which_one()
  local out, faster
  for _ = 1, 3 do  -- a machine busy with something else does not count
    out, faster = run_which_one()
    if faster then return end
  end
  error(out)
end

describe("the example", function ()
  for _, name in ipairs(example_names()) do
    it(name .. " shows what it promises", function ()
      assert.is_function(checks[name], "an example without a check here")
      checks[name]()
    end)
  end

  it("has no more than 40 lines and says what to watch for", function ()
    for _, name in ipairs(example_names()) do
      local text = read_file("examples/" .. name .. ".lua")
      local _, count = text:gsub("\n", "")
      assert.is_true(count <= 40, name .. " has " .. count .. " lines")
      assert.is_truthy(text:find("^%-%- [^\n]*\n%-%- Watch for: "), name)
    end
  end)

  it("runs from another directory, by its path", function ()
    for _, name in ipairs { "process_queue", "read_files", "scrape_processes" } do
      local path = root .. "/examples/" .. name .. ".lua"
      local run = helper.run_script(nil, { timeout = 30, env = absolute,
        command = { "sh", "-c", 'cd / && exec "$0" "$1"', helper.lua, path } })
      ended_well(run)
    end
  end)

  it("download_threads takes URLs and writes into the current directory", function ()
    local run = helper.run_script([[
      local root, lua = table.unpack(arg)
      package.path = root .. "/examples/?.lua;" .. package.path
      local file_server = require "support.file_server"
      local server <close> = file_server.start(root .. "/examples/pages", {workers = 2})
      local folder = os.tmpname()
      os.remove(folder)
      assert(os.execute(("mkdir %s && cd %s && %s %s/examples/download_threads.lua %s %s"):format(
        folder, folder, lua, root, server.url .. "/lock.html", server.url .. "/pool.html")))
      for _, name in ipairs { "lock.html", "pool.html" } do
        print(name, #assert(io.open(folder .. "/" .. name, "rb")):read("a"))
      end
      assert(os.execute("rm -r " .. folder))
    ]], { args = { root, helper.lua }, env = absolute, timeout = 30 })
    ended_well(run)
    has("lock.html\t" .. size_of("lock"), run.out)
    has("pool.html\t" .. size_of("pool"), run.out)
  end)
end)

describe("the tour", function ()
  it("names every example", function ()
    local tour = read_file("examples/demo.lua"):match("local tour = (%b{})")
    local named = load("return " .. tour)()
    table.sort(named)
    assert.are.same(example_names(), named)
  end)

  it("fails loudly where an example fails, and runs the rest", function ()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir %s && cp examples/demo.lua %s"):format(folder, folder)))
    helper.write_file(folder .. "/share_data.lua", "print 'alone'")
    helper.write_file(folder .. "/errors.lua", "os.exit(3)")
    local run = helper.run_script(folder .. "/demo.lua", { args = { "echo well" }, timeout = 60 })
    os.execute("rm -r " .. folder)
    assert.are.equal(1, run.code)
    assert.is_truthy(run.out:find("\nshare_data +[%d.]+ s  ok\n"), run.out)
    assert.is_truthy(run.out:find("\nerrors +[%d.]+ s  FAILED: exit 3\n"), run.out)
    assert.is_truthy(run.out:find("\necho +[%d.]+ s  ok\n"), run.out)
    local all = #example_names()
    assert.is_truthy(run.out:find(("2 of %d ok"):format(all + 1)), run.out)
    has(("demo: %d of %d FAILED"):format(all - 1, all + 1), run.err)
  end)
end)

describe("docs/guide.md", function ()
  local number = 0
  for block in read_file("docs/guide.md"):gmatch("\n```lua\n(.-\n)```") do
    number = number + 1
    it("program " .. number .. " prints what it announces", function ()
      helper.prints_what_it_says(block, helper.run_script(block, { timeout = 30 }))
    end)
  end

  it("names every example", function ()
    local guide = read_file("docs/guide.md")
    for _, name in ipairs(example_names()) do has("`" .. name .. "`", guide) end
  end)
end)

