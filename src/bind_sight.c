/*
** bind_sight.c - floor 7: conc.dump, conc.dump_on_signal, conc.trace
*/
#include "bind.h"
#include "call.h"
#include "sight.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Takes the text. */
static void write_to (FILE *f, char *text) {
  fputs(text, f);
  fflush(f);
  free(text);
}

static FILE *open_file (lua_State *L, int arg) {
  luaL_Stream *stream = luaL_testudata(L, arg, LUA_FILEHANDLE);
  if (stream != NULL && stream->closef != NULL)
    return stream->f;
  luaL_argerror(L, arg, stream != NULL ? "the file is closed"
    : lua_pushfstring(L, "open file or path expected, got %s", luaL_typename(L, arg)));
  return NULL;
}

/* conc.dump([file or path]) -> true; without a file: on standard error */
static int core_dump (lua_State *L) {
  FILE *f = stderr;
  bool ours = lua_type(L, 1) == LUA_TSTRING;
  if (ours) {
    f = fopen(lua_tostring(L, 1), "w");
    if (f == NULL)
      return luaL_error(L, "dump: %s: %s", lua_tostring(L, 1), strerror(errno));
  }
  else if (!lua_isnoneornil(L, 1))
    f = open_file(L, 1);
  char *text = sight_dump();
  if (text != NULL)
    write_to(f, text);
  if (ours)
    fclose(f);
  if (text == NULL)
    return luaL_error(L, "not enough memory");
  lua_pushboolean(L, 1);
  return 1;
}

/* conc.dump_on_signal() -> true; from now on SIGQUIT has the table written */
static int core_dump_on_signal (lua_State *L) {
  if (sight_on_signal() != CONC_OK)
    return luaL_error(L, "dump_on_signal: %s", strerror(errno));
  lua_pushboolean(L, 1);
  return 1;
}

/* conc.trace([path]) -> true; nil or false: the trace ends */
static int core_trace (lua_State *L) {
  if (!lua_toboolean(L, 1))
    trace_stop();
  else if (trace_start(luaL_checkstring(L, 1)) != CONC_OK)
    return luaL_error(L, "trace: %s: %s", lua_tostring(L, 1), strerror(errno));
  lua_pushboolean(L, 1);
  return 1;
}

/* core._terminal([fd = 2]) -> its columns; nil: it is no terminal */
static int core_terminal (lua_State *L) {
  int fd = (int)luaL_optinteger(L, 1, STDERR_FILENO);
  struct winsize size;
  if (!isatty(fd))
    lua_pushnil(L);
  else
    lua_pushinteger(L, ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80);
  return 1;
}

/* core._home() -> a string for this state of this process, and no other */
static int core_home (lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_pushfstring(L, "%d %p", (int)getpid(), lua_topointer(L, -1));
  return 1;
}

/* core._raise(value, traceback): raises an error that was raised elsewhere */
static int core_raise (lua_State *L) {
  call_give_traceback(luaL_optstring(L, 2, NULL));
  lua_settop(L, 1);
  return lua_error(L);
}

static const luaL_Reg functions[] = {
  { "_home", core_home },
  { "_raise", core_raise },
  { "_terminal", core_terminal },
  { "dump", core_dump },
  { "dump_on_signal", core_dump_on_signal },
  { "trace", core_trace },
  { NULL, NULL }
};

void bind_open_sight (lua_State *L);
void bind_open_sight (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}
