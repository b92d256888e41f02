/*
** codec_encode.c - floor 4: Lua values -> bytes
**
** One loop over a stack of frames of our own, so that a graph may be as deep
** as it likes. What a frame works on is on the Lua stack:
**
**   table     [table]                    PHASE_ARRAY, PHASE_META
**             [table] [key]              between two steps of lua_next
**             [table] [key] [value]      PHASE_KEY
**   function  [function]               PHASE_UPVALUES
**             [function] [names] [globals]
**   rebuilt   [userdata] [function] [argument] ...
**
** and the child that it waits for comes next. A frame's slots are addressed
** from the top, for the lower part of the stack moves to a table when there is
** too much of it (spill).
*/
#include "codec_impl.h"
#include "codec_peek.h"

#include <stdlib.h>

#define FRAME_SLOTS   4          /* a frame and what its steps push */
#define REBUILT_MAX   200        /* values of one __conc */

/* {=== room ===} */

#define LARGE       ((size_t)64 * 1024)
#define SLACK       512

static size_t head_size (const struct encoder *e) {
  return sizeof(struct message) + e->nrefs * sizeof(struct block *);
}

/* Into a block of the arena, behind the place of a message's head. */
static int grow_block (struct encoder *e, size_t need) {
  size_t used = encoder_offset(e), head = head_size(e);
  size_t want = need + SLACK;
  if (want < 2 * LARGE)
    want = 2 * LARGE;
  if (e->block != NULL && want < 2 * (size_t)e->block->size)
    want = 2 * (size_t)e->block->size;
  struct block *b = arena_alloc(head + want);
  if (b == NULL && want > need + SLACK)
    b = arena_alloc(head + need + SLACK);
  if (b == NULL)
    return NO_ROOM;
  char *to = (char *)b + head;
  memcpy(to, e->body, used);
  if (e->block != NULL)
    arena_free(e->block);
  e->block = b;
  e->buffer = e->body = to;
  e->p = to + used;
  e->end = (char *)b + b->size;
  return DONE;
}

static int grow_scratch (struct encoder *e, size_t need) {
  struct scratch *s = e->s;
  size_t used = (size_t)(e->p - s->buffer), skip = (size_t)(e->body - s->buffer);
  size_t size = s->size * 2;
  if (size < need + skip + SLACK)
    size = need + skip + SLACK;
  char *buffer = realloc(s->buffer, size);
  if (buffer == NULL)
    return NO_MEMORY;
  s->buffer = e->buffer = buffer;
  s->size = size;
  e->body = buffer + skip;
  e->p = buffer + used;
  e->end = buffer + size;
  return DONE;
}

int encoder_grow (struct encoder *e, size_t more) {
  size_t need = encoder_offset(e) + more;
  bool to_block = e->block != NULL || (need > LARGE && !(e->flags & CODEC_BYTES));
  e->status = to_block ? grow_block(e, need) : grow_scratch(e, need);
  return e->status;
}

uint32_t encoder_ref (struct encoder *e, struct block *b) {
  struct scratch *s = e->s;
  if (e->nrefs == s->refs_size) {
    uint32_t size = s->refs_size * 2 + 8;
    struct block **refs = realloc(s->refs, size * sizeof *refs);
    if (refs == NULL)
      return UINT32_MAX;
    s->refs = refs;
    s->refs_size = size;
  }
  s->refs[e->nrefs] = b;
  return e->nrefs++;
}

/* {=== scalars ===} */

static inline bool put_byte (struct encoder *e, int byte) {
  if (!encoder_room(e, 1))
    return false;
  *e->p++ = (char)byte;
  return true;
}

bool encoder_put_string (struct encoder *e, int idx) {
  size_t length;
  const char *s = lua_tolstring(e->L, idx, &length);
  if (!encoder_room(e, length + NUMBER_ROOM))
    return false;
  e->p = write_string(e->p, s, length);
  return true;
}

