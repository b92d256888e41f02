/*
** http_bind.h - what the files of the Lua side of conc.http_core share
**
**   http_bind.c       classes and functions: the table of contents
**   http_request.c    a request (a Lua table) -> options of an easy handle
**   http_response.c   an ended transfer -> a response (a Lua table)
**   http_url.c        URLs, parsed for Lua
*/

#ifndef http_bind_h
#define http_bind_h

#include <lua.h>
#include <lauxlib.h>

#include "http.h"

#define HTTP_PART	"conc.http.part"  /* metatable of parts */
#define REQUEST		2  /* where group:start has its request */

/* Of the userdata at the top, whose kind has no other methods */
void bind_finalizer (lua_State *L, lua_CFunction f);

/* What requests of one profile have in common: only where t->profile says that
   the handle is not set up like that yet. Leaves the body on the stack. */
void request_profile (lua_State *L, struct transfer *t);
/* What is each request's own */
void request_own (lua_State *L, struct transfer *t);
/* The profile of the request; 0 if it is like no other */
int64_t request_number (lua_State *L);

/* Pushes response | response or nil, failure, message; how many */
int response_push (lua_State *L, const struct transfer *t);

int url_origin (lua_State *L);
int url_parse (lua_State *L);
int url_resolve (lua_State *L);
int url_split_user (lua_State *L);

#endif
