/*
** keeper.c - floor 4: a helper thread for each process that has children or threads
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "keeper.h"
#include "arena.h"
#include "call.h"
#include "gate.h"
#include "poke.h"
#include "process.h"
#include "roster.h"
#include "sys.h"
#include "thread.h"
#include "timer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUND   1000    /* milliseconds between looks around */
#define SOON      20    /* the same after a child has ended that may have had some */
#define POLL      20    /* the same where the system has no pidfd */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static _Atomic bool running;                               /* also read without it */
static int epoll_fd = -1, signal_fd = -1;                  /* constant while running */

static _Atomic bool idle;     /* it may sleep for ever: ring it when there is work */

/* {=== what it does ===} */

static void died (struct task *t) {
  char story[160];
  bool process = t->head.kind == KIND_PROCESS;
  snprintf(story, sizeof story, "%s \"%s\" (pid %d) died with its %s",
           process ? "process" : "thread", t->name, (int)load_relaxed(&t->pid),
           process ? "parent" : "process");
  task_flag(t, TASK_DIED | TASK_REPORTED);
  call_died(t, story);
}

static void finish_dead (void) {
  uint32_t slot;
  while (roster_find_dead(&slot)) {
    died(task_of(handle_get(slot)));
    handle_drop(slot);
  }
}

/* Found by a waiter. Of a process whose parent lives, that one's keeper tells; a
   thread of ours tells by itself, but not one of the host's. */
static void look_after (struct task *t) {
  if (t->head.kind != KIND_THREAD && t->head.kind != KIND_PROCESS)
    return;
  if (roster_orphaned(t))
    died(t);
  else if ((load_relaxed(&t->flags) & TASK_MAIN) && record_ended(load_relaxed(&t->runner)))
    task_finish(t, TASK_DONE, NULL);
}

static void look_around (void) {
  process_look_around();
  finish_dead();
  timer_look();
  arena_trim();
}

static void drain_rings (void) {
  struct signalfd_siginfo info;
  while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {}
}

/* Was it rung? Then what that may have been for is done. */
static bool answer (void) {
  uint32_t wants = atomic_fetch_and_explicit(&process_mine()->wants, ~KEEPER_RUNG,
                                            memory_order_seq_cst);
  if (!(wants & KEEPER_RUNG))
    return false;
  poke_asked();
  timer_look();
  return true;
}

/* Of the program's first process: do others live, or begin to, children of dead ones
   too? */
static bool has_descendants (void) {
  struct process_record *me = process_mine();
  int n = process_count();
  for (int i = 0; i < n; i++) {
    uint32_t owner = load_relaxed(&process_at((uint32_t)i)->owner);
    if ((uint32_t)i != me->index && (owner & 7) != PROCESS_FREE)
      return load_relaxed(&me->owner) >> 3 == me->index;
  }
  return false;
}

static bool has_something (void) {
  return process_children() > 0 || life_count() > 0 || has_descendants();
}

/* {=== the lookout (gate.h) ===} */

static nanos look_out_at;     /* read and written by the keeper alone; 0: it may rest */

/* Where there are very many threads their words take a while to look through. */
static nanos next_look_out (nanos took) {
  nanos gap = LOOK_OUT + took * 64;
  return sys_now() + (gap < LOOK_MAX ? gap : LOOK_MAX);
}

static void look_out (bool called) {
  nanos now = sys_now();
  if (look_out_at != 0 && now >= look_out_at)
    look_out_at = gate_look_out() ? next_look_out(sys_now() - now) : 0;
  else if (look_out_at == 0 && called)
    look_out_at = now + LOOK_OUT;
}

static void call_me (void) {
  keeper_ring(process_mine());
}

/* {=== its rounds ===} */

/* In milliseconds; -1: until rung. 'idle' first, then the look: either we see
   who came meanwhile, or he sees that we sleep. 'quiet': nothing has happened
   in the last round. */
static int how_long (bool poll, bool quiet, nanos next) {
  nanos left = (look_out_at != 0 && look_out_at < next ? look_out_at : next) - sys_now();
  int round = left > 0 ? (int)(left / 1000000) + 1 : 0;
  if (poll)
    return POLL;
  if (!quiet || look_out_at != 0)
    return round;
  store_full(&idle, true);
  if (!has_something())
    return -1;
  store_full(&idle, false);
  return round;
}

