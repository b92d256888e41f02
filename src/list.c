/*
** list.c - a sequence of values, shared
**
** Everything below that takes a 'struct list' and is static runs under its
** guard, but for list_destroy. No other guards but the arena's.
*/
#include <assert.h>
#include "list.h"

#define LEAST_CELLS  8

struct span { uint32_t first, end; };

static struct span bounds (const struct piece *p) {
  struct span s = { 0, 0 };
  if (p != NULL) {
    uint64_t word = load_relaxed(&p->bounds);
    s.first = (uint32_t)word;
    s.end = (uint32_t)(word >> 32);
  }
  return s;
}

static void set_bounds (struct piece *p, uint64_t first, uint64_t end) {
  kill_order();
  store_relaxed(&p->bounds, first | end << 32);
  kill_order();
}

static uint64_t capacity (const struct piece *p) {
  uint64_t n;
  if (p == NULL)
    return 0;
  n = (p->head.size - sizeof *p) / sizeof p->cells[0];
  return n < LIST_MAX ? n : LIST_MAX;
}

static struct piece *current (struct list *l) {
  return load_relaxed(&l->piece);
}

static uint64_t count (struct list *l) {
  struct span s = bounds(current(l));
  return s.end - s.first;
}

uint64_t list_count (struct list *l) {
  uint64_t n;
  guard_lock(&l->monitor.guard);
  n = count(l);
  guard_unlock(&l->monitor.guard);
  return n;
}

bool list_valid (struct list *l) {
  struct piece *p = current(l);
  struct span s = bounds(p);
  if (s.first > s.end || s.end > capacity(p)
      || load_relaxed(&l->shift.way) != SHIFT_NONE)
    return false;
  for (uint32_t i = s.first; i < s.end; i++) {
    cell c = load_relaxed(&p->cells[i]);
    if (c == CELL_NONE
        || (cell_is_block(c) && (!arena_has(cell_block(c))
                                 || arena_held_by(self(), cell_block(c)))))
      return false;
  }
  return true;
}

static void leave (struct list *l) {
#if defined(CONC_DEBUG)
  if (count(l) <= 64)   /* debug builds, too, come to an end */
    assert(list_valid(l));
#endif
  monitor_leave(&l->monitor);
}

static int enter (struct list *l, const char *verb) {
  return monitor_enter(&l->monitor, &l->head, verb);
}

/* {=== pieces ===} */

static struct piece *piece_new (uint64_t cells) {
  struct block *b;
  if (cells > LIST_MAX)
    return NULL;
  b = arena_alloc(sizeof(struct piece)
                  + (size_t)(cells < LEAST_CELLS ? LEAST_CELLS : cells)
                    * sizeof(cell_place));
  return (struct piece *)(void *)b;
}

/* The new piece, in hand, takes the place of the old one, which is freed. */
static void replace_piece (struct list *l, struct piece *to) {
  struct piece *from = current(l);
  if (from != NULL)
    arena_hold(&from->head);
  kill_order();
  store_relaxed(&l->piece, to);
  kill_order();
  if (to != NULL)
    arena_settle(&to->head);
  if (from != NULL)
    arena_free(&from->head);
}

static void copy (struct piece *to, uint64_t at, struct piece *from, uint64_t i,
                  uint64_t n) {
  if (n > 0)
    memcpy(&to->cells[at], &from->cells[i], (size_t)n * sizeof(cell_place));
}

/* Into a piece with room for 'cells', half of what is free in front or none. */
static bool resize (struct list *l, uint64_t cells, bool front) {
  struct piece *from = current(l), *to = piece_new(cells);
  struct span s = bounds(from);
  uint64_t n = s.end - s.first, first = 0;
  if (to == NULL)
    return false;
  if (front)
    first = (capacity(to) - n + 1) / 2;
  copy(to, first, from, s.first, n);
  set_bounds(to, first, first + n);
  replace_piece(l, to);
  return true;
}

static uint64_t grown (uint64_t n) {
  return n + n / 2 + LEAST_CELLS < LIST_MAX ? n + n / 2 + LEAST_CELLS : LIST_MAX;
}

/* Gives back room that is no longer used; where that fails, later. */
static void shrink (struct list *l) {
  uint64_t n = count(l);
  if (capacity(current(l)) / 8 <= n + LEAST_CELLS)
    return;
  if (n > 0)
    resize(l, grown(n), false);
  else
    replace_piece(l, NULL);
}

