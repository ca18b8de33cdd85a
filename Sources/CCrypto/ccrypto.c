#include "ccrypto.h"

// libcrypto signs the messages of a notebook's kernel. It is on every system that speaks TLS; it is loaded as libzmq
// is, and for the same reason.

#if __has_include(<openssl/hmac.h>)
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#define TEXT(x) #x
#define LIBRARY_OF(version) "libcrypto.so." TEXT(version)
#ifdef OPENSSL_SHLIB_VERSION
#define LIBRARY LIBRARY_OF(OPENSSL_SHLIB_VERSION)
#else
#define LIBRARY "libcrypto.so.1.1"
#endif

static struct {
  __typeof__(HMAC) *hmac;
  __typeof__(EVP_sha256) *sha256;
  __typeof__(CRYPTO_memcmp) *compare;
} lib;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *problem;

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    problem = reason ? strdup(reason) : LIBRARY " cannot be loaded";
    return;
  }
  lib.hmac = (__typeof__(lib.hmac))dlsym(library, "HMAC");
  lib.sha256 = (__typeof__(lib.sha256))dlsym(library, "EVP_sha256");
  lib.compare = (__typeof__(lib.compare))dlsym(library, "CRYPTO_memcmp");
  if (!lib.hmac || !lib.sha256 || !lib.compare) problem = LIBRARY " lacks HMAC";
}

const char *ccrypto_load(void) {
  pthread_once(&once, load);
  return problem;
}

bool ccrypto_hmac_sha256(
    const void *key, size_t key_count, const void *bytes, size_t count, unsigned char *result) {
  unsigned int result_count = 32;
  return lib.hmac(lib.sha256(), key, (int)key_count, bytes, count, result, &result_count) != NULL;
}

bool ccrypto_are_equal(const void *a, const void *b, size_t count) { return lib.compare(a, b, count) == 0; }

#else

const char *ccrypto_load(void) { return "this build is without it: install libssl-dev and build again"; }
bool ccrypto_hmac_sha256(
    const void *key, size_t key_count, const void *bytes, size_t count, unsigned char *result) {
  return false;
}
bool ccrypto_are_equal(const void *a, const void *b, size_t count) { return false; }

#endif