static int put_kept_string (struct encoder *e, const char *s, size_t length) {
  uint64_t found;
  int met = seen_enter(&e->s->seen, (uintptr_t)lua_topointer(e->L, -1),
                       encoder_offset(e), &found);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  if (met)
    return encoder_put_ref(e, T_REF, found);
  if (!encoder_room(e, length + NUMBER_ROOM))
    return -1;
  *e->p++ = (char)T_LONG;
  store64(e->p, length);
  memcpy(e->p + 8, s, length);
  e->p += 8 + length;
  return CONSUMED;
}

/* The scalar on the top, of the given type; it stays. OPENED: it is none. */
static inline int put_scalar (struct encoder *e, int type) {
  lua_State *L = e->L;
  if (likely(type == LUA_TSTRING)) {
    size_t length;
    const char *s = lua_tolstring(L, -1, &length);
    if (unlikely(length >= KEPT_MIN))
      return put_kept_string(e, s, length);
    if (!encoder_room(e, length + NUMBER_ROOM))
      return -1;
    e->p = write_string(e->p, s, length);
    return CONSUMED;
  }
  if (!encoder_room(e, NUMBER_ROOM))
    return -1;
  switch (type) {
    case LUA_TNUMBER:
      e->p = lua_isinteger(L, -1) ? write_integer(e->p, lua_tointeger(L, -1))
                                  : write_float(e->p, lua_tonumber(L, -1));
      return CONSUMED;
    case LUA_TBOOLEAN:
      *e->p++ = (char)(lua_toboolean(L, -1) ? T_TRUE : T_FALSE);
      return CONSUMED;
    case LUA_TNIL:
      *e->p++ = (char)T_NIL;
      return CONSUMED;
    default:
      return OPENED;
  }
}

/* {=== frames ===} */

/* Moves the lowest slots of the frames into the table at 'bottom'. */
static int spill (struct encoder *e) {
  lua_State *L = e->L;
  if (e->plain)
    return encoder_stop(e, AGAIN_PROTECTED);
  if (lua_isnil(L, e->bottom)) {
    lua_createtable(L, SPILL_SLOTS, 0);
    lua_replace(L, e->bottom);
  }
  for (int i = 1; i <= SPILL_SLOTS; i++) {
    lua_pushvalue(L, e->bottom + i);
    lua_rawseti(L, e->bottom, (lua_Integer)e->spilled + i);
  }
  lua_rotate(L, e->bottom + 1, -SPILL_SLOTS);
  lua_settop(L, -SPILL_SLOTS - 1);
  e->spilled += SPILL_SLOTS;
  return 0;
}

/* Brings them back below what is there. */
static void unspill (struct encoder *e) {
  lua_State *L = e->L;
  luaL_checkstack(L, SPILL_SLOTS + 64 * FRAME_SLOTS, NULL);
  e->spilled -= SPILL_SLOTS;
  for (int i = 1; i <= SPILL_SLOTS; i++) {
    lua_rawgeti(L, e->bottom, (lua_Integer)e->spilled + i);
    lua_pushnil(L);
    lua_rawseti(L, e->bottom, (lua_Integer)e->spilled + i);
  }
  lua_rotate(L, e->bottom + 1, SPILL_SLOTS);
}

/* Room on the Lua stack for this frame and the next ones. */
static int stack_room (struct encoder *e) {
  if (e->depth == 0 || e->depth % 64 == 8) {
    int levels = e->depth == 0 ? 8 : 64;
    if (lua_gettop(e->L) - e->bottom > 2 * SPILL_SLOTS && spill(e) < 0)
      return -1;
    if (!lua_checkstack(e->L, levels * FRAME_SLOTS + LUA_MINSTACK))
      return encoder_stop(e, NO_MEMORY);
  }
  return 0;
}

