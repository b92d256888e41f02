/*
** poll_so.c - local poll = require "poll": poll(2) as an event loop uses it
**
** poll(fd [, milliseconds = 0]) -> is fd readable within that time?
*/
#include <lua.h>
#include <lauxlib.h>
#include <errno.h>
#include <poll.h>

static int readable (lua_State *L) {
  struct pollfd p = { .fd = (int)luaL_checkinteger(L, 1), .events = POLLIN };
  int n;
  do
    n = poll(&p, 1, (int)luaL_optinteger(L, 2, 0));
  while (n < 0 && errno == EINTR);
  if (n < 0 || (p.revents & POLLNVAL))
    return luaL_error(L, "no such descriptor: %d", p.fd);
  lua_pushboolean(L, n > 0 && (p.revents & POLLIN));
  return 1;
}

int luaopen_poll (lua_State *L);
int luaopen_poll (lua_State *L) {
  lua_pushcfunction(L, readable);
  return 1;
}
