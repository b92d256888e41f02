/*
** end.c - floor 4: the end of a main state, of a child, of the program
*/
#include "end.h"
#include "gate.h"
#include "poke.h"
#include "process.h"
#include "roster.h"
#include "sys.h"

#include <signal.h>

#define COOPERATE  ((nanos)1000 * 1000000)
#define STUCK      ((nanos)3000 * 1000000)
#define AGAIN      ((nanos)50 * 1000000)

void (*end_pools) (uint32_t group);

/* {=== the steps ===} */

/* Until none is left, each with all that it had to do and say, or the deadline passes.
   Waiting here is interrupted by cancelling and Ctrl-C alone: then what is left is
   treated as a daemon. */
static bool await_all (uint32_t group, bool daemon, deadline until) {
  struct life *l;
  int rc = CONC_OK;
  while (rc == CONC_OK && (l = life_find(group, daemon)) != NULL) {
    rc = life_await(l, until);
    life_unpin(l);
  }
  return rc == CONC_OK;
}

static void stop (struct task *t, void *unused) {
  int error;
  (void)unused;
  if (t->head.kind == KIND_PROCESS) {
    process_kill(t, SIGTERM, &error);
    process_kill(t, SIGCONT, &error);
  }
  else
    task_cancel(t);
}

static void kill_off (struct task *t, void *unused) {
  int error;
  (void)unused;
  if (t->head.kind == KIND_PROCESS)
    process_kill(t, SIGKILL, &error);
}

/* They are asked again and again: one may have swallowed it. */
static bool stop_all (uint32_t group, bool daemon, nanos most) {
  deadline until = sys_now() + most;
  bool gone = false;
  while (!gone && sys_now() < until) {
    life_each(group, daemon, stop, NULL);
    deadline next = sys_now() + AGAIN;
    gone = await_all(group, daemon, next < until ? next : until);
  }
  return gone;
}

static void end_daemons (uint32_t group, bool daemon) {
  if (stop_all(group, daemon, COOPERATE))
    return;
  life_each(group, daemon, kill_off, NULL);
  stop_all(group, daemon, STUCK - COOPERATE);
}

void end_group (uint32_t group) {
  struct thread_record *me = self();
  bool all = await_all(group, false, DEADLINE_NEVER);
  store_relaxed(&me->shield, load_relaxed(&me->shield) + 1);
  if (end_pools != NULL)
    end_pools(group);
  if (!all)
    end_daemons(group, false);
  end_daemons(group, true);
  store_relaxed(&me->shield, load_relaxed(&me->shield) - 1);
}

/* {=== a main state's end ===} */

static const char watch_key = 'e';

static int at_close (lua_State *L) {
  uint32_t *group = lua_touserdata(L, 1);
  struct gate_hooks hooks;
  end_group(*group);
  poke_forget(L);
  gate_get_hooks(&hooks);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  if (hooks.ctx == lua_tothread(L, -1))  /* and not of another state of this thread */
    gate_set_hooks(NULL);
  return 0;
}

void end_watch (lua_State *L, uint32_t group) {
  uint32_t *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = group;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, at_close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watch_key);
}
