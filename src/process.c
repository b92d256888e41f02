/*
** process.c - floor 4: forked children; the only fork
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "process.h"
#include "call.h"
#include "keeper.h"
#include "poke.h"
#include "roster.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GONE_MOST  ((nanos)2 * 1000000000)
#define EXIT_MOST  ((nanos)200 * 1000)   /* what an exit usually takes, and more */

struct child {
  struct child *next;
  pid_t pid;
  int fd;                          /* pidfd, or -1 */
  bool watched;                    /* the keeper waits for it */
  struct life *life;
  struct process_record *record;
  uint32_t generation;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct child *children;
static struct child *spare;        /* to be used again */
static int nchildren, npolled;

void (*process_buried) (void);
static _Atomic uint32_t reaped;    /* counts up; futex of who awaits one gone */

/* {=== fork ===} */

static void begin_child (struct process_record *record, pid_t parent, bool inherits) {
  process_born_child(record);
  if (!sys_die_with_parent(parent))
    _exit(1);
  sys_forget_output();  /* what other threads wrote since the flush */
  signal(SIGINT, SIG_IGN);
  thread_signals();
  poke_child();
  roster_child(inherits);
}

static void begin_parent (struct child *c, pid_t pid) {
  process_born_parent(c->record, pid);
  c->pid = pid;
  c->fd = sys_pidfd(pid);
  pthread_mutex_lock(&lock);
  c->next = children;
  children = c;
  nchildren++;
  if (c->fd < 0) npolled++;
  c->watched = true;
  keeper_watch(c->fd);
  pthread_mutex_unlock(&lock);
}

static struct child *child_new (void) {
  pthread_mutex_lock(&lock);
  struct child *c = spare;
  if (c != NULL)
    spare = c->next;
  pthread_mutex_unlock(&lock);
  if (c == NULL && (c = malloc(sizeof *c)) == NULL)
    return NULL;
  *c = (struct child){ .fd = -1 };
  return c;
}

static void child_drop (struct child *c) {
  pthread_mutex_lock(&lock);
  c->next = spare;
  spare = c;
  pthread_mutex_unlock(&lock);
}

static enum forked refuse (struct child *c, int error) {
  if (c != NULL && c->life != NULL)
    life_end(c->life);
  if (c != NULL)
    child_drop(c);
  errno = error;
  return FORK_FAILED;
}

enum forked process_fork (struct block *b) {
  struct task *t = task_of(b);
  struct child *c = child_new();
  if (c == NULL)
    return refuse(c, ENOMEM);
  if (keeper_start() != CONC_OK)
    return refuse(c, errno);
  if ((c->life = life_begin(b)) == NULL)
    return refuse(c, ENOSPC);
  thread_forks();
  fflush(NULL);
  /* a quiet one is a pool's template: it has no use for our handles */
  struct process_record *record =
    process_embryo((load_relaxed(&t->flags) & TASK_QUIET) == 0);
  if (record == NULL)
    return refuse(c, ENOSPC);
  c->record = record;
  c->generation = load_relaxed(&record->generation);
  t->process = record->index;
  t->process_generation = c->generation;
  block_ref(&record->task, b);
  if ((load_relaxed(&t->flags) & TASK_QUIET) == 0)
    roster_withhold(record);
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) {
    int error = errno;
    process_drop_embryo(record);
    return refuse(c, error);
  }
  if (pid == 0) {  /* 'c' is not freed here: to write in it would cost a page */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    begin_child(record, parent, (load_relaxed(&t->flags) & TASK_QUIET) == 0);
    store_release(&t->pid, (int32_t)getpid());
    return FORK_CHILD;
  }
  begin_parent(c, pid);
  store_release(&t->pid, (int32_t)pid);
  return FORK_PARENT;
}

enum forked process_fork_worker (pid_t *child, struct process_record **record,
                                 uint32_t *generation) {
  fflush(NULL);
  struct process_record *p = process_embryo(false);
  if (p == NULL) {
    errno = ENOSPC;
    return FORK_FAILED;
  }
  *record = p;
  *generation = load_relaxed(&p->generation);
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) {
    int error = errno;
    process_drop_embryo(p);
    errno = error;
    return FORK_FAILED;
  }
  if (pid == 0) {
    begin_child(p, parent, false);
    return FORK_CHILD;
  }
  process_born_parent(p, pid);
  *child = pid;
  return FORK_PARENT;
}

