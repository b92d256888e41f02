/*
** apart_so.c - preloaded with a sanitizer's runtime, for one program alone
**
** What that program starts has no part in it: some programs crash under libtsan (the
** shell does), others leak (mktemp does). And a forked child that leaves by
** exit() is not asked for leaks: what the threads of its parent hold is a copy in it
** that nobody holds.
*/
#include <stdlib.h>
#include <unistd.h>

static pid_t whole;   /* the process that has all of its threads */

__attribute__((constructor)) static void set_apart (void) {
  whole = getpid();
  unsetenv("LD_PRELOAD");
}

/* LeakSanitizer asks before it looks (sanitizer/lsan_interface.h). */
int __lsan_is_turned_off (void);
int __lsan_is_turned_off (void) {
  return getpid() != whole;
}
