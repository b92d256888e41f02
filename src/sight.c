/*
** sight.c - floor 4: what every thread and process is doing now
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sight.h"
#include "gate.h"
#include "message.h"
#include "poke.h"
#include "record.h"
#include "roster.h"
#include "sys.h"
#include "task.h"
#include "thread.h"
#include "trace.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOLDERS  4       /* named in one line */

/* {=== one thread ===} */

enum column { C_PID, C_ID, C_NAME, C_STATE, C_LINE, C_WAITS, C_SINCE, C_HELD, COLUMNS };

static const char *const titles[COLUMNS] = {
  "pid", "id", "name", "state", "line", "waits for", "since", "held by"
};

struct row {
  int32_t pid;
  uint64_t id;
  char cells[COLUMNS][200];
};

static bool is_timer (struct thread_record *t, struct block *object) {
  return object != NULL && object == load_relaxed(&t->task)
      && (load_relaxed(&task_of(object)->flags) & TASK_TIMER) != 0;
}

static void add_deadline (char *to, size_t size, const char *how, deadline until) {
  size_t n = strlen(to);
  if (until != DEADLINE_NEVER && until != DEADLINE_NOW)
    snprintf(to + n, size - n, " (%s in %.1f s)", how, (double)(until - sys_now()) / 1e9);
}

static void name_holders (const thread_key *keys, int n, char *to, size_t size) {
  size_t at = 0;
  for (int i = 0; i < n && at + 1 < size; i++) {
    struct thread_record *t = record_at(KEY_INDEX(keys[i]));
    char name[NAME_SIZE];
    memcpy(name, t->name, sizeof name);
    name[NAME_SIZE - 1] = '\0';
    int wrote = record_ended(keys[i])
      ? snprintf(to + at, size - at, "%sone that has ended", i > 0 ? ", " : "")
      : snprintf(to + at, size - at, "%s\"%s\" (id %llu)", i > 0 ? ", " : "",
                 name[0] != '\0' ? name : "main", (unsigned long long)load_relaxed(&t->id));
    at += wrote > 0 ? (size_t)wrote : 0;
  }
}

static void describe_wait (struct row *r, struct thread_record *t, const char *verb) {
  thread_key keys[HOLDERS];
  char what[160] = "";
  struct block *object;
  int n = gate_holders(t, &object, keys, HOLDERS);
  deadline until = load_relaxed(&t->wait_until);
  char *waits = r->cells[C_WAITS];
  size_t size = sizeof r->cells[C_WAITS];
  if (is_timer(t, object)) {
    snprintf(waits, size, "its time");
    add_deadline(waits, size, "due", until);
  }
  else {
    if (object != NULL)
      gate_name(object, what, sizeof what);
    snprintf(waits, size, what[0] != '\0' ? "%s %s" : "%s", verb, what);
    add_deadline(waits, size, what[0] != '\0' ? "timeout" : "over", until);
    name_holders(keys, n, r->cells[C_HELD], sizeof r->cells[C_HELD]);
  }
  snprintf(r->cells[C_SINCE], sizeof r->cells[C_SINCE], "%.1f s",
           (double)(sys_now() - load_relaxed(&t->wait_since)) / 1e9);
}

static void describe_who (struct row *r, int32_t pid, uint64_t id, const char *name,
                          bool waits) {
  memset(r, 0, sizeof *r);
  r->pid = pid;
  r->id = id;
  snprintf(r->cells[C_PID], sizeof r->cells[C_PID], "%d", (int)pid);
  snprintf(r->cells[C_ID], sizeof r->cells[C_ID], "%llu", (unsigned long long)id);
  memcpy(r->cells[C_NAME], name, NAME_SIZE - 1);
  snprintf(r->cells[C_STATE], sizeof r->cells[C_STATE], waits ? "waiting" : "running");
}

static void describe (struct row *r, struct thread_record *t, struct process_record *p) {
  const char *verb = load_acquire(&t->wait_verb);
  describe_who(r, load_relaxed(&p->pid), load_relaxed(&t->id), t->name, verb != NULL);
  memcpy(r->cells[C_LINE], t->line, sizeof t->line - 1);
  if (verb != NULL)
    describe_wait(r, t, verb);
}

/* {=== where the running ones are ===} */

