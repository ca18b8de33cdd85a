import Synchronization
import Tensors

/// Running sums along `axis` of contiguous `x`. False says that a sum of whole numbers does not fit in i64.
///
/// Floats are added in f64, in order, and each sum is rounded once. Whole numbers and bool give i64.
package func scanSum(_ x: TensorView, axis: Int, into result: TensorView) -> Bool {
  let sizes = LineSizes(x.shape, axis: axis)
  switch x.dtype {
  case .f64: return scan(x, sizes, result, RunningFloat<Double>.self)
  case .i64: return scan(x, sizes, result, RunningWhole<Int64>.self)
  case .i32: return scan(x, sizes, result, RunningWhole<Int32>.self)
  case .u8, .bool: return scan(x, sizes, result, RunningWhole<UInt8>.self)
  default: return scan(x, sizes, result, RunningFloat<Float>.self)
  }
}

/// How a running sum takes the next element.
private protocol RunningSum {
  associatedtype Element
  associatedtype Sum
  associatedtype Output
  static var zero: Sum { get }
  /// Returns whether the sum fits.
  static func add(_ element: Element, to sum: inout Sum) -> Bool
  static func output(_ sum: Sum) -> Output
}

private enum RunningFloat<Element: BinaryFloatingPoint>: RunningSum {
  static var zero: Double { 0 }
  @inline(__always) static func add(_ element: Element, to sum: inout Double) -> Bool {
    sum += Double(element)
    return true
  }
  @inline(__always) static func output(_ sum: Double) -> Element { Element(sum) }
}

private enum RunningWhole<Element: FixedWidthInteger>: RunningSum {
  static var zero: Int64 { 0 }
  @inline(__always) static func add(_ element: Element, to sum: inout Int64) -> Bool {
    let (next, overflow) = sum.addingReportingOverflow(Int64(element))
    sum = next
    return !overflow
  }
  @inline(__always) static func output(_ sum: Int64) -> Int64 { sum }
}

/// Lines side by side that are scanned together.
private let scanLanes = 128

private func scan<R: RunningSum>(
  _ x: TensorView, _ sizes: LineSizes, _ result: TensorView, _: R.Type
) -> Bool {
  let fits = Atomic<Bool>(true)
  inParallel(sizes.outer, cost: 2 &* sizes.count &* sizes.inner) { from, to in
    if !scan(x, sizes, result, R.self, from: from, to: to) { fits.store(false, ordering: .relaxed) }
  }
  return fits.load(ordering: .relaxed)
}

/// The scratch that `scanSum` takes.
package func scanScratchByteCount(_ sizes: LineSizes) -> Int {
  // Whatever they are made in, sums have eight bytes.
  sizes.inner == 1 ? 0 : scratchByteCount(of: Int64.self, count: scanLanes)
}

private func scan<R: RunningSum>(
  _ x: TensorView, _ sizes: LineSizes, _ result: TensorView, _: R.Type, from: Int, to: Int
) -> Bool {
  let block = sizes.count &* sizes.inner
  var source = UnsafePointer<R.Element>(x.pointer()) + from &* block
  var target = result.pointer(R.Output.self) + from &* block
  var fits = true
  if sizes.inner == 1 {
    for _ in from..<to {
      var sum = R.zero
      for index in 0..<block {
        if !R.add(source[index], to: &sum) { fits = false }
        target[index] = R.output(sum)
      }
      source += block
      target += block
    }
    return fits
  }
  withScratch(of: R.Sum.self, count: scanLanes) { sums in
    for _ in from..<to {
      var column = 0
      while column < sizes.inner {
        let lanes = min(scanLanes, sizes.inner &- column)
        sums.update(repeating: R.zero, count: lanes)
        for row in 0..<sizes.count {
          let elements = source + (row &* sizes.inner &+ column)
          let outputs = target + (row &* sizes.inner &+ column)
          for lane in 0..<lanes {
            if !R.add(elements[lane], to: &sums[lane]) { fits = false }
            outputs[lane] = R.output(sums[lane])
          }
        }
        column &+= lanes
      }
      source += block
      target += block
    }
  }
  return fits
}
