/*
** codec.h - floor 4: Lua values <-> bytes
**
** One graph a message: tables, functions and upvalues keep sharing, cycles and
** identity inside it. See docs/design.md for what travels, and how.
*/
#ifndef CONC_CODEC_H
#define CONC_CODEC_H

#include <lua.h>
#include "message.h"

enum codec_flags {
  CODEC_RUN   = 1,   /* the first value is a function about to be run: its
                        globals are assigned over the receiver's */
  CODEC_BYTES = 2,   /* for conc.encode: no conc objects, no light userdata */
  CODEC_DATA  = 4    /* decode: refuse functions and whatever calls require */
};

/*
** Encodes the 'n' values from stack index 'first'. 'what' says how a refusal
** names them: "argument", "result", "item", "value" ..., and 'base' is the
** number of the first ("argument 2"; 0: from 1 on, and a single one has none).
** Raises "cannot send ..." with the path, having allocated nothing that stays.
** The bytes of '*out' are good until this thread encodes again.
*/
void codec_encode (lua_State *L, int first, int n, unsigned flags,
                   const char *what, int base, struct parcel *out);
/* The same in protected form: 0, or a Lua status with the error on the stack. */
int codec_try_encode (lua_State *L, int first, int n, unsigned flags,
                      const char *what, int base, struct parcel *out);

/* Pushes the values; returns how many. Raises on malformed bytes, on a module
   that cannot be required, on lack of memory. 'refs' are the message's. */
int codec_decode (lua_State *L, const char *bytes, size_t length,
                  struct block *_Atomic const *refs, uint32_t nrefs, unsigned flags);
int codec_decode_message (lua_State *L, struct block *message, unsigned flags);

/* True, or the reason is pushed: conc.can_send. */
bool codec_can_send (lua_State *L, int idx);

/* How floor 7 turns handles into blocks and back; set once at load. */
struct codec_objects {
  struct block *(*to_block) (lua_State *L, int idx);    /* NULL: no conc object */
  /* It is sent. False: to note that may raise, and 'quiet' must not. */
  bool (*sent) (lua_State *L, int idx, bool quiet);
  void (*push_block) (lua_State *L, struct block *b);   /* its handle in L */
};
void codec_open (const struct codec_objects *objects);
/* Registers what a state's own standard library is; for each state, once,
   right after its libraries were opened (or as early as can be had). */
void codec_open_state (lua_State *L);
/* Drops the bytecode kept for functions that this state sent or got. */
void codec_forget (lua_State *L);
/* The value on the top (popped) is from now on this state's own 'name': of the
   standard library ("_G.print") or of the core (".cancelled"). */
void codec_own (lua_State *L, const char *name);

/*
** What a new state gets of its maker's: package.path, cpath, preload, fields
** added to the standard library's tables. True: there is something to send, in
** '*out'; false: it is all as in a fresh state. May raise ("cannot send ...").
*/
bool codec_encode_setting (lua_State *L, struct parcel *out);
/* In the new state, before anything else; may raise. */
void codec_apply_setting (lua_State *L, struct block *message);

/* Do these bytes hold one function with nothing of its own: no upvalue but the
   globals, and no global sent along? Then one decoded copy serves many calls. */
bool codec_is_bare_function (const char *bytes, size_t length);

/*
** One string as a message has it, without a lua_State (conc.h). Reading: NULL
** where the bytes are something else.
*/
size_t codec_string_size (size_t length);      /* at most so many bytes */
size_t codec_write_string (char *to, const char *s, size_t length);
const char *codec_read_string (const char *bytes, size_t size, size_t *length);

#endif
