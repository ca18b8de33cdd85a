#ifndef CTHREADS_H
#define CTHREADS_H

/// The two words of a Swift closure that does not escape.
struct cthreads_body {
  void *function;
  void *context;
};

/// Calls `use` with the words of a closure, which are good for as long as the call lasts.
void cthreads_lend(
    void *function, void *context, long parts, void (*use)(struct cthreads_body, long parts));

/// Calls a lent closure of type (Int) -> Void.
void cthreads_call(struct cthreads_body body, long part);

/// Returns how many processors this process may run on.
int cthreads_processor_count(void);

/// Tells the processor that this thread waits for another.
static inline void cthreads_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
