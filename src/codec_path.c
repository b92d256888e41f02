/*
** codec_path.c - floor 4: what a refusal says
**
** Nothing is noted while encoding. The frames and their slots on the Lua stack
** tell the way from the refused value back to the root, read once, here:
**
**   cannot send field 'client' of argument 2: a coroutine does not travel
**   cannot send upvalue 'log' of function at app.lua:12 (FILE*)
**   cannot send upvalue 'log' of function at app.lua:12 (FILE*), global 'f' of ...
*/
#include "codec_impl.h"

#include <stdarg.h>

#define STEPS_MAX  12

struct way {
  struct encoder *e;
  luaL_Buffer b;
  uint32_t depth;    /* frames not walked yet */
  int child;         /* slot of what the last step led to */
  int steps;
};

static void add_key (struct way *w, int key) {
  lua_State *L = w->e->L;
  switch (lua_type(L, key)) {
    case LUA_TSTRING: {
      size_t length;
      const char *s = lua_tolstring(L, key, &length);
      if (length > 60)
        lua_pushfstring(L, "field '%s...'", lua_pushlstring(L, s, 60)), lua_remove(L, -2);
      else
        lua_pushfstring(L, "field '%s'", s);
      break;
    }
    case LUA_TNUMBER:
      if (lua_isinteger(L, key))
        lua_pushfstring(L, "element %I", (LUAI_UACINT)lua_tointeger(L, key));
      else
        lua_pushfstring(L, "field [%f]", (LUAI_UACNUMBER)lua_tonumber(L, key));
      break;
    case LUA_TBOOLEAN:
      lua_pushfstring(L, "field [%s]", lua_toboolean(L, key) ? "true" : "false");
      break;
    default:
      lua_pushfstring(L, "field [a %s]", luaL_typename(L, key));
      break;
  }
  luaL_addvalue(&w->b);
}

static void add_upvalue (struct way *w, int function, int i) {
  lua_State *L = w->e->L;
  const char *name = lua_getupvalue(L, function, i);
  if (name != NULL)
    lua_settop(L, -2);
  if (name != NULL && *name != '\0' && *name != '(')
    lua_pushfstring(L, "upvalue '%s'", name);
  else
    lua_pushfstring(L, "upvalue %d", i);
  luaL_addvalue(&w->b);
}

static void add_global (struct way *w, int names, const struct frame *f) {
  lua_State *L = w->e->L;
  function_push_name(L, names, f->i);
  lua_pushfstring(L, "global '%s'", lua_tostring(L, -1));
  lua_remove(L, -2);
  luaL_addvalue(&w->b);
}

static void add_function (struct way *w, int function) {
  lua_State *L = w->e->L;
  lua_Debug ar;
  lua_pushvalue(L, function);
  lua_getinfo(L, ">S", &ar);
  if (ar.linedefined > 0)
    lua_pushfstring(L, "function at %s:%d", ar.short_src, ar.linedefined);
  else
    lua_pushfstring(L, "main chunk of %s", ar.short_src);
  luaL_addvalue(&w->b);
}

/*
** One step outwards; adds "field 'x'". True: what it is part of is a function,
** whose slot is now 'child'.
*/
static bool add_step (struct way *w) {
  const struct frame *f = &w->e->s->frames[--w->depth];
  bool is_function = f->kind == FRAME_FUNCTION;
  /* the buffer may have a slot on the stack, but it is above: indices hold */
  switch (f->phase) {
    case PHASE_ARRAY:
      lua_pushfstring(w->e->L, "element %I", (LUAI_UACINT)f->i);
      luaL_addvalue(&w->b);
      w->child -= 1;
      break;
    case PHASE_PREFIX: case PHASE_PAIRS:
      add_key(w, w->child - 1);
      w->child -= 2;
      break;
    case PHASE_KEY:
      luaL_addstring(&w->b, "a key");
      w->child -= 3;
      break;
    case PHASE_META:
      luaL_addstring(&w->b, "metatable");
      w->child -= 1;
      break;
    case PHASE_UPVALUES:
      add_upvalue(w, --w->child, (int)f->i);
      break;
    case PHASE_GLOBALS:
      add_global(w, w->child - 2, f);
      w->child -= 3;
      break;
    default:
      lua_pushfstring(w->e->L, f->i == 1 ? "the function given by __conc"
                               : "value %d given by __conc", (int)f->i);
      luaL_addvalue(&w->b);
      w->child -= (int)f->n + 1;
      break;
  }
  return is_function;
}

static void add_root (struct way *w) {
  struct encoder *e = w->e;
  int first = e->base == 0 ? 1 : e->base;
  if (e->base == 0 && e->n == 1)
    luaL_addstring(&w->b, e->what);
  else {
    lua_pushfstring(e->L, "%s %d", e->what, first + e->current);
    luaL_addvalue(&w->b);
  }
}

/* Up to the next function, or to the root. True: a function, and not the root. */
static bool add_stretch (struct way *w) {
  while (w->depth > 0) {
    if (++w->steps > STEPS_MAX || (int)w->child <= w->e->bottom) {
      luaL_addstring(&w->b, "... of ");
      w->depth = 0;
      break;
    }
    bool is_function = add_step(w);
    luaL_addstring(&w->b, " of ");
    if (is_function) {
      add_function(w, w->child);
      return true;
    }
  }
  add_root(w);
  return false;
}

/* 'why' is at the slot 'reason'. */
_Noreturn static void refuse (struct encoder *e, int idx, int reason,
                              const char *before, const char *after) {
  struct way w = { .e = e, .depth = e->depth, .child = idx };
  const char *why = lua_tostring(e->L, reason);
  luaL_checkstack(e->L, LUA_MINSTACK, NULL);
  luaL_buffinit(e->L, &w.b);
  if (e->raises) {
    luaL_where(e->L, 2);  /* 0: the protected call; 1: put, submit ... */
    luaL_addvalue(&w.b);
  }
  luaL_addstring(&w.b, "cannot send ");
  if (add_stretch(&w)) {
    luaL_addstring(&w.b, " (");
    luaL_addstring(&w.b, why);
    luaL_addstring(&w.b, ")");
    while (w.depth > 0) {
      luaL_addstring(&w.b, ", ");
      add_stretch(&w);
    }
  }
  else {
    luaL_addstring(&w.b, ": ");
    luaL_addstring(&w.b, before);
    luaL_addstring(&w.b, why);
    luaL_addstring(&w.b, after);
  }
  luaL_pushresult(&w.b);
  lua_error(e->L);
  for (;;) {}  /* not reached */
}

void codec_refuse (struct encoder *e, int idx, const char *why, ...) {
  va_list args;
  luaL_checkstack(e->L, LUA_MINSTACK, NULL);
  va_start(args, why);
  lua_pushvfstring(e->L, why, args);
  va_end(args);
  refuse(e, idx, lua_gettop(e->L), "", "");
}

void codec_refuse_type (struct encoder *e, int idx, const char *type) {
  luaL_checkstack(e->L, LUA_MINSTACK, NULL);
  lua_pushstring(e->L, type);
  refuse(e, idx, lua_gettop(e->L), "a ", " does not travel");
}
