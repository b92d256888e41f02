/*
** semaphore.c - permits, counted
*/
#include "semaphore.h"
#include "sys.h"

#include <assert.h>

struct block *semaphore_new (int64_t value, int64_t max) {
  struct block *b = arena_alloc(sizeof(struct semaphore));
  if (b == NULL)
    return NULL;
  struct semaphore *s = semaphore_of(b);
  guard_init(&s->guard, RANK_OBJECT, KIND_SEMAPHORE);
  store_relaxed(&s->line.head, NULL);
  store_relaxed(&s->line.tail, NULL);
  store_relaxed(&s->value, value);
  s->max = max;
  block_ready(b, KIND_SEMAPHORE);
  return b;
}

bool semaphore_valid (struct semaphore *s) {
  int64_t value = load_relaxed(&s->value);
  return value >= 0 && value <= s->max;
}

static void check (struct semaphore *s) {
#if defined(CONC_DEBUG)
  assert(guard_held(&s->guard) && semaphore_valid(s));
#else
  (void)s;
#endif
}

/* The k-th in line, from 0; NULL: there are not so many. */
static struct wait_node *at_place (struct semaphore *s, int64_t k) {
  struct wait_node *n = gate_first(&s->line);
  while (n != NULL && k-- > 0)
    n = load_relaxed(&n->next);
  return n;
}

/* Is there a permit for 'mine', or for a newcomer (NULL)? S2, S3. */
static bool may_take (struct semaphore *s, struct wait_node *mine) {
  int64_t left = load_relaxed(&s->value);
  struct wait_node *first = gate_first(&s->line);
  if (left <= 0)
    return false;
  if (first == NULL || first == mine)
    return true;
  if (mine == NULL && sys_now() - first->since < SEMAPHORE_PATIENCE)
    return true;
  for (struct wait_node *n = first; n != NULL && n != mine; n = load_relaxed(&n->next))
    if (--left <= 0)
      return false;
  return true;
}

/* A permit is there, but somebody stands before me: does he live? True: he was
   buried. The guard is free meanwhile. */
static bool look (struct semaphore *s, struct wait_node *mine) {
  struct wait_node *first = gate_first(&s->line);
  if (load_relaxed(&s->value) <= 0 || first == NULL || first == mine)
    return false;
  thread_key whom = first->key;
  guard_unlock(&s->guard);
  bool ended = record_look(whom);
  guard_lock(&s->guard);
  first = gate_first(&s->line);
  return ended && (first == NULL || first->key != whom);
}

static void take_one (struct semaphore *s) {
  store_release(&s->value, load_relaxed(&s->value) - 1);
}

/* Whom the place that the caller leaves lets go on: to be rung. */
static thread_key moved_up (struct semaphore *s) {
  int64_t value = load_relaxed(&s->value);
  struct wait_node *n = value > 0 ? at_place(s, value - 1) : NULL;
  return n != NULL ? n->key : 0;
}

static int stand_in_line (struct semaphore *s, struct wait *w) {
  nanos looked = sys_now();
  int rc = CONC_OK;
  while (rc == CONC_OK && !may_take(s, w->node)) {
    check(s);
    rc = wait_sleep(w);
    if (rc == CONC_OK && sys_now() - looked >= LOOK_MIN) {
      while (look(s, w->node)) {}
      looked = sys_now();
    }
  }
  return rc == CONC_TIMEOUT && may_take(s, w->node) ? CONC_OK : rc;
}

int semaphore_acquire (struct semaphore *s, deadline until) {
  struct wait w;
  thread_key next = 0;
  int rc = CONC_OK;
  wait_init(&w, &s->line, &s->guard, until, &s->head, "acquire");
  guard_lock(&s->guard);
  if (!may_take(s, NULL)) {
    if (until != DEADLINE_NOW)
      rc = stand_in_line(s, &w);
    else {
      while (look(s, NULL)) {}
      rc = may_take(s, NULL) ? CONC_OK : CONC_TIMEOUT;
    }
  }
  if (rc == CONC_OK)
    take_one(s);
  wait_end(&w);
  if (rc != CONC_OK)
    next = moved_up(s);
  check(s);
  guard_unlock(&s->guard);
  gate_ring(next);
  return rc;
}

int semaphore_release (struct semaphore *s, int64_t n) {
  thread_key next = 0;
  guard_lock(&s->guard);
  int64_t value = load_relaxed(&s->value);
  if (n > s->max - value) {
    guard_unlock(&s->guard);
    return CONC_RANGE;
  }
  store_release(&s->value, value + n);
  struct wait_node *w = at_place(s, value);
  for (int64_t k = 0; k < n && w != NULL; k++, w = load_relaxed(&w->next)) {
    gate_ring(next);  /* the last one when the guard is free */
    next = w->key;
  }
  check(s);
  guard_unlock(&s->guard);
  gate_ring(next);
  return CONC_OK;
}

static void semaphore_repair (struct guard *g, struct thread_record *dead) {
  (void)dead;
  gate_repair(&containerof(g, struct semaphore, guard)->line);
}

void semaphore_open (void) {
  static const struct kind_ops ops = { .name = "semaphore", .repair = semaphore_repair };
  arena_kind(KIND_SEMAPHORE, &ops);
}
