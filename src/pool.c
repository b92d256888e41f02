/*
** pool.c - floor 5: run queue, workers, manager
*/
#include "pool.h"
#include "process.h"
#include "sys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void (*pool_run_inline) (struct crew *c, struct task *t);

/* How long a terminated pool waits for threads to unwind. */
#define PATIENCE  ((nanos)1000000000)

/* A wake costs more than many a task does. While one worker is busy and one that
   has just become idle looks at the queue every WATCH, a few tasks may wait for
   either; after WATCHES such looks it sleeps, and is woken by the next. */
#define WATCH    ((nanos)100000)
#define WATCHES  3
#define FEW      16
#define SPINS    1500      /* before that, where there is a processor for it */
#define LINGER   128       /* the same, some two microseconds: see spin */
#define LINGER_MOST  2000

/* So many workers in a row that never got ready: the pool fails. */
#define EARLY_LEFT    2          /* by os.exit */
#define EARLY_KILLED  8

static __thread struct crew *my_crew;
static __thread uint32_t my_place;
static __thread uint32_t my_outer;     /* runs[my_outer] is the last from the queue */
static __thread bool outer_claimed;    /* and was for this worker to run */
static __thread int inline_depth;      /* runs[inline_depth] is the innermost, if > 0 */

struct crew *pool_current (uint32_t *i) {
  if (i != NULL)
    *i = my_place;
  return my_crew;
}

#define WITHIN_MOST  1000000u

uint32_t pool_within (void) {
  return my_crew != NULL ? my_crew->within : 1;
}

bool pool_outer_stops (struct crew *c) {
  bool stops = load_acquire(&c->phase) >= POOL_STOPPING;
  for (int k = 0; k < inline_depth && !stops; k++) {
    struct block *b = load_relaxed(&c->workers[my_place].runs[k > 0 ? (uint32_t)k : my_outer]);
    stops = b != NULL && (load_full(&task_of(b)->flags) & (TASK_STOPPED | TASK_LATE));
  }
  return stops;
}

/* {=== the run queue (under the guard) ===} */

static void push_back (struct crew *c, struct task *t) {
  struct block *last = load_relaxed(&c->last);
  store_relaxed(&t->next, NULL);
  kill_order();
  if (last == NULL)
    store_relaxed(&c->first, &t->head);
  else
    store_relaxed(&task_of(last)->next, &t->head);
  kill_order();
  store_relaxed(&c->last, &t->head);
  c->queued++;
}

static void push_front (struct crew *c, struct task *t) {
  store_relaxed(&t->next, load_relaxed(&c->first));
  kill_order();
  store_relaxed(&c->first, &t->head);
  kill_order();
  if (load_relaxed(&c->last) == NULL)
    store_relaxed(&c->last, &t->head);
  c->queued++;
}

/* The first task; its count goes from 'self' to 'place'. NULL: none. */
static struct task *pop (struct crew *c, struct block *_Atomic *place) {
  struct block *b = load_relaxed(&c->first);
  if (b == NULL)
    return NULL;
  struct task *t = task_of(b);
  struct block *next = load_relaxed(&t->next);
  store_relaxed(&c->moving, place);
  kill_order();
  store_relaxed(place, b);
  kill_order();
  if (next == NULL)
    store_relaxed(&c->last, NULL);
  store_relaxed(&c->first, next);
  kill_order();
  store_relaxed(&t->self, NULL);
  kill_order();
  store_relaxed(&c->moving, NULL);
  c->queued--;
  return t;
}

static bool in_queue (struct crew *c, struct block *b) {
  struct block *at = load_relaxed(&c->first);
  while (at != NULL && at != b)
    at = load_relaxed(&task_of(at)->next);
  return at != NULL;
}

static bool working (struct pool_worker *w) {
  uint32_t life = load_relaxed(&w->life);
  return life == WORKER_STARTING || life == WORKER_LIVE;
}

/* Was its holder killed between taking a task and clearing 'self'? (A task that
   is run inside a wait is counted in both, by block_ref, and stays queued.) */
static void repair_move (struct crew *c, struct block *_Atomic *place) {
  struct block *b = load_relaxed(place);
  if (b == NULL || load_relaxed(&task_of(b)->self) != b
      || load_relaxed(&c->moving) != place)
    return;
  if (in_queue(c, b))
    store_relaxed(place, NULL);                /* not taken yet */
  else
    store_relaxed(&task_of(b)->self, NULL);
}

static void count_busy (struct crew *c) {
  c->busy = 0;
  for (uint32_t i = 0; i < c->places; i++)
    c->busy += load_relaxed(&c->workers[i].runs[0]) != NULL
            || load_relaxed(&c->workers[i].runs[POOL_OTHER]) != NULL;
}

/* P1 and P2 after the death of a holder, of whichever process. */
static void crew_repair (struct guard *g, struct thread_record *dead) {
  struct crew *c = containerof(g, struct crew, guard);
  struct block *last = NULL;
  (void)dead;
  c->queued = 0;
  for (struct block *b = load_relaxed(&c->first); b != NULL;
       b = load_relaxed(&task_of(b)->next)) {
    if (load_relaxed(&task_of(b)->self) == NULL)  /* linked, not counted yet */
      block_ref(&task_of(b)->self, b);
    last = b;
    c->queued++;
  }
  store_relaxed(&c->last, last);
  c->live = c->blocked = c->busy = 0;
  for (uint32_t i = 0; i < c->places; i++) {
    struct pool_worker *w = &c->workers[i];
    for (int k = 0; k < POOL_DEPTH + 2; k++)
      repair_move(c, &w->runs[k]);
    c->live += working(w);
    c->blocked += working(w) && load_relaxed(&w->blocked) > 0;
  }
  count_busy(c);
  c->searching = c->watching = 0;
  struct task *counting = load_relaxed(&c->counting);
  if (counting != NULL) {  /* half counted: it will be again, by who settles its worker */
    c->done = c->was_done;
    c->failed = c->was_failed;
    atomic_fetch_and_explicit(&counting->flags, ~(uint32_t)TASK_COUNTED, memory_order_acq_rel);
    store_relaxed(&c->counting, NULL);
  }
  store_relaxed(&c->moving, NULL);
  gate_repair(&c->work);
  gate_repair(&c->news);
  gate_repair(&c->room);
  gate_repair(&c->bell);
}

