/*
** queue.c - waiting, closing and counting, the same for all three stores
*/
#include "queue_store.h"
#include "sys.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE   ((nanos)1 * 1000000)   /* Q6 */
#define WAKE_MOST  16                     /* rung for one commit */

#define LINGER_ENOUGH  32                 /* items, or half of a small queue's room */
#define LINGER_STEP    16                 /* the first wait, in turns of a spin */
#define LINGER_SKIP    127

static bool is_fifo (const struct queue *q) {
  return q->head.kind == KIND_QUEUE || q->head.kind == KIND_CHANNEL;
}

static const struct store *store_of (const struct queue *q) {
  return likely(is_fifo(q)) ? &fifo_store
       : q->head.kind == KIND_LIFO_QUEUE ? &lifo_store : &heap_store;
}

struct guard *queue_getters (struct queue *q) {
  return likely(is_fifo(q)) ? &q->gets.guard : &q->puts.guard;
}

static void lock_both (struct queue *q) {
  guard_lock(&q->puts.guard);
  if (is_fifo(q))
    guard_lock(&q->gets.guard);
}

static void unlock_both (struct queue *q) {
  if (is_fifo(q))
    guard_unlock(&q->gets.guard);
  guard_unlock(&q->puts.guard);
}

/* {=== waking ===} */

/* Wakes up to 'n' of those in line; without guards. */
static void wake_line (struct guard *guard, struct gate *gate,
                       _Atomic uint32_t *flag, uint64_t n) {
  thread_key keys[WAKE_MOST];
  int woken = 0;
  guard_lock(guard);
  while (woken < WAKE_MOST && (uint64_t)woken < n && !gate_empty(gate))
    keys[woken++] = gate_pop(gate);
  if (gate_empty(gate))
    store_relaxed(flag, 0);
  guard_unlock(guard);
  for (int i = 0; i < woken; i++)
    gate_ring(keys[i]);
}

static void tell_watchers (struct queue *q) {
  struct guard *g = queue_getters(q);
  guard_lock(g);
  gate_wake_all(&q->watchers);
  guard_unlock(g);
  watch_changed(&q->head);
}

/* Between a commit and the look at a flag: Q5. The guard has been given back in
   between, on x86 by an exchange, which is a full barrier. */
#if defined(__x86_64__) || defined(__i386__)
#define fence_after_unlock()  atomic_signal_fence(memory_order_seq_cst)
#else
#define fence_after_unlock()  fence_full()
#endif

/* After the commit of n items put, n items got, and without the guard. */
static void after_put (struct queue *q, uint64_t n) {
  fence_after_unlock();
  if (load_full(&q->getting) && n > 0)
    wake_line(queue_getters(q), &q->nonempty, &q->getting, n);
  if (unlikely(load_full(&q->watched)))
    tell_watchers(q);
}

static void after_get (struct queue *q, uint64_t n) {
  fence_after_unlock();
  if (load_full(&q->putting) && n > 0)
    wake_line(&q->puts.guard, &q->nonfull, &q->putting, n);
  if (unlikely(load_full(&q->watched)))
    tell_watchers(q);
}

/* {=== waiting ===} */

/* One side's line, and the caller's place in it. */
struct line {
  struct guard *guard;
  struct gate *gate;
  _Atomic uint32_t *flag;
  uint32_t *starved;
  struct linger *linger;
  _Atomic uint64_t *word;        /* changes when the other side has done something */
  const uint64_t *seen;          /* its count when we looked; NULL: under our guard */
  uint64_t enough;               /* to come while we linger */
  struct wait w;
  bool slept;                    /* has been in the line */
  bool spun;
};

