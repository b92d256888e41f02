/*
** roster.c - floor 4: the threads and processes that are alive
*/
#include "roster.h"
#include "sys.h"

#include <pthread.h>
#include <stdlib.h>

#define TIMERS    ((uint32_t)1 << 17)         /* pending, in no thread */
#define PLACES    ((uint32_t)(MAX_THREADS + MAX_PROCESSES) + TIMERS)
#define NO_PLACE  UINT32_MAX

struct roster {
  struct block head;                   /* KIND_RAW; lives as long as the arena */
  struct guard guard;                  /* RANK_POOL: a task's guard may follow */
  _Atomic uint32_t top;                /* R1; grows only */
  uint32_t hint;                       /* where a free place may be */
  struct block *_Atomic place[];
};

static struct roster *roster;          /* constant after init, the same in all processes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct life *lives;
static struct life *spare;             /* to be used again: a keeper that never called
                                          malloc has no pages of it */
static int nlives;
static bool any_life;                  /* there was one, in this process */
static _Atomic uint32_t ends;          /* counts up; futex of those in life_await */
static _Atomic uint32_t awaited;       /* how many those are */
static struct life *_Atomic inherited; /* of a forked child alone: the parent's, until its
                                          own first; of who swaps it out */

static void before_fork (void);
static void in_parent (void);
static void in_child (void);

/* {=== the roster ===} */

/* Under the guard. */
static uint32_t free_place (void) {
  uint32_t top = load_relaxed(&roster->top);
  for (uint32_t i = roster->hint; i < top; i++)
    if (load_relaxed(&roster->place[i]) == NULL)
      return i;
  for (uint32_t i = 0; i < roster->hint && i < top; i++)
    if (load_relaxed(&roster->place[i]) == NULL)
      return i;
  if (top >= PLACES)
    return NO_PLACE;
  store_relaxed(&roster->place[top], NULL);
  kill_order();
  store_relaxed(&roster->top, top + 1);
  return top;
}

static uint32_t enlist (struct block *task) {
  guard_lock(&roster->guard);
  uint32_t i = free_place();
  if (i != NO_PLACE) {
    block_ref(&roster->place[i], task);
    roster->hint = i + 1;
  }
  guard_unlock(&roster->guard);
  return i;
}

/* The caller holds the task too, so nothing is destroyed under the guard. */
static void strike (uint32_t i, struct block *task) {
  guard_lock(&roster->guard);
  if (load_relaxed(&roster->place[i]) == task) {
    block_unref(&roster->place[i]);
    if (i < roster->hint) roster->hint = i;
  }
  guard_unlock(&roster->guard);
}

uint32_t roster_add (struct block *task) {
  return enlist(task);
}

void roster_remove (uint32_t place, struct block *task) {
  if (place != NO_PLACE)
    strike(place, task);
}

/* One that is not forked yet (process.h, P3) is nobody's to see. */
static bool alive (struct block *b) {
  return b != NULL && !task_has_ended(task_state(task_of(b)))
      && load_acquire(&task_of(b)->pid) != 0
      && (load_relaxed(&task_of(b)->flags) & TASK_QUIET) == 0;
}

/* A message with room for 'n' references and no bytes, in the caller's hand. */
static struct block *basket (uint32_t n) {
  struct block *b = arena_alloc(sizeof(struct message) + n * sizeof(struct block *));
  if (b == NULL)
    return NULL;
  struct message *m = (struct message *)(void *)b;
  for (uint32_t i = 0; i < n; i++)
    store_relaxed(&m->refs[i], NULL);
  m->nrefs = n;
  m->flags = 0;
  m->length = 0;
  block_ready(b, KIND_MESSAGE);
  return b;
}

struct block *roster_list (uint32_t *n) {
  uint32_t room = load_relaxed(&roster->top) + 16;
  struct block *b = basket(room);
  if (b == NULL)
    return NULL;
  struct message *m = (struct message *)(void *)b;
  *n = 0;
  guard_lock(&roster->guard);
  for (uint32_t i = 0; i < load_relaxed(&roster->top) && *n < room; i++) {
    struct block *task = load_relaxed(&roster->place[i]);
    if (alive(task))
      block_ref(&m->refs[(*n)++], task);
  }
  guard_unlock(&roster->guard);
  return b;
}

