/*
** record.c - floor 1: records of threads and processes; handles; the sweep
*/
#include "arena_root.h"
#include "sys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define root  arena_root

#define STATE(word)      ((word) & 7)
#define PARENT(word)     ((word) >> 3)
#define OWNED(parent, s) ((uint32_t)(parent) << 3 | (uint32_t)(s))

__thread struct thread_record *record_mine;
void (*record_leave_gates) (struct thread_record *dead);

/* This process. Written at load and in a child right after the fork. */
static struct process_record *mine;

/*
** Which slots of our handle table are free: of this process alone, guarded by
** 'handles_mutex', which is held over a fork so that the child's copy is true.
*/
static pthread_mutex_t handles_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *free_slots;
static size_t free_count, free_room;
static uint32_t fresh_slot;            /* slots from here on were never used */

/* Free slots that a thread keeps, so that it takes the mutex for every few only.
   Those of other threads are lost to a forked child: numbers, no memory. */
#define SLOTS_KEPT  32
static __thread struct { uint32_t n, slot[SLOTS_KEPT]; } kept;

static void give_back (uint32_t n);

/* {=== threads ===} */

struct thread_record *record_at (uint32_t index) {
  return &root->threads[index < MAX_THREADS ? index : 0];
}

int thread_count (void) {
  return (int)load_relaxed(&root->thread_top);
}

static void raise_top (_Atomic uint32_t *top, uint32_t to) {
  uint32_t now = load_relaxed(top);
  while (now < to && !cas_relaxed(top, &now, to)) {}
}

/* Claims a free record for process p; NULL: none. The claim is one store. */
static struct thread_record *claim (struct process_record *p) {
  uint32_t from = load_relaxed(&root->thread_hint);
  for (uint32_t n = 0; n < MAX_THREADS; n++) {
    struct thread_record *t = &root->threads[(from + n) % MAX_THREADS];
    uint32_t nobody = 0;
    if (load_relaxed(&t->owner) == 0
        && cas_acqrel(&t->owner, &nobody, p->index + 1)) {
      t->index = (from + n) % MAX_THREADS;
      raise_top(&root->thread_top, t->index + 1);
      store_relaxed(&root->thread_hint, t->index + 1);
      return t;
    }
  }
  return NULL;
}

/* The generation has been raised when the last life ended. */
static void begin_life (struct thread_record *t) {
  uint32_t g = load_relaxed(&t->generation);
  if (g == 0) {
    g = 1;
    store_release(&t->generation, g);
  }
  t->key = (thread_key)g << 16 | t->index;
  t->mark = (g & 0x7fff) << 16 | (t->index + 1);
  store_relaxed(&t->cancel, 0);
  store_relaxed(&t->shield, 0);
  store_relaxed(&t->word, 0);
  store_relaxed(&t->wait_object, NULL);
  store_relaxed(&t->wait_verb, NULL);
  store_relaxed(&t->ask_line, 0);
  t->line[0] = '\0';
}

static void end_life (struct thread_record *t) {
  store_release(&t->generation, load_relaxed(&t->generation) + 1);
}

/* What it held, and where it waited. */
static void forget (struct thread_record *t) {
  store_relaxed(&t->depth, 0);
  store_relaxed(&t->doomed, NULL);
  store_relaxed(&t->destroying, 0);
  store_relaxed(&t->ref_step, 0);
  for (int i = 0; i < GUARD_DEPTH; i++)
    store_relaxed(&t->from[i], 0);
  for (int i = 0; i < HELD_MAX; i++)
    store_relaxed(&t->held[i], NULL);
  store_relaxed(&t->node.gate, NULL);
  store_relaxed(&t->again.gate, NULL);
  store_relaxed(&t->more, NULL);
}

struct thread_record *record_attach (void) {
  struct thread_record *t = claim(mine);
  if (t == NULL) {
    fprintf(stderr, "conc: more than %d threads\n", MAX_THREADS);
    abort();
  }
  kill_order();
  forget(t);
  store_relaxed(&t->tid, (int32_t)sys_tid());
  store_relaxed(&t->id, 0);
  store_relaxed(&t->task, NULL);
  t->name[0] = '\0';
  begin_life(t);
  record_mine = t;
  return t;
}

