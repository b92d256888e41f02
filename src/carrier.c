/*
** carrier.c - floor 7: what conc.thread and conc.process have in common
*/
#include "carrier.h"
#include "call.h"
#include "embed.h"
#include "poke.h"
#include "process.h"
#include "roster.h"
#include "state.h"
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char group_key = 'g', wrap_key = 'w';

/* {=== options ===} */

static const char *const option_names[] = {
  "cpus", "daemon", "name", "nice", "setup", NULL
};

/* Raises: no such option; with the nearest name, if conc.suggest has one. */
static void bad_option (lua_State *L, int arg) {
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                    : luaL_typename(L, -1);
  const char *hint = "";
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.suggest");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    lua_pushstring(L, name);
    lua_newtable(L);
    for (int i = 0; option_names[i] != NULL; i++) {
      lua_pushstring(L, option_names[i]);
      lua_rawseti(L, -2, i + 1);
    }
    if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING)
      hint = lua_pushfstring(L, "; did you mean '%s'?", lua_tostring(L, -1));
  }
  luaL_argerror(L, arg, lua_pushfstring(L, "no option '%s'%s", name, hint));
}

static void bad_value (lua_State *L, int arg, const char *name, const char *wanted) {
  luaL_argerror(L, arg, lua_pushfstring(L, "option '%s': %s expected, got %s", name,
                                        wanted, luaL_typename(L, -1)));
}

static void read_cpus (lua_State *L, int arg, struct start *s) {
  lua_Integer n;
  if (!lua_istable(L, -1))
    bad_value(L, arg, "cpus", "list of CPU numbers");
  n = (lua_Integer)lua_rawlen(L, -1);
  if (n < 1 || n > MAX_CPUS)
    luaL_argerror(L, arg, "option 'cpus': list of one CPU number or more expected");
  int *list = lua_newuserdatauv(L, (size_t)n * sizeof *list, 0);
  lua_insert(L, -3);  /* below the key and its value */
  for (lua_Integer i = 1; i <= n; i++) {
    int isint;
    lua_rawgeti(L, -1, i);
    lua_Integer cpu = lua_tointegerx(L, -1, &isint);
    if (lua_type(L, -1) != LUA_TNUMBER || !isint)
      bad_value(L, arg, "cpus", "list of CPU numbers");
    if (cpu < 0 || cpu > INT_MAX)
      luaL_argerror(L, arg, "option 'cpus': CPU numbers start at 0");
    list[i - 1] = (int)cpu;
    lua_pop(L, 1);
  }
  s->options.cpus = list;
  s->options.ncpus = (int)n;
}

static void read_nice (lua_State *L, int arg, struct start *s) {
  int isint;
  lua_Integer n = lua_tointegerx(L, -1, &isint);
  if (lua_type(L, -1) != LUA_TNUMBER || !isint)
    bad_value(L, arg, "nice", "integer");
  if (n < -40 || n > 40)
    luaL_argerror(L, arg, "option 'nice': integer of -40 to 40 expected");
  s->options.nice = (int)n;
}

static void read_name (lua_State *L, int arg, struct start *s) {
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    bad_value(L, arg, "name", "string");
  const char *name = lua_tolstring(L, -1, &len);
  if (len >= NAME_SIZE)
    luaL_argerror(L, arg, lua_pushfstring(L, "option 'name': at most %d bytes expected,"
                                          " got %d", NAME_SIZE - 1, (int)len));
  snprintf(s->name, sizeof s->name, "%s", name);
}

/* The key is below the value, which is on the top. */
static void read_option (lua_State *L, int arg, struct start *s) {
  const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  if (strcmp(key, "name") == 0)
    read_name(L, arg, s);
  else if (strcmp(key, "daemon") == 0) {
    if (!lua_isboolean(L, -1))
      bad_value(L, arg, "daemon", "boolean");
    s->daemon = lua_toboolean(L, -1) != 0;
  }
  else if (strcmp(key, "cpus") == 0)
    read_cpus(L, arg, s);
  else if (strcmp(key, "nice") == 0)
    read_nice(L, arg, s);
  else if (strcmp(key, "setup") == 0) {
    if (!lua_isfunction(L, -1))
      bad_value(L, arg, "setup", "function");
    s->setup = -1;
  }
  else {
    lua_pushvalue(L, -2);
    bad_option(L, arg);
  }
}

