/*
** codec_function.c - floor 4: functions: bytecode, and the globals it mentions
**
** A function is dumped once. Its code is a counted block of the arena, which
** messages mention by reference; closures of the same code share it (found by
** its hash). A state remembers the code of each function that it sent (weakly),
** and the function that it made of each code it got, as long as nobody can
** tell that one from a new one: no upvalue but the table of globals, none
** assigned to.
**
** Which globals a function mentions is read off its bytecode: GETTABUP and
** SETTABUP name an upvalue and a constant; where that upvalue is, or comes
** down from, one of the outermost function's that holds the table of globals,
** the constant is a global's name. A function of more than 255 constants, or
** with a name too long to be interned, uses GETUPVAL, LOADK, GETTABLE instead.
** The format of bytecode is Lua's own business: function_open checks that it
** finds in a function made for that what must be there, and where it does not,
** functions are refused.
*/
#include "codec_impl.h"

#include "record.h"

#define LOADED_MAX  256        /* functions kept for codes that were received */

/* {=== reading bytecode ===} */

enum opcode {                  /* of Lua 5.4 */
  OP_LOADK = 3, OP_LOADKX = 4, OP_GETUPVAL = 9, OP_SETUPVAL = 10,
  OP_GETTABUP = 11, OP_SETTABUP = 15
};
#define OPCODE(i)  ((i) & 0x7f)
#define ARG_A(i)   ((i) >> 7 & 0xff)
#define ARG_B(i)   ((i) >> 16 & 0xff)
#define ARG_C(i)   ((i) >> 24)
#define ARG_BX(i)  ((i) >> 15)
#define ARG_AX(i)  ((i) >> 7)

enum constant { K_NIL = 0x00, K_FALSE = 0x01, K_TRUE = 0x11, K_INTEGER = 0x03,
                K_FLOAT = 0x13, K_SHORT = 0x04, K_LONG = 0x14 };

#define HEADER_SIZE  31        /* signature .. LUAC_NUM */
#define DEPTH_MAX    250       /* of functions in functions; Lua's own is 200 */

struct reader {
  lua_State *L;
  const unsigned char *p, *end;
  bool bad;
  bool constant;               /* so far no upvalue is assigned to */
  int names;                   /* stack: { name, upvalue, ... } */
  int met;                     /* stack: name -> upvalue */
  lua_Integer count;
  struct up_set naming;        /* upvalues that names are looked up in */
  int depth;
};

struct proto {
  const unsigned char *code;
  size_t ncode;
  const unsigned char **constants;   /* at their type byte; a userdata's */
  size_t nconstants;
  int16_t outer[256];                /* upvalue -> the outermost function's; -1 */
};

static bool take (struct reader *r, size_t n) {
  if (r->bad || (size_t)(r->end - r->p) < n)
    return !(r->bad = true);
  r->p += n;
  return true;
}

static int read_byte (struct reader *r) {
  return take(r, 1) ? r->p[-1] : 0;
}

static size_t read_size (struct reader *r) {
  size_t x = 0;
  int b;
  do {
    b = read_byte(r);
    if (x > SIZE_MAX >> 8)
      r->bad = true;
    x = x << 7 | (size_t)(b & 0x7f);
  } while ((b & 0x80) == 0 && !r->bad);
  return x;
}

/* NULL and length 0 where there is none. */
static const char *read_string (struct reader *r, size_t *length) {
  size_t size = read_size(r);
  *length = size > 0 ? size - 1 : 0;
  const char *s = (const char *)r->p;
  return size > 0 && take(r, size - 1) ? s : NULL;
}

static void skip_string (struct reader *r) {
  size_t length;
  read_string(r, &length);
}

static void skip_constant (struct reader *r) {
  switch (read_byte(r)) {
    case K_INTEGER: case K_FLOAT: take(r, 8); break;
    case K_SHORT: case K_LONG: skip_string(r); break;
    case K_NIL: case K_FALSE: case K_TRUE: break;
    default: r->bad = true; break;
  }
}