/* {=== counts ===} */

static uint32_t items_of (struct task *t) {
  return t->nitems > 0 ? t->nitems : 1;
}

/* Under the guard. Every task passes here once, when it has ended; who asks for
   the counts before that counts it himself. */
static void count_end (struct crew *c, struct task *t) {
  if (load_relaxed(&t->flags) & TASK_COUNTED)
    return;
  c->was_done = c->done;
  c->was_failed = c->failed;
  kill_order();
  store_relaxed(&c->counting, t);
  kill_order();
  task_flag(t, TASK_COUNTED);
  kill_order();
  c->log[c->ends % POOL_LOG] = &t->head;
  c->ends++;
  uint32_t n = items_of(t), bad;
  if (t->nitems == 0)
    bad = task_state(t) != TASK_DONE;
  else if (task_state(t) != TASK_DONE)
    bad = n - load_relaxed(&t->ngood);
  else
    bad = load_relaxed(&t->nfailed);
  c->failed += bad;
  kill_order();
  c->done += n - bad;
  kill_order();
  store_relaxed(&c->counting, NULL);
}

void pool_counts (struct crew *c, struct pool_counts *n) {
  guard_lock(&c->guard);
  n->running = 0;
  for (uint32_t i = 0; i < c->places; i++)
    for (int k = 0; k < POOL_DEPTH + 2; k++) {
      struct block *b = load_relaxed(&c->workers[i].runs[k]);
      if (b == NULL)
        continue;
      if (!task_has_ended(task_state(task_of(b))))
        n->running++;
      else if (!(load_relaxed(&task_of(b)->flags) & TASK_COUNTED))
        count_end(c, task_of(b));
    }
  n->submitted = c->submitted;
  n->done = c->done;
  n->failed = c->failed;
  n->restarted = load_relaxed(&c->restarted);
  guard_unlock(&c->guard);
}

/* {=== waking ===} */

/* Under the guard: the task from the queue that the worker runs; NULL: none. */
static struct task *outermost (struct pool_worker *w) {
  for (int k = 0; k < POOL_DEPTH + 2; k += POOL_OTHER) {
    struct block *b = load_relaxed(&w->runs[k]);
    if (b != NULL && !task_has_ended(task_state(task_of(b))))
      return task_of(b);
  }
  return NULL;
}

/* Another worker is wanted: there is work that none of the idle will take. */
static bool wants_worker (struct crew *c) {
  return c->queued > 0 && c->live < c->config.size + c->blocked
      && c->live < c->places;
}

static thread_key pop_bell (struct crew *c) {
  return gate_pop(&c->bell);
}


/* Under the guard: the task in 'place' is over for this worker. One that was not
   claimed by it had been cancelled, or is run by another that counts it. */
static void note_end (struct crew *c, struct block *_Atomic *place, bool claimed) {
  struct task *t = task_of(load_relaxed(place));
  if (claimed || load_relaxed(&t->begun) == 0)
    count_end(c, t);
  if (!gate_empty(&c->news))
    gate_wake_all(&c->news);
}

static void end_run (struct crew *c, struct block *_Atomic *place, bool claimed) {
  guard_lock(&c->guard);
  note_end(c, place, claimed);
  guard_unlock(&c->guard);
  block_unref(place);
}

/* The calling worker waits for a task, or does no more. */
static void worker_blocks (bool blocks) {
  struct crew *c = my_crew;
  if (c == NULL)
    return;
  guard_lock(&c->guard);
  store_relaxed(&c->workers[my_place].blocked, blocks);
  c->blocked += blocks ? 1u : -1u;
  thread_key bell = blocks && wants_worker(c) ? pop_bell(c) : 0;
  guard_unlock(&c->guard);
  gate_ring(bell);
}

static bool scan_ended (struct block *const *tasks, size_t n, size_t *which) {
  for (size_t i = 0; i < n; i++)
    if (task_has_ended(task_state(task_of(tasks[i])))) {
      *which = i;
      return true;
    }
  return false;
}

/* Nobody takes from the queue any more: what is there was cancelled or failed. */
static void drain_queue (struct crew *c) {
  for (;;) {
    guard_lock(&c->guard);
    struct task *t = pop(c, &c->drain);
    guard_unlock(&c->guard);
    if (t == NULL)
      break;
    block_unref(&c->drain);
  }
}

/* Nobody works there any more: every count that it had is dropped. */
static void crew_drain (struct crew *c) {
  drain_queue(c);
  for (uint32_t i = 0; i < c->places; i++)
    for (int k = 0; k < POOL_DEPTH + 2; k++)
      block_unref(&c->workers[i].runs[k]);
}

/*
** Under the guard: work is queued. One idle worker is rung, or the manager, if
** nobody is on his way to the queue already: he takes the first, and calls the
** next if there is more. So a burst of submits costs one wake, not one each.
*/
static void call_worker (struct crew *c, thread_key *worker, thread_key *bell) {
  if (c->queued == 0 || c->searching > 0
      || (c->busy > 0 && c->watching > 0 && c->queued < FEW))
    return;
  *worker = gate_pop(&c->work);
#if defined(CONC_DEBUG)
  if (*worker != 0 && *worker == self()->key)  /* would be waited for ever */
    abort();
#endif
  if (*worker != 0)
    c->searching++;
  else if (wants_worker(c))
    *bell = pop_bell(c);
}

/* {=== submitters ===} */

static bool is_full (struct crew *c) {
  return c->config.bound > 0 && c->queued >= c->config.bound;
}

/* A worker of the pool itself runs what is queued rather than wait for room. */
static bool help_one (struct crew *c) {
  struct block *_Atomic *place = &c->workers[my_place].runs[inline_depth + 1];
  struct task *t = pop(c, place);
  if (t == NULL)
    return false;
  guard_unlock(&c->guard);
  bool claimed = task_claim(t);
  if (claimed) {
    inline_depth++;
    pool_run_inline(c, t);
    inline_depth--;
  }
  end_run(c, place, claimed);
  guard_lock(&c->guard);
  return true;
}

