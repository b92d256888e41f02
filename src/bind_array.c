/*
** bind_array.c - conc.array
*/
#include <string.h>
#include "array.h"
#include "bind.h"

static struct array *checkarray (lua_State *L, int arg) {
  return array_of(bind_check(L, arg, KIND_ARRAY));
}

/* {=== elements ===} */

static void pushelement (lua_State *L, const struct array *a, uint64_t bits) {
  if (array_is_float(a)) {
    lua_Number x;
    memcpy(&x, &bits, sizeof x);
    lua_pushnumber(L, x);
  }
  else
    lua_pushinteger(L, (lua_Integer)bits);
}

/* What stands at 'idx' as bits that may go into the array; false: no number. */
static bool tobits (lua_State *L, const struct array *a, int idx, uint64_t *bits) {
  int whole = 0;
  if (lua_type(L, idx) != LUA_TNUMBER)
    return false;
  if (array_is_float(a)) {
    lua_Number x = lua_tonumber(L, idx);
    memcpy(bits, &x, sizeof *bits);
    return true;
  }
  *bits = (uint64_t)lua_tointegerx(L, idx, &whole);
  return whole;
}

/* Pushes "integer from -128 to 127 expected, got 200" and the like. */
static const char *refusal (lua_State *L, const struct array *a, int idx) {
  const char *name = array_type_names[a->type];
  const char *want = array_is_float(a) ? "number" : "integer";
  if (lua_type(L, idx) != LUA_TNUMBER)
    return lua_pushfstring(L, "%s expected for an array of %s, got %s", want, name,
                           luaL_typename(L, idx));
  return lua_pushfstring(L, "%s that fits %s expected, got %s", want, name,
                         luaL_tolstring(L, idx, NULL));
}

static uint64_t checkelement (lua_State *L, const struct array *a, int arg) {
  uint64_t bits = 0;
  if (unlikely(!tobits(L, a, arg, &bits) || !array_holds(a, bits)))
    luaL_argerror(L, arg, refusal(L, a, arg));
  return bits;
}

/* A summand: any number of the array's sort, whether the type holds it or not. */
static uint64_t checksummand (lua_State *L, const struct array *a, int arg) {
  uint64_t bits = 0;
  if (unlikely(!tobits(L, a, arg, &bits)))
    luaL_argerror(L, arg, refusal(L, a, arg));
  return bits;
}

/* {=== indices ===} */

static void badindex (lua_State *L, const struct array *a, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER)
    luaL_argerror(L, arg, lua_pushfstring(L, "index from 1 to %I expected, got %s",
                                          (LUAI_UACINT)a->length,
                                          luaL_tolstring(L, arg, NULL)));
  luaL_argerror(L, arg, lua_pushfstring(L, "integer expected as index, got %s",
                                        luaL_typename(L, arg)));
}

/* From 0. */
static uint64_t checkindex (lua_State *L, const struct array *a, int arg) {
  int whole = 0;
  lua_Integer i = 0;
  if (likely(lua_type(L, arg) == LUA_TNUMBER))
    i = lua_tointegerx(L, arg, &whole);
  if (unlikely(!whole || i < 1 || (uint64_t)i > a->length))
    badindex(L, a, arg);
  return (uint64_t)i - 1;
}

/*
** Elements i to j, both optional, at 'arg' and 'arg' + 1: the first from 0, and
** how many. None where j is i - 1 or less.
*/
static uint64_t checkrange (lua_State *L, const struct array *a, int arg, uint64_t *n) {
  lua_Integer last = (lua_Integer)a->length;
  lua_Integer i = luaL_optinteger(L, arg, 1), j = luaL_optinteger(L, arg + 1, last);
  if (i < 1 || i > last + 1)
    badindex(L, a, arg);
  if (j > last || j < 0)
    badindex(L, a, arg + 1);
  *n = j >= i ? (uint64_t)(j - i) + 1 : 0;
  return (uint64_t)i - 1;
}

/* Where n elements go, optional at 'arg', 1 by default. */
static uint64_t checktarget (lua_State *L, const struct array *a, int arg, uint64_t n) {
  lua_Integer at = luaL_optinteger(L, arg, 1);
  if (at < 1 || (uint64_t)at - 1 > a->length || n > a->length - ((uint64_t)at - 1))
    luaL_argerror(L, arg, lua_pushfstring(L,
                  "%I elements from %I on do not fit in an array of %I",
                  (LUAI_UACINT)n, (LUAI_UACINT)at, (LUAI_UACINT)a->length));
  return (uint64_t)at - 1;
}

/* {=== constructor ===} */

static void fill_from_table (lua_State *L, struct array *a, int table) {
  for (uint64_t i = 0; i < a->length; i++) {
    uint64_t bits = 0;
    lua_geti(L, table, (lua_Integer)i + 1);
    if (!tobits(L, a, -1, &bits) || !array_holds(a, bits))
      luaL_argerror(L, table, lua_pushfstring(L, "element %I: %s", (LUAI_UACINT)(i + 1),
                                              refusal(L, a, -1)));
    array_set(a, i, bits);
    lua_pop(L, 1);
  }
}

