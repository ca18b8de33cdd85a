import Tensors

// Note [Sorting in place]
//
// Lines are sorted by heapsort in the result buffers themselves: values and their indices move together,
// so no scratch is needed, and n log n steps are enough whatever the data. Ties are broken by index, which
// makes the order total and the sort stable. A nan is larger than all numbers.

package enum SortOrder: Sendable {
  case ascending, descending
}

/// Sorts contiguous `x` along `axis` into `values`, with the index that each came from in `indices` (i64).
///
/// With fewer places along the axis in the results than in `x`, only the first in order are kept.
package func sortLines(
  _ x: TensorView, axis: Int, order: SortOrder, values: TensorView, indices: TensorView
) {
  switch (x.dtype, order) {
  case (.f32, .ascending): sort(x, axis, values, indices, FloatAscending<Float>.self)
  case (.f32, .descending): sort(x, axis, values, indices, FloatDescending<Float>.self)
  case (.f64, .ascending): sort(x, axis, values, indices, FloatAscending<Double>.self)
  case (.f64, .descending): sort(x, axis, values, indices, FloatDescending<Double>.self)
  case (.i64, .ascending): sort(x, axis, values, indices, WholeAscending<Int64>.self)
  case (.i64, .descending): sort(x, axis, values, indices, WholeDescending<Int64>.self)
  case (.i32, .ascending): sort(x, axis, values, indices, WholeAscending<Int32>.self)
  case (.i32, .descending): sort(x, axis, values, indices, WholeDescending<Int32>.self)
  case (_, .ascending): sort(x, axis, values, indices, WholeAscending<UInt8>.self)
  case (_, .descending): sort(x, axis, values, indices, WholeDescending<UInt8>.self)
  }
}

private protocol Ordering {
  associatedtype Value
  /// Whether `a` stands strictly before `b`.
  static func precedes(_ a: Value, _ b: Value) -> Bool
}

private enum FloatAscending<Value: BinaryFloatingPoint>: Ordering {
  @inline(__always) static func precedes(_ a: Value, _ b: Value) -> Bool { a < b || (b != b && a == a) }
}

private enum FloatDescending<Value: BinaryFloatingPoint>: Ordering {
  @inline(__always) static func precedes(_ a: Value, _ b: Value) -> Bool { a > b || (a != a && b == b) }
}

private enum WholeAscending<Value: FixedWidthInteger>: Ordering {
  @inline(__always) static func precedes(_ a: Value, _ b: Value) -> Bool { a < b }
}

private enum WholeDescending<Value: FixedWidthInteger>: Ordering {
  @inline(__always) static func precedes(_ a: Value, _ b: Value) -> Bool { a > b }
}

private func sort<O: Ordering>(
  _ x: TensorView, _ axis: Int, _ values: TensorView, _ indices: TensorView, _: O.Type
) {
  let sizes = LineSizes(x.shape, axis: axis)
  let kept = values.shape[axis]
  if kept == 0 { return }
  // A comparison of the log n for each element.
  let cost = 4 &* sizes.count &* (Int.bitWidth &- sizes.count.leadingZeroBitCount)
  inParallel(sizes.outer &* sizes.inner, cost: cost) { from, to in
    for index in from..<to {
      let (outer, inner) = index.quotientAndRemainder(dividingBy: sizes.inner)
      let source = UnsafePointer<O.Value>(x.pointer()) + (outer &* sizes.count &* sizes.inner &+ inner)
      let start = outer &* kept &* sizes.inner &+ inner
      let line = Line<O>(
        values: values.pointer() + start, indices: indices.pointer() + start, stride: sizes.inner)
      for place in 0..<kept { line.put(source[place &* sizes.inner], Int64(place), at: place) }
      line.makeHeap(count: kept)
      // The root is the last of those kept: whatever stands before it takes its place.
      for place in kept..<sizes.count {
        let value = source[place &* sizes.inner]
        if O.precedes(value, line.values[0]) {
          line.put(value, Int64(place), at: 0)
          line.siftDown(from: 0, count: kept)
        }
      }
      line.sortHeap(count: kept)
    }
  }
}

/// Values and indices of one line, as a heap whose root stands last in order.
/// See Note [Sorting in place].
private struct Line<O: Ordering> {
  let values: UnsafeMutablePointer<O.Value>
  let indices: UnsafeMutablePointer<Int64>
  let stride: Int

  @inline(__always)
  func put(_ value: O.Value, _ index: Int64, at place: Int) {
    values[place &* stride] = value
    indices[place &* stride] = index
  }

  @inline(__always)
  private func precedes(_ a: Int, _ b: Int) -> Bool {
    let (x, y) = (values[a &* stride], values[b &* stride])
    if O.precedes(x, y) { return true }
    if O.precedes(y, x) { return false }
    return indices[a &* stride] < indices[b &* stride]
  }

  @inline(__always)
  private func swap(_ a: Int, _ b: Int) {
    let (value, index) = (values[a &* stride], indices[a &* stride])
    put(values[b &* stride], indices[b &* stride], at: a)
    put(value, index, at: b)
  }

  func siftDown(from root: Int, count: Int) {
    var parent = root
    while true {
      var child = 2 &* parent &+ 1
      if child >= count { return }
      if child &+ 1 < count && precedes(child, child &+ 1) { child &+= 1 }
      if !precedes(parent, child) { return }
      swap(parent, child)
      parent = child
    }
  }

  func makeHeap(count: Int) {
    for place in Swift.stride(from: count / 2 - 1, through: 0, by: -1) {
      siftDown(from: place, count: count)
    }
  }

  func sortHeap(count: Int) {
    for last in Swift.stride(from: count - 1, to: 0, by: -1) {
      swap(0, last)
      siftDown(from: 0, count: last)
    }
  }
}
