/*
** timer.h - floor 4: calls that wait for their time, in no thread of their own
**
** One heap a process, by the time, and one thread that sleeps until the first is
** due; it is there only while something is pending. What waits is a PENDING task
** with TASK_TIMER (task.h): cancelling it makes it CANCELLED there, as of any
** task, and has it taken out of the heap here.
**
** Guarded by the mutex of timer.c, held over a fork: the heap, and of a task that
** is in it 'place'. Who takes an entry out calls its 'end', once and without the
** mutex: the timer thread when it is due, who cancels it, or, if that was another
** process, this one's keeper: rung, or at its next look if the ring was lost.
** Forked: the child's heap is empty, the parent's timers are the parent's.
** Killed: the tasks are PENDING ones of a process that is gone; its parent's
** keeper, or any, ends them (roster.h).
*/
#ifndef CONC_TIMER_H
#define CONC_TIMER_H

#include "task.h"

/* 'due': its time has come. Otherwise the task has been cancelled. */
typedef void timer_end (void *arg, bool due);

/* CONC_OK: 'end' will be called with 'arg'. Otherwise CONC_SYSTEM, with errno. */
int timer_set (struct task *t, deadline due, timer_end *end, void *arg);
/* For the keeper: ends those that were cancelled elsewhere. */
void timer_look (void);

void timer_open (void);              /* after thread_open: its mutex is taken under ours */

#endif
