/*
** condition.h - wait, with a lock, until somebody says that things changed
**
** The lock is a block of its own, a lock or rlock, maybe shared with others;
** the condition counts it.
**
**   Guarded by 'guard':       line.
**   Hint:                     told.
**   Constant after init:      lock.
** Waiting:
**   C1  A waiter is in line before it gives the lock up, so no notify by a
**       later holder is missed.
**   C2  notify takes waiters out of the line. Who was taken out keeps his node
**       marked as woken until he has the lock back: should he die before that,
**       the sweep hands the notify to the next in line, so a dead waiter
**       swallows none. Should he be cancelled before he noticed, he returns
**       normally and meets the cancel later. Who leaves without having been
**       taken out has consumed nothing.
**   C3  The lock is had back before wait returns, whatever ended it; only a
**       deadlock found while getting it back (C4) leaves it unheld.
**   C4  Getting the lock back is a link of a deadlock, as any wait for it is.
** Owner death. The condition itself has no holder; its lock has.
*/
#ifndef CONC_CONDITION_H
#define CONC_CONDITION_H

#include "lock.h"

struct condition {
  struct block head;               /* KIND_CONDITION */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  _Atomic thread_key told;         /* who was woken last: has he died of it? */
  struct block *_Atomic lock;      /* counted: KIND_LOCK or KIND_RLOCK */
};

static inline struct condition *condition_of (struct block *b) {
  return (struct condition *)(void *)b;
}
static inline struct lock *condition_lock (struct condition *c) {
  return lock_of(load_relaxed(&c->lock));
}

/* In hand; NULL: full. 'lock' NULL: an rlock of its own, made at 'made'. */
struct block *condition_new (struct block *lock, const char *made);

/*
** CONC_OK, CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED: with the lock held
** again. CONC_NOTHELD, CONC_DEADLOCK: without. '*abandoned': the lock was had
** back from a holder that had ended.
*/
int condition_wait (struct condition *c, deadline until, bool *abandoned);
/* Wakes up to n of those that wait. CONC_OK or CONC_NOTHELD. */
int condition_notify (struct condition *c, uint64_t n);
/* How many wait. */
uint64_t condition_waiting (struct condition *c);
void condition_open (void);

#endif
