/*
** http_engine.c - the multi handle and what runs on it
**
** See http.h for the lists and for what a fork means here.
*/

#define _GNU_SOURCE

#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_BODY	(16 * 1024)
#define TRUSTED_LENGTH	(64 * 1024 * 1024)  /* of a Content-Length, to allocate by */
#define WARM_LENGTH	(16 * 1024 * 1024)  /* largest buffer kept for the next body */
#define READ_SIZE	(256L * 1024)
#define KEPT_BODY	(64 * 1024)  /* a larger buffer does not stay with a spare transfer */
#define KEPT_HEAD	(16 * 1024)


/* ---- which process ---- */

/* The pid, in a page that the kernel empties in a child: asking costs no
   system call. Constant after start_once but for that. */
static pid_t *known;
static int pipe_signals;  /* constant after start_once */

static void start_once (void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pipe_signals = curl_version_info(CURLVERSION_NOW)->version_num < 0x075800;
  if (p == MAP_FAILED)
    return;
  if (madvise(p, page, MADV_WIPEONFORK) == 0)
    known = p;
  else
    munmap(p, page);
}

void http_start (void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start_once);
}

/* Threads may write the page at the same time, but only the same value. */
static pid_t this_process (void) {
  pid_t pid;
  if (known == NULL)
    return getpid();
  pid = __atomic_load_n(known, __ATOMIC_RELAXED);
  if (pid == 0) {
    pid = getpid();
    __atomic_store_n(known, pid, __ATOMIC_RELAXED);
  }
  return pid;
}


/* ---- signals ---- */

void quiet_begin (struct quiet *q) {
  sigset_t set, pending;
  if (!pipe_signals)
    return;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  sigpending(&pending);
  q->had = sigismember(&pending, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, &q->old);
}

/* A signal of ours is taken back; one that was pending before is not ours. */
void quiet_end (struct quiet *q) {
  static const struct timespec now;
  sigset_t set;
  if (!pipe_signals)
    return;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  if (!q->had)
    while (sigtimedwait(&set, NULL, &now) > 0 || errno == EINTR)
      ;
  pthread_sigmask(SIG_SETMASK, &q->old, NULL);
}


/* ---- buffers ---- */

