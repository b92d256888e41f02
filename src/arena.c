/*
** arena.c - floor 1: the mapping, blocks in hand, counts
*/
#include "arena_root.h"
#include "sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_root *arena_root;
_Atomic long arena_fail_at;

static const struct kind_ops *kinds[KIND_MAX];   /* written at load */
static const struct kind_ops no_ops = { .name = NULL };

void arena_kind (enum kind kind, const struct kind_ops *ops) {
  kinds[kind] = ops;
  if (ops->repair != NULL)
    guard_on_death((int)kind, ops->repair);
}

const struct kind_ops *block_ops (const struct block *b) {
  enum kind kind = block_kind(b);  /* read once: a report's block may be gone */
  const struct kind_ops *ops = kind < KIND_MAX ? kinds[kind] : NULL;
  return ops != NULL ? ops : &no_ops;
}

/* Of a count that is being moved; FIRST: that of a block nobody else knows. */
enum { STEP_NONE = 0, STEP_IN, STEP_OUT, STEP_FIRST };

/* {=== in hand ===} */

void arena_hold (struct block *b) {
  struct thread_record *me = self();
  block_came(b);
  for (int i = 0; i < HELD_MAX; i++) {
    if (load_relaxed(&me->held[i]) == NULL) {
      kill_order();
      store_relaxed(&me->held[i], b);
      kill_order();
      return;
    }
  }
  fprintf(stderr, "conc: too many blocks in one hand\n");
  abort();
}

bool arena_hand_has_room (void) {
  struct thread_record *me = self();
  int n = 0;
  for (int i = 0; i < HELD_MAX; i++)
    n += load_relaxed(&me->held[i]) == NULL;
  return n >= HAND_ROOM;
}

void arena_settle_dead (struct thread_record *t, struct block *b) {
  for (int i = 0; i < HELD_MAX; i++) {
    if (load_relaxed(&t->held[i]) == b) {
      kill_order();
      store_relaxed(&t->held[i], NULL);
      return;
    }
  }
}

void arena_settle (struct block *b) {
  if (b->class != INNER_BLOCK)
    arena_settle_dead(self(), b);
}

static bool is_placed (struct block *b) {
  const struct kind_ops *ops = block_ops(b);
  return ops->placed != NULL && ops->placed(b);
}

/* A count that is being moved may yet be undone: the repair of its guard tells. */
void arena_settle_counted (struct thread_record *t) {
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *b = load_relaxed(&t->held[i]);
    if (b == NULL
        || (load_relaxed(&t->ref_step) != STEP_NONE && load_relaxed(&t->ref_block) == b))
      continue;
    if (load_relaxed(&b->refs) > 0 || is_placed(b))
      store_relaxed(&t->held[i], NULL);
  }
}

bool arena_held_by (struct thread_record *t, struct block *b) {
  for (int i = 0; i < HELD_MAX; i++)
    if (load_relaxed(&t->held[i]) == b)
      return true;
  return false;
}

/* {=== alloc and free ===} */

static bool made_to_fail (void) {
  long n = load_relaxed(&arena_fail_at);
  return unlikely(n > 0) && atomic_fetch_sub_explicit(&arena_fail_at, 1, memory_order_relaxed) == 1;
}

struct block *arena_alloc (size_t size) {
  if (made_to_fail())
    return NULL;
  return size <= SMALL_MAX - 64 ? slab_alloc(slab_class_of(size))
                                : pages_alloc(size);
}

void arena_free (struct block *b) {
  if (b->class == INNER_BLOCK)
    return;
  block_set_kind(b, KIND_RAW);
  kill_order();
  if (b->class == PAGE_BLOCK)
    pages_free(b);
  else
    slab_free(b);
}

void block_destroy (struct block *b) {
  const struct kind_ops *ops = block_ops(b);
  if (ops->destroy != NULL)
    ops->destroy(b);
  arena_free(b);
}

bool arena_has (const void *p) {
  return arena_root != NULL && (const char *)p >= arena_root->heap
      && (const char *)p < arena_root->heap + ((size_t)arena_root->npages << PAGE_SHIFT);
}

/* {=== counts ===} */

static struct guard *stripe_of (const struct block *b) {
  uintptr_t at = (uintptr_t)b;
  return &arena_root->refs[((at >> 6) ^ (at >> 12)) % REF_STRIPES].guard;
}

