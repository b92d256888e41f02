/*
** task.h - floor 3: the record of one call, and what a future is a handle to
**
** A thread (KIND_THREAD), a process (KIND_PROCESS) and a submitted task
** (KIND_FUTURE) differ in who runs the call, and in nothing else.
**
**             task_claim                task_finish(DONE|FAILED|CANCELLED)
**   PENDING ---------------> RUNNING ----------------------------> ended
**      \                        ^  \
**       \ task_cancel           |   \ its process died: the finder calls
**        \                      |      task_finish(FAILED) with the story
**         `----> CANCELLED      `- (retries: task_again, by the pool alone)
**
** T1  'state' goes from left to right only (but for task_again); the store
**     that ends it is the commit, the last under the guard, and 'outcome' was
**     written before. An outcome is written once: the second finisher loses.
** T2  'outcome' is constant once the state says that the task has ended, so
**     it is read without the guard.
** T3  'runner' is the key of the thread that runs it, while RUNNING.
*/
#ifndef CONC_TASK_H
#define CONC_TASK_H

#include "arena.h"
#include "gate.h"
#include "message.h"

enum task_state { TASK_PENDING = 0, TASK_RUNNING, TASK_DONE, TASK_FAILED,
                  TASK_CANCELLED };
#define task_has_ended(state)  ((state) >= TASK_DONE)

enum task_flags {
  TASK_ASKED      = 1,    /* somebody asked for its result or error */
  TASK_DAEMON     = 2,
  TASK_STOPPED    = 4,    /* the program itself asked for its end */
  TASK_REPORTED   = 8,    /* its unasked error was printed */
  TASK_TIMER      = 16,
  TASK_QUIET      = 32,   /* the library's own: neither listed nor reported */
  TASK_CHUNK      = 128,  /* 'call' is a bundle: function, then items */
  TASK_FIRST      = 512,  /* a chunk that stops at its first error */
  TASK_MAIN       = 512,  /* a thread of the host's own: has no call */
  TASK_COUNTED    = 1024, /* in its pool's statistics; set under the crew's guard */
  TASK_LATE       = 256,  /* stopped for taking longer than its timeout */
  TASK_AGAIN      = 2048, /* its call stays whole: it may have to run again */
  TASK_DIED       = 64    /* its process was killed, or left by os.exit */
};

/*
** Who has many outstanding pays for each byte: a page costs more than the tasks
** on it. So the parts that only some need share their place, and a submitted
** call has its message, and then the one of its outcome, in itself, if small.
*/
#define TASK_INNER  160            /* bytes of that message: a small function, some numbers */

struct task {
  struct block head;               /* KIND_FUTURE, KIND_THREAD, KIND_PROCESS */
  struct guard guard;              /* RANK_OBJECT; guards all that says nothing else */
  _Atomic uint32_t state;          /* enum task_state; read by anybody */
  _Atomic uint32_t flags;          /* set by anybody with task_flag */
  struct block *_Atomic next;      /* the run queue's; guarded by the crew */
  struct block *_Atomic self;      /* the run queue's count; guarded by the crew */
  struct block *_Atomic call;      /* message: function, arguments; owned */
  struct block *_Atomic outcome;   /* message: results, or error and traceback; owned */
  struct block *_Atomic pool;      /* its crew (pool.h), counted; NULL: none */
  _Atomic thread_key runner;       /* T3 */
  struct gate ended;               /* who waits for its end */
  _Atomic int64_t begun;           /* when it was claimed, of a chunk; 1 of others; 0:
                                      never. Of a timer in the heap: when it was made */
  _Atomic int64_t ended_at;        /* when it ended; written before the state */
  _Atomic int64_t timeout;         /* nanoseconds it may run; 0: no bound.
                                      Of a timer in the heap: when it is due */
  union {
    uint32_t tries;                /* times its runner died; the crew's manager */
    uint32_t place;                /* of a timer: in the heap (timer.c) */
  };
  uint32_t nitems;                 /* of a chunk; 0: a plain call; constant */
  uint64_t id;                     /* constant after init */
  _Atomic int32_t pid;             /* of a process; 0 else */
  _Atomic int32_t exitcode;        /* of a process that ended; NO_EXITCODE */
  _Atomic uint32_t handles;        /* hint: handles to it; 0: nobody will ask any more */
  uint32_t group;                  /* the main state that it belongs to; constant */
  union {
    struct {                       /* of a chunk, of a thread, of a process: */
      struct block *_Atomic items; /* bundle: the results of a chunk so far; owned,
                                      written by the runner alone */
      struct block *_Atomic numbers;   /* bundle: the arguments of a chunk that are
                                      numbers of one type; owned; NULL */
      _Atomic uint32_t ngood, nfailed; /* of these, so far; written by the runner */
      _Atomic int64_t finished;    /* when it ended, of a chunk */
      uint32_t process;            /* index: where it runs (thread) or what it is (process) */
      uint32_t process_generation;
      uint32_t home;               /* index of the process that made it; constant */
      uint32_t home_generation;
      char name[NAME_SIZE];        /* constant after init; see task_name */
    };
    uint64_t inner[TASK_INNER / 8];    /* of a submitted call: a message (message.h).
                                      First the call's, written by who submits it;
                                      then, unless it may have to run again
                                      (TASK_AGAIN), its runner's for the outcome */
  };
};
#define NO_EXITCODE  INT32_MIN

