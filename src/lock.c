/*
** lock.c - the lock, plain and recursive: whatever is not one swap
*/
#include "lock.h"
#include "sys.h"

#include <assert.h>
#include <string.h>

#define SPIN_MOST  200

struct block *lock_new (enum kind kind, const char *made) {
  struct block *b = arena_alloc(sizeof(struct lock));
  if (b == NULL)
    return NULL;
  struct lock *l = lock_of(b);
  store_relaxed(&l->owner, 0);
  l->depth = 0;
  store_relaxed(&l->spin, 0);
  guard_init(&l->guard, RANK_OBJECT, (int)kind);
  store_relaxed(&l->line.head, NULL);
  store_relaxed(&l->line.tail, NULL);
  strncpy(l->made, made, MADE_SIZE - 1);
  l->made[MADE_SIZE - 1] = '\0';
  block_ready(b, kind);
  return b;
}

bool lock_valid (struct lock *l) {
  thread_key word = load_relaxed(&l->owner);
  struct wait_node *first = gate_first(&l->line);
  for (struct wait_node *n = first; n != NULL; n = load_relaxed(&n->next))
    if (load_relaxed(&n->gate) != &l->line)
      return false;
  return (word & ~KEY_BIT) == 0 || KEY_INDEX(word) < MAX_THREADS;
}

static void check (struct lock *l) {
#if defined(CONC_DEBUG)
  assert(guard_held(&l->guard) && lock_valid(l));
#else
  (void)l;
#endif
}

/*
** A short section of a running thread is over before we could go to sleep.
** How long to try follows what it took before; tied to one processor the
** holder cannot run while we spin.
*/
static bool spin (struct lock *l, thread_key me) {
  if (sys_cpu_shared() < 2)
    return false;
  uint32_t usual = load_relaxed(&l->spin), n;
  uint32_t limit = usual * 2 + 10 < SPIN_MOST ? usual * 2 + 10 : SPIN_MOST;
  for (n = 0; n < limit; n++) {
    thread_key word = load_relaxed(&l->owner);
    if (word == 0 && cas_acquire(&l->owner, &word, me)) {
      store_relaxed(&l->spin, usual - usual / 8 + n / 8);
      l->depth = 1;
      return true;
    }
    if (word == LOCK_KEPT)
      break;
    sys_relax();
  }
  store_relaxed(&l->spin, usual - usual / 8 + n / 8);
  return false;
}

/* What 'owner' is to be in my hands: marked if others than 'mine' are in line. */
static thread_key marked (struct lock *l, thread_key me, struct wait_node *mine) {
  struct wait_node *n = gate_first(&l->line);
  if (n != NULL && n == mine)
    n = load_relaxed(&n->next);
  return n != NULL ? me | KEY_BIT : me;
}

/*
** Takes the lock if it can be had. Under the guard; 'mine' is my place in line
** or NULL. CONC_OK, CONC_ABANDONED, or CONC_TIMEOUT: it is another's, and
** marked if I am 'staying'.
*/
static int take (struct lock *l, thread_key me, struct wait_node *mine, bool staying) {
  struct wait_node *first = gate_first(&l->line);
  thread_key word = load_relaxed(&l->owner);
  for (;;) {
    thread_key holder = word & ~KEY_BIT;
    bool free = word == 0 || (word == LOCK_KEPT && (first == NULL || first == mine));
    if (free || (holder != 0 && holder != me && record_ended(holder))) {
      if (!cas_acquire(&l->owner, &word, marked(l, me, mine)))
        continue;
      l->depth = 1;
      return free ? CONC_OK : CONC_ABANDONED;
    }
    if (!staying || (word & KEY_BIT)
        || cas_relaxed(&l->owner, &word, word | KEY_BIT))
      return CONC_TIMEOUT;
  }
}

/* Of whom do I wait to do something: the holder, or the one it is kept for. */
static thread_key awaited (struct lock *l, thread_key me) {
  thread_key word = load_relaxed(&l->owner);
  struct wait_node *first = gate_first(&l->line);
  if (word == LOCK_KEPT && first != NULL)
    word = first->key;
  word &= ~KEY_BIT;
  return word != me ? word : 0;
}

/* Asks whether that one lives; the guard is free meanwhile. True: he has ended. */
static bool look (struct lock *l, thread_key me) {
  thread_key whom = awaited(l, me);
  if (whom == 0)
    return false;
  guard_unlock(&l->guard);
  bool ended = record_look(whom);
  guard_lock(&l->guard);
  return ended;
}

/* The caller has left the line without the lock: whom it may have kept waiting.
   Under the guard; the key is to be rung. */
static thread_key pass_on (struct lock *l) {
  struct wait_node *first = gate_first(&l->line);
  thread_key word = load_relaxed(&l->owner);
  if (first != NULL)
    return first->key;
  if (word == LOCK_KEPT)
    cas_relaxed(&l->owner, &word, 0);
  return 0;
}

