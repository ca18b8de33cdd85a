import Tensors

/// Copies a strided tensor into a contiguous one of the same shape and dtype, elsewhere in memory.
package func copy(_ source: TensorView, into target: TensorView) {
  if target.elementCount == 0 { return }
  switch source.dtype.byteCount {
  case 1: copyWords(UInt8.self, source, target)
  case 2: copyWords(UInt16.self, source, target)
  case 4: copyWords(UInt32.self, source, target)
  default: copyWords(UInt64.self, source, target)
  }
}

/// An axis of a copy: how far neighbours are apart on both sides.
private struct CopyAxis {
  var size: Int
  var source: Int
  var target: Int
  var position = 0
}

@inline(__always)
private func copyWords<Word: FixedWidthInteger>(
  _: Word.Type, _ view: TensorView, _ target: TensorView
) {
  var source = UnsafePointer(view.base.assumingMemoryBound(to: Word.self))
  var target = target.base.assumingMemoryBound(to: Word.self)
  let capacity = view.shape.count &+ 2
  withScratch(of: CopyAxis.self, count: capacity) { axes in
    let rank = planCopy(view, axes)
    let (rows, columns) = (axes[rank &- 2], axes[rank &- 1])
    while true {
      copyPlane(source, target, rows, columns)
      var axis = rank &- 3
      while axis >= 0 {
        axes[axis].position &+= 1
        source += axes[axis].source
        target += axes[axis].target
        if axes[axis].position < axes[axis].size { break }
        source -= axes[axis].source &* axes[axis].size
        target -= axes[axis].target &* axes[axis].size
        axes[axis].position = 0
        axis &-= 1
      }
      if axis < 0 { return }
    }
  }
}

/// Writes the axes to walk: merged where possible, at least two. The last is the target's innermost; the one
/// before it is the source's innermost if that is another, so that both lie in one plane.
/// - Returns: how many there are.
private func planCopy(_ view: TensorView, _ axes: UnsafeMutablePointer<CopyAxis>) -> Int {
  var rank = 2
  axes[0] = CopyAxis(size: 1, source: 0, target: 0)
  axes[1] = CopyAxis(size: 1, source: 0, target: 0)
  for (size, stride) in zip(view.shape, view.strides) where size != 1 {
    if rank > 2 && axes[rank &- 1].source == stride &* size {
      axes[rank &- 1].size &*= size
      axes[rank &- 1].source = stride
    } else {
      axes[rank] = CopyAxis(size: size, source: stride, target: 0)
      rank &+= 1
    }
  }
  var stride = 1
  for axis in (2..<max(rank, 2)).reversed() {
    axes[axis].target = stride
    stride &*= axes[axis].size
  }
  if axes[rank &- 1].source != 1 {
    for axis in 2..<max(rank &- 2, 2) where axes[axis].source == 1 {
      (axes[axis], axes[rank &- 2]) = (axes[rank &- 2], axes[axis])
    }
  }
  return rank
}

/// Copies a matrix whose columns are neighbours in the target.
@inline(__always)
private func copyPlane<Word: FixedWidthInteger>(
  _ source: UnsafePointer<Word>, _ target: UnsafeMutablePointer<Word>, _ rows: CopyAxis,
  _ columns: CopyAxis
) {
  switch columns.source {
  case 1:
    for row in 0..<rows.size {
      (target + row &* rows.target).update(from: source + row &* rows.source, count: columns.size)
    }
  case 0:
    for row in 0..<rows.size {
      let value = source[row &* rows.source]
      (target + row &* rows.target).update(repeating: value, count: columns.size)
    }
  default:
    // Blocks, so that a cache line of the source serves all its rows before it is dropped.
    let edge = 32
    for left in stride(from: 0, to: columns.size, by: edge) {
      let right = min(left &+ edge, columns.size)
      for top in stride(from: 0, to: rows.size, by: edge) {
        for row in top..<min(top &+ edge, rows.size) {
          let from = source + row &* rows.source
          let to = target + row &* rows.target
          for column in left..<right { to[column] = from[column &* columns.source] }
        }
      }
    }
  }
}
