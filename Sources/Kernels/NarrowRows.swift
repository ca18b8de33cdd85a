import Tensors

// Rows in 16 bits: kernels that compute in f32 read and write them through scratch, a few rows at a time, so that no copy
// of the whole in f32 is ever made. Results round once, as a conversion behind the kernel would round them.

/// Rows of a contiguous matrix that a kernel reads or writes in its own type: in place, or, where they take 16 bits, in
/// scratch.
struct NarrowRows<Scalar> {
  private let base: UnsafeMutableRawPointer
  private let dtype: DType
  private let count: Int

  /// - Parameter count: elements of a row.
  init(_ view: TensorView, count: Int) {
    (base, dtype, self.count) = (view.base, view.dtype, count)
  }

  /// Elements of scratch that so many rows take.
  func scratchCount(rows: Int) -> Int { dtype.isNarrow ? rows &* count : 0 }

  private func start(_ first: Int) -> UnsafeMutableRawPointer { base + first &* count &* dtype.byteCount }

  /// Returns `rows` rows from one on.
  @inline(__always)
  func read(_ first: Int, rows: Int, in scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    if dtype.isNarrow { loadLane(dtype, from: start(first), stride: 1, into: scratch, count: rows &* count) }
    return place(first, in: scratch)
  }

  /// Returns where to write rows from one on, before `finish`.
  @inline(__always)
  func place(_ first: Int, in scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    dtype.isNarrow ? scratch : start(first).assumingMemoryBound(to: Scalar.self)
  }

  /// Rounds rows that were written to scratch.
  @inline(__always)
  func finish(_ first: Int, rows: Int, from scratch: UnsafeMutablePointer<Scalar>) {
    if dtype.isNarrow { _ = storeLane(dtype, from: scratch, into: start(first), count: rows &* count) }
  }
}
