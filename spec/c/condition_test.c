/*
** condition_test.c - condition without Lua, with kills
*/
#include "kit.h"
#include "condition.h"

static struct condition *cond (void) {
  return condition_of(load_relaxed(&scene->object));
}

static struct lock *lock (void) {
  return condition_lock(cond());
}

static bool got (int rc) {
  return rc == CONC_OK || rc == CONC_ABANDONED;
}

/* result: 1 + status; + 100 where the lock was abandoned; + 1000 where not held after. */
static void wait_told (int i) {
  bool abandoned;
  lock_acquire(lock(), DEADLINE_NEVER);
  int rc = condition_wait(cond(), DEADLINE_NEVER, &abandoned);
  int held = lock_release(lock()) == CONC_OK ? 0 : 1000;
  store_relaxed(&scene->result[i], rc + 1 + (abandoned ? 100 : 0) + held);
}

static int notify (uint64_t n) {
  lock_acquire(lock(), DEADLINE_NEVER);
  int rc = condition_notify(cond(), n);
  lock_release(lock());
  return rc;
}

static bool in_line (uint64_t n) {
  return eventually(condition_waiting(cond()) == n);
}

static void test_rules (void) {
  bool abandoned;
  size_t before = kit_live();
  stage(condition_new(NULL, "here:1"));
  ok(condition_wait(cond(), DEADLINE_NEVER, &abandoned) == CONC_NOTHELD
     && condition_notify(cond(), 1) == CONC_NOTHELD, "wait and notify need the lock held");
  lock_acquire(lock(), DEADLINE_NEVER);
  lock_acquire(lock(), DEADLINE_NEVER);
  nanos begin = sys_now();
  ok(condition_wait(cond(), begin + 30 * MS, &abandoned) == CONC_TIMEOUT
     && sys_now() - begin >= 30 * MS, "a timeout is waited out");
  ok(lock_release(lock()) == CONC_OK && lock_release(lock()) == CONC_OK
     && lock_release(lock()) == CONC_NOTHELD, "the lock is had back as deep as it was");
  lock_acquire(lock(), DEADLINE_NEVER);
  ok(condition_wait(cond(), DEADLINE_NOW, &abandoned) == CONC_TIMEOUT, "a timeout of 0");
  lock_release(lock());
  unstage();
  struct block *l = lock_new(KIND_LOCK, "here:2");
  stage(condition_new(l, ""));
  arena_settle(l);
  lock_acquire(lock_of(l), DEADLINE_NEVER);
  ok(condition_notify(cond(), 1) == CONC_OK && lock() == lock_of(l), "with a lock that was given");
  lock_release(lock());
  unstage();
  ok(kit_live() == before, "no block is left");
}

static void test_notify (void) {
  pthread_t t[4];
  stage(condition_new(NULL, "here:3"));
  for (int i = 0; i < 4; i++) {
    t[i] = start_thread(wait_told, i);
    in_line((uint64_t)i + 1);
  }
  notify(1);
  join_thread(t[0]);
  notify(2);
  join_thread(t[1]);
  join_thread(t[2]);
  ok(load_relaxed(&scene->result[3]) == 0 && condition_waiting(cond()) == 1,
     "notify(n) wakes n, in the order of their coming");
  t[0] = start_thread(wait_told, 0);
  in_line(2);
  notify(UINT64_MAX);
  join_thread(t[0]);
  join_thread(t[3]);
  bool good = true;
  for (int i = 0; i < 4; i++) good = good && load_relaxed(&scene->result[i]) == CONC_OK + 1;
  ok(good, "notify_all wakes the rest");
  notify(1);
  t[0] = start_thread(wait_told, 0);
  in_line(1);
  pause_us(2000);
  ok(load_relaxed(&scene->result[0]) == 0 && condition_waiting(cond()) == 1,
     "a notify that nobody waits for is gone");
  notify(1);
  join_thread(t[0]);
  unstage();
}

