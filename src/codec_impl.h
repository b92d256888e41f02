/*
** codec_impl.h - floor 4: what the files of the codec share, and nobody else
**
**   codec.c           entrances, scratch memory, per-state tables
**   codec_seen.c      which objects a message has already
**   codec_encode.c    values -> bytes: one loop over a stack of frames
**   codec_data.c      the same for tables of plain data, read in place
**   codec_number.c    runs of numbers, there and back
**   codec_decode.c    bytes -> values: likewise
**   codec_function.c  bytecode, the globals it mentions, its two caches
**   codec_module.c    what is found by name: standard library, modules
**   codec_path.c      "field 'client' of argument 2": only when refusing
**   codec_setting.c   what a new state gets of its maker's settings
**   codec_peek.h      how Lua's tables and strings lie in memory
**
** Threads. All of this belongs to the thread that calls: its scratch memory
** (thread-local), its state's tables. The list of the standard library's
** functions (codec_module.c) is constant after codec_open.
**
** Errors. Encoding has three gears. The first reads tables of plain data where
** they lie. The second goes through the API, but never allocates in Lua and
** never raises: objects, functions and modules met before. What a gear cannot
** do makes the whole message start again in the next. The third runs inside
** lua_pcall: there everything may raise, and one place lets go of scratch memory
** and of the block in hand. Decoding may raise anywhere: all it holds is Lua's.
**
** The wire format is described in docs/codec.md.
*/
#ifndef CONC_CODEC_IMPL_H
#define CONC_CODEC_IMPL_H

#include <lua.h>
#include <lauxlib.h>
#include <string.h>
#include "codec.h"

/* {=== bytes ===} */

/* Whoever is odd was referred to again: its even self plus MARKED. */
enum tag {
  /* 0x00..0x7f: an integer from 0 to 127; 0x80..0x9f: a string of 0 to 31 bytes */
  T_STRING0 = 0x80,
  T_NIL = 0xa0, T_FALSE, T_TRUE,
  T_INT8, T_INT16, T_INT32, T_INT64, T_FLOAT,
  T_STRING8, T_STRING32,
  T_REF,              /* u64 offset of a marked object */
  T_STD,              /* short string: a thing of the standard library's */
  T_MODULE,           /* string: what require gives */
  T_FIELD,            /* string, string: a field of what require gives */
  T_GLOBALS,          /* the receiver's table of globals */
  T_OBJECT,           /* u32: one of the message's references */
  T_POINTER,          /* u64: light userdata */
  T_END,
  T_UPREF,            /* u64: where an upvalue is shared with */
  /* elements of a table in a row: u8 how many less one, then each in 1, 2, 4, 8
     bytes, or floats */
  T_INTS8, T_INTS16, T_INTS32, T_INTS64, T_FLOATS,
  /* these can be marked */
  T_TABLE8 = 0xc0,    /* u8 elements, u8 size of the rest */
  T_TABLE32 = 0xc2,   /* u32 elements, u8 size of the rest */
  T_METATABLE8 = 0xc4, T_METATABLE32 = 0xc6,   /* with a metatable at the end */
  T_LONG = 0xc8,      /* u64 length: a string that is kept once */
  T_FUNCTION = 0xca,
  T_REBUILT = 0xcc,   /* u32 values: function, arguments */
  T_UPVALUE = 0xce,   /* a value */
  T_ENV = 0xd0        /* an upvalue that is the table of globals */
};
#define MARKED  1
#define RUN_MAX  256

enum function_form {
  FUNCTION_INLINE   = 1, /* u64 length and the bytecode; else u32: a reference */
  FUNCTION_NAMED    = 2, /* inline, and its u64 id comes before */
  FUNCTION_AGAIN    = 4, /* not the first of its bytecode in this message */
  FUNCTION_CONSTANT = 8  /* nothing in it assigns to an upvalue */
};
#define INLINE_MAX  300  /* shorter bytecode costs less to copy than to count */

#define HEAD_SHARED  0x80   /* something in the message is marked */
#define HEAD_MANY    0x7f   /* u32 number of values follows */

/* The head of what conc.encode gives. */
#define FILE_MAGIC   "\033conc\1"
#define FILE_MAGIC_SIZE  6