static void line_begin (struct line *l, struct queue *q, bool get, deadline until,
                        const char *verb) {
  l->guard = get ? queue_getters(q) : &q->puts.guard;
  l->gate = get ? &q->nonempty : &q->nonfull;
  l->flag = get ? &q->getting : &q->putting;
  l->starved = get ? &q->gets.starved : &q->puts.starved;
  l->linger = get ? &q->gets.linger : &q->puts.linger;
  l->word = (get || !is_fifo(q)) ? &q->puts.state : &q->gets.state;
  l->seen = !is_fifo(q) ? NULL : get ? &q->gets.seen : &q->puts.seen;
  l->enough = q->maxsize / 2 < LINGER_ENOUGH ? q->maxsize / 2 : LINGER_ENOUGH;
  l->slept = false;
  l->spun = false;
  wait_init(&l->w, l->gate, l->guard, until, &q->head, verb);
}

/* May the caller take what is there? Q6. */
static bool line_may_go (const struct line *l) {
  return likely(!*l->starved) || l->slept || gate_empty(l->gate)
      || l->w.until == DEADLINE_NOW;
}

/*
** What comes within a few microseconds is waited for without joining the line,
** which would cost whoever brings it the wake, and us the way back. How long
** follows what came of it before. Where it is in vain (the other has no CPU of
** its own) it is soon given up, but for a long try now and then.
*/
#define SPIN_MOST   400
#define SPIN_LEAST  4
#define SPIN_GAP    8       /* looks are rarer and rarer, so that more is there */
#define SPIN_TRY    64      /* so rarely, a long one */
static __thread int spin_limit thread_near = 100;
static __thread unsigned spin_turn thread_near;

static void relax (int n) {
  while (n-- > 0)
    sys_relax();
}

/* Until the word is no more what it was when nothing was there: was that so? */
static bool spin (_Atomic uint64_t *word, uint64_t seen) {
  int limit = ++spin_turn % SPIN_TRY == 0 ? SPIN_MOST : spin_limit, i = 0, gap = 1;
  while (i < limit && load_relaxed(word) >> 1 == seen) {
    relax(gap);
    i += gap;
    if (gap < SPIN_GAP) gap *= 2;
  }
  int want = i * 2 + 40;
  if (i < limit)
    spin_limit = want > spin_limit ? want : spin_limit - (spin_limit - want) / 8;
  else if (limit == spin_limit)
    spin_limit = limit / 2;
  if (spin_limit > SPIN_MOST) spin_limit = SPIN_MOST;
  if (spin_limit < SPIN_LEAST) spin_limit = SPIN_LEAST;
  return i < limit;
}

/*
** Two that keep step hand each other every single item, with the cache lines
** that it needs: three times the cost of the work. So who was the faster lets the
** other get ahead: waits on, twice as long each time, while twice as much comes
** of it. What he answers to (a round trip) does not grow: then he has lost one
** short step, and does without for the next waits.
*/
static uint64_t linger (const struct line *l, uint64_t seen) {
  uint64_t was, n = (load_relaxed(l->word) >> 1) - seen;
  for (int step = LINGER_STEP; n < l->enough; step *= 2) {
    was = n;
    relax(step);
    n = (load_relaxed(l->word) >> 1) - seen;
    if (n < 2 * was)
      break;
  }
  return n;
}

static void lingered (struct linger *g, bool in_vain) {
  if (!in_vain)
    g->period = 0;
  else {
    g->skip = g->period;
    g->period = (uint16_t)(g->period < LINGER_SKIP / 2 ? g->period * 2 + 1 : LINGER_SKIP);
  }
}

/* Without the guard, until something has come or it has taken too long. */
static void line_spin (struct line *l) {
  uint64_t seen = l->seen != NULL ? *l->seen : load_relaxed(l->word) >> 1, n = 0;
  bool more = l->seen != NULL && l->linger->skip == 0 && l->enough > 1;
  if (l->linger->skip > 0)
    l->linger->skip--;
  guard_unlock(l->guard);
  if (spin(l->word, seen) && more)
    n = linger(l, seen);
  guard_lock(l->guard);
  if (n > 0)
    lingered(l->linger, n < l->enough);
}

