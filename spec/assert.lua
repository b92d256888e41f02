-- What 'assert' is in spec files: called, it is Lua's own assert; indexed, it
-- is luassert (assert.are.equal and the rest). A module of its own, so that it
-- travels by 'require': a thread that only calls it does not load luassert.
local plain = assert
if type(plain) == "table" then plain = plain.plain end

return setmetatable({ plain = plain }, {
  __call = function (_, ...) return plain(...) end,
  __index = function (_, name) return require("luassert")[name] end,
})
