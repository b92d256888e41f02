/*
** cell.h - floor 3: one value of a container in one word
**
** A list or dict keeps each value in 64 bits, so that every change of one
** commits with one store. The low two bits say what a cell is:
**
**   0              nothing
**   pointer | 00   a block that the container owns: a message (any value that
**                  has no form below), or a box: a plain KIND_RAW block
**   ... | 01       an integer of 62 bits
**   ... | 10       a float whose exponent is near 0 (|x| from 1e-77 to 1e77),
**                  or 0.0; rotated so that the bits that are always the same
**                  make room for the tag
**   ... | 11       a boolean, a string of up to 7 bytes, or a mark
**
** Other integers and floats, and longer strings, live in boxes.
**
** Ownership. A cell is in the thread's hand, or in a container, never both
** while the container's guard is free: a block goes from hand to place by
** "store, then settle", and back by "hold, then store". The repair of a guard
** whose holder died looks which of the blocks in the dead hand are in their
** place (cell_settle_dead); the sweep destroys the rest.
** Only a box may be freed under a guard; a message is dropped outside of it.
*/
#ifndef CONC_CELL_H
#define CONC_CELL_H

#include <string.h>
#include "arena.h"
#include "message.h"

typedef uint64_t cell;
typedef _Atomic uint64_t cell_place;

#define CELL_NONE     ((cell)0)
#define CELL_FALSE    ((cell)0x03)
#define CELL_TRUE     ((cell)0x103)
#define CELL_DELETED  ((cell)0x0b)      /* a mark of dict.c, no value */

enum cell_tag { CELL_BLOCK = 0, CELL_INTEGER = 1, CELL_FLOAT = 2, CELL_SHORT = 3 };
#define cell_tag(c)      ((enum cell_tag)((c) & 3))
#define CELL_SHORT_MAX   7              /* longest string inside a cell */

/* flags of a box (head.flags); 0 is no box */
enum box_form { BOX_INTEGER = 1, BOX_FLOAT, BOX_STRING };

struct box {                   /* all constant once it is in a container */
  struct block head;           /* KIND_RAW */
  uint64_t bits;               /* the number's bits, or the string's length */
  uint64_t hash;               /* of a dict's key */
  char bytes[];
};

/* A value as the core's callers see it. What it points to is not its own. */
enum datum_type { DATUM_NONE = 0, DATUM_BOOLEAN, DATUM_INTEGER, DATUM_FLOAT,
                  DATUM_STRING, DATUM_MESSAGE };
struct datum {
  enum datum_type type;
  union {
    bool boolean;
    int64_t integer;
    double number;
    struct { const char *bytes; size_t length; } string;
    struct message *message;
  } u;
};

/* A value copied out of a container, good after its guard was given back. */
#define READING_ROOM  480
struct reading {
  struct datum value;
  struct block *clone;         /* in the caller's hand; NULL: none */
  _Alignas(16) char room[READING_ROOM];
};

static inline bool cell_is_block (cell c) {
  return cell_tag(c) == CELL_BLOCK && c != CELL_NONE;
}
static inline struct block *cell_block (cell c) {
  return (struct block *)(uintptr_t)c;
}
static inline cell cell_of_block (struct block *b) {
  return (cell)(uintptr_t)b;
}

static inline bool cell_fits_integer (int64_t i) {
  return i >= -((int64_t)1 << 61) && i < (int64_t)1 << 61;
}
static inline cell cell_of_integer (int64_t i) {   /* of one that fits */
  return (uint64_t)i << 2 | CELL_INTEGER;
}
static inline int64_t cell_integer (cell c) {
  return (int64_t)c >> 2;      /* arithmetic in every compiler we know */
}

/* 0.0 takes the form that the one float 0x3000000000000000 would have had. */
#define CELL_ZERO  (UINT64_C(0x8000000000000000) | CELL_FLOAT)

static inline uint64_t float_bits (double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static inline double bits_float (uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
/* The float's cell, or CELL_NONE where it needs a box. */
static inline cell cell_of_float (double x) {
  uint64_t bits = float_bits(x);
  unsigned top = (unsigned)(bits >> 60) & 7;   /* of the exponent */
  if ((top == 3 || top == 4) && bits != UINT64_C(0x3000000000000000))
    return ((bits << 3 | bits >> 61) & ~(uint64_t)3) | CELL_FLOAT;
  return bits == 0 ? CELL_ZERO : CELL_NONE;
}
static inline double cell_float (cell c) {
  uint64_t t;
  if (c == CELL_ZERO)
    return 0.0;
  t = (c & ~(uint64_t)3) | (2 - (c >> 63));
  return bits_float(t >> 3 | t << 61);
}

static inline cell cell_of_short (const char *s, size_t length) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < length; i++)
    bytes |= (uint64_t)(unsigned char)s[i] << (8 * i);
  return bytes << 8 | (uint64_t)length << 5 | 0x07;
}
static inline bool cell_is_short (cell c) {   /* a string inside the cell? */
  return (c & 0x1f) == 0x07;
}
static inline size_t cell_short_length (cell c) {
  return (size_t)(c >> 5) & 7;
}

/* The value as a cell in the caller's hand. False: memory is full (a message
   stays the caller's). Boxes are allocated; it may be called under a guard. */
bool cell_make (const struct datum *value, cell *c);
/* A box with the string, whatever its length; NULL: full. */
struct box *box_string (const char *s, size_t length);
/* What a cell in hand, or guarded against change, holds; nothing is copied.
   'room' (8 bytes) gets a short string. */
void cell_view (cell c, struct datum *value, char *room);
/* Under the guard: copies the value out. CONC_OK, or CONC_FULL. */
int cell_read (cell c, struct reading *r);
/* A cell of the caller's hand as a reading that owns it. */
void cell_read_own (cell c, struct reading *r);
void reading_drop (struct reading *r);
/* Frees what a cell in hand holds; without a guard. */
void cell_drop (cell c);

/* Taken out of its place ('to' is what is left there) into the hand; guarded. */
static inline void cell_take (cell_place *place, cell to) {
  cell old = load_relaxed(place);
  if (cell_is_block(old))
    arena_hold(cell_block(old));
  kill_order();
  store_relaxed(place, to);
  kill_order();
}
/* From the hand into a place that nobody looks at yet; the store that commits
   comes after it, and then cell_settle. */
static inline void cell_put (cell_place *place, cell c) {
  kill_order();
  store_relaxed(place, c);
  kill_order();
}
static inline void cell_settle (cell c) {
  kill_order();
  if (cell_is_block(c))
    arena_settle(cell_block(c));
}

/* For a repair: what the dead one has in its hand, and what of that is found in its
   place. */
struct dead_hand {
  struct thread_record *whose;
  int n;
  struct block *held[HELD_MAX];
};
typedef void hand_search (struct dead_hand *h, void *container);
/* Calls 'search' if the hand is not empty. */
void dead_hand_search (struct thread_record *dead, hand_search *search, void *container);
/* The block was found in its place: it is no longer in the hand. */
void dead_hand_settle (struct dead_hand *h, struct block *b);
static inline void dead_hand_settle_cell (struct dead_hand *h, cell c) {
  if (h->n > 0 && cell_is_block(c))
    dead_hand_settle(h, cell_block(c));
}

#endif
