rockspec_format = "3.0"
package = "conc"
version = "scm-1"

source = {
  url = "git+file://.",  -- 'luarocks make' in a checkout needs no download
}

description = {
  summary = "Threads, processes, pools, locks, queues and shared data for Lua 5.4",
  detailed = [[
    Threads and processes behind one set of calls: run Lua functions in either,
    alone or by pools; share locks, queues, values and tables between them,
    in shared memory; fetch many URLs at once. A process that dies hangs nobody.
  ]],
  license = "MIT",
  labels = { "concurrency", "threads", "multiprocessing", "pool", "http" },
}

supported_platforms = { "linux" }

dependencies = { "lua ~> 5.4" }

external_dependencies = {
  CURL = { library = "curl" },  -- for conc.http alone; the core does without
}

build = {
  type = "make",
  build_target = "all",
  install_target = "install-rock",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CURL_LIBDIR = "$(CURL_LIBDIR)",
  },
  install_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CURL_LIBDIR = "$(CURL_LIBDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
  },
}

test_dependencies = { "busted" }
test = {
  type = "command",
  command = "make test",
}
