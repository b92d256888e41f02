-- Five threads add to one balance: read it, think for a moment, write it back.
-- Watch for: without the lock nearly all additions are lost, for the others wrote meanwhile;
-- with the lock none is, and it takes five times as long: only one at a time may think.
--   lua5.4 examples/safe_worker.lua [SECONDS OF THOUGHT, 0.002 if not given]
local conc = require "conc"
local thought = tonumber(arg[1]) or 0.002
local threads, rounds = 5, 20

local balance = conc.value(0)
local lock = conc.lock()

local function add_one()
  local old = balance:get()
  conc.sleep(thought)  -- here the others read the same old balance
  balance:set(old + 1)
end

local function unsafe_worker()
  for _ = 1, rounds do add_one() end
end

local function safe_worker()
  for _ = 1, rounds do lock:with(add_one) end
end

local function run(title, worker)
  balance:set(0)
  local start, team = conc.now(), {}
  for i = 1, threads do team[i] = conc.thread(worker) end
  for _, thread in ipairs(team) do thread:result() end
  local sum = balance:get()
  print(("%s: balance %d of %d, %d lost, %.2f s"):format(
    title, sum, threads * rounds, threads * rounds - sum, conc.now() - start))
end

run("without lock", unsafe_worker)
run("with lock", safe_worker)
