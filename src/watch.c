/*
** watch.c - objects as file descriptors, for event loops
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "watch.h"
#include "queue.h"
#include "select.h"
#include "pipe.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
  struct watch *next;
  struct block *block;         /* constant */
  uint32_t slot;               /* our handle of it; constant */
  uint32_t users;              /* 0: to be freed by the watcher */
  int fd;                      /* -1: closed */
  bool readable;
};

_Atomic uint32_t watch_count;
watch_starter *_Atomic watch_start;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watch *watches;
static thread_key watcher;     /* 0: none runs */
#define ON_ITS_WAY  KEY_BIT    /* started, it has not told its key yet */
static bool changed;           /* the list is not what the watcher knows */

/* {=== descriptors; under the mutex ===} */

static void follow (struct watch *w) {
  if (w->fd < 0)
    return;
  bool ready = select_ops_of(w->block)->ready(w->block);
  uint64_t one = 1;
  if (ready == w->readable)
    return;
  if (ready ? write(w->fd, &one, sizeof one) == sizeof one
            : (read(w->fd, &one, sizeof one) == sizeof one || errno == EAGAIN))
    w->readable = ready;
}

static struct watch *find (const struct block *b) {
  struct watch *w = watches;
  while (w != NULL && (w->block != b || w->users == 0))
    w = w->next;
  return w;
}

/* The queue that is looked at in place of an object, and has to know. */
static _Atomic uint32_t *watched_of (struct block *b) {
  switch (b->kind) {
    case KIND_QUEUE: case KIND_LIFO_QUEUE: case KIND_PRIORITY_QUEUE:
      return &queue_of(b)->watched;
    case KIND_PIPE:
      return &pipe_in(b)->watched;
    default:
      return NULL;
  }
}

static void tell_object (struct block *b, uint32_t more) {
  _Atomic uint32_t *watched = watched_of(b);
  if (watched != NULL)
    add_acqrel(watched, more);
  fence_full();  /* the flag first, then the look: as queue.h's Q5 */
}

static void ring_watcher (void) {
  changed = true;
  if (watcher != ON_ITS_WAY)
    gate_ring(watcher);
}

static void watch_close (struct watch *w) {
  close(w->fd);
  w->fd = -1;
  tell_object(w->block, (uint32_t)-1);
  add_acqrel(&watch_count, (uint32_t)-1);
}

/* Takes those without users out of the list; a list of them. Under the mutex. */
static struct watch *take_unused (void) {
  struct watch **at = &watches, *unused = NULL;
  while (*at != NULL) {
    struct watch *w = *at;
    if (w->users > 0) {
      at = &w->next;
      continue;
    }
    *at = w->next;
    w->next = unused;
    unused = w;
  }
  return unused;
}

/* Without the mutex: an object may be destroyed by it, and tell others. */
static void watch_free (struct watch *w) {
  if (w->fd >= 0)
    close(w->fd);
  handle_drop(w->slot);
  free(w);
}

static void free_all (struct watch *w) {
  while (w != NULL) {
    struct watch *next = w->next;
    watch_free(w);
    w = next;
  }
}

/* {=== the watcher ===} */

/* The objects of all watches, in memory of the caller; NULL: there are none. */
static struct block **list_objects (int *n) {
  int count = 0;
  for (struct watch *w = watches; w != NULL; w = w->next)
    count++;
  *n = 0;
  struct block **list = count > 0 ? malloc((size_t)count * sizeof *list) : NULL;
  if (list != NULL)
    for (struct watch *w = watches; w != NULL; w = w->next)
      list[(*n)++] = w->block;
  return list;
}

/* What may cease to be ready without waking anybody is looked at often. */
#define EVENT_LOOK  ((nanos)5 * 1000000)

/* Looks at all; until when the watcher may sleep. */
static deadline follow_all (void) {
  bool event = false;
  pthread_mutex_lock(&mutex);
  for (struct watch *w = watches; w != NULL; w = w->next) {
    follow(w);
    event |= w->readable && w->block->kind == KIND_EVENT;
  }
  pthread_mutex_unlock(&mutex);
  return event ? sys_now() + EVENT_LOOK : DEADLINE_NEVER;
}

static bool list_changed (void) {
  pthread_mutex_lock(&mutex);
  bool is = changed;
  pthread_mutex_unlock(&mutex);
  return is;
}

/* Sleeps in the lines of these objects until the list changes. */
static void watch_these (struct block **list, int n) {
  struct places p;
  nanos look = 0;
  if (n > 0 && !places_begin(&p, list, n, true))
    n = 0;  /* no memory: looks from time to time are all there is */
  nap_begin(NULL, "watch", DEADLINE_NEVER);
  while (!list_changed()) {
    bool joined = n > 0 && places_join(&p);
    deadline until = follow_all();
    if (joined)
      continue;
    nap(&look, until, true);
    if (look > LOOK_MIN)
      select_look(list, n);
  }
  if (n > 0)
    places_end(&p, -1);
  nap_end();
}

