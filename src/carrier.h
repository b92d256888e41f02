/*
** carrier.h - floor 7: what conc.thread and conc.process have in common
*/
#ifndef CONC_CARRIER_H
#define CONC_CARRIER_H

#include "bind.h"
#include "task.h"
#include "thread.h"

#define MAX_CPUS  1024

/* Arguments of conc.thread, conc.process: [options,] f, ... */
struct start {
  char name[NAME_SIZE];          /* "" : the default */
  bool daemon;
  int function;                  /* stack index of f */
  int setup;                     /* stack index of the setup function; 0: none */
  struct thread_options options; /* cpus: in a userdata, which is on the stack */
};

/* Reads and checks them; options are at 'arg' if that is a table. Leaves something
   on the stack where they name CPUs. */
void carrier_check (lua_State *L, int arg, struct start *s);
/* Puts a function in the place of f that runs setup, then f. */
void carrier_wrap (lua_State *L, struct start *s);
/* Pushes the handle of a new task made from 's'. */
struct task *carrier_task (lua_State *L, enum kind kind, const struct start *s);
/* The group of L: the main state that it belongs to. */
uint32_t carrier_group (lua_State *L);
/* The calling thread runs L: interrupts, cancels, sight. */
void carrier_hooks (lua_State *L);

/* Methods of all that is a task; methods of threads and processes alone. */
extern const luaL_Reg future_methods[], future_meta[], carrier_methods[],
                      process_methods[];
/* Prints the errors of this process's threads and processes that nobody asked for:
   at its end. */
void future_report_all (void);
/* The task at 'arg', of any kind of future. */
struct task *future_check (lua_State *L, int arg);

#endif
