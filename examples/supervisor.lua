-- A worker that crashes is restarted, at most n times, with a pause that grows.
-- Watch for: the pauses double; after the third restart the supervisor gives up with the last
-- error. One whose worker is well is stopped from outside, and stops its worker.
--   lua5.4 examples/supervisor.lua [FIRST PAUSE IN SECONDS, 0.05 if not given]
local conc = require "conc"
local pause = tonumber(arg[1]) or 0.05

local begin, starts = conc.now(), conc.value(0)
local function crash()
  print(("%.2f s: start %d"):format(conc.now() - begin, starts:add(1)))
  error("crash " .. starts:get())
end

local fragile = conc.supervise({name = "fragile", max_restarts = 3, backoff = pause}, crash)
print("given up: " .. fragile:error())

local beats = conc.value(0)
local function beat()
  while true do
    beats:add(1)
    conc.sleep(pause)
  end
end

local steady = conc.supervise({name = "steady", restart = "always"}, beat)
conc.sleep(5 * pause)
steady:cancel()
steady:join()
local count = beats:get()
conc.sleep(3 * pause)
print("stopped: " .. steady:state() .. ", " .. beats:get() - count .. " beats since")
