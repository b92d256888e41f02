/*
** http_part.c - the file that a download grows in
**
** "<path>.part" is locked (flock) while a download writes it, so two
** downloads of one path never mix, between threads or processes. Once it is
** worth going on with, "<path>.part.meta" beside it says what it is the
** beginning of; a part without one that fits is thrown away.
** True between calls, and after a kill at any instant:
**   P1  <path> is the old file or a complete new one: it is only renamed to.
**   P2  A meta file describes the bytes that are in the part: it is removed
**       before they are, and written after the first of them.
**   P3  No part, no meta file.
** Fork.  The descriptor and its lock are shared with a child; the child only
** closes its copy (an explicit unlock would free the parent's lock).
*/

#define _GNU_SOURCE

#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_HEAD	"conc-part 1\n"
#define META_SIZE	(sizeof META_HEAD + 2 * SHA256_SIZE + PART_VALIDATOR + 64)

static char *joined (const char *path, const char *tail) {
  size_t len = strlen(path), n = strlen(tail) + 1;
  char *s = malloc(len + n);
  if (s != NULL) {
    memcpy(s, path, len);
    memcpy(s + len, tail, n);
  }
  return s;
}

static int mine (const struct part *p) {
  return p->pid == getpid();
}

static void forget (struct part *p) {
  if (p->fd >= 0)
    close(p->fd);
  free(p->name);
  free(p->url);
  free(p->validator);
  p->fd = -1;
  p->name = p->url = p->validator = NULL;
}

static void unlock (struct part *p) {
  if (!p->direct)
    flock(p->fd, LOCK_UN);
}

/* Locked, but is it still the file of that name? Another download may have
   renamed it between our open and our lock. */
static int still_there (const struct part *p, const struct stat *opened) {
  struct stat named;
  return lstat(p->name, &named) == 0 && opened->st_dev == named.st_dev
      && opened->st_ino == named.st_ino;
}

static int open_locked (struct part *p) {
  for (int tries = 0; tries < 100; tries++) {
    struct stat st;
    p->fd = open(p->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (p->fd < 0)
      return errno;
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0)
      return errno == EWOULDBLOCK ? EBUSY : errno;
    if (fstat(p->fd, &st) != 0)
      return errno;
    if (!S_ISREG(st.st_mode))
      return EEXIST;
    p->size = st.st_size;
    if (still_there(p, &st))
      return 0;
    close(p->fd);
    p->fd = -1;
  }
  return EBUSY;
}

