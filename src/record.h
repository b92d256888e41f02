/*
** record.h - floor 1: who is there: a record for each process and thread
**
** The tables lie in the arena, fixed in place, never unmapped: a stale
** pointer to a record reads a record, maybe another's; a key tells.
**
** Life of a thread record (owner = process index + 1, the one commit):
**
**      free (owner 0) --record_attach--> live --record_detach--> free
**                                          \--its process dies--> swept, free
**
** A free record notes nothing: who has just claimed it may be killed before it has
** written there, and what stands there would be taken for what it held.
**
** A key names one life of a record: generation << 16 | index. Ending that life
** is one store (the generation goes up); whoever held a lock under the old
** key is then known to have ended.
**
** Life of a process record:
**
**   free --process_embryo--> embryo --process_born--> live --process_leave--> free
**                               \___________________/   \--found dead--> swept, free
**
** An embryo belongs to its parent and is swept with it. Only a sweep, under
** the sweep guard, frees the record of a process that did not leave by itself.
** The sweep of a dead process, in this order, and each step repeatable:
**   1. guards that its threads held are taken over and repaired (counts
**      half moved included);
**   2. nodes that its threads had in gates are unlinked, wakes passed on;
**   3. blocks in their hands, or doomed, are destroyed;
**   4. its handles are dropped; the records are freed.
*/
#ifndef CONC_RECORD_H
#define CONC_RECORD_H

#include "ground.h"
#include <sys/types.h>

struct block;
struct guard;
struct gate;

typedef uint64_t thread_key;   /* 0: nobody */
#define KEY_INDEX(key)   ((uint32_t)((key) & 0xffff))
#define KEY_BIT          ((thread_key)1 << 63)   /* never in a key: free for users */

#define MAX_THREADS      32768
#define MAX_PROCESSES    4096
#define FEW_PROCESSES    256    /* where there is little address space */
#define HELD_MAX         64     /* blocks in one thread's hands */
#define GUARD_DEPTH      8
#define HANDLE_CHUNK     504    /* handles in one chunk: a page of them */
#define HANDLE_CHUNKS    8192   /* chunks of one process */
#define NAME_SIZE        48

/* A place in a gate's line (floor 2). Guarded by the guard of the gate. */
struct wait_node {
  struct wait_node *_Atomic next;
  struct wait_node *more;        /* of the same thread; constant while linked */
  struct gate *_Atomic gate;     /* where it is linked, or was; NULL: nowhere */
  struct guard *guard;           /* the gate's; constant while 'gate' is set */
  thread_key key;                /* who waits; constant while linked */
  _Atomic uint32_t state;        /* enum node_state */
  uint32_t tag;                  /* the object's own use */
  nanos since;                   /* when it came */
};

struct thread_record {
  /* who: written at attach, constant for one life */
  _Atomic uint32_t owner;        /* process index + 1; 0: free */
  _Atomic uint32_t generation;   /* of this life; odd or even alike */
  uint32_t index;                /* constant */
  _Atomic int32_t tid;
  _Atomic uint64_t id;           /* unique within the program */
  thread_key key;                /* only the thread itself reads it */
  uint32_t mark;                 /* the same in 31 bits, for guards */

  /* in its hands: written by the thread alone, read when it has died */
  _Atomic uint32_t depth;
  struct guard *_Atomic guards[GUARD_DEPTH];
  _Atomic uint32_t from[GUARD_DEPTH];          /* index + 1 of the dead thread whose
                                                  guard is being taken over; else 0 */
  struct block *_Atomic held[HELD_MAX];
  struct block *_Atomic doomed;                /* a chain (next) of blocks whose
                                                  count went to 0: to destroy */
  _Atomic uint32_t destroying;                 /* that chain is being worked off */
  struct block *_Atomic ref_block;             /* a count being moved: */
  struct block *_Atomic *_Atomic ref_place;    /*   to or from this place */
  _Atomic uint32_t ref_old;                    /*   the count before */
  _Atomic uint32_t ref_step;                   /*   enum in arena.c; 0: none */

  /* waiting (floor 2): written by the thread, read by anybody */
  cache_aligned _Atomic uint32_t word;         /* enum sleep_word; its futex */
  _Atomic uint32_t cancel;       /* asked to stop; set by anybody */
  _Atomic uint32_t shield;       /* > 0: cancelling is put off */
  _Atomic uint32_t wait_links;   /* waits for a holder, without a deadline */
  struct block *_Atomic wait_object;           /* what it waits for; NULL: nothing */
  const char *_Atomic wait_verb;               /* "acquire", "get" ...: static text */
  _Atomic int64_t wait_since;
  _Atomic int64_t wait_until;
  struct wait_node node;         /* its place in one gate */
  struct wait_node again;        /* condition: in its lock's line, while 'node' keeps
                                    the notify that it was woken by */
  struct wait_node *_Atomic more;/* further places (select); an arena block's */

