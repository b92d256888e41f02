/*
** starve_so.c - for spec files: calls that run out of memory
**
**   starve(n, f, ...) -> fired, ok, results or error
**
** From the n-th growth of memory on, until f ends, the state's allocator says
** no. 'fired' tells whether it came to that.
*/
#include <lauxlib.h>
#include <lua.h>

struct hunger {
  lua_Alloc alloc;
  void *ud;
  long left;
  int fired;
};

static void *hungry_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  struct hunger *h = ud;
  int grows = nsize > (p != NULL ? osize : 0);
  if (grows && --h->left < 0) {
    h->fired = 1;
    return NULL;
  }
  return h->alloc(h->ud, p, osize, nsize);
}

static int starve (lua_State *L) {
  struct hunger h = { .left = (long)luaL_checkinteger(L, 1) - 1, .fired = 0 };
  h.alloc = lua_getallocf(L, &h.ud);
  lua_remove(L, 1);
  luaL_checkstack(L, 100, NULL);
  lua_setallocf(L, hungry_alloc, &h);
  int rc = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  lua_setallocf(L, h.alloc, h.ud);
  lua_pushboolean(L, rc == LUA_OK);
  lua_insert(L, 1);
  lua_pushboolean(L, h.fired);
  lua_insert(L, 1);
  return lua_gettop(L);
}

int luaopen_starve (lua_State *L);
__attribute__((visibility("default")))
int luaopen_starve (lua_State *L) {
  lua_pushcfunction(L, starve);
  return 1;
}
