/*
** poke.c - floor 4: stopping Lua code that runs
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "poke.h"
#include "keeper.h"
#include "state.h"
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GRACE    1000                        /* instructions */
#define STEPS    8         /* until a guard is in its variable, if it goes there */
#define ANSWER   ((nanos)200 * 1000000)      /* how long a signal is waited for */

struct poked {
  lua_State *_Atomic L;       /* the handler reads it; NULL: runs no Lua */
  lua_State *_Atomic main;    /* the main thread of that state */
  lua_State *home;            /* it runs Lua in this one again and again, and is in
                                 the table meanwhile (poke_settle); NULL */
  _Atomic bool hooked;        /* hooks were set since poke_enter */
  _Atomic uint32_t answers;
  volatile uint32_t met;      /* how often it met its cancelling */
  bool gave;                  /* a guard was given, maybe long ago */
  uint32_t since, steps;      /* instructions since then; let pass in all (0: none) */
};

static __thread struct poked mine
#if defined(__GNUC__)
  __attribute__((tls_model("initial-exec")))
#endif
;

static lua_State *running (void) { return load_relaxed(&mine.L); }
static lua_State *main_running (void) { return load_relaxed(&mine.main); }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct poked **table;   /* by index of the record; apart, so that the
                                  small things of this library lie close together:
                                  what a forked child writes is copied by the page */

static void (*push_cancelled) (lua_State *L);              /* constant after init */
static bool for_good;                                      /* SIGURG is ours; set at birth */

/* {=== the hook ===} */

static bool asked (const struct thread_record *me) {
  return load_acquire(&me->cancel) == ((uint32_t)(me->key >> 16) | 1u << 31);
}

