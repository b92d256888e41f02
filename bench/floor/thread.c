/* thread.c - pthread_create + pthread_join of an empty function, one after the other */
#include "floor.h"

static void *empty (void *p) {
  return p;
}

int main (void) {
  long n = count(2000);
  double began = now();
  for (long i = 0; i < n; i++) {
    pthread_t t;
    pthread_create(&t, NULL, empty, NULL);
    pthread_join(t, NULL);
  }
  return report(now() - began, n);
}
