/*
** bind_codec.c - floor 7: conc.encode, conc.decode, conc.can_send
*/
#include "bind.h"
#include "state.h"

#include <string.h>

/* conc.encode(value, ...) -> string */
static int core_encode (lua_State *L) {
  struct parcel p;
  codec_encode(L, 1, lua_gettop(L), CODEC_BYTES, "value", 0, &p);
  lua_pushlstring(L, p.bytes, p.length);
  return 1;
}

/* Reads the options: {trusted = boolean}. */
static bool check_trusted (lua_State *L, int arg) {
  bool trusted = false;
  if (lua_gettop(L) < arg || lua_isnil(L, arg))
    return false;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "trusted") != 0) {
      luaL_tolstring(L, -2, NULL);
      const char *msg = lua_pushfstring(L, "no option '%s'; did you mean 'trusted'?",
                                        lua_tostring(L, -1));
      luaL_argerror(L, arg, msg);
    }
    trusted = lua_toboolean(L, -1);
  }
  return trusted;
}

/* conc.decode(string [, {trusted = true}]) -> value, ... */
static int core_decode (lua_State *L) {
  size_t length;
  const char *bytes;
  luaL_checktype(L, 1, LUA_TSTRING);
  bytes = lua_tolstring(L, 1, &length);
  unsigned flags = CODEC_BYTES | (check_trusted(L, 2) ? 0u : (unsigned)CODEC_DATA);
  return codec_decode(L, bytes, length, NULL, 0, flags);
}

/* conc.can_send(value) -> true | nil, reason */
static int core_can_send (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (codec_can_send(L, 1)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* core._forget(): drops the bytecode of functions that were sent; for tests
   that count what is left in the arena */
static int core_forget (lua_State *L) {
  codec_forget(L);
  return 0;
}

static const luaL_Reg functions[] = {
  { "_forget", core_forget },
  { "can_send", core_can_send },
  { "decode", core_decode },
  { "encode", core_encode },
  { NULL, NULL }
};

void bind_open_codec (lua_State *L);
void bind_open_codec (lua_State *L) {
  codec_open_state(L);
  bind_pushcancelled(L);
  codec_own(L, ".cancelled");
  if (state_ours(L)) {  /* its print is conc.print: a sent print becomes that */
    lua_getglobal(L, "print");
    codec_own(L, "_G.print");
  }
  luaL_setfuncs(L, functions, 0);
}
