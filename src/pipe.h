/*
** pipe.h - two ends; what one sends the other receives
**
** A channel for each direction (queue.h, unbounded); an end counts a reference
** to both. Constant after init: in, out, until the end is destroyed.
** An end is closed for all who hold it by closing both of its channels: what
** was sent before can still be received, then both sides learn "closed". An
** end that nobody alive holds is destroyed (its count is 0: handles of dead
** processes are dropped by the sweep), which closes it too.
** Owner death. Nothing is guarded here: each of the two closes is one
** operation of a channel, and closing again does nothing.
*/
#ifndef CONC_PIPE_H
#define CONC_PIPE_H

#include "queue.h"

struct pipe_end {
  struct block head;                   /* KIND_PIPE */
  struct block *_Atomic in;            /* counted */
  struct block *_Atomic out;           /* counted */
};

static inline struct pipe_end *pipe_of (struct block *b) {
  return (struct pipe_end *)(void *)b;
}
static inline struct queue *pipe_in (struct block *b) {
  return queue_of(load_relaxed(&pipe_of(b)->in));
}
static inline struct queue *pipe_out (struct block *b) {
  return queue_of(load_relaxed(&pipe_of(b)->out));
}

/* Both ends in the caller's hand; false: shared memory is full. */
bool pipe_new (struct block *ends[2]);
/* True: it was open. */
bool pipe_close (struct block *end);
void pipe_open (void);

#endif
