import Tensors

/// Copies `x` into `target`, a window of the same shape and dtype. Either may be strided; they do not
/// overlap.
package func copyRegion(_ x: TensorView, into target: TensorView) {
  switch x.dtype.byteCount {
  case 1: copyWords(x, into: target, UInt8.self)
  case 2: copyWords(x, into: target, UInt16.self)
  case 4: copyWords(x, into: target, UInt32.self)
  default: copyWords(x, into: target, UInt64.self)
  }
}

private func copyWords<Word: FixedWidthInteger>(
  _ x: TensorView, into target: TensorView, _: Word.Type
) {
  let rank = x.shape.count
  if x.elementCount == 0 { return }
  let from = UnsafePointer<Word>(x.pointer())
  let to = target.pointer(Word.self)
  withScratch(of: WalkAxis.self, count: 2 * rank) { scratch in
    // Two walks in step: an axis is merged only where both sides walk it as one with the next.
    var sizes = 0
    var axis = 0
    while axis < rank {
      var size = x.shape[axis]
      while axis + 1 < rank, x.strides[axis] == x.shape[axis + 1] &* x.strides[axis + 1],
        target.strides[axis] == x.shape[axis + 1] &* target.strides[axis + 1]
      {
        axis &+= 1
        size &*= x.shape[axis]
      }
      if size != 1 {
        scratch[sizes] = WalkAxis(count: size, stride: x.strides[axis], position: 0)
        scratch[rank &+ sizes] = WalkAxis(count: size, stride: target.strides[axis], position: 0)
        sizes &+= 1
      }
      axis &+= 1
    }
    guard sizes > 0 else {
      to[0] = from[0]
      return
    }
    let sources = scratch
    let targets = scratch + rank
    let run = sources[sizes - 1].count
    let sourceStride = sources[sizes - 1].stride
    let targetStride = targets[sizes - 1].stride
    var source = from
    var destination = to
    while true {
      if sourceStride == 1 && targetStride == 1 {
        destination.update(from: source, count: run)
      } else if sourceStride == 0 && targetStride == 1 {
        destination.update(repeating: source[0], count: run)
      } else {
        for index in 0..<run { destination[index &* targetStride] = source[index &* sourceStride] }
      }
      var axis = sizes - 2
      while true {
        if axis < 0 { return }
        sources[axis].position &+= 1
        source += sources[axis].stride
        destination += targets[axis].stride
        if sources[axis].position < sources[axis].count { break }
        sources[axis].position = 0
        source -= sources[axis].count &* sources[axis].stride
        destination -= targets[axis].count &* targets[axis].stride
        axis &-= 1
      }
    }
  }
}

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
  words.update(repeating: words[0], count: count)
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
