/*
** embed_test.c - conc.h: every kind of item in and out, with Lua on the other
** side, and what is refused. (examples/host shows the calls at work.)
*/
#define _GNU_SOURCE
#include "kit.h"
#include "conc.h"
#include "embed.h"

#include <lauxlib.h>
#include <lualib.h>

static lua_State *L;

/* Runs 'code' with 'o' (NULL: nil) as 'x'; is what it returns true? */
static bool lua (conc_object *o, const char *code) {
  lua_pushnil(L);
  if (o != NULL) {
    lua_pop(L, 1);
    conc_push(L, o);
  }
  lua_setglobal(L, "x");
  lua_settop(L, 0);
  bool good = luaL_dostring(L, code) == LUA_OK && lua_toboolean(L, -1);
  if (!good)
    printf("# %s: %s\n", code, lua_isstring(L, -1) ? lua_tostring(L, -1) : "not true");
  lua_settop(L, 0);
  return good;
}

/* The object that 'code' evaluates to. */
static conc_object *made (const char *code, const char *type) {
  lua_settop(L, 0);
  if (luaL_dostring(L, code) != LUA_OK) {
    printf("Bail out! %s\n", lua_tostring(L, -1));
    exit(1);
  }
  conc_object *o = conc_check(L, -1, type);
  lua_settop(L, 0);
  return o;
}

static conc_item integer_item (int64_t i) {
  return (conc_item){ .type = CONC_TINTEGER, .u.integer = i };
}

static conc_item string_item (char *bytes, size_t length) {
  return (conc_item){ .type = CONC_TSTRING, .u.string = { bytes, length } };
}

static bool is_string (const conc_item *item, const char *bytes, size_t length) {
  return item->type == CONC_TSTRING && item->u.string.length == length
         && memcmp(item->u.string.bytes, bytes, length) == 0
         && item->u.string.bytes[length] == '\0';
}

static void test_values (void) {
  conc_item item, number = { .type = CONC_TNUMBER, .u.number = 2.5 };
  conc_item truth = { .type = CONC_TBOOLEAN, .u.boolean = 7 }, seven = integer_item(7);

  conc_object *o = made("return conc.value(1)", "value");
  ok(conc_get(o, &item, 0) == 0 && item.type == CONC_TINTEGER && item.u.integer == 1
     && conc_set(o, &seven) == 0 && lua(o, "return math.type(x:get()) == 'integer' and x:get() == 7"),
     "an integer value is read and set");
  ok(conc_set(o, &number) == CONC_ETYPE && conc_set(o, &truth) == CONC_ETYPE
     && conc_set(o, NULL) == CONC_ETYPE && conc_get(o, NULL, 0) == CONC_ETYPE
     && conc_put(o, &seven, 0) == CONC_ETYPE && lua(o, "return x:get() == 7"),
     "a value takes its own type only, and only by conc_set");
  conc_release(o);

  o = made("return conc.value(0.5)", "value");
  ok(conc_get(o, &item, 0) == 0 && item.type == CONC_TNUMBER && item.u.number == 0.5
     && conc_set(o, &number) == 0 && lua(o, "return x:get() == 2.5")
     && conc_set(o, &seven) == CONC_ETYPE, "a float");
  conc_release(o);

  o = made("return conc.value(false)", "value");
  ok(conc_get(o, &item, 0) == 0 && item.type == CONC_TBOOLEAN && !item.u.boolean
     && conc_set(o, &truth) == 0 && lua(o, "return x:get() == true")
     && conc_set(o, &number) == CONC_ETYPE, "a boolean");
  conc_release(o);
}

static void test_events (void) {
  conc_object *o = made("return conc.event()", "event");
  conc_item item = integer_item(1);
  ok(conc_get(o, NULL, 0.01) == CONC_ETIMEOUT && lua(o, "return not x:is_set()")
     && conc_set(o, NULL) == 0 && conc_get(o, &item, CONC_FOREVER) == 0
     && item.type == CONC_TNIL && lua(o, "return x:is_set()"),
     "an event is waited for and set");
  ok(conc_put(o, &item, 0) == CONC_ETYPE, "nothing is put into an event");
  conc_release(o);
}

/* Puts the item; Lua gets it, looks at it as 'v' and puts it back; it comes out. */
static bool through (conc_object *q, const conc_item *in, const char *check, conc_item *out) {
  char code[200];
  snprintf(code, sizeof code, "local v = x:get(0) x:put(v) return %s", check);
  return conc_put(q, in, 0) == 0 && lua(q, code) && conc_get(q, out, CONC_FOREVER) == 0;
}

