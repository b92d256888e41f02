/*
** bind_pool.c - floor 7: pools; chunks of a map
**
** The options of the constructors, map and its relatives are Lua's
** (lua/conc/pool.lua); here is what touches the core.
*/
#include "bind.h"
#include "bundle.h"
#include "carrier.h"
#include "codec.h"
#include "codec_peek.h"
#include "end.h"
#include "pool.h"
#include "sys.h"
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct crew *check_pool (lua_State *L, int arg) {
  struct block *b = bind_test(L, arg, KIND_THREAD_POOL);
  if (b == NULL)
    b = bind_test(L, arg, KIND_PROCESS_POOL);
  if (b == NULL)
    luaL_argerror(L, arg, lua_pushfstring(L, "conc.thread_pool or process_pool expected,"
                                          " got %s", luaL_typename(L, arg)));
  return front_crew(b);
}

/* {=== making ===} */

/* Nothing may raise while the blocks are in hand. */
static struct block *make_crew (lua_State *L, bool process, const struct pool_config *k,
                                bool initializer) {
  struct parcel p;
  struct block *setting = NULL, *message = NULL, *crew;
  uint32_t group = carrier_group(L);
  if (initializer) {  /* refused before anything is made */
    codec_encode(L, 7, 1, CODEC_RUN, "initializer", 0, &p);
    parcel_drop(&p);
  }
  if (codec_encode_setting(L, &p) && (setting = parcel_post(&p)) == NULL) {
    parcel_drop(&p);
    return NULL;
  }
  if (initializer) {
    if (codec_try_encode(L, 7, 1, CODEC_RUN, "initializer", 0, &p) != LUA_OK
        || (message = parcel_post(&p)) == NULL) {
      parcel_drop(&p);
      if (setting != NULL) block_destroy(setting);
      return NULL;
    }
  }
  crew = crew_new(process, k, message);
  if (crew == NULL) {
    if (message != NULL) block_destroy(message);
    if (setting != NULL) block_destroy(setting);
    return NULL;
  }
  crew_of(crew)->group = group;
  if (setting != NULL)
    crew_set_setting(crew_of(crew), setting);
  return crew;
}

/* core._pool(process, size, name, max_tasks, retries, bound, initializer or nil) */
static int core_pool (lua_State *L) {
  struct pool_config k;
  bool process = lua_toboolean(L, 1);
  memset(&k, 0, sizeof k);
  k.size = (uint32_t)luaL_checkinteger(L, 2);
  snprintf(k.name, sizeof k.name, "%s", luaL_checkstring(L, 3));
  k.max_tasks = (uint32_t)luaL_checkinteger(L, 4);
  k.retries = (uint32_t)luaL_checkinteger(L, 5);
  k.bound = (uint64_t)luaL_checkinteger(L, 6);
  lua_settop(L, 7);
  struct handle *h = bind_newhandle(L, process ? KIND_PROCESS_POOL : KIND_THREAD_POOL);
  struct block *crew = make_crew(L, process, &k, !lua_isnil(L, 7));
  if (crew == NULL)
    bind_full(L);
  struct block *front = front_new(crew);  /* counts the crew: it has its place */
  if (front == NULL) {
    block_destroy(crew);
    bind_full(L);
  }
  arena_settle(crew);
  bind_own(L, h, front);
  int rc = pool_remember(crew_of(crew)) ? worker_start_pool(crew_of(crew)) : CONC_FULL;
  if (rc != CONC_OK) {
    int error = errno;
    pool_not_begun(crew_of(crew));
    bind_release(L, -1);
    if (rc == CONC_FULL)
      bind_full(L);
    return luaL_error(L, "conc.%s_pool: no worker could be started: %s",
                      process ? "process" : "thread", strerror(error));
  }
  return 1;
}

/* {=== submitting ===} */

static _Noreturn void refused (lua_State *L, struct crew *c, int rc) {
  char story[200];
  if (rc == CONC_CLOSED && load_acquire(&c->broken) != 0) {
    struct block *failure = load_acquire(&c->failure);
    if (failure != NULL) {
      int top = lua_gettop(L);
      codec_decode_message(L, failure, 0);
      lua_settop(L, top + 1);
      lua_error(L);
    }
    pool_break_story(c, story, sizeof story);
    luaL_error(L, "%s", story);
  }
  if (rc == CONC_CLOSED)
    luaL_error(L, "pool is shut down");
  bind_raise(L, rc);
  luaL_error(L, "pool: status %d", rc);
  for (;;) {}  /* not reached */
}

