/// One axis of a walk over strided elements.
struct WalkAxis {
  let count: Int
  let stride: Int
  /// The current place along the axis.
  var position: Int
}

/// Visits the offsets of a strided box in row-major order. Its state lies in scratch of the caller, so
/// nothing is allocated.
struct StridedWalk {
  private let axes: UnsafeMutablePointer<WalkAxis>
  private(set) var rank = 0
  /// The current element, in elements from the first.
  private(set) var offset = 0

  /// - Requires: `scratch` has room for one entry per appended axis.
  init(scratch: UnsafeMutablePointer<WalkAxis>) {
    axes = scratch
  }

  /// Appends the next inner axis, merged with the one before where both walk as one.
  mutating func append(count: Int, stride: Int) {
    if count == 1 { return }
    if rank > 0, axes[rank - 1].stride == count &* stride {
      axes[rank - 1] = WalkAxis(count: axes[rank - 1].count &* count, stride: stride, position: 0)
    } else {
      axes[rank] = WalkAxis(count: count, stride: stride, position: 0)
      rank += 1
    }
  }

  /// The number of elements of the box.
  var count: Int {
    var product = 1
    for axis in 0..<rank { product &*= axes[axis].count }
    return product
  }

  /// Whether elements follow each other without gaps.
  var isContiguous: Bool { rank == 0 || (rank == 1 && axes[0].stride == 1) }

  /// The distance between neighbours of the innermost axis.
  var runStride: Int { rank == 0 ? 0 : axes[rank - 1].stride }

  /// How many elements are left on the innermost axis, the current one included.
  var runCount: Int { rank == 0 ? 1 : axes[rank - 1].count &- axes[rank - 1].position }

  /// Moves by `steps`, at most `runCount`. After the last element stands the first again.
  @inline(__always)
  mutating func advance(by steps: Int = 1) {
    var axis = rank - 1
    if axis < 0 { return }
    axes[axis].position &+= steps
    offset &+= steps &* axes[axis].stride
    while axes[axis].position == axes[axis].count {
      offset &-= axes[axis].count &* axes[axis].stride
      axes[axis].position = 0
      axis -= 1
      if axis < 0 { return }
      axes[axis].position &+= 1
      offset &+= axes[axis].stride
    }
  }

  /// Moves to the element at `index` in row-major order.
  mutating func seek(_ index: Int) {
    var rest = index
    offset = 0
    for axis in stride(from: rank - 1, through: 0, by: -1) {
      let (quotient, position) = rest.quotientAndRemainder(dividingBy: axes[axis].count)
      axes[axis].position = position
      offset &+= position &* axes[axis].stride
      rest = quotient
    }
  }

  /// Copies the next `count` elements to `target` and moves behind them.
  @inline(never)
  mutating func gather<Element>(
    _ count: Int, from base: UnsafePointer<Element>, into target: UnsafeMutablePointer<Element>
  ) {
    var done = 0
    while done < count {
      let source = base + offset
      let out = target + done
      let runs = runsToTurn(within: count &- done)
      if runs > 1 {
        let length = axes[rank - 1].count
        let stride = axes[rank - 1].stride
        for place in 0..<length {
          for run in 0..<runs { out[run &* length &+ place] = source[place &* stride &+ run] }
        }
        for _ in 0..<runs { advance(by: length) }
        done &+= runs &* length
      } else {
        let run = min(runCount, count &- done)
        let stride = runStride
        for index in 0..<run { out[index] = source[index &* stride] }
        advance(by: run)
        done &+= run
      }
    }
  }

  /// How many of the next runs lie side by side and are best copied together, one element of each in turn:
  /// with a transposed operand a cache line then serves all of them before it is dropped.
  private func runsToTurn(within count: Int) -> Int {
    guard rank >= 2, axes[rank - 2].stride == 1, axes[rank - 1].position == 0 else { return 1 }
    let side = axes[rank - 2].count &- axes[rank - 2].position
    return min(8, side, count / axes[rank - 1].count)
  }
}