static void note_move (struct thread_record *me, struct block *b,
                       struct block *_Atomic *place, uint32_t step) {
  store_relaxed(&me->ref_block, b);
  store_relaxed(&me->ref_place, place);
  store_relaxed(&me->ref_old, load_relaxed(&b->refs));
  kill_order();
  store_relaxed(&me->ref_step, step);
  kill_order();
}

static void end_move (struct thread_record *me) {
  kill_order();
  store_relaxed(&me->ref_step, STEP_NONE);
  kill_order();
}

/*
** The store to the place is the commit of a move: others may have seen it, for they
** need our guard only to move a count. Up to it a move is undone (what it put among the
** doomed has its count again), after it the count follows.
*/
static void refs_repair (struct guard *g, struct thread_record *dead) {
  uint32_t step = load_relaxed(&dead->ref_step);
  struct block *b = load_relaxed(&dead->ref_block);
  if (step == STEP_NONE || step == STEP_FIRST || stripe_of(b) != g)
    return;
  bool there = load_relaxed(load_relaxed(&dead->ref_place)) == b;
  uint32_t refs = load_relaxed(&dead->ref_old);
  if (step == STEP_IN && there)
    refs++;
  else if (step == STEP_OUT && !there)
    refs--;
  else if (load_relaxed(&dead->doomed) == b)
    store_relaxed(&dead->doomed, b->next);
  kill_order();
  store_relaxed(&b->refs, refs);
  kill_order();
  store_relaxed(&dead->ref_step, STEP_NONE);
}

/* Under b's guard. */
static void count_in (struct block *_Atomic *place, struct block *b) {
  struct thread_record *me = record_mine;
  note_move(me, b, place, STEP_IN);
  store_relaxed(&b->refs, load_relaxed(&b->refs) + 1);
  kill_order();
  store_release(place, b);
  end_move(me);
}

void block_ref (struct block *_Atomic *place, struct block *b) {
  struct guard *g = stripe_of(b);
  guard_lock(g);
  count_in(place, b);
  guard_unlock(g);
}

/* No guard: until the store to the place, the commit, only the caller's hand has b. */
void block_ref_first (struct block *_Atomic *place, struct block *b) {
  struct thread_record *me = self();
  note_move(me, b, place, STEP_FIRST);
  store_relaxed(&b->refs, 1);
  kill_order();
  store_release(place, b);
  end_move(me);
}

/* Died in block_ref_first. */
static void settle_first (struct thread_record *dead) {
  struct block *b = load_relaxed(&dead->ref_block);
  if (load_relaxed(&dead->ref_step) != STEP_FIRST)
    return;
  if (load_relaxed(load_relaxed(&dead->ref_place)) != b)
    store_relaxed(&b->refs, 0);
  kill_order();
  store_relaxed(&dead->ref_step, STEP_NONE);
}

/* While its guard is held what a place refers to has a count. */
bool block_share (struct block *_Atomic *place, struct block *_Atomic *from) {
  struct block *b = load_acquire(from);
  if (b == NULL)
    return false;
  struct guard *g = stripe_of(b);
  guard_lock(g);
  bool there = load_relaxed(from) == b;
  if (there)
    count_in(place, b);
  guard_unlock(g);
  return there;
}

/* Works off the caller's doomed: one at a time, so that a long chain of
   containers within containers needs no stack. */
static void destroy_doomed (struct thread_record *me) {
  if (load_relaxed(&me->destroying))
    return;
  store_relaxed(&me->destroying, 1);
  struct block *b;
  while ((b = load_relaxed(&me->doomed)) != NULL) {
    arena_hold(b);
    store_relaxed(&me->doomed, b->next);
    kill_order();
    block_destroy(b);
  }
  store_relaxed(&me->destroying, 0);
}

void block_unref (struct block *_Atomic *place) {
  struct block *b = load_relaxed(place);
  if (b == NULL)
    return;
  struct guard *g = stripe_of(b);
  guard_lock(g);
  struct thread_record *me = record_mine;
  uint32_t old = load_relaxed(&b->refs);
  note_move(me, b, place, STEP_OUT);
  if (old == 1) {
    b->next = load_relaxed(&me->doomed);
    kill_order();
    store_relaxed(&me->doomed, b);
  }
  store_relaxed(&b->refs, old - 1);
  kill_order();
  store_relaxed(place, NULL);
  end_move(me);
  guard_unlock(g);
  if (old == 1)
    destroy_doomed(me);
}