/* The future on the top is given to the crew. */
static int give (lua_State *L, struct crew *c, struct task *t) {
  int rc = pool_submit(c, t, DEADLINE_NEVER);
  if (rc != CONC_OK)
    refused(L, c, rc);
  return 1;
}

/* pool:submit(f, ...) -> future */
static int m_submit (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  int last = lua_gettop(L);
  struct parcel p;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct handle *h = bind_newhandle(L, KIND_FUTURE);
  codec_encode(L, 2, last - 1, CODEC_RUN, "argument", 1, &p);
  struct block *b = task_new_submitted(0);
  if (b == NULL || !task_post_call(task_of(b), &p)) {
    if (b != NULL) block_destroy(b);
    parcel_drop(&p);
    bind_full(L);
  }
  struct task *t = task_of(b);
  t->group = c->group;
  if (c->config.retries > 0)
    task_flag(t, TASK_AGAIN);
  block_ref(&t->pool, &c->head);
  bind_own(L, h, b);
  return give(L, c, t);
}

/* {=== chunks ===} */

/* Adds the items first..last of the list at 3 (spread: each a list of arguments);
   refusals count them from base + 1. 0, or the index of the item that cannot be sent, its
   error on the top. Nothing here may raise, or call the program: the bundle is in hand.
   So two strings were pushed before, at 'words'. */
static lua_Integer add_items (lua_State *L, int words, struct block **bundle,
                              lua_Integer first, lua_Integer last, lua_Integer base,
                              bool spread, bool *full) {
  struct parcel p;
  for (lua_Integer i = first; i <= last && !*full; i++) {
    int top = lua_gettop(L), n = 1;
    char what[48] = "item";
    lua_rawgeti(L, 3, i);
    if (spread && lua_istable(L, -1)) {
      lua_Integer count = (lua_Integer)lua_rawlen(L, top + 1);
      lua_pushvalue(L, words);
      if (lua_rawget(L, top + 1) == LUA_TNUMBER)
        count = lua_tointeger(L, -1);
      lua_pop(L, 1);
      if (count > 200 || !lua_checkstack(L, (int)count + 10)) {
        lua_pushvalue(L, words + 1);
        return i;
      }
      n = (int)count;
      for (int k = 1; k <= n; k++)
        lua_rawgeti(L, top + 1, k);
      snprintf(what, sizeof what, "item %lld, argument", (long long)(base + i));
    }
    if (codec_try_encode(L, lua_gettop(L) - n + 1, n, 0, what, spread ? 1 : (int)(base + i), &p)
        != LUA_OK)
      return i;
    *full = !bundle_add(bundle, NULL, &p, ENTRY_VALUE);
    if (*full)
      parcel_drop(&p);
    lua_settop(L, top);
  }
  return 0;
}

#define AT_ONCE  32              /* values on the stack together */

static bool add_number (lua_State *L, int idx, int type, struct block *b) {
  uint64_t bits;
  if (type == BUNDLE_INTEGERS) {
    if (!lua_isinteger(L, idx))
      return false;
    bits = (uint64_t)lua_tointeger(L, idx);
  }
  else {
    if (lua_type(L, idx) != LUA_TNUMBER || lua_isinteger(L, idx))
      return false;
    lua_Number x = lua_tonumber(L, idx);
    memcpy(&bits, &x, sizeof bits);
  }
  return bundle_add_number(b, bits);
}

/* The same, read where they lie: as far as they are of the type; the next. */
static lua_Integer add_numbers (lua_State *L, lua_Integer first, lua_Integer last,
                                int type, struct block *b) {
  struct peek_value *v;
  unsigned char want = type == BUNDLE_INTEGERS ? PEEK_INTEGER : PEEK_FLOAT;
  lua_Integer limit = (lua_Integer)peek_limit(L, 3, &v);
  if (v == NULL)
    return first;
  while (first <= last && first <= limit && v[first - 1].type == want
         && bundle_add_number(b, (uint64_t)v[first - 1].u.i))
    first++;
  return first;
}

/* The items first..last as numbers of one type, in hand; NULL: they are not, or
   there is no room (then the other way finds out). */
