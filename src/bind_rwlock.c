/*
** bind_rwlock.c - floor 7: rwlock
*/
#include "bind_hold.h"
#include "rwlock.h"

static struct rwlock *checkrwlock (lua_State *L) {
  return rwlock_of(bind_check(L, 1, KIND_RWLOCK));
}

static int acquire (lua_State *L, struct rwlock *rw, deadline until, bool write) {
  int rc = write ? rwlock_acquire_write(rw, until) : rwlock_acquire_read(rw, until);
  if (rc == CONC_MISUSE)
    luaL_argerror(L, 1, write
      ? "rwlock not held by this thread expected: it reads, and asks to write"
      : "rwlock not held by this thread expected: it writes, and asks to read");
  return rc;
}

static int timed (lua_State *L, bool write) {
  struct rwlock *rw = checkrwlock(L);
  return acquire(L, rw, hold_deadline(L, 2), write);
}

static int untimed (lua_State *L, bool write) {
  struct rwlock *rw = checkrwlock(L);
  hold_checkcall(L);
  return acquire(L, rw, DEADLINE_NEVER, write);
}

static int notheld (lua_State *L, struct rwlock *rw) {
  bool writing;
  return hold_notheld(L, "release", rwlock_owner(rw, &writing));
}

/* rwlock:acquire_read([timeout]) -> true | true, "abandoned" | nil, "timeout" */
static int m_acquire_read (lua_State *L) {
  return hold_result(L, timed(L, false));
}

/* rwlock:acquire_write([timeout]) -> true | true, "abandoned" | nil, "timeout" */
static int m_acquire_write (lua_State *L) {
  return hold_result(L, timed(L, true));
}

/* rwlock:guard_read([timeout]) -> rwlock | nil, "timeout" */
static int m_guard_read (lua_State *L) {
  return hold_guard(L, timed(L, false));
}

/* rwlock:guard_write([timeout]) -> rwlock | nil, "timeout" */
static int m_guard_write (lua_State *L) {
  return hold_guard(L, timed(L, true));
}

/* rwlock:with_read(f, ...) -> f's results */
static int m_with_read (lua_State *L) {
  return hold_call(L, untimed(L, false));
}

/* rwlock:with_write(f, ...) -> f's results */
static int m_with_write (lua_State *L) {
  return hold_call(L, untimed(L, true));
}

/* rwlock:release() */
static int m_release (lua_State *L) {
  struct rwlock *rw = checkrwlock(L);
  if (rwlock_release(rw) != CONC_OK)
    return notheld(L, rw);
  return 0;
}

/* Leaving a scope by an error: that error is what counts. */
static int m_close (lua_State *L) {
  struct rwlock *rw = checkrwlock(L);
  if (rwlock_release(rw) != CONC_OK && lua_isnoneornil(L, 2))
    return notheld(L, rw);
  return 0;
}

/* rwlock:locked() -> "read" | "write" | false */
static int m_locked (lua_State *L) {
  bool writing;
  if (rwlock_owner(checkrwlock(L), &writing) == 0)
    lua_pushboolean(L, 0);
  else
    lua_pushstring(L, writing ? "write" : "read");
  return 1;
}

static int m_tostring (lua_State *L) {
  struct rwlock *rw = checkrwlock(L);
  bool writing;
  thread_key key = rwlock_owner(rw, &writing);
  uint32_t readers = rwlock_readers(rw);
  if (readers > 1)
    lua_pushfstring(L, "read by %d", (int)readers);
  else
    hold_pushstate(L, key, writing ? "written" : "read");
  lua_pushfstring(L, "conc.rwlock (%s)", lua_tostring(L, -1));
  return 1;
}

/* conc.rwlock() -> rwlock */
static int core_rwlock (lua_State *L) {
  char made[MADE_SIZE];
  struct handle *h = bind_newhandle(L, KIND_RWLOCK);
  bind_where(L, made, sizeof made);
  bind_own(L, h, rwlock_new(made));
  return 1;
}

static const luaL_Reg methods[] = {
  { "acquire_read", m_acquire_read },
  { "acquire_write", m_acquire_write },
  { "guard_read", m_guard_read },
  { "guard_write", m_guard_write },
  { "locked", m_locked },
  { "release", m_release },
  { "with_read", m_with_read },
  { "with_write", m_with_write },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__close", m_close },
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_rwlock (lua_State *L);
void bind_open_rwlock (lua_State *L) {
  bind_class(L, KIND_RWLOCK, methods, metamethods);
  lua_pushcfunction(L, core_rwlock);
  lua_setfield(L, -2, "rwlock");
}
