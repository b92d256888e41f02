/*
** dict.c - values by key, shared
**
** Everything below that takes a 'struct dict' and is static runs under its
** guard, but for dict_destroy. No other guards but the arena's.
*/
#include <assert.h>
#include <math.h>
#include "dict.h"
#include "sys.h"

#define LEAST_ENTRIES  8
#define TWO_63  9223372036854775808.0

static uint64_t capacity (const struct table *t) {
  uint64_t n;
  if (t == NULL)
    return 0;
  n = (t->head.size - sizeof *t) / sizeof t->entries[0];
  return n < DICT_MAX ? n : DICT_MAX;
}

static struct table *table_of (struct dict *d) {
  return load_relaxed(&d->table);
}

uint64_t dict_count (struct dict *d) {
  uint64_t n;
  guard_lock(&d->monitor.guard);
  n = d->live;
  guard_unlock(&d->monitor.guard);
  return n;
}

/* {=== keys ===} */

static uint64_t mix (uint64_t h) {
  h ^= h >> 32;
  h *= UINT64_C(0xd6e8feb86659fd93);
  h ^= h >> 32;
  h *= UINT64_C(0xd6e8feb86659fd93);
  return h ^ h >> 32;
}

static uint64_t hash_word (struct dict *d, uint64_t word) {
  return mix(word ^ d->seed);
}

static uint64_t rotate (uint64_t x, int by) {
  return x << by | x >> (64 - by);
}

static void sip_round (uint64_t v[4]) {
  v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
  v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein, 2012): strings may be a stranger's, who must not
   know which of them collide. */