void buffer_advise (void *block, size_t size) {
#ifdef MADV_HUGEPAGE
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t from = ((uintptr_t)block + page - 1) & ~(page - 1);
  uintptr_t to = ((uintptr_t)block + size) & ~(page - 1);
  if (size >= BUFFER_LARGE && from < to)
    (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
  (void)block; (void)size;
#endif
}

static int buffer_room (struct buffer *b, size_t more) {
  size_t need = b->len + more, size = b->size;
  if (need <= size)
    return 1;
  size = size < FIRST_BODY ? FIRST_BODY : size + size / 2;
  if (size < need)
    size = need;
  char *data = realloc(b->data, size);
  if (data == NULL)
    return 0;
  b->data = data;
  b->size = size;
  buffer_advise(data, size);
  return 1;
}

static int buffer_add (struct buffer *b, const char *data, size_t len) {
  if (!buffer_room(b, len))
    return 0;
  memcpy(b->data + b->len, data, len);
  b->len += len;
  return 1;
}

static void buffer_free (struct buffer *b) {
  free(b->data);
  memset(b, 0, sizeof *b);
}

/* Large buffers whose pages are there already save the next transfer the
   page faults: more than the copying costs. */
static void warm_keep (struct engine *e, struct buffer *b) {
  if (b->size <= WARM_LENGTH && e->running != NULL && e->nwarm < ENGINE_WARM) {
    e->warm[e->nwarm] = *b;
    e->warm[e->nwarm++].len = 0;
    memset(b, 0, sizeof *b);
  }
  else
    buffer_free(b);
}

static void warm_take (struct engine *e, struct buffer *b, size_t size) {
  for (int i = 0; i < e->nwarm; i++) {
    if (e->warm[i].size >= size) {
      free(b->data);
      *b = e->warm[i];
      e->warm[i] = e->warm[--e->nwarm];
      return;
    }
  }
}

static void warm_drop (struct engine *e) {
  while (e->nwarm > 0)
    buffer_free(&e->warm[--e->nwarm]);
}


/* ---- callbacks: what a server sends ---- */

long transfer_header (const struct transfer *t, const char *name, size_t *at, const char **value) {
  size_t namelen = strlen(name);
  const char *end = t->head.data + t->head.len;
  const char *line = t->head.data + *at;
  while (line < end) {
    const char *eol = memchr(line, '\n', (size_t)(end - line));
    const char *next = eol != NULL ? eol + 1 : end;
    const char *stop = next;
    while (stop > line && (stop[-1] == '\n' || stop[-1] == '\r'))
      stop--;
    if ((size_t)(stop - line) > namelen && line[namelen] == ':'
        && strncasecmp(line, name, namelen) == 0) {
      const char *from = line + namelen + 1;
      while (from < stop && (*from == ' ' || *from == '\t'))
        from++;
      while (stop > from && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
      *value = from;
      *at = (size_t)(next - t->head.data);
      return stop - from;
    }
    line = next;
  }
  return -1;
}

/* The first value of a header as a string; 0 if absent or too long */
static int header_copy (const struct transfer *t, const char *name, char *out, size_t size) {
  const char *value;
  size_t at = 0;
  long len = transfer_header(t, name, &at, &value);
  if (len <= 0 || (size_t)len >= size)
    return 0;
  memcpy(out, value, (size_t)len);
  out[len] = '\0';
  return 1;
}

static size_t on_header (char *data, size_t unit, size_t count, void *arg) {
  struct transfer *t = arg;
  size_t len = unit * count;
  t->headtotal += len;
  if (t->headtotal > HTTP_MAX_HEAD) {
    t->why = WHY_HEADERS;
    return 0;
  }
  if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
    t->head.len = 0;  /* a new response: after 1xx, a proxy's CONNECT or a 401 */
  if (!buffer_add(&t->head, data, len)) {
    t->why = WHY_MEMORY;
    return 0;
  }
  return len;
}

/* An ETag that compares byte by byte; or a date, if it is old enough not to
   hide a second change within its one-second grain (RFC 9110, 8.8.2.2). */
static int validator_of (const struct transfer *t, char *out) {
  char date[64];
  if (header_copy(t, "ETag", out, PART_VALIDATOR))
    return out[0] == '"';
  if (!header_copy(t, "Last-Modified", out, PART_VALIDATOR) || !header_copy(t, "Date", date, sizeof date))
    return 0;
  time_t then = curl_getdate(out, NULL), now = curl_getdate(date, NULL);
  return then >= 0 && now >= 0 && now - then >= 60;
}

static int takes_ranges (const struct transfer *t) {
  char unit[16];
  return header_copy(t, "Accept-Ranges", unit, sizeof unit) && strcasecmp(unit, "bytes") == 0;
}

static int plain_body (const struct transfer *t) {
  char coding[32];
  return !header_copy(t, "Content-Encoding", coding, sizeof coding)
      || strcasecmp(coding, "identity") == 0;
}

/* "Content-Range: bytes FROM-TO/TOTAL" goes on where the file ends, and it is the
   same version: some servers take no notice of If-Range. */
static int goes_on (struct transfer *t) {
  char range[128], etag[PART_VALIDATOR];
  long long from, to, total;
  const char *had = t->part->validator;
  if (had == NULL)
    return 0;
  if (had[0] == '"' && header_copy(t, "ETag", etag, sizeof etag) && strcmp(etag, had) != 0)
    return 0;
  if (!header_copy(t, "Content-Range", range, sizeof range))
    return 0;
  int n = sscanf(range, "bytes %lld-%lld/%lld", &from, &to, &total);
  t->total = n == 3 ? total : 0;
  return n >= 2 && from == (long long)t->resume;
}

static int fail (struct transfer *t, enum why why, int oserr) {
  t->why = why;
  t->oserr = oserr;
  return 0;
}

static int begin_file (struct transfer *t, long status) {
  char validator[PART_VALIDATOR];
  int err;
  if (t->resume > 0 && status == 206)
    return goes_on(t) ? 1 : fail(t, WHY_RANGE, 0);
  t->resume = 0;
  if ((err = part_restart(t->part)) != 0)
    return fail(t, WHY_WRITE, err);
  if (status != 200 || !takes_ranges(t) || !validator_of(t, validator))
    return 1;
  err = part_version(t->part, validator);
  return err == 0 ? 1 : fail(t, WHY_WRITE, err);
}

/* Settles, once the headers are there, where the body goes. 0: refused. */
static int begin_body (struct transfer *t) {
  long status = 0;
  curl_off_t length = -1;
  t->begun = 1;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  t->aside = t->part != NULL ? status < 200 || status > 299
                             : t->follow && status >= 300 && status <= 399;
  if (t->aside)
    return 1;
  if (t->part != NULL && !begin_file(t, status))
    return 0;
  if (length <= 0)
    return 1;
  if (length > t->limit - t->resume && plain_body(t))
    return fail(t, WHY_TOO_LARGE, 0);
  if (t->part == NULL && t->body.size < (size_t)length && length <= TRUSTED_LENGTH) {
    warm_take(t->engine, &t->body, (size_t)length);
    buffer_room(&t->body, (size_t)length);  /* a hint: growing comes later */
  }
  return 1;
}

static int add_aside (struct transfer *t, const char *data, size_t len) {
  if (t->body.len + len > HTTP_MAX_ASIDE)
    return fail(t, WHY_CUT, 0);
  return buffer_add(&t->body, data, len) ? 1 : fail(t, WHY_MEMORY, 0);
}

static int add_body (struct transfer *t, const char *data, size_t len) {
  if (t->received > t->limit - t->resume)
    return fail(t, WHY_TOO_LARGE, 0);
  if (t->part != NULL) {
    int err = part_write(t->part, data, len);
    return err == 0 ? 1 : fail(t, WHY_WRITE, err);
  }
  return buffer_add(&t->body, data, len) ? 1 : fail(t, WHY_MEMORY, 0);
}

static size_t on_body (char *data, size_t unit, size_t count, void *arg) {
  struct transfer *t = arg;
  size_t len = unit * count;
  if (!t->begun && !begin_body(t))
    return 0;
  t->received += (int64_t)len;
  t->group->received += (int64_t)len;
  if (!(t->aside ? add_aside(t, data, len) : add_body(t, data, len)))
    return 0;
  return len;
}

/* libcurl sends again by itself what a kept connection did not answer. That
   is no harm, unless the server may have done it already. */
static int on_request (void *arg, char *ip, char *local_ip, int port, int local_port) {
  struct transfer *t = arg;
  (void)ip; (void)local_ip; (void)port; (void)local_port;
  if (t->sent++ == 0 || !t->once)
    return CURL_PREREQFUNC_OK;
  t->why = WHY_ONCE;
  return CURL_PREREQFUNC_ABORT;
}

/* Programs that the host starts do not get our connections. */
static curl_socket_t on_socket (void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
  (void)arg; (void)purpose;
  int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}


/* ---- lists (H1) ---- */

static void unlink_transfer (struct transfer *t) {
  if (t->link == NULL)
    return;
  *t->link = t->next;
  if (t->next != NULL)
    t->next->link = t->link;
  else if (t->group->donetail == &t->next)
    t->group->donetail = t->link;
  t->link = NULL;
  t->next = NULL;
}

static void push_running (struct engine *e, struct transfer *t) {
  t->next = e->running;
  t->link = &e->running;
  if (t->next != NULL)
    t->next->link = &t->next;
  e->running = t;
}

static void append_done (struct group *g, struct transfer *t) {
  t->next = NULL;
  t->link = g->donetail;
  *g->donetail = t;
  g->donetail = &t->next;
}

void group_init (struct group *g) {
  memset(g, 0, sizeof *g);
  g->donetail = &g->done;
}

struct transfer *group_take (struct group *g) {
  struct transfer *t = g->done;
  if (t == NULL)
    return NULL;
  g->done = t->next;
  if (g->done != NULL)
    g->done->link = &g->done;
  else
    g->donetail = &g->done;
  t->link = NULL;
  t->next = NULL;
  g->count--;
  return t;
}


/* ---- transfers ---- */

static void set_protocols (CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_common (struct transfer *t) {
  CURL *easy = t->easy;
  set_protocols(easy);
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  /* do not wait for the resolver */
#endif
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_SIZE);
  curl_easy_setopt(easy, CURLOPT_SHARE, t->engine->share);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->errbuf);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
  if (t->engine->cookies)
    curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
}

static struct transfer *transfer_make (struct engine *e) {
  struct transfer *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->engine = e;
  t->easy = curl_easy_init();
  if (t->easy == NULL) {
    free(t);
    return NULL;
  }
  set_common(t);
  return t;
}

static void drop_settings (struct transfer *t) {
  if (t->mime != NULL)
    curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, NULL);
  if (t->engine->cookies)
    curl_easy_setopt(t->easy, CURLOPT_COOKIEFILE, NULL);  /* reset forgets to free its list */
  curl_easy_reset(t->easy);
  curl_mime_free(t->mime);
  curl_slist_free_all(t->headers);
  t->mime = NULL;
  t->headers = NULL;
  t->profile = 0;
}

