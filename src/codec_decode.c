/*
** codec_decode.c - floor 4: bytes -> Lua values
**
** The bytes may come from a file or a stranger. So: every length is checked
** against what is left before anything of that size is made; the tables made
** ahead have, all together, no more slots than the message has bytes (true of
** every message that the encoder writes, where each element takes a byte at
** least); depth costs frames, not C stack; what makes functions, calls
** functions or finds modules is refused unless the caller trusts the bytes.
**
** What a frame works on is on the Lua stack:
**
**   table     [table]    or    [table] [key]
**   function  [function]    or    [function] [name of a global]
**   rebuilt   [function] [argument] ...
**
** and what its child gives comes on the top. Below the frames are three slots:
** the spill table, the marked objects by offset, the memory of the frames.
*/
#include "codec_impl.h"
#include "codec_peek.h"

#define FRAMES_FIRST  24
#define FRAME_SLOTS   4
#define REBUILT_MAX   200

/* Of a message with so many bytes, made of so many tables, nothing is garbage until
   all of it is there: the collector rests meanwhile. */
#define REST_BYTES    (64 * 1024)
#define REST_TABLES   4096

#define READY  CONSUMED    /* a value is on the top; else a frame was OPENED */

struct dframe {
  uint8_t kind;               /* enum frame_kind */
  uint8_t phase;              /* enum frame_phase */
  bool has_meta, has_pairs;
  bool marked;
  size_t pos;                 /* of its tag */
  lua_Integer i, n;
};

struct decoder {
  lua_State *L;
  const char *p, *end;
  const char *body;           /* offset 0 */
  const char *start;          /* of the bytes as the caller knows them */
  size_t budget;              /* slots that tables may still be made with */
  struct block *_Atomic const *refs;
  uint32_t nrefs;
  unsigned flags;
  uint32_t depth, size;
  struct dframe *frames;
  int bottom;                 /* stack: where the three slots are, or would be */
  bool slots;                 /* they are there */
  bool shared;                /* something in the message is marked */
  uint32_t spilled;
  uint32_t tables;            /* so many more, and the collector rests; 0: it does, or never */
  bool resting;               /* it was running, and is stopped */
  int value;                  /* the value of the message that is being made */
  struct dframe first[FRAMES_FIRST];
};
#define MARKED_OBJECTS(d)  ((d)->bottom + 1)
#define FRAME_MEMORY(d)    ((d)->bottom + 2)

/* {=== errors ===} */

_Noreturn static void malformed (struct decoder *d, const char *why) {
  luaL_error(d->L, "malformed message at byte %I: %s",
             (LUAI_UACINT)(d->p - d->start + 1), why);
  for (;;) {}  /* not reached */
}

_Noreturn static void truncated (struct decoder *d) {
  malformed(d, "it ends too early");
}

static inline void need (struct decoder *d, size_t n) {
  if (unlikely((size_t)(d->end - d->p) < n))
    truncated(d);
}

/* What only a sender in the same program, or one that is trusted, may send. */
static void need_trust (struct decoder *d, const char *what) {
  if (d->flags & CODEC_DATA) {
    luaL_error(d->L, "malformed message at byte %I: %s, where only data is taken"
                     " (without {trusted = true})",
               (LUAI_UACINT)(d->p - d->start), what);
  }
}

/* The way to the value that is being made for the slot 'child', outermost last. */
static void push_path (struct decoder *d, int child) {
  lua_State *L = d->L;
  luaL_Buffer b;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_buffinit(L, &b);
  for (uint32_t k = d->depth; k > 0; k--) {
    const struct dframe *f = &d->frames[k - 1];
    if (d->depth - k == 8) {
      luaL_addstring(&b, "... of ");
      break;
    }
    switch (f->phase) {
      case PHASE_ARRAY:
        lua_pushfstring(L, "element %I of ", (LUAI_UACINT)(f->i + 1));
        child -= 1;
        break;
      case PHASE_PAIRS:
        if (lua_type(L, child - 1) == LUA_TSTRING)
          lua_pushfstring(L, "field '%s' of ", lua_tostring(L, child - 1));
        else
          lua_pushliteral(L, "a field of ");
        child -= 2;
        break;
      case PHASE_KEY:
        lua_pushliteral(L, "a key of ");
        child -= 1;
        break;
      case PHASE_META:
        lua_pushliteral(L, "the metatable of ");
        child -= 1;
        break;
      case PHASE_UPVALUES: {
        const char *name = lua_getupvalue(L, child - 1, (int)f->i);
        if (name != NULL)
          lua_pop(L, 1);
        lua_pushfstring(L, "upvalue '%s' of a function in ", name ? name : "?");
        child -= 1;
        break;
      }
      case PHASE_GLOBALS:
        lua_pushfstring(L, "global '%s' of a function in ",
                        lua_tostring(L, child - 1));
        child -= 2;
        break;
      default:
        lua_pushliteral(L, "a value that rebuilds ");
        child -= (int)f->i + 1;
        break;
    }
    luaL_addvalue(&b);
  }
  lua_pushfstring(L, "value %d", d->value);
  luaL_addvalue(&b);
  luaL_pushresult(&b);
}

