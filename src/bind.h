/*
** bind.h - floor 7: between Lua and the core; checks, calls, pushes
**
** A handle is a userdata that holds one counted reference in the process's
** handle table. In a state an object has one handle: what arrives twice is the
** same userdata. The class tag behind a size check tells a handle from other
** userdata; it costs a load and a compare where luaL_checkudata costs 45 ns.
**
** The order that loses nothing: make the handle first (bind_newhandle), then
** the block (x_new: it is in the thread's hand), then put it in (bind_own);
** a Lua error in between leaves an empty handle, which its __gc ignores.
*/
#ifndef CONC_BIND_H
#define CONC_BIND_H

#include <lua.h>
#include <lauxlib.h>
#include "arena.h"
#include "codec.h"
#include "gate.h"

#define HANDLE_TAG  UINT64_C(0x636f6e6368616e64)   /* "conchand" */

struct handle {
  uint64_t tag;            /* HANDLE_TAG + kind */
  struct block *block;     /* NULL: empty or closed */
  uint32_t slot;           /* in the process's handle table */
  uint32_t process;        /* pid of the process that it was made in */
};

/* The block of the handle at 'idx' if it is of 'kind'; NULL if it is not. What has
   a length and is userdata is a full one. */
static inline struct block *bind_test (lua_State *L, int idx, enum kind kind) {
  if (lua_rawlen(L, idx) != sizeof(struct handle))
    return NULL;
  struct handle *h = (struct handle *)lua_touserdata(L, idx);
  return h != NULL && h->tag == HANDLE_TAG + (uint64_t)kind ? h->block : NULL;
}
_Noreturn void bind_badkind (lua_State *L, int arg, enum kind kind);
static inline struct block *bind_check (lua_State *L, int arg, enum kind kind) {
  struct block *b = bind_test(L, arg, kind);
  if (unlikely(b == NULL))
    bind_badkind(L, arg, kind);
  return b;
}
/* Of any kind; NULL: no conc object. */
struct block *bind_toblock (lua_State *L, int idx);
/* The handle at 'idx' is sent, or given to C: should its block come back to this state,
   it is that handle. False: to note that needs memory, and 'quiet' is not to raise. */
bool bind_note_sent (lua_State *L, int idx, bool quiet);

/* Pushes an empty handle of the class. Raises only for lack of memory. */
struct handle *bind_newhandle (lua_State *L, enum kind kind);
/* The block, in the thread's hand, becomes the handle's (on the top of the stack).
   NULL: raises "shared memory is full: ...". */
void bind_own (lua_State *L, struct handle *h, struct block *b);
/* Pushes the handle of b in this state, made if need be. b is held by somebody. */
void bind_pushblock (lua_State *L, struct block *b);
/* Empties a handle before its time (the object stays, for others). */
void bind_release (lua_State *L, int idx);

/*
** A class: its methods, also found by tostring and conc.type. 'metamethods' may
** be NULL. Plain __index by the method table unless metamethods has "__index".
** __gc, __name, __tostring ("conc.<name>" where not given) are added. Upvalue 1
** of each metamethod is the method table.
*/
void bind_class (lua_State *L, enum kind kind, const luaL_Reg *methods,
                 const luaL_Reg *metamethods);
/* Pushes the method table of a class (Lua files add methods to it). */
void bind_pushmethods (lua_State *L, enum kind kind);

/* Timeout at 'arg' as a deadline: absent, nil, huge: never; <= 0: now; NaN, other: error. */
deadline bind_deadline (lua_State *L, int arg);

/*
** The usual results: CONC_OK -> true; CONC_ABANDONED -> true, "abandoned";
** CONC_TIMEOUT, CLOSED, BROKEN -> nil, reason; the rest raises: CANCELLED,
** INTERRUPTED (Lua's own hook), DEADLOCK with its story, FULL, SYSTEM.
** Call it with nothing in hand and no guard held.
*/
int bind_result (lua_State *L, int rc);
/* Raises what rc says where it is no result but an exception; else returns. */
void bind_raise (lua_State *L, int rc);
_Noreturn void bind_full (lua_State *L);

/* Notes "file:line" where the calling Lua function stands (for stories of
   deadlocks: where an object was made). */
void bind_where (lua_State *L, char *to, size_t size);

/* conc.cancelled: pushes it; is it that? */
void bind_pushcancelled (lua_State *L);
bool bind_iscancelled (lua_State *L, int idx);

/* Makes L's registry ready for classes; was that done? (open.c) */
void bind_open (lua_State *L);
bool bind_isopen (lua_State *L);

/* The state's table of the core is at the top while these run; each adds its
   functions there and its classes. One for each bind_<noun>.c; open.c lists them. */
typedef void bind_opener (lua_State *L);

#endif
