-- The prompt of lua5.4, line by line, on a terminal: script(1) makes the pseudo-terminal,
-- what is typed goes in through a pipe, what the terminal shows is read from script's log.
-- Nothing typed contains what is then expected, for the terminal echoes it.
local socket = require "socket"
local helper = require "spec.helper"

local bound = helper.pace(90)  -- seconds that a session may take

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local Session = {}
Session.__index = Session

local function start_session()
  local log = os.tmpname()
  local command = ("TERM=dumb timeout -k 2 %d script -qefc 'exec %s' %s >%s.err 2>&1")
    :format(bound, helper.lua, log, log)
  local keys = assert(io.popen(command, "w"))
  keys:setvbuf("no")
  return setmetatable({keys = keys, log = log, seen = 1}, Session)
end

function Session:expect(text)
  local start = socket.gettime()
  repeat
    local shown = read_file(self.log)
    local from, to = shown:find(text, self.seen, true)
    if from then
      self.seen = to + 1
      return socket.gettime() - start
    end
    socket.sleep(0.005)
  until socket.gettime() - start > helper.soon
  error(("the prompt did not show %q; since the last it showed:\n%s")
    :format(text, read_file(self.log):sub(self.seen)), 2)
end

function Session:type(line)
  self.keys:write(line, "\n")
end

function Session:ask(line, text)
  self:type(line)
  return self:expect(text)
end

function Session:interrupt()
  self.keys:write("\3")
end

function Session:finish()
  self:type("os.exit(7, true)")
  local ok, how, code = self.keys:close()
  return not ok and how == "exit" and code
end

describe("the prompt of lua5.4", function ()
  local session

  before_each(function ()
    session = start_session()
    session:expect("> ")
    session:type('conc = require "conc"')
    session:ask('print("type " .. type(conc))', "type table")
  end)

  after_each(function ()
    if session.keys then pcall(session.keys.close, session.keys) end
    os.remove(session.log)
    os.remove(session.log .. ".err")
  end)

  local function finish()
    local code = session:finish()
    session.keys = nil
    assert.are.equal(7, code)
  end

  for _, kind in ipairs { "thread_pool", "process_pool" } do
    it("maps a global function typed there with a " .. kind, function ()
      session:type("factor = 3")
      session:type("function triple(x) return factor * x end")
      session:type("pool = conc." .. kind .. "(2)")
      session:type("list = pool:map(triple, {1, 2, 5})")
      session:ask('print("so " .. table.concat(list, ";"))', "so 3;6;15")
      session:type("function triple(x) return -factor * x end")
      session:type("list = pool:map(triple, {1, 2, 5})")
      session:ask('print("so " .. table.concat(list, ";"))', "so -3;-6;-15")
      session:type("f = pool:submit(triple, 7)")
      session:ask('print("so " .. f:result())', "so -21")
      finish()
    end)
  end

  it("comes back by Ctrl-C from q:get(), and the queue still works", function ()
    session:type("q = conc.queue()")
    for round = 1, 3 do
      session:ask(('print("wait" .. "ing %d") q:get()'):format(round), "waiting " .. round)
      socket.sleep(0.1 * (round - 1))  -- at once, and when it has slept for a while
      session:interrupt()
      local seconds = session:expect("interrupted!")
      assert.is_true(seconds < helper.pace(0.5), ("Ctrl-C took %.3f s"):format(seconds))
      session:expect("> ")
      session:type("q:put(" .. round .. ")")
      session:ask('print("got " .. 10 * q:get())', "got " .. 10 * round)
    end
    session:type("t = conc.thread(function () return q:get() + 1 end)")
    session:type("q:put(41)")
    session:ask('print("thread " .. t:result())', "thread 42")
    finish()
  end)

  it("comes back by Ctrl-C from a result, and the task goes on", function ()
    session:type("go = conc.event()")
    session:type("pool = conc.process_pool(1)")
    session:type('f = pool:submit(function () go:wait() return "end" end)')
    session:ask('print("wait" .. "ing") f:result()', "waiting")
    session:interrupt()
    session:expect("interrupted!")
    session:type("go:set()")
    session:ask('print("at the " .. f:result())', "at the end")
    finish()
  end)

  it("shows what an object is", function ()
    session:type("lock = conc.lock()")
    session:ask("lock", "conc.lock (")
    session:type("lock:acquire()")
    session:ask("lock", 'held by "main"')
    session:type("q = conc.queue(10) q:put(1)")
    session:ask("q", "conc.queue (1 of 10)")
    finish()
  end)
end)
