/*
** bind_future.c - floor 7: what can be asked of a future, thread or process
*/
#include "bind_queue.h"
#include "call.h"
#include "carrier.h"
#include "codec.h"
#include "poke.h"
#include "process.h"
#include "roster.h"
#include "state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct task *future_check (lua_State *L, int arg) {
  struct block *b = bind_toblock(L, arg);
  if (b == NULL || (b->kind != KIND_FUTURE && b->kind != KIND_THREAD
                    && b->kind != KIND_PROCESS))
    luaL_argerror(L, arg, lua_pushfstring(L, "conc.future, thread or process expected,"
                                          " got %s", luaL_typename(L, arg)));
  return task_of(b);
}

/* {=== waiting for it ===} */

static int await (lua_State *L, struct task *t, int arg) {
  int rc = task_wait(t, bind_deadline(L, arg));
  if (rc == CONC_OK && t->head.kind == KIND_PROCESS)
    process_await_gone(t);
  return rc;
}

/* f:join([timeout]) -> true | nil, "timeout" */
static int m_join (lua_State *L) {
  return bind_result(L, await(L, future_check(L, 1), 2));
}

/* Pushes value, traceback, text of a failure. */
static void push_failure (lua_State *L, struct task *t) {
  struct block *b = load_acquire(&t->outcome);
  int top = lua_gettop(L);
  char story[160];
  if (load_relaxed(&t->flags) & TASK_DIED)
    snprintf(story, sizeof story, "%s \"%s\" died; its outcome is not known",
             block_ops(&t->head)->name, task_name(t));
  else
    snprintf(story, sizeof story, "shared memory is full: the outcome could not be kept");
  if (b == NULL && task_story != NULL)
    task_story(t, &b, story, sizeof story);
  if (b != NULL)
    codec_decode_message(L, b, 0);
  else {
    lua_pushstring(L, story);
    lua_pushnil(L);
    lua_pushstring(L, story);
  }
  lua_settop(L, top + 3);
}

/* f:result([timeout]) -> its values | nil, "timeout"; raises its error */
static int m_result (lua_State *L) {
  struct task *t = future_check(L, 1);
  int rc = await(L, t, 2);
  if (rc != CONC_OK)
    return bind_result(L, rc);
  task_flag(t, TASK_ASKED);
  lua_settop(L, 1);
  switch (task_state(t)) {
    case TASK_DONE: {
      struct block *b = load_acquire(&t->outcome);
      return b != NULL ? codec_decode_message(L, b, 0) : 0;
    }
    case TASK_CANCELLED:
      bind_raise(L, CONC_CANCELLED);
      return 0;
    default:
      push_failure(L, t);
      lua_settop(L, 2);
      return lua_error(L);
  }
}

/* f:error([timeout]) -> nil | error value, traceback | nil, "timeout" */
static int m_error (lua_State *L) {
  struct task *t = future_check(L, 1);
  int rc = await(L, t, 2);
  if (rc != CONC_OK)
    return bind_result(L, rc);
  task_flag(t, TASK_ASKED);
  switch (task_state(t)) {
    case TASK_DONE:
      lua_pushnil(L);
      return 1;
    case TASK_CANCELLED:
      bind_pushcancelled(L);
      return 1;
    default:
      push_failure(L, t);
      lua_pop(L, 1);
      return 2;
  }
}

/* {=== looking at it ===} */

static const char *state_name (struct task *t) {
  static const char *const names[] = {
    "pending", "running", "done", "failed", "cancelled"
  };
  return names[task_state(t)];
}

/* f:done() -> boolean */
static int m_done (lua_State *L) {
  lua_pushboolean(L, task_has_ended(task_state(future_check(L, 1))));
  return 1;
}

/* f:state() -> "pending", "running", "done", "failed", "cancelled" */
static int m_state (lua_State *L) {
  lua_pushstring(L, state_name(future_check(L, 1)));
  return 1;
}

