/*
** bind_barrier.c - floor 7: barrier
**
** An action is kept twice: as a message in the barrier, for whichever thread or
** process comes last, and as the function itself in the states that have it
** already (a table from handle to function): where it was made it is the very
** function, with its own upvalues.
*/
#include "bind_hold.h"
#include "barrier.h"
#include "message.h"

static const char actions_key = 'a';

static struct barrier *checkbarrier (lua_State *L) {
  return barrier_of(bind_check(L, 1, KIND_BARRIER));
}

/* {=== the action ===} */

/* Whoever runs the action owes the barrier an end of the round. */
struct debt { struct barrier *barrier; bool owed; };

static int debt_close (lua_State *L) {
  struct debt *d = (struct debt *)lua_touserdata(L, 1);
  if (d->owed) {
    d->owed = false;
    barrier_finish(d->barrier, false);
  }
  return 0;
}

/* A to-be-closed slot; made before the wait, as it can fail. */
static struct debt *push_debt (lua_State *L, struct barrier *b) {
  struct debt *d = (struct debt *)lua_newuserdatauv(L, sizeof *d, 0);
  d->barrier = b;
  d->owed = false;
  if (luaL_newmetatable(L, "conc.barrier.debt")) {
    lua_pushcfunction(L, debt_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return d;
}

/* actions[handle] = function; the two are the top of the stack, and popped. */
static void keep_action (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &actions_key);
  lua_rotate(L, -3, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Pushes the action of the barrier at 'idx'. */
static void push_action (lua_State *L, int idx) {
  struct barrier *b = barrier_of(bind_toblock(L, idx));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &actions_key);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  int top = lua_gettop(L);
  codec_decode_message(L, load_relaxed(&b->action), 0);
  lua_settop(L, top + 1);
  lua_pushvalue(L, idx);
  lua_pushvalue(L, -2);
  keep_action(L);
}

/* {=== methods ===} */

static int wait_result (lua_State *L, int rc, lua_Integer index) {
  if (rc != CONC_OK)
    return bind_result(L, rc);
  lua_pushinteger(L, index);
  return 1;
}

/* The action has returned: 1 barrier, 2 debt. */
static int act_ended (lua_State *L, int status, lua_KContext ctx) {
  struct debt *d = (struct debt *)lua_touserdata(L, 2);
  (void)status;
  d->owed = false;
  return wait_result(L, barrier_finish(d->barrier, true), ctx);
}

/* barrier:wait([timeout]) -> index | nil, "timeout" | nil, "broken" */
static int m_wait (lua_State *L) {
  struct barrier *b = checkbarrier(L);
  deadline until = hold_deadline(L, 2);
  struct debt *debt = NULL;
  uint32_t index = 0;
  bool act;
  lua_settop(L, 1);
  if (load_relaxed(&b->action) != NULL)
    debt = push_debt(L, b);
  int rc = barrier_wait(b, until, &index, &act);
  if (rc == CONC_MISUSE)
    return luaL_argerror(L, 1, "barrier whose action this thread is running");
  if (debt == NULL || !act)
    return wait_result(L, rc, index);
  debt->owed = true;
  push_action(L, 1);
  lua_callk(L, 0, 0, index, act_ended);
  return act_ended(L, LUA_OK, index);
}

/* barrier:reset() */
static int m_reset (lua_State *L) {
  barrier_reset(checkbarrier(L));
  return 0;
}

/* barrier:abort() */
static int m_abort (lua_State *L) {
  barrier_abort(checkbarrier(L));
  return 0;
}

/* barrier:broken() -> boolean */
static int m_broken (lua_State *L) {
  lua_pushboolean(L, barrier_broken(checkbarrier(L)));
  return 1;
}

/* barrier:waiting() -> integer */
static int m_waiting (lua_State *L) {
  lua_pushinteger(L, barrier_waiting(checkbarrier(L)));
  return 1;
}

/* barrier:parties() -> integer */
static int m_parties (lua_State *L) {
  lua_pushinteger(L, checkbarrier(L)->parties);
  return 1;
}

static int m_tostring (lua_State *L) {
  struct barrier *b = checkbarrier(L);
  if (barrier_broken(b))
    lua_pushliteral(L, "conc.barrier (broken)");
  else
    lua_pushfstring(L, "conc.barrier (%d of %d waiting)", (int)barrier_waiting(b),
                    (int)b->parties);
  return 1;
}

/* {=== open ===} */

/* The function at 2 as a message in hand. */
static struct block *encode_action (lua_State *L) {
  struct parcel p;
  codec_encode(L, 2, 1, 0, "argument", 2, &p);
  struct block *message = parcel_post(&p);
  if (message == NULL) {
    parcel_drop(&p);
    bind_full(L);
  }
  return message;
}

/* conc.barrier(n [, action]) -> barrier */
static int core_barrier (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  struct block *action = NULL;
  luaL_argcheck(L, n >= 1 && n <= BARRIER_MAX, 1,
    lua_pushfstring(L, "1 to %d expected, got %I", BARRIER_MAX, (LUAI_UACINT)n));
  lua_settop(L, 2);
  bool acts = !lua_isnil(L, 2);
  if (acts)
    hold_checkcall(L);
  struct handle *h = bind_newhandle(L, KIND_BARRIER);
  if (acts) {
    lua_pushvalue(L, -1);
    lua_pushvalue(L, 2);
    keep_action(L);
    action = encode_action(L);
  }
  struct block *b = barrier_new((uint32_t)n, action);
  if (b == NULL && action != NULL)
    message_drop(action);
  bind_own(L, h, b);
  return 1;
}

static const luaL_Reg methods[] = {
  { "abort", m_abort },
  { "broken", m_broken },
  { "parties", m_parties },
  { "reset", m_reset },
  { "wait", m_wait },
  { "waiting", m_waiting },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_barrier (lua_State *L);
void bind_open_barrier (lua_State *L) {
  bind_class(L, KIND_BARRIER, methods, metamethods);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &actions_key);
  lua_pushcfunction(L, core_barrier);
  lua_setfield(L, -2, "barrier");
}
