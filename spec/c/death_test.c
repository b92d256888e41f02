/*
** death_test.c - floor 1 without Lua: death at every step of allocating, counting,
** handing out and sweeping, while the living go on before anybody sweeps
**
** After each death others take over the guards it left, drop what it had put into
** places, and reuse the memory; only then is it swept. What they own must
** stay theirs, nothing may be left, and what is derived must be true.
*/
#include "kit.h"
#include "arena_root.h"              /* pages_trim */

#define KIND_BOX  KIND_EVENT         /* any kind that nobody registers here */

struct box {
  struct block head;
  struct block *_Atomic inner;       /* counted */
};

/* What the living and the dead share; 'place' is guarded by 'guard'. */
static struct desk {
  struct block head;
  struct guard guard;
  struct block *_Atomic place;
} *desk;

static size_t base;                  /* blocks when nothing is going on */

/* {=== what is done when death comes ===} */

static size_t sizes[24];             /* what 'take_and_free' allocates; ends with 0 */

static void take_and_free (int i) {
  struct block *b[24];
  int n = 0;
  (void)i;
  for (; sizes[n] != 0; n++)
    b[n] = arena_alloc(sizes[n]);
  while (n-- > 0)
    arena_free(b[n]);
}

static void free_and_trim (int i) {
  take_and_free(i);
  pages_trim(0);
}

static struct block *box_new (void) {
  struct block *inner = arena_alloc(100), *b = arena_alloc(sizeof(struct box));
  struct box *box = (struct box *)(void *)b;
  store_relaxed(&box->inner, NULL);
  block_ready(b, KIND_BOX);
  block_ref(&box->inner, inner);
  arena_settle(inner);
  return b;
}

static void box_destroy (struct block *b) {
  block_unref(&((struct box *)(void *)b)->inner);
}

static void lay_down (int i) {
  struct block *b = box_new();
  (void)i;
  guard_lock(&desk->guard);
  if (load_relaxed(&desk->place) == NULL) {
    block_ref(&desk->place, b);
    arena_settle(b);
    b = NULL;
  }
  guard_unlock(&desk->guard);
  if (b != NULL)
    block_destroy(b);
}

static void clear (void) {
  guard_lock(&desk->guard);
  block_unref(&desk->place);
  guard_unlock(&desk->guard);
}

static void lay_down_and_clear (int i) {
  lay_down(i);
  clear();
}

static void clear_and_lay_down (int i) {
  clear();
  lay_down(i);
}

static void use_handles (int i) {
  struct block *b = box_new();
  (void)i;
  uint32_t slot = handle_first(b), other = handle_new(b);
  handle_drop(slot);
  handle_drop(other);
}

static void prepare_a_child (int i) {
  struct block *b = box_new();
  uint32_t slot = handle_new(b);
  (void)i;
  arena_settle(b);
  struct process_record *p = process_embryo(true);
  process_drop_embryo(p);
  handle_drop(slot);
}

/* {=== the living ===} */

static struct block *kept[512];
static int nkept;
static bool hoard;                   /* 'kept' is not freed before the end */

static void keep (size_t size) {
  struct block *b = arena_alloc(size);
  memset((char *)b + sizeof *b, nkept & 0x7f, size - sizeof *b);
  arena_settle(b);
  kept[nkept++] = b;
}

static bool intact (int i, size_t size) {
  const char *bytes = (const char *)kept[i];
  for (size_t at = sizeof *kept[i]; at < size; at++)
    if (bytes[at] != (char)(i & 0x7f))
      return false;
  return true;
}

static void let_go (void) {
  while (nkept > 0) {
    struct block *b = kept[--nkept];
    arena_hold(b);
    arena_free(b);
  }
}

/* As much as those that died may have freed. */
static void go_on (void) {
  clear();
  if (sizes[0] == 0)
    for (int i = 0; i < 4; i++) keep(i % 2 ? 100 : sizeof(struct box));
  for (int i = 0; sizes[i] != 0; i++)
    keep(sizes[i]);
}

static bool well (void) {
  bool good = kit_live() == base + (size_t)nkept;
  if (!good)
    printf("# %zu blocks, not %zu\n", kit_live(), base + (size_t)nkept);
  if (!arena_valid()) {
    printf("# what is derived is not true\n");
    good = false;
  }
  return good;
}

static bool after (void) {
  int first = nkept;
  go_on();
  process_look_around();             /* the sweep */
  bool good = well();
  for (int i = first, n = 0; i < nkept; i++, n++)
    good = intact(i, sizes[0] != 0 ? sizes[n] : n % 2 ? 100 : sizeof(struct box)) && good;
  if (hoard)
    keep(sizes[0]);                  /* what the dead had is not free for the next */
  else
    let_go();
  return good && well();
}

/* What follows a failure would say nothing. */
static void must (bool good, const char *name) {
  ok(good, name);
  if (!good)
    exit(kit_close());
}

static void walk (const char *name, void (*act) (int)) {
  base = kit_live() - (size_t)nkept;
  must(every_step(act, NULL, after), name);
}

/* {=== death after death ===} */

