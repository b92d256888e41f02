/*
** codec_data.c - floor 4: tables of plain data, read where they lie
**
** nil, booleans, numbers, strings and tables of them, sharing and cycles
** included; most messages are no more. Whatever is more (a metatable, a
** function, a table that a module has, tables nested deeper than C likes to
** recur) stops this gear, and the message starts again through the API. Nothing
** here touches the Lua stack or allocates in Lua, so nothing moves and no
** collector runs.
**
** Each function takes where the next byte goes and returns where it went on;
** NULL: see e->status.
*/
#include "codec_impl.h"
#include "codec_peek.h"

#define DEPTH_MAX  150

static char *fail (struct encoder *e, int status) {
  e->status = status;
  return NULL;
}

/* 'p' with room for 'n' bytes more. */
static inline char *room (struct encoder *e, char *p, size_t n) {
  if (likely((size_t)(e->end - p) >= n))
    return p;
  e->p = p;
  return encoder_grow(e, n) == DONE ? e->p : NULL;
}

static char *put_ref (struct encoder *e, char *p, uint64_t offset) {
  if ((p = room(e, p, 9)) == NULL)
    return NULL;
  e->p = p;
  encoder_put_ref(e, T_REF, offset);
  return e->p;
}

/* A string that is written once. */
static char *put_long (struct encoder *e, char *p, const struct peek_string *s) {
  uint64_t found;
  size_t length = s->u.long_length;
  int met = seen_enter(&e->s->seen, (uintptr_t)s, (size_t)(p - e->body), &found);
  if (met < 0)
    return fail(e, NO_MEMORY);
  if (met)
    return put_ref(e, p, found);
  if ((p = room(e, p, length + NUMBER_ROOM)) == NULL)
    return NULL;
  *p++ = (char)T_LONG;
  store64(p, length);
  memcpy(p + 8, s->bytes, length);
  return p + 8 + length;
}

static char *put_table (struct encoder *e, char *p, const struct peek_table *t, int depth);

static inline char *put_value (struct encoder *e, char *p, unsigned char type,
                               const union peek_payload *u, int depth) {
  if ((p = room(e, p, KEPT_MIN + NUMBER_ROOM)) == NULL)
    return NULL;
  switch (type) {
    case PEEK_SHORT: {
      const struct peek_string *s = (const struct peek_string *)u->p;
      return write_string(p, s->bytes, s->short_length);
    }
    case PEEK_INTEGER: return write_integer(p, u->i);
    case PEEK_FLOAT: return write_float(p, u->n);
    case PEEK_TABLE:
      return put_table(e, p, (const struct peek_table *)u->p, depth + 1);
    case PEEK_FALSE: *p = (char)T_FALSE; return p + 1;
    case PEEK_TRUE: *p = (char)T_TRUE; return p + 1;
    case PEEK_LONG: return put_long(e, p, (const struct peek_string *)u->p);
    default: return fail(e, AGAIN_PLAIN);
  }
}

/* The elements before the first nil; '*n' is their number then. */
static char *put_elements (struct encoder *e, char *p, const struct peek_table *t,
                           size_t *n, int depth) {
  const struct peek_value *v = t->array;
  size_t i = 0, size = *n;
  while (i < size) {
    if (size > 0xff) {
      e->p = p;
      i += encoder_put_numbers(e, v + i, size - i);
      if (e->status != DONE)
        return NULL;
      p = e->p;
    }
    if (i == size || peek_is_nil(v[i].type))
      break;
    if ((p = put_value(e, p, v[i].type, &v[i].u, depth)) == NULL)
      return NULL;
    i++;
  }
  *n = i;
  return p;
}

static inline char *put_pair (struct encoder *e, char *p, unsigned char key_type,
                              const union peek_payload *key, unsigned char type,
                              const union peek_payload *u, int depth) {
  if (unlikely(key_type == PEEK_TABLE))
    return fail(e, AGAIN_PLAIN);
  if ((p = put_value(e, p, key_type, key, depth)) == NULL)
    return NULL;
  return put_value(e, p, type, u, depth);
}

/* What is behind the first nil of the array, and the nodes. */
static char *put_pairs (struct encoder *e, char *p, const struct peek_table *t,
                        size_t first, size_t size, size_t *count, int depth) {
  size_t n = 0;
  for (size_t i = first; i < size; i++) {
    const struct peek_value *x = &t->array[i];
    union peek_payload key = { .i = (lua_Integer)i + 1 };
    if (peek_is_nil(x->type))
      continue;
    if ((p = put_pair(e, p, PEEK_INTEGER, &key, x->type, &x->u, depth)) == NULL)
      return NULL;
    n++;
  }
  const struct peek_node *x = t->nodes, *end = x + ((size_t)1 << t->log_nodes);
  for (; x < end; x++) {
    if (peek_is_nil(x->type))
      continue;
    if ((p = put_pair(e, p, x->key_type, &x->key, x->type, &x->u, depth)) == NULL)
      return NULL;
    n++;
  }
  *count = n;
  return p;
}

static char *put_table (struct encoder *e, char *p, const struct peek_table *t, int depth) {
  uint64_t found;
  size_t pos = (size_t)(p - e->body), size = peek_array_size(t), n = size, count;
  bool large = size > 0xff;
  int met = seen_enter(&e->s->seen, (uintptr_t)t, pos, &found);
  if (unlikely(met != 0))
    return met > 0 ? put_ref(e, p, found) : fail(e, NO_MEMORY);
  if (unlikely(t->metatable != NULL || depth > DEPTH_MAX || module_knows(e->state, t)))
    return fail(e, AGAIN_PLAIN);
  if ((p = room(e, p, 6)) == NULL)
    return NULL;
  *p = (char)(large ? T_TABLE32 : T_TABLE8);
  p += large ? 6 : 3;
  if (size > 0 && (p = put_elements(e, p, t, &n, depth)) == NULL)
    return NULL;
  if ((p = put_pairs(e, p, t, n, size, &count, depth)) == NULL)
    return NULL;
  char *head = e->body + pos + 1;
  if (large)
    store32(head, (uint32_t)n);
  else
    *head = (char)n;
  head[large ? 4 : 1] = (char)size_pack(count);
  if (count > 0) {
    if ((p = room(e, p, 1)) == NULL)
      return NULL;
    *p++ = (char)T_END;
  }
  return p;
}

int data_put (struct encoder *e, const void *address) {
  if (e->state == NULL && !module_ready(e))
    return -1;
  char *p = put_table(e, e->p, (const struct peek_table *)address, 0);
  if (p == NULL)
    return -1;
  e->p = p;
  return CONSUMED;
}