  /* sight: for conc.dump and the messages of deadlocks */
  struct block *_Atomic task;    /* what it runs; the thread itself holds a count */
  char name[NAME_SIZE];
  char line[96];                 /* "file:line" it was on when it last slept */
  _Atomic uint32_t ask_line;     /* somebody wants 'line' now */
};

enum process_state { PROCESS_FREE = 0, PROCESS_EMBRYO, PROCESS_LIVE, PROCESS_DEAD };

struct process_record {
  _Atomic uint32_t owner;        /* parent's index << 3 | process_state; the commit */
  _Atomic uint32_t generation;
  uint32_t index;                /* constant */
  _Atomic int32_t pid;
  _Atomic int64_t ticks;         /* it was started no later than this */
  _Atomic uint64_t id;           /* the id of its main thread or process object */
  struct block *_Atomic task;    /* its future, counted; NULL for the main one */
  _Atomic uint32_t bell;         /* futex: rung for its keeper */
  _Atomic uint32_t wants;        /* what the keeper is asked for */
  struct block *_Atomic chunks[HANDLE_CHUNKS];  /* its handles */
};

/* The calling thread's record; attaches it at the first call. */
extern __thread struct thread_record *record_mine
#if defined(__GNUC__)
  __attribute__((tls_model("initial-exec")))
#endif
;
struct thread_record *record_attach (void);
static inline struct thread_record *self (void) {
  struct thread_record *me = record_mine;
  return likely(me != NULL) ? me : record_attach();
}

/* Ends this life of the caller's record and begins another (parked threads, a
   worker's next task). Name, id and 'task' stay. */
void record_renew (void);
void record_detach (void);
uint64_t record_new_id (void);

struct thread_record *record_at (uint32_t index);
struct thread_record *record_of (thread_key key);  /* NULL: that life has ended */
/* Has the life named by 'key' ended? As far as is known without asking. */
bool record_ended (thread_key key);
/* The same, asking the system; buries its process if that died. */
bool record_look (thread_key key);

struct process_record *process_at (uint32_t index);
struct process_record *process_mine (void);
int process_count (void);                    /* highest index ever used + 1 */
int thread_count (void);
/*
** Around a fork. The parent makes the child's records ('inherit': and counts
** the handles that the child will have as copies), forks, and tells both
** sides; or gives up. All in one thread, nothing between that can raise.
*/
struct process_record *process_embryo (bool inherit);
void process_drop_embryo (struct process_record *p);
void process_born_parent (struct process_record *p, pid_t pid);
void process_born_child (struct process_record *p);
/* At load, after all others that want to be told of forks (pthread_atfork). */
void record_forks (void);
/* The caller's process ends in good order: drops its handles, frees its records. */
void process_leave (void);
/* The same of a child whose parent buries it at once: most is left to him. */
void process_depart (void);
/* Asks the system whether p lives; buries it if it died. True: it is gone. */
bool process_look (struct process_record *p, uint32_t generation);
/* Asks the system only; nothing is changed. p is live. */
bool process_died (struct process_record *p);
/* p is known to have died (its parent reaped it, or is about to). Under a guard
   it is only marked as dead: the sweep is left to who has none. */
void process_bury (struct process_record *p, uint32_t generation);
/* Buries every process found dead; from time to time, by anybody. */
void process_look_around (void);

/* Handles: places in the arena that count as references of this process. */
uint32_t handle_new (struct block *b);       /* counted; UINT32_MAX: full */
/* The same for one in the caller's hand that nobody else knows; it is settled. */
uint32_t handle_first (struct block *b);
struct block *handle_get (uint32_t slot);
void handle_drop (uint32_t slot);            /* may destroy the block */
/* From '*at' on (0 at first), what this process has a handle to, in a handle of the
   caller's own: false: no more. Others may come and go meanwhile. */
bool handle_each (uint32_t *at, uint32_t *slot);
/* After process_embryo: the child is not to have this one of ours. */
void handle_withhold (struct process_record *embryo, uint32_t slot);

/* Floor 2 tells how to take a dead thread out of its gates. */
extern void (*record_leave_gates) (struct thread_record *dead);

#endif