static void skip_debug (struct reader *r) {
  take(r, read_size(r));                                   /* lineinfo */
  for (size_t n = read_size(r); n > 0 && !r->bad; n--) {   /* abslineinfo */
    read_size(r);
    read_size(r);
  }
  for (size_t n = read_size(r); n > 0 && !r->bad; n--) {   /* locvars */
    skip_string(r);
    read_size(r);
    read_size(r);
  }
  for (size_t n = read_size(r); n > 0 && !r->bad; n--)     /* upvalue names */
    skip_string(r);
}

static uint32_t instruction (const struct proto *p, size_t pc) {
  uint32_t i;
  memcpy(&i, p->code + 4 * pc, 4);
  return i;
}

/* Constant 'k', if a string, is looked up in upvalue 'up'. */
static void mention (struct reader *r, const struct proto *p, size_t up, size_t k) {
  lua_State *L = r->L;
  size_t length;
  if (up > 255 || p->outer[up] < 0 || k >= p->nconstants)
    return;
  struct reader at = { .p = p->constants[k] + 1, .end = r->end };
  if ((*p->constants[k] & 0x0f) != K_SHORT)
    return;
  const char *s = read_string(&at, &length);
  lua_pushlstring(L, s != NULL ? s : "", length);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, r->met) == LUA_TNUMBER
      && lua_tointeger(L, -1) == p->outer[up]) {
    lua_pop(L, 2);
    return;
  }
  up_add(&r->naming, p->outer[up]);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_pushinteger(L, p->outer[up]);
  lua_rawset(L, r->met);
  lua_rawseti(L, r->names, ++r->count);
  lua_pushinteger(L, p->outer[up]);
  lua_rawseti(L, r->names, ++r->count);
}

static void scan_code (struct reader *r, const struct proto *p) {
  for (size_t pc = 0; pc < p->ncode; pc++) {
    uint32_t i = instruction(p, pc);
    switch (OPCODE(i)) {
      case OP_GETTABUP: mention(r, p, ARG_B(i), ARG_C(i)); break;
      case OP_SETTABUP: mention(r, p, ARG_A(i), ARG_B(i)); break;
      case OP_SETUPVAL:
        if (p->outer[ARG_B(i)] >= 0)
          r->constant = false;
        break;
      case OP_GETUPVAL:
        if (pc + 2 < p->ncode) {
          uint32_t next = instruction(p, pc + 1);
          if (OPCODE(next) == OP_LOADK)
            mention(r, p, ARG_B(i), ARG_BX(next));
          else if (OPCODE(next) == OP_LOADKX)
            mention(r, p, ARG_B(i), ARG_AX(instruction(p, pc + 2)));
        }
        break;
      default: break;
    }
  }
}

static void read_constants (struct reader *r, struct proto *p) {
  p->nconstants = read_size(r);
  if (r->bad || p->nconstants > (size_t)(r->end - r->p)) {
    r->bad = true;
    p->nconstants = 0;
  }
  p->constants = lua_newuserdatauv(r->L, (p->nconstants + 1) * sizeof *p->constants, 0);
  for (size_t k = 0; k < p->nconstants && !r->bad; k++) {
    p->constants[k] = r->p;
    skip_constant(r);
  }
}

