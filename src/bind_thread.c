/*
** bind_thread.c - floor 7: conc.thread, conc.timer, and who runs
**
** A thread's call is encoded and posted before it is started, in the caller;
** decoded, run and its results encoded in its own state; then the state is
** closed (finalizers run, files are flushed), then the task is finished: who
** joins finds all of it done.
*/
#include "call.h"
#include "carrier.h"
#include "codec.h"
#include "end.h"
#include "keeper.h"
#include "message.h"
#include "open.h"
#include "poke.h"
#include "roster.h"
#include "state.h"
#include "sys.h"
#include "timer.h"

#include <errno.h>
#include <lualib.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {=== in the new thread ===} */

struct spawn {
  struct life *life;
  deadline due;                   /* of a timer; DEADLINE_NOW else */
  bool named;                     /* by the program: the system is told */
};

static int apply (lua_State *L) {
  codec_apply_setting(L, lua_touserdata(L, 1));
  return 0;
}

/* What the spawner's state has beyond a fresh one. False: '*o' says why not. */
static bool apply_setting (lua_State *L, struct task *t, struct outcome *o) {
  struct block *setting = task_take(t, &t->items);
  if (setting == NULL)
    return true;
  lua_pushcfunction(L, apply);
  lua_pushlightuserdata(L, setting);
  int status = lua_pcall(L, 1, 0, 0);
  message_drop(setting);
  if (status != LUA_OK)
    call_error(L, o);
  return status == LUA_OK;
}

static void run_in_state (struct task *t, struct outcome *o) {
  lua_State *L = state_take(t->group);
  if (L == NULL) {
    call_failed("not enough memory for the thread's state", o);
    return;
  }
  carrier_hooks(L);
  if (apply_setting(L, t, o))
    call_message(L, task_take(t, &t->call), o);
  state_give(L);
  gate_set_hooks(NULL);
}

/* False: it was cancelled before it was due. */
static bool await_due (struct task *t, deadline due) {
  int rc = CONC_TIMEOUT;
  if (due != DEADLINE_NOW)
    rc = task_wait_plain(t, due);
  return rc == CONC_TIMEOUT;
}

static void thread_run (void *arg) {
  struct spawn s = *(struct spawn *)arg;
  struct task *t = s.life->task;
  struct outcome o;
  free(arg);
  call_become(t);
  if (await_due(t, s.due) && task_claim(t)) {
    if (s.named)
      sys_thread_name(t->name);
    run_in_state(t, &o);
    life_retire(s.life);
    call_become(NULL);
    record_renew();  /* what it still holds is abandoned before anybody can join */
    call_finish(t, &o);
  }
  else
    call_become(NULL);
  life_end(s.life);
}

/* {=== starting ===} */

/* Nothing may raise between encoding and this. */
static void keep (lua_State *L, struct task *t, struct block *_Atomic *place,
                  struct parcel *p) {
  struct block *b = parcel_post(p);
  if (b == NULL) {
    parcel_drop(p);
    bind_full(L);
  }
  task_keep(t, place, b);
}

/* The values from 'first' on; the first of them was argument 'base' of the call. */
static void post_call (lua_State *L, struct task *t, int first, int n, int base) {
  struct parcel p;
  if (codec_encode_setting(L, &p))
    keep(L, t, &t->items, &p);
  codec_encode(L, first, n, CODEC_RUN, "argument", base, &p);
  keep(L, t, &t->call, &p);
}

/* A timer's time has come: it gets its thread. Or it was cancelled. */
static void timer_ends (void *arg, bool due) {
  struct spawn *s = arg;
  struct life *life = s->life;
  struct outcome o;
  char text[120];
  s->due = DEADLINE_NOW;
  if (due && thread_start(thread_run, s, NULL) == CONC_OK)
    return;
  if (due) {
    snprintf(text, sizeof text, "no thread could be started: %s", strerror(errno));
    call_failed(text, &o);
    call_finish(life->task, &o);
  }
  free(s);
  life_end(life);
}

/* Waits for its time in no thread of its own, unless it has come, or the thread
   has something of its own from the start. */
static int start_timer (struct task *t, struct spawn *s, const struct thread_options *o) {
  if (o->cpus != NULL || o->nice != 0 || thread_is_apart() || s->due <= sys_now())
    return thread_start(thread_run, s, o);
  store_relaxed(&t->begun, sys_now());
  store_relaxed(&t->timeout, s->due);
  return timer_set(t, s->due, timer_ends, s);
}

