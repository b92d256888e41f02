/*
** benchfloor.c - for Lua programs without conc: a clock, a sleep, an object whose method
** does nothing, and a list of strings
*/
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

static int f_now (lua_State *L) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  lua_pushnumber(L, (lua_Number)ts.tv_sec + (lua_Number)ts.tv_nsec * 1e-9);
  return 1;
}

static int f_sleep (lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  struct timespec ts = {.tv_sec = (time_t)seconds};
  ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
  nanosleep(&ts, NULL);
  return 0;
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

/* strings(text, n): a list of the n strings that lie in 'text', each behind a byte with
   its length. The collector rests: there is nothing around making them. */
static int f_strings (lua_State *L) {
  const char *p = luaL_checkstring(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_gc(L, LUA_GCSTOP);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    size_t length = (unsigned char)*p++;
    lua_pushlstring(L, p, length);
    lua_rawseti(L, -2, i);
    p += length;
  }
  lua_gc(L, LUA_GCRESTART);
  return 1;
}

static const luaL_Reg functions[] = {{"now", f_now}, {"object", f_object},
                                     {"sleep", f_sleep}, {"strings", f_strings},
                                     {NULL, NULL}};

int luaopen_benchfloor (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