/* {=== stack and frames ===} */

/* Makes the three slots, below all that there is; needs a free slot more. */
static void open_slots (struct decoder *d) {
  lua_State *L = d->L;
  d->slots = true;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  lua_newtable(L);
  lua_pushnil(L);
  lua_rotate(L, d->bottom, 3);
}

static void spill (struct decoder *d) {
  lua_State *L = d->L;
  if (!d->slots)
    open_slots(d);
  int base = FRAME_MEMORY(d);
  if (lua_isnil(L, d->bottom)) {
    lua_createtable(L, SPILL_SLOTS, 0);
    lua_replace(L, d->bottom);
  }
  for (int i = 1; i <= SPILL_SLOTS; i++) {
    lua_pushvalue(L, base + i);
    lua_rawseti(L, d->bottom, (lua_Integer)d->spilled + i);
  }
  lua_rotate(L, base + 1, -SPILL_SLOTS);
  lua_settop(L, -SPILL_SLOTS - 1);
  d->spilled += SPILL_SLOTS;
}

static void unspill (struct decoder *d) {
  lua_State *L = d->L;
  luaL_checkstack(L, SPILL_SLOTS + 64 * FRAME_SLOTS, NULL);
  d->spilled -= SPILL_SLOTS;
  for (int i = 1; i <= SPILL_SLOTS; i++) {
    lua_rawgeti(L, d->bottom, (lua_Integer)d->spilled + i);
    lua_pushnil(L);
    lua_rawseti(L, d->bottom, (lua_Integer)d->spilled + i);
  }
  lua_rotate(L, FRAME_MEMORY(d) + 1, SPILL_SLOTS);
}

/* Room for the next 64 frames, and for 'more' slots. */
static void frames_room (struct decoder *d, int more) {
  if (unlikely(lua_gettop(d->L) - d->bottom > 2 * SPILL_SLOTS))
    spill(d);
  luaL_checkstack(d->L, more + 64 * FRAME_SLOTS + LUA_MINSTACK, "message nested too deeply");
}

/* The same for tables. The first few have what every C function has. */
static inline void stack_room (struct decoder *d) {
  if (unlikely(d->depth % 64 == 3))
    frames_room(d, 0);
}

static void frames_grow (struct decoder *d) {
  uint32_t size = d->size * 2;
  if (!d->slots)
    open_slots(d);
  struct dframe *frames = lua_newuserdatauv(d->L, size * sizeof *frames, 0);
  memcpy(frames, d->frames, d->depth * sizeof *frames);
  d->frames = frames;
  d->size = size;
  lua_replace(d->L, FRAME_MEMORY(d));
}

static inline struct dframe *push_frame (struct decoder *d, int kind, int phase, size_t pos) {
  if (unlikely(d->depth == d->size))
    frames_grow(d);
  struct dframe *f = &d->frames[d->depth++];
  f->kind = (uint8_t)kind;
  f->phase = (uint8_t)phase;
  f->pos = pos;
  f->i = 0;
  return f;
}

/* Its object stays on the top, for whoever waits for it. */
static int pop_frame (struct decoder *d) {
  d->depth--;
  if (unlikely(d->spilled > 0)
      && lua_gettop(d->L) - d->bottom < 2 * REBUILT_MAX)
    unspill(d);
  return READY;
}

/* The object on the top is the one marked at 'pos'. */
static void remember (struct decoder *d, size_t pos) {
  if (!d->shared)
    malformed(d, "a marked object in a message without any");
  lua_pushvalue(d->L, -1);
  lua_rawseti(d->L, MARKED_OBJECTS(d), (lua_Integer)pos);
}

static uint64_t get_offset (struct decoder *d) {
  need(d, 8);
  uint64_t offset = load64(d->p);
  if (offset >= (uint64_t)(d->p - d->body)
      || !d->shared)
    malformed(d, "a reference to nothing");
  d->p += 8;
  return offset;
}

/* {=== values ===} */

static int get_value (struct decoder *d);

static void get_bytes (struct decoder *d, uint64_t length) {
  need(d, length);
  lua_pushlstring(d->L, d->p, (size_t)length);
  d->p += length;
}

