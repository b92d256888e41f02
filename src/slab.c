/*
** slab.c - floor 1: small blocks of a few sizes, from slabs of 64 KiB
**
** (Bonwick, "The Slab Allocator", 1994, without its caches.) A slab is a page
** block with a header and objects of one size. The truth is its bitmap: a set
** bit is an object in use; one store of one word sets or clears it and is the
** commit. Which slabs have room, and the sums, are derived: slab_repair builds
** them again from the page map when a holder of the class's guard died.
**   Guarded by the class's guard: all of the slab but what says constant.
*/
#include "arena_root.h"

#define WORDS    16
#define HEADER   256
#define KEEP     1      /* empty slabs kept by a class */

struct slab {
  struct block head;             /* KIND_SLAB */
  struct slab *next, *prev;      /* derived: in the class's 'room' */
  uint32_t class;                /* constant */
  uint32_t used;                 /* derived */
  bool listed;                   /* derived */
  _Atomic uint64_t bitmap[WORDS];
};
_Static_assert(sizeof(struct slab) <= HEADER, "slab header");
_Static_assert((SLAB_SIZE - HEADER) / 64 <= WORDS * 64, "slab bitmap");

#define root  arena_root

static const uint16_t sizes[SLAB_CLASSES] = {
  64, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096,
  6528, 8128
};

static struct slab *slab_of (const struct block *b) {
  size_t at = (size_t)((const char *)b - root->heap);
  return (struct slab *)(void *)(root->heap + (at & ~(SLAB_SIZE - 1)));
}

static uint32_t index_of (const struct block *b, uint32_t size) {
  return (uint32_t)(((const char *)b - (const char *)slab_of(b)) - HEADER) / size;
}

static struct block *object_at (struct slab *s, uint32_t i) {
  return (struct block *)(void *)((char *)s + HEADER
                                  + (size_t)i * root->classes[s->class].size);
}

int slab_class_of (size_t size) {
  int c = 0;
  if (size <= 384)
    c = (size <= 256) ? (int)((size + 63) / 64) - 1 + (size == 0) : 4;
  while (sizes[c] < size) c++;
  return c;
}

/* {=== derived: the lists ===} */

static void list_push (struct slab_class *c, struct slab *s) {
  s->prev = NULL;
  s->next = c->room;
  if (c->room != NULL)
    c->room->prev = s;
  c->room = s;
  s->listed = true;
}

static void list_take (struct slab_class *c, struct slab *s) {
  if (s->prev != NULL) s->prev->next = s->next;
  else c->room = s->next;
  if (s->next != NULL) s->next->prev = s->prev;
  s->listed = false;
}

static uint32_t count_bits (struct slab *s) {
  uint32_t n = 0;
  for (int w = 0; w < WORDS; w++)
    n += (uint32_t)__builtin_popcountll(load_relaxed(&s->bitmap[w]));
  return n;
}

static void relist (struct block *b, void *ctx) {
  struct slab_class *c = (struct slab_class *)ctx;
  struct slab *s = (struct slab *)(void *)b;
  if (b->kind != KIND_SLAB || &root->classes[s->class] != c)
    return;
  s->used = count_bits(s);
  c->live += s->used;
  s->listed = false;
  if (s->used < c->total)
    list_push(c, s);
  if (s->used == 0)
    c->empty++;
}

static void slab_repair (struct guard *g, struct thread_record *dead) {
  struct slab_class *c = containerof(g, struct slab_class, guard);
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *b = load_relaxed(&dead->held[i]);
    if (b == NULL)
      continue;
    if (b->class == PAGE_BLOCK) {
      /* a slab on its way in or out: it is in the map, so it is found below */
      struct slab *s = (struct slab *)(void *)b;
      if (pages_used(b) && b->kind == KIND_SLAB && &root->classes[s->class] == c)
        store_relaxed(&dead->held[i], NULL);
    }
    else if (&root->classes[b->class] == c && !slab_used(b))
      store_relaxed(&dead->held[i], NULL);
  }
  c->room = NULL;
  c->live = 0;
  c->empty = 0;
  guard_lock(&root->pages);
  pages_each(relist, c);
  guard_unlock(&root->pages);
}

/* {=== alloc and free ===} */

/* A new slab in 'room'; killed here, it is in hand, or in the map as KIND_SLAB. */
static struct slab *slab_new (int class) {
  struct slab_class *c = &root->classes[class];
  struct block *b = pages_alloc(SLAB_SIZE);
  if (b == NULL)
    return NULL;
  struct slab *s = (struct slab *)(void *)b;
  s->class = (uint32_t)class;
  s->used = 0;
  for (int w = 0; w < WORDS; w++)
    store_relaxed(&s->bitmap[w], 0);
  pages_is_slab(b);
  list_push(c, s);
  c->empty++;
  arena_settle(b);
  return s;
}

