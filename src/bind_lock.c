/*
** bind_lock.c - floor 7: lock and rlock
*/
#include "bind_hold.h"
#include "lock.h"

static struct lock *checklock (lua_State *L) {
  return lock_of(bind_check(L, 1, KIND_LOCK));
}

static struct lock *checkrlock (lua_State *L) {
  return lock_of(bind_check(L, 1, KIND_RLOCK));
}

/* {=== what both do, once their kind is checked ===} */

static int acquire (lua_State *L, struct lock *l) {
  int rc = lock_acquire(l, hold_deadline(L, 2));
  if (unlikely(rc == CONC_RANGE))
    return luaL_error(L, "rlock acquired too often by one thread");
  return hold_result(L, rc);
}

static int release (lua_State *L, struct lock *l) {
  if (unlikely(lock_release(l) != CONC_OK))
    return hold_notheld(L, "release", lock_owner(l));
  return 0;
}

/* Leaving a scope by an error: that error is what counts. */
static int leave (lua_State *L, struct lock *l) {
  if (lock_release(l) != CONC_OK && lua_isnoneornil(L, 2))
    return hold_notheld(L, "release", lock_owner(l));
  return 0;
}

static int with (lua_State *L, struct lock *l) {
  hold_checkcall(L);
  return hold_call(L, lock_acquire(l, DEADLINE_NEVER));
}

static int locked (lua_State *L, struct lock *l) {
  lua_pushboolean(L, lock_locked(l));
  return 1;
}

static int tostring (lua_State *L, struct lock *l) {
  hold_pushstate(L, lock_owner(l), "held");
  lua_pushfstring(L, "conc.%s (%s)", block_ops(&l->head)->name, lua_tostring(L, -1));
  return 1;
}

/* {=== lock ===} */

/* lock:acquire([timeout]) -> true | true, "abandoned" | nil, "timeout" */
static int lock_m_acquire (lua_State *L) {
  return acquire(L, checklock(L));
}

/* lock:release() */
static int lock_m_release (lua_State *L) {
  return release(L, checklock(L));
}

/* lock:guard([timeout]) -> lock | nil, "timeout" */
static int lock_m_guard (lua_State *L) {
  struct lock *l = checklock(L);
  return hold_guard(L, lock_acquire(l, hold_deadline(L, 2)));
}

/* lock:with(f, ...) -> f's results */
static int lock_m_with (lua_State *L) {
  return with(L, checklock(L));
}

/* lock:locked() -> boolean */
static int lock_m_locked (lua_State *L) {
  return locked(L, checklock(L));
}

static int lock_m_close (lua_State *L) {
  return leave(L, checklock(L));
}

static int lock_m_tostring (lua_State *L) {
  return tostring(L, checklock(L));
}

/* {=== rlock ===} */

static int rlock_m_acquire (lua_State *L) {
  return acquire(L, checkrlock(L));
}

static int rlock_m_release (lua_State *L) {
  return release(L, checkrlock(L));
}

static int rlock_m_guard (lua_State *L) {
  struct lock *l = checkrlock(L);
  return hold_guard(L, lock_acquire(l, hold_deadline(L, 2)));
}

static int rlock_m_with (lua_State *L) {
  return with(L, checkrlock(L));
}

static int rlock_m_locked (lua_State *L) {
  return locked(L, checkrlock(L));
}

static int rlock_m_close (lua_State *L) {
  return leave(L, checkrlock(L));
}

static int rlock_m_tostring (lua_State *L) {
  return tostring(L, checkrlock(L));
}

/* {=== open ===} */

static int new_of (lua_State *L, enum kind kind) {
  char made[MADE_SIZE];
  struct handle *h = bind_newhandle(L, kind);
  bind_where(L, made, sizeof made);
  bind_own(L, h, lock_new(kind, made));
  return 1;
}

/* conc.lock() -> lock */
static int core_lock (lua_State *L) {
  return new_of(L, KIND_LOCK);
}

/* conc.rlock() -> rlock */
static int core_rlock (lua_State *L) {
  return new_of(L, KIND_RLOCK);
}

static const luaL_Reg lock_methods[] = {
  { "acquire", lock_m_acquire },
  { "guard", lock_m_guard },
  { "locked", lock_m_locked },
  { "release", lock_m_release },
  { "with", lock_m_with },
  { NULL, NULL }
};

static const luaL_Reg lock_metamethods[] = {
  { "__close", lock_m_close },
  { "__tostring", lock_m_tostring },
  { NULL, NULL }
};

static const luaL_Reg rlock_methods[] = {
  { "acquire", rlock_m_acquire },
  { "guard", rlock_m_guard },
  { "locked", rlock_m_locked },
  { "release", rlock_m_release },
  { "with", rlock_m_with },
  { NULL, NULL }
};

static const luaL_Reg rlock_metamethods[] = {
  { "__close", rlock_m_close },
  { "__tostring", rlock_m_tostring },
  { NULL, NULL }
};

static const luaL_Reg functions[] = {
  { "lock", core_lock },
  { "rlock", core_rlock },
  { NULL, NULL }
};

void bind_open_lock (lua_State *L);
void bind_open_lock (lua_State *L) {
  bind_class(L, KIND_LOCK, lock_methods, lock_metamethods);
  bind_class(L, KIND_RLOCK, rlock_methods, rlock_metamethods);
  luaL_setfuncs(L, functions, 0);
}
