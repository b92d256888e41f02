/*
** message.h - floor 3: encoded values in shared memory
**
** A message owns what it carries: the objects mentioned in its bytes are
** counted in its 'refs'. It has one owner at a time: a thread's hand or a
** place in a container, a queue's slot or a task. It is never counted itself
** (head.refs stays 0), except KIND_CODE, which is.
** Constant once message_new has returned: all fields and bytes.
*/
#ifndef CONC_MESSAGE_H
#define CONC_MESSAGE_H

#include "arena.h"

struct message {
  struct block head;               /* KIND_MESSAGE */
  uint32_t nrefs;
  uint32_t flags;                  /* the codec's */
  uint64_t length;                 /* of the bytes */
  struct block *_Atomic refs[];    /* nrefs, counted; the bytes follow */
};

/*
** What the encoder hands over: bytes in a scratch buffer of the calling
** thread, valid until its next encode; or, for large ones, a plain block in
** the caller's hand, with the bytes where a message with 'nrefs' references
** has them: parcel_post makes it that message.
*/
struct parcel {
  const char *bytes;
  size_t length;
  struct block *const *refs;       /* objects mentioned, not counted: the
                                      sender's handles keep them */
  uint32_t nrefs;
  uint32_t flags;
  struct block *block;             /* NULL, or where 'bytes' are; in hand */
};

/* The parcel as a message in the caller's hand; NULL: full (and p is as before). */
struct block *parcel_post (struct parcel *p);
/* Lets go of a parcel that is not sent. */
void parcel_drop (struct parcel *p);

static inline char *message_bytes (struct message *m) {
  return (char *)(m->refs + m->nrefs);
}
void message_drop (struct block *b);   /* in hand: uncounts refs, frees */

/*
** A message inside of another block, for small parcels. Never in hand; written
** by one thread at a time; its refs are dropped with that block.
*/
void message_inner (struct message *m, size_t size);   /* makes it, empty, of so many bytes */
/* The parcel there, in place of what was there; NULL: it does not fit. */
struct block *parcel_post_inner (struct parcel *p, struct message *m);
void message_open (void);

#endif
