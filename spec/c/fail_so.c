/*
** fail_so.c - for spec files: system calls and allocations of the core that fail
**
**   fail.names                  list of what can fail: "malloc", "mmap", ...
**   fail.at(name, n) -> left    the n-th call of it by the core from now on fails
**                               in this process (0: none); 'left' is not above 0
**                               where the one asked for before has failed
**   fail.hide_proc()            from now on the core finds nothing below /proc
**   fail.live() -> blocks, maps of malloc's and of mmap's that the core has, counted
**                               from the loading of this module on
**
** The core's own imports, and those of the HTTP module where it is loaded before,
** are redirected (the slots of their global offset tables), so nothing else is
** touched, and nothing needs to be preloaded.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum what { MALLOC, MMAP, FORK, PTHREAD_CREATE, DESCRIPTOR, CURL, WHATS };
static const char *const names[] = {
  "malloc", "mmap", "fork", "pthread_create", "descriptor", "curl", NULL
};

static _Atomic long left[WHATS];
static _Atomic long maps, blocks;

static bool fails (enum what w) {
  return atomic_load(&left[w]) > 0 && atomic_fetch_sub(&left[w], 1) == 1;
}

/* {=== blocks: an open table of those made since ===} */

#define PLACES  (1u << 18)

static _Atomic uintptr_t made[PLACES];
#define GONE  ((uintptr_t)1)

static uint32_t place_of (uintptr_t p) {
  return (uint32_t)((p >> 4) * 0x9E3779B1u) % PLACES;
}

static void *note (void *p) {
  uintptr_t u = (uintptr_t)p;
  if (u == 0)
    return p;
  for (uint32_t i = place_of(u), n = 0; n < PLACES; i = (i + 1) % PLACES, n++) {
    uintptr_t was = atomic_load(&made[i]);
    if (was <= GONE && atomic_compare_exchange_strong(&made[i], &was, u))
      break;
  }
  atomic_fetch_add(&blocks, 1);
  return p;
}

static void forget (void *p) {
  uintptr_t u = (uintptr_t)p;
  for (uint32_t i = place_of(u), n = 0; u != 0 && n < PLACES; i = (i + 1) % PLACES, n++) {
    uintptr_t was = atomic_load(&made[i]);
    if (was == 0)
      return;                      /* older than this module */
    if (was == u && atomic_compare_exchange_strong(&made[i], &was, GONE)) {
      atomic_fetch_sub(&blocks, 1);
      return;
    }
  }
}

/* {=== in place of the originals ===} */

static void *my_malloc (size_t size) {
  if (fails(MALLOC)) { errno = ENOMEM; return NULL; }
  return note(malloc(size));
}

static void *my_calloc (size_t n, size_t size) {
  if (fails(MALLOC)) { errno = ENOMEM; return NULL; }
  return note(calloc(n, size));
}

static void *my_realloc (void *p, size_t size) {
  if (fails(MALLOC)) { errno = ENOMEM; return NULL; }
  forget(p);
  return note(realloc(p, size));
}

static char *my_strdup (const char *s) {
  if (fails(MALLOC)) { errno = ENOMEM; return NULL; }
  return note(strdup(s));
}

static void my_free (void *p) {
  forget(p);
  free(p);
}

static void *my_mmap (void *at, size_t size, int prot, int flags, int fd, off_t offset) {
  if (fails(MMAP)) { errno = ENOMEM; return MAP_FAILED; }
  atomic_fetch_add(&maps, 1);
  return mmap(at, size, prot, flags, fd, offset);
}

static int my_munmap (void *at, size_t size) {
  atomic_fetch_sub(&maps, 1);
  return munmap(at, size);
}

static pid_t my_fork (void) {
  if (fails(FORK)) { errno = EAGAIN; return -1; }
  return fork();
}

static int my_pthread_create (pthread_t *t, const pthread_attr_t *attr, void *(*f) (void *),
                              void *arg) {
  return fails(PTHREAD_CREATE) ? EAGAIN : pthread_create(t, attr, f, arg);
}

static bool no_descriptor (void) {
  bool no = fails(DESCRIPTOR);
  if (no) errno = EMFILE;
  return no;
}

static int my_eventfd (unsigned n, int flags) {
  return no_descriptor() ? -1 : eventfd(n, flags);
}

static int my_epoll_create1 (int flags) {
  return no_descriptor() ? -1 : epoll_create1(flags);
}

static int my_signalfd (int fd, const sigset_t *set, int flags) {
  return no_descriptor() ? -1 : signalfd(fd, set, flags);
}

static _Atomic bool proc_hidden;

static bool hidden (const char *path) {
  bool yes = atomic_load(&proc_hidden) && strncmp(path, "/proc/", 6) == 0;
  if (yes) errno = ENOENT;
  return yes;
}

static int my_open (const char *path, int flags, mode_t mode) {
  return hidden(path) ? -1 : open(path, flags, mode);
}

