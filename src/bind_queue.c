/*
** bind_queue.c - floor 7: queue, lifo_queue, priority_queue
*/
#include "bind_queue.h"
#include "bind_hold.h"
#include "codec_peek.h"

#include <math.h>

/* {=== records and values ===} */

/* Numbers, booleans and short strings need no codec: plain records. */

static void plain_integer (struct record *r, enum plain type, lua_Integer i) {
  r->head.length = RECORD_PLAIN | sizeof i;
  r->head.flags = (uint32_t)type;
  memcpy(r->u.bytes, &i, sizeof i);
}

static bool plain_string (lua_State *L, int idx, struct queue *q, struct record *r) {
  size_t length;
  const char *s = lua_tolstring(L, idx, &length);
  if (length > queue_inline(q))
    return false;
  r->head.length = RECORD_PLAIN | (uint32_t)length;
  r->head.flags = PLAIN_STRING;
  record_pad(r, length);
  memcpy(r->u.bytes, s, length);
  return true;
}

/* False: it is none of these. */
static inline bool pack_plain (lua_State *L, int idx, int type, struct queue *q,
                               struct record *r) {
  if (likely(type == LUA_TNUMBER)) {
    if (likely(lua_isinteger(L, idx)))
      plain_integer(r, PLAIN_INTEGER, lua_tointeger(L, idx));
    else {
      lua_Number n = lua_tonumber(L, idx);
      r->head.length = RECORD_PLAIN | sizeof n;
      r->head.flags = PLAIN_FLOAT;
      memcpy(r->u.bytes, &n, sizeof n);
    }
    return true;
  }
  if (type == LUA_TSTRING)
    return plain_string(L, idx, q, r);
  if (type == LUA_TBOOLEAN)
    plain_integer(r, PLAIN_BOOLEAN, lua_toboolean(L, idx));
  return type == LUA_TBOOLEAN;
}

static void push_plain (lua_State *L, const struct record_head *h) {
  const char *bytes = (const char *)(h + 1);
  lua_Integer i;
  lua_Number n;
  if (h->flags == PLAIN_STRING) {
    lua_pushlstring(L, bytes, h->length & ~RECORD_PLAIN);
    return;
  }
  memcpy(&i, bytes, sizeof i);
  memcpy(&n, bytes, sizeof n);
  if (h->flags == PLAIN_INTEGER)
    lua_pushinteger(L, i);
  else if (h->flags == PLAIN_FLOAT)
    lua_pushnumber(L, n);
  else
    lua_pushboolean(L, (int)i);
}

/* Of the value's type. */
static inline void pack (lua_State *L, int idx, int type, struct queue *q,
                         struct record *r) {
  struct parcel p;
  if (likely(pack_plain(L, idx, type, q, r)))
    return;
  codec_encode(L, idx, 1, 0, "item", 0, &p);
  if (unlikely(!queue_pack(q, &p, r)))
    bind_full(L);
}

void bind_pack (lua_State *L, int idx, struct queue *q, struct record *r) {
  pack(L, idx, lua_type(L, idx), q, r);
}

