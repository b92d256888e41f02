/*
** state.c - floor 4: lua_States made ahead, truly reset and used again
**
** Coroutines. Lua tells its allocator when it makes a coroutine (osize is
** LUA_TTHREAD), and how large that is; so the allocator keeps a table of those
** that live. Whoever cancels a thread must reach them all (poke.c), from a
** signal handler that may come between any two instructions of the allocator:
**   C1  A table is published by one store of 'table', whole; a slot changes by
**       one store. The handler runs on the thread that changes them.
**   C2  A coroutine's block is cleared before it gets into the table: to set a
**       hook in one that is not yet begun touches no stray pointer.
**
** The model. To open the libraries takes ten times as long as to copy what they
** are then, so it is done once: the first state's image is the model, and others
** begin as a copy of it, with the pointers into the region set right (each word
** that could be one is). What makes that sound:
**   M1  Regions lie whole multiples of 4 GiB apart, so a pointer's lower half is the
**       same in each; and Lua hashes by that half (ltable.c, point2uint), as do our
**       own tables in a state (codec_impl.h).
**   M2  A copy's allocator is set to its own 'struct state' each time.
** Where no such place is to be had, a state is made from nothing, with an image of
** its own; so have the few that are used again and again, since to copy that is
** faster still.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "state.h"
#include "sys.h"

#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_SIZE   ((size_t)256 * 1024)
#define ROOM          ((size_t)64 * 1024)    /* left for the state's own use */
#define KEEP          64                     /* free states kept, at most */
#define HOT           4                      /* with images of their own, beside the model */
#define SLOTS         4096                   /* places tried for regions */
#define APART         ((uint64_t)1 << 32)    /* M1 */
#define ALIGN         16

/* {=== the table of coroutines ===} */

struct cotable {
  size_t mask;                       /* constant; slots - 1 */
  void *_Atomic slot[];              /* NULL: free; GONE: was used */
};
#define GONE  ((void *)(uintptr_t)1)

struct coroutines {
  struct cotable *_Atomic table;     /* C1 */
  size_t used;                       /* slots that are not NULL */
  size_t live;
};

static size_t coroutine_size;        /* of the block of one; constant after init */

static size_t slot_of (const struct cotable *t, const void *p) {
  return ((size_t)(uintptr_t)p >> 4) * (size_t)0x9E3779B97F4A7C15u >> 20 & t->mask;
}

static void put_in (struct cotable *t, void *p) {
  size_t i = slot_of(t, p);
  while (load_relaxed(&t->slot[i]) != NULL)
    i = (i + 1) & t->mask;
  store_relaxed(&t->slot[i], p);
}

static bool cos_grow (struct coroutines *c) {
  struct cotable *old = load_relaxed(&c->table);
  size_t n = 16;
  while (n < c->live * 4) n *= 2;
  struct cotable *t = calloc(1, sizeof *t + n * sizeof t->slot[0]);
  if (t == NULL)
    return false;
  t->mask = n - 1;
  for (size_t i = 0; old != NULL && i <= old->mask; i++) {
    void *p = load_relaxed(&old->slot[i]);
    if (p != NULL && p != GONE)
      put_in(t, p);
  }
  kill_order();
  store_relaxed(&c->table, t);
  c->used = c->live;
  free(old);
  return true;
}

static bool cos_add (struct coroutines *c, void *p) {
  struct cotable *t = load_relaxed(&c->table);
  if ((t == NULL || (c->used + 1) * 2 > t->mask) && !cos_grow(c))
    return false;
  put_in(load_relaxed(&c->table), p);
  c->used++;
  c->live++;
  return true;
}

static void cos_remove (struct coroutines *c, void *p) {
  struct cotable *t = load_relaxed(&c->table);
  if (t == NULL)
    return;
  for (size_t i = slot_of(t, p); ; i = (i + 1) & t->mask) {
    void *q = load_relaxed(&t->slot[i]);
    if (q == NULL)
      return;
    if (q == p) {
      store_relaxed(&t->slot[i], GONE);
      c->live--;
      return;
    }
  }
}

