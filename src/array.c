/*
** array.c - numbers of one machine type, in place
**
** No guards; see array.h for what each access promises. All access to the
** elements goes through the four 'place' types below, which may alias: the
** block has no type of its own.
*/
#include <math.h>
#include <string.h>
#include "array.h"

#if defined(__GNUC__)
#define ALIASING  __attribute__((__may_alias__))
#else
#define ALIASING
#endif
typedef _Atomic uint8_t ALIASING place8;
typedef _Atomic uint16_t ALIASING place16;
typedef _Atomic uint32_t ALIASING place32;
typedef _Atomic uint64_t ALIASING place64;

#define PLACE(width, data, i)  ((place##width *)(void *)(data) + (i))
#define CPLACE(width, data, i) ((const place##width *)(const void *)(data) + (i))
#define WORD  ((uint64_t)8)
#define TWO_63  9223372036854775808.0

const char *const array_type_names[ARRAY_TYPES + 1] = {
  "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64", NULL
};

static const uint8_t widths[ARRAY_TYPES] = { 1, 1, 2, 2, 4, 4, 8, 8, 4, 8 };

/* What each integer type holds, but for u64: any bit pattern. */
static const struct { int64_t least, most; } ranges[ARRAY_F32] = {
  { INT8_MIN, INT8_MAX }, { 0, UINT8_MAX }, { INT16_MIN, INT16_MAX },
  { 0, UINT16_MAX }, { INT32_MIN, INT32_MAX }, { 0, UINT32_MAX },
  { INT64_MIN, INT64_MAX }, { INT64_MIN, INT64_MAX }
};

