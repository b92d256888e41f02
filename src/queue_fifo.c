/*
** queue_fifo.c - the store of conc.queue and of pipes: a chain of segments
**
**   puts.first --> drained ... --> getters' place ...records... putters' place
**
** Each side has its place twice, and one word, 'state': items so far, and in
** the lowest bit which of the two is valid. An operation writes the other one
** and commits by storing 'state': count and place change at once.
**
** F1  puts.at[the other].turn > puts.state >> 1 only within a put: then the
**     records up to that place are whole, and the put will be done: its repair
**     commits it. Only now do the blocks leave the hand or the carrier, since
**     after the commit a getter may take them without the putters' guard.
** F2  A segment's 'end' is SEGMENT_GROWS while the putters' place is in it (as
**     committed), else where its records end. Getters look at it only when
**     there is a record past their place, which tells old from new.
** F3  Segments with serial < gets.serial are drained: they are the putters'.
**     They are used again, and but for one given back (fifo_trim).
**
** What a dead getter holds is in its place still if a walk from the getters'
** place finds it. A segment in a dead hand: linked or not, see fifo_repair.
*/
#include "queue_store.h"

#include <string.h>

/* {=== segments ===} */

static size_t size_for (uint64_t serial) {
  return serial == 1 ? SEGMENT_FIRST : serial == 2 ? SEGMENT_SECOND : SEGMENT_LATER;
}

struct segment *segment_new (uint64_t serial) {
  struct block *b = arena_alloc(size_for(serial));
  struct segment *s = (struct segment *)(void *)b;
  if (b == NULL)
    return NULL;
  b->flags = 0;
  s->size = (b->size - offsetof(struct segment, bytes)) & ~(uint64_t)7;
  s->serial = serial;
  store_relaxed(&s->next, NULL);
  store_relaxed(&s->end, SEGMENT_GROWS);
  block_ready(b, KIND_SEGMENT);
  return s;
}

/* The oldest segment, drained, into the hand; NULL: there is none. */
static struct segment *take_drained (struct queue *q) {
  struct segment *s = load_relaxed(&q->puts.first);
  if (s == NULL || s->serial >= load_acquire(&q->gets.serial))
    return NULL;
  arena_hold(&s->head);
  store_release(&q->puts.first, load_relaxed(&s->next));
  kill_order();
  return s;
}

/* One more segment, in hand: a drained one of full size, or a new one. */
static struct segment *segment_get (struct queue *q, uint64_t serial) {
  struct segment *s = take_drained(q);
  if (s != NULL && s->size < SEGMENT_LATER / 2) {
    arena_free(&s->head);
    s = NULL;
  }
  if (s == NULL)
    return segment_new(serial);
  s->serial = serial;
  store_relaxed(&s->next, NULL);
  store_relaxed(&s->end, SEGMENT_GROWS);
  return s;
}

/* The segment after the putters' place, in hand, linked; not yet committed. */
static struct segment *extend (struct queue *q, const struct place *now) {
  struct segment *last = now->segment;
  struct segment *s = segment_get(q, last == NULL ? 1 : last->serial + 1);
  if (s == NULL)
    return NULL;
  if (last == NULL)
    store_release(&q->puts.first, s);
  else {
    store_release(&last->next, s);
    kill_order();
    store_release(&last->end, now->offset);
  }
  kill_order();
  return s;
}

/* Given back but for one. */
static void fifo_trim (struct queue *q) {
  struct segment *s;
  do {
    guard_lock(&q->puts.guard);
    s = load_relaxed(&q->puts.first);
    s = (s != NULL && s->serial + 1 < load_acquire(&q->gets.serial))
      ? take_drained(q) : NULL;
    guard_unlock(&q->puts.guard);
    if (s != NULL)
      arena_free(&s->head);
  } while (s != NULL);
}

/* {=== put ===} */

/*
** The lines of a segment were last read by another processor: asked for so many
** bytes before they are written, they have come when the guard is given back. (For
** x86 gcc does not use this instruction unless told that all processors have it;
** where they have not, it does nothing.)
*/
#define AHEAD  (4 * CACHE_LINE)
#if defined(__x86_64__)
#define prefetch_own(p)  __asm__ volatile("prefetchw %0" : : "m" (*(const char *)(p)))
#elif defined(__GNUC__)
#define prefetch_own(p)  __builtin_prefetch((p), 1)
#else
#define prefetch_own(p)  ((void)(p))
#endif

/* Measures the records that fit into 'space' bytes: their number, and size. */
static uint64_t measure_some (const struct source *s, uint64_t most, uint64_t space,
                              uint64_t *size) {
  uint64_t n = 0;
  *size = 0;
  while (n < most) {
    uint64_t one = record_size((const struct record_head *)(const void *)(s->at + *size));
    if (*size + one > space)
      break;
    *size += one;
    n++;
  }
  return n;
}

