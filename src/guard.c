/*
** guard.c - floor 1: taking a guard that is not free
*/
#include "guard.h"
#include "arena.h"
#include "sys.h"

#include <stdio.h>
#include <stdlib.h>

#define SPINS       200
#define NAP_MIN     ((nanos)1 * 1000000)
#define NAP_MAX     ((nanos)16 * 1000000)

/* Who repairs what; written at load, constant after. */
static guard_repair *repairs[KIND_MAX];

void guard_init (struct guard *g, enum rank rank, int kind) {
  g->rank = (uint16_t)rank;
  g->kind = (uint16_t)kind;
  store_release(&g->word, 0);
}

void guard_on_death (int kind, guard_repair *repair) {
  repairs[kind] = repair;
}

void guard_check_rank (struct guard *g, struct thread_record *me) {
  uint32_t depth = load_relaxed(&me->depth);
  if (depth >= GUARD_DEPTH) {
    fprintf(stderr, "conc: guards nested too deeply\n");
    abort();
  }
  if (depth > 0) {
    struct guard *top = load_relaxed(&me->guards[depth - 1]);
    if (top->rank >= g->rank) {
      fprintf(stderr, "conc: guard of rank %d taken under rank %d\n",
              g->rank, top->rank);
      abort();
    }
  }
}

/* From whom was the dead thread taking g over when it died? NULL: from nobody. */
static struct thread_record *robbed_by (struct thread_record *dead, struct guard *g) {
  for (uint32_t d = load_relaxed(&dead->depth); d > 0; d--) {
    uint32_t from = load_relaxed(&dead->from[d - 1]);
    if (load_relaxed(&dead->guards[d - 1]) == g)
      return from != 0 ? record_at(from - 1) : NULL;
  }
  return NULL;
}

/* The first to die is the first to be mended. Each has its guards noted until it is
   swept, and the sweep waits for them: so the records are still theirs. */
static void repair (struct guard *g, struct thread_record *dead) {
  struct thread_record *before = robbed_by(dead, g);
  if (before != NULL)
    repair(g, before);
  if (repairs[g->kind] != NULL)
    repairs[g->kind](g, dead);
  arena_settle_counted(dead);
}

/* The record that a guard's word names (a mark has the index, counted from 1):
   its life may have ended since. */
static struct thread_record *holder_of (uint32_t word) {
  return record_at((word & 0xffff) - 1);
}

/* Is the holder named by 'word' known to be dead, its process asked? */
static bool holder_died (uint32_t word) {
  struct thread_record *t = holder_of(word);
  uint32_t owner = load_acquire(&t->owner);
  if (owner == 0)
    return false;  /* swept: then the word is about to change */
  struct process_record *p = process_at(owner - 1);
  if (p == process_mine())
    return false;
  uint32_t state = load_acquire(&p->owner) & 7;
  if (state == PROCESS_DEAD)
    return true;
  if (state != PROCESS_LIVE)
    return false;
  return process_died(p);
}

/*
** 'word' is what the dead left: the swap that replaces it has one winner. The guard is
** noted as the caller's last.
*/
static bool steal (struct guard *g, uint32_t word, struct thread_record *me,
                   struct thread_record *dead) {
  _Atomic uint32_t *from = &me->from[load_relaxed(&me->depth) - 1];
  store_relaxed(from, dead->index + 1);
  kill_order();
  bool won = cas_acquire(&g->word, &word, me->mark | GUARD_WAITERS);
  kill_order();
  if (won)
    repair(g, dead);
  kill_order();
  store_relaxed(from, 0);
  return won;
}

void guard_lock_slow (struct guard *g, struct thread_record *me) {
  if (sys_cpu_shared() > 1) {
    for (int i = 0; i < SPINS; i++) {
      uint32_t word = load_relaxed(&g->word);
      if (word == 0 && cas_acquire(&g->word, &word, me->mark))
        return;
      sys_relax();
    }
  }
  nanos nap = NAP_MIN;
  for (;;) {
    uint32_t word = load_relaxed(&g->word);
    if (word == 0) {  /* others may sleep: keep their bit */
      if (cas_acquire(&g->word, &word, me->mark | GUARD_WAITERS))
        return;
      continue;
    }
    if (!(word & GUARD_WAITERS)) {
      uint32_t marked = word | GUARD_WAITERS;
      if (!cas_relaxed(&g->word, &word, marked))
        continue;
      word = marked;
    }
    int rc = sys_futex_wait(&g->word, word, sys_now() + nap);
    if (rc != CONC_TIMEOUT)
      continue;
    if (load_relaxed(&g->word) == word && holder_died(word)
        && steal(g, word, me, holder_of(word)))
      return;
    if (nap < NAP_MAX)
      nap *= 2;
  }
}

void guard_wake (struct guard *g) {
  sys_futex_wake(&g->word, 1);
}

bool guard_take_over (struct guard *g, struct thread_record *dead) {
  struct thread_record *me = self();
  uint32_t word = load_acquire(&g->word);
  if ((word & ~GUARD_WAITERS) != dead->mark)
    return false;
  uint32_t depth = load_relaxed(&me->depth);
  store_relaxed(&me->guards[depth], g);
  kill_order();
  store_relaxed(&me->depth, depth + 1);
  kill_order();
  while ((word & ~GUARD_WAITERS) == dead->mark) {
    if (steal(g, word, me, dead))
      return true;
    word = load_acquire(&g->word);
  }
  kill_order();
  store_relaxed(&me->depth, depth);
  return false;
}
