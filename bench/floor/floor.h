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

/* Memory shared with the children, with its pages present. */
static inline void *shared (size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    abort();
  return memset(p, 0, size);
}
