/*
** codec_module.c - floor 4: what is found by name and not copied
**
** The standard library. Its functions are C functions, the same in every state
** of the process: a list of them, with their names, is made once in a pristine
** state. So a function is the library's own by what it is, wherever it is kept
** and whatever the program put in its place. What differs from state to state
** (tables, functions with upvalues, files, metatables) each state notes when
** it is opened.
**
** Modules. What a module had when it was first seen is noted, weakly: later
** additions are the program's own, and something that was replaced is still
** known as the module's. One address map answers for all of that; what it says
** is checked against the values themselves, since an address may be used
** again. It is made anew after require has looked for a module: the first of
** package.searchers is wrapped in one that counts. (A table that is put into
** package.loaded by hand travels as a table, so nobody else need be watched.)
*/
#include "codec_impl.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

/* {=== the standard library, of the process ===} */

struct std {
  const char *name;            /* "string.format", "_G.print" */
  lua_CFunction f;
  bool closure;                /* has upvalues: differs from state to state */
};

/* All constant after module_open. Sorted by name; 'by_address' has indices + 1. */
static struct std *stds;
static size_t nstds;
#define STD_HASH  1024
static uint16_t by_address[STD_HASH];
static char *pristine_path, *pristine_cpath;

static const char *const libraries[] = {
  LUA_GNAME, LUA_LOADLIBNAME, LUA_COLIBNAME, LUA_TABLIBNAME, LUA_IOLIBNAME,
  LUA_OSLIBNAME, LUA_STRLIBNAME, LUA_MATHLIBNAME, LUA_UTF8LIBNAME, LUA_DBLIBNAME
};
#define NLIBRARIES  (sizeof libraries / sizeof libraries[0])

static const char *const files[] = { "stdin", "stdout", "stderr" };
static const char *const lists[] = { "loaded", "preload", "searchers" };

static size_t address_hash (lua_CFunction f) {
  return (size_t)(((uint64_t)(uintptr_t)f * UINT64_C(0x9E3779B97F4A7C15)) >> 54) % STD_HASH;
}

static const struct std *std_of (lua_CFunction f) {
  for (size_t i = address_hash(f); by_address[i] != 0; i = (i + 1) % STD_HASH)
    if (stds[by_address[i] - 1].f == f)
      return &stds[by_address[i] - 1];
  return NULL;
}

static int compare_std (const void *a, const void *b) {
  return strcmp(((const struct std *)a)->name, ((const struct std *)b)->name);
}

static const struct std *std_named (const char *name) {
  struct std key = { .name = name };
  return bsearch(&key, stds, nstds, sizeof key, compare_std);
}

static char *copy_text (const char *s) {
  char *copy = malloc(strlen(s) + 1);
  return copy != NULL ? strcpy(copy, s) : NULL;
}

/* The C functions of the table on the top, as 'prefix.field'. */
static void list_functions (lua_State *L, const char *prefix) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    lua_CFunction f = lua_tocfunction(L, -1);
    if (f == NULL || lua_type(L, -2) != LUA_TSTRING || nstds + 1 >= STD_HASH / 2)
      continue;
    struct std *more = realloc(stds, (nstds + 1) * sizeof *stds);
    lua_pushfstring(L, "%s.%s", prefix, lua_tostring(L, -2));
    char *name = copy_text(lua_tostring(L, -1));
    lua_pop(L, 1);
    if (more != NULL)
      stds = more;
    if (more == NULL || name == NULL) {
      free(name);
      continue;
    }
    bool closure = lua_getupvalue(L, -1, 1) != NULL;
    if (closure)
      lua_pop(L, 1);
    stds[nstds++] = (struct std){ name, f, closure };
  }
}

/* Pushes the metatables that belong to the library; nil where there is none. */
static void push_metatable (lua_State *L, int i) {
  if (i == 0) {
    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1))
      lua_pushnil(L);
    lua_remove(L, -2);
  }
  else {
    luaL_getmetatable(L, LUA_FILEHANDLE);
    if (i == 2 && lua_istable(L, -1)) {
      lua_pushliteral(L, "__index");
      lua_rawget(L, -2);
      lua_remove(L, -2);
    }
  }
}
static const char *const metatable_names[] = { "(string)", "(file)", "(file methods)" };

static char *copy_field (lua_State *L, const char *field) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, field);
  char *copy = copy_text(luaL_optstring(L, -1, ""));
  lua_pop(L, 2);
  return copy;
}