int pool_submit (struct crew *c, struct task *t, deadline until) {
  struct wait w;
  int rc = CONC_OK;
  thread_key worker = 0, bell = 0;
  wait_init(&w, &c->room, &c->guard, until, &c->head, "submit");
  guard_lock(&c->guard);
  while (rc == CONC_OK && load_relaxed(&c->phase) == POOL_OPEN && is_full(c))
    if (my_crew != c || inline_depth >= POOL_DEPTH || !help_one(c))
      rc = wait_sleep(&w);
  if (rc == CONC_OK && load_relaxed(&c->phase) != POOL_OPEN)
    rc = CONC_CLOSED;
  if (rc == CONC_OK) {
    push_back(c, t);
    block_ref(&t->self, &t->head);
    c->submitted += items_of(t);
    call_worker(c, &worker, &bell);
  }
  wait_end(&w);
  guard_unlock(&c->guard);
  gate_ring(worker);
  gate_ring(bell);
  return rc;
}

void pool_close (struct crew *c, bool cancel) {
  guard_lock(&c->guard);
  if (load_relaxed(&c->phase) == POOL_OPEN)
    store_release(&c->phase, POOL_CLOSING);
  if (cancel)
    for (struct block *b = load_relaxed(&c->first); b != NULL;
         b = load_relaxed(&task_of(b)->next)) {
      task_flag(task_of(b), TASK_STOPPED);
      if (task_state(task_of(b)) == TASK_PENDING
          && task_finish(task_of(b), TASK_CANCELLED, NULL))
        count_end(c, task_of(b));
    }
  gate_wake_all(&c->work);
  gate_wake_all(&c->room);
  gate_wake_all(&c->bell);
  gate_wake_all(&c->news);
  guard_unlock(&c->guard);
}

/* What a worker runs is cancelled by the manager, through the spawner. */
void pool_terminate (struct crew *c) {
  guard_lock(&c->guard);
  if (load_relaxed(&c->phase) < POOL_STOPPING) {
    store_release(&c->phase, POOL_STOPPING);
    for (uint32_t i = 0; i < c->places; i++) {
      struct task *t = outermost(&c->workers[i]);
      if (t != NULL) {
        task_flag(t, TASK_STOPPED);
        if (task_finish(t, TASK_CANCELLED, NULL))
          count_end(c, t);
      }
    }
  }
  guard_unlock(&c->guard);
  pool_close(c, true);
}

void pool_fail (struct crew *c, enum pool_break how, struct block *why) {
  guard_lock(&c->guard);
  bool first = load_relaxed(&c->failure) == NULL && why != NULL;
  if (first) {
    store_release(&c->failure, why);
    kill_order();
    arena_settle(why);
  }
  if (load_relaxed(&c->phase) < POOL_STOPPING)
    store_release(&c->phase, POOL_STOPPING);
  if (load_relaxed(&c->broken) == 0)
    store_release(&c->broken, (uint32_t)how);
  for (struct block *b = load_relaxed(&c->first); b != NULL;
       b = load_relaxed(&task_of(b)->next))
    if (task_finish(task_of(b), TASK_FAILED, NULL))
      count_end(c, task_of(b));
  for (uint32_t i = 0; i < c->places; i++) {
    struct task *t = outermost(&c->workers[i]);
    if (t != NULL && task_finish(t, TASK_FAILED, NULL))
      count_end(c, t);
  }
  guard_unlock(&c->guard);
  if (why != NULL && !first)
    message_drop(why);
  pool_close(c, false);
}

static bool manager_died (struct crew *c) {
  thread_key manager = load_acquire(&c->manager);
  uint32_t begun = load_acquire(&c->manager_process);
  if (manager != 0)
    return record_look(manager);
  return c->process && begun != 0  /* a template that has not begun yet */
      && process_look(process_at(begun - 1), load_relaxed(&c->manager_generation));
}

/* Without a manager, and so without workers: whatever was run has failed, the tasks run
   inside of others too. */
static void end_lost (struct crew *c) {
  pool_fail(c, POOL_LOST, NULL);
  guard_lock(&c->guard);
  for (uint32_t i = 0; i < c->places; i++) {
    store_relaxed(&c->workers[i].life, WORKER_NONE);
    for (int k = 0; k < POOL_DEPTH + 2; k++) {
      struct block *b = load_relaxed(&c->workers[i].runs[k]);
      if (b != NULL && task_finish(task_of(b), TASK_FAILED, NULL))
        count_end(c, task_of(b));
    }
  }
  c->live = 0;
  store_release(&c->phase, POOL_ENDED);
  gate_wake_all(&c->news);
  guard_unlock(&c->guard);
}

/* The manager died with its process: nobody will end the pool but us. What workers had
   is let go with the lease: one may have an instruction to go yet. */
void pool_look (struct crew *c) {
  if (load_acquire(&c->phase) == POOL_ENDED || !manager_died(c))
    return;
  end_lost(c);
  drain_queue(c);
}

/* Runs t here if it is pending; it stays queued, and who pops it finds it claimed. */
static bool run_here (struct crew *c, struct task *t) {
  struct block *_Atomic *place = &c->workers[my_place].runs[inline_depth + 1];
  block_ref(place, &t->head);
  bool claimed = task_claim(t);
  if (claimed) {
    inline_depth++;
    pool_run_inline(c, t);
    inline_depth--;
    end_run(c, place, true);
  }
  else
    block_unref(place);
  return claimed;
}

static bool may_run_here (struct task *t) {
  return my_crew != NULL && load_relaxed(&t->pool) == &my_crew->head
      && inline_depth < POOL_DEPTH && task_state(t) == TASK_PENDING;
}

