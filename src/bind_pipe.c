/*
** bind_pipe.c - floor 7: pipe
*/
#include "bind_hold.h"
#include "bind_queue.h"
#include "pipe.h"

static struct block *checkpipe (lua_State *L) {
  return bind_check(L, 1, KIND_PIPE);
}

/* pipe:send(value [, timeout]) -> true | nil, "timeout" | nil, "closed" */
static int m_send (lua_State *L) {
  struct queue *q = pipe_out(checkpipe(L));
  struct record r;
  if (lua_type(L, 2) <= LUA_TNIL)
    luaL_argerror(L, 2, "a value other than nil expected");
  deadline until = hold_deadline(L, 3);
  bind_pack(L, 2, q, &r);
  return bind_put(L, q, &r, NULL, until);
}

/* pipe:recv([timeout]) -> value | nil, "timeout" | nil, "closed" */
static int m_recv (lua_State *L) {
  struct queue *q = pipe_in(checkpipe(L));
  return bind_get(L, q, hold_deadline(L, 2), false);
}

/* pipe:poll([timeout = 0]) -> true | nil, "timeout" | nil, "closed" */
static int m_poll (lua_State *L) {
  struct queue *q = pipe_in(checkpipe(L));
  deadline until = lua_isnone(L, 2) ? DEADLINE_NOW : bind_deadline(L, 2);
  return bind_result(L, queue_poll(q, until));
}

/* pipe:close(): for all holders of this end */
static int m_close (lua_State *L) {
  pipe_close(checkpipe(L));
  return 0;
}

static int m_tostring (lua_State *L) {
  struct block *b = checkpipe(L);
  LUAI_UACINT n = (LUAI_UACINT)queue_length(pipe_in(b));
  lua_pushfstring(L, queue_closed(pipe_in(b)) || queue_closed(pipe_out(b))
                  ? "conc.pipe (closed, %I left)" : "conc.pipe (%I to receive)", n);
  return 1;
}

/* conc.pipe() -> end, end */
static int core_pipe (lua_State *L) {
  struct block *ends[2];
  struct handle *a = bind_newhandle(L, KIND_PIPE);
  struct handle *b = bind_newhandle(L, KIND_PIPE);
  if (!pipe_new(ends))
    bind_full(L);
  bind_own(L, b, ends[1]);
  lua_pushvalue(L, -2);
  bind_own(L, a, ends[0]);
  lua_insert(L, -2);
  return 2;
}

static const luaL_Reg methods[] = {
  { "close", m_close },
  { "poll", m_poll },
  { "pollfd", bind_pollfd },
  { "recv", m_recv },
  { "send", m_send },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", m_close },
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_pipe (lua_State *L);
void bind_open_pipe (lua_State *L) {
  bind_class(L, KIND_PIPE, methods, metamethods);
  lua_pushcfunction(L, core_pipe);
  lua_setfield(L, -2, "pipe");
}
