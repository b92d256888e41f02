/*
** dict.h - values by key, shared
**
** The struct below, and a table: one block of entries, open addressing with
** linear probing. Keys and values are cells (cell.h); long strings and numbers
** that fit no cell are in boxes of their own. An integer and a float of equal
** value are one key, as in a Lua table.
**
**   Guarded by 'monitor.guard':  table, its entries, live, used.
**   Constant after init:         seed, seed2, made.
** True whenever the guard is free (dict_valid checks it):
**   D1  An entry is there if its value is not CELL_NONE. Its key is then in no
**       other entry that is there, and no entry between the one that its hash
**       asks for and its own has the key CELL_NONE.
**   D2  A key with value CELL_NONE means nothing, but its box is the table's.
**   D3  live is the number of entries that are there, used that of keys that
**       are not CELL_NONE; used < capacity. Both are derived.
**   D4  The block of every key and value is in nobody's hand.
** Each change commits with one store: of the entry's value, or of 'table' where
** a new one was filled beside the old.
** Waiting: for the owner of the monitor alone.
** Owner death.  A holder of the guard killed before that store has changed
** nothing, killed after it is done. The repair takes what has its place in the
** table out of the dead hand, and counts again.
** Ownership.  dict_set takes the cell 'c' out of the caller's hand when it
** returns CONC_OK; '*old' is then in the caller's hand. Keys are copied.
*/
#ifndef CONC_DICT_H
#define CONC_DICT_H

#include "cell.h"
#include "monitor.h"

#define DICT_MADE  72
#define DICT_MAX   (UINT32_MAX / 2)    /* entries in one table */

struct entry {
  cell_place key;
  cell_place value;
};

struct table {
  struct block head;                   /* KIND_RAW: owns nothing by itself */
  struct entry entries[];
};

struct dict {
  struct block head;                   /* KIND_DICT */
  struct monitor monitor;
  struct table *_Atomic table;         /* NULL: empty */
  uint64_t live, used;
  uint64_t seed, seed2;                /* of the hashes: nobody can know collisions */
  char made[DICT_MADE];                /* "app.lua:12" */
};

/* A key as the operations take it; what it points to is the caller's. */
struct dict_key {
  cell c;                              /* CELL_NONE: it needs a box, so: */
  uint64_t hash;
  uint16_t form;                       /*   enum box_form */
  uint64_t bits;                       /*   as in a box */
  const char *bytes;                   /*   of a string */
};

void dict_open (void);                 /* at load */
struct block *dict_new (const char *made);   /* in hand; NULL: full */
static inline struct dict *dict_of (struct block *b) {
  return (struct dict *)(void *)b;
}

/* False: no key (none, NaN, a message). */
bool dict_make_key (struct dict *d, const struct datum *value, struct dict_key *k);

/*
** All return CONC_OK, or CONC_CANCELLED, CONC_INTERRUPTED, CONC_DEADLOCK
** (somebody else owns the dict), CONC_FULL.
*/
int dict_length (struct dict *d, uint64_t *n);
int dict_get (struct dict *d, const struct dict_key *k, struct reading *r);
int dict_set (struct dict *d, const struct dict_key *k, cell c, cell *old);  /* none: removes */
/* Adds the number n to the entry (0 where there is none) and gives the sum.
   CONC_MISUSE: it is no number; *sum tells what it is (nothing pointed to). */
int dict_incr (struct dict *d, const struct dict_key *k, const struct datum *n,
               struct datum *sum);
/*
** The next entry from *at on (begin with 0); key->value is DATUM_NONE after the
** last. The caller owns the dict, or takes what comes while others change it.
*/
int dict_next (struct dict *d, uint64_t *at, struct reading *key, struct reading *value);

uint64_t dict_count (struct dict *d);  /* now, without waiting for an owner */
bool dict_valid (struct dict *d);      /* under the guard */

#endif