/* A killed renewal is seen as the end of the life before. */
void record_renew (void) {
  struct thread_record *t = self();
  end_life(t);
  begin_life(t);
}

void record_detach (void) {
  struct thread_record *t = record_mine;
  if (t == NULL)
    return;
  uint32_t index = t->index;
  give_back(kept.n);
  record_mine = NULL;
  end_life(t);
  store_release(&t->owner, 0);  /* from here on it may be another's */
  store_relaxed(&root->thread_hint, index);
}

/* Each thread takes some at once. */
#define IDS  64
static __thread uint64_t next_id, last_id;

uint64_t record_new_id (void) {
  if (next_id == last_id) {
    next_id = add_relaxed(&root->next_id, IDS);
    last_id = next_id + IDS;
  }
  return ++next_id;
}

struct thread_record *record_of (thread_key key) {
  return record_ended(key) ? NULL : record_at(KEY_INDEX(key));
}

bool record_ended (thread_key key) {
  struct thread_record *t = record_at(KEY_INDEX(key));
  uint32_t owner = load_acquire(&t->owner);
  if (owner == 0 || load_acquire(&t->generation) != (uint32_t)(key >> 16))
    return true;
  return STATE(load_acquire(&process_at(owner - 1)->owner)) == PROCESS_DEAD;
}

bool record_look (thread_key key) {
  if (record_ended(key))
    return true;
  uint32_t owner = load_acquire(&record_at(KEY_INDEX(key))->owner);
  if (owner == 0)
    return true;
  struct process_record *p = process_at(owner - 1);
  if (p == mine)
    return false;
  process_look(p, load_acquire(&p->generation));
  return record_ended(key);
}

/* {=== processes ===} */

struct process_record *process_at (uint32_t index) {
  return &root->processes[index < root->nprocesses ? index : 0];
}

struct process_record *process_mine (void) {
  return mine;
}

int process_count (void) {
  return (int)load_relaxed(&root->process_top);
}

static struct process_record *claim_process (uint32_t word) {
  uint32_t from = load_relaxed(&root->process_hint);
  uint32_t all = root->nprocesses;
  for (uint32_t n = 0; n < all; n++) {
    struct process_record *p = &root->processes[(from + n) % all];
    uint32_t old = load_relaxed(&p->owner);
    if (STATE(old) == PROCESS_FREE && cas_acqrel(&p->owner, &old, word)) {
      p->index = (from + n) % all;
      raise_top(&root->process_top, p->index + 1);
      store_relaxed(&root->process_hint, p->index + 1);
      store_relaxed(&p->bell, 0);
      store_relaxed(&p->wants, 0);
      return p;
    }
  }
  return NULL;
}

static void free_process (struct process_record *p) {
  uint32_t index = p->index;
  add_relaxed(&p->generation, 1);
  store_release(&p->owner, 0);  /* from here on it may be another's */
  store_relaxed(&root->process_hint, index);
}

static void set_live (struct process_record *p, uint32_t parent, pid_t pid) {
  store_relaxed(&p->pid, (int32_t)pid);
  store_release(&p->ticks, sys_boot_ticks());
  uint32_t embryo = OWNED(parent, PROCESS_EMBRYO);
  cas_release(&p->owner, &embryo, OWNED(parent, PROCESS_LIVE));
}

bool process_died (struct process_record *p) {
  return !sys_process_alive(load_relaxed(&p->pid), load_acquire(&p->ticks));
}

bool process_look (struct process_record *p, uint32_t generation) {
  if (load_acquire(&p->generation) != generation)
    return true;
  uint32_t state = STATE(load_acquire(&p->owner));
  if (p == mine || state == PROCESS_EMBRYO)
    return false;
  if (state == PROCESS_LIVE && !process_died(p))
    return false;
  process_bury(p, generation);
  return true;
}

void process_look_around (void) {
  for (int i = 0; i < process_count(); i++) {
    struct process_record *p = process_at((uint32_t)i);
    if (STATE(load_relaxed(&p->owner)) >= PROCESS_LIVE)
      process_look(p, load_acquire(&p->generation));
  }
}