static uint32_t first_free (struct slab *s, uint32_t total) {
  for (uint32_t w = 0; ; w++) {
    uint64_t bits = ~load_relaxed(&s->bitmap[w]);
    if (bits != 0) {
      uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);
      return i < total ? i : UINT32_MAX;
    }
  }
}

struct block *slab_alloc (int class) {
  struct slab_class *c = &root->classes[class];
  struct block *b = NULL;
  guard_lock(&c->guard);
  struct slab *s = c->room;
  if (s == NULL)
    s = slab_new(class);
  if (s != NULL) {
    uint32_t i = first_free(s, c->total);
    b = object_at(s, i);
    store_relaxed(&b->refs, 0);
    block_set_kind(b, KIND_RAW);
    b->class = (uint8_t)class;
    b->flags = 0;
    b->size = c->size;
    b->next = NULL;
    arena_hold(b);
    kill_order();
    store_relaxed(&s->bitmap[i / 64],
                  load_relaxed(&s->bitmap[i / 64]) | UINT64_C(1) << (i % 64));
    kill_order();
    c->live++;
    if (s->used++ == 0)
      c->empty--;
    if (s->used == c->total)
      list_take(c, s);
  }
  guard_unlock(&c->guard);
  return b;
}

/* An empty slab goes back to the pages: noted as raw, in hand, first. */
static void slab_give_back (struct slab_class *c, struct slab *s) {
  list_take(c, s);
  c->empty--;
  arena_hold(&s->head);
  pages_free(&s->head);
}

void slab_free (struct block *b) {
  struct slab_class *c = &root->classes[b->class];
  guard_lock(&c->guard);
  struct slab *s = slab_of(b);
  uint32_t i = index_of(b, c->size);
  block_went(b);
  kill_order();
  store_relaxed(&s->bitmap[i / 64],
                load_relaxed(&s->bitmap[i / 64]) & ~(UINT64_C(1) << (i % 64)));
  kill_order();
  arena_settle(b);
  c->live--;
  s->used--;
  if (!s->listed)
    list_push(c, s);
  if (s->used == 0 && ++c->empty > KEEP)
    slab_give_back(c, s);
  guard_unlock(&c->guard);
}

bool slab_used (struct block *b) {
  struct slab *s = slab_of(b);
  uint32_t i = index_of(b, root->classes[s->class].size);
  return (load_relaxed(&s->bitmap[i / 64]) >> (i % 64)) & 1;
}

bool slab_class_held (struct block *b) {
  return b->class != PAGE_BLOCK;
}

void slab_each (struct block *slab, void (*f) (struct block *b, void *ctx), void *ctx) {
  struct slab *s = (struct slab *)(void *)slab;
  for (uint32_t i = 0; i < root->classes[s->class].total; i++)
    if ((load_relaxed(&s->bitmap[i / 64]) >> (i % 64)) & 1)
      f(object_at(s, i), ctx);
}

size_t slab_live (void) {
  size_t n = 0;
  for (int i = 0; i < SLAB_CLASSES; i++) {
    guard_lock(&root->classes[i].guard);
    n += root->classes[i].live;
    guard_unlock(&root->classes[i].guard);
  }
  return n;
}

#if defined(CONC_DEBUG)

struct tally { struct slab_class *class; size_t live; uint32_t room, empty; bool good; };

static void tally_slab (struct block *b, void *ctx) {
  struct tally *t = (struct tally *)ctx;
  struct slab *s = (struct slab *)(void *)b;
  if (b->kind != KIND_SLAB || &root->classes[s->class] != t->class)
    return;
  uint32_t n = count_bits(s);
  t->live += n;
  t->room += n < t->class->total;
  t->empty += n == 0;
  t->good = t->good && s->used == n && s->listed == (n < t->class->total);
}

static bool class_valid (struct slab_class *c) {
  struct tally t = { .class = c, .good = true };
  guard_lock(&c->guard);
  guard_lock(&root->pages);
  pages_each(tally_slab, &t);
  guard_unlock(&root->pages);
  for (struct slab *s = c->room, *before = NULL; s != NULL; before = s, s = s->next)
    t.good = t.room-- > 0 && t.good && s->prev == before && s->listed;
  bool good = t.good && t.room == 0 && t.live == c->live && t.empty == c->empty;
  guard_unlock(&c->guard);
  return good;
}

bool slab_valid (void) {
  for (int i = 0; i < SLAB_CLASSES; i++)
    if (!class_valid(&root->classes[i]))
      return false;
  return true;
}

#endif

void slab_open (void) {
  for (int i = 0; i < SLAB_CLASSES; i++) {
    struct slab_class *c = &root->classes[i];
    guard_init(&c->guard, RANK_SLAB, KIND_SLAB);
    c->size = sizes[i];
    c->total = (uint32_t)((SLAB_SIZE - HEADER) / sizes[i]);
  }
  guard_on_death(KIND_SLAB, slab_repair);
}
