/*
** gate_test.c - sleeping without a clock, and for one's own process alone: what
** makes up for a ring that is lost, and what a fork changes
*/
#include "kit.h"

struct spot { struct block head; struct guard guard; struct gate gate; uint64_t wakes; };

static struct spot *the (void) {
  return (struct spot *)(void *)load_relaxed(&scene->object);
}

static struct block *spot_new (void) {
  struct block *b = arena_alloc(sizeof(struct spot));
  struct spot *s = (struct spot *)(void *)b;
  memset(b + 1, 0, sizeof *s - sizeof *b);
  guard_init(&s->guard, RANK_OBJECT, 0);
  block_ready(b, KIND_RAW);
  return b;
}

/* Waits until there is a wake to take; scene->a: looks that were rung for, b: others. */
static void wait_here (int i) {
  struct wait w;
  int rc = CONC_OK;
  wait_init(&w, &the()->gate, &the()->guard, DEADLINE_NEVER, &the()->head, "test");
  guard_lock(&the()->guard);
  while (the()->wakes == 0 && rc == CONC_OK) {
    rc = wait_sleep(&w);
    add_relaxed(w.look <= LOOK_MIN ? &scene->a : &scene->b, 1);
  }
  if (rc == CONC_OK)
    the()->wakes--;
  wait_end(&w);
  guard_unlock(&the()->guard);
  store_relaxed(&scene->result[i], rc + 1);
}

/* One wake for the first in line; 'lost': his ring died with its sender. */
static void wake_one (bool lost) {
  guard_lock(&the()->guard);
  the()->wakes++;
  thread_key key = gate_pop(&the()->gate);
  guard_unlock(&the()->guard);
  if (!lost)
    gate_ring(key);
}

static uint32_t word_of (int i) {
  return load_acquire(&record_at(KEY_INDEX(scene->key[i]))->word);
}

/* {=== the lookout ===} */

static _Atomic uint32_t calls;
static _Atomic bool looking;

static void call (void) {
  add_relaxed(&calls, 1);
}

static void keep_looking (int i) {
  (void)i;
  while (load_relaxed(&looking)) {
    gate_look_out();
    pause_us(LOOK_OUT / 1000);
  }
}

static void test_lookout (void) {
  stage(spot_new());
  gate_lookout(call);
  ok(!gate_look_out(), "nobody dozes: the lookout may rest");
  pthread_t t = start_thread(wait_here, 0);
  ok(eventually(word_of(0) & WORD_DOZES), "where there is a lookout one sleeps without a clock");
  ok(eventually(load_relaxed(&calls) == 1), "who dozes off while he rests calls him");
  wake_one(true);
  pause_us(3 * LOOK_MAX / 1000);
  ok(load_relaxed(&scene->result[0]) == 0, "a lost ring wakes nobody");
  ok(gate_look_out(), "the lookout finds who dozes");
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == CONC_OK + 1 && load_relaxed(&scene->b) == 1,
     "and has him look: it is there");
  unstage();
}

static void test_second_nap (void) {
  stage(spot_new());
  pthread_t t = start_thread(wait_here, 0);
  eventually(word_of(0) & WORD_DOZES);
  gate_look_out();
  ok(eventually(word_of(0) & WORD_ASLEEP && !(word_of(0) & WORD_DOZES)),
     "who was made to look sleeps by the clock from then on");
  wake_one(true);
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == CONC_OK + 1, "and looks by himself");
  ok(!gate_look_out(), "then the lookout may rest again");
  unstage();
}

static void test_many (void) {
  enum { THREADS = 16 };
  pthread_t t[THREADS], lookout;
  stage(spot_new());
  store_relaxed(&looking, true);
  lookout = start_thread(keep_looking, THREADS);
  for (int i = 0; i < THREADS; i++) t[i] = start_thread(wait_here, i);
  for (int i = 0; i < THREADS; i++) {
    pause_us(chance(3000));
    wake_one(chance(2) == 0);
  }
  for (int i = 0; i < THREADS; i++) join_thread(t[i]);
  store_relaxed(&looking, false);
  join_thread(lookout);
  ok(the()->wakes == 0, "half of the rings are lost: all come through");
  unstage();
  gate_lookout(NULL);
}

/* {=== forks ===} */

static void ring_one (int i) {
  (void)i;
  eventually(waits(0));
  pause_us(1000);
  wake_one(false);
}

static void nothing (int i) { (void)i; }

static void test_fork (void) {
  stage(spot_new());
  pthread_t t = start_thread(wait_here, 0);
  ok(eventually(word_of(0) & WORD_NEAR), "before the first fork one sleeps for one's own process");
  pid_t pid = start_child(nothing, 1);
  ok(eventually(waits(0) && !(word_of(0) & WORD_NEAR)), "after it for all of them");
  reap_child(pid);
  wake_one(false);
  join_thread(t);
  unstage();
}

/* A wait that ends before its first look ended by a ring. */
static void test_ring_across (void) {
  bool heard = false;
  for (int n = 0; n < 200 && !heard; n++) {
    stage(spot_new());
    pthread_t t = start_thread(wait_here, 0);
    pid_t pid = start_child(ring_one, 1);
    join_thread(t);
    reap_child(pid);
    heard = load_relaxed(&scene->a) == 1 && load_relaxed(&scene->b) == 0;
    unstage();
  }
  ok(heard, "a child's ring is heard");
}

int main (void) {
  kit_open();
  test_lookout();
  test_second_nap();
  test_many();
  test_fork();
  test_ring_across();
  return kit_close();
}
