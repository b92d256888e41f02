/*
** queue_lifo.c - the store of conc.lifo_queue: a stack of segments
**
** The top is kept twice; puts.state says in its lowest bit which is valid. An
** operation writes the other one and commits by storing 'state'. All under the
** putters' guard. After a record comes its size, so the stack is read downwards.
**
** L1  What lies between the bottom and the valid top is the queue's: segments
**     by 'next' downwards, records, blocks. What the hand of a dead holder has
**     of these is in its place; the rest of that hand is not.
** L2  A segment's 'end' says where its records end while one is above it.
** L3  At most one segment, puts.first, is kept spare.
*/
#include "queue_store.h"

#include <string.h>

struct top {
  struct segment *segment;             /* NULL: nothing was ever put */
  uint64_t offset;                     /* 0 only in the lowest segment */
  uint64_t count;                      /* items below */
  uint64_t total;                      /* items ever put */
};

struct lifo {
  struct queue q;
  struct top top[2];                   /* guarded by puts.guard */
};

static struct lifo *lifo_of (struct queue *q) {
  return (struct lifo *)(void *)q;
}

size_t lifo_size (void) {
  return sizeof(struct lifo);
}

void lifo_init (struct queue *q) {
  memset(lifo_of(q)->top, 0, sizeof lifo_of(q)->top);
}

static struct top *valid_top (struct queue *q) {
  return &lifo_of(q)->top[load_relaxed(&q->puts.state) & 1];
}

/* Writes and commits a new top. */
static void commit (struct queue *q, const struct top *t) {
  uint64_t state = load_relaxed(&q->puts.state);
  lifo_of(q)->top[~state & 1] = *t;
  kill_order();
  store_release(&q->puts.state, ((state >> 1) + 1) << 1 | (~state & 1));
  kill_order();
}

/* {=== put ===} */

/* A segment to go above 'below', in hand; NULL: full. */
static struct segment *segment_above (struct queue *q, struct segment *below) {
  uint64_t serial = below == NULL ? 1 : below->serial + 1;
  struct segment *s = load_relaxed(&q->puts.first);
  if (s == NULL || s->serial < serial) {
    s = segment_new(serial);
    if (s == NULL)
      return NULL;
  } else {
    arena_hold(&s->head);
    store_relaxed(&q->puts.first, NULL);
    kill_order();
    s->serial = serial;
  }
  store_relaxed(&s->next, below);
  return s;
}

/* Copies records above the top, each with its size; how many there was room for. */
static uint64_t stack_up (struct top *t, struct source *s, uint64_t most) {
  uint64_t n = 0;
  while (n < most) {
    const struct record_head *h = (const struct record_head *)(const void *)s->at;
    uint64_t size = record_size(h);
    if (t->offset + size + sizeof size > t->segment->size)
      break;
    memcpy(t->segment->bytes + t->offset, h, size);
    memcpy(t->segment->bytes + t->offset + size, &size, sizeof size);
    t->offset += size + sizeof size;
    s->at += size;
    n++;
  }
  t->count += n;
  t->total += n;
  s->left -= n;
  s->done += n;
  return n;
}

static struct record_head *record_below (const struct segment *s, uint64_t offset,
                                         uint64_t *size) {
  memcpy(size, s->bytes + offset - sizeof *size, sizeof *size);
  return record_at_place(s, offset - sizeof *size - *size);
}

/* The blocks of the top n records, all in one segment from 'offset' on, become
   the queue's. */
static void disown_from (const struct segment *s, uint64_t offset, uint64_t n) {
  for (; n > 0; n--) {
    const struct record_head *h = record_at_place(s, offset);
    struct block *b = record_block(h);
    if (b != NULL)
      store_disown(record_mine, b);
    offset += record_size(h) + sizeof(uint64_t);
  }
}

static uint64_t lifo_push (struct queue *q, struct source *s, uint64_t room) {
  struct top t = *valid_top(q);
  struct segment *fresh = NULL;
  uint64_t most = s->left < room ? s->left : room;
  uint64_t from = t.offset;
  uint64_t n = t.segment == NULL ? 0 : stack_up(&t, s, most);
  if (n == 0) {
    fresh = segment_above(q, t.segment);
    if (fresh == NULL)
      return 0;
    if (t.segment != NULL)
      store_relaxed(&t.segment->end, t.offset);
    t.segment = fresh;
    t.offset = from = 0;
    n = stack_up(&t, s, most);
  }
  commit(q, &t);
  if (fresh != NULL)
    arena_settle(&fresh->head);
  disown_from(t.segment, from, n);
  return n;
}

