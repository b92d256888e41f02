/*
** thread.h - floor 4: native threads, parked and used again
**
** The only pthread_create of the tree. A native thread whose body has returned
** is parked and given the next body (last in, first out: its caches are warm);
** one that stays parked for a while ends. All signals are blocked in it but
** SIGURG (poke.h). Each body has a life of its own in the thread's record.
**
**   (new) --> runs a body --> parked --> runs a body ...
**                        \          `-- idle --> ended
**                         `-- has CPUs or niceness of its own --> ended
**
** A thread that has forked children never ends before its process: the system
** kills children when the thread ends that forked them (PR_SET_PDEATHSIG).
**
** Guarded by the mutex of thread.c, held over a fork: the list of the parked.
** What a parked thread is given is written before its word and read after it.
*/
#ifndef CONC_THREAD_H
#define CONC_THREAD_H

#include "ground.h"

typedef void thread_body (void *arg);

struct thread_options {
  const int *cpus;       /* to stay on; NULL: as the caller */
  int ncpus;
  int nice;              /* added to the caller's */
};

/*
** Runs body(arg) in a native thread; 'o' may be NULL. CONC_OK, or CONC_SYSTEM
** with errno set: then it does not run.
*/
int thread_start (thread_body *body, void *arg, const struct thread_options *o);
/* Has the calling thread CPUs or niceness of its own, which those that it
   starts inherit? */
bool thread_is_apart (void);
/* The calling thread is about to fork a child that is to live. */
void thread_forks (void);
/* In a forked child: the signals that the program's own threads have. */
void thread_signals (void);

void thread_open (void);

#endif