/* {=== handles ===} */

struct chunk {
  struct block head;                 /* KIND_HANDLES */
  uint32_t process, number;          /* whose, and which; constant */
  struct block *_Atomic place[HANDLE_CHUNK];
};
_Static_assert(sizeof(struct chunk) <= 8 * PAGE_SIZE, "handle chunk");

static struct chunk *chunk_at (struct process_record *p, uint32_t n) {
  return (struct chunk *)(void *)load_acquire(&p->chunks[n]);
}

/* In a dead hand: made, or about to go? It is the sweep's of its process. */
static bool chunk_placed (struct block *b) {
  struct chunk *c = (struct chunk *)(void *)b;
  return chunk_at(process_at(c->process), c->number) == c;
}

static bool chunk_new (struct process_record *p, uint32_t n) {
  struct block *b = arena_alloc(sizeof(struct chunk));
  if (b == NULL)
    return false;
  struct chunk *c = (struct chunk *)(void *)b;
  c->process = p->index;
  c->number = n;
  for (int i = 0; i < HANDLE_CHUNK; i++)
    store_relaxed(&c->place[i], NULL);
  block_ready(b, KIND_HANDLES);
  store_release(&p->chunks[n], b);
  arena_settle(b);
  return true;
}

static void drop_handles (struct process_record *p) {
  uint32_t n = 0;
  while (n < HANDLE_CHUNKS && chunk_at(p, n) != NULL) n++;
  while (n-- > 0) {  /* from the last: killed here, what is left is a prefix */
    struct chunk *c = chunk_at(p, n);
    for (int i = 0; i < HANDLE_CHUNK; i++)
      if (load_relaxed(&c->place[i]) != NULL)
        block_unref(&c->place[i]);
    arena_hold(&c->head);
    store_relaxed(&p->chunks[n], NULL);
    kill_order();
    arena_free(&c->head);
  }
  block_unref(&p->task);
}

/* Counts our handles once more, for p; other threads drop theirs meanwhile. False:
   shared memory is full. */
static bool copy_handles (struct process_record *p) {
  for (uint32_t n = 0; n < HANDLE_CHUNKS; n++) {
    struct chunk *from = chunk_at(mine, n);
    if (from == NULL)
      break;
    if (!chunk_new(p, n))
      return false;
    for (int i = 0; i < HANDLE_CHUNK; i++)
      block_share(&chunk_at(p, n)->place[i], &from->place[i]);
  }
  return true;
}

static struct block *_Atomic *place_of (uint32_t slot) {
  return &chunk_at(mine, slot / HANDLE_CHUNK)->place[slot % HANDLE_CHUNK];
}

/* Under handles_mutex. */
static uint32_t take_slot (void) {
  if (free_count > 0)
    return free_slots[--free_count];
  if (fresh_slot / HANDLE_CHUNK >= HANDLE_CHUNKS)
    return UINT32_MAX;
  if (fresh_slot >= free_room) {  /* room for all to be free again, ahead */
    size_t room = free_room != 0 ? free_room * 2 : 256;
    uint32_t *more = realloc(free_slots, room * sizeof *more);
    if (more == NULL)
      return UINT32_MAX;
    free_slots = more;
    free_room = room;
  }
  if (chunk_at(mine, fresh_slot / HANDLE_CHUNK) == NULL
      && !chunk_new(mine, fresh_slot / HANDLE_CHUNK))
    return UINT32_MAX;
  return fresh_slot++;
}

static bool keep_some (void) {
  uint32_t slot;
  pthread_mutex_lock(&handles_mutex);
  while (kept.n < SLOTS_KEPT / 2 && (slot = take_slot()) != UINT32_MAX)
    kept.slot[kept.n++] = slot;
  pthread_mutex_unlock(&handles_mutex);
  return kept.n > 0;
}

static void give_back (uint32_t n) {
  pthread_mutex_lock(&handles_mutex);
  while (n-- > 0)
    free_slots[free_count++] = kept.slot[--kept.n];
  pthread_mutex_unlock(&handles_mutex);
}

static bool have_slot (void) {
  return kept.n > 0 || keep_some();
}

