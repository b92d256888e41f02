/*
** queue_heap.c - the store of conc.priority_queue: a binary heap
**
** Entries of 64 bytes in chunks, found through a directory. All under the
** putters' guard.
**
** H1  state = count << 2 | step. IDLE: a[0 .. count-1] is a heap by priority
**     and, among equals, by arrival.
** H2  UP, DOWN: the same but for the entry 'moving', which has no place yet,
**     and the place a[hole], which has none; 'moving' is on its way from there
**     towards the root (UP, a put) or the leaves (DOWN, a get).
**
** An operation writes 'moving', 'hole' and 'next_total', and commits by storing
** 'state' with the new count and UP or DOWN. The way that follows (settle) can
** be walked again from any point: one step copies an entry into the hole, which
** changes nothing that the choice of that step depended on, and then stores
** the new hole. So the repair of a dead holder walks on.
** Which blocks in a dead hand are in their place: those found in the heap.
*/
#include "queue_store.h"

#include <math.h>
#include <string.h>

enum { HEAP_IDLE = 0, HEAP_UP, HEAP_DOWN };

#define ENTRY_INLINE  32
#define FIRST_CHUNK   1024
#define LATER_CHUNK   16384
#define IN_FIRST      ((FIRST_CHUNK - 64) / 64)
#define IN_LATER      ((LATER_CHUNK - 64) / 64)

struct entry {
  uint64_t arrival;                    /* which put it was */
  struct priority priority;
  struct record_head head;
  union {
    char bytes[ENTRY_INLINE];
    struct block *block;               /* a message; owned */
  } u;
};
_Static_assert(sizeof(struct entry) == 64, "size of an entry");

struct chunk {
  cache_aligned struct block head;     /* KIND_SEGMENT */
  cache_aligned struct entry a[];
};

struct directory {
  struct block head;                   /* KIND_SEGMENT */
  uint64_t size;                       /* constant */
  struct chunk *_Atomic chunk[];       /* the first ones; the rest are NULL */
};
#define DIRECTORY_FIRST  512

struct heap {
  struct queue q;
  struct directory *_Atomic directory; /* NULL: nothing was ever put */
  uint64_t total;                      /* items ever put */
  uint64_t next_total;                 /* what 'total' becomes in this step */
  uint64_t hole;
  struct entry moving;
};

static struct heap *heap_of (struct queue *q) {
  return (struct heap *)(void *)q;
}

size_t heap_size (void) {
  return sizeof(struct heap);
}

void heap_init (struct queue *q) {
  struct heap *h = heap_of(q);
  store_relaxed(&h->directory, NULL);
  h->total = h->next_total = h->hole = 0;
}

#define COUNT(state)  ((state) >> 2)
#define STEP(state)   ((state) & 3)

static uint64_t state_of (struct heap *h) {
  return load_relaxed(&h->q.puts.state);
}

/* {=== order ===} */

/* i < n, exactly: n is compared as an integer where it is within their range. */
static bool int_less_float (int64_t i, double n) {
  if (n >= 0x1p63) return true;
  if (n <= -0x1p63) return false;      /* i >= -2^63 >= n */
  return i < (int64_t)ceil(n);
}

static bool float_less_int (double n, int64_t i) {
  if (n >= 0x1p63) return false;
  if (n < -0x1p63) return true;
  return (int64_t)floor(n) < i;
}

static bool priority_less (const struct priority *a, const struct priority *b) {
  if (a->is_float)
    return b->is_float ? a->u.n < b->u.n : float_less_int(a->u.n, b->u.i);
  return b->is_float ? int_less_float(a->u.i, b->u.n) : a->u.i < b->u.i;
}

static bool before (const struct entry *a, const struct entry *b) {
  if (priority_less(&a->priority, &b->priority)) return true;
  if (priority_less(&b->priority, &a->priority)) return false;
  return a->arrival < b->arrival;
}

/* {=== entries ===} */

static uint64_t chunk_of (uint64_t i) {
  return i < IN_FIRST ? 0 : 1 + (i - IN_FIRST) / IN_LATER;
}

static struct entry *at (struct heap *h, uint64_t i) {
  struct chunk *c = load_relaxed(&load_relaxed(&h->directory)->chunk[chunk_of(i)]);
  return &c->a[i < IN_FIRST ? i : (i - IN_FIRST) % IN_LATER];
}

