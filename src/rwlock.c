/*
** rwlock.c - many readers or one writer
*/
#include "rwlock.h"
#include "sys.h"

#include <assert.h>
#include <string.h>

struct block *rwlock_new (const char *made) {
  struct block *b = arena_alloc(sizeof(struct rwlock));
  if (b == NULL)
    return NULL;
  struct rwlock *rw = rwlock_of(b);
  memset((char *)rw + sizeof(struct block), 0, sizeof *rw - sizeof(struct block));
  guard_init(&rw->guard, RANK_OBJECT, KIND_RWLOCK);
  strncpy(rw->made, made, MADE_SIZE - 1);
  block_ready(b, KIND_RWLOCK);
  return b;
}

enum { BY_READER = 1, BY_WRITER = 2 };  /* abandoned */

/* {=== the table of readers ===} */

static struct reader_page *page_of (struct block *b) {
  return (struct reader_page *)(void *)b;
}

/* Walks all slots:  for (walk_begin(&k, rw); (r = walk(&k)) != NULL; ) */
struct walk { struct reader *at, *end; struct block *next; };

static void walk_begin (struct walk *k, struct rwlock *rw) {
  k->at = rw->slots;
  k->end = rw->slots + READERS_INSIDE;
  k->next = load_acquire(&rw->pages);
}

static struct reader *walk (struct walk *k) {
  if (k->at == k->end) {
    if (k->next == NULL)
      return NULL;
    struct reader_page *page = page_of(k->next);
    k->at = page->slots;
    k->end = page->slots + READERS_PAGE;
    k->next = load_acquire(&page->next);
  }
  return k->at++;
}

static uint32_t count_readers (struct rwlock *rw) {
  struct walk k;
  struct reader *r;
  uint32_t n = 0;
  for (walk_begin(&k, rw); (r = walk(&k)) != NULL; )
    n += load_relaxed(&r->key) != 0;
  return n;
}

bool rwlock_valid (struct rwlock *rw) {
  struct walk k;
  struct reader *r;
  if (rw->readers != count_readers(rw))
    return false;
  for (walk_begin(&k, rw); (r = walk(&k)) != NULL; )
    if (load_relaxed(&r->key) != 0 && r->count == 0)
      return false;
  return true;
}

static void check (struct rwlock *rw) {
#if defined(CONC_DEBUG)
  assert(guard_held(&rw->guard) && rwlock_valid(rw));
#else
  (void)rw;
#endif
}

/* The slot of 'key'; 'key' 0: a free one. NULL: none. */
static struct reader *find (struct rwlock *rw, thread_key key) {
  struct walk k;
  struct reader *r;
  uint32_t left = rw->readers;
  if (key != 0 && left == 0)
    return NULL;
  for (walk_begin(&k, rw); (r = walk(&k)) != NULL; ) {
    thread_key found = load_relaxed(&r->key);
    if (found == key)
      return r;
    if (found != 0 && key != 0 && --left == 0)
      return NULL;
  }
  return NULL;
}

static void leave_word (struct rwlock *rw, uint32_t by) {
  store_relaxed(&rw->abandoned, load_relaxed(&rw->abandoned) | by);
  kill_order();
}

/* Clears the slots and the writer of lives that have ended, noting 'abandoned'.
   True: there were such. */
static bool clear_ended (struct rwlock *rw) {
  struct walk k;
  struct reader *r;
  bool any = false;
  uint32_t left = rw->readers;
  thread_key writer = load_relaxed(&rw->writer);
  for (walk_begin(&k, rw); left > 0 && (r = walk(&k)) != NULL; ) {
    thread_key key = load_relaxed(&r->key);
    if (key == 0)
      continue;
    left--;
    if (record_ended(key)) {
      leave_word(rw, BY_READER);
      store_release(&r->key, 0);
      rw->readers--;
      any = true;
    }
  }
  if (writer != 0 && record_ended(writer)) {
    leave_word(rw, BY_WRITER);
    store_release(&rw->writer, 0);
    any = true;
  }
  return any;
}

/* Adds a page to the chain; without guards. False: full. */
static bool add_page (struct rwlock *rw) {
  struct block *b = arena_alloc(sizeof(struct reader_page));
  if (b == NULL)
    return false;
  memset((char *)b + sizeof *b, 0, sizeof(struct reader_page) - sizeof *b);
  guard_lock(&rw->guard);
  struct block *_Atomic *place = &rw->pages;
  while (load_relaxed(place) != NULL)
    place = &page_of(load_relaxed(place))->next;
  block_ref(place, b);
  guard_unlock(&rw->guard);
  arena_settle(b);
  return true;
}