uint32_t handle_new (struct block *b) {
  if (!have_slot())
    return UINT32_MAX;
  uint32_t slot = kept.slot[--kept.n];
  block_ref(place_of(slot), b);
  return slot;
}

uint32_t handle_first (struct block *b) {
  if (!have_slot())
    return UINT32_MAX;
  uint32_t slot = kept.slot[--kept.n];
  block_ref_first(place_of(slot), b);
  arena_settle(b);
  return slot;
}

struct block *handle_get (uint32_t slot) {
  return load_relaxed(place_of(slot));
}

bool handle_each (uint32_t *at, uint32_t *slot) {
  pthread_mutex_lock(&handles_mutex);
  uint32_t top = fresh_slot;
  *slot = *at < top ? take_slot() : UINT32_MAX;
  pthread_mutex_unlock(&handles_mutex);
  if (*slot == UINT32_MAX)
    return false;
  while (*at < top) {
    uint32_t i = (*at)++;
    if (i != *slot && block_share(place_of(*slot), place_of(i)))
      return true;
  }
  handle_drop(*slot);
  return false;
}

void handle_drop (uint32_t slot) {
  block_unref(place_of(slot));
  if (kept.n == SLOTS_KEPT)
    give_back(SLOTS_KEPT / 2);
  kept.slot[kept.n++] = slot;
}

void handle_withhold (struct process_record *embryo, uint32_t slot) {
  struct chunk *c = chunk_at(embryo, slot / HANDLE_CHUNK);
  if (c != NULL)
    block_unref(&c->place[slot % HANDLE_CHUNK]);
}

/* {=== around a fork ===} */

static __thread uint32_t embryo_life;  /* generation of the embryo */
static __thread bool own_fork;   /* between process_embryo and process_born_* */

struct process_record *process_embryo (bool inherit) {
  struct process_record *p = claim_process(OWNED(mine->index, PROCESS_EMBRYO));
  if (p == NULL) {  /* what a host's own forks left is swept now and then only */
    process_look_around();
    p = claim_process(OWNED(mine->index, PROCESS_EMBRYO));
  }
  if (p == NULL)
    return NULL;
  pthread_mutex_lock(&handles_mutex);
  own_fork = true;
  embryo_life = load_relaxed(&p->generation);
  if (inherit && !copy_handles(p)) {
    process_drop_embryo(p);
    return NULL;
  }
  return p;
}

void process_drop_embryo (struct process_record *p) {
  own_fork = false;
  pthread_mutex_unlock(&handles_mutex);
  drop_handles(p);
  free_process(p);
}

void process_born_parent (struct process_record *p, pid_t pid) {
  own_fork = false;
  pthread_mutex_unlock(&handles_mutex);
  if (load_acquire(&p->generation) == embryo_life)  /* not dead and swept already */
    set_live(p, mine->index, pid);
}

void process_born_child (struct process_record *p) {
  own_fork = false;
  pthread_mutex_unlock(&handles_mutex);
  /* not a look at the parent's record, and a store first: each page of shared memory
     is a fault, and a load takes pages around it along */
  set_live(p, PARENT(load_relaxed(&p->owner)), getpid());
  if (chunk_at(p, 0) == NULL) {  /* not inherited: a table of its own */
    free_count = 0;
    fresh_slot = 0;
    kept.n = 0;
  }
  next_id = last_id = 0;
  mine = p;
  record_mine = NULL;
  self();
}

/* Has another thread of p a record? It may be in a line, or hold something. */
static bool has_others (struct process_record *p, struct thread_record *me) {
  uint32_t top = load_relaxed(&root->thread_top);
  for (uint32_t i = 0; i < top; i++)
    if (load_acquire(&root->threads[i].owner) == p->index + 1
        && &root->threads[i] != me)
      return true;
  return false;
}

/* With other threads there, all is left to who buries us. */
void process_leave (void) {
  struct process_record *p = mine;
  if (has_others(p, record_mine))
    return;
  drop_handles(p);
  record_detach();
  free_process(p);
}

void process_depart (void) {
  if (!has_others(mine, record_mine))
    record_detach();
}

/* {=== the sweep ===} */