static int start_spawn (struct task *t, deadline due, const struct start *start) {
  struct spawn *s = malloc(sizeof *s);
  if (s == NULL) {
    errno = ENOMEM;
    return CONC_SYSTEM;
  }
  s->due = due;
  s->named = start->name[0] != '\0';
  s->life = life_begin(&t->head);
  if (s->life == NULL) {
    free(s);
    return CONC_FULL;
  }
  struct life *life = s->life;
  int rc = due != DEADLINE_NOW ? start_timer(t, s, &start->options)
                               : thread_start(thread_run, s, &start->options);
  if (rc != CONC_OK) {
    int error = errno;
    life_end(life);
    free(s);
    errno = error;
  }
  return rc;
}

/* Pushes the handle of the thread that runs the function at 's', its arguments
   up to 'last'. */
static void spawn (lua_State *L, struct start *s, int last, deadline due,
                   const char *who) {
  struct process_record *here = process_mine();
  carrier_wrap(L, s);
  struct task *t = carrier_task(L, KIND_THREAD, s);
  t->process = here->index;
  t->process_generation = load_relaxed(&here->generation);
  store_relaxed(&t->pid, load_relaxed(&here->pid));
  bool timer = due != DEADLINE_NOW;  /* its seconds came before the function */
  if (timer)
    task_flag(t, TASK_TIMER);
  post_call(L, t, s->function, last - s->function + 1, s->function + timer);
  int rc = keeper_start();
  if (rc == CONC_OK)
    rc = start_spawn(t, due, s);
  if (rc == CONC_FULL)
    bind_full(L);
  if (rc != CONC_OK)
    luaL_error(L, "conc.%s: no thread could be started: %s", who, strerror(errno));
  keeper_work();
}

/* conc.thread([options,] f, ...) -> thread */
static int core_thread (lua_State *L) {
  struct start s;
  int last = lua_gettop(L);
  carrier_check(L, 1, &s);
  spawn(L, &s, last, DEADLINE_NOW, "thread");
  return 1;
}

/* conc.timer([options,] seconds, f, ...) -> thread */
static int core_timer (lua_State *L) {
  struct start s;
  bool options = lua_istable(L, 1);
  int at = options ? 2 : 1;
  double seconds = luaL_checknumber(L, at);
  if (isnan(seconds))
    luaL_argerror(L, at, "seconds expected, got NaN");
  lua_remove(L, at);
  luaL_checkany(L, at);
  int last = lua_gettop(L);
  carrier_check(L, 1, &s);
  deadline due = sys_deadline(seconds);
  if (due == DEADLINE_NOW)
    due = sys_now();
  spawn(L, &s, last, due, "timer");
  return 1;
}

/* {=== who runs ===} */

static pthread_key_t host_key;          /* made once, before any use */
static __thread uint32_t host_place;    /* of the thread's task in the roster */

/* A thread of the host's ends (the first one never does): so does its task. */
static void host_ends (void *unused) {
  struct thread_record *me = record_mine;
  struct block *b = (me != NULL) ? load_relaxed(&me->task) : NULL;
  (void)unused;
  poke_forget(NULL);
  gate_set_hooks(NULL);
  if (b != NULL) {
    roster_remove(host_place, b);
    task_finish(task_of(b), TASK_DONE, NULL);
    call_become(NULL);
  }
  record_detach();
}

/* The main thread, and any other of the host's, is a thread called "main". */
static void become_main (lua_State *L) {
  struct thread_record *me = self();
  struct process_record *here = process_mine();
  if (load_relaxed(&me->task) != NULL)
    return;
  struct block *b = task_new(KIND_THREAD, "main");
  if (b == NULL)
    bind_full(L);
  struct task *t = task_of(b);
  t->process = here->index;
  t->process_generation = load_relaxed(&here->generation);
  store_relaxed(&t->pid, load_relaxed(&here->pid));
  task_flag(t, TASK_MAIN);
  task_claim(t);
  call_become(t);
  host_place = roster_add(b);
  pthread_setspecific(host_key, me);
  arena_settle(b);
  uint32_t slot = handle_new(b);  /* the table of handles is made now: it stays */
  if (slot != UINT32_MAX)
    handle_drop(slot);
}

/* conc.current() -> thread or process */
static int core_current (lua_State *L) {
  become_main(L);
  bind_pushblock(L, load_relaxed(&self()->task));
  return 1;
}