int bind_put (lua_State *L, struct queue *q, struct record *r,
              const struct priority *pri, deadline until) {
  int rc = queue_put(q, r, pri, until);
  if (likely(rc == CONC_OK)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (r->head.length & RECORD_BLOCK)
    block_destroy(r->u.block);
  return bind_result(L, rc);
}

static int unpack_block (lua_State *L) {
  struct block *b = (struct block *)lua_touserdata(L, 1);
  codec_decode_message(L, b, 0);
  return 1;
}

static struct block *block_in (const struct record_head *h) {
  return ((const struct record *)(const void *)h)->u.block;
}

void bind_unpack (lua_State *L, const struct record_head *h) {
  if (likely(h->length & RECORD_PLAIN)) {
    push_plain(L, h);
    return;
  }
  luaL_checkstack(L, 4, "too many values");
  if (likely(!(h->length & RECORD_BLOCK))) {
    codec_decode(L, (const char *)(h + 1), h->length, NULL, 0, h->flags);
    return;
  }
  lua_pushcfunction(L, unpack_block);
  lua_pushlightuserdata(L, block_in(h));
  int status = lua_pcall(L, 1, 1, 0);
  block_destroy(block_in(h));
  if (status != LUA_OK)
    lua_error(L);
}

void bind_pushpriority (lua_State *L, const struct priority *p) {
  if (p->is_float)
    lua_pushnumber(L, p->u.n);
  else
    lua_pushinteger(L, p->u.i);
}

int bind_get (lua_State *L, struct queue *q, deadline until, bool both) {
  struct record r;
  struct sink s;
  s.to = (char *)&r;
  s.size = sizeof r;
  s.max = 1;
  int rc = queue_get(q, &s, until);
  if (unlikely(rc != CONC_OK))
    return bind_result(L, rc);
  bind_unpack(L, &r.head);
  if (likely(!both))
    return 1;
  bind_pushpriority(L, &s.priority);
  return 2;
}

/* {=== arguments ===} */

static bool is_priority (const struct queue *q) {
  return q->head.kind == KIND_PRIORITY_QUEUE;
}

static struct queue *check_other (lua_State *L, int arg) {
  struct block *b = bind_test(L, arg, KIND_LIFO_QUEUE);
  if (b == NULL)
    b = bind_test(L, arg, KIND_PRIORITY_QUEUE);
  if (b == NULL)
    bind_badkind(L, arg, KIND_QUEUE);
  return queue_of(b);
}

static inline struct queue *checkqueue (lua_State *L, int arg) {
  struct block *b = bind_test(L, arg, KIND_QUEUE);
  return likely(b != NULL) ? queue_of(b) : check_other(L, arg);
}

/* NULL, or what the value at 'idx' is that is no priority. */
static const char *to_priority (lua_State *L, int idx, struct priority *p) {
  if (lua_type(L, idx) != LUA_TNUMBER)
    return luaL_typename(L, idx);
  p->is_float = !lua_isinteger(L, idx);
  if (p->is_float)
    p->u.n = lua_tonumber(L, idx);
  else
    p->u.i = lua_tointeger(L, idx);
  return p->is_float && isnan(p->u.n) ? "NaN" : NULL;
}

static void checkpriority (lua_State *L, int arg, struct priority *p) {
  const char *bad = to_priority(L, arg, p);
  if (unlikely(bad != NULL))
    luaL_argerror(L, arg, lua_pushfstring(L, "priority (a number) expected, got %s", bad));
}

static lua_Integer checkcount (lua_State *L, int arg, const char *what) {
  lua_Integer n = luaL_checkinteger(L, arg);
  if (n < 1) {
    const char *msg = lua_pushfstring(L, "%s of 1 or more expected, got %I", what,
                                      (LUAI_UACINT)n);
    luaL_argerror(L, arg, msg);
  }
  return n;
}

/* {=== put ===} */

/* queue:put(value [, timeout]) -> true | nil, "timeout" | nil, "closed"
   priority_queue:put(value, priority [, timeout]) */
static int m_put (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  struct priority pri;
  struct record r;
  bool ordered = is_priority(q);
  int type = lua_type(L, 2);
  if (unlikely(type <= LUA_TNIL))
    luaL_argerror(L, 2, "a value other than nil expected");
  if (ordered)
    checkpriority(L, 3, &pri);
  deadline until = hold_deadline(L, ordered ? 4 : 3);
  pack(L, 2, type, q, &r);
  return bind_put(L, q, &r, ordered ? &pri : NULL, until);
}

struct filling { struct batch batch; struct queue *q; int rc; };

/* The value on the top, of the i-th item, goes into the batch. */
static void fill_one (lua_State *L, struct filling *f, int type, lua_Integer i) {
  struct record *r = batch_next(&f->batch);
  struct parcel p;
  if (unlikely(type == LUA_TNIL || r == NULL)) {
    if (type == LUA_TNIL)
      luaL_error(L, "item %I of the list is nil", (LUAI_UACINT)i);
    luaL_error(L, "not enough memory");
    return;  /* not reached */
  }
  if (unlikely(!pack_plain(L, -1, type, f->q, r))) {
    codec_encode(L, lua_gettop(L), 1, 0, "item", (int)i, &p);
    if (!queue_pack(f->q, &p, r)) {
      f->rc = CONC_FULL;
      return;
    }
  }
  f->rc = batch_add(&f->batch);
}

/* The pair {value, priority} on the top, the i-th item. */
static void fill_pair (lua_State *L, struct filling *f, int type, lua_Integer i) {
  struct priority pri;
  if (type != LUA_TTABLE)
    luaL_error(L, "item %I of the list: a pair {value, priority} expected, got %s",
               (LUAI_UACINT)i, luaL_typename(L, -1));
  lua_geti(L, -1, 2);
  const char *bad = to_priority(L, -1, &pri);
  if (bad != NULL)
    luaL_error(L, "item %I of the list: priority (a number) expected, got %s",
               (LUAI_UACINT)i, bad);
  lua_pop(L, 1);
  if (!batch_priority(&f->batch, &pri))
    luaL_error(L, "not enough memory");
  fill_one(L, f, lua_geti(L, -1, 1), i);
}

/* The array part of the table at 'idx', if keys 1 to n are in it; else NULL. */
static struct peek_value *array_of (lua_State *L, int idx, lua_Integer n) {
  const struct peek_table *t;
  if (!peek_works)
    return NULL;
  t = (const struct peek_table *)lua_topointer(L, idx);
  return n <= (lua_Integer)t->limit ? t->array : NULL;
}

/* A number as it lies in a table. False: no memory for it. */
static inline bool fill_number (struct filling *f, const struct peek_value *v) {
  struct record *r = batch_next(&f->batch);
  if (unlikely(r == NULL))
    return false;
  r->head.length = RECORD_PLAIN | sizeof v->u.i;
  r->head.flags = v->type == PEEK_INTEGER ? PLAIN_INTEGER : PLAIN_FLOAT;
  memcpy(r->u.bytes, &v->u, sizeof v->u.i);
  batch_keep(&f->batch, sizeof r->head + sizeof v->u.i);
  return true;
}

/* Numbers from the i-th item on, read in place; the first that is none. */
static lua_Integer fill_numbers (lua_State *L, struct filling *f, lua_Integer i,
                                 lua_Integer n) {
  const struct peek_value *array = array_of(L, 1, n);
  while (array != NULL && i <= n
         && (array[i - 1].type == PEEK_INTEGER || array[i - 1].type == PEEK_FLOAT)
         && fill_number(f, &array[i - 1]))
    i++;
  return i;
}

/* (list, filling): encodes all of the list; may raise. */
static int fill_batch (lua_State *L) {
  struct filling *f = (struct filling *)lua_touserdata(L, 2);
  bool raw = lua_istable(L, 1) && !lua_getmetatable(L, 1);
  lua_Integer n = raw ? (lua_Integer)lua_rawlen(L, 1) : luaL_len(L, 1), i = 1;
  bool numbers = raw && !is_priority(f->q);
  lua_settop(L, 2);
  while (f->rc == CONC_OK && (i = numbers ? fill_numbers(L, f, i, n) : i) <= n) {
    int type = raw ? lua_rawgeti(L, 1, i) : lua_geti(L, 1, i);
    if (is_priority(f->q))
      fill_pair(L, f, type, i);
    else
      fill_one(L, f, type, i);
    lua_settop(L, 2);
    i++;
  }
  return 0;
}

/* queue:put_many(list [, timeout]) -> how many were put [, "timeout" | "closed"]
   of a priority queue: a list of pairs {value, priority} */
static int m_put_many (lua_State *L) {
  struct filling f;
  struct source s;
  f.q = checkqueue(L, 1);
  f.rc = CONC_OK;
  if (!lua_istable(L, 2) && bind_toblock(L, 2) == NULL)
    luaL_typeerror(L, 2, "list");
  deadline until = hold_deadline(L, 3);
  luaL_checkstack(L, 4, NULL);
  batch_begin(&f.batch);
  lua_pushcfunction(L, fill_batch);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, &f);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    batch_end(&f.batch);
    return lua_error(L);
  }
  batch_source(&f.batch, &s);
  int rc = f.rc;
  if (rc == CONC_OK && s.left > 0)
    rc = queue_put_many(f.q, &s, until);
  batch_end(&f.batch);
  bind_raise(L, rc);
  lua_pushinteger(L, (lua_Integer)s.done);
  if (rc == CONC_OK)
    return 1;
  lua_pushstring(L, rc == CONC_CLOSED ? "closed" : "timeout");
  return 2;
}

