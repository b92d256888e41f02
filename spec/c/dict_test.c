/*
** dict_test.c - dicts without Lua: against a model, under threads, and killed
** at every step of every operation
*/
#include <math.h>
#include "container.h"
#include "dict.h"

/* {=== a dict and what should be in it ===} */

#define KEYS  300
struct model { bool there[KEYS]; uint32_t id[KEYS]; uint32_t n; };
static struct block *_Atomic subject;    /* the dict under test, counted here */

static struct dict *the_dict (void) { return dict_of(load_relaxed(&subject)); }

static void fresh (void) {
  struct block *b = dict_new("dict_test.c");
  block_ref(&subject, b);
  arena_settle(b);
}

/* Key k has one of the forms of a value; messages are none. */
static void key_of (struct dict *d, uint32_t k, struct dict_key *key) {
  static __thread char room[1600];
  struct datum v = { .type = DATUM_INTEGER };
  switch (form_of(k)) {
    case SMALL: v.u.integer = (int64_t)k; break;
    case BIG: v.u.integer = INT64_MIN + (int64_t)k; break;
    case FLOAT: v.type = DATUM_FLOAT; v.u.number = k + 0.25; break;
    case ODD_FLOAT: v.type = DATUM_FLOAT; v.u.number = (k + 1) * 1e-300; break;
    default:
      v.type = DATUM_STRING;
      v.u.string.bytes = room;
      v.u.string.length = string_of(form_of(k) == MESSAGE ? k - 2 : k, room);
      if (form_of(k) == MESSAGE)   /* shorter by one than another key */
        v.u.string.length--;
      break;
  }
  if (!dict_make_key(d, &v, key))
    abort();
}

static bool valid (void) {
  struct dict *d = the_dict();
  guard_lock(&d->monitor.guard);
  bool good = dict_valid(d);
  guard_unlock(&d->monitor.guard);
  return good;
}

static bool equals (const struct model *m) {
  uint64_t n;
  if (dict_length(the_dict(), &n) != CONC_OK || n != m->n)
    return false;
  for (uint32_t k = 0; k < KEYS; k++) {
    struct dict_key key;
    struct reading r;
    key_of(the_dict(), k, &key);
    if (dict_get(the_dict(), &key, &r) != CONC_OK)
      return false;
    bool nothing = r.value.type == DATUM_NONE;
    if (!m->there[k])
      reading_drop(&r);
    if (m->there[k] ? !reads(&r, m->id[k]) : !nothing)
      return false;
  }
  return true;
}

struct change { uint32_t k, id; bool remove; };

static int apply (struct dict *d, const struct change *ch) {
  struct dict_key key;
  cell c = CELL_NONE, old = CELL_NONE;
  key_of(d, ch->k, &key);
  if (!ch->remove && (c = make(ch->id)) == CELL_NONE)
    return CONC_FULL;
  int rc = dict_set(d, &key, c, &old);
  if (rc != CONC_OK)
    cell_drop(c);
  cell_drop(old);
  return rc;
}

static void apply_to_model (struct model *m, const struct change *ch) {
  if (m->there[ch->k]) m->n--;
  m->there[ch->k] = !ch->remove;
  m->id[ch->k] = ch->id;
  if (!ch->remove) m->n++;
}

static struct change any_change (bool growing) {
  struct change ch;
  ch.k = chance(KEYS);
  ch.id = random32();
  ch.remove = chance(100) < (growing ? 30u : 75u);
  return ch;
}

static void test_model (void) {
  static struct model m;
  size_t before = kit_live();
  bool good = true;
  memset(&m, 0, sizeof m);
  fresh();
  for (int round = 0; round < 40000 && good; round++) {
    struct change ch = any_change(round / 2000 % 2 == 0);
    good = apply(the_dict(), &ch) == CONC_OK;
    apply_to_model(&m, &ch);
    if (round % 200 == 0)
      good = good && valid() && equals(&m);
  }
  ok(good && equals(&m), "40000 changes give what they give in a model");
  block_unref(&subject);
  ok(kit_live() == before, "a dict takes all that it has with it");
}

static void test_full (void) {
  static struct model m;
  size_t before = kit_live();
  bool good = true;
  int refused = 0;
  memset(&m, 0, sizeof m);
  fresh();
  for (int round = 0; round < 6000 && good; round++) {
    struct change ch = any_change(round / 600 % 2 == 0);
    store_relaxed(&arena_fail_at, 1 + (long)chance(3));
    int rc = apply(the_dict(), &ch);
    store_relaxed(&arena_fail_at, 0);
    good = rc == CONC_OK || (rc == CONC_FULL && !ch.remove);
    if (rc == CONC_OK)
      apply_to_model(&m, &ch);
    else
      refused++;
    if (round % 100 == 0)
      good = good && valid() && equals(&m);
  }
  ok(good && refused > 100 && equals(&m),
     "what finds memory full changes nothing, and removing always works");
  block_unref(&subject);
  ok(kit_live() == before, "nor does it leave anything");
}

