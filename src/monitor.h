/*
** monitor.h - the two locks of a container (list, dict)
**
** Every operation works under 'guard', for the moment that it takes. Who has
** to keep the container while Lua runs (with, update, totable) becomes its
** 'owner': others then wait for him, his own operations go on.
**
**   Guarded by 'guard':  owner (read by anybody), depth, turn, and all that the
**                        container says.
** True whenever the guard is free:
**   M1  owner is 0, or the key of the thread that may work on the container.
**       The life that it names may have ended: then it counts as 0.
**   M2  depth > 0 where that thread is inside of with; depth 0 with an owner
**       means that the turn is kept for one who waited in vain before.
** Waiting:
**   M3  Who sleeps in 'turn' has seen another owner under the guard.
**   M4  Whoever leaves the guard with owner 0 wakes the first in line, who
**       does the same when he leaves: no wake is lost, and a short operation
**       of a running thread may overtake. One who was woken and overtaken
**       finds the turn kept for him the next time: none starves.
** Owner death.  The owner word is the only trace. Who waits, or comes, finds
** that its life has ended and goes on: each change of the container was
** committed by one store, so there is nothing else to repair.
*/
#ifndef CONC_MONITOR_H
#define CONC_MONITOR_H

#include "arena.h"
#include "gate.h"

struct monitor {
  struct guard guard;            /* RANK_OBJECT */
  uint32_t depth;
  _Atomic thread_key owner;
  struct gate turn;
};

void monitor_init (struct monitor *m, enum kind kind);

/* slow paths; not to be called from elsewhere */
int monitor_wait (struct monitor *m, struct block *object, const char *verb);
void monitor_pass (struct monitor *m);

/*
** Takes the guard, when nobody else owns the container. CONC_OK; otherwise the
** guard is not held: CONC_CANCELLED, CONC_INTERRUPTED, CONC_DEADLOCK.
*/
static inline int monitor_enter (struct monitor *m, struct block *object,
                                 const char *verb) {
  guard_lock(&m->guard);
  if (likely(load_relaxed(&m->owner) == 0))
    return CONC_OK;
  return monitor_wait(m, object, verb);
}

static inline void monitor_leave (struct monitor *m) {
  if (likely(gate_empty(&m->turn)))
    guard_unlock(&m->guard);
  else
    monitor_pass(m);
}

/* Under the guard, entered: the caller becomes the owner; once more, once less. */
static inline void monitor_own (struct monitor *m) {
  store_relaxed(&m->owner, self()->key);
  m->depth++;
}
static inline void monitor_disown (struct monitor *m) {
  if (--m->depth == 0)
    store_relaxed(&m->owner, 0);
}

/* The same from outside of the guard: with and its like. CONC_OK, or as above;
   release does nothing where the caller is not the owner. */
int monitor_acquire (struct monitor *m, struct block *object, const char *verb);
void monitor_release (struct monitor *m, struct block *object);

static inline thread_key monitor_owner (struct monitor *m) {
  return load_relaxed(&m->owner);
}
/* After the death of a holder of the guard. */
static inline void monitor_repair (struct monitor *m) {
  gate_repair(&m->turn);
}

#endif
