/*
** bind_wait.c - floor 7: waiting for the first of many futures
**
** What lua/conc/wait.lua builds conc.wait and conc.as_completed on. One call
** waits for one to end and gives all that have, in the order in which they did:
** looking at n futures costs n, and a loop over many that end fast finds many at
** each look.
*/
#include "carrier.h"
#include "pool.h"
#include "process.h"
#include "select.h"

#include <stdlib.h>

struct ending {
  int64_t when;
  lua_Integer position;        /* in the list */
};

static int earlier (const void *a, const void *b) {
  const struct ending *x = a, *y = b;
  if (x->when != y->when)
    return x->when < y->when ? -1 : 1;
  return x->position < y->position ? -1 : x->position > y->position;
}

/* The crew that all of them belong to; NULL: there is none. */
static struct crew *common_crew (struct block **list, int n) {
  struct block *crew = load_relaxed(&task_of(list[0])->pool);
  for (int i = 1; i < n && crew != NULL; i++)
    if (load_relaxed(&task_of(list[i])->pool) != crew)
      crew = NULL;
  return crew != NULL ? crew_of(crew) : NULL;
}

static int has_ended (void *ctx, int i) {
  struct block **list = ctx;
  return task_has_ended(task_state(task_of(list[i]))) ? CONC_OK : CONC_TIMEOUT;
}

/* The futures of the list at 'arg' in a userdata on the top. The list keeps
   their handles. */
static struct block **check_list (lua_State *L, int arg, int *n) {
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer len = luaL_len(L, arg);
  luaL_argcheck(L, len >= 0 && len < 1 << 24, arg, "list is too long");
  size_t size = (size_t)(len > 0 ? len : 1) * sizeof(struct block *);
  struct block **list = lua_newuserdatauv(L, size, 0);
  for (lua_Integer i = 1; i <= len; i++) {
    lua_geti(L, arg, i);
    struct block *b = bind_toblock(L, -1);
    if (b == NULL || b->kind < KIND_FUTURE || b->kind > KIND_PROCESS)
      luaL_argerror(L, arg, lua_pushfstring(L, "future, thread or process expected"
                    " as item %I, got %s", (LUAI_UACINT)i, b == NULL
                    ? luaL_typename(L, -1) : block_ops(b)->name));
    list[i - 1] = b;
    lua_pop(L, 1);
  }
  *n = (int)len;
  return list;
}

/* Pushes the list of the positions of those that have ended. */
static void push_ended (lua_State *L, struct block **list, int n) {
  size_t size = (size_t)(n > 0 ? n : 1) * sizeof(struct ending);
  struct ending *ended = lua_newuserdatauv(L, size, 0);
  int found = 0;
  for (int i = 0; i < n; i++) {
    struct task *t = task_of(list[i]);
    if (task_has_ended(task_state(t)))
      ended[found++] = (struct ending){ load_relaxed(&t->ended_at), i + 1 };
  }
  qsort(ended, (size_t)found, sizeof *ended, earlier);
  lua_createtable(L, found, 0);
  for (int i = 0; i < found; i++) {
    struct task *t = task_of(list[ended[i].position - 1]);
    if (t->head.kind == KIND_PROCESS)
      process_await_gone(t);
    lua_pushinteger(L, ended[i].position);
    lua_rawseti(L, -2, i + 1);
  }
}

/* A worker of their pool runs some of them meanwhile. */
static int await_one (struct block **list, int n, deadline until) {
  struct crew *crew = common_crew(list, n);
  size_t first;
  int which;
  return crew != NULL ? pool_wait_any(crew, list, (size_t)n, until, &first)
                      : select_wait(list, n, 0, until, has_ended, list, &which);
}

/* core._ended(futures [, timeout]) -> positions of those that have ended, in the
   order in which they did; at least one, unless the time is over or the list empty */
static int core_ended (lua_State *L) {
  int n;
  deadline until = bind_deadline(L, 2);
  lua_settop(L, 2);
  struct block **list = check_list(L, 1, &n);
  if (n > 0) {
    int rc = await_one(list, n, until);
    if (rc != CONC_OK && rc != CONC_TIMEOUT)
      bind_raise(L, rc);
  }
  push_ended(L, list, n);
  return 1;
}

static const luaL_Reg functions[] = {
  { "_ended", core_ended },
  { NULL, NULL }
};

void bind_open_wait (lua_State *L);
void bind_open_wait (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}