/* A directory twice as large; false: shared memory is full. */
static bool grow_directory (struct heap *h) {
  struct directory *old = load_relaxed(&h->directory);
  size_t bytes = old == NULL ? DIRECTORY_FIRST
               : (offsetof(struct directory, chunk) + old->size * sizeof(void *)) * 2;
  struct block *b = arena_alloc(bytes);
  if (b == NULL)
    return false;
  struct directory *d = (struct directory *)(void *)b;
  b->flags = 0;
  d->size = (b->size - offsetof(struct directory, chunk)) / sizeof(void *);
  for (uint64_t i = 0; i < d->size; i++)
    store_relaxed(&d->chunk[i], old != NULL && i < old->size
                                ? load_relaxed(&old->chunk[i]) : NULL);
  block_ready(b, KIND_SEGMENT);
  if (old != NULL)
    arena_hold(&old->head);
  store_relaxed(&h->directory, d);
  arena_settle(b);
  if (old != NULL)
    arena_free(&old->head);
  return true;
}

/* Makes sure that a[i] has a chunk. */
static bool make_room (struct heap *h, uint64_t i) {
  uint64_t k = chunk_of(i);
  struct directory *d = load_relaxed(&h->directory);
  if (d == NULL || k >= d->size) {
    if (!grow_directory(h))
      return false;
    d = load_relaxed(&h->directory);
  }
  if (load_relaxed(&d->chunk[k]) != NULL)
    return true;
  struct block *b = arena_alloc(k == 0 ? FIRST_CHUNK : LATER_CHUNK);
  if (b == NULL)
    return false;
  b->flags = 0;
  block_ready(b, KIND_SEGMENT);
  store_relaxed(&d->chunk[k], (struct chunk *)(void *)b);
  arena_settle(b);
  return true;
}

static void free_chunk (struct directory *d, uint64_t k) {
  struct chunk *c = load_relaxed(&d->chunk[k]);
  arena_hold(&c->head);
  store_relaxed(&d->chunk[k], NULL);
  kill_order();
  arena_free(&c->head);
}

/* One chunk more than needed is kept. */
static void shrink (struct heap *h) {
  struct directory *d = load_relaxed(&h->directory);
  uint64_t k = chunk_of(COUNT(state_of(h))) + 2;
  if (k < d->size && load_relaxed(&d->chunk[k]) != NULL)
    free_chunk(d, k);
}

/* {=== the way of 'moving' ===} */

static void step_to (struct heap *h, uint64_t i) {
  *at(h, h->hole) = *at(h, i);
  kill_order();
  h->hole = i;
  kill_order();
}

static void go_up (struct heap *h) {
  while (h->hole > 0 && before(&h->moving, at(h, (h->hole - 1) / 2)))
    step_to(h, (h->hole - 1) / 2);
}

static void go_down (struct heap *h, uint64_t count) {
  uint64_t child;
  while ((child = h->hole * 2 + 1) < count) {
    if (child + 1 < count && before(at(h, child + 1), at(h, child)))
      child++;
    if (!before(at(h, child), &h->moving))
      break;
    step_to(h, child);
  }
}

static void settle (struct heap *h) {
  uint64_t state = state_of(h);
  if (STEP(state) == HEAP_IDLE)
    return;
  if (STEP(state) == HEAP_UP)
    go_up(h);
  else
    go_down(h, COUNT(state));
  if (COUNT(state) > 0)
    *at(h, h->hole) = h->moving;
  kill_order();
  h->total = h->next_total;
  kill_order();
  store_release(&h->q.puts.state, COUNT(state) << 2 | HEAP_IDLE);
  kill_order();
}

static void begin (struct heap *h, uint64_t count, uint64_t hole, uint64_t total,
                   unsigned step) {
  h->hole = hole;
  h->next_total = total;
  kill_order();
  store_release(&h->q.puts.state, count << 2 | step);
  kill_order();
  settle(h);
}

/* {=== put and get ===} */

static void push_one (struct heap *h, struct source *s) {
  if (s->own) {
    memcpy(&s->priority, s->at, sizeof s->priority);
    s->at += sizeof s->priority;
  }
  const struct record_head *r = (const struct record_head *)(const void *)s->at;
  size_t size = record_size(r);
  uint64_t count = COUNT(state_of(h));
  struct block *b = record_block(r);
  h->moving.arrival = h->total + 1;
  h->moving.priority = s->priority;
  memcpy(&h->moving.head, r, size);
  begin(h, count + 1, count, h->total + 1, HEAP_UP);
  if (b != NULL)
    store_disown(record_mine, b);
  s->at += size;
  s->left--;
  s->done++;
}

