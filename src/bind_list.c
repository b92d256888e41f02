/*
** bind_list.c - conc.list
*/
#include <limits.h>
#include "bind_cell.h"
#include "list.h"

static struct list *checklist (lua_State *L) {
  return list_of(bind_check(L, 1, KIND_LIST));
}

/* An entry: any value but nil. */
static void checkentry (lua_State *L, int arg) {
  if (unlikely(lua_isnoneornil(L, arg)))
    luaL_argerror(L, arg, "value expected, got nil");
}

static int badplace (lua_State *L, struct list *l, int arg, bool after) {
  lua_Integer last = (lua_Integer)list_count(l) + after;
  const char *got = luaL_tolstring(L, arg, NULL);
  return luaL_argerror(L, arg, lua_pushfstring(L, "index from 1 to %I expected, got %s",
                                               (LUAI_UACINT)last, got));
}

/* From 0; UINT64_MAX for a number that is no index of any list. */
static uint64_t toindex (lua_State *L, int arg) {
  int whole;
  lua_Integer i = lua_tointegerx(L, arg, &whole);
  return whole && i >= 1 && (uint64_t)i <= (uint64_t)LIST_MAX + 1 ? (uint64_t)i - 1
                                                                  : UINT64_MAX;
}

static uint64_t checkindex (lua_State *L, int arg) {
  if (unlikely(lua_type(L, arg) != LUA_TNUMBER))
    luaL_argerror(L, arg, lua_pushfstring(L, "integer expected as index, got %s",
                                          luaL_typename(L, arg)));
  return toindex(L, arg);
}

static int pushentry (lua_State *L, struct list *l, uint64_t i) {
  struct reading r;
  int rc = list_get(l, i, &r);
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  bind_pushreading(L, &r);
  return 1;
}

static void append (lua_State *L, struct list *l, int arg) {
  cell c = bind_tocell(L, arg);
  bind_settled(L, c, list_append(l, c));
}

/* conc.list([t]) */
static int list_make (lua_State *L) {
  char made[LIST_MADE];
  lua_Integer n = 0;
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    n = luaL_len(L, 1);
  }
  bind_where(L, made, sizeof made);
  struct handle *h = bind_newhandle(L, KIND_LIST);
  bind_own(L, h, list_new(made));
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, 1, i) == LUA_TNIL)
      luaL_argerror(L, 1, lua_pushfstring(L, "element %I is nil", (LUAI_UACINT)i));
    append(L, list_of(h->block), lua_gettop(L));
    lua_pop(L, 1);
  }
  return 1;
}

/* list:append(v) */
static int m_append (lua_State *L) {
  struct list *l = checklist(L);
  checkentry(L, 2);
  append(L, l, 2);
  return 0;
}

/* list:insert(i, v) */
static int m_insert (lua_State *L) {
  struct list *l = checklist(L);
  uint64_t i = checkindex(L, 2);
  checkentry(L, 3);
  cell c = bind_tocell(L, 3);
  int rc = list_insert(l, i, c);
  bind_settled(L, c, rc);
  return rc == CONC_RANGE ? badplace(L, l, 2, true) : 0;
}

/* list:pop([i]) -> v, or nil where the list is empty */
static int m_pop (lua_State *L) {
  struct list *l = checklist(L);
  uint64_t i = lua_isnoneornil(L, 2) ? LIST_LAST : checkindex(L, 2);
  struct reading r;
  cell old;
  if (i == LIST_LAST && !lua_isnoneornil(L, 2))
    i = LIST_MAX;   /* no index of any list either, and not the last */
  int rc = list_pop(l, i, &old);
  if (unlikely(rc == CONC_RANGE))
    return badplace(L, l, 2, false);
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  cell_read_own(old, &r);
  bind_pushreading(L, &r);
  return 1;
}

/* list:totable() -> table, of one moment */
static int m_totable (lua_State *L) {
  struct list *l = checklist(L);
  uint64_t n;
  lua_settop(L, 1);
  bind_own_container(L, &l->head, &l->monitor, "totable");
  int rc = list_length(l, &n);
  if (rc != CONC_OK)
    bind_raise(L, rc);
  lua_createtable(L, n <= INT_MAX ? (int)n : 0, 0);
  for (uint64_t i = 0; i < n; i++) {
    pushentry(L, l, i);
    lua_rawseti(L, 2, (lua_Integer)i + 1);
  }
  return 1;
}

/* list:with(f, ...) -> f's results; f(list, ...) runs with the list locked */
static int m_with (lua_State *L) {
  struct list *l = checklist(L);
  return bind_with(L, &l->head, &l->monitor);
}

static int mm_index (lua_State *L) {
  struct list *l = checklist(L);
  if (likely(lua_type(L, 2) == LUA_TNUMBER))
    return pushentry(L, l, toindex(L, 2));
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int mm_newindex (lua_State *L) {
  struct list *l = checklist(L);
  uint64_t i = checkindex(L, 2);
  cell old = CELL_NONE;
  checkentry(L, 3);
  cell c = bind_tocell(L, 3);
  int rc = list_set(l, i, c, &old);
  bind_settled(L, c, rc);
  if (unlikely(rc == CONC_RANGE))
    return badplace(L, l, 2, true);
  cell_drop(old);
  return 0;
}

static int mm_len (lua_State *L) {
  uint64_t n = 0;
  int rc = list_length(checklist(L), &n);
  if (unlikely(rc != CONC_OK))
    bind_raise(L, rc);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int mm_close (lua_State *L) {
  struct list *l = checklist(L);
  monitor_release(&l->monitor, &l->head);
  return 0;
}

static int mm_tostring (lua_State *L) {
  uint64_t n = list_count(checklist(L));
  lua_pushfstring(L, n == 1 ? "conc.list (%I item)" : "conc.list (%I items)",
                  (LUAI_UACINT)n);
  return 1;
}

static const luaL_Reg methods[] = {
  { "append", m_append },
  { "insert", m_insert },
  { "pop", m_pop },
  { "totable", m_totable },
  { "with", m_with },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", mm_close },
  { "__index", mm_index },
  { "__len", mm_len },
  { "__newindex", mm_newindex },
  { "__tostring", mm_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "list", list_make },
  { NULL, NULL }
};

void bind_open_list (lua_State *L);
void bind_open_list (lua_State *L) {
  bind_class(L, KIND_LIST, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
