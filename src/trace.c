/*
** trace.c - floor 2: a timeline of threads, tasks, waits and lock holds
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "trace.h"
#include "gate.h"
#include "record.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trace {
  struct block head;
  _Atomic uint32_t on;
  _Atomic uint32_t count;            /* traces begun */
  nanos base;                        /* its beginning */
  char path[TRACE_PATH_MAX];         /* absolute */
};

static _Atomic uint32_t never;
_Atomic uint32_t *trace_on = &never;
static struct trace *shared;         /* constant after init */

/* The file of this process: number of the trace << 32 | descriptor + 1. */
static _Atomic uint64_t opened;

/* Who the thread last said it was. */
static __thread uint32_t told_trace;
static __thread uint64_t told_id;

/* {=== the file ===} */

static bool read_path (uint32_t trace, char *path) {
  memcpy(path, shared->path, TRACE_PATH_MAX);
  atomic_thread_fence(memory_order_acquire);
  return load_relaxed(&shared->on) == trace;
}

/* A descriptor that others may be writing to is replaced, never closed. */
static int open_file (uint32_t trace) {
  char path[TRACE_PATH_MAX];
  uint64_t old = load_acquire(&opened);
  int fd = read_path(trace, path)
         ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
  int before = (int)(old & UINT32_MAX) - 1;
  if (fd >= 0 && before >= 0 && dup3(fd, before, O_CLOEXEC) >= 0) {
    close(fd);
    fd = before;
  }
  uint64_t now = (uint64_t)trace << 32 | (uint32_t)(fd + 1);
  if (!cas_acqrel(&opened, &old, now) && fd >= 0 && fd != before)
    close(fd);
  return (int)(load_acquire(&opened) & UINT32_MAX) - 1;
}

static int file_of (uint32_t trace) {
  uint64_t o = load_acquire(&opened);
  return o >> 32 == trace ? (int)(o & UINT32_MAX) - 1 : open_file(trace);
}

/* {=== lines ===} */

struct line { size_t n; char text[1024]; };

__attribute__((format(printf, 2, 3)))
static void add (struct line *l, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, format, args);
  va_end(args);
  if (n > 0)
    l->n += (size_t)n < sizeof l->text - l->n ? (size_t)n : sizeof l->text - l->n - 1;
}

/* As a JSON string; 200 bytes of it at most, so that a line always has room. */
static void add_string (struct line *l, const char *s) {
  add(l, "\"");
  for (int i = 0; i < 200 && s[i] != '\0'; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '"' || c == '\\')
      add(l, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
      add(l, "\\u%04x", c);
    else
      add(l, "%c", c);
  }
  add(l, "\"");
}

static void begin_line_of (struct line *l, char phase, uint64_t id, nanos at) {
  nanos ns = at > shared->base ? at - shared->base : 0;
  l->n = 0;
  add(l, ",{\"ph\":\"%c\",\"pid\":%d,\"tid\":%llu,\"ts\":%lld.%03d", phase, (int)getpid(),
      (unsigned long long)id, (long long)(ns / 1000), (int)(ns % 1000));
}

static void begin_line (struct line *l, char phase, nanos at) {
  begin_line_of(l, phase, load_relaxed(&self()->id), at);
}

static void end_line (struct line *l, int fd) {
  ssize_t unused;
  add(l, "}\n");
  do unused = write(fd, l->text, l->n); while (unused < 0 && errno == EINTR);
}

static void tell_name (int fd, const char *what, const char *name) {
  struct line l;
  begin_line(&l, 'M', shared->base);
  add(&l, ",\"name\":\"%s\",\"args\":{\"name\":", what);
  add_string(&l, name);
  add(&l, "}");
  end_line(&l, fd);
}

/* Before the first event of a thread: who it is. -1: nothing can be written. */
static int begin (void) {
  struct thread_record *me = self();
  uint32_t trace = load_acquire(trace_on);
  if (trace == 0 || shared == NULL)
    return -1;
  int fd = file_of(trace);
  if (fd >= 0 && load_relaxed(&me->id) != 0
      && (told_trace != trace || told_id != load_relaxed(&me->id))) {
    const char *name = me->name[0] != '\0' ? me->name : "main";
    told_trace = trace;
    told_id = load_relaxed(&me->id);
    if (sys_tid() == getpid())
      tell_name(fd, "process_name", name);
    tell_name(fd, "thread_name", name);
  }
  return fd;
}

