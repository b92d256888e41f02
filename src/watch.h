/*
** watch.h - objects as file descriptors, for event loops
**
** A watched object has an eventfd in this process that is readable while the
** object is ready. The descriptor follows the object in two ways: whoever
** changes the object in this process calls watch_changed before he returns,
** and a watcher, a thread of the library, sleeps in the lines of all watched
** objects to learn of changes by other processes.
**
** Of this process alone; guarded by the mutex of watch.c, which is held over a
** fork (the child closes what it has inherited and starts with none).
**   W1  A watch counts one handle of its object, dropped by the watcher once
**       it is out of the object's line.
**   W2  The descriptor is written, drained and closed under the mutex only,
**       after a look at the object under the mutex: the last look wins.
** The mutex is taken before guards, never under one; no other mutex is taken
** under it.
*/
#ifndef CONC_WATCH_H
#define CONC_WATCH_H

#include "arena.h"

/* How many watches there are: nouns call watch_changed only if not 0. */
extern _Atomic uint32_t watch_count;

/* One more user of the object's descriptor: it, or -1 with errno. */
int watch_fd (struct block *b);
/* One user less; the last one closes it. */
void watch_drop (struct block *b);
/* The object may be ready now, or no more. Without guards. */
void watch_update (struct block *b);
static inline void watch_changed (struct block *b) {
  if (unlikely(load_full(&watch_count) > 0))
    watch_update(b);
}
/* How a helper thread is started: floor 4's thread_start. CONC_OK or CONC_SYSTEM. */
typedef int watch_starter (void (*body) (void *arg), void *arg);
extern watch_starter *_Atomic watch_start;

void watch_open (void);

#endif
