/*
** sys.h - floor 0: all that knows the operating system
**
** One file implements it for one system (sys_linux.c); a port is one more.
*/
#ifndef CONC_SYS_H
#define CONC_SYS_H

#include "ground.h"
#include <sys/types.h>

/* clock */
nanos sys_now (void);                      /* CLOCK_MONOTONIC */
deadline sys_deadline (double seconds);    /* from now; saturates; <= 0 or NaN: DEADLINE_NOW */

/*
** Sleep while *word == expected, until 'until'. Shared between processes.
** Returns CONC_OK (woken, changed, or for no reason), CONC_TIMEOUT, or
** CONC_INTERRUPTED when a signal was handled meanwhile.
*/
int sys_futex_wait (_Atomic uint32_t *word, uint32_t expected, deadline until);
void sys_futex_wake (_Atomic uint32_t *word, int n);
/* The same within one process; the two do not wake each other's. */
int sys_futex_wait_near (_Atomic uint32_t *word, uint32_t expected, deadline until);
void sys_futex_wake_near (_Atomic uint32_t *word, int n);

/* processors */
int sys_cpu_count (void);      /* affinity and container quota counted, >= 1 */
int sys_cpu_usable (void);     /* affinity of the calling thread alone, >= 1 */
/* The same as it was a while ago: free to ask (spinning or not). */
int sys_cpu_shared (void);
int sys_set_cpus (const int *cpus, int n);   /* the calling thread; 0 or -1/errno */
int sys_add_nice (int n);                    /* 0 or -1/errno */
/* Would the system grant these? Tried on the calling thread, and undone. */
int sys_try_cpus (const int *cpus, int n);
int sys_try_nice (int n);                    /* of a negative n */
static inline void sys_relax (void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("isb" ::: "memory");
#endif
}

/* identity */
pid_t sys_tid (void);
int64_t sys_boot_ticks (void);     /* now, in the unit of a process's start time */
/*
** Is the process 'pid' that was started no later than 'ticks' still running?
** A zombie is not; a process that reuses the pid is not.
*/
bool sys_process_alive (pid_t pid, int64_t ticks);
/*
** Ties the calling process's life to its parent's: SIGKILL when the thread
** that forked it ends. False where 'parent' has gone already.
*/
bool sys_die_with_parent (pid_t parent);
int sys_pidfd (pid_t pid);          /* close-on-exec; -1 where there is none */
void sys_thread_name (const char *name);
uint64_t sys_entropy (void);

/* In a child just forked: what the parent's files had in their buffers is the parent's
   to write. Of stdout at least; of every file where the system tells which there are. */
void sys_forget_output (void);

/* memory */
void *sys_reserve (size_t size);    /* shared, untouched, inherited; NULL */
void sys_release (void *at, size_t size);    /* what was reserved */
void sys_populate (void *at, size_t size);   /* touch ahead, best effort */
void sys_give_back (void *at, size_t size);  /* contents lost, pages returned */
size_t sys_memory (void);           /* bytes of physical memory */

/* Keeps the shared object that holds 'address' loaded for good. */
void sys_pin (const void *address);

#endif
