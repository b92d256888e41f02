/*
** kit.h - what the C tests of floors 0 to 3 share: a line a test, seeded
** chance, threads and forked children that attach to the arena, kills
*/
#ifndef CONC_KIT_H
#define CONC_KIT_H

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "gate.h"
#include "sys.h"

#define MS      ((nanos)1000000)
#define SOON    (20000 * MS)        /* waited out only where something is wrong */
#define ACTORS  64

static int kit_number, kit_failed;
static __thread uint64_t kit_seed;

static inline bool ok (bool good, const char *name) {
  printf("%sok %d - %s\n", good ? "" : "not ", ++kit_number, name);
  fflush(stdout);
  if (!good) kit_failed = 1;
  return good;
}

static inline uint32_t random32 (void) {
  kit_seed ^= kit_seed << 13; kit_seed ^= kit_seed >> 7; kit_seed ^= kit_seed << 17;
  return (uint32_t)(kit_seed >> 16);
}

static inline uint32_t chance (uint32_t below) { return random32() % below; }

static inline void kit_open (void) {
  const char *given = getenv("CONC_SEED");
  kit_seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)sys_now() | 1;
  printf("# seed %llu\n", (unsigned long long)kit_seed);
  if (arena_open() != CONC_OK) {
    printf("Bail out! no shared memory\n");
    exit(1);
  }
  gate_open();
}

static inline int kit_close (void) {
  printf("1..%d\n", kit_number);
  return kit_failed;
}

static inline size_t kit_live (void) {
  struct arena_stats s;
  arena_stats(&s);
  return s.live;
}

static inline void pause_us (long us) {
  struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
  nanosleep(&ts, NULL);
}

/* Until the expression is true; false: it did not become so in time. */
#define eventually(what)  __extension__ ({ \
  deadline kit_until = sys_now() + SOON; \
  while (!(what) && sys_now() < kit_until) pause_us(500); \
  (what); })

/* What all see: 'a' and 'b' are the test's own. */
struct scene {
  struct block head;
  struct block *_Atomic object;       /* under test; counted */
  _Atomic thread_key key[ACTORS];     /* of those that take part */
  _Atomic int result[ACTORS];
  _Atomic uint64_t rounds, wrong, a, b;
  _Atomic thread_key inside;
};
static struct scene *scene;

/* The stage for one object, which 'b' (in hand) is. */
static inline void stage (struct block *b) {
  struct block *s = arena_alloc(sizeof *scene);
  scene = (struct scene *)(void *)s;
  memset((char *)s + sizeof *s, 0, sizeof *scene - sizeof *s);
  block_ref(&scene->object, b);
  arena_settle(b);
}

static inline void unstage (void) {
  block_unref(&scene->object);
  arena_free(&scene->head);
}

/* {=== threads ===} */

struct kit_start { void (*f) (int); int i; uint64_t seed; };

static void *kit_body (void *arg) {
  struct kit_start start = *(struct kit_start *)arg;
  free(arg);
  kit_seed = start.seed;
  store_release(&scene->key[start.i], self()->key);
  start.f(start.i);
  record_detach();
  return NULL;
}

static inline pthread_t start_thread (void (*f) (int), int i) {
  pthread_t t;
  struct kit_start *start = malloc(sizeof *start);
  chance(2);
  *start = (struct kit_start){ f, i, kit_seed };
  store_release(&scene->key[i], 0);
  store_relaxed(&scene->result[i], 0);
  if (pthread_create(&t, NULL, kit_body, start) != 0) exit(1);
  while (load_acquire(&scene->key[i]) == 0) pause_us(50);
  return t;
}

static inline void join_thread (pthread_t t) {
  pthread_join(t, NULL);
}

/* {=== processes ===} */

static inline pid_t start_child (void (*f) (int), int i) {
  struct process_record *p = process_embryo(false);
  store_release(&scene->key[i], 0);
  store_relaxed(&scene->result[i], 0);
  fflush(stdout);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    if (!sys_die_with_parent(parent)) _exit(1);
    process_born_child(p);
    kit_seed ^= (uint64_t)getpid() * 0x9E3779B97F4A7C15u;
    store_release(&scene->key[i], self()->key);
    f(i);
    process_leave();
    _exit(0);
  }
  process_born_parent(p, pid);
  return pid;
}

static inline void await_child (int i) {
  while (load_acquire(&scene->key[i]) == 0) pause_us(50);
}

/* Killed, and nobody has been told: others have to find out. */
static inline void kill_child (pid_t pid) {
  siginfo_t info;
  kill(pid, SIGKILL);
  waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}

static inline void reap_child (pid_t pid) {
  waitpid(pid, NULL, 0);
  process_look_around();
}

/* Has the i-th come to wait? (It sleeps in a line, or is about to.) */
static inline bool waits (int i) {
  thread_key key = load_acquire(&scene->key[i]);
  struct thread_record *t = key != 0 ? record_of(key) : NULL;
  return t != NULL && (load_acquire(&t->word) & WORD_ASLEEP);
}

/* Until the child has ended or been killed; not reaped. True: it was killed. */
static inline bool child_ended (pid_t pid, bool *killed) {
  siginfo_t info = { .si_pid = 0 };
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid == 0)
    return false;
  *killed = info.si_code != CLD_EXITED;
  return true;
}

#define CROWD  8

/*
** So many children run f; one at a time is killed at a random moment, 'kills' times, and
** replaced once 'turns' has grown: those that live go on. True: they did each time.
*/
static inline bool kill_at_random (void (*f) (int), int children, int kills,
                                   _Atomic uint64_t *turns) {
  pid_t child[CROWD];
  bool moves = true;
  for (int i = 0; i < children; i++) child[i] = start_child(f, i);
  for (int k = 0; k < kills && moves; k++) {
    int i = (int)chance((uint32_t)children);
    pause_us((long)chance(1500));
    kill_child(child[i]);
    uint64_t then = load_relaxed(turns);
    moves = eventually(load_relaxed(turns) > then);
    reap_child(child[i]);
    child[i] = start_child(f, i);
  }
  for (int i = 0; i < children; i++) kill_child(child[i]);
  for (int i = 0; i < children; i++) reap_child(child[i]);
  return moves;
}

static long kit_step;
static pid_t kit_child;              /* the present one */
static void (*kit_act) (int);

/* Until it waits, or was killed before. */
static inline void let_child_wait (void) {
  bool killed;
  eventually(waits(0) || child_ended(kit_child, &killed));
}

static void die_in_act (int i) {
  atomic_store(&kill_at, kit_step);
  kit_act(i);
  atomic_store(&kill_at, 0);
}

/*
** Runs 'act' in a child (of number 0) that is killed at step 1, 2, ... of it, until
** it comes to its end; 'meanwhile' goes on beside it in this thread (NULL:
** nothing), 'after' says whether all is well then. True: always.
*/
static inline bool every_step (void (*act) (int), void (*meanwhile) (void), bool (*after) (void)) {
  bool killed = true, good = true;
  kit_act = act;
  for (kit_step = 1; killed && good; kit_step++) {
    kit_child = start_child(die_in_act, 0);
    await_child(0);
    if (meanwhile != NULL) meanwhile();
    good = eventually(child_ended(kit_child, &killed)) && after();
    if (!good) printf("# at step %ld\n", kit_step);
    kill(kit_child, SIGKILL);
    reap_child(kit_child);
  }
  printf("# %ld steps\n", kit_step - 2);
  return good;
}

#endif
