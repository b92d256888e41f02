/*
** bind_wait.c - floor 7: waiting for many futures, as they end
**
** What lua/conc/wait.lua builds conc.wait and conc.as_completed on: a completion
** is a list of futures that are given one by one as they end. Looking at n futures
** costs n, so where all are of one pool, each is looked at once: the pool tells
** which have ended (pool_ends), and a table finds their place in the list. Only
** where the pool told of more than its log holds, or of none for a while, all are
** looked at again. Threads, processes and mixed lists are waited for by select.
*/
#include "carrier.h"
#include "pool.h"
#include "process.h"
#include "select.h"
#include "sys.h"

#include <stdlib.h>
#include <string.h>

#define ALL_AGAIN  ((nanos)1000000000)   /* between looks at all in vain */
#define TOLD       64                    /* taken from the log at a time */

struct ending {
  int64_t when;
  uint32_t position;           /* in the list, from 0 */
};

struct completion {
  struct crew *crew;           /* that all belong to; NULL: there is none */
  uint64_t seen;               /* of its log */
  nanos again;                 /* when to look at all */
  size_t at;                   /* pending ones to run by ourselves are from here on */
  uint32_t n;
  uint32_t first, last;        /* of 'ended': not given yet */
  uint32_t open;               /* of 'pending': not known to have ended */
  uint32_t mask;               /* of 'table' */
  struct block **blocks;       /* n; their handles are in the user value */
  uint32_t *pending;           /* positions */
  struct ending *ended;        /* n, in their order */
  bool *known;                 /* n: is in 'ended' */
  uint32_t *table;             /* position + 1 by block, open addressing; 0: free */
};

static int earlier (const void *a, const void *b) {
  const struct ending *x = a, *y = b;
  if (x->when != y->when)
    return x->when < y->when ? -1 : 1;
  return x->position < y->position ? -1 : x->position > y->position;
}

/* {=== what has ended ===} */

static bool has_ended (const struct completion *m, uint32_t position) {
  return task_has_ended(task_state(task_of(m->blocks[position])));
}

static void note (struct completion *m, uint32_t position) {
  if (m->known[position] || !has_ended(m, position))
    return;
  m->known[position] = true;
  m->ended[m->last++] = (struct ending){
    load_relaxed(&task_of(m->blocks[position])->ended_at), position
  };
}

static void look_at_all (struct completion *m) {
  uint32_t open = 0;
  for (uint32_t i = 0; i < m->open; i++) {
    uint32_t position = m->pending[i];
    note(m, position);
    if (!m->known[position])
      m->pending[open++] = position;
  }
  m->open = open;
  m->again = sys_now() + ALL_AGAIN;
}

static uint32_t slot_of (const struct completion *m, const struct block *b) {
  uint64_t h = (uint64_t)(uintptr_t)b * 0x9e3779b97f4a7c15u;
  return (uint32_t)(h >> 32) & m->mask;
}

static void note_block (struct completion *m, const struct block *b) {
  uint32_t i = slot_of(m, b);
  while (m->table[i] != 0 && m->blocks[m->table[i] - 1] != b)
    i = (i + 1) & m->mask;
  if (m->table[i] != 0)
    note(m, m->table[i] - 1);
}

static void look_at_told (struct completion *m) {
  struct block *told[TOLD];
  bool missed = false;
  size_t n = TOLD;
  while (n == TOLD && !missed) {
    n = pool_ends(m->crew, &m->seen, told, TOLD, &missed);
    for (size_t i = 0; i < n; i++)
      note_block(m, told[i]);
  }
  if (missed)
    look_at_all(m);
}

/* {=== waiting ===} */

/* A worker of their pool runs those that are pending meanwhile. */
static int wait_in_pool (struct completion *m, deadline until) {
  look_at_told(m);
  if (m->first < m->last)
    return CONC_OK;
  if (until == DEADLINE_NOW)
    return CONC_TIMEOUT;
  if (until == DEADLINE_NEVER && pool_run_pending(m->crew, m->blocks, m->n, &m->at)) {
    note(m, (uint32_t)m->at);
    return CONC_OK;
  }
  int rc = pool_wait_ends(m->crew, m->seen, until);
  if (sys_now() >= m->again)
    look_at_all(m);
  return rc;
}

static int ready (void *ctx, int i) {
  struct completion *m = ctx;
  return has_ended(m, m->pending[i]) ? CONC_OK : CONC_TIMEOUT;
}

static int wait_by_select (lua_State *L, struct completion *m, deadline until) {
  int which;
  struct block **open = lua_newuserdatauv(L, m->open * sizeof *open, 0);
  for (uint32_t i = 0; i < m->open; i++)
    open[i] = m->blocks[m->pending[i]];
  int rc = select_wait(open, (int)m->open, 0, until, ready, m, &which);
  lua_pop(L, 1);
  look_at_all(m);
  return rc;
}

