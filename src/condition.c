/*
** condition.c - wait, with a lock, until somebody says that things changed
*/
#include "condition.h"
#include "sys.h"

struct block *condition_new (struct block *lock, const char *made) {
  struct block *b = arena_alloc(sizeof(struct condition));
  if (b == NULL)
    return NULL;
  struct condition *c = condition_of(b);
  guard_init(&c->guard, RANK_OBJECT, KIND_CONDITION);
  store_relaxed(&c->line.head, NULL);
  store_relaxed(&c->line.tail, NULL);
  store_relaxed(&c->lock, NULL);
  store_relaxed(&c->told, 0);
  block_ready(b, KIND_CONDITION);
  if (lock != NULL) {
    block_ref(&c->lock, lock);
    return b;
  }
  struct block *own = lock_new(KIND_RLOCK, made);
  if (own == NULL) {
    block_destroy(b);
    return NULL;
  }
  block_ref(&c->lock, own);
  arena_settle(own);
  return b;
}

static void condition_destroy (struct block *b) {
  block_unref(&condition_of(b)->lock);
}

static bool held (struct condition *c) {
  return lock_owner(condition_lock(c)) == self()->key;
}

static bool told (struct wait_node *node) {
  return load_acquire(&node->state) == NODE_WOKEN;
}

#define LOST_LOOK  ((nanos)250000000)

/* One who notifies may die with us out of the line and not told yet: the notify was
   for us. True: so it was; we are told now. */
static bool was_lost (struct condition *c, struct wait_node *node) {
  guard_lock(&c->guard);
  struct wait_node *w = gate_first(&c->line);
  while (w != NULL && w != node)
    w = load_relaxed(&w->next);
  bool lost = w == NULL && !told(node);
  if (lost)
    store_release(&node->state, NODE_WOKEN);
  guard_unlock(&c->guard);
  return lost;
}

/* In line, without the lock: until told or 'until'. C2: was a notify meant for
   one who has died? Then the look buries him, and it comes to us. */
static int sleep_until_told (struct condition *c, struct wait_node *node, deadline until) {
  nanos nap_length = 0;
  nanos looked = sys_now(), searched = looked;
  int rc = CONC_OK;
  while (rc == CONC_OK && !told(node)) {
    rc = nap(&nap_length, until, false);
    if (rc == CONC_OK && sys_now() - searched >= LOST_LOOK) {
      if (was_lost(c, node))
        break;
      searched = sys_now();
    }
    thread_key whom = load_relaxed(&c->told);
    if (rc == CONC_OK && whom != 0 && sys_now() - looked >= LOOK_MIN) {
      record_look(whom);
      looked = sys_now();
    }
  }
  return rc;
}

int condition_wait (struct condition *c, deadline until, bool *abandoned) {
  struct wait_node *node = &self()->node;
  *abandoned = false;
  if (!held(c))
    return CONC_NOTHELD;
  nap_begin(&c->head, "wait", until);
  guard_lock(&c->guard);
  gate_join(&c->line, &c->guard, node);
  guard_unlock(&c->guard);
  uint32_t depth = lock_give_up(condition_lock(c));
  int rc = sleep_until_told(c, node, until);
  guard_lock(&c->guard);
  if (told(node))
    rc = CONC_OK;  /* C2: the node stays as it is */
  else
    gate_leave(node);
  guard_unlock(&c->guard);
  nap_end();
  int back = lock_take_back(condition_lock(c), depth);
  guard_lock(&c->guard);
  gate_leave(node);
  guard_unlock(&c->guard);
  *abandoned = back == CONC_ABANDONED;
  return back == CONC_OK || back == CONC_ABANDONED ? rc : back;
}

/* Those known to have ended are passed over; who dies later: C2. */
int condition_notify (struct condition *c, uint64_t n) {
  if (!held(c))
    return CONC_NOTHELD;
  guard_lock(&c->guard);
  struct wait_node *first;
  while (n > 0 && (first = gate_first(&c->line)) != NULL) {
    if (record_ended(first->key)) {
      gate_leave(first);
      continue;
    }
    store_relaxed(&c->told, first->key);
    gate_ring(gate_pop(&c->line));
    n--;
  }
  guard_unlock(&c->guard);
  return CONC_OK;
}

uint64_t condition_waiting (struct condition *c) {
  uint64_t n = 0;
  guard_lock(&c->guard);
  for (struct wait_node *w = gate_first(&c->line); w != NULL; w = load_relaxed(&w->next))
    n++;
  guard_unlock(&c->guard);
  return n;
}

static void condition_repair (struct guard *g, struct thread_record *dead) {
  (void)dead;
  gate_repair(&containerof(g, struct condition, guard)->line);
}

void condition_open (void) {
  static const struct kind_ops ops = {
    .name = "condition", .destroy = condition_destroy, .repair = condition_repair };
  arena_kind(KIND_CONDITION, &ops);
}
