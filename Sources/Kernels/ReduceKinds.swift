import Tensors

#if canImport(Glibc)
  import Glibc
#endif

// Each function reduces `x` over `axes` into the contiguous `result`. Sums of floats are made in the
// dtype of the operand; of whole numbers exactly, and false says that a result does not fit.

/// Sums. Whole numbers and bool give i64.
package func reduceSum(_ x: TensorView, over axes: [Int], into result: TensorView) -> Bool {
  switch x.dtype {
  case .f32: reduce(Sum<Float>(), x, over: axes, into: result.pointer())
  case .f64: reduce(Sum<Double>(), x, over: axes, into: result.pointer())
  case .i64: return reduceExactly(WideSum<Int64>.self, x, axes, result)
  case .i32: return reduceExactly(WideSum<Int32>.self, x, axes, result)
  case .u8, .bool: return reduceExactly(WideSum<UInt8>.self, x, axes, result)
  case .f16, .bf16: break
  }
  return true
}

/// Means of floats; nan where nothing is averaged.
package func reduceMean(_ x: TensorView, over axes: [Int], into result: TensorView) {
  let count = reducedCount(x, axes)
  if x.dtype == .f64 {
    reduce(Mean<Double>(count: Double(count)), x, over: axes, into: result.pointer())
  } else {
    reduce(Mean<Float>(count: Float(count)), x, over: axes, into: result.pointer())
  }
}

/// Products. Whole numbers and bool give i64.
package func reduceProduct(_ x: TensorView, over axes: [Int], into result: TensorView) -> Bool {
  switch x.dtype {
  case .f32: reduce(Product<Float>(), x, over: axes, into: result.pointer())
  case .f64: reduce(Product<Double>(), x, over: axes, into: result.pointer())
  case .i64: return reduceExactly(WideProduct<Int64>.self, x, axes, result)
  case .i32: return reduceExactly(WideProduct<Int32>.self, x, axes, result)
  case .u8, .bool: return reduceExactly(WideProduct<UInt8>.self, x, axes, result)
  case .f16, .bf16: break
  }
  return true
}

/// Largest elements; a nan wins over all.
package func reduceMaximum(_ x: TensorView, over axes: [Int], into result: TensorView) {
  switch x.dtype {
  case .f32: reduce(FloatMaximum<Float>(), x, over: axes, into: result.pointer())
  case .f64: reduce(FloatMaximum<Double>(), x, over: axes, into: result.pointer())
  case .i64: reduce(WholeMaximum<Int64>(), x, over: axes, into: result.pointer())
  case .i32: reduce(WholeMaximum<Int32>(), x, over: axes, into: result.pointer())
  case .u8, .bool: reduce(WholeMaximum<UInt8>(), x, over: axes, into: result.pointer())
  case .f16, .bf16: break
  }
}

/// Smallest elements; a nan wins over all.
package func reduceMinimum(_ x: TensorView, over axes: [Int], into result: TensorView) {
  switch x.dtype {
  case .f32: reduce(FloatMinimum<Float>(), x, over: axes, into: result.pointer())
  case .f64: reduce(FloatMinimum<Double>(), x, over: axes, into: result.pointer())
  case .i64: reduce(WholeMinimum<Int64>(), x, over: axes, into: result.pointer())
  case .i32: reduce(WholeMinimum<Int32>(), x, over: axes, into: result.pointer())
  case .u8, .bool: reduce(WholeMinimum<UInt8>(), x, over: axes, into: result.pointer())
  case .f16, .bf16: break
  }
}

/// Whether any element of a bool operand is true.
package func reduceAny(_ x: TensorView, over axes: [Int], into result: TensorView) {
  reduce(WholeMaximum<UInt8>(), x, over: axes, into: result.pointer())
}

/// Whether all elements of a bool operand are true.
package func reduceAll(_ x: TensorView, over axes: [Int], into result: TensorView) {
  reduce(AllTrue(), x, over: axes, into: result.pointer())
}