/* conc.array(type, n | list) */
static int array_make (lua_State *L) {
  int type;
  lua_Integer n;
  if (lua_type(L, 1) != LUA_TSTRING)
    return luaL_argerror(L, 1, lua_pushfstring(L,
                         "one of i8 u8 i16 u16 i32 u32 i64 u64 f32 f64 expected, got %s",
                         luaL_typename(L, 1)));
  for (type = 0; type < ARRAY_TYPES; type++)
    if (strcmp(lua_tostring(L, 1), array_type_names[type]) == 0)
      break;
  if (type == ARRAY_TYPES)
    return luaL_argerror(L, 1, lua_pushfstring(L,
                         "one of i8 u8 i16 u16 i32 u32 i64 u64 f32 f64 expected, got '%s'",
                         lua_tostring(L, 1)));
  if (lua_istable(L, 2))
    n = luaL_len(L, 2);
  else {
    n = luaL_checkinteger(L, 2);
    if (n < 0)
      return luaL_argerror(L, 2, lua_pushfstring(L,
                           "number of elements or list expected, got %I", (LUAI_UACINT)n));
  }
  struct handle *h = bind_newhandle(L, KIND_ARRAY);
  bind_own(L, h, array_new((enum array_type)type, (uint64_t)n));
  if (lua_istable(L, 2))
    fill_from_table(L, array_of(h->block), 2);
  return 1;
}

/* {=== methods ===} */

/* array:add(i, n) -> new */
static int m_add (lua_State *L) {
  struct array *a = checkarray(L, 1);
  uint64_t i = checkindex(L, a, 2), n = checksummand(L, a, 3), sum;
  if (!array_add(a, i, n, &sum))
    return luaL_argerror(L, 3, lua_pushfstring(L, "the sum does not fit %s",
                                               array_type_names[a->type]));
  pushelement(L, a, sum);
  return 1;
}

/* array:bytes([i [, j]]) -> string */
static int m_bytes (lua_State *L) {
  struct array *a = checkarray(L, 1);
  uint64_t n, i = checkrange(L, a, 2, &n);
  luaL_Buffer buffer;
  char *to = luaL_buffinitsize(L, &buffer, (size_t)(n * a->width));
  array_read(a, i, n, to);
  luaL_pushresultsize(&buffer, (size_t)(n * a->width));
  return 1;
}

/* array:copy(from [, i [, j [, at]]]) */
static int m_copy (lua_State *L) {
  struct array *a = checkarray(L, 1), *from = checkarray(L, 2);
  uint64_t n, i = checkrange(L, from, 3, &n);
  uint64_t at = checktarget(L, a, 5, n);
  uint64_t bad = array_copy(a, at, from, i, n);
  if (bad != UINT64_MAX) {
    pushelement(L, from, array_get(from, bad));
    return luaL_argerror(L, 2, lua_pushfstring(L, "element %I (%s) does not fit %s",
                         (LUAI_UACINT)(bad + 1), luaL_tolstring(L, -1, NULL),
                         array_type_names[a->type]));
  }
  return 0;
}

/* array:fill(x [, i [, j]]) */
static int m_fill (lua_State *L) {
  struct array *a = checkarray(L, 1);
  uint64_t n, bits = checkelement(L, a, 2), i = checkrange(L, a, 3, &n);
  array_fill(a, i, n, bits);
  return 0;
}

/* array:set_bytes(s [, at]) */
static int m_set_bytes (lua_State *L) {
  struct array *a = checkarray(L, 1);
  size_t length;
  const char *s = luaL_checklstring(L, 2, &length);
  if (length % a->width != 0)
    return luaL_argerror(L, 2, lua_pushfstring(L,
                         "bytes of whole elements expected (%d each), got %I bytes",
                         (int)a->width, (LUAI_UACINT)length));
  array_write(a, checktarget(L, a, 3, length / a->width), length / a->width, s);
  return 0;
}

static int mm_index (lua_State *L) {
  struct array *a = checkarray(L, 1);
  if (unlikely(lua_type(L, 2) == LUA_TSTRING)) {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  else
    pushelement(L, a, array_get(a, checkindex(L, a, 2)));
  return 1;
}

static int mm_newindex (lua_State *L) {
  struct array *a = checkarray(L, 1);
  uint64_t i = checkindex(L, a, 2);
  array_set(a, i, checkelement(L, a, 3));
  return 0;
}

static int mm_len (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)checkarray(L, 1)->length);
  return 1;
}

static int mm_tostring (lua_State *L) {
  struct array *a = checkarray(L, 1);
  lua_pushfstring(L, "conc.array (%s, %I)", array_type_names[a->type],
                  (LUAI_UACINT)a->length);
  return 1;
}

static const luaL_Reg methods[] = {
  { "add", m_add },
  { "bytes", m_bytes },
  { "copy", m_copy },
  { "fill", m_fill },
  { "set_bytes", m_set_bytes },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__index", mm_index },
  { "__len", mm_len },
  { "__newindex", mm_newindex },
  { "__tostring", mm_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "array", array_make },
  { NULL, NULL }
};

void bind_open_array (lua_State *L);
void bind_open_array (lua_State *L) {
  bind_class(L, KIND_ARRAY, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
