/*
** queue_test.c - queues without Lua: against a model, under threads and
** processes, killed at every step of every operation and at random instants
** timeout: 240
*/
#include "kit.h"
#include "message.h"
#include "pipe.h"
#include "queue.h"
#include "select.h"
#include "value.h"

/* {=== items: a number, in one of four forms ===} */

enum { TINY, INLINE, LARGE, MENTIONS, FORMS };
#define LARGE_SIZE  3000

static struct block *_Atomic mentioned;   /* its count shows what was kept too long */

static struct queue *the (void) { return queue_of(load_relaxed(&scene->object)); }

static struct parcel parcel_of (uint32_t id) {
  static __thread char bytes[LARGE_SIZE];
  static __thread struct block *refs[1];
  struct parcel p = { .bytes = bytes, .flags = id ^ 0x5a };
  uint32_t form = id % FORMS;
  p.length = form == LARGE ? LARGE_SIZE - id % 100
           : form == INLINE ? 40 + id % 300 : sizeof id;
  memset(bytes, (int)(id * 7), p.length);
  memcpy(bytes, &id, sizeof id);
  refs[0] = load_relaxed(&mentioned);
  p.refs = refs;
  p.nrefs = form == MENTIONS;
  return p;
}

static struct priority priority_of (uint32_t id) {
  struct priority p = { .is_float = id % 3 == 0 };
  if (p.is_float) p.u.n = (double)(id % 5) + (id % 2 ? 0.5 : 0);
  else p.u.i = (int64_t)(id % 5);
  return p;
}
static double number_of (uint32_t id) {
  struct priority p = priority_of(id);
  return p.is_float ? p.u.n : (double)p.u.i;
}

static int put (uint32_t id, deadline until) {
  struct parcel p = parcel_of(id);
  struct priority pri = priority_of(id);
  struct record r;
  if (!queue_pack(the(), &p, &r))
    return CONC_FULL;
  int rc = queue_put(the(), &r, &pri, until);
  if (rc != CONC_OK && (r.head.length & RECORD_BLOCK))
    block_destroy(r.u.block);
  return rc;
}

/* The number in a record, whose block is destroyed; UINT32_MAX: not as put. */
static uint32_t open_record (const struct record_head *h) {
  const struct record *r = (const struct record *)(const void *)h;
  uint32_t id = UINT32_MAX, flags = h->flags;
  const char *bytes = r->u.bytes;
  size_t length = h->length;
  if (h->length & RECORD_BLOCK) {
    struct message *m = (struct message *)(void *)r->u.block;
    bytes = message_bytes(m);
    length = m->length;
    flags = m->flags;
  }
  memcpy(&id, bytes, sizeof id);
  struct parcel p = parcel_of(id);
  bool same = length == p.length && memcmp(bytes, p.bytes, length) == 0 && flags == p.flags;
  if (h->length & RECORD_BLOCK)
    block_destroy(r->u.block);
  return same ? id : UINT32_MAX;
}

static int get (uint32_t *id, deadline until) {
  struct record r;
  struct sink s = { .to = (char *)&r, .size = sizeof r, .max = 1 };
  int rc = queue_get(the(), &s, until);
  if (rc == CONC_OK)
    *id = open_record(&r.head);
  return rc;
}

static uint32_t get_many (uint32_t *ids, uint32_t max) {
  _Alignas(8) char room[4096];
  struct sink s = { .to = room, .size = sizeof room, .max = max };
  if (queue_get(the(), &s, DEADLINE_NOW) != CONC_OK)
    return 0;
  const char *at = room;
  for (uint32_t i = 0; i < s.n; i++) {
    const struct record_head *h = (const struct record_head *)(const void *)at;
    size_t size = record_size(h);
    ids[i] = open_record(h);
    at += size;
  }
  return s.n;
}

