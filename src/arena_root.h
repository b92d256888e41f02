/*
** arena_root.h - floor 1, private: what lies at the base of the arena
**
** Included by arena.c, pages.c, slab.c and record.c only.
*/
#ifndef CONC_ARENA_ROOT_H
#define CONC_ARENA_ROOT_H

#include "arena.h"

#define PAGE_SHIFT     12
#define PAGE_SIZE      ((size_t)1 << PAGE_SHIFT)
#define ORDERS         28          /* 2^27 pages: 512 GiB */
#define SLAB_ORDER     4
#define SLAB_SIZE      (PAGE_SIZE << SLAB_ORDER)
#define SLAB_CLASSES   16
#define SMALL_MAX      8192
#define REF_STRIPES    64
#define NO_PAGE        UINT32_MAX

/* One list of free blocks; a link for each page, in a table beside the heap. */
struct page_link {
  uint32_t next, prev;             /* page numbers; NO_PAGE: none */
  uint32_t stamp;                  /* second it was freed in; 0: pages given back */
};

struct slab;
struct slab_class {
  cache_aligned struct guard guard;
  uint32_t size;                   /* constant after init */
  uint32_t total;                  /* objects in one slab; constant */
  struct slab *room;               /* derived: those with a free object */
  size_t live;                     /* derived */
  uint32_t empty;                  /* derived: slabs in 'room' without an object */
};

struct padded_guard { cache_aligned struct guard guard; };

struct arena_root {
  size_t size;                     /* of the whole mapping; constant after init */
  char *heap;                      /* constant after init */
  uint32_t npages;                 /* constant after init */
  uint32_t limit;                  /* pages that may be in use; constant after init */
  uint32_t nprocesses;             /* records of processes; constant after init */
  struct thread_record *threads;   /* constant after init */
  struct process_record *processes;/* constant after init */
  _Atomic uint8_t *map;            /* a byte a page: the truth; guarded by 'pages', but
                                      that of a used one its owner may read without */
  struct page_link *links;         /* derived; guarded by 'pages' */

  cache_aligned _Atomic uint64_t next_id;
  _Atomic uint32_t thread_hint, thread_top;    /* hints; top only grows */
  _Atomic uint32_t process_hint, process_top;

  cache_aligned struct guard sweep;
  cache_aligned struct guard pages;
  uint32_t frontier;               /* pages from here on were never used; commits */
  uint32_t free[ORDERS];           /* derived: heads of the free lists */
  uint32_t used;                   /* derived: pages in use */
  uint32_t live;                   /* derived: page blocks in use, slabs not counted */
  _Atomic uint32_t warm;           /* derived: free pages that may be populated */
  struct slab_class classes[SLAB_CLASSES];
  struct padded_guard refs[REF_STRIPES];
};

extern struct arena_root *arena_root;

/* pages.c: blocks of 2^k pages */
void pages_open (void);
struct block *pages_alloc (size_t size);
void pages_free (struct block *b);
bool pages_used (struct block *b);
void pages_is_slab (struct block *b);    /* from now on it is one; under the class's guard */
void pages_each (void (*f) (struct block *b, void *ctx), void *ctx);  /* guard held or quiet */
void pages_trim (uint32_t older_than);
bool pages_valid (void);

/* slab.c: small blocks */
void slab_open (void);
int slab_class_of (size_t size);
struct block *slab_alloc (int class);
void slab_free (struct block *b);
bool slab_used (struct block *b);
void slab_each (struct block *slab, void (*f) (struct block *b, void *ctx), void *ctx);
size_t slab_live (void);
bool slab_valid (void);
bool slab_class_held (struct block *b);  /* is b a small block? */

/* arena.c */
void record_open (void);
void arena_sweep_hands (struct thread_record *dead);

#endif
