/*
** codec_setting.c - floor 4: what a new state gets of its maker's settings
**
** A message of one table: { path =, cpath =, preload =, fields = { library =
** { field = value } } }, with only what differs from a fresh state. Usually
** nothing does, and nothing is sent: when the tables of the standard library
** were last found to be as they should, a hash of their memory was noted. As
** long as it is the same (and all that was in them then is kept alive, so that
** no address means something new), nobody need look again.
*/
#include "codec_impl.h"
#include "codec_peek.h"

#include <lualib.h>
#include <math.h>

static const char *const libraries[] = {
  LUA_COLIBNAME, LUA_TABLIBNAME, LUA_IOLIBNAME, LUA_OSLIBNAME, LUA_STRLIBNAME,
  LUA_MATHLIBNAME, LUA_UTF8LIBNAME, LUA_DBLIBNAME, LUA_LOADLIBNAME
};
#define NLIBRARIES  (sizeof libraries / sizeof libraries[0])
_Static_assert(NLIBRARIES + 1 == LIBRARY_TABLES, "and package.preload");

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

/* {=== has anything changed since it was looked at? ===} */

static inline uint64_t mix (uint64_t h, uint64_t x) {
  h = (h ^ x) * UINT64_C(0x9E3779B97F4A7C15);
  return h ^ h >> 32;
}

/* Of an address the lower half: that is the same in a copy of the state (state.c). */
static inline uint64_t bits_of (const struct peek_node *x) {
  return x->type & PEEK_COLLECTABLE ? (uint32_t)x->u.i : (uint64_t)x->u.i;
}

/* 0: it cannot be told. */
static uint64_t hash_libraries (const struct codec_state *cs) {
  uint64_t h = 1;
  if (!peek_works)
    return 0;
  for (int i = 0; i < LIBRARY_TABLES; i++) {
    const struct peek_table *t = (const struct peek_table *)cs->libraries[i];
    if (t == NULL || peek_array_size(t) != 0)
      return 0;
    h = mix(h, (uint32_t)(uintptr_t)t->metatable);
    const struct peek_node *x = t->nodes, *end = x + ((size_t)1 << t->log_nodes);
    for (; x < end; x++) {
      if (peek_is_nil(x->type))
        continue;
      h = mix(h, (uint32_t)x->key.i ^ ((uint64_t)x->type << 56));  /* mostly a string */
      h = mix(h, bits_of(x));
    }
  }
  return h != 0 ? h : 1;
}

/* Pushes the i-th of the tables that make up the setting. */
static void push_library (lua_State *L, int i) {
  codec_slot(L, SLOT_OWN);
  lua_pushstring(L, i < (int)NLIBRARIES ? libraries[i] : "package.preload");
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* They are as in a fresh state: notes the hash, and keeps what they have. */
static void note_fresh (lua_State *L, struct codec_state *cs) {
  cs->fresh = 0;
  lua_newtable(L);
  for (int i = 0; i < LIBRARY_TABLES; i++) {
    push_library(L, i);
    cs->libraries[i] = lua_istable(L, -1) ? lua_topointer(L, -1) : NULL;
    lua_newtable(L);
    if (lua_istable(L, -2)) {
      for (lua_pushnil(L); lua_next(L, -3) != 0; ) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
      }
    }
    lua_rawseti(L, -3, i + 1);
    lua_pop(L, 1);
  }
  codec_set_slot(L, SLOT_FRESH);
  cs->fresh = hash_libraries(cs);
}

static bool is_all_fresh (lua_State *L, struct codec_state *cs) {
  int top = lua_gettop(L);
  if (cs->fresh != 0 && hash_libraries(cs) == cs->fresh)
    return true;
  bool differs = note_all(L, cs, 0);
  lua_settop(L, top);
  if (!differs)
    note_fresh(L, cs);
  return !differs;
}

void setting_open_state (lua_State *L, struct codec_state *cs) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  is_all_fresh(L, cs);
}

bool codec_encode_setting (lua_State *L, struct parcel *out) {
  int top = lua_gettop(L);
  struct codec_state *cs = codec_state(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  out->block = NULL;
  if (is_all_fresh(L, cs))
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
