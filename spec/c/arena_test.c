/*
** arena_test.c - floors 0 to 2 without Lua: blocks, counts, gates, and what a
** SIGKILL at a random instant leaves behind
*/
#include "kit.h"
#include "arena_root.h"              /* pages_trim */

static size_t some_size (void) {
  uint32_t r = chance(100);
  return r < 70 ? 32 + chance(500) : r < 95 ? 32 + chance(20000)
                : 32 + chance(3000000);
}

static void test_blocks (void) {
  enum { N = 400 };
  struct block *b[N] = { NULL };
  size_t size[N], before = kit_live();
  bool whole = true;
  for (int round = 0; round < 20000; round++) {
    int i = (int)chance(N);
    if (b[i] == NULL) {
      size[i] = some_size();
      b[i] = arena_alloc(size[i]);
      if (b[i] == NULL) { whole = false; break; }
      whole = whole && b[i]->size >= size[i] && ((uintptr_t)b[i] & 63) == 0;
      memset((char *)b[i] + sizeof *b[i], i, size[i] - sizeof *b[i]);
      arena_settle(b[i]);
    }
    else {
      char *bytes = (char *)b[i];
      whole = whole && bytes[sizeof *b[i]] == (char)i && bytes[size[i] - 1] == (char)i;
      arena_hold(b[i]);
      arena_free(b[i]);
      b[i] = NULL;
    }
  }
  ok(whole, "blocks do not overlap");
  for (int i = 0; i < N; i++)
    if (b[i] != NULL) { arena_hold(b[i]); arena_free(b[i]); }
  ok(kit_live() == before, "all of them came back");
}

/* {=== kills ===} */

static struct shared {
  struct block head;
  struct block *_Atomic place[64];
  struct guard guard;
  struct gate gate;
  _Atomic uint64_t rounds, turn;
} *shared;

static void churn (void) {
  struct block *mine[8] = { NULL };
  for (;;) {
    int i = (int)chance(8);
    if (mine[i] == NULL) {
      mine[i] = arena_alloc(some_size() / 4 + 32);
      if (mine[i] != NULL && chance(2)) {  /* counted, in a place */
        int p = (int)chance(64);
        guard_lock(&shared->guard);
        if (load_relaxed(&shared->place[p]) == NULL) {
          block_ref(&shared->place[p], mine[i]);
          arena_settle(mine[i]);
          mine[i] = NULL;
        }
        guard_unlock(&shared->guard);
      }
    }
    else {
      arena_free(mine[i]);
      mine[i] = NULL;
    }
    if (chance(8) == 0) {
      int p = (int)chance(64);
      guard_lock(&shared->guard);
      block_unref(&shared->place[p]);
      guard_unlock(&shared->guard);
    }
    add_relaxed(&shared->rounds, 1);
  }
}

static pid_t spawn (void (*f) (void)) {
  struct process_record *p = process_embryo(false);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    if (!sys_die_with_parent(parent)) _exit(1);
    process_born_child(p);
    kit_seed ^= (uint64_t)getpid() * 0x9E3779B97F4A7C15u;
    f();
    _exit(0);
  }
  process_born_parent(p, pid);
  return pid;
}

