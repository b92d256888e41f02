/*
** bind_hold.h - floor 7: what the bindings of all that is held share
*/
#ifndef CONC_BIND_HOLD_H
#define CONC_BIND_HOLD_H

#include "bind.h"

/* A waiting call's timeout; the usual absence of one costs a look at its type. */
static inline deadline hold_deadline (lua_State *L, int arg) {
  return likely(lua_type(L, arg) <= LUA_TNIL) ? DEADLINE_NEVER
                                              : bind_deadline(L, arg);
}

/* Result of an acquire. */
static inline int hold_result (lua_State *L, int rc) {
  if (unlikely(rc != CONC_OK))
    return bind_result(L, rc);
  lua_pushboolean(L, 1);
  return 1;
}

/* Result of a guard: the object itself (index 1), or nil, "timeout". */
int hold_guard (lua_State *L, int rc);
/* Before a with: index 2 can be called. */
void hold_checkcall (lua_State *L);
/*
** Rest of a with: 1 is held and has a __close that lets it go, 2 is called with
** what follows; its results. As a to-be-closed slot, so that whatever ends the
** call lets it go, and a message handler still sees where an error came from.
*/
int hold_call (lua_State *L, int rc);
/* Raises for a 'verb' ("release") by another than the holder 'key' (0: nobody). */
int hold_notheld (lua_State *L, const char *verb, thread_key key);
/* Pushes 'held by "worker-2"', 'free' or 'abandoned'. */
void hold_pushstate (lua_State *L, thread_key key, const char *how);

#endif