static void cos_clear (struct coroutines *c) {
  struct cotable *t = load_relaxed(&c->table);
  store_relaxed(&c->table, NULL);
  kill_order();
  free(t);
  c->used = c->live = 0;
}

/* {=== allocators ===} */

/* While a state is made, what is freed in its region is used again: then the image
   is small. Blocks by their size in units of ALIGN; the larger ones in one list. */
#define SMALL  32
struct hole { struct hole *next; size_t size; };
struct holes { struct hole *small[SMALL + 1], *large; };

struct state {
  lua_State *L;
  struct state *next;          /* in the free list */
  char *base, *limit;          /* the region; constant */
  char *top;                   /* next free byte of it */
  struct holes *holes;         /* NULL: it has been made */
  char *image;                 /* what [base, base + image_size) was; NULL: the model's copy */
  size_t image_size;
  uint32_t resets;
  size_t image_libraries;      /* C libraries that it has loaded */
  uint32_t group;
  bool plain;                  /* no finalizer can exist but the image's own */
  size_t outside;              /* blocks of malloc's */
  struct coroutines cos;
};

static bool in_region (const struct state *s, const void *p) {
  return (const char *)p >= s->base && (const char *)p < s->limit;
}

static size_t round_up (size_t size) {
  return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void hole_put (struct holes *h, void *p, size_t size) {
  if (size == 0)
    return;
  struct hole *x = p, **list = size <= SMALL * ALIGN ? &h->small[size / ALIGN] : &h->large;
  x->size = size;
  x->next = *list;
  *list = x;
}

static void *hole_take (struct holes *h, size_t size) {
  struct hole **at = &h->large;
  for (size_t i = size / ALIGN; i <= SMALL; i++)
    if (h->small[i] != NULL) {
      at = &h->small[i];
      break;
    }
  while (*at != NULL && (*at)->size < size)
    at = &(*at)->next;
  struct hole *x = *at;
  if (x != NULL) {
    *at = x->next;
    hole_put(h, (char *)x + size, x->size - size);
  }
  return x;
}

static void *region_alloc (struct state *s, size_t size) {
  size = round_up(size);
  void *hole = s->holes != NULL ? hole_take(s->holes, size) : NULL;
  if (hole != NULL)
    return hole;
  if ((size_t)(s->limit - s->top) < size)
    return NULL;
  void *p = s->top;
  s->top += size;
  return p;
}

static void *outside_alloc (struct state *s, size_t size) {
  void *p = malloc(size);
  if (p != NULL)
    s->outside++;
  return p;
}

static void drop (struct state *s, void *p, size_t size) {
  if (size == coroutine_size)
    cos_remove(&s->cos, p);
  if (!in_region(s, p)) {
    s->outside--;
    free(p);
  }
  else if (s->holes != NULL)
    hole_put(s->holes, p, round_up(size));
}

static void *fresh (struct state *s, size_t tag, size_t size) {
  void *p = region_alloc(s, size);
  if (p == NULL)
    p = outside_alloc(s, size);
  if (tag == LUA_TUSERDATA)
    s->plain = false;
  if (tag == LUA_TTHREAD && p != NULL) {
    memset(p, 0, size);
    if (!cos_add(&s->cos, p)) {
      drop(s, p, size);
      return NULL;
    }
  }
  return p;
}

/* A block of the region that is to grow. */
static void *move (struct state *s, void *p, size_t osize, size_t nsize) {
  void *q = region_alloc(s, nsize);
  if (q == NULL)
    q = outside_alloc(s, nsize);
  if (q != NULL) {
    memcpy(q, p, osize);
    if (s->holes != NULL)
      hole_put(s->holes, p, round_up(osize));
  }
  return q;
}

static void *shrink (struct state *s, void *p, size_t osize, size_t nsize) {
  if (s->holes != NULL)
    hole_put(s->holes, (char *)p + round_up(nsize), round_up(osize) - round_up(nsize));
  return p;
}

/* The lua_Alloc of our states. */
static void *state_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  struct state *s = ud;
  if (p == NULL)
    return nsize != 0 ? fresh(s, osize, nsize) : NULL;
  if (nsize == 0) {
    drop(s, p, osize);
    return NULL;
  }
  if (!in_region(s, p))
    return realloc(p, nsize);
  return nsize <= osize ? shrink(s, p, osize, nsize) : move(s, p, osize, nsize);
}

