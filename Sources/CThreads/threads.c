#define _GNU_SOURCE
#include "cthreads.h"
#include <sched.h>
#include <unistd.h>

// Swift hands a closure to another thread only after making a copy of it on the heap. Its words come and go
// through C instead, by Swift's own calling convention.

typedef __attribute__((swiftcall)) void (*part_function)(
    long part, __attribute__((swift_context)) void *context);

void cthreads_lend(
    void *function, void *context, long parts, void (*use)(struct cthreads_body, long parts)) {
  use((struct cthreads_body){function, context}, parts);
}

void cthreads_call(struct cthreads_body body, long part) {
  ((part_function)body.function)(part, body.context);
}

int cthreads_processor_count(void) {
#if defined(__linux__)
  // A fixed set holds 1024 processors; larger machines refuse it.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}
