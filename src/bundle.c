/*
** bundle.c - floor 3: many parcels in one block
*/
#include "bundle.h"

#include <string.h>

static struct bundle *bundle_of (struct block *b) {
  return (struct bundle *)(void *)b;
}

static size_t entry_size (size_t length) {
  return (sizeof(struct entry) + length + 7) & ~(size_t)7;
}

struct block *bundle_new (size_t room) {
  struct block *b = arena_alloc(sizeof(struct bundle) + room);
  if (b == NULL)
    return NULL;
  store_relaxed(&bundle_of(b)->filled, 0);
  b->flags = BUNDLE_ENTRIES;
  block_ready(b, KIND_BUNDLE);
  return b;
}

/* Twice the room. The entries are one bundle's at any time: killed half-way they
   are lost, and never in two. The repair of the place's guard settles what is
   in it. */
static bool grow (struct block **b, const struct bundle_place *in, size_t need) {
  struct bundle *old = bundle_of(*b);
  uint64_t filled = load_relaxed(&old->filled);
  size_t used = BUNDLE_SIZE(filled);
  struct block *more = bundle_new((used + need) * 2);
  if (more == NULL)
    return false;
  memcpy(bundle_of(more)->bytes, old->bytes, used);
  if (in != NULL) {
    guard_lock(in->guard);
    arena_hold(*b);
  }
  store_relaxed(&old->filled, 0);
  kill_order();
  store_relaxed(&bundle_of(more)->filled, filled);
  kill_order();
  if (in != NULL) {
    store_release(in->place, more);
    kill_order();
    arena_settle(more);
    guard_unlock(in->guard);
  }
  arena_free(*b);
  *b = more;
  return true;
}

void bundle_swap (struct block *b, const struct bundle_place *in) {
  guard_lock(in->guard);
  struct block *old = load_relaxed(in->place);
  arena_hold(old);
  kill_order();
  store_release(in->place, b);
  kill_order();
  arena_settle(b);
  guard_unlock(in->guard);
  arena_free(old);
}

/* Room for an entry of 'length' bytes at the end: where it goes; NULL: none. */
static struct entry *reserve (struct block **b, const struct bundle_place *in,
                              size_t length) {
  size_t size = entry_size(length);
  uint64_t filled = load_relaxed(&bundle_of(*b)->filled);
  size_t used = BUNDLE_SIZE(filled);
  if (BUNDLE_COUNT(filled) == BUNDLE_MOST
      || (sizeof(struct bundle) + used + size > (*b)->size && !grow(b, in, size)))
    return NULL;
  struct entry *e = (struct entry *)(void *)(bundle_of(*b)->bytes + used);
  e->length = (uint32_t)length;
  return e;
}

static void commit (struct block *b, struct entry *e) {
  struct bundle *to = bundle_of(b);
  uint64_t filled = load_relaxed(&to->filled);
  size_t used = BUNDLE_SIZE(filled) + entry_size(e->length);
  kill_order();
  store_release(&to->filled, (uint64_t)used << 24 | (BUNDLE_COUNT(filled) + 1));
  kill_order();
}

bool bundle_add_message (struct block **b, const struct bundle_place *in,
                         struct block *message, enum entry_mark mark) {
  struct entry *e = reserve(b, in, sizeof message);
  if (e == NULL)
    return false;
  e->mark = (uint16_t)mark;
  e->boxed = 1;
  memcpy(e->bytes, &message, sizeof message);
  message->next = *b;  /* where to look, should we die before it is settled */
  commit(*b, e);
  arena_settle(message);
  return true;
}

bool bundle_add (struct block **b, const struct bundle_place *in,
                 struct parcel *p, enum entry_mark mark) {
  if (p->nrefs > 0 || p->block != NULL || p->length > UINT32_MAX) {
    struct block *message = parcel_post(p);
    if (message == NULL)
      return false;
    if (bundle_add_message(b, in, message, mark))
      return true;
    message_drop(message);
    return false;
  }
  struct entry *e = reserve(b, in, p->length);
  if (e == NULL)
    return false;
  e->mark = (uint16_t)mark;
  e->boxed = 0;
  memcpy(e->bytes, p->bytes, p->length);
  commit(*b, e);
  return true;
}

struct entry *bundle_next (struct block *b, size_t *at) {
  struct bundle *from = bundle_of(b);
  if (b->flags != BUNDLE_ENTRIES)
    return NULL;
  if (*at >= BUNDLE_SIZE(load_acquire(&from->filled)))
    return NULL;
  struct entry *e = (struct entry *)(void *)(from->bytes + *at);
  *at += entry_size(e->length);
  return e;
}

static struct message *boxed_message (struct entry *e) {
  struct message *m;
  memcpy(&m, e->bytes, sizeof m);
  return m;
}

const char *entry_bytes (struct entry *e, size_t *length,
                         struct block *_Atomic const **refs, uint32_t *nrefs) {
  if (!e->boxed) {
    *length = e->length;
    *refs = NULL;
    *nrefs = 0;
    return e->bytes;
  }
  struct message *m = boxed_message(e);
  *length = m->length;
  *refs = m->refs;
  *nrefs = m->nrefs;
  return message_bytes(m);
}

bool bundle_has (struct block *b, struct block *message) {
  size_t at = 0;
  struct entry *e;
  while ((e = bundle_next(b, &at)) != NULL)
    if (e->boxed && &boxed_message(e)->head == message)
      return true;
  return false;
}

/* Each message goes into the hand before its entry forgets it. */
static void bundle_destroy (struct block *b) {
  size_t at = 0;
  struct entry *e;
  while ((e = bundle_next(b, &at)) != NULL) {
    if (e->boxed) {
      struct block *m = &boxed_message(e)->head;
      arena_hold(m);
      kill_order();
      e->boxed = 0;
      kill_order();
      message_drop(m);
    }
  }
}

void bundle_open (void) {
  static const struct kind_ops ops = { .name = NULL, .destroy = bundle_destroy };
  arena_kind(KIND_BUNDLE, &ops);
}
