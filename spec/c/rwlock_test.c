/*
** rwlock_test.c - rwlock without Lua, with kills
*/
#include "kit.h"
#include "rwlock.h"

static struct rwlock *rw (void) {
  return rwlock_of(load_relaxed(&scene->object));
}

static bool got (int rc) {
  return rc == CONC_OK || rc == CONC_ABANDONED;
}

/* 'a' and 'b' are equal but while somebody writes; 'inside' is who does. */
static void write_once (int rc) {
  thread_key before = swap_acqrel(&scene->inside, self()->key);
  if (before != 0 && (rc == CONC_OK || !record_ended(before)))
    add_relaxed(&scene->wrong, 1);
  store_relaxed(&scene->a, load_relaxed(&scene->a) + 1);
  kill_order();
  store_relaxed(&scene->b, load_relaxed(&scene->a));
  kill_order();
  store_relaxed(&scene->inside, 0);
}

static void read_once (int rc) {
  thread_key writer = load_relaxed(&scene->inside);
  if (writer != 0 && !record_ended(writer))
    add_relaxed(&scene->wrong, 1);
  if (rc == CONC_OK && writer == 0 && load_relaxed(&scene->a) != load_relaxed(&scene->b))
    add_relaxed(&scene->wrong, 1);
}

static void one_round (void) {
  bool write = chance(4) == 0;
  deadline until = chance(4) == 0 ? sys_now() + chance(200) * 1000 : DEADLINE_NEVER;
  int rc = write ? rwlock_acquire_write(rw(), until) : rwlock_acquire_read(rw(), until);
  if (!got(rc))
    return;
  if (write)
    write_once(rc);
  else {
    read_once(rc);
    if (chance(8) == 0 && got(rwlock_acquire_read(rw(), DEADLINE_NEVER)))
      rwlock_release(rw());
  }
  if (rwlock_release(rw()) != CONC_OK)
    add_relaxed(&scene->wrong, 1);
  add_relaxed(&scene->rounds, 1);
}

static void some_rounds (int i) {
  (void)i;
  for (int n = 0; n < 5000; n++)
    one_round();
}

static void test_exclusion (void) {
  pthread_t t[3];
  pid_t p[3];
  stage(rwlock_new("here:1"));
  for (int i = 0; i < 3; i++) p[i] = start_child(some_rounds, i);
  for (int i = 0; i < 3; i++) t[i] = start_thread(some_rounds, 3 + i);
  for (int i = 0; i < 3; i++) join_thread(t[i]);
  for (int i = 0; i < 3; i++) reap_child(p[i]);
  bool writing;
  ok(load_relaxed(&scene->wrong) == 0, "a writer is alone");
  ok(rwlock_owner(rw(), &writing) == 0 && load_relaxed(&scene->a) > 0, "it is free at the end");
  unstage();
}

static void test_rules (void) {
  stage(rwlock_new("here:2"));
  ok(rwlock_release(rw()) == CONC_NOTHELD, "a free one is not released");
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_OK
     && rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_OK, "a reader may read again");
  ok(rwlock_acquire_write(rw(), DEADLINE_NOW) == CONC_MISUSE, "but not write");
  ok(rwlock_release(rw()) == CONC_OK && rwlock_readers(rw()) == 1
     && rwlock_release(rw()) == CONC_OK && rwlock_readers(rw()) == 0, "it releases as often");
  ok(rwlock_acquire_write(rw(), DEADLINE_NOW) == CONC_OK, "a writer gets it then");
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_MISUSE, "and may not read");
  ok(rwlock_acquire_write(rw(), sys_now() + 20 * MS) == CONC_TIMEOUT, "waits out a timeout");
  ok(rwlock_acquire_write(rw(), DEADLINE_NEVER) == CONC_DEADLOCK
     && strstr(gate_story(), "here:2") != NULL, "and without one it is a deadlock");
  ok(rwlock_release(rw()) == CONC_OK, "released");
  unstage();
}

/* {=== who goes first ===} */

static void write_and_note (int i) {
  int rc = rwlock_acquire_write(rw(), DEADLINE_NEVER);
  if (got(rc)) {
    store_relaxed(&scene->a, load_relaxed(&scene->a) * 10 + (uint64_t)i);
    rwlock_release(rw());
  }
  store_relaxed(&scene->result[i], rc + 1);
}

