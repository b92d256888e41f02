/*
** barrier.h - a place where a number of threads wait for each other, again
** and again
**
** A round: arrivals 1 .. parties, then all go on together. How the rounds end
** is told by one word, phase = rounds ended << 2 | how the last one did.
**
**              arrive (the last: the action, if any, outside of the guard)
**   open -------------------------------------> open     (PASSED: all go on)
**     \--- timeout, cancel, abort, a failed action, a death ---> broken
**   open, broken --- reset ---> open                     (OPENED)
** Whatever ends a round but PASSED tells those in it "broken".
**
**   Guarded by 'guard':     all but what is constant; phase is read by anybody.
**   Constant after init:    parties, action.
** True whenever the guard is free (barrier_valid checks it):
**   B1  settled == phase: who was in a round that has ended has been told.
**   B2  who[0 .. arrived - 1] are the keys of this round's arrivals; arrived
**       carries the number of its round: of another round it means 0.
**   B3  actor != 0 only while arrived == parties: it runs the action, and ends
**       the round by barrier_finish.
** Waiting: one line; tag says for what.
**   B4  TAG_WAITS: in the round. TAG_DOOR: came while an action runs, and will
**       be in the next. TAG_PASSED, TAG_BROKEN: told; leaves when he wakes. Nobody
**       is taken out of the line by another.
** Memory order: what each wrote before it arrived is seen by all after the
** round, through the guard.
** Owner death. The store of 'phase' ends a round; telling it can be repeated
** (barrier_settle), and the repair of the guard does. An arrival commits by
** 'arrived'. Each who waits looks after the one who came next to him, round in
** a ring, and after the last to arrive, who runs the action: one that died breaks
** the barrier. The last looks whether any is known to have ended.
** 'action' is a message, counted, for this one place.
*/
#ifndef CONC_BARRIER_H
#define CONC_BARRIER_H

#include "arena.h"
#include "gate.h"

#define BARRIER_MAX  MAX_THREADS

enum barrier_how { BARRIER_OPENED = 0, BARRIER_PASSED, BARRIER_BROKEN };

struct barrier {
  struct block head;               /* KIND_BARRIER */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  _Atomic uint64_t phase;
  uint64_t settled;
  uint64_t arrived;                /* round << 32 | how many */
  thread_key actor;
  uint32_t parties;
  struct block *_Atomic action;    /* NULL: none */
  thread_key who[];
};

static inline struct barrier *barrier_of (struct block *b) {
  return (struct barrier *)(void *)b;
}

/* In hand; NULL: full. 'action' is in hand or NULL, and taken if not full. */
struct block *barrier_new (uint32_t parties, struct block *action);

/*
** CONC_OK: '*index' is the place of arrival, 1 .. parties. If '*act' is true
** the caller is the last and must run the action, and then barrier_finish.
** CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED (the barrier is broken by it,
** unless the caller was still at the door); CONC_BROKEN; CONC_MISUSE: the caller
** is running the action.
*/
int barrier_wait (struct barrier *b, deadline until, uint32_t *index, bool *act);
/* CONC_OK; CONC_BROKEN: it was reset or aborted meanwhile, or not 'passed'. */
int barrier_finish (struct barrier *b, bool passed);
void barrier_reset (struct barrier *b);
void barrier_abort (struct barrier *b);
bool barrier_broken (struct barrier *b);
uint32_t barrier_waiting (struct barrier *b);

bool barrier_valid (struct barrier *b);   /* under the guard */
void barrier_open (void);

#endif
