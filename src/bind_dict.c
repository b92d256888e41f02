/*
** bind_dict.c - conc.dict
*/
#include <limits.h>
#include "bind_cell.h"
#include "dict.h"

static struct dict *checkdict (lua_State *L) {
  return dict_of(bind_check(L, 1, KIND_DICT));
}

static void badkey (lua_State *L, int arg, int key) {
  const char *got = lua_type(L, key) == LUA_TNUMBER ? "NaN" : luaL_typename(L, key);
  luaL_argerror(L, arg, lua_pushfstring(L,
                "key (string, number or boolean) expected, got %s", got));
}

/* The string of a key at 'arg' stays Lua's. */
static void checkkey (lua_State *L, struct dict *d, int arg, struct dict_key *k) {
  struct datum v;
  if (unlikely(!bind_todatum(L, arg, &v) || !dict_make_key(d, &v, k)))
    badkey(L, arg, arg);
}

static int pushentry (lua_State *L, struct dict *d, int arg) {
  struct dict_key k;
  struct reading r;
  checkkey(L, d, arg, &k);
  int rc = dict_get(d, &k, &r);
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  bind_pushreading(L, &r);
  return 1;
}

/* Key and value at stack indices; nil removes. */
static void setentry (lua_State *L, struct dict *d, int key, int value) {
  struct dict_key k;
  cell old = CELL_NONE, c = CELL_NONE;
  checkkey(L, d, key, &k);
  if (!lua_isnil(L, value))
    c = bind_tocell(L, value);
  bind_settled(L, c, dict_set(d, &k, c, &old));
  cell_drop(old);
}

static void set_from_table (lua_State *L, struct dict *d) {
  struct datum v;
  struct dict_key k;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    int value = lua_gettop(L);
    if (!bind_todatum(L, value - 1, &v) || !dict_make_key(d, &v, &k))
      badkey(L, 1, value - 1);
    setentry(L, d, value - 1, value);
    lua_pop(L, 1);
  }
}

/* conc.dict([t]) */
static int dict_make (lua_State *L) {
  char made[DICT_MADE];
  bool filled = !lua_isnoneornil(L, 1);
  if (filled)
    luaL_checktype(L, 1, LUA_TTABLE);
  bind_where(L, made, sizeof made);
  struct handle *h = bind_newhandle(L, KIND_DICT);
  bind_own(L, h, dict_new(made));
  if (filled)
    set_from_table(L, dict_of(h->block));
  return 1;
}

/* dict:get(k) -> v or nil */
static int m_get (lua_State *L) {
  return pushentry(L, checkdict(L), 2);
}

/* dict:set(k, v) */
static int m_set (lua_State *L) {
  struct dict *d = checkdict(L);
  luaL_checkany(L, 3);
  setentry(L, d, 2, 3);
  return 0;
}

/* dict:incr(k [, n]) -> the sum */
static int m_incr (lua_State *L) {
  struct dict *d = checkdict(L);
  struct dict_key k;
  struct datum n = { .type = DATUM_INTEGER, .u.integer = 1 }, sum;
  checkkey(L, d, 2, &k);
  if (!lua_isnoneornil(L, 3)) {
    if (lua_type(L, 3) != LUA_TNUMBER)
      return luaL_typeerror(L, 3, "number");
    bind_todatum(L, 3, &n);
  }
  int rc = dict_incr(d, &k, &n, &sum);
  if (unlikely(rc == CONC_MISUSE))
    return luaL_argerror(L, 2, lua_pushfstring(L, "entry that is a number expected, got a %s",
                         sum.type == DATUM_STRING ? "string"
                         : sum.type == DATUM_BOOLEAN ? "boolean" : "table or object"));
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  if (sum.type == DATUM_INTEGER)
    lua_pushinteger(L, sum.u.integer);
  else
    lua_pushnumber(L, sum.u.number);
  return 1;
}

