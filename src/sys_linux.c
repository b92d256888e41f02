/*
** sys_linux.c - floor 0 on Linux (glibc, musl)
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

/* {=== clock ===} */

static nanos clock_nanos (clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts);
  return (nanos)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

nanos sys_now (void) {
  return clock_nanos(CLOCK_MONOTONIC);
}

deadline sys_deadline (double seconds) {
  if (!(seconds > 0))
    return DEADLINE_NOW;
  nanos now = sys_now();
  double span = ceil(seconds * 1e9);
  if (span >= 9.2e18 - (double)now)
    return DEADLINE_NEVER;
  return now + (nanos)span;
}

/* {=== futex ===} */

static int futex_wait (_Atomic uint32_t *word, uint32_t expected, deadline until,
                       int how) {
  struct timespec ts, *limit = NULL;
  if (until != DEADLINE_NEVER) {
    if (until < 0)
      until = 0;
    ts.tv_sec = (time_t)(until / 1000000000);
    ts.tv_nsec = (long)(until % 1000000000);
    limit = &ts;
  }
  /* the BITSET form takes an absolute time, CLOCK_MONOTONIC by default */
  long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | how, expected, limit, NULL,
                    FUTEX_BITSET_MATCH_ANY);
  if (rc == 0 || errno == EAGAIN)
    return CONC_OK;
  return (errno == ETIMEDOUT) ? CONC_TIMEOUT
       : (errno == EINTR) ? CONC_INTERRUPTED : CONC_OK;
}

int sys_futex_wait (_Atomic uint32_t *word, uint32_t expected, deadline until) {
  return futex_wait(word, expected, until, 0);
}

int sys_futex_wait_near (_Atomic uint32_t *word, uint32_t expected, deadline until) {
  return futex_wait(word, expected, until, FUTEX_PRIVATE_FLAG);
}

void sys_futex_wake (_Atomic uint32_t *word, int n) {
  syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

void sys_futex_wake_near (_Atomic uint32_t *word, int n) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* {=== small files of /proc and /sys ===} */

/* Reads at most size - 1 bytes; the length, or -1. Always ends in '\0'. */
static ssize_t read_small (const char *path, char *to, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  to[0] = '\0';
  if (fd < 0)
    return -1;
  ssize_t n;
  do n = read(fd, to, size - 1); while (n < 0 && errno == EINTR);
  int error = errno;
  close(fd);
  errno = error;
  if (n >= 0)
    to[n] = '\0';
  return n;
}

/* {=== processors ===} */

int sys_cpu_usable (void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
  }
  int n = CPU_COUNT(&set);
  return n > 0 ? n : 1;
}

/*
** Threads can be tied to one processor at any time (taskset on a running
** program); a stale answer only spins in vain for a moment. No order needed.
*/
int sys_cpu_shared (void) {
  static _Atomic int known;
  static _Atomic unsigned asked;
  int n = load_relaxed(&known);
  unsigned times = load_relaxed(&asked);
  store_relaxed(&asked, times + 1);  /* one more or less: no matter */
  if (n == 0 || (times & 1023) == 0) {
    n = sys_cpu_usable();
    store_relaxed(&known, n);
  }
  return n;
}

/* The quota of one control group in processors, rounded up; INT_MAX: none. */
static int quota_v2 (const char *dir) {
  char path[PATH_MAX], text[128];
  double quota, period;
  snprintf(path, sizeof path, "%s/cpu.max", dir);
  if (read_small(path, text, sizeof text) <= 0
      || sscanf(text, "%lf %lf", &quota, &period) != 2 || period <= 0)
    return INT_MAX;
  return (int)ceil(quota / period);
}

static int quota_v1 (void) {
  char text[64];
  double quota, period;
  if (read_small("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text) <= 0)
    return INT_MAX;
  quota = atof(text);
  if (quota <= 0
      || read_small("/sys/fs/cgroup/cpu/cpu.cfs_period_us", text, sizeof text) <= 0)
    return INT_MAX;
  period = atof(text);
  return period > 0 ? (int)ceil(quota / period) : INT_MAX;
}

/* The least quota of our control group and those above it. */
static int cpu_quota (void) {
  char text[PATH_MAX], dir[PATH_MAX + 32];
  int least = quota_v1();
  if (read_small("/proc/self/cgroup", text, sizeof text) <= 0)
    return least;
  char *at = strstr(text, "0::/");
  if (at == NULL)
    return least;
  at += 3;
  at[strcspn(at, "\n")] = '\0';
  snprintf(dir, sizeof dir, "/sys/fs/cgroup%s", at);
  for (char *slash; (slash = strrchr(dir, '/')) != NULL
                    && slash >= dir + strlen("/sys/fs/cgroup"); *slash = '\0') {
    int n = quota_v2(dir);
    if (n < least) least = n;
  }
  int n = quota_v2("/sys/fs/cgroup");
  return n < least ? n : least;
}

int sys_cpu_count (void) {
  int n = sys_cpu_usable(), quota = cpu_quota();
  if (quota < n) n = quota;
  return n > 0 ? n : 1;
}

int sys_set_cpus (const int *cpus, int n) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < n; i++) {
    if (cpus[i] < 0 || cpus[i] >= CPU_SETSIZE) {
      errno = EINVAL;
      return -1;
    }
    CPU_SET((size_t)cpus[i], &set);
  }
  return sched_setaffinity(0, sizeof set, &set);
}