void module_open (lua_State *L) {
  if (stds != NULL)
    return;
  for (size_t i = 0; i < NLIBRARIES; i++) {
    if (luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE),
        lua_getfield(L, -1, libraries[i]) == LUA_TTABLE)
      list_functions(L, libraries[i]);
    lua_pop(L, 2);
  }
  for (int i = 0; i < 3; i++) {
    push_metatable(L, i);
    if (lua_istable(L, -1))
      list_functions(L, metatable_names[i]);
    lua_pop(L, 1);
  }
  qsort(stds, nstds, sizeof *stds, compare_std);
  for (size_t i = 0; i < nstds; i++) {
    if (std_of(stds[i].f) != NULL)
      continue;
    size_t at = address_hash(stds[i].f);
    while (by_address[at] != 0)
      at = (at + 1) % STD_HASH;
    by_address[at] = (uint16_t)(i + 1);
  }
  pristine_path = copy_field(L, "path");
  pristine_cpath = copy_field(L, "cpath");
}

const char *module_pristine_path (bool cpath) {
  const char *path = cpath ? pristine_cpath : pristine_path;
  return path != NULL ? path : "";
}

/* {=== the address map of a state ===} */

enum sort { SORT_STD, SORT_GLOBALS, SORT_MODULE, SORT_FIELD };
enum known { KNOWN_NOT, KNOWN_BY_NAME, KNOWN_COPIED };

static struct place *map_find (struct codec_state *cs, const void *address) {
  struct place *p = map_slot(cs->map, address);
  return p->address != NULL ? p : NULL;
}

/* Pushes the names of a place: module, field (or nil). */
static void push_names (lua_State *L, const struct place *p) {
  codec_slot(L, SLOT_PLACES);
  lua_rawgeti(L, -1, 2 * (lua_Integer)p->index + 1);
  lua_rawgeti(L, -2, 2 * (lua_Integer)p->index + 2);
  lua_remove(L, -3);
}

struct making {                /* of a map */
  lua_State *L;
  struct place_map *map;
  int places;                  /* stack */
};

/* The value on the top is found under the name at 'module' (and 'field'; 0). */
static void make_place (struct making *m, enum sort sort, int module, int field) {
  lua_State *L = m->L;
  const void *address = lua_topointer(L, -1);
  if (address == NULL || lua_islightuserdata(L, -1))
    return;
  struct place *p = map_slot(m->map, address);
  if (p->address != NULL) {
    if (p->sort == SORT_STD || p->sort == SORT_GLOBALS || p->sort < sort)
      return;
    lua_rawgeti(L, m->places, 2 * (lua_Integer)p->index + 1);
    bool better = lua_rawlen(L, module) < lua_rawlen(L, -1);
    lua_pop(L, 1);
    if (!better)
      return;
  }
  else
    p->index = m->map->used++;
  p->address = address;
  p->sort = (uint8_t)sort;
  p->known = KNOWN_NOT;
  lua_pushvalue(L, module);
  lua_rawseti(L, m->places, 2 * (lua_Integer)p->index + 1);
  if (field != 0) {
    lua_pushvalue(L, field);
    lua_rawseti(L, m->places, 2 * (lua_Integer)p->index + 2);
  }
}

static size_t count_pairs (lua_State *L) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
    n++;
  return n;
}

static size_t count_places (lua_State *L, int own, int modules) {
  lua_pushvalue(L, own);
  size_t n = count_pairs(L);
  lua_pop(L, 1);
  for (lua_pushnil(L); lua_next(L, modules) != 0; lua_pop(L, 1))
    n += count_pairs(L);
  return n;
}

static void place_own (struct making *m, int own) {
  lua_State *L = m->L;
  for (lua_pushnil(L); lua_next(L, own) != 0; lua_pop(L, 1)) {
    bool globals = strcmp(lua_tostring(L, -2), LUA_GNAME) == 0;
    make_place(m, globals ? SORT_GLOBALS : SORT_STD, lua_gettop(L) - 1, 0);
  }
}

static void place_modules (struct making *m, int modules) {
  lua_State *L = m->L;
  for (lua_pushnil(L); lua_next(L, modules) != 0; lua_pop(L, 1)) {
    lua_pushboolean(L, 1);
    lua_rawget(L, -2);
    make_place(m, SORT_MODULE, lua_gettop(L) - 2, 0);
    lua_pop(L, 1);
  }
  for (lua_pushnil(L); lua_next(L, modules) != 0; lua_pop(L, 1)) {
    int name = lua_gettop(L) - 1;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
      if (lua_type(L, -2) == LUA_TSTRING)
        make_place(m, SORT_FIELD, name, lua_gettop(L) - 1);
  }
}