struct block *task_new (enum kind kind, const char *name);  /* in hand, PENDING; NULL: full */
/* The same, KIND_FUTURE: a call, or a chunk of so many items. */
struct block *task_new_submitted (uint32_t nitems);
/* Has it a message inside of it, or what shares that place? */
static inline bool task_is_call (const struct task *t) {
  return t->head.kind == KIND_FUTURE && t->nitems == 0;
}
/* "": it has none. */
static inline const char *task_name (const struct task *t) {
  return t->head.kind == KIND_FUTURE ? "" : t->name;
}
/* The parcel becomes the call; or (in the hand of its runner, if it is large) what it
   is to be finished with. False, NULL: full, and p is as before. */
bool task_post_call (struct task *t, struct parcel *p);
struct block *task_post_outcome (struct task *t, struct parcel *p);
static inline struct task *task_of (struct block *b) {
  return (struct task *)(void *)b;
}
static inline uint32_t task_state (struct task *t) {
  return load_acquire(&t->state);
}
/* A block in hand becomes the task's call or items; and back into the hand
   (NULL: there is none). */
void task_keep (struct task *t, struct block *_Atomic *place, struct block *b);
struct block *task_take (struct task *t, struct block *_Atomic *place);
bool task_flag (struct task *t, uint32_t flag);    /* sets; was it set before? */
/* PENDING -> RUNNING by the caller; false: cancelled, or claimed by another. */
bool task_claim (struct task *t);
/*
** Ends it. 'outcome' is a message in the caller's hand or NULL (no values, or a
** plain conc.cancelled); taken when true. False: it had ended already, and
** 'outcome' is still the caller's.
*/
bool task_finish (struct task *t, enum task_state state, struct block *outcome);
/* PENDING -> CANCELLED: true. RUNNING: asks its runner to stop: true. Ended: false. */
bool task_cancel (struct task *t);
/* Until it has ended: CONC_OK, CONC_TIMEOUT, CONC_CANCELLED, ..., CONC_DEADLOCK. */
int task_wait (struct task *t, deadline until);
/* The same, without the help of floor 5: only waits. */
int task_wait_plain (struct task *t, deadline until);
/* RUNNING -> PENDING: its runner died, and it may run again. */
bool task_again (struct task *t);
void task_open (void);

/* Floors 4 and 5 add how a running one is poked and what waiting in a pool does. */
extern void (*task_poke) (struct task *t);
extern int (*task_help) (struct task *t, deadline until);   /* CONC_MISUSE: wait plainly */

/* RUNNING, but its runner died; or PENDING in a pool for a while: finish it, see
   to it that somebody does, or find that all is well. */
extern void (*task_lost) (struct task *t);
/* PENDING, it was cancelled: who would have run it need not any more. */
extern void (*task_unbegun) (struct task *t);

/* FAILED without an outcome: the message that serves as one (still theirs), or
   the text of the error; false: neither is known. */
extern bool (*task_story) (struct task *t, struct block **message, char *text,
                           size_t size);

#endif