static struct frame *push_frame (struct encoder *e, int kind, int phase) {
  struct scratch *s = e->s;
  if (stack_room(e) < 0)
    return NULL;
  if (unlikely(e->depth == s->frames_size) && !scratch_frames(s)) {
    encoder_stop(e, NO_MEMORY);
    return NULL;
  }
  struct frame *f = &s->frames[e->depth++];
  f->kind = (uint8_t)kind;
  f->phase = (uint8_t)phase;
  f->count = 0;
  return f;
}

/* Its last slot, the object itself, goes too. */
static int pop_frame (struct encoder *e) {
  lua_settop(e->L, -2);
  e->depth--;
  if (unlikely(e->spilled > 0)
      && lua_gettop(e->L) - e->bottom < 2 * REBUILT_MAX)
    unspill(e);
  return CONSUMED;
}

/*
** What is at 'idx', of which the values that are sent may not keep hold, stays until
** the message is whole: another object would get its address, by which it is told who
** was met before, and what it refers to is not counted yet. In the third gear.
*/
static void keep (struct encoder *e, int idx) {
  lua_State *L = e->L;
  int kept = e->bottom - 1;
  if (lua_isnil(L, kept)) {
    lua_newtable(L);
    lua_replace(L, kept);
  }
  lua_pushvalue(L, idx);
  lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
}

/* The object on the top is new, and only weak tables may have it. */
static inline void keep_weak (struct encoder *e) {
  if (unlikely(e->weak) && !e->plain)
    keep(e, lua_gettop(e->L));
}

/* Is the table with the metatable on the top a weak one? */
static bool is_weak (lua_State *L) {
  lua_pushliteral(L, "__mode");
  bool weak = lua_rawget(L, -2) == LUA_TSTRING;
  lua_settop(L, -2);
  return weak;
}

/* {=== tables ===} */

static int put_value (struct encoder *e);

/* The object on the top, at 'address', is new: entered. CONSUMED: it was met
   before, or is found by name; it is written and gone. OPENED: go on. */
static int meet_object (struct encoder *e, const void *address) {
  uint64_t found;
  int met = seen_enter(&e->s->seen, (uintptr_t)address, encoder_offset(e), &found);
  if (unlikely(met < 0))
    return encoder_stop(e, NO_MEMORY);
  if (met && (uint8_t)e->body[found] >= T_TABLE8) {
    if (encoder_put_ref(e, T_REF, found) < 0)
      return -1;
  }
  else {
    enum found by_name = module_put(e, address);
    if (by_name == FOUND_AGAIN)
      return -1;
    if (by_name == FOUND_NOTHING) {
      if (unlikely(met))  /* was found by name the first time, and is no more */
        seen_change(&e->s->seen, (uintptr_t)address, encoder_offset(e));
      keep_weak(e);
      return OPENED;
    }
  }
  lua_settop(e->L, -2);
  return CONSUMED;
}

static int open_table (struct encoder *e) {
  lua_State *L = e->L;
  if (e->memory) {
    int put = data_put(e, lua_topointer(L, -1));
    lua_settop(L, -2);
    return put;
  }
  int rc = meet_object(e, lua_topointer(L, -1));
  if (rc != OPENED)
    return rc;
  struct frame *f = push_frame(e, FRAME_TABLE, PHASE_PREFIX);
  if (f == NULL || !encoder_room(e, 6))
    return -1;
  lua_Unsigned n = lua_rawlen(L, -1);
  f->has_meta = lua_getmetatable(L, -1);
  if (f->has_meta) {
    if (!e->plain && is_weak(L))
      e->weak = true;
    lua_settop(L, -2);
  }
  f->large = n > 0xff;
  f->pos = encoder_offset(e);
  e->p[0] = (char)((f->large ? T_TABLE32 : T_TABLE8)
                   + (f->has_meta ? T_METATABLE8 - T_TABLE8 : 0));
  e->p += f->large ? 6 : 3;
  f->i = 0;
  if (n > 0 && n <= UINT32_MAX && peek_array(L, -1, (size_t)n) != NULL) {
    f->phase = PHASE_ARRAY;
    f->n = (lua_Integer)n;
  }
  else
    lua_pushnil(L);  /* where lua_next begins */
  return OPENED;
}

