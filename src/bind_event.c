/*
** bind_event.c - floor 7: event
*/
#include "bind_hold.h"
#include "event.h"

static struct event *checkevent (lua_State *L) {
  return event_of(bind_check(L, 1, KIND_EVENT));
}

/* event:set() */
static int m_set (lua_State *L) {
  event_set(checkevent(L));
  return 0;
}

/* event:clear() */
static int m_clear (lua_State *L) {
  event_clear(checkevent(L));
  return 0;
}

/* event:is_set() -> boolean */
static int m_is_set (lua_State *L) {
  lua_pushboolean(L, event_is_set(checkevent(L)));
  return 1;
}

/* event:wait([timeout]) -> true | nil, "timeout" */
static int m_wait (lua_State *L) {
  struct event *e = checkevent(L);
  return hold_result(L, event_wait(e, hold_deadline(L, 2)));
}

static int m_tostring (lua_State *L) {
  lua_pushfstring(L, "conc.event (%s)", event_is_set(checkevent(L)) ? "set" : "clear");
  return 1;
}

/* conc.event() -> event */
static int core_event (lua_State *L) {
  struct handle *h = bind_newhandle(L, KIND_EVENT);
  bind_own(L, h, event_new());
  return 1;
}

static const luaL_Reg methods[] = {
  { "clear", m_clear },
  { "is_set", m_is_set },
  { "set", m_set },
  { "wait", m_wait },
  { NULL, NULL }
};

static const luaL_Reg metamethods[] = {
  { "__tostring", m_tostring },
  { NULL, NULL }
};

void bind_open_event (lua_State *L);
void bind_open_event (lua_State *L) {
  bind_class(L, KIND_EVENT, methods, metamethods);
  lua_pushcfunction(L, core_event);
  lua_setfield(L, -2, "event");
}
