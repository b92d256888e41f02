/*
** list_test.c - lists without Lua: against a model, under threads, and killed
** at every step of every operation
*/
#include "container.h"
#include "list.h"

/* {=== a list and what should be in it ===} */

#define MOST  600
struct model { uint32_t n; uint32_t id[MOST]; };
static struct block *_Atomic subject;    /* the list under test, counted here */

static struct list *the_list (void) { return list_of(load_relaxed(&subject)); }

static void fresh (void) {
  struct block *b = list_new("list_test.c");
  block_ref(&subject, b);
  arena_settle(b);
}

static bool valid (void) {
  struct list *l = the_list();
  guard_lock(&l->monitor.guard);
  bool good = list_valid(l);
  guard_unlock(&l->monitor.guard);
  return good;
}

static bool equals (const struct model *m) {
  uint64_t n;
  if (list_length(the_list(), &n) != CONC_OK || n != m->n)
    return false;
  for (uint32_t i = 0; i < m->n; i++) {
    struct reading r;
    if (list_get(the_list(), i, &r) != CONC_OK || !reads(&r, m->id[i]))
      return false;
  }
  return true;
}

enum op { APPEND, SET, INSERT, POP, OPS };
struct change { enum op op; uint32_t at, id; };

static int apply (struct list *l, const struct change *ch) {
  cell c = CELL_NONE, old = CELL_NONE;
  int rc = CONC_FULL;
  if (ch->op != POP && (c = make(ch->id)) == CELL_NONE)
    return CONC_FULL;
  switch (ch->op) {
    case APPEND: rc = list_append(l, c); break;
    case SET: rc = list_set(l, ch->at, c, &old); break;
    case INSERT: rc = list_insert(l, ch->at, c); break;
    case POP: rc = list_pop(l, ch->at, &old); break;
    case OPS: break;
  }
  if (rc != CONC_OK)
    cell_drop(c);
  cell_drop(old);
  return rc;
}

static void apply_to_model (struct model *m, const struct change *ch) {
  switch (ch->op) {
    case APPEND: m->id[m->n++] = ch->id; break;
    case SET:
      m->id[ch->at] = ch->id;
      if (ch->at == m->n) m->n++;
      break;
    case INSERT:
      memmove(&m->id[ch->at + 1], &m->id[ch->at], (m->n - ch->at) * sizeof m->id[0]);
      m->id[ch->at] = ch->id;
      m->n++;
      break;
    case POP:
      if (m->n == 0) break;
      m->n--;
      memmove(&m->id[ch->at], &m->id[ch->at + 1], (m->n - ch->at) * sizeof m->id[0]);
      break;
    case OPS: break;
  }
}

static struct change any_change (uint32_t n, bool growing) {
  struct change ch;
  ch.op = chance(100) < (growing ? 60u : 40u) ? (enum op)(chance(3)) : POP;
  if (n >= MOST - 1) ch.op = POP;
  if (n == 0 && ch.op == SET) ch.op = APPEND;
  ch.id = random32();
  uint32_t last = ch.op == INSERT ? n : n > 0 ? n - 1 : 0, r = chance(4);
  ch.at = r == 0 ? 0 : r == 1 ? last : random32() % (last + 1);
  return ch;
}

static void test_model (void) {
  static struct model m;
  size_t before = kit_live();
  bool good = true;
  m.n = 0;
  fresh();
  for (int round = 0; round < 40000 && good; round++) {
    struct change ch = any_change(m.n, round / 2000 % 2 == 0);
    good = apply(the_list(), &ch) == CONC_OK;
    apply_to_model(&m, &ch);
    if (round % 100 == 0)
      good = good && valid() && equals(&m);
  }
  ok(good && equals(&m), "40000 changes give what they give in a model");
  cell old, c = make(SMALL);
  ok(list_set(the_list(), m.n + 1, c, &old) == CONC_RANGE
     && list_insert(the_list(), m.n + 1, c) == CONC_RANGE
     && (m.n == 0 || list_pop(the_list(), m.n, &old) == CONC_RANGE)
     && equals(&m), "an index outside changes nothing");
  block_unref(&subject);
  ok(kit_live() == before, "a list takes all that it has with it");
}

/* {=== full memory ===} */