static void patch_elements (struct encoder *e, const struct frame *f) {
  char *p = e->body + f->pos + 1;
  if (f->large)
    store32(p, (uint32_t)f->i);
  else
    *p = (char)f->i;
}

/* Pairs are over: how many, and then the metatable. */
static int close_pairs (struct encoder *e, struct frame *f) {
  e->body[f->pos + (f->large ? 5 : 2)] = (char)size_pack(f->count);
  if (f->count > 0 && !put_byte(e, T_END))
    return -1;
  if (!f->has_meta)
    return pop_frame(e);
  f->phase = PHASE_META;
  f->has_meta = false;
  lua_getmetatable(e->L, -1);
  return put_value(e);
}

/* Elements by index: all of 1..n lie in the array part. */
static int step_array (struct encoder *e, struct frame *f) {
  lua_State *L = e->L;
  while (f->i < f->n) {
    const struct peek_value *array = peek_array(L, -1, (size_t)f->n);
    if (array == NULL)
      return encoder_stop(e, AGAIN_PROTECTED);  /* changed by a finalizer, meanwhile */
    f->i += (lua_Integer)encoder_put_numbers(e, array + f->i, (size_t)(f->n - f->i));
    if (e->status != DONE)
      return -1;
    while (f->i < f->n) {
      int type = lua_rawgeti(L, -1, ++f->i);
      int rc = put_scalar(e, type);
      if (rc == OPENED) {
        if ((rc = put_value(e)) != CONSUMED)
          return rc;
        continue;
      }
      lua_settop(L, -2);
      if (unlikely(rc < 0))
        return rc;
      if (type == LUA_TNUMBER)
        break;
    }
  }
  patch_elements(e, f);
  f->phase = PHASE_PAIRS;
  lua_pushinteger(L, f->n);
  return CONSUMED;
}

/* A pair, whose value is on the top, above its key. */
static int put_pair (struct encoder *e, struct frame *f) {
  lua_State *L = e->L;
  int type = lua_type(L, -2);
  f->count++;
  if (likely(type == LUA_TSTRING)) {
    size_t length;
    const char *s = lua_tolstring(L, -2, &length);
    if (likely(length < KEPT_MIN)) {
      if (!encoder_room(e, length + NUMBER_ROOM))
        return -1;
      e->p = write_string(e->p, s, length);
      return CONSUMED;
    }
  }
  lua_pushvalue(L, -2);
  f->phase = PHASE_KEY;
  int rc = put_value(e);
  if (rc == CONSUMED)
    f->phase = PHASE_PAIRS;
  return rc;
}

/* Steps of lua_next, from the key on the top. */
static int step_pairs (struct encoder *e, struct frame *f) {
  lua_State *L = e->L;
  int rc;
  if (f->phase == PHASE_KEY) {  /* the key has been written, the value is on the top */
    f->phase = PHASE_PAIRS;
    goto value;
  }
  while (lua_next(L, -2)) {
    if (f->phase == PHASE_PREFIX) {
      if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == f->i + 1
          && f->i < (f->large ? (lua_Integer)UINT32_MAX : 0xff)) {
        f->i++;
        goto value;
      }
      patch_elements(e, f);
      f->phase = PHASE_PAIRS;
    }
    if ((rc = put_pair(e, f)) != CONSUMED)
      return rc;
   value:
    rc = put_scalar(e, lua_type(L, -1));
    if (rc == OPENED) {
      if ((rc = put_value(e)) != CONSUMED)
        return rc;
    }
    else {
      lua_settop(L, -2);
      if (unlikely(rc < 0))
        return rc;
    }
  }
  if (f->phase == PHASE_PREFIX)
    patch_elements(e, f);
  return close_pairs(e, f);
}

