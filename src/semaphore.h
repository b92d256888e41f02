/*
** semaphore.h - permits, counted
**
**   Guarded by 'guard':    value (read by anybody as a hint), line.
**   Constant after init:   max.
** True whenever the guard is free (semaphore_valid checks it):
**   S1  0 <= value <= max.
** Waiting:
**   S2  Who is in line has seen, under the guard, no permit that was not for
**       those before him: the k-th in line (from 0) goes on when value > k. So
**       he is rung when value passes k, or when he moves up to such a place.
**   S3  A newcomer may overtake the line while its first has waited less than
**       SEMAPHORE_PATIENCE, and not after that: none starves.
** Owner death. A permit has no holder: what the dead had acquired is not given
** back. Each operation commits with its store of 'value'; a ring that died
** with its sender is made up for by looks (gate G3). A dead waiter stands in
** the way of those behind him until one of them looks and buries him.
*/
#ifndef CONC_SEMAPHORE_H
#define CONC_SEMAPHORE_H

#include "arena.h"
#include "gate.h"

#define SEMAPHORE_PATIENCE  ((nanos)1000000)

struct semaphore {
  struct block head;               /* KIND_SEMAPHORE */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  _Atomic int64_t value;
  int64_t max;                     /* INT64_MAX: no bound */
};

static inline struct semaphore *semaphore_of (struct block *b) {
  return (struct semaphore *)(void *)b;
}

/* In hand; NULL: full. 0 <= value <= max. */
struct block *semaphore_new (int64_t value, int64_t max);
/* CONC_OK, CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED. */
int semaphore_acquire (struct semaphore *s, deadline until);
/* n > 0. CONC_OK, or CONC_RANGE: it would pass max, nothing has changed. */
int semaphore_release (struct semaphore *s, int64_t n);
static inline int64_t semaphore_value (struct semaphore *s) {
  return load_relaxed(&s->value);
}
bool semaphore_valid (struct semaphore *s);   /* under the guard */
void semaphore_open (void);

#endif
