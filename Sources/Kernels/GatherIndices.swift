import Synchronization
import Tensors

// Operands are contiguous here, and are seen as [outer, axis, inner]. Negative indices count from the end.
// Indices are checked once, by `firstIndexOutOfRange`, before anything is read or written through them.

/// Returns the first index that is not in `-size ..< size`, or in `0 ..< size` if negative ones are refused.
package func firstIndexOutOfRange(
  _ indices: TensorView, size: Int, allowingNegative: Bool = true
) -> Int? {
  switch indices.dtype {
  case .i64: firstOutOfRange(indices, size, allowingNegative, Int64.self)
  case .i32: firstOutOfRange(indices, size, allowingNegative, Int32.self)
  default: firstOutOfRange(indices, size, allowingNegative, UInt8.self)
  }
}

/// `result[o, j, i] = x[o, indices[j], i]`.
package func gather(_ x: TensorView, indices: TensorView, axis: Int, into result: TensorView) {
  switch x.dtype.byteCount {
  case 1: gather(x, indices, axis, result.pointer(UInt8.self))
  case 2: gather(x, indices, axis, result.pointer(UInt16.self))
  case 4: gather(x, indices, axis, result.pointer(UInt32.self))
  default: gather(x, indices, axis, result.pointer(UInt64.self))
  }
}

/// `result[o, j, i] = x[o, indices[o, j, i], i]`.
package func gatherAlong(_ x: TensorView, indices: TensorView, axis: Int, into result: TensorView) {
  switch x.dtype.byteCount {
  case 1: gatherAlong(x, indices, axis, result.pointer(UInt8.self))
  case 2: gatherAlong(x, indices, axis, result.pointer(UInt16.self))
  case 4: gatherAlong(x, indices, axis, result.pointer(UInt32.self))
  default: gatherAlong(x, indices, axis, result.pointer(UInt64.self))
  }
}

/// `result[o, indices[j], i] += updates[o, j, i]` on zeros, in the order of j. False says that a whole
/// number does not fit.
package func scatterAdd(
  _ updates: TensorView, indices: TensorView, axis: Int, into result: TensorView
) -> Bool {
  switch result.dtype {
  case .f32: scatterAdd(updates, indices, axis, result, FloatingAddition<Float>.self)
  case .f64: scatterAdd(updates, indices, axis, result, FloatingAddition<Double>.self)
  case .i64: scatterAdd(updates, indices, axis, result, WholeAddition<Int64>.self)
  case .i32: scatterAdd(updates, indices, axis, result, WholeAddition<Int32>.self)
  default: scatterAdd(updates, indices, axis, result, WholeAddition<UInt8>.self)
  }
}

/// `result[o, indices[o, j, i], i] += updates[o, j, i]` on zeros, in the order of j. False says that a
/// whole number does not fit.
package func scatterAddAlong(
  _ updates: TensorView, indices: TensorView, axis: Int, into result: TensorView
) -> Bool {
  switch result.dtype {
  case .f32: scatterAddAlong(updates, indices, axis, result, FloatingAddition<Float>.self)
  case .f64: scatterAddAlong(updates, indices, axis, result, FloatingAddition<Double>.self)
  case .i64: scatterAddAlong(updates, indices, axis, result, WholeAddition<Int64>.self)
  case .i32: scatterAddAlong(updates, indices, axis, result, WholeAddition<Int32>.self)
  default: scatterAddAlong(updates, indices, axis, result, WholeAddition<UInt8>.self)
  }
}

/// Rows of zeros with a one at each index: `result[j, indices[j]] = 1`.
package func oneHot(_ indices: TensorView, into result: TensorView) {
  fill(result, with: 0)
  let classCount = result.shape[result.shape.count - 1]
  for row in 0..<indices.elementCount {
    let index = indices.dtype.loadInteger(at: indices.base, index: row)
    result.dtype.store(1, at: result.base, index: row &* classCount &+ index)
  }
}

// MARK: Sizes and indices

/// Calls `body` with the places that the indices `from ..< to` name along an axis of `size`, in order.
@inline(__always)
private func forEachIndex(
  _ indices: TensorView, size: Int, from: Int, to: Int, _ body: (_ at: Int, _ place: Int) -> Void
) {
  switch indices.dtype {
  case .i64:
    let base = indices.pointer(Int64.self)
    for at in from..<to { body(at, place(Int(base[at]), size)) }
  case .i32:
    let base = indices.pointer(Int32.self)
    for at in from..<to { body(at, place(Int(base[at]), size)) }
  default:
    let base = indices.pointer(UInt8.self)
    for at in from..<to { body(at, Int(base[at])) }
  }
}

@inline(__always)
private func place(_ index: Int, _ size: Int) -> Int { index < 0 ? index &+ size : index }

private func firstOutOfRange<Index: FixedWidthInteger>(
  _ indices: TensorView, _ size: Int, _ allowingNegative: Bool, _: Index.Type
) -> Int? {
  let base = indices.pointer(Index.self)
  let lowest = allowingNegative ? -size : 0
  for at in 0..<indices.elementCount {
    let index = Int(base[at])
    if index < lowest || index >= size { return index }
  }
  return nil
}

// MARK: Loops

/// What it costs to follow an index, in elements of a simple loop.
private let indexCost = 8

