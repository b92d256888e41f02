/*
** semaphore_test.c - semaphore and event without Lua, with kills
*/
#include "kit.h"
#include "event.h"
#include "semaphore.h"

static struct semaphore *sem (void) {
  return semaphore_of(load_relaxed(&scene->object));
}

/* {=== semaphore ===} */

enum { PERMITS = 3, ROUNDS = 5000 };

static void use_some (int i) {
  (void)i;
  for (int done = 0; done < ROUNDS; ) {
    deadline until = chance(4) == 0 ? sys_now() + chance(50) * 1000 : DEADLINE_NEVER;
    if (semaphore_acquire(sem(), until) != CONC_OK)
      continue;
    if (add_acqrel(&scene->a, 1) >= PERMITS)
      add_relaxed(&scene->wrong, 1);
    add_acqrel(&scene->a, (uint64_t)-1);
    if (semaphore_release(sem(), 1) != CONC_OK)
      add_relaxed(&scene->wrong, 1);
    done++;
  }
}

static void test_permits (void) {
  pthread_t t[3];
  pid_t p[3];
  stage(semaphore_new(PERMITS, PERMITS));
  for (int i = 0; i < 3; i++) p[i] = start_child(use_some, i);
  for (int i = 0; i < 3; i++) t[i] = start_thread(use_some, 3 + i);
  for (int i = 0; i < 3; i++) join_thread(t[i]);
  for (int i = 0; i < 3; i++) reap_child(p[i]);
  ok(load_relaxed(&scene->wrong) == 0, "never more inside than permits");
  ok(semaphore_value(sem()) == PERMITS, "all permits are back");
  ok(semaphore_release(sem(), 1) == CONC_RANGE && semaphore_value(sem()) == PERMITS,
     "past the maximum: refused, nothing changed");
  unstage();
}

static void take_one (int i) {
  store_relaxed(&scene->result[i], semaphore_acquire(sem(), DEADLINE_NEVER) + 1);
}

static void test_many (void) {
  pthread_t t[4];
  stage(semaphore_new(0, INT64_MAX));
  for (int i = 0; i < 4; i++) {
    t[i] = start_thread(take_one, i);
    eventually(waits(i));
  }
  semaphore_release(sem(), 3);
  for (int i = 0; i < 3; i++) join_thread(t[i]);
  ok(load_relaxed(&scene->result[3]) == 0, "three released: those that came first go on");
  semaphore_release(sem(), 1);
  join_thread(t[3]);
  ok(semaphore_value(sem()) == 0, "one more: the fourth");
  ok(semaphore_acquire(sem(), sys_now() + 20 * MS) == CONC_TIMEOUT, "and none is left");
  unstage();
}

static void test_dead_first (void) {
  stage(semaphore_new(0, INT64_MAX));
  pid_t p = start_child(take_one, 0);
  eventually(waits(0));
  pthread_t t = start_thread(take_one, 1);
  eventually(waits(1));
  pause_us(3000);
  kill_child(p);
  semaphore_release(sem(), 1);
  join_thread(t);
  ok(load_relaxed(&scene->result[1]) == CONC_OK + 1, "a dead waiter swallows no permit");
  reap_child(p);
  p = start_child(take_one, 0);
  eventually(waits(0));
  pause_us(3000);
  kill_child(p);
  semaphore_release(sem(), 1);
  ok(semaphore_acquire(sem(), DEADLINE_NOW) == CONC_OK, "nor keeps a newcomer out");
  reap_child(p);
  unstage();
}

static void test_cancel (void) {
  stage(semaphore_new(0, 1));
  pthread_t first = start_thread(take_one, 0);
  eventually(waits(0));
  pthread_t second = start_thread(take_one, 1);
  eventually(waits(1));
  gate_cancel(load_relaxed(&scene->key[0]));
  semaphore_release(sem(), 1);
  join_thread(first);
  if (load_relaxed(&scene->result[0]) == CONC_OK + 1)
    semaphore_release(sem(), 1);
  join_thread(second);
  ok(load_relaxed(&scene->result[1]) == CONC_OK + 1 && semaphore_value(sem()) == 0,
     "cancelled as a permit came: it is the next one's");
  unstage();
}

static void churn (int i) {
  (void)i;
  for (;;) {
    deadline until = chance(4) == 0 ? sys_now() + chance(500) * 1000 : DEADLINE_NEVER;
    if (semaphore_acquire(sem(), until) == CONC_OK) {
      if (chance(16) == 0) pause_us((long)chance(200));
      semaphore_release(sem(), 1);
      add_relaxed(&scene->rounds, 1);
    }
  }
}

