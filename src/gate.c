/*
** gate.c - floor 2: lines of waiting threads; the only sleep
*/
#include "gate.h"
#include "sys.h"
#include "trace.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

void (*gate_describe) (struct block *b, char *to, size_t size);

/* Guards who waits for whom while a cycle is looked for: in the arena, since
   the links cross processes. */
struct links { struct block head; struct guard guard; };
static struct links *links;

static __thread struct gate_hooks hooks thread_near;
static __thread char story[1024];

/* {=== lines ===} */

struct wait_node *gate_first (struct gate *g) {
  return load_relaxed(&g->head);
}

/* A node that waited before (was woken in vain) goes to the front again. */
static void join_front (struct gate *g, struct wait_node *n) {
  struct wait_node *first = load_relaxed(&g->head);
  store_relaxed(&n->next, first);
  if (first == NULL)
    store_relaxed(&g->tail, n);
  kill_order();
  store_release(&g->head, n);
}

static void join_back (struct gate *g, struct wait_node *n) {
  struct wait_node *last = load_relaxed(&g->tail);
  store_relaxed(&n->next, NULL);
  kill_order();
  if (last == NULL)
    store_release(&g->head, n);
  else
    store_release(&last->next, n);
  kill_order();
  store_relaxed(&g->tail, n);
}

static void node_note (struct gate *g, struct guard *guard, struct wait_node *n,
                       nanos since) {
  n->key = self()->key;
  n->guard = guard;
  n->since = since;
  store_relaxed(&n->state, NODE_WAITING);
  kill_order();
  store_release(&n->gate, g);
  kill_order();
}

void gate_join (struct gate *g, struct guard *guard, struct wait_node *n) {
  node_note(g, guard, n, sys_now());
  join_back(g, n);
}

/* Takes n out if it is in the line: the links say so, not its state. */
static bool unlink_node (struct gate *g, struct wait_node *n) {
  struct wait_node *before = NULL, *at = load_relaxed(&g->head);
  while (at != NULL && at != n) {
    before = at;
    at = load_relaxed(&at->next);
  }
  if (at == NULL)
    return false;
  struct wait_node *next = load_relaxed(&n->next);
  if (before == NULL)
    store_release(&g->head, next);
  else
    store_release(&before->next, next);
  kill_order();
  if (next == NULL)
    store_relaxed(&g->tail, before);
  return true;
}

bool gate_leave (struct wait_node *n) {
  struct gate *g = load_relaxed(&n->gate);
  if (g == NULL)
    return true;
  bool was_in = unlink_node(g, n);
  kill_order();
  store_relaxed(&n->state, NODE_OUT);
  store_release(&n->gate, NULL);
  return was_in;
}

thread_key gate_pop (struct gate *g) {
  struct wait_node *n = load_relaxed(&g->head);
  if (n == NULL)
    return 0;
  thread_key key = n->key;
  struct wait_node *next = load_relaxed(&n->next);
  if (next == NULL)
    store_relaxed(&g->tail, NULL);
  kill_order();
  store_release(&g->head, next);
  kill_order();
  store_release(&n->state, NODE_WOKEN);
  return key;
}

void gate_repair (struct gate *g) {
  struct wait_node *n = load_relaxed(&g->head), *last = NULL;
  for (; n != NULL; n = load_relaxed(&n->next))
    last = n;
  store_relaxed(&g->tail, last);
}

/* {=== ringing ===} */

static void wake_word (struct thread_record *t, uint32_t word) {
  if (word & WORD_NEAR)
    sys_futex_wake_near(&t->word, 1);
  else
    sys_futex_wake(&t->word, 1);
}

/* The key may name a life that has ended: then the ring is a spurious one. */
void gate_ring (thread_key key) {
  if (key == 0)
    return;
  struct thread_record *t = record_at(KEY_INDEX(key));
  uint32_t old = swap_acqrel(&t->word, WORD_RUNG);
  if (old & WORD_ASLEEP)
    wake_word(t, old);
}

