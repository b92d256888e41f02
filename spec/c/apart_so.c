/*
** unpreload_so.c - preloaded behind a sanitizer's runtime: its children start
** without it
**
** Some programs, the shell among them, crash under libtsan. The list goes on
** as TEST_PRELOADED, for spec/helper.lua to give it to scripts of Lua.
*/
#include <stdlib.h>

__attribute__((constructor)) static void unpreload (void) {
  const char *list = getenv("LD_PRELOAD");
  if (list == NULL)
    return;
  setenv("TEST_PRELOADED", list, 1);
  unsetenv("LD_PRELOAD");
}