static uint64_t hash_bytes (struct dict *d, const char *s, size_t n) {
  uint64_t v[4] = { d->seed ^ UINT64_C(0x736f6d6570736575), d->seed2 ^ UINT64_C(0x646f72616e646f6d),
                    d->seed ^ UINT64_C(0x6c7967656e657261), d->seed2 ^ UINT64_C(0x7465646279746573) };
  uint64_t word, last = (uint64_t)n << 56;
  for (; n >= 8; s += 8, n -= 8) {
    memcpy(&word, s, 8);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  word = 0;
  memcpy(&word, s, n);
  last ^= word;
  v[3] ^= last;
  sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++)
    sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void make_number_key (struct dict *d, const struct datum *v, struct dict_key *k) {
  if (v->type == DATUM_INTEGER) {
    if (cell_fits_integer(v->u.integer))
      k->c = cell_of_integer(v->u.integer);
    k->form = BOX_INTEGER;
    k->bits = (uint64_t)v->u.integer;
  }
  else {
    k->c = cell_of_float(v->u.number);
    k->form = BOX_FLOAT;
    k->bits = float_bits(v->u.number);
  }
  k->hash = hash_word(d, k->c != CELL_NONE ? k->c : k->bits);
}

static void make_string_key (struct dict *d, const struct datum *v, struct dict_key *k) {
  if (v->u.string.length <= CELL_SHORT_MAX) {
    k->c = cell_of_short(v->u.string.bytes, v->u.string.length);
    k->hash = hash_word(d, k->c);
  }
  else {
    k->form = BOX_STRING;
    k->bits = v->u.string.length;
    k->bytes = v->u.string.bytes;
    k->hash = hash_bytes(d, k->bytes, (size_t)k->bits);
  }
}

/* A float with the value of an integer is that integer, as in a Lua table. */
static struct datum normal (const struct datum *v) {
  struct datum n = *v;
  if (v->type == DATUM_FLOAT && v->u.number >= -TWO_63 && v->u.number < TWO_63
      && v->u.number == floor(v->u.number)) {
    n.type = DATUM_INTEGER;
    n.u.integer = (int64_t)v->u.number;
  }
  return n;
}

bool dict_make_key (struct dict *d, const struct datum *value, struct dict_key *k) {
  struct datum v = normal(value);
  k->c = CELL_NONE;
  k->form = 0;
  k->bits = 0;
  k->bytes = NULL;
  switch (v.type) {
    case DATUM_BOOLEAN:
      k->c = v.u.boolean ? CELL_TRUE : CELL_FALSE;
      k->hash = hash_word(d, k->c);
      return true;
    case DATUM_FLOAT:
      if (isnan(v.u.number))
        return false;
      /* fall through */
    case DATUM_INTEGER:
      make_number_key(d, &v, k);
      return true;
    case DATUM_STRING:
      make_string_key(d, &v, k);
      return true;
    default:
      return false;
  }
}

static struct box *key_box (cell key) {
  return (struct box *)(void *)cell_block(key);
}

static bool same_key (cell there, const struct dict_key *k) {
  struct box *box;
  if (k->c != CELL_NONE || !cell_is_block(there))
    return there == k->c;
  box = key_box(there);
  return box->hash == k->hash && box->head.flags == k->form && box->bits == k->bits
      && (k->form != BOX_STRING || memcmp(box->bytes, k->bytes, (size_t)k->bits) == 0);
}

static uint64_t hash_of_cell (struct dict *d, cell key) {
  return cell_is_block(key) ? key_box(key)->hash : hash_word(d, key);
}

/* The key as a cell in hand. False: full. */
static bool make_key_cell (const struct dict_key *k, cell *c) {
  struct datum v;
  *c = k->c;
  if (k->c != CELL_NONE)
    return true;
  if (k->form == BOX_STRING) {
    v.type = DATUM_STRING;
    v.u.string.bytes = k->bytes;
    v.u.string.length = (size_t)k->bits;
  }
  else if (k->form == BOX_INTEGER) {
    v.type = DATUM_INTEGER;
    v.u.integer = (int64_t)k->bits;
  }
  else {
    v.type = DATUM_FLOAT;
    v.u.number = bits_float(k->bits);
  }
  if (!cell_make(&v, c))
    return false;
  key_box(*c)->hash = k->hash;
  return true;
}

/* {=== tables ===} */

static struct entry *home (struct table *t, uint64_t hash) {
  return &t->entries[(hash >> 32) * capacity(t) >> 32];
}

static struct entry *after (struct table *t, struct entry *e) {
  return ++e < t->entries + capacity(t) ? e : t->entries;
}

static struct entry *before (struct table *t, struct entry *e) {
  return e > t->entries ? e - 1 : t->entries + capacity(t) - 1;
}

/* The entry with the key, there or not; or NULL. */
static struct entry *find (struct dict *d, const struct dict_key *k) {
  struct table *t = table_of(d);
  cell there;
  if (t == NULL)
    return NULL;
  for (struct entry *e = home(t, k->hash);
       (there = load_relaxed(&e->key)) != CELL_NONE; e = after(t, e))
    if (same_key(there, k))
      return e;
  return NULL;
}

static struct table *table_new (uint64_t entries) {
  struct block *b;
  struct table *t;
  if (entries > DICT_MAX)
    return NULL;
  b = arena_alloc(sizeof(struct table)
                  + (size_t)(entries < LEAST_ENTRIES ? LEAST_ENTRIES : entries)
                    * sizeof(struct entry));
  t = (struct table *)(void *)b;
  if (t != NULL)
    memset((void *)t->entries, 0, (size_t)capacity(t) * sizeof(struct entry));
  return t;
}

/* Frees the box of a key that is not there. */
static void free_key (struct entry *e, cell left) {
  cell key = load_relaxed(&e->key);
  cell_take(&e->key, left);
  if (cell_is_block(key))
    arena_free(cell_block(key));
}

static void replace_table (struct dict *d, struct table *to) {
  struct table *from = table_of(d);
  if (from != NULL)
    arena_hold(&from->head);
  kill_order();
  store_relaxed(&d->table, to);
  kill_order();
  if (to != NULL)
    arena_settle(&to->head);
  if (from != NULL)
    arena_free(&from->head);
  d->used = d->live;
}

static void move_entry (struct dict *d, struct table *to, struct entry *e) {
  cell key = load_relaxed(&e->key);
  struct entry *place = home(to, hash_of_cell(d, key));
  while (load_relaxed(&place->key) != CELL_NONE)
    place = after(to, place);
  store_relaxed(&place->key, key);
  store_relaxed(&place->value, load_relaxed(&e->value));
}

/* A table with room for so many. Keys that are not there go first, so that the
   old table has nothing that the new one has not. False: full. */
static bool resize (struct dict *d, uint64_t entries) {
  struct table *from = table_of(d), *to = table_new(entries);
  if (to == NULL)
    return false;
  for (uint64_t i = 0; i < capacity(from); i++) {
    struct entry *e = &from->entries[i];
    if (load_relaxed(&e->value) != CELL_NONE)
      move_entry(d, to, e);
    else if (cell_is_block(load_relaxed(&e->key)))
      free_key(e, CELL_DELETED);
  }
  replace_table(d, to);
  return true;
}

static bool room_for_one (struct dict *d) {
  return (d->used + 1) * 5 <= capacity(table_of(d)) * 3
      || resize(d, (d->live + 1) * 5 / 2)
      || d->used + 1 < capacity(table_of(d));   /* tight, but it goes */
}

static void shrink (struct dict *d) {
  uint64_t have = capacity(table_of(d));
  if (d->live == 0 && have > LEAST_ENTRIES * 8) {
    struct table *t = table_of(d);
    for (uint64_t i = 0; i < have; i++)
      if (cell_is_block(load_relaxed(&t->entries[i].key)))
        free_key(&t->entries[i], CELL_DELETED);
    replace_table(d, NULL);
  }
  else if (have / 16 > d->live + LEAST_ENTRIES)
    resize(d, d->live * 5 / 2);
}

/* {=== changes of one entry ===} */

/* A free entry where the key's hash wants it; there is one. */
static struct entry *free_entry (struct dict *d, const struct dict_key *k) {
  struct table *t = table_of(d);
  struct entry *e = home(t, k->hash);
  cell there;
  while ((there = load_relaxed(&e->key)) != CELL_NONE && there != CELL_DELETED)
    e = after(t, e);
  return e;
}

static int insert (struct dict *d, const struct dict_key *k, cell c) {
  struct entry *e;
  cell key;
  if (!room_for_one(d) || !make_key_cell(k, &key))
    return CONC_FULL;
  e = free_entry(d, k);
  if (load_relaxed(&e->key) == CELL_NONE)
    d->used++;
  cell_put(&e->key, key);
  cell_settle(key);
  cell_put(&e->value, c);
  d->live++;
  return CONC_OK;
}

/* The key of an entry whose value was removed. At the end of a chain nobody
   has to go past it, nor past the deleted ones before it. */
static void forget_key (struct dict *d, struct entry *e) {
  struct table *t = table_of(d);
  free_key(e, CELL_DELETED);
  if (load_relaxed(&after(t, e)->key) != CELL_NONE)
    return;
  for (; load_relaxed(&e->key) == CELL_DELETED; e = before(t, e)) {
    store_relaxed(&e->key, CELL_NONE);
    kill_order();
    d->used--;
  }
}

/* 'e' is where the key was found, or NULL. */
static int put (struct dict *d, struct entry *e, const struct dict_key *k, cell c,
                cell *old) {
  bool there = e != NULL && load_relaxed(&e->value) != CELL_NONE;
  *old = CELL_NONE;
  if (e == NULL)
    return c == CELL_NONE ? CONC_OK : insert(d, k, c);
  *old = load_relaxed(&e->value);
  cell_take(&e->value, c);
  if (there && c == CELL_NONE) {
    d->live--;
    forget_key(d, e);
    shrink(d);
  }
  else if (!there && c != CELL_NONE)
    d->live++;
  return CONC_OK;
}

/* {=== operations ===} */

static void leave (struct dict *d) {
#if defined(CONC_DEBUG)
  if (capacity(table_of(d)) <= 128)   /* debug builds, too, come to an end */
    assert(dict_valid(d));
#endif
  monitor_leave(&d->monitor);
}

static int enter (struct dict *d, const char *verb) {
  return monitor_enter(&d->monitor, &d->head, verb);
}

int dict_length (struct dict *d, uint64_t *n) {
  int rc = enter(d, "length");
  if (rc != CONC_OK)
    return rc;
  *n = d->live;
  leave(d);
  return CONC_OK;
}

int dict_get (struct dict *d, const struct dict_key *k, struct reading *r) {
  int rc = enter(d, "get");
  if (rc != CONC_OK)
    return rc;
  struct entry *e = find(d, k);
  rc = cell_read(e != NULL ? load_relaxed(&e->value) : CELL_NONE, r);
  leave(d);
  return rc;
}

int dict_set (struct dict *d, const struct dict_key *k, cell c, cell *old) {
  int rc = enter(d, "set");
  if (rc != CONC_OK)
    return rc;
  rc = put(d, find(d, k), k, c, old);
  if (rc == CONC_OK)
    cell_settle(c);
  leave(d);
  return rc;
}

/* False: 'v' is no number. None counts as the integer 0. */
static bool add (const struct datum *v, const struct datum *n, struct datum *sum) {
  bool whole = v->type == DATUM_INTEGER || v->type == DATUM_NONE;
  if (!whole && v->type != DATUM_FLOAT)
    return false;
  if (whole && n->type == DATUM_INTEGER) {
    uint64_t x = v->type == DATUM_NONE ? 0 : (uint64_t)v->u.integer;
    sum->type = DATUM_INTEGER;
    sum->u.integer = (int64_t)(x + (uint64_t)n->u.integer);
  }
  else {
    double x = v->type == DATUM_FLOAT ? v->u.number
             : v->type == DATUM_NONE ? 0.0 : (double)v->u.integer;
    sum->type = DATUM_FLOAT;
    sum->u.number = x + (n->type == DATUM_FLOAT ? n->u.number
                                                : (double)n->u.integer);
  }
  return true;
}

static int incr (struct dict *d, const struct dict_key *k, const struct datum *n,
                 struct datum *sum, cell *old) {
  struct entry *e = find(d, k);
  struct datum v;
  char room[8];
  cell c;
  cell_view(e != NULL ? load_relaxed(&e->value) : CELL_NONE, &v, room);
  if (!add(&v, n, sum)) {
    sum->type = v.type;
    return CONC_MISUSE;
  }
  if (!cell_make(sum, &c))
    return CONC_FULL;
  int rc = put(d, e, k, c, old);
  if (rc == CONC_OK)
    cell_settle(c);
  else if (cell_is_block(c))
    arena_free(cell_block(c));   /* a box */
  return rc;
}

int dict_incr (struct dict *d, const struct dict_key *k, const struct datum *n,
               struct datum *sum) {
  cell old = CELL_NONE;
  int rc = enter(d, "incr");
  if (rc != CONC_OK)
    return rc;
  rc = incr(d, k, n, sum, &old);
  leave(d);
  cell_drop(old);
  return rc;
}

int dict_next (struct dict *d, uint64_t *at, struct reading *key, struct reading *value) {
  int rc = enter(d, "next");
  if (rc != CONC_OK)
    return rc;
  struct table *t = table_of(d);
  uint64_t n = capacity(t);
  key->value.type = DATUM_NONE;
  key->clone = value->clone = NULL;
  while (*at < n && load_relaxed(&t->entries[*at].value) == CELL_NONE)
    ++*at;
  if (*at < n) {
    struct entry *e = &t->entries[(*at)++];
    rc = cell_read(load_relaxed(&e->key), key);
    if (rc == CONC_OK)
      rc = cell_read(load_relaxed(&e->value), value);
  }
  leave(d);
  if (rc != CONC_OK)
    reading_drop(key);
  return rc;
}

/* {=== birth and death ===} */

struct block *dict_new (const char *made) {
  struct block *b = arena_alloc(sizeof(struct dict));
  struct dict *d = (struct dict *)(void *)b;
  if (b == NULL)
    return NULL;
  monitor_init(&d->monitor, KIND_DICT);
  store_relaxed(&d->table, NULL);
  d->live = d->used = 0;
  d->seed = sys_entropy();
  d->seed2 = sys_entropy();
  strncpy(d->made, made, DICT_MADE - 1);
  d->made[DICT_MADE - 1] = '\0';
  block_ready(b, KIND_DICT);
  return b;
}

/*
** Messages one by one, each in hand before it leaves the table and under the
** guard while it does; boxes under the guard. It may be killed anywhere and
** done again.
*/
static void dict_destroy (struct block *b) {
  struct dict *d = dict_of(b);
  uint64_t i = 0;
  for (;;) {
    cell c = CELL_NONE;
    guard_lock(&d->monitor.guard);
    struct table *t = table_of(d);
    for (; i < capacity(t) && !cell_is_block(c); i++) {
      if (cell_is_block(load_relaxed(&t->entries[i].key)))
        free_key(&t->entries[i], CELL_DELETED);
      c = load_relaxed(&t->entries[i].value);
      cell_take(&t->entries[i].value, CELL_NONE);
    }
    guard_unlock(&d->monitor.guard);
    if (!cell_is_block(c))
      break;
    cell_drop(c);
  }
  guard_lock(&d->monitor.guard);
  d->live = 0;
  replace_table(d, NULL);
  guard_unlock(&d->monitor.guard);
}

static void search (struct dead_hand *h, void *container) {
  struct table *t = table_of((struct dict *)container);
  for (uint64_t i = 0; i < capacity(t) && h->n > 0; i++) {
    dead_hand_settle_cell(h, load_relaxed(&t->entries[i].key));
    dead_hand_settle_cell(h, load_relaxed(&t->entries[i].value));
  }
  if (t != NULL)
    dead_hand_settle(h, &t->head);
}

static void count_again (struct dict *d) {
  struct table *t = table_of(d);
  uint64_t live = 0, used = 0;
  for (uint64_t i = 0; i < capacity(t); i++) {
    live += load_relaxed(&t->entries[i].value) != CELL_NONE;
    used += load_relaxed(&t->entries[i].key) != CELL_NONE;
  }
  d->live = live;
  d->used = used;
}

static void dict_repair (struct guard *g, struct thread_record *dead) {
  struct dict *d = containerof(g, struct dict, monitor.guard);
  dead_hand_search(dead, search, d);
  count_again(d);
  monitor_repair(&d->monitor);
}

/* Every entry that is there is found by its key, and the counts are right. */
bool dict_valid (struct dict *d) {
  struct table *t = table_of(d);
  uint64_t live = 0, used = 0;
  for (uint64_t i = 0; i < capacity(t); i++) {
    cell key = load_relaxed(&t->entries[i].key);
    used += key != CELL_NONE;
    if (load_relaxed(&t->entries[i].value) == CELL_NONE)
      continue;
    live++;
    if (key == CELL_NONE || key == CELL_DELETED)
      return false;
    struct entry *e = home(t, hash_of_cell(d, key));
    for (; e != &t->entries[i]; e = after(t, e))
      if (load_relaxed(&e->key) == CELL_NONE)
        return false;
  }
  return live == d->live && used == d->used && (t == NULL || used < capacity(t));
}

static thread_key dict_holder (struct block *b, int i) {
  return i == 0 ? monitor_owner(&dict_of(b)->monitor) : 0;
}

static const char *dict_made (struct block *b) {
  return dict_of(b)->made;
}

void dict_open (void) {
  static const struct kind_ops ops = {
    .name = "dict", .destroy = dict_destroy, .holder = dict_holder,
    .repair = dict_repair, .made = dict_made
  };
  arena_kind(KIND_DICT, &ops);
}