void gate_wake_all (struct gate *g) {
  thread_key key;
  while ((key = gate_pop(g)) != 0)
    gate_ring(key);
}

bool gate_cancel (thread_key key) {
  if (record_ended(key))
    return false;
  struct thread_record *t = record_at(KEY_INDEX(key));
  store_full(&t->cancel, (uint32_t)(key >> 16) | 1u << 31);
  gate_ring(key);
  return !record_ended(key);
}

/* {=== what may end a wait ===} */

static bool cancel_pending (struct thread_record *me) {
  uint32_t c = load_relaxed(&me->cancel);
  return unlikely(c != 0)
      && c == ((uint32_t)(me->key >> 16) | 1u << 31)  /* meant for this life */
      && load_relaxed(&me->shield) == 0
      && !(hooks.shielded != NULL && hooks.shielded(hooks.ctx));
}

int gate_pending (void) {
  if (cancel_pending(self()))
    return CONC_CANCELLED;
  return hooks.interrupted != NULL && hooks.interrupted(hooks.ctx)
       ? CONC_INTERRUPTED : CONC_OK;
}

void gate_set_hooks (const struct gate_hooks *h) {
  static const struct gate_hooks none = { NULL, NULL, NULL, NULL };
  hooks = h != NULL ? *h : none;
}

void gate_get_hooks (struct gate_hooks *h) {
  *h = hooks;
}

/* {=== the sleep ===} */

/*
** Spinning. A wake that comes within a microsecond or two costs less than a
** sleep (12 us and more on two processors). How long to spin follows what came
** of it before: grows by what was needed, shrinks when it was in vain. Tied to
** one processor nobody can ring while we spin, so we do not.
*/
#define SPIN_MOST   600
#define SPIN_LEAST  20
static __thread int spin_limit thread_near = 100;

static bool spin (struct thread_record *me) {
  if (sys_cpu_shared() < 2)
    return false;
  int limit = spin_limit;
  for (int i = 0; i < limit; i++) {
    if (load_acquire(&me->word) == WORD_RUNG) {
      int want = i * 2 + 50;
      spin_limit += (want - spin_limit) / 4;
      if (spin_limit > SPIN_MOST) spin_limit = SPIN_MOST;
      return true;
    }
    sys_relax();
  }
  spin_limit -= spin_limit / 8;
  if (spin_limit < SPIN_LEAST) spin_limit = SPIN_LEAST;
  return false;
}

static void note_line (struct thread_record *me) {
  if (hooks.note_line != NULL)
    hooks.note_line(hooks.ctx, me->line, sizeof me->line);
}

void nap_begin (struct block *object, const char *verb, deadline until) {
  struct thread_record *me = self();
  if (tracing())
    note_line(me);
  store_relaxed(&me->wait_verb, verb);
  store_relaxed(&me->wait_until, until);
  store_relaxed(&me->wait_since, sys_now());
  store_relaxed(&me->word, WORD_AWAKE);
  store_release(&me->wait_object, object);
}

void nap_end (void) {
  struct thread_record *me = self();
  if (tracing())
    trace_wait(load_relaxed(&me->wait_object), load_relaxed(&me->wait_verb),
               load_relaxed(&me->wait_since));
  store_relaxed(&me->wait_links, 0);
  store_relaxed(&me->wait_object, NULL);
  store_release(&me->wait_verb, NULL);
}

/* The dead that somebody found under a guard, and could not bury. */
static void bury_found (void) {
  for (int i = 0; i < process_count(); i++) {
    struct process_record *p = process_at((uint32_t)i);
    if ((load_relaxed(&p->owner) & 7) == PROCESS_DEAD)
      process_bury(p, load_acquire(&p->generation));
  }
}

/* {=== the lookout ===} */