/* {=== the hands of the dead ===} */

/* Does another record hold b too? (A sweeper that died after taking it over.) */
static bool held_elsewhere (struct thread_record *dead, struct block *b) {
  uint32_t top = load_relaxed(&arena_root->thread_top);
  for (uint32_t i = 0; i < top; i++) {
    struct thread_record *t = &arena_root->threads[i];
    if (t != dead && load_relaxed(&t->owner) != 0 && arena_held_by(t, b))
      return true;
  }
  return false;
}

static bool in_use (struct block *b) {
  return b->class == PAGE_BLOCK ? pages_used(b) : slab_used(b);
}

/* Is b a part of another block in that hand, which will take it along? */
static bool part_of_another (struct thread_record *dead, struct block *b) {
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *other = load_relaxed(&dead->held[i]);
    if (other == NULL || other == b || !in_use(other))
      continue;
    const struct kind_ops *ops = block_ops(other);
    if (ops->owns != NULL && ops->owns(other, b))
      return true;
  }
  return false;
}

static bool to_be_destroyed (struct thread_record *dead, struct block *b) {
  if (!in_use(b) || load_relaxed(&b->refs) > 0 || held_elsewhere(dead, b))
    return false;
  return !is_placed(b);
}

/* Under the sweep guard; the guards that 'dead' held are free and repaired. */
void arena_sweep_hands (struct thread_record *dead) {
  settle_first(dead);
  for (int i = 0; i < HELD_MAX; i++) {  /* parts first: then only wholes are left */
    struct block *b = load_relaxed(&dead->held[i]);
    if (b != NULL && in_use(b) && part_of_another(dead, b))
      store_relaxed(&dead->held[i], NULL);
  }
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *b = load_relaxed(&dead->held[i]);
    if (b == NULL)
      continue;
    if (load_relaxed(&dead->doomed) == b)  /* died moving it from there */
      store_relaxed(&dead->doomed, b->next);
    bool destroy = to_be_destroyed(dead, b);
    if (destroy)
      arena_hold(b);
    store_relaxed(&dead->held[i], NULL);
    kill_order();
    if (destroy)
      block_destroy(b);
  }
  struct block *b;
  while ((b = load_relaxed(&dead->doomed)) != NULL) {
    bool destroy = to_be_destroyed(dead, b);
    if (destroy)
      arena_hold(b);
    store_relaxed(&dead->doomed, b->next);
    kill_order();
    if (destroy)
      block_destroy(b);
  }
}

/* {=== sight ===} */

void arena_stats (struct arena_stats *s) {
  size_t small = slab_live();
  guard_lock(&arena_root->pages);
  s->live = small + arena_root->live;
  s->bytes = (size_t)arena_root->used << PAGE_SHIFT;
  s->limit = (size_t)arena_root->limit << PAGE_SHIFT;
  s->warm = (size_t)load_relaxed(&arena_root->warm) << PAGE_SHIFT;
  guard_unlock(&arena_root->pages);
}

struct count { enum kind kind; size_t n; };

static void count_one (struct block *b, void *ctx) {
  struct count *c = (struct count *)ctx;
  if (block_kind(b) == c->kind)
    c->n++;
}

static void count_any (struct block *b, void *ctx) {
  if (block_kind(b) == KIND_SLAB)
    slab_each(b, count_one, ctx);
  else
    count_one(b, ctx);
}

size_t arena_live_of (enum kind kind) {
  struct count c = { kind, 0 };
  guard_lock(&arena_root->pages);
  pages_each(count_any, &c);
  guard_unlock(&arena_root->pages);
  return c.n;
}

void arena_trim (void) {
  pages_trim(1);
}

#if defined(CONC_DEBUG)
bool arena_valid (void) {
  return pages_valid() && slab_valid();
}
#endif

/* {=== open ===} */

#define DEFAULT_SIZE   ((size_t)64 << 30)
#define LEAST_SIZE     ((size_t)8 << 20)
#define SMALL_SIZE     ((size_t)1 << 30)   /* if the system gives no more: few processes */
#define ALIGN          ((size_t)1 << 16)
/* Blocks are powers of two, their pages are not all touched: address space for
   more than the memory that may be in use, so that holes do not fill it up. */