static uint64_t put_many (uint32_t from, uint32_t n, int *rc) {
  struct batch b;
  struct source s;
  batch_begin(&b);
  *rc = CONC_OK;
  for (uint32_t i = 0; i < n && *rc == CONC_OK; i++) {
    struct parcel p = parcel_of(from + i);
    struct priority pri = priority_of(from + i);
    if (the()->head.kind == KIND_PRIORITY_QUEUE && !batch_priority(&b, &pri))
      *rc = CONC_FULL;
    else
      *rc = queue_pack(the(), &p, batch_next(&b)) ? batch_add(&b) : CONC_FULL;
  }
  batch_source(&b, &s);
  if (*rc == CONC_OK)
    *rc = queue_put_many(the(), &s, DEADLINE_NOW);
  batch_end(&b);
  return s.done;
}

/* {=== a model ===} */

#define MOST  4000
struct model {
  enum kind kind;
  uint32_t n, id[MOST];
  double pri[MOST];
};

static uint32_t model_next (const struct model *m) {
  uint32_t best = 0;
  if (m->kind == KIND_LIFO_QUEUE)
    return m->n - 1;
  if (m->kind == KIND_PRIORITY_QUEUE)
    for (uint32_t i = 1; i < m->n; i++)
      if (m->pri[i] < m->pri[best]) best = i;
  return best;
}

static void model_put (struct model *m, uint32_t id, double pri) {
  m->id[m->n] = id;
  m->pri[m->n++] = pri;
}

static uint32_t model_get (struct model *m) {
  uint32_t i = model_next(m), id = m->id[i];
  m->n--;
  memmove(&m->id[i], &m->id[i + 1], (m->n - i) * sizeof m->id[0]);
  memmove(&m->pri[i], &m->pri[i + 1], (m->n - i) * sizeof m->pri[0]);
  return id;
}

static const char *name_of (enum kind k) {
  return k == KIND_QUEUE ? "fifo" : k == KIND_LIFO_QUEUE ? "lifo" : "priority";
}

static bool same_peek (const struct model *m) {
  struct record r;
  struct priority pri;
  int rc = queue_peek(the(), &r, &pri);
  if (m->n == 0)
    return rc == CONC_TIMEOUT;
  return rc == CONC_OK && open_record(&r.head) == m->id[model_next(m)];
}

/* One operation on both; false: they differ. */
static bool step (struct model *m, uint32_t *next) {
  uint32_t id, ids[64], n;
  int rc;
  switch (chance(6)) {
    case 0: case 1:
      if (m->n == MOST)
        return put(*next, DEADLINE_NOW) == CONC_TIMEOUT;
      model_put(m, *next, number_of(*next));
      return put((*next)++, DEADLINE_NOW) == CONC_OK;
    case 2:
      n = chance(60);
      id = *next;
      for (uint32_t i = 0; i < n && m->n < MOST; i++)
        model_put(m, id + i, number_of(id + i));
      *next += n;
      put_many(id, n, &rc);
      return rc == CONC_OK || m->n == MOST;
    case 3:
      return same_peek(m);
    case 4:
      n = get_many(ids, 1 + chance(60));
      for (uint32_t i = 0; i < n; i++)
        if (m->n == 0 || model_get(m) != ids[i])
          return false;
      return n > 0 || m->n == 0;
    default:
      rc = get(&id, DEADLINE_NOW);
      return m->n == 0 ? rc == CONC_TIMEOUT : rc == CONC_OK && model_get(m) == id;
  }
}

static void test_model (enum kind kind) {
  static struct model m;
  char text[80];
  size_t before = kit_live();
  uint32_t next = 0;
  bool good = true;
  m.kind = kind;
  m.n = 0;
  stage(queue_new(kind, MOST));
  for (int i = 0; i < 4000 && good; i++) {
    good = step(&m, &next) && queue_length(the()) == m.n;
    if (i % 64 == 0) queue_valid(the());
    uint32_t id;
    if (i % 1000 == 999)
      while (good && m.n > 0)
        good = get(&id, DEADLINE_NOW) == CONC_OK && id == model_get(&m);
  }
  snprintf(text, sizeof text, "%s: as a model of it", name_of(kind));
  ok(good, text);
  unstage();
  snprintf(text, sizeof text, "%s: dropped with what is in it", name_of(kind));
  ok(kit_live() == before, text);
}

/* {=== killed at every step ===} */

