/*
** lock_test.c - lock and rlock without Lua: exclusion, hand-over, deadlocks, and
** what a SIGKILL at a random instant leaves behind
*/
#include "kit.h"
#include "lock.h"

static struct lock *lock (void) {
  return lock_of(load_relaxed(&scene->object));
}

/* {=== exclusion ===} */

static bool got (int rc) {
  return rc == CONC_OK || rc == CONC_ABANDONED;
}

static int enter (deadline until) {
  int rc = lock_acquire(lock(), until);
  if (!got(rc))
    return rc;
  thread_key before = swap_acqrel(&scene->inside, self()->key);
  if (before != 0 && (rc == CONC_OK || !record_ended(before)))
    add_relaxed(&scene->wrong, 1);
  if (rc == CONC_ABANDONED)
    store_relaxed(&scene->b, load_relaxed(&scene->a));
  else if (load_relaxed(&scene->b) != load_relaxed(&scene->a))
    add_relaxed(&scene->wrong, 1);
  return rc;
}

static void leave (void) {
  store_relaxed(&scene->a, load_relaxed(&scene->a) + 1);
  kill_order();
  store_relaxed(&scene->b, load_relaxed(&scene->b) + 1);
  kill_order();
  store_relaxed(&scene->inside, 0);
  kill_order();
  if (lock_release(lock()) != CONC_OK)
    add_relaxed(&scene->wrong, 1);
}

enum { ROUNDS = 20000 };

static void count_up (int i) {
  (void)i;
  for (int done = 0; done < ROUNDS; ) {
    deadline until = chance(4) == 0 ? sys_now() + chance(50) * 1000 : DEADLINE_NEVER;
    if (enter(until) != CONC_TIMEOUT) {
      leave();
      done++;
    }
  }
}

static void test_exclusion (enum kind kind) {
  pthread_t t[3];
  pid_t p[2];
  stage(lock_new(kind, "here:1"));
  for (int i = 0; i < 2; i++) p[i] = start_child(count_up, i);
  for (int i = 0; i < 3; i++) t[i] = start_thread(count_up, 2 + i);
  for (int i = 0; i < 3; i++) join_thread(t[i]);
  for (int i = 0; i < 2; i++) reap_child(p[i]);
  ok(load_relaxed(&scene->wrong) == 0, "nobody meets another inside");
  ok(load_relaxed(&scene->a) == 5 * ROUNDS, "three threads and two processes count exactly");
  ok(!lock_locked(lock()), "the lock is free at the end");
  unstage();
}

/* {=== one at a time ===} */

static void hold_on (int i) {
  store_relaxed(&scene->result[i], lock_acquire(lock(), DEADLINE_NEVER) + 1);
  for (;;) pause_us(100000);
}

static void wait_for_it (int i) {
  int rc = lock_acquire(lock(), DEADLINE_NEVER);
  if (rc == CONC_OK || rc == CONC_ABANDONED)
    lock_release(lock());
  store_relaxed(&scene->result[i], rc + 1);
}

static void end_with_it (int i) {
  store_relaxed(&scene->result[i], lock_acquire(lock(), DEADLINE_NEVER) + 1);
}

static void test_single (void) {
  stage(lock_new(KIND_LOCK, "here:2"));
  ok(lock_release(lock()) == CONC_NOTHELD, "a free lock is not released");
  ok(lock_acquire(lock(), DEADLINE_NOW) == CONC_OK, "a free lock is had at once");
  ok(lock_acquire(lock(), DEADLINE_NOW) == CONC_TIMEOUT, "by its holder, once more: no");
  nanos begin = sys_now();
  ok(lock_acquire(lock(), begin + 30 * MS) == CONC_TIMEOUT && sys_now() - begin >= 30 * MS,
     "its own holder waits out a timeout, and not less");
  ok(lock_acquire(lock(), DEADLINE_NEVER) == CONC_DEADLOCK
     && strstr(gate_story(), "here:2") != NULL, "without one it is a deadlock");
  ok(lock_release(lock()) == CONC_OK && !lock_locked(lock()), "and is released once");
  unstage();
}

static void test_depth (void) {
  stage(lock_new(KIND_RLOCK, "here:3"));
  bool good = true;
  for (int i = 0; i < 100; i++) good = good && lock_acquire(lock(), DEADLINE_NOW) == CONC_OK;
  for (int i = 0; i < 99; i++) good = good && lock_release(lock()) == CONC_OK;
  ok(good && lock_locked(lock()), "an rlock is held as often as it was acquired");
  ok(lock_release(lock()) == CONC_OK && !lock_locked(lock()), "and free after as many releases");
  ok(lock_release(lock()) == CONC_NOTHELD, "one more is refused");
  unstage();
}