static void test_cancel (void) {
  stage(condition_new(NULL, "here:4"));
  pthread_t first = start_thread(wait_told, 0);
  in_line(1);
  pthread_t second = start_thread(wait_told, 1);
  in_line(2);
  gate_cancel(load_relaxed(&scene->key[0]));
  join_thread(first);
  ok(load_relaxed(&scene->result[0]) == CONC_CANCELLED + 1, "cancelled: with the lock held again");
  store_relaxed(&scene->result[0], 0);
  first = start_thread(wait_told, 0);
  in_line(2);
  lock_acquire(lock(), DEADLINE_NEVER);
  gate_cancel(load_relaxed(&scene->key[1]));
  condition_notify(cond(), 1);
  lock_release(lock());
  join_thread(second);
  if (load_relaxed(&scene->result[1]) == CONC_OK + 1)  /* it was his after all */
    notify(1);
  join_thread(first);
  ok(load_relaxed(&scene->result[0]) == CONC_OK + 1, "cancelled as it was told: told is the next");
  unstage();
}

/* {=== deaths ===} */

static void test_dead_waiter (void) {
  stage(condition_new(NULL, "here:5"));
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 2; i++) store_relaxed(&scene->result[i], 0);
    pid_t p = start_child(wait_told, 0);
    in_line(1);
    pthread_t t = start_thread(wait_told, 1);
    in_line(2);
    kill_child(p);
    notify(1);
    ok(eventually(load_relaxed(&scene->result[1]) == CONC_OK + 1),
       "a waiter that died swallows no notify");
    reap_child(p);
    join_thread(t);
  }
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 2; i++) store_relaxed(&scene->result[i], 0);
    pid_t p = start_child(wait_told, 0);
    in_line(1);
    pthread_t t = start_thread(wait_told, 1);
    in_line(2);
    lock_acquire(lock(), DEADLINE_NEVER);
    condition_notify(cond(), 1);
    pause_us((long)chance(3000));  /* he is told, and waits for the lock */
    kill_child(p);
    lock_release(lock());
    ok(eventually(load_relaxed(&scene->result[1]) == CONC_OK + 1),
       "nor one that died on the way to his lock");
    reap_child(p);
    join_thread(t);
  }
  unstage();
}

static void tell_and_hold (int i) {
  lock_acquire(lock(), DEADLINE_NEVER);
  condition_notify(cond(), 1);
  store_relaxed(&scene->result[i], 1);
  for (;;) pause_us(100000);
}

static void test_abandoned (void) {
  stage(condition_new(NULL, "here:6"));
  pthread_t t = start_thread(wait_told, 0);
  in_line(1);
  pid_t p = start_child(tell_and_hold, 1);
  eventually(load_relaxed(&scene->result[1]) == 1);
  kill_child(p);
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == CONC_OK + 1 + 100,
     "the lock is had back from a holder that died, and that is told");
  reap_child(p);
  unstage();
}

/* {=== deadlock ===} */

static struct block *other;

static void wait_holding (int i) {
  bool abandoned;
  lock_acquire(lock_of(other), DEADLINE_NEVER);
  lock_acquire(lock(), DEADLINE_NEVER);
  int rc = condition_wait(cond(), DEADLINE_NEVER, &abandoned);
  store_relaxed(&scene->result[i], rc + 1);
  if (rc == CONC_OK) lock_release(lock());
  lock_release(lock_of(other));
}

static void test_deadlock (void) {
  stage(condition_new(NULL, "here:7"));
  other = lock_new(KIND_LOCK, "there:7");
  pthread_t t = start_thread(wait_holding, 0);
  in_line(1);
  lock_acquire(lock(), DEADLINE_NEVER);
  condition_notify(cond(), 1);
  int rc = lock_acquire(lock_of(other), DEADLINE_NEVER);
  if (rc == CONC_OK) lock_release(lock_of(other));
  lock_release(lock());
  join_thread(t);
  ok((rc == CONC_DEADLOCK) != (load_relaxed(&scene->result[0]) == CONC_DEADLOCK + 1),
     "getting its lock back is a link of a deadlock");
  ok(!lock_locked(lock()) && !lock_locked(lock_of(other)), "nothing stays locked");
  arena_free(other);
  unstage();
}