/* Room for one more at the end (of bounds that may then be others), or CONC_FULL. */
static int room_behind (struct list *l) {
  struct piece *p = current(l);
  struct span s = bounds(p);
  uint64_t n = s.end - s.first;
  if (s.end < capacity(p))
    return CONC_OK;
  if (s.first > n) {   /* more than half is free in front */
    copy(p, 0, p, s.first, n);
    set_bounds(p, 0, n);
    return CONC_OK;
  }
  return n < LIST_MAX && resize(l, grown(n), false) ? CONC_OK : CONC_FULL;
}

static int room_in_front (struct list *l) {
  uint64_t n = count(l);
  if (bounds(current(l)).first > 0)
    return CONC_OK;
  return n < LIST_MAX && resize(l, grown(n + 1), true) ? CONC_OK : CONC_FULL;
}

/* {=== shifting by one place ===} */

static void begin_shift (struct list *l, enum shift_way way, uint32_t gap, uint32_t end) {
  store_relaxed(&l->shift.gap, gap);
  store_relaxed(&l->shift.end, end);
  kill_order();
  store_relaxed(&l->shift.way, way);
  kill_order();
}

static void end_shift (struct list *l) {
  store_relaxed(&l->shift.way, SHIFT_NONE);
  kill_order();
}

/* The gap wanders to index 'to'; each step may be made twice. */
static void gap_up (struct list *l, struct piece *p, uint32_t to) {
  for (uint32_t k = load_relaxed(&l->shift.gap); k < to; k++) {
    store_relaxed(&p->cells[k], load_relaxed(&p->cells[k + 1]));
    kill_order();
    store_relaxed(&l->shift.gap, k + 1);
    kill_order();
  }
}

static void gap_down (struct list *l, struct piece *p, uint32_t to) {
  for (uint32_t k = load_relaxed(&l->shift.gap); k > to; k--) {
    store_relaxed(&p->cells[k], load_relaxed(&p->cells[k - 1]));
    kill_order();
    store_relaxed(&l->shift.gap, k - 1);
    kill_order();
  }
}

static void repair_shift (struct list *l) {
  struct piece *p = current(l);
  uint32_t way = load_relaxed(&l->shift.way), end = load_relaxed(&l->shift.end);
  struct span s = bounds(p);
  if (way != SHIFT_NONE && s.end == end) {   /* else only end_shift was missing */
    gap_up(l, p, way == SHIFT_CLOSE ? end - 1 : end);
    if (way == SHIFT_CLOSE)
      set_bounds(p, s.first, end - 1);
  }
  end_shift(l);
}

/* {=== changes; the cell goes into the list, or (CONC_FULL) does not ===} */

static int put_last (struct list *l, cell c) {
  int rc = room_behind(l);
  if (rc != CONC_OK)
    return rc;
  struct piece *p = current(l);
  struct span s = bounds(p);
  cell_put(&p->cells[s.end], c);
  set_bounds(p, s.first, (uint64_t)s.end + 1);
  return CONC_OK;
}

static int put_first (struct list *l, cell c) {
  int rc = room_in_front(l);
  if (rc != CONC_OK)
    return rc;
  struct piece *p = current(l);
  struct span s = bounds(p);
  cell_put(&p->cells[s.first - 1], c);
  set_bounds(p, (uint64_t)s.first - 1, s.end);
  return CONC_OK;
}

static int put_between (struct list *l, uint32_t i, cell c) {
  int rc = room_behind(l);
  if (rc != CONC_OK)
    return rc;
  struct piece *p = current(l);
  struct span s = bounds(p);
  begin_shift(l, SHIFT_OPEN, s.end, s.end);
  gap_down(l, p, s.first + i);
  cell_put(&p->cells[s.first + i], c);
  set_bounds(p, s.first, (uint64_t)s.end + 1);
  end_shift(l);
  return CONC_OK;
}

static cell take (struct list *l, uint32_t i) {
  struct piece *p = current(l);
  struct span s = bounds(p);
  cell old = load_relaxed(&p->cells[s.first + i]);
  if (cell_is_block(old))
    arena_hold(cell_block(old));
  if (s.first + i == s.end - 1)
    set_bounds(p, s.first, (uint64_t)s.end - 1);
  else if (i == 0)
    set_bounds(p, (uint64_t)s.first + 1, s.end);
  else {
    begin_shift(l, SHIFT_CLOSE, s.first + i, s.end);
    gap_up(l, p, s.end - 1);
    set_bounds(p, s.first, (uint64_t)s.end - 1);
    end_shift(l);
  }
  shrink(l);
  return old;
}

/* {=== operations ===} */

int list_length (struct list *l, uint64_t *n) {
  int rc = enter(l, "length");
  if (rc != CONC_OK)
    return rc;
  *n = count(l);
  leave(l);
  return CONC_OK;
}

