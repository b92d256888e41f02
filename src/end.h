/*
** end.h - floor 4: the end of a main state, of a child, of the program
**
**   1  wait for the threads, processes and timers that are not daemons
**   2  cancel the daemon threads, terminate the daemon processes
**   3  wait for those: COOPERATE, then SIGKILL to processes; STUCK for threads
**      that are in C
**   4  let the program exit, with its own code
**
** A main state belongs to the program: one that loaded the module by itself.
** Each has a group, and its end ends only its group. It is told of its end by
** a userdata in its registry, whose finalizer lua_close runs. os.exit without
** closing does not come here: threads are left, children die with the process.
*/
#ifndef CONC_END_H
#define CONC_END_H

#include <lua.h>
#include "ground.h"

/* L is a main state: its end is to end its group. */
void end_watch (lua_State *L, uint32_t group);
/* Ends what belongs to 'group'; 0: all of this process's. */
void end_group (uint32_t group);

/* Floor 5: the pools of the group are terminated, after step 1; set at load. */
extern void (*end_pools) (uint32_t group);

#endif