/// Variances of floats: the mean first, then squared distances from it over `count - correction`.
///
/// The mean is taken as the first element plus the mean distance from it: elements far from zero lose
/// nothing, and the variance of equal elements is 0.
package func reduceVariance(
  _ x: TensorView, over axes: [Int], correction: Double, into result: TensorView
) {
  let count = reducedCount(x, axes)
  let divisor = max(0, Double(count) - correction)
  if count > 0 { copyFirst(of: x, along: axes, into: result) }
  if x.dtype == .f64 {
    reduce(MeanByDistance<Double>(count: Double(count)), x, over: axes, into: result.pointer())
    reduce(SquaredDistance<Double>(divisor: divisor), x, over: axes, into: result.pointer())
  } else {
    reduce(MeanByDistance<Float>(count: Float(count)), x, over: axes, into: result.pointer())
    reduce(SquaredDistance<Float>(divisor: Float(divisor)), x, over: axes, into: result.pointer())
  }
}

/// Copies the first of the elements that fall on each result.
private func copyFirst(of x: TensorView, along axes: [Int], into result: TensorView) {
  var shape = x.shape
  for axis in axes { shape[axis] = 1 }
  let first = TensorView(base: x.base, dtype: x.dtype, shape: shape, strides: x.strides)
  copy(first, into: TensorView(
    base: result.base, dtype: x.dtype, shape: shape, strides: Shape(shape).contiguousStrides))
}

/// Logarithms of sums of exponentials, by way of the maximum, so that nothing overflows.
package func reduceLogSumExp(_ x: TensorView, over axes: [Int], into result: TensorView) {
  reduceMaximum(x, over: axes, into: result)
  if x.dtype == .f64 {
    reduce(ExponentialSum64(), x, over: axes, into: result.pointer())
  } else {
    reduce(ExponentialSum32(), x, over: axes, into: result.pointer())
  }
}

/// The number of elements that fall on one result.
private func reducedCount(_ x: TensorView, _ axes: [Int]) -> Int {
  var count = 1
  for axis in axes { count &*= x.shape[axis] }
  return count
}

// MARK: Floats

struct Sum<Value: BinaryFloatingPoint>: Reducer {
  var empty: Value { 0 }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a + b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

struct Mean<Value: BinaryFloatingPoint>: Reducer {
  let count: Value
  var empty: Value { 0 }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a + b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial / count }
}

