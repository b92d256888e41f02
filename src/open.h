/*
** open.h - floor 7: the table of contents of the core
**
** A noun adds two lines to the lists in open.c: what is done once in a process
** (its kinds), and what is done in each state (its classes and functions).
*/
#ifndef CONC_OPEN_H
#define CONC_OPEN_H

#include <lua.h>

/* Once in a process: arena, gate, kinds. Raises where the system refuses. */
void open_process (lua_State *L);
/* Once in a state: classes, and the core's table at registry[open_core].
   Again: nothing. Leaves nothing on the stack. */
void open_state (lua_State *L);
/* Pushes the core's table of this state (opened if need be). */
void open_pushcore (lua_State *L);

#endif
