/* benchfloor.c - for Lua programs without conc: a clock, and an object whose method does nothing */
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

static int f_now (lua_State *L) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  lua_pushnumber(L, (lua_Number)ts.tv_sec + (lua_Number)ts.tv_nsec * 1e-9);
  return 1;
}

static int m_empty (lua_State *L) {
  (void)L;
  return 0;
}

static int f_object (lua_State *L) {
  lua_newuserdatauv(L, 16, 0);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushcfunction(L, m_empty);
  lua_setfield(L, -2, "empty");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

static const luaL_Reg functions[] = {{"now", f_now}, {"object", f_object}, {NULL, NULL}};

int luaopen_benchfloor (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