/* {=== events ===} */

/* All calls keep errno: they stand in places that have one to tell. */

void trace_wait (struct block *object, const char *verb, nanos since) {
  struct line l;
  char what[160] = "";
  int saved = errno, fd = begin();
  if (fd >= 0 && verb != NULL) {
    nanos took = sys_now() - since;
    if (object != NULL)
      gate_name(object, what, sizeof what);
    begin_line(&l, 'X', since);
    add(&l, ",\"dur\":%lld.%03d,\"cat\":\"wait\",\"name\":", (long long)(took / 1000),
        (int)(took % 1000));
    add_string(&l, verb);
    add(&l, ",\"args\":{\"of\":");
    add_string(&l, what);
    add(&l, ",\"at\":");
    add_string(&l, self()->line);
    add(&l, "}");
    end_line(&l, fd);
  }
  errno = saved;
}

void trace_hold (struct block *b, bool held) {
  struct line l;
  char what[160];
  int saved = errno, fd = begin();
  if (fd >= 0) {
    gate_name(b, what, sizeof what);
    begin_line(&l, held ? 'b' : 'e', sys_now());
    add(&l, ",\"cat\":\"hold\",\"id\":\"%p\",\"name\":", (void *)b);
    add_string(&l, what);
    add(&l, ",\"args\":{\"by\":");
    add_string(&l, self()->name[0] != '\0' ? self()->name : "main");
    add(&l, "}");
    end_line(&l, fd);
  }
  errno = saved;
}

/* A thread that ends its own life is nobody any more by then; a task that runs
   in it, or in a pool's worker, is told as the thread's. */
void trace_run (const char *kind, const char *name, uint64_t id, bool begins) {
  struct line l;
  char number[40];
  int saved = errno, fd = begin();
  if (fd >= 0) {
    uint64_t who = load_relaxed(&self()->id);
    snprintf(number, sizeof number, "%s %llu", kind, (unsigned long long)id);
    begin_line_of(&l, begins ? 'B' : 'E', who != 0 ? who : id, sys_now());
    add(&l, ",\"cat\":\"%s\",\"name\":", kind);
    add_string(&l, name[0] != '\0' ? name : number);
    end_line(&l, fd);
  }
  errno = saved;
}

/* {=== on and off ===} */

static bool absolute (const char *path, char *to) {
  size_t n = 0;
  if (path[0] != '/') {
    if (getcwd(to, TRACE_PATH_MAX) == NULL)
      return false;
    n = strlen(to);
    to[n++] = '/';
  }
  if (n + strlen(path) >= TRACE_PATH_MAX) {
    errno = ENAMETOOLONG;
    return false;
  }
  strcpy(to + n, path);
  return true;
}

int trace_start (const char *path) {
  char full[TRACE_PATH_MAX];
  if (shared == NULL) {
    errno = ENOMEM;
    return CONC_SYSTEM;
  }
  int fd = absolute(path, full)
         ? open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
  if (fd < 0)
    return CONC_SYSTEM;
  ssize_t n;  /* the first line is an event too: those that follow begin with a comma */
  do n = dprintf(fd, "[{\"ph\":\"M\",\"pid\":%d,\"name\":\"trace\",\"args\":{\"name\":\"conc\"}}\n",
                 (int)getpid());
  while (n < 0 && errno == EINTR);
  close(fd);
  if (n < 0)
    return CONC_SYSTEM;
  trace_stop();
  memcpy(shared->path, full, sizeof full);
  shared->base = sys_now();
  store_release(&shared->on, add_relaxed(&shared->count, 1) + 1);
  if (load_relaxed(&self()->id) != 0)
    trace_run("thread", self()->name, load_relaxed(&self()->id), true);
  return CONC_OK;
}

void trace_stop (void) {
  store_release(trace_on, 0);
}

void trace_open (void) {
  if (shared != NULL)
    return;
  struct block *b = arena_alloc(sizeof(struct trace));
  if (b == NULL)
    return;
  memset((char *)b + sizeof *b, 0, sizeof(struct trace) - sizeof *b);
  shared = (struct trace *)(void *)b;
  arena_settle(b);
  trace_on = &shared->on;
  const char *path = getenv("CONC_TRACE");
  if (path != NULL && path[0] != '\0' && trace_start(path) != CONC_OK)
    fprintf(stderr, "conc: CONC_TRACE=%s: %s\n", path, strerror(errno));
}