static void read_and_note (int i) {
  int rc = rwlock_acquire_read(rw(), DEADLINE_NEVER);
  if (got(rc)) {
    add_relaxed(&scene->b, load_relaxed(&scene->a) * 100 + 1);
    rwlock_release(rw());
  }
  store_relaxed(&scene->result[i], rc + 1);
}

static void test_order (void) {
  stage(rwlock_new("here:3"));
  rwlock_acquire_read(rw(), DEADLINE_NEVER);
  pthread_t w = start_thread(write_and_note, 1);
  eventually(waits(1));
  pthread_t r = start_thread(read_and_note, 2);
  eventually(waits(2));
  pause_us(5000);
  ok(load_relaxed(&scene->result[2]) == 0, "a waiting writer holds back new readers");
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_OK, "but not one who reads already");
  rwlock_release(rw());
  rwlock_release(rw());
  join_thread(w);
  join_thread(r);
  ok(load_relaxed(&scene->b) == 101, "the writer goes first");
  store_relaxed(&scene->a, 0);
  store_relaxed(&scene->b, 0);
  rwlock_acquire_write(rw(), DEADLINE_NEVER);
  pthread_t t[4];
  for (int i = 0; i < 3; i++) {
    t[i] = start_thread(read_and_note, i);
    eventually(waits(i));
  }
  t[3] = start_thread(write_and_note, 3);
  eventually(waits(3));
  rwlock_release(rw());
  for (int i = 0; i < 4; i++) join_thread(t[i]);
  ok(load_relaxed(&scene->b) == 3 && load_relaxed(&scene->a) == 3,
     "readers that came while one wrote go in before the next writer");
  unstage();
}

static void test_cancelled_writer (void) {
  stage(rwlock_new("here:4"));
  rwlock_acquire_read(rw(), DEADLINE_NEVER);
  pthread_t w = start_thread(write_and_note, 1);
  eventually(waits(1));
  pthread_t r = start_thread(read_and_note, 2);
  eventually(waits(2));
  gate_cancel(load_relaxed(&scene->key[1]));
  join_thread(w);
  join_thread(r);
  ok(load_relaxed(&scene->result[1]) == CONC_CANCELLED + 1
     && load_relaxed(&scene->result[2]) == CONC_OK + 1,
     "a writer that is cancelled lets those behind him read");
  rwlock_release(rw());
  unstage();
}

/* {=== many readers ===} */

static void read_until_told (int i) {
  int rc = rwlock_acquire_read(rw(), DEADLINE_NEVER);
  store_relaxed(&scene->result[i], rc + 1);
  while (load_relaxed(&scene->a) == 0) pause_us(1000);
  rwlock_release(rw());
}

static void test_many (void) {
  enum { READERS = 40 };
  pthread_t t[READERS];
  size_t before = kit_live();
  stage(rwlock_new("here:5"));
  for (int i = 0; i < READERS; i++) t[i] = start_thread(read_until_told, i);
  ok(eventually(rwlock_readers(rw()) == READERS), "forty read at once");
  ok(rwlock_acquire_write(rw(), sys_now() + 5 * MS) == CONC_TIMEOUT, "and nobody writes");
  store_relaxed(&scene->a, 1);
  for (int i = 0; i < READERS; i++) join_thread(t[i]);
  ok(rwlock_acquire_write(rw(), DEADLINE_NOW) == CONC_OK, "then somebody may");
  rwlock_release(rw());
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== deaths ===} */

static void write_for_ever (int i) {
  store_relaxed(&scene->result[i], rwlock_acquire_write(rw(), DEADLINE_NEVER) + 1);
  for (;;) pause_us(100000);
}

static void test_abandoned (void) {
  stage(rwlock_new("here:6"));
  pid_t p = start_child(read_until_told, 0);
  eventually(load_relaxed(&scene->result[0]) != 0);
  pthread_t w = start_thread(write_and_note, 1);
  eventually(waits(1));
  kill_child(p);
  join_thread(w);
  ok(load_relaxed(&scene->result[1]) == CONC_ABANDONED + 1, "a writer finds that the reader died");
  reap_child(p);
  p = start_child(write_for_ever, 0);
  eventually(load_relaxed(&scene->result[0]) != 0);
  pthread_t r = start_thread(read_and_note, 2);
  eventually(waits(2));
  kill_child(p);
  join_thread(r);
  ok(load_relaxed(&scene->result[2]) == CONC_ABANDONED + 1, "a reader finds that the writer died");
  reap_child(p);
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_ABANDONED, "and the next too");
  rwlock_release(rw());
  ok(rwlock_acquire_write(rw(), DEADLINE_NOW) == CONC_ABANDONED, "until one may write");
  rwlock_release(rw());
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_OK, "then no more");
  p = start_child(write_and_note, 3);
  eventually(waits(3));
  kill_child(p);
  ok(rwlock_acquire_read(rw(), DEADLINE_NOW) == CONC_OK, "a reader goes on");
  rwlock_release(rw());
  r = start_thread(read_and_note, 2);
  join_thread(r);
  ok(load_relaxed(&scene->result[2]) == CONC_OK + 1, "past a writer that died waiting");
  reap_child(p);
  rwlock_release(rw());
  unstage();
}

