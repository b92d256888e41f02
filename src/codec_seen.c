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

bool seen_grow (struct seen *s) {
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
      *seen_slot(s, old.slots[i].key) = old.slots[i];
  free(old.slots);
  return true;
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