/* The wire is little-endian. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
static inline uint16_t le16 (uint16_t x) { return __builtin_bswap16(x); }
static inline uint32_t le32 (uint32_t x) { return __builtin_bswap32(x); }
static inline uint64_t le64 (uint64_t x) { return __builtin_bswap64(x); }
#else
static inline uint16_t le16 (uint16_t x) { return x; }
static inline uint32_t le32 (uint32_t x) { return x; }
static inline uint64_t le64 (uint64_t x) { return x; }
#endif
static inline void store16 (char *p, uint16_t x) { x = le16(x); memcpy(p, &x, 2); }
static inline void store32 (char *p, uint32_t x) { x = le32(x); memcpy(p, &x, 4); }
static inline void store64 (char *p, uint64_t x) { x = le64(x); memcpy(p, &x, 8); }
static inline uint16_t load16 (const char *p) { uint16_t x; memcpy(&x, p, 2); return le16(x); }
static inline uint32_t load32 (const char *p) { uint32_t x; memcpy(&x, p, 4); return le32(x); }
static inline uint64_t load64 (const char *p) { uint64_t x; memcpy(&x, p, 8); return le64(x); }

/*
** The size of a table's hash part in a byte: itself up to 200, then 200 plus
** the logarithm of the power of two that holds it.
*/
#define SIZE_EXACT  200
static inline uint8_t size_pack (uint64_t n) {
  if (n <= SIZE_EXACT)
    return (uint8_t)n;
  return (uint8_t)(SIZE_EXACT + 64 - __builtin_clzll(n - 1));
}
static inline uint64_t size_unpack (uint8_t b) {
  return b <= SIZE_EXACT ? b : (uint64_t)1 << (b - SIZE_EXACT);
}

/* {=== identity (codec_seen.c) ===} */

struct seen_slot {
  uintptr_t key;          /* address of an object; low bits tell sorts apart */
  uint64_t where;         /* offset or index << 16 | epoch */
};
struct seen {
  struct seen_slot *slots;
  uint32_t mask;          /* slots - 1; 0: none yet */
  uint32_t used;
  uint32_t epoch;         /* 1..0xffff; a slot of another epoch is free */
};
enum seen_sort { SEEN_OBJECT = 0, SEEN_NAME = 1, SEEN_USERDATA = 2, SEEN_CODE = 3 };

#define EPOCH_MAX    0xffff
#define EPOCH(slot)  ((uint32_t)((slot)->where & EPOCH_MAX))

bool seen_grow (struct seen *s);
void seen_clear (struct seen *s);
void seen_free (struct seen *s);

/* The slot of 'key', or the free one where it would be: see codec_seen.c. */
static inline struct seen_slot *seen_slot (const struct seen *s, uintptr_t key) {
  uint64_t region = (uint64_t)(key >> 16) * UINT64_C(0x9E3779B97F4A7C15);
  uint32_t i = ((uint32_t)(key >> 4) + (uint32_t)(region >> 32)) & s->mask;
  while (EPOCH(&s->slots[i]) == s->epoch && s->slots[i].key != key)
    i = (i + 1) & s->mask;
  return &s->slots[i];
}

/*
** Finds 'key' or enters it with 'where'. 1: it was there, '*found' says where;
** 0: entered; -1: no memory.
*/
static inline int seen_enter (struct seen *s, uintptr_t key, uint64_t where,
                              uint64_t *found) {
  if (unlikely(s->used * 2 >= s->mask) && !seen_grow(s))
    return -1;
  struct seen_slot *slot = seen_slot(s, key);
  if (EPOCH(slot) == s->epoch) {
    *found = slot->where >> 16;
    return 1;
  }
  slot->key = key;
  slot->where = where << 16 | s->epoch;
  s->used++;
  return 0;
}

/* 'key' is there. */
static inline void seen_change (struct seen *s, uintptr_t key, uint64_t where) {
  seen_slot(s, key)->where = where << 16 | s->epoch;
}

/* {=== writing scalars ===} */

#define SHORT_MAX     31         /* strings with their length in the tag */
#define KEPT_MIN      41         /* longer ones are kept once (Lua: not interned) */
#define NUMBER_ROOM   9          /* bytes of the longest number, or before a string */

static inline char *write_integer (char *p, lua_Integer i) {
  if (likely((lua_Unsigned)i < 0x80)) {
    *p = (char)i;
    return p + 1;
  }
  if (i == (int32_t)i) {
    if (i == (int16_t)i) {
      if (i == (int8_t)i) {
        p[0] = (char)T_INT8;
        p[1] = (char)i;
        return p + 2;
      }
      p[0] = (char)T_INT16;
      store16(p + 1, (uint16_t)i);
      return p + 3;
    }
    p[0] = (char)T_INT32;
    store32(p + 1, (uint32_t)i);
    return p + 5;
  }
  p[0] = (char)T_INT64;
  store64(p + 1, (uint64_t)i);
  return p + 9;
}