static inline int get_small (struct decoder *d, int tag) {
  if (tag < T_STRING0)
    lua_pushinteger(d->L, tag);
  else {
    size_t length = (size_t)(tag - T_STRING0);
    need(d, length);
    lua_pushlstring(d->L, d->p, length);
    d->p += length;
  }
  return READY;
}

static int get_integer (struct decoder *d, int tag) {
  size_t size = (size_t)1 << (tag - T_INT8);
  lua_Integer i;
  need(d, size);
  switch (tag) {
    case T_INT8: i = (int8_t)*d->p; break;
    case T_INT16: i = (int16_t)load16(d->p); break;
    case T_INT32: i = (int32_t)load32(d->p); break;
    default: i = (lua_Integer)load64(d->p); break;
  }
  d->p += size;
  lua_pushinteger(d->L, i);
  return READY;
}

static int get_float (struct decoder *d) {
  lua_Number n;
  need(d, 8);
  uint64_t bits = load64(d->p);
  memcpy(&n, &bits, sizeof n);
  d->p += 8;
  lua_pushnumber(d->L, n);
  return READY;
}

static int get_string (struct decoder *d, int tag) {
  uint64_t length;
  size_t pos = (size_t)(d->p - d->body) - 1;
  size_t size = tag == T_STRING8 ? 1 : tag == T_STRING32 ? 4 : 8;
  need(d, size);
  length = size == 1 ? (uint8_t)*d->p : size == 4 ? load32(d->p) : load64(d->p);
  d->p += size;
  get_bytes(d, length);
  if (tag == (T_LONG | MARKED))
    remember(d, pos);
  return READY;
}

static int get_ref (struct decoder *d) {
  uint64_t offset = get_offset(d);
  if (lua_rawgeti(d->L, MARKED_OBJECTS(d), (lua_Integer)offset) == LUA_TNIL)
    malformed(d, "a reference to nothing");
  return READY;
}

static struct block *get_block (struct decoder *d) {
  need(d, 4);
  uint32_t i = load32(d->p);
  if (i >= d->nrefs)
    malformed(d, "no such object");
  d->p += 4;
  return load_relaxed(&d->refs[i]);
}

static int get_object (struct decoder *d) {
  if (d->flags & CODEC_BYTES)
    malformed(d, "a conc object, which cannot come from outside");
  codec_objects->push_block(d->L, get_block(d));
  return READY;
}

static int get_pointer (struct decoder *d) {
  if (d->flags & CODEC_BYTES)
    malformed(d, "light userdata, which cannot come from outside");
  need(d, 8);
  lua_pushlightuserdata(d->L, (void *)(uintptr_t)load64(d->p));
  d->p += 8;
  return READY;
}

/* {=== names ===} */

static void get_name (struct decoder *d) {
  need(d, 1);
  int tag = (uint8_t)*d->p++;
  if (tag >= T_STRING0 && tag < T_NIL)
    get_small(d, tag);
  else if (tag == T_STRING8 || tag == T_STRING32)
    get_string(d, tag);
  else
    malformed(d, "a name expected");
}

static int get_std (struct decoder *d) {
  size_t length;
  need_trust(d, "a part of the standard library");
  get_name(d);
  const char *name = lua_tolstring(d->L, -1, &length);
  if (!module_push_std(d->L, name, length)) {
    push_path(d, lua_gettop(d->L));
    luaL_error(d->L, "cannot receive %s: the standard library has no '%s' here",
               lua_tostring(d->L, -1), name);
  }
  lua_remove(d->L, -2);
  return READY;
}

/* In protected form, to say who needed the module. */
static int push_module (lua_State *L) {
  module_push(L, lua_gettop(L) == 2);
  return 1;
}

