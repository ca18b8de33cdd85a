import Tensors

/// Sets each element of contiguous `target` to `value`, converted once.
package func fill(_ target: TensorView, with value: Double) {
  fill(target) { target.dtype.store(value, at: $0, index: 0) }
}

/// Sets each element of contiguous `target` to a whole number, exact for all of i64.
package func fill(_ target: TensorView, withInteger value: Int) {
  fill(target) { target.dtype.store(integer: value, at: $0, index: 0) }
}

private func fill(_ target: TensorView, storing store: (UnsafeMutableRawPointer) -> Void) {
  let count = target.elementCount
  if count == 0 { return }
  store(target.base)
  switch target.dtype.byteCount {
  case 1: repeatFirst(target.pointer(UInt8.self), count)
  case 2: repeatFirst(target.pointer(UInt16.self), count)
  case 4: repeatFirst(target.pointer(UInt32.self), count)
  default: repeatFirst(target.pointer(UInt64.self), count)
  }
}

private func repeatFirst<Word>(_ words: UnsafeMutablePointer<Word>, _ count: Int) {
  let word = words[0]
  inParallel(count, cost: 1) { from, to in (words + from).update(repeating: word, count: to &- from) }
}

/// Copies the part of each matrix of `x [..., m, n]` on and below (or above) diagonal `offset`; the
/// rest becomes 0.
///
/// `x` and `target` are contiguous.
package func copyTriangle(_ x: TensorView, offset: Int, isLower: Bool, into target: TensorView) {
  switch x.dtype.byteCount {
  case 1: copyTriangle(x, offset, isLower, target.pointer(UInt8.self))
  case 2: copyTriangle(x, offset, isLower, target.pointer(UInt16.self))
  case 4: copyTriangle(x, offset, isLower, target.pointer(UInt32.self))
  default: copyTriangle(x, offset, isLower, target.pointer(UInt64.self))
  }
}

private func copyTriangle<Word: FixedWidthInteger>(
  _ x: TensorView, _ offset: Int, _ isLower: Bool, _ target: UnsafeMutablePointer<Word>
) {
  let count = x.elementCount
  if count == 0 { return }
  let rowCount = x.shape[x.shape.count - 2]
  let columnCount = x.shape[x.shape.count - 1]
  // An offset past either end takes all or nothing.
  let diagonal = max(-rowCount, min(columnCount, offset)) &+ (isLower ? 1 : 0)
  var source = UnsafePointer<Word>(x.pointer())
  var destination = target
  for row in 0..<(count / columnCount) {
    // Columns left of the split are on and below the diagonal (lower), or below it (upper).
    let split = max(0, min(columnCount, row % rowCount &+ diagonal))
    let rest = columnCount &- split
    if isLower {
      destination.update(from: source, count: split)
      (destination + split).update(repeating: 0, count: rest)
    } else {
      destination.update(repeating: 0, count: split)
      (destination + split).update(from: source + split, count: rest)
    }
    source += columnCount
    destination += columnCount
  }
}
