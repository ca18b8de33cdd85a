import Tensors

#if canImport(Glibc)
  import Glibc
#endif

/// What a reduction makes of the elements that fall on one result.
package enum ReductionKind: Sendable {
  /// In the dtype of floats; of whole numbers and bool exactly, as i64.
  case sum, product
  /// Of floats; nan where nothing is averaged.
  case mean
  /// A nan wins over all.
  case maximum, minimum
  /// Of bool.
  case any, all
  /// Squared distances from the mean over `count - correction`, of floats.
  ///
  /// The mean is taken as the first element plus the mean distance from it: elements far from zero lose
  /// nothing, and the variance of equal elements is 0.
  case variance(correction: Double)
  /// The logarithm of the sum of exponentials, by way of the maximum, so that nothing overflows.
  case logSumExp

  /// Whether each element is looked at once; else what makes them would run once more for each pass.
  package var isOnePass: Bool {
    switch self {
    case .sum, .product, .mean, .maximum, .minimum, .any, .all: true
    case .variance, .logSumExp: false
    }
  }
}

/// Reduces `x` over `axes` into the contiguous `result`. False says that a whole number does not fit.
package func reduce(
  _ kind: ReductionKind, _ x: TensorView, over axes: [Int], into result: TensorView
) -> Bool {
  if case .variance = kind, reducedCount(x, axes) > 0 { copyFirst(of: x, along: axes, into: result) }
  var passes = RunningPasses(operand: ReductionOperand(x), axes: axes, result: result)
  return visitPasses(kind, passes.operand.view, axes, &passes)
}

/// Reduces the only result of a program, seen as `shape`, over `axes` while the program makes it: the bits are
/// those of the program's result as a whole, then the reduction. False says that a whole number does not fit.
///
/// - Requires: the reduction takes one pass.
package func reduce(
  _ kind: ReductionKind, _ program: TileProgram, _ operands: [TensorView], as shape: [Int], over axes: [Int],
  into result: TensorView
) throws(TileProgram.Fault) -> Bool {
  var passes = RunningPasses(
    operand: ReductionOperand(program, operands, as: shape), axes: axes, result: result)
  let fits = visitPasses(kind, passes.operand.view, axes, &passes)
  if let (position, code) = passes.fault.found { throw TileProgram.Fault(code: code, position: position) }
  return fits
}

/// The scratch that `reduce` takes.
package func reductionScratchByteCount(_ kind: ReductionKind, _ x: TensorView, over axes: [Int]) -> Int {
  var passes = MeasuredPasses(operand: ReductionOperand(x), axes: axes)
  if case .variance = kind, reducedCount(x, axes) > 0 {
    passes.byteCount = copyScratchByteCount(rank: x.shape.count, isEmpty: x.elementCount == 0)
  }
  _ = visitPasses(kind, passes.operand.view, axes, &passes)
  return passes.byteCount
}

/// The scratch that `reduce` of a program's result takes.
package func reductionScratchByteCount(
  _ kind: ReductionKind, _ program: TileProgram, _ operands: [TensorView], as shape: [Int], over axes: [Int]
) -> Int {
  var passes = MeasuredPasses(operand: ReductionOperand(program, operands, as: shape), axes: axes)
  _ = visitPasses(kind, passes.operand.view, axes, &passes)
  return passes.byteCount
}

/// What is done with each pass over the operand.
private protocol PassVisitor: ~Copyable {
  mutating func visit<R: Reducer>(_ reducer: R)
}

private struct RunningPasses: PassVisitor, ~Copyable {
  let operand: ReductionOperand
  let axes: [Int]
  let result: TensorView
  let fault = FirstFault()

  mutating func visit<R: Reducer>(_ reducer: R) {
    reduce(reducer, operand, over: axes, into: result.pointer(), fault)
  }
}

private struct MeasuredPasses: PassVisitor {
  let operand: ReductionOperand
  let axes: [Int]
  /// The most that a pass takes.
  var byteCount = 0

