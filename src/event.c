/*
** event.c - a flag that threads wait for
*/
#include "event.h"
#include "watch.h"

#define SET        ((uint64_t)1)
#define SETS(s)    ((s) >> 1)

struct block *event_new (void) {
  struct block *b = arena_alloc(sizeof(struct event));
  if (b == NULL)
    return NULL;
  struct event *e = event_of(b);
  guard_init(&e->guard, RANK_OBJECT, KIND_EVENT);
  store_relaxed(&e->line.head, NULL);
  store_relaxed(&e->line.tail, NULL);
  store_relaxed(&e->state, 0);
  block_ready(b, KIND_EVENT);
  return b;
}

void event_set (struct event *e) {
  if (add_acqrel(&e->state, 0) & SET)
    return;
  guard_lock(&e->guard);
  uint64_t state = load_relaxed(&e->state);
  if (!(state & SET)) {
    store_release(&e->state, (SETS(state) + 1) << 1 | SET);
    gate_wake_all(&e->line);
  }
  guard_unlock(&e->guard);
  watch_changed(&e->head);
}

void event_clear (struct event *e) {
  guard_lock(&e->guard);
  store_release(&e->state, load_relaxed(&e->state) & ~SET);
  guard_unlock(&e->guard);
  watch_changed(&e->head);
}

int event_wait (struct event *e, deadline until) {
  struct wait w;
  int rc = CONC_OK;
  if (event_is_set(e))
    return CONC_OK;
  wait_init(&w, &e->line, &e->guard, until, &e->head, "wait");
  guard_lock(&e->guard);
  uint64_t sets = SETS(load_relaxed(&e->state));
  bool up = event_is_set(e);
  while (!up && rc == CONC_OK) {
    rc = wait_sleep(&w);
    up = event_is_set(e) || SETS(load_acquire(&e->state)) != sets;
  }
  wait_end(&w);
  guard_unlock(&e->guard);
  return up && rc == CONC_TIMEOUT ? CONC_OK : rc;
}

static void event_repair (struct guard *g, struct thread_record *dead) {
  (void)dead;
  gate_repair(&containerof(g, struct event, guard)->line);
}

void event_open (void) {
  static const struct kind_ops ops = { .name = "event", .repair = event_repair };
  arena_kind(KIND_EVENT, &ops);
}
