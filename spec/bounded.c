/*
** bounded - run a command within a time, and see that nothing of it stays
**
**   bounded [options] COMMAND [ARGUMENT ...]
**     -t SECONDS   limit; at the limit every process of it is killed (120)
**     -i FILE      standard input (/dev/null)
**     -o FILE      standard output, truncated first
**     -e FILE      standard error (the same as standard output)
**     -s SIGNAL    send this signal number to the command's process group, as
**                  a terminal does; to the command alone with -1
**     -w TEXT      ... once TEXT stands in the file of -o
**     -d SECONDS   ... and after this delay (0)
**     -g SECONDS   how long what the command leaves behind may take to end (2)
**     -h PROGRAM   run with the command's process id when the limit is reached,
**                  before the kill; what it writes goes to the file of -o
**
** The command leads a session of its own. Its descendants cannot get away:
** this process adopts (PR_SET_CHILD_SUBREAPER) whatever loses its parent, so
** what is still a child after the command's end and the time of grace was
** left behind; it is named and killed. One line on standard output tells all:
**
**   exit=0 signal=0 timeout=0 seconds=1.234 after=0.000 left=0
**
** 'after' is the time from sending the signal to the end. Exit code 0 means
** exit=0 in time and left=0.
*/
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct plan {
  double limit, delay, grace;
  const char *in, *out, *err, *text, *hook;
  int signal;
  bool alone;
};

struct outcome {
  int status;          /* as of waitpid */
  bool timeout;
  double seconds, after;
};

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die (const char *what) {
  fprintf(stderr, "bounded: %s: %s\n", what, strerror(errno));
  exit(125);
}

static void redirect (const char *path, int flags, int fd) {
  int file = open(path, flags | O_CLOEXEC, 0644);
  if (file < 0 || dup2(file, fd) < 0)
    die(path);
}

/* In the child: default signals, own session, standard files; then exec. */
static void run (const struct plan *p, char **argv, pid_t parent) {
  sigset_t none;
  for (int s = 1; s < NSIG; s++)
    signal(s, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(125);
  redirect(p->in, O_RDONLY, 0);
  if (p->out)
    redirect(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 1);
  if (p->err)
    redirect(p->err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 2);
  else if (p->out)
    dup2(1, 2);
  execvp(argv[0], argv);
  die(argv[0]);
}

/* True once 'text' stands in the file. */
static bool written (const char *path, const char *text) {
  struct stat st;
  bool found = false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
    char *all = malloc((size_t)st.st_size + 1);
    ssize_t n = all ? read(fd, all, (size_t)st.st_size) : 0;
    found = n > 0 && memmem(all, (size_t)n, text, strlen(text)) != NULL;
    free(all);
  }
  if (fd >= 0)
    close(fd);
  return found;
}

/* The parent and the name of a process, from /proc/PID/stat. */
static pid_t parent_of (pid_t pid, char name[32]) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return -1;
  size_t n = fread(line, 1, sizeof line - 1, f);
  fclose(f);
  line[n] = '\0';
  char *open_ = strchr(line, '('), *close_ = strrchr(line, ')');
  int parent = -1;
  if (open_ && close_ && sscanf(close_ + 1, " %*c %d", &parent) == 1)
    snprintf(name, 32, "%.*s", (int)(close_ - open_ - 1), open_ + 1);
  return parent;
}

/* SIGKILL all children; what they leave is adopted and dies in the next round. */
static int kill_children (FILE *names) {
  int count = 0;
  DIR *proc = opendir("/proc");
  if (proc == NULL)
    die("/proc");
  for (struct dirent *e; (e = readdir(proc)) != NULL; ) {
    char name[32] = "?";
    pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;
    if (pid > 0 && parent_of(pid, name) == getpid()) {
      count++;
      if (names)
        fprintf(names, " %d:%s", (int)pid, name);
      kill(pid, SIGKILL);
    }
  }
  closedir(proc);
  return count;
}

static void pause_for (double seconds) {
  struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&t, NULL);
}

/* Collects the ended; true while there are children. */
static bool reap (pid_t command, int *status, bool *ended) {
  int st;
  pid_t pid;
  while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
    if (pid == command) {
      *status = st;
      *ended = true;
    }
  return pid == 0;
}

static void wipe_out (FILE *names) {
  int st;
  bool ended;
  for (int round = 0; round < 1000; round++) {
    kill_children(round == 0 ? names : NULL);
    pause_for(0.005);
    if (!reap(-2, &st, &ended))
      return;
  }
}