static int plain_wait_any (struct crew *c, struct block *const *tasks, size_t n,
                           deadline until, size_t *which) {
  struct thread_record *me = self();
  nanos look = 0;
  int rc = CONC_OK;
  nap_begin(&c->head, "wait", until);
  for (;;) {
    if (load_relaxed(&me->node.gate) == NULL
        || load_acquire(&me->node.state) == NODE_WOKEN) {
      guard_lock(&c->guard);
      gate_leave(&me->node);
      gate_join(&c->news, &c->guard, &me->node);
      guard_unlock(&c->guard);
    }
    if (scan_ended(tasks, n, which) || rc != CONC_OK)
      break;
    rc = until == DEADLINE_NOW ? CONC_TIMEOUT : nap(&look, until, false);
    if (rc == CONC_OK && look > LOOK_MIN)
      pool_look(c);
  }
  guard_lock(&c->guard);
  gate_leave(&me->node);
  guard_unlock(&c->guard);
  nap_end();
  return *which < n ? CONC_OK : rc;
}

bool pool_run_pending (struct crew *c, struct block *const *tasks, size_t n, size_t *at) {
  for (; my_crew == c && *at < n; ++*at)
    if (may_run_here(task_of(tasks[*at])) && run_here(c, task_of(tasks[*at])))
      return true;
  return false;
}

size_t pool_ends (struct crew *c, uint64_t *seen, struct block **ended, size_t max,
                  bool *missed) {
  size_t n = 0;
  guard_lock(&c->guard);
  *missed = max == 0 || c->ends - *seen > POOL_LOG;
  if (*missed)
    *seen = c->ends;
  while (*seen < c->ends && n < max)
    ended[n++] = c->log[(*seen)++ % POOL_LOG];
  guard_unlock(&c->guard);
  return n;
}

int pool_wait_ends (struct crew *c, uint64_t seen, deadline until) {
  struct wait w;
  int rc = CONC_OK;
  bool look = false;
  wait_init(&w, &c->news, &c->guard, until, &c->head, "wait");
  worker_blocks(true);
  guard_lock(&c->guard);
  while (c->ends == seen && rc == CONC_OK && !look) {
    rc = wait_sleep(&w);
    look = w.look > LOOK_MIN;
  }
  if (c->ends != seen)
    rc = CONC_OK;
  wait_end(&w);
  guard_unlock(&c->guard);
  worker_blocks(false);
  if (look)
    pool_look(c);
  return rc;
}

int pool_wait_any (struct crew *c, struct block *const *tasks, size_t n,
                   deadline until, size_t *which) {
  *which = n;
  if (scan_ended(tasks, n, which))
    return CONC_OK;
  size_t at = 0;
  if (until == DEADLINE_NEVER && pool_run_pending(c, tasks, n, &at)) {
    *which = at;
    return CONC_OK;
  }
  worker_blocks(true);
  int rc = plain_wait_any(c, tasks, n, until, which);
  worker_blocks(false);
  return rc;
}

static bool others_quiet (struct crew *c) {
  if (c->queued > 0)
    return false;
  for (uint32_t i = 0; i < c->places; i++)
    if (i != my_place && outermost(&c->workers[i]) != NULL
        && load_relaxed(&c->workers[i].blocked) == 0)
      return false;
  return true;
}

int pool_wait_end (struct crew *c, deadline until) {
  struct wait w;
  int rc = CONC_OK;
  bool inside = my_crew == c;
  wait_init(&w, &c->news, &c->guard, until, &c->head, "shutdown");
  guard_lock(&c->guard);
  if (inside) {
    store_relaxed(&c->workers[my_place].blocked, 1);
    c->blocked++;
  }
  while (rc == CONC_OK && load_relaxed(&c->phase) != POOL_ENDED
         && !(inside && others_quiet(c))) {
    rc = wait_sleep(&w);
    if (rc == CONC_OK && w.look > LOOK_MIN) {
      guard_unlock(&c->guard);
      pool_look(c);
      guard_lock(&c->guard);
    }
  }
  wait_end(&w);
  if (inside) {
    store_relaxed(&c->workers[my_place].blocked, 0);
    c->blocked--;
  }
  guard_unlock(&c->guard);
  return rc;
}

/* {=== workers ===} */

void pool_enter (struct crew *c, uint32_t i) {
  struct pool_worker *w = &c->workers[i];
  my_crew = c;
  my_place = i;
  my_outer = 0;
  inline_depth = 0;
  store_release(&w->key, self()->key);
  guard_lock(&c->guard);
  if (load_relaxed(&w->life) == WORKER_STARTING)
    store_release(&w->life, WORKER_LIVE);
  c->early = 0;
  guard_unlock(&c->guard);
}

void pool_leave (struct crew *c, uint32_t i) {
  guard_lock(&c->guard);
  struct pool_worker *w = &c->workers[i];
  if (working(w)) {
    c->live--;
    if (c->config.max_tasks > 0 && load_relaxed(&w->ran) >= c->config.max_tasks)
      add_relaxed(&c->restarted, 1);
  }
  store_release(&w->life, WORKER_LEFT);
  thread_key bell = pop_bell(c);
  guard_unlock(&c->guard);
  gate_ring(bell);
  my_crew = NULL;
}

void pool_left (struct crew *c, uint32_t i) {
  pool_leave(c, i);
}

/* A life for each task: what it left locked is abandoned, and a cancel that
   comes late does not hit the next. */
static void renew (struct pool_worker *w) {
  record_renew();
  store_release(&w->key, self()->key);
}

static bool must_leave (struct crew *c, struct pool_worker *w) {
  return load_relaxed(&c->phase) >= POOL_STOPPING
      || load_relaxed(&w->life) != WORKER_LIVE
      || (c->config.max_tasks > 0 && load_relaxed(&w->ran) >= c->config.max_tasks)
      || c->live > c->config.size + c->blocked;
}

static void relax (int n) {
  while (n-- > 0) sys_relax();
}

