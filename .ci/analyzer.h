/*
** Given to clang-tidy before every file: Lua's error functions do not return,
** which its headers do not say.
*/
#include <lua.h>
#include <lauxlib.h>
__attribute__((analyzer_noreturn)) int lua_error (lua_State *L);
__attribute__((analyzer_noreturn)) int luaL_error (lua_State *L, const char *fmt, ...);
__attribute__((analyzer_noreturn)) int luaL_argerror (lua_State *L, int arg, const char *msg);
__attribute__((analyzer_noreturn)) int luaL_typeerror (lua_State *L, int arg, const char *name);
