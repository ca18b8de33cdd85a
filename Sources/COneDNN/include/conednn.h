#ifndef CONEDNN_H
#define CONEDNN_H

#include <stdbool.h>
#include <stdint.h>

/// Returns whether oneDNN multiplies bfloat16 with instructions of this processor. The first call loads the library;
/// ONEDNN_MAX_CPU_ISA bounds what it sees of the processor.
bool conednn_has_native_bf16(void);

/// Returns whether oneDNN multiplies f32 in vectors of 512 bits. The first call loads the library.
bool conednn_has_wide_f32(void);

/// result [rows, columns] = a [rows, depth] @ b [depth, columns] * scale, plus what was there if accumulating, all of it in
/// the calling thread. A stride is the distance of rows as they lie in memory, of columns if transposed.
///
/// Requires the library. Returns whether it could: not without memory.
bool conednn_multiply_f32(
    long rows, long columns, long depth, const float *a, bool a_transposed, long a_stride, const float *b,
    bool b_transposed, long b_stride, float scale, bool accumulating, float *result, long result_stride);

/// result [rows, columns] = a [rows, depth] @ b [depth, columns], plus what was there if accumulating, all of it in the
/// calling thread. Sums are f32. A stride is the distance of rows as they lie in memory, of columns if transposed.
///
/// Requires native bf16. Returns whether it could: not without memory.
bool conednn_multiply(
    long rows, long columns, long depth, const uint16_t *a, bool a_transposed, long a_stride, const uint16_t *b,
    bool b_transposed, long b_stride, bool accumulating, float *result, long result_stride);

#endif
