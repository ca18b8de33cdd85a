import Tensors

/// Reads an operand tile by tile, in row-major order, as contiguous elements of its lane.
///
/// Operands whose storage is their lane are handed out in place where they are contiguous; all others pass through
/// scratch memory, each in the way that suits its strides.
struct TileReader {
  /// How tiles come about.
  private enum Mode {
    /// They lie in storage as they are.
    case inPlace
    /// Contiguous in storage, converted.
    case convert
    /// A number, spread once.
    case spread
    /// Rows that are all the same, as of a bias: as many as a tile meets, laid out once.
    case repeatRow
    /// Rows copied one by one.
    case gather
    /// Rows whose elements are far apart while the rows are neighbours, as of a transposed matrix: several at a
    /// time, so that a cache line of storage serves them all.
    case panel
  }

  private let mode: Mode
  private let base: UnsafeRawPointer
  private let dtype: DType
  private let capacity: Int
  /// How many axes are left when neighbours that one stride serves are merged, and the two innermost of them.
  private let rank: Int
  private let inner: Axis
  private let outer: Axis

  private var scratch: UnsafeMutableRawPointer
  private var isFilled = false
  /// The row-major positions that the panel holds.
  private var panelStart = 0
  private var panelEnd = 0

  fileprivate struct Axis {
    var size: Int
    var stride: Int
    var position = 0

    static var none: Axis { Axis(size: 1, stride: 0) }
  }

  /// Rows of a panel: one cache line of f32.
  private static let panelRows = 16
  /// Elements that a panel may have; of longer rows too few would fit.
  private static let panelCapacity = 1 &<< 16

  /// - Parameter capacity: the elements of the longest tile.
  init(_ view: TensorView, capacity: Int) {
    base = UnsafeRawPointer(view.base)
    dtype = view.dtype
    self.capacity = capacity
    scratch = view.base
    // Most operands are contiguous, and most of those small: their axes need no looking into.
    if view.isContiguous {
      (rank, inner, outer) = (0, .none, .none)
      mode = dtype.isLaneStorage ? .inPlace : .convert
      return
    }
    var merged = MergedAxes(view)
    let (first, second) = (merged.next(), merged.next())
    var rank = (first == nil ? 0 : 1) &+ (second == nil ? 0 : 1)
    while merged.next() != nil { rank &+= 1 }
    let (inner, outer) = (first ?? .none, second ?? .none)
    (self.rank, self.inner, self.outer) = (rank, inner, outer)
    if rank == 0 || (rank == 1 && inner.stride == 0) {
      mode = .spread
    } else if rank == 2 && outer.stride == 0 && inner.size <= capacity {
      mode = .repeatRow
    } else if rank > 1 && outer.stride == 1 && inner.stride != 0
      && inner.size &* TileReader.panelRows <= TileReader.panelCapacity
    {
      mode = .panel
    } else {
      mode = .gather
    }
  }

  /// Whether all elements are one number.
  var isNumber: Bool { mode == .spread }

  // MARK: Scratch

  /// Bytes that `place(in:of:)` wants: for a tile or the repeated rows, for the axes, for a panel.
  var scratchByteCount: Int { mode == .inPlace ? 0 : tileByteCount &+ axesByteCount &+ panelByteCount }

  private var tile: UnsafeMutableRawPointer { scratch }
  /// All axes, outermost first.
  private var axes: UnsafeMutablePointer<Axis> {
    (scratch + tileByteCount).assumingMemoryBound(to: Axis.self)
  }
  private var panel: UnsafeMutableRawPointer { scratch + tileByteCount + axesByteCount }

  private var tileByteCount: Int {
    wholeLines((mode == .repeatRow ? capacity &+ inner.size : capacity) &* dtype.lane.byteCount)
  }
  private var axesByteCount: Int { wholeLines(rank &* MemoryLayout<Axis>.stride) }
  private var panelByteCount: Int { wholeLines(panelElementCount &* dtype.lane.byteCount) }
  /// The elements of a panel, 0 where there are none. Panels begin at multiples of it, but for a last one
  /// with fewer rows.
  var panelElementCount: Int { mode == .panel ? inner.size &* TileReader.panelRows : 0 }

  /// Takes scratch memory, which must outlive all reads.
  mutating func place(in scratch: UnsafeMutableRawPointer, of view: TensorView) {
    if mode == .inPlace { return }
    self.scratch = scratch
    var merged = MergedAxes(view)
    var axis = axes + rank
    while let next = merged.next() {
      axis -= 1
      axis.initialize(to: next)
    }
  }

  // MARK: Reading

