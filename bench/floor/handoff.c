/*
** handoff.c - round trips between two threads, or two processes
**   handoff spin|futex thread|process [PAUSE]
** Those that spin are tied to one CPU each: two on one would measure the scheduler.
** PAUSE: microseconds of sleep before each round trip; they are not counted.
*/
#include "floor.h"
#include <linux/futex.h>
#include <sys/syscall.h>

struct words {
  _Alignas(64) atomic_int there;
  _Alignas(64) atomic_int back;
};

static struct words *words;
static long n;
static int spinning, pause_us;

static void post (atomic_int *word) {
  atomic_store_explicit(word, 1, memory_order_release);
  if (!spinning)
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void take (atomic_int *word) {
  if (spinning)
    while (!atomic_load_explicit(word, memory_order_acquire))
      cpu_pause();
  else
    while (!atomic_load_explicit(word, memory_order_acquire))
      syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
  atomic_store_explicit(word, 0, memory_order_relaxed);
}

static void *echo (void *p) {
  if (spinning)
    tie(1);
  for (long i = 0; i < n; i++) {
    take(&words->there);
    post(&words->back);
  }
  return p;
}

static double ask (void) {
  if (spinning)
    tie(0);
  double spent = 0, began = now();
  for (long i = 0; i < n; i++) {
    if (pause_us) {
      usleep((useconds_t)pause_us);
      began = now();
    }
    post(&words->there);
    take(&words->back);
    if (pause_us)
      spent += now() - began;
  }
  return pause_us ? spent : now() - began;
}

int main (int argc, char **argv) {
  if (argc < 3)
    return 2;
  spinning = !strcmp(argv[1], "spin");
  pause_us = argc > 3 ? atoi(argv[3]) : 0;
  n = count(spinning ? 500000 : 50000);
  words = shared(4096);
  double spent;
  if (!strcmp(argv[2], "process")) {
    pid_t pid = fork();
    if (pid == 0) {
      echo(NULL);
      _exit(0);
    }
    spent = ask();
    waitpid(pid, NULL, 0);
  }
  else {
    pthread_t t;
    pthread_create(&t, NULL, echo, NULL);
    spent = ask();
    pthread_join(t, NULL);
  }
  return report(spent, n);
}
