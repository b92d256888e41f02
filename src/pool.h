/*
** pool.h - floor 5: THE pool; it does not know which kind its workers are
**
** Three blocks. The front (KIND_THREAD_POOL, KIND_PROCESS_POOL) is what handles
** refer to; its destruction terminates the crew (KIND_CREW). Tasks refer to the crew,
** and it to tasks, which may mention the front: a future does not keep its pool alive.
** The process that made the pool, the manager and the workers hold the lease
** (KIND_LEASE): when the last of them has gone, in good order or killed, its
** destruction ends what has not ended and lets go of all tasks.
**
** Who is who:
**   submitters   any thread of any process: pool_submit
**   workers      pool_take, run, again; a thread or a process each
**   manager      one a pool: starts workers, replaces the dead, minds timeouts;
**                a thread of the process that made the pool, or the template
**                process. It alone writes a worker's 'life'.
**
** Guarded by 'guard' (RANK_POOL): the run queue, the counts, 'phase', and of a
** worker: 'life', and 'runs' while a task goes there from the queue.
** True whenever the guard is free:
**   P1  'first' and the 'next' of each task are the run queue; 'last' and
**       'queued' are derived (crew_repair).
**   P2  A queued task counts one in its 'self', a running one in its worker's
**       'runs'; the move between them is made good by crew_repair.
**   P3  phase only grows: OPEN -> CLOSING -> STOPPING -> ENDED.
** Killed: a submitter before the link that commits has submitted nothing; a
** worker's tasks are found in its 'runs' by the manager, which runs it again
** or fails it; a dead manager is noticed by who made the pool (its keeper), and
** by waiters: pool_look.
**
** Waking. A wake costs more than many a task. A submitter rings one idle worker,
** unless one that was rung, or that spins, is 'searching' already; that one calls the
** next if there is more. While one is 'busy', and one that has just become idle is
** 'watching', looking at the queue every tenth of a millisecond, a few tasks wait for
** either. All three are hints: whoever sleeps looks up now and then.
**
** Waiting inside. A worker that waits for a task of its own pool runs it if it
** is pending. If it runs elsewhere, or cannot be run here, the worker counts
** as 'blocked', and the manager starts another in its stead while there is
** work queued: as many as 'size' are never blocked.
*/
#ifndef CONC_POOL_H
#define CONC_POOL_H

#include "arena.h"
#include "gate.h"
#include "message.h"
#include "task.h"

/* Tasks run one inside the other in one worker before others must help: each
   costs a few of the 200 C calls that Lua allows. */
#define POOL_DEPTH         24
#define POOL_OTHER         (POOL_DEPTH + 1)   /* tasks from the queue: here and at 0, by turns */
#define POOL_PLACES_MAX    4096     /* workers, and those in stead of blocked ones */
#define POOL_LOG           4096     /* of the tasks that ended, the last so many are told */

enum pool_phase { POOL_OPEN = 0, POOL_CLOSING, POOL_STOPPING, POOL_ENDED };
enum worker_life { WORKER_NONE = 0, WORKER_STARTING, WORKER_LIVE, WORKER_LEAVING,
                   WORKER_LEFT };   /* LEAVING: told to go, and not counted any more */

/* Why a pool failed. */
enum pool_break { POOL_WHOLE = 0, POOL_LOST, POOL_NO_START, POOL_NO_WORKER,
                  POOL_INITIALIZER };

struct pool_worker {
  /* what it runs, counted: [0] or [POOL_OTHER] from the queue (the one before may
     still be in the other), [1] and on what it runs inside of that */
  cache_aligned struct block *_Atomic runs[POOL_DEPTH + 2];
  _Atomic uint32_t life;           /* enum worker_life */
  _Atomic uint32_t ran;            /* tasks since it started */
  _Atomic thread_key key;          /* written by the worker when it is LIVE */
  _Atomic int32_t pid;             /* of a process; 0 else */
  _Atomic int64_t begun;           /* the item it runs began then; 0: none */
  _Atomic int64_t limit;           /* nanoseconds the item may take; 0: any */
  _Atomic uint32_t blocked;        /* 1: it waits for a task */
  bool stopped;                    /* the manager has asked it to */
  uint32_t number;                 /* constant for one life: name is pool/worker-N */
};

