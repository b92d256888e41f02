-- Does the cost of one stay the same when there are many?
--   size.lua queued COUNT     put into, and get out of, a queue that holds COUNT
--   size.lua threads COUNT    start COUNT threads that wait, wake all, join all
--   size.lua futures COUNT    submit COUNT tasks, wait for all with conc.wait
-- "ns" is the time of one; of queued: of one put and one get.
local conc = require "conc"
local kit = require "kit"

local what, count = arg[1], math.tointeger(tonumber(arg[2]))
local measure = {}

function measure.queued()
  local q = conc.queue()
  for i = 1, count do q:put(i) end
  kit.put_and_get(q, 1, kit.n(100000))
end

function measure.threads()
  local rounds = math.max(1, 200 // count)
  local gate, spent = conc.event(), 0
  local function wait() gate:wait() end
  for _ = 1, rounds do
    gate:clear()
    local all, began = {}, kit.now()
    for i = 1, count do all[i] = conc.thread(wait) end
    gate:set()
    for i = 1, count do all[i]:join() end
    spent = spent + kit.now() - began
  end
  kit.report(spent, rounds * count)
end

function measure.futures()
  local pool <close> = conc.thread_pool(2)
  local rounds, spent = math.max(1, 20000 // count), 0
  local function same(x) return x end
  for _ = 1, rounds do
    local all, began = {}, kit.now()
    for i = 1, count do all[i] = pool:submit(same, i) end
    conc.wait(all)
    spent = spent + kit.now() - began
  end
  kit.report(spent, rounds * count)
end

measure[what]()