/* {=== keys ===} */

static bool same (struct datum a, struct datum b) {
  struct dict_key x, y;
  if (!dict_make_key(the_dict(), &a, &x) || !dict_make_key(the_dict(), &b, &y))
    return false;
  return x.c == y.c && x.hash == y.hash && x.form == y.form && x.bits == y.bits;
}

static void test_keys (void) {
  struct dict_key k;
  fresh();
#define INTEGER(x)  (struct datum){ .type = DATUM_INTEGER, .u.integer = (x) }
#define FLOAT(x)    (struct datum){ .type = DATUM_FLOAT, .u.number = (x) }
  ok(same(INTEGER(1), FLOAT(1.0)) && same(INTEGER(0), FLOAT(-0.0))
     && same(INTEGER(INT64_MIN), FLOAT(-0x1p63)) && !same(INTEGER(INT64_MAX), FLOAT(0x1p63))
     && !same(INTEGER(1), FLOAT(1.5)), "a float with the value of an integer is that key");
  ok(!dict_make_key(the_dict(), &FLOAT(NAN), &k)
     && !dict_make_key(the_dict(), &(struct datum){ .type = DATUM_NONE }, &k)
     && dict_make_key(the_dict(), &FLOAT(INFINITY), &k), "NaN and nothing are no keys");
  block_unref(&subject);
}

static uint64_t hash_of (const uint64_t *words, size_t n) {
  struct datum v = { .type = DATUM_STRING };
  struct dict_key k;
  v.u.string.bytes = (const char *)words;
  v.u.string.length = n * sizeof *words;
  dict_make_key(the_dict(), &v, &k);
  return k.hash;
}

/* Where each word went in by a xor and a multiplication, the difference of the highest
   bit came out as two bits, whatever the seed: a xor in the next word took it back. So
   anybody could make 2^n strings of 16n bytes with one hash. */
static void test_hash (void) {
  bool good = true;
  fresh();
  for (int from = 0; from < 64; from++)
    for (int to = 0; to < 64; to++)
      for (int also = 0; also < 64; also++) {
        uint64_t a[2] = { 1, 2 }, b[2] = { 1 ^ UINT64_C(1) << from, 2 ^ UINT64_C(1) << to };
        if (also != to)
          b[1] ^= UINT64_C(1) << also;
        good = good && hash_of(a, 2) != hash_of(b, 2);
      }
  ok(good, "no difference in one word is taken back by one or two bits in the next");
  block_unref(&subject);
}

static void test_incr (void) {
  size_t before = kit_live();
  struct dict_key k;
  struct datum sum;
  cell old;
  fresh();
  key_of(the_dict(), 0, &k);
  bool good = dict_incr(the_dict(), &k, &INTEGER(5), &sum) == CONC_OK
           && sum.u.integer == 5;
  good = good && dict_incr(the_dict(), &k, &INTEGER(INT64_MAX - 5), &sum) == CONC_OK
      && sum.u.integer == INT64_MAX;   /* in a box now */
  good = good && dict_incr(the_dict(), &k, &INTEGER(1), &sum) == CONC_OK
      && sum.u.integer == INT64_MIN;
  good = good && dict_incr(the_dict(), &k, &FLOAT(0.5), &sum) == CONC_OK
      && sum.type == DATUM_FLOAT && sum.u.number == -0x1p63 + 0.5;
  dict_set(the_dict(), &k, cell_of_short("abc", 3), &old);
  cell_drop(old);
  good = good && dict_incr(the_dict(), &k, &INTEGER(1), &sum) == CONC_MISUSE
      && sum.type == DATUM_STRING;
  block_unref(&subject);
  ok(good && kit_live() == before, "incr starts at 0, wraps, and refuses what is no number");
}

/* {=== killed at every step ===} */

static void change_subject (void *arg) {
  apply(the_dict(), (const struct change *)arg);
}

static void incr_subject (void *arg) {
  struct dict_key key;
  struct datum sum;
  key_of(the_dict(), *(uint32_t *)arg, &key);
  dict_incr(the_dict(), &key, &INTEGER(1), &sum);
}