/*
** One stretch of waiting, entered and left with the guard held, after the
** condition was found false: CONC_OK to look again. The first calls do not
** sleep; the condition is looked at between setting the flag and sleeping.
*/
static int line_wait (struct line *l) {
  if (l->w.until == DEADLINE_NOW)
    return CONC_TIMEOUT;
  if (!l->spun) {
    l->spun = true;
    if (gate_empty(l->gate) && sys_cpu_shared() > 1) {
      line_spin(l);
      return CONC_OK;
    }
  }
  if (!load_relaxed(l->flag)) {
    store_full(l->flag, 1);
    return CONC_OK;
  }
  if (l->slept && l->w.woken
      && sys_now() - load_relaxed(&self()->wait_since) > PATIENCE)
    *l->starved = 1;
  l->slept = true;
  return wait_sleep(&l->w);
}

/* Leaves the line, still under the guard. 'more': it leaves something for the
   next. Returns whom to ring once the guard is free. */
static thread_key line_end (struct line *l, bool more) {
  thread_key next = 0;
  if (likely(!l->slept))
    return 0;
  wait_end(&l->w);
  *l->starved = 0;
  if (more)
    next = gate_pop(l->gate);
  if (gate_empty(l->gate))
    store_relaxed(l->flag, 0);
  return next;
}

/* {=== put ===} */

/* Puts what there is room for; CONC_OK: something. Under the putters' guard. */
static int push_some (struct queue *q, struct source *s, const struct line *l) {
  if (load_relaxed(&q->closed) != QUEUE_OPEN)
    return CONC_CLOSED;
  uint64_t room = store_of(q)->room(q);
  if (unlikely(room == 0 || !line_may_go(l)))
    return CONC_TIMEOUT;
  return store_of(q)->push(q, s, room) > 0 ? CONC_OK : CONC_FULL;
}

/* The long way, with the putters' guard. */
static int put_waiting (struct queue *q, struct source *s, struct line *l) {
  uint64_t told = 0;
  int rc, slept = CONC_OK;
  for (;;) {
    rc = push_some(q, s, l);
    if (rc == CONC_OK && s->left > 0)
      continue;
    if (rc != CONC_TIMEOUT || slept != CONC_OK)
      break;
    if (s->done > told) {  /* nobody shall wait for what is in already */
      guard_unlock(l->guard);
      after_put(q, s->done - told);
      told = s->done;
      guard_lock(l->guard);
    } else if ((slept = line_wait(l)) != CONC_OK && slept != CONC_TIMEOUT) {
      rc = slept;
      break;
    }
  }
  bool more = rc == CONC_OK && l->slept && store_of(q)->room(q) > 0;
  thread_key next = line_end(l, more);
  guard_unlock(l->guard);
  gate_ring(next);
  after_put(q, s->done - told);
  return rc;
}

int queue_put_many (struct queue *q, struct source *s, deadline until) {
  struct line l;
  if (unlikely(s->left == 0))
    return CONC_OK;
  guard_lock(&q->puts.guard);
  if (likely(load_relaxed(&q->closed) == QUEUE_OPEN && !q->puts.starved)) {
    uint64_t room = store_of(q)->room(q);
    if (likely(room > 0 && store_of(q)->push(q, s, room) > 0 && s->left == 0)) {
      guard_unlock(&q->puts.guard);
      after_put(q, s->done);
      return CONC_OK;
    }
  }
  line_begin(&l, q, false, until, "put");
  return put_waiting(q, s, &l);
}

int queue_put (struct queue *q, struct record *r, const struct priority *pri,
               deadline until) {
  struct source s;
  s.at = (const char *)r;
  s.end = s.at + record_size(&r->head);
  s.left = 1;
  s.done = 0;
  s.own = false;
  s.blocks = (r->head.length & RECORD_BLOCK) != 0;
  if (pri != NULL)
    s.priority = *pri;
  return queue_put_many(q, &s, until);
}

