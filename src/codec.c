/*
** codec.c - floor 4: entrances, scratch memory, a state's own tables
**
** Scratch memory belongs to a thread. A level of it is in use from the start of
** an encode to its end; an encode inside another (a __conc, a finalizer) takes
** the next. The bytes stay valid until the level is used again.
*/
#include "codec_impl.h"
#include "codec_peek.h"

#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>

/* {=== scratch ===} */

#define SCRATCH_FIRST   512
#define SCRATCH_KEPT    ((size_t)256 * 1024)   /* bytes that stay warm */
#define SEEN_KEPT       ((uint32_t)1 << 15)
#define FRAMES_KEPT     4096

#if defined(__GNUC__)
#define THREAD_LOCAL  __thread __attribute__((tls_model("initial-exec")))
#else
#define THREAD_LOCAL  __thread
#endif

static pthread_key_t scratch_key;              /* constant after init */
static THREAD_LOCAL struct scratch *scratch_first;  /* freed at the thread's end */
static THREAD_LOCAL struct scratch *scratch_next;   /* the level that is free */

static void scratch_free (void *first) {
  for (struct scratch *s = first, *deeper; s != NULL; s = deeper) {
    deeper = s->deeper;
    free(s->buffer);
    free(s->frames);
    free(s->refs);
    seen_free(&s->seen);
    free(s);
  }
}

static struct scratch *scratch_new (void) {
  struct scratch *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->buffer = malloc(SCRATCH_FIRST);
  s->size = SCRATCH_FIRST;
  if (s->buffer == NULL) {
    free(s);
    return NULL;
  }
  return s;
}

static struct scratch *scratch_take (void) {
  struct scratch *s = scratch_next;
  if (likely(s != NULL)) {
    scratch_next = s->deeper;
    return s;
  }
  s = scratch_new();
  if (s == NULL)
    return NULL;
  if (scratch_first == NULL) {
    scratch_first = s;
    pthread_setspecific(scratch_key, s);
  }
  else {
    struct scratch *last = scratch_first;
    while (last->deeper != NULL) last = last->deeper;
    last->deeper = s;
  }
  return s;
}

#define FRAMES_FIRST  32

bool scratch_frames (struct scratch *s) {
  uint32_t size = s->frames_size == 0 ? FRAMES_FIRST : s->frames_size * 2;
  struct frame *frames = realloc(s->frames, size * sizeof *frames);
  if (frames == NULL)
    return false;
  s->frames = frames;
  s->frames_size = size;
  return true;
}

static void scratch_give (struct scratch *s) {
  if (unlikely(s->seen.mask >= SEEN_KEPT))
    seen_free(&s->seen);
  else if (s->seen.used > 0)
    seen_clear(&s->seen);
  if (unlikely(s->frames_size > FRAMES_KEPT)) {
    free(s->frames);
    s->frames = NULL;
    s->frames_size = 0;
  }
  scratch_next = s;
}

/* Before it is used: what was made for a large message stays for one more, and goes
   once a small one has come between. */
static void scratch_trim (struct scratch *s) {
  if (unlikely(s->size > SCRATCH_KEPT) && s->used < s->size / 4) {
    char *smaller = realloc(s->buffer, SCRATCH_FIRST);
    if (smaller != NULL) {
      s->buffer = smaller;
      s->size = SCRATCH_FIRST;
    }
  }
}

void codec_check_hand (lua_State *L) {
  if (unlikely(!arena_hand_has_room()))
    luaL_error(L, "messages within messages, nested too deeply");
}

/* {=== a state's tables ===} */

static const char slot_keys[SLOT_COUNT], state_key = 's';   /* their addresses count */
const struct codec_objects *codec_objects;

void codec_slot (lua_State *L, enum slot slot) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &slot_keys[slot]);
}

void codec_set_slot (lua_State *L, enum slot slot) {
  lua_rawsetp(L, LUA_REGISTRYINDEX, &slot_keys[slot]);
}

struct codec_state *codec_state_met (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  struct codec_state *cs = lua_touserdata(L, -1);
  lua_settop(L, -2);
  return cs;
}

static void new_weak (lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void codec_open_state (lua_State *L) {
  int top = lua_gettop(L);
  if (codec_state_met(L) != NULL)
    return;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  for (int slot = 0; slot < SLOT_COUNT; slot++) {
    lua_newtable(L);
    codec_set_slot(L, (enum slot)slot);
  }
  codec_slot(L, SLOT_WEAK);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  codec_forget(L);
  function_open_state(L);
  struct codec_state *cs = lua_newuserdatauv(L, sizeof *cs, 0);
  memset(cs, 0, sizeof *cs);
  module_open_state(L, cs);
  setting_open_state(L, cs);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);  /* now it is open */
  lua_settop(L, top);
}