/* 'above' is the enclosing function; NULL: this is the outermost. */
static void read_function (struct reader *r, const struct proto *above) {
  struct proto p;
  if (++r->depth > DEPTH_MAX)
    r->bad = true;
  luaL_checkstack(r->L, 8, NULL);
  skip_string(r);                    /* source */
  read_size(r);                      /* lines */
  read_size(r);
  take(r, 3);                        /* parameters, vararg, stack */
  p.ncode = read_size(r);
  p.code = r->p;
  if (p.ncode > SIZE_MAX / 4 || !take(r, 4 * p.ncode))
    p.ncode = 0;
  read_constants(r, &p);
  memset(p.outer, 0xff, sizeof p.outer);
  size_t nups = read_size(r);
  for (size_t u = 0; u < nups && !r->bad; u++) {
    int in_stack = read_byte(r), index = read_byte(r);
    read_byte(r);                    /* kind */
    if (u < 256)
      p.outer[u] = (int16_t)(above == NULL ? (int)u
                             : in_stack ? -1 : above->outer[index]);
  }
  if (!r->bad)
    scan_code(r, &p);
  for (size_t n = read_size(r); n > 0 && !r->bad; n--)
    read_function(r, &p);
  skip_debug(r);
  lua_pop(r->L, 1);                  /* the constants */
  r->depth--;
}

struct names {
  lua_Integer count;
  struct up_set naming;
  bool constant;
};

/*
** Pushes { name, upvalue from 0, ... } for the bytecode. False: it is not in the
** form known here.
*/
static bool read_names (lua_State *L, const char *bytes, size_t length,
                        struct names *n) {
  struct reader r = { .L = L, .constant = true };
  r.p = (const unsigned char *)bytes;
  r.end = r.p + length;
  lua_newtable(L);
  r.names = lua_gettop(L);
  lua_newtable(L);
  r.met = lua_gettop(L);
  take(&r, HEADER_SIZE + 1);         /* and the number of upvalues */
  if (!r.bad)
    read_function(&r, NULL);
  lua_settop(L, r.names);
  *n = (struct names){ r.count / 2, r.naming, r.constant };
  return !r.bad && r.p == r.end;
}

struct dump { char *to; size_t length; };

static int write_dump (lua_State *L, const void *p, size_t size, void *ud) {
  struct dump *d = ud;
  (void)L;
  if (d->to != NULL)
    memcpy(d->to + d->length, p, size);
  d->length += size;
  return 0;
}

/* Pushes, as a userdata, the bytecode of the Lua function on the top. */
static const char *push_dump (lua_State *L, size_t *length) {
  struct dump d = { .to = NULL };
  lua_dump(L, write_dump, &d, 0);
  char *bytes = lua_newuserdatauv(L, d.length, 0);
  lua_insert(L, -2);
  d = (struct dump){ .to = bytes };
  lua_dump(L, write_dump, &d, 0);
  lua_insert(L, -2);
  *length = d.length;
  return bytes;
}

static bool names_known;             /* constant after init */

/* {=== code ===} */

static uint64_t hash_of (const char *bytes, size_t length) {
  uint64_t h = UINT64_C(0xcbf29ce484222325) ^ length;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t x;
    memcpy(&x, bytes, 8);
    h = (h ^ x) * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
  }
  for (; length > 0; bytes++, length--)
    h = (h ^ (unsigned char)*bytes) * UINT64_C(0x100000001b3);
  return h ^ h >> 32;
}

static const char code_class = 'c';   /* registry: the metatable of struct code */

static int code_gc (lua_State *L) {
  struct code *code = lua_touserdata(L, 1);
  if (code->block != NULL) {
    code->block = NULL;
    handle_drop(code->slot);
  }
  return 0;
}

/* Pushes an empty one, whose uservalue is the table at 'names'. */
static struct code *push_code (lua_State *L, int names) {
  struct code *code = lua_newuserdatauv(L, sizeof *code, 1);
  memset(code, 0, sizeof *code);
  lua_pushvalue(L, names);
  lua_setiuservalue(L, -2, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &code_class);
  lua_setmetatable(L, -2);
  return code;
}

/* False: shared memory is full. */
static bool fill_code (struct code *code, const char *bytes, size_t length,
                       uint64_t hash, bool constant) {
  struct block *b = arena_alloc(sizeof(struct code_head) + length);
  if (b == NULL)
    return false;
  struct code_head *c = (struct code_head *)(void *)b;
  c->id = record_new_id();
  c->hash = hash;
  c->length = length;
  c->nups = code->nups;
  c->constant = constant;
  memcpy(code_bytes(c), bytes, length);
  block_ready(b, KIND_CODE);
  code->slot = handle_new(b);
  if (code->slot == UINT32_MAX) {
    block_destroy(b);
    return false;
  }
  code->block = b;
  arena_settle(b);
  return true;
}

