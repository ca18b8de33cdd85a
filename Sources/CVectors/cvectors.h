#ifndef CVECTORS_H
#define CVECTORS_H

#include <string.h>

// Blocks of f32, three of which fit the processor's vector registers. Swift has the type, but makes of its arithmetic loops
// over elements. Each function rounds once: none is contracted with another.

#ifdef __AVX512F__
#define CVECTORS_COUNT 64
#else
#define CVECTORS_COUNT 32
#endif

typedef float cvectors_block __attribute__((ext_vector_type(CVECTORS_COUNT)));
typedef cvectors_block cvectors_unaligned __attribute__((aligned(4)));
typedef unsigned cvectors_words __attribute__((ext_vector_type(CVECTORS_COUNT)));
typedef _Float16 cvectors_halves __attribute__((ext_vector_type(CVECTORS_COUNT)));

#define CVECTORS_INLINE static inline __attribute__((always_inline))

CVECTORS_INLINE cvectors_block cvectors_number(float x) { return (cvectors_block)x; }
CVECTORS_INLINE cvectors_block cvectors_load(const void *from) { return *(const cvectors_unaligned *)from; }
CVECTORS_INLINE void cvectors_store(cvectors_block x, void *to) { *(cvectors_unaligned *)to = x; }

/// The first `count` elements; the others are 1.
CVECTORS_INLINE cvectors_block cvectors_load_part(const void *from, long count) {
  cvectors_block x = cvectors_number(1);
  memcpy(&x, from, 4 * count);
  return x;
}
CVECTORS_INLINE void cvectors_store_part(cvectors_block x, void *to, long count) { memcpy(to, &x, 4 * count); }

CVECTORS_INLINE cvectors_block cvectors_add(cvectors_block a, cvectors_block b) { return a + b; }
CVECTORS_INLINE cvectors_block cvectors_subtract(cvectors_block a, cvectors_block b) { return a - b; }
CVECTORS_INLINE cvectors_block cvectors_multiply(cvectors_block a, cvectors_block b) { return a * b; }
CVECTORS_INLINE cvectors_block cvectors_divide(cvectors_block a, cvectors_block b) { return a / b; }
/// NaN stays, whichever side it is on.
CVECTORS_INLINE cvectors_block cvectors_minimum(cvectors_block a, cvectors_block b) {
  return (a < b) | (a != a) ? a : b;
}
CVECTORS_INLINE cvectors_block cvectors_maximum(cvectors_block a, cvectors_block b) {
  return (a > b) | (a != a) ? a : b;
}
CVECTORS_INLINE cvectors_block cvectors_negate(cvectors_block a) { return -a; }
CVECTORS_INLINE cvectors_block cvectors_abs(cvectors_block a) { return __builtin_elementwise_abs(a); }
CVECTORS_INLINE cvectors_block cvectors_sqrt(cvectors_block a) { return __builtin_elementwise_sqrt(a); }
CVECTORS_INLINE cvectors_block cvectors_sign(cvectors_block a) {
  const cvectors_block one = cvectors_number(1);
  return a > 0 ? one : (a < 0 ? -one : a);
}
/// a above 0, else 0; NaN is itself.
CVECTORS_INLINE cvectors_block cvectors_relu(cvectors_block a) { return a <= 0 ? cvectors_number(0) : a; }
/// Rounded to f16, and widened again.
CVECTORS_INLINE cvectors_block cvectors_round_to_f16(cvectors_block a) {
  return __builtin_convertvector(__builtin_convertvector(a, cvectors_halves), cvectors_block);
}
/// Rounded to bf16, and widened again: as `bfloat16Bits` does it.
CVECTORS_INLINE cvectors_block cvectors_round_to_bf16(cvectors_block a) {
  const cvectors_words bits = (cvectors_words)a;
  const cvectors_block nan = (cvectors_block)((bits & 0x80000000u) | 0x7FC00000u);
  return a != a ? nan : (cvectors_block)((bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u);
}

#undef CVECTORS_INLINE
#endif