private func gather<Word: FixedWidthInteger>(
  _ x: TensorView, _ indices: TensorView, _ axis: Int, _ result: UnsafeMutablePointer<Word>
) {
  let sizes = LineSizes(x.shape, axis: axis)
  let count = indices.elementCount
  inParallel(sizes.outer &* count, cost: sizes.inner &+ indexCost) { from, to in
    var row = from
    while row < to {
      let (outer, first) = row.quotientAndRemainder(dividingBy: count)
      let last = min(count, first &+ (to &- row))
      let source = UnsafePointer<Word>(x.pointer()) + outer &* sizes.count &* sizes.inner
      let target = result + outer &* count &* sizes.inner
      if sizes.inner == 1 {
        forEachIndex(indices, size: sizes.count, from: first, to: last) { target[$0] = source[$1] }
      } else {
        forEachIndex(indices, size: sizes.count, from: first, to: last) { at, place in
          (target + at &* sizes.inner).update(from: source + place &* sizes.inner, count: sizes.inner)
        }
      }
      row &+= last &- first
    }
  }
}

private func gatherAlong<Word: FixedWidthInteger>(
  _ x: TensorView, _ indices: TensorView, _ axis: Int, _ result: UnsafeMutablePointer<Word>
) {
  let sizes = LineSizes(x.shape, axis: axis)
  let source = UnsafePointer<Word>(x.pointer())
  let block = max(1, indices.shape[axis] &* sizes.inner)
  inParallel(indices.elementCount, cost: indexCost) { from, to in
    forEachIndex(indices, size: sizes.count, from: from, to: to) { at, place in
      let outer = at / block
      result[at] = source[(outer &* sizes.count &+ place) &* sizes.inner &+ at % sizes.inner]
    }
  }
}

/// How updates are added: both kinds of numbers share the loops.
private protocol Addition {
  associatedtype Value
  static var zero: Value { get }
  /// Returns whether the sum fits.
  static func add(_ update: Value, to sum: inout Value) -> Bool
}

private enum FloatingAddition<Value: BinaryFloatingPoint>: Addition {
  static var zero: Value { 0 }
  @inline(__always) static func add(_ update: Value, to sum: inout Value) -> Bool {
    sum += update
    return true
  }
}

private enum WholeAddition<Value: FixedWidthInteger>: Addition {
  static var zero: Value { 0 }
  @inline(__always) static func add(_ update: Value, to sum: inout Value) -> Bool {
    let (next, overflow) = sum.addingReportingOverflow(update)
    sum = next
    return !overflow
  }
}

/// Whether all sums fit, told by any thread.
private struct Fits: ~Copyable {
  private let flag = Atomic<Bool>(true)
  func deny() { flag.store(false, ordering: .relaxed) }
  var isTrue: Bool { flag.load(ordering: .relaxed) }
}

/// How many ranges targets are cut into at most: each part looks at all indices, which must cost little
/// beside adding rows.
private func targetRanges(_ sizes: LineSizes) -> Int { max(1, min(16, sizes.count, sizes.inner / 32)) }

/// Cut by targets: each part adds the rows that fall into its range, in the order of indices.
private func scatterAdd<A: Addition>(
  _ updates: TensorView, _ indices: TensorView, _ axis: Int, _ result: TensorView, _: A.Type
) -> Bool {
  let sizes = LineSizes(result.shape, axis: axis)
  let count = indices.elementCount
  let fits = Fits()
  let ranges = targetRanges(sizes)
  let cost = (sizes.count &+ 2 &* count) &* (sizes.inner &+ indexCost) / ranges
  inParallel(sizes.outer &* ranges, cost: cost) { from, to in
    var range = from
    while range < to {
      let (outer, first) = range.quotientAndRemainder(dividingBy: ranges)
      let last = min(ranges, first &+ (to &- range))
      let allFit = addRows(
        UnsafePointer(updates.pointer()) + outer &* count &* sizes.inner, indices, sizes,
        to: result.pointer() + outer &* sizes.count &* sizes.inner,
        places: first &* sizes.count / ranges..<last &* sizes.count / ranges, A.self)
      if !allFit { fits.deny() }
      range &+= last &- first
    }
  }
  return fits.isTrue
}

/// Adds the rows whose places lie in a range to zeros. Returns whether all sums fit.
@inline(never)
private func addRows<A: Addition>(
  _ rows: UnsafePointer<A.Value>, _ indices: TensorView, _ sizes: LineSizes,
  to target: UnsafeMutablePointer<A.Value>, places: Range<Int>, _: A.Type
) -> Bool {
  let width = sizes.inner
  (target + places.lowerBound &* width).update(repeating: A.zero, count: places.count &* width)
  var fits = true
  forEachIndex(indices, size: sizes.count, from: 0, to: indices.elementCount) { at, place in
    if place < places.lowerBound || place >= places.upperBound { return }
    let row = rows + at &* width
    let sum = target + place &* width
    for inner in 0..<width where !A.add(row[inner], to: &sum[inner]) { fits = false }
  }
  return fits
}

/// Cut by targets, between outer places.
private func scatterAddAlong<A: Addition>(
  _ updates: TensorView, _ indices: TensorView, _ axis: Int, _ result: TensorView, _: A.Type
) -> Bool {
  let sizes = LineSizes(result.shape, axis: axis)
  let source = UnsafePointer<A.Value>(updates.pointer())
  let block = indices.shape[axis] &* sizes.inner
  let fits = Fits()
  inParallel(sizes.outer, cost: sizes.count &* sizes.inner &+ indexCost &* block) { from, to in
    let target = result.pointer(A.Value.self)
    let targetBlock = sizes.count &* sizes.inner
    (target + from &* targetBlock).update(repeating: A.zero, count: (to &- from) &* targetBlock)
    var allFit = true
    forEachIndex(indices, size: sizes.count, from: from &* block, to: to &* block) { at, place in
      let sum = target + ((at / block &* sizes.count &+ place) &* sizes.inner &+ at % sizes.inner)
      if !A.add(source[at], to: &sum.pointee) { allFit = false }
    }
    if !allFit { fits.deny() }
  }
  return fits.isTrue
}
