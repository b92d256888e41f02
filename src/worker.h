/*
** worker.h - floor 5: the body of a worker, and the two spawners
**
** A worker has one state for its whole life: what an initializer or a task
** leaves in its globals is there for the next. Each task runs in a life of its
** own of the thread's record (pool.c).
**
** Thread workers are started by the pool's manager thread, process workers are
** forked by its template process: one quiet, single-threaded child made when
** the pool is, whose death takes the workers along.
*/
#ifndef CONC_WORKER_H
#define CONC_WORKER_H

#include <lua.h>
#include "pool.h"

struct worker_lua {              /* what floor 7 knows */
  void (*hooks) (lua_State *L);  /* the calling thread runs L now */
};

/* Starts the manager of a new pool: CONC_OK, CONC_FULL, CONC_SYSTEM with errno. */
int worker_start_pool (struct crew *c);
void worker_open (const struct worker_lua *lua);

#endif
