// Swift's Glibc does not show what only GNU has.
#define _GNU_SOURCE
#include "include/CStack.h"
#include <pthread.h>

gradus_stack gradus_current_stack(void) {
  gradus_stack stack = {0, 0};
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return stack;
  void *base;
  size_t byte_count;
  if (pthread_attr_getstack(&attributes, &base, &byte_count) == 0) {
    stack.base = (size_t)base;
    stack.byte_count = byte_count;
  }
  pthread_attr_destroy(&attributes);
  return stack;
}

static _Thread_local gradus_release release_state;

gradus_release *gradus_release_state(void) { return &release_state; }
