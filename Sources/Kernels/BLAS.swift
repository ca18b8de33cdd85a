import CBLAS
import COneDNN

// Note [Two libraries for products]
//
// Of products in f32, those of which oneDNN makes more in a second go to oneDNN, where it has vectors of 512 bits:
// all but small ones, for which OpenBLAS has kernels that pack nothing, and those into a few columns, or into columns that
// do not fill vectors. On a Zen 4, a core: 114 GFLOP/s to 102, for four rows 110 to 40, for 32 x 32 x 32 78 to 108. The
// sizes alone decide, so that the bits of a product are the same wherever it is made again.

/// How a matrix lies in memory: row by row as named, or with rows and columns exchanged.
enum MatrixOrder {
  case asIs, transposed

  var blas: CBLAS_TRANSPOSE { self == .asIs ? CblasNoTrans : CblasTrans }
}

/// A float whose matrices BLAS multiplies.
protocol BLASScalar: BinaryFloatingPoint, SIMDScalar, Codable {
  /// result [rows, columns] = a [rows, depth] @ b [depth, columns] * scale, plus what was there if accumulating.
  /// A stride is the distance of rows as they lie in memory.
  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<Self>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<Self>, _ bOrder: MatrixOrder, stride bStride: Int, scale: Self,
    accumulating: Bool, into result: UnsafeMutablePointer<Self>, stride resultStride: Int)
}

/// OpenBLAS starts no threads of its own. See Note [Threads and bits].
private let blasIsSerial: Void = openblas_set_num_threads(1)

extension Float: BLASScalar {
  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<Float>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<Float>, _ bOrder: MatrixOrder, stride bStride: Int, scale: Float,
    accumulating: Bool, into result: UnsafeMutablePointer<Float>, stride resultStride: Int
  ) {
    if isFasterByOneDNN(rows: rows, columns: columns, depth: depth)
      && conednn_multiply_f32(
        rows, columns, depth, a, aOrder == .transposed, aStride, b, bOrder == .transposed, bStride, scale, accumulating,
        result, resultStride)
    {
      return
    }
    _ = blasIsSerial
    cblas_sgemm(
      CblasRowMajor, aOrder.blas, bOrder.blas, Int32(rows), Int32(columns), Int32(depth), scale,
      a, Int32(max(aStride, 1)), b, Int32(max(bStride, 1)), accumulating ? 1 : 0, result,
      Int32(max(resultStride, 1)))
  }
}

/// See Note [Two libraries for products].
private func isFasterByOneDNN(rows: Int, columns: Int, depth: Int) -> Bool {
  let work = rows &* columns &* depth
  // OpenBLAS's kernels for small products end at 100 cubed.
  let isSmall = work < (rows < 32 ? 1 &<< 18 : 1_000_000)
  return !isSmall && rows > 1 && columns >= 80 && columns & 15 == 0 && conednn_has_wide_f32()
}

extension Double: BLASScalar {
  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<Double>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<Double>, _ bOrder: MatrixOrder, stride bStride: Int, scale: Double,
    accumulating: Bool, into result: UnsafeMutablePointer<Double>, stride resultStride: Int
  ) {
    _ = blasIsSerial
    cblas_dgemm(
      CblasRowMajor, aOrder.blas, bOrder.blas, Int32(rows), Int32(columns), Int32(depth), scale,
      a, Int32(max(aStride, 1)), b, Int32(max(bStride, 1)), accumulating ? 1 : 0, result,
      Int32(max(resultStride, 1)))
  }
}