static bool gone (uint32_t process, uint32_t generation) {
  return load_acquire(&process_at(process)->generation) != generation;
}

/* Its process has ended, or was never forked; of a process, its parent has ended
   too, whose keeper would tell. */
bool roster_orphaned (struct task *t) {
  bool begun = load_acquire(&t->pid) != 0;
  if (block_kind(&t->head) == KIND_PROCESS)
    return gone(t->home, t->home_generation)
        && (!begun || gone(t->process, t->process_generation));
  return begun && gone(t->process, t->process_generation);
}

bool roster_find_dead (uint32_t *slot) {
  struct block *found = NULL;
  struct message *m;
  struct block *b = basket(1);
  if (b == NULL)
    return false;
  m = (struct message *)(void *)b;
  guard_lock(&roster->guard);
  for (uint32_t i = 0; i < load_relaxed(&roster->top) && found == NULL; i++) {
    struct block *task = load_relaxed(&roster->place[i]);
    if (task == NULL)
      continue;
    bool orphaned = roster_orphaned(task_of(task));
    block_went(task);  /* who strikes and frees it may be another process's */
    if (orphaned) {
      block_ref(&m->refs[0], found = task);
      block_unref(&roster->place[i]);
    }
  }
  guard_unlock(&roster->guard);
  bool got = found != NULL && (*slot = handle_new(found)) != UINT32_MAX;
  message_drop(b);
  return got;
}

void roster_open (void) {
  struct block *b = arena_alloc(sizeof(struct roster) + PLACES * sizeof(struct block *));
  if (b == NULL)
    abort();  /* 1.3 MB, not touched, of an arena that was just made */
  roster = (struct roster *)(void *)b;
  guard_init(&roster->guard, RANK_POOL, KIND_RAW);
  store_relaxed(&roster->top, 0);
  roster->hint = 0;
  arena_settle(b);
  pthread_atfork(before_fork, in_parent, in_child);
}

/* {=== the lives of this process ===} */

static struct life *life_new (void) {
  pthread_mutex_lock(&lock);
  struct life *l = spare;
  if (l != NULL)
    spare = l->next;
  pthread_mutex_unlock(&lock);
  if (l == NULL && (l = malloc(sizeof *l)) == NULL)
    return NULL;
  *l = (struct life){ .task = NULL };
  return l;
}

static void life_keep (struct life *l) {
  pthread_mutex_lock(&lock);
  l->next = spare;
  spare = l;
  pthread_mutex_unlock(&lock);
}

/* Not under the mutex: a fork holds the handles' mutex when it takes ours. */
static void life_free (struct life *l) {
  handle_drop(l->slot);
  life_keep(l);
}

/* What the parent's lives had of our table is free again. Their handles were
   withheld, but for a fork of the host's own. */
static void forget_inherited (void) {
  if (load_relaxed(&inherited) == NULL)
    return;
  struct life *l = swap_acquire(&inherited, NULL), *next;
  for (; l != NULL; l = next) {
    next = l->next;
    life_free(l);
  }
}

struct life *life_begin (struct block *task) {
  forget_inherited();
  struct life *l = life_new();
  if (l == NULL)
    return NULL;
  l->task = task_of(task);
  l->pins = 1;
  l->slot = handle_new(task);
  if (l->slot == UINT32_MAX) {
    life_keep(l);
    return NULL;
  }
  l->place = enlist(task);
  if (l->place == NO_PLACE) {
    life_free(l);
    return NULL;
  }
  pthread_mutex_lock(&lock);
  l->next = lives;
  if (lives != NULL) lives->prev = l;
  lives = l;
  nlives++;
  any_life = true;
  pthread_mutex_unlock(&lock);
  return l;
}

void life_retire (struct life *l) {
  if (l->place != NO_PLACE)
    strike(l->place, &l->task->head);
  l->place = NO_PLACE;
}

