/*
** select.h - waiting for whichever of many objects is ready first
**
** A kind that can be waited for so tells how in its select_ops. The caller
** joins the line of every object, with nodes that lie in a block in his hand
** (thread_record.more), looks at all of them, and sleeps once.
**
** S1  A node is in at most one line: of the object that it stands for.
** S2  Before a sleep every node is in its line, and every object was looked at
**     after its node had joined.
** S3  Who was taken out of a line and does not use the wake passes it on.
** Owner death. The sweep finds the nodes by thread_record.more and does what
** select_end does; the block is in the dead hand.
*/
#ifndef CONC_SELECT_H
#define CONC_SELECT_H

#include "arena.h"
#include "gate.h"

struct select_ops {
  struct guard *(*guard) (struct block *b);
  struct gate *(*gate) (struct block *b);       /* who wants it; under the guard */
  struct gate *(*watchers) (struct block *b);   /* who only looks; under the guard */
  bool (*ready) (struct block *b);              /* without guards */
  /* The caller joins the line, has left it; under the guard. NULL: nothing. */
  void (*joins) (struct block *b);
  void (*left) (struct block *b);
  /* Counts how often it became ready, where it may cease to be: one that waits
     is woken by it all the same. NULL: nobody needs to know. */
  uint32_t (*pulses) (struct block *b);
  /* The caller has slept for long: do those live that would make it ready?
     NULL: nothing. Without guards. */
  void (*look) (struct block *b);
};
void select_kind (enum kind kind, const struct select_ops *ops);   /* at load */
const struct select_ops *select_ops_of (const struct block *b);    /* NULL: none */

/* Places in lines. Of one thread; between begin and end nothing may raise. */
struct places {
  struct wait_node *nodes;
  struct block *block;                          /* holds the nodes; in hand */
  struct block *const *objects;
  int n;
  bool watch;                                   /* only looks */
};
bool places_begin (struct places *p, struct block *const *objects, int n, bool watch);
/* Joins where it is not in line; true: somewhere it was not (look again). */
bool places_join (struct places *p);
/* 'used': which wake was used; -1: none. The others' are passed on. */
void places_end (struct places *p, int used);

/*
** Tries the objects from 'start' on, in order, until take(ctx, i) gives CONC_OK
** for one, whose index is *which. take may give CONC_TIMEOUT (not ready) or
** CONC_CLOSED (never will be); CONC_CLOSED is the result when all are. Other
** results: CONC_TIMEOUT, CANCELLED, INTERRUPTED, FULL.
*/
int select_wait (struct block *const *objects, int n, int start, deadline until,
                 int (*take) (void *ctx, int i), void *ctx, int *which);

/* Has each look whether those live that would make it ready. Without guards. */
void select_look (struct block *const *objects, int n);

void select_open (void);

#endif