static int get_module (struct decoder *d, bool with_field) {
  lua_State *L = d->L;
  int top = lua_gettop(L);
  need_trust(d, "a module");
  codec_check_hand(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushcfunction(L, push_module);
  get_name(d);
  if (with_field)
    get_name(d);
  if (lua_pcall(L, with_field ? 2 : 1, 1, 0) == LUA_OK)
    return READY;
  if (lua_type(L, -1) == LUA_TSTRING) {
    push_path(d, top + 1);
    lua_pushfstring(L, "cannot receive %s: %s", lua_tostring(L, -1), lua_tostring(L, -2));
  }
  return lua_error(L);
}

/* {=== tables ===} */

/* Numbers from element 'i' on, written in place; how many. */
static lua_Integer get_numbers (struct decoder *d, struct peek_value *v, lua_Integer n) {
  lua_Integer i = 0;
  const char *p = d->p;
  while (i < n && p < d->end) {
    int tag = (uint8_t)*p;
    if (likely(tag < T_STRING0)) { v[i].u.i = tag; p += 1; }
    else if (tag >= T_INTS8 && tag <= T_FLOATS) {
      size_t count;
      const char *next = numbers_read(p, d->end, (size_t)(n - i), v + i, &count);
      if (next == NULL)
        break;
      p = next;
      i += (lua_Integer)count;
      continue;
    }
    else if (d->end - p < 9)
      break;
    else if (tag == T_INT8) { v[i].u.i = (int8_t)p[1]; p += 2; }
    else if (tag == T_INT16) { v[i].u.i = (int16_t)load16(p + 1); p += 3; }
    else if (tag == T_INT32) { v[i].u.i = (int32_t)load32(p + 1); p += 5; }
    else if (tag == T_INT64) { v[i].u.i = (lua_Integer)load64(p + 1); p += 9; }
    else if (tag == T_FLOAT) {
      uint64_t bits = load64(p + 1);
      memcpy(&v[i].u.n, &bits, sizeof bits);
      v[i++].type = PEEK_FLOAT;
      p += 9;
      continue;
    }
    else
      break;
    v[i++].type = PEEK_INTEGER;
  }
  d->p = p;
  return i;
}

/* A run of numbers through the API, and where it is malformed. */
static void get_run (struct decoder *d, struct dframe *f) {
  struct peek_value v[RUN_MAX];
  size_t n;
  const char *next = numbers_read(d->p, d->end, (size_t)(f->n - f->i), v, &n);
  if (next == NULL)
    malformed(d, "more numbers than there are bytes, or elements");
  d->p = next;
  for (size_t i = 0; i < n; i++) {
    if (v[i].type == PEEK_INTEGER)
      lua_pushinteger(d->L, v[i].u.i);
    else
      lua_pushnumber(d->L, v[i].u.n);
    lua_rawseti(d->L, -2, ++f->i);
  }
}

static void rest_collector (struct decoder *d) {
  d->resting = lua_gc(d->L, LUA_GCISRUNNING) == 1;
  if (d->resting)
    lua_gc(d->L, LUA_GCSTOP);
}

static int get_table (struct decoder *d, int tag) {
  bool marked = tag & MARKED;
  size_t pos = (size_t)(d->p - d->body) - 1;
  bool large = (tag & 2) != 0;   /* T_TABLE32, T_METATABLE32 */
  need(d, large ? 5 : 2);
  uint64_t n = large ? load32(d->p) : (uint8_t)*d->p;
  uint8_t packed = (uint8_t)d->p[large ? 4 : 1];
  uint64_t pairs = packed < SIZE_EXACT + 32 ? size_unpack(packed) : UINT64_MAX / 2;
  if (n + pairs > d->budget || n > INT32_MAX)
    malformed(d, "a table of more elements than there are bytes");
  d->budget -= (size_t)(n + pairs);
  d->p += large ? 5 : 2;
  stack_room(d);
  if (d->tables > 0 && --d->tables == 0)
    rest_collector(d);
  lua_createtable(d->L, (int)n, (int)pairs);
  if (marked)
    remember(d, pos);
  lua_Integer i = 0;
  if (n > 0) {
    struct peek_value *array = peek_array(d->L, -1, (size_t)n);
    if (array != NULL)
      i = get_numbers(d, array, (lua_Integer)n);
  }
  if (i == (lua_Integer)n && pairs == 0 && tag < T_METATABLE8)
    return READY;
  struct dframe *f = push_frame(d, FRAME_TABLE, PHASE_ARRAY, pos);
  f->i = i;
  f->n = (lua_Integer)n;
  f->phase = i == f->n ? PHASE_KEY : PHASE_ARRAY;
  f->has_meta = tag >= T_METATABLE8;
  f->has_pairs = pairs > 0;
  return OPENED;
}

#define AHEAD  32

/* How many of the next values, up to AHEAD, are short strings; with their bytes. */
static int look_ahead (const struct decoder *d, const char *strings[AHEAD],
                       size_t lengths[AHEAD]) {
  const char *p = d->p;
  int n = 0;
  while (n < AHEAD && d->end - p > 2) {
    int tag = (uint8_t)*p;
    bool counted = tag == T_STRING8;
    size_t length = counted ? (uint8_t)p[1] : (size_t)(tag - T_STRING0);
    if (!counted && (tag < T_STRING0 || tag >= T_NIL))
      break;
    p += 1 + counted;
    if (length > 40 || (size_t)(d->end - p) < length)
      break;
    strings[n] = p;
    lengths[n++] = length;
    p += length;
  }
  return n;
}

/* Short strings for elements from 'f->i' on, with their places in Lua's table of
   strings fetched ahead. False: there was none. */
static bool get_strings (struct decoder *d, struct dframe *f) {
  lua_State *L = d->L;
  lua_Integer before = f->i;
  const char *strings[AHEAD];
  size_t lengths[AHEAD];
  unsigned int hashes[AHEAD];
  while (f->n - f->i >= AHEAD) {
    const struct peek_global *g = peek_global(L);
    int n = look_ahead(d, strings, lengths);
    for (int k = 0; k < n; k++) {
      hashes[k] = peek_hash(g, strings[k], lengths[k]);
      prefetch(peek_bucket(g, hashes[k]));
    }
    for (int k = 0; k < n; k++)
      prefetch(*peek_bucket(g, hashes[k]));
    for (int k = 0; k < n; k++) {
      lua_pushlstring(L, strings[k], lengths[k]);
      lua_rawseti(L, -2, ++f->i);
    }
    if (n > 0)
      d->p = strings[n - 1] + lengths[n - 1];
    if (n < AHEAD)
      break;
  }
  return f->i != before;
}

static int step_array (struct decoder *d, struct dframe *f, bool have) {
  lua_State *L = d->L;
  if (have)
    lua_rawseti(L, -2, ++f->i);
  while (f->i < f->n) {
    struct peek_value *array = peek_array(L, -1, (size_t)f->n);
    if (array != NULL)
      f->i += get_numbers(d, array + f->i, f->n - f->i);
    while (f->i < f->n) {
      need(d, 1);
      int tag = (uint8_t)*d->p;
      if (tag >= T_INTS8 && tag <= T_FLOATS) {
        get_run(d, f);
        continue;
      }
      if (tag >= T_STRING0 && tag < T_NIL) {
        if (peek_strings && f->n - f->i >= 2 * AHEAD && get_strings(d, f))
          continue;
        d->p++;
        get_small(d, tag);
      }
      else if (get_value(d) == OPENED)
        return OPENED;
      lua_rawseti(L, -2, ++f->i);
      if (tag < T_STRING0 || (tag >= T_INT8 && tag <= T_FLOAT))
        break;
    }
  }
  f->phase = PHASE_KEY;
  return READY;
}

static void check_key (struct decoder *d) {
  int type = lua_type(d->L, -1);
  if (type == LUA_TNIL)
    malformed(d, "a key that is nil");
  if (type == LUA_TNUMBER && !lua_isinteger(d->L, -1)) {
    lua_Number n = lua_tonumber(d->L, -1);
    if (n != n)
      malformed(d, "a key that is NaN");
  }
}

/* 'have': what was waited for is on the top; phase KEY: a key, PAIRS: a value. */
static int step_pairs (struct decoder *d, struct dframe *f, bool have) {
  lua_State *L = d->L;
  for (;;) {
    if (f->phase == PHASE_KEY) {
      if (!have) {
        need(d, 1);
        int tag = (uint8_t)*d->p;
        if (likely(tag >= T_STRING0 && tag < T_NIL)) {
          d->p++;
          get_small(d, tag);
          goto value;
        }
        if (tag == T_END) {
          d->p++;
          return READY;
        }
        if (get_value(d) == OPENED)
          return OPENED;
      }
      check_key(d);
     value:
      f->phase = PHASE_PAIRS;
      have = false;
    }
    if (!have) {
      need(d, 1);
      int tag = (uint8_t)*d->p;
      if (likely(tag < T_NIL)) {
        d->p++;
        get_small(d, tag);
      }
      else if (get_value(d) == OPENED)
        return OPENED;
    }
    lua_rawset(L, -3);
    f->phase = PHASE_KEY;
    have = false;
  }
}

/*
** Is the table that the metatable on the top is, still being made? Its frame is
** open then. Frames are in the order of their offsets.
*/
static bool still_open (struct decoder *d, size_t pos) {
  uint32_t low = 0, high = d->depth;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (d->frames[middle].pos < pos)
      low = middle + 1;
    else
      high = middle;
  }
  return low < d->depth && d->frames[low].pos == pos;
}

