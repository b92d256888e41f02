/*
** barrier_test.c - barrier without Lua, with kills
*/
#include "kit.h"
#include "barrier.h"
#include "message.h"

static struct barrier *barrier (void) {
  return barrier_of(load_relaxed(&scene->object));
}

/* As the binding does: the last runs the action, which here counts in 'b'. */
static int pass (deadline until, uint32_t *index) {
  bool act;
  int rc = barrier_wait(barrier(), until, index, &act);
  if (!act)
    return rc;
  add_relaxed(&scene->b, 1);
  return barrier_finish(barrier(), true);
}

static struct block *some_action (void) {
  struct parcel p = { .bytes = "x", .length = 1 };
  return parcel_post(&p);
}

/* {=== rounds ===} */

enum { PARTIES = 4, ROUNDS = 300 };

/* Nobody is a round ahead of another: 'a' counts arrivals. */
static void many_rounds (int i) {
  (void)i;
  for (uint64_t n = 0; n < ROUNDS; n++) {
    uint32_t index = 0;
    uint64_t before = add_acqrel(&scene->a, 1);
    if (before < n * PARTIES || before >= (n + 1) * PARTIES)
      add_relaxed(&scene->wrong, 1);
    if (pass(DEADLINE_NEVER, &index) != CONC_OK || index < 1 || index > PARTIES)
      add_relaxed(&scene->wrong, 1);
    add_relaxed(&scene->rounds, index);
    if (load_relaxed(&scene->a) < (n + 1) * PARTIES)
      add_relaxed(&scene->wrong, 1);
  }
}

