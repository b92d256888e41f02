/*
** bind_condition.c - floor 7: condition
*/
#include "bind_hold.h"
#include "condition.h"

static struct condition *checkcondition (lua_State *L) {
  return condition_of(bind_check(L, 1, KIND_CONDITION));
}

static struct lock *checkitslock (lua_State *L) {
  return condition_lock(checkcondition(L));
}

static int notheld (lua_State *L, const char *verb, struct lock *l) {
  return hold_notheld(L, verb, lock_owner(l));
}

/* condition:acquire([timeout]) -> true | true, "abandoned" | nil, "timeout" */
static int m_acquire (lua_State *L) {
  struct lock *l = checkitslock(L);
  return hold_result(L, lock_acquire(l, hold_deadline(L, 2)));
}

/* condition:release() */
static int m_release (lua_State *L) {
  struct lock *l = checkitslock(L);
  if (lock_release(l) != CONC_OK)
    return notheld(L, "release", l);
  return 0;
}

/* condition:guard([timeout]) -> condition | nil, "timeout" */
static int m_guard (lua_State *L) {
  struct lock *l = checkitslock(L);
  return hold_guard(L, lock_acquire(l, hold_deadline(L, 2)));
}

/* condition:with(f, ...) -> f's results */
static int m_with (lua_State *L) {
  struct lock *l = checkitslock(L);
  hold_checkcall(L);
  return hold_call(L, lock_acquire(l, DEADLINE_NEVER));
}

/* Leaving a scope by an error: that error is what counts. */
static int m_close (lua_State *L) {
  struct lock *l = checkitslock(L);
  if (lock_release(l) != CONC_OK && lua_isnoneornil(L, 2))
    return notheld(L, "release", l);
  return 0;
}

/* condition:wait([timeout]) -> true | nil, "timeout"; and "abandoned" where the
   lock was had back from a holder that had ended */
static int m_wait (lua_State *L) {
  struct condition *c = checkcondition(L);
  bool abandoned;
  int rc = condition_wait(c, hold_deadline(L, 2), &abandoned);
  if (rc == CONC_NOTHELD)
    return notheld(L, "wait", condition_lock(c));
  int n = hold_result(L, rc);
  if (!abandoned)
    return n;
  lua_pushliteral(L, "abandoned");
  return n + 1;
}

/* Stack of a wait_for. What is not a slot is in the context of its calls. */
enum { FOR_SELF = 1, FOR_PREDICATE, FOR_UNTIL, FOR_TOP = FOR_UNTIL };
enum { FOR_EXPIRED = 1, FOR_ABANDONED = 2 };

static int wait_for_result (lua_State *L, lua_KContext ctx, int n) {
  if (!(ctx & FOR_ABANDONED))
    return n;
  lua_pushliteral(L, "abandoned");
  return n + 1;
}

/* The predicate has given its value, on the top. */
static int wait_for_look (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  for (;;) {
    if (lua_toboolean(L, -1))
      return wait_for_result(L, ctx, 1);
    lua_settop(L, FOR_TOP);
    deadline until = lua_tointeger(L, FOR_UNTIL);
    if ((ctx & FOR_EXPIRED) || until == DEADLINE_NOW)
      return wait_for_result(L, ctx, bind_result(L, CONC_TIMEOUT));
    bool abandoned;
    struct condition *c = checkcondition(L);
    int rc = condition_wait(c, until, &abandoned);
    if (rc == CONC_NOTHELD)
      return notheld(L, "wait_for", condition_lock(c));
    bind_raise(L, rc);
    ctx |= (rc == CONC_TIMEOUT ? FOR_EXPIRED : 0) | (abandoned ? FOR_ABANDONED : 0);
    lua_pushvalue(L, FOR_PREDICATE);
    lua_callk(L, 0, 1, ctx, wait_for_look);
  }
}

/* condition:wait_for(predicate [, timeout]) -> its value | nil, "timeout" */
static int m_wait_for (lua_State *L) {
  struct lock *l = checkitslock(L);
  hold_checkcall(L);
  deadline until = hold_deadline(L, 3);
  if (lock_owner(l) != self()->key)
    return notheld(L, "wait_for", l);
  lua_settop(L, FOR_PREDICATE);
  lua_pushinteger(L, until);
  lua_pushvalue(L, FOR_PREDICATE);
  lua_callk(L, 0, 1, 0, wait_for_look);
  return wait_for_look(L, LUA_OK, 0);
}

static int notify (lua_State *L, uint64_t n) {
  struct condition *c = checkcondition(L);
  if (condition_notify(c, n) != CONC_OK)
    return notheld(L, "notify", condition_lock(c));
  return 0;
}

/* condition:notify([n = 1]) */
static int m_notify (lua_State *L) {
  checkcondition(L);
  lua_Integer n = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 0, 2, lua_pushfstring(L, "0 or more expected, got %I",
                                              (LUAI_UACINT)n));
  return notify(L, (uint64_t)n);
}

/* condition:notify_all() */
static int m_notify_all (lua_State *L) {
  return notify(L, UINT64_MAX);
}

static int m_tostring (lua_State *L) {
  struct condition *c = checkcondition(L);
  hold_pushstate(L, lock_owner(condition_lock(c)), "held");
  lua_pushfstring(L, "conc.condition (%s, %I waiting)", lua_tostring(L, -1),
                  (LUAI_UACINT)condition_waiting(c));
  return 1;
}

/* nil: an rlock of its own */
static struct block *optlock (lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return NULL;
  struct block *b = bind_test(L, arg, KIND_LOCK);
  if (b == NULL)
    b = bind_test(L, arg, KIND_RLOCK);
  if (b == NULL) {
    struct block *other = bind_toblock(L, arg);
    luaL_argerror(L, arg, lua_pushfstring(L, "conc.lock or conc.rlock expected, got %s%s",
      other != NULL ? "conc." : "",
      other != NULL ? block_ops(other)->name : luaL_typename(L, arg)));
  }
  return b;
}

/* conc.condition([lock]) -> condition */
static int core_condition (lua_State *L) {
  char made[MADE_SIZE];
  struct block *lock = optlock(L, 1);
  struct handle *h = bind_newhandle(L, KIND_CONDITION);
  bind_where(L, made, sizeof made);
  bind_own(L, h, condition_new(lock, made));
  return 1;
}

static const luaL_Reg methods[] = {
  { "acquire", m_acquire },
  { "guard", m_guard },
  { "notify", m_notify },
  { "notify_all", m_notify_all },
  { "release", m_release },
  { "wait", m_wait },
  { "wait_for", m_wait_for },
  { "with", m_with },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", m_close },
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_condition (lua_State *L);
void bind_open_condition (lua_State *L) {
  bind_class(L, KIND_CONDITION, methods, metamethods);
  lua_pushcfunction(L, core_condition);
  lua_setfield(L, -2, "condition");
}
