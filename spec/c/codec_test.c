/*
** codec_test.c - what of the codec is seen only by its speed, or only where Lua is
** laid out otherwise
*/
#include <lauxlib.h>
#include <lualib.h>
#include "bind.h"
#include "codec.h"
#include "codec_peek.h"
#include "kit.h"
#include "task.h"

int luaopen_conc_core (lua_State *L);

static lua_State *L;

/* What the text evaluates to is on the top. */
static void push (const char *text) {
  if (luaL_dostring(L, text) != LUA_OK) {
    printf("# %s\n", lua_tostring(L, -1));
    exit(1);
  }
}

/* {=== what is found out about Lua ===} */

/* A gear that was never used, since a check of it was wrong, went unnoticed for long. */
static void test_peek (void) {
  bool known = LUA_VERSION_NUM == 504;
  ok(peek_works == known, "tables and strings are read in place");
  ok(peek_strings == known, "places of strings are fetched ahead");
}

/* {=== what is sent ===} */

static bool is_bare (const char *text, unsigned flags) {
  struct parcel p;
  push(text);
  codec_encode(L, -1, 1, flags, "value", 0, &p);
  bool bare = codec_is_bare_function(p.bytes, p.length);
  for (size_t n = 0; n < p.length; n++)  /* read as part of a file */
    if (codec_is_bare_function(p.bytes, n))
      bare = !bare;
  parcel_drop(&p);
  lua_settop(L, 0);
  return bare;
}

static const char large[] =
  "local t = {} for i = 1, 100 do t[i] = 'x = x .. \"' .. i .. '\"' end"
  " return load('local x = ... ' .. table.concat(t, ' ') .. ' return x')";

static void test_bare (void) {
  for (int again = 0; again < 2; again++) {
    ok(is_bare("return function (x) return x * x end", CODEC_RUN), "a function is bare");
    ok(is_bare("return function (x) return string.upper(x) end", CODEC_RUN),
       "and one that names parts of the standard library");
    ok(is_bare(large, CODEC_RUN), "and a large one");
    ok(!is_bare("local n = 1 return function (x) return x * n end", CODEC_RUN),
       "one with an upvalue is not");
    ok(!is_bare("helper = {} return function (x) return helper end", CODEC_RUN),
       "nor one with a global");
    ok(!is_bare("return {function (x) return x end}", CODEC_RUN), "nor a table");
    ok(!is_bare("return print", CODEC_RUN), "nor print");
    ok(!is_bare("return 1", CODEC_RUN), "nor a number");
  }
}

static bool has_setting (void) {
  struct parcel p;
  bool has = codec_encode_setting(L, &p);
  if (has)
    parcel_drop(&p);
  return has;
}

static void test_setting (void) {
  static const struct { const char *code, *told; bool has; } steps[] = {
    { "", "a fresh state has no settings to send", false },
    { "a, b = {}, string.upper codec = 1", "nor one with globals of its own", false },
    { "package.path = package.path .. ';/x/?.lua'", "one with another package.path has", true },
    { "package.path = package.path:gsub(';/x/%?%.lua$', '')", "until it is as it was", false },
    { "string.trim = function () end", "one with more in 'string' has", true },
    { "string.trim = nil", "until that is gone", false },
    { "package.preload.x = print", "one with something in package.preload has", true },
    { "package.preload.x = nil", "until that is gone", false },
    { "string.upper, b = string.lower, string.upper",
      "one with another function in its place has", true },
    { "string.upper = b", "until that is back", false },
  };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    push(steps[i].code);
    bool first = has_setting();
    ok(first == steps[i].has && has_setting() == first, steps[i].told);
  }
  lua_settop(L, 0);
}

/* {=== the gears give the same ===} */