static struct block *other;

static void read_and_lock (int i) {
  (void)i;
  struct lock *l = lock_of(other);
  rwlock_acquire_read(rw(), DEADLINE_NEVER);
  store_relaxed(&scene->a, 1);
  int rc = lock_acquire(l, DEADLINE_NEVER);
  store_relaxed(&scene->result[0], rc + 1);
  if (got(rc)) lock_release(l);
  rwlock_release(rw());
}

static void test_deadlock (void) {
  stage(rwlock_new("here:7"));
  other = lock_new(KIND_LOCK, "there:7");
  struct lock *l = lock_of(other);
  lock_acquire(l, DEADLINE_NEVER);
  pthread_t t = start_thread(read_and_lock, 0);
  eventually(load_relaxed(&scene->a) == 1 && waits(0));
  ok(rwlock_acquire_write(rw(), DEADLINE_NEVER) == CONC_DEADLOCK
     && strstr(gate_story(), "here:7") != NULL && strstr(gate_story(), "there:7") != NULL,
     "a cycle through a reader is found");
  lock_release(l);
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == CONC_OK + 1, "the reader goes on");
  arena_free(other);
  unstage();
}

static void churn (int i) {
  (void)i;
  for (;;)
    one_round();
}

static void test_kills (void) {
  size_t before = kit_live();
  stage(rwlock_new("here:8"));
  ok(kill_at_random(churn, 5, 300, &scene->rounds), "300 kills: those that live go on each time");
  ok(load_relaxed(&scene->wrong) == 0, "a writer was alone all the time");
  ok(got(rwlock_acquire_write(rw(), DEADLINE_NOW)), "and it can be written");
  rwlock_release(rw());
  ok(gate_empty(&rw()->line), "and nobody is in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

/* {=== killed at every step ===} */

static void read_and_release (int i) {
  (void)i;
  if (got(rwlock_acquire_read(rw(), DEADLINE_NEVER)))
    rwlock_release(rw());
}

static void write_and_release (int i) {
  (void)i;
  if (got(rwlock_acquire_write(rw(), DEADLINE_NEVER)))
    rwlock_release(rw());
}

static pthread_t behind[2];
static void release_to_the_child (void) {
  let_child_wait();
  behind[0] = start_thread(write_and_note, 1);
  eventually(waits(1));
  behind[1] = start_thread(read_and_note, 2);
  eventually(waits(2));
  if (chance(2)) pause_us(1500);
  rwlock_release(rw());
}

static bool all_had_it (void) {
  for (int i = 0; i < 2; i++) join_thread(behind[i]);
  bool good = got(load_relaxed(&scene->result[1]) - 1) && got(load_relaxed(&scene->result[2]) - 1);
  return got(rwlock_acquire_write(rw(), DEADLINE_NOW)) && good;
}

static void test_every_step (void) {
  size_t before = kit_live();
  stage(rwlock_new("here:9"));
  rwlock_acquire_write(rw(), DEADLINE_NEVER);
  ok(every_step(read_and_release, release_to_the_child, all_had_it), "a reader killed at any step");
  ok(every_step(write_and_release, release_to_the_child, all_had_it), "a writer killed at any step");
  rwlock_release(rw());
  ok(gate_empty(&rw()->line), "leave nobody in line");
  unstage();
  ok(kit_live() == before, "no block is left");
}

int main (void) {
  kit_open();
  lock_open();
  rwlock_open();
  test_rules();
  test_exclusion();
  test_order();
  test_cancelled_writer();
  test_many();
  test_abandoned();
  test_deadlock();
  test_kills();
  test_every_step();
  return kit_close();
}