static inline uint64_t measure (const struct source *s, uint64_t most, uint64_t space,
                                uint64_t *size) {
  *size = (uint64_t)(s->end - s->at);
  return likely(most >= s->left && *size <= space)
       ? s->left : measure_some(s, most, space, size);
}

/* The blocks of the records in these bytes become the queue's. */
static void disown_all (struct thread_record *t, const char *at, uint64_t size) {
  for (uint64_t i = 0; i < size; ) {
    const struct record_head *h = (const struct record_head *)(const void *)(at + i);
    struct block *b = record_block(h);
    if (b != NULL)
      store_disown(t, b);
    i += record_size(h);
  }
}

static uint64_t fifo_push (struct queue *q, struct source *s, uint64_t room) {
  uint64_t state = load_relaxed(&q->puts.state), size, n;
  const struct place *now = &q->puts.at[state & 1];
  struct place *then = &q->puts.at[~state & 1];
  struct segment *seg = now->segment;
  uint64_t offset = now->offset, most = s->left < room ? s->left : room;
  bool fresh = false;
  n = (seg == NULL) ? 0 : measure(s, most, seg->size - offset, &size);
  if (n == 0) {
    seg = extend(q, now);
    if (seg == NULL)
      return 0;
    fresh = true;
    offset = 0;
    n = measure(s, most, seg->size, &size);
  }
  prefetch_own(seg->bytes + offset + AHEAD);
  copy_records(seg->bytes + offset, s->at, size);
  then->segment = seg;
  then->offset = offset + size;
  kill_order();
  then->turn = (state >> 1) + n;  /* F1: it will be done */
  kill_order();
  if (unlikely(fresh))
    arena_settle(&seg->head);
  if (unlikely(s->blocks))
    disown_all(record_mine, seg->bytes + offset, size);
  kill_order();
  store_release(&q->puts.state, then->turn << 1 | (~state & 1));
  kill_order();
  s->at += size;
  s->left -= n;
  s->done += n;
  return n;
}

static uint64_t fifo_room (struct queue *q) {
  uint64_t puts = load_relaxed(&q->puts.state) >> 1;
  if (q->maxsize == QUEUE_UNBOUNDED)
    return QUEUE_UNBOUNDED;
  if (puts - q->puts.seen >= q->maxsize)
    q->puts.seen = load_full(&q->gets.state) >> 1;
  return q->maxsize - (puts - q->puts.seen);
}

static uint64_t fifo_total (struct queue *q) {
  return load_relaxed(&q->puts.state) >> 1;
}

/* {=== get ===} */

/* The segment and offset of the next record; there is one. */
static struct segment *next_record (struct queue *q, uint64_t *offset) {
  const struct place *now = &q->gets.at[load_relaxed(&q->gets.state) & 1];
  struct segment *s = now->segment;
  *offset = now->offset;
  if (unlikely(s == NULL)) {
    *offset = 0;
    return load_acquire(&q->puts.first);
  }
  if (*offset == load_acquire(&s->end)) {
    *offset = 0;
    return load_acquire(&s->next);
  }
  return s;
}

static uint64_t fifo_count (struct queue *q, uint64_t want) {
  uint64_t gets = load_relaxed(&q->gets.state) >> 1;
  if (q->gets.seen - gets < want)
    q->gets.seen = load_full(&q->puts.state) >> 1;
  return q->gets.seen - gets;
}

/* Measures what fits the sink; takes the blocks into the hand. */
static uint32_t gather (const struct segment *seg, uint64_t offset,
                        struct sink *s, uint64_t most, uint64_t *size) {
  uint32_t n = 0, plain = RECORD_PLAIN;
  int blocks = 0;
  *size = 0;
  while (n < most) {
    const struct record_head *h = record_at_place(seg, offset + *size);
    struct block *b = record_block(h);
    uint64_t one = record_size(h);
    if (*size + one > s->size || (b != NULL && blocks == SINK_BLOCKS)
        || offset + *size == load_relaxed(&seg->end))
      break;
    if (b != NULL) {
      arena_hold(b);
      blocks++;
    }
    plain &= h->length;
    *size += one;
    n++;
  }
  s->plain = plain != 0;
  return n;
}

static bool fifo_pop (struct queue *q, struct sink *s) {
  uint64_t state = load_relaxed(&q->gets.state), offset, size;
  uint64_t most = q->gets.seen - (state >> 1);
  struct place *then = &q->gets.at[~state & 1];
  struct segment *seg = next_record(q, &offset);
  if (most > s->max)
    most = s->max;
  uint32_t n = gather(seg, offset, s, most, &size);
  copy_records(s->to, seg->bytes + offset, size);
  then->segment = seg;
  then->offset = offset + size;
  kill_order();
  store_release(&q->gets.state, ((state >> 1) + n) << 1 | (~state & 1));
  kill_order();
  s->n = n;
  if (likely(seg->serial == load_relaxed(&q->gets.serial)))
    return false;
  store_release(&q->gets.serial, seg->serial);
  return true;
}

