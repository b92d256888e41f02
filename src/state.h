/*
** state.h - floor 4: lua_States made ahead, truly reset and used again
**
** Building a state with its libraries is nearly all that a thread costs. So a
** state's heap begins in a region of its own:
**
**   region  [ libraries as opened ............ | room ............. ]
**   image   [ copy of the first part, byte for byte ]
**
** While the state is made, its blocks come from the region; then the image is
** taken. Later blocks come from the room and, when that is used up, from malloc.
** state_give closes the state (lua_close: finalizers run, malloc's blocks are
** freed) and copies the image back: what the next one gets is bit for bit a
** state whose libraries have just been opened, and nothing that the last one did
** can be seen in it. Pointers in the image point into the region itself or at
** code. The first image is the model of the states made later: in them the
** pointers into the region are moved along (state.c), so they have no image of
** their own, and nothing is opened for them.
**
** lua_close is left out where it would do nothing but free blocks of the
** region: no block of malloc's is left, and no finalizer can exist, since no
** userdata was made, no metatable with __gc was set, no C library was loaded
** ('plain' says so, and may be wrong in the direction of closing only).
**
**   free --state_take--> in use --state_give--> free
**
** Of one process: the list of free states is guarded by a mutex that is held
** over a fork; a forked child goes on with its copies of them.
** A state in use belongs to the thread that runs it.
*/
#ifndef CONC_STATE_H
#define CONC_STATE_H

#include <lua.h>
#include "ground.h"

struct coroutines;

bool state_open (void);                   /* at load; false: not enough memory */
/* What opens the libraries of a fresh state, before its image is taken; a
   program must then find it as it would find a new one. Set once. */
void state_set_maker (lua_CFunction maker);

/* For the maker, after the standard libraries: functions that tell state.c. */
void state_furnish (lua_State *L);
/* An object of L got a metatable that may have __gc, by other ways than
   setmetatable: that of a userdata need not be told. */
void state_not_plain (lua_State *L);

/* A fresh state with its libraries; NULL: not enough memory. Raises nothing. */
lua_State *state_take (uint32_t group);
/* A seed for a generator, of this process alone. */
lua_Integer state_seed (void);
/* Ends and resets it: finalizers run, in the calling thread, before it returns. */
void state_give (lua_State *L);

/* Is L a thread of a state of ours? Its group then (0 while it is made). */
bool state_ours (lua_State *L);
uint32_t state_group (lua_State *L);

/*
** The coroutines that live in the state of L, as far as they are known: all of
** them in states of our own, those made since state_watch in others.
** state_each may run in a signal handler of the thread that runs L.
*/
bool state_watch (lua_State *L);
void state_each (lua_State *L, void (*f) (lua_State *co, void *ctx), void *ctx);

#endif
