/*
** codec_peek.h - floor 4: numbers of a table's array part, in place
**
** A list of a million numbers costs four calls of the API each way for every
** element; all the rest of encoding it is a store. So where Lua's tables are
** laid out as in Lua 5.4, runs of numbers are read and written where they are.
** That they are so is not taken on trust: peek_open makes tables of every
** shape that matters and looks; where anything is not as expected, 'peek_works'
** stays false and everything goes through the API (Lua 5.5, patched Luas).
**
** Nothing is allocated and no collector runs between finding the array and
** leaving it; numbers and nil are no objects, so no barrier is needed.
*/
#ifndef CONC_CODEC_PEEK_H
#define CONC_CODEC_PEEK_H

#include <lua.h>
#include <string.h>
#include "ground.h"

/* As lobject.h of Lua 5.4 has them. */
struct peek_value {
  union { lua_Integer i; lua_Number n; void *p; } u;
  unsigned char type;
};
struct peek_table {
  void *next;
  unsigned char type, marked, flags, lsizenode;
  unsigned int limit;          /* keys 1..limit are in 'array' */
  struct peek_value *array;
};
enum { PEEK_NIL = 0x00, PEEK_EMPTY = 0x10, PEEK_INTEGER = 0x03, PEEK_FLOAT = 0x13 };

extern bool peek_works;        /* constant after codec_open */
void peek_open (lua_State *L);

/* Keys from 1 to this are in the array part of the table at 'idx'; perhaps more. */
static inline size_t peek_limit (lua_State *L, int idx, struct peek_value **array) {
  const struct peek_table *t;
  *array = NULL;
  if (!peek_works)
    return 0;
  t = (const struct peek_table *)lua_topointer(L, idx);
  *array = t->array;
  return t->limit;
}

#endif