  mutating func visit<R: Reducer>(_: R) {
    byteCount = max(byteCount, reductionScratchByteCount(R.self, operand, over: axes))
  }
}

/// Visits the passes of a reduction. False says that a whole number did not fit in one of them.
private func visitPasses<V: PassVisitor & ~Copyable>(
  _ kind: ReductionKind, _ x: TensorView, _ axes: [Int], _ visitor: inout V
) -> Bool {
  var overflow = false
  withUnsafeMutablePointer(to: &overflow) {
    forEachPass(kind, x.dtype, count: reducedCount(x, axes), overflow: $0, &visitor)
  }
  return !overflow
}

/// Visits the passes of a reduction over elements of `dtype`, `count` of which fall on each result.
@inline(__always)
private func forEachPass<V: PassVisitor & ~Copyable>(
  _ kind: ReductionKind, _ dtype: DType, count: Int, overflow: UnsafeMutablePointer<Bool>,
  _ visitor: inout V
) {
  switch (kind, dtype) {
  case (.sum, .f32): visitor.visit(Sum<Float>())
  case (.sum, .f64): visitor.visit(Sum<Double>())
  case (.sum, .i64): visitor.visit(WideSum<Int64>(overflow: overflow))
  case (.sum, .i32): visitor.visit(WideSum<Int32>(overflow: overflow))
  case (.sum, _): visitor.visit(WideSum<UInt8>(overflow: overflow))
  case (.product, .f32): visitor.visit(Product<Float>())
  case (.product, .f64): visitor.visit(Product<Double>())
  case (.product, .i64): visitor.visit(WideProduct<Int64>(overflow: overflow))
  case (.product, .i32): visitor.visit(WideProduct<Int32>(overflow: overflow))
  case (.product, _): visitor.visit(WideProduct<UInt8>(overflow: overflow))
  case (.mean, .f64): visitor.visit(Mean<Double>(count: Double(count)))
  case (.mean, _): visitor.visit(Mean<Float>(count: Float(count)))
  case (.maximum, .f32): visitor.visit(FloatMaximum<Float>())
  case (.maximum, .f64): visitor.visit(FloatMaximum<Double>())
  case (.maximum, .i64): visitor.visit(WholeMaximum<Int64>())
  case (.maximum, .i32): visitor.visit(WholeMaximum<Int32>())
  case (.maximum, _), (.any, _): visitor.visit(WholeMaximum<UInt8>())
  case (.minimum, .f32): visitor.visit(FloatMinimum<Float>())
  case (.minimum, .f64): visitor.visit(FloatMinimum<Double>())
  case (.minimum, .i64): visitor.visit(WholeMinimum<Int64>())
  case (.minimum, .i32): visitor.visit(WholeMinimum<Int32>())
  case (.minimum, _): visitor.visit(WholeMinimum<UInt8>())
  case (.all, _): visitor.visit(AllTrue())
  case (.variance(let correction), .f64):
    visitor.visit(MeanByDistance<Double>(count: Double(count)))
    visitor.visit(SquaredDistance<Double>(divisor: max(0, Double(count) - correction)))
  case (.variance(let correction), _):
    visitor.visit(MeanByDistance<Float>(count: Float(count)))
    visitor.visit(SquaredDistance<Float>(divisor: Float(max(0, Double(count) - correction))))
  case (.logSumExp, .f64):
    visitor.visit(FloatMaximum<Double>())
    visitor.visit(ExponentialSum64())
  case (.logSumExp, _):
    visitor.visit(FloatMaximum<Float>())
    visitor.visit(ExponentialSum32())
  }
}

/// Copies the first of the elements that fall on each result.
private func copyFirst(of x: TensorView, along axes: [Int], into result: TensorView) {
  var shape = x.shape
  for axis in axes { shape[axis] = 1 }
  copyRegion(
    TensorView(base: x.base, dtype: x.dtype, shape: shape, strides: x.strides),
    into: TensorView(
      base: result.base, dtype: x.dtype, shape: shape, strides: Shape(shape).contiguousStrides))
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
  var overflow: UnsafeMutablePointer<Bool> { get }
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