static void test_abandoned (void) {
  stage(lock_new(KIND_LOCK, "here:4"));
  pid_t p = start_child(hold_on, 0);
  ok(eventually(load_relaxed(&scene->result[0]) == CONC_OK + 1), "a child holds it");
  kill_child(p);
  ok(lock_acquire(lock(), DEADLINE_NOW) == CONC_ABANDONED, "killed: had at once, and told");
  ok(lock_release(lock()) == CONC_OK, "it is a lock like any");
  ok(lock_acquire(lock(), DEADLINE_NOW) == CONC_OK, "told once");
  lock_release(lock());
  reap_child(p);
  p = start_child(hold_on, 1);
  eventually(load_relaxed(&scene->result[1]) != 0);
  pthread_t t = start_thread(wait_for_it, 2);
  eventually(waits(2));
  kill_child(p);
  join_thread(t);
  ok(load_relaxed(&scene->result[2]) == CONC_ABANDONED + 1, "one who sleeps finds out");
  reap_child(p);
  join_thread(start_thread(end_with_it, 3));
  ok(lock_acquire(lock(), DEADLINE_NEVER) == CONC_ABANDONED, "a thread that ended holding it");
  lock_release(lock());
  unstage();
}

static void test_dead_waiter (void) {
  stage(lock_new(KIND_LOCK, "here:5"));
  for (int round = 0; round < 5; round++) {
    lock_acquire(lock(), DEADLINE_NEVER);
    pid_t p = start_child(wait_for_it, 0);
    bool asleep = eventually(waits(0));
    pthread_t t = start_thread(wait_for_it, 1);
    asleep = eventually(waits(1)) && asleep;
    pause_us(3000);  /* both are past their patience */
    kill_child(p);
    lock_release(lock());
    join_thread(t);
    reap_child(p);
    ok(asleep && load_relaxed(&scene->result[1]) == CONC_OK + 1,
       "behind a dead waiter: the lock comes, and is not abandoned");
    lock_acquire(lock(), DEADLINE_NEVER);
    p = start_child(wait_for_it, 0);
    eventually(waits(0));
    pause_us(3000);
    kill_child(p);
    lock_release(lock());
    ok(lock_acquire(lock(), DEADLINE_NOW) == CONC_OK, "nor is a newcomer kept out by him");
    lock_release(lock());
    reap_child(p);
  }
  unstage();
}

static void test_cancel (void) {
  stage(lock_new(KIND_LOCK, "here:6"));
  lock_acquire(lock(), DEADLINE_NEVER);
  pthread_t first = start_thread(wait_for_it, 0);
  eventually(waits(0));
  pthread_t second = start_thread(wait_for_it, 1);
  eventually(waits(1));
  nanos begin = sys_now();
  gate_cancel(load_relaxed(&scene->key[0]));
  join_thread(first);
  ok(load_relaxed(&scene->result[0]) == CONC_CANCELLED + 1, "a cancelled waiter is told");
  ok(sys_now() - begin < 1000 * MS, "soon");
  lock_release(lock());
  join_thread(second);
  ok(load_relaxed(&scene->result[1]) == CONC_OK + 1, "and does not take the lock with it");
  ok(!lock_locked(lock()), "which is free then");
  unstage();
}

/* {=== deadlocks ===} */

static struct block *pair[2];

static void cross (int i) {
  struct lock *mine = lock_of(pair[i]), *other = lock_of(pair[1 - i]);
  lock_acquire(mine, DEADLINE_NEVER);
  add_acqrel(&scene->a, 1);
  while (load_acquire(&scene->a) < 2) pause_us(10);
  int rc = lock_acquire(other, DEADLINE_NEVER);
  if (rc == CONC_OK) lock_release(other);
  store_relaxed(&scene->result[i], rc + 1);
  lock_release(mine);
}

static void test_deadlock (bool processes) {
  stage(lock_new(KIND_LOCK, "one:1"));
  pair[0] = load_relaxed(&scene->object);
  pair[1] = lock_new(KIND_RLOCK, "two:2");
  int closed = 0, had = 0;
  for (int round = 0; round < 50; round++) {
    store_relaxed(&scene->a, 0);
    if (processes) {
      pid_t p[2];
      for (int i = 0; i < 2; i++) p[i] = start_child(cross, i);
      for (int i = 0; i < 2; i++) reap_child(p[i]);
    }
    else {
      pthread_t t[2];
      for (int i = 0; i < 2; i++) t[i] = start_thread(cross, i);
      for (int i = 0; i < 2; i++) join_thread(t[i]);
    }
    for (int i = 0; i < 2; i++) {
      closed += load_relaxed(&scene->result[i]) == CONC_DEADLOCK + 1;
      had += load_relaxed(&scene->result[i]) == CONC_OK + 1;
    }
  }
  ok(closed == 50 && had == 50, "of two that cross, one is told and the other has both");
  ok(!lock_locked(lock_of(pair[0])) && !lock_locked(lock_of(pair[1])), "nothing stays locked");
  arena_free(pair[1]);
  unstage();
}