static double bits_double (uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint64_t double_bits (double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Between the bits in the array ('raw') and those that travel. */

static uint64_t from_raw (uint32_t type, uint64_t raw) {
  switch ((enum array_type)type) {
    case ARRAY_I8:  return (uint64_t)(int64_t)(int8_t)(uint8_t)raw;
    case ARRAY_I16: return (uint64_t)(int64_t)(int16_t)(uint16_t)raw;
    case ARRAY_I32: return (uint64_t)(int64_t)(int32_t)(uint32_t)raw;
    case ARRAY_F32: {
      uint32_t low = (uint32_t)raw;
      float x;
      memcpy(&x, &low, sizeof x);
      return double_bits((double)x);
    }
    default: return raw;
  }
}

static uint64_t to_raw (uint32_t type, uint64_t bits) {
  if (type == ARRAY_F32) {
    float x = (float)bits_double(bits);
    uint32_t low;
    memcpy(&low, &x, sizeof low);
    return low;
  }
  return bits;   /* the low bytes are what is stored */
}

bool array_holds (const struct array *a, uint64_t bits) {
  if (a->type == ARRAY_F32) {
    double x = bits_double(bits);
    return !isfinite(x) || isfinite((float)x);
  }
  return a->type == ARRAY_F64
      || ((int64_t)bits >= ranges[a->type].least
          && (int64_t)bits <= ranges[a->type].most);
}

struct block *array_new (enum array_type type, uint64_t length) {
  uint64_t room = (uint64_t)(SIZE_MAX / 2) - sizeof(struct array);
  struct block *b;
  if (length > room / widths[type])
    return NULL;
  b = arena_alloc((size_t)(sizeof(struct array) + length * widths[type]));
  if (b == NULL)
    return NULL;
  array_of(b)->type = type;
  array_of(b)->width = widths[type];
  array_of(b)->length = length;
  memset(array_of(b)->data, 0, (size_t)(length * widths[type]));
  block_ready(b, KIND_ARRAY);
  return b;
}

uint64_t array_get (const struct array *a, uint64_t i) {
  switch (a->width) {
    case 1: return from_raw(a->type, load_acquire(CPLACE(8, a->data, i)));
    case 2: return from_raw(a->type, load_acquire(CPLACE(16, a->data, i)));
    case 4: return from_raw(a->type, load_acquire(CPLACE(32, a->data, i)));
    default: return load_acquire(CPLACE(64, a->data, i));
  }
}

void array_set (struct array *a, uint64_t i, uint64_t bits) {
  uint64_t raw = to_raw(a->type, bits);
  switch (a->width) {
    case 1: store_release(PLACE(8, a->data, i), (uint8_t)raw); break;
    case 2: store_release(PLACE(16, a->data, i), (uint16_t)raw); break;
    case 4: store_release(PLACE(32, a->data, i), (uint32_t)raw); break;
    default: store_release(PLACE(64, a->data, i), raw); break;
  }
}

/* Stores 'new' where 'old' is; gives what is there in *old. */
static bool replace (struct array *a, uint64_t i, uint64_t *old, uint64_t new) {
  bool done;
  switch (a->width) {
    case 1: {
      uint8_t o = (uint8_t)*old;
      done = cas_acqrel(PLACE(8, a->data, i), &o, (uint8_t)new);
      *old = o;
      return done;
    }
    case 2: {
      uint16_t o = (uint16_t)*old;
      done = cas_acqrel(PLACE(16, a->data, i), &o, (uint16_t)new);
      *old = o;
      return done;
    }
    case 4: {
      uint32_t o = (uint32_t)*old;
      done = cas_acqrel(PLACE(32, a->data, i), &o, (uint32_t)new);
      *old = o;
      return done;
    }
    default:
      return cas_acqrel(PLACE(64, a->data, i), old, new);
  }
}

static bool added (const struct array *a, uint64_t x, uint64_t n, uint64_t *sum) {
  if (array_is_float(a)) {
    double to = bits_double(x) + bits_double(n);
    *sum = double_bits(to);
    /* an infinity is no overflow where it was there before */
    return array_holds(a, *sum)
        && (isfinite(to) || !isfinite(bits_double(x)) || !isfinite(bits_double(n)));
  }
  *sum = x + n;
  if (a->type == ARRAY_U64)
    return true;
  if (((x ^ *sum) & (n ^ *sum)) >> 63)   /* both had the other sign */
    return false;
  return array_holds(a, *sum);
}

bool array_add (struct array *a, uint64_t i, uint64_t bits, uint64_t *sum) {
  uint64_t old = to_raw(a->type, array_get(a, i));
  do {
    if (!added(a, from_raw(a->type, old), bits, sum))
      return false;
  } while (!replace(a, i, &old, to_raw(a->type, *sum)));
  *sum = from_raw(a->type, to_raw(a->type, *sum));   /* as it was rounded */
  return true;
}

/*
** Ranges of bytes. Both ends agree with element boundaries, so a whole aligned
** word never tears an element; the rest goes by single elements.
*/

static void move_element (unsigned char *to, const unsigned char *from, uint32_t width) {
  switch (width) {
    case 1: store_relaxed(PLACE(8, to, 0), load_relaxed(CPLACE(8, from, 0))); break;
    case 2: store_relaxed(PLACE(16, to, 0), load_relaxed(CPLACE(16, from, 0))); break;
    case 4: store_relaxed(PLACE(32, to, 0), load_relaxed(CPLACE(32, from, 0))); break;
    default: store_relaxed(PLACE(64, to, 0), load_relaxed(CPLACE(64, from, 0))); break;
  }
}

static void move_word (unsigned char *to, const unsigned char *from) {
  store_relaxed(PLACE(64, to, 0), load_relaxed(CPLACE(64, from, 0)));
}

static bool word_aligned (const void *p) {
  return ((uintptr_t)p & (WORD - 1)) == 0;
}

static void move_up (unsigned char *to, const unsigned char *from, uint64_t n,
                     uint32_t width) {
  bool words = word_aligned((const void *)((uintptr_t)to ^ (uintptr_t)from));
  for (; n > 0 && !(words && word_aligned(to)); n -= width, to += width, from += width)
    move_element(to, from, width);
  for (; n >= WORD; n -= WORD, to += WORD, from += WORD)
    move_word(to, from);
  for (; n > 0; n -= width, to += width, from += width)
    move_element(to, from, width);
}

/* The same from the far end, for a target that overlaps from above. */
static void move_down (unsigned char *to, const unsigned char *from, uint64_t n,
                       uint32_t width) {
  bool words = word_aligned((const void *)((uintptr_t)to ^ (uintptr_t)from));
  for (; n > 0 && !(words && word_aligned(to + n)); n -= width)
    move_element(to + n - width, from + n - width, width);
  for (; n >= WORD; n -= WORD)
    move_word(to + n - WORD, from + n - WORD);
  for (; n > 0; n -= width)
    move_element(to + n - width, from + n - width, width);
}

/* The value as the other type holds it; false: it does not. */
static bool converted (const struct array *to, const struct array *from, uint64_t *bits) {
  if (array_is_float(from) && !array_is_float(to)) {
    double x = bits_double(*bits);
    bool positive = (to->type == ARRAY_U64);
    if (!(positive ? x >= 0 && x < 2 * TWO_63 : x >= -TWO_63 && x < TWO_63)
        || x != floor(x))
      return false;
    *bits = positive ? (uint64_t)x : (uint64_t)(int64_t)x;
  }
  else if (!array_is_float(from) && array_is_float(to))
    *bits = double_bits(from->type == ARRAY_U64 ? (double)*bits
                                                : (double)(int64_t)*bits);
  return array_holds(to, *bits)
      /* the pattern of a u64 above 2^63 is no negative i64, and the reverse */
      && (array_is_float(to) || array_is_float(from)
          || (to->type == ARRAY_U64) == (from->type == ARRAY_U64)
          || (int64_t)*bits >= 0);
}

static uint64_t copy_converted (struct array *to, uint64_t at,
                                const struct array *from, uint64_t i, uint64_t n) {
  for (int pass = 0; pass < 2; pass++)
    for (uint64_t k = 0; k < n; k++) {
      uint64_t bits = array_get(from, i + k);
      if (!converted(to, from, &bits))
        return i + k;
      if (pass == 1)
        array_set(to, at + k, bits);
    }
  return UINT64_MAX;
}

uint64_t array_copy (struct array *to, uint64_t at, const struct array *from,
                     uint64_t i, uint64_t n) {
  unsigned char *target = to->data + at * to->width;
  const unsigned char *source = from->data + i * from->width;
  if (to->type != from->type)
    return copy_converted(to, at, from, i, n);
  atomic_thread_fence(memory_order_acquire);
  if ((uintptr_t)target - (uintptr_t)source < n * to->width)
    move_down(target, source, n * to->width, to->width);
  else
    move_up(target, source, n * to->width, to->width);
  atomic_thread_fence(memory_order_release);
  return UINT64_MAX;
}

void array_fill (struct array *a, uint64_t i, uint64_t n, uint64_t bits) {
  unsigned char *to = a->data + i * a->width;
  uint64_t raw = to_raw(a->type, bits), left = n * a->width;
  uint64_t word = raw;
  for (uint32_t bytes = a->width; bytes < WORD; bytes *= 2) {
    word &= (UINT64_C(1) << (8 * bytes)) - 1;
    word |= word << (8 * bytes);
  }
  atomic_thread_fence(memory_order_release);
  for (; left > 0 && !word_aligned(to); left -= a->width, to += a->width, i++)
    array_set(a, i, bits);
  for (; left >= WORD; left -= WORD, to += WORD, i += WORD / a->width)
    store_relaxed(PLACE(64, to, 0), word);
  for (; left > 0; left -= a->width, i++)
    array_set(a, i, bits);
  atomic_thread_fence(memory_order_release);
}

/* The other side is private memory of any alignment: words go through a variable. */

static uint64_t read_element (char *bytes, const unsigned char *from, uint32_t width) {
  _Alignas(8) unsigned char one[8];
  move_element(one, from, width);
  memcpy(bytes, one, width);
  return width;
}

static uint64_t write_element (unsigned char *to, const char *bytes, uint32_t width) {
  _Alignas(8) unsigned char one[8];
  memcpy(one, bytes, width);
  move_element(to, one, width);
  return width;
}

void array_read (const struct array *a, uint64_t i, uint64_t n, char *bytes) {
  const unsigned char *from = a->data + i * a->width;
  uint64_t left = n * a->width, done;
  for (; left > 0 && !word_aligned(from); left -= done, from += done, bytes += done)
    done = read_element(bytes, from, a->width);
  for (; left >= WORD; left -= WORD, from += WORD, bytes += WORD) {
    uint64_t word = load_relaxed(CPLACE(64, from, 0));
    memcpy(bytes, &word, WORD);
  }
  for (; left > 0; left -= done, from += done, bytes += done)
    done = read_element(bytes, from, a->width);
  atomic_thread_fence(memory_order_acquire);
}

void array_write (struct array *a, uint64_t i, uint64_t n, const char *bytes) {
  unsigned char *to = a->data + i * a->width;
  uint64_t left = n * a->width, done;
  atomic_thread_fence(memory_order_release);
  for (; left > 0 && !word_aligned(to); left -= done, to += done, bytes += done)
    done = write_element(to, bytes, a->width);
  for (; left >= WORD; left -= WORD, to += WORD, bytes += WORD) {
    uint64_t word;
    memcpy(&word, bytes, WORD);
    store_relaxed(PLACE(64, to, 0), word);
  }
  for (; left > 0; left -= done, to += done, bytes += done)
    done = write_element(to, bytes, a->width);
  atomic_thread_fence(memory_order_release);
}

void array_open (void) {
  static const struct kind_ops ops = { .name = "array" };
  arena_kind(KIND_ARRAY, &ops);
}