/* One that is set up already if there is one, else any spare one, else new */
struct transfer *transfer_new (struct engine *e, struct group *g, int64_t profile) {
  struct transfer *t;
  int i = e->nspare - 1;
  while (i > 0 && (profile == 0 || e->spare[i]->profile != profile))
    i--;
  if (i >= 0) {
    t = e->spare[i];
    e->spare[i] = e->spare[--e->nspare];
    if (profile == 0 || t->profile != profile) {
      drop_settings(t);
      set_common(t);
    }
  }
  else if ((t = transfer_make(e)) == NULL)
    return NULL;
  t->group = g;
  t->limit = INT64_MAX;
  return t;
}

int transfer_add (struct transfer *t) {
  CURLMcode rc = curl_multi_add_handle(t->engine->multi, t->easy);
  if (rc == CURLM_OK) {
    push_running(t->engine, t);
    t->group->count++;
  }
  return (int)rc;
}

/* Refused, and tried again later, while an easy handle still has it */
static void share_close (struct engine *e) {
  if (e->share != NULL && curl_share_cleanup(e->share) == CURLSHE_OK)
    e->share = NULL;
}

static void transfer_free (struct transfer *t) {
  if (t->easy != NULL) {
    struct quiet q;
    quiet_begin(&q);
    curl_easy_cleanup(t->easy);
    quiet_end(&q);
  }
  curl_mime_free(t->mime);
  curl_slist_free_all(t->headers);
  buffer_free(&t->head);
  buffer_free(&t->body);
  free(t);
}

