/*
** arena.h - floor 1: the one shared mapping, its blocks and their counts
**
** Layout, from the base: root, thread records, process records, page map, heap.
**
** Heap. Buddy blocks of 2^k pages of 4 KiB. The truth is one byte a page: the
** first page of a block says FREE|k or USED|k, the others' bytes mean nothing.
** Each change is one store of one byte (a split writes the right halves first,
** where nobody looks yet). Free lists are derived: after the death of a holder
** of the page guard they are built again from the bytes.
** Small blocks (<= SMALL_MAX with their header) come from slabs: a 64 KiB
** block with a bitmap. The truth is the bitmap, one store a change; the lists
** of slabs with room are derived.
**
** In hand. A block that was allocated, or taken out of a structure, is noted
** in the thread's record ('held') before the store that makes it so, and
** forgotten after the store that puts it elsewhere: arena_settle. What a dead
** thread holds is destroyed by the sweep, unless the repair of the guard that
** it died under finds the block in its place. A counted block (refs > 0) in a
** dead hand is left alone.
**
** Counts. A reference is a place in the arena (a handle of a process, a place
** in a message or in another block) that holds the pointer and counts one.
** block_ref and block_unref change place and count together: the store to the
** place is the commit; the count is mended before anybody else moves it.
**
** Full. When the heap, or the limit of memory in use, is used up, arena_alloc
** gives NULL and nothing has changed.
*/
#ifndef CONC_ARENA_H
#define CONC_ARENA_H

#include "ground.h"
#include "guard.h"
#include "record.h"

enum kind {
  KIND_NONE = 0,
  KIND_RAW,          /* bytes of somebody; destroyed by freeing them */
  KIND_SLAB, KIND_PAGES, KIND_REFS, KIND_SWEEP, KIND_RECORDS, KIND_LINKS,  /* the arena's own guards */
  KIND_MESSAGE,      /* encoded values (message.h) */
  KIND_HANDLES,      /* places of a process's handles (record.c) */
  KIND_CODE,         /* the bytecode of a function, shared by messages */
  KIND_SEGMENT,      /* a piece of a container */
  KIND_BUNDLE,       /* many parcels in one block (bundle.h) */
  KIND_CREW,         /* a pool's workings, behind its front (pool.h) */
  KIND_LEASE,        /* what all in a pool's house hold; its end empties it (pool.h) */
  /* what Lua sees: KIND_LOCK and above have handles */
  KIND_LOCK, KIND_RLOCK, KIND_RWLOCK, KIND_SEMAPHORE, KIND_CONDITION,
  KIND_EVENT, KIND_BARRIER,
  KIND_QUEUE, KIND_LIFO_QUEUE, KIND_PRIORITY_QUEUE, KIND_PIPE, KIND_CHANNEL,
  KIND_VALUE, KIND_ARRAY, KIND_LIST, KIND_DICT,
  KIND_FUTURE, KIND_THREAD, KIND_PROCESS,
  KIND_THREAD_POOL, KIND_PROCESS_POOL,
  KIND_MAX
};

/* Every block begins so. */
struct block {
  _Atomic uint32_t refs;   /* guarded by its stripe of the REFS guards */
  uint8_t kind;            /* KIND_RAW until block_ready */
  uint8_t class;           /* slab class, PAGE_BLOCK or INNER_BLOCK; constant */
  uint16_t flags;          /* the kind's own use */
  uint64_t size;           /* bytes that may be used, this header included; constant */
  struct block *next;      /* for who owns it: chains of messages, of the doomed */
};
#define PAGE_BLOCK   0xff
#define INNER_BLOCK  0xfe  /* a part of another block: neither in hand nor freed */

