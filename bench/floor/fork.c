/* fork.c - fork + _exit + waitpid in a small process, one after the other */
#include "floor.h"

int main (void) {
  long n = count(500);
  double began = now();
  for (long i = 0; i < n; i++) {
    int status;
    pid_t pid = fork();
    if (pid == 0)
      _exit(0);
    waitpid(pid, &status, 0);
  }
  return report(now() - began, n);
}
