/*
** call.c - floor 4: running one call in a state
*/
#include "call.h"
#include "codec.h"
#include "poke.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct call_lua lua;                  /* constant after init */

/* The traceback of the call that runs; saved by nested ones. */
static __thread char *traceback;

/* What the next error is to have as its traceback, from where it first was. */
static __thread char *given;

/* {=== the message handler ===} */

void call_give_traceback (const char *text) {
  free(given);
  given = (text != NULL) ? strdup(text) : NULL;
}

static void keep_traceback (const char *text) {
  free(traceback);
  traceback = (text != NULL) ? strdup(text) : NULL;
}

/* Leaves the error value as it is. */
static int on_error (lua_State *L) {
  if (!lua.is_cancelled(L, 1)) {
    luaL_traceback(L, L, NULL, 1);
    keep_traceback(given != NULL ? given : lua_tostring(L, -1));
    call_give_traceback(NULL);
    lua_settop(L, 1);
  }
  return 1;
}

/* {=== outcomes ===} */

static char *report_of (const char *text) {
  size_t size = strlen(text) + (traceback != NULL ? strlen(traceback) : 0) + 2;
  char *s = malloc(size);
  if (s != NULL)
    snprintf(s, size, traceback != NULL ? "%s\n%s" : "%s", text,
             traceback != NULL ? traceback : "");
  return s;
}

static int text_of (lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* error value -> itself, traceback, text */
static int describe (lua_State *L) {
  lua_settop(L, 1);
  lua_pushstring(L, traceback);
  lua_pushcfunction(L, text_of);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    const char *why = lua_tostring(L, -1);
    lua_pushfstring(L, "(error object is a %s value; its __tostring failed: %s)",
                    luaL_typename(L, 1), why != NULL ? why : "?");
    lua_replace(L, 3);
  }
  return 3;
}

static bool post (lua_State *L, int first, int n, const char *what, int base,
                  struct outcome *o) {
  struct parcel p;
  if (codec_try_encode(L, first, n, 0, what, base, &p) != LUA_OK)
    return false;
  o->message = o->task != NULL ? task_post_outcome(o->task, &p) : parcel_post(&p);
  if (o->message != NULL)
    return true;
  parcel_drop(&p);
  lua_pushliteral(L, "shared memory is full: the outcome could not be kept");
  return false;
}

/* Value, traceback, text at 'at': the value gives way to its text and the reason,
   which is on the top. */
static int replace_value (lua_State *L) {
  lua_pushfstring(L, "%s (%s)", luaL_tolstring(L, 3, NULL), luaL_tolstring(L, 4, NULL));
  lua_replace(L, 1);
  lua_settop(L, 3);
  return 3;
}

static bool post_replaced (lua_State *L, int at, struct outcome *o) {
  struct parcel p;
  if (codec_try_encode(L, at, 1, 0, "error value", 0, &p) == LUA_OK) {
    parcel_drop(&p);  /* it was not the value: no room, or no memory */
    return false;
  }
  lua_pushcfunction(L, replace_value);
  lua_insert(L, at);
  return lua_pcall(L, 4, 3, 0) == LUA_OK && post(L, at, 3, "error value", 0, o);
}

/* The error value is on the top. */
static void fail (lua_State *L, struct outcome *o) {
  int at = lua_gettop(L);
  o->message = NULL;
  o->state = TASK_FAILED;
  if (lua.is_cancelled(L, at)) {
    o->state = TASK_CANCELLED;
    return;
  }
  lua_pushcfunction(L, describe);
  lua_insert(L, at);
  if (lua_pcall(L, 1, 3, 0) != LUA_OK) {  /* no memory */
    const char *text = lua_tostring(L, -1);
    lua_pushnil(L);
    lua_pushstring(L, text != NULL ? text : "(error without a text)");
    at = lua_gettop(L) - 2;
  }
  const char *text = lua_tostring(L, at + 2);
  o->report = report_of(text != NULL ? text : "?");
  if (!post(L, at, 3, "error value", 0, o)) {
    lua_settop(L, at + 2);
    post_replaced(L, at, o);
  }
}

static void succeed (lua_State *L, int first, struct outcome *o) {
  int n = lua_gettop(L) - first + 1;
  o->state = TASK_DONE;
  if (n == 0 || post(L, first, n, "result", 1, o))
    return;
  fail(L, o);
}

/* {=== the call ===} */

static int unpack (lua_State *L) {
  struct block *message = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return codec_decode_message(L, message, CODEC_RUN);
}

static void begin (struct outcome *o, struct task *t, char **before) {
  o->task = t;
  o->state = TASK_FAILED;
  o->message = NULL;
  o->report = NULL;
  *before = traceback;
  traceback = NULL;
}

static void end (char *before) {
  free(traceback);
  traceback = before;
}

/*
** Calls f from a C function rather than from the bare stack: after an error that
** is the frame from which __close handlers are called (poke.c looks for them).
*/
static __thread int call_status;
static __thread struct block *call_kept_in;  /* where f and its arguments are, if not
                                                on the stack */

static int trampoline (lua_State *L) {
  struct block *message = call_kept_in;
  if (message != NULL) {
    call_kept_in = NULL;
    codec_decode_message(L, message, CODEC_RUN);
  }
  lua_pushcfunction(L, on_error);
  lua_insert(L, 1);
  call_status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  return lua_gettop(L) - 1;
}

