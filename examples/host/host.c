/*
** host.c - conc in a C program: two main states, one queue, a thread without Lua
**
** Watch for: the queue made in the first state is used by the second, by a conc
** thread of the first, and by a plain C thread that has no lua_State at all;
** 'host.name' is there in every state that conc makes, without require.
*/
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "conc.h"

/* What the host gives to each of its states, and to those that conc makes. */
static int host_name (lua_State *L) {
  lua_pushliteral(L, "example host");
  return 1;
}

static int open_host (lua_State *L) {
  static const luaL_Reg functions[] = { { "name", host_name }, { NULL, NULL } };
  luaL_newlib(L, functions);
  return 1;
}

/* As a module: what is in package.loaded needs not to be sent, each state has it. */
static void register_host (lua_State *L) {
  luaL_requiref(L, "host", open_host, 1);
  lua_pop(L, 1);
}

static lua_State *new_main_state (void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  register_host(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_pop(L, 1);
  return L;
}

static void run (lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK) {
    fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
    exit(1);
  }
}

/* A thread of the host's own: it knows no Lua. */
static void *producer (void *arg) {
  conc_object *queue = arg;
  for (int i = 1; i <= 3; i++) {
    conc_item item = { .type = CONC_TINTEGER, .u.integer = i * 100 };
    if (conc_put(queue, &item, 5) != 0)
      return NULL;
  }
  conc_item word = { .type = CONC_TSTRING, .u.string = { (char *)"from C", 6 } };
  conc_put(queue, &word, 5);
  return NULL;
}

int main (void) {
  conc_on_state(register_host);
  lua_State *one = new_main_state(), *two = new_main_state();

  run(one, "conc = require 'conc'\n"
           "queue = conc.queue()\n"
           "conc.thread({name = 'inner'}, function (q)\n"
           "  q:put(host.name() .. ', seen from a thread of conc')\n"
           "end, queue):join()");

  /* the same queue, in the second state */
  lua_getglobal(one, "queue");
  conc_object *queue = conc_check(one, -1, "queue");
  lua_pop(one, 1);
  run(two, "conc = require 'conc'");
  conc_push(two, queue);
  lua_setglobal(two, "queue");
  run(two, "print('state two gets: ' .. queue:get(5))\n"
           "queue:put { from = 'state two', list = { 1, 2, 3 } }");

  /* a table means nothing to C, and is handed on as it is */
  conc_item item;
  if (conc_get(queue, &item, 5) != 0 || item.type != CONC_TOTHER)
    return 1;
  conc_pushitem(one, &item);
  lua_setglobal(one, "received");
  conc_clear(&item);
  run(one, "print('state one gets: a table from ' .. received.from"
           " .. ', with ' .. #received.list .. ' elements')");

  pthread_t thread;
  pthread_create(&thread, NULL, producer, queue);
  pthread_join(thread, NULL);
  run(one, "for i = 1, 4 do print('state one gets: ' .. queue:get(5)) end");

  /* closing one state ends what it started, and nothing else */
  lua_close(one);
  run(two, "queue:put('still here') print('state two gets: ' .. queue:get(5))");
  conc_release(queue);
  lua_close(two);
  return 0;
}
