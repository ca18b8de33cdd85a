import Tensors

/// The type in which elements are computed, apart from the dtype in which they are stored.
///
/// Loops over tiles exist once per lane, not once per dtype: 16-bit floats widen to `Float`, whole
/// numbers to `Int64`. So mixed precision is a matter of loading and storing.
package enum Lane: UInt8, Hashable, Sendable {
  /// `Float`, for f32 and the narrower floats.
  case single
  /// `Double`, for f64.
  case double
  /// `Int64`, for i64, i32 and u8.
  case integer
  /// `UInt8` holding 0 or 1, for bool.
  case truth

  var byteCount: Int {
    switch self {
    case .single: 4
    case .double, .integer: 8
    case .truth: 1
    }
  }
}

extension DType {
  /// The lane that elements of this dtype are computed in.
  package var lane: Lane {
    switch self {
    case .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .q8, .q8e4m3: .single
    case .f64: .double
    case .i32, .i64, .u8: .integer
    case .bool: .truth
    }
  }

  /// Whether elements lie in storage just as their lane computes them, so that kernels use them in place.
  var isLaneStorage: Bool {
    switch self {
    case .f32, .f64, .i64, .bool: true
    case .f16, .bf16, .i32, .u8, .f8e4m3, .f8e5m2, .q8, .q8e4m3: false
    }
  }
}

/// Elements handled at a time. Three tiles of 8-byte lanes fit the first-level cache.
package let tileCapacity = 1024

/// `count` rounded up to whole tiles: what begins there begins a block of storage.
func wholeTiles(_ count: Int) -> Int { (count &+ tileCapacity &- 1) / tileCapacity &* tileCapacity }

/// `byteCount` rounded up to cache lines.
func wholeLines(_ byteCount: Int) -> Int { (byteCount &+ 63) & ~63 }

/// What a lane of whole numbers cannot express.
package enum ArithmeticFault: Int, Error, Sendable {
  case overflow, divisionByZero, negativeExponent
}

/// The elementwise work on one tile: reads `count` elements of each operand, writes as many.
///
/// Operands and result are contiguous and in lanes; the result overlaps no operand.
///
/// A class, because closures that lie in tables are retained by every call, which takes longer than a short tile.
package final class TileLoop: Sendable {
  package typealias Function =
    @Sendable (
      _ operands: UnsafePointer<UnsafeRawPointer>, _ result: UnsafeMutableRawPointer, _ count: Int
    ) -> ArithmeticFault?

  private let function: Function

  init(_ function: @escaping Function) { self.function = function }

  @inline(__always)
  func callAsFunction(
    _ operands: UnsafePointer<UnsafeRawPointer>, _ result: UnsafeMutableRawPointer, _ count: Int
  ) -> ArithmeticFault? { function(operands, result, count) }
}

/// The loops of one elementwise function on one lane.
package struct TileBody: Sendable {
  let loop: TileLoop
  /// The same where the first, or the second, operand is one number for all elements: a loop that reads it once has a
  /// load less, and leaves more of the cache for the rest.
  let loopOfNumberFirst: TileLoop
  let loopOfNumberSecond: TileLoop
  /// The same on f32 as a step over blocks, if there is one.
  let blockOperation: BlockOperation?

  init(
    _ loop: @escaping TileLoop.Function, numberFirst: TileLoop.Function? = nil,
    numberSecond: TileLoop.Function? = nil, inBlocks blockOperation: BlockOperation? = nil
  ) {
    self.loop = TileLoop(loop)
    self.blockOperation = blockOperation
    loopOfNumberFirst = numberFirst.map(TileLoop.init) ?? self.loop
    loopOfNumberSecond = numberSecond.map(TileLoop.init) ?? self.loop
  }

  @inline(__always)
  func callAsFunction(
    _ operands: UnsafePointer<UnsafeRawPointer>, _ result: UnsafeMutableRawPointer, _ count: Int
  ) -> ArithmeticFault? { loop(operands, result, count) }
}

/// One elementwise function as tile loops, one for each lane that it is defined on.
package struct TileFunction: Sendable {
  private let single: TileBody?
  private let double: TileBody?
  private let integer: TileBody?
  private let truth: TileBody?
  private let integerMayFail: Bool

  /// - Parameter checked: instead of `integer`, a loop that may fail.
  init(
    single: TileBody? = nil, double: TileBody? = nil, integer: TileBody? = nil, checked: TileBody? = nil,
    truth: TileBody? = nil
  ) {
    self.single = single
    self.double = double
    self.integer = checked ?? integer
    self.truth = truth
    integerMayFail = checked != nil
  }

  /// Whether there are elements of this lane for which the loop returns a fault.
  package func mayFail(in lane: Lane) -> Bool { lane == .integer && integerMayFail }

  /// The loop for operands in `lane`.
  /// - Requires: the function is defined on it. Type rules see to that.
  package subscript(lane: Lane) -> TileBody {
    switch lane {
    case .single: single!
    case .double: double!
    case .integer: integer!
    case .truth: truth!
    }
  }
}

// Tile loops from functions of one element. Each is inlined with its function into a plain loop over
// pointers, which the compiler turns into vector instructions where the function has no branches.

@inline(__always)
func unaryTile<X, Y>(
  inBlocks blockOperation: BlockOperation? = nil, _ function: @escaping @Sendable (X) -> Y
) -> TileBody {
  TileBody({ operands, result, count in
    let x = operands[0].assumingMemoryBound(to: X.self)
    let y = result.assumingMemoryBound(to: Y.self)
    for i in 0..<count { y[i] = function(x[i]) }
    return nil
  }, inBlocks: blockOperation)
}

@inline(__always)
func binaryTile<A, B, Y>(
  inBlocks blockOperation: BlockOperation? = nil, _ function: @escaping @Sendable (A, B) -> Y
) -> TileBody {
  TileBody(
    { operands, result, count in
      let a = operands[0].assumingMemoryBound(to: A.self)
      let b = operands[1].assumingMemoryBound(to: B.self)
      let y = result.assumingMemoryBound(to: Y.self)
      for i in 0..<count { y[i] = function(a[i], b[i]) }
      return nil
    },
    numberFirst: { operands, result, count in
      let a = operands[0].load(as: A.self)
      let b = operands[1].assumingMemoryBound(to: B.self)
      let y = result.assumingMemoryBound(to: Y.self)
      for i in 0..<count { y[i] = function(a, b[i]) }
      return nil
    },
    numberSecond: { operands, result, count in
      let a = operands[0].assumingMemoryBound(to: A.self)
      let b = operands[1].load(as: B.self)
      let y = result.assumingMemoryBound(to: Y.self)
      for i in 0..<count { y[i] = function(a[i], b) }
      return nil
    }, inBlocks: blockOperation)
}

@inline(__always)
func ternaryTile<A, B, C, Y>(_ function: @escaping @Sendable (A, B, C) -> Y) -> TileBody {
  TileBody { operands, result, count in
    let a = operands[0].assumingMemoryBound(to: A.self)
    let b = operands[1].assumingMemoryBound(to: B.self)
    let c = operands[2].assumingMemoryBound(to: C.self)
    let y = result.assumingMemoryBound(to: Y.self)
    for i in 0..<count { y[i] = function(a[i], b[i], c[i]) }
    return nil
  }
}
