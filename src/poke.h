/*
** poke.h - floor 4: stopping Lua code that runs
**
** A cancelled thread may be anywhere in its Lua code. The one safe way to set
** a hook in a running state is from a signal handler of the thread that runs
** it (as lua.c does for Ctrl-C). No handler of the host's is taken for good:
**
** - In the process that loaded the module SIGURG is borrowed: where its
**   disposition is default or ignore, ours is put there, the thread is
**   signalled, and once it has answered the old one is put back. Its default
**   action is to be ignored, so a signal that comes late does nothing. A host
**   that uses SIGURG itself keeps it; the hook is then set from outside, under
**   the mutex of the pokes, while the thread may run: Lua allows that only
**   nearly, and it is the last resort.
** - In forked children the handler stays: anybody may signal their threads.
** - A thread of the first process is poked for another process by its keeper.
**
** The hook raises conc.cancelled at the next instruction, in every coroutine,
** unless cancelling is put off (conc.shield, a __close handler): then it tries
** again a thousand instructions later. It stays, so that a pcall that swallows
** conc.cancelled meets it again: first after a thousand instructions, time to
** clean up, then at once.
**
** Nor does it come between the call and the variable of
** 'local held <close> = lock:guard()': what was held would stay so. After a guard
** was given a few more instructions pass.
**
** Guarded by the mutex of poke.c, held over a fork: the table of the threads
** of this process that run Lua. Of an entry, 'L' is written by its thread alone:
** under the mutex, or without it where the state is its home and so stays open.
*/
#ifndef CONC_POKE_H
#define CONC_POKE_H

#include <lua.h>
#include "record.h"

struct poke {                /* what poke_enter found, for poke_leave */
  lua_State *L;
  uint32_t met;
};

bool poke_open (void (*push_cancelled) (lua_State *L));   /* once; false: not enough memory */
/* The calling thread runs Lua code in L from now on; ... no more. */
void poke_enter (lua_State *L, struct poke *before);
void poke_leave (const struct poke *before);
/* It will do so again and again, in this L, until poke_forget: a worker. Between
   the two it enters and leaves L without the mutex. */
void poke_settle (lua_State *L);
/* The state of L is closed, or (NULL) the calling thread ends: nobody is to set
   hooks in it. */
void poke_forget (lua_State *L);
/* Sets the hook in the thread named by 'key', in whichever process it runs. */
void poke_thread (thread_key key);
/* Asks the thread of record 'index' for the line that it is on: once it has
   noted it, its 'ask_line' is 0. Where somebody else's hook is set it does not. */
void poke_ask_line (uint32_t index);
/* For the keeper: all of this process that were asked to stop, or where they are. */
void poke_asked (void);
/* The calling thread meets its cancelling in a wait: who swallows it there has
   the same time to clean up. */
void poke_met (void);
/* The calling thread was given something that a to-be-closed variable is about
   to hold. */
void poke_gave (void);
/* This process is a forked child of ours: SIGURG is ours. */
void poke_child (void);
/* Does the calling thread stand in a __close handler of the state of L? */
bool poke_closing (lua_State *L);

#endif
