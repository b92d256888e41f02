/*
** coverage.c - linked into coverage builds only (make coverage)
**
** Children leave by _exit, which does not write gcov's counters; the linker
** sends those calls here (--wrap=_exit).
*/
void __gcov_dump (void);
_Noreturn void __real__exit (int code);
_Noreturn void __wrap__exit (int code);

_Noreturn void __wrap__exit (int code) {
  __gcov_dump();
  __real__exit(code);
}