/* From the end, so that what is left is a chain whenever we are killed. */
static void rwlock_destroy (struct block *b) {
  struct rwlock *rw = rwlock_of(b);
  while (load_relaxed(&rw->pages) != NULL) {
    struct block *_Atomic *place = &rw->pages;
    while (load_relaxed(&page_of(load_relaxed(place))->next) != NULL)
      place = &page_of(load_relaxed(place))->next;
    block_unref(place);
  }
}

/* {=== who may go in ===} */

static bool patient (struct wait_node *first) {
  return sys_now() - first->since < RWLOCK_PATIENCE;
}

/* The first writer that waits before 'mine' (NULL: in the whole line). */
static struct wait_node *writer_before (struct rwlock *rw, struct wait_node *mine) {
  struct wait_node *n = gate_first(&rw->line);
  for (; n != NULL && n != mine; n = load_relaxed(&n->next))
    if (n->tag == TAG_WRITE)
      return n;
  return NULL;
}

static bool may_read (struct rwlock *rw, struct wait_node *mine) {
  return load_relaxed(&rw->writer) == 0 && writer_before(rw, mine) == NULL;
}

static bool may_write (struct rwlock *rw, struct wait_node *mine) {
  struct wait_node *first = gate_first(&rw->line);
  return load_relaxed(&rw->writer) == 0 && rw->readers == 0
      && (first == NULL || first == mine || (mine == NULL && patient(first)));
}

/* R6. Rings those at the head of the line that may go in now. */
static void let_in (struct rwlock *rw) {
  struct wait_node *n = gate_first(&rw->line);
  if (n == NULL || load_relaxed(&rw->writer) != 0)
    return;
  if (n->tag == TAG_WRITE) {
    if (rw->readers == 0)
      gate_ring(n->key);
    return;
  }
  for (; n != NULL && n->tag == TAG_READ; n = load_relaxed(&n->next))
    gate_ring(n->key);
}

/*
** Asks whether those that are in the way live: the writer, the first in line,
** the readers (some of them, if there are many: the others next time). The
** guard is free meanwhile. True: one of them has ended.
*/
static bool look (struct rwlock *rw, thread_key me) {
  enum { MOST = 64 };
  thread_key whom[MOST], key;
  struct walk k;
  struct reader *r;
  int n = 0;
  struct wait_node *first = gate_first(&rw->line);
  if (load_relaxed(&rw->writer) != 0)
    whom[n++] = load_relaxed(&rw->writer);
  if (first != NULL)
    whom[n++] = first->key;
  uint32_t passed = 0, from = rw->look_from;
  for (walk_begin(&k, rw); n < MOST && (r = walk(&k)) != NULL; )
    if ((key = load_relaxed(&r->key)) != 0 && passed++ >= from)
      whom[n++] = key;
  rw->look_from = n < MOST ? 0 : passed;
  guard_unlock(&rw->guard);
  bool ended = false;
  for (int i = 0; i < n; i++)
    ended |= whom[i] != me && record_look(whom[i]);
  guard_lock(&rw->guard);
  return ended;
}

/*
** A reader that is held back only by a writer with a deadline of his own waits
** for no holder: it ends by itself.
*/
static bool is_link (struct rwlock *rw, struct wait *w, bool write) {
  if (w->until != DEADLINE_NEVER)
    return false;
  if (write || load_relaxed(&rw->writer) != 0)
    return true;
  struct wait_node *n = writer_before(rw, w->node);
  return n == NULL
      || load_relaxed(&record_at(KEY_INDEX(n->key))->wait_until) == DEADLINE_NEVER;
}

static int go_in (struct rwlock *rw, thread_key me, bool write) {
  if (write) {
    store_release(&rw->writer, me);
    return CONC_OK;
  }
  struct reader *r = find(rw, 0);
  if (r == NULL)
    return CONC_FULL;  /* of slots: acquire adds a page */
  r->count = 1;
  kill_order();
  store_release(&r->key, me);
  rw->readers++;
  return CONC_OK;
}

/* Under the guard: CONC_TIMEOUT is "not now". */
static int take (struct rwlock *rw, thread_key me, struct wait_node *mine, bool write) {
  bool ended = clear_ended(rw);
  if (!(write ? may_write(rw, mine) : may_read(rw, mine))) {
    if (ended)
      let_in(rw);
    return CONC_TIMEOUT;
  }
  int rc = go_in(rw, me, write);
  uint32_t by = load_relaxed(&rw->abandoned);
  if (rc == CONC_OK && by != 0) {
    store_relaxed(&rw->abandoned, write ? 0 : by & BY_WRITER);
    rc = CONC_ABANDONED;
  }
  return rc;
}