/*
** One at a time does: it is among the searching, so nobody rings another. When a
** task has come it lingers, if more came meanwhile the last times: to run some in
** a row costs both sides less than to meet at the guard for each. Once in a
** while it tries whether that pays.
*/
static void spin (struct crew *c) {
  static __thread int lingers, tries;
  int n = 0;
  c->searching++;
  guard_unlock(&c->guard);
  for (int i = 0; i < SPINS && load_relaxed(&c->first) == NULL
                  && load_relaxed(&c->phase) == POOL_OPEN; i++)
    sys_relax();
  if (load_relaxed(&c->first) != NULL) {
    n = lingers > 0 ? lingers : ++tries % 64 == 0 ? LINGER : 0;
    relax(n);
  }
  guard_lock(&c->guard);
  if (c->searching > 0) c->searching--;
  if (n > 0 && c->queued > (uint64_t)n / LINGER)  /* one came in each LINGER */
    lingers = n * 2 < LINGER_MOST ? n * 2 : LINGER_MOST;
  else if (n > 0)
    lingers = n / 2 >= LINGER ? n / 2 : 0;
}

static int sleep_or_watch (struct crew *c, struct wait *w, int *looks) {
  if (*looks == 0 && c->searching == 0 && sys_cpu_shared() > 1) {
    *looks = 1;
    spin(c);
    return CONC_OK;
  }
  if (c->busy + c->searching == 0 || *looks > WATCHES) {
    w->until = DEADLINE_NEVER;
    return wait_sleep(w);
  }
  ++*looks;
  w->until = sys_now() + WATCH;
  c->watching++;
  int rc = wait_sleep(w);
  if (c->watching > 0) c->watching--;
  return rc == CONC_TIMEOUT ? CONC_OK : rc;
}

/*
** The end of the task before, and the next off the queue, in one stay under the
** guard: so the two alternate between two places. CONC_CLOSED: there is none
** for this worker any more. Before it sleeps it lets go of what has ended.
*/
static int take_one (struct crew *c, struct pool_worker *w, struct task **t) {
  struct wait wait;
  struct block *_Atomic *last = &w->runs[my_outer];
  struct block *_Atomic *place = &w->runs[POOL_OTHER - my_outer];
  int rc = CONC_OK, looks = 0;
  thread_key room = 0, next = 0, bell = 0;
  wait_init(&wait, &c->work, &c->guard, DEADLINE_NEVER, &c->head, "work");
  wait.noninterruptible = wait.last_first = true;
  *t = NULL;
  guard_lock(&c->guard);
  if (load_relaxed(last) != NULL) {
    note_end(c, last, outer_claimed);
    if (c->busy > 0) c->busy--;
  }
  while (rc == CONC_OK && *t == NULL) {
    if (wait.woken) {
      wait.woken = false;
      if (c->searching > 0) c->searching--;
    }
    if (must_leave(c, w))
      rc = CONC_CLOSED;
    else if ((*t = pop(c, place)) != NULL)
      c->busy++;
    else if (load_relaxed(&c->phase) >= POOL_CLOSING)
      rc = CONC_CLOSED;
    else if (load_relaxed(last) == NULL)
      rc = sleep_or_watch(c, &wait, &looks);
    else {
      guard_unlock(&c->guard);
      block_unref(last);
      guard_lock(&c->guard);
    }
  }
  wait_end(&wait);  /* out of the line, before it calls one from there */
  call_worker(c, &next, &bell);
  if (*t != NULL && c->config.bound > 0)
    room = gate_pop(&c->room);
  guard_unlock(&c->guard);
  gate_ring(room);
  gate_ring(next);
  gate_ring(bell);
  block_unref(last);
  my_outer = POOL_OTHER - my_outer;
  return rc;
}

int pool_take (struct crew *c, uint32_t i, struct task **t) {
  struct pool_worker *w = &c->workers[i];
  store_relaxed(&w->begun, 0);
  for (;;) {
    int rc = take_one(c, w, t);
    if (rc != CONC_OK)
      return rc;
    renew(w);
    outer_claimed = task_claim(*t);
    if (outer_claimed) {
      store_relaxed(&w->ran, load_relaxed(&w->ran) + 1);
      return CONC_OK;
    }
  }
}

/* {=== waiting inside ===} */

static int pool_help (struct task *t, deadline until) {
  if (my_crew == NULL)
    return CONC_MISUSE;
  if (until == DEADLINE_NEVER && may_run_here(t) && run_here(my_crew, t))
    return CONC_OK;
  if (until == DEADLINE_NOW)
    return CONC_MISUSE;
  worker_blocks(true);
  int rc = task_wait_plain(t, until);
  worker_blocks(false);
  return rc;
}

static void (*lost_before) (struct task *t);

static void (*unbegun_before) (struct task *t);

/* One that was queued is cancelled: who waits for any to end is told. */
static void pool_unbegun (struct task *t) {
  struct block *b = load_relaxed(&t->pool);
  if (b == NULL) {
    if (unbegun_before != NULL)
      unbegun_before(t);
    return;
  }
  struct crew *c = crew_of(b);
  guard_lock(&c->guard);
  count_end(c, t);
  if (!gate_empty(&c->news))
    gate_wake_all(&c->news);
  guard_unlock(&c->guard);
}

static void pool_lost (struct task *t) {
  struct block *b = load_relaxed(&t->pool);
  if (b != NULL)
    pool_look(crew_of(b));
  else if (lost_before != NULL)
    lost_before(t);
  else if (task_state(t) == TASK_RUNNING) {
    task_flag(t, TASK_DIED);
    task_finish(t, TASK_FAILED, NULL);
  }
}

/* {=== manager ===} */

/* A place for another worker; c->places: none. */
static uint32_t free_place (struct crew *c) {
  uint32_t i = 0;
  while (i < c->places && load_relaxed(&c->workers[i].life) != WORKER_NONE) i++;
  return i;
}

/* Under the guard, which it gives back meanwhile. False: it could not be had. */
static bool start_one (struct crew *c, const struct spawner *s) {
  uint32_t i = free_place(c);
  struct pool_worker *w = &c->workers[i];
  store_relaxed(&w->ran, 0);
  store_relaxed(&w->begun, 0);
  store_relaxed(&w->pid, 0);
  store_relaxed(&w->key, 0);
  store_relaxed(&w->blocked, 0);
  w->stopped = false;
  w->number = ++c->numbered;
  store_release(&w->life, WORKER_STARTING);
  c->live++;
  guard_unlock(&c->guard);
  int rc = s->start(c, i);
  guard_lock(&c->guard);
  if (rc != CONC_OK) {
    store_release(&w->life, WORKER_NONE);
    c->live--;
  }
  return rc == CONC_OK;
}

