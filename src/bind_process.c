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
#include "poke.h"
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

/*
** randomseed, os, "exit" (nil: not there), found in the parent: a generator of its
** own; os.exit as above, unless the program has put its own function there.
*/
static int prepare (lua_State *L) {
  if (!lua_isnil(L, 1)) {
    lua_pushvalue(L, 1);
    lua_pushinteger(L, state_seed());
    lua_pushinteger(L, state_seed());
    lua_call(L, 2, 0);
  }
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 3);
    lua_pushcfunction(L, child_exit);
    lua_rawset(L, 2);
  }
  return 0;
}

static _Noreturn void child (lua_State *L, struct task *t, const struct start *s, int nargs) {
  struct outcome o;
  int code = 1;   /* of one that failed or was cancelled */
  const struct thread_options *want = &s->options;
  poke_forget(NULL);  /* what ran in the parent is never returned to */
  call_become(t);
  state_watch(L);
  carrier_hooks(L);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
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
  future_report_all();
  process_end(code);
}

/* {=== in the parent ===} */

/*
** What the children of a state run on is one coroutine, which lies ready with its
** stack and its calls grown: a child copies each page that it writes in, so it
** should find all that in one place, and need nothing new from malloc.
*/
static const char spare_key = 's';
#define CALLS  8     /* as deep as an f that calls nothing gets, and more */

static int deepen (lua_State *L) {
  lua_Integer n = lua_tointeger(L, 1);
  if (n > 0) {
    lua_pushcfunction(L, deepen);
    lua_pushinteger(L, n - 1);
    lua_call(L, 1, 0);
  }
  return 0;
}

/* A child may start children while it runs on its own. */
static bool is_free (lua_State *co) {
  lua_Debug ar;
  return lua_status(co) == LUA_OK && lua_gettop(co) == 0 && !lua_getstack(co, 0, &ar);
}

/* Pushes it. */
static lua_State *spare_coroutine (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &spare_key) == LUA_TTHREAD
      && is_free(lua_tothread(L, -1)))
    return lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_State *co = lua_newthread(L);
  lua_sethook(co, NULL, 0, 0);
  lua_pushcfunction(co, deepen);
  lua_pushinteger(co, CALLS);
  if (lua_pcall(co, 1, 0, 0) != LUA_OK) {  /* no memory: L's error, not the main thread's */
    lua_xmove(co, L, 1);
    lua_error(L);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_key);
  return co;
}

/* As lua_newthread does. */
static void like_new (lua_State *L, lua_State *co) {
  lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  memcpy(lua_getextraspace(co), lua_getextraspace(lua_tothread(L, -1)), LUA_EXTRASPACE);
  lua_pop(L, 1);
}

/* -> randomseed or nil, os or nil, "exit" */
static int find (lua_State *L) {
  lua_settop(L, 0);
  lua_pushnil(L);
  lua_pushnil(L);
  if (lua_getglobal(L, LUA_MATHLIBNAME) == LUA_TTABLE
      && lua_getfield(L, -1, "randomseed") == LUA_TFUNCTION)
    lua_replace(L, 1);
  if (lua_getglobal(L, LUA_OSLIBNAME) == LUA_TTABLE) {
    int os = lua_gettop(L);
    if (lua_getfield(L, os, "exit") == LUA_TFUNCTION && lua_iscfunction(L, -1)) {
      lua_pushvalue(L, os);
      lua_replace(L, 2);
    }
  }
  lua_settop(L, 2);
  lua_pushliteral(L, "exit");
  return 3;
}

/* A coroutine with f and its arguments, and what prepares them; it stays on the
   stack of L. */
static lua_State *prepare_call (lua_State *L, const struct start *s, int last) {
  lua_State *co = spare_coroutine(L);
  if (!lua_checkstack(co, last + 4 * LUA_MINSTACK))  /* grown here, not in the child */
    luaL_error(L, "too many arguments");
  for (int i = s->function; i <= last; i++)
    lua_pushvalue(L, i);
  lua_xmove(L, co, last - s->function + 1);
  lua_pushcfunction(co, prepare);
  lua_pushcfunction(co, find);
  if (lua_pcall(co, 0, 3, 0) != LUA_OK) {
    lua_pop(co, 1);
    for (int i = 0; i < 3; i++)
      lua_pushnil(co);
  }
  like_new(L, co);
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
  enum forked side = process_fork(&t->head);
  if (side == FORK_CHILD)
    child(co, t, &s, last - s.function);
  lua_settop(co, 0);
  lua_pop(L, 1);
  if (side == FORK_PARENT)
    return 1;
  if (errno == ENOSPC)
    bind_full(L);
  return luaL_error(L, "conc.process: cannot fork: %s", strerror(errno));
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
