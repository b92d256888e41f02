/*
** container.h - what list_test.c and dict_test.c share
**
** Values of all forms made from a small number, and recognized again; children
** that die at a chosen step or at a random instant.
*/
#include "kit.h"
#include "cell.h"
#include "monitor.h"
#include "value.h"

/* {=== values ===} */

/* An object that messages mention: its count shows what was kept too long. */
static struct block *_Atomic mentioned;

#define FORMS  8
enum form { SMALL, BIG, FLOAT, ODD_FLOAT, SHORT, LONG, LARGE, MESSAGE };
static enum form form_of (uint32_t id) { return (enum form)(id % FORMS); }

static size_t string_of (uint32_t id, char *to) {
  size_t n = (size_t)sprintf(to, "%x", id & 0xfffff);
  if (form_of(id) != SHORT) {
    size_t whole = form_of(id) == LONG ? 20 + id % 50 : 600 + id % 900;
    memset(to + n, 'a' + (int)(id % 26), whole - n);
    n = whole;
  }
  return n;
}

static struct block *message_of (uint32_t id) {
  struct block *const refs[] = { load_relaxed(&mentioned) };
  struct parcel p = { .bytes = (const char *)&id, .length = sizeof id,
                      .refs = refs, .nrefs = 1 };
  return parcel_post(&p);
}

/* The value of a number as a cell in hand; CELL_NONE: full. */
static cell make (uint32_t id) {
  static __thread char room[1600];
  struct datum v = { .type = DATUM_INTEGER };
  cell c = CELL_NONE;
  switch (form_of(id)) {
    case SMALL: v.u.integer = (int64_t)id; break;
    case BIG: v.u.integer = INT64_MIN + (int64_t)id; break;
    case FLOAT: v.type = DATUM_FLOAT; v.u.number = id + 0.5; break;
    case ODD_FLOAT: v.type = DATUM_FLOAT; v.u.number = id * 1e-300; break;
    case SHORT: case LONG: case LARGE:
      v.type = DATUM_STRING;
      v.u.string.bytes = room;
      v.u.string.length = string_of(id, room);
      break;
    case MESSAGE: {
      struct block *b = message_of(id);
      return b != NULL ? cell_of_block(b) : CELL_NONE;
    }
  }
  return cell_make(&v, &c) ? c : CELL_NONE;
}

static bool is (const struct datum *v, uint32_t id) {
  static __thread char room[1600];
  switch (form_of(id)) {
    case SMALL: return v->type == DATUM_INTEGER && v->u.integer == (int64_t)id;
    case BIG:
      return v->type == DATUM_INTEGER && v->u.integer == INT64_MIN + (int64_t)id;
    case FLOAT: return v->type == DATUM_FLOAT && v->u.number == id + 0.5;
    case ODD_FLOAT: return v->type == DATUM_FLOAT && v->u.number == id * 1e-300;
    case SHORT: case LONG: case LARGE:
      return v->type == DATUM_STRING && v->u.string.length == string_of(id, room)
          && memcmp(v->u.string.bytes, room, v->u.string.length) == 0;
    case MESSAGE:
      return v->type == DATUM_MESSAGE && v->u.message->nrefs == 1
          && load_relaxed(&v->u.message->refs[0]) == load_relaxed(&mentioned)
          && memcmp(message_bytes(v->u.message), &id, sizeof id) == 0;
  }
  return false;
}

/* Looks at the reading, which is then let go of. */
static bool reads (struct reading *r, uint32_t id) {
  bool good = is(&r->value, id);
  reading_drop(r);
  return good;
}

/* {=== processes ===} */

typedef void body (void *arg);

static pid_t spawn (body *f, void *arg) {
  struct process_record *p = process_embryo(true);
  fflush(stdout);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    if (!sys_die_with_parent(parent)) _exit(1);
    process_born_child(p);
    kit_seed ^= (uint64_t)getpid() * UINT64_C(0x9E3779B97F4A7C15);
    f(arg);
    process_leave();
    _exit(0);
  }
  process_born_parent(p, pid);
  return pid;
}

static void kill_one (pid_t pid) {
  int status = 0;
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    ok(false, "children die by our hand only");
  process_look_around();
}

/* f in a child that kills itself at step n. True: it came to its end before. */
struct doomed { body *f; void *arg; long step; };
static void die_at (void *arg) {
  struct doomed *d = (struct doomed *)arg;
  store_relaxed(&kill_at, d->step);
  d->f(d->arg);
  store_relaxed(&kill_at, 0);
}
static bool survives (body *f, void *arg, long step) {
  struct doomed d = { f, arg, step };
  int status = 0;
  waitpid(spawn(die_at, &d), &status, 0);
  process_look_around();
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
    ok(false, "no assertion fails in a child");
  return WIFEXITED(status);
}

static void begin (void) {
  kit_open();
  message_open();
  value_open();
  struct block *b = value_new(VALUE_INTEGER, 0);
  block_ref(&mentioned, b);
  arena_settle(b);
}

static int end (void) {
  ok(load_relaxed(&load_relaxed(&mentioned)->refs) == 1,
     "what messages mentioned is counted by nobody any more");
  return kit_close();
}
