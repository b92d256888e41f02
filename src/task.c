/*
** task.c - floor 3: the record of one call
*/
#include "task.h"
#include "watch.h"
#include "sys.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>

void (*task_poke) (struct task *t);
int (*task_help) (struct task *t, deadline until);
void (*task_lost) (struct task *t);
void (*task_unbegun) (struct task *t);
bool (*task_story) (struct task *t, struct block **message, char *text, size_t size);

static struct task *make (enum kind kind) {
  struct block *b = arena_alloc(sizeof(struct task));
  if (b == NULL)
    return NULL;
  struct task *t = task_of(b);
  memset((char *)t + sizeof t->head, 0, sizeof *t - sizeof t->head);
  guard_init(&t->guard, RANK_OBJECT, (int)kind);
  t->id = record_new_id();
  store_relaxed(&t->exitcode, NO_EXITCODE);
  return t;
}

struct block *task_new (enum kind kind, const char *name) {
  struct task *t = make(kind);
  if (t == NULL)
    return NULL;
  t->home = process_mine()->index;
  t->home_generation = load_relaxed(&process_mine()->generation);
  if (name != NULL)
    snprintf(t->name, sizeof t->name, "%s", name);
  block_ready(&t->head, kind);
  return &t->head;
}

/* {=== the message inside ===} */

static struct message *inner_of (struct task *t) {
  return (struct message *)(void *)t->inner;
}

struct block *task_new_submitted (uint32_t nitems) {
  struct task *t = make(KIND_FUTURE);
  if (t == NULL)
    return NULL;
  t->nitems = nitems;
  if (nitems == 0)
    message_inner(inner_of(t), TASK_INNER);
  block_ready(&t->head, KIND_FUTURE);
  return &t->head;
}

bool task_post_call (struct task *t, struct parcel *p) {
  struct block *b = parcel_post_inner(p, inner_of(t));
  if (b != NULL)
    store_relaxed(&t->call, b);
  else if ((b = parcel_post(p)) != NULL)
    task_keep(t, &t->call, b);
  return b != NULL;
}

struct block *task_post_outcome (struct task *t, struct parcel *p) {
  struct block *b = NULL;
  if (task_is_call(t) && !(load_relaxed(&t->flags) & TASK_AGAIN))
    b = parcel_post_inner(p, inner_of(t));
  return b != NULL ? b : parcel_post(p);
}

/* {=== its end ===} */

/* Nobody else knows t any more. */
static void drop (struct block *_Atomic *place) {
  struct block *b = load_relaxed(place);
  if (b == NULL || b->class == INNER_BLOCK)
    return;
  arena_hold(b);
  kill_order();
  store_relaxed(place, NULL);
  block_destroy(b);
}

static void task_destroy (struct block *b) {
  struct task *t = task_of(b);
  drop(&t->call);
  drop(&t->outcome);
  if (task_is_call(t))
    block_destroy(&inner_of(t)->head);
  else {
    drop(&t->items);
    drop(&t->numbers);
  }
  block_unref(&t->pool);
}

/* Is a message in the dead holder's hand in its place already? */
static void task_repair (struct guard *g, struct thread_record *dead) {
  struct task *t = containerof(g, struct task, guard);
  struct block *outcome = load_relaxed(&t->outcome);
  gate_repair(&t->ended);
  if (outcome != NULL && !task_has_ended(load_relaxed(&t->state)))
    store_relaxed(&t->outcome, NULL);      /* still the dead one's */
  else if (outcome != NULL)
    arena_settle_dead(dead, outcome);
  if (load_relaxed(&t->call) != NULL)
    arena_settle_dead(dead, load_relaxed(&t->call));
  if (task_is_call(t))
    return;
  if (load_relaxed(&t->items) != NULL)
    arena_settle_dead(dead, load_relaxed(&t->items));
  if (load_relaxed(&t->numbers) != NULL)
    arena_settle_dead(dead, load_relaxed(&t->numbers));
}

static bool task_owns (struct block *container, struct block *b) {
  struct task *t = task_of(container);
  return load_relaxed(&t->call) == b || load_relaxed(&t->outcome) == b
      || (!task_is_call(t)
          && (load_relaxed(&t->items) == b || load_relaxed(&t->numbers) == b));
}

void task_keep (struct task *t, struct block *_Atomic *place, struct block *b) {
  guard_lock(&t->guard);
  store_release(place, b);
  kill_order();
  arena_settle(b);
  guard_unlock(&t->guard);
}

struct block *task_take (struct task *t, struct block *_Atomic *place) {
  guard_lock(&t->guard);
  struct block *b = load_relaxed(place);
  if (b != NULL) {
    arena_hold(b);
    kill_order();
    store_relaxed(place, NULL);
  }
  guard_unlock(&t->guard);
  return b;
}

bool task_flag (struct task *t, uint32_t flag) {
  return (atomic_fetch_or_explicit(&t->flags, flag, memory_order_acq_rel) & flag) != 0;
}