static void test_full (void) {
  static struct model m;
  size_t before = kit_live();
  bool good = true;
  int refused = 0;
  m.n = 0;
  fresh();
  for (int round = 0; round < 4000 && good; round++) {
    struct change ch = any_change(m.n, round / 400 % 2 == 0);
    store_relaxed(&arena_fail_at, 1 + (long)chance(2));
    int rc = apply(the_list(), &ch);
    store_relaxed(&arena_fail_at, 0);
    good = rc == CONC_OK || (rc == CONC_FULL && ch.op != POP);
    if (rc == CONC_OK)
      apply_to_model(&m, &ch);
    else
      refused++;
    if (round % 50 == 0)
      good = good && valid() && equals(&m);
  }
  ok(good && refused > 100 && equals(&m),
     "what finds memory full changes nothing, and pop always works");
  block_unref(&subject);
  ok(kit_live() == before, "nor does it leave anything");
}

/* {=== killed at every step ===} */

static void change_subject (void *arg) {
  apply(the_list(), (const struct change *)arg);
}

static void read_subject (void *arg) {
  struct reading r;
  list_get(the_list(), *(uint64_t *)arg, &r);
  reading_drop(&r);
}

static void own_subject (void *arg) {
  struct change ch = { APPEND, 0, LONG };
  (void)arg;
  if (monitor_acquire(&the_list()->monitor, &the_list()->head, "with") == CONC_OK) {
    apply(the_list(), &ch);
    monitor_release(&the_list()->monitor, &the_list()->head);
  }
}

static void destroy_subject (void *arg) {
  (void)arg;
  struct block *b = list_new("doomed");
  for (uint32_t id = 0; id < 2 * FORMS; id++) {
    struct change ch = { APPEND, 0, id };
    apply(list_of(b), &ch);
  }
  block_destroy(b);
}

static void fill (struct model *m, uint32_t n, uint32_t front) {
  m->n = 0;
  fresh();
  for (uint32_t i = 0; i < n; i++) {
    struct change ch = { i < front ? INSERT : APPEND, 0, random32() };
    apply(the_list(), &ch);
    apply_to_model(m, &ch);
  }
}

/* One operation, killed at step 1, 2, ... until it comes to its end. */
static bool each_step_of (uint32_t n, uint32_t front, struct change ch, long *steps) {
  static struct model old, new;
  bool done = false, good = true;
  for (long step = 1; !done && good; step++) {
    size_t before = kit_live();
    fill(&old, n, front);
    new = old;
    apply_to_model(&new, &ch);
    done = survives(change_subject, &ch, step);
    good = valid() && (equals(&new) || (!done && equals(&old)));
    block_unref(&subject);
    good = good && kit_live() == before;
    if (!good)
      printf("# op %d at %u of %u, id %u, step %ld; %zu blocks before, %zu after\n",
             (int)ch.op, ch.at, n, ch.id, step, before, kit_live());
    ++*steps;
  }
  return good;
}

static void test_every_step (void) {
  static const uint32_t forms[] = { SMALL, LONG, MESSAGE };
  long steps = 0;
  bool good = true;
  for (int f = 0; f < 3 && good; f++) {
    uint32_t id = 64 + forms[f];
    good = each_step_of(0, 0, (struct change){ APPEND, 0, id }, &steps)
        && each_step_of(5, 0, (struct change){ APPEND, 0, id }, &steps)
        && each_step_of(12, 0, (struct change){ APPEND, 0, id }, &steps)  /* grows */
        && each_step_of(5, 0, (struct change){ SET, 2, id }, &steps)
        && each_step_of(7, 0, (struct change){ INSERT, 2, id }, &steps)
        && each_step_of(5, 0, (struct change){ INSERT, 0, id }, &steps)   /* grows */
        && each_step_of(5, 4, (struct change){ INSERT, 0, id }, &steps);
  }
  for (int k = 0; k < 3 && good; k++)
    good = each_step_of(7, 0, (struct change){ POP, 2, 0 }, &steps)
        && each_step_of(6, 0, (struct change){ POP, 0, 0 }, &steps)
        && each_step_of(6, 0, (struct change){ POP, 5, 0 }, &steps);
  ok(good, "a change killed at any step is done or not begun");
  printf("# %ld kills\n", steps);
}

