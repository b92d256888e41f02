-- luacheck: no max line length
local conc = require "conc"
local helper = require "spec.helper"
local timeline = require "conc.timeline"

local trace = [==[
[{"ph":"M","pid":7,"name":"trace","args":{"name":"conc"}}
,{"ph":"M","pid":7,"tid":1,"ts":0.000,"name":"process_name","args":{"name":"main"}}
,{"ph":"M","pid":7,"tid":1,"ts":0.000,"name":"thread_name","args":{"name":"main"}}
,{"ph":"M","pid":7,"tid":2,"ts":0.000,"name":"thread_name","args":{"name":"busy"}}
,{"ph":"B","pid":7,"tid":2,"ts":0.000,"cat":"thread","name":"busy"}
,{"ph":"b","pid":7,"tid":2,"ts":0.000,"cat":"hold","id":"0x1","name":"lock made at a.lua:1","args":{"by":"busy"}}
,{"ph":"e","pid":7,"tid":2,"ts":500.000,"cat":"hold","id":"0x1","name":"lock made at a.lua:1","args":{"by":"busy"}}
,{"ph":"M","pid":8,"tid":3,"ts":0.000,"name":"process_name","args":{"name":"far"}}
,{"ph":"M","pid":8,"tid":3,"ts":0.000,"name":"thread_name","args":{"name":"far"}}
,{"ph":"B","pid":8,"tid":3,"ts":0.000,"cat":"process","name":"far"}
,{"ph":"X","pid":8,"tid":3,"ts":100.000,"dur":400.000,"cat":"wait","name":"acquire","args":{"of":"lock made at a.lua:1","at":"a.lua:9"}}
,{"ph":"b","pid":8,"tid":3,"ts":500.000,"cat":"hold","id":"0x1","name":"lock made at a.lua:1","args":{"by":"far"}}
,{"ph":"E","pid":7,"tid":2,"ts":800.000,"cat":"thread","name":"busy"}
,{"ph":"X","pid":7,"tid":1,"ts":0.000,"dur":1000.000,"cat":"wait","name":"join","args":{"of":"thread \"busy\"","at":"a.lua:12"}}
]==]

local function draw(text, options)
  local path = helper.write_file(os.tmpname(), text)
  local ok, drawing = pcall(timeline, path, options)
  os.remove(path)
  if not ok then error(drawing, 0) end
  return drawing
end

describe("conc.timeline", function ()
  it("draws threads, their waits and the holders of locks", function ()
    local expected = [[
                       0                                  1.00 ms
process 7 "main"
  A main              |..........................................|
  B busy              |##################################        |
process 8 "far"
  C far               |####xxxxxxxxxxxxxxxxx#####################|
held by
  lock a.lua:1|BBBBBBBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCCCCCC|
longest waits
    1.00 ms  main  join thread "busy"  at a.lua:12
   400.0 us  far  acquire lock made at a.lua:1  at a.lua:9
]]
    local drawing = draw(trace, { width = 59 })
    local function plain(text) return (text:gsub(" +|", "|"):gsub("^ +", "")) end
    assert.are.equal(plain(expected) .. "#  runs    .  waits    x  waits for a lock\n", plain(drawing))
  end)

  it("names who told his name by what he began with, and who told none", function ()
    local drawing = draw([==[
[{"ph":"M","pid":7,"name":"trace","args":{"name":"conc"}}
,{"ph":"B","pid":7,"tid":4,"ts":0.000,"cat":"process","name":"pool-3"}
,{"ph":"X","pid":7,"tid":5,"ts":0.000,"dur":10.000,"cat":"wait","name":"get","args":{"of":"queue","at":""}}
]==], { width = 59 })
    assert.is_truthy(drawing:find('process 7 "pool-3"\n  A pool-3 ', 1, true), drawing)
    assert.is_truthy(drawing:find("  B (conc's own) ", 1, true), drawing)
  end)

  it("reads a trace that breaks off in the middle of a line", function ()
    local whole, broken = draw(trace), draw(trace .. ',{"ph":"X","pid":7,"tid":1,"ts":990')
    assert.are.equal(whole, broken)
  end)

  it("draws what conc.trace wrote", function ()
    local path = os.tmpname()
    conc.trace(path)
    local lock = conc.lock()
    local p <close> = conc.process({ name = "far away" }, function ()
      for _ = 1, 5 do lock:with(conc.sleep, 0.005) end
    end)
    local t <close> = conc.thread({ name = 'quo"te\\' }, function ()
      for _ = 1, 5 do lock:with(conc.sleep, 0.005) end
    end)
    p:join()
    t:join()
    conc.trace()
    local drawing = timeline(path, { width = 100 })
    os.remove(path)
    assert.is_truthy(drawing:find('\nprocess %d+ "far away"\n  C far away +|[#.x ]*%.[#.x ]*|\n'), drawing)
    assert.is_truthy(drawing:find('\n  B quo"te\\ +|', 1), drawing)
    assert.is_truthy(drawing:find("lock timeline_spec.lua:%d+ *|[ABC ]*[BC][ABC ]*|\n"), drawing)
    for line in drawing:gmatch("[^\n]+|\n") do assert.is_true(#line <= 101) end
  end)

  it("draws at the shell", function ()
    local path = helper.write_file(os.tmpname(), trace)
    for _, option in ipairs { { "-l", "conc.timeline" }, { "-lconc.timeline" } } do
      local run = helper.run_script(nil, { command = { helper.lua, table.unpack(option) }, args = {} })
      assert.is_true(run.code ~= nil)
      run = helper.run_script(nil, {
        command = { "sh", "-c", '"$0" "$@"', helper.lua, option[1],
                    option[2] or path, option[2] and path or nil },
      })
      assert.are.equal(0, run.code, run.err)
      assert.is_truthy(run.out:find("  C far +|#"), run.out .. run.err)
    end
    os.remove(path)
  end)

  it("tells what is wrong with a file", function ()
    assert.has_error(function () timeline("/no/such/file") end)
    assert.has_error(function () timeline(42) end)
    local ok, message = pcall(draw, "print 'a Lua program'\n")
    assert.is_false(ok)
    assert.is_truthy(message:find("not a trace", 1, true), message)
    ok, message = pcall(draw, "[{\"ph\":\"M\"\n,{\"ph\":\"M\"}\n")
    assert.is_false(ok)
    assert.is_truthy(message:find(":1: ", 1, true), message)
    local run = helper.run_script(nil, {
      command = { helper.lua, "-l", "conc.timeline", "/no/such/file" } })
    assert.are.equal(1, run.code)
    assert.is_truthy(run.err:find("No such file", 1, true), run.err)
  end)
end)