static uint32_t starting (struct crew *c) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->places; i++)
    n += load_relaxed(&c->workers[i].life) == WORKER_STARTING;
  return n;
}

/* As many as there is work for; with none at all to be had the pool fails. */
static void start_wanted (struct crew *c, const struct spawner *s) {
  while (load_relaxed(&c->phase) < POOL_STOPPING && wants_worker(c)
         && starting(c) < c->queued && free_place(c) < c->places)
    if (!start_one(c, s)) {
      if (c->live == 0) {
        guard_unlock(&c->guard);
        pool_fail(c, POOL_NO_WORKER, NULL);
        guard_lock(&c->guard);
      }
      return;
    }
}

/* The ones that have left by themselves make place. */
static void collect_left (struct crew *c) {
  for (uint32_t i = 0; i < c->places; i++) {
    struct pool_worker *w = &c->workers[i];
    if (load_relaxed(&w->life) == WORKER_LEFT && !c->process)
      store_release(&w->life, WORKER_NONE);
  }
}

static void stop_worker (struct crew *c, const struct spawner *s, uint32_t i) {
  if (c->workers[i].stopped)
    return;
  c->workers[i].stopped = true;
  guard_unlock(&c->guard);
  s->stop(c, i, true);
  guard_lock(&c->guard);
}

static void stop_all (struct crew *c, const struct spawner *s) {
  for (uint32_t i = 0; i < c->places; i++)
    if (working(&c->workers[i]))
      stop_worker(c, s, i);
}

/* Threads that do not stop are left behind. */
static void give_up (struct crew *c) {
  for (uint32_t i = 0; i < c->places; i++)
    if (working(&c->workers[i])) {
      store_release(&c->workers[i].life, WORKER_LEAVING);
      c->live--;
    }
}

/* Whose item takes longer than it may: its task fails, it is stopped, and no
   longer counted as a worker. Returns when to look again. */
static deadline stop_late (struct crew *c, const struct spawner *s) {
  deadline next = DEADLINE_NEVER;
  nanos now = sys_now();
  for (uint32_t i = 0; i < c->places; i++) {
    struct pool_worker *w = &c->workers[i];
    nanos begun = load_acquire(&w->begun), limit = load_relaxed(&w->limit);
    if (load_relaxed(&w->life) != WORKER_LIVE || begun == 0 || limit == 0)
      continue;
    if (begun + limit > now) {
      if (begun + limit < next)
        next = begun + limit;
      continue;
    }
    for (int k = 0; k < POOL_DEPTH + 2; k++) {
      struct block *b = load_relaxed(&w->runs[k]);
      if (b != NULL && !task_has_ended(task_state(task_of(b)))) {
        task_flag(task_of(b), TASK_LATE);
        if (task_finish(task_of(b), TASK_FAILED, NULL))
          count_end(c, task_of(b));
      }
    }
    store_release(&w->life, WORKER_LEAVING);
    c->live--;
    add_relaxed(&c->restarted, 1);
    gate_wake_all(&c->news);
    stop_worker(c, s, i);
  }
  return next;
}

/* Its worker died before it began: it is none the worse for that. */
static void put_back (struct crew *c, struct task *t) {
  if (load_relaxed(&t->self) != NULL)
    return;                        /* it never left the queue */
  if (load_relaxed(&c->phase) < POOL_STOPPING) {
    push_front(c, t);
    block_ref(&t->self, &t->head);
  }
  else if (task_finish(t, TASK_CANCELLED, NULL))
    count_end(c, t);
}

/* Its worker died running it: again, or failed with the story of that death. */
static void run_died (struct crew *c, struct task *t, pid_t pid, int status) {
  store_relaxed(&t->pid, (int32_t)pid);
  store_relaxed(&t->exitcode, WIFSIGNALED(status) ? -WTERMSIG(status)
                                                  : WEXITSTATUS(status));
  if (t->nitems == 0 && t->tries < c->config.retries
      && load_relaxed(&c->phase) < POOL_STOPPING
      && !(load_relaxed(&t->flags) & TASK_STOPPED) && task_again(t)) {
    push_front(c, t);
    block_ref(&t->self, &t->head);
    return;
  }
  task_flag(t, TASK_DIED);
  if (task_finish(t, load_relaxed(&t->flags) & TASK_STOPPED ? TASK_CANCELLED
                                                            : TASK_FAILED, NULL))
    count_end(c, t);
}

/* What the worker of 'key', which died, had in 'place'. One that another runs,
   who was faster, goes on there. */
static void settle_run (struct crew *c, struct block *_Atomic *place, thread_key key,
                        pid_t pid, int status) {
  struct block *b = load_relaxed(place);
  if (b == NULL)
    return;
  struct task *t = task_of(b);
  uint32_t state = task_state(t);
  if (state == TASK_PENDING)
    put_back(c, t);
  else if (task_has_ended(state))
    count_end(c, t);
  else if (load_relaxed(&t->runner) == key || record_ended(load_relaxed(&t->runner)))
    run_died(c, t, pid, status);
  block_unref(place);
}

/* One that dies before it is ready may have been killed by chance; several in a
   row die of their initializer, and the next would too. */
static bool dies_of_start (struct crew *c, int status) {
  return ++c->early >= (WIFSIGNALED(status) ? EARLY_KILLED : EARLY_LEFT);
}

