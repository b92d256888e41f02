/*
** timer.c - floor 4: calls that wait for their time, in no thread of their own
*/
#include "timer.h"
#include "keeper.h"
#include "sys.h"
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct timer {
  deadline due;
  struct task *task;
  timer_end *end;
  void *arg;
  struct timer *next;              /* of those taken out together */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct timer **heap;
static uint32_t count, room;
static bool running;               /* the timer thread is there */

static _Atomic uint32_t rung;      /* counts up; the futex of the timer thread */

/* {=== the heap (under the mutex) ===} */

static void put (struct timer *t, uint32_t i) {
  heap[i] = t;
  t->task->place = i;
}

static void sift_up (struct timer *t, uint32_t i) {
  while (i > 0 && heap[(i - 1) / 2]->due > t->due) {
    put(heap[(i - 1) / 2], i);
    i = (i - 1) / 2;
  }
  put(t, i);
}

static void sift_down (struct timer *t, uint32_t i) {
  for (;;) {
    uint32_t child = 2 * i + 1;
    if (child + 1 < count && heap[child + 1]->due < heap[child]->due)
      child++;
    if (child >= count || heap[child]->due >= t->due)
      break;
    put(heap[child], i);
    i = child;
  }
  put(t, i);
}

static struct timer *take_out (uint32_t i) {
  struct timer *t = heap[i], *last = heap[--count];
  if (t == last)
    return t;
  if (i > 0 && heap[(i - 1) / 2]->due > last->due)
    sift_up(last, i);
  else
    sift_down(last, i);
  return t;
}

static bool make_room (void) {
  if (count < room)
    return true;
  uint32_t more = room != 0 ? 2 * room : 64;
  struct timer **bigger = realloc(heap, more * sizeof *heap);
  if (bigger == NULL)
    return false;
  heap = bigger;
  room = more;
  return true;
}

/* {=== their time ===} */

/* Without the mutex. */
static void end_each (struct timer *t, bool due) {
  struct timer *next;
  for (; t != NULL; t = next) {
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each was taken out of the heap once */
    next = t->next;
    t->end(t->arg, due);
    free(t);
  }
}

/* Those whose time has come, the earliest first. */
static struct timer *take_due (void) {
  struct timer *first = NULL, **last = &first;
  nanos now = sys_now();
  while (count > 0 && heap[0]->due <= now) {
    *last = take_out(0);
    last = &(*last)->next;
  }
  *last = NULL;
  return first;
}

static void timer_body (void *unused) {
  (void)unused;
  for (bool more = true; more; ) {
    pthread_mutex_lock(&lock);
    struct timer *due = take_due();
    uint32_t before = load_relaxed(&rung);
    deadline next = count > 0 ? heap[0]->due : DEADLINE_NOW;
    running = more = count > 0 || due != NULL;
    pthread_mutex_unlock(&lock);
    if (due != NULL)
      end_each(due, true);
    else if (more)
      sys_futex_wait(&rung, before, next);
  }
}

/* {=== setting one ===} */

int timer_set (struct task *task, deadline due, timer_end *end, void *arg) {
  struct timer *t = malloc(sizeof *t);
  int rc = CONC_OK, error = ENOMEM;
  if (t == NULL) {
    errno = error;
    return CONC_SYSTEM;
  }
  *t = (struct timer){ .due = due, .task = task, .end = end, .arg = arg };
  pthread_mutex_lock(&lock);
  if (!make_room())
    rc = CONC_SYSTEM;
  else if (!running) {
    rc = thread_start(timer_body, NULL, NULL);
    error = errno;
    running = rc == CONC_OK;
  }
  if (rc == CONC_OK) {
    sift_up(t, count++);
    add_relaxed(&rung, heap[0] == t);
  }
  bool first = rc == CONC_OK && heap[0] == t;
  pthread_mutex_unlock(&lock);
  if (first)
    sys_futex_wake(&rung, 1);
  if (rc != CONC_OK)
    free(t);
  errno = error;
  return rc;
}

/* {=== cancelled ===} */

static void (*unbegun_before) (struct task *t);

/* Not in the heap: its time has come, and its thread finds it cancelled. */
static void disarm (struct task *task) {
  struct timer *t = NULL;
  pthread_mutex_lock(&lock);
  uint32_t i = task->place;
  if (i < count && heap[i]->task == task)
    t = take_out(i);
  pthread_mutex_unlock(&lock);
  end_each(t, false);
}

static void unbegun (struct task *t) {
  struct process_record *home = process_at(t->process);
  uint32_t generation = load_acquire(&home->generation);
  if (!(load_relaxed(&t->flags) & TASK_TIMER)) {
    if (unbegun_before != NULL)
      unbegun_before(t);
  }
  else if (generation == t->process_generation && home == process_mine())
    disarm(t);
  else if (generation == t->process_generation)
    keeper_ring(home);
}

void timer_look (void) {
  struct timer *ended = NULL;
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < count; ) {
    if (!task_has_ended(task_state(heap[i]->task))) {
      i++;
      continue;
    }
    struct timer *t = take_out(i);   /* another has its place now */
    t->next = ended;
    ended = t;
  }
  pthread_mutex_unlock(&lock);
  end_each(ended, false);
}

/* {=== load and fork ===} */

static void before_fork (void) { pthread_mutex_lock(&lock); }
static void in_parent (void) { pthread_mutex_unlock(&lock); }

/* Not freed: to write in it would cost a page. */
static void in_child (void) {
  heap = NULL;
  count = room = 0;
  running = false;
  pthread_mutex_unlock(&lock);
}

void timer_open (void) {
  unbegun_before = task_unbegun;
  task_unbegun = unbegun;
  pthread_atfork(before_fork, in_parent, in_child);
}