struct Product<Value: BinaryFloatingPoint>: Reducer {
  var empty: Value { 1 }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a * b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

struct FloatMaximum<Value: BinaryFloatingPoint>: Reducer {
  var empty: Value { -.infinity }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { (a > b) || (a != a) ? a : b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

struct FloatMinimum<Value: BinaryFloatingPoint>: Reducer {
  var empty: Value { .infinity }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { (a < b) || (a != a) ? a : b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

/// Means by way of distances from an element that is known.
struct MeanByDistance<Value: BinaryFloatingPoint>: Reducer {
  let count: Value
  var empty: Value { 0 }
  static var readsCentre: Bool { true }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element - centre }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a + b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { centre + partial / count }
}

/// Squared distances from the mean that the first pass left.
struct SquaredDistance<Value: BinaryFloatingPoint>: Reducer {
  let divisor: Value
  var empty: Value { 0 }
  static var readsCentre: Bool { true }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value {
    let distance = element - centre
    return distance * distance
  }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a + b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial / divisor }
}

/// Exponentials of distances from the maximum that the first pass left; where that is infinite or nan,
/// from 0.
struct ExponentialSum32: Reducer {
  var empty: Float { 0 }
  static var readsCentre: Bool { true }
  @inline(__always) func lift(_ element: Float, _ centre: Float) -> Float {
    VectorMath.exp(element - (centre.isFinite ? centre : 0))
  }
  @inline(__always) func join(_ a: Float, _ b: Float) -> Float { a + b }
  @inline(__always) func finish(_ partial: Float, _ centre: Float) -> Float {
    VectorMath.log(partial) + (centre.isFinite ? centre : 0)
  }
}

struct ExponentialSum64: Reducer {
  var empty: Double { 0 }
  static var readsCentre: Bool { true }
  @inline(__always) func lift(_ element: Double, _ centre: Double) -> Double {
    exp(element - (centre.isFinite ? centre : 0))
  }
  @inline(__always) func join(_ a: Double, _ b: Double) -> Double { a + b }
  @inline(__always) func finish(_ partial: Double, _ centre: Double) -> Double {
    log(partial) + (centre.isFinite ? centre : 0)
  }
}

// MARK: Whole numbers and bool

struct WholeMaximum<Value: FixedWidthInteger>: Reducer {
  var empty: Value { .min }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a > b ? a : b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

struct WholeMinimum<Value: FixedWidthInteger>: Reducer {
  var empty: Value { .max }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: Value, _ centre: Value) -> Value { element }
  @inline(__always) func join(_ a: Value, _ b: Value) -> Value { a < b ? a : b }
  @inline(__always) func finish(_ partial: Value, _ centre: Value) -> Value { partial }
}

struct AllTrue: Reducer {
  var empty: UInt8 { 1 }
  static var readsCentre: Bool { false }
  @inline(__always) func lift(_ element: UInt8, _ centre: UInt8) -> UInt8 { element }
  @inline(__always) func join(_ a: UInt8, _ b: UInt8) -> UInt8 { a & b }
  @inline(__always) func finish(_ partial: UInt8, _ centre: UInt8) -> UInt8 { partial }
}

/// A reducer over whole numbers whose partial results are wide enough to tell whether the last one fits.
protocol ExactReducer: Reducer where Partial == Int128, Output == Int64 {
  /// Set where a result does not fit.
  init(overflow: UnsafeMutablePointer<Bool>)
}

private func reduceExactly<R: ExactReducer>(
  _: R.Type, _ x: TensorView, _ axes: [Int], _ result: TensorView
) -> Bool {
  var overflow = false
  withUnsafeMutablePointer(to: &overflow) { flag in
    reduce(R(overflow: flag), x, over: axes, into: result.pointer())
  }
  return !overflow
}

extension ExactReducer {
  static var readsCentre: Bool { false }
}

/// Returns `value` if it fits, else sets `overflow`.
@inline(__always)
private func narrowed(_ value: Int128, _ overflow: UnsafeMutablePointer<Bool>) -> Int64 {
  if let value = Int64(exactly: value) { return value }
  overflow.pointee = true
  return 0
}

struct WideSum<Element: FixedWidthInteger>: ExactReducer {
  let overflow: UnsafeMutablePointer<Bool>
  var empty: Int128 { 0 }
  @inline(__always) func lift(_ element: Element, _ centre: Int64) -> Int128 { Int128(element) }
  @inline(__always) func join(_ a: Int128, _ b: Int128) -> Int128 { a &+ b }
  @inline(__always) func finish(_ partial: Int128, _ centre: Int64) -> Int64 {
    narrowed(partial, overflow)
  }
}

/// Products up to 2^63 in magnitude are kept as they are, larger ones as one that stays too large until
/// it meets a 0.
struct WideProduct<Element: FixedWidthInteger>: ExactReducer {
  let overflow: UnsafeMutablePointer<Bool>
  private static var tooLarge: Int128 { 1 << 64 }
  var empty: Int128 { 1 }
  @inline(__always) func lift(_ element: Element, _ centre: Int64) -> Int128 { Int128(element) }
  @inline(__always) func join(_ a: Int128, _ b: Int128) -> Int128 {
    if a == 0 || b == 0 { return 0 }
    if a == Self.tooLarge || b == Self.tooLarge { return Self.tooLarge }
    let product = a &* b
    let fits = -(1 << 63)...(1 << 63) ~= product
    return fits ? product : Self.tooLarge
  }
  @inline(__always) func finish(_ partial: Int128, _ centre: Int64) -> Int64 {
    narrowed(partial, overflow)
  }
}