int list_get (struct list *l, uint64_t i, struct reading *r) {
  int rc = enter(l, "get");
  if (rc != CONC_OK)
    return rc;
  struct piece *p = current(l);
  struct span s = bounds(p);
  rc = cell_read(i < s.end - s.first ? load_relaxed(&p->cells[s.first + i])
                                     : CELL_NONE, r);
  leave(l);
  return rc;
}

int list_set (struct list *l, uint64_t i, cell c, cell *old) {
  int rc = enter(l, "set");
  if (rc != CONC_OK)
    return rc;
  struct piece *p = current(l);
  struct span s = bounds(p);
  uint64_t n = s.end - s.first;
  *old = CELL_NONE;
  if (i < n) {
    *old = load_relaxed(&p->cells[s.first + i]);
    cell_take(&p->cells[s.first + i], c);
  }
  else
    rc = i == n ? put_last(l, c) : CONC_RANGE;
  if (rc == CONC_OK)
    cell_settle(c);
  leave(l);
  return rc;
}

int list_append (struct list *l, cell c) {
  int rc = enter(l, "append");
  if (rc != CONC_OK)
    return rc;
  rc = put_last(l, c);
  if (rc == CONC_OK)
    cell_settle(c);
  leave(l);
  return rc;
}

int list_insert (struct list *l, uint64_t i, cell c) {
  int rc = enter(l, "insert");
  if (rc != CONC_OK)
    return rc;
  uint64_t n = count(l);
  rc = i > n ? CONC_RANGE : i == n ? put_last(l, c)
     : i == 0 ? put_first(l, c) : put_between(l, (uint32_t)i, c);
  if (rc == CONC_OK)
    cell_settle(c);
  leave(l);
  return rc;
}

int list_pop (struct list *l, uint64_t i, cell *old) {
  int rc = enter(l, "pop");
  if (rc != CONC_OK)
    return rc;
  uint64_t n = count(l);
  *old = CELL_NONE;
  if (n > 0) {
    if (i == LIST_LAST)
      i = n - 1;
    if (i < n)
      *old = take(l, (uint32_t)i);
    else
      rc = CONC_RANGE;
  }
  leave(l);
  return rc;
}

/* {=== birth and death ===} */

struct block *list_new (const char *made) {
  struct block *b = arena_alloc(sizeof(struct list));
  struct list *l = (struct list *)(void *)b;
  if (b == NULL)
    return NULL;
  monitor_init(&l->monitor, KIND_LIST);
  store_relaxed(&l->piece, NULL);
  store_relaxed(&l->shift.way, SHIFT_NONE);
  strncpy(l->made, made, LIST_MADE - 1);
  l->made[LIST_MADE - 1] = '\0';
  block_ready(b, KIND_LIST);
  return b;
}

/*
** One block after the other from the back, each in hand before it leaves the
** list and under the guard while it does: so this, too, may be killed anywhere
** and done again.
*/
static void list_destroy (struct block *b) {
  struct list *l = list_of(b);
  for (;;) {
    cell c = CELL_NONE;
    guard_lock(&l->monitor.guard);
    struct piece *p = current(l);
    struct span s = bounds(p);
    while (s.first < s.end && !cell_is_block(c)) {
      s.end--;
      c = load_relaxed(&p->cells[s.end]);
    }
    if (cell_is_block(c))
      arena_hold(cell_block(c));
    if (p != NULL)
      set_bounds(p, s.first, s.end);
    guard_unlock(&l->monitor.guard);
    if (!cell_is_block(c))
      break;
    cell_drop(c);
  }
  guard_lock(&l->monitor.guard);
  replace_piece(l, NULL);
  guard_unlock(&l->monitor.guard);
}

static void search (struct dead_hand *h, void *container) {
  struct list *l = (struct list *)container;
  struct piece *p = current(l);
  struct span s = bounds(p);
  for (uint32_t i = s.first; i < s.end && h->n > 0; i++)
    dead_hand_settle_cell(h, load_relaxed(&p->cells[i]));
  if (p != NULL)
    dead_hand_settle(h, &p->head);
}

static void list_repair (struct guard *g, struct thread_record *dead) {
  struct list *l = containerof(g, struct list, monitor.guard);
  repair_shift(l);
  dead_hand_search(dead, search, l);
  monitor_repair(&l->monitor);
}

static thread_key list_holder (struct block *b, int i) {
  return i == 0 ? monitor_owner(&list_of(b)->monitor) : 0;
}

static const char *list_made (struct block *b) {
  return list_of(b)->made;
}

void list_open (void) {
  static const struct kind_ops ops = {
    .name = "list", .destroy = list_destroy, .holder = list_holder,
    .repair = list_repair, .made = list_made
  };
  arena_kind(KIND_LIST, &ops);
}
