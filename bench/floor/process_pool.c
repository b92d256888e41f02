/*
** process_pool.c - two forked workers square N integers, one message each way for each
** Through shared memory: a ring without locks for each worker and direction; who finds
** its ring empty spins, then yields. At most 128 are under way.
*/
#include "floor.h"

#define CAPACITY 256
#define STOP UINT64_MAX

struct ring {
  _Alignas(64) atomic_uint head;  /* written by its reader only */
  _Alignas(64) atomic_uint tail;  /* written by its writer only */
  _Alignas(64) uint64_t slot[CAPACITY];
};

static int put (struct ring *r, uint64_t v) {
  unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
  if (tail - atomic_load_explicit(&r->head, memory_order_acquire) == CAPACITY)
    return 0;
  r->slot[tail % CAPACITY] = v;
  atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
  return 1;
}

static int get (struct ring *r, uint64_t *v) {
  unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
  if (atomic_load_explicit(&r->tail, memory_order_acquire) == head)
    return 0;
  *v = r->slot[head % CAPACITY];
  atomic_store_explicit(&r->head, head + 1, memory_order_release);
  return 1;
}

static void rest (int *spins) {
  if (++*spins < 2000)
    cpu_pause();
  else {
    sched_yield();
    *spins = 0;
  }
}

static void work (struct ring *in, struct ring *out, uint64_t *results) {
  int spins = 0;
  uint64_t v;
  for (;;) {
    if (!get(in, &v)) {
      rest(&spins);
      continue;
    }
    if (v == STOP)
      _exit(0);
    results[v] = v * v;
    while (!put(out, v))
      cpu_pause();
  }
}

int main (void) {
  long n = count(500000), sent = 0, got = 0;
  uint64_t *results = shared((size_t)n * 8), v;
  struct ring *ring = shared(4 * sizeof(struct ring));
  pid_t pid[2];
  int spins = 0, turn = 0;
  for (int w = 0; w < 2; w++) {
    pid[w] = fork();
    if (pid[w] == 0)
      work(&ring[w], &ring[2 + w], results);
  }
  double began = now();
  while (got < n) {
    int moved = 0;
    if (sent < n && sent - got < 128 && put(&ring[turn], (uint64_t)sent)) {
      turn ^= 1;
      sent++;
      moved = 1;
    }
    for (int w = 0; w < 2; w++)
      if (get(&ring[2 + w], &v)) {
        got++;
        moved = 1;
      }
    if (!moved)
      rest(&spins);
  }
  double spent = now() - began;
  for (int w = 0; w < 2; w++) {
    put(&ring[w], STOP);
    waitpid(pid[w], NULL, 0);
  }
  for (long i = 0; i < n; i++)
    if (results[i] != (uint64_t)i * (uint64_t)i)
      return 3;
  return report(spent, n);
}