/* One that runs something for the program: parked and helper threads do not. */
static bool is_shown (struct thread_record *t) {
  return load_acquire(&t->owner) != 0 && load_acquire(&t->task) != NULL;
}

static void ask_lines (void) {
  struct thread_record *me = self();
  int n = thread_count();
  for (int i = 0; i < n; i++) {
    struct thread_record *t = record_at((uint32_t)i);
    if (t != me && is_shown(t) && load_acquire(&t->wait_verb) == NULL)
      poke_ask_line((uint32_t)i);
  }
  deadline until = sys_now() + SIGHT_PATIENCE;
  for (int i = 0; i < n; i++) {
    struct thread_record *t = record_at((uint32_t)i);
    while (t != me && is_shown(t) && load_acquire(&t->ask_line) != 0
           && load_acquire(&t->wait_verb) == NULL && sys_now() < until)
      sys_futex_wait(&t->ask_line, 1, until);
    store_relaxed(&t->ask_line, 0);
  }
}

static void note_own_line (void) {
  struct gate_hooks hooks;
  gate_get_hooks(&hooks);
  if (hooks.note_line != NULL)
    hooks.note_line(hooks.ctx, self()->line, sizeof self()->line);
}

/* {=== the table ===} */

static int compare (const void *a, const void *b) {
  const struct row *x = a, *y = b;
  if (x->pid != y->pid)
    return x->pid < y->pid ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* A timer that has no thread yet. */
static bool is_pending_timer (struct task *t) {
  return (load_relaxed(&t->flags) & TASK_TIMER) != 0 && task_state(t) == TASK_PENDING
      && load_relaxed(&t->timeout) != 0;
}

static void describe_timer (struct row *r, struct task *t) {
  size_t size = sizeof r->cells[C_WAITS];
  describe_who(r, load_relaxed(&t->pid), t->id, t->name, true);
  snprintf(r->cells[C_WAITS], size, "its time");
  add_deadline(r->cells[C_WAITS], size, "due", load_relaxed(&t->timeout));
  snprintf(r->cells[C_SINCE], sizeof r->cells[C_SINCE], "%.1f s",
           (double)(sys_now() - load_relaxed(&t->begun)) / 1e9);
}

/* The tasks that are alive, in a message in hand: 'n' references. NULL: no room. */
static struct message *alive (uint32_t *n) {
  *n = 0;
  return (struct message *)(void *)roster_list(n);
}

/* All threads that are shown, and the timers in 'm'; their number. */
static struct row *collect_with (int *count, struct message *m, uint32_t tasks) {
  int n = thread_count();
  struct row *rows = malloc(((size_t)n + tasks + 1) * sizeof *rows);
  *count = 0;
  for (uint32_t i = 0; rows != NULL && i < tasks; i++) {
    struct task *t = task_of(load_relaxed(&m->refs[i]));
    if (is_pending_timer(t))
      describe_timer(&rows[(*count)++], t);
  }
  for (int i = 0; rows != NULL && i < n; i++) {
    struct thread_record *t = record_at((uint32_t)i);
    uint32_t owner = load_acquire(&t->owner);
    if (is_shown(t) && owner != 0)
      describe(&rows[(*count)++], t, process_at(owner - 1));
  }
  if (rows != NULL)
    qsort(rows, (size_t)*count, sizeof *rows, compare);
  return rows;
}

static struct row *collect (int *count) {
  uint32_t tasks;
  struct message *m = alive(&tasks);
  struct row *rows = collect_with(count, m, tasks);
  if (m != NULL)
    message_drop(&m->head);
  return rows;
}

static int count_processes (const struct row *rows, int n) {
  int count = 0;
  for (int i = 0; i < n; i++)
    count += i == 0 || rows[i].pid != rows[i - 1].pid;
  return count;
}

static size_t add_line (char *to, const struct row *r, const size_t *widths) {
  size_t n = 0, end = 0;
  for (int c = 0; c < COLUMNS; c++) {
    const char *cell = r != NULL ? r->cells[c] : titles[c];
    bool number = c == C_PID || c == C_ID || c == C_SINCE;
    n += (size_t)sprintf(to + n, number ? "%*s" : "%-*s", (int)widths[c], cell);
    if (cell[0] != '\0')
      end = n;
    if (c < COLUMNS - 1)
      n += (size_t)sprintf(to + n, "  ");
  }
  while (end > 0 && to[end - 1] == ' ')
    end--;
  to[end++] = '\n';
  return end;
}

char *sight_dump (void) {
  int n;
  size_t widths[COLUMNS], width = 1, at;
  ask_lines();
  note_own_line();
  struct row *rows = collect(&n);
  if (rows == NULL)
    return NULL;
  for (int c = 0; c < COLUMNS; c++) {
    widths[c] = strlen(titles[c]);
    for (int i = 0; i < n; i++)
      if (strlen(rows[i].cells[c]) > widths[c])
        widths[c] = strlen(rows[i].cells[c]);
    width += widths[c] + 2;
  }
  char *text = malloc(128 + width * (size_t)(n + 1) + 1);
  if (text != NULL) {
    int processes = count_processes(rows, n);
    at = (size_t)sprintf(text, "conc: %d process%s, %d thread%s\n", processes,
                         processes == 1 ? "" : "es", n, n == 1 ? "" : "s");
    at += add_line(text + at, NULL, widths);
    for (int i = 0; i < n; i++)
      at += add_line(text + at, &rows[i], widths);
    text[at] = '\0';
  }
  free(rows);
  return text;
}

/* {=== SIGQUIT ===} */

#define SAME_RING  ((nanos)200 * 1000000)

struct bell { struct block head; _Atomic uint32_t rung; };
static struct bell *bell;                  /* constant after init */
static _Atomic int32_t helper_pid;         /* whose helper has been started */

static void on_quit (int number) {
  int saved = errno;
  (void)number;
  store_release(&bell->rung, 1);
  sys_futex_wake(&bell->rung, 1);
  errno = saved;
}

static void write_all (const char *s) {
  size_t left = strlen(s);
  while (left > 0) {
    ssize_t n = write(STDERR_FILENO, s, left);
    if (n < 0 && errno != EINTR)
      return;
    s += n > 0 ? n : 0;
    left -= n > 0 ? (size_t)n : 0;
  }
}

/* A terminal's Ctrl-\ goes to every process: rings that come while the table is
   written, or soon after, are the same one. */
static void help (void *unused) {
  (void)unused;
  for (;;) {
    while (load_acquire(&bell->rung) == 0)
      sys_futex_wait(&bell->rung, 0, DEADLINE_NEVER);
    char *text = sight_dump();
    if (text != NULL)
      write_all(text);
    free(text);
    gate_sleep(sys_now() + SAME_RING);
    store_release(&bell->rung, 0);
  }
}

int sight_on_signal (void) {
  struct sigaction ours;
  int32_t before = load_acquire(&helper_pid), me = (int32_t)getpid();
  if (bell == NULL) {
    errno = ENOMEM;
    return CONC_SYSTEM;
  }
  if (before != me && cas_acqrel(&helper_pid, &before, me)
      && thread_start(help, NULL, NULL) != CONC_OK) {
    int error = errno;
    store_release(&helper_pid, 0);
    errno = error;
    return CONC_SYSTEM;
  }
  memset(&ours, 0, sizeof ours);
  ours.sa_handler = on_quit;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  return sigaction(SIGQUIT, &ours, NULL) == 0 ? CONC_OK : CONC_SYSTEM;
}

/* {=== load ===} */

static void name_task (struct block *b, char *to, size_t size) {
  if (b->kind == KIND_THREAD || b->kind == KIND_PROCESS)
    snprintf(to, size, "%s \"%.*s\"", block_ops(b)->name, NAME_SIZE - 1, task_name(task_of(b)));
}

void sight_open (void) {
  struct block *b = bell == NULL ? arena_alloc(sizeof(struct bell)) : NULL;
  if (b != NULL) {
    bell = (struct bell *)(void *)b;
    store_relaxed(&bell->rung, 0);
    arena_settle(b);
  }
  gate_describe = name_task;
  trace_open();
  const char *want = getenv("CONC_DUMP");
  if (want != NULL && strcmp(want, "1") == 0 && sight_on_signal() != CONC_OK)
    fprintf(stderr, "conc: CONC_DUMP: %s\n", strerror(errno));
}
