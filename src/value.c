/*
** value.c - one number or boolean, shared without a lock
**
** No guards: each operation is one atomic instruction, or a loop around one.
*/
#include <string.h>
#include "value.h"

static double to_float (uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint64_t to_bits (double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

struct block *value_new (enum value_type type, uint64_t bits) {
  struct block *b = arena_alloc(sizeof(struct value));
  if (b == NULL)
    return NULL;
  value_of(b)->type = type;
  store_relaxed(&value_of(b)->bits, bits);
  block_ready(b, KIND_VALUE);
  return b;
}

double value_add_float (struct value *v, double n) {
  uint64_t old = load_relaxed(&v->bits);
  double sum;
  do
    sum = to_float(old) + n;
  while (!cas_full(&v->bits, &old, to_bits(sum)));
  return sum;
}

static bool same (const struct value *v, uint64_t a, uint64_t b) {
  return a == b || (v->type == VALUE_FLOAT && to_float(a) == to_float(b));
}

bool value_compare_exchange (struct value *v, uint64_t *expected, uint64_t bits) {
  uint64_t old = load_full(&v->bits);
  bool equal;
  while ((equal = same(v, old, *expected)) && !cas_full(&v->bits, &old, bits))
    ;  /* 'old' is what is there now: compare again */
  *expected = old;
  return equal;
}

void value_open (void) {
  static const struct kind_ops ops = { .name = "value" };
  arena_kind(KIND_VALUE, &ops);
}
