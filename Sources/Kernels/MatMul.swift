import CBLAS
import Tensors

// Note [Layouts of matrix products]
//
// BLAS reads a matrix whose rows, or whose columns, are contiguous. Transposed and sliced views are such
// and are passed as they are; a matrix with gaps both ways, or broadcast along an axis, is packed first.
// A batch whose rows lie at equal distances throughout is one tall matrix: with one right operand
// for all of it the whole product is a single call.

/// Multiplies matrices of floats: `left [..., m, k] @ right [..., k, n]` with equal batch axes, or
/// `right [k, n]`.
///
/// - Requires: m, k and n fit in 32 bits; `result` is contiguous.
/// See Note [Layouts of matrix products].
package func multiplyMatrices(_ left: TensorView, _ right: TensorView, into result: TensorView) {
  if result.dtype == .f64 {
    multiply(left, right, into: result.pointer(Double.self))
  } else {
    multiply(left, right, into: result.pointer(Float.self))
  }
}

/// Multiplies matrices of whole numbers into i64, exactly. False says that a result does not fit.
package func multiplyWholeMatrices(
  _ left: TensorView, _ right: TensorView, into result: TensorView
) -> Bool {
  switch left.dtype {
  case .i64: multiplyExactly(left, right, into: result.pointer(), Int64.self)
  case .i32: multiplyExactly(left, right, into: result.pointer(), Int32.self)
  default: multiplyExactly(left, right, into: result.pointer(), UInt8.self)
  }
}

/// How BLAS can read a matrix.
private struct MatrixLayout {
  /// Whether the columns are contiguous rather than the rows.
  let isTransposed: Bool
  /// The distance between rows, or between columns of a transposed one.
  let leadingStride: Int32

  /// nil where neither rows nor columns are contiguous.
  init?(rows: Int, columns: Int, rowStride: Int, columnStride: Int) {
    // The stride of an axis of size 1 says nothing.
    if columnStride == 1 || columns == 1 {
      let stride = rows == 1 ? columns : rowStride
      if stride >= columns, let stride = Int32(exactly: stride) {
        isTransposed = false
        leadingStride = stride
        return
      }
    }
    if rowStride == 1 || rows == 1 {
      let stride = columns == 1 ? rows : columnStride
      if stride >= rows, let stride = Int32(exactly: stride) {
        isTransposed = true
        leadingStride = stride
        return
      }
    }
    return nil
  }

  var operation: CBLAS_TRANSPOSE { isTransposed ? CblasTrans : CblasNoTrans }
}

private protocol BLASNumber: BinaryFloatingPoint {
  /// `c [m, n] = a [m, k] @ b [k, n]`; c is contiguous.
  static func multiply(
    _ a: UnsafePointer<Self>, _ aLayout: MatrixLayout, _ b: UnsafePointer<Self>, _ bLayout: MatrixLayout,
    into c: UnsafeMutablePointer<Self>, m: Int, n: Int, k: Int)
}

extension Float: BLASNumber {
  @inline(__always)
  fileprivate static func multiply(
    _ a: UnsafePointer<Float>, _ aLayout: MatrixLayout, _ b: UnsafePointer<Float>, _ bLayout: MatrixLayout,
    into c: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int
  ) {
    cblas_sgemm(
      CblasRowMajor, aLayout.operation, bLayout.operation, Int32(m), Int32(n), Int32(k), 1, a,
      aLayout.leadingStride, b, bLayout.leadingStride, 0, c, Int32(n))
  }
}

extension Double: BLASNumber {
  @inline(__always)
  fileprivate static func multiply(
    _ a: UnsafePointer<Double>, _ aLayout: MatrixLayout, _ b: UnsafePointer<Double>, _ bLayout: MatrixLayout,
    into c: UnsafeMutablePointer<Double>, m: Int, n: Int, k: Int
  ) {
    cblas_dgemm(
      CblasRowMajor, aLayout.operation, bLayout.operation, Int32(m), Int32(n), Int32(k), 1, a,
      aLayout.leadingStride, b, bLayout.leadingStride, 0, c, Int32(n))
  }
}

/// The threads of the pool own the cores; each calls BLAS as a serial leaf.
private let serialBLAS: Void = openblas_set_num_threads(1)

/// The sizes of a batch of products.
private struct ProductSizes {
  var batch: Int
  var m: Int
  let n: Int
  let k: Int

  init(_ left: TensorView, _ right: TensorView) {
    let rank = left.shape.count
    batch = 1
    for axis in 0..<(rank - 2) { batch &*= left.shape[axis] }
    m = left.shape[rank - 2]
    k = left.shape[rank - 1]
    n = right.shape[right.shape.count - 1]
  }

  var resultCount: Int { batch &* m &* n }
}

/// Returns the distance between rows of all matrices of the batch, if it is the same throughout.
private func commonRowStride(_ x: TensorView) -> Int? {
  var stride: Int?
  var count = 1
  for axis in Swift.stride(from: x.shape.count - 2, through: 0, by: -1) where x.shape[axis] != 1 {
    if let stride, x.strides[axis] != count &* stride { return nil }
    if stride == nil { stride = x.strides[axis] }
    count &*= x.shape[axis]
  }
  return stride ?? x.shape[x.shape.count - 1]
}

