import Tensors

/// Copies `x` into `target`, of the same shape and dtype. Either may be strided; they do not overlap.
package func copyRegion(_ x: TensorView, into target: TensorView) {
  if x.elementCount == 0 { return }
  switch x.dtype.byteCount {
  case 1: copyWords(UInt8.self, x, target)
  case 2: copyWords(UInt16.self, x, target)
  case 4: copyWords(UInt32.self, x, target)
  default: copyWords(UInt64.self, x, target)
  }
}

/// Copies a whole tensor as it lies, blocks included, unless it is there already.
/// - Requires: both are contiguous and of one type, and coincide or do not overlap.
package func copyWhole(_ x: TensorView, into target: TensorView) {
  if x.base == target.base { return }
  let (source, place) = (x.base, target.base)
  inParallel(x.dtype.byteCount(of: x.elementCount), cost: 1) { from, to in
    (place + from).copyMemory(from: source + from, byteCount: to &- from)
  }
}

/// The scratch that `copyRegion` takes.
package func copyScratchByteCount(_ x: TensorView) -> Int {
  copyScratchByteCount(rank: x.shape.count, isEmpty: x.elementCount == 0)
}

func copyScratchByteCount(rank: Int, isEmpty: Bool) -> Int {
  isEmpty ? 0 : scratchByteCount(of: CopyAxis.self, count: rank &+ planeRank)
}

/// An axis of a copy: how far neighbours are apart on both sides.
private struct CopyAxis {
  var size: Int
  var source: Int
  var target: Int
  var position = 0
}

/// There are always two axes, rows and columns of a plane.
private let planeRank = 2

@inline(__always)
private func copyWords<Word: FixedWidthInteger>(_: Word.Type, _ x: TensorView, _ target: TensorView) {
  let source = UnsafePointer<Word>(x.pointer())
  let target = (base: target.pointer(Word.self), view: target)
  var rowCount = 1
  var columns = CopyAxis(size: 1, source: 0, target: 0)
  withScratch(of: CopyAxis.self, count: x.shape.count &+ planeRank) { axes in
    let rank = planCopy(x, target.view, axes)
    for axis in 0..<(rank &- 1) { rowCount &*= axes[axis].size }
    columns = axes[rank &- 1]
  }
  if rowCount == 1 {
    let row = CopyAxis(size: 1, source: 0, target: 0)
    inParallel(columns.size, cost: 1) { from, to in
      var piece = columns
      piece.size = to &- from
      copyPlane(
        source + from &* columns.source, target.base + from &* columns.target, row, piece)
    }
    return
  }
  inParallel(rowCount, cost: columns.size) { from, to in
    copyRows(source, target.base, x, target.view, from: from, to: to)
  }
}

/// Copies some of the rows of all planes.
@inline(__always)
private func copyRows<Word: FixedWidthInteger>(
  _ source: UnsafePointer<Word>, _ target: UnsafeMutablePointer<Word>, _ x: TensorView,
  _ view: TensorView, from: Int, to: Int
) {
  withScratch(of: CopyAxis.self, count: x.shape.count &+ planeRank) { axes in
    let rank = planCopy(x, view, axes)
    var (rows, columns) = (axes[rank &- 2], axes[rank &- 1])
    let height = rows.size
    var (source, target) = (source, target)
    var rest = from / height
    for axis in (0..<(rank &- 2)).reversed() {
      axes[axis].position = rest % axes[axis].size
      rest /= axes[axis].size
      source += axes[axis].position &* axes[axis].source
      target += axes[axis].position &* axes[axis].target
    }
    var row = from
    while true {
      let first = row % height
      rows.size = min(height &- first, to &- row)
      copyPlane(source + first &* rows.source, target + first &* rows.target, rows, columns)
      row &+= rows.size
      if row == to { return }
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
    }
  }
}

/// Writes the axes to walk: merged where both sides allow, at least two. The last is the innermost of the
/// target; the one before it is the source's innermost if that is another, so that both lie in one plane.
/// - Returns: how many there are.
private func planCopy(
  _ x: TensorView, _ target: TensorView, _ axes: UnsafeMutablePointer<CopyAxis>
) -> Int {
  var rank = planeRank
  for axis in 0..<planeRank { axes[axis] = CopyAxis(size: 1, source: 0, target: 0) }
  for axis in x.shape.indices where x.shape[axis] != 1 {
    let next = CopyAxis(size: x.shape[axis], source: x.strides[axis], target: target.strides[axis])
    let last = axes[rank &- 1]
    if rank > planeRank && last.source == next.source &* next.size
      && last.target == next.target &* next.size
    {
      axes[rank &- 1] = CopyAxis(
        size: last.size &* next.size, source: next.source, target: next.target)
    } else {
      axes[rank] = next
      rank &+= 1
    }
  }
  if axes[rank &- 1].source != 1 {
    for axis in planeRank..<max(rank &- 2, planeRank) where axes[axis].source == 1 {
      (axes[axis], axes[rank &- 2]) = (axes[rank &- 2], axes[axis])
    }
  }
  return rank
}

@inline(__always)
private func copyPlane<Word: FixedWidthInteger>(
  _ source: UnsafePointer<Word>, _ target: UnsafeMutablePointer<Word>, _ rows: CopyAxis,
  _ columns: CopyAxis
) {
  switch (columns.source, columns.target) {
  case (1, 1):
    for row in 0..<rows.size {
      (target + row &* rows.target).update(from: source + row &* rows.source, count: columns.size)
    }
  case (0, 1):
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
          if columns.target == 1 {
            for column in left..<right { to[column] = from[column &* columns.source] }
          } else {
            for column in left..<right { to[column &* columns.target] = from[column &* columns.source] }
          }
        }
      }
    }
  }
}
