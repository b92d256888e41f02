/*
** process.h - floor 4: forked children; the only fork
**
** A child has everything its parent had, as a copy, and the thread that forked
** it is its only one. Its life is tied to its parent's; it ignores SIGINT (the
** parent decides); it leaves by process_end, which runs nothing of the parent's.
**
** The parent keeps a list of its children; who joins one that has ended its task
** reaps it, or else the keeper does, each by its pid.
**   P1  While a child is in the list it has not been reaped, so its pid is its
**       own: signals are sent under the mutex of the list.
**   P2  A child that ends in good order finishes its task and stores its exit
**       code itself; who reaps it does it for one that does not, and drops its
**       references: his pages are at hand, to the child each would be a fault.
**   P3  A task is in the roster before its process is forked. Its 'pid' is stored last,
**       when 'process' says where it is and that record is live; 0 until then.
** Guarded by the mutex of process.c, held over a fork: the list.
*/
#ifndef CONC_PROCESS_H
#define CONC_PROCESS_H

#include "task.h"
#include "thread.h"

enum forked { FORK_FAILED = -1, FORK_CHILD, FORK_PARENT };

/*
** Forks for 'task', which is in a handle of the caller's. FORK_FAILED: errno says
** why; ENOSPC: shared memory is full. In the child the task is not claimed yet.
*/
enum forked process_fork (struct block *task);
/*
** A child of a template process (pool), which reaps it itself: no keeper, no
** task, none of the handles. '*record' and '*generation' are to be buried then.
*/
enum forked process_fork_worker (pid_t *pid, struct process_record **record,
                                 uint32_t *generation);
/* In the child: flushes, ends its thread's record, exits. */
_Noreturn void process_end (int code);

/* Sends the signal unless it has ended, or is not forked yet (P3). Was it alive?
   *error: errno, or 0. */
bool process_kill (struct task *t, int number, int *error);
/* Waits until a child that has finished its task is gone. */
void process_await_gone (struct task *t);

/* For the keeper. Reaps those that have ended. Has one died, rather than ended in
   good order? */
bool process_reap (void);
int process_children (void);
bool process_polled (void);      /* are there children without a pidfd? */

/* Floor 5's: a child of ours is gone, and its record buried. */
extern void (*process_buried) (void);
void process_open (void);

#endif
