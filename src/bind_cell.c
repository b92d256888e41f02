/*
** bind_cell.c - what the bindings of list and dict share
*/
#include "bind_cell.h"
#include "bind_hold.h"

/* {=== values ===} */

bool bind_todatum (lua_State *L, int idx, struct datum *v) {
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN:
      v->type = DATUM_BOOLEAN;
      v->u.boolean = lua_toboolean(L, idx);
      return true;
    case LUA_TNUMBER:
      if (lua_isinteger(L, idx)) {
        v->type = DATUM_INTEGER;
        v->u.integer = lua_tointeger(L, idx);
      }
      else {
        v->type = DATUM_FLOAT;
        v->u.number = lua_tonumber(L, idx);
      }
      return true;
    case LUA_TSTRING:
      v->type = DATUM_STRING;
      v->u.string.bytes = lua_tolstring(L, idx, &v->u.string.length);
      return true;
    default:
      return false;
  }
}

cell bind_tocell (lua_State *L, int idx) {
  struct datum v;
  cell c = CELL_NONE;
  if (!bind_todatum(L, idx, &v)) {
    struct parcel p;
    codec_encode(L, idx, 1, 0, "value", 0, &p);
    struct block *b = parcel_post(&p);
    if (b == NULL) {
      parcel_drop(&p);
      bind_full(L);
    }
    return cell_of_block(b);
  }
  if (!cell_make(&v, &c))
    bind_full(L);
  return c;
}

void bind_settled (lua_State *L, cell c, int rc) {
  if (rc != CONC_OK) {
    cell_drop(c);
    bind_raise(L, rc);
  }
}

static void push_datum (lua_State *L, const struct datum *v) {
  switch (v->type) {
    case DATUM_NONE:
      lua_pushnil(L);
      break;
    case DATUM_BOOLEAN:
      lua_pushboolean(L, v->u.boolean);
      break;
    case DATUM_INTEGER:
      lua_pushinteger(L, v->u.integer);
      break;
    case DATUM_FLOAT:
      lua_pushnumber(L, v->u.number);
      break;
    case DATUM_STRING:
      lua_pushlstring(L, v->u.string.bytes, v->u.string.length);
      break;
    case DATUM_MESSAGE:
      codec_decode_message(L, &v->u.message->head, 0);
      break;
  }
}

static int push_protected (lua_State *L) {
  push_datum(L, (const struct datum *)lua_touserdata(L, 1));
  return 1;
}

/* Where a copy in hand has to be let go of, whatever the decoder raises. */
static int push_protectedly (lua_State *L, struct reading *r) {
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, &r->value);
  int status = lua_pcall(L, 1, 1, 0);
  reading_drop(r);
  return status;
}

void bind_pushreading (lua_State *L, struct reading *r) {
  if (likely(r->clone == NULL))
    push_datum(L, &r->value);
  else if (push_protectedly(L, r) != LUA_OK)
    lua_error(L);
}

void bind_pushreadings (lua_State *L, struct reading *a, struct reading *b) {
  if (b->clone == NULL)
    bind_pushreading(L, a);
  else if (push_protectedly(L, a) != LUA_OK) {
    reading_drop(b);
    lua_error(L);
  }
  bind_pushreading(L, b);
}

/* {=== owning while Lua runs ===} */

/* The container's __close lets go of it. It is in place before there is
   anything to let go of; then it does nothing. */
void bind_own_container (lua_State *L, struct block *b, struct monitor *m,
                         const char *verb) {
  lua_toclose(L, 1);
  int rc = monitor_acquire(m, b, verb);
  if (rc != CONC_OK)
    bind_raise(L, rc);
}

static int with_done (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

int bind_with (lua_State *L, struct block *b, struct monitor *m) {
  hold_checkcall(L);
  lua_pushvalue(L, 1);
  lua_insert(L, 3);
  bind_own_container(L, b, m, "with");
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, with_done);
  return with_done(L, LUA_OK, 0);
}
