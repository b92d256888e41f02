/*
** bind_value.c - conc.value
*/
#include <string.h>
#include "bind.h"
#include "value.h"

static struct value *checkvalue (lua_State *L) {
  return value_of(bind_check(L, 1, KIND_VALUE));
}

static const char *const type_names[] = { NULL, "integer", "float", "boolean" };

/* The bits of the value at 'idx' and its type; 0: it is of none of them. */
static enum value_type tobits (lua_State *L, int idx, uint64_t *bits) {
  if (lua_type(L, idx) == LUA_TBOOLEAN) {
    *bits = (uint64_t)lua_toboolean(L, idx);
    return VALUE_BOOLEAN;
  }
  if (lua_type(L, idx) != LUA_TNUMBER)
    return 0;
  if (lua_isinteger(L, idx)) {
    *bits = (uint64_t)lua_tointeger(L, idx);
    return VALUE_INTEGER;
  }
  lua_Number x = lua_tonumber(L, idx);
  memcpy(bits, &x, sizeof *bits);
  return VALUE_FLOAT;
}

static const char *got (lua_State *L, int idx) {
  uint64_t bits;
  enum value_type type = tobits(L, idx, &bits);
  return type != 0 ? type_names[type] : luaL_typename(L, idx);
}

/* The bits at 'arg', which has to be of the value's type. */
static uint64_t checkbits (lua_State *L, struct value *v, int arg) {
  uint64_t bits = 0;
  if (tobits(L, arg, &bits) != (enum value_type)v->type)
    luaL_argerror(L, arg, lua_pushfstring(L, "%s expected, got %s",
                                          type_names[v->type], got(L, arg)));
  return bits;
}

static int pushbits (lua_State *L, struct value *v, uint64_t bits) {
  lua_Number x;
  switch ((enum value_type)v->type) {
    case VALUE_BOOLEAN:
      lua_pushboolean(L, bits != 0);
      break;
    case VALUE_INTEGER:
      lua_pushinteger(L, (lua_Integer)bits);
      break;
    case VALUE_FLOAT:
      memcpy(&x, &bits, sizeof x);
      lua_pushnumber(L, x);
      break;
  }
  return 1;
}

/* conc.value(x): x an integer, float or boolean */
static int value_make (lua_State *L) {
  uint64_t bits = 0;
  enum value_type type = tobits(L, 1, &bits);
  if (type == 0)
    return luaL_argerror(L, 1, lua_pushfstring(L, "number or boolean expected, got %s",
                                               luaL_typename(L, 1)));
  struct handle *h = bind_newhandle(L, KIND_VALUE);
  bind_own(L, h, value_new(type, bits));
  return 1;
}

/* value:get() -> x */
static int m_get (lua_State *L) {
  struct value *v = checkvalue(L);
  return pushbits(L, v, value_get(v));
}

/* value:set(x) */
static int m_set (lua_State *L) {
  struct value *v = checkvalue(L);
  value_set(v, checkbits(L, v, 2));
  return 0;
}

/* value:exchange(x) -> old */
static int m_exchange (lua_State *L) {
  struct value *v = checkvalue(L);
  return pushbits(L, v, value_exchange(v, checkbits(L, v, 2)));
}

/* value:add(n) -> new; to a float an integer may be added, too */
static int m_add (lua_State *L) {
  struct value *v = checkvalue(L);
  switch ((enum value_type)v->type) {
    case VALUE_INTEGER:
      lua_pushinteger(L, value_add_integer(v, (int64_t)checkbits(L, v, 2)));
      return 1;
    case VALUE_FLOAT:
      if (lua_type(L, 2) != LUA_TNUMBER)
        checkbits(L, v, 2);
      lua_pushnumber(L, value_add_float(v, lua_tonumber(L, 2)));
      return 1;
    default:
      return luaL_argerror(L, 1, "value of a number expected, got one of a boolean");
  }
}

/* value:compare_exchange(expected, new) -> boolean, old */
static int m_compare_exchange (lua_State *L) {
  struct value *v = checkvalue(L);
  uint64_t expected = 0, new = checkbits(L, v, 3);
  bool done = false;
  if (tobits(L, 2, &expected) == (enum value_type)v->type)
    done = value_compare_exchange(v, &expected, new);
  else
    expected = value_get(v);
  lua_pushboolean(L, done);
  pushbits(L, v, expected);
  return 2;
}

static bool names_value (lua_State *L, int idx) {
  return lua_type(L, idx) == LUA_TSTRING && strcmp(lua_tostring(L, idx), "value") == 0;
}

static int mm_index (lua_State *L) {
  struct value *v = checkvalue(L);
  if (names_value(L, 2))
    return pushbits(L, v, value_get(v));
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int mm_newindex (lua_State *L) {
  struct value *v = checkvalue(L);
  if (!names_value(L, 2))
    return luaL_argerror(L, 2, "a conc.value has the one field 'value'");
  value_set(v, checkbits(L, v, 3));
  return 0;
}

static int mm_tostring (lua_State *L) {
  struct value *v = checkvalue(L);
  pushbits(L, v, value_get(v));
  lua_pushfstring(L, "conc.value (%s)", luaL_tolstring(L, -1, NULL));
  return 1;
}

static const luaL_Reg methods[] = {
  { "add", m_add },
  { "compare_exchange", m_compare_exchange },
  { "exchange", m_exchange },
  { "get", m_get },
  { "set", m_set },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__index", mm_index },
  { "__newindex", mm_newindex },
  { "__tostring", mm_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "value", value_make },
  { NULL, NULL }
};

void bind_open_value (lua_State *L);
void bind_open_value (lua_State *L) {
  bind_class(L, KIND_VALUE, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