static int stand_in_line (struct rwlock *rw, thread_key me, struct wait *w, bool write) {
  nanos looked = sys_now();
  int rc, slept = CONC_OK;
  while ((rc = take(rw, me, w->node, write)) == CONC_TIMEOUT && slept == CONC_OK) {
    check(rw);
    w->links = is_link(rw, w, write);
    self()->node.tag = write ? TAG_WRITE : TAG_READ;
    slept = wait_sleep(w);
    if (slept == CONC_OK && sys_now() - looked >= LOOK_MIN) {
      look(rw, me);
      looked = sys_now();
    }
  }
  return rc == CONC_TIMEOUT ? slept : rc;
}

static int try_once (struct rwlock *rw, thread_key me, bool write) {
  int rc = take(rw, me, NULL, write);
  if (rc == CONC_TIMEOUT && look(rw, me))
    rc = take(rw, me, NULL, write);
  return rc;
}

/* CONC_OK: the caller has it already and reads once more; CONC_TIMEOUT: no. */
static int again (struct rwlock *rw, thread_key me, bool write) {
  struct reader *r = find(rw, me);
  if (write)
    return r != NULL ? CONC_MISUSE : CONC_TIMEOUT;
  if (load_relaxed(&rw->writer) == me)
    return CONC_MISUSE;
  if (r == NULL)
    return CONC_TIMEOUT;
  r->count++;
  return CONC_OK;
}

static int acquire_once (struct rwlock *rw, deadline until, bool write) {
  thread_key me = self()->key;
  struct wait w;
  wait_init(&w, &rw->line, &rw->guard, until, &rw->head, "acquire");
  guard_lock(&rw->guard);
  int rc = again(rw, me, write);
  if (rc == CONC_TIMEOUT) {
    rc = until == DEADLINE_NOW ? try_once(rw, me, write)
                               : stand_in_line(rw, me, &w, write);
    wait_end(&w);
    if (w.entered)
      let_in(rw);
  }
  check(rw);
  guard_unlock(&rw->guard);
  return rc;
}

static int acquire (struct rwlock *rw, deadline until, bool write) {
  int rc;
  while ((rc = acquire_once(rw, until, write)) == CONC_FULL)
    if (!add_page(rw))
      break;
  if (tracing() && (rc == CONC_OK || rc == CONC_ABANDONED))
    trace_hold(&rw->head, true);
  return rc;
}

int rwlock_acquire_read (struct rwlock *rw, deadline until) {
  return acquire(rw, until, false);
}

int rwlock_acquire_write (struct rwlock *rw, deadline until) {
  return acquire(rw, until, true);
}

int rwlock_release (struct rwlock *rw) {
  thread_key me = self()->key;
  int rc = CONC_OK;
  guard_lock(&rw->guard);
  if (load_relaxed(&rw->writer) == me)
    store_release(&rw->writer, 0);
  else {
    struct reader *r = find(rw, me);
    if (r == NULL)
      rc = CONC_NOTHELD;
    else if (r->count > 1)
      r->count--;
    else {
      store_release(&r->key, 0);
      rw->readers--;
    }
  }
  if (rc == CONC_OK)
    let_in(rw);
  check(rw);
  guard_unlock(&rw->guard);
  if (tracing() && rc == CONC_OK)
    trace_hold(&rw->head, false);
  return rc;
}

/* {=== sight ===} */

/* The i-th that holds it; without the guard. */
static thread_key rwlock_holder (struct block *b, int i) {
  struct rwlock *rw = rwlock_of(b);
  struct walk k;
  struct reader *r;
  thread_key writer = load_acquire(&rw->writer);
  if (writer != 0 && i-- == 0)
    return writer;
  for (walk_begin(&k, rw); (r = walk(&k)) != NULL; ) {
    thread_key key = load_acquire(&r->key);
    if (key != 0 && i-- == 0)
      return key;
  }
  return 0;
}

thread_key rwlock_owner (struct rwlock *rw, bool *writing) {
  guard_lock(&rw->guard);
  thread_key key = load_relaxed(&rw->writer);
  *writing = key != 0;
  if (key == 0)
    key = rwlock_holder(&rw->head, 0);
  guard_unlock(&rw->guard);
  return key;
}

uint32_t rwlock_readers (struct rwlock *rw) {
  guard_lock(&rw->guard);
  uint32_t n = rw->readers;
  guard_unlock(&rw->guard);
  return n;
}

static const char *rwlock_made (struct block *b) {
  return rwlock_of(b)->made;
}

static void rwlock_repair (struct guard *g, struct thread_record *dead) {
  struct rwlock *rw = containerof(g, struct rwlock, guard);
  (void)dead;
  gate_repair(&rw->line);
  rw->readers = count_readers(rw);
}

void rwlock_open (void) {
  static const struct kind_ops ops = {
    .name = "rwlock", .destroy = rwlock_destroy, .holder = rwlock_holder,
    .repair = rwlock_repair, .made = rwlock_made };
  arena_kind(KIND_RWLOCK, &ops);
}