/* {=== get ===} */

/* Records that were got and are to be appended to a list. */
struct pouring { const char *at; uint32_t left; lua_Integer n; };

/* Numbers at the front, written in place into the fresh table at 'idx'. */
static void pour_numbers (lua_State *L, int idx, struct pouring *p) {
  struct peek_value *array = array_of(L, idx, p->n + p->left);
  while (array != NULL && p->left > 0) {
    const struct record_head *h = (const struct record_head *)(const void *)p->at;
    if (!(h->length & RECORD_PLAIN) || h->flags > PLAIN_FLOAT)
      return;
    struct peek_value *v = &array[p->n++];
    memcpy(&v->u, h + 1, sizeof v->u.i);
    v->type = h->flags == PLAIN_INTEGER ? PEEK_INTEGER : PEEK_FLOAT;
    p->at += record_size(h);
    p->left--;
  }
}

/* Pushes them one after the other; table at 'idx'. A record whose value cannot
   be made is done with, too. */
static void pour (lua_State *L, int idx, struct pouring *p) {
  while (pour_numbers(L, idx, p), p->left > 0) {
    const struct record_head *h = (const struct record_head *)(const void *)p->at;
    p->at += record_size(h);
    p->left--;
    bind_unpack(L, h);
    lua_rawseti(L, idx, ++p->n);
  }
}

