/*
** codec_peek.c - floor 4: are tables laid out as codec_peek.h has them?
*/
#include "codec_peek.h"

#include <lauxlib.h>

bool peek_works, peek_strings;

static bool is_array (lua_State *L, unsigned int n, struct peek_value **array) {
  const struct peek_table *t = (const struct peek_table *)lua_topointer(L, -1);
  *array = t->array;
  return t->type == LUA_TTABLE && t->limit == n && (n == 0 || t->array != NULL);
}

/* A table of n elements: integers, floats, and one string in the middle. */
static bool check_read (lua_State *L, unsigned int n) {
  struct peek_value *v;
  bool good = true;
  lua_createtable(L, (int)n, 0);
  for (unsigned int i = 1; i <= n; i++) {
    if (i == n / 2) lua_pushliteral(L, "text");
    else if (i % 2 == 0) lua_pushinteger(L, (lua_Integer)i * -1234567);
    else lua_pushnumber(L, (lua_Number)i / 3);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  if (!is_array(L, n, &v))
    good = false;
  for (unsigned int i = 1; good && i <= n; i++) {
    const struct peek_value *e = &v[i - 1];
    if (i == n / 2) good = e->type != PEEK_INTEGER && e->type != PEEK_FLOAT;
    else if (i % 2 == 0) good = e->type == PEEK_INTEGER && e->u.i == (lua_Integer)i * -1234567;
    else good = e->type == PEEK_FLOAT && e->u.n == (lua_Number)i / 3;
  }
  lua_pop(L, 1);
  return good;
}

/* What is written in place is what the API finds. */
static bool check_write (lua_State *L) {
  struct peek_value *v;
  bool good = true;
  lua_createtable(L, 9, 3);
  if (!is_array(L, 9, &v))
    good = false;
  for (int i = 0; good && i < 9; i++) {
    good = v[i].type == PEEK_EMPTY || v[i].type == PEEK_NIL;
    if (i % 2 == 0) { v[i].u.i = LUA_MININTEGER + i; v[i].type = PEEK_INTEGER; }
    else { v[i].u.n = i + 0.5; v[i].type = PEEK_FLOAT; }
  }
  good = good && lua_rawlen(L, -1) == 9;
  for (int i = 1; good && i <= 9; i++) {
    lua_rawgeti(L, -1, i);
    if (i % 2 == 1) good = lua_isinteger(L, -1) && lua_tointeger(L, -1) == LUA_MININTEGER + i - 1;
    else good = !lua_isinteger(L, -1) && lua_tonumber(L, -1) == i - 0.5;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return good;
}

/* Keys in the hash part do not count. */
static bool check_hash (lua_State *L) {
  struct peek_value *v;
  lua_createtable(L, 0, 4);
  for (int i = 4; i >= 1; i--) {
    lua_pushinteger(L, i);
    lua_rawseti(L, -2, i);
  }
  bool good = is_array(L, 0, &v) && lua_rawlen(L, -1) == 4;
  lua_pop(L, 1);
  return good;
}

/* A list that grew and shrank, with holes: is every element found, and nothing
   else? */
static bool check_growth (lua_State *L) {
  bool good = true;
  if (luaL_dostring(L, "local t = {} for i = 1, 21 do t[#t + 1] = i end "
                       "t[21] = nil t[20] = nil local n = #t t[24] = 24 t[3] = nil "
                       "return t, n") != LUA_OK)
    return false;
  lua_pop(L, 1);
  const struct peek_table *t = (const struct peek_table *)lua_topointer(L, -1);
  size_t n = peek_array_size(t);
  if (n != 32)
    good = false;
  for (size_t i = 1; good && i <= n; i++) {
    bool there = lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TNIL;
    const struct peek_value *v = &t->array[i - 1];
    good = there ? v->type == PEEK_INTEGER && v->u.i == (lua_Integer)i
                 : peek_is_nil(v->type);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return good;
}

static bool is_string (lua_State *L, unsigned char type, const void *p) {
  size_t length;
  const char *s = lua_tolstring(L, -1, &length);
  const struct peek_string *x = (const struct peek_string *)p;
  if (p != lua_topointer(L, -1) || s != x->bytes)
    return false;
  return length <= 40 ? type == PEEK_SHORT && x->short_length == length
                      : type == PEEK_LONG && x->u.long_length == length;
}

/* Does the value on the top of the stack have this type and payload? */
static bool is_same (lua_State *L, unsigned char type, const union peek_payload *u) {
  switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN: return type == (lua_toboolean(L, -1) ? PEEK_TRUE : PEEK_FALSE);
    case LUA_TNUMBER:
      return lua_isinteger(L, -1) ? type == PEEK_INTEGER && u->i == lua_tointeger(L, -1)
                                  : type == PEEK_FLOAT && u->n == lua_tonumber(L, -1);
    case LUA_TSTRING: return is_string(L, type, u->p);
    case LUA_TTABLE: return type == PEEK_TABLE && u->p == lua_topointer(L, -1);
    default:
      return type != PEEK_TABLE && type != PEEK_SHORT && type != PEEK_LONG
          && type != PEEK_INTEGER && type != PEEK_FLOAT && type != PEEK_TRUE
          && type != PEEK_FALSE && !peek_is_nil(type);
  }
}

/* Keys and values of all types: do the nodes have what lua_next finds, in order? */
static bool check_nodes (lua_State *L) {
  bool good = true;
  if (luaL_dostring(L,
        "local t = {[1.5] = 'x', [true] = false, [false] = true, [-7] = 0.25, [{}] = {}, "
        "[('k'):rep(41)] = ('v'):rep(40), [('k'):rep(40)] = ('v'):rep(300), [print] = 1, "
        "a = print, b = coroutine.create(print), c = io.stdout, gone = 1, ['\\0'] = 1 << 62}"
        " t.gone = nil return t") != LUA_OK)
    return false;
  const struct peek_table *t = (const struct peek_table *)lua_topointer(L, -1);
  size_t i = 0, n = (size_t)1 << t->log_nodes;
  if (t->metatable != NULL || peek_array_size(t) != 0)
    good = false;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    while (good && i < n && peek_is_nil(t->nodes[i].type)) i++;
    good = good && i < n && is_same(L, t->nodes[i].type, &t->nodes[i].u);
    lua_pushvalue(L, -2);
    good = good && is_same(L, t->nodes[i].key_type, &t->nodes[i].key);
    lua_pop(L, 1);
    i++;
  }
  for (; good && i < n; i++)
    good = peek_is_nil(t->nodes[i].type);
  lua_createtable(L, 0, 0);
  lua_setmetatable(L, -2);
  good = good && t->metatable != NULL;
  lua_createtable(L, 0, 0);
  t = (const struct peek_table *)lua_topointer(L, -1);
  good = good && t->log_nodes == 0 && peek_is_nil(t->nodes[0].type);
  lua_pop(L, 2);
  return good;
}

/* The state as lua_newstate leaves it, seen from outside. */
static bool check_global (lua_State *L) {
  void *data;
  lua_Alloc alloc = lua_getallocf(L, &data);
  const struct peek_global *g = peek_global(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  bool good = lua_topointer(L, -1) == (const void *)L;
  lua_pop(L, 1);
  return good && g->alloc == alloc && g->alloc_data == data
      && g->registry.u.p == lua_topointer(L, LUA_REGISTRYINDEX)
      && g->size >= 2 && (g->size & (g->size - 1)) == 0 && g->nstrings > 0;
}

/* Is each of these strings where its hash says? */
static bool check_strings (lua_State *L) {
  static const char *const samples[] = { "", "a", "__index", "a string of 40 bytes: 345678901234567890" };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    const struct peek_global *g = peek_global(L);
    size_t length;
    const char *s = lua_pushstring(L, samples[i]);
    const struct peek_string *x = (const struct peek_string *)lua_topointer(L, -1), *y;
    lua_tolstring(L, -1, &length);
    unsigned int h = peek_hash(g, s, length);
    if (x->hash != h)
      return false;
    for (y = *peek_bucket(g, h); y != NULL && y != x; )
      y = (const struct peek_string *)y->u.chain;
    if (y != x)
      return false;
    lua_pop(L, 1);
  }
  return true;
}

/* Once in a process; L is thrown away. */
void peek_open (lua_State *L) {
  peek_works = LUA_VERSION_NUM == 504
    && sizeof(struct peek_value) == 2 * sizeof(lua_Integer)
    && check_hash(L) && check_read(L, 1) && check_read(L, 7)
    && check_read(L, 64) && check_read(L, 1000) && check_write(L)
    && check_growth(L) && check_nodes(L);
  peek_strings = peek_works && check_global(L) && check_strings(L);
}
