/*
** bind_select.c - floor 7: conc.select and pollfd
*/
#include "bind_hold.h"
#include "bind_queue.h"
#include "pipe.h"
#include "select.h"
#include "thread.h"
#include "watch.h"

#include <errno.h>
#include <string.h>

/* {=== select ===} */

struct choice {
  struct block **objects;
  struct record record;
  struct sink sink;
};

static struct queue *queue_behind (struct block *b) {
  switch (b->kind) {
    case KIND_QUEUE: case KIND_LIFO_QUEUE: case KIND_PRIORITY_QUEUE:
      return queue_of(b);
    case KIND_PIPE:
      return pipe_in(b);
    default:
      return NULL;
  }
}

/* Takes from a queue; of what can only end, tells whether it has. */
static int take (void *ctx, int i) {
  struct choice *c = (struct choice *)ctx;
  struct block *b = c->objects[i];
  struct queue *q = queue_behind(b);
  if (q != NULL)
    return queue_get(q, &c->sink, DEADLINE_NOW);
  return select_ops_of(b)->ready(b) ? CONC_OK : CONC_TIMEOUT;
}

/* The objects of the list at 1, in a userdata on the top; their handles stay
   in the list's copy below it, so that none goes while we wait. */
static struct block **checkobjects (lua_State *L, int *n) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer len = luaL_len(L, 1);
  luaL_argcheck(L, len > 0, 1, "list is empty");
  luaL_argcheck(L, len < 1 << 24, 1, "list is too long");
  lua_createtable(L, (int)len, 0);
  struct block **list = (struct block **)
    lua_newuserdatauv(L, (size_t)len * sizeof *list, 0);
  for (lua_Integer i = 1; i <= len; i++) {
    lua_geti(L, 1, i);
    list[i - 1] = bind_toblock(L, -1);
    if (list[i - 1] == NULL || select_ops_of(list[i - 1]) == NULL) {
      const char *msg = lua_pushfstring(L,
        "queue, pipe, future, thread, process or event expected as item %I, got %s",
        (LUAI_UACINT)i, list[i - 1] == NULL ? luaL_typename(L, -1)
                                            : block_ops(list[i - 1])->name);
      luaL_argerror(L, 1, msg);
    }
    lua_rawseti(L, -3, i);
  }
  *n = (int)len;
  return list;
}

/* conc.select(list [, timeout]) -> queue or pipe, value [, priority] | object
                                  | nil, "timeout" | nil, "closed" */
static int core_select (lua_State *L) {
  static __thread unsigned turn;
  struct choice c;
  int n, which;
  deadline until = bind_deadline(L, 2);
  lua_settop(L, 1);
  c.objects = checkobjects(L, &n);
  c.sink = (struct sink){ .to = (char *)&c.record, .size = sizeof c.record, .max = 1 };
  int rc = select_wait(c.objects, n, (int)(turn++ % (unsigned)n), until, take, &c, &which);
  if (rc != CONC_OK)
    return bind_result(L, rc);
  lua_rawgeti(L, 2, which + 1);
  if (queue_behind(c.objects[which]) == NULL)
    return 1;
  bind_unpack(L, &c.record.head);
  if (c.objects[which]->kind != KIND_PRIORITY_QUEUE)
    return 2;
  bind_pushpriority(L, &c.sink.priority);
  return 3;
}

/* {=== pollfd ===} */

/*
** A handle whose descriptor was asked for has a companion, in a table with weak
** keys: when the handle is collected the companion is, and lets go of the
** descriptor.
*/
struct companion { struct block *block; struct process_record *process; uint32_t generation; };
static const char companions_key = 'p', companion_class = 'w';

static int companion_gc (lua_State *L) {
  struct companion *c = (struct companion *)lua_touserdata(L, 1);
  struct block *b = c->block;
  c->block = NULL;
  if (b != NULL && c->process == process_mine()
      && c->generation == load_relaxed(&c->process->generation))
    watch_drop(b);
  return 0;
}

static bool is_current (const struct companion *c) {
  return c != NULL && c->block != NULL && c->process == process_mine()
      && c->generation == load_relaxed(&c->process->generation);
}

/* Notes a companion for the handle at 1, on the top, before it has a block. */
static struct companion *new_companion (lua_State *L) {
  struct companion *c = (struct companion *)lua_newuserdatauv(L, sizeof *c, 0);
  c->block = NULL;
  c->process = process_mine();
  c->generation = load_relaxed(&c->process->generation);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &companion_class);
  lua_setmetatable(L, -2);
  return c;
}

/* object:pollfd() -> file descriptor, readable while the object is ready */
int bind_pollfd (lua_State *L) {
  struct block *b = bind_toblock(L, 1);
  if (b == NULL || select_ops_of(b) == NULL)
    return luaL_typeerror(L, 1, "queue, pipe, future, thread, process or event");
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &companions_key);
  lua_pushvalue(L, 1);
  lua_rawget(L, 2);
  bool known = is_current((struct companion *)lua_touserdata(L, 3));
  if (!known) {
    lua_settop(L, 2);
    struct companion *c = new_companion(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_rawset(L, 2);
    if (watch_fd(b) < 0)
      return luaL_error(L, "no descriptor: %s", strerror(errno));
    c->block = b;
  }
  int fd = watch_fd(b);
  watch_drop(b);
  lua_pushinteger(L, fd);
  return 1;
}

static int start_helper (void (*body) (void *arg), void *arg) {
  return thread_start(body, arg, NULL);
}

/* {=== open ===} */

static void open_companions (lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &companions_key);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, companion_gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &companion_class);
}

static void add_pollfd (lua_State *L, enum kind kind) {
  bind_pushmethods(L, kind);
  if (lua_istable(L, -1)) {
    lua_pushcfunction(L, bind_pollfd);
    lua_setfield(L, -2, "pollfd");
  }
  lua_pop(L, 1);
}

void bind_open_select (lua_State *L);
void bind_open_select (lua_State *L) {
  store_relaxed(&watch_start, start_helper);
  open_companions(L);
  add_pollfd(L, KIND_EVENT);
  lua_pushcfunction(L, core_select);
  lua_setfield(L, -2, "select");
}
