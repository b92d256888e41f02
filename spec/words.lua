-- busted's words (describe, it, ...) as plain functions of a module, so that a
-- message with one of them in it (a copy of _G) does not carry busted along.
-- spec/setup.lua says where their present meaning is.
local words = {}
local env

for _, word in ipairs {
  "describe", "context", "insulate", "expose", "it", "spec", "test", "pending", "finally",
  "before_each", "after_each", "setup", "teardown", "strict_setup", "strict_teardown",
  "lazy_setup", "lazy_teardown", "randomize",
} do
  words[word] = function (...) return env[word](...) end
end

return setmetatable(words, { __call = function (_, meaning) env = meaning end })