private func multiply<Value: BLASNumber>(
  _ left: TensorView, _ right: TensorView, into result: UnsafeMutablePointer<Value>
) {
  _ = serialBLAS
  var sizes = ProductSizes(left, right)
  if sizes.resultCount == 0 { return }
  if sizes.k == 0 {
    result.update(repeating: 0, count: sizes.resultCount)
    return
  }
  let leftRank = left.shape.count
  let rightRank = right.shape.count
  var rowStride = left.strides[leftRank - 2]
  if rightRank == 2, let stride = commonRowStride(left), sizes.batch &* sizes.m <= Int(Int32.max) {
    rowStride = stride
    sizes.m &*= sizes.batch
    sizes.batch = 1
  }
  let (m, n, k) = (sizes.m, sizes.n, sizes.k)
  let columnStride = left.strides[leftRank - 1]
  let leftLayout = MatrixLayout(rows: m, columns: k, rowStride: rowStride, columnStride: columnStride)
  let rightLayout = MatrixLayout(
    rows: k, columns: n, rowStride: right.strides[rightRank - 2], columnStride: right.strides[rightRank - 1])

  withScratch(of: WalkAxis.self, count: leftRank + rightRank) { scratch in
    var leftWalk = StridedWalk(scratch: scratch)
    var rightWalk = StridedWalk(scratch: scratch + leftRank)
    if sizes.batch > 1 {
      for axis in 0..<(leftRank - 2) {
        leftWalk.append(count: left.shape[axis], stride: left.strides[axis])
      }
      for axis in 0..<(rightRank - 2) {
        rightWalk.append(count: right.shape[axis], stride: right.strides[axis])
      }
    }
    withScratch(of: Value.self, count: leftLayout == nil ? m &* k : 0) { leftPack in
      withScratch(of: Value.self, count: rightLayout == nil ? k &* n : 0) { rightPack in
        var leftMatrix = PackedMatrix(
          base: UnsafePointer(left.pointer(Value.self)), layout: leftLayout, rows: m, columns: k,
          rowStride: rowStride, columnStride: columnStride,
          pack: leftPack)
        var rightMatrix = PackedMatrix(
          base: UnsafePointer(right.pointer(Value.self)), layout: rightLayout, rows: k, columns: n,
          rowStride: right.strides[rightRank - 2], columnStride: right.strides[rightRank - 1],
          pack: rightPack)
        var target = result
        for _ in 0..<sizes.batch {
          let (a, aLayout) = leftMatrix.matrix(at: leftWalk.offset)
          let (b, bLayout) = rightMatrix.matrix(at: rightWalk.offset)
          Value.multiply(a, aLayout, b, bLayout, into: target, m: m, n: n, k: k)
          leftWalk.advance()
          rightWalk.advance()
          target += m &* n
        }
      }
    }
  }
}

/// The matrices of a batch as BLAS can read them, packed where it must be.
private struct PackedMatrix<Value> {
  let base: UnsafePointer<Value>
  let layout: MatrixLayout?
  let rows: Int
  let columns: Int
  let rowStride: Int
  let columnStride: Int
  /// Room for one matrix if there is no layout.
  let pack: UnsafeMutablePointer<Value>
  /// Which matrix was packed last: a broadcast one is packed once.
  private var packedOffset: Int?

  init(
    base: UnsafePointer<Value>, layout: MatrixLayout?, rows: Int, columns: Int, rowStride: Int,
    columnStride: Int, pack: UnsafeMutablePointer<Value>
  ) {
    self.base = base
    self.layout = layout
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
    self.pack = pack
  }

  mutating func matrix(at offset: Int) -> (UnsafePointer<Value>, MatrixLayout) {
    if let layout { return (base + offset, layout) }
    if packedOffset != offset {
      var target = pack
      for row in 0..<rows {
        let source = base + offset + row &* rowStride
        for column in 0..<columns { target[column] = source[column &* columnStride] }
        target += columns
      }
      packedOffset = offset
    }
    let packed = MatrixLayout(rows: rows, columns: columns, rowStride: columns, columnStride: 1)
    return (UnsafePointer(pack), packed.unsafelyUnwrapped)
  }
}

private func multiplyExactly<Whole: FixedWidthInteger>(
  _ left: TensorView, _ right: TensorView, into result: UnsafeMutablePointer<Int64>, _: Whole.Type
) -> Bool {
  let sizes = ProductSizes(left, right)
  if sizes.resultCount == 0 { return true }
  let (leftRank, rightRank) = (left.shape.count, right.shape.count)
  var fits = true
  withScratch(of: WalkAxis.self, count: leftRank + rightRank) { scratch in
    var leftWalk = StridedWalk(scratch: scratch)
    var rightWalk = StridedWalk(scratch: scratch + leftRank)
    for axis in 0..<(leftRank - 2) {
      leftWalk.append(count: left.shape[axis], stride: left.strides[axis])
    }
    for axis in 0..<(rightRank - 2) {
      rightWalk.append(count: right.shape[axis], stride: right.strides[axis])
    }
    var target = result
    for _ in 0..<sizes.batch {
      for row in 0..<sizes.m {
        for column in 0..<sizes.n {
          var a = left.pointer(Whole.self) + leftWalk.offset + row &* left.strides[leftRank - 2]
          var b = right.pointer(Whole.self) + rightWalk.offset + column &* right.strides[rightRank - 1]
          var sum: Int128 = 0
          for _ in 0..<sizes.k {
            let (next, overflow) = sum.addingReportingOverflow(Int128(a.pointee) &* Int128(b.pointee))
            sum = next
            if overflow { fits = false }
            a += left.strides[leftRank - 1]
            b += right.strides[rightRank - 2]
          }
          if Int64(exactly: sum) == nil { fits = false }
          target.pointee = Int64(truncatingIfNeeded: sum)
          target += 1
        }
      }
      leftWalk.advance()
      rightWalk.advance()
    }
  }
  return fits
}