/* Makes the map of what SLOT_OWN and SLOT_MODULES have. */
static void make_map (lua_State *L, struct codec_state *cs) {
  int top = lua_gettop(L);
  struct making m = { .L = L };
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  codec_slot(L, SLOT_OWN);
  codec_slot(L, SLOT_MODULES);
  size_t n = count_places(L, top + 1, top + 2), size = 64;
  while (size < 2 * n + 2)
    size *= 2;
  size_t bytes = sizeof *m.map + size * sizeof m.map->places[0];
  m.map = lua_newuserdatauv(L, bytes, 0);
  memset(m.map, 0, bytes);
  m.map->mask = (uint32_t)(size - 1);
  lua_createtable(L, (int)(2 * n), 0);
  m.places = top + 4;
  place_own(&m, top + 1);
  place_modules(&m, top + 2);
  codec_set_slot(L, SLOT_PLACES);
  codec_set_slot(L, SLOT_MAP);
  cs->map = m.map;
  lua_newtable(L);
  codec_set_slot(L, SLOT_FOUND);
  lua_settop(L, top);
}

/* {=== watching require ===} */

#define PENDING_MAX  64
#define PATIENCE     1000      /* looks for modules that require did not find */

_Atomic uint32_t module_loads;

/* In the place of package.searchers[1], which is its upvalue. */
static int searcher (lua_State *L) {
  struct codec_state *cs = codec_state_met(L);
  if (cs != NULL && lua_type(L, 1) == LUA_TSTRING) {
    cs->version++;
    add_relaxed(&module_loads, 1);
    cs->patience = PATIENCE;
    if (cs->npending == PENDING_MAX)
      cs->npending = 0;
    codec_slot(L, SLOT_PENDING);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, (lua_Integer)++cs->npending);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void watch_require (lua_State *L) {
  codec_slot(L, SLOT_LIBRARY);
  lua_pushliteral(L, "searchers");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    if (lua_type(L, -1) == LUA_TFUNCTION && lua_tocfunction(L, -1) != searcher) {
      lua_pushcclosure(L, searcher, 1);
      lua_rawseti(L, -2, 1);
    }
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* Is one of the modules that were looked for there now? */
static bool pending_came (lua_State *L, struct codec_state *cs) {
  bool came = false;
  if (--cs->patience == 0) {
    cs->npending = 0;
    return false;
  }
  codec_slot(L, SLOT_PENDING);
  codec_slot(L, SLOT_MODULE_LIST);
  for (uint32_t i = 1; i <= cs->npending && !came; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i);
    came = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return came;
}

/* {=== scanning package.loaded ===} */

static bool is_library (const char *name) {
  for (size_t i = 0; i < NLIBRARIES; i++)
    if (strcmp(name, libraries[i]) == 0)
      return true;
  return false;
}

static bool may_be_found (int type) {
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
}

/* Notes what the module, name and value on the top, has; pushes nothing. */
static void note_module (lua_State *L, int modules) {
  int name = lua_gettop(L) - 1, value = name + 1;
  lua_pushvalue(L, name);
  if (lua_rawget(L, modules) == LUA_TTABLE) {
    lua_pushboolean(L, 1);
    lua_rawget(L, -2);
    if (lua_rawequal(L, -1, value)) {
      lua_settop(L, value);
      return;
    }
  }
  lua_settop(L, value);
  lua_pushvalue(L, name);
  lua_newtable(L);                              /* what it has */
  codec_slot(L, SLOT_WEAK);
  lua_setmetatable(L, -2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  if (lua_istable(L, value)) {
    for (lua_pushnil(L); lua_next(L, value) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) == LUA_TSTRING && may_be_found(lua_type(L, -1))) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
      }
    }
  }
  lua_rawset(L, modules);
}