/* Whatever guard it held is free and repaired when this returns. */
static void sweep_guards (struct thread_record *t) {
  for (uint32_t d = load_relaxed(&t->depth); d > 0; d--) {
    struct guard *g = load_relaxed(&t->guards[d - 1]);
    if (guard_held(g))
      continue;  /* the sweep guard itself: ours by now */
    if (!guard_take_over(g, t))
      guard_lock(g);  /* another took it over: wait until it has repaired */
    guard_unlock(g);
  }
}

static bool of_process (struct thread_record *t, struct process_record *p) {
  return load_acquire(&t->owner) == p->index + 1;
}

static void sweep_threads (struct process_record *p, uint32_t top) {
  for (uint32_t i = 0; i < top; i++)
    if (of_process(&root->threads[i], p))
      sweep_guards(&root->threads[i]);
  for (uint32_t i = 0; i < top; i++)
    if (of_process(&root->threads[i], p) && record_leave_gates != NULL)
      record_leave_gates(&root->threads[i]);
  for (uint32_t i = 0; i < top; i++)
    if (of_process(&root->threads[i], p))
      arena_sweep_hands(&root->threads[i]);
}

static void sweep (struct process_record *p) {
  uint32_t top = load_relaxed(&root->thread_top);
  bool threads = has_others(p, NULL);  /* none: it departed in good order */
  if (threads)
    sweep_threads(p, top);
  for (uint32_t i = 0; i < (uint32_t)process_count(); i++) {
    struct process_record *q = process_at(i);
    if (load_acquire(&q->owner) == OWNED(p->index, PROCESS_EMBRYO)) {
      drop_handles(q);
      free_process(q);
    }
  }
  drop_handles(p);
  for (uint32_t i = 0; threads && i < top; i++) {
    struct thread_record *t = &root->threads[i];
    if (of_process(t, p)) {
      block_unref(&t->task);
      forget(t);
      end_life(t);
      store_release(&t->owner, 0);
    }
  }
  free_process(p);
}

void process_bury (struct process_record *p, uint32_t generation) {
  uint32_t word = load_acquire(&p->owner);
  if (p == mine || load_acquire(&p->generation) != generation)
    return;
  if (STATE(word) == PROCESS_LIVE)  /* from now on its threads have ended */
    cas_acqrel(&p->owner, &word, OWNED(PARENT(word), PROCESS_DEAD));
  if (load_relaxed(&self()->depth) != 0)
    return;  /* under a guard the sweep must wait: others will, or we later */
  guard_lock(&root->sweep);
  if (load_acquire(&p->generation) == generation
      && STATE(load_acquire(&p->owner)) == PROCESS_DEAD)
    sweep(p);
  guard_unlock(&root->sweep);
}

/* {=== forks that are not ours ===} */

#define FORKS_A_LOOK  64

/* A host's own fork(): its child is a process like any, counted at the fork. These
   are the first to run before it: 'handles_mutex' is taken before those of other files,
   as around a fork of ours. */
static __thread struct process_record *foreign;

/* Such a child ends without a word, and a sweep takes the longer the more there are to
   sweep: who makes many of them looks for dead ones himself. */
static void before_fork (void) {
  static _Atomic uint32_t forks;
  if (own_fork || mine == NULL)
    return;
  if (add_relaxed(&forks, 1) % FORKS_A_LOOK == FORKS_A_LOOK - 1)
    process_look_around();
  foreign = process_embryo(true), own_fork = false;
}

static void after_fork_parent (void) {  /* the pid is not known here: the child tells */
  if (!own_fork && foreign != NULL) {
    pthread_mutex_unlock(&handles_mutex);
    foreign = NULL;
  }
}

static void after_fork_child (void) {
  if (!own_fork && foreign != NULL) {
    process_born_child(foreign);
    foreign = NULL;
  }
}

/* {=== open ===} */

void record_open (void) {
  static const struct kind_ops handles = { .name = NULL, .placed = chunk_placed };
  arena_kind(KIND_HANDLES, &handles);
  mine = claim_process(OWNED(0, PROCESS_EMBRYO));
  set_live(mine, 0, getpid());
  self();
}

void record_forks (void) {
  pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}