/* Tells how large the block of a coroutine is. */
static void *probe_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (p == NULL && osize == LUA_TTHREAD && nsize != 0)
    coroutine_size = nsize;
  if (nsize == 0) {
    free(p);
    return NULL;
  }
  return realloc(p, nsize);
}

/* {=== making and resetting ===} */

static lua_CFunction maker;                                /* constant after init */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static struct state *free_states;
static int free_count;

static int panic (lua_State *L) {
  const char *msg = lua_tostring(L, -1);
  lua_writestringerror("PANIC: unprotected error in call to Lua API (%s)\n",
                       msg != NULL ? msg : "error object is not a string");
  return 0;
}

/* Warnings as luaL_newstate has them: off until '@on'. */
static void warn_off (void *ud, const char *msg, int tocont);
static void warn_on (void *ud, const char *msg, int tocont);

static bool control (lua_State *L, const char *msg, int tocont) {
  if (tocont || *msg++ != '@')
    return false;
  if (strcmp(msg, "off") == 0)
    lua_setwarnf(L, warn_off, L);
  else if (strcmp(msg, "on") == 0)
    lua_setwarnf(L, warn_on, L);
  return true;
}

static void warn_off (void *ud, const char *msg, int tocont) {
  control(ud, msg, tocont);
}

static void warn_more (void *ud, const char *msg, int tocont) {
  lua_writestringerror("%s", msg);
  if (!tocont) {
    lua_writestringerror("%s", "\n");
    lua_setwarnf(ud, warn_on, ud);
  }
}

static void warn_on (void *ud, const char *msg, int tocont) {
  if (control(ud, msg, tocont))
    return;
  lua_writestringerror("%s", "Lua warning: ");
  lua_setwarnf(ud, warn_more, ud);
  warn_more(ud, msg, tocont);
}

/* How many C libraries the state has loaded, of those that lua_close lets go of. */
static size_t loaded_libraries (lua_State *L) {
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, "_CLIBS");  /* loadlib.c's */
  return lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : SIZE_MAX;
}

/* {=== the model ===} */

struct model {
  char *base;                      /* where it was made */
  char *bytes;                     /* what was there then */
  size_t size, libraries;
  size_t main;                     /* where its lua_State is in it */
  uint32_t *pointers;              /* where pointers into the region are */
  size_t npointers;
};
static struct model *_Atomic the_model;   /* constant once it is there */
static _Atomic int hot_count;

static uint64_t word_at (const char *p) {
  uint64_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

/* Notes where the pointers are; or, without 'to', counts them. */
static size_t find_pointers (const char *bytes, size_t size, const char *base, uint32_t *to) {
  size_t n = 0;
  for (size_t i = 0; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t))
    if (word_at(bytes + i) - (uint64_t)(uintptr_t)base < REGION_SIZE) {
      if (to != NULL) to[n] = (uint32_t)i;
      n++;
    }
  return n;
}

/* The state has been made, with an image of its own: that is the model from now on,
   unless there is one. */
static void become_model (struct state *s) {
  struct model *m = malloc(sizeof *m), *none = NULL;
  if (m == NULL || sizeof(void *) != sizeof(uint64_t)) {
    free(m);
    return;
  }
  *m = (struct model){ s->base, s->image, s->image_size, s->image_libraries,
                       (size_t)((char *)s->L - s->base), NULL, 0 };
  m->npointers = find_pointers(m->bytes, m->size, m->base, NULL);
  m->pointers = malloc((m->npointers + 1) * sizeof *m->pointers);
  if (m->pointers != NULL)
    find_pointers(m->bytes, m->size, m->base, m->pointers);
  if (m->pointers == NULL || !cas_acqrel(&the_model, &none, m)) {
    free(m->pointers);
    free(m);
  }
}