/* Forgets modules that are no longer loaded, and names no longer awaited. */
static void forget_modules (lua_State *L, struct codec_state *cs, int modules, int loaded) {
  for (lua_pushnil(L); lua_next(L, modules) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    if (lua_rawget(L, loaded) == LUA_TNIL) {
      lua_pushvalue(L, -3);
      lua_pushnil(L);
      lua_rawset(L, modules);
    }
    lua_pop(L, 1);
  }
  uint32_t kept = 0;
  codec_slot(L, SLOT_PENDING);
  for (uint32_t i = 1; i <= cs->npending; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, loaded) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_rawseti(L, -2, (lua_Integer)++kept);
    }
    else
      lua_pop(L, 2);
  }
  cs->npending = kept;
  lua_pop(L, 1);
}

static void scan (lua_State *L, struct codec_state *cs) {
  int top = lua_gettop(L), modules = top + 1, loaded = top + 2;
  uint32_t version = cs->version;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  watch_require(L);
  codec_slot(L, SLOT_MODULES);
  codec_slot(L, SLOT_MODULE_LIST);
  for (lua_pushnil(L); lua_next(L, loaded) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && may_be_found(lua_type(L, -1))
        && !is_library(lua_tostring(L, -2)))
      note_module(L, modules);
  forget_modules(L, cs, modules, loaded);
  make_map(L, cs);
  cs->scanned = version;
  lua_settop(L, top);
}

/* Once in a message. */
bool module_ready (struct encoder *e) {
  lua_State *L = e->L;
  if (!e->memory && !lua_checkstack(L, 2 * LUA_MINSTACK)) {
    e->status = NO_MEMORY;
    return false;
  }
  struct codec_state *cs = codec_state_met(L);
  bool current = cs != NULL && cs->scanned == cs->version
                 && (cs->npending == 0 || !pending_came(L, cs));
  if (!current) {
    if (e->plain) {
      e->status = AGAIN_PROTECTED;
      return false;
    }
    cs = codec_state(L);
    scan(L, cs);
  }
  e->state = cs;
  return true;
}

/* {=== is it found by name? ===} */

/* Pushes package.'field'. */
static void push_library_field (lua_State *L, const char *field) {
  codec_slot(L, SLOT_LIBRARY);
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* Pushes the file that package.searchpath finds for the name at 'name' along
   package.'field'; nil: none. */
static void push_searched (lua_State *L, int name, const char *field) {
  const struct std *s = std_named("package.searchpath");
  lua_pushcfunction(L, s->f);
  lua_pushvalue(L, name);
  push_library_field(L, field);
  if (!lua_isstring(L, -1)) {
    lua_pop(L, 3);
    lua_pushnil(L);
    return;
  }
  lua_call(L, 2, 1);
}

/* Pushes what finds the module at 'name': a file, true, or false. */
static void look_for (lua_State *L, int name) {
  const char *s = lua_tostring(L, name), *dot = strchr(s, '.');
  if (strncmp(s, "conc", 4) == 0 && (s[4] == '\0' || s[4] == '.')) {
    push_searched(L, name, "path");
    if (lua_isnil(L, -1))
      lua_pushboolean(L, 1);
    else
      lua_pushfstring(L, "@%s", lua_tostring(L, -1));
    lua_remove(L, -2);
    return;
  }
  push_library_field(L, "preload");
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, name);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
      lua_Debug ar;
      lua_getinfo(L, ">S", &ar);
      lua_pushstring(L, ar.source);
      lua_remove(L, -2);
      return;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  push_searched(L, name, "path");
  if (!lua_isnil(L, -1)) {
    lua_pushfstring(L, "@%s", lua_tostring(L, -1));
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  push_searched(L, name, "cpath");
  if (lua_isnil(L, -1) && dot != NULL) {
    lua_pop(L, 1);
    lua_pushlstring(L, s, (size_t)(dot - s));
    push_searched(L, lua_gettop(L), "cpath");
    lua_remove(L, -2);
  }
  bool found = !lua_isnil(L, -1);
  lua_pop(L, 1);
  lua_pushboolean(L, found);
}

/* The same, remembered in SLOT_FOUND. */
static void push_found (lua_State *L, int name) {
  codec_slot(L, SLOT_FOUND);
  lua_pushvalue(L, name);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    look_for(L, name);
    lua_pushvalue(L, name);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* Was the Lua function on the top defined in a module's file? Else the program
   put it there, in the place of the module's own. */
static bool is_modules_own (lua_State *L, int name) {
  lua_Debug ar;
  bool own = false;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &ar);
  push_found(L, name);
  if (lua_type(L, -1) == LUA_TSTRING)
    own = strcmp(lua_tostring(L, -1), ar.source) == 0;
  else  /* a C library may have Lua code of its own inside */
    own = lua_toboolean(L, -1) && ar.source[0] == '=' && strcmp(ar.source, "=stdin") != 0;
  lua_pop(L, 1);
  if (own || ar.source[0] != '@')
    return own;
  codec_slot(L, SLOT_MODULES);
  for (lua_pushnil(L); !own && lua_next(L, -2) != 0; ) {
    lua_pop(L, 1);
    push_found(L, lua_gettop(L));
    own = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), ar.source) == 0;
    lua_pop(L, 1);
    if (own)
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return own;
}

