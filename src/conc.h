/*
** conc.h - conc in a C program
**
** For a host that has Lua inside and links libconc.a (see docs/embedding.md and
** examples/host). Nothing here needs a lua_State but what takes one: a thread
** of the host's without Lua uses queues and values by conc_put, conc_get and
** conc_set. The calls may be made from any thread, and in any process forked
** from the one that opened the core.
*/
#ifndef CONC_H
#define CONC_H

#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#if defined(__GNUC__)
#define CONC_API  __attribute__((visibility("default")))
#else
#define CONC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
** The two modules. A host gives them to its states as
**   luaL_requiref(L, "conc.core", luaopen_conc_core, 0)
** or by package.preload; the Lua part ("conc") is found by package.path.
** States that conc makes find them in the same way without the host's help.
*/
CONC_API int luaopen_conc_core (lua_State *L);
CONC_API int luaopen_conc_http_core (lua_State *L);

/*
** f is called in every state that conc makes (threads, pool workers), after the
** standard libraries are open and before anything runs in it; what it raises
** is reported on standard error. NULL: no more. To be set before the first of them.
*/
CONC_API void conc_on_state (void (*f) (lua_State *L));

/* One object of conc's: a reference of the host's, until conc_release. */
typedef struct conc_object conc_object;

/*
** The object at stack index 'idx'. 'type' is what conc.type calls it ("queue",
** "value", ...). Raises a Lua argument error where it is another thing.
*/
CONC_API conc_object *conc_check (lua_State *L, int idx, const char *type);
/* Pushes its handle, in any state that has the core: so objects go from one main
   state to another. Raises where memory is lacking. */
CONC_API void conc_push (lua_State *L, conc_object *o);
CONC_API void conc_release (conc_object *o);

/* Values that need no Lua. CONC_TOTHER: a table, function, object ...: it is kept
   as it came, until conc_clear, and only conc_pushitem can tell what it is. */
enum conc_type { CONC_TNIL, CONC_TBOOLEAN, CONC_TINTEGER, CONC_TNUMBER,
                 CONC_TSTRING, CONC_TOTHER };

typedef struct conc_item {
  enum conc_type type;
  union {
    int boolean;
    int64_t integer;
    double number;
    struct { char *bytes; size_t length; } string;
    void *other;
  } u;
} conc_item;

/* Results: 0, or one of these. */
#define CONC_ETIMEOUT    1    /* the time was up */
#define CONC_ECLOSED     2    /* the queue is closed (and, for a get, drained) */
#define CONC_ECANCELLED  3    /* the calling thread was asked to stop */
#define CONC_EFULL       4    /* shared memory is full */
#define CONC_ETYPE       5    /* not for this object, or not without Lua */
CONC_API const char *conc_strerror (int result);

#define CONC_FOREVER  (-1.0)  /* as a timeout; others are seconds, 0: try once */

/*
** queue, lifo_queue: puts an item (a string is copied; not CONC_TNIL).
** value: sets it (its own type only). event: sets it (item NULL).
*/
CONC_API int conc_put (conc_object *o, const conc_item *item, double timeout);
CONC_API int conc_set (conc_object *o, const conc_item *item);
/*
** queue, lifo_queue: the next item, which conc_clear frees (a thread can keep
** eight of CONC_TOTHER at a time). value: its value, at once. event: waits for
** it; the item may be NULL.
*/
CONC_API int conc_get (conc_object *o, conc_item *item, double timeout);
CONC_API void conc_clear (conc_item *item);
/* Pushes the value of an item, of any type; may raise. */
CONC_API void conc_pushitem (lua_State *L, const conc_item *item);

#ifdef __cplusplus
}
#endif

#endif
