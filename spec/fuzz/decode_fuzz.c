/*
** decode_fuzz.c - conc.decode on bytes of a stranger (libFuzzer: 'make fuzz')
**
** One state per process; its allocator refuses what a message of that length
** cannot justify. Half of the inputs are taken as they are, the others with the
** head that conc.encode gives, so that the fuzzer need not find it.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int luaopen_conc_core (lua_State *L);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A byte of a message makes at most a table (56 bytes), its place in an array
   that doubles, and a frame. */
#define PER_BYTE  400
#define BASE      ((size_t)1 << 16)
#define GARBAGE   ((size_t)1 << 17)   /* of inputs before, at most */

static size_t in_use, at_most, settled;

static void *measured_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (p == NULL)
    osize = 0;
  if (nsize == 0) {
    free(p);
    in_use -= osize;
    return NULL;
  }
  if (at_most != 0 && nsize > osize && in_use + nsize - osize > at_most)
    abort();  /* more than the input justifies */
  void *q = realloc(p, nsize);
  if (q != NULL)
    in_use += nsize - osize;
  return q;
}

/* Half of the time would go into keeping the stacks of allocations. */
const char *__asan_default_options (void);
const char *__asan_default_options (void) {
  return "malloc_context_size=2:quarantine_size_mb=8";
}

static const char head[] = "\033conc\1";

static lua_State *open_state (void) {
  lua_State *L = lua_newstate(measured_alloc, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_getfield(L, -1, "decode");
  lua_replace(L, 1);
  lua_settop(L, 1);
  return L;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  static lua_State *L;
  if (L == NULL)
    L = open_state();
  luaL_Buffer b;
  bool whole = size > 0 && data[0] == (uint8_t)head[0];
  luaL_buffinit(L, &b);
  if (!whole)
    luaL_addlstring(&b, head, sizeof head - 1);
  luaL_addlstring(&b, (const char *)data, size);
  luaL_pushresult(&b);
  if (in_use > settled + GARBAGE) {  /* a full collection costs as much as 100 inputs */
    lua_gc(L, LUA_GCCOLLECT);
    settled = in_use;
  }
  lua_pushvalue(L, 1);
  lua_insert(L, 2);
  at_most = in_use + BASE + size * PER_BYTE;
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    const char *message = lua_tostring(L, -1);
    if (message == NULL || strstr(message, "malformed message at byte ") == NULL)
      abort();
  }
  at_most = 0;
  lua_settop(L, 1);
  return 0;
}
