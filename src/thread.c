/*
** thread.c - floor 4: native threads, parked and used again
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "thread.h"
#include "record.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define KEEP        64                               /* parked at a time, at most */
#define IDLE        ((nanos)10 * 1000000000)
#define STACK_LEAST ((size_t)1024 * 1024)

enum word { PARKED = 0, CALLED };

struct carrier {
  _Atomic uint32_t word;          /* enum word; its futex */
  thread_body *body;              /* what CALLED calls; written before it */
  void *arg;
  struct carrier *next;           /* in the list of the parked */
  bool forked;                    /* must not end; written by the thread itself */
  bool apart;                     /* runs one body only */
  struct ticket *ticket;          /* NULL: no options */
};

/* On the stack of a starter that waits until the options were taken. */
struct ticket {
  const struct thread_options *options;
  _Atomic uint32_t began;         /* 0; 1 + errno; the last that the thread touches */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct carrier *parked;
static int parked_count;

static __thread struct carrier *mine;    /* NULL in the program's own threads */
static sigset_t program_signals;         /* the mask of who loaded us; constant after init */

/* {=== the life of a native thread ===} */

static bool unlist (struct carrier *c) {
  struct carrier **at = &parked;
  while (*at != NULL && *at != c)
    at = &(*at)->next;
  if (*at == NULL)
    return false;
  *at = c->next;
  parked_count--;
  return true;
}

/* Waits for the next body. False: none came, or enough are parked. */
static bool park (struct carrier *c) {
  pthread_mutex_lock(&lock);
  bool stay = parked_count < KEEP || c->forked;
  if (stay) {
    store_relaxed(&c->word, PARKED);
    c->next = parked;
    parked = c;
    parked_count++;
  }
  pthread_mutex_unlock(&lock);
  if (!stay)
    return false;
  deadline until = c->forked ? DEADLINE_NEVER : sys_now() + IDLE;
  while (load_acquire(&c->word) == PARKED) {
    if (sys_futex_wait(&c->word, PARKED, until) == CONC_TIMEOUT) {
      pthread_mutex_lock(&lock);
      bool none = unlist(c);   /* false: a body is on its way */
      pthread_mutex_unlock(&lock);
      if (none)
        return false;
      until = DEADLINE_NEVER;
    }
  }
  return true;
}

/* Its children live as long as it does. */
static void stay_for_good (struct carrier *c) {
  store_relaxed(&c->word, PARKED);
  for (;;)
    sys_futex_wait(&c->word, PARKED, DEADLINE_NEVER);
}

static bool take_options (struct carrier *c) {
  struct ticket *t = c->ticket;
  int error = 0;
  if (t == NULL)
    return true;
  const struct thread_options *o = t->options;
  if ((o->cpus != NULL && sys_set_cpus(o->cpus, o->ncpus) != 0)
      || (o->nice != 0 && sys_add_nice(o->nice) != 0))
    error = errno;
  store_release(&t->began, 1 + (uint32_t)error);
  sys_futex_wake(&t->began, 1);
  return error == 0;
}

static void *carrier_main (void *arg) {
  struct carrier *c = mine = arg;
  self();
  if (take_options(c)) {
    do {
      c->body(c->arg);
      record_renew();  /* what it still holds is abandoned from now on */
    } while (!c->apart && park(c));
  }
  if (c->forked)
    stay_for_good(c);
  record_detach();
  free(c);
  return NULL;
}

/* {=== starting ===} */

static int create (struct carrier *c) {
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, old;
  size_t stack;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  if (pthread_attr_getstacksize(&attr, &stack) == 0 && stack < STACK_LEAST)
    pthread_attr_setstacksize(&attr, STACK_LEAST);
  sigfillset(&all);
  sigdelset(&all, SIGURG);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int error = pthread_create(&thread, &attr, carrier_main, c);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return error;
}

static int start_new (thread_body *body, void *arg, struct ticket *ticket) {
  struct carrier *c = calloc(1, sizeof *c);
  if (c == NULL) {
    errno = ENOMEM;
    return CONC_SYSTEM;
  }
  c->body = body;
  c->arg = arg;
  c->ticket = ticket;
  c->apart = ticket != NULL || (mine != NULL && mine->apart);  /* inherits both */
  int error = create(c);
  if (error == 0)
    return CONC_OK;
  free(c);
  errno = error;
  return CONC_SYSTEM;
}

/* What the options ask for, only the thread itself can do; the system may refuse. */
static int start_apart (thread_body *body, void *arg, const struct thread_options *o) {
  struct ticket t = { .options = o };
  int rc = start_new(body, arg, &t);
  if (rc != CONC_OK)
    return rc;
  while (load_acquire(&t.began) == 0)
    sys_futex_wait(&t.began, 0, DEADLINE_NEVER);
  errno = (int)load_relaxed(&t.began) - 1;
  return errno == 0 ? CONC_OK : CONC_SYSTEM;
}

static struct carrier *unpark (void) {
  if (mine != NULL && mine->apart)
    return NULL;
  pthread_mutex_lock(&lock);
  struct carrier *c = parked;
  if (c != NULL) {
    parked = c->next;
    parked_count--;
  }
  pthread_mutex_unlock(&lock);
  return c;
}

int thread_start (thread_body *body, void *arg, const struct thread_options *o) {
  if (o != NULL && (o->cpus != NULL || o->nice != 0))
    return start_apart(body, arg, o);
  struct carrier *c = unpark();
  if (c == NULL)
    return start_new(body, arg, NULL);
  c->body = body;
  c->arg = arg;
  store_release(&c->word, CALLED);
  sys_futex_wake(&c->word, 1);
  return CONC_OK;
}

bool thread_is_apart (void) {
  return mine != NULL && mine->apart;
}

void thread_forks (void) {
  if (mine != NULL)
    mine->forked = true;
}

/* {=== load and fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }
static void in_parent (void) { pthread_mutex_unlock(&lock); }

/* The parked ones are the parent's. What is left of them here is a little memory,
   which is not freed: to write in it would cost a page. */
static void in_child (void) {
  parked = NULL;
  parked_count = 0;
  pthread_mutex_unlock(&lock);
}

void thread_signals (void) {
  if (mine != NULL)
    pthread_sigmask(SIG_SETMASK, &program_signals, NULL);
}

void thread_open (void) {
  pthread_sigmask(SIG_SETMASK, NULL, &program_signals);
  pthread_atfork(before_fork, in_parent, in_child);
}