/* On Linux niceness belongs to the thread, whatever POSIX says. */
int sys_add_nice (int n) {
  id_t who = (id_t)sys_tid();
  errno = 0;
  int now = getpriority(PRIO_PROCESS, who);
  if (now == -1 && errno != 0)
    return -1;
  return setpriority(PRIO_PROCESS, who, now + n);
}

int sys_try_cpus (const int *cpus, int n) {
  cpu_set_t old;
  if (sched_getaffinity(0, sizeof old, &old) != 0)
    return -1;
  int rc = sys_set_cpus(cpus, n), error = errno;
  if (rc == 0)
    sched_setaffinity(0, sizeof old, &old);
  errno = error;
  return rc;
}

/* To go back up is always allowed. */
int sys_try_nice (int n) {
  int rc = sys_add_nice(n);
  if (rc == 0)
    sys_add_nice(-n);
  return rc;
}

/* {=== identity ===} */

pid_t sys_tid (void) {
  return (pid_t)syscall(SYS_gettid);
}

int64_t sys_boot_ticks (void) {
  static long hz;
  if (hz == 0)
    hz = sysconf(_SC_CLK_TCK);
  return clock_nanos(CLOCK_BOOTTIME) / (1000000000 / hz);
}

/*
** What can be known without /proc, or without a descriptor to read it by: of our own
** children all, of others whether they are zombies where there is a pidfd. A pid that
** was given again is not told apart.
*/
static bool pid_alive (pid_t pid) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
    return info.si_pid == 0;
  int fd = sys_pidfd(pid);
  if (fd < 0)
    return kill(pid, 0) == 0 || errno == EPERM;
  struct pollfd end = { .fd = fd, .events = POLLIN };
  bool ended = poll(&end, 1, 0) == 1;
  close(fd);
  return !ended;
}

/* Fields of /proc/<pid>/stat, counted as in proc(5); the name may hold ')'. */
bool sys_process_alive (pid_t pid, int64_t ticks) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  ssize_t length = read_small(path, text, sizeof text);
  if (length <= 0) {
    bool gone = length < 0 && (errno == ENOENT || errno == ESRCH);
    return !(gone && access("/proc/self/stat", R_OK) == 0) && pid_alive(pid);
  }
  char *at = strrchr(text, ')');
  char state;
  long threads;
  long long start;
  if (at == NULL
      || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u"
                        " %*d %*d %*d %*d %ld %*d %lld",
                &state, &threads, &start) != 3)
    return false;
  if ((state == 'Z' || state == 'X') && threads <= 1)
    return false;  /* a zombie leader of living threads still counts */
  return start <= ticks + 1;
}

bool sys_die_with_parent (pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return getppid() == parent;
}

int sys_pidfd (pid_t pid) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, pid, 0);
#else
  (void)pid;
  errno = ENOSYS;
  return -1;
#endif
}

void sys_thread_name (const char *name) {
  char brief[16];
  snprintf(brief, sizeof brief, "%s", name);
  prctl(PR_SET_NAME, brief);
}

uint64_t sys_entropy (void) {
  uint64_t x;
  if (getrandom(&x, sizeof x, GRND_NONBLOCK) != (ssize_t)sizeof x)
    x = (uint64_t)sys_now() * 0x9E3779B97F4A7C15u ^ (uint64_t)sys_tid() << 40;
  return x;
}

/* {=== output ===} */

static void forget (FILE *f) {
  if (__fpending(f) > 0)  /* a page that is not written is not copied */
    __fpurge(f);
}

#if defined(__GLIBC__)
/* Its list of open files: held by fork, so it is whole in the child. */
extern FILE *_IO_list_all __attribute__((weak));

void sys_forget_output (void) {
  if (&_IO_list_all == NULL)
    forget(stdout);
  else
    for (FILE *f = _IO_list_all; f != NULL; f = f->_chain)
      forget(f);
}
#else
void sys_forget_output (void) {
  forget(stdout);
}
#endif

/* {=== memory ===} */

void *sys_reserve (size_t size) {
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    return NULL;
#ifdef MADV_DONTDUMP
  madvise(at, size, MADV_DONTDUMP);
#endif
  return at;
}

void sys_release (void *at, size_t size) {
  munmap(at, size);
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void sys_populate (void *at, size_t size) {
  madvise(at, size, MADV_POPULATE_WRITE);
}

void sys_give_back (void *at, size_t size) {
  madvise(at, size, MADV_REMOVE);
}

size_t sys_memory (void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return (pages > 0 && size > 0) ? (size_t)pages * (size_t)size : (size_t)1 << 32;
}

void sys_pin (const void *address) {
  Dl_info info;
  if (dladdr(address, &info) && info.dli_fname != NULL) {
    void *self = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NODELETE | RTLD_NOLOAD);
    if (self != NULL)
      dlclose(self);  /* NODELETE has done its work */
  }
}

/* {=== tests: death at a given step (ground.h) ===} */

#if defined(CONC_DEBUG)
_Atomic long kill_at;

void kill_step (void) {
  if (add_relaxed(&kill_at, -1) == 1) {
    kill(getpid(), SIGKILL);
    for (;;) pause();   /* the other threads die with it */
  }
}
#endif