static int push_listed (lua_State *L) {
  struct message *m = lua_touserdata(L, 1);
  lua_Integer n = lua_tointeger(L, 2);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    bind_pushblock(L, load_relaxed(&m->refs[i - 1]));
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* conc.list_alive() -> list of threads and processes */
static int core_list_alive (lua_State *L) {
  uint32_t n;
  become_main(L);
  lua_pushcfunction(L, push_listed);
  struct block *b = roster_list(&n);
  if (b == NULL)
    bind_full(L);
  lua_pushlightuserdata(L, b);
  lua_pushinteger(L, (lua_Integer)n);
  int status = lua_pcall(L, 2, 1, 0);
  message_drop(b);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* {=== small things ===} */

/* conc.cpu_count() -> integer */
static int core_cpu_count (lua_State *L) {
  lua_pushinteger(L, sys_cpu_count());
  return 1;
}

/* conc.now() -> seconds */
static int core_now (lua_State *L) {
  lua_pushnumber(L, (lua_Number)sys_now() / 1e9);
  return 1;
}

/* conc.sleep(seconds) */
static int core_sleep (lua_State *L) {
  if (lua_type(L, 1) != LUA_TNUMBER || isnan(lua_tonumber(L, 1))) {
    const char *got = lua_isnone(L, 1) ? "nothing"
                    : lua_type(L, 1) == LUA_TNUMBER ? "NaN" : luaL_typename(L, 1);
    luaL_argerror(L, 1, lua_pushfstring(L, "seconds expected, got %s", got));
  }
  deadline until = sys_deadline(lua_tonumber(L, 1));
  if (until != DEADLINE_NOW) {
    int rc = gate_sleep(until);
    if (rc != CONC_TIMEOUT)
      bind_raise(L, rc);
  }
  return 0;
}

static int unshield (lua_State *L, int status, lua_KContext unused) {
  struct thread_record *me = self();
  (void)unused;
  store_relaxed(&me->shield, load_relaxed(&me->shield) - 1);
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) : lua_error(L);
}

/* conc.shield(f, ...) -> f's results; cancelling is put off */
static int core_shield (lua_State *L) {
  struct thread_record *me = self();
  luaL_checktype(L, 1, LUA_TFUNCTION);
  store_relaxed(&me->shield, load_relaxed(&me->shield) + 1);
  int status = lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, unshield);
  return unshield(L, status, 0);
}

/* conc.print(...): one whole line by one write */
static int core_print (lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  size_t len;
  const char *line = lua_tolstring(L, -1, &len);
  fwrite(line, 1, len, stdout);
  fflush(stdout);
  return 0;
}

/* {=== open ===} */

static const luaL_Reg functions[] = {
  { "cpu_count", core_cpu_count },
  { "current", core_current },
  { "list_alive", core_list_alive },
  { "now", core_now },
  { "print", core_print },
  { "shield", core_shield },
  { "sleep", core_sleep },
  { "thread", core_thread },
  { "timer", core_timer },
  { NULL, NULL }
};

/* Where a fresh state has functions of ours for those of the standard library,
   they travel as those do. */
static void own_functions (lua_State *L) {
  static const char *const names[][2] = {
    { "_G", "print" }, { "_G", "setmetatable" }, { "debug", "setmetatable" }
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *name = lua_pushfstring(L, "%s.%s", names[i][0], names[i][1]);
    lua_getglobal(L, names[i][0]);
    lua_getfield(L, -1, names[i][1]);
    lua_remove(L, -2);
    codec_own(L, name);
    lua_pop(L, 1);
  }
}

/* {=== conc, loaded ahead ===} */

/*
** Most functions that are sent mention conc, and to load it takes longer than the
** rest of a thread's life. So it is loaded while the state is made, found by the
** paths of the first main state, and put away: package.loaded has the standard
** library alone. 'require' finds it there where the paths are still the same.
*/
static char *_Atomic ahead_path, *_Atomic ahead_cpath;   /* NULL: unknown; else
                                                constant, the second written first */
static const char ahead_key = 'a';

/* The first main state's; of several at the same moment one is the first. */
static void keep_paths (const char *path, const char *cpath) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  if (load_relaxed(&ahead_path) == NULL) {
    store_relaxed(&ahead_cpath, strdup(cpath));
    store_release(&ahead_path, strdup(path));
  }
  pthread_mutex_unlock(&lock);
}