struct pool_config {
  uint32_t size;                   /* workers */
  uint32_t max_tasks;              /* of one worker; 0: any number */
  uint32_t retries;
  uint64_t bound;                  /* of queued tasks; 0: none */
  char name[NAME_SIZE];
};

struct crew {
  struct block head;               /* KIND_CREW; submitters count in it for each task */
  cache_aligned struct pool_config config;   /* constant after init; workers look */
  struct block *_Atomic initializer;  /* message, owned, constant after init; NULL */
  uint32_t process;                /* kind: workers are processes; constant */
  uint32_t within;                 /* constant: how many workers it and the pools have
                                      together that it was made in a task of */
  uint32_t home, home_generation;  /* the process that made it; constant */
  uint32_t group;                  /* main state; constant after init */
  struct block *_Atomic setting;   /* message for new states, owned; likewise; NULL */
  _Atomic thread_key manager;      /* 0: not yet */
  _Atomic uint32_t manager_process;       /* its record's index + 1; 0: not yet */
  _Atomic uint32_t manager_generation;    /* and generation */

  uint32_t places;                 /* constant after init */
  struct block *lease;             /* not counted; constant from pool_remember on */
  struct block **log;              /* constant after init; not counted, to compare with */

  /* what submitters and workers both write, for each task: one cache line */
  cache_aligned struct guard guard;
  _Atomic uint32_t phase;
  uint32_t busy;                   /* workers with a task off the queue; derived */
  struct block *_Atomic first, *_Atomic last;
  uint64_t queued;                 /* derived */
  uint32_t live;                   /* workers STARTING or LIVE; derived */
  uint32_t blocked;                /* of these; derived */
  uint32_t searching;              /* hint: rung, and not at the queue yet; too few
                                      costs a wake, too many a look's delay */
  uint32_t watching;               /* hint: idle, and looking every WATCH; likewise */

  /* what workers write */
  cache_aligned struct block *_Atomic *_Atomic moving;  /* where 'pop' is taking a task to */
  uint64_t done, failed;           /* items */
  struct task *_Atomic counting;   /* is being counted; NULL: none */
  uint64_t was_done, was_failed;   /* before that */
  uint64_t ends;                   /* hint: tasks that ended, n-th in log[n % POOL_LOG];
                                      killed between the two, one is not told of */
  struct gate news;                /* who waits for any task to end, or for the end */

  /* what submitters write, and what is seldom */
  cache_aligned uint64_t submitted;   /* items */
  struct gate work;                /* idle workers */
  struct gate room;                /* submitters of a bounded pool */
  struct gate bell;                /* the manager */
  struct block *_Atomic drain;     /* a task on its way out, counted */
  struct block *_Atomic failure;   /* message: why it ended; owned */
  _Atomic uint32_t broken;         /* enum pool_break: it ended by pool_fail */
  int status;                      /* of the worker that died of its initializer */
  uint32_t numbered;               /* names given */
  uint32_t early;                  /* workers in a row that died before they were LIVE */
  _Atomic uint64_t restarted;
  struct pool_worker workers[];
};

struct front {
  struct block head;
  struct block *_Atomic crew;      /* counted */
};

struct lease {
  struct block head;               /* KIND_LEASE */
  struct block *_Atomic crew;      /* counted */
};

static inline struct crew *crew_of (struct block *b) {
  return (struct crew *)(void *)b;
}
static inline struct crew *front_crew (struct block *b) {
  return crew_of(load_relaxed(&((struct front *)(void *)b)->crew));
}

/* In hand; NULL: full. 'initializer' (a message in hand, or NULL) is taken. */
struct block *crew_new (bool process, const struct pool_config *config,
                        struct block *initializer);
struct block *front_new (struct block *crew);   /* in hand, counts the crew */

/* {=== submitters ===} */

/* The task, PENDING, to whose handle the caller holds a count, joins the run
   queue: CONC_OK, CONC_CLOSED (shut down), CONC_TIMEOUT ... (bounded). */