static struct block *numbers_of (lua_State *L, lua_Integer first, lua_Integer last) {
  struct block *b = NULL;
  int type = BUNDLE_ENTRIES;
  lua_rawgeti(L, 3, first);
  if (lua_type(L, -1) == LUA_TNUMBER)
    type = lua_isinteger(L, -1) ? BUNDLE_INTEGERS : BUNDLE_FLOATS;
  lua_pop(L, 1);
  if (type == BUNDLE_ENTRIES
      || (b = bundle_new((size_t)(last - first + 1) * 8)) == NULL)
    return NULL;
  b->flags = (uint16_t)type;
  first = add_numbers(L, first, last, type, b);
  for (lua_Integer i = first; i <= last; i += AT_ONCE) {
    int n = (int)(last - i + 1 < AT_ONCE ? last - i + 1 : AT_ONCE);
    int top = lua_gettop(L);
    bool fits = true;
    for (int k = 0; k < n; k++)
      lua_rawgeti(L, 3, i + k);
    for (int k = 1; k <= n && fits; k++)
      fits = add_number(L, top + k, type, b);
    lua_settop(L, top);
    if (!fits) {
      block_destroy(b);
      return NULL;
    }
  }
  return b;
}

/*
** core._chunk(pool, f, list, first, last, spread, stop_at_error, timeout, base)
**   -> future | nil, index, error: that item cannot be sent
** list[i] is the item number base + i.
*/
static int core_chunk (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  lua_Integer first = luaL_checkinteger(L, 4), last = luaL_checkinteger(L, 5);
  bool spread = lua_toboolean(L, 6), stop = lua_toboolean(L, 7), full = false;
  double timeout = luaL_optnumber(L, 8, 0);
  lua_Integer base = luaL_optinteger(L, 9, 0);
  struct parcel p;
  lua_settop(L, 8);
  lua_pushliteral(L, "n");
  lua_pushliteral(L, "too many arguments");
  luaL_checkstack(L, AT_ONCE + LUA_MINSTACK, NULL);
  struct handle *h = bind_newhandle(L, KIND_FUTURE);
  codec_encode(L, 2, 1, CODEC_RUN, "argument", 1, &p);
  struct block *call = bundle_new(p.length + 64);
  if (call == NULL || !bundle_add(&call, NULL, &p, ENTRY_VALUE)) {
    parcel_drop(&p);
    if (call != NULL) block_destroy(call);
    bind_full(L);
  }
  /* numbers_of, too, raises nothing: 'call' is in hand */
  struct block *numbers = spread ? NULL : numbers_of(L, first, last);
  lua_Integer bad = numbers != NULL ? 0 : add_items(L, 9, &call, first, last, base,
                                                     spread, &full);
  if (bad != 0) {
    block_destroy(call);
    lua_pushnil(L);
    lua_pushinteger(L, bad);
    lua_rotate(L, -3, 2);
    return 3;
  }
  struct block *items = full ? NULL : bundle_new((size_t)(last - first + 1) * 8);
  struct block *b = items != NULL ? task_new_submitted((uint32_t)(last - first + 1)) : NULL;
  if (b == NULL) {
    if (items != NULL) block_destroy(items);
    if (numbers != NULL) block_destroy(numbers);
    block_destroy(call);
    bind_full(L);
  }
  struct task *t = task_of(b);
  t->group = c->group;
  if (stop)
    task_flag(t, TASK_FIRST);
  task_flag(t, TASK_CHUNK);
  store_relaxed(&t->timeout, timeout > 0 ? (int64_t)(timeout * 1e9) : 0);
  task_keep(t, &t->call, call);
  task_keep(t, &t->items, items);
  if (numbers != NULL)
    task_keep(t, &t->numbers, numbers);
  block_ref(&t->pool, &c->head);
  bind_own(L, h, b);
  return give(L, c, t);
}

/* The numbers of b to results[base + 1 ...]; how many. */
static lua_Integer take_numbers (lua_State *L, struct block *b, lua_Integer base) {
  lua_Integer n = (lua_Integer)bundle_count(b);
  struct peek_value *v = peek_array(L, 3, (size_t)(base + n));
  if (v != NULL) {
    for (lua_Integer i = 0; i < n; i++) {
      v[base + i].u.i = (lua_Integer)bundle_numbers(b)[i];
      v[base + i].type = b->flags == BUNDLE_INTEGERS ? PEEK_INTEGER : PEEK_FLOAT;
    }
    return n;
  }
  for (lua_Integer i = 0; i < n; i++) {
    uint64_t bits = bundle_numbers(b)[i];
    if (b->flags == BUNDLE_INTEGERS)
      lua_pushinteger(L, (lua_Integer)bits);
    else {
      lua_Number x;
      memcpy(&x, &bits, sizeof x);
      lua_pushnumber(L, x);
    }
    lua_rawseti(L, 3, base + 1 + i);
  }
  return n;
}

struct reading {
  struct block *items;
  size_t at;                       /* in the bundle */
  lua_Integer base, n;             /* entries read; the last may have raised */
};