static inline char *write_float (char *p, lua_Number n) {
  uint64_t bits;
  memcpy(&bits, &n, sizeof bits);
  p[0] = (char)T_FLOAT;
  store64(p + 1, bits);
  return p + 9;
}

/* Short copies, without a call. */
static inline void copy_short (char *to, const char *s, size_t n) {
  if (n >= 8) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
      memcpy(to + i, s + i, 8);
    memcpy(to + n - 8, s + n - 8, 8);
  }
  else if (n >= 4) {
    memcpy(to, s, 4);
    memcpy(to + n - 4, s + n - 4, 4);
  }
  else if (n > 0) {
    to[0] = s[0];
    to[n / 2] = s[n / 2];
    to[n - 1] = s[n - 1];
  }
}

static inline char *write_string (char *p, const char *s, size_t length) {
  if (likely(length <= SHORT_MAX)) {
    *p++ = (char)(T_STRING0 + length);
    copy_short(p, s, length);
    return p + length;
  }
  else if (length <= 0xff) {
    *p++ = (char)T_STRING8;
    *p++ = (char)length;
  }
  else if (length <= UINT32_MAX) {
    *p++ = (char)T_STRING32;
    store32(p, (uint32_t)length);
    p += 4;
  }
  else {
    *p++ = (char)T_LONG;
    store64(p, length);
    p += 8;
  }
  memcpy(p, s, length);
  return p + length;
}

/* {=== encoder ===} */

enum { CONSUMED = 0, OPENED = 1 };   /* what became of a value; < 0: see e->status */

enum frame_kind { FRAME_TABLE, FRAME_FUNCTION, FRAME_REBUILT };
enum frame_phase {
  PHASE_ARRAY,    /* table: element 'i' of 'n', by index */
  PHASE_PREFIX,   /* table: by lua_next, keys 1, 2, ... so far */
  PHASE_PAIRS,    /* table: by lua_next */
  PHASE_KEY,      /* table: a key that is no scalar is being encoded */
  PHASE_META,     /* table: its metatable */
  PHASE_UPVALUES, /* function: upvalue 'i' of 'n' */
  PHASE_GLOBALS,  /* function: global 'i' of 'n' */
  PHASE_VALUES    /* rebuilt: value 'i' of 'n' */
};

struct code;

struct frame {
  uint8_t kind, phase;
  bool has_meta;
  bool large;             /* table: the form with 32 bits */
  uint32_t count;         /* table: pairs */
  size_t pos;             /* offset of its tag */
  lua_Integer i, n;
  struct code *code;      /* function: in the cache while the function lives */
};

/* Memory of a thread, one for each encode that is under way in it. */
struct scratch {
  char *buffer;
  size_t size;
  size_t used;            /* by the last message */
  struct frame *frames;
  uint32_t frames_size;
  uint32_t refs_size;
  struct block **refs;
  struct seen seen;
  struct scratch *deeper;
};

enum gear_status {
  DONE = 0,
  AGAIN_PLAIN,            /* more than data: reading memory does not do */
  AGAIN_PROTECTED,        /* the plain gear cannot */
  NO_MEMORY,
  NO_ROOM                 /* shared memory is full */
};

struct encoder {
  lua_State *L;
  char *p, *end;          /* where the next byte goes; room ends here */
  char *body;             /* offset 0 */
  char *buffer;           /* scratch, or behind the head of 'block' */
  struct block *block;    /* in hand; NULL: bytes are in scratch */
  struct scratch *s;
  struct codec_state *state;
  uint32_t depth;         /* frames in use */
  uint32_t nrefs;
  unsigned flags;
  bool memory;            /* tables are read in place (codec_data.c) */
  bool plain;             /* must not raise */
  bool shared;            /* something is marked */
  bool weak;              /* a weak table was met: it does not hold what it has */
  uint32_t spilled;       /* frames whose slots are in the spill table */
  int bottom;             /* stack: the spill table; frames begin above */
  int status;             /* why the gear stopped */
  /* for refusals */
  bool raises;            /* the refusal gets to the program: say where */
  const char *what;
  int base, first, n, current;
};

int encode_values (struct encoder *e);          /* an enum gear_status */
/* Numbers of an array part from 'v' on, at most n: how many there were before
   something else; fewer too where there was no room, see e->status. */
struct peek_value;
size_t encoder_put_numbers (struct encoder *e, const struct peek_value *v, size_t n);
/* A run that begins at p, of at most 'most', into v: where it ends; NULL: it does
   not fit. */
