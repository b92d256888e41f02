/*
** barrier.c - threads that wait for each other
*/
#include "barrier.h"
#include "sys.h"

#include <assert.h>

#define ROUND(phase)  ((phase) >> 2)
#define HOW(phase)    ((enum barrier_how)((phase) & 3))

enum { TAG_WAITS = 0, TAG_DOOR, TAG_PASSED, TAG_BROKEN };

struct block *barrier_new (uint32_t parties, struct block *action) {
  struct block *head = arena_alloc(sizeof(struct barrier) + parties * sizeof(thread_key));
  if (head == NULL)
    return NULL;
  struct barrier *b = barrier_of(head);
  guard_init(&b->guard, RANK_OBJECT, KIND_BARRIER);
  store_relaxed(&b->line.head, NULL);
  store_relaxed(&b->line.tail, NULL);
  store_relaxed(&b->phase, 0);
  b->settled = b->arrived = 0;
  b->actor = 0;
  b->parties = parties;
  store_relaxed(&b->action, NULL);
  block_ready(head, KIND_BARRIER);
  if (action != NULL) {
    block_ref(&b->action, action);
    arena_settle(action);
  }
  return head;
}

static void barrier_destroy (struct block *head) {
  block_unref(&barrier_of(head)->action);
}

/* {=== rounds ===} */

static uint32_t arrived (struct barrier *b) {
  uint32_t round = (uint32_t)ROUND(load_relaxed(&b->phase));
  return (uint32_t)(b->arrived >> 32) == round ? (uint32_t)b->arrived : 0;
}

static void arrive (struct barrier *b, thread_key me, uint32_t place) {
  uint64_t round = (uint32_t)ROUND(load_relaxed(&b->phase));
  b->who[place - 1] = me;
  kill_order();
  b->arrived = round << 32 | place;
  kill_order();
}

bool barrier_valid (struct barrier *b) {
  return b->settled == load_relaxed(&b->phase) && arrived(b) <= b->parties
      && (b->actor == 0 || arrived(b) == b->parties);
}

static void check (struct barrier *b) {
#if defined(CONC_DEBUG)
  assert(guard_held(&b->guard) && barrier_valid(b));
#else
  (void)b;
#endif
}

/* Tells those in line how their round has ended. */
static void settle (struct barrier *b) {
  uint64_t phase = load_relaxed(&b->phase);
  if (b->settled == phase)
    return;
  uint32_t verdict = HOW(phase) == BARRIER_PASSED ? TAG_PASSED : TAG_BROKEN;
  struct wait_node *n = gate_first(&b->line);
  for (; n != NULL; n = load_relaxed(&n->next)) {
    if (n->tag == TAG_WAITS)
      n->tag = verdict;
    gate_ring(n->key);
  }
  b->actor = 0;
  kill_order();
  b->settled = phase;
}

static void end_round (struct barrier *b, enum barrier_how how) {
  uint64_t phase = load_relaxed(&b->phase);
  store_release(&b->phase, (ROUND(phase) + 1) << 2 | (uint64_t)how);
  kill_order();
  settle(b);
}

static bool is_broken (struct barrier *b) {
  return HOW(load_relaxed(&b->phase)) == BARRIER_BROKEN;
}

/* Breaks it if one of this round is known to have ended. */
static void look_at_all (struct barrier *b) {
  uint32_t n = arrived(b);
  for (uint32_t i = 0; i < n; i++) {
    if (record_ended(b->who[i])) {
      end_round(b, BARRIER_BROKEN);
      return;
    }
  }
}

/* Does that one live? The guard is free meanwhile; true: the round was broken. */
static bool look_at (struct barrier *b, thread_key whom) {
  uint64_t phase = load_relaxed(&b->phase);
  guard_unlock(&b->guard);
  bool ended = record_look(whom);
  guard_lock(&b->guard);
  if (!ended || load_relaxed(&b->phase) != phase)
    return false;
  end_round(b, BARRIER_BROKEN);
  return true;
}

static void look (struct barrier *b, uint32_t place) {
  uint32_t n = arrived(b);
  if (n == b->parties && look_at(b, b->who[n - 1]))
    return;
  if (place != 0 && n > 1 && place <= n)
    look_at(b, b->who[place % n]);
}