/* Has those of this process look that sleep in one of the ways of 'how'. */
static bool make_look (uint32_t how) {
  uint32_t mine = process_mine()->index + 1;
  bool some = false;
  fence_full();  /* what the caller has said, then the look: at how many there are, too */
  for (int i = 0; i < thread_count(); i++) {
    struct thread_record *t = record_at((uint32_t)i);
    uint32_t word = load_full(&t->word);
    if ((word & how) && load_relaxed(&t->owner) == mine) {
      some = true;
      if (cas_acqrel(&t->word, &word, WORD_LOOK))
        wake_word(t, word);
    }
  }
  return some;
}

/* Of this process. RESTS -> LOOKS by who dozes off, the other way by himself. */
enum lookout { LOOKOUT_NONE = 0, LOOKOUT_RESTS, LOOKOUT_LOOKS };
static _Atomic uint32_t lookout;
static void (*call_lookout) (void);

void gate_lookout (void (*call) (void)) {
  if (call != NULL)
    call_lookout = call;
  store_full(&lookout, call != NULL ? LOOKOUT_LOOKS : LOOKOUT_NONE);
}

bool gate_look_out (void) {
  store_full(&lookout, LOOKOUT_RESTS);
  if (!make_look(WORD_DOZES))
    return load_relaxed(&lookout) == LOOKOUT_LOOKS;
  store_full(&lookout, LOOKOUT_LOOKS);
  return true;
}

/* The caller's word says that it dozes. */
static void look_to_lookout (void) {
  uint32_t rests = LOOKOUT_RESTS;
  if (load_full(&lookout) == LOOKOUT_RESTS
      && cas_full(&lookout, &rests, LOOKOUT_LOOKS))
    call_lookout();
}

/* Constant from the first fork on, and in children. */
static _Atomic bool not_alone;

static void before_fork (void) {
  if (!load_relaxed(&not_alone)) {
    store_full(&not_alone, true);
    make_look(WORD_NEAR);
  }
}

/* {=== the nap ===} */

/* It has slept long: it is time to look whether all are well. */
static void slept_long (struct thread_record *me, nanos *look) {
  if (*look == LOOK_MIN)  /* not before: most waits are short */
    note_line(me);
  if (*look < LOOK_MAX)
    *look = *look * 2 < LOOK_MAX ? *look * 2 : LOOK_MAX;
  bury_found();
}

/* Until it is rung; false: until it is time to look. */
static bool sleep_until_rung (struct thread_record *me, uint32_t how, deadline until) {
  uint32_t word = WORD_AWAKE;
  int rc;
  if (!load_relaxed(&not_alone))
    how |= WORD_NEAR;
  if (!cas_full(&me->word, &word, how))
    return true;  /* asked before it slept, not rung: the word was not ASLEEP yet */
  if (how & WORD_DOZES)
    look_to_lookout();
  if (!(how & WORD_NEAR))
    rc = sys_futex_wait(&me->word, how, until);
  else if (!load_full(&not_alone))
    rc = sys_futex_wait_near(&me->word, how, until);
  else
    return true;
  return rc != CONC_TIMEOUT && load_relaxed(&me->word) != WORD_LOOK;
}

/*
** Sleeps until rung, or until it is time to look: CONC_OK either way. The word
** is left AWAKE, so a ring that comes later is not lost. Without guards.
*/
int nap (nanos *look, deadline until, bool noninterruptible) {
  struct thread_record *me = self();
  int rc = noninterruptible ? CONC_OK : gate_pending();
  if (rc != CONC_OK)
    return rc;
  bool first = *look == 0;
  nanos now = first ? load_relaxed(&me->wait_since) : sys_now();
  if (until != DEADLINE_NEVER && now >= until)
    return CONC_TIMEOUT;
  if (!spin(me)) {
    bool doze = first && until == DEADLINE_NEVER
             && load_relaxed(&lookout) != LOOKOUT_NONE;
    if (first)
      *look = LOOK_MIN;
    deadline wake = doze ? DEADLINE_NEVER : now + *look;
    if (!sleep_until_rung(me, WORD_ASLEEP | (doze ? WORD_DOZES : 0u),
                          wake < until ? wake : until))
      slept_long(me, look);
  }
  swap_acqrel(&me->word, WORD_AWAKE);  /* sees what was done before the ring */
  return noninterruptible ? CONC_OK : gate_pending();
}

