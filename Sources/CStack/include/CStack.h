#pragma once
#include <stddef.h>
#include <stdint.h>

/// The lowest address of the calling thread's stack and its size; 0 and 0 where the system does not tell.
typedef struct {
  size_t base;
  size_t byte_count;
} gradus_stack;

gradus_stack gradus_current_stack(void);

/// How far the stack has come. Inlined, so that asking costs no call and puts no variable in memory.
static inline __attribute__((always_inline)) uintptr_t gradus_stack_position(void) {
  return (uintptr_t)__builtin_frame_address(0);
}

/// What a thread is letting go of: where its stack stood at the first value, and the values that wait.
typedef struct {
  uintptr_t outermost;
  void *pending;
} gradus_release;

gradus_release *gradus_release_state(void);
