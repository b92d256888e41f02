/*
** pool.c - a pool of two threads behind a mutex: N empty tasks, N results
** Guarded by 'mutex': slot, head, tail, idle, blocked, done, over.
*/
#include "floor.h"

#define CAPACITY 1024

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nonempty = PTHREAD_COND_INITIALIZER, nonfull = PTHREAD_COND_INITIALIZER,
                      finished = PTHREAD_COND_INITIALIZER;
static uint64_t slot[CAPACITY], *results;
static unsigned head, tail, idle, blocked;
static long done, n;
static int over;

static void *worker (void *p) {
  for (;;) {
    pthread_mutex_lock(&mutex);
    while (tail == head && !over) {
      idle++;
      pthread_cond_wait(&nonempty, &mutex);
      idle--;
    }
    if (tail == head) {
      pthread_mutex_unlock(&mutex);
      return p;
    }
    uint64_t task = slot[head++ % CAPACITY];
    if (blocked)
      pthread_cond_signal(&nonfull);
    pthread_mutex_unlock(&mutex);
    results[task] = task;
    pthread_mutex_lock(&mutex);
    if (++done == n)
      pthread_cond_signal(&finished);
    pthread_mutex_unlock(&mutex);
  }
}

static void submit (uint64_t task) {
  pthread_mutex_lock(&mutex);
  while (tail - head == CAPACITY) {
    blocked++;
    pthread_cond_wait(&nonfull, &mutex);
    blocked--;
  }
  slot[tail++ % CAPACITY] = task;
  if (idle)
    pthread_cond_signal(&nonempty);
  pthread_mutex_unlock(&mutex);
}

int main (void) {
  pthread_t t[2];
  n = count(500000);
  results = memset(malloc((size_t)n * 8), 0, (size_t)n * 8);
  for (int i = 0; i < 2; i++)
    pthread_create(&t[i], NULL, worker, NULL);
  usleep(1000);
  double began = now();
  for (long i = 0; i < n; i++)
    submit((uint64_t)i);
  pthread_mutex_lock(&mutex);
  while (done != n)
    pthread_cond_wait(&finished, &mutex);
  double spent = now() - began;
  over = 1;
  pthread_cond_broadcast(&nonempty);
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < 2; i++)
    pthread_join(t[i], NULL);
  return report(spent, n);
}
