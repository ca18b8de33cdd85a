import COneDNN
import Tensors

// Note [Products in 16 bits]
//
// Sums are f32 whatever the operands, and round once. bfloat16 goes to oneDNN where the processor multiplies it; all other
// 16-bit floats are widened a panel at a time, in cache, and go to BLAS: no operand is ever widened as a whole. Panels of
// sums are rounded while they are in cache, to storage, or in place where a program runs on them: so the bits are the same
// with and without one. They are not the same on processors that multiply bfloat16 and on others, as with any two BLAS.

/// An element of the matrices that can be multiplied.
protocol ProductElement {
  /// What the library reads.
  associatedtype Factor
  /// What products are added up in.
  associatedtype Sum: BLASScalar

  /// Whether matrices lie in memory as the library reads them; else they are widened.
  static var isFactor: Bool { get }

  static func widened(_ x: Self) -> Factor

  /// result [rows, columns] = a [rows, depth] @ b [depth, columns], plus what was there if accumulating.
  /// A stride is the distance of rows as they lie in memory.
  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<Factor>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<Factor>, _ bOrder: MatrixOrder, stride bStride: Int,
    accumulating: Bool, into result: UnsafeMutablePointer<Sum>, stride resultStride: Int)
}

extension ProductElement where Factor == Sum {
  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<Factor>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<Factor>, _ bOrder: MatrixOrder, stride bStride: Int,
    accumulating: Bool, into result: UnsafeMutablePointer<Sum>, stride resultStride: Int
  ) {
    Sum.multiply(
      rows: rows, columns: columns, depth: depth, a, aOrder, stride: aStride, b, bOrder, stride: bStride, scale: 1,
      accumulating: accumulating, into: result, stride: resultStride)
  }
}

extension Float: ProductElement {
  static var isFactor: Bool { true }
  @inline(__always)
  static func widened(_ x: Float) -> Float { x }
}

extension Double: ProductElement {
  static var isFactor: Bool { true }
  @inline(__always)
  static func widened(_ x: Double) -> Double { x }
}

extension Float16: ProductElement {
  static var isFactor: Bool { false }
  @inline(__always)
  static func widened(_ x: Float16) -> Float { Float(x) }
}

/// bfloat16 on any processor.
struct WideningBFloat16: ProductElement {
  let bits: UInt16

  static var isFactor: Bool { false }
  @inline(__always)
  static func widened(_ x: Self) -> Float { Float(bitPattern: UInt32(x.bits) &<< 16) }
}

/// bfloat16 where the processor multiplies it.
struct NativeBFloat16: ProductElement {
  let bits: UInt16

  static var isFactor: Bool { true }
  @inline(__always)
  static func widened(_ x: Self) -> Self { x }

  static func multiply(
    rows: Int, columns: Int, depth: Int,
    _ a: UnsafePointer<NativeBFloat16>, _ aOrder: MatrixOrder, stride aStride: Int,
    _ b: UnsafePointer<NativeBFloat16>, _ bOrder: MatrixOrder, stride bStride: Int,
    accumulating: Bool, into result: UnsafeMutablePointer<Float>, stride resultStride: Int
  ) {
    func bits(_ x: UnsafePointer<NativeBFloat16>) -> UnsafePointer<UInt16> {
      UnsafeRawPointer(x).assumingMemoryBound(to: UInt16.self)
    }
    let isDone = conednn_multiply(
      rows, columns, depth, bits(a), aOrder == .transposed, aStride, bits(b), bOrder == .transposed, bStride,
      accumulating, result, resultStride)
    if isDone { return }
    // oneDNN had no memory to pack in, and has written nothing.
    multiplyInPlace(
      rows: rows, columns: columns, depth: depth, bits(a), isTransposed: aOrder == .transposed, stride: aStride, bits(b),
      isTransposed: bOrder == .transposed, stride: bStride, accumulating: accumulating, into: result,
      stride: resultStride)
  }
}

/// What oneDNN multiplies, by loops that take no memory: slow, and in sums of another order.
package func multiplyInPlace(
  rows: Int, columns: Int, depth: Int,
  _ a: UnsafePointer<UInt16>, isTransposed aIsTransposed: Bool, stride aStride: Int,
  _ b: UnsafePointer<UInt16>, isTransposed bIsTransposed: Bool, stride bStride: Int,
  accumulating: Bool, into result: UnsafeMutablePointer<Float>, stride resultStride: Int
) {
  func number(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) &<< 16) }
  let (aRow, aColumn) = aIsTransposed ? (1, aStride) : (aStride, 1)
  let (bRow, bColumn) = bIsTransposed ? (1, bStride) : (bStride, 1)
  for row in 0..<rows {
    let y = result + row &* resultStride
    if !accumulating { y.update(repeating: 0, count: columns) }
    for inner in 0..<depth {
      let x = number(a[row &* aRow &+ inner &* aColumn])
      for column in 0..<columns { y[column] += x * number(b[inner &* bRow &+ column &* bColumn]) }
    }
  }
}

/// The types as which floats are multiplied here.
enum ProductElements {
  case single, double, half, bfloat16, wideningBFloat16

  init(_ dtype: DType) {
    self =
      switch dtype {
      case .f64: .double
      case .f32: .single
      case .f16: .half
      default: conednn_has_native_bf16() ? .bfloat16 : .wideningBFloat16
      }
  }
}