enum { PUT, PUT_LARGE, PUT_BATCH, GET, GET_BATCH, CLOSE, DISCARD, DONE, OPS };
static const char *const op_names[OPS] = {
  "put", "put of a block", "put_many", "get", "get_many", "close", "close(true)", "task_done"
};
static int chosen;
static long kill_step_at;

static void operate (int i) {
  uint32_t ids[64], id;
  int rc;
  (void)i;
  store_relaxed(&kill_at, kill_step_at);
  switch (chosen) {
    case PUT: put(1000, DEADLINE_NOW); break;
    case PUT_LARGE: put(1002, DEADLINE_NOW); break;
    case PUT_BATCH: put_many(1000, 40, &rc); break;
    case GET: get(&id, DEADLINE_NOW); break;
    case GET_BATCH: get_many(ids, 20); break;
    case CLOSE: queue_close(the(), false); break;
    case DISCARD: queue_close(the(), true); break;
    case DONE: queue_task_done(the()); break;
    default: break;
  }
  store_relaxed(&kill_at, 0);
}

/* What is in the queue, in order. */
static uint32_t drain (uint32_t *ids) {
  uint32_t n = 0;
  while (n < MOST && get(&ids[n], DEADLINE_NOW) == CONC_OK) n++;
  return n;
}

/* 'ids' must be what was there, less some of the first, or with more at the
   end (fifo); the others put what is new where they do. */
static bool plausible (enum kind kind, const uint32_t *ids, uint32_t n, uint32_t was) {
  uint32_t old = 0, fresh = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (ids[i] == UINT32_MAX) return false;
    if (ids[i] >= 1000) fresh++;
    else old++;
  }
  if (kind == KIND_QUEUE)  /* in order of put; the new ones are a prefix of the batch */
    for (uint32_t i = 1; i < n; i++)
      if (ids[i] != ids[i - 1] + 1 && ids[i] != 1000 && ids[i] != 1002) return false;
  if (chosen <= PUT_BATCH)
    return old == was && fresh <= (chosen == PUT_BATCH ? 40u : 1u);
  if (chosen == GET || chosen == GET_BATCH)
    return fresh == 0 && old <= was && old + (chosen == GET ? 1u : 20u) >= was;
  return fresh == 0 && (old == was || (chosen == DISCARD && old == 0));
}

static void test_steps (enum kind kind, int op) {
  static uint32_t ids[MOST];
  char text[120];
  size_t before = kit_live();
  bool good = true, done = false;
  int steps = 0, survived = 0;
  chosen = op;
  /* with 30 or 61 items some operations go over the end of a segment */
  while (!done && good && steps < 3000) {
    uint32_t was = (uint32_t)(steps % 3 == 0 ? 0 : steps % 3 == 1 ? 30 : 61);
    kill_step_at = ++steps;
    stage(queue_new(kind, QUEUE_UNBOUNDED));
    for (uint32_t i = 0; i < was; i++) put(i + 2, DEADLINE_NOW);  /* first and last: blocks */
    pid_t pid = start_child(operate, 0);
    int status = 0;
    waitpid(pid, &status, 0);
    process_look_around();
    good = WIFEXITED(status) || WTERMSIG(status) == SIGKILL;
    survived = WIFEXITED(status) ? survived + 1 : 0;
    done = survived == 3;  /* whatever it found there */
    queue_valid(the());
    uint32_t n = drain(ids);
    good = good && plausible(kind, ids, n, was);
    if (queue_closed(the()))
      good = good && put(1, DEADLINE_NOW) == CONC_CLOSED;
    else
      good = good && put(7, DEADLINE_NOW) == CONC_OK && get(ids, DEADLINE_NOW) == CONC_OK;
    unstage();
    good = good && kit_live() == before;
  }
  snprintf(text, sizeof text, "%s: killed at each of %d steps of %s", name_of(kind), steps,
           op_names[op]);
  ok(good, text);
}

/* {=== producers and consumers, killed at random ===} */

#define MAKERS  3
#define SEQUENCE  (1 << 17)  /* more than any puts before it is killed */
/* rounds etc. of the scene: what each maker is sure to have put */
static uint32_t id_of (int maker, uint32_t seq) { return (uint32_t)maker << 26 | seq; }