void codec_forget (lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  new_weak(L, "k");
  codec_set_slot(L, SLOT_FUNCTIONS);
  new_weak(L, "v");
  codec_set_slot(L, SLOT_CODES);
  lua_newtable(L);
  codec_set_slot(L, SLOT_LOADED);
}

struct codec_state *codec_state (lua_State *L) {
  struct codec_state *cs = codec_state_met(L);
  if (cs == NULL) {
    codec_open_state(L);
    cs = codec_state_met(L);
  }
  return cs;
}

/* {=== encoding ===} */

static void begin (struct encoder *e, lua_State *L, struct scratch *s, unsigned flags) {
  scratch_trim(s);
  e->L = L;
  e->s = s;
  e->buffer = e->body = e->p = s->buffer;
  e->end = s->buffer + s->size;
  e->block = NULL;
  e->state = NULL;
  e->depth = e->nrefs = e->spilled = 0;
  e->flags = flags;
  e->shared = e->weak = false;
  e->status = DONE;
  if (flags & CODEC_BYTES) {
    memcpy(e->p, FILE_MAGIC, FILE_MAGIC_SIZE);
    e->p += FILE_MAGIC_SIZE;
    e->body = e->p;
  }
}

static void drop (struct encoder *e) {
  if (e->block != NULL) {
    arena_free(e->block);
    e->block = NULL;
  }
  if (e->s->seen.used > 0)
    seen_clear(&e->s->seen);
}

/* The bytes of a block stand where a message with so many references has them. */
static int settle_block (struct encoder *e) {
  size_t length = encoder_offset(e);
  char *place = (char *)e->block + sizeof(struct message)
              + e->nrefs * sizeof(struct block *);
  if (place != e->body) {
    if (place > e->body && !((size_t)(e->end - e->p) >= (size_t)(place - e->body))
        && encoder_grow(e, (size_t)(place - e->body)) != DONE)
      return e->status;
    place = (char *)e->block + sizeof(struct message)
          + e->nrefs * sizeof(struct block *);
    memmove(place, e->body, length);
    e->body = place;
    e->p = place + length;
  }
  return DONE;
}

static int finish (struct encoder *e, struct parcel *out) {
  if (e->block != NULL && settle_block(e) != DONE)
    return e->status;
  e->s->used = e->block == NULL ? (size_t)(e->p - e->buffer) : 0;
  const char *start = (e->flags & CODEC_BYTES) ? e->body - FILE_MAGIC_SIZE : e->body;
  out->bytes = start;
  out->length = (size_t)(e->p - start);
  out->refs = e->s->refs;
  out->nrefs = e->nrefs;
  out->flags = e->flags & CODEC_RUN;
  out->block = e->block;
  return DONE;
}

/* The second gear: the encoder, then the values. */
static int encode_protected (lua_State *L) {
  struct encoder *e = lua_touserdata(L, 1);
  unsigned flags = e->flags;
  begin(e, L, e->s, flags);
  e->memory = e->plain = false;
  e->first = 2;
  lua_pushnil(L);                    /* for what is kept */
  lua_pushnil(L);                    /* for the spill table */
  e->bottom = lua_gettop(L);
  e->status = encode_values(e);
  switch (e->status) {
    case DONE: break;
    case NO_MEMORY: return luaL_error(L, "not enough memory");
    case NO_ROOM: {
      struct arena_stats s;
      arena_stats(&s);
      return luaL_error(L, "shared memory is full: %I MB of %I MB are in use"
                           " (CONC_ARENA sets the size)",
                        (LUAI_UACINT)(s.bytes >> 20), (LUAI_UACINT)(s.limit >> 20));
    }
    default:
      return luaL_error(L, "a table was changed while it was being sent");
  }
  return 0;
}

static int encode_again (struct encoder *e, int first, int n) {
  lua_State *L = e->L;
  drop(e);
  if (!lua_checkstack(L, n + LUA_MINSTACK)) {
    lua_pushliteral(L, "stack overflow (too many values to send)");
    return LUA_ERRRUN;
  }
  lua_pushcfunction(L, encode_protected);
  lua_pushlightuserdata(L, e);
  for (int i = 0; i < n; i++)
    lua_pushvalue(L, first + i);
  int rc = lua_pcall(L, n + 1, 0, 0);
  e->L = L;
  return rc;
}

