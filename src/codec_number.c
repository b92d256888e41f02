/*
** codec_number.c - floor 4: runs of numbers
**
** The elements of a large table that are numbers in a row are written as runs: a
** tag that says how wide, their number less one in a byte, then each in so many
** bytes. What is looked at is still in the cache when it is written, and a
** million of them take as many bytes as they need and no tag each.
*/
#include "codec_impl.h"
#include "codec_peek.h"

#define RUN_MIN   8            /* fewer are cheaper one by one */
#define RUN_ROOM  (2 + RUN_MAX * 8)

/* Integers from v[0] on; '*bits' has every bit that one of them needs besides its
   sign. */
static size_t count_integers (const struct peek_value *v, size_t n, uint64_t *bits) {
  uint64_t all = 0;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    if (((v[i].type ^ PEEK_INTEGER) | (v[i + 1].type ^ PEEK_INTEGER)
         | (v[i + 2].type ^ PEEK_INTEGER) | (v[i + 3].type ^ PEEK_INTEGER)) != 0)
      break;
    for (size_t k = i; k < i + 4; k++)
      all |= (uint64_t)(v[k].u.i ^ (v[k].u.i >> 63));
  }
  for (; i < n && v[i].type == PEEK_INTEGER; i++)
    all |= (uint64_t)(v[i].u.i ^ (v[i].u.i >> 63));
  *bits = all;
  return i;
}

static char *write_integers (char *p, const struct peek_value *v, size_t n, uint64_t bits) {
  int tag = bits < 0x80 ? T_INTS8 : bits < 0x8000 ? T_INTS16
            : bits < 0x80000000u ? T_INTS32 : T_INTS64;
  *p++ = (char)tag;
  *p++ = (char)(n - 1);
  switch (tag) {
    case T_INTS8:
      for (size_t i = 0; i < n; i++)
        p[i] = (char)v[i].u.i;
      return p + n;
    case T_INTS16:
      for (size_t i = 0; i < n; i++)
        store16(p + 2 * i, (uint16_t)v[i].u.i);
      return p + 2 * n;
    case T_INTS32:
      for (size_t i = 0; i < n; i++)
        store32(p + 4 * i, (uint32_t)v[i].u.i);
      return p + 4 * n;
    default:
      for (size_t i = 0; i < n; i++)
        store64(p + 8 * i, (uint64_t)v[i].u.i);
      return p + 8 * n;
  }
}

static char *write_floats (char *p, const struct peek_value *v, size_t n) {
  *p++ = (char)T_FLOATS;
  *p++ = (char)(n - 1);
  for (size_t i = 0; i < n; i++) {
    uint64_t bits;
    memcpy(&bits, &v[i].u.n, sizeof bits);
    store64(p + 8 * i, bits);
  }
  return p + 8 * n;
}

size_t encoder_put_numbers (struct encoder *e, const struct peek_value *v, size_t n) {
  size_t i = 0;
  while (i < n) {
    size_t most = n - i < RUN_MAX ? n - i : RUN_MAX, k = 0;
    uint64_t bits;
    if (!encoder_room(e, RUN_ROOM))
      break;
    if (v[i].type == PEEK_INTEGER) {
      k = count_integers(v + i, most, &bits);
      if (k >= RUN_MIN)
        e->p = write_integers(e->p, v + i, k, bits);
      else
        for (size_t j = i; j < i + k; j++)
          e->p = write_integer(e->p, v[j].u.i);
    }
    else if (v[i].type == PEEK_FLOAT) {
      while (k < most && v[i + k].type == PEEK_FLOAT)
        k++;
      if (k >= RUN_MIN)
        e->p = write_floats(e->p, v + i, k);
      else
        for (size_t j = i; j < i + k; j++)
          e->p = write_float(e->p, v[j].u.n);
    }
    else
      break;
    i += k;
  }
  return i;
}

const char *numbers_read (const char *p, const char *end, size_t most,
                          struct peek_value *v, size_t *count) {
  if (end - p < 2 || (uint8_t)*p < T_INTS8)
    return NULL;
  int tag = (uint8_t)*p;
  size_t n = (size_t)(uint8_t)p[1] + 1;
  size_t width = tag == T_FLOATS ? 8 : (size_t)1 << (tag - T_INTS8);
  p += 2;
  if (n > most || (size_t)(end - p) < n * width)
    return NULL;
  *count = n;
  switch (tag) {
    case T_INTS8:
      for (size_t i = 0; i < n; i++)
        v[i].u.i = (int8_t)p[i];
      break;
    case T_INTS16:
      for (size_t i = 0; i < n; i++)
        v[i].u.i = (int16_t)load16(p + 2 * i);
      break;
    case T_INTS32:
      for (size_t i = 0; i < n; i++)
        v[i].u.i = (int32_t)load32(p + 4 * i);
      break;
    case T_INTS64:
      for (size_t i = 0; i < n; i++)
        v[i].u.i = (lua_Integer)load64(p + 8 * i);
      break;
    default:
      for (size_t i = 0; i < n; i++) {
        uint64_t bits = load64(p + 8 * i);
        memcpy(&v[i].u.n, &bits, sizeof bits);
      }
      break;
  }
  unsigned char type = tag == T_FLOATS ? PEEK_FLOAT : PEEK_INTEGER;
  for (size_t i = 0; i < n; i++)
    v[i].type = type;
  return p + n * width;
}
