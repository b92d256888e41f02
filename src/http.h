/*
** http.h - transfers on libcurl, and the files that downloads grow in
**
** Floor 6. Its own shared object: nothing here includes the core, and
** nothing above http_bind.c knows Lua.
**
** An engine is one curl multi handle with its kept connections. It belongs
** to one Lua state (one thread) and is not shared: no locks. A group is the
** set of transfers of one call; several groups may be open on one engine,
** nested calls included, and each gets its own transfers back.
**
**   transfer:  new --transfer_add--> running --collect, engine_close--> done
**              --group_take--> taken;  transfer_release, in any state but the
**              first: spare, or freed
**
** True between calls:
**   H1  A transfer is in exactly one list: engine->running or group->done;
**       between transfer_new and transfer_add, and after group_take, in none.
**   H2  Every easy handle in the multi belongs to a running transfer.
**   H3  Callbacks never raise: they note 'why' and let curl end the transfer.
** Fork.  engine->pid is the process that made the multi. In another process
** it is abandoned as it is: cleaning it would speak on the parent's
** connections. The memory of it is lost on purpose.
*/

#ifndef http_h
#define http_h

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <curl/curl.h>

#include "http_sha256.h"


/* ---- the file that a download grows in (http_part.c) ---- */

#define PART_VALIDATOR	512	/* longest ETag or date kept, with its '\0' */
#define PART_DESCRIBED	(256 * 1024)	/* bytes from which on it is worth going on with */

struct part {
  int fd;           /* -1: closed */
  int direct;       /* a device: written as it is, never renamed */
  int described;    /* the .part.meta tells how to go on later */
  pid_t pid;        /* whose: a child only closes its copy of fd */
  int64_t size;     /* bytes in it, and where the next write goes */
  char *name;       /* "<path>.part" ("<path>" if direct) */
  char *url;        /* whose beginning it is */
  char *validator;  /* of which version (ETag or date); NULL: cannot be gone on with */
};

/* 0, or an errno; EBUSY: another download is writing this file */
int part_open (struct part *p, const char *path);
/* Says what is going to be in it. 1 if what is there is a beginning of that
   and can be gone on with: p->validator says of which version; else 0 */
int part_resumable (struct part *p, const char *url);
int part_restart (struct part *p);
/* Of what version the bytes are that are written from now on, to an empty part */
int part_version (struct part *p, const char *validator);
int part_write (struct part *p, const char *data, size_t len);
/* Adds up to 'max' bytes from *at on to the hash: 1 more to come, 0 end, -errno */
int part_hash (struct part *p, struct sha256 *hash, int64_t *at, size_t max);
int part_commit (struct part *p, const char *path, int replace);
void part_discard (struct part *p);
void part_close (struct part *p);  /* kept if it can be gone on with, else discarded */


/* ---- transfers (http_engine.c) ---- */

struct buffer {
  char *data;
  size_t len, size;
};

#define BUFFER_LARGE	(1024 * 1024)	/* from here on large pages are worth it */

/* The pages of a block that nobody has written to yet may be large ones. */
void buffer_advise (void *block, size_t size);

enum why {  /* what a callback ended a transfer for */
  WHY_CURL,         /* nothing of ours: curl's own code says it */
  WHY_CUT,          /* body not wanted further; the response stands */
  WHY_TOO_LARGE,    /* more than max_bytes */
  WHY_HEADERS,      /* more header bytes than HTTP_MAX_HEAD */
  WHY_RANGE,        /* a 206 that does not go on where the file ends */
  WHY_WRITE,        /* the file could not be written: see oserr */
  WHY_CLOSED,       /* its engine was closed: easy is NULL */
  WHY_ONCE,         /* would have been sent a second time */
  WHY_MEMORY
};

#define HTTP_MAX_HEAD	(1024 * 1024)	/* over all hops and 1xx of a transfer */
#define HTTP_MAX_ASIDE	(64 * 1024)	/* of a body that is not the result */

struct engine;
struct group;

struct transfer {
  /* kept from use to use */
  struct engine *engine;          /* constant; outlives it */
  CURL *easy;                     /* NULL once its engine closed or was abandoned */
  struct curl_slist *headers;
  curl_mime *mime;
  int64_t profile;          /* what 'easy' is set up for; 0: for this use only */
  struct buffer head, body;
  /* of this use: all zero before */
  struct transfer *next, **link;  /* in the list that H1 says */
  struct group *group;
  struct part *part;        /* where a 2xx body goes, or NULL: to 'body' */
  int64_t resume;           /* bytes asked to be left out by Range; 0: none */
  int64_t total;            /* size of the whole, as a 206 told it; 0: not told */
  int64_t limit;            /* max_bytes; INT64_MAX: none */
  int64_t received;         /* body bytes, decoded, of this transfer */
  int follow;               /* the caller follows redirects: drop their bodies */
  int once;                 /* not idempotent: never to be sent twice */
  int sent;                 /* times that libcurl has begun to send it */
  int begun;                /* where the body goes is settled */
  int aside;                /* the body is an error's or a redirect's */
  int oserr;
  enum why why;
  CURLcode code;            /* valid once done */
  size_t headtotal;
  char errbuf[CURL_ERROR_SIZE];
};

struct group {
  struct transfer *done, **donetail;
  int count;                /* transfers not yet taken */
  int64_t received;         /* body bytes of all its transfers, ever */
};

#define ENGINE_SPARE	64	/* idle transfers kept */
#define ENGINE_WARM	8	/* large body buffers kept, while others run */

struct engine {
  CURLM *multi;             /* NULL: not made yet, or closed */
  CURLSH *share;            /* TLS sessions; cookies if asked for */
  int cookies, closed;
  pid_t pid;
  struct transfer *running;
  struct transfer *spare[ENGINE_SPARE];
  struct buffer warm[ENGINE_WARM];
  int nspare, nwarm;
};

void http_start (void);  /* before all others; once is enough */
int engine_ready (struct engine *e);  /* makes or remakes the multi; 0: closed, no memory */
int engine_foreign (const struct engine *e);  /* made by another process */
void engine_close (struct engine *e);
void engine_limits (struct engine *e, long connections);
/* t->profile == profile (not 0): set up like that already, but for the URL and
   the time; otherwise to be set up from scratch */
struct transfer *transfer_new (struct engine *e, struct group *g, int64_t profile);
int transfer_add (struct transfer *t);  /* 0, or a CURLMcode */
void transfer_release (struct transfer *t);
/* Moves what there is to move; waits up to 'ms' if no transfer ended. */
int engine_step (struct engine *e, struct group *g, int ms);
void group_init (struct group *g);
void group_close (struct group *g, struct engine *e);
struct transfer *group_take (struct group *g);
/* The next header called 'name' in t->head from *at on; its length, or -1 */
long transfer_header (const struct transfer *t, const char *name, size_t *at,
                      const char **value);

/* SIGPIPE must not reach the host: around all that may write. Until 7.88
   libcurl let TLS libraries write without MSG_NOSIGNAL; since then free. */
struct quiet {
  sigset_t old;
  int had;
};

void quiet_begin (struct quiet *q);
void quiet_end (struct quiet *q);

#endif