/* An error of item 'n' is on the top: popped, kept in the table at 'errors'. */
static void keep_error (lua_State *L, int errors, const struct reading *r) {
  if (lua_isnil(L, -1)) {  /* error(nil) is an error all the same */
    lua_pop(L, 1);
    lua_pushliteral(L, "nil");
  }
  lua_rawseti(L, errors, r->base + r->n);
}

/* reading, results, errors or nil -> value, traceback of the first error, where
   errors are not kept | nothing */
static int read_entries (lua_State *L) {
  struct reading *r = (struct reading *)lua_touserdata(L, 1);
  bool collect = lua_istable(L, 3);
  struct entry *e;
  while ((e = bundle_next(r->items, &r->at)) != NULL) {
    size_t length;
    struct block *_Atomic const *refs;
    uint32_t nrefs;
    const char *bytes = entry_bytes(e, &length, &refs, &nrefs);
    r->n++;
    codec_decode(L, bytes, length, refs, nrefs, 0);
    if (e->mark != ENTRY_VALUE && !collect) {
      lua_settop(L, 5);
      return 2;
    }
    lua_settop(L, 4);
    if (e->mark == ENTRY_VALUE)
      lua_rawseti(L, 2, r->base + r->n);
    else
      keep_error(L, 3, r);
  }
  return 0;
}

/* What a __conc rebuilds with may raise: that is the item's error. Pushes value
   and traceback of the first error, if that is to end it. */
static void read_all (lua_State *L, struct reading *r) {
  for (;;) {
    lua_settop(L, 4);
    lua_pushcfunction(L, read_entries);
    lua_pushlightuserdata(L, r);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    int status = lua_pcall(L, 3, LUA_MULTRET, 0);
    if (status == LUA_OK)
      return;
    if (status == LUA_ERRMEM || bind_iscancelled(L, -1))
      lua_error(L);
    if (!lua_istable(L, 4)) {
      lua_pushnil(L);
      return;
    }
    keep_error(L, 4, r);
  }
}

/*
** core._results(future, base, results, errors or nil)
**   -> entries read, index and value and traceback of the first error | nil
** The results of a chunk that has ended, as far as they go, go to
** results[base + 1 ...], errors to errors[...] by the same indices.
*/
static int core_results (lua_State *L) {
  struct task *t = task_of(bind_check(L, 1, KIND_FUTURE));
  struct reading r = { .items = task_is_call(t) ? NULL : load_acquire(&t->items), .base = luaL_checkinteger(L, 2) };
  lua_settop(L, 4);
  if (r.items == NULL)
    return 0;
  if (r.items->flags != BUNDLE_ENTRIES) {
    lua_pushinteger(L, take_numbers(L, r.items, r.base));
    return 1;
  }
  read_all(L, &r);
  lua_pushinteger(L, r.n);
  if (lua_gettop(L) == 5)
    return 1;
  lua_insert(L, 5);
  lua_pushinteger(L, r.base + r.n);
  lua_insert(L, 6);
  return 4;
}

/* core._elapsed(future) -> seconds it ran, by the clock; of one that has ended */
static int core_elapsed (lua_State *L) {
  struct task *t = task_of(bind_check(L, 1, KIND_FUTURE));
  int64_t begun = load_relaxed(&t->begun), ended = load_relaxed(&t->finished);
  lua_pushnumber(L, begun > 0 && ended > begun ? (double)(ended - begun) / 1e9 : 0);
  return 1;
}

/* core._list(n) -> {}, with room for n elements and a field */
static int core_list (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  lua_createtable(L, n > 0 && n < INT_MAX ? (int)n : 0, 1);
  return 1;
}

/* core._fate(future) -> "late", "died", "cancelled", "ended" */
static int core_fate (lua_State *L) {
  struct task *t = task_of(bind_check(L, 1, KIND_FUTURE));
  uint32_t flags = load_relaxed(&t->flags), state = task_state(t);
  lua_pushstring(L, state == TASK_CANCELLED ? "cancelled" : flags & TASK_LATE ? "late"
                  : flags & TASK_DIED ? "died" : state == TASK_FAILED ? "failed" : "ended");
  return 1;
}