/* Sleeps once and looks after others. 'place' 0: at the door. */
static int sleep_once (struct barrier *b, struct wait *w, uint32_t place, nanos *looked) {
  check(b);
  int rc = wait_sleep(w);
  if (rc == CONC_OK && sys_now() - *looked >= LOOK_MIN) {
    look(b, place);
    *looked = sys_now();
  }
  return rc;
}

/* In the round, at 'place': until it has ended. */
static int wait_round (struct barrier *b, struct wait *w, uint32_t place) {
  struct wait_node *node = &self()->node;
  nanos looked = sys_now();
  int rc = CONC_OK;
  node->tag = TAG_WAITS;
  while (node->tag == TAG_WAITS && rc == CONC_OK)
    rc = sleep_once(b, w, place, &looked);
  if (node->tag == TAG_PASSED)
    return CONC_OK;
  if (node->tag == TAG_BROKEN)
    return rc == CONC_OK || rc == CONC_TIMEOUT ? CONC_BROKEN : rc;
  end_round(b, BARRIER_BROKEN);
  return rc;
}

/* While all of a round have come and its action runs. */
static int wait_door (struct barrier *b, struct wait *w) {
  nanos looked = sys_now();
  int rc = CONC_OK;
  self()->node.tag = TAG_DOOR;
  while (rc == CONC_OK && arrived(b) == b->parties)
    rc = sleep_once(b, w, 0, &looked);
  return arrived(b) < b->parties && rc == CONC_TIMEOUT ? CONC_OK : rc;
}

static int wait_guarded (struct barrier *b, struct wait *w, uint32_t *index, bool *act) {
  thread_key me = self()->key;
  if (b->actor == me)
    return CONC_MISUSE;
  int rc = wait_door(b, w);
  if (rc != CONC_OK)
    return rc;
  if (is_broken(b))
    return CONC_BROKEN;
  uint32_t place = *index = arrived(b) + 1;
  if (place == b->parties)
    look_at_all(b);
  if (is_broken(b))
    return CONC_BROKEN;
  if (place == b->parties && load_relaxed(&b->action) != NULL) {
    arrive(b, me, place);
    b->actor = me;
    *act = true;
    return CONC_OK;
  }
  arrive(b, me, place);
  if (place < b->parties)
    return wait_round(b, w, place);
  end_round(b, BARRIER_PASSED);
  return CONC_OK;
}

int barrier_wait (struct barrier *b, deadline until, uint32_t *index, bool *act) {
  struct wait w;
  *act = false;
  wait_init(&w, &b->line, &b->guard, until, &b->head, "wait");
  guard_lock(&b->guard);
  int rc = wait_guarded(b, &w, index, act);
  wait_end(&w);
  check(b);
  guard_unlock(&b->guard);
  return rc;
}

int barrier_finish (struct barrier *b, bool passed) {
  int rc = CONC_BROKEN;
  guard_lock(&b->guard);
  if (b->actor == self()->key) {
    end_round(b, passed ? BARRIER_PASSED : BARRIER_BROKEN);
    rc = passed ? CONC_OK : CONC_BROKEN;
  }
  check(b);
  guard_unlock(&b->guard);
  return rc;
}

void barrier_reset (struct barrier *b) {
  guard_lock(&b->guard);
  end_round(b, BARRIER_OPENED);
  check(b);
  guard_unlock(&b->guard);
}

void barrier_abort (struct barrier *b) {
  guard_lock(&b->guard);
  if (!is_broken(b))
    end_round(b, BARRIER_BROKEN);
  check(b);
  guard_unlock(&b->guard);
}

bool barrier_broken (struct barrier *b) {
  guard_lock(&b->guard);
  look_at_all(b);
  bool broken = is_broken(b);
  guard_unlock(&b->guard);
  return broken;
}

uint32_t barrier_waiting (struct barrier *b) {
  guard_lock(&b->guard);
  look_at_all(b);
  uint32_t n = arrived(b);
  guard_unlock(&b->guard);
  return n;
}

/* {=== what the floors below ask ===} */

static void barrier_repair (struct guard *g, struct thread_record *dead) {
  struct barrier *b = containerof(g, struct barrier, guard);
  (void)dead;
  gate_repair(&b->line);
  settle(b);
  if (arrived(b) < b->parties)
    b->actor = 0;
}

void barrier_open (void) {
  static const struct kind_ops ops = {
    .name = "barrier", .destroy = barrier_destroy, .repair = barrier_repair };
  arena_kind(KIND_BARRIER, &ops);
}