static void note_paths (lua_State *L) {
  int top = lua_gettop(L);
  if (load_acquire(&ahead_path) != NULL)
    return;
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
    if (lua_isstring(L, -1) && lua_isstring(L, -2))
      keep_paths(lua_tostring(L, -2), lua_tostring(L, -1));
  }
  lua_settop(L, top);
}

static bool same_field (lua_State *L, const char *name, const char *value) {
  lua_getfield(L, -1, name);
  const char *its = lua_tostring(L, -1);
  bool same = its != NULL && value != NULL && strcmp(its, value) == 0;
  lua_pop(L, 1);
  return same;
}

/* Are the paths those that it was loaded by? */
static bool same_paths (lua_State *L) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  bool same = lua_istable(L, -1) && same_field(L, "path", load_acquire(&ahead_path))
           && same_field(L, "cpath", load_relaxed(&ahead_cpath));
  lua_pop(L, 1);
  return same;
}

/* Puts all that was loaded ahead into package.loaded; gives the module 'name'. */
static int ahead_loader (lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ahead_key);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -5) == LUA_TNIL) {
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      lua_rawset(L, -7);
    }
    lua_pop(L, 2);
  }
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

/* In place of package.searchers[1], and like it but for that. */
static int ahead_searcher (lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, name) != LUA_TNIL) {
    lua_pushliteral(L, ":preload:");
    return 2;
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ahead_key) == LUA_TTABLE
      && lua_getfield(L, -1, name) != LUA_TNIL && same_paths(L)) {
    lua_pushcfunction(L, ahead_loader);
    lua_pushliteral(L, ":conc:");
    return 2;
  }
  lua_pushfstring(L, "no field package.preload['%s']", name);
  return 1;
}

static void put_searcher (lua_State *L) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");
  lua_pushcfunction(L, ahead_searcher);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 2);
}

/* The core is here already: no library is loaded for it. */
static int require_conc (lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  open_pushcore(L);
  lua_setfield(L, -2, "conc.core");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc");
  lua_call(L, 1, 0);
  return 0;
}

/* What package.loaded has that it had not before, a copy of which is at 'old',
   goes away from there and into the table at the top. */
static void put_away (lua_State *L, int old) {
  int to = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    if (lua_rawget(L, old) == LUA_TNIL) {
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      lua_rawset(L, to);
      lua_pushvalue(L, -3);
      lua_pushnil(L);
      lua_rawset(L, to + 1);
    }
    lua_pop(L, 2);
  }
  lua_settop(L, to);
}

static void copy_loaded (lua_State *L) {
  lua_newtable(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

static void swap_paths (lua_State *L, const char *path, const char *cpath) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_pushstring(L, path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, cpath);
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
}

static void load_ahead (lua_State *L) {
  const char *path = load_acquire(&ahead_path);
  if (path == NULL)
    return;
  lua_settop(L, 0);
  copy_loaded(L);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "path");
  lua_getfield(L, -2, "cpath");
  swap_paths(L, path, load_relaxed(&ahead_cpath));
  lua_pushcfunction(L, require_conc);
  bool loaded = lua_pcall(L, 0, 0, 0) == LUA_OK;
  swap_paths(L, lua_tostring(L, 3), lua_tostring(L, 4));
  lua_newtable(L);
  put_away(L, 1);
  if (loaded)
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ahead_key);
  lua_settop(L, 0);
}

/* A fresh state, before its image is taken. */
static int make_state (lua_State *L) {
  luaL_openlibs(L);
  state_furnish(L);
  lua_pushcfunction(L, core_print);
  lua_setglobal(L, "print");
  put_searcher(L);
  codec_open_state(L);
  own_functions(L);
  open_state(L);
  load_ahead(L);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

static void poke_task (struct task *t) {
  poke_thread(load_relaxed(&t->runner));
}

static void open_first (void) {
  static const struct call_lua lua = { bind_pushcancelled, bind_iscancelled };
  pthread_key_create(&host_key, host_ends);
  call_open(&lua);
  state_set_maker(make_state);
  task_poke = poke_task;
}

void bind_open_thread (lua_State *L);
void bind_open_thread (lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_first);
  luaL_setfuncs(L, functions, 0);
  bind_class(L, KIND_THREAD, carrier_methods, future_meta);
  if (!state_ours(L)) {
    struct poke unused;
    note_paths(L);
    carrier_hooks(L);
    become_main(L);
    poke_enter(L, &unused);
    end_watch(L, carrier_group(L));
  }
}
