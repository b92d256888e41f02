/*
** select.c - waiting for whichever of many objects is ready first
*/
#include "select.h"
#include "event.h"
#include "pipe.h"
#include "queue.h"
#include "task.h"

static const struct select_ops *kinds[KIND_MAX];   /* written at load */

void select_kind (enum kind kind, const struct select_ops *ops) {
  kinds[kind] = ops;
}

const struct select_ops *select_ops_of (const struct block *b) {
  return b->kind < KIND_MAX ? kinds[b->kind] : NULL;
}

/* {=== places in lines ===} */

bool places_begin (struct places *p, struct block *const *objects, int n, bool watch) {
  size_t size = (size_t)n * sizeof(struct wait_node);
  struct block *b = arena_alloc(sizeof *b + CACHE_LINE + size);
  if (b == NULL)
    return false;
  p->block = b;
  p->nodes = (struct wait_node *)(void *)((char *)b + CACHE_LINE);
  p->objects = objects;
  p->n = n;
  p->watch = watch;
  for (int i = 0; i < n; i++) {
    struct wait_node *node = &p->nodes[i];
    store_relaxed(&node->next, NULL);
    store_relaxed(&node->gate, NULL);
    store_relaxed(&node->state, NODE_OUT);
    node->more = i + 1 < n ? node + 1 : NULL;
    node->guard = NULL;
    const struct select_ops *ops = select_ops_of(objects[i]);
    node->tag = ops->pulses != NULL ? ops->pulses(objects[i]) : 0;
  }
  store_release(&self()->more, p->nodes);
  return true;
}

/* Has it a line of its own for those who only look, and is that what we do? */
static bool apart (const struct places *p, const struct select_ops *ops) {
  return p->watch && ops->watchers != NULL;
}

static struct gate *line_of (const struct places *p, const struct select_ops *ops,
                             struct block *b) {
  return apart(p, ops) ? ops->watchers(b) : ops->gate(b);
}

bool places_join (struct places *p) {
  bool joined = false;
  for (int i = 0; i < p->n; i++) {
    struct wait_node *node = &p->nodes[i];
    if (load_acquire(&node->state) == NODE_WAITING)
      continue;
    struct block *b = p->objects[i];
    const struct select_ops *ops = select_ops_of(b);
    struct guard *g = ops->guard(b);
    guard_lock(g);
    gate_leave(node);
    if (ops->joins != NULL && !apart(p, ops))
      ops->joins(b);
    gate_join(line_of(p, ops, b), g, node);
    guard_unlock(g);
    joined = true;
  }
  return joined;
}

static void leave (struct places *p, int i, bool used) {
  struct wait_node *node = &p->nodes[i];
  struct block *b = p->objects[i];
  const struct select_ops *ops = select_ops_of(b);
  struct guard *g = ops->guard(b);
  thread_key next = 0;
  if (load_relaxed(&node->gate) == NULL)
    return;
  guard_lock(g);
  bool woken = load_relaxed(&node->state) == NODE_WOKEN;
  gate_leave(node);
  if (woken && !used)
    next = gate_pop(line_of(p, ops, b));
  if (ops->left != NULL && !apart(p, ops))
    ops->left(b);
  guard_unlock(g);
  gate_ring(next);
}

void places_end (struct places *p, int used) {
  for (int i = 0; i < p->n; i++)
    leave(p, i, i == used);
  store_release(&self()->more, NULL);
  kill_order();
  arena_free(p->block);
}

/* {=== select ===} */

struct selection {
  struct block *const *objects;
  int n, start;
  int (*take) (void *ctx, int i);
  void *ctx;
  const struct places *places;                  /* NULL: not in line yet */
};

/* Was it ready for a moment since the caller joined its line? */
static bool pulsed (const struct selection *s, int i) {
  if (s->places == NULL)
    return false;
  const struct select_ops *ops = select_ops_of(s->objects[i]);
  return ops->pulses != NULL
      && ops->pulses(s->objects[i]) != s->places->nodes[i].tag;
}

/* One look at each. */
static int try_all (const struct selection *s, int *which) {
  int over = 0;
  for (int k = 0; k < s->n; k++) {
    int i = (s->start + k) % s->n;
    int rc = pulsed(s, i) ? CONC_OK : s->take(s->ctx, i);
    if (rc == CONC_OK)
      *which = i;
    if (rc == CONC_CLOSED)
      over++;
    else if (rc != CONC_TIMEOUT)
      return rc;
  }
  return over == s->n ? CONC_CLOSED : CONC_TIMEOUT;
}

