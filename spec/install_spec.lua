-- The module as users get it: make install, make uninstall, make repl, LuaRocks.
-- timeout: 400
local helper = require "spec.helper"

local sanitized = helper.sanitizer ~= nil

-- What a program outside of the tree sees: none of the tree's paths.
local outside = "cd / && env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 "

local function sh(command, ...)
  local words = { "sh", "-ec", command:format(...) }
  local r = helper.run_script(nil, { command = words, timeout = 300 })
  assert(r.code == 0, command .. "\n" .. r.out .. r.err)
  return r.out
end

local folder

local function make(goal)
  return sh("env -u MAKEFLAGS -u MFLAGS make %s BUILD='%s' DESTDIR='%s' PREFIX=/opt/lua",
    goal, helper.build, folder)
end

local program = [[
local conc = require "conc"
local q = conc.queue()
local t = conc.thread(function () q:put(conc._VERSION) end)
assert(t:result(20) == nil)
print(q:get(20) == conc._VERSION and "works")
]]

describe("make install", function ()
  if sanitized then pending("an installed module is no different under a sanitizer") return end

  setup(function ()
    folder = sh("mktemp -d"):match("%S+")
    make("install")
  end)
  teardown(function () sh("rm -rf '%s'", folder) end)

  it("puts modules where Lua looks, from any folder", function ()
    helper.write_file(folder .. "/program.lua", program)
    local share, lib = folder .. "/opt/lua/share/lua/5.4", folder .. "/opt/lua/lib/lua/5.4"
    local paths = "LUA_PATH='%s/?.lua;%s/?/init.lua' LUA_CPATH='%s/?.so' "
    local out = sh(outside .. paths .. "%s '%s/program.lua'", share, share, lib, helper.lua, folder)
    assert.are.equal("works\n", out)
  end)

  it("puts a library and a header that a C program can be built with, without libcurl", function ()
    helper.write_file(folder .. "/host.c", [[
#include <lauxlib.h>
#include <lualib.h>
#include <conc.h>
#include <stdio.h>
int main (void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  puts(lua_istable(L, -1) ? "opened" : "not opened");
  lua_close(L);
  return 0;
}
]])
    local out = sh("cd '%s' && gcc -o host host.c $(pkg-config --cflags lua5.4) -Iopt/lua/include "
      .. "-Lopt/lua/lib -lconc -llua5.4 -pthread -ldl -lm %s && ./host && ldd host", folder,
      (os.getenv("COVERAGE") or "") ~= "" and "--coverage" or "")
    assert.is_truthy(out:find("^opened\n"))
    assert.is_falsy(out:find("libcurl"))
  end)

  it("is taken back whole by make uninstall", function ()
    make("uninstall")
    assert.are.equal("", sh("cd '%s' && find opt -type f -o -name conc", folder))
    make("install")
  end)
end)

describe("make repl", function ()
  if sanitized then pending("the module in the tree is no different under a sanitizer") return end

  it("has the module of the tree, nothing installed", function ()
    local file = os.tmpname()
    helper.write_file(file, program)
    local command = "env -u MAKEFLAGS -u MFLAGS -u LUA_PATH_5_4 -u LUA_CPATH_5_4 "
      .. "make -s repl BUILD='%s' "
    local out = sh(command .. "RUN='%s'", helper.build, file)
    os.remove(file)
    assert.are.equal("works\n", out)
    out = sh("echo 'print(conc.type(conc.lock()))' | " .. command, helper.build)
    assert.is_truthy(out:find("%f[%w]lock\n"), out)
  end)
end)

describe("luarocks", function ()
  if sanitized then pending("an installed module is no different under a sanitizer") return end

  setup(function ()
    folder = sh("mktemp -d"):match("%S+")
    sh("cp -r Makefile .ci src lua docs LICENSE README.md CHANGELOG.md *.rockspec '%s'", folder)
    sh("cd '%s' && env -u BUILD -u DEBUG -u COVERAGE -u MAKEFLAGS -u MFLAGS "
      .. "luarocks --lua-version 5.4 make --tree ./tree", folder)
  end)
  teardown(function () sh("rm -rf '%s'", folder) end)

  it("makes a rock that works from any folder", function ()
    helper.write_file(folder .. "/program.lua", program)
    local path = ("eval \"$(luarocks --lua-version 5.4 path --tree %s/tree)\""):format(folder)
    local out = sh(outside .. "sh -ec '%s; %s %s/program.lua'", path, helper.lua, folder)
    assert.are.equal("works\n", out)
  end)

  it("packs it, and installs what it packed", function ()
    local rocks = ("cd '%s' && luarocks --lua-version 5.4 "):format(folder)
    sh(rocks .. "pack conc --tree ./tree")
    sh(rocks .. "install --deps-mode=none --tree ./second conc-scm-1.*.rock")
    assert.are.equal(sh("cd '%s/tree' && find lib/lua share | sort", folder),
      sh("cd '%s/second' && find lib/lua share | sort", folder))
  end)
end)