static void copy_model (struct state *s, const struct model *m) {
  uint64_t delta = (uint64_t)(uintptr_t)s->base - (uint64_t)(uintptr_t)m->base;
  memcpy(s->base, m->bytes, m->size);
  for (size_t i = 0; delta != 0 && i < m->npointers; i++) {
    char *at = s->base + m->pointers[i];
    uint64_t x = word_at(at) + delta;
    memcpy(at, &x, sizeof x);
  }
}

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE  0x100000
#endif

static void *map_at (uint64_t at, int flags) {
  void *p = mmap((void *)(uintptr_t)at, REGION_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return p != MAP_FAILED ? p : NULL;
}

/* A region for a copy of the model (M1); NULL: the system has none, or no such call. */
static void *map_slot (const struct model *m) {
  static _Atomic uint32_t turn;
  for (int i = 0; i < 64; i++) {
    uint64_t below = (add_relaxed(&turn, 1) % SLOTS + 1) * APART;
    uint64_t base = (uint64_t)(uintptr_t)m->base;
    if (base <= below + APART)
      continue;
    void *p = map_at(base - below, MAP_FIXED_NOREPLACE);
    if (p == NULL)
      continue;  /* somebody is there */
    if ((uint64_t)(uintptr_t)p == base - below)
      return p;
    munmap(p, REGION_SIZE);
    return NULL;
  }
  return NULL;
}

/* {=== making ===} */

static bool owns_image (const struct state *s) {
  struct model *m = load_acquire(&the_model);
  return s->image != NULL && (m == NULL || s->image != m->bytes);
}

static void state_free (struct state *s) {
  cos_clear(&s->cos);
  if (s->base != NULL)
    munmap(s->base, REGION_SIZE);
  if (owns_image(s)) {
    free(s->image);
    if (s->resets > 0) add_relaxed(&hot_count, -1);
  }
  free(s);
}

static void has_begun (struct state *s, size_t size, size_t libraries) {
  s->image_size = size;
  s->image_libraries = libraries;
  s->top = s->base + size;
  s->limit = s->base + REGION_SIZE;
  if ((size_t)(s->limit - s->top) > ROOM)
    s->limit = s->top + ROOM;
  s->plain = true;
}

/* Opens the libraries in the region; what was freed meanwhile is used again. */
static bool open_libraries (struct state *s) {
  struct holes holes;
  memset(&holes, 0, sizeof holes);
  /* cppcheck-suppress autoVariables ; taken back on either way out */
  s->holes = &holes;
  s->limit = s->base + REGION_SIZE;
  s->L = lua_newstate(state_alloc, s);
  if (s->L == NULL) {
    s->holes = NULL;
    return false;
  }
  lua_atpanic(s->L, panic);
  lua_setwarnf(s->L, warn_off, s->L);
  int pause = lua_gc(s->L, LUA_GCSETPAUSE, 130);
  lua_pushcfunction(s->L, maker);
  bool good = lua_pcall(s->L, 0, 0, 0) == LUA_OK && s->outside == 0;
  if (good) {
    lua_settop(s->L, 0);
    lua_gc(s->L, LUA_GCSETPAUSE, pause);
    lua_gc(s->L, LUA_GCCOLLECT);
  }
  s->holes = NULL;
  return good;
}

static bool furnish (struct state *s) {
  if (!open_libraries(s)) {
    if (s->L != NULL) lua_close(s->L);
    return false;
  }
  size_t libraries = loaded_libraries(s->L), size = (size_t)(s->top - s->base);
  lua_settop(s->L, 0);
  s->image = malloc(size);
  if (s->image == NULL) {
    lua_close(s->L);
    return false;
  }
  memcpy(s->image, s->base, size);
  has_begun(s, size, libraries);
  return true;
}

static void begin_as_copy (struct state *s, const struct model *m) {
  sys_populate(s->base, (m->size + 4095) & ~(size_t)4095);
  copy_model(s, m);
  s->L = (lua_State *)(void *)(s->base + m->main);
  lua_setallocf(s->L, state_alloc, s);
  has_begun(s, m->size, m->libraries);
}

static struct state *state_new (void) {
  struct model *m = load_acquire(&the_model);
  struct state *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->base = m != NULL ? map_slot(m) : NULL;
  if (s->base != NULL) {
    begin_as_copy(s, m);
    return s;
  }
  s->base = s->top = map_at(0, 0);
  if (s->base == NULL || !furnish(s)) {
    state_free(s);
    return NULL;
  }
  if (m == NULL)
    become_model(s);
  return s;
}

static struct state *ours (lua_State *L) {
  void *ud;
  return lua_getallocf(L, &ud) == state_alloc ? ud : NULL;
}

/* Random bits for the generators of states: splitmix64 over a counter that is
   seeded anew in each process. */
static _Atomic uint64_t seeds;

lua_Integer state_seed (void) {
  uint64_t z = add_relaxed(&seeds, 0x9E3779B97F4A7C15u) + 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (lua_Integer)(z ^ z >> 31);
}

/* A state's generator is part of its image. */
static int seed_anew (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &seeds) == LUA_TFUNCTION) {
    lua_pushinteger(L, state_seed());
    lua_pushinteger(L, state_seed());
    lua_call(L, 2, 0);
  }
  return 0;
}

