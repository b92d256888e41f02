/*
** fuzz_test.c - the corpus of the fuzzer, with the fuzzer's own checks: no input makes
** conc.decode take more memory than it justifies, or raise another error
*/
#include <dirent.h>
#include <stdio.h>
#include "../fuzz/decode_fuzz.c"

#define CORPUS  "spec/fuzz/decode"

static void replay (const char *name) {
  static uint8_t bytes[1 << 20];
  char path[512];
  snprintf(path, sizeof path, CORPUS "/%s", name);
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  printf("# %s\n", name);
  fflush(stdout);
  for (size_t cut = 0; cut <= size && cut < 300; cut++)  /* its beginnings, too */
    LLVMFuzzerTestOneInput(bytes, size - cut);
}

int main (void) {
  DIR *d = opendir(CORPUS);
  int n = 0;
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; )
    if (e->d_name[0] != '.') {
      replay(e->d_name);
      n++;
    }
  if (d != NULL)
    closedir(d);
  printf("%sok 1 - %d inputs were decoded or refused\n1..1\n", n > 20 ? "" : "not ", n);
  return n > 20 ? 0 : 1;
}
