/*
** worker.c - floor 5: the body of a worker; threads and processes as workers
*/
#include "worker.h"
#include "bundle.h"
#include "call.h"
#include "codec.h"
#include "end.h"
#include "keeper.h"
#include "poke.h"
#include "process.h"
#include "roster.h"
#include "state.h"
#include "sys.h"
#include "thread.h"

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct worker_lua lua;            /* constant after init */
static __thread lua_State *my_state;     /* of a worker */

/* {=== one task ===} */

static void stamp (struct pool_worker *w) {
  if (load_relaxed(&w->limit) > 0)
    store_release(&w->begun, sys_now());
}

/*
** A chunk. All its items run under one protected call; when one raises, its
** error is noted and the rest is begun anew. A function with something of its
** own (upvalues, globals that came along) is decoded anew for each item: none
** sees what another did to it.
*/
struct chunk {
  struct pool_worker *w;
  struct task *t;
  struct block *items;           /* results */
  struct entry *function;
  bool bare;                     /* one copy of the function serves all */
  struct block *numbers;         /* arguments that are numbers of one type; NULL */
  size_t at;                     /* in the bundle of arguments */
  uint32_t next;                 /* the item that runs, or is to run next */
  bool full;                     /* shared memory is */
};

static void decode_entry (lua_State *L, struct entry *e, unsigned flags) {
  size_t length;
  struct block *_Atomic const *refs;
  uint32_t nrefs;
  const char *bytes = entry_bytes(e, &length, &refs, &nrefs);
  codec_decode(L, bytes, length, refs, nrefs, flags);
}

/* Results that are not all numbers of one type: the entries they would have been. */
static bool to_entries (lua_State *L, struct chunk *k) {
  const struct bundle_place in = { &k->t->items, &k->t->guard };
  uint32_t n = bundle_count(k->items);
  struct block *b = bundle_new((size_t)k->t->nitems * 24);
  struct parcel p;
  for (uint32_t i = 0; b != NULL && i < n; i++) {
    uint64_t bits = bundle_numbers(k->items)[i];
    if (k->items->flags == BUNDLE_INTEGERS)
      lua_pushinteger(L, (lua_Integer)bits);
    else {
      lua_Number x;
      memcpy(&x, &bits, sizeof x);
      lua_pushnumber(L, x);
    }
    bool good = codec_try_encode(L, lua_gettop(L), 1, 0, "result", 1, &p) == LUA_OK;
    lua_pop(L, 1);
    if (!good || !bundle_add(&b, NULL, &p, ENTRY_VALUE)) {
      block_destroy(b);
      b = NULL;
    }
  }
  if (b == NULL)
    return false;
  bundle_swap(b, &in);
  k->items = b;
  return true;
}

/* Keeps a result that is a number of the bundle's type; the first says which. */
static bool keep_number (lua_State *L, struct chunk *k) {
  struct block *b = k->items;
  uint64_t bits;
  if (b->flags == BUNDLE_ENTRIES && bundle_count(b) > 0)
    return false;
  if (lua_isinteger(L, -1)) {
    if (b->flags == BUNDLE_FLOATS) return false;
    b->flags = BUNDLE_INTEGERS;
    bits = (uint64_t)lua_tointeger(L, -1);
  }
  else if (lua_type(L, -1) == LUA_TNUMBER) {
    lua_Number x = lua_tonumber(L, -1);
    if (b->flags == BUNDLE_INTEGERS) return false;
    b->flags = BUNDLE_FLOATS;
    memcpy(&bits, &x, sizeof bits);
  }
  else
    return false;
  return bundle_add_number(b, bits);
}

/* Keeps the result on the top. False: it cannot be sent (the error is on the
   top), or there is no room. */
static bool keep_value (lua_State *L, struct chunk *k) {
  const struct bundle_place in = { &k->t->items, &k->t->guard };
  struct parcel p;
  if (keep_number(L, k))
    return true;
  if (k->items->flags != BUNDLE_ENTRIES && !to_entries(L, k)) {
    k->full = true;
    return false;
  }
  if (codec_try_encode(L, lua_gettop(L), 1, 0, "result", 1, &p) != LUA_OK)
    return false;
  if (bundle_add(&k->items, &in, &p, ENTRY_VALUE))
    return true;
  parcel_drop(&p);
  k->full = true;
  return false;
}