const char *numbers_read (const char *p, const char *end, size_t most,
                          struct peek_value *v, size_t *count);
/* The table at 'address' and all that it holds. CONSUMED, or < 0. */
int data_put (struct encoder *e, const void *address);
bool scratch_frames (struct scratch *s);        /* room for more; false: no memory */
static inline int encoder_stop (struct encoder *e, int status) {
  e->status = status;
  return -1;
}
int encoder_grow (struct encoder *e, size_t more);
uint32_t encoder_ref (struct encoder *e, struct block *b);  /* UINT32_MAX: no memory */
bool encoder_put_string (struct encoder *e, int idx);       /* false: e->status */
/* "cannot send ...": the value at 'idx', the next child of the top frame. */
_Noreturn void codec_refuse (struct encoder *e, int idx, const char *why, ...);
_Noreturn void codec_refuse_type (struct encoder *e, int idx, const char *type);

static inline size_t encoder_offset (const struct encoder *e) {
  return (size_t)(e->p - e->body);
}
static inline bool encoder_room (struct encoder *e, size_t more) {
  return likely((size_t)(e->end - e->p) >= more) || encoder_grow(e, more) == DONE;
}

/* A back reference to the object at 'offset', whose tag gets its mark. */
static inline int encoder_put_ref (struct encoder *e, int tag, uint64_t offset) {
  if (!encoder_room(e, 9))
    return -1;
  e->body[offset] = (char)(e->body[offset] | MARKED);
  e->shared = true;
  e->p[0] = (char)tag;
  store64(e->p + 1, offset);
  e->p += 9;
  return CONSUMED;
}

/* Code of the program is about to run, and may send and receive itself: raises where
   this thread is so deep in messages that it has its hands full. */
void codec_check_hand (lua_State *L);

/* {=== per state (codec.c) ===} */

/*
** The registry has, by light userdata keys, a state's own tables ('slots') and
** a userdata, the struct; its pointers lead to other userdata of the state.
*/
enum slot {
  SLOT_FUNCTIONS,     /* weak keys: function -> userdata with its code */
  SLOT_CODES,         /* hash of bytecode -> that userdata; weak values */
  SLOT_LOADED,        /* id of bytecode -> function made of it */
  SLOT_OWN,           /* name of a thing of the standard library -> the thing */
  SLOT_MODULES,       /* name of a module -> what it had when first seen:
                         [true] itself, [field] ...; weak values */
  SLOT_FOUND,         /* name of a module -> file, or true; false: none finds it */
  SLOT_MAP,           /* the userdata of 'map' */
  SLOT_PLACES,        /* 2i + 1, 2i + 2: names of module and field of place i */
  SLOT_ASSIGNED,      /* names of standard globals that decoding assigned */
  SLOT_PENDING,       /* list of names that require was asked for */
  SLOT_LIBRARY,       /* the table 'package' */
  SLOT_MODULE_LIST,   /* package.loaded */
  SLOT_FRESH,         /* what was in the libraries when 'fresh' was noted */
  SLOT_WEAK,          /* the metatable of tables with weak values */
  SLOT_COUNT
};

#define LIBRARY_TABLES  10      /* those of the standard library; package.preload */

struct codec_state {
  const void *globals;        /* address of the table of globals */
  struct place_map *map;      /* addresses of what is found by name */
  uint32_t version;           /* rises when require looks for a module */
  uint32_t scanned;           /* the version that 'map' was made for; 0: none */
  uint32_t npending;
  uint32_t patience;          /* with names that are pending */
  uint32_t nloaded;           /* entries of SLOT_LOADED */
  bool assigned;              /* SLOT_ASSIGNED is not empty */
  uint64_t fresh;             /* hash of these tables when they were as in a
                                 fresh state; 0: not known */
  const void *libraries[LIBRARY_TABLES];
};

extern const struct codec_objects *codec_objects;   /* constant after init */

struct codec_state *codec_state (lua_State *L);     /* opened if need be; may raise */
struct codec_state *codec_state_met (lua_State *L); /* NULL: not open; no raise */
void codec_slot (lua_State *L, enum slot slot);     /* pushes it */
void codec_set_slot (lua_State *L, enum slot slot); /* pops it */

/* {=== found by name (codec_module.c) ===} */

enum found { FOUND_NOTHING = 0, FOUND_WRITTEN, FOUND_AGAIN };

