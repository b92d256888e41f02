/*
** message.c - floor 3: encoded values in shared memory
*/
#include "message.h"
#include "bundle.h"

#include <string.h>

static size_t message_size (uint32_t nrefs, size_t length) {
  return sizeof(struct message) + nrefs * sizeof(struct block *) + length;
}

static void message_destroy (struct block *b) {
  struct message *m = (struct message *)(void *)b;
  for (uint32_t i = 0; i < m->nrefs; i++)
    block_unref(&m->refs[i]);
}

/* The places are empty before they are the message's, and filled after: killed at any
   step, what it counts is what it has. (An inner one is a message all the time.) */
static void take_refs (struct message *m, const struct parcel *p) {
  for (uint32_t i = 0; i < p->nrefs; i++)
    store_relaxed(&m->refs[i], NULL);
  kill_order();
  m->nrefs = p->nrefs;
  block_ready(&m->head, KIND_MESSAGE);
  for (uint32_t i = 0; i < p->nrefs; i++)
    block_ref(&m->refs[i], p->refs[i]);
}

struct block *parcel_post (struct parcel *p) {
  struct block *b = p->block;
  if (b == NULL) {
    b = arena_alloc(message_size(p->nrefs, p->length));
    if (b == NULL)
      return NULL;
    memcpy((char *)b + message_size(p->nrefs, 0), p->bytes, p->length);
  }
  struct message *m = (struct message *)(void *)b;
  m->flags = p->flags;
  m->length = p->length;
  take_refs(m, p);
  p->block = NULL;
  return b;
}

void message_inner (struct message *m, size_t size) {
  store_relaxed(&m->head.refs, 0);
  m->head.class = INNER_BLOCK;
  m->head.flags = 0;
  m->head.size = size;
  m->head.next = NULL;
  m->nrefs = 0;
  block_ready(&m->head, KIND_MESSAGE);
}

struct block *parcel_post_inner (struct parcel *p, struct message *m) {
  if (p->block != NULL || message_size(p->nrefs, p->length) > m->head.size
      || (p->nrefs > 0 && m->nrefs > 0))
    return NULL;  /* (what it counts may be what keeps the parcel's) */
  message_destroy(&m->head);
  m->nrefs = 0;          /* before its places are written over with bytes */
  kill_order();
  memcpy((char *)m + message_size(p->nrefs, 0), p->bytes, p->length);
  m->flags = p->flags;
  m->length = p->length;
  take_refs(m, p);
  return &m->head;
}

void parcel_drop (struct parcel *p) {
  if (p->block != NULL) {
    block_destroy(p->block);
    p->block = NULL;
  }
}

void message_drop (struct block *b) {
  block_destroy(b);
}

/* In a dead hand: the entry of a bundle may count already. */
static bool message_placed (struct block *b) {
  return b->next != NULL && b->next->kind == KIND_BUNDLE && bundle_has(b->next, b);
}

void message_open (void) {
  static const struct kind_ops ops = {
    .name = NULL, .destroy = message_destroy, .placed = message_placed
  };
  arena_kind(KIND_MESSAGE, &ops);
}
