/*
** queue_batch.c - many records at once: what Lua made, before it is put
**
** A carrier holds the blocks of a batch: one place in the thread's hand for as
** many as there are. In a put they leave it one by one (store_disown), each by
** the store that takes it off the chain.
*/
#include "queue_store.h"

#include <stdlib.h>
#include <string.h>

/* {=== carriers ===} */

/* What holds the blocks of a batch. The chain goes by block.next. */
struct carrier {
  struct block head;                   /* KIND_SEGMENT, flags CARRIER */
  struct guard guard;                  /* RANK_OBJECT; of the chain, but that a
                                          put takes the first ones off */
  struct block *_Atomic first;
  struct block *last;
};
#define CARRIER  0x4351               /* told from the flags of other pieces */

static struct carrier *carrier_of (struct block *b) {
  return (struct carrier *)(void *)b;
}

static struct block *carrier_new (void) {
  struct block *b = arena_alloc(sizeof(struct carrier));
  if (b == NULL)
    return NULL;
  guard_init(&carrier_of(b)->guard, RANK_OBJECT, KIND_SEGMENT);
  store_relaxed(&carrier_of(b)->first, NULL);
  carrier_of(b)->last = NULL;
  b->flags = CARRIER;
  block_ready(b, KIND_SEGMENT);
  return b;
}

/* The block goes from the hand to the end of the carrier's chain. */
static void carrier_add (struct carrier *c, struct block *b) {
  b->next = NULL;
  guard_lock(&c->guard);
  if (load_relaxed(&c->first) == NULL)
    store_relaxed(&c->first, b);
  else
    c->last->next = b;
  kill_order();
  c->last = b;
  arena_settle(b);
  guard_unlock(&c->guard);
}

static void carrier_repair (struct guard *g, struct thread_record *dead) {
  struct carrier *c = containerof(g, struct carrier, guard);
  for (struct block *b = load_relaxed(&c->first); b != NULL; b = b->next)
    arena_settle_dead(dead, b);
}

/* A segment of a store is freed by its queue; a carrier drops what it carries. */
static void segment_destroy (struct block *s) {
  struct block *b;
  if (s->flags != CARRIER)
    return;
  struct carrier *c = carrier_of(s);
  do {
    guard_lock(&c->guard);
    b = load_relaxed(&c->first);
    if (b != NULL) {
      arena_hold(b);
      store_relaxed(&c->first, b->next);
      kill_order();
    }
    guard_unlock(&c->guard);
    if (b != NULL)
      block_destroy(b);
  } while (b != NULL);
}

/* Takes b off the carrier: by one store. It is the first one, but in repairs. */
static bool carrier_remove (struct carrier *c, struct block *b) {
  struct block *before = load_relaxed(&c->first);
  if (before == b)
    store_relaxed(&c->first, b->next);
  else {
    while (before != NULL && before->next != b)
      before = before->next;
    if (before == NULL)
      return false;
    before->next = b->next;
  }
  kill_order();
  b->next = NULL;
  return true;
}

void store_disown (struct thread_record *t, struct block *b) {
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *held = load_relaxed(&t->held[i]);
    if (held == b) {
      arena_settle_dead(t, b);
      return;
    }
    if (held != NULL && held->kind == KIND_SEGMENT && held->flags == CARRIER
        && carrier_remove(carrier_of(held), b))
      return;
  }
}

/* {=== batches ===} */

void batch_begin (struct batch *b) {
  b->bytes = b->small;
  b->size = sizeof b->small;
  b->used = 0;
  b->n = 0;
  b->own = false;
  b->carrier = NULL;
}

struct record *batch_grow (struct batch *b) {
  size_t size = b->size * 2;
  char *bytes = (char *)malloc(size);
  if (bytes == NULL)
    return NULL;
  memcpy(bytes, b->bytes, b->used);
  if (b->bytes != b->small)
    free(b->bytes);
  b->bytes = bytes;
  b->size = size;
  return (struct record *)(void *)(b->bytes + b->used);
}

bool batch_priority (struct batch *b, const struct priority *p) {
  struct record *r = batch_next(b);  /* there is room for more than a priority */
  if (r == NULL)
    return false;
  memcpy(r, p, sizeof *p);
  b->used += sizeof *p;
  b->own = true;
  return true;
}

int batch_add (struct batch *b) {
  struct record *r = (struct record *)(void *)(b->bytes + b->used);
  if (unlikely(r->head.length & RECORD_BLOCK)) {
    if (b->carrier == NULL)
      b->carrier = carrier_new();
    if (b->carrier == NULL) {
      block_destroy(r->u.block);
      return CONC_FULL;
    }
    carrier_add(carrier_of(b->carrier), r->u.block);
  }
  batch_keep(b, record_size(&r->head));
  return CONC_OK;
}

void batch_source (struct batch *b, struct source *s) {
  s->at = b->bytes;
  s->end = b->bytes + b->used;
  s->left = b->n;
  s->done = 0;
  s->own = b->own;
  s->blocks = b->carrier != NULL;
}

void batch_end (struct batch *b) {
  if (b->bytes != b->small)
    free(b->bytes);
  b->bytes = b->small;
  if (b->carrier != NULL)
    block_destroy(b->carrier);
  b->carrier = NULL;
}

void batch_open (void) {
  static const struct kind_ops segment = { .destroy = segment_destroy,
                                           .repair = carrier_repair };
  arena_kind(KIND_SEGMENT, &segment);
}
