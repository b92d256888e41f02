/*
** ring.c - messages one way: a bounded ring under a mutex and two conditions
**   ring PAYLOAD PRODUCERS CONSUMERS [CAPACITY = 1024]
** PAYLOAD: int, 8 bytes in the ring; str, 32 bytes, and big, 1 MB: the producer copies
** them into fresh memory and the consumer out of it, which is the least that takes a
** string from one Lua state to another.
** Guarded by 'mutex': slot, head, tail, waiting. The rest is constant after main's start.
*/
#include "floor.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nonempty = PTHREAD_COND_INITIALIZER, nonfull = PTHREAD_COND_INITIALIZER;
static uint64_t slot[1024];
static unsigned head, tail, getters, putters;

static unsigned capacity = 1024;
static long each_put, each_get;
static size_t length;  /* 0: integers */
static char *source;

static void put (uint64_t v) {
  pthread_mutex_lock(&mutex);
  while (tail - head == capacity) {
    putters++;
    pthread_cond_wait(&nonfull, &mutex);
    putters--;
  }
  slot[tail++ % 1024] = v;
  unsigned wake = getters;
  pthread_mutex_unlock(&mutex);
  if (wake)
    pthread_cond_signal(&nonempty);
}

static uint64_t get (void) {
  pthread_mutex_lock(&mutex);
  while (tail == head) {
    getters++;
    pthread_cond_wait(&nonempty, &mutex);
    getters--;
  }
  uint64_t v = slot[head++ % 1024];
  unsigned wake = putters;
  pthread_mutex_unlock(&mutex);
  if (wake)
    pthread_cond_signal(&nonfull);
  return v;
}

static void *producer (void *p) {
  for (long i = 0; i < each_put; i++) {
    if (length == 0)
      put((uint64_t)i);
    else
      put((uint64_t)(uintptr_t)memcpy(malloc(length), source, length));
  }
  return p;
}

static void *consumer (void *p) {
  volatile uint64_t sum = 0;
  char *target = malloc(length + 1);
  for (long i = 0; i < each_get; i++) {
    uint64_t v = get();
    if (length == 0)
      sum += v;
    else {
      char *message = (char *)(uintptr_t)v;
      memcpy(target, message, length);
      __asm__ volatile("" ::"r"(target) : "memory");
      free(message);
    }
  }
  free(target);
  return p;
}

int main (int argc, char **argv) {
  if (argc < 4)
    return 2;
  length = !strcmp(argv[1], "int") ? 0 : !strcmp(argv[1], "str") ? 32 : 1 << 20;
  int producers = atoi(argv[2]), consumers = atoi(argv[3]);
  if (argc > 4)
    capacity = (unsigned)atoi(argv[4]);
  source = memset(malloc(length + 1), 'x', length + 1);
  long n = count(length > 32 ? 1000 : 1000000);
  each_put = n / producers;
  each_get = n / consumers;
  pthread_t t[16];
  double began = now();
  for (int i = 0; i < producers; i++)
    pthread_create(&t[i], NULL, producer, NULL);
  for (int i = 0; i < consumers; i++)
    pthread_create(&t[producers + i], NULL, consumer, NULL);
  for (int i = 0; i < producers + consumers; i++)
    pthread_join(t[i], NULL);
  return report(now() - began, n);
}
