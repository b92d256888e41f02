/*
** task_test.c - tasks without Lua: the call and the outcome inside of one, killed at
** every step of being made, filled, ended and destroyed
*/
#include "kit.h"
#include "message.h"
#include "task.h"

static struct block *_Atomic mentioned;   /* its count shows what was kept too long */
static size_t base;

/* So long, and mentioning so many objects: each byte an 'x'. */
struct form { size_t length; uint32_t nrefs; };
static const struct form empty = { 0, 0 }, small = { 40, 0 }, full = { 120, 0 },
                         mentions = { 24, 1 }, many = { 100, 9 }, large = { 3000, 2 };
static const struct form *call_form, *outcome_form;

static struct parcel parcel_of (const struct form *f) {
  static char bytes[4096];
  static struct block *refs[16];
  for (int i = 0; i < 16; i++) refs[i] = load_relaxed(&mentioned);
  memset(bytes, 'x', sizeof bytes);
  return (struct parcel){ .bytes = bytes, .length = f->length, .refs = refs,
                          .nrefs = f->nrefs };
}

static bool is_form (struct block *b, const struct form *f) {
  struct message *m = (struct message *)(void *)b;
  struct parcel p = parcel_of(f);
  bool good = b != NULL && m->length == f->length && m->nrefs == f->nrefs
           && memcmp(message_bytes(m), p.bytes, f->length) == 0;
  for (uint32_t i = 0; good && i < f->nrefs; i++)
    good = load_relaxed(&m->refs[i]) == p.refs[i];
  return good;
}

static struct block *make (void) {
  struct block *b = task_new_submitted(0);
  struct parcel p = parcel_of(call_form);
  if (!task_post_call(task_of(b), &p))
    exit(1);
  return b;
}

static bool end (struct task *t, enum task_state state) {
  struct parcel p = parcel_of(outcome_form);
  struct block *outcome = task_post_outcome(t, &p);
  bool ended = task_finish(t, state, outcome);
  if (!ended)
    message_drop(outcome);
  return ended;
}

static void check (bool good) {
  if (!good) add_relaxed(&scene->wrong, 1);
}

/* {=== what is killed ===} */

static void live_and_die (int i) {
  struct block *b = make();
  (void)i;
  check(is_form(load_relaxed(&task_of(b)->call), call_form));
  task_claim(task_of(b));
  end(task_of(b), TASK_DONE);
  check(is_form(load_relaxed(&task_of(b)->outcome), outcome_form));
  block_destroy(b);
}

static void end_it (int i) {
  struct task *t = task_of(load_relaxed(&scene->object));
  (void)i;
  task_claim(t);
  end(t, TASK_DONE);
}

/* {=== what has to be so ===} */

static bool well (void) {
  bool good = kit_live() == base;
  if (!good) printf("# %zu blocks, not %zu\n", kit_live(), base);
  if (atomic_load(&load_relaxed(&mentioned)->refs) != 1) {
    printf("# what was mentioned is counted %u times\n",
           (unsigned)atomic_load(&load_relaxed(&mentioned)->refs));
    good = false;
  }
  return good && load_relaxed(&scene->wrong) == 0 && arena_valid();
}

static bool after (void) {
  process_look_around();
  return well();
}

static void place (void) {
  struct block *b = make();
  block_ref(&scene->object, b);
  arena_settle(b);
}

/* Its runner died: it has not ended, or with the whole outcome; and lives on in our hands. */
static bool after_end (void) {
  struct task *t = task_of(load_relaxed(&scene->object));
  bool good = true;
  if (chance(2)) process_look_around();
  if (task_has_ended(task_state(t)))
    good = is_form(load_relaxed(&t->outcome), outcome_form);
  else
    good = end(t, TASK_FAILED) && is_form(load_relaxed(&t->outcome), outcome_form);
  if (!good) printf("# the outcome is not whole\n");
  block_unref(&scene->object);
  process_look_around();
  good = good && well();
  place();
  return good;
}

int main (void) {
  static const struct form *const forms[] = { &empty, &small, &full, &mentions, &many,
                                              &large };
  bool good = true;
  kit_open();
  message_open();
  task_open();
  struct block *b = arena_alloc(64);
  block_ref(&mentioned, b);
  arena_settle(b);
  b = arena_alloc(64);
  stage(b);
  block_unref(&scene->object);
  base = kit_live();
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 6; j++) {
      call_form = forms[i];
      outcome_form = forms[j];
      good = good && every_step(live_and_die, NULL, after);
    }
  ok(good, "killed at every step of its life, nothing is left");
  for (int i = 0; i < 6 && good; i++)
    for (int j = 0; j < 6; j++) {
      call_form = forms[i];
      outcome_form = forms[j];
      place();
      good = good && every_step(end_it, NULL, after_end);
      block_unref(&scene->object);
    }
  ok(good, "its runner killed at every step of ending it");
  return kit_close();
}