bool task_claim (struct task *t) {
  guard_lock(&t->guard);
  bool mine = load_relaxed(&t->state) == TASK_PENDING;
  if (mine) {
    store_relaxed(&t->runner, self()->key);
    store_relaxed(&t->begun, t->nitems > 0 ? sys_now() : 1);
    kill_order();
    store_release(&t->state, TASK_RUNNING);
  }
  guard_unlock(&t->guard);
  if (mine && tracing())
    trace_run(block_ops(&t->head)->name, task_name(t), t->id, true);
  return mine;
}

/* Under the guard: the commit, and who waited is woken; but the first in the line is
   the caller's to ring, once the guard is free: he would only run into it. */
static thread_key end_under_guard (struct task *t, enum task_state state,
                                   struct block *outcome) {
  store_relaxed(&t->outcome, outcome);
  store_relaxed(&t->ended_at, sys_now());
  kill_order();
  store_release(&t->state, (uint32_t)state);
  kill_order();
  if (outcome != NULL)
    arena_settle(outcome);
  thread_key first = gate_pop(&t->ended);
  gate_wake_all(&t->ended);
  return first;
}

bool task_finish (struct task *t, enum task_state state, struct block *outcome) {
  if (tracing() && KEY_INDEX(load_relaxed(&t->runner)) == self()->index)
    trace_run(block_ops(&t->head)->name, task_name(t), t->id, false);
  thread_key waiter = 0;
  guard_lock(&t->guard);
  bool first = !task_has_ended(load_relaxed(&t->state));
  if (first)
    waiter = end_under_guard(t, state, outcome);
  guard_unlock(&t->guard);
  gate_ring(waiter);
  watch_changed(&t->head);
  return first;
}

bool task_cancel (struct task *t) {
  thread_key waiter = 0;
  guard_lock(&t->guard);
  uint32_t state = load_relaxed(&t->state);
  thread_key runner = load_relaxed(&t->runner);
  task_flag(t, TASK_STOPPED);
  if (state == TASK_PENDING)
    waiter = end_under_guard(t, TASK_CANCELLED, NULL);
  guard_unlock(&t->guard);
  gate_ring(waiter);
  watch_changed(&t->head);
  if (state == TASK_RUNNING) {
    gate_cancel(runner);
    if (task_poke != NULL)
      task_poke(t);
  }
  else if (state == TASK_PENDING && task_unbegun != NULL)
    task_unbegun(t);
  return !task_has_ended(state);
}

/* Who runs it is who its waiters wait for. */
static thread_key task_holder (struct block *b, int i) {
  struct task *t = task_of(b);
  return i == 0 && task_state(t) == TASK_RUNNING ? load_relaxed(&t->runner) : 0;
}

/* Its runner's life has ended and it did not: who runs tasks says what then. */
static void look_after (struct task *t) {
  if (task_lost != NULL)
    task_lost(t);
  else if (task_state(t) == TASK_RUNNING) {
    task_flag(t, TASK_DIED);
    task_finish(t, TASK_FAILED, NULL);
  }
}

static bool needs_look (struct task *t) {
  return load_relaxed(&t->state) == TASK_RUNNING
       ? record_look(load_relaxed(&t->runner))
       : load_relaxed(&t->pool) != NULL;
}

/* One stretch of waiting; true: somebody should look after the task. */
static bool wait_once (struct task *t, deadline until, int *rc) {
  struct wait w;
  bool look = false;
  wait_init(&w, &t->ended, &t->guard, until, &t->head, "join");
  w.links = true;
  guard_lock(&t->guard);
  while (!task_has_ended(load_relaxed(&t->state)) && *rc == CONC_OK && !look) {
    *rc = wait_sleep(&w);
    look = w.look > LOOK_MIN && !task_has_ended(load_relaxed(&t->state))
        && *rc == CONC_OK && needs_look(t);
  }
  if (task_has_ended(load_relaxed(&t->state)))
    *rc = CONC_OK;
  wait_end(&w);
  guard_unlock(&t->guard);
  return look;
}

int task_wait_plain (struct task *t, deadline until) {
  int rc = CONC_OK;
  while (wait_once(t, until, &rc))
    look_after(t);
  return rc;
}

int task_wait (struct task *t, deadline until) {
  if (task_has_ended(task_state(t)))
    return CONC_OK;
  if (task_help != NULL) {
    int rc = task_help(t, until);
    if (rc != CONC_MISUSE)
      return rc;
  }
  return task_wait_plain(t, until);
}

bool task_again (struct task *t) {
  guard_lock(&t->guard);
  bool again = load_relaxed(&t->state) == TASK_RUNNING;
  if (again) {
    t->tries++;
    store_relaxed(&t->runner, 0);
    kill_order();
    store_release(&t->state, TASK_PENDING);
  }
  guard_unlock(&t->guard);
  return again;
}

void task_open (void) {
  static struct kind_ops ops[3];
  static const enum kind kinds[3] = { KIND_FUTURE, KIND_THREAD, KIND_PROCESS };
  static const char *const names[3] = { "future", "thread", "process" };
  for (int i = 0; i < 3; i++) {
    ops[i] = (struct kind_ops){ .name = names[i], .destroy = task_destroy,
                                .holder = task_holder, .repair = task_repair,
                                .owns = task_owns };
    arena_kind(kinds[i], &ops[i]);
  }
}