static void test_queue (const char *type) {
  char code[64], text[120];
  snprintf(code, sizeof code, "return conc.%s()", type);
  conc_object *q = made(code, type);
  conc_item in, out;

  in = integer_item(INT64_MIN);
  bool good = through(q, &in, "v == math.mininteger", &out)
              && out.type == CONC_TINTEGER && out.u.integer == INT64_MIN;
  in = (conc_item){ .type = CONC_TNUMBER, .u.number = -1.5 };
  good = good && through(q, &in, "v == -1.5", &out) && out.type == CONC_TNUMBER
         && out.u.number == -1.5;
  in = (conc_item){ .type = CONC_TBOOLEAN, .u.boolean = 1 };
  good = good && through(q, &in, "v == true", &out) && out.type == CONC_TBOOLEAN
         && out.u.boolean == 1;
  in.u.boolean = 0;
  good = good && through(q, &in, "v == false", &out) && out.type == CONC_TBOOLEAN
         && out.u.boolean == 0;
  snprintf(text, sizeof text, "%s: numbers and truth go through", type);
  ok(good, text);

  /* lengths around the borders: in the record, in the message, in a block */
  static const size_t lengths[] = { 0, 1, 31, 32, 33, 63, 64, 200, 4000, 100000 };
  char *bytes = malloc(100000);
  for (size_t i = 0; i < 100000; i++)
    bytes[i] = (char)(i * 31 % 251);
  good = true;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] && good; i++) {
    char check[64];
    in = string_item(bytes, lengths[i]);
    snprintf(check, sizeof check, "#v == %zu and (v:byte(-1) or -1) == %d", lengths[i],
             lengths[i] > 0 ? (unsigned char)bytes[lengths[i] - 1] : -1);
    good = through(q, &in, check, &out) && is_string(&out, bytes, lengths[i]);
    if (good) conc_pushitem(L, &out);
    good = good && lua_rawlen(L, -1) == lengths[i];
    lua_settop(L, 0);
    conc_clear(&out);
    good = good && out.type == CONC_TNIL;
  }
  free(bytes);
  snprintf(text, sizeof text, "%s: strings of any length go through", type);
  ok(good, text);

  in.type = CONC_TNIL;
  ok(conc_put(q, &in, 0) == CONC_ETYPE && conc_put(q, NULL, 0) == CONC_ETYPE
     && conc_get(q, NULL, 0) == CONC_ETYPE && conc_set(q, &in) == CONC_ETYPE
     && conc_get(q, &out, 0) == CONC_ETIMEOUT && out.type == CONC_TNIL,
     "what is no item is refused, and there is none in an empty queue");
  conc_release(q);
}

/* What C does not know is kept as it came, and can be pushed more than once. */
static void test_others (void) {
  conc_object *q = made("q = conc.queue() q:put{1, 2} q:put{('x'):rep(50000)} q:put{3} "
                        "q:put{('y'):rep(50000)} return q", "queue");
  conc_item item;
  bool good = true;
  for (int i = 1; i <= 2; i++) {
    good = good && conc_get(q, &item, 0) == 0 && item.type == CONC_TOTHER;
    for (int twice = 0; twice < 2 && good; twice++) {
      conc_pushitem(L, &item);
      lua_setglobal(L, "v");
      good = lua(q, i == 1 ? "return #v == 2 and v[2] == 2" : "return #v[1] == 50000");
    }
    conc_clear(&item);
    good = good && item.type == CONC_TNIL;
  }
  ok(good, "a table, small or in a block, is handed on to Lua");
  good = true;
  for (int i = 1; i <= 2; i++) {
    good = good && conc_get(q, &item, 0) == 0 && item.type == CONC_TOTHER;
    conc_clear(&item);
  }
  ok(good, "or dropped");
  conc_clear(&item);
  conc_pushitem(L, &item);
  ok(lua_isnil(L, -1), "a cleared item is nil, and may be cleared again");
  conc_release(q);
  lua(NULL, "q, v = nil return true");
}

static void test_items_pushed (void) {
  conc_item item = { .type = CONC_TBOOLEAN, .u.boolean = 1 };
  conc_pushitem(L, &item);
  item = integer_item(42);
  conc_pushitem(L, &item);
  item = (conc_item){ .type = CONC_TNUMBER, .u.number = 0.25 };
  conc_pushitem(L, &item);
  item = string_item((char *)"a\0b", 3);
  conc_pushitem(L, &item);
  ok(lua_isboolean(L, 1) && lua_toboolean(L, 1) && lua_isinteger(L, 2)
     && lua_tointeger(L, 2) == 42 && !lua_isinteger(L, 3) && lua_tonumber(L, 3) == 0.25
     && lua_rawlen(L, 4) == 3, "plain items are pushed as what they are");
  lua_settop(L, 0);
}

