/*
** pages.c - floor 1: blocks of 2^k pages, by the buddy method
**
** (Knuth, TAOCP vol. 1, 2.5, algorithm R and S.) The map has a byte a page; of
** the pages 0..frontier-1, walked block by block, each first page says
** FREE|order or USED|order. One byte, or the frontier, is stored last in each
** operation and is its commit; lists, links and sums are derived and are built
** again by pages_repair when a holder of the guard died.
**
** A free block whose pages are being given back says USED, with KIND_PAGES, and is in
** the hand of who does it. It is not in use: who wants memory meanwhile has as much as
** he would have had.
*/
#include "arena_root.h"
#include "sys.h"

#define FREE        0x40
#define USED        0x80
#define ORDER_OF(b) ((unsigned)((b) & 0x3f))

/* More warm free memory than this is given back at once. */
#define WARM_PAGES  ((64u << 20) >> PAGE_SHIFT)
/* Smaller blocks are not worth a system call. */
#define WARM_ORDER  4

#define POPULATE_PAGES  ((8u << 20) >> PAGE_SHIFT)

#define root  arena_root

static char *address (uint32_t page) {
  return root->heap + ((size_t)page << PAGE_SHIFT);
}

static uint32_t page_of (const void *p) {
  return (uint32_t)((size_t)((const char *)p - root->heap) >> PAGE_SHIFT);
}

/* The map is read by walkers without the guard in reports only. */
static void mark (uint32_t page, unsigned state) {
  kill_order();
  store_relaxed(&root->map[page], (uint8_t)state);
  kill_order();
}

static uint32_t seconds (void) {
  return (uint32_t)(sys_now() / 1000000000) + 1;
}

/* {=== derived: the lists ===} */

/* Written under the guard, read without it as a hint. */
static void count_warm (uint32_t n) {
  store_relaxed(&root->warm, load_relaxed(&root->warm) + n);
}

static void list_push (uint32_t page, unsigned order, uint32_t stamp) {
  struct page_link *l = &root->links[page];
  uint32_t head = root->free[order];
  l->next = head;
  l->prev = NO_PAGE;
  l->stamp = stamp;
  if (head != NO_PAGE)
    root->links[head].prev = page;
  root->free[order] = page;
  if (stamp != 0)
    count_warm(1u << order);
}

static uint32_t list_take (uint32_t page, unsigned order) {
  struct page_link *l = &root->links[page];
  if (l->prev != NO_PAGE)
    root->links[l->prev].next = l->next;
  else
    root->free[order] = l->next;
  if (l->next != NO_PAGE)
    root->links[l->next].prev = l->prev;
  if (l->stamp != 0)
    count_warm(-(1u << order));
  return l->stamp;
}