static void supervise (const struct plan *p, pid_t command, const sigset_t *set, struct outcome *o) {
  double start = now(), due = p->text || !p->signal ? 0.0 : start + p->delay, sent = 0;
  bool ended = false;
  for (;;) {
    reap(command, &o->status, &ended);
    double t = now();
    if (ended) {
      o->seconds = t - start;
      o->after = sent > 0 ? t - sent : 0;
      return;
    }
    if (t - start >= p->limit) {
      o->timeout = true;
      o->seconds = t - start;
      return;
    }
    if (p->signal && sent <= 0) {
      if (due <= 0 && written(p->out, p->text))
        due = t + p->delay;
      if (due > 0 && t >= due) {
        sent = now();
        kill(p->alone ? command : -command, p->signal);
      }
    }
    double nap = p->limit - (t - start);
    if (p->signal && sent <= 0 && nap > 0.005)
      nap = 0.005;
    struct timespec wait = {(time_t)nap, (long)((nap - (double)(time_t)nap) * 1e9)};
    int s = sigtimedwait(set, NULL, &wait);
    if (s == SIGINT || s == SIGTERM || s == SIGHUP) {
      wipe_out(NULL);
      exit(128 + s);
    }
  }
}

/* The hook sees the processes as they hang. */
static void call_hook (const struct plan *p, pid_t command) {
  char line[1024];
  if (p->hook == NULL || p->out == NULL)
    return;
  int n = snprintf(line, sizeof line, "'%s' %d >>'%s' 2>&1", p->hook, (int)command, p->out);
  if (n < 0 || (size_t)n >= sizeof line || system(line) != 0)
    fprintf(stderr, "bounded: %s failed\n", p->hook);
}

/* What is still there after the time of grace was left behind. */
static int leftovers (const struct plan *p, pid_t command, FILE *names) {
  int st, count;
  bool ended;
  double until = now() + p->grace;
  while (reap(command, &st, &ended)) {
    if (now() >= until) {
      count = kill_children(names);
      wipe_out(NULL);
      return count;
    }
    pause_for(0.005);
  }
  return 0;
}

static char **options (struct plan *p, int argc, char **argv) {
  for (int c; (c = getopt(argc, argv, "+t:i:o:e:s:w:d:g:h:1")) != -1; )
    switch (c) {
      case 't': p->limit = atof(optarg); break;
      case 'i': p->in = optarg; break;
      case 'o': p->out = optarg; break;
      case 'e': p->err = optarg; break;
      case 's': p->signal = atoi(optarg); break;
      case 'w': p->text = optarg; break;
      case 'd': p->delay = atof(optarg); break;
      case 'g': p->grace = atof(optarg); break;
      case 'h': p->hook = optarg; break;
      case '1': p->alone = true; break;
      default: exit(125);
    }
  if (optind >= argc || (p->text && !p->out)) {
    fprintf(stderr, "usage: bounded [-t SECONDS] [options] COMMAND [ARGUMENT ...]\n");
    exit(125);
  }
  return argv + optind;
}

int main (int argc, char **argv) {
  struct plan p = {.limit = 120, .grace = 2, .in = "/dev/null"};
  struct outcome o = {0};
  char **command = options(&p, argc, argv), names[4096] = "";
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_PDEATHSIG, SIGTERM);  /* no test outlives its driver */
  pid_t self = getpid(), pid = fork();
  if (pid < 0)
    die("fork");
  if (pid == 0)
    run(&p, command, self);
  supervise(&p, pid, &set, &o);
  FILE *list = fmemopen(names, sizeof names - 1, "w");
  int left = 0;
  if (o.timeout) {
    call_hook(&p, pid);
    wipe_out(NULL);
  }
  else
    left = leftovers(&p, pid, list);
  fclose(list);
  int code = !o.timeout && WIFEXITED(o.status) ? WEXITSTATUS(o.status) : 0;
  int sig = !o.timeout && WIFSIGNALED(o.status) ? WTERMSIG(o.status) : 0;
  printf("exit=%d signal=%d timeout=%d seconds=%.3f after=%.3f left=%d%s\n", code, sig,
         o.timeout, o.seconds, o.after, left, names);
  return code == 0 && sig == 0 && !o.timeout && left == 0 ? 0 : 1;
}
