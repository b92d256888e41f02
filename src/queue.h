/*
** queue.h - queues of messages, shared by threads and processes
**
** One struct for the three nouns and for a direction of a pipe (KIND_CHANNEL).
** What differs is the store, the place where items lie between put and get:
**   KIND_QUEUE, KIND_CHANNEL   queue_fifo.c   a chain of segments
**   KIND_LIFO_QUEUE            queue_lifo.c   a stack of segments
**   KIND_PRIORITY_QUEUE        queue_heap.c   a binary heap
** An item is a record: a small message lies in it with its bytes, a larger
** one, and one that mentions objects, as a message block that it owns.
**
** Guards. FIFO: the putters' and the getters' side have one each, on cache
** lines of their own, so that a producer and a consumer meet only where one
** has to learn how far the other is. LIFO and heap: 'puts.guard' is all.
**   Guarded by the putters' guard:   puts.*, nonfull, putting, finished, dones.
**   Guarded by the getters' guard:   gets.*, nonempty, getting, watchers.
**   Guarded by both:                 closed, discarded_at (read under either).
**   Constant after init:             maxsize.
** Order: putters' before getters'.
**
** True whenever the guards are free (queue_valid checks it):
**   Q1  gets <= puts <= gets + maxsize.
**   Q2  the records between the getters' place and the putters' place are
**       whole, as many as puts - gets, and own their blocks.
**   Q3  'closed' goes up only: OPEN, CLOSED, DISCARDED. From CLOSED on 'puts'
**       stays, from DISCARDED on nothing is got.
**   Q4  dones <= puts (once DISCARDED: dones <= discarded_at).
** Waiting:
**   Q5  Who joins 'nonempty' has set 'getting' and has then seen puts == gets
**       and not closed. A putter commits, gives the guard back and then looks
**       at 'getting', with a full barrier between on either side: one of the
**       two sees the other. Likewise 'putting' and 'nonfull'. The flags may be
**       set with nobody in line, never clear with somebody there.
**   Q6  Who waits is served about in turn: a newcomer may take an item before
**       one who has been woken and is on his way; but once one has come too
**       late after PATIENCE, newcomers go to the end of the line ('starved',
**       a hint: may be set for nobody) until he was served.
** Owner death. Each operation commits with one store. What a holder killed
** before it has written is not seen; after it, the operation is done. The
** repairs (each store describes its own) say which of the blocks in the dead
** hand have their place in the queue.
** Ownership. queue_put takes the record's block when it returns CONC_OK, and
** queue_get gives it into the caller's hand. On any other status nothing
** changes hands.
*/
#ifndef CONC_QUEUE_H
#define CONC_QUEUE_H

#include "arena.h"
#include "gate.h"
#include "message.h"

#include <string.h>

#define QUEUE_INLINE    480            /* bytes that travel in a record */
#define QUEUE_UNBOUNDED UINT64_MAX
#define RECORD_BLOCK    0x80000000u    /* in 'length': a pointer follows */
#define RECORD_PLAIN    0x40000000u    /* in 'length': no message, but a number or
                                          string as it is, of type 'flags' */

/* 'flags' of a plain record: numbers, booleans, short strings. */
enum plain { PLAIN_INTEGER, PLAIN_FLOAT, PLAIN_BOOLEAN, PLAIN_STRING };

/* What an item is in a store and on its way there. Padded to 8 bytes. */
struct record_head {
  uint32_t length;                     /* of the bytes; and one of the above */
  uint32_t flags;                      /* the codec's; or the binding's */
};

struct record {
  struct record_head head;
  union {
    char bytes[QUEUE_INLINE];
    struct block *block;               /* a message; owned */
  } u;
};

static inline size_t record_size (const struct record_head *h) {
  return sizeof *h + ((h->length & RECORD_BLOCK) ? sizeof(struct block *)
                      : ((h->length & ~RECORD_PLAIN) + 7u) & ~7u);
}
/* Zeroes what fills the last 8 bytes of 'length', before they are written. */
static inline void record_pad (struct record *r, size_t length) {
  if (length > 0)
    memset(r->u.bytes + ((length - 1) & ~(size_t)7), 0, 8);
}

/* A Lua number; compared as Lua does, integers and floats by their value. */
struct priority {
  union { int64_t i; double n; } u;
  uint64_t is_float;                   /* 0, 1; never NaN. (A bool would leave a gap, and
                                          memcheck takes what others write there for it.) */
};

/* Records that are to be put, in order. */
struct source {
  const char *at;                      /* the next one; 8-byte aligned */
  const char *end;                     /* of the last one */
  uint64_t left;                       /* how many */
  uint64_t done;                       /* how many were put */
  bool own;                            /* a struct priority goes before each */
  struct priority priority;            /* else: of them all, where that counts */
  bool blocks;                         /* some have blocks: in hand, or a carrier's */
};

/* Room for records that are got. */
struct sink {
  char *to;                            /* 8-byte aligned */
  size_t size;                         /* a whole struct record at least */
  uint32_t max;                        /* no more than so many */
  uint32_t n;                          /* so many were got */
  bool plain;                          /* all of them plain records */
  struct priority priority;            /* of the last one */
};
#define SINK_BLOCKS  8                 /* at most so many come in hand at once */

enum { QUEUE_OPEN = 0, QUEUE_CLOSED, QUEUE_DISCARDED };

struct segment;