static void make_items (int i) {
  for (uint32_t seq = 0; seq < SEQUENCE; seq++) {
    if (put(id_of(i, seq), DEADLINE_NEVER) != CONC_OK) return;
    store_release(&scene->result[i], (int)seq + 1);
  }
}

/* Whoever takes an item marks it in a map of its own, then counts. */
struct seen { struct block head; _Atomic uint8_t at[MAKERS][SEQUENCE]; };
static struct seen *seen;

static void mark_item (uint32_t id) {
  uint32_t maker = id >> 26, seq = id & 0x3ffffff;
  if (id == UINT32_MAX || maker >= MAKERS || seq >= SEQUENCE)
    add_relaxed(&scene->wrong, 1);
  else
    atomic_fetch_add_explicit(&seen->at[maker][seq], 1, memory_order_relaxed);
}

static void take_items (int i) {
  uint32_t id;
  (void)i;
  while (get(&id, DEADLINE_NEVER) == CONC_OK)
    mark_item(id);
}

/* A victim's last item may be lost in its hands, if it was a taker; nothing else. */
static bool judge (int takers) {
  int lost = 0, doubled = 0, surplus = 0;
  for (int m = 0; m < MAKERS; m++) {
    int sure = load_relaxed(&scene->result[m]);
    for (int s = 0; s < SEQUENCE; s++) {
      int n = load_relaxed(&seen->at[m][s]);
      lost += s < sure && n == 0;
      doubled += n > 1;
      surplus += s > sure && n > 0;
    }
  }
  if (lost > takers || doubled > 0 || surplus > 0 || load_relaxed(&scene->wrong) > 0)
    printf("# lost %d doubled %d surplus %d wrong %d\n", lost, doubled, surplus,
           (int)load_relaxed(&scene->wrong));
  return lost <= takers && doubled == 0 && surplus == 0 && load_relaxed(&scene->wrong) == 0;
}

static void test_kills (enum kind kind, uint64_t bound, bool makers_die, int rounds) {
  char text[120];
  size_t before = kit_live();
  bool good = true;
  int takers = 0;
  seen = (struct seen *)(void *)arena_alloc(sizeof *seen);
  memset((char *)seen + sizeof seen->head, 0, sizeof *seen - sizeof seen->head);
  stage(queue_new(kind, bound));
  for (int r = 0; r < rounds; r++) {
    pid_t pid[MAKERS], victim;
    memset(seen->at, 0, sizeof seen->at);
    store_relaxed(&scene->wrong, 0);
    /* makers: children, or (when takers die) threads of one child */
    for (int i = 0; i < MAKERS; i++) {
      store_relaxed(&scene->result[i], 0);
      pid[i] = start_child(make_items, i);
    }
    victim = start_child(take_items, MAKERS);
    pthread_t taker = start_thread(take_items, MAKERS + 1);
    pause_us(500 + chance(6000));
    if (!makers_die) {
      kill_child(victim);
      takers = 1;
    }
    for (int i = 0; i < MAKERS; i++) {
      pause_us(chance(800));
      kill_child(pid[i]);
    }
    /* makers are dead: close, and let the takers finish */
    queue_close(the(), false);
    join_thread(taker);
    for (int i = 0; i < MAKERS; i++) reap_child(pid[i]);
    reap_child(victim);
    queue_valid(the());
    good = judge(takers) && good;
    unstage();
    stage(queue_new(kind, bound));
  }
  unstage();
  arena_free(&seen->head);
  snprintf(text, sizeof text, "%s, bound %d, %s killed: nothing lost but in a taker's hands",
           name_of(kind), (int)(bound == QUEUE_UNBOUNDED ? 0 : bound),
           makers_die ? "makers" : "makers and a taker");
  ok(good, text);
  ok(kit_live() == before, "and nothing is left in the arena");
}

/* {=== threads ===} */

#define PER_THREAD  20000u
static void put_range (int i) {
  for (uint32_t k = 0; k < PER_THREAD; k++) {
    deadline until = chance(8) == 0 ? sys_now() + chance(20) * 1000 : DEADLINE_NEVER;
    while (put(id_of(i, k * FORMS), until) == CONC_TIMEOUT) {}
  }
}