static const struct record_head *fifo_peek (struct queue *q, struct priority *pri) {
  uint64_t offset;
  struct segment *s = next_record(q, &offset);
  (void)pri;
  return record_at_place(s, offset);
}

static uint64_t fifo_taken (struct queue *q) {
  return load_relaxed(&q->gets.state) >> 1;
}

/* {=== owner death ===} */

/* Calls 'f' for the blocks of all records between two places. */
static void each_block (struct segment *seg, uint64_t offset, uint64_t n,
                        struct thread_record *t,
                        void (*f) (struct thread_record *t, struct block *b)) {
  while (n > 0) {
    if (offset == load_acquire(&seg->end)) {
      seg = load_acquire(&seg->next);
      offset = 0;
    }
    const struct record_head *h = record_at_place(seg, offset);
    struct block *b = record_block(h);
    if (b != NULL)
      f(t, b);
    offset += record_size(h);
    n--;
  }
}

static void finish_put (struct queue *q, struct thread_record *dead) {
  uint64_t state = load_relaxed(&q->puts.state);
  const struct place *now = &q->puts.at[state & 1], *then = &q->puts.at[~state & 1];
  bool fresh = then->segment != now->segment;
  uint64_t from = fresh ? 0 : now->offset;
  arena_settle_dead(dead, &then->segment->head);
  each_block(then->segment, from, then->turn - (state >> 1), dead, store_disown);
  store_release(&q->puts.state, then->turn << 1 | (~state & 1));
}

/* Of a put that was not to be: the links that 'extend' may have made. */
static void undo_put (struct queue *q) {
  struct segment *last = q->puts.at[load_relaxed(&q->puts.state) & 1].segment;
  if (last == NULL)
    store_release(&q->puts.first, NULL);
  else if (load_relaxed(&q->puts.first) != NULL) {  /* not disposed of */
    store_release(&last->end, SEGMENT_GROWS);
    store_release(&last->next, NULL);
  }
}

static void putters_repair (struct queue *q, struct thread_record *dead) {
  uint64_t state = load_relaxed(&q->puts.state);
  struct segment *first = load_relaxed(&q->puts.first);
  if (first != NULL && q->puts.at[state & 1].segment != NULL)
    arena_settle_dead(dead, &first->head);  /* take_drained did not get to it */
  if (q->puts.at[~state & 1].turn > state >> 1)
    finish_put(q, dead);
  else
    undo_put(q);
}

static void getters_repair (struct queue *q, struct thread_record *dead) {
  uint64_t state = load_relaxed(&q->gets.state), offset;
  uint64_t n = (load_full(&q->puts.state) >> 1) - (state >> 1);
  if (n > 0) {
    struct segment *seg = next_record(q, &offset);
    each_block(seg, offset, n, dead, arena_settle_dead);
  }
}

static void fifo_repair (struct queue *q, struct guard *g, struct thread_record *dead) {
  if (g == &q->puts.guard)
    putters_repair(q, dead);
  else
    getters_repair(q, dead);
}

/* {=== the end ===} */

static void fifo_dispose (struct queue *q) {
  struct segment *s;
  do {
    guard_lock(&q->puts.guard);
    s = load_relaxed(&q->puts.first);
    if (s != NULL) {
      arena_hold(&s->head);
      store_relaxed(&q->puts.first, load_relaxed(&s->next));
      kill_order();
    }
    guard_unlock(&q->puts.guard);
    if (s != NULL)
      arena_free(&s->head);
  } while (s != NULL);
}

static void fifo_valid (struct queue *q, uint64_t *puts, uint64_t *gets) {
  uint64_t offset, n;
  *puts = load_relaxed(&q->puts.state) >> 1;
  *gets = load_relaxed(&q->gets.state) >> 1;
  n = *puts - *gets;
  if (n == 0)
    return;
  struct segment *s = next_record(q, &offset);
  for (; n > 0; n--) {
    if (offset == load_relaxed(&s->end)) {
      s = load_relaxed(&s->next);
      offset = 0;
    }
    offset += record_size(record_at_place(s, offset));
  }
  const struct place *last = &q->puts.at[load_relaxed(&q->puts.state) & 1];
  store_check(s == last->segment && offset == last->offset, "Q2: the places");
}

const struct store fifo_store = {
  .inline_bytes = QUEUE_INLINE, .push = fifo_push, .pop = fifo_pop,
  .count = fifo_count, .room = fifo_room, .peek = fifo_peek,
  .total = fifo_total, .taken = fifo_taken, .repair = fifo_repair,
  .trim = fifo_trim, .dispose = fifo_dispose, .valid = fifo_valid
};
