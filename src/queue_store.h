/*
** queue_store.h - what the three stores of queue.c have in common
**
** A store knows records and places; it neither waits nor wakes. All calls
** under the guard that queue.h names for them, except where said.
*/
#ifndef CONC_QUEUE_STORE_H
#define CONC_QUEUE_STORE_H

#include "queue.h"

/* A piece of a fifo or lifo. Owned by the queue; recycled by it. */
struct segment {
  struct block head;                   /* KIND_SEGMENT */
  struct segment *_Atomic next;        /* fifo: the one put after; lifo: below */
  uint64_t size;                       /* of 'bytes'; constant after init */
  uint64_t serial;                     /* position in the chain */
  _Atomic uint64_t end;                /* fifo: where its records end; SEGMENT_GROWS */
  char bytes[];
};
#define SEGMENT_GROWS   UINT64_MAX
#define SEGMENT_FIRST   1024           /* a queue of few items stays small */
#define SEGMENT_SECOND  4096
#define SEGMENT_LATER   16384

static inline struct record_head *record_at_place (const struct segment *s,
                                                   uint64_t offset) {
  return (struct record_head *)(void *)((char *)(uintptr_t)s->bytes + offset);
}
static inline struct block *record_block (const struct record_head *h) {
  return (h->length & RECORD_BLOCK)
       ? *(struct block *const *)(const void *)(h + 1) : NULL;
}

/* Records; most of the time one number. */
static inline void copy_records (char *to, const char *from, uint64_t size) {
  if (likely(size == 16))
    memcpy(to, from, 16);
  else
    memcpy(to, from, size);
}

struct segment *segment_new (uint64_t serial);    /* in hand; NULL: full */

/*
** The block is the store's now: takes it out of the hand, or off the carrier,
** of the thread t (itself, or dead).
*/
void store_disown (struct thread_record *t, struct block *b);

struct store {
  size_t inline_bytes;                     /* more than that goes into a block */
  /* As many of the source's records as fit one commit, at least one and at
     most 'room'. 0: shared memory is full. */
  uint64_t (*push) (struct queue *q, struct source *s, uint64_t room);
  /* As many records as fit one commit; there is one at least, as 'count' has
     just told. True: 'trim' has something to do. */
  bool (*pop) (struct queue *q, struct sink *s);
  /* How many items there are; at least 'want' if possible. Getters' side. */
  uint64_t (*count) (struct queue *q, uint64_t want);
  /* How many more there may be. Putters' side. */
  uint64_t (*room) (struct queue *q);
  /* The record that a pop would give. Getters' side. */
  const struct record_head *(*peek) (struct queue *q, struct priority *pri);
  uint64_t (*total) (struct queue *q);     /* items ever put. Putters' side. */
  uint64_t (*taken) (struct queue *q);     /* items ever got. Under both guards. */
  void (*repair) (struct queue *q, struct guard *g, struct thread_record *dead);
  /* Gives memory back. Without guards. NULL: never asked for. */
  void (*trim) (struct queue *q);
  void (*dispose) (struct queue *q);       /* frees an empty store; repeatable */
  /* Checks the store under both guards and tells its counts. */
  void (*valid) (struct queue *q, uint64_t *puts, uint64_t *gets);
};
extern const struct store fifo_store, lifo_store, heap_store;

size_t lifo_size (void);                   /* of a lifo queue's block */
void lifo_init (struct queue *q);
size_t heap_size (void);                   /* of a priority queue's block */
void heap_init (struct queue *q);

void batch_open (void);                    /* queue_batch.c: the kind of segments */

/* Aborts with the name of the queue's invariant that does not hold. */
void store_check (bool holds, const char *what);

#endif
