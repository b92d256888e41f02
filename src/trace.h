/*
** trace.h - floor 2: a timeline of threads, tasks, waits and lock holds
**
** Off, a place that could tell something costs one load and one branch that is
** always the same. The switch lies in the arena: it turns on all processes.
**
** On, each event is one line and one write to a file opened for appending, so
** lines of all processes stay whole and nothing is lost with who is killed.
** The file is a JSON array of Chrome trace events whose last bracket is left
** out, as that format allows: nobody knows which line is the last.
**
**   "[" first line, then ",{event}" lines:
**   B, E   a thread, process or task runs (ended by its runner)
**   X      a wait, told when it is over
**   b, e   a lock is held: a track for each lock, since holds need not nest
**   M      names of processes and threads; "tid" is the id that t:id() tells
**
** Constant while 'on' keeps its value: path, base. A reader that finds 'on' the
** same afterwards has read them whole.
*/
#ifndef CONC_TRACE_H
#define CONC_TRACE_H

#include "arena.h"
#include "ground.h"

/* 0: off; else the number of the trace. In the arena, once open. */
extern _Atomic uint32_t *trace_on;
#define tracing()  unlikely(load_relaxed(trace_on) != 0)

#define TRACE_PATH_MAX  4096

/* Begins a new file. CONC_OK, or CONC_SYSTEM with errno set. */
int trace_start (const char *path);
void trace_stop (void);

/* The caller's wait is over; 'verb' and so on as its record has them. */
void trace_wait (struct block *object, const char *verb, nanos since);
/* The caller holds b from now on; ... no more. */
void trace_hold (struct block *b, bool held);
/* The caller runs something from now on; ... no more. */
void trace_run (const char *kind, const char *name, uint64_t id, bool begins);

void trace_open (void);    /* at load, after arena_open; reads CONC_TRACE */

#endif
