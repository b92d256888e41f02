/*
** bind_hold.c - floor 7: what the bindings of all that is held share
*/
#include "bind_hold.h"
#include "poke.h"

#include <string.h>

int hold_guard (lua_State *L, int rc) {
  if (rc != CONC_OK && rc != CONC_ABANDONED)
    return bind_result(L, rc);
  poke_gave();
  lua_settop(L, 1);
  return 1;
}

void hold_checkcall (lua_State *L) {
  if (lua_isfunction(L, 2))
    return;
  if (luaL_getmetafield(L, 2, "__call") == LUA_TNIL)
    luaL_typeerror(L, 2, "function");
  lua_pop(L, 1);
}

static int call_ended (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

int hold_call (lua_State *L, int rc) {
  if (rc != CONC_OK && rc != CONC_ABANDONED)
    return bind_result(L, rc);
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, call_ended);
  return call_ended(L, LUA_OK, 0);
}

static const char *push_name (lua_State *L, thread_key key) {
  char name[NAME_SIZE];
  memcpy(name, record_at(KEY_INDEX(key))->name, NAME_SIZE);
  name[NAME_SIZE - 1] = '\0';
  return lua_pushfstring(L, "\"%s\"", name[0] != '\0' ? name : "main");
}

void hold_pushstate (lua_State *L, thread_key key, const char *how) {
  if (key == 0)
    lua_pushliteral(L, "free");
  else if (record_ended(key))
    lua_pushliteral(L, "abandoned");
  else {
    const char *name = push_name(L, key);
    lua_pushfstring(L, "%s by %s", how, name);
    lua_remove(L, -2);
  }
}

int hold_notheld (lua_State *L, const char *verb, thread_key key) {
  const char *kind = block_ops(bind_toblock(L, 1))->name;
  const char *me = push_name(L, self()->key);
  const char *state = "not held";
  if (key != 0) {
    hold_pushstate(L, key, "held");
    state = lua_pushfstring(L, "%s, not held by %s", lua_tostring(L, -1), me);
  }
  return luaL_argerror(L, 1, lua_pushfstring(L, "%s by its holder expected: %s is %s",
                                             verb, kind, state));
}