/* The error on the top is the item's. False: cancelled, or no room. */
static bool keep_error (lua_State *L, struct chunk *k) {
  const struct bundle_place in = { &k->t->items, &k->t->guard };
  struct outcome o;
  if (k->items->flags != BUNDLE_ENTRIES && !to_entries(L, k)) {
    k->full = true;
    return false;
  }
  call_error(L, &o);
  lua_pushnil(L);
  if (o.state == TASK_CANCELLED)
    return false;
  k->full = o.message == NULL;
  if (!k->full && !bundle_add_message(&k->items, &in, o.message, ENTRY_ERROR)) {
    message_drop(o.message);
    k->full = true;
  }
  return !k->full;
}

/* Pushes the arguments of the next item. False: there is none. */
static bool push_item (lua_State *L, struct chunk *k) {
  if (k->numbers == NULL) {
    struct entry *e = bundle_next(load_relaxed(&k->t->call), &k->at);
    if (e != NULL)
      decode_entry(L, e, 0);
    return e != NULL;
  }
  if (k->next >= bundle_count(k->numbers))
    return false;
  uint64_t bits = bundle_numbers(k->numbers)[k->next];
  if (k->numbers->flags == BUNDLE_INTEGERS)
    lua_pushinteger(L, (lua_Integer)bits);
  else {
    lua_Number x;
    memcpy(&x, &bits, sizeof x);
    lua_pushnumber(L, x);
  }
  return true;
}

/* Runs items until there are no more, or one raises: then k->next says which. */
static int run_items (lua_State *L) {
  struct chunk *k = (struct chunk *)lua_touserdata(L, 1);
  lua_settop(L, 0);
  if (k->bare)
    decode_entry(L, k->function, CODEC_RUN);
  int base = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  while (!task_has_ended(task_state(k->t))) {
    if (load_relaxed(&k->w->limit) > 0)
      store_release(&k->w->begun, sys_now());
    if (k->bare)
      lua_pushvalue(L, 1);
    else
      decode_entry(L, k->function, CODEC_RUN);
    if (!push_item(L, k))
      break;
    lua_call(L, lua_gettop(L) - base - 1, 1);
    if (!keep_value(L, k)) {
      if (k->full)
        break;
      return lua_error(L);
    }
    store_relaxed(&k->t->ngood, load_relaxed(&k->t->ngood) + 1);
    k->next++;
    lua_settop(L, base);
  }
  return 0;
}

/* Each result counts as soon as it is there. */
static void run_all (lua_State *L, struct chunk *k) {
  int base = lua_gettop(L);
  bool more = true;
  while (more) {
    lua_pushcfunction(L, call_on_error);
    lua_pushcfunction(L, run_items);
    lua_pushlightuserdata(L, k);
    more = lua_pcall(L, 1, 0, base + 1) != LUA_OK && keep_error(L, k)
        && !(load_relaxed(&k->t->flags) & TASK_FIRST);
    if (more || bundle_count(k->items) > k->next) {  /* an error was kept */
      store_relaxed(&k->t->nfailed, load_relaxed(&k->t->nfailed) + 1);
      k->next++;
    }
    lua_settop(L, base);
  }
}

static void run_chunk (lua_State *L, struct pool_worker *w, struct task *t) {
  struct chunk k = { .w = w, .t = t, .items = load_relaxed(&t->items) };
  struct poke before;
  size_t length;
  struct block *_Atomic const *refs;
  uint32_t nrefs;
  k.function = bundle_next(load_relaxed(&t->call), &k.at);
  const char *bytes = entry_bytes(k.function, &length, &refs, &nrefs);
  k.bare = codec_is_bare_function(bytes, length);
  k.numbers = load_relaxed(&t->numbers);
  lua_checkstack(L, LUA_MINSTACK);
  poke_enter(L, &before);
  run_all(L, &k);
  poke_leave(&before);
  bool stopped = (load_relaxed(&t->flags) & TASK_STOPPED) != 0;
  store_relaxed(&t->finished, sys_now());
  task_finish(t, stopped ? TASK_CANCELLED : k.full ? TASK_FAILED : TASK_DONE, NULL);
}

static void run_task (lua_State *L, struct crew *c, struct task *t) {
  uint32_t i;
  pool_current(&i);
  struct pool_worker *w = &c->workers[i];
  nanos limit = load_relaxed(&w->limit), begun = load_relaxed(&w->begun);
  store_relaxed(&w->limit, load_relaxed(&t->timeout));
  if (t->nitems > 0)
    run_chunk(L, w, t);
  else {
    struct outcome o;
    stamp(w);
    call_kept(L, load_relaxed(&t->call), t, &o);
    call_finish(t, &o);
  }
  store_relaxed(&w->begun, begun);   /* of the task that this one ran inside of */
  store_relaxed(&w->limit, limit);
}