/* Keeps the first fields and zeroes what belonged to one use. */
static void make_spare (struct engine *e, struct transfer *t) {
  size_t used = offsetof(struct transfer, next);
  if (t->body.size > KEPT_BODY)
    warm_keep(e, &t->body);
  if (t->head.size > KEPT_HEAD)
    buffer_free(&t->head);
  t->head.len = t->body.len = 0;
  memset((char *)t + used, 0, offsetof(struct transfer, errbuf) + 1 - used);
  e->spare[e->nspare++] = t;
}

/* What another process runs on is not touched: its memory is all that goes. */
void transfer_release (struct transfer *t) {
  struct engine *e = t->engine;
  if (t->link != NULL) {
    unlink_transfer(t);
    t->group->count--;
  }
  if (engine_foreign(e)) {
    t->easy = NULL;
    t->mime = NULL;
  }
  if (t->easy != NULL && e->multi != NULL) {
    struct quiet q;
    quiet_begin(&q);
    curl_multi_remove_handle(e->multi, t->easy);
    quiet_end(&q);
    if (e->nspare < ENGINE_SPARE) {
      make_spare(e, t);
      return;
    }
  }
  transfer_free(t);
  if (e->closed)
    share_close(e);
}

void group_close (struct group *g, struct engine *e) {
  struct transfer *t, *next;
  for (t = e->running; t != NULL; t = next) {
    next = t->next;
    if (t->group == g)
      transfer_release(t);
  }
  while ((t = group_take(g)) != NULL)
    transfer_release(t);
}