lua_State *state_take (uint32_t group) {
  pthread_mutex_lock(&lock);
  struct state *s = free_states;
  if (s != NULL) {
    free_states = s->next;
    free_count--;
  }
  pthread_mutex_unlock(&lock);
  if (s == NULL && (s = state_new()) == NULL)
    return NULL;
  s->group = group;
  lua_pushcfunction(s->L, seed_anew);
  lua_pcall(s->L, 0, 0, 0);
  lua_settop(s->L, 0);
  return s->L;
}

/* Is freeing blocks of the region all that lua_close would do? What is of the image
   is not the life's that ends: it stays loaded. */
static bool nothing_to_close (struct state *s) {
  if (!s->plain || s->outside != 0)
    return false;
  size_t libraries = loaded_libraries(s->L);
  return libraries != SIZE_MAX && libraries == s->image_libraries;
}

/* For one that is used again and again. */
static void take_image (struct state *s) {
  if (add_relaxed(&hot_count, 1) < HOT && (s->image = malloc(s->image_size)) != NULL)
    memcpy(s->image, s->base, s->image_size);
  else
    add_relaxed(&hot_count, -1);
}

static void reset (struct state *s) {
  cos_clear(&s->cos);
  if (s->image != NULL)
    memcpy(s->base, s->image, s->image_size);
  else
    copy_model(s, load_acquire(&the_model));
  lua_setallocf(s->L, state_alloc, s);
  s->top = s->base + s->image_size;
  s->plain = true;
  s->outside = 0;
  if (s->image == NULL && ++s->resets > 1)
    take_image(s);
}

void state_give (lua_State *L) {
  struct state *s = ours(L);
  if (!nothing_to_close(s))
    lua_close(s->L);
  reset(s);
  pthread_mutex_lock(&lock);
  bool keep = free_count < KEEP;
  if (keep) {
    s->next = free_states;
    free_states = s;
    free_count++;
  }
  pthread_mutex_unlock(&lock);
  if (!keep)
    state_free(s);
}

bool state_ours (lua_State *L) {
  return ours(L) != NULL;
}

uint32_t state_group (lua_State *L) {
  struct state *s = ours(L);
  return s != NULL ? s->group : 0;
}

/* {=== setmetatable, as in lbaselib.c and ldblib.c, but that we are told ===} */