static int step_table (struct encoder *e, struct frame *f) {
  switch (f->phase) {
    case PHASE_ARRAY: return step_array(e, f);
    case PHASE_META: return pop_frame(e);
    default: return step_pairs(e, f);
  }
}

/* {=== functions ===} */

static bool put_inline (struct encoder *e, struct code_head *head, int form) {
  if (!encoder_room(e, (size_t)head->length + 19))
    return false;
  *e->p++ = (char)T_FUNCTION;
  *e->p++ = (char)form;
  if (form & FUNCTION_NAMED) {
    store64(e->p, head->id);
    e->p += 8;
  }
  store64(e->p, head->length);
  memcpy(e->p + 8, code_bytes(head), (size_t)head->length);
  e->p += 8 + head->length;
  *e->p++ = (char)head->nups;
  return true;
}

static bool put_reference (struct encoder *e, struct code_head *head, int form) {
  uint64_t at = 0;
  int met = seen_enter(&e->s->seen, (uintptr_t)head | SEEN_USERDATA, e->nrefs, &at);
  if (met < 0 || (!met && (at = encoder_ref(e, &head->head)) == UINT32_MAX)) {
    e->status = NO_MEMORY;
    return false;
  }
  if (!encoder_room(e, 7))
    return false;
  *e->p++ = (char)T_FUNCTION;
  *e->p++ = (char)form;
  store32(e->p, (uint32_t)at);
  e->p += 4;
  *e->p++ = (char)head->nups;
  return true;
}

/* 'again': it is not the first function of its code in the message. */
static int put_bytecode (struct encoder *e, struct code_head *head, bool again) {
  bool good;
  int form = (head->constant ? FUNCTION_CONSTANT : 0) | (again ? FUNCTION_AGAIN : 0);
  if (e->flags & CODEC_BYTES)
    good = put_inline(e, head, form | FUNCTION_INLINE);
  else if (head->length <= INLINE_MAX && !again)
    good = put_inline(e, head, form | FUNCTION_INLINE | FUNCTION_NAMED);
  else
    good = put_reference(e, head, form);
  return good ? CONSUMED : -1;
}

static int put_code (struct encoder *e, const struct code *code) {
  struct code_head *head = (struct code_head *)(void *)code->block;
  uint64_t unused;
  int met = seen_enter(&e->s->seen, (uintptr_t)head | SEEN_CODE, 0, &unused);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  return put_bytecode(e, head, met);
}

/* Is the first value followed by nothing that can be, or hold, the same object? */
static bool stands_alone (struct encoder *e) {
  if (e->current != 0 || e->depth != 0)
    return false;
  for (int i = 1; i < e->n; i++) {
    int type = lua_type(e->L, e->first + i);
    if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TBOOLEAN && type != LUA_TNIL)
      return false;
  }
  return true;
}

/* A function that stands alone, without upvalues, and no module's: there is nothing
   to keep apart. */
static int put_alone (struct encoder *e, const struct code *code) {
  struct code_head *head = (struct code_head *)(void *)code->block;
  if (put_bytecode(e, head, false) < 0 || !put_byte(e, T_END))
    return -1;
  lua_settop(e->L, -2);
  return CONSUMED;
}

/* 1: the function on the top is no module's; that holds until require looks for
   one. 0: perhaps it is; < 0: see e->status. */
static int is_nobodys (struct encoder *e, struct code *code, const void *address) {
  uint32_t loads = load_relaxed(&module_loads);
  if (likely(code->nobodys == address && code->loads == loads))
    return 1;
  if (e->state == NULL && !module_ready(e))
    return -1;
  if (module_knows(e->state, address))
    return 0;
  if (e->state->npending == 0) {
    code->nobodys = address;
    code->loads = loads;
  }
  return 1;
}

