/*
** bind_semaphore.c - floor 7: semaphore
*/
#include "bind_hold.h"
#include "semaphore.h"

static struct semaphore *checksemaphore (lua_State *L) {
  return semaphore_of(bind_check(L, 1, KIND_SEMAPHORE));
}

/* semaphore:acquire([timeout]) -> true | nil, "timeout" */
static int m_acquire (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  return hold_result(L, semaphore_acquire(s, hold_deadline(L, 2)));
}

/* semaphore:guard([timeout]) -> semaphore | nil, "timeout" */
static int m_guard (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  return hold_guard(L, semaphore_acquire(s, hold_deadline(L, 2)));
}

/* semaphore:with(f, ...) -> f's results */
static int m_with (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  hold_checkcall(L);
  return hold_call(L, semaphore_acquire(s, DEADLINE_NEVER));
}

static int release (lua_State *L, struct semaphore *s, lua_Integer n) {
  if (semaphore_release(s, n) == CONC_OK)
    return 0;
  const char *msg = lua_pushfstring(L, "%I released, at most %I expected (value %I of %I)",
    (LUAI_UACINT)n, (LUAI_UACINT)(s->max - semaphore_value(s)),
    (LUAI_UACINT)semaphore_value(s), (LUAI_UACINT)s->max);
  return luaL_argerror(L, 2, msg);
}

/* semaphore:release([n = 1]) */
static int m_release (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  lua_Integer n = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 1, 2, lua_pushfstring(L, "1 or more expected, got %I",
                                              (LUAI_UACINT)n));
  return release(L, s, n);
}

/* Leaving a scope by an error: that error is what counts. */
static int m_close (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  if (!lua_isnoneornil(L, 2)) {
    semaphore_release(s, 1);
    return 0;
  }
  return release(L, s, 1);
}

/* semaphore:value() -> integer */
static int m_value (lua_State *L) {
  lua_pushinteger(L, semaphore_value(checksemaphore(L)));
  return 1;
}

static int m_tostring (lua_State *L) {
  struct semaphore *s = checksemaphore(L);
  LUAI_UACINT value = semaphore_value(s);
  if (s->max == INT64_MAX)
    lua_pushfstring(L, "conc.semaphore (%I)", value);
  else
    lua_pushfstring(L, "conc.semaphore (%I of %I)", value, (LUAI_UACINT)s->max);
  return 1;
}

/* conc.semaphore([n = 1 [, max]]) -> semaphore */
static int core_semaphore (lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, 1);
  lua_Integer max = luaL_optinteger(L, 2, INT64_MAX);
  luaL_argcheck(L, n >= 0, 1, lua_pushfstring(L, "0 or more expected, got %I",
                                              (LUAI_UACINT)n));
  luaL_argcheck(L, max >= 1 && max >= n, 2,
    lua_pushfstring(L, "%I or more expected, got %I", (LUAI_UACINT)(n > 1 ? n : 1),
                    (LUAI_UACINT)max));
  struct handle *h = bind_newhandle(L, KIND_SEMAPHORE);
  bind_own(L, h, semaphore_new(n, max));
  return 1;
}

static const luaL_Reg methods[] = {
  { "acquire", m_acquire },
  { "guard", m_guard },
  { "release", m_release },
  { "value", m_value },
  { "with", m_with },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", m_close },
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_semaphore (lua_State *L);
void bind_open_semaphore (lua_State *L) {
  bind_class(L, KIND_SEMAPHORE, methods, metamethods);
  lua_pushcfunction(L, core_semaphore);
  lua_setfield(L, -2, "semaphore");
}