void life_unpin (struct life *l) {
  pthread_mutex_lock(&lock);
  bool last = --l->pins == 0;
  pthread_mutex_unlock(&lock);
  if (last)
    life_free(l);
}

void life_end (struct life *l) {
  life_retire(l);
  pthread_mutex_lock(&lock);
  if (l->prev != NULL) l->prev->next = l->next;
  else lives = l->next;
  if (l->next != NULL) l->next->prev = l->prev;
  nlives--;
  l->over = true;
  bool last = --l->pins == 0;
  pthread_mutex_unlock(&lock);
  add_full(&ends, 1);
  if (load_full(&awaited) > 0)
    sys_futex_wake(&ends, INT32_MAX);
  if (last)
    life_free(l);
}

/* Its task has ended: what is left may take long, where a child's last words are not
   read. False: until the time was over, or the caller is to stop: '*rc' says so. */
static bool await_over (struct life *l, deadline until, int *rc) {
  uint32_t before = load_full(&ends);
  pthread_mutex_lock(&lock);
  bool over = l->over;
  pthread_mutex_unlock(&lock);
  nanos now = sys_now();
  if (over || now >= until)
    *rc = over ? CONC_OK : CONC_TIMEOUT;
  else if ((*rc = gate_pending()) == CONC_OK)
    sys_futex_wait(&ends, before, until - now < LOOK_MAX ? until : now + LOOK_MAX);
  return over;
}

int life_await (struct life *l, deadline until) {
  int rc = task_wait_plain(l->task, until);
  add_full(&awaited, 1);
  while (rc == CONC_OK && !await_over(l, until, &rc)) {}
  add_acqrel(&awaited, UINT32_MAX);
  return rc;
}

static bool fits (struct life *l, uint32_t group, bool daemon) {
  bool its = (load_relaxed(&l->task->flags) & TASK_DAEMON) != 0;
  return its == daemon && (group == 0 || l->task->group == group);
}

struct life *life_find (uint32_t group, bool daemon) {
  pthread_mutex_lock(&lock);
  struct life *l = lives;
  while (l != NULL && !fits(l, group, daemon))
    l = l->next;
  if (l != NULL)
    l->pins++;
  pthread_mutex_unlock(&lock);
  return l;
}

/* The pinned ones stay in the list or have left it, but are not freed. */
void life_each (uint32_t group, bool daemon, void (*f) (struct task *t, void *ctx),
                void *ctx) {
  pthread_mutex_lock(&lock);
  int n = 0;
  struct life **all = nlives > 0 ? malloc((size_t)nlives * sizeof *all) : NULL;
  for (struct life *l = lives; l != NULL && all != NULL; l = l->next) {
    if (fits(l, group, daemon) && !task_has_ended(task_state(l->task))) {
      l->pins++;
      all[n++] = l;
    }
  }
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < n; i++) {
    f(all[i]->task, ctx);
    life_unpin(all[i]);
  }
  free(all);
}

int life_count (void) {
  pthread_mutex_lock(&lock);
  int n = nlives;
  pthread_mutex_unlock(&lock);
  return n;
}

bool life_any (void) {
  pthread_mutex_lock(&lock);
  bool any = any_life;
  pthread_mutex_unlock(&lock);
  return any;
}

/* {=== fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }
static void in_parent (void) { pthread_mutex_unlock(&lock); }

static void in_child (void) {
  store_relaxed(&inherited, lives);
  lives = NULL;
  nlives = 0;
  any_life = false;
  store_relaxed(&awaited, 0);
  pthread_mutex_unlock(&lock);
}

void roster_withhold (struct process_record *embryo) {
  pthread_mutex_lock(&lock);
  for (struct life *l = lives; l != NULL; l = l->next)
    handle_withhold(embryo, l->slot);
  pthread_mutex_unlock(&lock);
}

/* Not freed: to write in them would cost pages. */
void roster_child (bool inherits) {
  if (!inherits)
    store_relaxed(&inherited, NULL);
}