static int pour_protected (lua_State *L) {
  pour(L, 1, (struct pouring *)lua_touserdata(L, 2));
  return 0;
}

/*
** An item whose value cannot be made here (a module that cannot be required)
** raises. Where it came with others, those are the result, and the error is
** raised by the next get of the same state: each item is a value or an error,
** once. The errors wait in a table with weak keys: queue -> list.
*/
static const char errors_key = 'e';
static _Atomic uint32_t errors_waiting;   /* of all states of this process */

/* (queue, error): it waits for the next get of the queue. */
static int keep_error (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &errors_key);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
    lua_replace(L, -2);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  add_relaxed(&errors_waiting, 1);
  return 0;
}

/* There is no memory even for the error on the top: it is raised for all that is left. */
static void give_up (lua_State *L, struct pouring *p) {
  for (; p->left > 0; p->left--) {
    const struct record_head *h = (const struct record_head *)(const void *)p->at;
    if ((h->length & (RECORD_PLAIN | RECORD_BLOCK)) == RECORD_BLOCK)
      block_destroy(block_in(h));
    p->at += record_size(h);
  }
  lua_error(L);
}

/* Raises the first error that waits for the queue at 'idx'. */
static void raise_kept (lua_State *L, int idx) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &errors_key);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, -2) == LUA_TTABLE && lua_rawlen(L, -1) > 0) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    for (lua_Integer i = 2; i <= n + 1; i++) {
      lua_rawgeti(L, -2, i);
      lua_rawseti(L, -3, i - 1);
    }
    add_relaxed(&errors_waiting, (uint32_t)-1);
    lua_error(L);
  }
  lua_pop(L, 2);
}

