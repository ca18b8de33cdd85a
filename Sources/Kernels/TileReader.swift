import Tensors

/// Reads an operand tile by tile, in row-major order, as contiguous elements of its lane.
///
/// Contiguous operands whose storage is their lane are handed out in place. A broadcast number is spread
/// over the tile once. All others are converted or gathered into the tile.
struct TileReader {
  private enum Mode { case inPlace, convert, splat, gather }

  private let mode: Mode
  private let base: UnsafeRawPointer
  private let dtype: DType
  /// Room for one tile; unused in place.
  private let tile: UnsafeMutableRawPointer
  /// Axes outermost first, neighbours merged where one stride serves both.
  private let axes: UnsafeMutablePointer<Axis>
  private let rank: Int
  private var isSpread = false

  struct Axis {
    var size: Int
    var stride: Int
    var position: Int
  }

  /// Bytes of scratch that an operand needs: its axes, and a tile if it is not read in place.
  static func scratchByteCount(_ view: TensorView, capacity: Int) -> Int {
    axesByteCount(view)
      &+ (view.isLaneContiguous ? 0 : wholeLines(capacity &* view.dtype.lane.byteCount))
  }

  private static func axesByteCount(_ view: TensorView) -> Int {
    wholeLines(view.shape.count &* MemoryLayout<Axis>.stride)
  }

  /// - Requires: `scratch` has `scratchByteCount` bytes.
  init(_ view: TensorView, capacity: Int, scratch: UnsafeMutableRawPointer) {
    base = UnsafeRawPointer(view.base)
    dtype = view.dtype
    axes = scratch.assumingMemoryBound(to: Axis.self)
    tile = scratch + TileReader.axesByteCount(view)
    rank = mergeAxes(view, into: axes)
    if view.isLaneContiguous {
      mode = .inPlace
    } else if rank == 0 || (rank == 1 && axes[0].stride == 0) {
      mode = .splat
    } else if rank == 1 && axes[0].stride == 1 {
      mode = .convert
    } else {
      mode = .gather
    }
  }

  /// Returns `count` elements from the row-major position `start` on.
  mutating func read(from start: Int, count: Int) -> UnsafeRawPointer {
    switch mode {
    case .inPlace:
      return base + start &* dtype.byteCount
    case .convert:
      loadLane(dtype, from: base + start &* dtype.byteCount, stride: 1, into: tile, count: count)
    case .splat:
      // The first tile is the longest, so it serves all.
      if !isSpread { loadLane(dtype, from: base, stride: 0, into: tile, count: count) }
      isSpread = true
    case .gather:
      gather(from: start, count: count)
    }
    return UnsafeRawPointer(tile)
  }

  /// Copies runs along the innermost axis.
  private func gather(from start: Int, count: Int) {
    var remainder = start
    var offset = 0
    for axis in (0..<rank).reversed() {
      axes[axis].position = remainder % axes[axis].size
      remainder /= axes[axis].size
      offset &+= axes[axis].position &* axes[axis].stride
    }
    let inner = axes[rank &- 1]
    let laneBytes = dtype.lane.byteCount
    var position = inner.position
    var done = 0
    while done < count {
      let run = min(count &- done, inner.size &- position)
      loadLane(
        dtype, from: base + offset &* dtype.byteCount, stride: inner.stride,
        into: tile + done &* laneBytes, count: run)
      done &+= run
      // On to the next row: back to its start, then one step of the nearest axis that has one left.
      offset &-= position &* inner.stride
      position = 0
      var axis = rank &- 2
      while axis >= 0 {
        axes[axis].position &+= 1
        offset &+= axes[axis].stride
        if axes[axis].position < axes[axis].size { break }
        offset &-= axes[axis].stride &* axes[axis].size
        axes[axis].position = 0
        axis &-= 1
      }
    }
  }
}

extension TensorView {
  /// Whether the elements lie in storage as a loop over their lane wants them.
  fileprivate var isLaneContiguous: Bool {
    if !dtype.isLaneStorage { return false }
    var expected = 1
    for axis in (0..<shape.count).reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected &*= shape[axis]
    }
    return true
  }
}

/// Writes the axes of `view` that matter: those of size 1 dropped, neighbours merged where one stride
/// serves both.
/// - Returns: how many are left.
private func mergeAxes(_ view: TensorView, into axes: UnsafeMutablePointer<TileReader.Axis>) -> Int {
  var rank = 0
  for (size, stride) in zip(view.shape, view.strides) where size != 1 {
    if rank > 0 && axes[rank &- 1].stride == stride &* size {
      axes[rank &- 1].size &*= size
      axes[rank &- 1].stride = stride
    } else {
      axes[rank] = TileReader.Axis(size: size, stride: stride, position: 0)
      rank &+= 1
    }
  }
  return rank
}