/* {=== fairness ===} */

static void hog (int i) {
  (void)i;
  while (load_relaxed(&scene->b) == 0) {
    lock_acquire(lock(), DEADLINE_NEVER);
    add_relaxed(&scene->a, 1);
    lock_release(lock());
  }
}

static void test_fair (void) {
  stage(lock_new(KIND_LOCK, "here:7"));
  pthread_t t[2];
  for (int i = 0; i < 2; i++) t[i] = start_thread(hog, i);
  nanos worst = 0;
  for (int i = 0; i < 100; i++) {
    nanos begin = sys_now();
    lock_acquire(lock(), DEADLINE_NEVER);
    nanos spent = sys_now() - begin;
    lock_release(lock());
    if (spent > worst) worst = spent;
    pause_us(200);
  }
  store_relaxed(&scene->b, 1);
  for (int i = 0; i < 2; i++) join_thread(t[i]);
  printf("# longest wait among two that never pause: %lld us\n", (long long)worst / 1000);
  ok(worst < 2000 * MS, "none starves");
  unstage();
}

/* {=== kills ===} */

static void churn (int i) {
  (void)i;
  for (;;) {
    uint32_t c = chance(8);
    deadline until = c == 0 ? DEADLINE_NOW : c == 1 ? sys_now() + chance(2000) * 1000
                                           : DEADLINE_NEVER;
    if (enter(until) == CONC_TIMEOUT)
      continue;
    if (chance(16) == 0) pause_us((long)chance(300));
    leave();
    add_relaxed(&scene->rounds, 1);
  }
}

static void test_kills (enum kind kind) {
  size_t before = kit_live();
  stage(lock_new(kind, "here:8"));
  ok(kill_at_random(churn, 4, 300, &scene->rounds), "300 kills: those that live go on each time");
  ok(load_relaxed(&scene->wrong) == 0, "nobody met another inside, nor a half made change untold");
  int rc = lock_acquire(lock(), DEADLINE_NOW);
  ok(rc == CONC_OK || rc == CONC_ABANDONED, "the lock is to be had");
  ok(lock_release(lock()) == CONC_OK && gate_empty(&lock()->line), "and nobody is in line");
  printf("# %llu rounds\n", (unsigned long long)load_relaxed(&scene->rounds));
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== killed at every step ===} */

static void take_and_release (int i) {
  (void)i;
  if (got(lock_acquire(lock(), DEADLINE_NEVER)))
    lock_release(lock());
}

static bool free_again (void) {
  bool good = got(lock_acquire(lock(), DEADLINE_NOW));
  return lock_release(lock()) == CONC_OK && good;
}

/* The child stands in line behind us, a thread behind the child. */
static pthread_t behind;
static void release_to_the_child (void) {
  let_child_wait();
  behind = start_thread(wait_for_it, 1);
  eventually(waits(1));
  if (chance(2)) pause_us(1500);  /* past their patience, or not */
  lock_release(lock());
}

static bool all_had_it (void) {
  join_thread(behind);
  int rc = load_relaxed(&scene->result[1]) - 1;
  bool good = got(rc) && free_again();
  lock_acquire(lock(), DEADLINE_NEVER);
  return good;
}

static void test_every_step (enum kind kind) {
  size_t before = kit_live();
  stage(lock_new(kind, "here:9"));
  ok(every_step(take_and_release, NULL, free_again), "killed at any step, the lock is to be had");
  lock_acquire(lock(), DEADLINE_NEVER);
  ok(every_step(take_and_release, release_to_the_child, all_had_it),
     "also where it is handed from one to the next");
  lock_release(lock());
  ok(gate_empty(&lock()->line), "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

int main (void) {
  kit_open();
  lock_open();
  test_single();
  test_depth();
  test_exclusion(KIND_LOCK);
  test_exclusion(KIND_RLOCK);
  test_abandoned();
  test_dead_waiter();
  test_cancel();
  test_deadlock(false);
  test_deadlock(true);
  test_fair();
  test_kills(KIND_LOCK);
  test_kills(KIND_RLOCK);
  test_every_step(KIND_LOCK);
  test_every_step(KIND_RLOCK);
  return kit_close();
}