static int open_function (struct encoder *e) {
  lua_State *L = e->L;
  struct code *code;
  if (stands_alone(e) && (code = function_met(e)) != NULL && code->nups == 0) {
    int alone = is_nobodys(e, code, lua_topointer(L, -1));
    if (alone != 0)
      return alone < 0 ? -1 : put_alone(e, code);
  }
  int rc = meet_object(e, lua_topointer(L, -1));
  if (rc != OPENED)
    return rc;
  if (lua_iscfunction(L, -1)) {
    if (e->plain)
      return encoder_stop(e, AGAIN_PROTECTED);
    codec_refuse(e, lua_gettop(L), "a C function that no loaded module has");
  }
  if ((code = function_code(e)) == NULL)
    return -1;
  if (code->nups == 0) {  /* nothing follows */
    if (put_code(e, code) < 0 || !put_byte(e, T_END))
      return -1;
    lua_settop(L, -2);
    return CONSUMED;
  }
  struct frame *f = push_frame(e, FRAME_FUNCTION, PHASE_UPVALUES);
  if (f == NULL)
    return -1;
  f->pos = encoder_offset(e);
  f->code = code;
  f->i = 0;
  f->n = (lua_Integer)code->nups;
  return put_code(e, code) < 0 ? -1 : OPENED;
}

/* Upvalue f->i: one that was met, the table of globals, or a value. */
static int put_upvalue (struct encoder *e, struct frame *f) {
  lua_State *L = e->L;
  uint64_t found;
  int met = seen_enter(&e->s->seen, (uintptr_t)lua_upvalueid(L, -1, (int)f->i),
                       encoder_offset(e), &found);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  if (met)
    return encoder_put_ref(e, T_UPREF, found);
  lua_getupvalue(L, -1, (int)f->i);
  if (lua_type(L, -1) == LUA_TTABLE && lua_topointer(L, -1) == e->state->globals) {
    lua_settop(L, -2);
    return put_byte(e, T_ENV) ? CONSUMED : -1;
  }
  if (!put_byte(e, T_UPVALUE))
    return -1;
  return put_value(e);
}

/* [name] [value] on the top: sent unless nil, sent already, or the standard
   library's own. OPENED, or both are gone. */
static int put_global (struct encoder *e) {
  lua_State *L = e->L;
  uint64_t found;
  if (!lua_isnil(L, -1) && !module_is_own_global(L, e->state)) {
    int met = seen_enter(&e->s->seen, (uintptr_t)lua_topointer(L, -2) | SEEN_NAME, 0,
                         &found);
    if (met < 0)
      return encoder_stop(e, NO_MEMORY);
    if (!met) {
      if (!encoder_put_string(e, -2))
        return -1;
      lua_remove(L, -2);
      return put_value(e);
    }
  }
  lua_settop(L, -3);
  return CONSUMED;
}

/* [function] becomes [function] [names] [table of globals]; false: the function
   mentions none. */
