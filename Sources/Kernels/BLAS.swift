import CBLAS

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
    _ = blasIsSerial
    cblas_sgemm(
      CblasRowMajor, aOrder.blas, bOrder.blas, Int32(rows), Int32(columns), Int32(depth), scale,
      a, Int32(max(aStride, 1)), b, Int32(max(bStride, 1)), accumulating ? 1 : 0, result,
      Int32(max(resultStride, 1)))
  }
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
