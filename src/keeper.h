/*
** keeper.h - floor 4: a helper thread for each process that has children or threads
**
** It sleeps until a child ends, another process asks for something, or a
** second has passed with something to look after; with neither children nor
** threads it sleeps until it is asked. What it does:
**
** - reaps each child that ended (by its pid, never by another's), finishes its
**   task where the child had not, and buries its record;
** - pokes threads of this process for other processes (poke.h);
** - finishes the tasks of threads and processes that died with theirs;
** - gives idle memory back (arena_trim), looks for dead processes;
** - is the lookout for threads that sleep without a clock (gate.h).
**
** It runs no Lua code of anybody's. Made when first needed, one a process; a
** forked child begins with none. 'bell' in the record of the process is the
** keeper's thread id: SIGURG to that thread is the ring. It has all signals
** blocked and reads that one from a descriptor.
*/
#ifndef CONC_KEEPER_H
#define CONC_KEEPER_H

#include "record.h"

/*
** Flags in process_record.wants. NOT_NEEDED: its threads may be signalled by anybody.
** RUNG: set before each ring, cleared by the keeper before it answers. The ring is a
** SIGURG, and the system throws pending ones away when its disposition becomes the
** default, which poke.c does to the program's each time it gives it back: who does
** so rings again where the flag is set (keeper_again).
*/
#define KEEPER_NOT_NEEDED  1u
#define KEEPER_RUNG        2u

void keeper_open (void);
/* Makes it unless it is there: CONC_OK, or CONC_SYSTEM with errno. */
int keeper_start (void);
/* A child is there: it is to look at 'fd', its pidfd; -1: there is none. */
void keeper_watch (int fd);
/* It is not to look any more. */
void keeper_unwatch (int fd);
/* There is something to look after now: a life has begun. */
void keeper_work (void);
/* Any process: p's keeper is to look what it was asked for. */
void keeper_ring (struct process_record *p);
/* Pending signals of this process may have been thrown away. */
void keeper_again (void);

#endif
