/*
** roster.h - floor 4: the threads and processes that are alive
**
** Two lists of tasks (KIND_THREAD, KIND_PROCESS):
**
** - The roster, in the arena: all of the program, for conc.list_alive and for
**   finding those whose process died. Each place counts one reference. Guarded
**   by its guard; a place changes by block_ref and block_unref alone.
**     R1  Places below 'top' are NULL or counted; those above mean nothing.
** - The lives of this process, in its own memory: what its end waits for.
**   Guarded by the mutex of roster.c, held over a fork; the child starts with
**   none. A pinned life is not freed.
*/
#ifndef CONC_ROSTER_H
#define CONC_ROSTER_H

#include "task.h"

struct life {
  struct life *next, *prev;      /* guarded by the mutex */
  struct task *task;             /* constant; counted by 'slot' */
  uint32_t slot;                 /* handle; constant */
  uint32_t place;                /* in the roster; constant */
  uint32_t pins;                 /* guarded by the mutex: 1, and 1 a pin */
  bool over;                     /* guarded by the mutex */
};

/* A task begins its life here; it is in somebody's hand or handle. NULL: full. */
struct life *life_begin (struct block *task);
/* It is out of the roster (once more: nothing). Before the task is finished. */
void life_retire (struct life *l);
/* It has ended: out of the list, and freed with the last pin. */
void life_end (struct life *l);
void life_unpin (struct life *l);

/* Until the task has ended and life_end was called: CONC_OK, CONC_TIMEOUT, ... */
int life_await (struct life *l, deadline until);
/* A life of this process that is not over, pinned; NULL: none. 'group' 0: any. */
struct life *life_find (uint32_t group, bool daemon);
/* Pins each whose task has not ended and calls f. */
void life_each (uint32_t group, bool daemon, void (*f) (struct task *t, void *ctx),
                void *ctx);
int life_count (void);
bool life_any (void);                /* has this process ever begun one? */

/* The places of those alive, each counted in refs[] of a message in the caller's
   hand, the first 'n' of them; NULL: full. */
struct block *roster_list (uint32_t *n);
/*
** One task whose process has ended: out of the roster, with a handle in *slot.
** False: there is none.
*/
bool roster_find_dead (uint32_t *slot);
/* Has the process ended that t runs in, or is; and nobody else is to tell? */
bool roster_orphaned (struct task *t);
/* Puts a task there that has no life here, the main thread's: its place; and takes
   it away, while the caller holds the task. */
uint32_t roster_add (struct block *task);
void roster_remove (uint32_t place, struct block *task);

void roster_open (void);
/* Before a fork: the handles of our lives are not the child's. */
void roster_withhold (struct process_record *embryo);
/* In a forked child: our lives are not its own. 'inherits': it has a copy of our
   table of handles. */
void roster_child (bool inherits);

#endif
