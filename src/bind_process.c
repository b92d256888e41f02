/*
** bind_process.c - floor 7: conc.process
**
** The child runs f on a coroutine of the caller's state, with all that the
** caller has; the C call that forked never returns there. It leaves by
** process_end, past the parent's to-be-closed variables and finalizers.
*/
#include "call.h"
#include "carrier.h"
#include "end.h"
#include "process.h"
#include "state.h"
#include "sys.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* {=== in the child ===} */

/* os.exit([code [, close]]) of a child: it has a copy of a state that is not its
   own to close. */
static int child_exit (lua_State *L) {
  int code = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                 : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  if (lua_toboolean(L, 2))
    end_group(0);
  exit(code);
}

/* A generator of its own; os.exit as above, unless the program has put its own
   function there. */
static int prepare (lua_State *L) {
  if (lua_getglobal(L, LUA_MATHLIBNAME) == LUA_TTABLE
      && lua_getfield(L, -1, "randomseed") == LUA_TFUNCTION) {
    lua_pushinteger(L, state_seed());
    lua_pushinteger(L, state_seed());
    lua_call(L, 2, 0);
  }
  if (lua_getglobal(L, LUA_OSLIBNAME) == LUA_TTABLE
      && lua_getfield(L, -1, "exit") == LUA_TFUNCTION && lua_iscfunction(L, -1)) {
    lua_pushcfunction(L, child_exit);
    lua_setfield(L, -3, "exit");
  }
  return 0;
}

static _Noreturn void child (lua_State *L, struct task *t, const struct start *s, int nargs) {
  struct outcome o;
  int code = 1;   /* of one that failed or was cancelled */
  const struct thread_options *want = &s->options;
  call_become(t);
  state_watch(L);
  carrier_hooks(L);
  lua_pushcfunction(L, prepare);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  if (s->name[0] != '\0')
    sys_thread_name(t->name);
  if (want->cpus != NULL)
    sys_set_cpus(want->cpus, want->ncpus);
  if (want->nice != 0)
    sys_add_nice(want->nice);
  if (task_claim(t)) {
    call_function(L, nargs, &o);
    end_group(0);
    code = o.state == TASK_DONE ? 0 : 1;
    store_relaxed(&t->exitcode, code);
    call_finish(t, &o);
  }
  else
    store_relaxed(&t->exitcode, code);
  call_become(NULL);
  process_end(code);
}

/* {=== in the parent ===} */

/* A coroutine with f and its arguments; its lua_State stays on the stack. */
static lua_State *prepare_call (lua_State *L, const struct start *s, int last) {
  lua_State *co = lua_newthread(L);
  if (!lua_checkstack(co, last + 4 * LUA_MINSTACK))  /* grown here, not in the child */
    luaL_error(L, "too many arguments");
  for (int i = s->function; i <= last; i++)
    lua_pushvalue(L, i);
  lua_xmove(L, co, last - s->function + 1);
  return co;
}

/* conc.process([options,] f, ...) -> process */
static int core_process (lua_State *L) {
  struct start s;
  int last = lua_gettop(L);
  carrier_check(L, 1, &s);
  luaL_checkstack(L, last + LUA_MINSTACK, "too many arguments");
  carrier_wrap(L, &s);
  struct task *t = carrier_task(L, KIND_PROCESS, &s);
  lua_State *co = prepare_call(L, &s, last);
  switch (process_fork(&t->head)) {
    case FORK_CHILD:
      child(co, t, &s, last - s.function);
    case FORK_FAILED:
      if (errno == ENOSPC)
        bind_full(L);
      return luaL_error(L, "conc.process: cannot fork: %s", strerror(errno));
    case FORK_PARENT:
      break;
  }
  lua_pop(L, 1);
  return 1;
}

/* {=== open ===} */

static const luaL_Reg functions[] = {
  { "process", core_process },
  { NULL, NULL }
};

void bind_open_process (lua_State *L);
void bind_open_process (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
  bind_class(L, KIND_PROCESS, process_methods, future_meta);
  lua_pushcfunction(L, child_exit);
  codec_own(L, "os.exit");  /* where it is sent, it is that */
}