/* core._any(pool, list of futures, n[, timeout]) -> index | nil, "timeout" */
static int core_any (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  size_t n = (size_t)luaL_checkinteger(L, 3), which;
  deadline until = bind_deadline(L, 4);
  struct block **tasks = (struct block **)lua_newuserdatauv(L, n * sizeof *tasks + 1, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    tasks[i] = bind_test(L, -1, KIND_FUTURE);
    if (tasks[i] == NULL)
      luaL_argerror(L, 2, "list of futures expected");
    lua_pop(L, 1);
  }
  int rc = pool_wait_any(c, tasks, n, until, &which);
  if (rc != CONC_OK)
    return bind_result(L, rc);
  lua_pushinteger(L, (lua_Integer)which + 1);
  return 1;
}

/* core._within() -> how many workers share the machine with the caller */
static int core_within (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)pool_within());
  return 1;
}

/* {=== the end ===} */

/* core._shutdown(pool, wait, cancel) */
static int core_shutdown (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  pool_close(c, lua_toboolean(L, 3));
  if (lua_toboolean(L, 2)) {
    int rc = pool_wait_end(c, DEADLINE_NEVER);
    pool_forget();
    if (rc != CONC_OK)
      bind_raise(L, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* pool:terminate() */
static int m_terminate (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  pool_terminate(c);
  int rc = pool_wait_end(c, sys_deadline(3));
  pool_forget();
  if (rc != CONC_OK && rc != CONC_TIMEOUT)
    bind_raise(L, rc);
  lua_pushboolean(L, 1);
  return 1;
}

/* Leaving the scope lets queued work finish; by an error, it is cancelled. */
static int meta_close (lua_State *L) {
  struct crew *c = check_pool(L, 1);
  bool failed = !lua_isnoneornil(L, 2);
  if (failed)
    pool_terminate(c);
  else
    pool_close(c, false);
  int rc = pool_wait_end(c, DEADLINE_NEVER);
  pool_forget();
  if (rc != CONC_OK && !failed)
    bind_raise(L, rc);
  return 0;
}

/* {=== looking ===} */

/* pool:workers() -> integer */
static int m_workers (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_pool(L, 1)->config.size);
  return 1;
}

static void set_count (lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* pool:stats() -> {submitted=, running=, done=, failed=, restarted=} */
static int m_stats (lua_State *L) {
  struct pool_counts n;
  pool_counts(check_pool(L, 1), &n);
  lua_createtable(L, 0, 5);
  set_count(L, "submitted", n.submitted);
  set_count(L, "running", n.running);
  set_count(L, "done", n.done);
  set_count(L, "failed", n.failed);
  set_count(L, "restarted", n.restarted);
  return 1;
}

/* core._retries(pool) */
static int core_retries (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_pool(L, 1)->config.retries);
  return 1;
}

static int meta_tostring (lua_State *L) {
  struct block *b = bind_toblock(L, 1);
  if (b == NULL) {
    lua_pushliteral(L, "conc.pool (released)");
    return 1;
  }
  struct crew *c = front_crew(b);
  static const char *const phases[] = { "", ", shutting down", ", terminating", ", shut down" };
  lua_pushfstring(L, "conc.%s \"%s\" (%d workers, %I queued%s)", block_ops(b)->name,
                  c->config.name, (int)c->config.size, (LUAI_UACINT)c->queued,
                  phases[load_acquire(&c->phase) & 3]);
  return 1;
}

/* {=== open ===} */

/* A method that Lua defines, where nobody has required conc.pool yet: the pool
   came as an argument. */
static int lazy_method (lua_State *L) {
  lua_pushnil(L);
  lua_setmetatable(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.pool");
  lua_call(L, 1, 0);
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

static void make_lazy (lua_State *L, enum kind kind) {
  bind_pushmethods(L, kind);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, lazy_method);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

static const luaL_Reg methods[] = {
  { "stats", m_stats },
  { "submit", m_submit },
  { "terminate", m_terminate },
  { "workers", m_workers },
  { NULL, NULL }
};

static const luaL_Reg meta[] = {
  { "__close", meta_close },
  { "__tostring", meta_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "_any", core_any },
  { "_chunk", core_chunk },
  { "_elapsed", core_elapsed },
  { "_fate", core_fate },
  { "_list", core_list },
  { "_pool", core_pool },
  { "_results", core_results },
  { "_retries", core_retries },
  { "_shutdown", core_shutdown },
  { "_within", core_within },
  { NULL, NULL }
};

void bind_open_pool (lua_State *L) {
  static const struct worker_lua worker = { carrier_hooks };
  worker_open(&worker);
  bind_class(L, KIND_THREAD_POOL, methods, meta);
  bind_class(L, KIND_PROCESS_POOL, methods, meta);
  make_lazy(L, KIND_THREAD_POOL);
  make_lazy(L, KIND_PROCESS_POOL);
  luaL_setfuncs(L, functions, 0);
}