  /// Returns `count` elements from the row-major position `start` on.
  mutating func read(from start: Int, count: Int) -> UnsafeRawPointer {
    switch mode {
    case .inPlace:
      return base + start &* dtype.byteCount
    case .convert:
      loadLane(dtype, from: base, at: start, into: tile, count: count)
    case .spread:
      if !isFilled { loadLane(dtype, from: base, stride: 0, into: tile, count: capacity) }
      isFilled = true
    case .repeatRow:
      if !isFilled { repeatRow() }
      isFilled = true
      return UnsafeRawPointer(tile + start % inner.size &* dtype.lane.byteCount)
    case .gather:
      if inner.stride == 1 && dtype.isLaneStorage {
        let offset = seek(start, axes: rank)
        // All in one row: it lies there as it is.
        if axes[rank &- 1].position &+ count <= inner.size { return base + offset &* dtype.byteCount }
      }
      gather(from: start, count: count)
    case .panel:
      return readPanels(from: start, count: count)
    }
    return UnsafeRawPointer(tile)
  }

  /// Fills the tile with the row over and over, so far that a whole tile may begin anywhere in the first.
  private func repeatRow() {
    let row = inner.size &* dtype.lane.byteCount
    loadLane(dtype, from: base, stride: inner.stride, into: tile, count: inner.size)
    let end = row &+ capacity &* dtype.lane.byteCount
    var filled = row
    while filled < end {
      let more = min(filled, end &- filled)
      (tile + filled).copyMemory(from: tile, byteCount: more)
      filled &+= more
    }
  }

  /// Moves every axis to where the row-major `position` stands.
  /// - Returns: how far that is from the first element, in elements of storage.
  private func seek(_ position: Int, axes count: Int) -> Int {
    var rest = position
    var offset = 0
    let axes = axes
    for axis in (0..<count).reversed() {
      axes[axis].position = rest % axes[axis].size
      rest /= axes[axis].size
      offset &+= axes[axis].position &* axes[axis].stride
    }
    return offset
  }

  /// Copies runs along the innermost axis.
  private func gather(from start: Int, count: Int) {
    let axes = axes
    var offset = seek(start, axes: rank)
    var position = axes[rank &- 1].position
    var done = 0
    while done < count {
      let run = min(count &- done, inner.size &- position)
      loadLane(
        dtype, from: base + offset &* dtype.byteCount, stride: inner.stride,
        into: tile + done &* dtype.lane.byteCount, count: run)
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

  private mutating func readPanels(from start: Int, count: Int) -> UnsafeRawPointer {
    let laneBytes = dtype.lane.byteCount
    var done = 0
    while done < count {
      let position = start &+ done
      if position < panelStart || position >= panelEnd { fillPanel(around: position) }
      let found = panel + (position &- panelStart) &* laneBytes
      let run = min(count &- done, panelEnd &- position)
      if run == count { return UnsafeRawPointer(found) }
      (tile + done &* laneBytes).copyMemory(from: found, byteCount: run &* laneBytes)
      done &+= run
    }
    return UnsafeRawPointer(tile)
  }

  private mutating func fillPanel(around position: Int) {
    let row = position / inner.size
    let first = row % outer.size / TileReader.panelRows &* TileReader.panelRows
    let rows = min(TileReader.panelRows, outer.size &- first)
    let offset = seek(row / outer.size, axes: rank &- 2) &+ first
    panelStart = (row / outer.size &* outer.size &+ first) &* inner.size
    panelEnd = panelStart &+ rows &* inner.size
    let laneBytes = dtype.lane.byteCount
    let width = 64
    for left in stride(from: 0, to: inner.size, by: width) {
      for row in 0..<rows {
        loadLane(
          dtype, from: base + (offset &+ row &+ left &* inner.stride) &* dtype.byteCount,
          stride: inner.stride, into: panel + (row &* inner.size &+ left) &* laneBytes,
          count: min(width, inner.size &- left))
      }
    }
  }
}

extension TensorView {
  /// Whether elements follow each other in row-major order without gaps.
  fileprivate var isContiguous: Bool {
    var expected = 1
    for axis in (0..<shape.count).reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected &*= shape[axis]
    }
    return true
  }
}

/// The axes of a view that matter, innermost first: those of size 1 left out, neighbours joined where one
/// stride serves both.
private struct MergedAxes {
  private let shape: [Int]
  private let strides: [Int]
  private var axis: Int

  init(_ view: TensorView) {
    shape = view.shape
    strides = view.strides
    axis = view.shape.count
  }

  mutating func next() -> TileReader.Axis? {
    var merged: TileReader.Axis?
    while axis > 0 {
      let (size, stride) = (shape[axis &- 1], strides[axis &- 1])
      if let inner = merged, size != 1 {
        if stride != inner.stride &* inner.size { break }
        merged = TileReader.Axis(size: size &* inner.size, stride: inner.stride)
      } else if size != 1 {
        merged = TileReader.Axis(size: size, stride: stride)
      }
      axis &-= 1
    }
    return merged
  }
}
