/*
** benchfloor.c - for Lua programs without conc: a clock, an object whose method does
** nothing, and a list of strings
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

/* strings(n): a list of "item1" ... "item<n>", with nothing around making it */
static int f_strings (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  char text[32] = "item";
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    char digits[24];
    size_t length = 4, k = 0;
    for (lua_Integer x = i; x > 0; x /= 10)
      digits[k++] = (char)('0' + x % 10);
    while (k > 0)
      text[length++] = digits[--k];
    lua_pushlstring(L, text, length);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static const luaL_Reg functions[] = {{"now", f_now}, {"object", f_object},
                                     {"strings", f_strings}, {NULL, NULL}};

int luaopen_benchfloor (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