/* Of lists that have runs of numbers of every width, and what is beside them. */
static const char lists[] =
  "local lists = {}\n"
  "local edges = { 0, 127, 128, -128, -129, 32767, 32768, -32768, -32769, 2147483647,\n"
  "  2147483648, -2147483648, -2147483649, math.maxinteger, math.mininteger, 0.5, -0.0 }\n"
  "for _, edge in ipairs(edges) do\n"
  "  for _, n in ipairs { 1, 7, 8, 9, 255, 256, 257, 263, 264, 265, 512, 600 } do\n"
  "    local t = {}\n"
  "    for i = 1, n do t[i] = edge end\n"
  "    lists[#lists + 1] = t\n"
  "  end\n"
  "end\n"
  "for step = 1, 30 do\n"
  "  local t = {}\n"
  "  for i = 1, 700 do\n"
  "    t[i] = i % step == 0 and 'item' .. i or i % (step + 7) == 0 and i / 3 or i * step\n"
  "  end\n"
  "  t.more = step\n"
  "  lists[#lists + 1] = t\n"
  "end\n"
  "return lists";

static const char compare[] =
  "local function same(a, b)\n"
  "  if type(a) ~= 'table' then\n"
  "    return math.type(a) == math.type(b) and a == b and tostring(a) == tostring(b)\n"
  "  end\n"
  "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
  "  for k in pairs(b) do if a[k] == nil then return false end end\n"
  "  return #a == #b\n"
  "end\n"
  "return same";

/* Written and read each with the memory of Lua in sight, and without. */
static void test_gears (void) {
  bool works = peek_works, strings = peek_strings;
  size_t lengths[2];
  push(compare);
  push(lists);
  for (int way = 0; way < 4; way++) {
    struct parcel p;
    peek_works = works && (way & 1) == 0;
    codec_encode(L, 2, 1, CODEC_BYTES, "value", 0, &p);
    lua_pushlstring(L, p.bytes, p.length);
    lengths[way & 1] = p.length;
    peek_works = works && (way & 2) == 0;
    peek_strings = strings && peek_works;
    size_t length;
    const char *s = lua_tolstring(L, -1, &length);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    bool good = codec_decode(L, s, length, NULL, 0, CODEC_BYTES | CODEC_DATA) == 1;
    lua_call(L, 2, 1);
    good = good && lua_toboolean(L, -1);
    ok(good, way == 0 ? "lists arrive, written and read in place"
             : way == 1 ? "written through the API" : way == 2 ? "read through the API"
             : "both through the API");
    lua_settop(L, 2);
  }
  peek_works = works;
  peek_strings = strings;
  ok(!works || lengths[0] < lengths[1], "runs are shorter than numbers one by one");
  lua_settop(L, 0);
}

/* {=== no memory ===} */

static bool refusing;
static lua_Alloc plain_alloc;

static void *refuse (void *data, void *p, size_t old, size_t new) {
  return refusing && new > (p != NULL ? old : 0) ? NULL : plain_alloc(data, p, old, new);
}

static int encode_one (lua_State *l) {
  struct parcel p;
  refusing = true;
  int status = codec_try_encode(l, 1, 1, 0, "value", 0, &p);
  refusing = false;
  if (status == LUA_OK)
    parcel_drop(&p);
  return 0;
}

/* A future is noted when it is sent for the first time: that raised where nothing may,
   and a large message before it stayed in hand. */
static void test_memory (void) {
  void *data;
  size_t before = 0;
  plain_alloc = lua_getallocf(L, &data);
  lua_setallocf(L, refuse, data);
  lua_settop(L, 0);
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  for (int i = 0; i < 20; i++) {
    struct handle *h = bind_newhandle(L, KIND_FUTURE);
    bind_own(L, h, task_new_submitted(0));
  }
  before = kit_live();
  for (int i = 1; i <= 20; i++) {
    lua_pushcfunction(L, encode_one);
    push("return {('x'):rep(200000)}");
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, 2);
    lua_pcall(L, 1, 0, 0);
    refusing = false;
  }
  ok(kit_live() == before, "a future that cannot be noted leaves nothing behind");
  lua_setallocf(L, plain_alloc, data);
  lua_settop(L, 0);
}

int main (void) {
  kit_open();
  L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_settop(L, 0);
  size_t before = kit_live();
  test_peek();
  test_bare();
  test_setting();
  test_gears();
  test_memory();
  codec_forget(L);
  lua_gc(L, LUA_GCCOLLECT);
  ok(kit_live() <= before, "nothing is left");
  lua_close(L);
  return kit_close();
}
