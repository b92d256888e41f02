/*
** guard.h - floor 1: the internal lock of short critical sections
**
** Shared between processes; outlives its holder. The word holds the mark of
** its holder (31 bits: generation and index of a thread record), 0 when free,
** and the top bit while somebody may sleep on it ("may be set without a
** sleeper, never clear with one").
**
** A thread notes the guard in its record before it takes it and forgets it
** after it gave it back, so that the guards a dead thread held are found. Who
** takes over from a dead holder calls the repair of that guard's kind before
** anything else: the state must then be as true as whenever the guard is free.
** He notes from whom: if he dies at it, the next one repairs for both.
**
** Nothing under a guard may raise, run Lua, sleep, or call malloc.
*/
#ifndef CONC_GUARD_H
#define CONC_GUARD_H

#include "ground.h"
#include "record.h"

struct guard {
  _Atomic uint32_t word;
  uint16_t rank;   /* enum rank; constant after init */
  uint16_t kind;   /* whose repair; constant after init */
};

#define GUARD_WAITERS  0x80000000u

/* Called with the guard taken over from 'dead'. */
typedef void guard_repair (struct guard *g, struct thread_record *dead);

void guard_init (struct guard *g, enum rank rank, int kind);
void guard_on_death (int kind, guard_repair *repair);

/* slow paths; not to be called from elsewhere */
void guard_wake (struct guard *g);
void guard_lock_slow (struct guard *g, struct thread_record *me);
void guard_check_rank (struct guard *g, struct thread_record *me);
/* Takes over a guard that the dead thread held; false: it did not. */
bool guard_take_over (struct guard *g, struct thread_record *dead);

static inline void guard_lock (struct guard *g) {
  struct thread_record *me = self();
  uint32_t depth = load_relaxed(&me->depth), none = 0;
#if defined(CONC_DEBUG)
  guard_check_rank(g, me);
#endif
  store_relaxed(&me->guards[depth], g);
  kill_order();
  store_relaxed(&me->depth, depth + 1);
  kill_order();
  if (unlikely(!cas_acquire(&g->word, &none, me->mark)))
    guard_lock_slow(g, me);
}

static inline void guard_unlock (struct guard *g) {
  struct thread_record *me = record_mine;
  uint32_t old = swap_release(&g->word, 0);
  kill_order();
  store_relaxed(&me->depth, load_relaxed(&me->depth) - 1);
  if (unlikely(old & GUARD_WAITERS))
    guard_wake(g);
}

/* True where the calling thread holds it (for assertions). */
static inline bool guard_held (struct guard *g) {
  return record_mine != NULL
      && (load_relaxed(&g->word) & ~GUARD_WAITERS) == record_mine->mark;
}

#endif