static int try_once (struct lock *l, thread_key me) {
  int rc;
  guard_lock(&l->guard);
  while ((rc = take(l, me, NULL, false)) == CONC_TIMEOUT && look(l, me)) {}
  check(l);
  guard_unlock(&l->guard);
  return rc;
}

static int stand_in_line (struct lock *l, thread_key me, struct wait *w) {
  nanos looked = 0;
  thread_key next = 0;
  int rc, slept = CONC_OK;
  guard_lock(&l->guard);
  while ((rc = take(l, me, w->node, slept == CONC_OK)) == CONC_TIMEOUT
         && slept == CONC_OK) {
    check(l);
    slept = wait_sleep(w);
    nanos now = sys_now();
    if (looked == 0)
      looked = now;
    else if (now - looked >= LOOK_MIN && slept == CONC_OK) {
      look(l, me);
      looked = now;
    }
  }
  if (rc == CONC_TIMEOUT)
    rc = slept;
  wait_end(w);
  if (rc != CONC_OK && rc != CONC_ABANDONED)
    next = pass_on(l);
  check(l);
  guard_unlock(&l->guard);
  gate_ring(next);
  return rc;
}

static int acquire (struct lock *l, thread_key me, deadline until) {
  struct wait w;
  if (until == DEADLINE_NOW)
    return try_once(l, me);
  if (lock_owner(l) != me && spin(l, me))
    return CONC_OK;
  wait_init(&w, &l->line, &l->guard, until, &l->head, "acquire");
  w.links = until == DEADLINE_NEVER;
  return stand_in_line(l, me, &w);
}

int lock_acquire_slow (struct lock *l, thread_key me, deadline until) {
  if (l->head.kind == KIND_RLOCK && lock_owner(l) == me) {
    if (l->depth == UINT32_MAX)
      return CONC_RANGE;
    l->depth++;
    return CONC_OK;
  }
  int rc = acquire(l, me, until);
  if (tracing() && (rc == CONC_OK || rc == CONC_ABANDONED))
    trace_hold(&l->head, true);
  return rc;
}

/* Gives it up, with somebody in line or not. The store of 'owner' commits. */
static void let_go (struct lock *l, thread_key me) {
  thread_key old = me, next = 0, word = 0;
  if (tracing())
    trace_hold(&l->head, false);
  if (cas_release(&l->owner, &old, 0))
    return;
  guard_lock(&l->guard);
  struct wait_node *first = gate_first(&l->line);
  if (first != NULL) {
    next = first->key;
    if (sys_now() - first->since >= LOCK_PATIENCE)
      word = LOCK_KEPT;
  }
  store_release(&l->owner, word);
  check(l);
  guard_unlock(&l->guard);
  gate_ring(next);
}

int lock_release_slow (struct lock *l, thread_key me) {
  if (lock_owner(l) != me)
    return CONC_NOTHELD;
  if (l->head.kind == KIND_RLOCK && l->depth > 1)
    l->depth--;
  else
    let_go(l, me);
  return CONC_OK;
}

uint32_t lock_give_up (struct lock *l) {
  uint32_t depth = l->depth;
  let_go(l, self()->key);
  return depth;
}

int lock_take_back (struct lock *l, uint32_t depth) {
  struct thread_record *me = self();
  thread_key none = 0;
  int rc = CONC_OK;
  if (!cas_acquire(&l->owner, &none, me->key) && !spin(l, me->key)) {
    struct wait w;
    wait_init(&w, &l->line, &l->guard, DEADLINE_NEVER, &l->head, "acquire");
    w.node = &me->again;
    w.links = w.noninterruptible = true;
    rc = stand_in_line(l, me->key, &w);
  }
  if (rc == CONC_OK || rc == CONC_ABANDONED) {
    l->depth = depth;
    if (tracing())
      trace_hold(&l->head, true);
  }
  return rc;
}

/* {=== what the floors below ask ===} */

static thread_key lock_holder (struct block *b, int i) {
  return i == 0 ? lock_owner(lock_of(b)) : 0;
}

static const char *lock_made (struct block *b) {
  return lock_of(b)->made;
}

static void lock_repair (struct guard *g, struct thread_record *dead) {
  (void)dead;
  gate_repair(&containerof(g, struct lock, guard)->line);
}

void lock_open (void) {
  static const struct kind_ops plain = {
    .name = "lock", .holder = lock_holder, .repair = lock_repair, .made = lock_made };
  static const struct kind_ops recursive = {
    .name = "rlock", .holder = lock_holder, .repair = lock_repair, .made = lock_made };
  arena_kind(KIND_LOCK, &plain);
  arena_kind(KIND_RLOCK, &recursive);
}