/* t:alive() -> boolean */
static int m_alive (lua_State *L) {
  lua_pushboolean(L, !task_has_ended(task_state(future_check(L, 1))));
  return 1;
}

/* t:name() -> string */
static int m_name (lua_State *L) {
  lua_pushstring(L, future_check(L, 1)->name);
  return 1;
}

/* t:id() -> integer */
static int m_id (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)future_check(L, 1)->id);
  return 1;
}

/* t:pid() -> integer */
static int m_pid (lua_State *L) {
  lua_pushinteger(L, load_acquire(&future_check(L, 1)->pid));
  return 1;
}

/* {=== stopping it ===} */

/* f:cancel() -> boolean: it had not ended yet */
static int m_cancel (lua_State *L) {
  lua_pushboolean(L, task_cancel(future_check(L, 1)));
  return 1;
}

/* p:exitcode() -> integer | nil */
static int m_exitcode (lua_State *L) {
  struct task *t = task_of(bind_check(L, 1, KIND_PROCESS));
  int32_t code = load_acquire(&t->exitcode);
  if (code == NO_EXITCODE || !task_has_ended(task_state(t)))
    lua_pushnil(L);
  else
    lua_pushinteger(L, code);
  return 1;
}

static int send_signal (lua_State *L, int number) {
  struct task *t = task_of(bind_check(L, 1, KIND_PROCESS));
  int error;
  bool alive = process_kill(t, number, &error);
  if (error != 0)
    return luaL_error(L, "process \"%s\" (pid %d): signal %d: %s", t->name,
                      (int)load_relaxed(&t->pid), number, strerror(error));
  lua_pushboolean(L, alive);
  return 1;
}

/* p:terminate() -> boolean: it was alive */
static int m_terminate (lua_State *L) {
  return send_signal(L, SIGTERM);
}

static const struct { const char *name; int number; } signals[] = {
  { "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "BUS", SIGBUS }, { "CHLD", SIGCHLD },
  { "CONT", SIGCONT }, { "FPE", SIGFPE }, { "HUP", SIGHUP }, { "ILL", SIGILL },
  { "INT", SIGINT }, { "KILL", SIGKILL }, { "PIPE", SIGPIPE }, { "QUIT", SIGQUIT },
  { "SEGV", SIGSEGV }, { "STOP", SIGSTOP }, { "SYS", SIGSYS }, { "TERM", SIGTERM },
  { "TRAP", SIGTRAP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU },
  { "URG", SIGURG }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "VTALRM", SIGVTALRM },
  { "WINCH", SIGWINCH }, { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ }
};

static int check_signal (lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0 && n <= SIGRTMAX, arg, "no such signal");
    return (int)n;
  }
  const char *name = luaL_optstring(L, arg, "KILL");
  const char *bare = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    if (strcmp(signals[i].name, bare) == 0)
      return signals[i].number;
  return luaL_argerror(L, arg, lua_pushfstring(L, "no signal '%s'", name));
}

/* p:kill([signal = "KILL"]) -> boolean: it was alive */
static int m_kill (lua_State *L) {
  bind_check(L, 1, KIND_PROCESS);
  return send_signal(L, check_signal(L, 2));
}

/* {=== metamethods ===} */

/* The text of its error, as far as it can be had. */
static int error_text (lua_State *L) {
  push_failure(L, task_of(lua_touserdata(L, 1)));
  return 2;  /* traceback, text */
}

/* conc.future (failed: boom), conc.thread "reader" (running) */
static int meta_tostring (lua_State *L) {
  struct block *b = bind_toblock(L, 1);
  if (b == NULL) {
    lua_pushliteral(L, "conc.future (released)");
    return 1;
  }
  struct task *t = task_of(b);
  if (b->kind == KIND_FUTURE)
    lua_pushfstring(L, "conc.future (%s", state_name(t));
  else
    lua_pushfstring(L, "conc.%s \"%s\" (%s", block_ops(b)->name, task_name(t), state_name(t));
  if (task_state(t) == TASK_FAILED) {
    lua_pushcfunction(L, error_text);
    lua_pushlightuserdata(L, b);
    if (lua_pcall(L, 1, 2, 0) == LUA_OK && lua_isstring(L, -1))
      lua_pushfstring(L, ": %s", lua_tostring(L, -1));
    else
      lua_pushliteral(L, "");
    lua_copy(L, -1, 3);
    lua_settop(L, 3);
    lua_concat(L, 2);
  }
  lua_pushliteral(L, ")");
  lua_concat(L, 2);
  return 1;
}

