/*
** bind.c - floor 7: handles, classes, results
**
** In each state the registry has, by light userdata keys: a weak table from
** block address to handle ('handles_key'), and the metatables of the classes
** by kind ('classes_key').
*/
#include "bind.h"
#include "poke.h"
#include "sys.h"
#include "task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char handles_key = 'h', classes_key = 'c', cancelled_key = 'x';

/* {=== handles ===} */

struct block *bind_toblock (lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TUSERDATA
      || lua_rawlen(L, idx) != sizeof(struct handle))
    return NULL;
  struct handle *h = (struct handle *)lua_touserdata(L, idx);
  return h->tag - HANDLE_TAG < KIND_MAX ? h->block : NULL;
}

static const char *kind_name (enum kind kind) {
  struct block b = { .kind = (uint8_t)kind };
  const char *name = block_ops(&b)->name;
  return name != NULL ? name : "object";
}

void bind_badkind (lua_State *L, int arg, enum kind kind) {
  const char *msg, *got;
  struct block *b = bind_toblock(L, arg);
  if (b != NULL)
    got = lua_pushfstring(L, "conc.%s", block_ops(b)->name);
  else if (lua_type(L, arg) == LUA_TUSERDATA
           && lua_rawlen(L, arg) == sizeof(struct handle)
           && ((struct handle *)lua_touserdata(L, arg))->tag
              == HANDLE_TAG + (uint64_t)kind)
    got = "a released one";
  else
    got = luaL_typename(L, arg);
  msg = lua_pushfstring(L, "conc.%s expected, got %s", kind_name(kind), got);
  luaL_argerror(L, arg, msg);
  for (;;) {}  /* not reached */
}

static void push_class (lua_State *L, enum kind kind) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key);
  lua_rawgeti(L, -1, (lua_Integer)kind);
  lua_remove(L, -2);
}

struct handle *bind_newhandle (lua_State *L, enum kind kind) {
  luaL_checkstack(L, 6, "too many objects");
  struct handle *h = (struct handle *)lua_newuserdatauv(L, sizeof *h, 0);
  h->tag = HANDLE_TAG + (uint64_t)kind;
  h->block = NULL;
  h->slot = UINT32_MAX;
  h->process = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key);
  if (lua_rawgeti(L, -1, (lua_Integer)kind) == LUA_TNIL)
    luaL_error(L, "class of kind %d is not open", (int)kind);
  lua_setmetatable(L, -3);
  lua_settop(L, -2);
  return h;
}

/* The handle on the top becomes known as the one of 'b' in this state. */
static void remember (lua_State *L, struct block *b) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, b);
  lua_pop(L, 1);
}

void bind_full (lua_State *L) {
  struct arena_stats s;
  arena_stats(&s);
  luaL_error(L, "shared memory is full: %I MB of %I MB are in use"
             " (CONC_ARENA sets the size)",
             (LUAI_UACINT)(s.bytes >> 20), (LUAI_UACINT)(s.limit >> 20));
  for (;;) {}  /* not reached */
}

static bool is_task (const struct block *b) {
  return b->kind >= KIND_FUTURE && b->kind <= KIND_PROCESS;
}

/* Of a task it is counted how many handles there are (bind_future.c counts down). */
static void count_handle (struct handle *h) {
  h->process = (uint32_t)load_relaxed(&process_mine()->pid);
  if (is_task(h->block))
    add_relaxed(&task_of(h->block)->handles, 1);
}

bool bind_note_sent (lua_State *L, int idx, bool quiet) {
  struct block *b = bind_toblock(L, idx);
  if (b == NULL || b->kind != KIND_FUTURE)
    return true;
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
  bool known = lua_rawgetp(L, -1, b) != LUA_TNIL;
  if (!known && !quiet) {
    lua_pushvalue(L, idx);
    lua_rawsetp(L, -3, b);
    known = true;
  }
  lua_pop(L, 2);
  return known;
}

void bind_own (lua_State *L, struct handle *h, struct block *b) {
  if (b == NULL)
    bind_full(L);
  h->slot = handle_first(b);
  if (h->slot == UINT32_MAX) {
    block_destroy(b);
    bind_full(L);
  }
  h->block = b;
  h->process = (uint32_t)load_relaxed(&process_mine()->pid);
  if (is_task(h->block))
    store_relaxed(&task_of(h->block)->handles, 1);  /* nobody else has one yet */
  if (b->kind != KIND_FUTURE)  /* of those there are many, and few are sent: bind_note_sent */
    remember(L, b);  /* lack of memory here: the handle's __gc lets go */
}

void bind_pushblock (lua_State *L, struct block *b) {
  luaL_checkstack(L, 8, "too many objects");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
  lua_rawgetp(L, -1, b);
  lua_remove(L, -2);
  struct handle *old = (struct handle *)lua_touserdata(L, -1);
  if (old != NULL && old->block == b)
    return;
  lua_pop(L, 1);
  struct handle *h = bind_newhandle(L, (enum kind)b->kind);
  h->slot = handle_new(b);
  if (h->slot == UINT32_MAX)
    bind_full(L);
  h->block = b;
  count_handle(h);
  remember(L, b);
}

static void let_go (struct handle *h) {
  uint32_t slot = h->slot;
  h->block = NULL;
  h->slot = UINT32_MAX;
  if (slot != UINT32_MAX)
    handle_drop(slot);
}