/* ---- the engine ---- */

int engine_foreign (const struct engine *e) {
  return e->multi != NULL && e->pid != this_process();
}

static void end_running (struct engine *e, struct transfer *t) {
  unlink_transfer(t);
  if (t->easy != NULL) {
    curl_multi_remove_handle(e->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_mime_free(t->mime);
  }
  t->easy = NULL;
  t->mime = NULL;
  t->why = WHY_CLOSED;
  t->code = CURLE_ABORTED_BY_CALLBACK;
  append_done(t->group, t);
}

/* The parent's: neither closed nor cleaned. Its cookies are only memory, and
   stay with a session; TLS sessions do too. */
static void abandon (struct engine *e) {
  e->multi = NULL;
  e->nspare = 0;
  while (e->running != NULL) {
    e->running->easy = NULL;
    e->running->mime = NULL;
    end_running(e, e->running);
  }
}

/* libcurl takes and gives back a read buffer for every transfer. Allocators that
   learn from what is freed (glibc) hand it back to the system each time,
   pages and all, until they have seen one block of this size. */
static void teach_allocator (void) {
  char *volatile block = malloc(8 * (size_t)READ_SIZE);
  free(block);
}

static int share_make (struct engine *e) {
  e->share = curl_share_init();
  if (e->share == NULL)
    return 0;
  curl_share_setopt(e->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  if (e->cookies)
    curl_share_setopt(e->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
  return 1;
}

int engine_ready (struct engine *e) {
  if (e->closed)
    return 0;
  if (engine_foreign(e))
    abandon(e);
  if (e->multi != NULL)
    return 1;
  if (e->share == NULL && !share_make(e))
    return 0;
  teach_allocator();
  e->multi = curl_multi_init();
  e->pid = this_process();
  return e->multi != NULL;
}

void engine_limits (struct engine *e, long connections) {
  curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, connections);
}

void engine_close (struct engine *e) {
  struct quiet q;
  if (engine_foreign(e))
    abandon(e);
  quiet_begin(&q);
  while (e->running != NULL)
    end_running(e, e->running);
  while (e->nspare > 0)
    transfer_free(e->spare[--e->nspare]);
  if (e->multi != NULL)
    curl_multi_cleanup(e->multi);
  e->multi = NULL;
  share_close(e);
  quiet_end(&q);
  warm_drop(e);
  e->closed = 1;
}

/* A body that never came still has a place: an empty file. */
static void finish (struct transfer *t, CURLcode code) {
  t->code = code;
  if (code != CURLE_OK || t->part == NULL)
    return;
  if (!t->begun && !begin_body(t))
    t->code = CURLE_WRITE_ERROR;
  else if (t->total > 0 && t->part->size != t->total)
    fail(t, WHY_RANGE, 0);
}

static void collect (struct engine *e) {
  CURLMsg *msg;
  int left;
  while ((msg = curl_multi_info_read(e->multi, &left)) != NULL) {
    struct transfer *t = NULL;
    CURLcode code = msg->data.result;
    if (msg->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    finish(t, code);
    curl_multi_remove_handle(e->multi, t->easy);
    unlink_transfer(t);
    append_done(t->group, t);
  }
}

int engine_step (struct engine *e, struct group *g, int ms) {
  struct quiet q;
  int running;
  CURLMcode rc;
  quiet_begin(&q);
  rc = curl_multi_perform(e->multi, &running);
  collect(e);
  quiet_end(&q);
  if (rc == CURLM_OK && g->done == NULL && ms > 0)
    rc = curl_multi_poll(e->multi, NULL, 0, ms, NULL);
  if (e->running == NULL)
    warm_drop(e);
  return (int)rc;
}