struct kind_ops {
  const char *name;        /* what conc.type says; static */
  /* Drops what the block refers to, not the block. Runs outside of all guards
     with the block in hand; after a death it may run again on the rest. */
  void (*destroy) (struct block *b);
  /* The i-th thread (from 0) that holds what a waiter on b waits for; 0: no more.
     Called under the LINKS guard, reads without b's guard. */
  thread_key (*holder) (struct block *b, int i);
  /* The repair of a guard made with this kind; NULL: nothing to repair. */
  guard_repair *repair;
  /* Found in a dead hand: has it its place elsewhere already? NULL: never. */
  bool (*placed) (struct block *b);
  /* Where it was made ("app.lua:12"; "": not known), for the stories of
     deadlocks. NULL: the kind does not note it. */
  const char *(*made) (struct block *b);
  /* Both found in one dead hand: is b already a part of 'container'? NULL: never. */
  bool (*owns) (struct block *container, struct block *b);
};
void arena_kind (enum kind kind, const struct kind_ops *ops);   /* at load */
const struct kind_ops *block_ops (const struct block *b);

int arena_open (void);           /* CONC_OK or CONC_SYSTEM; again: nothing */
bool arena_has (const void *p);  /* does p point into the heap? */

/* 'size' counts the header. In the caller's hand, kind KIND_RAW, refs 0, content
   undefined, aligned to 64 bytes; NULL: full. */
struct block *arena_alloc (size_t size);
/* 'kind' is read without a guard by reports only; the walker may find it old. */
static inline enum kind block_kind (const struct block *b) {
  return (enum kind)__atomic_load_n(&b->kind, __ATOMIC_RELAXED);
}
static inline void block_set_kind (struct block *b, enum kind kind) {
  __atomic_store_n(&b->kind, (uint8_t)kind, __ATOMIC_RELAXED);
}
/*
** ThreadSanitizer sees one process. A block that a thread of it freed, another process
** had then, and a thread of it is given now, looks to it as given without a word
** between the two: so who frees one says so, after the last look at it, and who is given
** one.
*/
#if defined(__SANITIZE_THREAD__)
void AnnotateHappensBefore (const char *file, int line, const volatile void *at);
void AnnotateHappensAfter (const char *file, int line, const volatile void *at);
#define block_went(b)  AnnotateHappensBefore(__FILE__, __LINE__, b)
#define block_came(b)  AnnotateHappensAfter(__FILE__, __LINE__, b)
#else
#define block_went(b)  ((void)0)
#define block_came(b)  ((void)0)
#endif
/* b is now what its kind says: destroy may be called on it. */
static inline void block_ready (struct block *b, enum kind kind) {
  kill_order();
  block_set_kind(b, kind);
}
void arena_hold (struct block *b);     /* into the caller's hand */
/* May the caller, with blocks in hand, run code of others, who take more? */
bool arena_hand_has_room (void);
#define HAND_ROOM  32                  /* more than a call, a finalizer in it, and what they drop take */
void arena_settle (struct block *b);   /* out of it: it has its place */
void arena_settle_dead (struct thread_record *dead, struct block *b);
/* Out of a dead hand whatever has a count, or says that it is in its place: from here on
   others may free it, and its memory be another's when the hand is swept. */
void arena_settle_counted (struct thread_record *dead);
bool arena_held_by (struct thread_record *t, struct block *b);
void arena_free (struct block *b);     /* in hand -> free; no destroy */
void block_destroy (struct block *b);  /* in hand: destroy, then free */

void block_ref (struct block *_Atomic *place, struct block *b);
/* The same for one in the caller's hand that nobody else knows, without counts yet. */
void block_ref_first (struct block *_Atomic *place, struct block *b);
void block_unref (struct block *_Atomic *place);   /* NULL there: nothing */
/* Counts in 'place' what another thread's place refers to now. False: nothing. */
bool block_share (struct block *_Atomic *place, struct block *_Atomic *from);

/* Sight. Blocks and bytes in use (message segments kept warm included). */
struct arena_stats { size_t live, bytes, limit, warm; };
void arena_stats (struct arena_stats *s);
size_t arena_live_of (enum kind kind);   /* walks the heap: for tests and reports */
/* Gives back pages of large free blocks that nobody wanted for a second. */
void arena_trim (void);
/* Tests: fail the n-th allocation from now (0: none). This process only. */
extern _Atomic long arena_fail_at;
#if defined(CONC_DEBUG)
/* Is what is derived (lists, links, sums) what the page map and bitmaps say? */
bool arena_valid (void);
#endif

#endif