/* Second gear: finds out whether the value on the top goes by its name. */
static void find_out (lua_State *L, struct place *p) {
  int value = lua_gettop(L), name = value + 1;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_names(L, p);
  push_found(L, name);
  bool found = lua_toboolean(L, -1);
  if (lua_iscfunction(L, value))
    found = true;              /* there is no other way, and the name may do */
  else if (found && lua_type(L, value) == LUA_TFUNCTION) {
    lua_pushvalue(L, value);
    found = is_modules_own(L, name);
  }
  p->known = found ? KNOWN_BY_NAME : KNOWN_COPIED;
  lua_settop(L, value);
}

/* Is the value on the top still what the place says? */
static bool still_there (lua_State *L, const struct place *p) {
  int value = lua_gettop(L);
  push_names(L, p);                             /* module, field */
  codec_slot(L, SLOT_MODULES);
  lua_pushvalue(L, value + 1);
  bool there = lua_rawget(L, -2) == LUA_TTABLE;
  if (there) {
    if (p->sort == SORT_FIELD)
      lua_pushvalue(L, value + 2);
    else
      lua_pushboolean(L, 1);
    lua_rawget(L, -2);
    there = lua_rawequal(L, -1, value);
    lua_pop(L, 1);
    if (there) {                                /* and the module is that one */
      lua_pushboolean(L, 1);
      lua_rawget(L, -2);
      codec_slot(L, SLOT_MODULE_LIST);
      lua_pushvalue(L, value + 1);
      lua_rawget(L, -2);
      there = lua_rawequal(L, -1, -3);
    }
  }
  lua_settop(L, value);
  return there;
}

static bool put_tag (struct encoder *e, int tag) {
  if (!encoder_room(e, 1))
    return false;
  *e->p++ = (char)tag;
  return true;
}

static enum found put_std (struct encoder *e, const char *name) {
  size_t length = strlen(name);
  if (!encoder_room(e, length + 3))
    return FOUND_AGAIN;
  e->p[0] = (char)T_STD;
  e->p[1] = (char)T_STRING8;
  e->p[2] = (char)length;
  memcpy(e->p + 3, name, length);
  e->p += length + 3;
  return FOUND_WRITTEN;
}

static enum found put_names (struct encoder *e, const struct place *p) {
  lua_State *L = e->L;
  bool good;
  push_names(L, p);
  if (p->sort == SORT_STD) {
    enum found rc = put_std(e, lua_tostring(L, -2));
    lua_settop(L, -3);
    return rc;
  }
  good = put_tag(e, p->sort == SORT_FIELD ? T_FIELD : T_MODULE)
         && encoder_put_string(e, -2)
         && (p->sort != SORT_FIELD || encoder_put_string(e, -1));
  lua_settop(L, -3);
  return good ? FOUND_WRITTEN : FOUND_AGAIN;
}

enum found module_put (struct encoder *e, const void *address) {
  lua_State *L = e->L;
  lua_CFunction f = lua_tocfunction(L, -1);
  if (e->state == NULL && !module_ready(e))
    return FOUND_AGAIN;
  struct place *p = map_find(e->state, address);
  if (likely(p == NULL) && f == NULL)
    return FOUND_NOTHING;
  if (f != NULL && (p == NULL || p->sort >= SORT_MODULE)) {
    const struct std *s = std_of(f);
    if (s != NULL)
      return put_std(e, s->name);
  }
  if (p == NULL)
    return FOUND_NOTHING;
  if (p->sort == SORT_GLOBALS)
    return put_tag(e, T_GLOBALS) ? FOUND_WRITTEN : FOUND_AGAIN;
  if (p->sort == SORT_STD)
    return put_names(e, p);
  if (p->known == KNOWN_COPIED || !still_there(L, p))
    return FOUND_NOTHING;
  if (p->known == KNOWN_NOT) {
    if (e->plain) {
      e->status = AGAIN_PROTECTED;
      return FOUND_AGAIN;
    }
    find_out(L, p);
    if (p->known == KNOWN_COPIED)
      return FOUND_NOTHING;
  }
  return put_names(e, p);
}