/* Is the function below the value on the top (popped) its __close? */
static bool closes_top (lua_State *L) {
  bool found = false;
  if (lua_getmetatable(L, -1)) {
    lua_pushliteral(L, "__close");
    lua_rawget(L, -2);
    found = lua_rawequal(L, -1, -4) != 0;
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return found;
}

/* Is the function on the top __close of a value in the frame? */
static bool closes_one (lua_State *L, const lua_Debug *frame, int most) {
  for (int i = 1; i <= most && lua_getlocal(L, frame, i) != NULL; i++)
    if (closes_top(L))
      return true;
  return false;
}

/*
** Is level 'ar' of L a __close handler? Then it is __close of its first
** argument, if it has kept that; or of a variable in the frame of who called it:
** the block that is left, or after an error the pcall, whose frame reaches over
** what is left of the function that raised.
*/
static bool is_close (lua_State *L, lua_Debug *ar, int level) {
  lua_Debug caller;
  lua_getinfo(L, "f", ar);
  bool found = closes_one(L, ar, 1)
            || (lua_getstack(L, level + 1, &caller) && closes_one(L, &caller, INT_MAX));
  lua_pop(L, 1);
  return found;
}

static void look_for_close (lua_State *L, void *found) {
  lua_Debug ar;
  if (!lua_checkstack(L, 8))
    return;
  for (int level = 0; !*(bool *)found && lua_getstack(L, level, &ar); level++)
    *(bool *)found = is_close(L, &ar, level);
}

static lua_State *main_of (lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

bool poke_closing (lua_State *L) {
  bool found = false;
  look_for_close(L, &found);
  if (!found && running() != NULL && running() != L)
    look_for_close(running(), &found);
  if (!found && lua_checkstack(L, 1)) {
    lua_State *main = main_of(L);
    if (main != L)
      look_for_close(main, &found);
  }
  if (!found)
    state_each(L, look_for_close, &found);
  return found;
}

static void set_hook (lua_State *L, void *count);

static void set_hooks (int count) {
  lua_State *L = running();
  store_relaxed(&mine.hooked, true);
  set_hook(main_running(), &count);
  set_hook(L, &count);
  state_each(L, set_hook, &count);
}

void poke_gave (void) {
  mine.gave = true;
}

/*
** Might a guard be on its way to its variable? Then one instruction passes. In a
** loop that does nothing but take guards there is no time without: after a
** while the middle between two is good enough.
*/
static bool on_its_way (void) {
  if (mine.gave) {
    mine.gave = false;
    mine.since = 0;
  }
  else if (mine.steps == 0)
    return false;
  mine.since++;
  mine.steps++;
  if (mine.since <= (mine.steps > 8 * STEPS ? STEPS / 2 - 1 : STEPS))
    return true;
  mine.steps = 0;
  return false;
}

static void cancel_hook (lua_State *L, lua_Debug *ar) {
  struct thread_record *me = self();
  (void)ar;
  if (!asked(me) || running() == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (load_relaxed(&me->shield) > 0 || poke_closing(L)) {
    set_hooks(GRACE);
    return;
  }
  if (on_its_way()) {
    set_hooks(1);
    lua_sethook(L, cancel_hook, LUA_MASKCOUNT, 1);
    return;
  }
  set_hooks(mine.met++ == 0 ? GRACE : 1);
  lua_sethook(L, cancel_hook, LUA_MASKCOUNT, mine.met == 1 ? GRACE : 1);
  push_cancelled(L);
  lua_error(L);
}

void poke_met (void) {
  if (mine.met++ == 0 && running() != NULL && lua_gethook(running()) == cancel_hook)
    set_hooks(GRACE);
}

static void set_hook (lua_State *L, void *count) {
  lua_sethook(L, cancel_hook, LUA_MASKCOUNT, *(int *)count);
}

static void line_hook (lua_State *L, lua_Debug *ar);

static void unset_hook (lua_State *L, void *unused) {
  (void)unused;
  if (lua_gethook(L) == cancel_hook || lua_gethook(L) == line_hook)
    lua_sethook(L, NULL, 0, 0);
}

/* {=== where it is ===} */

static void unset_line_hook (lua_State *L, void *unused);

/* Of one coroutine alone is it the turn: it tells, and all forget. */
static void line_hook (lua_State *L, lua_Debug *ar) {
  struct thread_record *me = self();
  unset_line_hook(main_running(), NULL);
  unset_line_hook(L, NULL);
  state_each(L, unset_line_hook, NULL);
  if (load_relaxed(&me->ask_line) == 0)
    return;
  lua_getinfo(L, "Sl", ar);
  if (ar->currentline > 0)
    snprintf(me->line, sizeof me->line, "%s:%d", ar->short_src, ar->currentline);
  store_release(&me->ask_line, 0);
  sys_futex_wake(&me->ask_line, INT32_MAX);
}

static void unset_line_hook (lua_State *L, void *unused) {
  (void)unused;
  if (lua_gethook(L) == line_hook)
    lua_sethook(L, NULL, 0, 0);
}

/* Another's hook stays. */
static void set_line_hook (lua_State *L, void *unused) {
  (void)unused;
  if (lua_gethook(L) == NULL)
    lua_sethook(L, line_hook, LUA_MASKCOUNT, 1);
}

/* {=== the signal ===} */

/* A thread that waits meets its cancelling in the wait; the hook is for what
   it does when it has swallowed it. */
static void hook_me (void) {
  struct thread_record *me = record_mine;
  if (running() == NULL || me == NULL)
    return;
  if (asked(me))
    set_hooks(load_relaxed(&me->wait_verb) != NULL || mine.met > 0 ? GRACE : 1);
  else if (load_relaxed(&me->ask_line) != 0) {
    store_relaxed(&mine.hooked, true);
    set_line_hook(main_running(), NULL);
    set_line_hook(running(), NULL);
    state_each(running(), set_line_hook, NULL);
  }
}

static void on_signal (int number) {
  int saved = errno;
  (void)number;
  hook_me();
  add_acqrel(&mine.answers, 1);
  sys_futex_wake(&mine.answers, INT32_MAX);
  errno = saved;
}

static void install (struct sigaction *old) {
  struct sigaction ours;
  memset(&ours, 0, sizeof ours);
  ours.sa_handler = on_signal;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  sigaction(SIGURG, &ours, old);
}

static bool signal_thread (pid_t pid, pid_t tid) {
  return syscall(SYS_tgkill, pid, tid, SIGURG) == 0;
}

static void set_from_outside (struct poked *p) {
  int count = 1;
  lua_State *L = load_acquire(&p->L);
  if (L != NULL) {
    store_relaxed(&p->hooked, true);
    set_hook(load_relaxed(&p->main), &count);
    set_hook(L, &count);
  }
}

/* One that does not answer has the signal blocked, or a sanitizer keeps it back. */
static void signal_and_wait (struct poked *p, pid_t tid) {
  uint32_t before = load_acquire(&p->answers);
  deadline until = sys_now() + ANSWER;
  if (!signal_thread(getpid(), tid))
    return;
  while (load_acquire(&p->answers) == before && sys_now() < until)
    sys_futex_wait(&p->answers, before, until);
  if (load_acquire(&p->answers) == before)
    set_from_outside(p);
}

/* Under the lock, so that the thread stays what it is. */
static void poke_here (struct poked *p, pid_t tid) {
  struct sigaction old;
  if (p == &mine)
    hook_me();
  else if (for_good)
    signal_and_wait(p, tid);
  else {
    sigaction(SIGURG, NULL, &old);
    if (!(old.sa_flags & SA_SIGINFO)
        && (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN)) {
      install(&old);
      signal_and_wait(p, tid);
      sigaction(SIGURG, &old, NULL);
      keeper_again();
    }
    else
      set_from_outside(p);
  }
}

static void poke_local (uint32_t index, thread_key key) {
  pthread_mutex_lock(&lock);
  struct poked *p = table[index];
  struct thread_record *t = record_at(index);
  if (p != NULL && load_acquire(&p->L) != NULL
      && (key == 0 ? asked(t) || load_relaxed(&t->ask_line) != 0 : !record_ended(key)))
    poke_here(p, (pid_t)load_relaxed(&t->tid));
  pthread_mutex_unlock(&lock);
}

void poke_thread (thread_key key) {
  struct thread_record *t = record_at(KEY_INDEX(key));
  uint32_t owner = load_acquire(&t->owner);
  if (key == 0 || owner == 0 || record_ended(key))
    return;
  struct process_record *p = process_at(owner - 1);
  if (p == process_mine())
    poke_local(KEY_INDEX(key), key);
  else if (load_acquire(&p->wants) & KEEPER_NOT_NEEDED)
    signal_thread((pid_t)load_relaxed(&p->pid), (pid_t)load_relaxed(&t->tid));
  else
    keeper_ring(p);
}

void poke_ask_line (uint32_t index) {
  struct thread_record *t = record_at(index);
  store_release(&t->ask_line, 1);
  poke_thread((thread_key)load_acquire(&t->generation) << 16 | index);
}

void poke_asked (void) {
  int top = thread_count();
  uint32_t me = process_mine()->index + 1;
  for (int i = 0; i < top; i++) {
    struct thread_record *t = record_at((uint32_t)i);
    if (load_acquire(&t->owner) == me
        && (load_relaxed(&t->cancel) != 0 || load_relaxed(&t->ask_line) != 0))
      poke_local((uint32_t)i, 0);
  }
}

/* {=== who runs Lua ===} */

static void unset_all (lua_State *L, lua_State *main) {
  store_relaxed(&mine.hooked, false);
  unset_hook(main, NULL);
  unset_hook(L, NULL);
  state_each(L, unset_hook, NULL);
}

static void runs (lua_State *L) {
  store_relaxed(&mine.main, main_of(L));
  store_release(&mine.L, L);
}

void poke_enter (lua_State *L, struct poke *before) {
  before->L = running();
  before->met = mine.met;
  if (mine.home == L)
    store_release(&mine.L, L);
  else {
    pthread_mutex_lock(&lock);
    runs(L);
    table[self()->index] = &mine;
    pthread_mutex_unlock(&lock);
  }
  mine.met = 0;
  if (before->met == 0 && asked(self()))
    hook_me();  /* the signal came before there was a state to stop */
}

/* At home the state outlives the call, and who sets a hook from outside a moment
   too late sets one that finds nothing to do. */
static void leave_home (const struct poke *before) {
  store_release(&mine.L, before->L);
  if (load_relaxed(&mine.hooked))
    unset_all(mine.home, main_running());
}

static void leave (const struct poke *before) {
  lua_State *L = running();
  pthread_mutex_lock(&lock);
  store_relaxed(&mine.L, NULL);
  unset_all(L, main_running());
  if (before->L != NULL)
    runs(before->L);
  else if (mine.home == NULL)
    table[self()->index] = NULL;
  else
    store_relaxed(&mine.main, main_of(mine.home));
  pthread_mutex_unlock(&lock);
}

void poke_leave (const struct poke *before) {
  if (mine.home != NULL && running() == mine.home
      && (before->L == NULL || before->L == mine.home))
    leave_home(before);
  else
    leave(before);
  mine.met = before->met;
}

void poke_settle (lua_State *L) {
  pthread_mutex_lock(&lock);
  store_relaxed(&mine.main, main_of(L));
  mine.home = L;
  table[self()->index] = &mine;
  pthread_mutex_unlock(&lock);
}

void poke_forget (lua_State *L) {
  pthread_mutex_lock(&lock);
  lua_State *last = running() != NULL ? running() : mine.home;
  if (last != NULL && (L == NULL || main_running() == main_of(L))) {
    store_relaxed(&mine.L, NULL);
    mine.home = NULL;
    table[self()->index] = NULL;
  }
  pthread_mutex_unlock(&lock);
}

/* {=== load and fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }
static void in_parent (void) { pthread_mutex_unlock(&lock); }

/* The thread that forked is the only one; it has another record now. Only what
   is set is cleared: a page that is not written is not copied. */
static void in_child (void) {
  int top = thread_count();
  for (int i = 0; i < top; i++)
    if (table[i] != NULL) table[i] = NULL;
  mine.home = NULL;
  pthread_mutex_unlock(&lock);
}

void poke_child (void) {
  sigset_t urg;
  for_good = true;
  install(NULL);
  sigemptyset(&urg);
  sigaddset(&urg, SIGURG);
  pthread_sigmask(SIG_UNBLOCK, &urg, NULL);
  atomic_fetch_or_explicit(&process_mine()->wants, KEEPER_NOT_NEEDED,
                           memory_order_release);
}

bool poke_open (void (*push) (lua_State *L)) {
  table = calloc(MAX_THREADS, sizeof *table);
  if (table == NULL)
    return false;
  push_cancelled = push;
  pthread_atfork(before_fork, in_parent, in_child);
  return true;
}