void module_open (lua_State *L);     /* a state to be thrown away */
void module_open_state (lua_State *L, struct codec_state *cs);
/*
** The table, function or userdata on the top: is it found by name? Then the
** name is written (FOUND_WRITTEN). FOUND_AGAIN: see e->status.
*/
enum found module_put (struct encoder *e, const void *address);
/* The state's tables are up to date with what is loaded; false: see e->status. */
bool module_ready (struct encoder *e);

/* The address map of a state: open addressing. */
struct place {
  const void *address;         /* NULL: free */
  uint32_t index;              /* in SLOT_PLACES */
  uint8_t sort;                /* enum sort */
  uint8_t known;               /* enum known: what was found out about it */
};
struct place_map {
  uint32_t mask;
  uint32_t used;
  struct place places[];
};
static inline struct place *map_slot (struct place_map *m, const void *address) {
  /* the lower half alone: that is the same in a copy of the state (state.c) */
  uint64_t h = (uint64_t)(uint32_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15);
  uint32_t i = (uint32_t)(h >> 32) & m->mask;
  while (m->places[i].address != NULL && m->places[i].address != address)
    i = (i + 1) & m->mask;
  return &m->places[i];
}
/* How often a require, in any state of the process, has looked for a module. */
extern _Atomic uint32_t module_loads;
/* May what is at the address be found by name? */
static inline bool module_knows (const struct codec_state *cs, const void *address) {
  return map_slot(cs->map, address)->address != NULL;
}
/* [name] [value] on the top: is the value what the standard library has under
   this global name? */
bool module_is_own_global (lua_State *L, struct codec_state *cs);
/* Pushes the thing; false: the standard library has none of that name. */
bool module_push_std (lua_State *L, const char *name, size_t length);
/* Names on the top, module [field], become the thing; raises. */
void module_push (lua_State *L, bool with_field);
/* The name at 'idx' is being assigned to as a global. */
void module_note_assigned (lua_State *L, int idx);
/* Standard globals that decoding has assigned are the state's own again. */
void module_restore_assigned (lua_State *L);
/* Is the value on the top what every fresh state has as 'library.field'? */
bool module_is_pristine (lua_State *L, struct codec_state *cs, const char *library,
                         const char *field);
const char *module_pristine_path (bool cpath);

void setting_open_state (lua_State *L, struct codec_state *cs);

/* {=== functions (codec_function.c) ===} */

struct code_head {            /* a block of KIND_CODE; the bytecode follows */
  struct block head;
  uint64_t id;                /* unique in the program */
  uint64_t hash;
  uint64_t length;            /* of the bytecode */
  uint32_t nups;
  uint32_t constant;          /* no function in it assigns to an upvalue */
};
static inline char *code_bytes (struct code_head *c) {
  return (char *)(c + 1);
}

struct up_set { uint64_t bits[4]; };   /* of upvalues, from 0 to 255 */
static inline bool up_has (const struct up_set *s, int up) {
  return (s->bits[up >> 6] >> (up & 63) & 1) != 0;
}
static inline void up_add (struct up_set *s, int up) {
  s->bits[up >> 6] |= UINT64_C(1) << (up & 63);
}

struct code {                 /* userdata; its uservalue: { name, upvalue, ... } */
  struct block *block;        /* NULL: not made, or let go */
  uint32_t slot;              /* handle of this process */
  uint32_t nups;
  uint32_t nnames;            /* pairs in the uservalue */
  struct up_set naming;       /* upvalues that occur in it */
  const void *nobodys;        /* a function of this code that was no module's */
  uint32_t loads;             /* when module_loads was that */
};

void function_open (lua_State *L);   /* a state to be thrown away */
void function_open_state (lua_State *L);
/* Of the function on the top, if it has been sent by its code before; or NULL. */
struct code *function_met (struct encoder *e);
/* The same, made if need be. NULL: see e->status. */
struct code *function_code (struct encoder *e);
/* Pushes the list of names that the code of the function on the top looks up in
   the table of globals, for function_push_name; false: there are none. */
bool function_push_names (struct encoder *e, const struct code *code);
/* Pushes the i-th of code->nnames; false: nothing, it is no global's. */
bool function_push_name (lua_State *L, int names, lua_Integer i);
/* Pushes a new function of this bytecode; raises. */
void function_load (lua_State *L, const char *bytes, size_t length, int nups);
/* Pushes the one made of this code before, if its upvalue still is what it was. */
bool function_push_loaded (lua_State *L, uint64_t id, bool with_env);
void function_keep_loaded (lua_State *L, uint64_t id);

/* {=== deep graphs ===} */

/* Slots moved at a time from a Lua stack that gets too long to a table. */
#define SPILL_SLOTS  60000

#endif
