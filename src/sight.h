/*
** sight.h - floor 4: what every thread and process is doing now
**
** Reads the records of all threads, without a guard of theirs: each line of the
** table is true of its thread at one moment, and these differ by as long as the
** looking takes. Threads that run Lua code are asked where they are and
** have SIGHT_PATIENCE to say so; one that is stuck in C does not, and the line
** is the last that it was known to be on.
**
** SIGQUIT. The handler only rings: a helper thread of the process that called
** sight_on_signal writes the table to standard error. The bell lies in the
** arena, so the handler that forked children inherit rings the same helper.
*/
#ifndef CONC_SIGHT_H
#define CONC_SIGHT_H

#include "ground.h"

#define SIGHT_PATIENCE  ((nanos)100 * 1000000)

/* The table, malloc'd, ended by a line break; NULL: not enough memory. */
char *sight_dump (void);
/* From now on SIGQUIT has it written: CONC_OK, or CONC_SYSTEM with errno. */
int sight_on_signal (void);

void sight_open (void);    /* at load; reads CONC_DUMP */

#endif
