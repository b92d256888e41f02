/*
** codec_setting.c - floor 4: what a new state gets of its maker's settings
**
** A message of one table: { path =, cpath =, preload =, fields = { library =
** { field = value } } }, with only what differs from a fresh state. Usually
** nothing does, and nothing is sent.
*/
#include "codec_impl.h"

#include <lualib.h>
#include <math.h>

static const char *const libraries[] = {
  LUA_COLIBNAME, LUA_TABLIBNAME, LUA_IOLIBNAME, LUA_OSLIBNAME, LUA_STRLIBNAME,
  LUA_MATHLIBNAME, LUA_UTF8LIBNAME, LUA_DBLIBNAME, LUA_LOADLIBNAME
};
#define NLIBRARIES  (sizeof libraries / sizeof libraries[0])

static bool is_constant (lua_State *L, const char *library, const char *field) {
  if (strcmp(library, LUA_MATHLIBNAME) == 0) {
    if (lua_isinteger(L, -1))
      return (strcmp(field, "maxinteger") == 0 && lua_tointeger(L, -1) == LUA_MAXINTEGER)
          || (strcmp(field, "mininteger") == 0 && lua_tointeger(L, -1) == LUA_MININTEGER);
    return (strcmp(field, "huge") == 0 && lua_tonumber(L, -1) >= HUGE_VAL)
        || (strcmp(field, "pi") == 0 && fabs(lua_tonumber(L, -1) - 3.14159265358979323846) <= 0);
  }
  if (strcmp(library, LUA_LOADLIBNAME) == 0)  /* path and cpath: apart */
    return strcmp(field, "config") == 0 || strcmp(field, "path") == 0
        || strcmp(field, "cpath") == 0;
  return strcmp(library, LUA_UTF8LIBNAME) == 0 && strcmp(field, "charpattern") == 0;
}

/* The value on the top, above its name: is it there in every fresh state? */
static bool is_fresh (lua_State *L, struct codec_state *cs, const char *library) {
  const char *field = lua_tostring(L, -2);
  switch (lua_type(L, -1)) {
    case LUA_TFUNCTION: return module_is_pristine(L, cs, library, field);
    case LUA_TNUMBER: case LUA_TSTRING: return is_constant(L, library, field);
    case LUA_TTABLE: case LUA_TUSERDATA:
      return module_is_pristine(L, cs, library, field);
    default: return false;
  }
}

/* The field of the table at 'at' that is a table; made there if need be. */
static void push_part (lua_State *L, int at, const char *name) {
  if (lua_getfield(L, at, name) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, at, name);
}

/* Enters name and value on the top into setting.fields.library. */
static void note_field (lua_State *L, int setting, const char *library) {
  int name = lua_gettop(L) - 1;
  push_part(L, setting, "fields");
  push_part(L, lua_gettop(L), library);
  lua_pushvalue(L, name);
  lua_pushvalue(L, name + 1);
  lua_rawset(L, -3);
  lua_settop(L, name + 1);
}

static bool note_fields (lua_State *L, struct codec_state *cs, int setting) {
  bool differs = false;
  for (size_t i = 0; i < NLIBRARIES; i++) {
    codec_slot(L, SLOT_OWN);
    lua_pushstring(L, libraries[i]);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
      for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || is_fresh(L, cs, libraries[i]))
          continue;
        if (setting == 0)
          return true;
        note_field(L, setting, libraries[i]);
        differs = true;
      }
    }
    lua_pop(L, 2);
  }
  return differs;
}

static bool note_path (lua_State *L, int setting, const char *field, bool cpath) {
  bool differs;
  codec_slot(L, SLOT_LIBRARY);
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  differs = lua_type(L, -1) == LUA_TSTRING
         && strcmp(lua_tostring(L, -1), module_pristine_path(cpath)) != 0;
  if (differs && setting != 0) {
    lua_setfield(L, setting, field);
    lua_pop(L, 1);
  }
  else
    lua_pop(L, 2);
  return differs;
}

static bool note_preload (lua_State *L, int setting) {
  bool differs = false;
  codec_slot(L, SLOT_OWN);
  lua_pushliteral(L, "package.preload");
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    if (lua_next(L, -2) != 0) {
      differs = true;
      lua_pop(L, 2);
    }
  }
  if (differs && setting != 0) {
    lua_newtable(L);      /* the table itself would travel by its name */
    for (lua_pushnil(L); lua_next(L, -3) != 0; ) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    lua_setfield(L, setting, "preload");
  }
  lua_pop(L, 2);
  return differs;
}

/* Setting 0: only looks. */
static bool note_all (lua_State *L, struct codec_state *cs, int setting) {
  bool path = note_path(L, setting, "path", false);
  bool cpath = note_path(L, setting, "cpath", true);
  bool preload = note_preload(L, setting);
  return note_fields(L, cs, setting) || path || cpath || preload;
}

bool codec_encode_setting (lua_State *L, struct parcel *out) {
  int top = lua_gettop(L);
  struct codec_state *cs = codec_state(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  out->block = NULL;
  bool differs = note_all(L, cs, 0);
  lua_settop(L, top);
  if (!differs)
    return false;
  lua_newtable(L);
  note_all(L, cs, top + 1);
  codec_encode(L, top + 1, 1, CODEC_RUN, "setting for new states", 0, out);
  lua_settop(L, top);
  return true;
}

/* All pairs of the table on the top into the one below it. */
static void assign_all (lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; ) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
}

/* Pushes the table that the state has as its own 'name'. */
static void push_own (lua_State *L, const char *name) {
  codec_slot(L, SLOT_OWN);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

void codec_apply_setting (lua_State *L, struct block *message) {
  int top = lua_gettop(L), setting = top + 1;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  codec_state(L);
  codec_decode_message(L, message, 0);
  push_own(L, LUA_LOADLIBNAME);
  for (int i = 0; i < 2; i++) {
    const char *field = i == 0 ? "path" : "cpath";
    if (lua_getfield(L, setting, field) == LUA_TSTRING)
      lua_setfield(L, -2, field);
    else
      lua_pop(L, 1);
  }
  push_own(L, "package.preload");
  if (lua_getfield(L, setting, "preload") == LUA_TTABLE)
    assign_all(L);
  lua_settop(L, setting);
  if (lua_getfield(L, setting, "fields") == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
      push_own(L, lua_tostring(L, -2));
      lua_insert(L, -2);
      assign_all(L);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, top);
}