int pool_submit (struct crew *c, struct task *t, deadline until);
/* Waits until one of the n tasks has ended: its index in '*which'. */
int pool_wait_any (struct crew *c, struct block *const *tasks, size_t n,
                   deadline until, size_t *which);
/* In a worker of c: runs the first of tasks[*at ...] that is pending. False: none is. */
bool pool_run_pending (struct crew *c, struct block *const *tasks, size_t n, size_t *at);
/*
** Which tasks have ended since '*seen', at most 'max' of them: how many. Their
** blocks may be gone: they are there to be compared with. '*missed': there were more
** than the log holds (or 'max' is 0), so all that matter are to be looked at.
*/
size_t pool_ends (struct crew *c, uint64_t *seen, struct block **ended, size_t max,
                  bool *missed);
/* Until a task has ended that pool_ends did not tell of; CONC_OK also now and then
   where none has. */
int pool_wait_ends (struct crew *c, uint64_t seen, deadline until);
/* No more submits; 'cancel': what is queued is cancelled. */
void pool_close (struct crew *c, bool cancel);
/* Pending and running tasks are cancelled, workers stopped. Does not wait. */
void pool_terminate (struct crew *c);
/* Until all workers and the manager are gone (or, from inside one of its own
   tasks, until nothing else is queued or runs). */
int pool_wait_end (struct crew *c, deadline until);
/* Ends it with an error for all: initializer failed, template died. 'why' is a
   message in hand, taken, or NULL. */
void pool_fail (struct crew *c, enum pool_break how, struct block *why);
/* Why it is broken, in words. */
void pool_break_story (struct crew *c, char *to, size_t size);
/* Is its manager gone without having ended it? Then the pool is failed. */
void pool_look (struct crew *c);
struct pool_counts { uint64_t submitted, running, done, failed, restarted; };
void pool_counts (struct crew *c, struct pool_counts *n);

/* {=== workers ===} */

/* The calling thread is worker i of c from now on; ... no more. */
void pool_enter (struct crew *c, uint32_t i);
void pool_leave (struct crew *c, uint32_t i);
/* It never was: its initializer failed. */
void pool_left (struct crew *c, uint32_t i);
/* The task that it gave before has ended: its count is dropped, waiters are told.
   The next, RUNNING by the caller and in the worker's runs: CONC_OK.
   CONC_CLOSED: the worker is to leave. */
int pool_take (struct crew *c, uint32_t i, struct task **t);
struct crew *pool_current (uint32_t *i);    /* whose worker the caller is; NULL */
/* How many share the machine with the caller, as 'within' has it; 1 outside of pools. */
uint32_t pool_within (void);
/* Is one to stop that the calling worker runs the innermost inside of? */
bool pool_outer_stops (struct crew *c);
/* Runs a task inside a wait of the calling worker (floor 5's worker.c). */
extern void (*pool_run_inline) (struct crew *c, struct task *t);

/* {=== manager ===} */

struct spawner {
  /* Starts worker i: CONC_OK; it will call pool_enter. */
  int (*start) (struct crew *c, uint32_t i);
  /* Asks a worker that overran, or is to go at once, to stop. */
  void (*stop) (struct crew *c, uint32_t i, bool at_once);
  /* Looks for workers that died: calls manager_lost for each. */
  void (*reap) (struct crew *c);
};
/* Until the pool has ended. */
void pool_manage (struct crew *c, const struct spawner *s);
/* Worker i died while it ran (or not): 'status' as waitpid gives it. */
void manager_lost (struct crew *c, uint32_t i, int status);

void pool_open (void);


/* The settings of the maker's state, for the workers'; a message in hand, taken. */
void crew_set_setting (struct crew *c, struct block *setting);
/* This process made c, and holds its lease until c has ended. False: full. */
bool pool_remember (struct crew *c);
/* Lets go of those that have ended. */
void pool_forget (void);
/* No manager could be started. */
void pool_not_begun (struct crew *c);
/* Ends the thread pools that main state 'group' of this process made (0: all). A
   template dies with its process, and takes its workers along. */
void pool_end_all (uint32_t group);

#endif
