-- What does a task cost, from submit to its result?
--   pool.lua thread|process          all N submitted, then all N results
--   pool.lua thread|process idle     one at a time, after a pause of 2 ms
--   pool.lua thread|process start    from making the pool (4 workers) to the first result
-- And without a pool, futures and functions?
--   pool.lua thread|process hand     two workers take numbers from a queue to another
local conc = require "conc"
local kit = require "kit"

local open, mode = conc[arg[1] .. "_pool"], arg[2] or "many"
local function same(x) return x end

local measure = {}

function measure.many()
  local pool <close> = open(2)
  local n, futures, sum = kit.n(100000), {}, 0
  pool:submit(same, 0):result()
  local began = kit.now()
  for i = 1, n do futures[i] = pool:submit(same, i) end
  for i = 1, n do sum = sum + futures[i]:result() end
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
end

function measure.idle()
  local pool <close> = open(2)
  local n, spent = kit.n(300), 0
  pool:submit(same, 0):result()
  for i = 1, n do
    conc.sleep(0.002)
    local began = kit.now()
    pool:submit(same, i):result()
    spent = spent + kit.now() - began
  end
  kit.report(spent, n)
end

function measure.start()
  local n, spent = kit.n(20), 0
  for i = 1, n do
    local began = kit.now()
    local pool <close> = open(4)
    assert(pool:submit(same, i):result() == i)
    spent = spent + kit.now() - began
  end
  kit.report(spent, n)
end

function measure.hand()
  local tasks, results = conc.queue(), conc.queue()
  local function worker()
    while true do
      local x = tasks:get()
      if x == "stop" then return end
      results:put(x)
    end
  end
  local start = conc[arg[1]]
  local a, b = start(worker), start(worker)
  kit.hand(kit.n(100000), tasks, "put", results, "get")
  a:join()
  b:join()
end

measure[mode]()
