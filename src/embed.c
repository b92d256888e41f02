/*
** embed.c - floor 7: conc.h
**
** Objects of the host's are handles of the process, as those of Lua are. Items
** go by plain records (queue.h), without the codec; what else comes out of a
** queue is kept as its record until somebody has a lua_State for it.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "conc.h"
#include "embed.h"
#include "bind.h"
#include "bind_queue.h"
#include "event.h"
#include "queue.h"
#include "state.h"
#include "sys.h"
#include "value.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conc_object {
  struct block *block;           /* constant */
  uint32_t slot;                 /* handle that counts it; constant */
};

/* {=== states ===} */

static void (*_Atomic on_state) (lua_State *L);

void conc_on_state (void (*f) (lua_State *L)) {
  store_release(&on_state, f);
}

static int call_host (lua_State *L) {
  void (*f) (lua_State *) = load_acquire(&on_state);
  if (f != NULL)
    f(L);
  return 0;
}

/* A module that is part of the program is found by no searcher. */
static bool is_static (void) {
  int (*f) (lua_State *);
  *(void **)&f = dlsym(RTLD_DEFAULT, "luaopen_conc_core");
  return f == luaopen_conc_core;
}

static int add_preload (lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_conc_core);
  lua_setfield(L, -2, "conc.core");
  return 0;
}

static void protect (lua_State *L, lua_CFunction f) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, f);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "conc: the host's function for new states failed: %s\n",
            text != NULL ? text : "(no text)");
  }
  lua_settop(L, top);
}

void embed_new_state (lua_State *L) {
  static _Atomic int linked;     /* 0: not known, 1: no, 2: yes */
  if (load_relaxed(&linked) == 0)
    store_relaxed(&linked, is_static() ? 2 : 1);
  if (load_relaxed(&linked) == 2)
    protect(L, add_preload);
  if (load_relaxed(&on_state) != NULL) {
    state_not_plain(L);          /* the host may have set finalizers */
    protect(L, call_host);
  }
}

/* {=== objects ===} */

static conc_object *object_new (struct block *b) {
  conc_object *o = malloc(sizeof *o);
  if (o == NULL)
    return NULL;
  o->block = b;
  o->slot = handle_new(b);
  if (o->slot == UINT32_MAX) {
    free(o);
    return NULL;
  }
  return o;
}

conc_object *conc_check (lua_State *L, int idx, const char *type) {
  struct block *b = bind_toblock(L, idx);
  if (b == NULL || strcmp(block_ops(b)->name, type) != 0)
    luaL_argerror(L, idx, lua_pushfstring(L, "conc.%s expected, got %s%s", type,
                                          b != NULL ? "conc." : "",
                                          b != NULL ? block_ops(b)->name
                                                    : luaL_typename(L, idx)));
  bind_note_sent(L, idx, false);
  conc_object *o = object_new(b);
  if (o == NULL)
    bind_full(L);
  return o;
}

void conc_push (lua_State *L, conc_object *o) {
  bind_pushblock(L, o->block);
}

void conc_release (conc_object *o) {
  if (o == NULL)
    return;
  handle_drop(o->slot);
  free(o);
}

/* {=== results ===} */

static int result_of (int rc) {
  switch (rc) {
    case CONC_OK: case CONC_ABANDONED: return 0;
    case CONC_TIMEOUT: return CONC_ETIMEOUT;
    case CONC_CLOSED: return CONC_ECLOSED;
    case CONC_FULL: return CONC_EFULL;
    case CONC_CANCELLED: case CONC_INTERRUPTED: return CONC_ECANCELLED;
    default: return CONC_ETYPE;
  }
}

const char *conc_strerror (int result) {
  static const char *const texts[] = {
    "no error", "timeout", "closed", "cancelled", "shared memory is full",
    "of another type"
  };
  return result >= 0 && result <= CONC_ETYPE ? texts[result] : "unknown";
}

static deadline until_of (double timeout) {
  return timeout == CONC_FOREVER || (isinf(timeout) && timeout > 0)
       ? DEADLINE_NEVER : sys_deadline(timeout);
}

/* {=== records ===} */

static void plain (struct record *r, enum plain type, const void *bytes, size_t length) {
  r->head.length = RECORD_PLAIN | (uint32_t)length;
  r->head.flags = (uint32_t)type;
  record_pad(r, length);
  if (length > 0)
    memcpy(r->u.bytes, bytes, length);
}