size_t queue_inline (struct queue *q) {
  return store_of(q)->inline_bytes;
}

bool queue_pack (struct queue *q, struct parcel *p, struct record *r) {
  r->head.flags = p->flags;
  if (likely(p->block == NULL && p->nrefs == 0
             && p->length <= store_of(q)->inline_bytes)) {
    record_pad(r, p->length);
    memcpy(r->u.bytes, p->bytes, p->length);
    r->head.length = (uint32_t)p->length;
    return true;
  }
  r->head.length = RECORD_BLOCK;
  r->u.block = parcel_post(p);
  if (r->u.block == NULL)
    parcel_drop(p);
  return r->u.block != NULL;
}

/* {=== get ===} */

/* Is there something to get? Else CONC_TIMEOUT, or CONC_CLOSED when there never
   will be. 'closed' is read before the count: after it nothing is put. */
static int look (struct queue *q, uint64_t want) {
  uint32_t closed = load_acquire(&q->closed);
  if (unlikely(closed == QUEUE_DISCARDED))
    return CONC_CLOSED;
  if (likely(store_of(q)->count(q, want) > 0))
    return CONC_OK;
  return closed != QUEUE_OPEN ? CONC_CLOSED : CONC_TIMEOUT;
}

/* The long way, with the getters' guard. */
static int get_waiting (struct queue *q, struct sink *s, struct line *l, bool *trim) {
  bool more = false;
  int rc, slept = CONC_OK;
  for (;;) {
    rc = look(q, s->max);
    if (rc == CONC_OK && line_may_go(l)) {
      *trim = store_of(q)->pop(q, s);
      more = l->slept && store_of(q)->count(q, 1) > 0;
      break;
    }
    if (rc == CONC_CLOSED || slept != CONC_OK) {
      if (rc == CONC_OK)
        rc = CONC_TIMEOUT;
      break;
    }
    slept = line_wait(l);
    if (slept != CONC_OK && slept != CONC_TIMEOUT) {
      rc = slept;
      break;
    }
  }
  thread_key next = line_end(l, more);
  guard_unlock(l->guard);
  gate_ring(next);
  return rc;
}

int queue_get (struct queue *q, struct sink *s, deadline until) {
  struct guard *g = queue_getters(q);
  struct line l;
  bool trim = false;
  int rc = CONC_OK;
  s->n = 0;
  guard_lock(g);
  if (likely(!q->gets.starved && look(q, s->max) == CONC_OK)) {
    trim = store_of(q)->pop(q, s);
    guard_unlock(g);
  } else {
    line_begin(&l, q, true, until, "get");
    rc = get_waiting(q, s, &l, &trim);
  }
  if (likely(s->n > 0))
    after_get(q, s->n);
  if (unlikely(trim))
    store_of(q)->trim(q);
  return rc;
}

/* Takes nothing: whoever woke us has to wake another. */
int queue_poll (struct queue *q, deadline until) {
  struct line l;
  int rc, slept = CONC_OK;
  line_begin(&l, q, true, until, "poll");
  guard_lock(l.guard);
  while ((rc = look(q, 1)) == CONC_TIMEOUT && slept == CONC_OK) {
    slept = line_wait(&l);
    if (slept != CONC_OK && slept != CONC_TIMEOUT) {
      rc = slept;
      break;
    }
  }
  thread_key next = line_end(&l, l.w.woken);
  guard_unlock(l.guard);
  gate_ring(next);
  return rc;
}

/* A message like this one, in hand; NULL: full. */
static struct block *copy_message (struct block *from) {
  struct message *m = (struct message *)(void *)from, *copy;
  size_t refs = m->nrefs * sizeof(struct block *);
  struct block *b = arena_alloc(sizeof *m + refs + m->length);
  if (b == NULL)
    return NULL;
  copy = (struct message *)(void *)b;
  copy->flags = m->flags;
  copy->length = m->length;
  copy->nrefs = m->nrefs;
  for (uint32_t i = 0; i < m->nrefs; i++)
    store_relaxed(&copy->refs[i], NULL);
  block_ready(b, KIND_MESSAGE);
  for (uint32_t i = 0; i < m->nrefs; i++)
    block_ref(&copy->refs[i], load_relaxed(&m->refs[i]));
  memcpy(message_bytes(copy), message_bytes(m), m->length);
  return b;
}

