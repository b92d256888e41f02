-- What the programs of bench/ share:  local kit = require "kit"
--
-- Each program measures one thing in one process and prints lines "name value", "ns" above
-- all: nanoseconds of one operation. run.lua starts it, reads them and compares.
local floor = require "benchfloor"

local kit = { now = floor.now, sleep = floor.sleep }

-- How many operations: N in the environment, or what is usual.
function kit.n(usual) return math.tointeger(tonumber(os.getenv("N"))) or usual end

function kit.report(seconds, n) print(("ns %.3f"):format(seconds / n * 1e9)) end

-- Reports what one of n calls of f takes, f(0) before them apart.
function kit.calls(n, f)
  f(0)
  local began = kit.now()
  for i = 1, n do f(i) end
  kit.report(kit.now() - began, n)
end

-- Reports what it takes to put the item and to take it out again, once of n times.
function kit.put_and_get(queue, item, n)
  queue:put(item)
  queue:get()
  local began = kit.now()
  for _ = 1, n do
    queue:put(item)
    queue:get()
  end
  kit.report(kit.now() - began, n)
end

-- Two workers, already started, hand numbers from 'tasks' on to 'results': reports what one of
-- n takes. 'put' and 'get' name the methods, of queues of whichever library.
function kit.hand(n, tasks, put, results, get)
  kit.sleep(0.05)
  local sum, began = 0, kit.now()
  for i = 1, n do tasks[put](tasks, i) end
  for _ = 1, n do sum = sum + results[get](results) end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
  tasks[put](tasks, "stop")
  tasks[put](tasks, "stop")
end

-- payload(kind) -> function(i) giving the i-th message of that kind. Within 128 calls
-- in a row no table is given twice: in one batch it would be sent once.
function kit.payload(kind)
  if kind == "int" then
    return function (i) return i end
  elseif kind == "str" then
    local list = {}
    for i = 0, 1023 do list[i] = ("%032d"):format(i * 7919) end
    return function (i) return list[i & 1023] end
  elseif kind == "table" then
    local list = {}
    for i = 0, 127 do list[i] = { id = 1, name = "x", values = { 1, 2, 3 } } end
    return function (i) return list[i & 127] end
  end
  assert(kind == "big", kind)
  local text = ("x"):rep(1 << 20)
  return function () return text end
end

-- The numbers of the CPUs that this program may use.
function kit.cpus()
  local list = {}
  for text in io.lines("/proc/self/status") do
    local ranges = text:match("^Cpus_allowed_list:%s*(.*)")
    for first, last in (ranges or ""):gmatch("(%d+)%-?(%d*)") do
      for cpu = tonumber(first), tonumber(last) or tonumber(first) do list[#list + 1] = cpu end
    end
  end
  return list
end

-- The middle one of a list of numbers.
function kit.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return (sorted[(#sorted + 1) // 2] + sorted[#sorted // 2 + 1]) / 2
end

-- The median time of 'rounds' calls of f, each after a full collection.
function kit.time(rounds, f)
  local list = {}
  for i = 1, rounds do
    collectgarbage()
    local began = kit.now()
    local keep = f()
    list[i] = kit.now() - began
    assert(keep ~= nil)
  end
  return kit.median(list)
end

-- The bytes that n more of what make() makes add to this program's resident memory (Pss).
-- What the first one sets up is not counted.
function kit.memory(n, make)
  local function total()
    collectgarbage()
    collectgarbage()
    local file <close> = assert(io.open("/proc/self/smaps_rollup"))
    return tonumber(file:read("a"):match("\nPss:%s*(%d+)")) * 1024
  end
  local keep = { make() }
  floor.sleep(0.2)
  local before = total()
  for i = 2, n + 1 do keep[i] = make() end
  floor.sleep(0.2)
  print(("bytes %.0f"):format((total() - before) / n))
  return keep
end

-- Primes among first, first + step, ... up to last, by trial division.
function kit.primes(first, last, step)
  local count = 0
  for x = first, last, step do
    local d, prime = 3, true
    while d * d <= x do
      if x % d == 0 then prime = false break end
      d = d + 2
    end
    if prime then count = count + 1 end
  end
  return count
end

return kit