/* {=== the calls ===} */

static struct block *check_item (lua_State *L, int arg, lua_Integer i) {
  struct block *b = bind_toblock(L, -1);
  if (b == NULL || b->kind < KIND_FUTURE || b->kind > KIND_PROCESS)
    luaL_argerror(L, arg, lua_pushfstring(L, "future, thread or process expected"
                  " as item %I, got %s", (LUAI_UACINT)i, b == NULL
                  ? luaL_typename(L, -1) : block_ops(b)->name));
  return b;
}

/* In one userdata on the top, which keeps the list at 'arg'. */
static struct completion *new_completion (lua_State *L, int arg, uint32_t n) {
  uint32_t slots = 16;
  while (slots < 2 * n) slots *= 2;
  size_t size = sizeof(struct completion) + n * (sizeof(struct block *)
              + sizeof(struct ending) + sizeof(uint32_t) + sizeof(bool))
              + slots * sizeof(uint32_t);
  struct completion *m = lua_newuserdatauv(L, size, 1);
  memset(m, 0, size);
  m->n = n;
  m->mask = slots - 1;
  m->ended = (struct ending *)(void *)(m + 1);
  m->blocks = (struct block **)(void *)(m->ended + n);
  m->pending = (uint32_t *)(void *)(m->blocks + n);
  m->table = m->pending + n;
  m->known = (bool *)(void *)(m->table + slots);
  lua_pushvalue(L, arg);
  lua_setiuservalue(L, -2, 1);
  return m;
}

/* Equal blocks are one future: it is given once. */
static void add_block (struct completion *m, struct block *b) {
  uint32_t i = slot_of(m, b);
  while (m->table[i] != 0 && m->blocks[m->table[i] - 1] != b)
    i = (i + 1) & m->mask;
  if (m->table[i] != 0)
    return;
  m->table[i] = m->n + 1;
  m->blocks[m->n] = b;
  m->pending[m->open++] = m->n++;
  struct block *crew = load_relaxed(&task_of(b)->pool);
  if (m->n == 1)
    m->crew = crew != NULL ? crew_of(crew) : NULL;
  else if (m->crew != NULL && crew != &m->crew->head)
    m->crew = NULL;
}

/* core._completion(futures) -> completion, and the list without repetitions */
static int core_completion (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer len = luaL_len(L, 1);
  luaL_argcheck(L, len >= 0 && len < 1 << 24, 1, "list is too long");
  lua_settop(L, 1);
  lua_createtable(L, (int)len, 0);
  struct completion *m = new_completion(L, 2, (uint32_t)len);
  m->n = 0;
  for (lua_Integer i = 1; i <= len; i++) {
    lua_geti(L, 1, i);
    uint32_t before = m->n;
    add_block(m, check_item(L, 1, i));
    if (m->n > before)
      lua_rawseti(L, 2, (lua_Integer)m->n);
    else
      lua_pop(L, 1);
  }
  lua_insert(L, 2);
  return 2;
}

/* What the log says from now on, and then a look at all. */
static void begin (struct completion *m) {
  struct block *none[1];
  bool missed;
  if (m->crew != NULL)
    pool_ends(m->crew, &m->seen, none, 0, &missed);
  look_at_all(m);
}

/* Those that were found together are given by the time of their end. */
static void sort (struct completion *m) {
  qsort(m->ended + m->first, m->last - m->first, sizeof *m->ended, earlier);
}

static int give (lua_State *L, struct completion *m) {
  uint32_t position = m->ended[m->first++].position;
  struct task *t = task_of(m->blocks[position]);
  if (t->head.kind == KIND_PROCESS)
    process_await_gone(t);
  lua_pushinteger(L, (lua_Integer)position + 1);
  return 1;
}

/* core._next(completion [, timeout]) -> position of the next that has ended | nil:
   there is none, or the time is over */
static int core_next (lua_State *L) {
  struct completion *m = lua_touserdata(L, 1);
  deadline until = bind_deadline(L, 2);
  int rc = CONC_OK;
  bool look = m->first == m->last;
  if (m->again == 0)
    begin(m);
  while (m->first == m->last && m->last < m->n && rc == CONC_OK)
    rc = m->crew != NULL ? wait_in_pool(m, until) : wait_by_select(L, m, until);
  if (look)
    sort(m);
  if (m->first < m->last)
    return give(L, m);
  if (rc != CONC_OK && rc != CONC_TIMEOUT)
    bind_raise(L, rc);
  return 0;
}

static const luaL_Reg functions[] = {
  { "_completion", core_completion },
  { "_next", core_next },
  { NULL, NULL }
};

void bind_open_wait (lua_State *L);
void bind_open_wait (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}
