/*
** rwlock.h - many readers or one writer
**
** Readers are known by name: a table of keys, in the block and in pages of
** further ones that are added and stay. So a reader that died is found, a
** reader may come again, and a cycle of waits through readers is seen.
**
**   Guarded by 'guard':    writer, readers, abandoned, look_from, slots, line.
**   Read without it:       writer, keys of slots, the chain of pages (by
**                          rwlock_holder; a page once linked stays until the
**                          rwlock is destroyed).
**   Constant after init:   made.
** True whenever the guard is free (rwlock_valid checks it):
**   R1  readers is the number of slots with a key (derived: counted again
**       after the death of a guard's holder).
**   R2  A slot with a key has count >= 1; no two have the same.
**   R3  writer != 0 only if readers == 0, but for the dead.
** Waiting: one line for both; tag says what each wants.
**   R4  A reader goes in when there is no writer, nor one before him in line.
**       So a waiting writer holds back new readers, and the readers that wait
**       while one writes go in together before the writers behind them.
**   R5  A writer goes in when nobody holds it and he is first in line. A
**       newcomer may overtake a first who has waited less than RWLOCK_PATIENCE.
**   R6  Who leaves, the lock or the line, rings those whom that lets in.
** Owner death. A key names a life. Slots and writer of those that have ended are
** cleared by who comes next, and 'abandoned' is set before. Who gets the lock is
** told, and clears that when he has it. (Killed between, he held it himself and
** is found so.) What a dead writer left half done only a writer can mend: so
** until one has had the lock every reader is told.
** Each operation commits with one store: 'writer', or a slot's key.
** A page is a counted block whose only place is the chain.
*/
#ifndef CONC_RWLOCK_H
#define CONC_RWLOCK_H

#include "lock.h"

#define RWLOCK_PATIENCE  ((nanos)1000000)
#define READERS_INSIDE   8
#define READERS_PAGE     60

enum rwlock_tag { TAG_READ = 0, TAG_WRITE };

struct reader {
  _Atomic thread_key key;          /* 0: free */
  uint64_t count;                  /* how often it reads */
};

struct reader_page {
  struct block head;               /* KIND_RAW, counted */
  struct block *_Atomic next;
  struct reader slots[READERS_PAGE];
};

struct rwlock {
  struct block head;               /* KIND_RWLOCK */
  struct guard guard;              /* RANK_OBJECT */
  struct gate line;
  _Atomic thread_key writer;
  uint32_t readers;
  _Atomic uint32_t abandoned;      /* by a reader, a writer: to be told */
  uint32_t look_from;              /* the reader to begin with, next time */
  struct block *_Atomic pages;     /* struct reader_page; NULL: none yet */
  struct reader slots[READERS_INSIDE];
  char made[MADE_SIZE];
};

static inline struct rwlock *rwlock_of (struct block *b) {
  return (struct rwlock *)(void *)b;
}

/* In hand; NULL: full. */
struct block *rwlock_new (const char *made);

/*
** CONC_OK, CONC_ABANDONED, CONC_TIMEOUT, CONC_CANCELLED, CONC_INTERRUPTED,
** CONC_DEADLOCK, CONC_FULL (no room for one more reader), or CONC_MISUSE: the
** caller reads and asks to write, or writes and asks to read.
*/
int rwlock_acquire_read (struct rwlock *rw, deadline until);
int rwlock_acquire_write (struct rwlock *rw, deadline until);
int rwlock_release (struct rwlock *rw);       /* CONC_OK or CONC_NOTHELD */

/* The writer, else a reader; 0: nobody. 'writing' tells which. */
thread_key rwlock_owner (struct rwlock *rw, bool *writing);
/* How many threads read. */
uint32_t rwlock_readers (struct rwlock *rw);

bool rwlock_valid (struct rwlock *rw);        /* under the guard */
void rwlock_open (void);

#endif
