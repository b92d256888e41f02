/*
** http_sha256.h - SHA-256 (FIPS 180-4), to check a download
*/

#ifndef http_sha256_h
#define http_sha256_h

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE	32

struct sha256 {
  uint32_t state[8];
  uint64_t length;         /* bytes so far */
  unsigned char block[64]; /* the length % 64 bytes not yet worked in */
};

void sha256_init (struct sha256 *h);
void sha256_update (struct sha256 *h, const void *data, size_t len);
void sha256_final (struct sha256 *h, unsigned char digest[SHA256_SIZE]);
void sha256_hex (const unsigned char digest[SHA256_SIZE], char hex[2 * SHA256_SIZE + 1]);

#endif
