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
/* The entries one after the other: *at begins at 0. NULL: no more. */
struct entry *bundle_next (struct block *b, size_t *at);
/* The bytes and references of an entry, wherever they are. */
const char *entry_bytes (struct entry *e, size_t *length,
                         struct block *_Atomic const **refs, uint32_t *nrefs);
/* Is 'message' in an entry that counts? */
bool bundle_has (struct block *b, struct block *message);
void bundle_open (void);

#endif
