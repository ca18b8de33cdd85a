#ifndef CCRYPTO_H
#define CCRYPTO_H

#include <stdbool.h>
#include <stddef.h>

/// Loads OpenSSL's libcrypto; the first call decides. Returns NULL, or a text that says why it cannot be had.
const char *ccrypto_load(void);

/// Puts the HMAC-SHA256 of `bytes` under `key` into 32 bytes. Requires a library that was loaded.
bool ccrypto_hmac_sha256(
    const void *key, size_t key_count, const void *bytes, size_t count, unsigned char *result);

/// Whether bytes are equal, in a time that does not tell where they differ.
bool ccrypto_are_equal(const void *a, const void *b, size_t count);

#endif