/* Pushes the code made before of the same bytes, or nothing. */
static struct code *push_same (lua_State *L, const char *bytes, size_t length,
                               uint64_t hash) {
  codec_slot(L, SLOT_CODES);
  lua_rawgeti(L, -1, (lua_Integer)hash);
  lua_remove(L, -2);
  struct code *code = lua_touserdata(L, -1);
  if (code != NULL && code->block != NULL) {
    struct code_head *c = (struct code_head *)(void *)code->block;
    if (c->length == length && memcmp(code_bytes(c), bytes, length) == 0)
      return code;
  }
  lua_pop(L, 1);
  return NULL;
}

/* Enters 'key' (at 'key') -> what is on the top, into the table of the slot. */
static void enter (lua_State *L, enum slot slot, int key) {
  codec_slot(L, slot);
  lua_pushvalue(L, key);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* In the second gear. The function stays on the top. */
static struct code *make_code (struct encoder *e) {
  lua_State *L = e->L;
  int function = lua_gettop(L);
  size_t length;
  struct names n;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  const char *bytes = push_dump(L, &length);
  if (!names_known || !read_names(L, bytes, length, &n))
    codec_refuse(e, function, "a function whose bytecode is of an unknown form");
  int names = lua_gettop(L);
  uint64_t hash = hash_of(bytes, length);
  struct code *code = push_same(L, bytes, length, hash);
  if (code == NULL) {
    lua_Debug ar;
    code = push_code(L, names);
    lua_pushvalue(L, function);
    lua_getinfo(L, ">u", &ar);
    code->nups = ar.nups;
    code->nnames = (uint32_t)n.count;
    code->naming = n.naming;
    if (!fill_code(code, bytes, length, hash, n.constant)) {
      e->status = NO_ROOM;
      return NULL;
    }
    lua_pushinteger(L, (lua_Integer)hash);
    lua_insert(L, -2);
    enter(L, SLOT_CODES, lua_gettop(L) - 1);
  }
  enter(L, SLOT_FUNCTIONS, function);
  lua_settop(L, function);
  return code;
}

struct code *function_met (struct encoder *e) {
  lua_State *L = e->L;
  codec_slot(L, SLOT_FUNCTIONS);
  if (unlikely(lua_type(L, -1) != LUA_TTABLE)) {
    lua_settop(L, -2);
    return NULL;
  }
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  struct code *code = lua_touserdata(L, -1);
  lua_settop(L, -3);
  return code != NULL && code->block != NULL ? code : NULL;
}

struct code *function_code (struct encoder *e) {
  struct code *code = function_met(e);
  if (likely(code != NULL))
    return code;
  if (e->plain) {
    e->status = AGAIN_PROTECTED;
    return NULL;
  }
  return make_code(e);
}

/* Does upvalue 'up' of the function at 'idx' hold the table of globals? */
static bool holds_globals (struct encoder *e, int idx, int up) {
  lua_State *L = e->L;
  if (lua_getupvalue(L, idx, up) == NULL)
    return false;
  bool holds = lua_type(L, -1) == LUA_TTABLE && lua_topointer(L, -1) == e->state->globals;
  lua_settop(L, -2);
  return holds;
}

bool function_push_names (struct encoder *e, const struct code *code) {
  lua_State *L = e->L;
  struct up_set holding = { { 0 } };
  bool all = true, any = false;
  for (int up = 0; up < (int)code->nups; up++)
    if (up_has(&code->naming, up)) {
      if (holds_globals(e, -1, up + 1)) {
        up_add(&holding, up);
        any = true;
      }
      else
        all = false;
    }
  if (!any)
    return false;
  codec_slot(L, SLOT_FUNCTIONS);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  lua_getiuservalue(L, -1, 1);
  lua_copy(L, -1, -3);
  lua_settop(L, -3);
  if (!all) {  /* some of the names are no globals */
    lua_newtable(L);
    for (lua_Integer i = 1; i <= (lua_Integer)code->nnames; i++) {
      lua_rawgeti(L, -2, 2 * i);
      bool global = up_has(&holding, (int)lua_tointeger(L, -1));
      lua_settop(L, -2);
      if (global) {
        lua_rawgeti(L, -2, 2 * i - 1);
        lua_rawseti(L, -2, 2 * i - 1);
      }
    }
    lua_copy(L, -1, -2);
    lua_settop(L, -2);
  }
  return true;
}

bool function_push_name (lua_State *L, int names, lua_Integer i) {
  if (lua_rawgeti(L, names, 2 * i - 1) != LUA_TNIL)
    return true;
  lua_settop(L, -2);
  return false;
}

/* {=== received ===} */

void function_load (lua_State *L, const char *bytes, size_t length, int nups) {
  lua_Debug ar;
  if (luaL_loadbufferx(L, bytes, length, "=?", "b") != LUA_OK)
    lua_error(L);
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &ar);
  if (ar.nups != nups)
    luaL_error(L, "malformed message: a function of %d upvalues, not %d",
               (int)ar.nups, nups);
}