void manager_lost (struct crew *c, uint32_t i, int status) {
  struct pool_worker *w = &c->workers[i];
  guard_lock(&c->guard);
  bool counted = working(w);
  bool early = load_relaxed(&w->life) == WORKER_STARTING;
  for (int k = POOL_DEPTH + 1; k >= 0; k--)
    settle_run(c, &w->runs[k], load_relaxed(&w->key), load_relaxed(&w->pid), status);
  if (counted) {
    c->live--;
    if (load_relaxed(&w->blocked)) c->blocked--;
    if (!early) add_relaxed(&c->restarted, 1);
  }
  store_relaxed(&w->blocked, 0);
  count_busy(c);
  c->searching = c->watching = 0;  /* it may have been the one */
  store_release(&w->life, WORKER_NONE);
  gate_wake_all(&c->news);
  guard_unlock(&c->guard);
  if (early && dies_of_start(c, status)) {
    if (load_relaxed(&c->broken) == 0)  /* who dies later was stopped for it */
      c->status = status;
    pool_fail(c, POOL_NO_START, NULL);
  }
}

/* Under the guard: has it all come to its end? */
static bool at_end (struct crew *c) {
  uint32_t phase = load_relaxed(&c->phase);
  if (phase == POOL_OPEN || c->live > 0)
    return false;
  for (uint32_t i = 0; c->process && i < c->places; i++)
    if (load_relaxed(&c->workers[i].life) != WORKER_NONE)
      return false;
  return phase >= POOL_STOPPING || c->queued == 0;
}

void pool_manage (struct crew *c, const struct spawner *s) {
  struct wait w;
  deadline patience = DEADLINE_NEVER;
  guard_lock(&c->guard);
  store_release(&c->manager, self()->key);
  guard_unlock(&c->guard);
  for (bool end = false; !end; ) {
    s->reap(c);
    wait_init(&w, &c->bell, &c->guard, DEADLINE_NEVER, &c->head, "manage");
    w.noninterruptible = true;
    guard_lock(&c->guard);
    collect_left(c);
    if (load_relaxed(&c->phase) >= POOL_STOPPING) {
      stop_all(c, s);
      if (patience == DEADLINE_NEVER && !c->process)
        patience = sys_now() + PATIENCE;
      if (sys_now() >= patience)
        give_up(c);
    }
    else
      start_wanted(c, s);
    w.until = stop_late(c, s);
    if (patience < w.until)
      w.until = patience;
    end = at_end(c);
    if (!end && !(wants_worker(c) && starting(c) < c->queued && free_place(c) < c->places))
      wait_sleep(&w);
    wait_end(&w);
    guard_unlock(&c->guard);
  }
  drain_queue(c);  /* a thread left behind still has its task */
  guard_lock(&c->guard);
  store_release(&c->phase, POOL_ENDED);
  gate_wake_all(&c->news);
  gate_wake_all(&c->room);
  guard_unlock(&c->guard);
}

/* {=== making ===} */

static bool pool_story (struct task *t, struct block **message, char *to,
                        size_t size) {
  struct block *b = load_relaxed(&t->pool);
  if (b == NULL)
    return false;
  struct crew *c = crew_of(b);
  uint32_t flags = load_relaxed(&t->flags);
  int code = load_relaxed(&t->exitcode);
  if (flags & TASK_LATE)
    snprintf(to, size, "timeout");
  else if (load_relaxed(&c->broken) != 0 && code == NO_EXITCODE) {
    *message = load_acquire(&c->failure);
    pool_break_story(c, to, size);
  }
  else if (!(flags & TASK_DIED))
    snprintf(to, size, "shared memory is full: the outcome could not be kept");
  else
    snprintf(to, size, code < 0 ? "worker process (pid %d) of pool \"%s\" was killed by signal %d"
                                : "worker process (pid %d) of pool \"%s\" left by os.exit(%d)",
             (int)load_relaxed(&t->pid), c->config.name, code < 0 ? -code : code);
  return true;
}