static void sum_range (int i) {
  uint32_t id;
  uint64_t last[MAKERS] = { 0 };
  (void)i;
  for (;;) {
    int rc = get(&id, chance(4) == 0 ? sys_now() + chance(20) * 1000 : DEADLINE_NEVER);
    if (rc == CONC_CLOSED) return;
    if (rc != CONC_OK) continue;
    uint32_t maker = id >> 26;
    uint64_t seq = id & 0x3ffffff;
    if (maker >= MAKERS || (the()->head.kind == KIND_QUEUE && seq < last[maker]))
      add_relaxed(&scene->wrong, 1);
    else
      last[maker] = seq;
    add_relaxed(&scene->a, 1);
    add_relaxed(&scene->b, seq);
  }
}

static void test_threads (enum kind kind, uint64_t bound) {
  pthread_t maker[MAKERS], taker[2];
  char text[80];
  stage(queue_new(kind, bound));
  for (int i = 0; i < MAKERS; i++) maker[i] = start_thread(put_range, i);
  for (int i = 0; i < 2; i++) taker[i] = start_thread(sum_range, MAKERS + i);
  for (int i = 0; i < MAKERS; i++) join_thread(maker[i]);
  queue_close(the(), false);
  for (int i = 0; i < 2; i++) join_thread(taker[i]);
  uint64_t sum = (uint64_t)MAKERS * FORMS * PER_THREAD * (PER_THREAD - 1) / 2;
  snprintf(text, sizeof text, "%s: three putters, two getters, bound %d", name_of(kind),
           (int)(bound == QUEUE_UNBOUNDED ? 0 : bound));
  ok(load_relaxed(&scene->wrong) == 0 && load_relaxed(&scene->a) == MAKERS * PER_THREAD
     && load_relaxed(&scene->b) == sum, text);
  queue_valid(the());
  unstage();
}

/* {=== waiting ===} */

static void get_one (int i) {
  uint32_t id = 0;
  int rc = get(&id, DEADLINE_NEVER);
  store_release(&scene->result[i], rc == CONC_OK ? (int)id : -rc);
}
static void put_one (int i) {
  store_release(&scene->result[i], 100 + put((uint32_t)i, DEADLINE_NEVER));
}
static void join_it (int i) {
  store_release(&scene->result[i], 100 + queue_join(the(), DEADLINE_NEVER));
}

static void test_waiting (enum kind kind) {
  pthread_t t[4];
  uint32_t id;
  stage(queue_new(kind, 1));
  for (int i = 0; i < 3; i++) {
    t[i] = start_thread(get_one, i);
    eventually(waits(i));
  }
  put(8, SOON);
  join_thread(t[0]);
  ok(load_relaxed(&scene->result[0]) == 8, "who came first is served first");
  nanos begun = sys_now();
  ok(get(&id, begun + 20 * MS) == CONC_TIMEOUT && sys_now() - begun >= 20 * MS,
     "a timeout is not early");
  queue_close(the(), false);
  join_thread(t[1]);
  join_thread(t[2]);
  ok(load_relaxed(&scene->result[1]) == -CONC_CLOSED
     && load_relaxed(&scene->result[2]) == -CONC_CLOSED, "close wakes all getters");
  unstage();
  stage(queue_new(kind, 1));
  put(4, DEADLINE_NOW);
  for (int i = 0; i < 2; i++) {
    t[i] = start_thread(put_one, i);
    eventually(waits(i));
  }
  get(&id, DEADLINE_NOW);
  join_thread(t[0]);
  ok(load_relaxed(&scene->result[0]) == 100 + CONC_OK, "room wakes the putter who came first");
  queue_close(the(), true);
  join_thread(t[1]);
  ok(load_relaxed(&scene->result[1]) == 100 + CONC_CLOSED && queue_length(the()) == 0,
     "close(true) wakes the other, and drops what is there");
  unstage();
}