static int encode (lua_State *L, int first, int n, unsigned flags, const char *what,
                   int base, bool raises, struct parcel *out) {
  struct encoder e;
  struct scratch *s = scratch_take();
  int rc = LUA_OK;
  out->block = NULL;
  if (s == NULL) {
    lua_pushliteral(L, "not enough memory");
    return LUA_ERRMEM;
  }
  begin(&e, L, s, flags);
  e.what = what;
  e.base = base;
  e.n = n;
  e.raises = raises;
  e.plain = true;
  e.memory = peek_works;
  e.first = first;
  e.bottom = lua_gettop(L);
  e.status = encode_values(&e);
  if (e.status == AGAIN_PLAIN) {
    lua_settop(L, e.bottom);
    drop(&e);
    begin(&e, L, s, flags);
    e.memory = false;
    e.status = encode_values(&e);
  }
  if (e.status != DONE) {
    lua_settop(L, e.bottom);
    rc = encode_again(&e, first, n);
  }
  if (rc == LUA_OK && finish(&e, out) != DONE) {
    lua_pushliteral(L, "shared memory is full");
    rc = LUA_ERRRUN;
  }
  if (unlikely(rc != LUA_OK)) {
    drop(&e);
    s->used = 0;
  }
  scratch_give(s);
  return rc;
}

int codec_try_encode (lua_State *L, int first, int n, unsigned flags,
                      const char *what, int base, struct parcel *out) {
  return encode(L, lua_absindex(L, first), n, flags, what, base, false, out);
}

void codec_encode (lua_State *L, int first, int n, unsigned flags,
                   const char *what, int base, struct parcel *out) {
  if (encode(L, lua_absindex(L, first), n, flags, what, base, true, out) != LUA_OK)
    lua_error(L);
}

bool codec_can_send (lua_State *L, int idx) {
  struct parcel p;
  if (codec_try_encode(L, idx, 1, 0, "value", 0, &p) != LUA_OK)
    return false;
  parcel_drop(&p);
  return true;
}

/* {=== open ===} */

static int open_lists (lua_State *L) {
  luaL_openlibs(L);
  peek_open(L);
  module_open(L);
  function_open(L);
  return 0;
}

void codec_open (const struct codec_objects *objects) {
  if (codec_objects != NULL)
    return;
  pthread_key_create(&scratch_key, scratch_free);
  lua_State *L = luaL_newstate();
  if (L != NULL) {
    lua_pushcfunction(L, open_lists);
    lua_pcall(L, 0, 0, 0);
    lua_close(L);
  }
  codec_objects = objects;
}

/* {=== for maps ===} */

/* As put_inline, put_reference, put_upvalue and step_function write it. */
bool codec_is_bare_function (const char *bytes, size_t length) {
  const unsigned char *b = (const unsigned char *)bytes;
  size_t at = 7;                /* of the number of upvalues; a reference is before it */
  if (length < 9 || b[0] != 1 || b[1] != T_FUNCTION)
    return false;
  if (b[2] & FUNCTION_INLINE) {
    at = b[2] & FUNCTION_NAMED ? 11 : 3;
    if (length < at + 8 || load64(bytes + at) > length - at - 8)
      return false;
    at += 8 + (size_t)load64(bytes + at);
  }
  if (length < at + 2 || length != at + 2u + b[at] || b[length - 1] != T_END)
    return false;
  for (size_t i = 1; i <= b[at]; i++)
    if (b[at + i] != T_ENV)
      return false;
  return true;
}

/* {=== for hosts without Lua ===} */

size_t codec_string_size (size_t length) {
  return 1 + 1 + 8 + length;
}

size_t codec_write_string (char *to, const char *s, size_t length) {
  to[0] = 1;
  return (size_t)(write_string(to + 1, s, length) - to);
}

const char *codec_read_string (const char *bytes, size_t size, size_t *length) {
  const unsigned char *b = (const unsigned char *)bytes;
  size_t head;
  if (size < 2 || b[0] != 1)
    return NULL;
  if (b[1] >= T_STRING0 && b[1] < T_NIL) {
    head = 2;
    *length = b[1] - T_STRING0;
  }
  else if (b[1] == T_STRING8 && size >= 3) {
    head = 3;
    *length = b[2];
  }
  else if (b[1] == T_STRING32 && size >= 6) {
    uint32_t n;
    memcpy(&n, bytes + 2, sizeof n);
    head = 6;
    *length = n;
  }
  else if (b[1] == T_LONG && size >= 10) {
    uint64_t n;
    memcpy(&n, bytes + 2, sizeof n);
    head = 10;
    *length = (size_t)n;
  }
  else
    return NULL;
  return size - head == *length ? bytes + head : NULL;
}
