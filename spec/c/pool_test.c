/*
** pool_test.c - the pool without Lua, its manager in the test's hands: submitters and
** workers killed at every step; the next one finishes the work, and the counts are right
*/
#include "kit.h"
#include "message.h"
#include "pool.h"
#include "task.h"

#define TASKS  4

static size_t base;
static struct crew *crew;
static uint32_t slot[TASKS + 1];       /* the parent's handles: the tasks, the crew */
static struct task *tasks[TASKS];
static int submitted;                  /* by the parent; the others are the child's */

static struct parcel parcel_of (uint32_t nrefs) {
  static char bytes[64] = "a call, or what came of it";
  static struct block *refs[1];
  refs[0] = load_relaxed(&scene->object);
  return (struct parcel){ .bytes = bytes, .length = sizeof bytes, .refs = refs,
                          .nrefs = nrefs };
}

static struct block *make (int n) {
  struct block *b = task_new_submitted(0);
  struct parcel p = parcel_of((uint32_t)n & 1);
  if (b == NULL || !task_post_call(task_of(b), &p))
    exit(1);
  task_flag(task_of(b), TASK_AGAIN);
  block_ref(&task_of(b)->pool, &crew->head);
  return b;
}

/* Worker i, until the queue is empty and closed. */
static void work (uint32_t i) {
  struct task *t;
  pool_enter(crew, i);
  while (pool_take(crew, i, &t) == CONC_OK) {
    struct parcel p = parcel_of(1);
    struct block *outcome = task_post_outcome(t, &p);
    if (!task_finish(t, TASK_DONE, outcome))
      message_drop(outcome);
  }
  pool_leave(crew, i);
}

static void enlist (uint32_t i) {
  guard_lock(&crew->guard);
  store_relaxed(&crew->workers[i].life, WORKER_STARTING);
  crew->live++;
  guard_unlock(&crew->guard);
}

/* {=== what is killed ===} */

static void be_worker (int i) {
  pool_close(crew, false);
  work((uint32_t)i);
}

static void be_submitter (int i) {
  (void)i;
  for (int n = submitted; n < TASKS; n++) {
    struct block *b = make(n);
    uint32_t s = handle_new(b);
    arena_settle(b);
    if (pool_submit(crew, task_of(b), DEADLINE_NEVER) == CONC_OK)
      store_relaxed(&scene->a, (uint64_t)n + 1);
    handle_drop(s);
  }
}

/* Cancels, asks, looks: what others do with a pool. */
static void be_visitor (int i) {
  struct pool_counts n;
  (void)i;
  task_cancel(tasks[0]);
  pool_counts(crew, &n);
  pool_close(crew, true);
  pool_counts(crew, &n);
}

/* {=== before and after ===} */

static void set_up (int parents) {
  struct pool_config config = { .size = 2, .retries = 1000000, .name = "test" };
  struct block *b = crew_new(true, &config, NULL);
  crew = crew_of(b);
  slot[TASKS] = handle_new(b);
  arena_settle(b);
  submitted = parents;
  store_relaxed(&scene->a, (uint64_t)parents);
  for (int n = 0; n < parents; n++) {
    b = make(n);
    slot[n] = handle_new(b);
    tasks[n] = task_of(b);
    arena_settle(b);
    pool_submit(crew, tasks[n], DEADLINE_NEVER);
  }
  enlist(0);
}

static bool tear_down (void) {
  for (int n = 0; n < submitted; n++)
    handle_drop(slot[n]);
  handle_drop(slot[TASKS]);
  process_look_around();
  if (kit_live() != base)
    printf("# %zu blocks, not %zu\n", kit_live(), base);
  return kit_live() == base && arena_valid();
}

/* The manager hears of the death before the sweep, or after it; and another worker does the
   rest. */
static void go_on (void) {
  bool late = chance(2);
  if (!late) process_look_around();
  manager_lost(crew, 0, SIGKILL);
  enlist(1);
  pool_close(crew, false);
  work(1);
  manager_lost(crew, 1, 0);
  if (late) process_look_around();
}

static bool counted (uint64_t least, uint64_t done, uint64_t failed) {
  struct pool_counts n;
  pool_counts(crew, &n);
  /* a submitter that dies between the link and the count */
  bool good = n.done + n.failed >= least && n.done + n.failed <= least + 1
           && (done + failed != least || (n.done == done && n.failed == failed))
           && n.running == 0 && crew->queued == 0;
  if (!good)
    printf("# %d done, %d failed, %d run, %d queued\n", (int)n.done, (int)n.failed,
           (int)n.running, (int)crew->queued);
  return good;
}

static bool all_ended (void) {
  bool good = true;
  for (int n = 0; n < submitted; n++)
    good = good && task_has_ended(task_state(tasks[n]));
  if (!good) printf("# a task has not ended\n");
  return good;
}

static bool after_worker (void) {
  go_on();
  bool good = all_ended() && counted(TASKS, TASKS, 0);
  for (int n = 0; n < TASKS && good; n++)
    good = task_state(tasks[n]) == TASK_DONE && load_relaxed(&tasks[n]->outcome) != NULL;
  good = tear_down() && good;
  set_up(TASKS);
  return good;
}

static bool after_submitter (void) {
  uint64_t least = load_relaxed(&scene->a);
  go_on();
  bool good = all_ended() && counted(least, TASKS, 0);
  good = tear_down() && good;
  set_up(1);
  return good;
}

static bool after_visitor (void) {
  go_on();
  struct pool_counts n;
  pool_counts(crew, &n);
  bool good = all_ended() && n.done + n.failed == TASKS && n.running == 0;
  uint64_t done = 0;
  for (int i = 0; i < TASKS; i++)
    done += task_state(tasks[i]) == TASK_DONE;
  if (done != n.done) {
    printf("# %d done, not %d\n", (int)n.done, (int)done);
    good = false;
  }
  good = tear_down() && good;
  set_up(TASKS);
  return good;
}

/* The last pool that was set up is used, too. */
static void walk (const char *name, void (*act) (int), int parents, bool (*after) (void)) {
  set_up(parents);
  bool good = every_step(act, NULL, after);
  go_on();
  ok(tear_down() && good, name);
}

int main (void) {
  kit_open();
  message_open();
  task_open();
  pool_open();
  stage(arena_alloc(64));
  handle_drop(handle_new(load_relaxed(&scene->object)));   /* the table of handles stays */
  base = kit_live();
  walk("a worker killed at every step", be_worker, TASKS, after_worker);
  walk("a submitter killed at every step", be_submitter, 1, after_submitter);
  walk("who cancels and counts killed at every step", be_visitor, TASKS, after_visitor);
  return kit_close();
}