static bool begin_globals (struct encoder *e, struct frame *f) {
  f->phase = PHASE_GLOBALS;
  f->i = 0;
  f->n = (lua_Integer)f->code->nnames;
  if (f->n == 0 || !function_push_names(e, f->code))
    return false;
  lua_rawgeti(e->L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  return true;
}

static int step_globals (struct encoder *e) {
  lua_State *L = e->L;
  for (;;) {  /* what is put may move the frames */
    struct frame *f = &e->s->frames[e->depth - 1];
    if (f->i == f->n)
      break;
    f->i++;
    if (function_push_name(L, -2, f->i)) {
      lua_pushvalue(L, -1);
      lua_rawget(L, -3);
      int rc = put_global(e);
      if (rc != CONSUMED)
        return rc;
    }
  }
  lua_settop(L, -3);
  return put_byte(e, T_END) ? pop_frame(e) : -1;
}

static int step_function (struct encoder *e) {
  for (;;) {
    struct frame *f = &e->s->frames[e->depth - 1];
    if (f->phase == PHASE_GLOBALS)
      return step_globals(e);
    if (f->i == f->n) {
      if (!begin_globals(e, f))
        return put_byte(e, T_END) ? pop_frame(e) : -1;
      continue;
    }
    f->i++;
    int rc = put_upvalue(e, f);
    if (rc != CONSUMED)
      return rc;
  }
}

/* {=== userdata ===} */

static int put_object (struct encoder *e, struct block *b) {
  uint64_t at;
  int met = seen_enter(&e->s->seen, (uintptr_t)b | SEEN_USERDATA, e->nrefs, &at);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  if (!met && (at = encoder_ref(e, b)) == UINT32_MAX)
    return encoder_stop(e, NO_MEMORY);
  if (!met)
    keep_weak(e);
  if (!encoder_room(e, 5))
    return -1;
  e->p[0] = (char)T_OBJECT;
  store32(e->p + 1, (uint32_t)at);
  e->p += 5;
  lua_settop(e->L, -2);
  return CONSUMED;
}

/* Calls __conc: [userdata] [function] [argument] ... */
static int open_rebuilt (struct encoder *e) {
  lua_State *L = e->L;
  size_t pos = encoder_offset(e);
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK + 64 * FRAME_SLOTS, NULL);
  lua_pushvalue(L, top);
  luaL_getmetafield(L, -1, "__conc");
  lua_insert(L, -2);
  codec_check_hand(L);
  lua_call(L, 1, LUA_MULTRET);
  int n = lua_gettop(L) - top;
  if (n == 0 || lua_type(L, top + 1) != LUA_TFUNCTION) {
    const char *got = n == 0 ? "nothing" : luaL_typename(L, top + 1);
    codec_refuse(e, top, "its __conc gave %s where a function was expected", got);
  }
  if (n > REBUILT_MAX)
    codec_refuse(e, top, "its __conc gave more than %d values", REBUILT_MAX);
  luaL_checkstack(L, LUA_MINSTACK + 64 * FRAME_SLOTS, NULL);
  for (int i = 1; i <= n; i++)
    if (lua_type(L, top + i) >= LUA_TSTRING)
      keep(e, top + i);
  struct frame *f = push_frame(e, FRAME_REBUILT, PHASE_VALUES);
  if (f == NULL || !encoder_room(e, 5))
    return -1;
  f->pos = pos;
  f->i = 0;
  f->n = n;
  e->p[0] = (char)T_REBUILT;
  store32(e->p + 1, (uint32_t)n);
  e->p += 5;
  return OPENED;
}

static int step_rebuilt (struct encoder *e, struct frame *f) {
  lua_State *L = e->L;
  while (f->i < f->n) {
    f->i++;
    lua_pushvalue(L, (int)(f->i - f->n - 1));
    int rc = put_value(e);
    if (rc != CONSUMED)
      return rc;
  }
  lua_settop(L, -1 - (int)f->n);
  return pop_frame(e);
}

/* Is a frame of the userdata open that was begun at 'pos'? */
static bool still_open (const struct encoder *e, uint64_t pos) {
  for (uint32_t i = e->depth; i > 0; i--)
    if (e->s->frames[i - 1].pos <= pos)
      return e->s->frames[i - 1].pos == pos
          && e->s->frames[i - 1].kind == FRAME_REBUILT;
  return false;
}

/* The name of its type; what is pushed stays, as the refusal that follows
   clears the stack. */
static const char *userdata_name (lua_State *L, int idx) {
  return luaL_getmetafield(L, idx, "__name") == LUA_TSTRING ? lua_tostring(L, -1)
                                                            : "userdata";
}

