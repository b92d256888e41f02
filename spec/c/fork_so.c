/*
** fork_so.c - local fork = require "fork": forks of a host's own, which conc hears of only
** by pthread_atfork
**
** fork([f]) -> how the child ended: its exit code, or -signal. The child calls f and
** leaves by _exit: with 1 if f failed.
*/
#include <lua.h>
#include <lauxlib.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_forked (lua_State *L) {
  int status;
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "cannot fork: %s", strerror(errno));
  if (pid == 0)
    _exit(lua_isnoneornil(L, 1) || lua_pcall(L, 0, 0, 0) == LUA_OK ? 0 : 1);
  while (waitpid(pid, &status, 0) != pid)
    if (errno != EINTR)
      return luaL_error(L, "waitpid: %s", strerror(errno));
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

int luaopen_fork (lua_State *L);
int luaopen_fork (lua_State *L) {
  lua_pushcfunction(L, run_forked);
  return 1;
}
