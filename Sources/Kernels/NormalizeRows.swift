import Glibc
import Tensors

/// A float with the functions that normalisations need.
protocol KernelFloat: BinaryFloatingPoint {
  static func exponential(_ x: Self) -> Self
  static func logarithm(_ x: Self) -> Self
}

extension Float: KernelFloat {
  @inline(__always)
  static func exponential(_ x: Float) -> Float { VectorMath.exp(x) }
  @inline(__always)
  static func logarithm(_ x: Float) -> Float { VectorMath.log(x) }
}

extension Double: KernelFloat {
  @inline(__always)
  static func exponential(_ x: Double) -> Double { exp(x) }
  @inline(__always)
  static func logarithm(_ x: Double) -> Double { log(x) }
}

// Sums and maxima of rows, by lanes: neighbours fall on lanes in turn, and at the end the lanes are joined
// in halves. The tree depends on the count alone, and a loop over lanes is a few vector instructions.
private let laneCount = 64
/// Rows shorter than this are joined one by one.
private let shortRow = 16

/// Returns the sum of `element` over 0 ..< count. `element` is called once for each, in rising order.
@inline(__always)
func sumByLanes<Scalar: KernelFloat>(_ count: Int, _ element: (Int) -> Scalar) -> Scalar {
  joinByLanes(count, empty: 0, element) { $0 + $1 }
}

/// Returns the largest `element` over 0 ..< count, -inf where there is none. NaN are passed over.
@inline(__always)
func maximumByLanes<Scalar: KernelFloat>(_ count: Int, _ element: (Int) -> Scalar) -> Scalar {
  joinByLanes(count, empty: -.infinity, element) { $1 > $0 ? $1 : $0 }
}

@inline(__always)
private func joinByLanes<Scalar: KernelFloat>(
  _ count: Int, empty: Scalar, _ element: (Int) -> Scalar, _ join: (Scalar, Scalar) -> Scalar
) -> Scalar {
  if count < shortRow {
    var joined = empty
    for i in 0..<count { joined = join(joined, element(i)) }
    return joined
  }
  // On the stack, where the compiler keeps lanes in registers.
  return withUnsafeTemporaryAllocation(of: Scalar.self, capacity: laneCount) { scratch in
    let lanes = scratch.baseAddress.unsafelyUnwrapped
    for lane in 0..<laneCount { lanes[lane] = empty }
    var start = 0
    while start &+ laneCount <= count {
      for lane in 0..<laneCount { lanes[lane] = join(lanes[lane], element(start &+ lane)) }
      start &+= laneCount
    }
    for lane in 0..<(count &- start) { lanes[lane] = join(lanes[lane], element(start &+ lane)) }
    var half = laneCount / 2
    while half > 0 {
      for lane in 0..<half { lanes[lane] = join(lanes[lane], lanes[lane &+ half]) }
      half /= 2
    }
    return lanes[0]
  }
}

/// Columns that are worked on at a time where lines lie across rows.
let columnBlock = 128

extension LineSizes {
  private var columnBlocks: Int { (inner &+ columnBlock &- 1) / columnBlock }

  /// Calls `body` with ranges of blocks of neighbouring lines, in parallel where the work is worth it.
  ///
  /// - Parameter cost: of an element, in elements of a simple loop.
  @inline(__always)
  func inParallelColumns(cost: Int, _ body: (_ from: Int, _ to: Int) -> Void) {
    inParallel(outer &* columnBlocks, cost: cost &* count &* min(columnBlock, inner), body)
  }

  /// Calls `body` with the offset of each block and how many lines it has, and with scratch for a maximum and
  /// a sum of each line.
  @inline(__always)
  func forEachColumnBlock<Scalar>(
    _ from: Int, _ to: Int,
    _ body: (
      _ start: Int, _ width: Int, _ top: UnsafeMutablePointer<Scalar>,
      _ total: UnsafeMutablePointer<Double>
    ) -> Void
  ) {
    withScratch(of: Scalar.self, count: columnBlock) { top in
      withScratch(of: Double.self, count: columnBlock) { total in
        for block in from..<to {
          let (outer, index) = block.quotientAndRemainder(dividingBy: columnBlocks)
          let column = index &* columnBlock
          body(outer &* count &* inner &+ column, min(columnBlock, inner &- column), top, total)
        }
      }
    }
  }
}

/// The scratch of kernels over lines: only those that lie across rows take some.
package func linesScratchByteCount(_ dtype: DType, _ sizes: LineSizes) -> Int {
  if sizes.inner == 1 { return 0 }
  let tops = scratchByteCount(of: UInt8.self, count: columnBlock &* dtype.byteCount)
  return tops &+ scratchByteCount(of: Double.self, count: columnBlock)
}