static void told_metatable (lua_State *L, int idx) {
  if (lua_istable(L, idx)) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, idx) != LUA_TNIL)
      state_not_plain(L);
    lua_pop(L, 1);
  }
}

static int set_metatable (lua_State *L) {
  int t = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  told_metatable(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static int set_any_metatable (lua_State *L) {
  int t = lua_type(L, 2);
  luaL_argexpected(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table");
  lua_settop(L, 2);
  told_metatable(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

void state_not_plain (lua_State *L) {
  struct state *s = ours(L);
  if (s != NULL)
    s->plain = false;
}

void state_furnish (lua_State *L) {
  lua_pushcfunction(L, set_metatable);
  lua_setglobal(L, "setmetatable");
  lua_getglobal(L, LUA_DBLIBNAME);
  lua_pushcfunction(L, set_any_metatable);
  lua_setfield(L, -2, "setmetatable");
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_getfield(L, -1, "randomseed");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &seeds);
  lua_pop(L, 2);
}

/* {=== coroutines of any state ===} */

/* In front of another's allocator: notes the coroutines made from now on. */
struct watch {
  lua_Alloc alloc;
  void *ud;
  struct coroutines cos;
};

static void *watch_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  struct watch *w = ud;
  if (p != NULL && nsize == 0 && osize == coroutine_size)
    cos_remove(&w->cos, p);
  void *q = w->alloc(w->ud, p, osize, nsize);
  if (p == NULL && q != NULL && osize == LUA_TTHREAD && nsize == coroutine_size) {
    memset(q, 0, nsize);
    if (!cos_add(&w->cos, q)) {
      w->alloc(w->ud, q, nsize, 0);
      return NULL;
    }
  }
  return q;
}

/* For a forked child, which never closes that state. The first needs no memory of
   its own: malloc's would be one more page to copy. */
bool state_watch (lua_State *L) {
  static struct watch first;
  void *ud;
  lua_Alloc f = lua_getallocf(L, &ud);
  if (f == state_alloc || f == watch_alloc)
    return true;
  struct watch *w = first.alloc == NULL ? &first : calloc(1, sizeof *w);
  if (w == NULL)
    return false;
  w->alloc = f;
  w->ud = ud;
  lua_setallocf(L, watch_alloc, w);
  return true;
}

void state_each (lua_State *L, void (*f) (lua_State *co, void *ctx), void *ctx) {
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  struct coroutines *c = (alloc == state_alloc) ? &((struct state *)ud)->cos
                       : (alloc == watch_alloc) ? &((struct watch *)ud)->cos : NULL;
  struct cotable *t = (c != NULL) ? load_relaxed(&c->table) : NULL;
  for (size_t i = 0; t != NULL && i <= t->mask; i++) {
    char *p = load_relaxed(&t->slot[i]);
    if (p != NULL && (void *)p != GONE)
      f((lua_State *)(void *)(p + LUA_EXTRASPACE), ctx);
  }
}

/* {=== load and fork ===} */

static uint64_t seed_of_child;       /* under the mutex */

static void before_fork (void) {
  pthread_mutex_lock(&lock);
  seed_of_child = (uint64_t)state_seed();
}

static void in_parent (void) { pthread_mutex_unlock(&lock); }

static void in_child (void) {
  store_relaxed(&seeds, seed_of_child);
  pthread_mutex_unlock(&lock);
}

void state_set_maker (lua_CFunction f) {
  maker = f;
}

static int make_coroutine (lua_State *L) {
  lua_newthread(L);
  return 0;
}

bool state_open (void) {
  lua_State *L = lua_newstate(probe_alloc, NULL);
  if (L == NULL)
    return false;
  lua_pushcfunction(L, make_coroutine);
  bool made = lua_pcall(L, 0, 0, 0) == LUA_OK;
  lua_close(L);
  if (made) {
    store_relaxed(&seeds, sys_entropy());
    pthread_atfork(before_fork, in_parent, in_child);
  }
  return made;
}