int gate_sleep (deadline until) {
  nanos look = 0;
  int rc;
  nap_begin(NULL, "sleep", until);
  do rc = nap(&look, until, false); while (rc == CONC_OK);
  nap_end();
  return rc;
}

/* {=== deadlocks ===} */

#define CYCLE_MAX  64

void gate_name (struct block *b, char *to, size_t size) {
  const char *name = block_ops(b)->name;
  const char *made = block_ops(b)->made != NULL ? block_ops(b)->made(b) : "";
  snprintf(to, size, *made != '\0' ? "%s made at %s" : "%s",
           name != NULL ? name : "", made);
  if (gate_describe != NULL)
    gate_describe(b, to, size);
}

static const char *name_of (struct thread_record *t) {
  return t->name[0] != '\0' ? t->name : "main";
}

struct cycle { thread_key who[CYCLE_MAX]; struct block *what[CYCLE_MAX]; int n; };

/* Depth first from 'key'; true: a way leads back to who[0]. Links only grow
   while the guard is held, so a cycle seen is a cycle. */
static bool follow (struct cycle *c, thread_key key) {
  if (key == c->who[0])
    return true;
  if (key == 0 || c->n >= CYCLE_MAX || record_ended(key))
    return false;
  for (int i = 1; i < c->n; i++)
    if (c->who[i] == key)
      return false;
  struct thread_record *t = record_at(KEY_INDEX(key));
  struct block *b = load_acquire(&t->wait_object);
  if (load_acquire(&t->wait_links) == 0 || b == NULL
      || block_ops(b)->holder == NULL)
    return false;
  c->who[c->n] = key;
  c->what[c->n] = b;
  c->n++;
  thread_key next;
  for (int i = 0; (next = block_ops(b)->holder(b, i)) != 0; i++)
    if (follow(c, next))
      return true;
  c->n--;
  return false;
}

static void tell (struct cycle *c) {
  size_t at = 0;
  story[0] = '\0';
  for (int i = 0; i < c->n && at < sizeof story; i++) {
    char what[160];
    gate_name(c->what[i], what, sizeof what);
    const char *holder = name_of(record_at(KEY_INDEX(c->who[(i + 1) % c->n])));
    const char *who = name_of(record_at(KEY_INDEX(c->who[i])));
    const char *verb = load_relaxed(&record_at(KEY_INDEX(c->who[i]))->wait_verb);
    bool run = verb != NULL && strcmp(verb, "acquire") != 0;
    int n = snprintf(story + at, sizeof story - at, run
                     ? "%s\"%s\" waits for %s, run by \"%s\""
                     : "%s\"%s\" waits for %s, held by \"%s\"",
                     i > 0 ? "; " : "", who, what, holder);
    if (n < 0)
      break;
    at += (size_t)n;
  }
}

const char *gate_story (void) {
  return story;
}

/* Declares the caller's wait for b, then looks whether that closed a cycle.
   One at a time: of those that close a cycle only the last raises. */
static int declare_link (struct thread_record *me, struct block *b) {
  struct cycle c;
  bool closed = false;
  thread_key next;
  c.who[0] = me->key;
  c.what[0] = b;
  c.n = 1;
  guard_lock(&links->guard);
  store_release(&me->wait_links, 1);
  for (int i = 0; !closed && block_ops(b)->holder != NULL
                  && (next = block_ops(b)->holder(b, i)) != 0; i++)
    closed = follow(&c, next);
  if (closed) {
    store_release(&me->wait_links, 0);
    tell(&c);
  }
  guard_unlock(&links->guard);
  return closed ? CONC_DEADLOCK : CONC_OK;
}