/* Whether who waits lets some more come: queue.c; under the side's guard. */
struct linger {
  uint16_t skip;                       /* not for so many waits */
  uint16_t period;                     /* nor for so many after it was in vain */
};

/* A point between two records. */
struct place {
  struct segment *segment;             /* NULL: before the first was made */
  uint64_t offset;                     /* in its bytes */
  uint64_t turn;                       /* items up to here */
};

struct queue {
  struct block head;
  uint64_t maxsize;                    /* constant after init */
  _Atomic uint64_t discarded_at;       /* once DISCARDED: items got, or marked done,
                                          before; else unused */
  _Atomic uint32_t closed;             /* Q3 */
  _Atomic uint32_t watched;            /* hint: some process has a pollfd of it */

  struct {                             /* the putters' side */
    cache_aligned struct guard guard;  /* RANK_OBJECT */
    uint64_t seen;                     /* fifo: gets, as last read; may lag */
    struct place at[2];                /* see queue_fifo.c */
    cache_aligned _Atomic uint64_t state;   /* the commit: count << 1 | which place */
    struct segment *_Atomic first;     /* fifo: the oldest; lifo: the spare */
    uint32_t starved;                  /* Q6 */
    struct linger linger;
  } puts;

  struct {                             /* the getters' side */
    cache_aligned struct guard guard;  /* RANK_OBJECT2 */
    uint64_t seen;                     /* puts, as last read; may lag */
    struct place at[2];
    cache_aligned _Atomic uint64_t state;   /* the commit: count << 1 | which place */
    _Atomic uint64_t serial;           /* segments before this one are drained; may lag */
    uint32_t starved;                  /* Q6 */
    struct linger linger;
  } gets;

  cache_aligned _Atomic uint32_t getting;   /* Q5 */
  _Atomic uint32_t putting;                 /* Q5 */
  uint64_t dones;                      /* calls of task_done */
  struct gate nonempty;
  struct gate nonfull;
  struct gate finished;                /* until all are marked done */
  struct gate watchers;                /* pollfd: all are woken, none takes */
};

static inline struct queue *queue_of (struct block *b) {
  return (struct queue *)(void *)b;
}

/* In hand; NULL: full. 'kind': one of the four; 'maxsize' >= 1. */
struct block *queue_new (enum kind kind, uint64_t maxsize);

/*
** A parcel as a record, ready to be put; takes the parcel. A block it may need
** is in the caller's hand. False: shared memory is full, the parcel is dropped.
*/
bool queue_pack (struct queue *q, struct parcel *p, struct record *r);
size_t queue_inline (struct queue *q);         /* most bytes of a record */

/* One record; CONC_OK, TIMEOUT, CLOSED, FULL, CANCELLED, INTERRUPTED. */
int queue_put (struct queue *q, struct record *r, const struct priority *pri,
               deadline until);
/* Until s->left is 0; s->done were put, whatever it returns. */
int queue_put_many (struct queue *q, struct source *s, deadline until);
/* Waits for one, takes what is there up to s->max. */
int queue_get (struct queue *q, struct sink *s, deadline until);
/* Waits until a get would not (CONC_OK) or all is over (CONC_CLOSED). */
int queue_poll (struct queue *q, deadline until);
/*
** The next record without taking it: CONC_OK, CONC_TIMEOUT where there is none,
** CONC_FULL. A message block is given as a copy in the caller's hand.
*/
int queue_peek (struct queue *q, struct record *r, struct priority *pri);

/* True: it was open. 'discard': what is in it is dropped. */
bool queue_close (struct queue *q, bool discard);
int queue_task_done (struct queue *q);         /* CONC_OK, CONC_RANGE */
int queue_join (struct queue *q, deadline until);

uint64_t queue_length (struct queue *q);
static inline bool queue_closed (struct queue *q) {
  return load_acquire(&q->closed) != QUEUE_OPEN;
}
/* Would a get return at once, with an item or because all is over? */
bool queue_ready (struct queue *q);
/* Closed, and nothing left? */
bool queue_over (struct queue *q);
/* The getters' guard: for select, and for who watches. */
struct guard *queue_getters (struct queue *q);
/* In debug builds: aborts where Q1, Q2 or Q4 do not hold. Takes the guards. */
void queue_valid (struct queue *q);

/*
** Batches: records that Lua made, before they are put. The carrier, in the
** caller's hand, owns their blocks.
*/
struct batch {
  char *bytes;
  size_t used, size;
  uint64_t n;
  bool own;                            /* with priorities */
  struct block *carrier;               /* NULL: no blocks among them */
  _Alignas(8) char small[4096];
};
void batch_begin (struct batch *b);
struct record *batch_grow (struct batch *b);
/* The next record is to have this priority; all must. False: no memory. */
bool batch_priority (struct batch *b, const struct priority *p);
/* Where the next record may be written; NULL: no memory. */
static inline struct record *batch_next (struct batch *b) {
  return likely(b->size - b->used >= sizeof(struct record))
       ? (struct record *)(void *)(b->bytes + b->used) : batch_grow(b);
}
/* It is written, of this size, and has no block. */
static inline void batch_keep (struct batch *b, size_t size) {
  b->used += size;
  b->n++;
}
/* It is written: takes its block. CONC_OK, or CONC_FULL (it is dropped). */
int batch_add (struct batch *b);
void batch_source (struct batch *b, struct source *s);
void batch_end (struct batch *b);      /* drops what was not put */

void queue_open (void);

#endif
