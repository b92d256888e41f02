/*
** lock.h - the lock, plain and recursive (lock, rlock)
**
** One arena block. The lock itself is one word:
**
**   0               free
**   key             held by the life of a thread that 'key' names
**   key | KEY_BIT   held, and somebody may be in line
**   LOCK_KEPT       free, but kept for the first in line
**
**   0 --acquire--> key --release--> 0        one compare-and-swap each: no
**                   |                        guard, no system call
**                   | a waiter marks it
**                   v
**              key | KEY_BIT --release--> 0 or LOCK_KEPT, under the guard
**
**   Guarded by 'guard':             line; every store to 'owner' but the two
**                                   of the free path.
**   Guarded by holding the lock:    depth.
**   Hint, may be wrong either way:  spin.
**   Constant after init:            head.kind, made.
** True whenever the guard is free (lock_valid checks it):
**   L1  KEY_BIT may be set with nobody in line. While the lock is held and
**       there is somebody, it may be clear only if that one has been rung
**       since, or looks within LOOK_MAX: he sets it again.
**   L2  LOCK_KEPT means that somebody was in line when it was stored; nobody
**       but the first in line takes it, or anybody once the line is empty.
** Waiting:
**   L3  Who joins the line has seen the lock held, and set KEY_BIT, under the
**       guard. A release that meets KEY_BIT needs the guard, so it finds him.
**   L4  A release rings the first in line without taking him out: he keeps his
**       place until he has the lock or gives up. One who has waited longer
**       than LOCK_PATIENCE gets it KEPT for him, so that none starves; before
**       that a running thread may overtake, so that a short section costs
**       no switch.
** Memory order: acquire on the way in, release on the way out, both on
** 'owner'; what the holder wrote is seen by the next.
** Owner death. The word names a life. When that has ended, whoever waits (he
** looks from time to time), or comes, puts his own key in its place under the
** guard, and is told CONC_ABANDONED. Killed before the store of 'owner' in a
** release the dead was still the holder; killed after it, before the ring, the
** lock is free and the sleeper looks. The line's tail is repaired by gate.
*/
#ifndef CONC_LOCK_H
#define CONC_LOCK_H

#include "arena.h"
#include "gate.h"
#include "trace.h"

#define LOCK_KEPT      KEY_BIT
#define LOCK_PATIENCE  ((nanos)1000000)   /* of who is first in a line */
#define MADE_SIZE      72                 /* "app.lua:12": where it was made */

struct lock {
  struct block head;               /* KIND_LOCK or KIND_RLOCK */
  _Atomic thread_key owner;
  uint32_t depth;                  /* an rlock's: acquired so many times */
  _Atomic uint32_t spin;           /* how long it paid to spin lately */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  char made[MADE_SIZE];
};

static inline struct lock *lock_of (struct block *b) {
  return (struct lock *)(void *)b;
}

/* In hand; NULL: full. */
struct block *lock_new (enum kind kind, const char *made);

/* the ways that are not free */
int lock_acquire_slow (struct lock *l, thread_key me, deadline until);
int lock_release_slow (struct lock *l, thread_key me);

/*
** CONC_OK, CONC_ABANDONED, CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED,
** CONC_DEADLOCK; CONC_RANGE for an rlock acquired 2^32 times.
*/
static inline int lock_acquire (struct lock *l, deadline until) {
  thread_key none = 0, me = self()->key;
  if (unlikely(!cas_acquire(&l->owner, &none, me)))
    return lock_acquire_slow(l, me, until);
  l->depth = 1;
  if (tracing())
    trace_hold(&l->head, true);
  return CONC_OK;
}

/* CONC_OK or CONC_NOTHELD. An rlock: once less. */
static inline int lock_release (struct lock *l) {
  thread_key me = self()->key, old = me;
  if (l->head.kind == KIND_LOCK && !tracing()
      && likely(cas_release(&l->owner, &old, 0)))
    return CONC_OK;
  return lock_release_slow(l, me);
}

/* Whoever's key the word shows, 0 for nobody: true for the caller alone if it
   is his own. The life named may have ended. */
static inline thread_key lock_owner (struct lock *l) {
  return load_relaxed(&l->owner) & ~KEY_BIT;
}

/* Not to be had at this moment by a newcomer. */
static inline bool lock_locked (struct lock *l) {
  return load_relaxed(&l->owner) != 0;
}

/* For condition: gives all of it up, and gets it back, whatever is pending. */
uint32_t lock_give_up (struct lock *l);                   /* held: its depth */
int lock_take_back (struct lock *l, uint32_t depth);      /* CONC_OK, ABANDONED, DEADLOCK */

bool lock_valid (struct lock *l);   /* under the guard */
void lock_open (void);

#endif
