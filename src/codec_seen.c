/*
** codec_seen.c - floor 4: which objects a message has already
**
** Open addressing, linear probing, at most half full. Slots carry the epoch
** of the message they belong to, so that clearing costs nothing.
**
** The hash keeps neighbours in memory neighbours in the table (within 64 KiB),
** and scatters such regions: a program makes the tables of a tree one after
** the other, and looking them up then walks through the caches, not past them.
*/
#include "codec_impl.h"

#include <stdlib.h>

#define SEEN_FIRST  64
#define EPOCH_MAX   0xffff
#define EPOCH(slot)  ((uint32_t)((slot)->where & EPOCH_MAX))

static inline uint32_t home_of (const struct seen *s, uintptr_t key) {
  uint64_t region = (uint64_t)(key >> 16) * UINT64_C(0x9E3779B97F4A7C15);
  return ((uint32_t)(key >> 4) + (uint32_t)(region >> 32)) & s->mask;
}

/* The slot of 'key', or the free one where it would be. */
static inline struct seen_slot *slot_of (const struct seen *s, uintptr_t key) {
  uint32_t i = home_of(s, key);
  while (EPOCH(&s->slots[i]) == s->epoch && s->slots[i].key != key)
    i = (i + 1) & s->mask;
  return &s->slots[i];
}

static bool seen_grow (struct seen *s) {
  uint32_t size = (s->mask == 0) ? SEEN_FIRST : (s->mask + 1) * 2;
  struct seen old = *s;
  if (size == 0)
    return false;
  s->slots = calloc(size, sizeof *s->slots);
  if (s->slots == NULL) {
    s->slots = old.slots;
    return false;
  }
  s->mask = size - 1;
  if (s->epoch == 0)
    s->epoch = 1;
  for (uint32_t i = 0; old.mask != 0 && i <= old.mask; i++)
    if (EPOCH(&old.slots[i]) == s->epoch)
      *slot_of(s, old.slots[i].key) = old.slots[i];
  free(old.slots);
  return true;
}

int seen_enter (struct seen *s, uintptr_t key, uint64_t where, uint64_t *found) {
  if (unlikely(s->used * 2 >= s->mask) && !seen_grow(s))
    return -1;
  struct seen_slot *slot = slot_of(s, key);
  if (EPOCH(slot) == s->epoch) {
    *found = slot->where >> 16;
    return 1;
  }
  slot->key = key;
  slot->where = where << 16 | s->epoch;
  s->used++;
  return 0;
}

/* 'key' is there. */
void seen_change (struct seen *s, uintptr_t key, uint64_t where) {
  slot_of(s, key)->where = where << 16 | s->epoch;
}

void seen_clear (struct seen *s) {
  s->used = 0;
  if (s->mask != 0 && ++s->epoch > EPOCH_MAX) {
    memset(s->slots, 0, ((size_t)s->mask + 1) * sizeof *s->slots);
    s->epoch = 1;
  }
}

void seen_free (struct seen *s) {
  free(s->slots);
  memset(s, 0, sizeof *s);
}
