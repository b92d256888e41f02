-- Loaded by busted before any spec file (see .busted).
--
-- busted gives a spec file an environment of its own, in which a global is
-- not a global of the program: a function sent to a thread would drag busted
-- along. conc is tested as programs use it, so a spec file runs in the real
-- _G, with busted's words (describe, it, ...) as true globals; each looks up
-- its present meaning in the environment that busted had made.
local busted = require "busted"

local function upvalue_index(f, wanted)
  local i = 0
  repeat
    i = i + 1
    local name, value = debug.getupvalue(f, i)
    if name == wanted then return i, value end
  until not name
end

busted.subscribe({ "file", "start" }, function (file)
  local chunk = getmetatable(file.run).__call
  local index, env = upvalue_index(chunk, "_ENV")
  if index then
    local words = require "spec.words"
    words(env)
    for word, f in pairs(words) do _G[word] = f end
    for _, name in ipairs { "spy", "mock", "stub", "match" } do _G[name] = env[name] end
    _G.assert = require "spec.assert"
    debug.upvaluejoin(chunk, index, function () return _ENV end, 1)
  end
  return nil, true
end)
