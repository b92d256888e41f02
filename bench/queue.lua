-- What does a message cost, one way?
--   queue.lua thread|process int|str|table|big PRODUCERS CONSUMERS [BATCH = 1 [BOUND]]
-- And in one thread, put and taken out again?   queue.lua self int|function
local conc = require "conc"
local kit = require "kit"

local kind, what = arg[1], arg[2]

local function self()
  local item = what == "int" and 1 or function (x) return x + 1 end
  kit.put_and_get(conc.queue(), item, kit.n(300000))
end

local function produce(q, go, n, batch)
  local payload = kit.payload(what)
  go:wait()
  if batch == 1 then
    for i = 1, n do q:put(payload(i)) end
  else
    local list = {}
    for i = 1, n, batch do
      for j = 1, batch do list[j] = payload(i + j) end
      q:put_many(list)
    end
  end
end

local function consume(q, go, n, batch)
  go:wait()
  if batch == 1 then
    for _ = 1, n do q:get() end
  else
    local got = 0
    while got < n do got = got + #q:get_many(math.min(batch, n - got)) end
  end
end

local function one_way()
  local start, go = conc[kind], conc.event()
  local producers, consumers = tonumber(arg[3]), tonumber(arg[4])
  local batch, n = tonumber(arg[5] or 1), kit.n(what == "big" and 500 or 200000)
  local q = conc.queue(tonumber(arg[6]))
  local all = {}
  for _ = 1, producers do all[#all + 1] = start(produce, q, go, n // producers, batch) end
  for _ = 1, consumers do all[#all + 1] = start(consume, q, go, n // consumers, batch) end
  conc.sleep(0.05)
  local began = kit.now()
  go:set()
  for _, one in ipairs(all) do one:result() end
  kit.report(kit.now() - began, n)
end

if kind == "self" then self() else one_way() end
