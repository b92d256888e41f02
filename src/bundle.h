/*
** bundle.h - floor 3: many parcels in one block, written one after the other
**
** A chunk of a map travels as one (function, items), and so do its results,
** which the worker adds as they come: 'filled' is the commit of each, so what a
** killed worker had finished is there to be read.
**   Written by one thread; 'filled' may be read by anybody.
** B1  The first COUNT(filled) entries, SIZE(filled) bytes, are whole.
** B2  A message in an entry below COUNT is the bundle's; the one being added is
**     in the writer's hand until the entry counts.
*/
#ifndef CONC_BUNDLE_H
#define CONC_BUNDLE_H

#include "message.h"

enum entry_mark { ENTRY_VALUE = 0, ENTRY_ERROR = 1 };

/* head.flags: what the bytes are. Numbers of one type need no entries: 8 bytes
   each, which makes a map over a million of them as cheap as the loop. */
enum bundle_form { BUNDLE_ENTRIES = 0, BUNDLE_INTEGERS, BUNDLE_FLOATS };

struct bundle {
  struct block head;               /* KIND_BUNDLE */
  _Atomic uint64_t filled;         /* bytes << 24 | entries: one store */
  char bytes[];
};
#define BUNDLE_MOST         ((UINT64_C(1) << 24) - 1)
#define BUNDLE_COUNT(word)  ((uint32_t)((word) & BUNDLE_MOST))
#define BUNDLE_SIZE(word)   ((word) >> 24)

struct entry {
  uint32_t length;                 /* of the bytes that follow, 8-aligned next */
  uint16_t mark;                   /* enum entry_mark */
  uint16_t boxed;                  /* the bytes are a pointer to a message */
  char bytes[];
};

struct block *bundle_new (size_t room);    /* in hand; NULL: full */
/*
** Adds p (taken when true). The bundle is in the caller's hand, or in 'place',
** which is guarded by 'guard' and changed where the bundle must grow. '*b' is
** where it is afterwards. False: shared memory is full, nothing was added.
*/
struct bundle_place { struct block *_Atomic *place; struct guard *guard; };
bool bundle_add (struct block **b, const struct bundle_place *in,
                 struct parcel *p, enum entry_mark mark);
/* The same with a message in hand, which becomes the bundle's. */
bool bundle_add_message (struct block **b, const struct bundle_place *in,
                         struct block *message, enum entry_mark mark);
/* The bundle in 'in' gives way to b, which is in hand; it is freed: its messages,
   had it any, are b's already. */
void bundle_swap (struct block *b, const struct bundle_place *in);
/* The entries one after the other: *at begins at 0. NULL: no more. */
struct entry *bundle_next (struct block *b, size_t *at);
/* The bytes and references of an entry, wherever they are. */
const char *entry_bytes (struct entry *e, size_t *length,
                         struct block *_Atomic const **refs, uint32_t *nrefs);
/*
** The numbers of a bundle of that form; adding one (its bits) there. False: no
** room; nothing was added.
*/
static inline uint64_t *bundle_numbers (struct block *b) {
  return (uint64_t *)(void *)((struct bundle *)(void *)b)->bytes;
}
static inline uint32_t bundle_count (struct block *b) {
  return BUNDLE_COUNT(load_acquire(&((struct bundle *)(void *)b)->filled));
}
static inline bool bundle_add_number (struct block *b, uint64_t bits) {
  struct bundle *to = (struct bundle *)(void *)b;
  uint64_t filled = load_relaxed(&to->filled);
  size_t used = BUNDLE_SIZE(filled);
  if (unlikely(sizeof(struct bundle) + used + 8 > b->size))
    return false;
  bundle_numbers(b)[used / 8] = bits;
  store_release(&to->filled, (uint64_t)(used + 8) << 24 | (BUNDLE_COUNT(filled) + 1));
  return true;
}
/* Is 'message' in an entry that counts? */
bool bundle_has (struct block *b, struct block *message);
void bundle_open (void);

#endif