static inline void checkerrors (lua_State *L, int idx) {
  if (unlikely(load_relaxed(&errors_waiting) > 0))
    raise_kept(L, idx);
}

/* All of the sink into the table at 'idx'. */
static void pour_all (lua_State *L, int idx, const struct sink *s, lua_Integer *n) {
  struct pouring p = { s->to, s->n, *n };
  if (likely(s->plain))
    pour(L, idx, &p);
  while (p.left > 0) {
    lua_pushcfunction(L, pour_protected);
    lua_pushvalue(L, idx);
    lua_pushlightuserdata(L, &p);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
      continue;
    lua_pushcfunction(L, keep_error);
    lua_pushvalue(L, 1);
    lua_rotate(L, -3, 2);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
      give_up(L, &p);
  }
  *n = p.n;
}

/* queue:get([timeout]) -> value | nil, "timeout" | nil, "closed" */
static int m_get (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  checkerrors(L, 1);
  return bind_get(L, q, hold_deadline(L, 2), is_priority(q));
}

static int new_list (lua_State *L) {
  lua_createtable(L, (int)lua_tointeger(L, 1), 0);
  return 1;
}

/* Pushes a list for what was got and what else is there. */
static void push_list (lua_State *L, struct queue *q, lua_Integer max, const struct sink *s) {
  uint64_t more = queue_length(q);
  if (more > (uint64_t)(max - s->n)) more = (uint64_t)(max - s->n);
  int size = (int)(s->n + (more < 100000 ? more : 100000));
  if (likely(s->plain)) {
    lua_createtable(L, size, 0);
    return;
  }
  lua_pushcfunction(L, new_list);  /* blocks are in hand */
  lua_pushinteger(L, size);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    struct pouring p = { s->to, s->n, 0 };
    give_up(L, &p);
  }
}

/* queue:get_many(max [, timeout]) -> list of 1..max | nil, "timeout" | nil, "closed" */
static int m_get_many (lua_State *L) {
  _Alignas(8) char room[4096];
  struct queue *q = checkqueue(L, 1);
  lua_Integer max = checkcount(L, 2, "max"), n = 0;
  struct sink s = { .to = room, .size = sizeof room };
  deadline until = hold_deadline(L, 3);
  int rc;
  luaL_checkstack(L, 10, NULL);
  checkerrors(L, 1);
  s.max = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
  rc = queue_get(q, &s, until);
  if (rc != CONC_OK)
    return bind_result(L, rc);
  int idx = lua_gettop(L) + 1;
  push_list(L, q, max, &s);
  do {
    pour_all(L, idx, &s, &n);
    s.max = (uint32_t)(max - n < UINT32_MAX ? max - n : UINT32_MAX);
  } while (n < max && queue_get(q, &s, DEADLINE_NOW) == CONC_OK);
  if (unlikely(n == 0))
    checkerrors(L, 1);
  return 1;
}

static int items_next (lua_State *L) {
  struct queue *q = checkqueue(L, lua_upvalueindex(1));
  checkerrors(L, lua_upvalueindex(1));
  return bind_get(L, q, DEADLINE_NEVER, is_priority(q));
}

/* for value [, priority] in queue:items() do: until closed and drained */
static int m_items (lua_State *L) {
  checkqueue(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, items_next, 1);
  return 1;
}

/* queue:peek() -> the value that get would give | nil */
static int m_peek (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  struct priority pri;
  struct record r;
  int rc = queue_peek(q, &r, &pri);
  if (rc == CONC_TIMEOUT) {
    lua_pushnil(L);
    return 1;
  }
  bind_raise(L, rc);
  bind_unpack(L, &r.head);
  if (!is_priority(q))
    return 1;
  bind_pushpriority(L, &pri);
  return 2;
}

/* {=== state ===} */

/* #queue */
static int m_len (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)queue_length(checkqueue(L, 1)));
  return 1;
}