static int my_access (const char *path, int mode) {
  return hidden(path) ? -1 : access(path, mode);
}

typedef void any (void);

/* What makes something of libcurl's: a pointer, of at most two. */
#define MAKERS(X) X(curl_easy_init) X(curl_mime_init) X(curl_mime_addpart) \
  X(curl_multi_init) X(curl_share_init) X(curl_slist_append) X(curl_url)
#define MAKER(name) \
  static any *name; \
  static void *my_##name (void *a, void *b) { \
    return fails(CURL) ? NULL : ((void *(*) (void *, void *))name)(a, b); \
  }
MAKERS(MAKER)
#define MAKER_ROW(name)  { #name, (any *)my_##name, &name },

static const struct { const char *name; any *mine; any **original; } table[] = {
  MAKERS(MAKER_ROW)
  { "malloc", (any *)my_malloc, NULL }, { "calloc", (any *)my_calloc, NULL },
  { "realloc", (any *)my_realloc, NULL }, { "strdup", (any *)my_strdup, NULL },
  { "free", (any *)my_free, NULL }, { "mmap", (any *)my_mmap, NULL }, { "munmap", (any *)my_munmap, NULL },
  { "mmap64", (any *)my_mmap, NULL }, { "fork", (any *)my_fork, NULL },
  { "pthread_create", (any *)my_pthread_create, NULL }, { "eventfd", (any *)my_eventfd, NULL },
  { "epoll_create1", (any *)my_epoll_create1, NULL }, { "signalfd", (any *)my_signalfd, NULL },
  { "open", (any *)my_open, NULL }, { "open64", (any *)my_open, NULL },
  { "access", (any *)my_access, NULL },
};

/* {=== the core's imports ===} */

static void redirect (const struct dl_phdr_info *info, const ElfW(Rela) *rela, size_t size,
                      const ElfW(Sym) *symbols, const char *strings) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < size / sizeof *rela; i++) {
    const char *name = strings + symbols[ELF64_R_SYM(rela[i].r_info)].st_name;
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
      if (strcmp(name, table[k].name) == 0) {
        uintptr_t slot = info->dlpi_addr + rela[i].r_offset;
        mprotect((void *)(slot & ~(page - 1)), page, PROT_READ | PROT_WRITE);
        if (table[k].original != NULL)
          *table[k].original = *(any **)slot;
        *(any **)slot = table[k].mine;
      }
  }
}

static bool ends_in (const char *path, const char *end) {
  size_t n = strlen(path), m = strlen(end);
  return n >= m && strcmp(path + n - m, end) == 0;
}

static int visit (struct dl_phdr_info *info, size_t unused, void *found) {
  (void)unused;
  bool core = ends_in(info->dlpi_name, "conc/core.so");
  if (!core && !ends_in(info->dlpi_name, "conc/http_core.so"))
    return 0;
  *(bool *)found |= core;
  const ElfW(Dyn) *d = NULL;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
      d = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  const void *at[DT_JMPREL + 1] = { NULL };
  size_t size[DT_JMPREL + 1] = { 0 };
  for (; d != NULL && d->d_tag != DT_NULL; d++)
    if (d->d_tag >= 0 && d->d_tag <= DT_JMPREL) {
      at[d->d_tag] = (const void *)d->d_un.d_ptr;
      size[d->d_tag] = (size_t)d->d_un.d_val;
    }
  redirect(info, at[DT_JMPREL], size[DT_PLTRELSZ], at[DT_SYMTAB], at[DT_STRTAB]);
  redirect(info, at[DT_RELA], size[DT_RELASZ], at[DT_SYMTAB], at[DT_STRTAB]);
  return 0;
}

/* {=== for Lua ===} */

static int fail_at (lua_State *L) {
  int w = luaL_checkoption(L, 1, NULL, names);
  lua_pushinteger(L, atomic_exchange(&left[w], (long)luaL_checkinteger(L, 2)));
  return 1;
}

static int fail_hide_proc (lua_State *L) {
  (void)L;
  atomic_store(&proc_hidden, true);
  return 0;
}

static int fail_live (lua_State *L) {
  lua_pushinteger(L, atomic_load(&blocks));
  lua_pushinteger(L, atomic_load(&maps));
  return 2;
}

int luaopen_fail (lua_State *L);
int luaopen_fail (lua_State *L) {
  static _Atomic bool done;
  static const luaL_Reg functions[] = {
    { "at", fail_at }, { "hide_proc", fail_hide_proc }, { "live", fail_live }, { NULL, NULL }
  };
  bool found = false;
  if (!atomic_exchange(&done, true)) {
    dl_iterate_phdr(visit, &found);
    if (!found)
      return luaL_error(L, "the core is not loaded");
    Dl_info info;                  /* stays, as the core does */
    if (dladdr(names, &info) != 0)
      dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
  }
  luaL_newlib(L, functions);
  lua_newtable(L);
  for (int i = 0; names[i] != NULL; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "names");
  return 1;
}