#define SPREAD         ((size_t)4)

/* "64G", "512M", "100000000"; 0: not such a size. */
static size_t parse_size (const char *text) {
  char *end;
  double n = strtod(text, &end);
  switch (*end) {
    case 'G': case 'g': n *= 1024;  /* fall through */
    case 'M': case 'm': n *= 1024;  /* fall through */
    case 'K': case 'k': n *= 1024; end++; break;
    default: break;
  }
  return (*end == '\0' && n >= 1 && n < 1e15) ? (size_t)n : 0;
}

static size_t round_up (size_t n, size_t to) {
  return (n + to - 1) / to * to;
}

/* Offsets of the tables, and last of the heap; and the whole size. */
struct layout { size_t heap, at[5], size; uint32_t processes; };

static void lay_out (struct layout *l, size_t heap, uint32_t processes) {
  size_t pages = heap >> PAGE_SHIFT, *at = l->at;
  l->heap = heap;
  l->processes = processes;
  at[0] = round_up(sizeof(struct arena_root), PAGE_SIZE);
  at[1] = at[0] + round_up(sizeof(struct thread_record) * MAX_THREADS, PAGE_SIZE);
  at[2] = at[1] + round_up(sizeof(struct process_record) * processes, PAGE_SIZE);
  at[3] = at[2] + round_up(pages, PAGE_SIZE);
  at[4] = round_up(at[3] + pages * sizeof(struct page_link), ALIGN);
  l->size = at[4] + heap + ALIGN;
}

static void halve (struct layout *l) {
  size_t heap = round_up(l->heap / 2, ALIGN);
  if (heap < LEAST_SIZE) heap = LEAST_SIZE;
  lay_out(l, heap, heap < SMALL_SIZE ? FEW_PROCESSES : l->processes);
}

/* Smaller where the system refuses; and then half of what it grants: stacks and the
   program's own memory need address space too. NULL: it grants nothing. */
static void *reserve (struct layout *l) {
  size_t wanted = l->heap;
  void *base;
  while ((base = sys_reserve(l->size)) == NULL && l->heap > LEAST_SIZE)
    halve(l);
  if (base != NULL && l->heap < wanted && l->heap > LEAST_SIZE) {
    sys_release(base, l->size);
    halve(l);
    base = sys_reserve(l->size);
  }
  return base;
}

int arena_open (void) {
  if (arena_root != NULL)
    return CONC_OK;
  const char *wish = getenv("CONC_ARENA");
  size_t asked = wish != NULL ? parse_size(wish) : 0;
  if (asked != 0 && asked < LEAST_SIZE) asked = LEAST_SIZE;
  struct layout l;
  lay_out(&l, round_up(asked != 0 ? asked * SPREAD : DEFAULT_SIZE, ALIGN), MAX_PROCESSES);
  void *base = reserve(&l);
  if (base == NULL)
    return CONC_SYSTEM;
  size_t heap = l.heap, *at = l.at;
  char *begin = (char *)base;
  struct arena_root *r = (struct arena_root *)base;
  r->size = l.size;
  r->nprocesses = l.processes;
  r->threads = (struct thread_record *)(void *)(begin + at[0]);
  r->processes = (struct process_record *)(void *)(begin + at[1]);
  r->map = (_Atomic uint8_t *)(begin + at[2]);
  r->links = (struct page_link *)(void *)(begin + at[3]);
  uintptr_t first = ((uintptr_t)begin + at[4] + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
  r->heap = (char *)first;
  r->npages = (uint32_t)(heap >> PAGE_SHIFT);
  size_t most = asked != 0 ? asked : sys_memory() / 4 * 3;
  r->limit = most < heap ? (uint32_t)(most >> PAGE_SHIFT) : r->npages;
  arena_root = r;
  guard_init(&r->sweep, RANK_SWEEP, KIND_SWEEP);
  for (int i = 0; i < REF_STRIPES; i++)
    guard_init(&r->refs[i].guard, RANK_REFS, KIND_REFS);
  guard_on_death(KIND_REFS, refs_repair);
  pages_open();
  slab_open();
  record_open();
  return CONC_OK;
}
