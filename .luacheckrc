-- luacheck: run by 'make lint' over lua/, spec/, examples/, bench/ and docs/
std = "lua54"
codes = true
max_line_length = 100
unused_args = false             -- a callback names what it is given
ignore = {
  "211/_.*",                    -- local _ <close> = ...: there for its scope
  "212/self",
  "213",                        -- loop variables that only count
  "311/_.*",
}
exclude_files = { "build", "build-*", "lua_modules" }

files["spec"] = {
  std = "lua54+busted",
  -- Sent functions mention globals on purpose: that they travel is the test.
  allow_defined_top = true,
  ignore = { "111", "112", "113", "121", "122", "131", "142", "143" },
}
files["examples"] = { allow_defined_top = true }
files["bench"] = { allow_defined_top = true }
