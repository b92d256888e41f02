/*
** gate.h - floor 2: the only place that sleeps
**
** A gate is a line of waiting threads, guarded by the guard of the object that
** it is part of. Who finds the object's state not to his liking joins the line
** under that guard and sleeps on the futex word of his own record; who changes
** the state takes the first out of the line under the guard and rings his word
** after giving the guard back. So nothing is waited for without a name, a
** free object makes no system call, and select waits in many lines at once.
**
** G1  'next' from 'head' is the truth; 'tail' is derived (gate_repair).
** G2  A thread joins a line only under the guard, having seen there that it
**     must wait; it looks again after every wake. A wake is a hint: a thread
**     that was taken out of the line and then does not want what it waited for
**     (timeout, cancel) passes the wake on (wait_end does).
** G3  A ring can die with its sender, or with its receiver: a sleeper looks
**     again at least every LOOK_MAX, and its looks ask whether holders live.
** G4  To sleep by the clock costs a timer, a seventh of a wait with its wake. So
**     where the process has a lookout (the keeper, floor 4) a thread without a
**     deadline dozes at first, and the lookout makes it look. He may rest while
**     nobody dozes: who dozes says so in his word and then looks whether he
**     rests; he says that he rests and then looks at the words.
** G5  A futex that other processes may ring costs a look into the page tables. So
**     until the first fork threads sleep 'near'; before it all that do are woken.
**     Again both sides say first and then look: at 'not_alone', and at the words.
**     docs/model/lookout.pml has G4 and G5.
**
** The use, always the same:
**
**   struct wait w;
**   wait_init(&w, &q->nonempty, &q->guard, until, &q->head, "get");
**   guard_lock(&q->guard);
**   while (is_empty(q) && rc == CONC_OK)
**     rc = wait_sleep(&w);        // gives the guard back and takes it again
**   if (rc == CONC_OK) ... take ...
**   wait_end(&w);                 // under the guard: leaves the line
**   guard_unlock(&q->guard);
**
** wait_sleep returns CONC_OK (look again), CONC_TIMEOUT, CONC_CANCELLED,
** CONC_INTERRUPTED or, where 'links' was set, CONC_DEADLOCK. With DEADLINE_NOW
** it returns CONC_TIMEOUT at once.
*/
#ifndef CONC_GATE_H
#define CONC_GATE_H

#include "ground.h"
#include "guard.h"
#include "record.h"
#include "arena.h"

struct gate {
  struct wait_node *_Atomic head;   /* guarded by the object's guard */
  struct wait_node *_Atomic tail;   /* derived; likewise */
};

enum node_state { NODE_OUT = 0, NODE_WAITING, NODE_WOKEN };
/* A thread's word: awake, rung, to look; or asleep, and how: without a clock (G4),
   for this process alone to ring (G5). */
enum sleep_word { WORD_AWAKE = 0, WORD_RUNG, WORD_LOOK, WORD_ASLEEP = 4,
                  WORD_DOZES = 8, WORD_NEAR = 16 };

#define LOOK_MIN   ((nanos)10 * 1000000)
#define LOOK_MAX   ((nanos)80 * 1000000)
#define LOOK_OUT   ((nanos)20 * 1000000)

static inline bool gate_empty (struct gate *g) {
  return load_relaxed(&g->head) == NULL;
}

/* Under the guard. Takes the first out; NULL: none. Ring it when the guard is free. */
thread_key gate_pop (struct gate *g);      /* 0: none */
struct wait_node *gate_first (struct gate *g);
void gate_wake_all (struct gate *g);       /* pops and rings each, under the guard */
void gate_ring (thread_key key);           /* any time; 0: nobody */
/* Repair of 'tail' after the death of a guard's holder: every noun's repair
   function calls it for each of its gates. */
void gate_repair (struct gate *g);

struct wait {
  struct gate *gate;
  struct guard *guard;
  struct wait_node *node;    /* NULL until the first sleep: the record's 'node' */
  struct block *object;      /* what it waits for: sight and links */
  const char *verb;          /* static text */
  deadline until;
  nanos look;                /* how long the next nap is at most */
  bool links;                /* a wait for a holder (a link of a deadlock) */
  bool noninterruptible;     /* neither cancel nor Ctrl-C end it (condition:
                                getting its lock back) */
  bool last_first;           /* it joins in front: who slept least is woken first */
  bool woken;                /* was taken out of the line since wait_init */
  bool entered;              /* wait_object and so on are set */
  bool declared;             /* as a link; 'links' may become true later */
};

void wait_init (struct wait *w, struct gate *gate, struct guard *guard,
                deadline until, struct block *object, const char *verb);
int wait_sleep (struct wait *w);
void wait_end (struct wait *w);

/*
** Lower level, for waits in many lines (select) or in none (sleep).
** Under the guard of the gate: gate_join, gate_leave (true: it was still in
** line; false: it had been woken). Without any guard: nap.
**
**   nap_begin(object, verb, until);     // notes it; resets the word
**   ... join the lines, look at the states ...
**   while (nothing ready && (rc = nap(&look, until, false)) == CONC_OK) look;
**   ... leave the lines ...
**   nap_end();
*/
void gate_join (struct gate *g, struct guard *guard, struct wait_node *node);
bool gate_leave (struct wait_node *node);
void nap_begin (struct block *object, const char *verb, deadline until);
int nap (nanos *look, deadline until, bool noninterruptible);
void nap_end (void);
int gate_sleep (deadline until);     /* conc.sleep: CONC_TIMEOUT when it is over */

/*
** The lookout of this process: 'call' has him come if he rests. NULL: there is
** none (any more). He calls gate_look_out every LOOK_OUT until it says that he
** may rest, and again when called.
*/
void gate_lookout (void (*call) (void));
bool gate_look_out (void);           /* false: nobody dozes */

/* Is the caller to stop, or interrupted? CONC_OK, CONC_CANCELLED, CONC_INTERRUPTED. */
int gate_pending (void);
/* Asks the thread to stop; true: that life had not ended. */
bool gate_cancel (thread_key key);

/* The text of the last CONC_DEADLOCK of this thread; valid until the next. */
const char *gate_story (void);

/*
** What the Lua side adds, per thread: has Lua an interrupt pending (1/0)?
** Is cancelling put off where Lua stands (a __close handler; asked of cancelled
** threads only)? And: note the Lua line (called before a thread really sleeps).
*/
struct gate_hooks {
  int (*interrupted) (void *ctx);
  int (*shielded) (void *ctx);
  void (*note_line) (void *ctx, char *to, size_t size);
  void *ctx;
};
void gate_set_hooks (const struct gate_hooks *hooks);  /* of the calling thread; NULL: none */
void gate_get_hooks (struct gate_hooks *hooks);

/* How a waiter names an object in the story of a deadlock, in dumps and traces:
   "lock made at app.lua:12"; "" for what Lua has no name of (a pool's workings: the verb
   says it). The hook is set by sight, and writes over that. */
void gate_name (struct block *b, char *to, size_t size);
extern void (*gate_describe) (struct block *b, char *to, size_t size);

/* What the thread of 't' waits for, in *object, and up to 'max' of those who
   hold that: how many. They may have changed meanwhile. */
int gate_holders (struct thread_record *t, struct block **object, thread_key *keys, int max);

void gate_open (void);               /* at load, after arena_open */

#endif