static void run_inline (struct crew *c, struct task *t) {
  struct thread_record *me = self();
  run_task(my_state, c, t);
  if ((load_relaxed(&t->flags) & TASK_STOPPED) != 0)
    store_full(&me->cancel, 0);      /* it was meant for the inner one */
  if (pool_outer_stops(c)) {         /* or not for it alone */
    gate_cancel(me->key);
    poke_thread(me->key);
  }
}

/* {=== its life ===} */

static int apply (lua_State *L) {
  struct block *message = (struct block *)lua_touserdata(L, 1);
  codec_apply_setting(L, message);
  return 0;
}

/* Settings and initializer. False: the pool has failed. */
static bool prepare (lua_State *L, struct crew *c) {
  struct block *setting = load_relaxed(&c->setting);
  struct block *initializer = load_relaxed(&c->initializer);
  struct outcome o = { TASK_DONE, NULL, NULL, NULL };
  if (setting != NULL) {
    lua_pushcfunction(L, apply);
    lua_pushlightuserdata(L, setting);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
      call_error(L, &o);
  }
  if (o.state == TASK_DONE && initializer != NULL)
    call_kept(L, initializer, NULL, &o);
  free(o.report);
  if (o.state == TASK_DONE) {
    if (o.message != NULL)
      message_drop(o.message);
    return true;
  }
  pool_fail(c, POOL_INITIALIZER, o.message);
  return false;
}

/* A worker is a thread or process like any: with a name, in list_alive. */
static struct life *appear (struct crew *c, uint32_t i) {
  struct process_record *here = process_mine();
  char name[NAME_SIZE];
  snprintf(name, sizeof name, "%.30s/worker-%u", c->config.name, c->workers[i].number);
  sys_thread_name(name);
  struct block *b = task_new(c->process ? KIND_PROCESS : KIND_THREAD, name);
  if (b == NULL)
    return NULL;
  struct task *t = task_of(b);
  t->group = c->group;
  t->process = here->index;
  t->process_generation = load_relaxed(&here->generation);
  store_relaxed(&t->pid, (int32_t)getpid());
  task_flag(t, TASK_DAEMON | TASK_REPORTED);
  task_claim(t);
  struct life *l = life_begin(b);
  if (l == NULL) {
    block_destroy(b);
    return NULL;
  }
  arena_settle(b);
  call_become(t);
  return l;
}

static void vanish (struct life *l) {
  if (l == NULL)
    return;
  life_retire(l);
  call_become(NULL);
  task_finish(l->task, TASK_DONE, NULL);
  life_end(l);
}

/* The caller holds the lease. */
static void worker_run (struct crew *c, uint32_t i) {
  struct task *t;
  struct life *life = appear(c, i);
  lua_State *L = state_take(c->group);
  if (L == NULL) {
    vanish(life);
    pool_fail(c, POOL_NO_WORKER, NULL);
    pool_left(c, i);
    return;
  }
  my_state = L;
  store_release(&c->workers[i].key, self()->key);
  lua.hooks(L);
  poke_settle(L);
  if (prepare(L, c)) {
    pool_enter(c, i);
    while (pool_take(c, i, &t) == CONC_OK)
      run_task(L, c, t);
    poke_forget(NULL);
    state_give(L);
    vanish(life);
    pool_leave(c, i);
  }
  else {
    poke_forget(NULL);
    state_give(L);
    vanish(life);
    pool_left(c, i);
  }
  gate_set_hooks(NULL);
  my_state = NULL;
}

/* {=== threads ===} */

struct start { struct crew *c; uint32_t i; uint32_t slot; };

static struct start *start_new (struct crew *c, uint32_t i) {
  struct start *s = malloc(sizeof *s);
  if (s == NULL)
    return NULL;
  *s = (struct start){ c, i, handle_new(c->lease) };
  if (s->slot == UINT32_MAX) {
    free(s);
    return NULL;
  }
  return s;
}

static void start_free (struct start *s) {
  handle_drop(s->slot);
  free(s);
}

static void thread_worker (void *arg) {
  struct start *s = (struct start *)arg;
  worker_run(s->c, s->i);
  start_free(s);
}

static int start_thread (struct crew *c, uint32_t i) {
  struct start *s = start_new(c, i);
  if (s == NULL)
    return CONC_FULL;
  int rc = thread_start(thread_worker, s, NULL);
  if (rc != CONC_OK)
    start_free(s);
  return rc;
}

/* It may be stuck in C: then it is left behind, and ends when it can. */
static void stop_thread (struct crew *c, uint32_t i, bool at_once) {
  thread_key key = load_acquire(&c->workers[i].key);
  (void)at_once;
  if (key != 0 && gate_cancel(key))
    poke_thread(key);
}

