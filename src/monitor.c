/*
** monitor.c - the two locks of a container: waiting for its owner
**
** Everything here runs under the guard of the monitor; see monitor.h.
*/
#include "monitor.h"
#include "sys.h"
#include "trace.h"

enum { FIRST_TRY = 0, OVERTAKEN };   /* tags of a place in line */

void monitor_init (struct monitor *m, enum kind kind) {
  guard_init(&m->guard, RANK_OBJECT, (int)kind);
  m->depth = 0;
  store_relaxed(&m->owner, 0);
  store_relaxed(&m->turn.head, NULL);
  store_relaxed(&m->turn.tail, NULL);
}

static void give_up (struct monitor *m) {
  m->depth = 0;
  kill_order();
  store_relaxed(&m->owner, 0);
}

/* May 'me' go on? A turn that was kept for him is over with it. */
static bool mine (struct monitor *m, thread_key me) {
  thread_key owner = load_relaxed(&m->owner);
  if (owner == me && m->depth > 0)
    return true;
  if (owner != 0 && owner != me && !record_ended(owner))
    return false;
  if (owner != 0)
    give_up(m);
  return true;
}

/* Asks the system whether the owner lives; the guard is free meanwhile. */
static void look_at_owner (struct monitor *m, thread_key me) {
  thread_key owner = load_relaxed(&m->owner);
  if (owner != 0 && owner != me) {
    guard_unlock(&m->guard);
    record_look(owner);
    guard_lock(&m->guard);
  }
}

int monitor_wait (struct monitor *m, struct block *object, const char *verb) {
  struct thread_record *me = self();
  struct wait w;
  nanos looked;
  int rc = CONC_OK;
  if (mine(m, me->key))
    return CONC_OK;
  looked = sys_now();
  wait_init(&w, &m->turn, &m->guard, DEADLINE_NEVER, object, verb);
  w.links = true;
  w.node = &me->node;
  while (!mine(m, me->key) && rc == CONC_OK) {
    w.node->tag = w.woken ? OVERTAKEN : FIRST_TRY;
    rc = wait_sleep(&w);
    if (rc == CONC_OK && sys_now() - looked >= LOOK_MIN) {
      look_at_owner(m, me->key);
      looked = sys_now();
    }
  }
  wait_end(&w);
  if (rc != CONC_OK) {
    if (load_relaxed(&m->owner) == me->key && m->depth == 0)
      give_up(m);   /* the turn kept for him goes to the next */
    monitor_leave(m);
  }
  return rc;
}

/* Leaves the guard with somebody in line. */
void monitor_pass (struct monitor *m) {
  thread_key next = 0;
  if (load_relaxed(&m->owner) == 0) {
    struct wait_node *first = gate_first(&m->turn);
    if (first->tag == OVERTAKEN)
      store_relaxed(&m->owner, first->key);
    kill_order();
    next = gate_pop(&m->turn);
  }
  guard_unlock(&m->guard);
  gate_ring(next);
}

int monitor_acquire (struct monitor *m, struct block *object, const char *verb) {
  int rc = monitor_enter(m, object, verb);
  if (rc == CONC_OK) {
    monitor_own(m);
    bool first = m->depth == 1;
    monitor_leave(m);
    if (tracing() && first)
      trace_hold(object, true);
  }
  return rc;
}

void monitor_release (struct monitor *m, struct block *object) {
  bool last = false;
  guard_lock(&m->guard);
  if (load_relaxed(&m->owner) == self()->key && m->depth > 0) {
    monitor_disown(m);
    last = m->depth == 0;
  }
  monitor_leave(m);
  if (tracing() && last)
    trace_hold(object, false);
}