static int update_done (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  setentry(L, checkdict(L), 2, 4);
  return 1;
}

/* dict:update(k, f) -> f's result, which is the new value; nil removes */
static int m_update (lua_State *L) {
  struct dict *d = checkdict(L);
  struct dict_key k;
  checkkey(L, d, 2, &k);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  bind_own_container(L, &d->head, &d->monitor, "update");
  lua_pushvalue(L, 3);
  pushentry(L, d, 2);
  lua_callk(L, 1, 1, 0, update_done);
  return update_done(L, LUA_OK, 0);
}

/* Pushes a table with what is in the dict, which the caller owns. */
static void copyout (lua_State *L, struct dict *d) {
  uint64_t at = 0, n = 0;
  struct reading key, value;
  int rc = dict_length(d, &n);
  if (rc != CONC_OK)
    bind_raise(L, rc);
  lua_createtable(L, 0, n <= INT_MAX ? (int)n : 0);
  for (;;) {
    rc = dict_next(d, &at, &key, &value);
    if (rc != CONC_OK)
      bind_raise(L, rc);
    if (key.value.type == DATUM_NONE)
      break;
    bind_pushreadings(L, &key, &value);
    lua_rawset(L, -3);
  }
}

/* dict:totable() -> table, of one moment */
static int m_totable (lua_State *L) {
  struct dict *d = checkdict(L);
  lua_settop(L, 1);
  bind_own_container(L, &d->head, &d->monitor, "totable");
  copyout(L, d);
  return 1;
}

/* dict:with(f, ...) -> f's results; f(dict, ...) runs with the dict locked */
static int m_with (lua_State *L) {
  struct dict *d = checkdict(L);
  return bind_with(L, &d->head, &d->monitor);
}

/* Is the key at index 2 the name of a method? Then it is pushed. */
static bool names_method (lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING)
    return false;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
    return true;
  lua_pop(L, 1);
  return false;
}

static int mm_index (lua_State *L) {
  struct dict *d = checkdict(L);
  return names_method(L) ? 1 : pushentry(L, d, 2);
}

static int mm_newindex (lua_State *L) {
  struct dict *d = checkdict(L);
  if (unlikely(names_method(L)))
    return luaL_argerror(L, 2, lua_pushfstring(L,
                         "'%s' is the name of a method: use set('%s', value)",
                         lua_tostring(L, 2), lua_tostring(L, 2)));
  setentry(L, d, 2, 3);
  return 0;
}

static int mm_len (lua_State *L) {
  uint64_t n = 0;
  int rc = dict_length(checkdict(L), &n);
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int next (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

/* pairs(dict): walks what it was when the loop began */
static int mm_pairs (lua_State *L) {
  checkdict(L);
  lua_settop(L, 1);
  lua_pushcfunction(L, next);
  lua_pushcfunction(L, m_totable);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushnil(L);
  return 3;
}

static int mm_close (lua_State *L) {
  struct dict *d = checkdict(L);
  monitor_release(&d->monitor, &d->head);
  return 0;
}

static int mm_tostring (lua_State *L) {
  uint64_t n = dict_count(checkdict(L));
  lua_pushfstring(L, n == 1 ? "conc.dict (%I entry)" : "conc.dict (%I entries)",
                  (LUAI_UACINT)n);
  return 1;
}

static const luaL_Reg methods[] = {
  { "get", m_get },
  { "incr", m_incr },
  { "set", m_set },
  { "totable", m_totable },
  { "update", m_update },
  { "with", m_with },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", mm_close },
  { "__index", mm_index },
  { "__len", mm_len },
  { "__newindex", mm_newindex },
  { "__pairs", mm_pairs },
  { "__tostring", mm_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "dict", dict_make },
  { NULL, NULL }
};

void bind_open_dict (lua_State *L);
void bind_open_dict (lua_State *L) {
  bind_class(L, KIND_DICT, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