static uint32_t pages_of_size (uint64_t size) {
  return (uint32_t)((size + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

static void count_used (struct block *b, bool in) {
  enum kind kind = block_kind(b);  /* a repair reads those of others */
  uint32_t n = pages_of_size(b->size), one = kind != KIND_SLAB;
  if (kind == KIND_PAGES)
    return;
  root->used += in ? n : -n;
  root->live += in ? one : -one;
}

static void pages_repair (struct guard *g, struct thread_record *dead) {
  (void)g;
  for (unsigned k = 0; k < ORDERS; k++)
    root->free[k] = NO_PAGE;
  root->used = root->live = 0;
  store_relaxed(&root->warm, 0);
  uint32_t now = seconds();
  if (root->frontier < root->npages)  /* used, it says, if 'frontier' was next */
    store_relaxed(&root->map[root->frontier], 0);
  for (uint32_t page = 0; page < root->frontier; ) {
    unsigned state = load_relaxed(&root->map[page]), order = ORDER_OF(state);
    if (state & FREE)
      list_push(page, order, now);
    else
      count_used((struct block *)(void *)address(page), true);
    page += 1u << order;
  }
  for (int i = 0; i < HELD_MAX; i++) {  /* noted, but not its own (any more) */
    struct block *b = load_relaxed(&dead->held[i]);
    if (b != NULL && !slab_class_held(b) && !pages_used(b))
      store_relaxed(&dead->held[i], NULL);
  }
}

/* {=== alloc ===} */

static unsigned order_for (uint32_t n) {
  unsigned k = 0;
  while ((1u << k) < n) k++;
  return k;
}

/* Moves the frontier so that a block of 'order' begins there; gaps become free. */
static bool frontier_align (unsigned order) {
  uint32_t size = 1u << order, at = root->frontier;
  uint32_t begin = (at + size - 1) & ~(size - 1);
  if (begin < at || begin > root->npages || root->npages - begin < size)
    return false;
  while (at < begin) {
    unsigned k = 0;
    while (!(at & (1u << k)) && at + (2u << k) <= begin) k++;
    store_relaxed(&root->map[at], (uint8_t)(FREE | k));
    kill_order();
    root->frontier = at + (1u << k);
    kill_order();
    list_push(at, k, 0);
    at += 1u << k;
  }
  return true;
}

/* The header is written before the page says USED: a sweep may read it. */
static struct block *block_begin (uint32_t page, size_t size) {
  struct block *b = (struct block *)(void *)address(page);
  store_relaxed(&b->refs, 0);
  block_set_kind(b, KIND_RAW);
  b->class = PAGE_BLOCK;
  b->flags = 0;
  b->size = size;
  b->next = NULL;
  arena_hold(b);
  return b;
}

/* '*warm' tells whether its pages may be there already. */
static struct block *alloc_listed (uint32_t page, unsigned from, unsigned order,
                                   size_t size, bool *warm) {
  uint32_t stamp = list_take(page, from);
  *warm = stamp != 0;
  struct block *b = block_begin(page, size);
  for (unsigned k = from; k > order; k--)  /* right halves: not looked at yet */
    store_relaxed(&root->map[page + (1u << (k - 1))], (uint8_t)(FREE | (k - 1)));
  mark(page, USED | order);
  for (unsigned k = from; k > order; k--)
    list_push(page + (1u << (k - 1)), k - 1, stamp);
  return b;
}

static struct block *alloc_frontier (unsigned order, size_t size) {
  if (!frontier_align(order))
    return NULL;
  uint32_t page = root->frontier;
  struct block *b = block_begin(page, size);
  store_relaxed(&root->map[page], (uint8_t)(USED | order));
  kill_order();
  root->frontier = page + (1u << order);
  kill_order();
  return b;
}

/* The best-fitting free block of 'order' or more; ORDERS: none. */
static unsigned order_listed (unsigned order) {
  while (order < ORDERS && root->free[order] == NO_PAGE) order++;
  return order;
}

/* How much of a new block is touched ahead. */
static size_t usable_pages (uint32_t n) {
  return n < POPULATE_PAGES ? n : POPULATE_PAGES;
}

struct block *pages_alloc (size_t size) {
  if (size > ((size_t)root->npages << PAGE_SHIFT))
    return NULL;
  uint32_t n = pages_of_size(size);
  unsigned order = order_for(n);
  size_t room = (size_t)PAGE_SIZE << order;
  struct block *b = NULL;
  bool warm = false;
  guard_lock(&root->pages);
  if (n <= root->limit && root->used <= root->limit - n) {
    unsigned from = order_listed(order);
    /* blocks up to 64 KiB use their rest too; larger ones leave it untouched */
    size_t usable = order <= SLAB_ORDER ? room : (size_t)n << PAGE_SHIFT;
    b = from < ORDERS ? alloc_listed(root->free[from], from, order, usable, &warm)
                      : alloc_frontier(order, usable);
    if (b != NULL)
      count_used(b, true);
  }
  guard_unlock(&root->pages);
  if (b != NULL && !warm && order >= SLAB_ORDER)  /* one call, not a fault a page */
    sys_populate(b, usable_pages(n) << PAGE_SHIFT);
  return b;
}

/* {=== free ===} */

static void coalesce (uint32_t page, unsigned order, uint32_t stamp) {
  while (order + 1 < ORDERS) {
    uint32_t buddy = page ^ (1u << order);
    if (buddy >= root->frontier || load_relaxed(&root->map[buddy]) != (FREE | order))
      break;
    /* a stale byte inside a larger block cannot be met: our buddy's first page
       is a first page of some block of at most our order */
    uint32_t other = list_take(buddy, order);
    if (other > stamp) stamp = other;
    if (buddy < page) page = buddy;
    order++;
    mark(page, FREE | order);
  }
  list_push(page, order, stamp);
}

void pages_free (struct block *b) {
  uint32_t page = page_of(b), stamp;
  unsigned order = ORDER_OF(load_relaxed(&root->map[page]));  /* ours: nobody changes it */
  bool cold = order > WARM_ORDER && load_relaxed(&root->warm) > WARM_PAGES;
  uint64_t size = b->size;
  bool slab = b->kind == KIND_SLAB;
  if (cold) {  /* the header page stays: a sweep may still need it */
    size_t bytes = (size_t)pages_of_size(size) << PAGE_SHIFT;
    sys_give_back((char *)b + PAGE_SIZE, bytes - PAGE_SIZE);
  }
  stamp = cold ? 0 : seconds();
  guard_lock(&root->pages);
  root->used -= pages_of_size(size);
  root->live -= !slab;
  block_went(b);
  mark(page, FREE | order);
  arena_settle(b);
  coalesce(page, order, stamp);
  guard_unlock(&root->pages);
}

/* A free block that has lain warm since before 'before', in hand. */
static struct block *take_idle (uint32_t before) {
  for (unsigned k = WARM_ORDER + 1; k < ORDERS; k++) {
    for (uint32_t page = root->free[k]; page != NO_PAGE; page = root->links[page].next) {
      uint32_t stamp = root->links[page].stamp;
      if (stamp != 0 && stamp < before) {
        bool warm;
        struct block *b = alloc_listed(page, k, k, (size_t)PAGE_SIZE << k, &warm);
        block_ready(b, KIND_PAGES);
        return b;
      }
    }
  }
  return NULL;
}

void pages_trim (uint32_t idle) {
  uint32_t now = seconds();
  for (;;) {
    guard_lock(&root->pages);
    struct block *b = now > idle ? take_idle(now - idle + 1) : NULL;
    guard_unlock(&root->pages);
    if (b == NULL)
      return;
    uint32_t page = page_of(b);
    unsigned order = ORDER_OF(load_relaxed(&root->map[page]));
    sys_give_back((char *)b + PAGE_SIZE, ((size_t)PAGE_SIZE << order) - PAGE_SIZE);
    guard_lock(&root->pages);
    block_went(b);
    mark(page, FREE | order);
    arena_settle(b);
    coalesce(page, order, 0);
    guard_unlock(&root->pages);
  }
}

/* In the hand of one who died at giving it back: from now on it is in use, until it is
   freed. */
static void idle_destroy (struct block *b) {
  guard_lock(&root->pages);
  block_set_kind(b, KIND_RAW);
  count_used(b, true);
  guard_unlock(&root->pages);
}

void pages_is_slab (struct block *b) {
  guard_lock(&root->pages);
  root->live--;
  block_ready(b, KIND_SLAB);
  guard_unlock(&root->pages);
}

bool pages_used (struct block *b) {
  return (load_relaxed(&root->map[page_of(b)]) & USED) != 0;
}

void pages_each (void (*f) (struct block *b, void *ctx), void *ctx) {
  for (uint32_t page = 0; page < root->frontier; ) {
    unsigned state = load_relaxed(&root->map[page]);
    if (state & USED)
      f((struct block *)(void *)address(page), ctx);
    page += 1u << ORDER_OF(state);
  }
}

#if defined(CONC_DEBUG)

static bool list_valid (unsigned order, uint32_t n) {
  uint32_t before = NO_PAGE;
  for (uint32_t page = root->free[order]; page != NO_PAGE; page = root->links[page].next) {
    if (n-- == 0 || page >= root->frontier || load_relaxed(&root->map[page]) != (FREE | order)
        || root->links[page].prev != before)
      return false;
    before = page;
  }
  return n == 0;
}

static bool lists_valid (const uint32_t n[ORDERS]) {
  for (unsigned k = 0; k < ORDERS; k++)
    if (!list_valid(k, n[k]))
      return false;
  return true;
}

/* Counts the map, and compares. */
static bool map_valid (void) {
  uint32_t n[ORDERS] = { 0 }, used = 0, live = 0, warm = 0, page = 0;
  while (page < root->frontier) {
    unsigned state = load_relaxed(&root->map[page]), order = ORDER_OF(state);
    struct block *b = (struct block *)(void *)address(page);
    if (order >= ORDERS || (page & ((1u << order) - 1)) != 0)
      return false;
    if (state & USED) {
      used += b->kind != KIND_PAGES ? pages_of_size(b->size) : 0;
      live += b->kind != KIND_PAGES && b->kind != KIND_SLAB;
    }
    else if (state & FREE) {
      n[order]++;
      warm += root->links[page].stamp != 0 ? 1u << order : 0;
    }
    else
      return false;
    page += 1u << order;
  }
  return page == root->frontier && used == root->used && live == root->live
      && warm == load_relaxed(&root->warm) && lists_valid(n);
}

bool pages_valid (void) {
  guard_lock(&root->pages);
  bool good = map_valid();
  guard_unlock(&root->pages);
  return good;
}

#endif

void pages_open (void) {
  static const struct kind_ops idle = { .name = NULL, .destroy = idle_destroy };
  arena_kind(KIND_PAGES, &idle);
  guard_init(&root->pages, RANK_PAGES, KIND_PAGES);
  for (unsigned k = 0; k < ORDERS; k++)
    root->free[k] = NO_PAGE;
  guard_on_death(KIND_PAGES, pages_repair);
}