/* Leaving its scope waits for it; leaving by an error cancels it first. */
static int meta_close (lua_State *L) {
  struct task *t = future_check(L, 1);
  struct thread_record *me = self();
  if (!lua_isnoneornil(L, 2))
    task_cancel(t);
  store_relaxed(&me->shield, load_relaxed(&me->shield) + 1);
  int rc = task_wait(t, DEADLINE_NEVER);
  store_relaxed(&me->shield, load_relaxed(&me->shield) - 1);
  if (rc != CONC_OK)
    bind_raise(L, rc);
  if (t->head.kind == KIND_PROCESS)
    process_await_gone(t);
  return 0;
}

static void report (lua_State *L, struct task *t) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, error_text);
  lua_pushlightuserdata(L, &t->head);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK)
    lua_pushnil(L);
  const char *text = lua_tostring(L, -1), *trace = lua_tostring(L, -2);
  call_print(t, text != NULL ? text : "?", trace);
  lua_settop(L, top);
}

/* The last handle of one whose error nobody asked for: now nobody will. */
static int meta_gc (lua_State *L) {
  struct handle *h = lua_touserdata(L, 1);
  if (h->block == NULL)
    return 0;
  struct task *t = task_of(h->block);
  if (h->process == (uint32_t)load_relaxed(&process_mine()->pid)) {
    add_acqrel(&t->handles, UINT32_MAX);
    if (call_unasked(t))
      report(L, t);
  }
  bind_release(L, 1);
  return 0;
}

/* {=== the end of the process ===} */

/* In a fresh state: that of the program may be in use, or be none of ours. */
void future_report_all (void) {
  lua_State *L = NULL;
  uint32_t at = 0, slot;
  while (life_any() && handle_each(&at, &slot)) {
    struct block *b = handle_get(slot);
    if ((b->kind == KIND_THREAD || b->kind == KIND_PROCESS)
        && call_unasked_at_end(task_of(b))
        && (L != NULL || (L = state_take(task_of(b)->group)) != NULL))
      report(L, task_of(b));
    handle_drop(slot);
  }
}

/* os.exit without closing the state, or the host's exit; after the end of a main
   state there is nothing left to be told. */
static void watch_exit (void) {
  atexit(future_report_all);
}

/* {=== open ===} */

#define FUTURE_METHODS \
  { "cancel", m_cancel }, { "done", m_done }, { "error", m_error }, \
  { "join", m_join }, { "pollfd", bind_pollfd }, { "result", m_result }, \
  { "state", m_state }
#define CARRIER_METHODS \
  { "alive", m_alive }, { "id", m_id }, { "name", m_name }, { "pid", m_pid }

const luaL_Reg future_methods[] = { FUTURE_METHODS, { NULL, NULL } };

const luaL_Reg carrier_methods[] = { FUTURE_METHODS, CARRIER_METHODS, { NULL, NULL } };

const luaL_Reg process_methods[] = {
  FUTURE_METHODS, CARRIER_METHODS,
  { "exitcode", m_exitcode }, { "kill", m_kill }, { "terminate", m_terminate },
  { NULL, NULL }
};

const luaL_Reg future_meta[] = {
  { "__close", meta_close },
  { "__gc", meta_gc },
  { "__tostring", meta_tostring },
  { NULL, NULL }
};

void bind_open_future (lua_State *L);
void bind_open_future (lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_exit);
  bind_class(L, KIND_FUTURE, future_methods, future_meta);
}