/* {=== globals ===} */

#define GLOBAL_PREFIX  LUA_GNAME "."
#define GLOBAL_PREFIX_SIZE  (sizeof GLOBAL_PREFIX - 1)

/* Is 'own' the name of what the global 'name' is in a fresh state? */
static bool names_global (const char *own, const char *name) {
  if (strncmp(own, GLOBAL_PREFIX, GLOBAL_PREFIX_SIZE) == 0)
    own += GLOBAL_PREFIX_SIZE;
  return strcmp(own, name) == 0;
}

bool module_is_own_global (lua_State *L, struct codec_state *cs) {
  const char *name = lua_tostring(L, -2);
  if (lua_type(L, -1) == LUA_TSTRING)
    return strcmp(name, "_VERSION") == 0 && strcmp(lua_tostring(L, -1), LUA_VERSION) == 0;
  if (!may_be_found(lua_type(L, -1)))
    return false;
  struct place *p = map_find(cs, lua_topointer(L, -1));
  if (p != NULL && p->sort == SORT_GLOBALS)
    return strcmp(name, LUA_GNAME) == 0;
  if (p != NULL && p->sort == SORT_STD) {
    push_names(L, p);
    bool same = names_global(lua_tostring(L, -2), name);
    lua_settop(L, -3);
    return same;
  }
  lua_CFunction f = lua_tocfunction(L, -1);
  const struct std *s = f != NULL ? std_of(f) : NULL;
  return s != NULL && names_global(s->name, name);
}

/* Pushes what the standard library has as global 'name'; nil: nothing. */
static void push_own_global (lua_State *L, const char *name) {
  const struct std *s;
  if (strcmp(name, "_VERSION") == 0) {
    lua_pushliteral(L, LUA_VERSION);
    return;
  }
  codec_slot(L, SLOT_OWN);
  if (is_library(name) || strcmp(name, LUA_GNAME) == 0)
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, GLOBAL_PREFIX "%s", name);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL && (s = std_named(lua_tostring(L, -2))) != NULL) {
    lua_pop(L, 1);
    lua_pushcfunction(L, s->f);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void module_note_assigned (lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_own_global(L, lua_tostring(L, idx));
  if (!lua_isnil(L, -1)) {
    codec_state(L)->assigned = true;
    codec_slot(L, SLOT_ASSIGNED);
    lua_pushvalue(L, idx);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void module_restore_assigned (lua_State *L) {
  struct codec_state *cs = codec_state_met(L);
  if (cs == NULL || !cs->assigned)
    return;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  codec_slot(L, SLOT_ASSIGNED);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    push_own_global(L, lua_tostring(L, -1));
    lua_rawset(L, -6);
  }
  lua_pop(L, 2);
  lua_newtable(L);
  codec_set_slot(L, SLOT_ASSIGNED);
  cs->assigned = false;
}

/* {=== settings ===} */

/* One function under two names (math.atan2 is math.atan): is this one of them? */
static bool has_alias (const struct std *s, const char *library, const char *field) {
  char name[64];
  int length = snprintf(name, sizeof name, "%s.%s", library, field);
  const struct std *other = length < (int)sizeof name ? std_named(name) : NULL;
  return other != NULL && other->f == s->f;
}

bool module_is_pristine (lua_State *L, struct codec_state *cs, const char *library,
                         const char *field) {
  size_t length = strlen(library);
  lua_CFunction f = lua_tocfunction(L, -1);
  const struct std *s = f != NULL ? std_of(f) : NULL;
  const char *name = s != NULL ? s->name : NULL;
  struct place *p;
  if (name == NULL && (p = map_find(cs, lua_topointer(L, -1))) != NULL
      && p->sort == SORT_STD) {
    push_names(L, p);
    name = lua_tostring(L, -2);  /* the place keeps it */
    lua_settop(L, -3);
  }
  if (name != NULL && strncmp(name, library, length) == 0 && name[length] == '.'
      && strcmp(name + length + 1, field) == 0)
    return true;
  return s != NULL && has_alias(s, library, field);
}

/* {=== decoding ===} */

bool module_push_std (lua_State *L, const char *name, size_t length) {
  const struct std *s;
  codec_state(L);
  codec_slot(L, SLOT_OWN);
  lua_pushlstring(L, name, length);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    s = std_named(name);
    if (s == NULL || s->closure) {
      lua_pop(L, 1);
      return false;
    }
    lua_pushcfunction(L, s->f);
  }
  lua_remove(L, -2);
  return true;
}

/* What the module had when this state first saw it, if that is known. */
static bool push_noted (lua_State *L, int module, int field) {
  int top = lua_gettop(L);
  codec_slot(L, SLOT_MODULES);
  lua_pushvalue(L, module);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushvalue(L, field);
    if (lua_rawget(L, -2) != LUA_TNIL) {
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return true;
    }
  }
  lua_settop(L, top);
  return false;
}