static void test_bounds (void) {
  char *bytes = calloc(1, 50000);
  conc_item item = string_item(bytes, 50000), one = integer_item(1);
  conc_object *q = made("return conc.queue(1)", "queue");
  bool good = conc_put(q, &one, 0) == 0;  /* which may need a segment */
  size_t before = kit_live();
  ok(good && conc_put(q, &item, 0) == CONC_ETIMEOUT && kit_live() == before, "what does not go into a full queue is dropped");
  store_relaxed(&arena_fail_at, 1);
  ok(conc_get(q, &one, 0) == 0 && conc_put(q, &item, 0) == CONC_EFULL,
     "shared memory is full");
  store_relaxed(&arena_fail_at, 0);
  ok(lua(q, "x:close() return true") && conc_put(q, &item, 0) == CONC_ECLOSED
     && conc_get(q, &one, 0) == CONC_ECLOSED && kit_live() <= before,
     "a closed queue says so");
  conc_release(q);
  free(bytes);
}

static int check_wrong (lua_State *S) {
  conc_check(S, 1, "queue");
  return 0;
}

static bool refused (const char *expression, const char *words) {
  char code[100];
  snprintf(code, sizeof code, "return %s", expression);
  lua_settop(L, 0);
  lua_pushcfunction(L, check_wrong);
  bool good = luaL_dostring(L, code) == LUA_OK && lua_pcall(L, 1, 0, 0) != LUA_OK
              && strstr(lua_tostring(L, -1), words) != NULL;
  lua_settop(L, 0);
  return good;
}

static void test_check (void) {
  ok(refused("1", "conc.queue expected, got number")
     && refused("conc.lifo_queue()", "conc.queue expected, got conc.lifo_queue")
     && refused("io.stdout", "conc.queue expected, got userdata"),
     "conc_check wants what it names");
  conc_object *o = made("return conc.lock()", "lock");
  conc_item item = integer_item(1);
  ok(conc_put(o, &item, 0) == CONC_ETYPE && conc_set(o, &item) == CONC_ETYPE
     && conc_get(o, &item, 0) == CONC_ETYPE && lua(o, "return not x:locked()"),
     "a lock can only be handed on");
  conc_release(o);
  conc_release(NULL);
  ok(strcmp(conc_strerror(0), "no error") == 0
     && strcmp(conc_strerror(CONC_ETIMEOUT), "timeout") == 0
     && strcmp(conc_strerror(CONC_EFULL), "shared memory is full") == 0
     && strcmp(conc_strerror(-1), "unknown") == 0 && strcmp(conc_strerror(99), "unknown") == 0,
     "results have names");
}

/* What 'f' writes to standard error. */
static void captured (void (*f) (void), char *text, size_t size) {
  fflush(stderr);
  int keep = dup(2);
  FILE *file = tmpfile();
  dup2(fileno(file), 2);
  f();
  fflush(stderr);
  dup2(keep, 2);
  close(keep);
  rewind(file);
  text[fread(text, 1, size - 1, file)] = '\0';
  fclose(file);
}

static void host_fails (lua_State *S) {
  luaL_error(S, "no host today");
}

static void host_fails_oddly (lua_State *S) {
  lua_newtable(S);
  lua_error(S);
}

static void host_works (lua_State *S) {
  lua_pushinteger(S, 99);
  lua_setglobal(S, "from_host");
}

static bool in_thread;

static void run_thread (void) {
  in_thread = lua(NULL, "return conc.thread(function () return _G.from_host or 'none' end)"
                        ":result(20) == (wanted or 'none')");
}

static void test_on_state (void) {
  char text[500];
  conc_on_state(host_fails);
  captured(run_thread, text, sizeof text);
  ok(in_thread && strstr(text, "the host's function for new states failed: ") != NULL
     && strstr(text, "no host today") != NULL, "a host's function that fails is told of");
  conc_on_state(host_fails_oddly);
  captured(run_thread, text, sizeof text);
  ok(in_thread && strstr(text, "failed: (no text)") != NULL, "with whatever error");
  conc_on_state(host_works);
  lua(NULL, "wanted = 99 return true");
  captured(run_thread, text, sizeof text);
  ok(in_thread && text[0] == '\0', "one that works is called in each new state");
  conc_on_state(NULL);
  lua(NULL, "wanted = nil return true");
  captured(run_thread, text, sizeof text);
  ok(in_thread && text[0] == '\0', "until it is taken away");
}

int main (void) {
  kit_seed = 1;
  L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_settop(L, 0);
  if (!lua(NULL, "conc = require 'conc' return true"))
    return 1;
  test_values();
  test_events();
  test_queue("queue");
  test_queue("lifo_queue");
  test_others();
  test_items_pushed();
  test_bounds();
  test_check();
  test_on_state();
  size_t before = kit_live();
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  conc_object *last = made("return conc.queue()", "queue");
  lua_gc(L, LUA_GCCOLLECT);
  ok(kit_live() <= before && conc_put(last, &(conc_item){ .type = CONC_TINTEGER }, 0) == 0,
     "an object lives on while the host has it");
  conc_release(last);
  lua_close(L);
  return kit_close();
}