static uint64_t heap_push (struct queue *q, struct source *s, uint64_t room) {
  struct heap *h = heap_of(q);
  uint64_t n = 0;
  while (n < room && s->left > 0 && make_room(h, COUNT(state_of(h)))) {
    push_one(h, s);
    n++;
  }
  return n;
}

static uint64_t heap_room (struct queue *q) {
  return q->maxsize - COUNT(state_of(heap_of(q)));
}

static uint64_t heap_total (struct queue *q) {
  return heap_of(q)->total;
}

static uint64_t heap_count (struct queue *q, uint64_t want) {
  (void)want;
  return COUNT(state_of(heap_of(q)));
}

static bool heap_pop (struct queue *q, struct sink *s) {
  struct heap *h = heap_of(q);
  size_t used = 0;
  int blocks = 0;
  s->n = 0;
  s->plain = true;
  while (s->n < s->max && COUNT(state_of(h)) > 0) {
    const struct entry *e = at(h, 0);
    uint64_t last = COUNT(state_of(h)) - 1;
    size_t size = record_size(&e->head);
    struct block *b = record_block(&e->head);
    if (used + size > s->size || (b != NULL && blocks == SINK_BLOCKS))
      break;
    if (b != NULL) {
      arena_hold(b);
      blocks++;
    }
    s->plain &= (e->head.length & RECORD_PLAIN) != 0;
    memcpy(s->to + used, &e->head, size);
    used += size;
    s->priority = e->priority;
    s->n++;
    h->moving = *at(h, last);
    begin(h, last, 0, h->total, HEAP_DOWN);
  }
  shrink(h);
  return false;
}

static const struct record_head *heap_peek (struct queue *q, struct priority *pri) {
  const struct entry *e = at(heap_of(q), 0);
  *pri = e->priority;
  return &e->head;
}

static uint64_t heap_taken (struct queue *q) {
  return heap_of(q)->total - COUNT(state_of(heap_of(q)));
}

/* {=== owner death, the end ===} */

static void heap_repair (struct queue *q, struct guard *g, struct thread_record *dead) {
  struct heap *h = heap_of(q);
  struct directory *d = load_relaxed(&h->directory);
  (void)g;
  settle(h);
  if (d == NULL)
    return;
  arena_settle_dead(dead, &d->head);
  for (uint64_t k = 0; k < d->size; k++)
    if (load_relaxed(&d->chunk[k]) != NULL)
      arena_settle_dead(dead, &load_relaxed(&d->chunk[k])->head);
  for (uint64_t i = 0; i < COUNT(state_of(h)); i++) {
    struct block *b = record_block(&at(h, i)->head);
    if (b != NULL)
      store_disown(dead, b);
  }
}

static void heap_dispose (struct queue *q) {
  struct heap *h = heap_of(q);
  guard_lock(&q->puts.guard);
  struct directory *d = load_relaxed(&h->directory);
  if (d != NULL) {
    for (uint64_t k = 0; k < d->size; k++)
      if (load_relaxed(&d->chunk[k]) != NULL)
        free_chunk(d, k);
    arena_hold(&d->head);
    store_relaxed(&h->directory, NULL);
    kill_order();
    arena_free(&d->head);
  }
  guard_unlock(&q->puts.guard);
}

static void heap_valid (struct queue *q, uint64_t *puts, uint64_t *gets) {
  struct heap *h = heap_of(q);
  uint64_t count = COUNT(state_of(h));
  *puts = h->total;
  *gets = h->total - count;
  store_check(STEP(state_of(h)) == HEAP_IDLE, "H1: idle");
  for (uint64_t i = 1; i < count; i++)
    store_check(before(at(h, (i - 1) / 2), at(h, i)), "H1: heap order");
}

const struct store heap_store = {
  .inline_bytes = ENTRY_INLINE, .push = heap_push, .pop = heap_pop,
  .count = heap_count, .room = heap_room, .peek = heap_peek,
  .total = heap_total, .taken = heap_taken, .repair = heap_repair,
  .dispose = heap_dispose, .valid = heap_valid
};
