/*
** open_test.c - threads of a host that load the module for the first time at the
** same moment: there is one of everything, and a fork after that goes on
*/
#include "kit.h"

#include <lauxlib.h>
#include <lualib.h>

#include "conc.h"

enum { HOSTS = 8, ROUNDS = 60 };

static pthread_barrier_t together;
static lua_Integer ids[HOSTS];

/* Each has a main state of its own; the numbers that it is given are nobody else's. */
static const char use[] =
  "local core = require 'conc.core'\n"
  "local q, t = core.queue(), core.thread(function (x) return x + 1 end, 41)\n"
  "assert(q:put('x') and q:get() == 'x' and t:result() == 42)\n"
  "return core._new_id()";

static void *host (void *arg) {
  lua_Integer *id = arg;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_conc_core);
  lua_setfield(L, -2, "conc.core");
  pthread_barrier_wait(&together);
  if (luaL_dostring(L, use) == LUA_OK)
    *id = lua_tointeger(L, -1);
  else
    fprintf(stderr, "# %s\n", lua_tostring(L, -1));
  lua_close(L);
  return NULL;
}

/* In a process that has not loaded it yet: 0, or what went wrong. */
static int load_together (void) {
  pthread_t threads[HOSTS];
  int status = 1;
  pthread_barrier_init(&together, NULL, HOSTS);
  for (int i = 0; i < HOSTS; i++)
    pthread_create(&threads[i], NULL, host, &ids[i]);
  for (int i = 0; i < HOSTS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < HOSTS; i++)
    for (int k = 0; k <= i; k++)
      if (ids[i] == 0 || (k < i && ids[i] == ids[k]))
        return 2;
  pid_t child = fork();  /* every module's locks are taken, once */
  if (child == 0)
    _exit(0);
  return waitpid(child, &status, 0) == child && status == 0 ? 0 : 3;
}

static bool rounds_pass (void) {
  for (int i = 0; i < ROUNDS; i++) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      alarm(60);
      _exit(load_together());
    }
    if (waitpid(child, &status, 0) != child || status != 0) {
      printf("# round %d: status %#x\n", i, (unsigned)status);
      return false;
    }
  }
  return true;
}

int main (void) {
  ok(rounds_pass(), "threads of a host load the module at the same moment");
  return kit_close();
}
