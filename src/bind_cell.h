/*
** bind_cell.h - floor 7: what the bindings of list and dict share
**
** Lua values to cells and back, and the ownership of a container while Lua
** runs. Nothing is in hand while something may raise: what cannot be avoided
** (the copy of a large value that is being decoded) is let go of either way.
*/
#ifndef CONC_BIND_CELL_H
#define CONC_BIND_CELL_H

#include "bind.h"
#include "cell.h"
#include "monitor.h"

/* A number, boolean or string as it is (a string's bytes are Lua's). False: other. */
bool bind_todatum (lua_State *L, int idx, struct datum *v);
/* The value at 'idx' as a cell in hand: nothing may raise until it was given
   away. Raises "cannot send ..." or "shared memory is full: ...". */
cell bind_tocell (lua_State *L, int idx);
/* Raises what rc says, after the cell in hand was dropped; returns for CONC_OK. */
void bind_settled (lua_State *L, cell c, int rc);
/* Pushes the value and lets go of the reading, also if it raises. */
void bind_pushreading (lua_State *L, struct reading *r);
void bind_pushreadings (lua_State *L, struct reading *a, struct reading *b);  /* both */

/*
** Makes the calling thread the owner of the container at index 1 until the C
** function that called this returns, or an error leaves it.
*/
void bind_own_container (lua_State *L, struct block *b, struct monitor *m,
                         const char *verb);
/* c:with(f, ...): calls f with c and what follows. */
int bind_with (lua_State *L, struct block *b, struct monitor *m);

#endif