static void test_kill_readers (void) {
  bool good = true, done = false;
  uint64_t at = 0;
  size_t before = kit_live();
  struct model m;
  m.n = 0;
  fresh();
  for (uint32_t id = 0; id < FORMS; id++) {
    struct change ch = { APPEND, 0, id };
    apply(the_list(), &ch);
    apply_to_model(&m, &ch);
  }
  for (at = LARGE; at <= MESSAGE; at++, done = false)
    for (long step = 1; !done && good; step++) {
      done = survives(read_subject, &at, step);
      good = valid() && equals(&m);
    }
  block_unref(&subject);
  ok(good && kit_live() == before, "a reader killed at any step leaves nothing");
  fresh();
  for (long step = 1; !done && good; step++) {
    uint64_t n;
    done = survives(own_subject, NULL, step);
    good = list_length(the_list(), &n) == CONC_OK && valid()
        && monitor_owner(&the_list()->monitor) == 0;
  }
  block_unref(&subject);
  ok(good && kit_live() == before, "an owner killed at any step keeps nothing");
  done = false;
  for (long step = 1; !done && good; step++) {
    done = survives(destroy_subject, NULL, step);
    good = kit_live() == before;
    if (!good) printf("# step %ld: %zu blocks, %zu before\n", step, kit_live(), before);
  }
  ok(good, "nor does one killed at any step of a list's end");
}

/* {=== killed at random ===} */

static void churn (void *arg) {
  (void)arg;
  for (;;) {
    uint64_t n;
    list_length(the_list(), &n);
    struct change ch = any_change((uint32_t)n, n < 60);
    if (chance(16) == 0) {   /* keeps it for a moment */
      monitor_acquire(&the_list()->monitor, &the_list()->head, "with");
      apply(the_list(), &ch);
      monitor_release(&the_list()->monitor, &the_list()->head);
    }
    else if (chance(2))
      apply(the_list(), &ch);
    else {
      struct reading r;
      if (list_get(the_list(), ch.at, &r) == CONC_OK)
        reading_drop(&r);
    }
  }
}

static bool readable (void) {
  uint64_t n;
  if (list_length(the_list(), &n) != CONC_OK)
    return false;
  for (uint64_t i = 0; i < n; i++) {
    struct reading r;
    if (list_get(the_list(), i, &r) != CONC_OK)
      return false;
    reading_drop(&r);
  }
  return true;
}

static void test_random_kills (void) {
  enum { CHILDREN = 3, KILLS = 300 };
  pid_t child[CHILDREN];
  bool good = true;
  size_t before = kit_live();
  fresh();
  for (int i = 0; i < CHILDREN; i++)
    child[i] = spawn(churn, NULL);
  for (int k = 0; k < KILLS && good; k++) {
    int i = (int)chance(CHILDREN);
    pause_us((long)chance(3000));
    kill_one(child[i]);
    good = valid() && (k % 10 != 0 || readable());
    child[i] = spawn(churn, NULL);
  }
  for (int i = 0; i < CHILDREN; i++)
    kill_one(child[i]);
  ok(good && valid() && readable(), "300 kills at random leave a list in order");
  block_unref(&subject);
  if (!ok(kit_live() == before, "and nothing else"))
    printf("# %zu blocks before, %zu after\n", before, kit_live());
}

/* {=== threads ===} */

enum { THREADS = 4, ROUNDS = 3000 };

/* Reads and writes back, with the list owned in between: no update is lost. */
static void *count_up (void *arg) {
  (void)arg;
  struct list *l = the_list();
  for (int k = 0; k < ROUNDS; k++) {
    struct reading r;
    cell old;
    if (monitor_acquire(&l->monitor, &l->head, "with") != CONC_OK)
      return NULL;
    list_get(l, 0, &r);
    int64_t n = r.value.u.integer;
    if (k % 100 == 0)
      pause_us(50);
    list_set(l, 0, cell_of_integer(n + 1), &old);
    monitor_release(&l->monitor, &l->head);
    if (k % 3 == 0) {   /* and one without owning */
      list_append(l, cell_of_integer(1));
      list_pop(l, LIST_LAST, &old);
    }
  }
  return l;
}

