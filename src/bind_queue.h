/*
** bind_queue.h - floor 7: records and Lua values; what queues and pipes share
*/
#ifndef CONC_BIND_QUEUE_H
#define CONC_BIND_QUEUE_H

#include "bind.h"
#include "queue.h"

/* Encodes the value at 'idx' into a record for q. Raises, with nothing in hand. */
void bind_pack (lua_State *L, int idx, struct queue *q, struct record *r);
/* Pushes what put gives: true, or nil and the reason; drops what was not put. */
int bind_put (lua_State *L, struct queue *q, struct record *r,
              const struct priority *pri, deadline until);
/* Pushes the value of a record, and destroys its block. May raise, then too. */
void bind_unpack (lua_State *L, const struct record_head *h);
/* One item, or nil and the reason: pushes them. 'both': value and priority. */
int bind_get (lua_State *L, struct queue *q, deadline until, bool both);
void bind_pushpriority (lua_State *L, const struct priority *p);

/* object:pollfd(): the method, for each class that has it. */
int bind_pollfd (lua_State *L);

#endif