static void test_join (void) {
  pthread_t t;
  uint32_t id;
  stage(queue_new(KIND_QUEUE, QUEUE_UNBOUNDED));
  for (uint32_t i = 0; i < 3; i++) put(i, DEADLINE_NOW);
  ok(queue_join(the(), DEADLINE_NOW) == CONC_TIMEOUT, "three are to be done");
  t = start_thread(join_it, 0);
  eventually(waits(0));
  get(&id, DEADLINE_NOW);
  get(&id, DEADLINE_NOW);
  ok(queue_task_done(the()) == CONC_OK && queue_task_done(the()) == CONC_OK
     && load_relaxed(&scene->result[0]) == 0, "two of them are");
  queue_close(the(), true);
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == 100 + CONC_OK, "what is dropped counts as done");
  ok(queue_task_done(the()) == CONC_RANGE, "more often than put is refused");
  unstage();
}

/* More was marked done than was got: nobody woke who waited for the rest, and dropped
   items were missing in the count of all (Q4). */
static void test_done_before_got (void) {
  pthread_t t;
  stage(queue_new(KIND_QUEUE, QUEUE_UNBOUNDED));
  for (uint32_t i = 0; i < 3; i++) put(i, DEADLINE_NOW);
  t = start_thread(join_it, 0);
  eventually(waits(0));
  queue_task_done(the());
  queue_task_done(the());
  queue_close(the(), true);
  bool told = gate_empty(&the()->finished);
  join_thread(t);
  ok(told && load_relaxed(&scene->result[0]) == 100 + CONC_OK
     && load_relaxed(&the()->discarded_at) == 2, "what was marked done before it was got is done");
  queue_valid(the());
  unstage();
}

/* A waiter that is killed swallows nothing. */
static void test_dead_waiter (void) {
  uint32_t id;
  bool good = true;
  stage(queue_new(KIND_QUEUE, QUEUE_UNBOUNDED));
  for (int r = 0; r < 10 && good; r++) {
    pid_t pid = start_child(get_one, 0);
    await_child(0);
    eventually(waits(0));
    pthread_t t = start_thread(get_one, 1);
    eventually(waits(1));
    kill_child(pid);
    put(12, DEADLINE_NOW);
    join_thread(t);
    good = load_relaxed(&scene->result[1]) == 12;
    reap_child(pid);
  }
  ok(good && get(&id, DEADLINE_NOW) == CONC_TIMEOUT, "a dead waiter swallows no item");
  unstage();
}

static void take_some (int i) {
  uint32_t id;
  while (get(&id, DEADLINE_NEVER) == CONC_OK)
    add_relaxed(&scene->result[i], 1);
}

static void test_turns (void) {
  pthread_t t[4];
  int least = 1 << 30;
  stage(queue_new(KIND_QUEUE, QUEUE_UNBOUNDED));
  for (int i = 0; i < 4; i++) {
    store_relaxed(&scene->result[i], 0);
    t[i] = start_thread(take_some, i);
  }
  for (uint32_t k = 0; k < 20000; k++) {
    put(k * FORMS, DEADLINE_NOW);
    if (k % 4 == 0) pause_us(1);
  }
  queue_close(the(), false);
  for (int i = 0; i < 4; i++) join_thread(t[i]);
  for (int i = 0; i < 4; i++)
    if (load_relaxed(&scene->result[i]) < least) least = load_relaxed(&scene->result[i]);
  ok(least > 1000, "four getters all get a share");
  unstage();
}

/* {=== pipes, select ===} */

static void test_pipe (void) {
  struct block *ends[2];
  size_t before = kit_live();
  struct parcel p = { .bytes = "x", .length = 1 };
  struct record r;
  struct sink s = { .to = (char *)&r, .size = sizeof r, .max = 1 };
  ok(pipe_new(ends), "a pipe is made");
  queue_pack(pipe_out(ends[0]), &p, &r);
  ok(queue_put(pipe_out(ends[0]), &r, NULL, DEADLINE_NOW) == CONC_OK
     && queue_poll(pipe_in(ends[1]), DEADLINE_NOW) == CONC_OK, "what one sends is there");
  block_destroy(ends[0]);
  ok(queue_get(pipe_in(ends[1]), &s, DEADLINE_NOW) == CONC_OK && r.u.bytes[0] == 'x',
     "and is received after the end is gone");
  ok(queue_get(pipe_in(ends[1]), &s, DEADLINE_NEVER) == CONC_CLOSED
     && queue_put(pipe_out(ends[1]), &r, NULL, DEADLINE_NEVER) == CONC_CLOSED,
     "then both directions are closed");
  block_destroy(ends[1]);
  ok(kit_live() == before, "and it leaves nothing");
}

