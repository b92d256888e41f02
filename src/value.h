/*
** value.h - floor 3: one number or boolean, shared without a lock
**
** One word of 64 bits. Its type is constant after init, so no operation has
** more than one store to make, and a process killed in one leaves the value
** before it or after it.
**
** Memory order: sequentially consistent, all of them. A script may build a
** flag-and-look-again handshake out of two values without knowing that such
** orders exist; on x86-64 only value_set pays for it, on arm64 nothing does.
** Nothing waits, nothing is guarded, nothing is owned.
*/
#ifndef CONC_VALUE_H
#define CONC_VALUE_H

#include "arena.h"

enum value_type { VALUE_INTEGER = 1, VALUE_FLOAT, VALUE_BOOLEAN };

struct value {
  struct block head;            /* KIND_VALUE */
  uint32_t type;                /* enum value_type; constant after init */
  _Atomic uint64_t bits;        /* the integer, the float's bits, 0 or 1 */
};

void value_open (void);         /* at load */
struct block *value_new (enum value_type type, uint64_t bits);  /* in hand; NULL: full */
static inline struct value *value_of (struct block *b) {
  return (struct value *)(void *)b;
}

static inline uint64_t value_get (struct value *v) {
  return load_full(&v->bits);
}
static inline void value_set (struct value *v, uint64_t bits) {
  store_full(&v->bits, bits);
}
static inline uint64_t value_exchange (struct value *v, uint64_t bits) {
  return swap_full(&v->bits, bits);
}
/* Adds and returns the sum; of an integer (wraps), or of a float. */
static inline int64_t value_add_integer (struct value *v, int64_t n) {
  return (int64_t)(add_full(&v->bits, (uint64_t)n) + (uint64_t)n);
}
double value_add_float (struct value *v, double n);
/*
** Stores 'bits' where the value equals *expected; gives what was there in
** *expected. Floats compare as numbers (0.0 equals -0.0), and a NaN equals one
** with the same bits, so that a loop of get and compare_exchange ends.
*/
bool value_compare_exchange (struct value *v, uint64_t *expected, uint64_t bits);

#endif
