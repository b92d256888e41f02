/*
** cell.c - values in one word: made, copied out, dropped
**
** No state of its own. What is said under the guard of a container is so
** marked in cell.h; nothing here takes a guard above RANK_OBJECT but the
** arena's own.
*/
#include "cell.h"

static struct box *box_new (enum box_form form, uint64_t bits, size_t bytes) {
  struct block *b = arena_alloc(sizeof(struct box) + bytes);
  struct box *box = (struct box *)(void *)b;
  if (b == NULL)
    return NULL;
  b->flags = (uint16_t)form;
  box->bits = bits;
  box->hash = 0;
  return box;
}

struct box *box_string (const char *s, size_t length) {
  struct box *box = box_new(BOX_STRING, length, length);
  if (box != NULL && length > 0)
    memcpy(box->bytes, s, length);
  return box;
}

static bool made_of_box (struct box *box, cell *c) {
  if (box == NULL)
    return false;
  *c = cell_of_block(&box->head);
  return true;
}

bool cell_make (const struct datum *v, cell *c) {
  switch (v->type) {
    case DATUM_NONE:
      *c = CELL_NONE;
      return true;
    case DATUM_BOOLEAN:
      *c = v->u.boolean ? CELL_TRUE : CELL_FALSE;
      return true;
    case DATUM_INTEGER:
      if (!cell_fits_integer(v->u.integer))
        return made_of_box(box_new(BOX_INTEGER, (uint64_t)v->u.integer, 0), c);
      *c = cell_of_integer(v->u.integer);
      return true;
    case DATUM_FLOAT:
      *c = cell_of_float(v->u.number);
      return *c != CELL_NONE
          || made_of_box(box_new(BOX_FLOAT, float_bits(v->u.number), 0), c);
    case DATUM_STRING:
      if (v->u.string.length > CELL_SHORT_MAX)
        return made_of_box(box_string(v->u.string.bytes, v->u.string.length), c);
      *c = cell_of_short(v->u.string.bytes, v->u.string.length);
      return true;
    case DATUM_MESSAGE:
      *c = cell_of_block(&v->u.message->head);
      return true;
  }
  return false;
}

static void view_block (struct block *b, struct datum *v) {
  struct box *box = (struct box *)(void *)b;
  if (b->kind == KIND_MESSAGE) {
    v->type = DATUM_MESSAGE;
    v->u.message = (struct message *)(void *)b;
    return;
  }
  switch ((enum box_form)b->flags) {
    case BOX_INTEGER:
      v->type = DATUM_INTEGER;
      v->u.integer = (int64_t)box->bits;
      break;
    case BOX_FLOAT:
      v->type = DATUM_FLOAT;
      v->u.number = bits_float(box->bits);
      break;
    case BOX_STRING:
      v->type = DATUM_STRING;
      v->u.string.bytes = box->bytes;
      v->u.string.length = (size_t)box->bits;
      break;
  }
}

static void view_short (cell c, struct datum *v, char *room) {
  if (!cell_is_short(c)) {
    v->type = DATUM_BOOLEAN;
    v->u.boolean = (c == CELL_TRUE);
    return;
  }
  v->type = DATUM_STRING;
  v->u.string.bytes = room;
  v->u.string.length = cell_short_length(c);
  for (size_t i = 0; i < v->u.string.length; i++)
    room[i] = (char)(c >> (8 * (i + 1)) & 0xff);
}

void cell_view (cell c, struct datum *v, char *room) {
  if (c == CELL_NONE) {
    v->type = DATUM_NONE;
    return;
  }
  switch (cell_tag(c)) {
    case CELL_BLOCK:
      view_block(cell_block(c), v);
      break;
    case CELL_INTEGER:
      v->type = DATUM_INTEGER;
      v->u.integer = cell_integer(c);
      break;
    case CELL_FLOAT:
      v->type = DATUM_FLOAT;
      v->u.number = cell_float(c);
      break;
    case CELL_SHORT:
      view_short(c, v, room);
      break;
  }
}

/* How many bytes of the block are in use, its header included. */
static size_t used_bytes (const struct block *b) {
  if (b->kind == KIND_MESSAGE) {
    const struct message *m = (const struct message *)(const void *)b;
    return sizeof *m + m->nrefs * sizeof m->refs[0] + (size_t)m->length;
  }
  else {
    const struct box *box = (const struct box *)(const void *)b;
    return sizeof *box + (b->flags == BOX_STRING ? (size_t)box->bits : 0);
  }
}

/*
** A copy of the block in the caller's hand. It is of its kind before its
** references are counted, one by one, into places that start empty: destroyed
** at any moment, it gives back what it has.
*/
static struct block *clone (struct block *b, size_t used) {
  struct block *copy = arena_alloc(used);
  if (copy == NULL)
    return NULL;
  copy->flags = b->flags;
  copy->next = NULL;
  if (b->kind != KIND_MESSAGE)
    memcpy(copy + 1, b + 1, used - sizeof *b);
  else {
    struct message *from = (struct message *)(void *)b;
    struct message *to = (struct message *)(void *)copy;
    to->nrefs = from->nrefs;
    to->flags = from->flags;
    to->length = from->length;
    for (uint32_t i = 0; i < from->nrefs; i++)
      store_relaxed(&to->refs[i], NULL);
    memcpy(message_bytes(to), message_bytes(from), (size_t)from->length);
    block_ready(copy, KIND_MESSAGE);
    for (uint32_t i = 0; i < from->nrefs; i++)
      block_ref(&to->refs[i], load_relaxed(&from->refs[i]));
  }
  return copy;
}

static bool has_refs (const struct block *b) {
  return b->kind == KIND_MESSAGE
      && ((const struct message *)(const void *)b)->nrefs > 0;
}

int cell_read (cell c, struct reading *r) {
  r->clone = NULL;
  if (likely(!cell_is_block(c)))
    cell_view(c, &r->value, r->room);
  else {
    struct block *b = cell_block(c);
    size_t used = used_bytes(b);
    if (used <= READING_ROOM && !has_refs(b)) {
      memcpy(r->room, b, used);
      view_block((struct block *)(void *)r->room, &r->value);
    }
    else {
      r->clone = clone(b, used);
      if (r->clone == NULL)
        return CONC_FULL;
      view_block(r->clone, &r->value);
    }
  }
  return CONC_OK;
}

void cell_read_own (cell c, struct reading *r) {
  r->clone = cell_is_block(c) ? cell_block(c) : NULL;
  cell_view(c, &r->value, r->room);
}

void reading_drop (struct reading *r) {
  if (r->clone != NULL) {
    struct block *b = r->clone;
    r->clone = NULL;
    cell_drop(cell_of_block(b));
  }
}

void cell_drop (cell c) {
  if (!cell_is_block(c))
    return;
  if (cell_block(c)->kind == KIND_MESSAGE)
    message_drop(cell_block(c));
  else
    arena_free(cell_block(c));
}

void dead_hand_settle (struct dead_hand *h, struct block *b) {
  for (int i = 0; i < h->n; i++)
    if (h->held[i] == b) {
      arena_settle_dead(h->whose, b);
      h->held[i] = h->held[--h->n];
      return;
    }
}

void dead_hand_search (struct thread_record *dead, hand_search *search, void *container) {
  struct dead_hand h = { .whose = dead, .n = 0 };
  for (int i = 0; i < HELD_MAX; i++) {
    struct block *b = load_relaxed(&dead->held[i]);
    if (b != NULL)
      h.held[h.n++] = b;
  }
  if (h.n > 0)
    search(&h, container);
}