static int look_at (void *ctx, int i) {
  struct block **list = (struct block **)ctx;
  return queue_length(queue_of(list[i])) > 0 ? CONC_OK
       : queue_closed(queue_of(list[i])) ? CONC_CLOSED : CONC_TIMEOUT;
}

static struct block *both[2];
static void select_one (int i) {
  int which = -1;
  int rc = select_wait(both, 2, 0, DEADLINE_NEVER, look_at, both, &which);
  store_release(&scene->result[i], rc == CONC_OK ? which + 1 : -rc);
}

static void test_select (void) {
  size_t before = kit_live();
  pthread_t t, u;
  uint32_t id;
  stage(queue_new(KIND_QUEUE, QUEUE_UNBOUNDED));
  both[0] = load_relaxed(&scene->object);
  both[1] = queue_new(KIND_QUEUE, QUEUE_UNBOUNDED);
  struct parcel p = { .bytes = "x", .length = 1 };
  struct record r;
  queue_pack(queue_of(both[1]), &p, &r);
  t = start_thread(select_one, 0);
  eventually(waits(0));
  queue_put(queue_of(both[1]), &r, NULL, DEADLINE_NOW);
  join_thread(t);
  ok(load_relaxed(&scene->result[0]) == 2, "select sees the second queue");
  /* killed in both lines: the sweep takes it out */
  struct sink s = { .to = (char *)&r, .size = sizeof r, .max = 1 };
  queue_get(queue_of(both[1]), &s, DEADLINE_NOW);
  pid_t pid = start_child(select_one, 1);
  await_child(1);
  eventually(waits(1));
  kill_child(pid);
  u = start_thread(get_one, 2);
  eventually(waits(2));
  put(4, DEADLINE_NOW);
  join_thread(u);
  reap_child(pid);
  ok(load_relaxed(&scene->result[2]) == 4 && gate_empty(&queue_of(both[1])->nonempty),
     "a killed select swallows no item and leaves its lines");
  queue_close(the(), false);
  queue_close(queue_of(both[1]), false);
  ok(select_wait(both, 2, 0, DEADLINE_NEVER, look_at, both, &(int){ 0 }) == CONC_CLOSED,
     "all closed");
  ok(get(&id, DEADLINE_NOW) == CONC_CLOSED, "and drained");
  block_destroy(both[1]);
  unstage();
  ok(kit_live() == before, "nothing left of select");
}

int main (void) {
  static const enum kind kinds[] = { KIND_QUEUE, KIND_LIFO_QUEUE, KIND_PRIORITY_QUEUE };
  kit_open();
  message_open();
  value_open();
  queue_open();
  pipe_open();
  select_open();
  struct block *b = value_new(VALUE_INTEGER, 0);
  block_ref(&mentioned, b);
  arena_settle(b);
  for (int k = 0; k < 3; k++) test_model(kinds[k]);
  for (int k = 0; k < 3; k++) test_waiting(kinds[k]);
  test_join();
  test_done_before_got();
  test_turns();
  test_dead_waiter();
  test_pipe();
  test_select();
  for (int k = 0; k < 3; k++) {
    test_threads(kinds[k], QUEUE_UNBOUNDED);
    test_threads(kinds[k], 3);
  }
  for (int k = 0; k < 3; k++)
    for (int op = 0; op < OPS; op++)
      test_steps(kinds[k], op);
  for (int k = 0; k < 3; k++) {
    test_kills(kinds[k], QUEUE_UNBOUNDED, true, 20);
    test_kills(kinds[k], 5, true, 20);
    test_kills(kinds[k], QUEUE_UNBOUNDED, false, 20);
    test_kills(kinds[k], 5, false, 20);
  }
  ok(load_relaxed(&load_relaxed(&mentioned)->refs) == 1, "what messages mentioned is free");
  return kit_close();
}