/* {=== kills ===} */

/* 'a' tokens were made, 'b' were taken: b <= a. Each makes and takes. */
static void churn (int i) {
  bool abandoned;
  for (;;) {
    if (!got(lock_acquire(lock(), DEADLINE_NEVER)))
      continue;
    if (i % 2 == 0) {
      store_relaxed(&scene->a, load_relaxed(&scene->a) + 1);
      condition_notify(cond(), 1);
    }
    else {
      bool held = true;
      while (held && load_relaxed(&scene->b) >= load_relaxed(&scene->a)) {
        deadline until = chance(4) == 0 ? sys_now() + chance(500) * 1000 : DEADLINE_NEVER;
        held = condition_wait(cond(), until, &abandoned) != CONC_DEADLOCK;
      }
      store_relaxed(&scene->b, load_relaxed(&scene->b) + 1);
    }
    lock_release(lock());
    if (i % 2 == 0) pause_us((long)chance(30));
  }
}

static void test_kills (void) {
  size_t before = kit_live();
  stage(condition_new(NULL, "here:8"));
  ok(kill_at_random(churn, 4, 200, &scene->b),
     "200 kills of those that notify and wait: the others go on");
  ok(load_relaxed(&scene->b) <= load_relaxed(&scene->a), "nothing was taken that was not made");
  ok(got(lock_acquire(lock(), DEADLINE_NOW)) && condition_waiting(cond()) == 0,
     "the lock is to be had, and nobody waits");
  lock_release(lock());
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== killed at every step ===} */

static pthread_t behind;

/* The child is first in line and told, a thread behind it: either has it. */
static void tell_the_child (void) {
  let_child_wait();
  behind = start_thread(wait_told, 1);
  struct thread_record *t = record_of(load_relaxed(&scene->key[1]));
  eventually(load_acquire(&t->wait_object) == &cond()->head && waits(1));
  notify(1);
}

static bool nobody_waits (void) {
  notify(UINT64_MAX);
  join_thread(behind);
  for (int i = 0; i < 2; i++) store_relaxed(&scene->result[i], 0);
  return condition_waiting(cond()) == 0;
}

/* The child was told, went on and is done; or it died before it had its lock
   back, and the thread was told; or it died when it had, and left it held. */
static bool told_one (void) {
  bool good = load_relaxed(&scene->result[0]) == CONC_OK + 1
           || lock_acquire(lock(), DEADLINE_NEVER) == CONC_ABANDONED;
  lock_release(lock());
  good = good || eventually(load_relaxed(&scene->result[1]) != 0);
  return nobody_waits() && good;
}

static void tell (int i) {
  (void)i;
  notify(1);
}

static void one_waits (void) {
  behind = start_thread(wait_told, 1);
  eventually(condition_waiting(cond()) == 1 || load_relaxed(&scene->result[1]) != 0);
}

static bool told_by_him_or_not (void) {
  record_look(load_relaxed(&scene->key[0]));
  return nobody_waits();
}

static void test_every_step (void) {
  size_t before = kit_live();
  stage(condition_new(NULL, "here:9"));
  ok(every_step(wait_told, tell_the_child, told_one), "a waiter killed at any step swallows no notify");
  ok(every_step(tell, one_waits, told_by_him_or_not), "one who notifies, killed at any step, blocks nobody");
  unstage();
  ok(kit_live() == before, "no block is left");
}

int main (void) {
  kit_open();
  lock_open();
  condition_open();
  test_rules();
  test_notify();
  test_cancel();
  test_dead_waiter();
  test_abandoned();
  test_deadlock();
  test_kills();
  test_every_step();
  return kit_close();
}