int queue_peek (struct queue *q, struct record *r, struct priority *pri) {
  struct guard *g = queue_getters(q);
  guard_lock(g);
  int rc = look(q, 1);
  if (rc == CONC_OK) {
    const struct record_head *h = store_of(q)->peek(q, pri);
    memcpy(r, h, record_size(h));
    if (h->length & RECORD_BLOCK) {
      r->u.block = copy_message(r->u.block);
      if (r->u.block == NULL)
        rc = CONC_FULL;
    }
  }
  guard_unlock(g);
  return rc == CONC_CLOSED ? CONC_TIMEOUT : rc;
}

/* {=== closing ===} */

static void drop_blocks (const struct sink *s) {
  const char *at = s->to;
  for (uint32_t i = 0; i < s->n; i++) {
    const struct record_head *h = (const struct record_head *)(const void *)at;
    struct block *b = record_block(h);
    if (b != NULL)
      block_destroy(b);
    at += record_size(h);
  }
}

/* Takes out and destroys what is left; nobody gets or puts any more. */
static void drop_items (struct queue *q) {
  _Alignas(8) char room[4096];
  struct sink s = { .to = room, .size = sizeof room, .max = UINT32_MAX };
  struct guard *g = queue_getters(q);
  bool left, trim;
  do {
    trim = false;
    s.n = 0;
    guard_lock(g);
    left = store_of(q)->count(q, UINT64_MAX) > 0;
    if (left)
      trim = store_of(q)->pop(q, &s);
    guard_unlock(g);
    drop_blocks(&s);
    if (trim)
      store_of(q)->trim(q);
  } while (left);
}

bool queue_close (struct queue *q, bool discard) {
  uint32_t to = discard ? QUEUE_DISCARDED : QUEUE_CLOSED;
  lock_both(q);
  uint32_t was = load_relaxed(&q->closed);
  if (was < to) {
    if (discard) {  /* some may have been marked before they were got */
      uint64_t taken = store_of(q)->taken(q);
      store_relaxed(&q->discarded_at, taken > q->dones ? taken : q->dones);
    }
    kill_order();
    store_release(&q->closed, to);
    kill_order();
    gate_wake_all(&q->nonempty);
    gate_wake_all(&q->nonfull);
    if (discard && q->dones == load_relaxed(&q->discarded_at))
      gate_wake_all(&q->finished);
  }
  unlock_both(q);
  if (was >= to)
    return false;
  if (discard)
    drop_items(q);
  if (load_full(&q->watched))
    tell_watchers(q);
  return was == QUEUE_OPEN;
}

static void queue_destroy (struct block *b) {
  struct queue *q = queue_of(b);
  drop_items(q);
  store_of(q)->dispose(q);
}

/* {=== counting ===} */

uint64_t queue_length (struct queue *q) {
  uint64_t n;
  if (load_acquire(&q->closed) == QUEUE_DISCARDED)
    return 0;
  if (is_fifo(q)) {
    uint64_t puts = load_acquire(&q->puts.state) >> 1;
    uint64_t gets = load_acquire(&q->gets.state) >> 1;
    return puts > gets ? puts - gets : 0;
  }
  guard_lock(&q->puts.guard);
  n = store_of(q)->count(q, 1);
  guard_unlock(&q->puts.guard);
  return n;
}

bool queue_ready (struct queue *q) {
  return queue_closed(q) || queue_length(q) > 0;
}

bool queue_over (struct queue *q) {
  return queue_closed(q) && queue_length(q) == 0;
}