void pool_break_story (struct crew *c, char *to, size_t size) {
  int status = c->status;
  switch (load_relaxed(&c->broken)) {
    case POOL_LOST:
      snprintf(to, size, "pool \"%s\" is broken: %s died", c->config.name,
               c->process ? "its template process" : "the process that made it");
      break;
    case POOL_NO_START:
      snprintf(to, size, WIFSIGNALED(status)
               ? "pool \"%s\" is broken: a worker was killed by signal %d in its initializer"
               : "pool \"%s\" is broken: a worker left by os.exit(%d) in its initializer",
               c->config.name,
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      break;
    case POOL_INITIALIZER:
      snprintf(to, size, "pool \"%s\" is broken: its initializer failed", c->config.name);
      break;
    default:
      snprintf(to, size, "pool \"%s\" is broken: no worker could be started", c->config.name);
      break;
  }
}

static void crew_destroy (struct block *b) {
  struct crew *c = crew_of(b);
  crew_drain(c);
  block_unref(&c->drain);
  struct block *_Atomic *owned[] = { &c->initializer, &c->failure, &c->setting };
  for (int i = 0; i < 3; i++) {
    struct block *m = load_relaxed(owned[i]);
    if (m != NULL) {
      arena_hold(m);
      kill_order();
      store_relaxed(owned[i], NULL);
      message_drop(m);
    }
  }
}

struct block *crew_new (bool process, const struct pool_config *config,
                        struct block *initializer) {
  uint32_t places = config->size * 2 > config->size + 64 ? config->size * 2
                                                         : config->size + 64;
  if (places > POOL_PLACES_MAX) places = POOL_PLACES_MAX;
  size_t size = sizeof(struct crew) + places * sizeof(struct pool_worker);
  struct block *b = arena_alloc(size + POOL_LOG * sizeof(struct block *));
  if (b == NULL)
    return NULL;
  struct crew *c = crew_of(b);
  memset((char *)c + sizeof c->head, 0, size - sizeof c->head);
  guard_init(&c->guard, RANK_POOL, KIND_CREW);
  c->config = *config;
  c->process = process;
  c->within = config->size * pool_within();
  if (c->within > WITHIN_MOST) c->within = WITHIN_MOST;
  c->places = places;
  c->log = (struct block **)(void *)((char *)c + size);
  c->home = process_mine()->index;
  c->home_generation = load_relaxed(&process_mine()->generation);
  block_ready(b, KIND_CREW);
  if (initializer != NULL) {
    store_relaxed(&c->initializer, initializer);
    kill_order();
    arena_settle(initializer);
  }
  return b;
}

void crew_set_setting (struct crew *c, struct block *setting) {
  store_relaxed(&c->setting, setting);
  kill_order();
  arena_settle(setting);
}

static bool crew_owns (struct block *container, struct block *b) {
  struct crew *c = crew_of(container);
  return load_relaxed(&c->initializer) == b || load_relaxed(&c->setting) == b;
}

/* {=== the lease ===} */

/* The last has left the house. */
static void lease_destroy (struct block *b) {
  struct lease *l = (struct lease *)(void *)b;
  struct block *crew = load_relaxed(&l->crew);
  if (crew == NULL)
    return;
  if (load_acquire(&crew_of(crew)->phase) != POOL_ENDED)
    end_lost(crew_of(crew));
  crew_drain(crew_of(crew));
  block_unref(&l->crew);
}

/* In hand. */
static struct block *lease_new (struct block *crew) {
  struct block *b = arena_alloc(sizeof(struct lease));
  if (b == NULL)
    return NULL;
  struct lease *l = (struct lease *)(void *)b;
  store_relaxed(&l->crew, NULL);
  block_ready(b, KIND_LEASE);
  block_ref(&l->crew, crew);
  crew_of(crew)->lease = b;
  return b;
}

/* {=== those of this process ===} */

/* Handles to the leases of the crews that this process made and that may not have ended.
   Guarded by the mutex, held over a fork; a child starts with none. */
static pthread_mutex_t made_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct made { struct made *next; struct crew *crew; uint32_t slot; } *made;

/* In good order, or its manager has died: then its lease's end is the end of it. */
static bool has_ended (struct crew *c) {
  thread_key manager = load_acquire(&c->manager);
  return load_acquire(&c->phase) == POOL_ENDED || (manager != 0 && record_ended(manager));
}

/* Takes out of the list those that have ended. */
static struct made *take_ended (void) {
  struct made **at = &made, *m, *ended = NULL;
  pthread_mutex_lock(&made_mutex);
  while ((m = *at) != NULL) {
    if (has_ended(m->crew)) {
      *at = m->next;
      m->next = ended;
      ended = m;
    }
    else
      at = &m->next;
  }
  pthread_mutex_unlock(&made_mutex);
  return ended;
}

/* Handles have a mutex of their own, which is taken before ours around a fork:
   so it is not taken under ours. */
void pool_forget (void) {
  struct made *m = take_ended(), *next;
  for (; m != NULL; m = next) {
    next = m->next;
    handle_drop(m->slot);
    free(m);
  }
}

bool pool_remember (struct crew *c) {
  struct made *m = malloc(sizeof *m);
  struct block *lease = m != NULL ? lease_new(&c->head) : NULL;
  uint32_t slot = lease != NULL ? handle_first(lease) : UINT32_MAX;
  if (slot == UINT32_MAX) {
    if (lease != NULL) block_destroy(lease);
    free(m);
    return false;
  }
  *m = (struct made){ NULL, c, slot };
  pool_forget();
  pthread_mutex_lock(&made_mutex);
  m->next = made;
  made = m;
  pthread_mutex_unlock(&made_mutex);
  return true;
}

void pool_not_begun (struct crew *c) {
  guard_lock(&c->guard);
  store_release(&c->phase, POOL_ENDED);
  guard_unlock(&c->guard);
  pool_forget();
}

static struct crew *next_made (uint32_t group) {
  struct crew *c = NULL;
  pool_forget();
  pthread_mutex_lock(&made_mutex);
  for (struct made *m = made; m != NULL && c == NULL; m = m->next)
    if (!m->crew->process && (group == 0 || m->crew->group == group))
      c = m->crew;
  pthread_mutex_unlock(&made_mutex);
  return c;
}

void pool_end_all (uint32_t group) {
  struct crew *c;
  deadline until = sys_now() + 3 * PATIENCE;
  while ((c = next_made(group)) != NULL && sys_now() < until) {
    pool_terminate(c);
    if (pool_wait_end(c, until) != CONC_OK)
      break;
  }
}

static void made_before_fork (void) { pthread_mutex_lock(&made_mutex); }
static void made_in_parent (void) { pthread_mutex_unlock(&made_mutex); }
static void made_in_child (void) {
  made = NULL;
  pthread_mutex_unlock(&made_mutex);
}

/* The last of its users is gone: nobody can ask for results but by futures. */
static void front_destroy (struct block *b) {
  struct front *f = (struct front *)(void *)b;
  struct block *crew = load_relaxed(&f->crew);
  if (crew != NULL)
    pool_terminate(crew_of(crew));
  block_unref(&f->crew);
}

struct block *front_new (struct block *crew) {
  struct block *b = arena_alloc(sizeof(struct front));
  if (b == NULL)
    return NULL;
  struct front *f = (struct front *)(void *)b;
  store_relaxed(&f->crew, NULL);
  block_ready(b, crew_of(crew)->process ? KIND_PROCESS_POOL : KIND_THREAD_POOL);
  block_ref(&f->crew, crew);
  return b;
}

void pool_open (void) {
  static const struct kind_ops crew = {
    .name = NULL, .destroy = crew_destroy, .repair = crew_repair, .owns = crew_owns
  };
  static const struct kind_ops lease = { .name = NULL, .destroy = lease_destroy };
  static const struct kind_ops threads = { .name = "thread_pool", .destroy = front_destroy };
  static const struct kind_ops processes = { .name = "process_pool", .destroy = front_destroy };
  arena_kind(KIND_CREW, &crew);
  arena_kind(KIND_LEASE, &lease);
  arena_kind(KIND_THREAD_POOL, &threads);
  arena_kind(KIND_PROCESS_POOL, &processes);
  pthread_atfork(made_before_fork, made_in_parent, made_in_child);
  lost_before = task_lost;
  task_lost = pool_lost;
  unbegun_before = task_unbegun;
  task_unbegun = pool_unbegun;
  process_buried = pool_forget;
  task_help = pool_help;
  task_story = pool_story;
}