_Noreturn void process_end (int code) {
  fflush(NULL);
  process_depart();
  _exit(code);
}

/* {=== their end ===} */

static void tell (struct task *t, const struct child *c, int status, char *to,
                  size_t size) {
  int n = snprintf(to, size, "process \"%s\" (pid %d) ", t->name, (int)c->pid);
  if (n < 0 || (size_t)n >= size)
    return;
  to += n;
  size -= (size_t)n;
  if (WIFSIGNALED(status))
    snprintf(to, size, "was killed by signal %d", WTERMSIG(status));
  else if (status >= 0)
    snprintf(to, size, "left by os.exit(%d)", WEXITSTATUS(status));
  else
    snprintf(to, size, "has ended (its status was taken by another waitpid)");
}

/* 'status' -1: somebody else has reaped it. True: it had not finished its task. */
static bool bury (struct child *c, int status) {
  struct task *t = c->life->task;
  bool died = !task_has_ended(task_state(t));
  if (died) {
    char story[160];
    int code = status < 0 ? 1 : WIFSIGNALED(status) ? -WTERMSIG(status)
             : WEXITSTATUS(status);
    int32_t none = NO_EXITCODE;
    cas_relaxed(&t->exitcode, &none, (int32_t)code);
    tell(t, c, status, story, sizeof story);
    task_flag(t, TASK_DIED);
    if (code == 0)
      task_flag(t, TASK_REPORTED);
    life_retire(c->life);
    process_bury(c->record, c->generation);
    call_died(t, story);
  }
  else
    process_bury(c->record, c->generation);
  life_end(c->life);
  if (process_buried != NULL)
    process_buried();
  pthread_mutex_lock(&lock);
  nchildren--;
  c->next = spare;
  spare = c;
  pthread_mutex_unlock(&lock);
  add_acqrel(&reaped, 1);
  sys_futex_wake(&reaped, INT32_MAX);
  return died;
}

/* Under the mutex. A copy of the pidfd may be on its way out of a child that was
   just forked: the keeper would hear of that one's for ever. */
static void unwatch (struct child *c) {
  if (c->watched && c->fd >= 0)
    keeper_unwatch(c->fd);
  c->watched = false;
}

/* Under the mutex: out of the list and reaped, if it has ended. */
static bool take_ended (struct child **at, int *status) {
  struct child *c = *at;
  pid_t got = waitpid(c->pid, status, WNOHANG);
  if (got != c->pid && !(got < 0 && errno == ECHILD))
    return false;
  if (got < 0) *status = -1;
  unwatch(c);
  if (c->fd >= 0) close(c->fd);
  else npolled--;
  *at = c->next;
  return true;
}

/* One that has ended, reaped. NULL: none has. */
static struct child *reap_one (int *status) {
  pthread_mutex_lock(&lock);
  struct child **at = &children, *c;
  while ((c = *at) != NULL && !take_ended(at, status))
    at = &c->next;
  pthread_mutex_unlock(&lock);
  return c;
}

bool process_reap (void) {
  struct child *c;
  int status;
  bool died = false;
  while ((c = reap_one(&status)) != NULL)
    died |= bury(c, status);
  return died;
}

int process_children (void) {
  pthread_mutex_lock(&lock);
  int n = nchildren;
  pthread_mutex_unlock(&lock);
  return n;
}

bool process_polled (void) {
  pthread_mutex_lock(&lock);
  bool any = npolled > 0;
  pthread_mutex_unlock(&lock);
  return any;
}

/* Under the mutex: where it is in the list; NULL there: it is not. */
static struct child **place_of (struct task *t) {
  struct child **at = &children;
  while (*at != NULL && (*at)->life->task != t)
    at = &(*at)->next;
  return at;
}

static struct child *child_of (struct task *t) {
  return *place_of(t);
}