/* The list as it is now; false: there is nothing left to do. */
static bool next_list (struct block ***list, int *n) {
  pthread_mutex_lock(&mutex);
  struct watch *unused = take_unused();
  changed = false;
  *list = list_objects(n);
  bool go_on = watches != NULL;
  if (!go_on)
    watcher = 0;
  pthread_mutex_unlock(&mutex);
  free_all(unused);
  return go_on;
}

static void watcher_body (void *arg) {
  struct block **list;
  int n;
  (void)arg;
  pthread_mutex_lock(&mutex);
  watcher = self()->key;
  pthread_mutex_unlock(&mutex);
  while (next_list(&list, &n)) {
    watch_these(list, n);
    free(list);
  }
  free(list);
}

/* {=== for floor 7 and the nouns ===} */

static struct watch *watch_new (struct block *b) {
  struct watch *w = (struct watch *)malloc(sizeof *w);
  if (w == NULL)
    return NULL;
  w->block = b;
  w->users = 0;
  w->readable = false;
  w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  w->slot = w->fd >= 0 ? handle_new(b) : UINT32_MAX;
  if (w->slot == UINT32_MAX) {
    int error = w->fd >= 0 ? ENOMEM : errno;
    if (w->fd >= 0)
      close(w->fd);
    free(w);
    errno = error;
    return NULL;
  }
  return w;
}

/* Under the mutex; w is the new one of its block. */
static void watch_add (struct watch *w) {
  w->next = watches;
  watches = w;
  add_acqrel(&watch_count, 1);
  tell_object(w->block, 1);
  ring_watcher();
}

/* Without the mutex: those of other files go before it, at a fork too. */
static bool start_watcher (void) {
  watch_starter *start = load_relaxed(&watch_start);
  if (start != NULL && start(watcher_body, NULL) == CONC_OK)
    return true;
  pthread_mutex_lock(&mutex);
  watcher = 0;
  pthread_mutex_unlock(&mutex);
  return false;
}

/* One more user, if there is a watch of b, or a fresh one, which is taken; its
   descriptor, or -1. */
static int watch_use (struct block *b, struct watch **fresh, bool *start) {
  int fd = -1;
  pthread_mutex_lock(&mutex);
  struct watch *w = find(b);
  if (w == NULL && *fresh != NULL) {
    w = *fresh;
    *fresh = NULL;
    watch_add(w);
  }
  if (w != NULL) {
    w->users++;
    follow(w);
    fd = w->fd;
  }
  *start = w != NULL && watcher == 0;
  if (*start)
    watcher = ON_ITS_WAY;
  pthread_mutex_unlock(&mutex);
  return fd;
}

int watch_fd (struct block *b) {
  bool start;
  self();  /* before the mutex: it may have to wait for a record */
  struct watch *fresh = NULL;
  int fd = watch_use(b, &fresh, &start);
  if (fd < 0) {
    fresh = watch_new(b);
    if (fresh == NULL)
      return -1;
    fd = watch_use(b, &fresh, &start);
    if (fresh != NULL)
      watch_free(fresh);  /* another thread was first */
  }
  if (start && !start_watcher()) {
    watch_drop(b);
    errno = EAGAIN;
    return -1;
  }
  return fd;
}

void watch_drop (struct block *b) {
  pthread_mutex_lock(&mutex);
  struct watch *w = find(b);
  if (w != NULL && --w->users == 0) {
    watch_close(w);
    ring_watcher();
  }
  pthread_mutex_unlock(&mutex);
}

void watch_update (struct block *b) {
  pthread_mutex_lock(&mutex);
  for (struct watch *w = watches; w != NULL; w = w->next)
    if (w->block == b || (w->block->kind == KIND_PIPE
                          && load_relaxed(&pipe_of(w->block)->in) == b))
      follow(w);
  pthread_mutex_unlock(&mutex);
}

/* {=== fork ===} */

static void before_fork (void) {
  pthread_mutex_lock(&mutex);
}

static void in_parent (void) {
  pthread_mutex_unlock(&mutex);
}

/* The descriptors are the parent's eventfds: the child must not drain them. Its
   copies of the handles, if it has any, it drops at its end with all others. */
static void in_child (void) {
  while (watches != NULL) {
    struct watch *w = watches;
    watches = w->next;
    if (w->fd >= 0)
      close(w->fd);
    free(w);
  }
  store_relaxed(&watch_count, 0);
  watcher = 0;
  changed = false;
  pthread_mutex_unlock(&mutex);
}

void watch_open (void) {
  static bool done;
  if (!done)
    pthread_atfork(before_fork, in_parent, in_child);
  done = true;
}