static void test_rounds (bool action) {
  pthread_t t[2];
  pid_t p[2];
  size_t before = kit_live();
  stage(barrier_new(PARTIES, action ? some_action() : NULL));
  for (int i = 0; i < 2; i++) p[i] = start_child(many_rounds, i);
  for (int i = 0; i < 2; i++) t[i] = start_thread(many_rounds, 2 + i);
  for (int i = 0; i < 2; i++) join_thread(t[i]);
  for (int i = 0; i < 2; i++) reap_child(p[i]);
  ok(load_relaxed(&scene->wrong) == 0, "nobody goes on before all have come");
  ok(load_relaxed(&scene->rounds) == ROUNDS * (1 + 2 + 3 + 4), "each place is given once a round");
  ok(load_relaxed(&scene->b) == (action ? ROUNDS : 0), "an action runs once a round");
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* More threads than parties: rounds end in any order of who. */
static void odd_rounds (int i) {
  uint32_t index;
  (void)i;
  while (load_relaxed(&scene->a) == 0)
    if (pass(DEADLINE_NEVER, &index) == CONC_OK)
      add_relaxed(&scene->rounds, 1);
}

static void test_more_than_parties (void) {
  pthread_t t[5];
  stage(barrier_new(2, some_action()));
  for (int i = 0; i < 5; i++) t[i] = start_thread(odd_rounds, i);
  bool moves = eventually(load_relaxed(&scene->rounds) > 5000);
  store_relaxed(&scene->a, 1);
  barrier_abort(barrier());
  for (int i = 0; i < 5; i++) join_thread(t[i]);
  ok(moves, "five threads pass a barrier of two, five thousand times");
  ok(barrier_broken(barrier()), "aborted, it is broken");
  unstage();
}

/* {=== broken ===} */

static void wait_once (int i) {
  uint32_t index;
  store_relaxed(&scene->result[i], pass(DEADLINE_NEVER, &index) + 1);
}

static bool waiting (uint32_t n) {
  return eventually(barrier_waiting(barrier()) == n);
}

static int result (int i) {
  return load_relaxed(&scene->result[i]) - 1;
}

static void test_broken (void) {
  uint32_t index;
  stage(barrier_new(3, NULL));
  pthread_t t[2];
  t[0] = start_thread(wait_once, 0);
  waiting(1);
  nanos begin = sys_now();
  ok(pass(begin + 30 * MS, &index) == CONC_TIMEOUT && sys_now() - begin >= 30 * MS,
     "a timeout is waited out");
  join_thread(t[0]);
  ok(result(0) == CONC_BROKEN && barrier_broken(barrier()), "and breaks it for all");
  ok(pass(DEADLINE_NEVER, &index) == CONC_BROKEN, "those who come later are told at once");
  barrier_reset(barrier());
  ok(!barrier_broken(barrier()) && barrier_waiting(barrier()) == 0, "reset mends it");
  for (int i = 0; i < 2; i++) t[i] = start_thread(wait_once, i);
  waiting(2);
  barrier_reset(barrier());
  for (int i = 0; i < 2; i++) join_thread(t[i]);
  ok(result(0) == CONC_BROKEN && result(1) == CONC_BROKEN && !barrier_broken(barrier()),
     "reset tells those who wait, and it is not broken");
  for (int i = 0; i < 2; i++) t[i] = start_thread(wait_once, i);
  waiting(2);
  gate_cancel(load_relaxed(&scene->key[0]));
  for (int i = 0; i < 2; i++) join_thread(t[i]);
  ok(result(0) == CONC_CANCELLED && result(1) == CONC_BROKEN && barrier_broken(barrier()),
     "a cancelled waiter breaks it");
  unstage();
}

static void test_action_fails (void) {
  uint32_t index;
  bool act;
  stage(barrier_new(2, some_action()));
  pthread_t t = start_thread(wait_once, 0);
  waiting(1);
  ok(barrier_wait(barrier(), DEADLINE_NEVER, &index, &act) == CONC_OK && act && index == 2,
     "the last is to run the action");
  ok(result(0) == -1 && barrier_waiting(barrier()) == 2, "before anyone goes on");
  ok(pass(DEADLINE_NEVER, &index) == CONC_MISUSE, "and may not wait there himself");
  barrier_finish(barrier(), false);
  join_thread(t);
  ok(result(0) == CONC_BROKEN && barrier_broken(barrier()), "if it fails the barrier is broken");
  barrier_reset(barrier());
  t = start_thread(wait_once, 0);
  waiting(1);
  barrier_wait(barrier(), DEADLINE_NEVER, &index, &act);
  pthread_t late = start_thread(wait_once, 1);
  eventually(waits(1));
  barrier_reset(barrier());
  ok(barrier_finish(barrier(), true) == CONC_BROKEN, "reset meanwhile: the actor is told");
  join_thread(t);
  ok(result(0) == CONC_BROKEN && waiting(1), "who came late is in the next round");
  ok(pass(DEADLINE_NEVER, &index) == CONC_OK, "which goes on");
  join_thread(late);
  unstage();
}

/* {=== deaths ===} */

static void act_for_ever (int i) {
  uint32_t index;
  bool act;
  int rc = barrier_wait(barrier(), DEADLINE_NEVER, &index, &act);
  store_relaxed(&scene->result[i], act ? 50 : rc + 1);
  for (;;) pause_us(100000);
}

static void test_deaths (void) {
  uint32_t index;
  stage(barrier_new(3, some_action()));
  pid_t p = start_child(wait_once, 0);
  waiting(1);
  pthread_t t = start_thread(wait_once, 1);
  waiting(2);
  kill_child(p);
  join_thread(t);
  ok(result(1) == CONC_BROKEN, "a waiter that dies breaks it");
  reap_child(p);
  barrier_reset(barrier());
  p = start_child(wait_once, 0);
  waiting(1);
  kill_child(p);
  reap_child(p);
  ok(barrier_broken(barrier()), "also if he was alone");
  barrier_reset(barrier());
  p = start_child(wait_once, 0);
  waiting(1);
  kill_child(p);
  t = start_thread(wait_once, 1);
  join_thread(t);
  ok(result(1) == CONC_BROKEN, "who comes after his death finds out");
  reap_child(p);
  barrier_reset(barrier());
  t = start_thread(wait_once, 1);
  waiting(1);
  pthread_t u = start_thread(wait_once, 2);
  waiting(2);
  p = start_child(act_for_ever, 0);
  eventually(load_relaxed(&scene->result[0]) == 50);
  kill_child(p);
  join_thread(t);
  join_thread(u);
  ok(result(1) == CONC_BROKEN && result(2) == CONC_BROKEN, "one that dies in the action breaks it");
  reap_child(p);
  barrier_reset(barrier());
  t = start_thread(wait_once, 1);
  u = start_thread(wait_once, 2);
  waiting(2);
  ok(pass(DEADLINE_NEVER, &index) == CONC_OK && index == 3, "and it can be used again");
  join_thread(t);
  join_thread(u);
  unstage();
}

static void churn (int i) {
  uint32_t index;
  (void)i;
  for (;;) {
    deadline until = chance(50) == 0 ? sys_now() + chance(500) * 1000 : DEADLINE_NEVER;
    if (pass(until, &index) == CONC_OK)
      add_relaxed(&scene->rounds, 1);
    else
      barrier_reset(barrier());
  }
}

static void test_kills (bool action) {
  size_t before = kit_live();
  stage(barrier_new(3, action ? some_action() : NULL));
  ok(kill_at_random(churn, 5, 150, &scene->rounds), "150 kills: those that live go on each time");
  barrier_reset(barrier());
  ok(gate_empty(&barrier()->line) && barrier_waiting(barrier()) == 0, "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== killed at every step ===} */

static void wait_and_count (int i) {
  uint32_t index;
  store_relaxed(&scene->result[i], pass(DEADLINE_NEVER, &index) + 1);
}

static pthread_t others[2];
static void two_come_after (void) {
  let_child_wait();
  for (int i = 0; i < 2; i++) others[i] = start_thread(wait_and_count, 1 + i);
}

static void two_come_before (void) {
  for (int i = 0; i < 2; i++) others[i] = start_thread(wait_and_count, 1 + i);
}

/* Both go on, or both are told that it broke. A child that died before it
   arrived has left them waiting for a third. */
static bool both_the_same (void) {
  uint32_t index;
  bool killed = false, left = false;
  eventually(load_relaxed(&scene->result[1]) != 0 || barrier_broken(barrier())
    || (left = child_ended(kit_child, &killed) && killed && waits(1) && waits(2)
               && barrier_waiting(barrier()) == 2));
  if (left)
    pass(sys_now() + SOON, &index);
  for (int i = 0; i < 2; i++) join_thread(others[i]);
  bool good = result(1) == result(2) && (result(1) == CONC_OK || result(1) == CONC_BROKEN);
  for (int i = 0; i < 3; i++) store_relaxed(&scene->result[i], 0);
  barrier_reset(barrier());
  record_look(load_relaxed(&scene->key[0]));  /* buries the child, if it is dead */
  return good && gate_empty(&barrier()->line);
}

static void test_every_step (void) {
  size_t before = kit_live();
  stage(barrier_new(3, some_action()));
  ok(every_step(wait_and_count, two_come_after, both_the_same),
     "killed at any step: those that wait go on together, or are told");
  ok(every_step(wait_and_count, two_come_before, both_the_same), "also the last");
  unstage();
  ok(kit_live() == before, "no block is left");
}

int main (void) {
  kit_open();
  message_open();
  barrier_open();
  test_rounds(false);
  test_rounds(true);
  test_more_than_parties();
  test_broken();
  test_action_fails();
  test_deaths();
  test_kills(false);
  test_kills(true);
  test_every_step();
  return kit_close();
}