bool function_push_loaded (lua_State *L, uint64_t id, bool with_env) {
  codec_slot(L, SLOT_LOADED);
  lua_rawgeti(L, -1, (lua_Integer)id);
  lua_copy(L, -1, -2);
  lua_settop(L, -2);
  if (lua_type(L, -1) == LUA_TFUNCTION) {
    if (!with_env)
      return true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_getupvalue(L, -2, 1);
    bool same = lua_rawequal(L, -1, -2);
    lua_settop(L, -3);
    if (same)
      return true;
  }
  lua_settop(L, -2);
  return false;
}

void function_keep_loaded (lua_State *L, uint64_t id) {
  struct codec_state *cs = codec_state(L);
  if (cs->nloaded++ % LOADED_MAX == LOADED_MAX - 1) {  /* forget them all */
    lua_newtable(L);
    codec_set_slot(L, SLOT_LOADED);
  }
  codec_slot(L, SLOT_LOADED);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)id);
  lua_pop(L, 1);
}

/* {=== open ===} */

/* A function of each shape that read_names must understand. */
static const char sample[] =
  "local up = 1\n"
  "one = two.three\n"
  "return function (a, ...)\n"
  "  local t <const>, u <close> = 'a string that is longer than forty characters', nil\n"
  "  for k, v in pairs(t) do four[k] = v .. 2.5 + (1 << 70) end\n"
  "  goto done\n"
  "  ::done:: return function () up = five; return a end\n"
  "end\n";

static int check_names (lua_State *L) {
  static const char *const expected[] = { "two", "one", "pairs", "four", "five" };
  struct names n;
  size_t length;
  lua_settop(L, 0);
  if (luaL_loadstring(L, sample) != LUA_OK)
    return lua_error(L);
  const char *bytes = push_dump(L, &length);
  if (!read_names(L, bytes, length, &n) || !n.constant || n.count != 5
      || !up_has(&n.naming, 0) || up_has(&n.naming, 1))
    return 0;
  for (int i = 0; i < 5; i++) {
    lua_rawgeti(L, -1, 2 * i + 1);
    if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), expected[i]) != 0)
      return 0;
    lua_pop(L, 1);
  }
  names_known = true;
  return 0;
}

/* Once in a process, in a state that is thrown away. */
void function_open (lua_State *L) {
  static const struct kind_ops ops = { .name = NULL };
  arena_kind(KIND_CODE, &ops);
  lua_pushcfunction(L, check_names);
  lua_pcall(L, 0, 0, 0);
}

void function_open_state (lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, code_gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &code_class);
}