/*
** One that has ended its task is at its exit, which takes some ten microseconds:
** to sleep for it, and to wake the keeper for it, takes as long again. So who
** joins it takes it from the keeper and reaps it himself; meanwhile he yields, since
** it may be on his own processor. False: it takes longer, and is the keeper's again.
*/
static bool reap_awake (struct task *t) {
  deadline until = sys_now() + EXIT_MOST;
  bool late;
  do {
    int status;
    pthread_mutex_lock(&lock);
    struct child **at = place_of(t), *c = *at;
    late = sys_now() >= until;
    if (c != NULL && !late)
      unwatch(c);
    bool ended = c != NULL && take_ended(at, &status);
    if (c != NULL && !ended && late && !c->watched) {
      c->watched = true;
      keeper_watch(c->fd);
    }
    pthread_mutex_unlock(&lock);
    if (ended)
      bury(c, status);
    if (c == NULL || ended)
      return true;
    sched_yield();
  } while (!late);
  return false;
}

void process_await_gone (struct task *t) {
  if (t->home != process_mine()->index
      || t->home_generation != load_relaxed(&process_mine()->generation))
    return;
  if (reap_awake(t))
    return;
  deadline until = sys_now() + GONE_MOST;
  while (sys_now() < until) {
    uint32_t before = load_acquire(&reaped);
    pthread_mutex_lock(&lock);
    bool there = child_of(t) != NULL;
    pthread_mutex_unlock(&lock);
    if (!there)
      return;
    sys_futex_wait(&reaped, before, until);
  }
}

/* {=== signals ===} */

/* Of our own child, under the mutex: 1 sent, 0 it has ended, -1 none of ours. */
static int kill_child (struct task *t, int number, int *error) {
  int rc = -1;
  pthread_mutex_lock(&lock);
  struct child *c = child_of(t);
  if (c != NULL) {
    siginfo_t info = { .si_pid = 0 };
    bool ended = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0
              && info.si_pid == c->pid;
    rc = ended ? 0 : 1;
    if (!ended && kill(c->pid, number) != 0)
      *error = errno;
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

static bool is_there (struct process_record *p, uint32_t generation) {
  return load_acquire(&p->generation) == generation
      && sys_process_alive((pid_t)load_relaxed(&p->pid), load_acquire(&p->ticks));
}

/* Another's child. A pidfd names one process for good: looked at after it was
   opened, it is the one that was meant. */
static bool kill_other (struct task *t, int number, int *error) {
  struct process_record *p = process_at(t->process);
  pid_t pid = (pid_t)load_relaxed(&p->pid);
  if (!is_there(p, t->process_generation))
    return false;
  if (pid == getpid()) {
    if (kill(pid, number) != 0) *error = errno;
    return true;
  }
  int fd = sys_pidfd(pid);
  bool there = is_there(p, t->process_generation);
  if (there) {
#ifdef SYS_pidfd_send_signal
    long rc = fd >= 0 ? syscall(SYS_pidfd_send_signal, fd, number, NULL, 0)
                      : kill(pid, number);
#else
    long rc = kill(pid, number);
#endif
    if (rc != 0) *error = errno;
  }
  if (fd >= 0)
    close(fd);
  return there;
}

bool process_kill (struct task *t, int number, int *error) {
  *error = 0;
  if (task_has_ended(task_state(t)) || load_acquire(&t->pid) == 0)
    return false;
  uint32_t stopped = load_relaxed(&t->flags) & TASK_STOPPED;
  if (number != 0)
    task_flag(t, TASK_STOPPED);
  int sent = kill_child(t, number, error);
  bool alive = sent >= 0 ? sent > 0 : kill_other(t, number, error);
  if ((!alive || *error != 0) && !stopped && number != 0)
    atomic_fetch_and_explicit(&t->flags, ~(uint32_t)TASK_STOPPED, memory_order_relaxed);
  return alive;
}

/* {=== load and fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }
static void in_parent (void) { pthread_mutex_unlock(&lock); }

/* Not freed: to write in it would cost a page. */
static void in_child (void) {
  for (struct child *c = children; c != NULL; c = c->next)
    if (c->fd >= 0)
      close(c->fd);
  children = NULL;
  nchildren = npolled = 0;
  pthread_mutex_unlock(&lock);
}

void process_open (void) {
  pthread_atfork(before_fork, in_parent, in_child);
}
