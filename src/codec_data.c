/*
** codec_data.c - floor 4: tables of plain data, read where they lie
**
** nil, booleans, numbers, strings and tables of them, sharing and cycles
** included; most messages are no more. Whatever is more (a metatable, a
** function, a table that a module has) stops this gear, and the message starts
** again through the API. Nothing here touches the Lua stack or allocates in
** Lua, so nothing moves and no collector runs.
*/
#include "codec_impl.h"
#include "codec_peek.h"

static inline size_t string_length (const struct peek_string *s, unsigned char type) {
  return type == PEEK_SHORT ? s->short_length : s->u.long_length;
}

/* A string that is written once, as the API's put_kept_string. */
static int put_long (struct encoder *e, const struct peek_string *s) {
  uint64_t found;
  size_t length = s->u.long_length;
  int met = seen_enter(&e->s->seen, (uintptr_t)s, encoder_offset(e), &found);
  if (met < 0)
    return encoder_stop(e, NO_MEMORY);
  if (met)
    return encoder_put_ref(e, T_REF, found);
  if (!encoder_room(e, length + NUMBER_ROOM))
    return -1;
  *e->p++ = (char)T_LONG;
  store64(e->p, length);
  memcpy(e->p + 8, s->bytes, length);
  e->p += 8 + length;
  return CONSUMED;
}

/* OPENED: it is a table. */
static inline int put_scalar (struct encoder *e, unsigned char type,
                              const union peek_payload *u) {
  if (type == PEEK_SHORT) {
    const struct peek_string *s = (const struct peek_string *)u->p;
    if (!encoder_room(e, (size_t)s->short_length + NUMBER_ROOM))
      return -1;
    e->p = write_string(e->p, s->bytes, s->short_length);
    return CONSUMED;
  }
  if (!encoder_room(e, NUMBER_ROOM))
    return -1;
  switch (type) {
    case PEEK_INTEGER: e->p = write_integer(e->p, u->i); return CONSUMED;
    case PEEK_FLOAT: e->p = write_float(e->p, u->n); return CONSUMED;
    case PEEK_FALSE: *e->p++ = (char)T_FALSE; return CONSUMED;
    case PEEK_TRUE: *e->p++ = (char)T_TRUE; return CONSUMED;
    case PEEK_LONG: return put_long(e, (const struct peek_string *)u->p);
    case PEEK_TABLE: return OPENED;
    default: return encoder_stop(e, AGAIN_PLAIN);
  }
}

static int open_table (struct encoder *e, const struct peek_table *t) {
  struct scratch *s = e->s;
  uint64_t found;
  int met = seen_enter(&s->seen, (uintptr_t)t, encoder_offset(e), &found);
  if (unlikely(met < 0))
    return encoder_stop(e, NO_MEMORY);
  if (met)
    return encoder_put_ref(e, T_REF, found);
  if (t->metatable != NULL || module_knows(e->state, t))
    return encoder_stop(e, AGAIN_PLAIN);
  if (unlikely(e->depth == s->frames_size) && !scratch_frames(s))
    return encoder_stop(e, NO_MEMORY);
  if (!encoder_room(e, 6))
    return -1;
  struct frame *f = &s->frames[e->depth++];
  size_t n = peek_array_size(t);
  f->phase = PHASE_ARRAY;
  f->table = t;
  f->count = 0;
  f->i = 0;
  f->n = (lua_Integer)n;
  f->large = n > 0xff;
  f->pos = encoder_offset(e);
  *e->p = (char)(f->large ? T_TABLE32 : T_TABLE8);
  e->p += f->large ? 6 : 3;
  return OPENED;
}

/* A run of numbers; where it ends. */
static lua_Integer put_numbers (struct encoder *e, const struct peek_value *v,
                                lua_Integer i, lua_Integer n) {
  while (i < n) {
    lua_Integer upto = n - i < 1024 ? n : i + 1024;
    if (!encoder_room(e, 1024 * NUMBER_ROOM))
      return -1;
    char *p = e->p;
    for (; i < upto; i++) {
      if (v[i].type == PEEK_INTEGER)
        p = write_integer(p, v[i].u.i);
      else if (v[i].type == PEEK_FLOAT)
        p = write_float(p, v[i].u.n);
      else {
        e->p = p;
        return i;
      }
    }
    e->p = p;
  }
  return i;
}

static void patch_elements (struct encoder *e, const struct frame *f) {
  char *p = e->body + f->pos + 1;
  if (f->large)
    store32(p, (uint32_t)f->i);
  else
    *p = (char)f->i;
}

/* The elements before the first nil. */
static int step_array (struct encoder *e, struct frame *f) {
  const struct peek_value *v = f->table->array;
  while (f->i < f->n) {
    if (f->large) {
      lua_Integer i = put_numbers(e, v, f->i, f->n);
      if (i < 0)
        return -1;
      if ((f->i = i) == f->n)
        break;
    }
    const struct peek_value *x = &v[f->i];
    if (peek_is_nil(x->type))
      break;
    int rc = put_scalar(e, x->type, &x->u);
    if (rc < 0)
      return rc;
    f->i++;
    if (rc == OPENED && (rc = open_table(e, (const struct peek_table *)x->u.p)) != CONSUMED)
      return rc;
  }
  patch_elements(e, f);
  f->phase = PHASE_PAIRS;
  return CONSUMED;
}

static inline int put_key (struct encoder *e, unsigned char type,
                           const union peek_payload *u) {
  int rc = put_scalar(e, type, u);
  return rc == OPENED ? encoder_stop(e, AGAIN_PLAIN) : rc;
}

/* What is behind the first nil of the array; then the nodes. */
static int step_pairs (struct encoder *e, struct frame *f) {
  const struct peek_table *t = f->table;
  lua_Integer total = f->n + ((lua_Integer)1 << t->log_nodes);
  while (f->i < total) {
    const union peek_payload *u;
    unsigned char type;
    int rc;
    lua_Integer i = f->i++;
    if (unlikely(i < f->n)) {
      const struct peek_value *x = &t->array[i];
      union peek_payload key = { .i = i + 1 };
      if (peek_is_nil(type = x->type))
        continue;
      u = &x->u;
      rc = put_key(e, PEEK_INTEGER, &key);
    }
    else {
      const struct peek_node *x = &t->nodes[i - f->n];
      if (peek_is_nil(type = x->type))
        continue;
      u = &x->u;
      rc = put_key(e, x->key_type, &x->key);
    }
    if (rc < 0)
      return rc;
    f->count++;
    rc = put_scalar(e, type, u);
    if (rc == OPENED)
      rc = open_table(e, (const struct peek_table *)u->p);
    if (rc != CONSUMED)
      return rc;
  }
  e->body[f->pos + (f->large ? 5 : 2)] = (char)size_pack(f->count);
  if (f->count > 0) {
    if (!encoder_room(e, 1))
      return -1;
    *e->p++ = (char)T_END;
  }
  e->depth--;
  return CONSUMED;
}

int data_put (struct encoder *e, const void *address) {
  uint32_t base = e->depth;
  if (e->state == NULL && !module_ready(e))
    return -1;
  int rc = open_table(e, (const struct peek_table *)address);
  while (rc >= 0 && e->depth > base) {
    struct frame *f = &e->s->frames[e->depth - 1];
    if (f->phase == PHASE_ARRAY && (rc = step_array(e, f)) != CONSUMED)
      continue;
    rc = step_pairs(e, f);
  }
  return rc < 0 ? rc : CONSUMED;
}
