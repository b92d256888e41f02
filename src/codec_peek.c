/*
** codec_peek.c - floor 4: are tables laid out as codec_peek.h has them?
*/
#include "codec_peek.h"

bool peek_works;

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

/* Once in a process; L is thrown away. */
void peek_open (lua_State *L) {
  peek_works = LUA_VERSION_NUM == 504
    && sizeof(struct peek_value) == 2 * sizeof(lua_Integer)
    && check_hash(L) && check_read(L, 1) && check_read(L, 7)
    && check_read(L, 64) && check_read(L, 1000) && check_write(L);
}
