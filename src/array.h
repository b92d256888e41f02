/*
** array.h - floor 3: numbers of one machine type, in place
**
** One arena block: the struct below and the elements. Type and length are
** constant after init; only elements change.
**
** Nothing is guarded. Each element is read and written in one access of its
** own width, or inside one aligned word of 64 bits: no element is ever seen
** half written, whatever else happens to a neighbour. Single reads acquire and
** single writes release, so data written before a flag is there for who saw
** the flag; 'add' is one compare-and-swap that took. fill, copy and the byte
** calls are many accesses (relaxed) between two fences; who looks meanwhile, or
** a kill in the middle, sees some elements old and some new.
**
** Outside of this file an element travels as 64 bits: the integer (u64: its
** bit pattern) or the bits of the double that is the float.
*/
#ifndef CONC_ARRAY_H
#define CONC_ARRAY_H

#include "arena.h"

enum array_type { ARRAY_I8 = 0, ARRAY_U8, ARRAY_I16, ARRAY_U16, ARRAY_I32,
                  ARRAY_U32, ARRAY_I64, ARRAY_U64, ARRAY_F32, ARRAY_F64,
                  ARRAY_TYPES };

struct array {
  struct block head;            /* KIND_ARRAY */
  uint32_t type;                /* enum array_type; constant after init */
  uint32_t width;               /* bytes of an element; constant after init */
  uint64_t length;              /* in elements; constant after init */
  _Alignas(16) unsigned char data[];
};

extern const char *const array_type_names[ARRAY_TYPES + 1];   /* NULL at the end */

void array_open (void);         /* at load */
struct block *array_new (enum array_type type, uint64_t length);  /* zeros; in hand; NULL: full */
static inline struct array *array_of (struct block *b) {
  return (struct array *)(void *)b;
}
static inline bool array_is_float (const struct array *a) {
  return a->type >= ARRAY_F32;
}

/* Can the type hold it? Of an integer type an integer, of a float type a double's bits. */
bool array_holds (const struct array *a, uint64_t bits);

/* Indices are from 0 and in range; values are such as the type holds. */
uint64_t array_get (const struct array *a, uint64_t i);
void array_set (struct array *a, uint64_t i, uint64_t bits);
/* False: the sum is out of the type's range, and nothing has changed. u64 wraps. */
bool array_add (struct array *a, uint64_t i, uint64_t bits, uint64_t *sum);
void array_fill (struct array *a, uint64_t i, uint64_t n, uint64_t bits);
/*
** n elements of 'from' (maybe 'to' itself, overlapping) to place 'at' on.
** Between different types each value is converted. UINT64_MAX: done; else the
** index in 'from' of one that 'to' cannot hold. That one was found before
** anything was written, unless somebody wrote it meanwhile.
*/
uint64_t array_copy (struct array *to, uint64_t at, const struct array *from,
                     uint64_t i, uint64_t n);
void array_read (const struct array *a, uint64_t i, uint64_t n, char *bytes);
void array_write (struct array *a, uint64_t i, uint64_t n, const char *bytes);

#endif
