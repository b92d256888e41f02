/*
** list.h - a sequence of values, shared
**
** The struct below, and a piece: a block of cells (cell.h), of which those from
** 'first' to 'end' of its bounds are the list.
**
**   Guarded by 'monitor.guard':  piece, what is in it, shift.
**   Constant after init:         made.
** True whenever the guard is free (list_valid checks it):
**   L1  piece is NULL and the list is empty, or first <= end <= its capacity.
**   L2  Every cell from first to end holds a value; its block, if it has one,
**       is the list's and in nobody's hand. Other cells mean nothing.
**   L3  shift.way is SHIFT_NONE.
** Each change commits with one store:
**   set                    the cell
**   append, pop and insert at the ends
**                          bounds: first and end in one word
**   growing and shrinking  piece, the new one being filled before
**   pop in the middle      shift.way: from then on the repair would finish it
**   insert in the middle   bounds: until then the repair would undo it
** Waiting: for the owner of the monitor alone.
** Owner death.  A holder of the guard killed before that store has changed
** nothing, killed after it is done. The repair ends a shift half made: 'shift'
** says where the gap is, that wanders through the cells by one store at a time.
** Then it asks which of the blocks in the dead hand are in their place in the
** list, and takes them out of the hand; the sweep destroys the others.
** Ownership.  list_set, list_append and list_insert take the cell 'c' out of
** the caller's hand when they return CONC_OK; what they and list_pop give in
** '*old' is then in the caller's hand. On another status nothing has changed.
** Order: an operation sees all that came before it in the list's guard.
*/
#ifndef CONC_LIST_H
#define CONC_LIST_H

#include "cell.h"
#include "monitor.h"

#define LIST_MADE  72
#define LIST_LAST  UINT64_MAX
#define LIST_MAX   UINT32_MAX          /* values in one list */

struct piece {
  struct block head;                   /* KIND_RAW: owns nothing by itself */
  _Atomic uint64_t bounds;             /* first | end << 32 */
  cell_place cells[];
};

/* While values move by one place, within bounds that end at 'end' when it begins. */
enum shift_way { SHIFT_NONE = 0, SHIFT_CLOSE, SHIFT_OPEN };
struct shift {
  _Atomic uint32_t way;
  _Atomic uint32_t gap;                /* the index whose cell means nothing */
  _Atomic uint32_t end;
};

struct list {
  struct block head;                   /* KIND_LIST */
  struct monitor monitor;
  struct piece *_Atomic piece;
  struct shift shift;
  char made[LIST_MADE];                /* "app.lua:12" */
};

void list_open (void);                 /* at load */
struct block *list_new (const char *made);   /* in hand; NULL: full */
static inline struct list *list_of (struct block *b) {
  return (struct list *)(void *)b;
}

/*
** Indices are from 0. All return CONC_OK, or CONC_CANCELLED, CONC_INTERRUPTED,
** CONC_DEADLOCK (somebody else owns the list); CONC_RANGE for an index that is
** not in the list, CONC_FULL.
*/
int list_length (struct list *l, uint64_t *n);
int list_get (struct list *l, uint64_t i, struct reading *r);   /* beyond: none */
int list_set (struct list *l, uint64_t i, cell c, cell *old);   /* at the end: appends */
int list_append (struct list *l, cell c);
int list_insert (struct list *l, uint64_t i, cell c);
/* Of LIST_LAST the last. An empty list gives CELL_NONE, whatever i. */
int list_pop (struct list *l, uint64_t i, cell *old);

uint64_t list_count (struct list *l);  /* now, without waiting for an owner */
bool list_valid (struct list *l);      /* under the guard */

#endif