/* A long string: a message as the codec writes one. */
static bool long_string (struct queue *q, struct record *r, const conc_item *item) {
  char *bytes = malloc(codec_string_size(item->u.string.length));
  if (bytes == NULL)
    return false;
  size_t size = codec_write_string(bytes, item->u.string.bytes, item->u.string.length);
  struct parcel p = { .bytes = bytes, .length = size };
  bool packed = queue_pack(q, &p, r);
  free(bytes);
  return packed;
}

/* 0, CONC_ETYPE, CONC_EFULL. */
static int pack (struct queue *q, struct record *r, const conc_item *item) {
  int64_t truth;
  switch (item->type) {
    case CONC_TINTEGER:
      plain(r, PLAIN_INTEGER, &item->u.integer, sizeof item->u.integer);
      return 0;
    case CONC_TNUMBER:
      plain(r, PLAIN_FLOAT, &item->u.number, sizeof item->u.number);
      return 0;
    case CONC_TBOOLEAN:
      truth = item->u.boolean != 0;
      plain(r, PLAIN_BOOLEAN, &truth, sizeof truth);
      return 0;
    case CONC_TSTRING:
      if (item->u.string.length <= queue_inline(q)) {
        plain(r, PLAIN_STRING, item->u.string.bytes, item->u.string.length);
        return 0;
      }
      return long_string(q, r, item) ? 0 : CONC_EFULL;
    default:
      return CONC_ETYPE;
  }
}

static bool copy_string (conc_item *item, const char *bytes, size_t length) {
  char *copy = malloc(length + 1);
  if (copy == NULL)
    return false;
  memcpy(copy, bytes, length);
  copy[length] = '\0';
  item->type = CONC_TSTRING;
  item->u.string.bytes = copy;
  item->u.string.length = length;
  return true;
}

/* What needs Lua is kept whole. */
static bool keep (conc_item *item, const struct record_head *h) {
  size_t size = record_size(h);
  item->type = CONC_TOTHER;
  item->u.other = malloc(size);
  if (item->u.other != NULL)
    memcpy(item->u.other, h, size);
  return item->u.other != NULL;
}

static struct block *block_of (const struct record_head *h) {
  struct block *b = NULL;
  if (h->length & RECORD_BLOCK)
    memcpy(&b, h + 1, sizeof b);
  return b;
}

static bool unpack_plain (conc_item *item, const struct record_head *h) {
  const char *bytes = (const char *)(h + 1);
  int64_t truth;
  switch (h->flags) {
    case PLAIN_INTEGER:
      item->type = CONC_TINTEGER;
      memcpy(&item->u.integer, bytes, sizeof item->u.integer);
      return true;
    case PLAIN_FLOAT:
      item->type = CONC_TNUMBER;
      memcpy(&item->u.number, bytes, sizeof item->u.number);
      return true;
    case PLAIN_BOOLEAN:
      memcpy(&truth, bytes, sizeof truth);
      item->type = CONC_TBOOLEAN;
      item->u.boolean = (int)truth;
      return true;
    default:
      return copy_string(item, bytes, h->length & ~RECORD_PLAIN);
  }
}

/* The bytes of a message that is one string; NULL: it is not. */
static const char *string_of (const struct record_head *h, size_t *length) {
  struct block *b = block_of(h);
  if (b == NULL)
    return codec_read_string((const char *)(h + 1), h->length, length);
  struct message *m = (struct message *)(void *)b;
  return codec_read_string(message_bytes(m), (size_t)m->length, length);
}

static bool unpack (conc_item *item, const struct record_head *h) {
  size_t length;
  if (h->length & RECORD_PLAIN)
    return unpack_plain(item, h);
  const char *bytes = string_of(h, &length);
  if (bytes == NULL)
    return keep(item, h);
  bool copied = copy_string(item, bytes, length);
  if (copied && block_of(h) != NULL)
    block_destroy(block_of(h));
  return copied;
}

/* {=== put, get, set ===} */

static bool is_queue (struct block *b) {
  return b->kind == KIND_QUEUE || b->kind == KIND_LIFO_QUEUE;
}

static int queue_in (struct queue *q, const conc_item *item, double timeout) {
  struct record r;
  int rc = pack(q, &r, item);
  if (rc != 0)
    return rc;
  rc = queue_put(q, &r, NULL, until_of(timeout));
  if (rc != CONC_OK && block_of(&r.head) != NULL)
    block_destroy(block_of(&r.head));
  return result_of(rc);
}

