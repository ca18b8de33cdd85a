import Tensors

// Rows in 16 bits: kernels that compute in f32 read and write them through scratch, a few rows at a time, so that no copy
// of the whole in f32 is ever made. Results round once, as a conversion behind the kernel would round them.

/// Rows of a contiguous matrix, widened where they take 16 bits.
struct RowReader<Scalar> {
  private let base: UnsafeMutableRawPointer
  private let dtype: DType
  private let count: Int

  /// - Parameter count: elements of a row.
  init(_ view: TensorView, count: Int) {
    (base, dtype, self.count) = (view.base, view.dtype, count)
  }

  /// Elements of scratch that so many rows take.
  func scratchCount(rows: Int) -> Int { dtype.isNarrow ? rows &* count : 0 }

  /// Returns `rows` rows from one on, in place or in scratch.
  @inline(__always)
  func read(_ first: Int, rows: Int, in scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    let start = base + first &* count &* dtype.byteCount
    if !dtype.isNarrow { return start.assumingMemoryBound(to: Scalar.self) }
    loadLane(dtype, from: start, stride: 1, into: scratch, count: rows &* count)
    return scratch
  }
}

/// Rows of a contiguous matrix to be written, rounded where they take 16 bits.
struct RowWriter<Scalar> {
  private let base: UnsafeMutableRawPointer
  private let dtype: DType
  private let count: Int

  /// - Parameter count: elements of a row.
  init(_ view: TensorView, count: Int) {
    (base, dtype, self.count) = (view.base, view.dtype, count)
  }

  /// Elements of scratch that so many rows take.
  func scratchCount(rows: Int) -> Int { dtype.isNarrow ? rows &* count : 0 }

  /// Returns where to write rows from one on, before `finish`.
  @inline(__always)
  func place(_ first: Int, in scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    dtype.isNarrow ? scratch : (base + first &* count &* dtype.byteCount).assumingMemoryBound(to: Scalar.self)
  }

  @inline(__always)
  func finish(_ first: Int, rows: Int, from scratch: UnsafeMutablePointer<Scalar>) {
    if !dtype.isNarrow { return }
    _ = storeLane(dtype, from: scratch, into: base + first &* count &* dtype.byteCount, count: rows &* count)
  }
}