int gate_holders (struct thread_record *t, struct block **object, thread_key *keys, int max) {
  int n = 0;
  guard_lock(&links->guard);
  struct block *b = load_acquire(&t->wait_object);
  *object = b;
  if (b != NULL && block_ops(b)->holder != NULL)
    while (n < max && (keys[n] = block_ops(b)->holder(b, n)) != 0)
      n++;
  guard_unlock(&links->guard);
  return n;
}

/* {=== waiting in one line ===} */

void wait_init (struct wait *w, struct gate *gate, struct guard *guard,
                deadline until, struct block *object, const char *verb) {
  w->gate = gate;
  w->guard = guard;
  w->node = NULL;
  w->object = object;
  w->verb = verb;
  w->until = until;
  w->look = 0;
  w->links = w->noninterruptible = w->last_first = false;
  w->woken = w->entered = w->declared = false;
}

static int enter (struct wait *w) {
  struct thread_record *me = self();
  if (!w->entered) {
    if (w->node == NULL)
      w->node = &me->node;
    nap_begin(w->object, w->verb, w->until);
    w->entered = true;
  }
  else
    store_relaxed(&me->wait_until, w->until);  /* it may be another now */
  if (w->links && !w->declared && w->until == DEADLINE_NEVER) {
    w->declared = true;
    return declare_link(me, w->object);
  }
  return CONC_OK;
}

int wait_sleep (struct wait *w) {
  if (w->until == DEADLINE_NOW)
    return CONC_TIMEOUT;
  int rc = enter(w);
  if (rc != CONC_OK)
    return rc;
  if (load_relaxed(&w->node->gate) == NULL) {
    bool first = w->look == 0;  /* a moment ago: spares a look at the clock */
    node_note(w->gate, w->guard, w->node,
              first ? load_relaxed(&self()->wait_since) : sys_now());
    if (w->woken || w->last_first)
      join_front(w->gate, w->node);
    else
      join_back(w->gate, w->node);
  }
  guard_unlock(w->guard);
  rc = nap(&w->look, w->until, w->noninterruptible);
  guard_lock(w->guard);
  if (load_relaxed(&w->node->state) == NODE_WOKEN) {
    store_relaxed(&w->node->state, NODE_OUT);
    store_release(&w->node->gate, NULL);
    w->woken = true;
    if (rc != CONC_OK)  /* not for us then: the next one's */
      gate_ring(gate_pop(w->gate));
  }
  return rc;
}

void wait_end (struct wait *w) {
  if (!w->entered)
    return;
  gate_leave(w->node);
  nap_end();
}

/* {=== the dead ===} */

static void leave_for (struct wait_node *n) {
  struct gate *g = load_acquire(&n->gate);
  if (g == NULL || n->guard == NULL)
    return;
  struct guard *guard = n->guard;
  guard_lock(guard);
  thread_key next = 0;
  if (load_relaxed(&n->gate) == g && !gate_leave(n))
    next = gate_pop(g);  /* it had been woken, and died of it: the next one's */
  guard_unlock(guard);
  gate_ring(next);
}

static void leave_gates (struct thread_record *dead) {
  leave_for(&dead->node);
  leave_for(&dead->again);
  for (struct wait_node *n = load_relaxed(&dead->more); n != NULL; n = n->more)
    leave_for(n);
  store_relaxed(&dead->more, NULL);
}

void gate_open (void) {
  static bool once;
  record_leave_gates = leave_gates;
  if (!once)
    pthread_atfork(before_fork, NULL, NULL);
  once = true;
  if (links == NULL) {
    struct block *b = arena_alloc(sizeof(struct links));
    if (b != NULL) {
      links = (struct links *)(void *)b;
      guard_init(&links->guard, RANK_LINKS, KIND_LINKS);
      arena_settle(b);
    }
  }
}