static void keeper_body (void *unused) {
  struct epoll_event event[16];
  nanos next = sys_now() + (nanos)ROUND * 1000000;
  bool quiet = false;
  (void)unused;
  store_release(&process_mine()->bell, (uint32_t)sys_tid());
  look_out_at = sys_now() + LOOK_OUT;
  gate_lookout(call_me);
  for (;;) {
    bool poll = process_polled();
    int most = how_long(poll, quiet, next);
    if (load_full(&process_mine()->wants) & KEEPER_RUNG)
      most = 0;
    int n = epoll_wait(epoll_fd, event, 16, most);
    store_relaxed(&idle, false);
    if (n > 0)
      quiet = false;
    else
      quiet = !has_something();
    bool ended = poll;
    for (int i = 0; i < n; i++) {
      if (event[i].data.fd == signal_fd)
        drain_rings();
      else
        ended = true;
    }
    look_out(answer());
    if (ended && process_reap()) {   /* one died: its own children will, too */
      finish_dead();
      next = sys_now() + (nanos)SOON * 1000000;
    }
    if (sys_now() >= next) {
      look_around();
      next = sys_now() + (nanos)ROUND * 1000000;
    }
  }
}

/* {=== its beginning ===} */

static int watch (int fd) {
  struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static bool open_files (void) {
  sigset_t urg;
  sigemptyset(&urg);
  sigaddset(&urg, SIGURG);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  signal_fd = signalfd(-1, &urg, SFD_CLOEXEC | SFD_NONBLOCK);
  return epoll_fd >= 0 && signal_fd >= 0;
}

static void close_files (void) {
  if (epoll_fd >= 0) close(epoll_fd);
  if (signal_fd >= 0) close(signal_fd);
  epoll_fd = signal_fd = -1;
}

/* The thread reads its SIGURG from a descriptor, so it must be blocked there;
   and epoll reports a signalfd's signals to who added it. */
static void first_words (void *unused) {
  sigset_t urg;
  sigemptyset(&urg);
  sigaddset(&urg, SIGURG);
  pthread_sigmask(SIG_BLOCK, &urg, NULL);
  watch(signal_fd);
  keeper_body(unused);
}

int keeper_start (void) {
  int rc = CONC_OK;
  if (load_acquire(&running))
    return CONC_OK;
  pthread_mutex_lock(&lock);
  if (!load_relaxed(&running)) {
    rc = open_files() ? thread_start(first_words, NULL, NULL) : CONC_SYSTEM;
    store_release(&running, rc == CONC_OK);
    if (rc != CONC_OK) {
      int error = errno;
      close_files();
      errno = error;
    }
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

void keeper_watch (int fd) {
  if (fd >= 0)
    watch(fd);
  keeper_work();
}

void keeper_unwatch (int fd) {
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void keeper_work (void) {
  fence_full();
  if (load_relaxed(&idle))
    keeper_ring(process_mine());
}

static void send_ring (struct process_record *p) {
  uint32_t tid = load_acquire(&p->bell);
  if (tid != 0)
    syscall(SYS_tgkill, (pid_t)load_relaxed(&p->pid), (pid_t)tid, SIGURG);
}

void keeper_ring (struct process_record *p) {
  atomic_fetch_or_explicit(&p->wants, KEEPER_RUNG, memory_order_seq_cst);
  send_ring(p);
}

void keeper_again (void) {
  if (load_full(&process_mine()->wants) & KEEPER_RUNG)
    send_ring(process_mine());
}

/* {=== load and fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }

/* Of a child of the host's own nobody else tells the keeper. */
static void in_parent (void) {
  pthread_mutex_unlock(&lock);
  if (load_relaxed(&running))
    keeper_work();
}

/* By syscall, which is used before: the page with close would be one more fault. */
static void in_child (void) {
  if (epoll_fd >= 0) syscall(SYS_close, epoll_fd);
  if (signal_fd >= 0) syscall(SYS_close, signal_fd);
  epoll_fd = signal_fd = -1;
  store_relaxed(&running, false);
  store_relaxed(&idle, false);
  gate_lookout(NULL);
  pthread_mutex_unlock(&lock);
}

void keeper_open (void) {
  task_lost = look_after;
  pthread_atfork(before_fork, in_parent, in_child);
}