/* How many have to be marked done. Under the putters' guard. */
static uint64_t to_be_done (struct queue *q) {
  return load_relaxed(&q->closed) == QUEUE_DISCARDED
       ? load_relaxed(&q->discarded_at) : store_of(q)->total(q);
}

int queue_task_done (struct queue *q) {
  int rc = CONC_RANGE;
  guard_lock(&q->puts.guard);
  uint64_t all = to_be_done(q);
  if (q->dones < all) {
    q->dones++;
    if (q->dones == all)
      gate_wake_all(&q->finished);
    rc = CONC_OK;
  }
  guard_unlock(&q->puts.guard);
  return rc;
}

int queue_join (struct queue *q, deadline until) {
  struct wait w;
  int rc = CONC_OK;
  wait_init(&w, &q->finished, &q->puts.guard, until, &q->head, "join");
  guard_lock(&q->puts.guard);
  while (q->dones < to_be_done(q) && rc == CONC_OK)
    rc = wait_sleep(&w);
  if (rc == CONC_TIMEOUT && q->dones >= to_be_done(q))
    rc = CONC_OK;
  wait_end(&w);
  guard_unlock(&q->puts.guard);
  return rc;
}

/* {=== making, owner death, checking ===} */

static size_t size_of (enum kind kind) {
  return kind == KIND_LIFO_QUEUE ? lifo_size()
       : kind == KIND_PRIORITY_QUEUE ? heap_size() : sizeof(struct queue);
}

struct block *queue_new (enum kind kind, uint64_t maxsize) {
  struct block *b = arena_alloc(size_of(kind));
  if (b == NULL)
    return NULL;
  struct queue *q = queue_of(b);
  memset(b + 1, 0, sizeof *q - sizeof *b);
  q->maxsize = maxsize;
  guard_init(&q->puts.guard, RANK_OBJECT, (int)kind);
  guard_init(&q->gets.guard, RANK_OBJECT2, (int)kind);
  if (kind == KIND_LIFO_QUEUE)
    lifo_init(q);
  else if (kind == KIND_PRIORITY_QUEUE)
    heap_init(q);
  block_ready(b, kind);
  return b;
}

static void queue_repair (struct guard *g, struct thread_record *dead) {
  bool putters = g->rank == RANK_OBJECT;
  struct queue *q = putters ? containerof(g, struct queue, puts.guard)
                            : containerof(g, struct queue, gets.guard);
  if (putters) {
    gate_repair(&q->nonfull);
    gate_repair(&q->finished);
  }
  if (g == queue_getters(q)) {
    gate_repair(&q->nonempty);
    gate_repair(&q->watchers);
  }
  store_of(q)->repair(q, g, dead);
}

void store_check (bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "conc: a queue's invariant does not hold: %s\n", what);
    abort();
  }
}

void queue_valid (struct queue *q) {
  uint64_t puts, gets;
  lock_both(q);
  store_of(q)->valid(q, &puts, &gets);
  store_check(gets <= puts && (puts - gets <= q->maxsize), "Q1");
  store_check(q->dones <= to_be_done(q), "Q4");
  store_check(load_relaxed(&q->getting) || gate_empty(&q->nonempty), "Q5: getting");
  store_check(load_relaxed(&q->putting) || gate_empty(&q->nonfull), "Q5: putting");
  unlock_both(q);
}

void queue_open (void) {
  static struct kind_ops ops[4];
  static const enum kind kinds[4] = { KIND_QUEUE, KIND_LIFO_QUEUE,
                                      KIND_PRIORITY_QUEUE, KIND_CHANNEL };
  static const char *const names[4] = { "queue", "lifo_queue", "priority_queue", "channel" };
  for (int i = 0; i < 4; i++) {
    ops[i] = (struct kind_ops){ .name = names[i], .destroy = queue_destroy,
                                .repair = queue_repair };
    arena_kind(kinds[i], &ops[i]);
  }
  batch_open();
}