/* Each kill may take a permit along: what is missing is given back. */
static void test_kills (void) {
  enum { CHILDREN = 5, KILLS = 200 };
  pid_t child[CHILDREN];
  bool moves = true;
  int lost = 0;
  size_t before = kit_live();
  stage(semaphore_new(PERMITS, INT64_MAX));
  for (int i = 0; i < CHILDREN; i++) child[i] = start_child(churn, i);
  for (int k = 0; k < KILLS && moves; k++) {
    int i = (int)chance(CHILDREN);
    pause_us((long)chance(1500));
    kill_child(child[i]);
    if (++lost == PERMITS) {  /* no more than so many can be missing */
      for (int j = 0; j < CHILDREN; j++)
        if (j != i) kill_child(child[j]);
      for (int j = 0; j < CHILDREN; j++)
        if (j != i) reap_child(child[j]);
      int64_t value = semaphore_value(sem());
      if (value < 0 || value > PERMITS) add_relaxed(&scene->wrong, 1);
      if (value < PERMITS) semaphore_release(sem(), PERMITS - value);
      for (int j = 0; j < CHILDREN; j++)
        if (j != i) child[j] = start_child(churn, j);
      lost = 0;
    }
    uint64_t then = load_relaxed(&scene->rounds);
    moves = eventually(load_relaxed(&scene->rounds) > then);
    reap_child(child[i]);
    child[i] = start_child(churn, i);
  }
  ok(moves, "kills: those that live go on each time");
  for (int i = 0; i < CHILDREN; i++) kill_child(child[i]);
  for (int i = 0; i < CHILDREN; i++) reap_child(child[i]);
  int64_t value = semaphore_value(sem());
  ok(load_relaxed(&scene->wrong) == 0 && value >= 0 && value <= PERMITS,
     "no permit comes from nowhere");
  ok(gate_empty(&sem()->line), "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== event ===} */

static struct event *event (void) {
  return event_of(load_relaxed(&scene->object));
}

static void wait_event (int i) {
  store_relaxed(&scene->result[i], event_wait(event(), DEADLINE_NEVER) + 1);
}

static void test_set_clear (void) {
  enum { WAITERS = 6 };
  stage(event_new());
  ok(event_wait(event(), DEADLINE_NOW) == CONC_TIMEOUT, "an event is down at first");
  bool good = true;
  for (int round = 0; round < 20; round++) {
    pthread_t t[WAITERS];
    pid_t p[2];
    for (int i = 0; i < 2; i++) p[i] = start_child(wait_event, WAITERS + i);
    for (int i = 0; i < WAITERS; i++) t[i] = start_thread(wait_event, i);
    for (int i = 0; i < WAITERS + 2; i++) good = eventually(waits(i)) && good;
    event_set(event());
    event_clear(event());
    for (int i = 0; i < WAITERS; i++) join_thread(t[i]);
    for (int i = 0; i < 2; i++) reap_child(p[i]);
    for (int i = 0; i < WAITERS + 2; i++)
      good = good && load_relaxed(&scene->result[i]) == CONC_OK + 1;
  }
  ok(good, "set wakes all that wait, whatever clear does next");
  ok(!event_is_set(event()) && event_wait(event(), sys_now() + 20 * MS) == CONC_TIMEOUT,
     "and leaves it down for those who come");
  event_set(event());
  event_set(event());
  ok(event_is_set(event()) && event_wait(event(), DEADLINE_NOW) == CONC_OK, "set twice is set");
  unstage();
}

static void blink (int i) {
  (void)i;
  for (;;) {
    event_set(event());
    event_clear(event());
    add_relaxed(&scene->rounds, 1);
  }
}

static void watch (int i) {
  (void)i;
  for (;;)
    if (event_wait(event(), DEADLINE_NEVER) == CONC_OK)
      add_relaxed(&scene->a, 1);
}

static void test_event_kills (void) {
  pid_t child[4];
  bool moves = true;
  size_t before = kit_live();
  stage(event_new());
  for (int i = 0; i < 4; i++) child[i] = start_child(i < 2 ? blink : watch, i);
  for (int k = 0; k < 200 && moves; k++) {
    int i = (int)chance(4);
    pause_us((long)chance(1000));
    kill_child(child[i]);
    uint64_t sets = load_relaxed(&scene->rounds), seen = load_relaxed(&scene->a);
    moves = eventually(load_relaxed(&scene->rounds) > sets && load_relaxed(&scene->a) > seen);
    reap_child(child[i]);
    child[i] = start_child(i < 2 ? blink : watch, i);
  }
  ok(moves, "200 kills of those that set and wait: the others go on");
  for (int i = 0; i < 4; i++) kill_child(child[i]);
  for (int i = 0; i < 4; i++) reap_child(child[i]);
  ok(gate_empty(&event()->line), "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== killed at every step ===} */

static void take_and_release (int i) {
  (void)i;
  if (semaphore_acquire(sem(), DEADLINE_NEVER) == CONC_OK)
    semaphore_release(sem(), 1);
}

static pthread_t behind;
static void release_two (void) {
  let_child_wait();
  behind = start_thread(take_one, 1);
  eventually(waits(1));
  if (chance(2)) pause_us(1500);
  semaphore_release(sem(), 2);
}

/* One permit was enough for each; what the dead had is lost. */
static bool one_or_two_left (void) {
  join_thread(behind);
  int64_t value = semaphore_value(sem());
  bool good = load_relaxed(&scene->result[1]) == CONC_OK + 1 && (value == 0 || value == 1);
  while (semaphore_acquire(sem(), DEADLINE_NOW) == CONC_OK) {}
  return good && semaphore_value(sem()) == 0;
}

static pthread_t waiter[2];
static void set_it (int i) {
  (void)i;
  event_set(event());
}

static void two_wait (void) {
  for (int i = 0; i < 2; i++) waiter[i] = start_thread(wait_event, 1 + i);
}

static bool both_told (void) {
  event_set(event());
  for (int i = 0; i < 2; i++) join_thread(waiter[i]);
  event_clear(event());
  return load_relaxed(&scene->result[1]) == CONC_OK + 1
      && load_relaxed(&scene->result[2]) == CONC_OK + 1;
}

static void test_every_step (void) {
  size_t before = kit_live();
  stage(semaphore_new(0, INT64_MAX));
  ok(every_step(take_and_release, release_two, one_or_two_left),
     "killed at any step, no permit but its own is lost");
  unstage();
  stage(event_new());
  ok(every_step(set_it, two_wait, both_told), "an event survives the death of who sets it");
  ok(gate_empty(&event()->line), "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

int main (void) {
  kit_open();
  semaphore_open();
  event_open();
  test_permits();
  test_many();
  test_dead_first();
  test_cancel();
  test_kills();
  test_set_clear();
  test_event_kills();
  test_every_step();
  return kit_close();
}