/* Whether the system grants them is tried here, before anything is started. */
static void try_options (lua_State *L, int arg, struct start *s) {
  if (s->options.cpus != NULL && sys_try_cpus(s->options.cpus, s->options.ncpus) != 0)
    luaL_argerror(L, arg, lua_pushfstring(L, "option 'cpus': %s", strerror(errno)));
  if (s->options.nice < 0 && sys_try_nice(s->options.nice) != 0)
    luaL_argerror(L, arg, lua_pushfstring(L, "option 'nice': %s", strerror(errno)));
}

void carrier_check (lua_State *L, int arg, struct start *s) {
  s->name[0] = '\0';
  s->daemon = false;
  s->setup = 0;
  s->function = arg;
  s->options = (struct thread_options){ NULL, 0, 0 };
  if (lua_istable(L, arg)) {
    s->function = arg + 1;
    lua_pushnil(L);
    while (lua_next(L, arg)) {
      read_option(L, arg, s);
      lua_pop(L, 1);
    }
    try_options(L, arg, s);
    if (s->setup != 0)
      s->setup = arg;
  }
  if (!lua_isfunction(L, s->function)) {
    const char *wanted = s->function == arg ? "function, or options and function" : "function";
    luaL_argerror(L, s->function,
                  lua_pushfstring(L, "%s expected, got %s", wanted,
                                  luaL_typename(L, s->function)));
  }
}

/* The wrapper travels like any function: with setup and f as its upvalues. */
static void push_wrapper (lua_State *L) {
  static const char text[] =
    "local setup, f = ...\n"
    "return function (...) setup() return f(...) end";
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &wrap_key) == LUA_TFUNCTION)
    return;
  lua_pop(L, 1);
  if (luaL_loadbuffer(L, text, sizeof text - 1, "=conc.setup") != LUA_OK)
    lua_error(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &wrap_key);
}

void carrier_wrap (lua_State *L, struct start *s) {
  if (s->setup == 0)
    return;
  push_wrapper(L);
  lua_getfield(L, s->setup, "setup");
  lua_pushvalue(L, s->function);
  lua_call(L, 2, 1);
  lua_replace(L, s->function);
}

/* {=== tasks ===} */

/* "thread-N"; snprintf would take longer than all else here. */
static void default_name (struct task *t) {
  char digits[24], *at = digits + sizeof digits;
  uint64_t id = t->id;
  *--at = '\0';
  do *--at = (char)('0' + id % 10); while ((id /= 10) != 0);
  strcpy(t->name, t->head.kind == KIND_PROCESS ? "process-" : "thread-");
  strcat(t->name, at);
}

struct task *carrier_task (lua_State *L, enum kind kind, const struct start *s) {
  struct handle *h = bind_newhandle(L, kind);
  struct block *b = task_new(kind, s->name);
  if (b != NULL) {
    struct task *t = task_of(b);
    if (t->name[0] == '\0')
      default_name(t);
    if (s->daemon)
      task_flag(t, TASK_DAEMON);
    t->group = carrier_group(L);
  }
  bind_own(L, h, b);
  return task_of(h->block);
}

uint32_t carrier_group (lua_State *L) {
  if (state_ours(L))
    return state_group(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &group_key);
  uint32_t group = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (group == 0) {
    group = (uint32_t)record_new_id();
    lua_pushinteger(L, (lua_Integer)group);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &group_key);
  }
  return group;
}

/* {=== what a wait asks Lua ===} */

/* lua.c's way to tell of SIGINT: a hook on every instruction, call and return. */
static bool interrupt_hook (lua_State *L) {
  int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT;
  return lua_gethook(L) != NULL && lua_gethookcount(L) == 1
      && (lua_gethookmask(L) & mask) == mask;
}

static int interrupted (void *ctx) {
  return interrupt_hook(ctx);
}

static int shielded (void *ctx) {
  return poke_closing(ctx);
}

static void note_line (void *ctx, char *to, size_t size) {
  lua_State *L = ctx;
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0) {
      snprintf(to, size, "%s:%d", ar.short_src, ar.currentline);
      return;
    }
  }
  to[0] = '\0';
}

void carrier_hooks (lua_State *L) {
  struct gate_hooks hooks = { interrupted, shielded, note_line, NULL };
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  hooks.ctx = lua_tothread(L, -1);
  lua_pop(L, 1);
  gate_set_hooks(&hooks);
  if (state_ours(L))
    embed_new_state(L);
}