static void fill (struct model *m, uint32_t from, uint32_t n) {
  memset(m, 0, sizeof *m);
  fresh();
  for (uint32_t k = from; k < from + n; k++) {
    struct change ch = { k, random32(), false };
    apply(the_dict(), &ch);
    apply_to_model(m, &ch);
  }
}

/* One change of a dict with keys 'from' to from + n - 1, of which the first
   'gone' were removed again, killed at step 1, 2, ... */
static bool each_step_of (uint32_t from, uint32_t n, uint32_t gone, struct change ch,
                          long *steps) {
  static struct model old, new;
  bool done = false, good = true;
  for (long step = 1; !done && good; step++) {
    size_t before = kit_live();
    fill(&old, from, n);
    for (uint32_t k = from; k < from + gone; k++) {
      struct change rm = { k, 0, true };
      apply(the_dict(), &rm);
      apply_to_model(&old, &rm);
    }
    new = old;
    apply_to_model(&new, &ch);
    done = survives(change_subject, &ch, step);
    good = valid() && (equals(&new) || (!done && equals(&old)));
    if (good) {   /* what a kill leaves of a key is no obstacle */
      good = apply(the_dict(), &ch) == CONC_OK && equals(&new) && valid();
    }
    block_unref(&subject);
    good = good && kit_live() == before;
    if (!good)
      printf("# key %u, id %u, step %ld; %zu blocks before, %zu after\n",
             ch.k, ch.id, step, before, kit_live());
    ++*steps;
  }
  return good;
}

/* A change by one that dies at it, and then by one that may die when he takes over. */
static bool two_deaths (struct change first, struct change second) {
  static struct model old, either[4];
  size_t before = kit_live();
  bool good = false;
  fill(&old, 8, 13);
  for (int i = 0; i < 4; i++) {
    either[i] = old;
    if (i & 1) apply_to_model(&either[i], &first);
    if (i & 2) apply_to_model(&either[i], &second);
  }
  struct doomed d = { change_subject, &first, 1 + (long)chance(100) };
  siginfo_t info;
  pid_t one = spawn(die_at, &d);
  waitid(P_PID, (id_t)one, &info, WEXITED | WNOWAIT);  /* nobody has been told */
  survives(change_subject, &second, 1 + (long)chance(200));
  waitpid(one, NULL, 0);
  process_look_around();
  for (int i = 0; i < 4; i++)
    good = good || equals(&either[i]);
  good = good && valid();
  block_unref(&subject);
  return good && kit_live() == before;
}

static void test_two_deaths (void) {
  bool good = true;
  for (int i = 0; i < 500 && good; i++)
    good = two_deaths((struct change){ 8 + chance(20), random32(), chance(4) == 0 },
                      (struct change){ 8 + chance(20), random32(), chance(4) == 0 });
  ok(good, "so is each of two, of which the second may be killed when it takes over");
}

static void test_every_step (void) {
  static const uint32_t forms[] = { SMALL, LONG, MESSAGE };
  long steps = 0;
  bool good = true;
  for (int f = 0; f < 3 && good; f++) {
    uint32_t id = 64 + forms[f];
    good = each_step_of(0, 0, 0, (struct change){ 0, id, false }, &steps)   /* first */
        && each_step_of(0, 4, 0, (struct change){ 2, id, false }, &steps)   /* over another */
        && each_step_of(0, 3, 0, (struct change){ SHORT, id, false }, &steps)
        && each_step_of(0, 3, 0, (struct change){ LONG, id, false }, &steps)
        && each_step_of(8, 13, 6, (struct change){ 8 + LARGE, id, false }, &steps)
        && each_step_of(0, 13, 0, (struct change){ 8 + LONG, id, false }, &steps);
  }
  good = good && each_step_of(0, 8, 0, (struct change){ SHORT, 0, true }, &steps)
      && each_step_of(0, 8, 0, (struct change){ LONG, 0, true }, &steps)
      && each_step_of(0, 8, 0, (struct change){ 9, 0, true }, &steps)       /* not there */
      && each_step_of(0, 80, 77, (struct change){ 78, 0, true }, &steps)    /* shrinks */
      && each_step_of(0, 80, 79, (struct change){ 79, 0, true }, &steps);
  ok(good, "a change killed at any step is done or not begun");
  printf("# %ld kills\n", steps);
}