static int open_direct (struct part *p) {
  p->direct = 1;
  p->fd = open(p->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  return p->fd < 0 ? errno : 0;
}

int part_open (struct part *p, const char *path) {
  struct stat st;
  int there = stat(path, &st) == 0, device, err;
  memset(p, 0, sizeof *p);
  p->fd = -1;
  if (there && S_ISDIR(st.st_mode))
    return EISDIR;
  device = there && S_ISCHR(st.st_mode);
  if (there && !device && !S_ISREG(st.st_mode))
    return EINVAL;
  p->pid = getpid();
  p->name = joined(path, device ? "" : ".part");
  if (p->name == NULL)
    err = ENOMEM;
  else
    err = device ? open_direct(p) : open_locked(p);
  if (err != 0)
    forget(p);
  return err;
}


/* ---- the description ---- */

/* What the meta file has to be. The URL is in it as a hash: it may hold a
   secret. The last line tells a whole description from a torn one. */
static int meta_text (char text[META_SIZE], const struct part *p, const char *validator) {
  struct sha256 h;
  unsigned char digest[SHA256_SIZE];
  char hex[2 * SHA256_SIZE + 1];
  sha256_init(&h);
  sha256_update(&h, p->url, strlen(p->url));
  sha256_final(&h, digest);
  sha256_hex(digest, hex);
  return snprintf(text, META_SIZE, "%surl-sha256 %s\nvalidator %s\nend\n", META_HEAD, hex,
                  validator);
}

static int meta_open (const struct part *p, int flags) {
  char *name = joined(p->name, ".meta");
  int fd;
  if (name == NULL) {
    errno = ENOMEM;
    return -1;
  }
  fd = open(name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  free(name);
  return fd;
}

static int meta_remove (struct part *p) {
  char *name = joined(p->name, ".meta");
  int rc;
  if (name == NULL)
    return ENOMEM;
  rc = unlink(name);
  free(name);
  p->described = 0;
  return rc != 0 && errno != ENOENT ? errno : 0;
}

static int write_all (int fd, const char *data, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    data += n;
    len -= (size_t)n;
  }
  return 0;
}

static int meta_write (struct part *p) {
  char text[META_SIZE];
  int n = meta_text(text, p, p->validator);
  int fd = meta_open(p, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd < 0)
    return errno;
  int err = write_all(fd, text, (size_t)n);
  close(fd);
  if (err != 0)
    meta_remove(p);
  else
    p->described = 1;
  return err;
}

/* The validator is taken from between the fixed words, then the whole is
   compared with what would have been written for it. */
static int meta_matches (struct part *p) {
  static const char word[] = "\nvalidator ";
  char found[META_SIZE + 1], expected[META_SIZE];
  int fd = meta_open(p, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, found, META_SIZE);
  if (fd >= 0)
    close(fd);
  if (n <= 0)
    return 0;
  found[n] = '\0';
  const char *from = strstr(found, word);
  if (from == NULL)
    return 0;
  from += sizeof word - 1;
  size_t len = strcspn(from, "\n");
  if (len == 0 || len >= PART_VALIDATOR)
    return 0;
  free(p->validator);
  p->validator = strndup(from, len);
  if (p->validator == NULL)
    return 0;
  meta_text(expected, p, p->validator);
  return strcmp(found, expected) == 0;
}

static void no_version (struct part *p) {
  free(p->validator);
  p->validator = NULL;
}

/* Of a part that this call has written itself the version is known; of one
   that was there its description tells. */
int part_resumable (struct part *p, const char *url) {
  if (p->direct || p->size == 0)
    no_version(p);
  if (p->url == NULL && (p->url = strdup(url)) == NULL)
    return 0;
  if (p->direct || p->size == 0)
    return 0;
  if (p->validator != NULL)
    return 1;
  p->described = meta_matches(p);
  if (!p->described)
    no_version(p);
  return p->described;
}

int part_version (struct part *p, const char *validator) {
  if (p->direct)
    return 0;
  no_version(p);
  p->validator = strdup(validator);
  return p->validator != NULL ? 0 : ENOMEM;
}


/* ---- the bytes ---- */

int part_restart (struct part *p) {
  int err;
  no_version(p);
  if (p->direct || p->size == 0)
    return 0;
  if ((err = meta_remove(p)) != 0)
    return err;
  if (ftruncate(p->fd, 0) != 0)
    return errno;
  p->size = 0;
  return 0;
}

int part_write (struct part *p, const char *data, size_t len) {
  if (p->direct) {
    p->size += (int64_t)len;
    return write_all(p->fd, data, len);
  }
  while (len > 0) {
    ssize_t n = pwrite(p->fd, data, len, (off_t)p->size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    p->size += n;
    data += n;
    len -= (size_t)n;
  }
  if (!p->described && p->validator != NULL && p->size >= PART_DESCRIBED)
    return meta_write(p);
  return 0;
}

int part_hash (struct part *p, struct sha256 *hash, int64_t *at, size_t max) {
  char chunk[16384];
  while (max > 0) {
    ssize_t n = pread(p->fd, chunk, max < sizeof chunk ? max : sizeof chunk, (off_t)*at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      return 0;
    sha256_update(hash, chunk, (size_t)n);
    *at += n;
    max -= (size_t)n;
  }
  return 1;
}


/* ---- the end ---- */

/* link refuses to replace a file, and rename does not */
static int give_name (struct part *p, const char *path, int replace) {
  if (replace)
    return rename(p->name, path) != 0 ? errno : 0;
  if (link(p->name, path) != 0)
    return errno;
  unlink(p->name);
  return 0;
}

int part_commit (struct part *p, const char *path, int replace) {
  if (!p->direct) {
    int err = p->described ? meta_remove(p) : 0;
    if (err == 0)
      err = give_name(p, path, replace);
    if (err != 0)
      return err;
    unlock(p);
  }
  forget(p);
  return 0;
}

void part_discard (struct part *p) {
  if (p->fd < 0)
    return;
  if (mine(p) && !p->direct) {
    meta_remove(p);
    unlink(p->name);
    unlock(p);
  }
  forget(p);
}

/* Short of being described it is described now, if it is worth that. */
static int worth_keeping (struct part *p) {
  if (p->size == 0 || p->direct)
    return 0;
  return p->described || (p->validator != NULL && meta_write(p) == 0);
}

void part_close (struct part *p) {
  if (p->fd < 0)
    return;
  if (!mine(p))
    forget(p);
  else if (!worth_keeping(p))
    part_discard(p);
  else {
    unlock(p);
    forget(p);
  }
}
