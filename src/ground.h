/*
** ground.h - floor 0: the words that every other file speaks
**
** Read this page first. The house, floor by floor; an #include points to
** the same floor or down, never up:
**
**   0 ground      ground.h, sys.h (sys_linux.c), core_api.h
**   1 memory      guard, record, arena, pages, slab
**   2 waiting     gate, trace
**   3 primitives  message, bundle, lock, rwlock, semaphore, condition, event,
**                 barrier, queue, pipe, select, watch, value, array, monitor,
**                 cell, list, dict, task
**   4 carriers    codec, state, call, poke, thread, timer, process, keeper, roster,
**                 end, sight
**   5 running     worker, pool
**   6 network     http (a shared object of its own)
**   7 Lua         bind, bind_<noun>, carrier, embed, conc.h, open
**
** Two facts about the machine carry the design:
**
** - All that is shared lies in one MAP_SHARED mapping, made before any fork
**   and at the same address in every descendant: a pointer into it means the
**   same thing in every process.
** - A SIGKILL stops a thread between two instructions. What the others see
**   afterwards is a prefix of its stores in program order, on weakly ordered
**   machines too, since a dead thread's store buffer has drained by the time
**   its death can be observed. So the order "for the sake of the dead" is the
**   compiler's business alone: kill_order() states it, at no cost.
*/
#ifndef CONC_GROUND_H
#define CONC_GROUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a call of the core ended. CONC_OK is 0; the rest say why not. */
enum conc_status {
  CONC_OK = 0,
  CONC_ABANDONED,    /* got it, from a holder that ended without releasing it */
  CONC_TIMEOUT,      /* the deadline passed */
  CONC_CLOSED,       /* the object was closed */
  CONC_BROKEN,       /* the barrier is broken */
  CONC_CANCELLED,    /* this thread was asked to stop */
  CONC_INTERRUPTED,  /* Lua has an interrupt pending (Ctrl-C) */
  CONC_DEADLOCK,     /* to wait would close a cycle; gate_story() tells it */
  CONC_FULL,         /* shared memory is full */
  CONC_NOTHELD,      /* released by another than its holder */
  CONC_RANGE,        /* a count or an index past its bound */
  CONC_MISUSE,       /* against the rules of the object; the binding says which */
  CONC_SYSTEM        /* the system refused; errno says why */
};

/* Absolute CLOCK_MONOTONIC nanoseconds; one clock for all processes. */
typedef int64_t nanos;
typedef int64_t deadline;
#define DEADLINE_NEVER  INT64_MAX
#define DEADLINE_NOW    INT64_MIN   /* try once */

/*
** Ranks of guards. A thread takes guards in rising rank only (equal ranks:
** never two at once); CONC_DEBUG builds check it.
*/
enum rank {
  RANK_SWEEP = 1,    /* arena: burying a dead process; taken first, held long */
  RANK_POOL,         /* pool: run queue, workers, counts */
  RANK_OBJECT,       /* a lock, queue, list, task ...: one object's state */
  RANK_OBJECT2,      /* second guard of an object (a queue's getters' side) */
  RANK_LINKS,        /* gate: who waits for whom, while a cycle is looked for */
  RANK_REFS,         /* arena: reference counts, striped by block */
  RANK_SLAB,         /* arena: small blocks of one class */
  RANK_PAGES,        /* arena: the page map */
  RANK_RECORDS       /* record: threads and processes come and go */
};

/* Keeps the compiler from moving stores over it: see the top of the page. */
#if !defined(CONC_DEBUG)
#define kill_order() atomic_signal_fence(memory_order_seq_cst)
#else
/* Tests: the process kills itself at the n-th of these from now (0: never). */
extern _Atomic long kill_at;
void kill_step (void);
#define kill_order() \
  (atomic_signal_fence(memory_order_seq_cst), \
   atomic_load_explicit(&kill_at, memory_order_relaxed) > 0 ? kill_step() : (void)0, \
   atomic_signal_fence(memory_order_seq_cst))
#endif

#define CACHE_LINE  64
#define cache_aligned  _Alignas(CACHE_LINE)

#define containerof(ptr, type, member) \
  ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* After the name of a small thread-local variable: reached without a call. */
#if defined(__GNUC__)
#define thread_near  __attribute__((tls_model("initial-exec")))
#else
#define thread_near
#endif

#if defined(__GNUC__)
#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)
#define prefetch(p)  __builtin_prefetch(p)
#else
#define likely(x)    (x)
#define unlikely(x)  (x)
#define prefetch(p)  ((void)(p))
#endif

/*
** The atomics we use, each with its order in its name.
**   relaxed: counters and hints, or fields under a guard read by one look
**   acquire/release: publishes what was written before
**   full: where a store must be seen before a later load (the "flag and look
**         again" handshake of a sleeper and its waker)
*/
#define load_relaxed(p)       atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p)       atomic_load_explicit((p), memory_order_acquire)
#define load_full(p)          atomic_load_explicit((p), memory_order_seq_cst)
#define store_relaxed(p, v)   atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v)   atomic_store_explicit((p), (v), memory_order_release)
#define store_full(p, v)      atomic_store_explicit((p), (v), memory_order_seq_cst)
#define swap_acquire(p, v)    atomic_exchange_explicit((p), (v), memory_order_acquire)
#define swap_release(p, v)    atomic_exchange_explicit((p), (v), memory_order_release)
#define swap_acqrel(p, v)     atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define add_relaxed(p, n)     atomic_fetch_add_explicit((p), (n), memory_order_relaxed)
#define add_acqrel(p, n)      atomic_fetch_add_explicit((p), (n), memory_order_acq_rel)
#define cas_acquire(p, old, new) \
  atomic_compare_exchange_strong_explicit((p), (old), (new), \
                         memory_order_acquire, memory_order_relaxed)
#define cas_release(p, old, new) \
  atomic_compare_exchange_strong_explicit((p), (old), (new), \
                         memory_order_release, memory_order_relaxed)
#define cas_acqrel(p, old, new) \
  atomic_compare_exchange_strong_explicit((p), (old), (new), \
                         memory_order_acq_rel, memory_order_acquire)
#define cas_relaxed(p, old, new) \
  atomic_compare_exchange_strong_explicit((p), (old), (new), \
                         memory_order_relaxed, memory_order_relaxed)
#define swap_full(p, v)       atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define add_full(p, n)        atomic_fetch_add_explicit((p), (n), memory_order_seq_cst)
#define cas_full(p, old, new) \
  atomic_compare_exchange_strong_explicit((p), (old), (new), \
                         memory_order_seq_cst, memory_order_seq_cst)
#define fence_full()          atomic_thread_fence(memory_order_seq_cst)

#endif
