/*
** open.c - floor 7: luaopen_conc_core
*/
#include "open.h"

#include <lauxlib.h>
#include <pthread.h>
#include <string.h>

#include "bind.h"
#include "bundle.h"
#include "conc.h"
#include "core_api.h"
#include "gate.h"
#include "message.h"
#include "poke.h"
#include "state.h"
#include "sys.h"
#include "task.h"

/* {=== once in a process ===} */

void lock_open (void); void rwlock_open (void); void semaphore_open (void);
void condition_open (void); void event_open (void); void barrier_open (void);
void queue_open (void); void pipe_open (void); void select_open (void);
void watch_open (void); void value_open (void); void array_open (void);
void list_open (void); void dict_open (void); void roster_open (void);
void thread_open (void); void process_open (void); void keeper_open (void);
void timer_open (void); void pool_open (void); void sight_open (void);

static void (*const per_process[]) (void) = {
  gate_open, message_open, bundle_open, task_open, roster_open,
  lock_open, rwlock_open, semaphore_open, condition_open, event_open, barrier_open,
  queue_open, pipe_open, select_open, watch_open,
  value_open, array_open, list_open, dict_open,
  thread_open, process_open, keeper_open, timer_open, pool_open, sight_open
};

/* {=== once in a state ===} */

/* One of each src/bind_<noun>.c. */
bind_opener bind_open_array, bind_open_barrier, bind_open_codec, bind_open_condition,
  bind_open_dict, bind_open_embed, bind_open_event, bind_open_future,
  bind_open_list, bind_open_lock, bind_open_pipe, bind_open_pool,
  bind_open_process, bind_open_queue, bind_open_rwlock, bind_open_select,
  bind_open_semaphore, bind_open_sight, bind_open_thread, bind_open_value,
  bind_open_wait;

static bind_opener *const per_state[] = {
  bind_open_array, bind_open_barrier, bind_open_codec, bind_open_condition,
  bind_open_dict, bind_open_embed, bind_open_event, bind_open_future, bind_open_list,
  bind_open_lock, bind_open_pipe, bind_open_pool, bind_open_process,
  bind_open_queue, bind_open_rwlock, bind_open_select, bind_open_semaphore,
  bind_open_sight, bind_open_thread, bind_open_value, bind_open_wait
};

#define COUNT(list)  (sizeof(list) / sizeof((list)[0]))

static const char core_key = 'o';

/* {=== what belongs to no noun ===} */

/* conc.type(x) -> "lock", "queue", ... or nil */
static int core_type (lua_State *L) {
  luaL_checkany(L, 1);
  struct block *b = bind_toblock(L, 1);
  if (b == NULL)
    lua_pushnil(L);
  else
    lua_pushstring(L, block_ops(b)->name);
  return 1;
}

/* Blocks in use by kind, with the numbers of arena.h. */
static void push_kinds (lua_State *L) {
  lua_newtable(L);
  for (int k = 0; k < KIND_MAX; k++) {
    size_t n = arena_live_of((enum kind)k);
    if (n > 0) {
      lua_pushinteger(L, (lua_Integer)n);
      lua_rawseti(L, -2, k);
    }
  }
}

/* core._arena([kinds]) -> {live=, bytes=, limit=, warm= [, kinds=, kept=]}: for tests
   and reports */
static int core_arena (lua_State *L) {
  struct arena_stats s;
  arena_stats(&s);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer)s.live);
  lua_setfield(L, -2, "live");
  lua_pushinteger(L, (lua_Integer)s.bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, (lua_Integer)s.limit);
  lua_setfield(L, -2, "limit");
  lua_pushinteger(L, (lua_Integer)s.warm);
  lua_setfield(L, -2, "warm");
  if (lua_toboolean(L, 1)) {
    push_kinds(L);
    /* kept for good reason: code while its function lives, places of handles */
    lua_pushinteger(L, (lua_Integer)(arena_live_of(KIND_CODE) + arena_live_of(KIND_HANDLES)));
    lua_setfield(L, -3, "kept");
    lua_setfield(L, -2, "kinds");
  }
  return 1;
}

/* core._fail(n) -> left: the n-th allocation in the arena from now fails, 0: none;
   'left' is not above 0 where the one asked for before has failed */
static int core_fail (lua_State *L) {
  lua_pushinteger(L, arena_fail_at);
  arena_fail_at = (long)luaL_checkinteger(L, 1);
  return 1;
}

/* core._bury(): looks for dead processes now */
static int core_bury (lua_State *L) {
  (void)L;
  process_look_around();
  return 0;
}

/* core._methods(kind name) -> method table of that class */
static int core_methods (lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (int k = KIND_LOCK; k < KIND_MAX; k++) {
    struct block b = { .kind = (uint8_t)k };
    const char *its = block_ops(&b)->name;
    if (its != NULL && strcmp(its, name) == 0) {
      bind_pushmethods(L, (enum kind)k);
      return 1;
    }
  }
  return luaL_argerror(L, 1, "name of a class expected");
}

/* core._new_id() -> integer, unique within the program: for default names */
static int core_new_id (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)record_new_id());
  return 1;
}

static const luaL_Reg functions[] = {
  { "_arena", core_arena },
  { "_bury", core_bury },
  { "_fail", core_fail },
  { "_methods", core_methods },
  { "_new_id", core_new_id },
  { "type", core_type },
  { NULL, NULL }
};

/* {=== for modules built apart ===} */

static int api_pending (lua_State *L) {
  (void)L;
  return gate_pending() != CONC_OK;
}

static void api_raise (lua_State *L) {
  bind_raise(L, gate_pending());
}

static const struct conc_core_api api = {
  CORE_API_VERSION, api_pending, api_raise
};

/* {=== open ===} */

static const struct codec_objects objects = {
  .to_block = bind_toblock, .sent = bind_note_sent, .push_block = bind_pushblock
};

/* Main states of several threads of a host may load it at the same moment. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static _Atomic bool opened;        /* and what the openers write before it; also read
                                      without the mutex */

/* First what may fail, and may be tried again. NULL, or what it failed for. */
static const char *open_all (void) {
  static bool poked, stated;
  if (arena_open() != CONC_OK)
    return "no shared memory could be reserved";
  if (!poked && !(poked = poke_open(bind_pushcancelled)))
    return "not enough memory";
  if (!stated && !(stated = state_open()))
    return "not enough memory";
  sys_pin((const void *)&opened);
  codec_open(&objects);
  for (size_t i = 0; i < COUNT(per_process); i++)
    per_process[i]();
  record_forks();
  store_release(&opened, true);
  return NULL;
}

void open_process (lua_State *L) {
  const char *lack = NULL;
  if (load_acquire(&opened))
    return;
  pthread_mutex_lock(&opening);
  if (!load_relaxed(&opened))
    lack = open_all();
  pthread_mutex_unlock(&opening);
  if (lack != NULL)
    luaL_error(L, "conc: %s", lack);
}

void open_state (lua_State *L) {
  if (bind_isopen(L))
    return;
  luaL_checkstack(L, LUA_MINSTACK, "conc");
  bind_open(L);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  bind_pushcancelled(L);
  lua_setfield(L, -2, "cancelled");
  for (size_t i = 0; i < COUNT(per_state); i++)
    per_state[i](L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
  lua_pushlightuserdata(L, (void *)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, CORE_API_KEY);
}

void open_pushcore (lua_State *L) {
  open_state(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
}

int luaopen_conc_core (lua_State *L) {
  open_process(L);
  open_pushcore(L);
  return 1;
}