static uint64_t lifo_room (struct queue *q) {
  return q->maxsize - valid_top(q)->count;
}

static uint64_t lifo_total (struct queue *q) {
  return valid_top(q)->total;
}

/* {=== get ===} */

static uint64_t lifo_count (struct queue *q, uint64_t want) {
  (void)want;
  return valid_top(q)->count;
}

/* Copies records from the top, down to the segment's bottom. */
static void take_down (struct top *t, struct sink *s) {
  size_t used = 0;
  int blocks = 0;
  s->n = 0;
  s->plain = true;
  while (s->n < s->max && t->offset > 0) {
    uint64_t size;
    const struct record_head *h = record_below(t->segment, t->offset, &size);
    struct block *b = record_block(h);
    if (used + size > s->size || (b != NULL && blocks == SINK_BLOCKS))
      break;
    if (b != NULL) {
      arena_hold(b);
      blocks++;
    }
    s->plain &= (h->length & RECORD_PLAIN) != 0;
    memcpy(s->to + used, h, size);
    used += size;
    t->offset -= size + sizeof size;
    t->count--;
    s->n++;
  }
}

static bool lifo_pop (struct queue *q, struct sink *s) {
  struct top t = *valid_top(q);
  struct segment *empty = NULL;
  take_down(&t, s);
  if (t.offset == 0 && load_relaxed(&t.segment->next) != NULL) {
    empty = t.segment;
    arena_hold(&empty->head);
    t.segment = load_relaxed(&empty->next);
    t.offset = load_relaxed(&t.segment->end);
  }
  commit(q, &t);
  if (empty == NULL)
    return false;
  if (load_relaxed(&q->puts.first) == NULL) {
    store_relaxed(&q->puts.first, empty);
    kill_order();
    arena_settle(&empty->head);
  } else
    arena_free(&empty->head);
  return false;
}

static const struct record_head *lifo_peek (struct queue *q, struct priority *pri) {
  const struct top *t = valid_top(q);
  uint64_t size;
  (void)pri;
  return record_below(t->segment, t->offset, &size);
}

static uint64_t lifo_taken (struct queue *q) {
  return valid_top(q)->total - valid_top(q)->count;
}

/* {=== owner death, the end ===} */

static void lifo_repair (struct queue *q, struct guard *g, struct thread_record *dead) {
  struct top t = *valid_top(q);
  (void)g;
  if (load_relaxed(&q->puts.first) != NULL)
    arena_settle_dead(dead, &load_relaxed(&q->puts.first)->head);
  while (t.segment != NULL) {
    arena_settle_dead(dead, &t.segment->head);
    while (t.offset > 0) {
      uint64_t size;
      struct block *b = record_block(record_below(t.segment, t.offset, &size));
      if (b != NULL)
        store_disown(dead, b);
      t.offset -= size + sizeof size;
    }
    t.segment = load_relaxed(&t.segment->next);
    if (t.segment != NULL)
      t.offset = load_relaxed(&t.segment->end);
  }
}

/* Only the lowest segment and the spare are left of an empty one. */
static void lifo_dispose (struct queue *q) {
  guard_lock(&q->puts.guard);
  struct top t = *valid_top(q);
  struct segment *spare = load_relaxed(&q->puts.first), *lowest = t.segment;
  if (spare != NULL) {
    arena_hold(&spare->head);
    store_relaxed(&q->puts.first, NULL);
    kill_order();
    arena_free(&spare->head);
  }
  if (lowest != NULL) {
    arena_hold(&lowest->head);
    t.segment = NULL;
    t.offset = 0;
    commit(q, &t);
    arena_free(&lowest->head);
  }
  guard_unlock(&q->puts.guard);
}

static void lifo_valid (struct queue *q, uint64_t *puts, uint64_t *gets) {
  struct top t = *valid_top(q);
  uint64_t n = 0;
  *puts = t.total;
  *gets = t.total - t.count;
  while (t.segment != NULL) {
    while (t.offset > 0) {
      uint64_t size;
      record_below(t.segment, t.offset, &size);
      t.offset -= size + sizeof size;
      n++;
    }
    t.segment = load_relaxed(&t.segment->next);
    if (t.segment != NULL)
      t.offset = load_relaxed(&t.segment->end);
  }
  store_check(n == *puts - *gets, "Q2: the stack");
}

const struct store lifo_store = {
  .inline_bytes = QUEUE_INLINE, .push = lifo_push, .pop = lifo_pop,
  .count = lifo_count, .room = lifo_room, .peek = lifo_peek,
  .total = lifo_total, .taken = lifo_taken, .repair = lifo_repair,
  .dispose = lifo_dispose, .valid = lifo_valid
};