/* queue:empty() -> boolean */
static int m_empty (lua_State *L) {
  lua_pushboolean(L, queue_length(checkqueue(L, 1)) == 0);
  return 1;
}

/* queue:full() -> boolean */
static int m_full (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  lua_pushboolean(L, queue_length(q) >= q->maxsize);
  return 1;
}

/* queue:maxsize() -> integer | nil */
static int m_maxsize (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  if (q->maxsize == QUEUE_UNBOUNDED)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)q->maxsize);
  return 1;
}

/* queue:closed() -> boolean */
static int m_closed (lua_State *L) {
  lua_pushboolean(L, queue_closed(checkqueue(L, 1)));
  return 1;
}

/* queue:close([discard]) */
static int m_close (lua_State *L) {
  queue_close(checkqueue(L, 1), lua_toboolean(L, 2));
  return 0;
}

/* local q <close>: no more puts; what is in it can still be got */
static int m_leave (lua_State *L) {
  queue_close(checkqueue(L, 1), false);
  return 0;
}

/* queue:task_done() */
static int m_task_done (lua_State *L) {
  if (queue_task_done(checkqueue(L, 1)) != CONC_OK)
    return luaL_error(L, "task_done called more often than items were put");
  return 0;
}

/* queue:join([timeout]) -> true | nil, "timeout" */
static int m_join (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  return bind_result(L, queue_join(q, hold_deadline(L, 2)));
}

static int m_tostring (lua_State *L) {
  struct queue *q = checkqueue(L, 1);
  const char *name = block_ops(&q->head)->name;
  LUAI_UACINT n = (LUAI_UACINT)queue_length(q);
  if (queue_closed(q))
    lua_pushfstring(L, "conc.%s (closed, %I left)", name, n);
  else if (q->maxsize == QUEUE_UNBOUNDED)
    lua_pushfstring(L, "conc.%s (%I)", name, n);
  else
    lua_pushfstring(L, "conc.%s (%I of %I)", name, n, (LUAI_UACINT)q->maxsize);
  return 1;
}

/* {=== constructors ===} */

static int make (lua_State *L, enum kind kind) {
  uint64_t max = lua_isnoneornil(L, 1) ? QUEUE_UNBOUNDED
               : (uint64_t)checkcount(L, 1, "maxsize");
  struct handle *h = bind_newhandle(L, kind);
  bind_own(L, h, queue_new(kind, max));
  return 1;
}

/* conc.queue([maxsize]) -> queue */
static int core_queue (lua_State *L) {
  return make(L, KIND_QUEUE);
}

/* conc.lifo_queue([maxsize]) -> lifo_queue */
static int core_lifo_queue (lua_State *L) {
  return make(L, KIND_LIFO_QUEUE);
}

/* conc.priority_queue([maxsize]) -> priority_queue */
static int core_priority_queue (lua_State *L) {
  return make(L, KIND_PRIORITY_QUEUE);
}

static const luaL_Reg methods[] = {
  { "close", m_close },
  { "closed", m_closed },
  { "empty", m_empty },
  { "full", m_full },
  { "get", m_get },
  { "get_many", m_get_many },
  { "items", m_items },
  { "join", m_join },
  { "maxsize", m_maxsize },
  { "peek", m_peek },
  { "pollfd", bind_pollfd },
  { "put", m_put },
  { "put_many", m_put_many },
  { "task_done", m_task_done },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", m_leave },
  { "__len", m_len },
  { "__tostring", m_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "lifo_queue", core_lifo_queue },
  { "priority_queue", core_priority_queue },
  { "queue", core_queue },
  { NULL, NULL }
};

void bind_open_queue (lua_State *L);
void bind_open_queue (lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &errors_key);
  bind_class(L, KIND_QUEUE, methods, metamethods);
  bind_class(L, KIND_LIFO_QUEUE, methods, metamethods);
  bind_class(L, KIND_PRIORITY_QUEUE, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