static bool dies (void (*act) (int), long step, pid_t *pid) {
  bool killed = false;
  kit_act = act;
  kit_step = step;
  *pid = start_child(die_in_act, 0);
  eventually(child_ended(*pid, &killed));
  return killed;
}

/* The first dies at any step, the second at any step while it takes over from it. */
static void test_chain (void) {
  long pairs = 0;
  bool first = true, good = true;
  base = kit_live();
  for (long n = 1; first && good; n++) {
    bool second = true;
    for (long m = 1; second && good; m++, pairs++) {
      pid_t a, b;
      first = dies(lay_down, n, &a);
      second = dies(clear_and_lay_down, m, &b);
      good = after();
      if (!good) printf("# at steps %ld, %ld\n", n, m);
      reap_child(a);
      reap_child(b);
    }
  }
  printf("# %ld pairs\n", pairs);
  must(good, "one dies while it takes over from one that died");
}

/* {=== death of the sweeper ===} */

static pid_t corpse;

static void die_with_much (int i) {
  struct block *b = box_new();
  (void)i;
  handle_new(b);
  arena_settle(b);
  box_new();                         /* in hand */
  arena_alloc(20000);
  process_embryo(true);
  guard_lock(&desk->guard);
  kill(getpid(), SIGKILL);
}

static void lay_out_corpse (void) {
  bool killed;
  corpse = start_child(die_with_much, 1);
  eventually(child_ended(corpse, &killed));
  store_release(&scene->a, 1);
}

static void sweep_it (int i) {
  (void)i;
  while (load_acquire(&scene->a) == 0) pause_us(50);
  process_look_around();
}

/* The corpse is swept by another than its sweeper, whose own sweep comes later: what
   they both held (its handles' table) is long reused then. */
static bool after_sweeper (void) {
  for (int i = 0; i < process_count(); i++) {
    struct process_record *p = process_at((uint32_t)i);
    if (load_relaxed(&p->owner) != 0 && load_relaxed(&p->pid) == corpse)
      process_look(p, load_relaxed(&p->generation));
  }
  for (int i = 0; i < 4; i++)
    keep(HANDLE_CHUNK * sizeof(void *));
  bool good = after();
  reap_child(corpse);
  store_relaxed(&scene->a, 0);
  return good;
}

static void test_sweeper (void) {
  base = kit_live();
  must(every_step(sweep_it, lay_out_corpse, after_sweeper), "sweeping the dead");
}

/* {=== what is left in the records ===} */

static bool notes_nothing (struct thread_record *t) {
  bool nothing = load_relaxed(&t->depth) == 0 && load_relaxed(&t->doomed) == NULL
    && load_relaxed(&t->ref_step) == 0 && load_relaxed(&t->node.gate) == NULL
    && load_relaxed(&t->again.gate) == NULL && load_relaxed(&t->more) == NULL;
  for (int i = 0; i < HELD_MAX; i++)
    nothing = nothing && load_relaxed(&t->held[i]) == NULL;
  for (int i = 0; i < GUARD_DEPTH; i++)
    nothing = nothing && load_relaxed(&t->from[i]) == 0;
  return nothing;
}

/* Who is killed when he has just claimed the record of a dead thread would be taken to
   have died at its guards: they may lie in memory that is something else by now. */
static void test_records (void) {
  bool good = true;
  for (int i = 0; i < thread_count(); i++) {
    struct thread_record *t = record_at((uint32_t)i);
    good = good && (load_relaxed(&t->owner) != 0 || notes_nothing(t));
  }
  ok(good, "the records of the dead note nothing any more");
}

/* {=== */

static void set_sizes (int n, const size_t *list) {
  memset(sizes, 0, sizeof sizes);
  for (int i = 0; i < n; i++)
    sizes[i] = list[i];
}

int main (void) {
  static const struct kind_ops ops = { .name = NULL, .destroy = box_destroy };
  kit_open();
  arena_kind(KIND_BOX, &ops);
  struct block *b = arena_alloc(sizeof *desk);
  desk = (struct desk *)(void *)b;
  guard_init(&desk->guard, RANK_OBJECT, KIND_RAW);
  store_relaxed(&desk->place, NULL);
  stage(b);

  hoard = true;
  set_sizes(1, (size_t[]){ 1 << 20 });
  walk("a block from memory that was never used", take_and_free);
  hoard = false;
  let_go();
  set_sizes(2, (size_t[]){ 300000, 20000 });
  walk("blocks of pages, split and joined", take_and_free);
  walk("idle blocks whose pages are given back", free_and_trim);
  set_sizes(2, (size_t[]){ 100, 500 });
  walk("small blocks", take_and_free);
  set_sizes(9, (size_t[]){ 8000, 8000, 8000, 8000, 8000, 8000, 8000, 8000, 8000 });
  walk("slabs that come and go", take_and_free);
  set_sizes(0, NULL);
  walk("counted blocks and what they own", lay_down_and_clear);
  walk("handles", use_handles);
  walk("what a fork prepares", prepare_a_child);
  test_chain();
  test_sweeper();
  test_records();
  unstage();
  return kit_close();
}