void bind_release (lua_State *L, int idx) {
  struct handle *h = (struct handle *)lua_touserdata(L, idx);
  if (h->block == NULL)
    return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
  lua_rawgetp(L, -1, h->block);
  if (lua_touserdata(L, -1) == h) {  /* may be a younger handle by now */
    lua_pushnil(L);
    lua_rawsetp(L, -3, h->block);
  }
  lua_pop(L, 2);
  let_go(h);
}

/* The weak table has forgotten it already, before any finalizer runs. */
static int handle_gc (lua_State *L) {
  let_go((struct handle *)lua_touserdata(L, 1));
  return 0;
}

static int handle_tostring (lua_State *L) {
  struct handle *h = (struct handle *)lua_touserdata(L, 1);
  if (h->block == NULL)
    lua_pushfstring(L, "conc.%s (released)", kind_name((enum kind)(h->tag - HANDLE_TAG)));
  else
    lua_pushfstring(L, "conc.%s", block_ops(h->block)->name);
  return 1;
}

/* {=== classes ===} */

void bind_class (lua_State *L, enum kind kind, const luaL_Reg *methods,
                 const luaL_Reg *metamethods) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key);
  lua_createtable(L, 0, 8);                        /* metatable */
  lua_pushfstring(L, "conc.%s", kind_name(kind));
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, handle_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, handle_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);                                 /* methods */
  if (methods != NULL)
    luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -2, "methods");
  if (metamethods != NULL) {
    lua_getfield(L, -1, "methods");
    luaL_setfuncs(L, metamethods, 1);
  }
  lua_rawseti(L, -2, (lua_Integer)kind);
  lua_pop(L, 1);
}

void bind_pushmethods (lua_State *L, enum kind kind) {
  push_class(L, kind);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "methods");
    lua_remove(L, -2);
  }
}

/* {=== arguments ===} */

deadline bind_deadline (lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return DEADLINE_NEVER;
  if (lua_type(L, arg) != LUA_TNUMBER) {
    const char *msg = lua_pushfstring(L, "timeout in seconds expected, got %s",
                                      luaL_typename(L, arg));
    luaL_argerror(L, arg, msg);
  }
  double seconds = lua_tonumber(L, arg);
  if (isnan(seconds))
    luaL_argerror(L, arg, "timeout in seconds expected, got NaN");
  return sys_deadline(seconds);
}

void bind_where (lua_State *L, char *to, size_t size) {
  lua_Debug ar;
  to[0] = '\0';
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0) {
      snprintf(to, size, "%s:%d", ar.short_src, ar.currentline);
      return;
    }
  }
}

/* {=== conc.cancelled: one userdata a state, equal to itself everywhere ===} */

static int cancelled_tostring (lua_State *L) {
  lua_pushliteral(L, "conc.cancelled");
  return 1;
}

static void open_cancelled (lua_State *L) {
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, cancelled_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "conc.cancelled");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
}

void bind_pushcancelled (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key);
}

bool bind_iscancelled (lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  if (lua_type(L, idx) != LUA_TUSERDATA)
    return false;
  bind_pushcancelled(L);
  bool same = lua_rawequal(L, idx, -1);
  lua_pop(L, 1);
  return same;
}

/* {=== results ===} */

/*
** Lua's own hook (lua.c sets one on SIGINT) is called where it would have been
** called had Lua code been running; it raises what it raises. If it returns,
** the wait is over all the same: with what 'rc' would be for a spurious wake.
*/
static void run_interrupt (lua_State *L) {
  lua_State *from = L;
  lua_Hook hook = lua_gethook(L);
  if (hook == NULL || lua_gethookcount(L) != 1) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    from = lua_tothread(L, -1);
    lua_pop(L, 1);
    hook = lua_gethook(from);
  }
  if (hook != NULL) {
    lua_Debug ar;
    memset(&ar, 0, sizeof ar);
    ar.event = LUA_HOOKCOUNT;
    ar.currentline = -1;
    lua_sethook(from, NULL, 0, 0);
    luaL_checkstack(L, LUA_MINSTACK, "interrupted");
    hook(L, &ar);
  }
  luaL_error(L, "interrupted!");
}

void bind_raise (lua_State *L, int rc) {
  switch (rc) {
    case CONC_CANCELLED:
      poke_met();
      bind_pushcancelled(L);
      lua_error(L);
      break;
    case CONC_INTERRUPTED:
      run_interrupt(L);
      break;
    case CONC_DEADLOCK:
      luaL_error(L, "deadlock: %s", gate_story());
      break;
    case CONC_FULL:
      bind_full(L);
      break;
    case CONC_SYSTEM:
      luaL_error(L, "the system refused");
      break;
    default:
      break;
  }
}

int bind_result (lua_State *L, int rc) {
  switch (rc) {
    case CONC_OK:
      lua_pushboolean(L, 1);
      return 1;
    case CONC_ABANDONED:
      lua_pushboolean(L, 1);
      lua_pushliteral(L, "abandoned");
      return 2;
    case CONC_TIMEOUT: case CONC_CLOSED: case CONC_BROKEN:
      lua_pushnil(L);
      lua_pushstring(L, rc == CONC_TIMEOUT ? "timeout"
                      : rc == CONC_CLOSED ? "closed" : "broken");
      return 2;
    default:
      bind_raise(L, rc);
      return luaL_error(L, "status %d", rc);
  }
}

/* {=== open ===} */

void bind_open (lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handles_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &classes_key);
  open_cancelled(L);
}

bool bind_isopen (lua_State *L) {
  bool open = lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key) == LUA_TTABLE;
  lua_pop(L, 1);
  return open;
}
