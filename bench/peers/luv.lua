-- luv:  luv.lua spawn | roundtrip | pool | memory thread
local kit = require "kit"
local uv = require "luv"

local question, ask = arg[1], {}

function ask.spawn()
  local function empty() end
  kit.calls(kit.n(500), function () uv.new_thread(empty):join() end)
end

-- Two event loops, one byte to and fro over a socket pair.
function ask.roundtrip()
  local n = kit.n(20000)
  local ends = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
  local other = uv.new_thread(function (fd)
    local loop = require "luv"
    local pipe = loop.new_pipe()
    pipe:open(fd)
    pipe:read_start(function (_, data)
      if data then pipe:write("x") else pipe:close() end
    end)
    loop.run()
  end, ends[2])
  local pipe, left, began, spent = uv.new_pipe(), n, kit.now(), nil
  pipe:open(ends[1])
  pipe:write("x")
  pipe:read_start(function ()
    left = left - 1
    if left > 0 then
      pipe:write("x")
    else
      spent = kit.now() - began
      pipe:close()
    end
  end)
  uv.run()
  other:join()
  kit.report(spent, n)
end

function ask.pool()
  local n, sum = kit.n(100000), 0
  uv.os_setenv("UV_THREADPOOL_SIZE", "2")
  local work = uv.new_work(function (x) return x end, function (x) sum = sum + x end)
  local began = kit.now()
  for i = 1, n do work:queue(i) end
  uv.run()
  kit.report(kit.now() - began, n)
  assert(sum == n * (n + 1) // 2)
end

function ask.memory()
  local keep = kit.memory(kit.n(50), function ()
    return uv.new_thread(function () require "luv".sleep(2000) end)
  end)
  for _, one in ipairs(keep) do one:join() end
end

ask[question]()
