/*
** core_api.h - what the core offers to modules that are not linked to it
**
** conc/core.so publishes one constant struct as light userdata under
** registry[CORE_API_KEY] of every state that loads it. A module built
** apart (conc/http_core.so) looks there before each long wait: the entry is
** absent while the core is not loaded, and may appear at any time.
** The struct is constant after init and lives as long as the process.
*/

#ifndef core_api_h
#define core_api_h

#include <lua.h>

#define CORE_API_KEY		"conc.core.api"
#define CORE_API_VERSION	1

struct conc_core_api {
  int version;  /* CORE_API_VERSION; a reader ignores a struct of another one */

  /* 1 if Ctrl-C or a cancel is pending for the thread that runs L; cheap,
     raises nothing, changes nothing */
  int (*interrupt_pending) (lua_State *L);

  /* Raises what is pending; returns if there is nothing (any more). A
     longjmp: whatever the caller holds must belong to a userdata. */
  void (*raise_pending) (lua_State *L);
};

#endif