static void kill_one (pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static void test_kills (void) {
  enum { CHILDREN = 3, KILLS = 300 };
  size_t before = kit_live();
  pid_t child[CHILDREN];
  for (int i = 0; i < CHILDREN; i++)
    child[i] = spawn(churn);
  for (int k = 0; k < KILLS; k++) {
    int i = (int)chance(CHILDREN);
    pause_us((long)chance(3000));
    kill_one(child[i]);
    process_look_around();
    child[i] = spawn(churn);
  }
  for (int i = 0; i < CHILDREN; i++)
    kill_one(child[i]);
  process_look_around();
  for (int p = 0; p < 64; p++)
    block_unref(&shared->place[p]);
  ok(load_relaxed(&shared->rounds) > 1000, "the victims were at work");
  ok(kit_live() == before, "300 kills while allocating and counting leave nothing");
  if (kit_live() != before)
    printf("# %zu blocks before, %zu after\n", before, kit_live());
}

/* A baton goes round by the gate; its holders die. */
static void waiter (void) {
  for (;;) {
    struct wait w;
    wait_init(&w, &shared->gate, &shared->guard, DEADLINE_NEVER, &shared->head, "wait");
    guard_lock(&shared->guard);
    while (load_relaxed(&shared->turn) == 0)
      if (wait_sleep(&w) != CONC_OK) break;
    if (load_relaxed(&shared->turn) > 0)
      store_relaxed(&shared->turn, load_relaxed(&shared->turn) - 1);
    wait_end(&w);
    add_relaxed(&shared->rounds, 1);
    guard_unlock(&shared->guard);
  }
}

static void give (int n) {
  guard_lock(&shared->guard);
  store_relaxed(&shared->turn, load_relaxed(&shared->turn) + (uint64_t)n);
  thread_key k[4] = { 0 };
  for (int i = 0; i < n && i < 4; i++) k[i] = gate_pop(&shared->gate);
  guard_unlock(&shared->guard);
  for (int i = 0; i < 4; i++) gate_ring(k[i]);
}

static bool drained (double seconds) {
  deadline until = sys_deadline(seconds);
  while (load_relaxed(&shared->turn) > 0 && sys_now() < until)
    pause_us(1000);
  return load_relaxed(&shared->turn) == 0;
}

static void test_gate_kills (void) {
  enum { CHILDREN = 4, KILLS = 200 };
  pid_t child[CHILDREN];
  bool good = true;
  guard_init(&shared->guard, RANK_OBJECT, KIND_RAW);
  for (int i = 0; i < CHILDREN; i++)
    child[i] = spawn(waiter);
  for (int k = 0; k < KILLS && good; k++) {
    int i = (int)chance(CHILDREN);
    give(1 + (int)chance(3));
    pause_us((long)chance(500));
    kill_one(child[i]);
    process_look_around();
    child[i] = spawn(waiter);
    good = drained(5);
  }
  ok(good, "a waiter that dies swallows no wake");
  for (int i = 0; i < CHILDREN; i++)
    kill_one(child[i]);
  process_look_around();
  ok(gate_empty(&shared->gate), "the dead have left the line");
}

/* A fork counts the handles that the child is to have; other threads drop theirs
   meanwhile. A block that had just been freed was counted, and then freed again. */
struct lamp { struct block head; _Atomic bool on; };

static _Atomic bool forking, twice;

static _Atomic bool *switch_of (struct block *b) {
  return &((struct lamp *)(void *)b)->on;
}

static void lamp_destroy (struct block *b) {
  if (!swap_acqrel(switch_of(b), false))
    store_relaxed(&twice, true);
}

static void *handle_some (void *unused) {
  enum { SOME = 16 };
  uint32_t slot[SOME];
  (void)unused;
  while (load_relaxed(&forking)) {
    for (int i = 0; i < SOME; i++) {
      struct block *b = arena_alloc(sizeof(struct lamp));
      store_relaxed(switch_of(b), true);
      block_ready(b, KIND_EVENT);
      slot[i] = handle_first(b);
    }
    for (int i = 0; i < SOME; i++) {
      if (!load_relaxed(switch_of(handle_get(slot[i]))))
        store_relaxed(&twice, true);
      handle_drop(slot[i]);
    }
  }
  record_detach();
  return NULL;
}

static void test_copied_handles (void) {
  static const struct kind_ops lamp = { .name = "lamp", .destroy = lamp_destroy };
  size_t before = kit_live();
  pthread_t t[2];
  arena_kind(KIND_EVENT, &lamp);
  store_relaxed(&forking, true);
  for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, handle_some, NULL);
  for (int round = 0; round < 10000; round++)
    process_drop_embryo(process_embryo(true));
  store_relaxed(&forking, false);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  ok(!load_relaxed(&twice) && arena_valid(), "handles are copied while others drop theirs");
  ok(kit_live() <= before + 1, "each of them once");  /* the table of handles stays */
}

static void repair_gate (struct guard *g, struct thread_record *dead) {
  (void)g; (void)dead;
  gate_repair(&shared->gate);
}

static void *timed (void *arg) {
  (void)arg;
  nanos begin = sys_now();
  int rc = gate_sleep(sys_deadline(0.05));
  nanos spent = sys_now() - begin;
  return (void *)(intptr_t)(rc == CONC_TIMEOUT && spent >= 50000000);
}

static void test_sleep (void) {
  pthread_t t[4];
  bool good = true;
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, timed, NULL);
  for (int i = 0; i < 4; i++) {
    void *r;
    pthread_join(t[i], &r);
    good = good && r != NULL;
  }
  ok(good, "no sleep ends early");
}

static _Atomic bool trimming;

static void *trim (void *arg) {
  while (load_relaxed(&trimming))
    pages_trim(0);
  record_detach();
  return arg;
}

/* What gave the pages of a free block back had it counted as in use meanwhile: there
   seemed to be no room for a block that had just been freed. */
static void test_trim (void) {
  struct arena_stats s;
  pthread_t t;
  bool good = true;
  arena_stats(&s);
  size_t before = s.live, size = (s.limit - s.bytes) / 5 * 4;
  store_relaxed(&trimming, true);
  pthread_create(&t, NULL, trim, NULL);
  for (int i = 0; i < 300 && good; i++) {
    struct block *b = arena_alloc(size);
    good = b != NULL;
    if (good)
      arena_free(b);
    pause_us((long)chance(100));
    good = good && kit_live() == before;
  }
  store_relaxed(&trimming, false);
  pthread_join(t, NULL);
  ok(good, "what is freed can be had at once, whoever gives its pages back");
}

int main (void) {
  kit_open();
  guard_on_death(KIND_RAW, repair_gate);
  struct block *b = arena_alloc(sizeof *shared);
  shared = (struct shared *)(void *)b;
  memset((char *)shared + sizeof *b, 0, sizeof *shared - sizeof *b);
  guard_init(&shared->guard, RANK_OBJECT, KIND_RAW);
  arena_settle(b);
  test_blocks();
  test_trim();
  test_sleep();
  test_copied_handles();
  test_kills();
  test_gate_kills();
  return kit_close();
}