static int queue_out (struct queue *q, conc_item *item, double timeout) {
  struct record r;
  struct sink s = { .to = (char *)&r, .size = sizeof r, .max = 1 };
  int rc = queue_get(q, &s, until_of(timeout));
  if (rc != CONC_OK)
    return result_of(rc);
  if (unpack(item, &r.head))
    return 0;
  if (block_of(&r.head) != NULL)
    block_destroy(block_of(&r.head));
  item->type = CONC_TNIL;
  return CONC_EFULL;
}

static int value_in (struct value *v, const conc_item *item) {
  uint64_t bits;
  if (v->type == VALUE_INTEGER && item->type == CONC_TINTEGER)
    bits = (uint64_t)item->u.integer;
  else if (v->type == VALUE_FLOAT && item->type == CONC_TNUMBER)
    memcpy(&bits, &item->u.number, sizeof bits);
  else if (v->type == VALUE_BOOLEAN && item->type == CONC_TBOOLEAN)
    bits = item->u.boolean != 0;
  else
    return CONC_ETYPE;
  value_set(v, bits);
  return 0;
}

static int value_out (struct value *v, conc_item *item) {
  uint64_t bits = value_get(v);
  if (v->type == VALUE_INTEGER) {
    item->type = CONC_TINTEGER;
    item->u.integer = (int64_t)bits;
  }
  else if (v->type == VALUE_FLOAT) {
    item->type = CONC_TNUMBER;
    memcpy(&item->u.number, &bits, sizeof bits);
  }
  else {
    item->type = CONC_TBOOLEAN;
    item->u.boolean = bits != 0;
  }
  return 0;
}

int conc_put (conc_object *o, const conc_item *item, double timeout) {
  if (!is_queue(o->block) || item == NULL)
    return CONC_ETYPE;
  return queue_in(queue_of(o->block), item, timeout);
}

int conc_set (conc_object *o, const conc_item *item) {
  if (o->block->kind == KIND_EVENT) {
    event_set((struct event *)(void *)o->block);
    return 0;
  }
  return o->block->kind == KIND_VALUE && item != NULL
       ? value_in(value_of(o->block), item) : CONC_ETYPE;
}

int conc_get (conc_object *o, conc_item *item, double timeout) {
  if (item != NULL)
    item->type = CONC_TNIL;
  if (o->block->kind == KIND_EVENT)
    return result_of(event_wait((struct event *)(void *)o->block, until_of(timeout)));
  if (item == NULL)
    return CONC_ETYPE;
  if (o->block->kind == KIND_VALUE)
    return value_out(value_of(o->block), item);
  return is_queue(o->block) ? queue_out(queue_of(o->block), item, timeout) : CONC_ETYPE;
}

void conc_clear (conc_item *item) {
  if (item->type == CONC_TSTRING)
    free(item->u.string.bytes);
  else if (item->type == CONC_TOTHER) {
    struct block *b = block_of((struct record_head *)item->u.other);
    if (b != NULL)
      block_destroy(b);
    free(item->u.other);
  }
  item->type = CONC_TNIL;
}

void conc_pushitem (lua_State *L, const conc_item *item) {
  const struct record_head *h = (const struct record_head *)item->u.other;
  switch (item->type) {
    case CONC_TBOOLEAN: lua_pushboolean(L, item->u.boolean); break;
    case CONC_TINTEGER: lua_pushinteger(L, (lua_Integer)item->u.integer); break;
    case CONC_TNUMBER: lua_pushnumber(L, (lua_Number)item->u.number); break;
    case CONC_TSTRING:
      lua_pushlstring(L, item->u.string.bytes, item->u.string.length);
      break;
    case CONC_TOTHER:
      if (block_of(h) != NULL)
        codec_decode_message(L, block_of(h), 0);
      else
        codec_decode(L, (const char *)(h + 1), h->length, NULL, 0, h->flags);
      break;
    default: lua_pushnil(L); break;
  }
}

/* {=== open ===} */

/* package.preload may name us: then the new states of a thread have us too. */
void bind_open_embed (lua_State *L) {
  lua_pushcfunction(L, luaopen_conc_core);
  codec_own(L, "luaopen_conc_core");
}