static void test_threads (void) {
  pthread_t t[THREADS];
  bool good = true;
  struct reading r;
  uint64_t n;
  fresh();
  list_append(the_list(), cell_of_integer(0));
  for (int i = 0; i < THREADS; i++)
    pthread_create(&t[i], NULL, count_up, NULL);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(t[i], &result);
    good = good && result != NULL;
  }
  list_get(the_list(), 0, &r);
  ok(good && r.value.u.integer == THREADS * ROUNDS, "the owner is alone");
  ok(list_length(the_list(), &n) == CONC_OK && n == 1, "and others are not shut out");
  block_unref(&subject);
}

/* Owns one list and waits for the other. */
static struct list *pair[2];
static pthread_barrier_t both;
static void *cross (void *arg) {
  struct list *mine = pair[(intptr_t)arg], *other = pair[1 - (intptr_t)arg];
  uint64_t n;
  monitor_acquire(&mine->monitor, &mine->head, "with");
  pthread_barrier_wait(&both);
  int rc = list_length(other, &n);
  monitor_release(&mine->monitor, &mine->head);
  return (void *)(intptr_t)rc;
}

static void test_deadlock (void) {
  struct block *b[2];
  void *rc[2];
  pthread_t t[2];
  pthread_barrier_init(&both, NULL, 2);
  for (int i = 0; i < 2; i++) {
    b[i] = list_new("list_test.c:1");
    pair[i] = list_of(b[i]);
  }
  for (int i = 0; i < 2; i++)
    pthread_create(&t[i], NULL, cross, (void *)(intptr_t)i);
  for (int i = 0; i < 2; i++)
    pthread_join(t[i], &rc[i]);
  ok(((intptr_t)rc[0] == CONC_DEADLOCK && (intptr_t)rc[1] == CONC_OK)
     || ((intptr_t)rc[1] == CONC_DEADLOCK && (intptr_t)rc[0] == CONC_OK),
     "of two that wait for each other one is told");
  for (int i = 0; i < 2; i++)
    block_destroy(b[i]);
}

static void own_for_ever (void *arg) {
  (void)arg;
  monitor_acquire(&the_list()->monitor, &the_list()->head, "with");
  for (;;) pause();
}

static void test_dead_owner (void) {
  uint64_t n;
  fresh();
  pid_t pid = spawn(own_for_ever, NULL);
  while (monitor_owner(&the_list()->monitor) == 0)
    pause_us(1000);
  kill(pid, SIGKILL);   /* nobody has asked for it yet */
  nanos begun = sys_now();
  ok(list_length(the_list(), &n) == CONC_OK && sys_now() - begun < (nanos)5000000000,
     "a list whose owner died goes on");
  waitpid(pid, NULL, 0);
  block_unref(&subject);
}

/* {=== cells ===} */

static bool float_round_trip (double x) {
  cell c = cell_of_float(x);
  return c == CELL_NONE || float_bits(cell_float(c)) == float_bits(x);
}

static void test_cells (void) {
  static const int64_t at[] = { 0, 1, -1, INT64_MAX, INT64_MIN, (int64_t)1 << 61,
    ((int64_t)1 << 61) - 1, -((int64_t)1 << 61), -((int64_t)1 << 61) - 1 };
  bool good = true;
  for (int i = 0; i < 2000000 && good; i++)
    good = float_round_trip(bits_float((uint64_t)random32() << 32 | random32()))
        && float_round_trip((double)random32() / 7);
  good = good && float_round_trip(0.0) && float_round_trip(-0.0)
      && float_round_trip(bits_float(UINT64_C(0x3000000000000000)))
      && float_round_trip(bits_float(UINT64_C(0x3000000000000001)))
      && cell_of_float(1.5) != CELL_NONE && cell_of_float(-1e50) != CELL_NONE;
  ok(good, "floats in cells keep every bit");
  good = true;
  for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
    if (cell_fits_integer(at[i]))
      good = good && cell_integer(cell_of_integer(at[i])) == at[i];
  ok(good && !cell_fits_integer(INT64_MAX) && cell_fits_integer(-((int64_t)1 << 61)),
     "integers of 62 bits fit");
}

int main (void) {
  begin();
  list_open();
  test_cells();
  test_model();
  test_full();
  test_threads();
  test_deadlock();
  test_dead_owner();
  test_kill_readers();
  test_every_step();
  test_random_kills();
  return end();
}