/* A metatable that is not complete may not have its __gc yet: such pairs wait
   for the end, in the table of marked objects, at negative indices. */
static void set_later (struct decoder *d) {
  lua_State *L = d->L;
  lua_Integer n = 0;
  if (lua_rawgeti(L, MARKED_OBJECTS(d), LUA_MININTEGER) == LUA_TNUMBER)
    n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  lua_rawseti(L, MARKED_OBJECTS(d), LUA_MININTEGER + 2 * n + 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, MARKED_OBJECTS(d), LUA_MININTEGER + 2 * n + 2);
  lua_pushinteger(L, n + 1);
  lua_rawseti(L, MARKED_OBJECTS(d), LUA_MININTEGER);
}

static void set_waiting (struct decoder *d) {
  lua_State *L = d->L;
  if (lua_rawgeti(L, MARKED_OBJECTS(d), LUA_MININTEGER) == LUA_TNUMBER) {
    lua_Integer n = lua_tointeger(L, -1);
    for (lua_Integer i = 0; i < n; i++) {
      lua_rawgeti(L, MARKED_OBJECTS(d), LUA_MININTEGER + 2 * i + 1);
      lua_rawgeti(L, MARKED_OBJECTS(d), LUA_MININTEGER + 2 * i + 2);
      lua_setmetatable(L, -2);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static int step_meta (struct decoder *d, struct dframe *f, bool have) {
  lua_State *L = d->L;
  if (!have) {
    need(d, 1);
    const char *at = d->p;
    f->phase = PHASE_META;
    if (get_value(d) == OPENED)
      return OPENED;
    if ((uint8_t)*at == T_REF && lua_istable(L, -1)
        && still_open(d, (size_t)load64(at + 1)))
      set_later(d);
  }
  if (!lua_istable(L, -1))
    malformed(d, "a metatable that is no table");
  lua_setmetatable(L, -2);
  return pop_frame(d);
}

static int step_table (struct decoder *d, struct dframe *f, bool have) {
  if (f->phase == PHASE_ARRAY) {
    if (step_array(d, f, have) == OPENED)
      return OPENED;
    have = false;
  }
  if (f->phase != PHASE_META) {
    if (f->has_pairs && step_pairs(d, f, have) == OPENED)
      return OPENED;
    if (!f->has_meta)
      return pop_frame(d);
    have = false;
  }
  return step_meta(d, f, have);
}

/* {=== functions ===} */

struct bytecode {
  uint64_t id;                /* 0: not known by one */
  const char *bytes;
  uint64_t length;
  int nups;
};

static void get_code (struct decoder *d, int form, struct bytecode *c) {
  c->id = 0;
  if (form & FUNCTION_INLINE) {
    if (form & FUNCTION_NAMED) {
      need(d, 8);
      c->id = load64(d->p);
      d->p += 8;
    }
    need(d, 8);
    c->length = load64(d->p);
    d->p += 8;
    need(d, c->length);
    c->bytes = d->p;
    d->p += c->length;
  }
  else {
    struct block *b = get_block(d);
    struct code_head *head = (struct code_head *)(void *)b;
    if (b != NULL && b->kind == KIND_CODE) {
      c->id = head->id;
      c->bytes = code_bytes(head);
      c->length = head->length;
    }
    else
      malformed(d, "no bytecode where a function has it");
  }
  need(d, 1);
  c->nups = (uint8_t)*d->p++;
}

static int get_function (struct decoder *d, int tag) {
  lua_State *L = d->L;
  size_t pos = (size_t)(d->p - d->body) - 1;
  struct bytecode c;
  need_trust(d, "a function");
  need(d, 1);
  int form = *d->p++;
  get_code(d, form, &c);
  need(d, 1);
  int next = (uint8_t)*d->p;
  bool env = c.nups == 1 && next == T_ENV;
  bool keep = c.id != 0 && !(d->flags & CODEC_BYTES) && (c.nups == 0 || env)
              && (form & (FUNCTION_CONSTANT | FUNCTION_AGAIN)) == FUNCTION_CONSTANT;
  if (!keep || !function_push_loaded(L, c.id, env)) {
    function_load(L, c.bytes, (size_t)c.length, c.nups);
    if (keep)
      function_keep_loaded(L, c.id);
  }
  if (tag & MARKED)
    remember(d, pos);
  if (c.nups == 0 && next == T_END) {
    d->p++;
    return READY;
  }
  frames_room(d, 0);
  struct dframe *f = push_frame(d, FRAME_FUNCTION, PHASE_UPVALUES, pos);
  f->n = c.nups;
  return OPENED;
}

/* Upvalue f->i of the function on the top is marked. */
static void remember_upvalue (struct decoder *d, struct dframe *f, size_t pos) {
  remember(d, pos);
  lua_pushinteger(d->L, f->i);
  lua_rawseti(d->L, MARKED_OBJECTS(d), -(lua_Integer)pos);
}

static void join_upvalue (struct decoder *d, struct dframe *f) {
  lua_State *L = d->L;
  uint64_t offset = get_offset(d);
  lua_rawgeti(L, MARKED_OBJECTS(d), (lua_Integer)offset);
  lua_rawgeti(L, MARKED_OBJECTS(d), -(lua_Integer)offset);
  if (offset == 0 || !lua_isinteger(L, -1) || lua_type(L, -2) != LUA_TFUNCTION)
    malformed(d, "a reference to no upvalue");
  int j = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_upvaluejoin(L, -2, (int)f->i, -1, j);
  lua_pop(L, 1);
}

static int get_upvalue (struct decoder *d, struct dframe *f) {
  lua_State *L = d->L;
  size_t pos = (size_t)(d->p - d->body);
  need(d, 1);
  int tag = (uint8_t)*d->p++;
  if (tag == T_UPREF) {
    join_upvalue(d, f);
    return READY;
  }
  if (tag == (T_UPVALUE | MARKED) || tag == (T_ENV | MARKED))
    remember_upvalue(d, f, pos);
  if ((tag & ~MARKED) == T_ENV) {
    if (f->i == 1)
      return READY;  /* as lua_load has it */
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  }
  else if ((tag & ~MARKED) != T_UPVALUE)
    malformed(d, "an upvalue expected");
  else if (get_value(d) == OPENED)
    return OPENED;
  lua_setupvalue(L, -2, (int)f->i);
  return READY;
}

/* [function] [name] [value] */
static void assign_global (struct decoder *d) {
  lua_State *L = d->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  if (!(d->flags & CODEC_RUN)) {
    lua_pushvalue(L, -3);
    bool there = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    if (there) {
      lua_pop(L, 3);
      return;
    }
  }
  module_note_assigned(L, -3);
  lua_insert(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int step_function (struct decoder *d, struct dframe *f, bool have) {
  lua_State *L = d->L;
  if (f->phase == PHASE_UPVALUES) {
    if (have)
      lua_setupvalue(L, -2, (int)f->i);
    while (f->i < f->n) {
      f->i++;
      if (get_upvalue(d, f) == OPENED)
        return OPENED;
    }
    f->phase = PHASE_GLOBALS;
    have = false;
  }
  for (;;) {
    if (have)
      assign_global(d);
    need(d, 1);
    if ((uint8_t)*d->p == T_END) {
      d->p++;
      return pop_frame(d);
    }
    get_name(d);
    if (get_value(d) == OPENED)
      return OPENED;
    have = true;
  }
}

/* {=== rebuilt userdata ===} */

static int get_rebuilt (struct decoder *d, int tag) {
  size_t pos = (size_t)(d->p - d->body) - 1;
  need_trust(d, "userdata");
  need(d, 4);
  uint32_t n = load32(d->p);
  if (n == 0 || n > REBUILT_MAX)
    malformed(d, "userdata of no values, or of too many");
  d->p += 4;
  frames_room(d, (int)n);
  struct dframe *f = push_frame(d, FRAME_REBUILT, PHASE_VALUES, pos);
  f->n = n;
  f->marked = tag & MARKED;
  return OPENED;
}

static int step_rebuilt (struct decoder *d, struct dframe *f, bool have) {
  lua_State *L = d->L;
  if (have)
    f->i++;
  while (f->i < f->n) {
    if (get_value(d) == OPENED)
      return OPENED;
    f->i++;
  }
  int n = (int)f->n;
  bool marked = f->marked;
  size_t pos = f->pos;
  if (lua_type(L, -n) != LUA_TFUNCTION)
    malformed(d, "userdata without a function that rebuilds it");
  codec_check_hand(L);
  lua_call(L, n - 1, 1);
  if (marked)
    remember(d, pos);
  return pop_frame(d);
}

/* {=== the loop ===} */

static int get_value (struct decoder *d) {
  need(d, 1);
  int tag = (uint8_t)*d->p++;
  if (tag < T_NIL)
    return get_small(d, tag);
  switch (tag) {
    case T_NIL: lua_pushnil(d->L); return READY;
    case T_FALSE: lua_pushboolean(d->L, 0); return READY;
    case T_TRUE: lua_pushboolean(d->L, 1); return READY;
    case T_INT8: case T_INT16: case T_INT32: case T_INT64:
      return get_integer(d, tag);
    case T_FLOAT: return get_float(d);
    case T_STRING8: case T_STRING32: case T_LONG: case T_LONG | MARKED:
      return get_string(d, tag);
    case T_TABLE8: case T_TABLE8 | MARKED: case T_TABLE32: case T_TABLE32 | MARKED:
    case T_METATABLE8: case T_METATABLE8 | MARKED:
    case T_METATABLE32: case T_METATABLE32 | MARKED:
      return get_table(d, tag);
    case T_REF: return get_ref(d);
    case T_STD: return get_std(d);
    case T_MODULE: return get_module(d, false);
    case T_FIELD: return get_module(d, true);
    case T_GLOBALS:
      need_trust(d, "the table of globals");
      lua_rawgeti(d->L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
      return READY;
    case T_OBJECT: return get_object(d);
    case T_POINTER: return get_pointer(d);
    case T_FUNCTION: case T_FUNCTION | MARKED: return get_function(d, tag);
    case T_REBUILT: case T_REBUILT | MARKED: return get_rebuilt(d, tag);
    default:
      d->p--;
      malformed(d, "no value begins so");
  }
}

static int step (struct decoder *d, bool have) {
  struct dframe *f = &d->frames[d->depth - 1];
  switch (f->kind) {
    case FRAME_TABLE: return step_table(d, f, have);
    case FRAME_FUNCTION: return step_function(d, f, have);
    default: return step_rebuilt(d, f, have);
  }
}

static void get_graph (struct decoder *d) {
  int rc = get_value(d);
  while (d->depth > 0)
    rc = step(d, rc == READY);
}

static void decode_values (struct decoder *d, int head, uint32_t n) {
  lua_State *L = d->L;
  if (n > 1)
    luaL_checkstack(L, n <= INT32_MAX / 2 ? (int)n + LUA_MINSTACK : INT32_MAX / 2,
                    "too many values in a message");
  if (head & HEAD_SHARED)
    open_slots(d);
  for (uint32_t i = 1; i <= n; i++) {
    d->value = (int)i;
    get_graph(d);
  }
  if (d->p != d->end)
    malformed(d, "more bytes than values");
  if (d->slots) {
    if (head & HEAD_SHARED)
      set_waiting(d);
    lua_rotate(L, d->bottom, (int)n);
    lua_settop(L, d->bottom + (int)n - 1);
  }
}

static int decode_body (struct decoder *d) {
  need(d, 1);
  int head = (uint8_t)*d->p++;
  uint32_t n = head & HEAD_MANY;
  if (n == HEAD_MANY) {
    need(d, 4);
    n = load32(d->p);
    d->p += 4;
  }
  d->shared = (head & HEAD_SHARED) != 0;
  if (n > (size_t)(d->end - d->p))
    malformed(d, "more values than there are bytes");
  decode_values(d, head, n);
  return (int)n;
}

/* One value that is a number or a short string: the usual small message. */
static bool decode_scalar (struct decoder *d) {
  int tag = (uint8_t)d->p[1];
  if (tag >= T_NIL && (tag < T_INT8 || tag > T_FLOAT))
    return false;
  d->p++;
  get_value(d);
  if (d->p != d->end)
    malformed(d, "more bytes than values");
  return true;
}

static int decode_protected (lua_State *L) {
  struct decoder *d = (struct decoder *)lua_touserdata(L, 1);
  lua_settop(L, 0);
  d->bottom = 1;
  return decode_body(d);
}

/* Whatever it raises, the collector runs again. */
static int decode_large (struct decoder *d) {
  lua_State *L = d->L;
  int top = lua_gettop(L);
  d->tables = REST_TABLES;
  luaL_checkstack(L, 2, NULL);
  lua_pushcfunction(L, decode_protected);
  lua_pushlightuserdata(L, d);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (d->resting)
    lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK)
    lua_error(L);
  return lua_gettop(L) - top;
}

int codec_decode (lua_State *L, const char *bytes, size_t length,
                  struct block *_Atomic const *refs, uint32_t nrefs, unsigned flags) {
  struct decoder d;
  d.L = L;
  d.flags = flags;
  d.start = d.body = d.p = bytes;
  d.end = bytes + length;
  if ((flags & CODEC_BYTES) != 0) {
    if (length < FILE_MAGIC_SIZE || memcmp(bytes, FILE_MAGIC, FILE_MAGIC_SIZE) != 0)
      malformed(&d, "it does not begin as what conc.encode gives");
    d.p = d.body = bytes + FILE_MAGIC_SIZE;
  }
  else if (length >= 2 && bytes[0] == 1 && decode_scalar(&d))
    return 1;
  d.budget = length;
  d.refs = refs;
  d.nrefs = nrefs;
  d.depth = 0;
  d.size = FRAMES_FIRST;
  d.frames = d.first;
  d.spilled = 0;
  d.bottom = lua_gettop(L) + 1;
  d.slots = false;
  d.tables = 0;
  d.resting = false;
  if (flags & CODEC_RUN)
    module_restore_assigned(L);
  return length < REST_BYTES ? decode_body(&d) : decode_large(&d);
}

int codec_decode_message (lua_State *L, struct block *b, unsigned flags) {
  struct message *m = (struct message *)(void *)b;
  block_came(b);
  return codec_decode(L, message_bytes(m), (size_t)m->length, m->refs, m->nrefs,
                      flags | m->flags);
}