static int put_userdata (struct encoder *e, const struct codec_objects *objects) {
  lua_State *L = e->L;
  int top = lua_gettop(L);
  struct block *b = objects != NULL ? objects->to_block(L, -1) : NULL;
  if (b != NULL && !(e->flags & CODEC_BYTES))
    return objects->sent(L, -1, e->plain) ? put_object(e, b) : encoder_stop(e, AGAIN_PROTECTED);
  const void *address = lua_topointer(L, -1);
  enum found by_name = module_put(e, address);
  if (by_name == FOUND_AGAIN)
    return -1;
  if (by_name == FOUND_WRITTEN) {
    lua_settop(L, -2);
    return CONSUMED;
  }
  uint64_t found;
  if (e->plain)
    return encoder_stop(e, AGAIN_PROTECTED);
  if (b != NULL)
    codec_refuse(e, top, "a conc object cannot leave the program");
  if (luaL_getmetafield(L, -1, "__conc") == LUA_TNIL)
    codec_refuse_type(e, top, userdata_name(L, top));
  lua_settop(L, -2);
  int met = seen_enter(&e->s->seen, (uintptr_t)address | SEEN_USERDATA,
                       encoder_offset(e), &found);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  if (!met)
    return open_rebuilt(e);
  if (still_open(e, found))
    codec_refuse(e, top, "what its __conc gave refers to itself");
  if (encoder_put_ref(e, T_REF, found) < 0)
    return -1;
  lua_settop(L, -2);
  return CONSUMED;
}

static int put_pointer (struct encoder *e) {
  if (e->flags & CODEC_BYTES) {
    if (e->plain)
      return encoder_stop(e, AGAIN_PROTECTED);
    codec_refuse(e, lua_gettop(e->L), "light userdata cannot leave the program");
  }
  if (!encoder_room(e, 9))
    return -1;
  e->p[0] = (char)T_POINTER;
  store64(e->p + 1, (uint64_t)(uintptr_t)lua_touserdata(e->L, -1));
  e->p += 9;
  lua_settop(e->L, -2);
  return CONSUMED;
}

/* {=== the loop ===} */

/* Takes the value on the top: written and popped, or the top frame's now. */
static int put_value (struct encoder *e) {
  int type = lua_type(e->L, -1);
  int rc = put_scalar(e, type);
  if (rc <= CONSUMED) {
    lua_settop(e->L, -2);
    return rc;
  }
  switch (type) {
    case LUA_TTABLE: return open_table(e);
    case LUA_TFUNCTION: return open_function(e);
    case LUA_TUSERDATA: return put_userdata(e, codec_objects);
    case LUA_TLIGHTUSERDATA: return put_pointer(e);
    default:
      if (e->plain)
        return encoder_stop(e, AGAIN_PROTECTED);
      codec_refuse_type(e, lua_gettop(e->L), type == LUA_TTHREAD
                                             ? "coroutine" : luaL_typename(e->L, -1));
  }
}

static int step (struct encoder *e) {
  struct frame *f = &e->s->frames[e->depth - 1];
  switch (f->kind) {
    case FRAME_TABLE: return step_table(e, f);
    case FRAME_FUNCTION: return step_function(e);
    default: return step_rebuilt(e, f);
  }
}

static int put_head (struct encoder *e) {
  if (!encoder_room(e, 5))
    return -1;
  if (e->n < HEAD_MANY)
    *e->p++ = (char)e->n;
  else {
    *e->p++ = (char)HEAD_MANY;
    store32(e->p, (uint32_t)e->n);
    e->p += 4;
  }
  return 0;
}

int encode_values (struct encoder *e) {
  int rc = put_head(e);
  for (e->current = 0; rc >= 0 && e->current < e->n; e->current++) {
    int idx = e->first + e->current;
    if (e->memory && lua_type(e->L, idx) == LUA_TTABLE) {
      rc = data_put(e, lua_topointer(e->L, idx));
      continue;
    }
    lua_pushvalue(e->L, idx);
    rc = put_value(e);
    while (rc >= 0 && e->depth > 0)
      rc = step(e);
  }
  if (rc < 0)
    return e->status;
  if (e->shared)
    e->body[0] = (char)(e->body[0] | HEAD_SHARED);
  return DONE;
}
