/*
** mutex.c - two threads contend for one pthread mutex around one increment
** Each is tied to a CPU of its own: on one, in turns, they would not contend.
*/
#include "floor.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long total;
static long each;
static pthread_barrier_t start;  /* for both, and main */

static void *work (void *p) {
  tie(p != NULL);
  pthread_barrier_wait(&start);
  for (long i = 0; i < each; i++) {
    pthread_mutex_lock(&mutex);
    total++;
    pthread_mutex_unlock(&mutex);
  }
  return p;
}

int main (void) {
  pthread_t t[2];
  each = count(2000000) / 2;
  pthread_barrier_init(&start, NULL, 3);
  for (int i = 0; i < 2; i++)
    pthread_create(&t[i], NULL, work, i == 0 ? NULL : &t[i]);
  pthread_barrier_wait(&start);
  double began = now();
  for (int i = 0; i < 2; i++)
    pthread_join(t[i], NULL);
  return report(now() - began, total);
}