static void reap_threads (struct crew *c) {
  (void)c;
}

static const struct spawner threads = { start_thread, stop_thread, reap_threads };

static void thread_manager (void *arg) {
  struct start *s = (struct start *)arg;
  sys_thread_name(s->c->config.name);
  pool_manage(s->c, &threads);
  start_free(s);
  pool_forget();
}

/* {=== processes: all of this in the template ===} */

struct child { struct process_record *record; uint32_t generation; };
static struct child *forked;             /* by place */
static thread_key template_key;

static int start_process (struct crew *c, uint32_t i) {
  pid_t pid;
  struct child *child = &forked[i];
  switch (process_fork_worker(&pid, &child->record, &child->generation)) {
    case FORK_FAILED:
      return CONC_SYSTEM;
    case FORK_CHILD: {
      signal(SIGCHLD, SIG_DFL);
      uint32_t slot = handle_new(c->lease);
      if (slot != UINT32_MAX)
        worker_run(c, i);
      else
        pool_fail(c, POOL_NO_WORKER, NULL);
      process_end(0);
    }
    case FORK_PARENT:
      store_release(&c->workers[i].pid, (int32_t)pid);
      return CONC_OK;
  }
  return CONC_SYSTEM;
}

static void stop_process (struct crew *c, uint32_t i, bool at_once) {
  pid_t pid = (pid_t)load_relaxed(&c->workers[i].pid);
  if (pid > 0)  /* not reaped yet: by nobody but us */
    kill(pid, at_once ? SIGKILL : SIGTERM);
}

static void reap_processes (struct crew *c) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (uint32_t i = 0; i < c->places; i++)
      if (load_relaxed(&c->workers[i].pid) == pid) {
        process_bury(forked[i].record, forked[i].generation);
        manager_lost(c, i, status);
        store_relaxed(&c->workers[i].pid, 0);
        break;
      }
}

static const struct spawner processes = { start_process, stop_process, reap_processes };

/* In the template: a child has ended. The ring is one swap and a system call. */
static void on_child (int number) {
  int error = errno;
  (void)number;
  gate_ring(template_key);
  errno = error;
}

static _Noreturn void template_main (struct crew *c) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_child;
  template_key = self()->key;
  gate_set_hooks(NULL);
  uint32_t slot = handle_new(c->lease);
  forked = calloc(c->places, sizeof *forked);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  sigaction(SIGCHLD, &a, NULL);
  sys_thread_name(c->config.name);
  snprintf(self()->name, NAME_SIZE, "%.36s/template", c->config.name);
  if (slot != UINT32_MAX && forked != NULL)
    pool_manage(c, &processes);
  else
    pool_fail(c, POOL_NO_WORKER, NULL);
  process_end(0);
}

/* The template is a process like any, quiet: its keeper reaps it. */
static int start_template (struct crew *c) {
  struct block *b = task_new(KIND_PROCESS, c->config.name);
  if (b == NULL)
    return CONC_FULL;
  task_flag(task_of(b), TASK_QUIET | TASK_DAEMON);
  task_of(b)->group = c->group;
  uint32_t slot = handle_new(b);
  if (slot == UINT32_MAX) {
    block_destroy(b);
    return CONC_FULL;
  }
  arena_settle(b);
  int rc = CONC_OK;
  switch (process_fork(b)) {
    case FORK_CHILD:
      task_claim(task_of(b));
      template_main(c);
    case FORK_FAILED:
      rc = errno == ENOSPC ? CONC_FULL : CONC_SYSTEM;
      break;
    case FORK_PARENT: {  /* its record's life, as that of the manager to be */
      struct process_record *p = process_at(task_of(b)->process);
      store_relaxed(&c->manager_generation, task_of(b)->process_generation);
      store_release(&c->manager_process, p->index + 1);
      break;
    }
  }
  int error = errno;
  handle_drop(slot);
  errno = error;
  return rc;
}

/* {=== start ===} */

int worker_start_pool (struct crew *c) {
  if (c->process)
    return start_template(c);
  struct start *s = start_new(c, 0);
  if (s == NULL)
    return CONC_FULL;
  int rc = keeper_start();
  if (rc == CONC_OK)
    rc = thread_start(thread_manager, s, NULL);
  if (rc != CONC_OK)
    start_free(s);
  return rc;
}

void worker_open (const struct worker_lua *l) {
  static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&opening);
  if (pool_run_inline != run_inline) {  /* not again: threads may be reading this */
    lua = *l;
    end_pools = pool_end_all;
    pool_run_inline = run_inline;
  }
  pthread_mutex_unlock(&opening);
}
