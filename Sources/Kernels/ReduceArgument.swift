import Tensors

/// The index of the largest (or smallest) element along `axis`, or among all elements; the first of
/// equals, a nan before all.
///
/// - Shapes: contiguous `x [..., n, ...]` with n > 0 -> i64 `[..., ...]`.
package func reduceArgument(
  _ x: TensorView, axis: Int?, of extreme: Extreme, into result: TensorView
) {
  let sizes: (outer: Int, count: Int, inner: Int)
  if let axis {
    let lines = LineSizes(x.shape, axis: axis)
    sizes = (lines.outer, lines.count, lines.inner)
  } else {
    sizes = (1, x.elementCount, 1)
  }
  switch (x.dtype, extreme) {
  case (.f32, .largest): indexLines(x, sizes, result, FloatLarger<Float>.self)
  case (.f32, .smallest): indexLines(x, sizes, result, FloatSmaller<Float>.self)
  case (.f64, .largest): indexLines(x, sizes, result, FloatLarger<Double>.self)
  case (.f64, .smallest): indexLines(x, sizes, result, FloatSmaller<Double>.self)
  case (.i64, .largest): indexLines(x, sizes, result, WholeLarger<Int64>.self)
  case (.i64, .smallest): indexLines(x, sizes, result, WholeSmaller<Int64>.self)
  case (.i32, .largest): indexLines(x, sizes, result, WholeLarger<Int32>.self)
  case (.i32, .smallest): indexLines(x, sizes, result, WholeSmaller<Int32>.self)
  case (_, .largest): indexLines(x, sizes, result, WholeLarger<UInt8>.self)
  case (_, .smallest): indexLines(x, sizes, result, WholeSmaller<UInt8>.self)
  }
}

package enum Extreme: Sendable {
  case largest, smallest
}

/// Which of two elements is further out.
private protocol Preference {
  associatedtype Value
  /// Whether `a` beats `b`, which came first.
  static func prefers(_ a: Value, over b: Value) -> Bool
}

private enum FloatLarger<Value: BinaryFloatingPoint>: Preference {
  @inline(__always) static func prefers(_ a: Value, over b: Value) -> Bool {
    (a > b) || ((a != a) && (b == b))
  }
}

private enum FloatSmaller<Value: BinaryFloatingPoint>: Preference {
  @inline(__always) static func prefers(_ a: Value, over b: Value) -> Bool {
    (a < b) || ((a != a) && (b == b))
  }
}

private enum WholeLarger<Value: FixedWidthInteger>: Preference {
  @inline(__always) static func prefers(_ a: Value, over b: Value) -> Bool { a > b }
}

private enum WholeSmaller<Value: FixedWidthInteger>: Preference {
  @inline(__always) static func prefers(_ a: Value, over b: Value) -> Bool { a < b }
}

/// Lanes that keep a champion and its row each.
private let championLanes = 64

private func indexLines<P: Preference>(
  _ x: TensorView, _ sizes: (outer: Int, count: Int, inner: Int), _ result: TensorView, _: P.Type
) {
  inParallel(sizes.outer, cost: sizes.count &* sizes.inner) { from, to in
    withScratch(of: P.Value.self, count: championLanes) { best in
      withScratch(of: Int64.self, count: championLanes) { rows in
        let champions = Champions<P>(best: best, rows: rows)
        for outer in from..<to {
          let source = UnsafePointer<P.Value>(x.pointer()) + outer &* sizes.count &* sizes.inner
          let target = result.pointer(Int64.self) + outer &* sizes.inner
          if sizes.inner == 1 {
            target.pointee = champions.alongRun(source, count: sizes.count)
          } else {
            champions.acrossRows(source, count: sizes.count, width: sizes.inner, into: target)
          }
        }
      }
    }
  }
}

/// The scratch that `reduceArgument` takes.
package func argumentScratchByteCount(_ x: TensorView) -> Int {
  scratchByteCount(of: UInt8.self, count: championLanes &* x.dtype.byteCount)
    &+ scratchByteCount(of: Int64.self, count: championLanes)
}

private struct Champions<P: Preference> {
  let best: UnsafeMutablePointer<P.Value>
  let rows: UnsafeMutablePointer<Int64>

  @inline(__always)
  private func start(_ row: UnsafePointer<P.Value>, width: Int) {
    for lane in 0..<width {
      best[lane] = row[lane]
      rows[lane] = 0
    }
  }

  @inline(__always)
  private func meet(_ row: UnsafePointer<P.Value>, number: Int64, width: Int) {
    for lane in 0..<width {
      let challenger = row[lane]
      let wins = P.prefers(challenger, over: best[lane])
      best[lane] = wins ? challenger : best[lane]
      rows[lane] = wins ? number : rows[lane]
    }
  }

  /// One line of neighbours, read as rows of lanes; among lanes the lower index wins a tie.
  @inline(__always)
  func alongRun(_ line: UnsafePointer<P.Value>, count: Int) -> Int64 {
    let width = min(count, championLanes)
    start(line, width: width)
    let rowCount = count / width
    for row in 1..<max(rowCount, 1) {
      meet(line + row &* width, number: Int64(row), width: width)
    }
    meet(line + rowCount &* width, number: Int64(rowCount), width: count % width)
    var winner = 0
    for lane in 1..<max(width, 1) {
      let isTie = !P.prefers(best[lane], over: best[winner]) && !P.prefers(best[winner], over: best[lane])
      if P.prefers(best[lane], over: best[winner]) || (isTie && rows[lane] < rows[winner]) {
        winner = lane
      }
    }
    return rows[winner] &* Int64(width) &+ Int64(winner)
  }

  /// Lines that lie side by side: each lane is one.
  @inline(__always)
  func acrossRows(
    _ first: UnsafePointer<P.Value>, count: Int, width: Int, into target: UnsafeMutablePointer<Int64>
  ) {
    var column = 0
    while column < width {
      let lanes = min(championLanes, width &- column)
      start(first + column, width: lanes)
      for row in 1..<max(count, 1) {
        meet(first + (row &* width &+ column), number: Int64(row), width: lanes)
      }
      (target + column).update(from: rows, count: lanes)
      column &+= lanes
    }
  }
}
