/*
** http_part.c - the file that a download grows in
**
** "<path>.part" is locked (flock) while a download writes it, so two
** downloads of one path never mix, between threads or processes. Beside it
** "<path>.part.meta" says what it is the beginning of: written before the
** first byte of the body, so that whatever is found after a crash is either
** described or thrown away.
** What a kill leaves: a prefix of the body, or nothing; <path> itself is
** replaced by one rename, and only by a complete file.
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
  free(p->metaname);
  p->fd = -1;
  p->name = p->metaname = NULL;
}

static void unlock (struct part *p) {
  if (!p->direct)
    flock(p->fd, LOCK_UN);
}

/* Locked, but is it still the file of that name? Another download may have
   renamed it between our open and our lock. */
static int still_there (const struct part *p) {
  struct stat opened, named;
  return fstat(p->fd, &opened) == 0 && lstat(p->name, &named) == 0
      && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
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
    if (still_there(p))
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
  p->metaname = joined(path, ".part.meta");
  if (p->name == NULL || p->metaname == NULL)
    err = ENOMEM;
  else
    err = device ? open_direct(p) : open_locked(p);
  if (err != 0)
    forget(p);
  return err;
}

/* What the meta file has to be. The URL is in it as a hash: it may hold a
   password. The last line tells a whole description from a torn one. */
static int meta_text (char text[META_SIZE], const struct part *p, const char *validator) {
  return snprintf(text, META_SIZE, "%surl-sha256 %s\nvalidator %s\nend\n", META_HEAD, p->urlhash,
                  validator);
}

static ssize_t read_meta (const struct part *p, char *text, size_t max) {
  int fd = open(p->metaname, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return -1;
  ssize_t n = read(fd, text, max);
  close(fd);
  return n;
}

/* The validator is taken from between the fixed words, then the whole is
   compared with what would have been written for it. */
static int meta_matches (struct part *p) {
  static const char word[] = "\nvalidator ";
  char found[META_SIZE + 1], expected[META_SIZE];
  ssize_t n = read_meta(p, found, META_SIZE);
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
  memcpy(p->validator, from, len);
  p->validator[len] = '\0';
  meta_text(expected, p, p->validator);
  return strcmp(found, expected) == 0;
}

int part_resumable (struct part *p, const char *url) {
  struct sha256 h;
  unsigned char digest[SHA256_SIZE];
  sha256_init(&h);
  sha256_update(&h, url, strlen(url));
  sha256_final(&h, digest);
  sha256_hex(digest, p->urlhash);
  p->described = !p->direct && p->size > 0 && meta_matches(p);
  return p->described;
}

int part_restart (struct part *p) {
  if (p->direct)
    return 0;
  p->described = 0;
  if (unlink(p->metaname) != 0 && errno != ENOENT)
    return errno;
  if (p->size > 0 && ftruncate(p->fd, 0) != 0)
    return errno;
  p->size = 0;
  return 0;
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

int part_describe (struct part *p, const char *validator) {
  char text[META_SIZE];
  if (p->direct)
    return 0;
  int n = meta_text(text, p, validator);
  int fd = open(p->metaname, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (fd < 0)
    return errno;
  int err = write_all(fd, text, (size_t)n);
  close(fd);
  if (err != 0)
    unlink(p->metaname);
  p->described = err == 0;
  return err;
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

int part_commit (struct part *p, const char *path, int replace) {
  int err = 0;
  if (!p->direct) {
    if ((replace ? rename(p->name, path) : link(p->name, path)) != 0)
      err = errno;
    else {
      if (!replace)
        unlink(p->name);
      unlink(p->metaname);
    }
  }
  if (err == 0) {
    unlock(p);
    forget(p);
  }
  return err;
}

void part_discard (struct part *p) {
  if (p->fd < 0)
    return;
  if (mine(p) && !p->direct) {
    unlink(p->name);
    unlink(p->metaname);
    unlock(p);
  }
  forget(p);
}

void part_close (struct part *p) {
  if (p->fd < 0)
    return;
  if (!p->described || p->size == 0)
    part_discard(p);
  else {
    if (mine(p))
      unlock(p);
    forget(p);
  }
}