/* The function is at 'base', over the trampoline. */
static void run (lua_State *L, int base, struct outcome *o) {
  struct poke before;
  poke_enter(L, &before);
  int status = lua_pcall(L, lua_gettop(L) - base + 1, LUA_MULTRET, 0);
  poke_leave(&before);
  base--;
  if (status == LUA_OK)
    status = call_status;
  if (status == LUA_OK)
    succeed(L, base, o);
  else
    fail(L, o);
}

void call_function (lua_State *L, int nargs, struct outcome *o) {
  int base = lua_gettop(L) - nargs;
  char *before;
  begin(o, NULL, &before);
  lua_checkstack(L, LUA_MINSTACK);
  lua_pushcfunction(L, trampoline);
  lua_insert(L, base);
  run(L, base + 1, o);
  lua_settop(L, base - 1);
  end(before);
}

void call_message (lua_State *L, struct block *message, struct outcome *o) {
  int base = lua_gettop(L) + 1;
  char *before;
  begin(o, NULL, &before);
  lua_checkstack(L, LUA_MINSTACK);
  lua_pushcfunction(L, trampoline);
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, message);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  message_drop(message);
  if (status == LUA_OK)
    run(L, base + 1, o);
  else
    fail(L, o);
  lua_settop(L, base - 1);
  end(before);
}

void call_kept (lua_State *L, struct block *message, struct task *t, struct outcome *o) {
  char *before;
  int top = lua_gettop(L);
  begin(o, t, &before);
  lua_checkstack(L, LUA_MINSTACK);
  call_kept_in = message;
  lua_pushcfunction(L, trampoline);
  run(L, top + 2, o);
  call_kept_in = NULL;  /* there may have been no memory to begin */
  lua_settop(L, top);
  end(before);
}

int call_on_error (lua_State *L) {
  return on_error(L);
}

void call_error (lua_State *L, struct outcome *o) {
  int top = lua_gettop(L);
  o->task = NULL;
  o->message = NULL;
  o->report = NULL;
  lua_checkstack(L, LUA_MINSTACK);
  fail(L, o);
  free(o->report);
  o->report = NULL;
  keep_traceback(NULL);
  lua_settop(L, top - 1);
}

/* A bare state, to encode a text where there is none at hand. */
void call_failed (const char *text, struct outcome *o) {
  lua_State *L = luaL_newstate();
  o->state = TASK_FAILED;
  o->task = NULL;
  o->message = NULL;
  o->report = strdup(text);
  if (L == NULL)
    return;
  struct parcel p;
  if (luaL_loadstring(L, "local s = ...; return s, nil, s") == LUA_OK) {
    lua_pushstring(L, text);
    if (lua_pcall(L, 1, 3, 0) == LUA_OK
        && codec_try_encode(L, 1, 3, 0, "error value", 0, &p) == LUA_OK) {
      o->message = parcel_post(&p);
      if (o->message == NULL)
        parcel_drop(&p);
    }
  }
  lua_close(L);
}

/* {=== ends and reports ===} */

static bool is_unasked (struct task *t) {
  uint32_t flags = load_relaxed(&t->flags);
  return task_state(t) == TASK_FAILED && t->head.kind != KIND_FUTURE
      && (flags & (TASK_ASKED | TASK_QUIET | TASK_REPORTED)) == 0
      && !((flags & TASK_DIED) && (flags & TASK_STOPPED));
}

bool call_unasked (struct task *t) {
  return is_unasked(t) && load_acquire(&t->handles) == 0
      && !task_flag(t, TASK_REPORTED);
}

bool call_unasked_at_end (struct task *t) {
  struct process_record *here = process_mine();
  return is_unasked(t) && t->home == here->index
      && t->home_generation == load_relaxed(&here->generation)
      && !task_flag(t, TASK_REPORTED);
}

/* One write: nobody's line comes between. */
void call_print (struct task *t, const char *text, const char *trace) {
  const char *kind = t->head.kind == KIND_PROCESS ? "process" : "thread";
  bool names = (load_relaxed(&t->flags) & TASK_DIED) != 0;  /* the story does */
  char *line = NULL;
  size_t size = strlen(text) + (trace != NULL ? strlen(trace) : 0) + NAME_SIZE + 64;
  if ((line = malloc(size)) == NULL)
    return;
  int n = names ? snprintf(line, size, "conc: %s", text)
                : snprintf(line, size, "conc: %s \"%s\" failed: %s", kind, t->name, text);
  if (n > 0 && (size_t)n < size)
    snprintf(line + n, size - (size_t)n, trace != NULL ? "\n%s\n" : "\n",
             trace != NULL ? trace : "");
  fputs(line, stderr);
  fflush(stderr);
  free(line);
}

void call_finish (struct task *t, struct outcome *o) {
  if (!task_finish(t, o->state, o->message)) {
    if (o->message != NULL)
      message_drop(o->message);
  }
  else if (o->report != NULL && call_unasked(t))
    call_print(t, o->report, NULL);
  free(o->report);
  o->message = NULL;
  o->report = NULL;
}

void call_died (struct task *t, const char *story) {
  struct outcome o;
  call_failed(story, &o);
  call_finish(t, &o);
}

void call_become (struct task *t) {
  struct thread_record *me = self();
  block_unref(&me->task);
  if (t == NULL) {
    me->name[0] = '\0';
    store_relaxed(&me->id, 0);
    return;
  }
  memcpy(me->name, t->name, sizeof me->name);
  store_relaxed(&me->id, t->id);
  block_ref(&me->task, &t->head);
}

void call_open (const struct call_lua *l) {
  lua = *l;
}
