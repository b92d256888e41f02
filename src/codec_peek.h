/*
** codec_peek.h - floor 4: tables and strings where they lie
**
** A small message costs a dozen calls of the API for each table in it, a list of
** a million numbers four calls for every element; all the rest of encoding is a
** store. So where Lua's objects are laid out as in Lua 5.4, data is read in
** place (codec_data.c), and numbers are written in place (codec_decode.c).
** That they are laid out so is not taken on trust: peek_open makes objects of
** every shape that matters and looks; where anything is not as expected,
** 'peek_works' stays false and everything goes through the API (Lua 5.5,
** patched Luas).
**
** Nothing is allocated in Lua and no collector runs between finding an address
** and the last use of it. Only numbers are written, and only into fresh arrays:
** they are no objects, so no barrier is needed.
*/
#ifndef CONC_CODEC_PEEK_H
#define CONC_CODEC_PEEK_H

#include <lua.h>
#include <string.h>
#include "ground.h"

/* As lobject.h of Lua 5.4 has them. */
union peek_payload { lua_Integer i; lua_Number n; const void *p; };

struct peek_value {
  union peek_payload u;
  unsigned char type;
};
struct peek_node {
  union peek_payload u;
  unsigned char type, key_type;
  int next;
  union peek_payload key;
};
struct peek_table {
  void *next;
  unsigned char type, marked, flags, log_nodes;
  unsigned int limit;          /* keys 1..limit are in 'array', perhaps more */
  struct peek_value *array;
  struct peek_node *nodes;
  void *last_free;
  void *metatable;
};
struct peek_string {
  void *next;
  unsigned char type, marked, extra, short_length;
  unsigned int hash;
  union { size_t long_length; void *chain; } u;
  char bytes[];
};
enum peek_type {
  PEEK_NIL = 0x00, PEEK_EMPTY = 0x10, PEEK_FALSE = 0x01, PEEK_TRUE = 0x11,
  PEEK_INTEGER = 0x03, PEEK_FLOAT = 0x13,
  PEEK_SHORT = 0x44, PEEK_LONG = 0x54, PEEK_TABLE = 0x45
};
#define peek_is_nil(type)  (((type) & 0x0f) == 0)
#define PEEK_COLLECTABLE   0x40    /* in a type: the value is an address of Lua's */
#define PEEK_NOT_REAL  0x80    /* in flags: the array has a power of 2 of slots */

/*
** As lstate.h has them, up to what is of use. To make a string Lua looks it up in
** its table of all short ones: in a large heap that is two misses of the cache.
** Who knows which strings come next has the lines fetched all at once. Only
** addresses are taken from here, for prefetching.
*/
struct peek_global {
  lua_Alloc alloc;
  void *alloc_data;
  ptrdiff_t bytes, debt;
  size_t estimate, atomic;
  struct peek_string **strings;
  int nstrings, size;
  struct peek_value registry, nil;
  unsigned int seed;
};
struct peek_state {
  void *next;
  unsigned char type, marked, status, allow_hook;
  unsigned short nci;
  void *top;
  struct peek_global *global;
};

extern bool peek_strings;      /* constant after codec_open: these are right, too */

static inline const struct peek_global *peek_global (lua_State *L) {
  return ((const struct peek_state *)(const void *)L)->global;
}
static inline unsigned int peek_hash (const struct peek_global *g, const char *s,
                                      size_t length) {
  unsigned int h = g->seed ^ (unsigned int)length;
  for (; length > 0; length--)
    h ^= (h << 5) + (h >> 2) + (unsigned char)s[length - 1];
  return h;
}
static inline struct peek_string **peek_bucket (const struct peek_global *g,
                                                unsigned int hash) {
  return &g->strings[hash & (unsigned int)(g->size - 1)];
}

/* How many slots the array part has. */
static inline size_t peek_array_size (const struct peek_table *t) {
  size_t n = t->limit;
  if ((t->flags & PEEK_NOT_REAL) && (n & (n - 1)) != 0)
    n = (size_t)1 << (64 - __builtin_clzll((unsigned long long)n));
  return n;
}

extern bool peek_works;        /* constant after codec_open */
void peek_open (lua_State *L);

/* How many keys from 1 on are in '*array' for certain; perhaps there are more. */
static inline size_t peek_limit (lua_State *L, int idx, struct peek_value **array) {
  *array = NULL;
  if (!peek_works)
    return 0;
  const struct peek_table *t = (const struct peek_table *)lua_topointer(L, idx);
  *array = t->array;
  return t->limit;
}

/* The array part of the table at 'idx', if keys 1 to n are in it; NULL: they are
   not, or it cannot be told. */
static inline struct peek_value *peek_array (lua_State *L, int idx, size_t n) {
  struct peek_value *array;
  return peek_limit(L, idx, &array) >= n ? array : NULL;
}

#endif