static void test_incr_steps (void) {
  uint32_t k = 0;
  bool done = false, good = true;
  size_t before = kit_live();
  for (long step = 1; !done && good; step++) {
    struct dict_key key;
    struct reading r;
    struct datum sum;
    fresh();
    key_of(the_dict(), k, &key);
    dict_incr(the_dict(), &key, &INTEGER(INT64_MAX - 1), &sum);
    done = survives(incr_subject, &k, step);
    good = dict_get(the_dict(), &key, &r) == CONC_OK && valid()
        && (r.value.u.integer == INT64_MAX
            || (!done && r.value.u.integer == INT64_MAX - 1));
    block_unref(&subject);
  }
  ok(good && kit_live() == before, "so is an incr");
}

static void destroy_one (void *arg) {
  struct block *b = dict_new("doomed");
  (void)arg;
  for (uint32_t k = 0; k < 2 * FORMS; k++) {
    struct change ch = { k, k, false };
    apply(dict_of(b), &ch);
  }
  block_destroy(b);
}

static void walk (void *arg) {
  uint64_t at = 0;
  struct reading key, value;
  (void)arg;
  monitor_acquire(&the_dict()->monitor, &the_dict()->head, "totable");
  do {
    if (dict_next(the_dict(), &at, &key, &value) != CONC_OK)
      break;
    reading_drop(&key);
    reading_drop(&value);
  } while (key.value.type != DATUM_NONE);
  monitor_release(&the_dict()->monitor, &the_dict()->head);
}

static void test_other_steps (void) {
  struct model m;
  bool done = false, good = true;
  size_t before = kit_live();
  fresh();
  for (long step = 1; !done && good; step++) {
    size_t then = kit_live();
    done = survives(destroy_one, NULL, step);
    good = kit_live() == then;
    if (!good) printf("# step %ld: %zu blocks, %zu before\n", step, kit_live(), then);
  }
  block_unref(&subject);
  ok(good, "a dict's end killed at any step leaves nothing");
  fill(&m, 0, 16);
  size_t then = kit_live();
  done = false;
  for (long step = 1; !done && good; step++) {
    done = survives(walk, NULL, step);
    good = valid() && kit_live() == then;
  }
  good = good && equals(&m);
  block_unref(&subject);
  ok(good && kit_live() == before, "nor does one who walks over it");
}

/* {=== killed at random ===} */

static void churn (void *arg) {
  (void)arg;
  for (;;) {
    uint32_t r = chance(16);
    struct change ch = any_change(chance(2));
    if (r == 0) {
      monitor_acquire(&the_dict()->monitor, &the_dict()->head, "with");
      apply(the_dict(), &ch);
      monitor_release(&the_dict()->monitor, &the_dict()->head);
    }
    else if (r == 1)
      walk(NULL);
    else if (r < 10)
      apply(the_dict(), &ch);
    else {
      struct dict_key key;
      struct reading reading;
      key_of(the_dict(), ch.k, &key);
      if (dict_get(the_dict(), &key, &reading) == CONC_OK)
        reading_drop(&reading);
    }
  }
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
    good = valid();
    if (k % 10 == 0)
      walk(NULL);
    child[i] = spawn(churn, NULL);
  }
  for (int i = 0; i < CHILDREN; i++)
    kill_one(child[i]);
  ok(good && valid(), "300 kills at random leave a dict in order");
  block_unref(&subject);
  if (!ok(kit_live() == before, "and nothing else"))
    printf("# %zu blocks before, %zu after\n", before, kit_live());
}

/* {=== threads ===} */

enum { THREADS = 4, ROUNDS = 20000 };

static void *count_up (void *arg) {
  struct dict_key key;
  struct datum sum;
  (void)arg;
  for (uint32_t k = 0; k < ROUNDS; k++) {
    key_of(the_dict(), k % 16, &key);
    if (dict_incr(the_dict(), &key, &INTEGER(1), &sum) != CONC_OK)
      return NULL;
  }
  return the_dict();
}

static void test_threads (void) {
  pthread_t t[THREADS];
  bool good = true;
  int64_t total = 0;
  fresh();
  for (int i = 0; i < THREADS; i++)
    pthread_create(&t[i], NULL, count_up, NULL);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(t[i], &result);
    good = good && result != NULL;
  }
  for (uint32_t k = 0; k < 16; k++) {
    struct dict_key key;
    struct reading r;
    key_of(the_dict(), k, &key);
    dict_get(the_dict(), &key, &r);
    total += r.value.u.integer;
  }
  ok(good && total == THREADS * ROUNDS, "no increment is lost");
  block_unref(&subject);
}

int main (void) {
  begin();
  dict_open();
  test_keys();
  test_hash();
  test_incr();
  test_model();
  test_full();
  test_threads();
  test_other_steps();
  test_incr_steps();
  test_every_step();
  test_two_deaths();
  test_random_kills();
  return end();
}