void module_push (lua_State *L, bool with_field) {
  int module = lua_gettop(L) - with_field, field = module + 1;
  codec_state(L);
  codec_slot(L, SLOT_MODULE_LIST);
  lua_pushvalue(L, module);
  lua_rawget(L, -2);
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    module_push_std(L, "_G.require", sizeof "_G.require" - 1);
    lua_pushvalue(L, module);
    lua_call(L, 1, 1);
  }
  lua_remove(L, -2);
  if (with_field) {
    if (push_noted(L, module, field))
      return;
    if (!lua_istable(L, -1))
      luaL_error(L, "module '%s' is no table here", lua_tostring(L, module));
    lua_pushvalue(L, field);
    if (lua_rawget(L, -2) == LUA_TNIL)
      luaL_error(L, "module '%s' has no '%s' here", lua_tostring(L, module),
                 lua_tostring(L, field));
  }
}

/* {=== open ===} */

/* Enters the value on the top as the state's own 'name'; pops it. */
static void own (lua_State *L, const char *name) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  codec_slot(L, SLOT_OWN);
  lua_insert(L, -2);
  lua_pushstring(L, name);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void codec_own (lua_State *L, const char *name) {
  struct codec_state *cs = codec_state(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  own(L, name);
  make_map(L, cs);
}

/* The fields of the library on the top. */
static void own_fields (lua_State *L, const char *library, const char *const *fields, int n) {
  for (int i = 0; i < n; i++) {
    lua_pushfstring(L, "%s.%s", library, fields[i]);
    lua_pushstring(L, fields[i]);
    lua_rawget(L, -3);
    if (may_be_found(lua_type(L, -1)))
      own(L, lua_tostring(L, -2));
    else
      lua_pop(L, 1);
    lua_pop(L, 1);
  }
}

/* Functions that have upvalues, if they still are the library's. */
static void own_closures (lua_State *L, int loaded) {
  for (size_t i = 0; i < nstds; i++) {
    const struct std *s = &stds[i];
    const char *dot = strchr(s->name, '.');
    if (!s->closure || dot == NULL)
      continue;
    lua_pushlstring(L, s->name, (size_t)(dot - s->name));
    if (lua_rawget(L, loaded) == LUA_TTABLE) {
      lua_pushstring(L, dot + 1);
      lua_rawget(L, -2);
      if (lua_tocfunction(L, -1) == s->f)
        own(L, s->name);
      else
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

void module_open_state (lua_State *L, struct codec_state *cs) {
  int loaded = lua_gettop(L) + 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  cs->globals = lua_topointer(L, -1);
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -1);
  codec_set_slot(L, SLOT_MODULE_LIST);
  for (size_t i = 0; i < NLIBRARIES; i++) {
    lua_pushstring(L, libraries[i]);
    if (lua_rawget(L, loaded) == LUA_TTABLE) {
      if (strcmp(libraries[i], LUA_LOADLIBNAME) == 0) {
        lua_pushvalue(L, -1);
        codec_set_slot(L, SLOT_LIBRARY);
        own_fields(L, libraries[i], lists, 3);
      }
      else if (strcmp(libraries[i], LUA_IOLIBNAME) == 0)
        own_fields(L, libraries[i], files, 3);
      own(L, libraries[i]);
    }
    else
      lua_pop(L, 1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  own(L, LUA_GNAME);
  for (int i = 0; i < 3; i++) {
    push_metatable(L, i);
    own(L, metatable_names[i]);
  }
  own_closures(L, loaded);
  lua_settop(L, loaded - 1);
  watch_require(L);
  make_map(L, cs);
  cs->version = 1;
}
