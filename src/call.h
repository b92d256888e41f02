/*
** call.h - floor 4: running one call in a state, for threads, processes, workers
**
**   decode -> call, with traceback -> encode the results -> (close the state)
**   -> task_finish
**
** Nothing here raises. An outcome is a message:
**   done       the values (NULL: none)
**   failed     error value, traceback or nil, text of the error
**   cancelled  NULL
** The text is the error value's tostring: for reports, where nobody wants to
** build the value (it may need modules).
*/
#ifndef CONC_CALL_H
#define CONC_CALL_H

#include <lua.h>
#include "task.h"

struct outcome {
  enum task_state state;       /* TASK_DONE, TASK_FAILED, TASK_CANCELLED */
  struct block *message;       /* in hand (or inside of 'task'), or NULL */
  char *report;                /* of a failure: what to print; malloc'd or NULL */
  struct task *task;           /* may have the message inside of it; NULL */
};

struct call_lua {              /* what floor 7 knows */
  void (*push_cancelled) (lua_State *L);
  bool (*is_cancelled) (lua_State *L, int idx);
};
void call_open (const struct call_lua *lua);

/* The function and its 'nargs' arguments on the top of L are called, and popped. */
void call_function (lua_State *L, int nargs, struct outcome *o);
/* 'message', in hand, is taken: its values are a function and its arguments. */
void call_message (lua_State *L, struct block *message, struct outcome *o);
/* The same with a message that stays where it is. A small outcome lies in 't', whose
   it will be; NULL: nobody's yet. */
void call_kept (lua_State *L, struct block *message, struct task *t, struct outcome *o);
/* For calls made otherwise: a message handler that keeps the traceback, and the
   outcome of the error value on the top (popped). */
int call_on_error (lua_State *L);
void call_error (lua_State *L, struct outcome *o);
/* A failure with 'text' as its value. */
void call_failed (const char *text, struct outcome *o);

/* Finishes t; prints an error that nobody can ask for any more. Takes o's parts. */
void call_finish (struct task *t, struct outcome *o);
/* Finishes t as one that died: 'story' is its error. */
void call_died (struct task *t, const char *story);

/* Is it a failure that nobody has asked for, and nobody will? Then it is noted
   as reported: the caller prints it. */
bool call_unasked (struct task *t);
/* The same at the end of this process, of what it made: nobody will. */
bool call_unasked_at_end (struct task *t);
/* One report on standard error: name, text, traceback (may be NULL). */
void call_print (struct task *t, const char *text, const char *traceback);

/* The caller is about to raise an error of elsewhere: 'text' is its traceback. */
void call_give_traceback (const char *text);

/* Who the calling thread is from now on: its record names 't'; NULL: nobody. */
void call_become (struct task *t);

#endif
