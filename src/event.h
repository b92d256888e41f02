/*
** event.h - a flag that threads wait for
**
** One word: number of sets << 1 | is it set.
**
**   Guarded by 'guard':   every change of 'state'; line.
**   Read by anybody:      state.
** Waiting:
**   E1  Who is in line has seen, under the guard, the flag down; he goes on
**       when the flag is up, or when the number of sets has grown since: a set
**       wakes all that wait then, whatever clear does next.
** Memory order: what was written before a set is seen by who sees the flag up,
** also where the flag was up already (then set is a read-and-write of it).
** Owner death. set and clear commit by the store of 'state'. Who was to be
** woken by a set that died looks again by itself.
*/
#ifndef CONC_EVENT_H
#define CONC_EVENT_H

#include "arena.h"
#include "gate.h"

struct event {
  struct block head;               /* KIND_EVENT */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  _Atomic uint64_t state;
};

static inline struct event *event_of (struct block *b) {
  return (struct event *)(void *)b;
}

struct block *event_new (void);    /* in hand, down; NULL: full */
void event_set (struct event *e);
void event_clear (struct event *e);
static inline bool event_is_set (struct event *e) {
  return load_acquire(&e->state) & 1;
}
/* CONC_OK, CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED. */
int event_wait (struct event *e, deadline until);
void event_open (void);

#endif