void select_look (struct block *const *objects, int n) {
  for (int i = 0; i < n; i++) {
    const struct select_ops *ops = select_ops_of(objects[i]);
    if (ops->look != NULL)
      ops->look(objects[i]);
  }
}

/* s->places: of the caller. */
static int wait_in_lines (const struct selection *s, struct places *p, deadline until,
                          int *which) {
  nanos look = 0;
  int rc, slept = CONC_OK;
  if (!places_begin(p, s->objects, s->n, false))
    return CONC_FULL;
  nap_begin(s->objects[0], "select", until);
  for (;;) {
    bool joined = slept == CONC_OK && places_join(p);
    rc = try_all(s, which);
    if (rc != CONC_TIMEOUT || slept != CONC_OK)
      break;
    if (joined)
      continue;
    slept = nap(&look, until, false);
    if (slept != CONC_OK && slept != CONC_TIMEOUT) {
      rc = slept;
      break;
    }
    if (look > LOOK_MIN)
      select_look(s->objects, s->n);
  }
  places_end(p, rc == CONC_OK ? *which : -1);
  nap_end();
  return rc;
}

int select_wait (struct block *const *objects, int n, int start, deadline until,
                 int (*take) (void *ctx, int i), void *ctx, int *which) {
  struct selection s = { objects, n, start, take, ctx, NULL };
  struct places p;
  int rc = try_all(&s, which);
  if (rc == CONC_TIMEOUT && until != DEADLINE_NOW) {
    s.places = &p;
    rc = wait_in_lines(&s, &p, until, which);
  }
  return rc;
}

/* {=== the kinds of this floor ===} */

/* Queues, and the channel that an end of a pipe receives from. */

static struct queue *source_of (struct block *b) {
  return b->kind == KIND_PIPE ? pipe_in(b) : queue_of(b);
}

static struct guard *queue_guard_of (struct block *b) {
  return queue_getters(source_of(b));
}

static struct gate *queue_gate (struct block *b) {
  return &source_of(b)->nonempty;
}

static struct gate *queue_watchers (struct block *b) {
  return &source_of(b)->watchers;
}

static bool queue_is_ready (struct block *b) {
  return queue_ready(source_of(b));
}

static void queue_joins (struct block *b) {
  store_full(&source_of(b)->getting, 1);
}

static void queue_left (struct block *b) {
  struct queue *q = source_of(b);
  if (gate_empty(&q->nonempty))
    store_relaxed(&q->getting, 0);
}

/* Futures, threads, processes. */

static struct guard *task_guard_of (struct block *b) {
  return &task_of(b)->guard;
}

static struct gate *task_gate (struct block *b) {
  return &task_of(b)->ended;
}

static bool task_is_ready (struct block *b) {
  return task_has_ended(task_state(task_of(b)));
}

/* As a plain wait for it does: its runner may have died. */
static void task_look (struct block *b) {
  struct task *t = task_of(b);
  if (task_state(t) == TASK_RUNNING && task_lost != NULL
      && record_look(load_relaxed(&t->runner)))
    task_lost(t);
}

static struct guard *event_guard_of (struct block *b) {
  return &event_of(b)->guard;
}

static struct gate *event_gate (struct block *b) {
  return &event_of(b)->line;
}

static bool event_is_ready (struct block *b) {
  return event_is_set(event_of(b));
}

static uint32_t event_pulses (struct block *b) {
  return (uint32_t)(load_acquire(&event_of(b)->state) >> 1);
}

void select_open (void) {
  static const struct select_ops queue_ops = {
    .guard = queue_guard_of, .gate = queue_gate, .watchers = queue_watchers,
    .ready = queue_is_ready, .joins = queue_joins, .left = queue_left
  };
  static const struct select_ops task_ops = {
    .guard = task_guard_of, .gate = task_gate, .ready = task_is_ready,
    .look = task_look
  };
  static const struct select_ops event_ops = {
    .guard = event_guard_of, .gate = event_gate, .ready = event_is_ready,
    .pulses = event_pulses
  };
  select_kind(KIND_QUEUE, &queue_ops);
  select_kind(KIND_LIFO_QUEUE, &queue_ops);
  select_kind(KIND_PRIORITY_QUEUE, &queue_ops);
  select_kind(KIND_PIPE, &queue_ops);
  select_kind(KIND_FUTURE, &task_ops);
  select_kind(KIND_THREAD, &task_ops);
  select_kind(KIND_PROCESS, &task_ops);
  select_kind(KIND_EVENT, &event_ops);
}
