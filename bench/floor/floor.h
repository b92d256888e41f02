/*
** floor.h - what the floors share: clock, count, report
**
** A floor is the least that a question can cost: the same work in plain C, with the
** system's own primitives. Each program prints one line, "ns 123.4": nanoseconds
** of one operation. N in the environment says how many operations.
*/
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define cpu_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_pause() __asm__ volatile("yield")
#else
#define cpu_pause() ((void)0)
#endif

static inline double now (void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline long count (long usual) {
  const char *s = getenv("N");
  return s ? atol(s) : usual;
}

static inline int report (double seconds, long n) {
  printf("ns %.3f\n", seconds / (double)n * 1e9);
  return 0;
}

/* Ties the caller to the i-th of the CPUs that it may use; 0 is the first. */
static inline void tie (int i) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0)
    return;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &all) && i-- == 0) {
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
    }
}

/* Memory shared with the children, with its pages present. */
static inline void *shared (size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    abort();
  return memset(p, 0, size);
}
