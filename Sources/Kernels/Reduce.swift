import Tensors

// Note [Reduction trees]
//
// The elements that fall on one result are read as rows of lanes. Where the inner axis is kept, a row
// lies across results and each lane is one result; where it is reduced, a row is `runLanes` neighbours
// (fewer in the tail of a run, or where runs are shorter) and at the end the lanes are folded in halves.
// Rows are joined by a cascade: sixteen rows in order make a group, sixteen groups a larger one, so that
// rounding grows with the logarithm of the count, and memory is streamed once.
//
// All of it follows from the logical shape and the reduced axes, never from strides, alignment or
// threads: a strided operand is gathered into a tile of the same rows. Equal operands give equal bits.

/// How a reduction takes elements in and joins partial results. `reduce` is specialised for each.
protocol Reducer {
  associatedtype Element
  associatedtype Partial
  associatedtype Output
  /// What joins with any partial result without changing it.
  var empty: Partial { get }
  /// Whether `lift` and `finish` read the centre: what an earlier pass left in the result, such as the mean.
  static var readsCentre: Bool { get }
  func lift(_ element: Element, _ centre: Output) -> Partial
  func join(_ a: Partial, _ b: Partial) -> Partial
  func finish(_ partial: Partial, _ centre: Output) -> Output
}

/// Lanes of a row within a reduced run.
private let runLanes = 128
/// Lanes of a row across kept columns that lie side by side.
private let columnLanes = 512
/// Rows of a group, and groups of the next larger one.
private let fanIn = 16
/// Elements of a strided operand that are gathered at a time; whole rows of `runLanes`.
private let tileCount = 8192

/// Reduces `x` over `axes` into contiguous `result`.
///
/// - Shapes: `x [..., n, ...] -> [..., ...]`, in row-major order of the axes that are kept.
/// See Note [Reduction trees].
@inline(never)
func reduce<R: Reducer>(
  _ reducer: R, _ x: TensorView, over axes: [Int], into result: UnsafeMutablePointer<R.Output>
) {
  let rank = x.shape.count
  withScratch(of: WalkAxis.self, count: 4 * rank) { scratch in
    var kept = StridedWalk(scratch: scratch)
    var reduced = StridedWalk(scratch: scratch + rank)
    var inner = StridedWalk(scratch: scratch + 2 * rank)
    var whole = StridedWalk(scratch: scratch + 3 * rank)
    let innerStart = innerAxes(of: x.shape, reducing: axes)
    for axis in 0..<innerStart.axis {
      if axes.contains(axis) {
        reduced.append(count: x.shape[axis], stride: x.strides[axis])
      } else {
        kept.append(count: x.shape[axis], stride: x.strides[axis])
      }
    }
    for axis in innerStart.axis..<rank { inner.append(count: x.shape[axis], stride: x.strides[axis]) }
    for axis in 0..<rank { whole.append(count: x.shape[axis], stride: x.strides[axis]) }

    let innerCount = inner.count
    let keepsInner = !innerStart.isReduced
    let resultCount = kept.count &* (keepsInner ? innerCount : 1)
    if resultCount == 0 { return }
    if reduced.count == 0 || innerCount == 0 {
      for index in 0..<resultCount { result[index] = reducer.finish(reducer.empty, result[index]) }
      return
    }

    let lanes = min(innerCount, keepsInner && inner.isContiguous ? columnLanes : runLanes)
    let rows = reduced.count &* (keepsInner ? 1 : (innerCount &+ lanes &- 1) / lanes)
    let pass = ReductionPass<R>(
      reducer: reducer, base: UnsafePointer(x.base.assumingMemoryBound(to: R.Element.self)),
      result: result, lanes: lanes)
    withCascade(reducer, lanes: lanes, rows: rows) { cascade in
      withScratch(of: R.Element.self, count: inner.isContiguous ? 0 : tileCount) { tile in
        if keepsInner {
          pass.columns(&cascade, kept: &kept, reduced: &reduced, inner: &inner, tile: tile)
        } else if !inner.isContiguous && reduced.count == 1 && innerCount <= tileCount {
          pass.gatheredRuns(&cascade, count: resultCount, width: innerCount, whole: &whole, tile: tile)
        } else {
          pass.runs(&cascade, kept: &kept, reduced: &reduced, inner: &inner, tile: tile)
        }
      }
    }
  }
}

/// Returns where the inner axes begin: the longest tail of axes that are all reduced or all kept, sizes
/// of 1 aside.
private func innerAxes(of shape: [Int], reducing axes: [Int]) -> (axis: Int, isReduced: Bool) {
  var kind: Bool?
  var first = shape.count
  for axis in stride(from: shape.count - 1, through: 0, by: -1) {
    if shape[axis] != 1 {
      let isReduced = axes.contains(axis)
      if kind == nil { kind = isReduced }
      if kind != isReduced { break }
    }
    first = axis
  }
  return (first, kind ?? false)
}

/// What the two ways through an operand share.
private struct ReductionPass<R: Reducer> {
  let reducer: R
  let base: UnsafePointer<R.Element>
  let result: UnsafeMutablePointer<R.Output>
  let lanes: Int

  /// The inner axes are kept: each lane is one result.
  @inline(__always)
  func columns(
    _ cascade: inout Cascade<R>, kept: inout StridedWalk, reduced: inout StridedWalk,
    inner: inout StridedWalk, tile: UnsafeMutablePointer<R.Element>
  ) {
    let width = inner.count
    let isContiguous = inner.isContiguous
    let rowCount = reduced.count
    var target = result
    for _ in 0..<kept.count {
      var column = 0
      while column < width {
        let count = min(lanes, width &- column)
        cascade.reset(width: count)
        if R.readsCentre { cascade.centre.update(from: target, count: count) }
        var row = 0
        while row < rowCount {
          if isContiguous {
            let run = reduced.runCount
            cascade.add(
              base + kept.offset + reduced.offset + column, rowStride: reduced.runStride, count: run,
              width: count)
            reduced.advance(by: run)
            row &+= run
          } else {
            inner.seek(column)
            inner.gather(count, from: base + kept.offset + reduced.offset, into: tile)
            cascade.add(tile, rowStride: 0, count: 1, width: count)
            reduced.advance()
            row &+= 1
          }
        }
        let partials = cascade.collapse()
        for lane in 0..<count { target[lane] = reducer.finish(partials[lane], target[lane]) }
        target += count
        column &+= count
      }
      inner.seek(0)
      kept.advance()
    }
  }

  /// The inner axes are reduced: lanes are folded into one result.
  @inline(__always)
  func runs(
    _ cascade: inout Cascade<R>, kept: inout StridedWalk, reduced: inout StridedWalk,
    inner: inout StridedWalk, tile: UnsafeMutablePointer<R.Element>
  ) {
    let width = inner.count
    let isContiguous = inner.isContiguous
    let rowCount = reduced.count
    if rowCount == 1 && width == lanes && isContiguous {
      return shortRuns(cascade.partials, kept: &kept)
    }
    for index in 0..<kept.count {
      cascade.reset(width: lanes)
      if R.readsCentre { cascade.centre.update(repeating: result[index], count: lanes) }
      var row = 0
      while row < rowCount {
        let start = base + kept.offset + reduced.offset
        if isContiguous && width == lanes {
          let run = reduced.runCount
          cascade.add(start, rowStride: reduced.runStride, count: run, width: lanes)
          reduced.advance(by: run)
          row &+= run
          continue
        }
        if isContiguous {
          addRun(&cascade, start, count: width)
        } else {
          var done = 0
          while done < width {
            let count = min(tileCount, width &- done)
            inner.gather(count, from: start, into: tile)
            addRun(&cascade, tile, count: count)
            done &+= count
          }
        }
        reduced.advance()
        row &+= 1
      }
      let partials = cascade.collapse()
      result[index] = reducer.finish(fold(reducer, partials, count: lanes), result[index])
      kept.advance()
    }
  }

  /// As many elements of a run as there are, in rows of lanes and a tail.
  @inline(__always)
  private func addRun(_ cascade: inout Cascade<R>, _ run: UnsafePointer<R.Element>, count: Int) {
    cascade.add(run, rowStride: lanes, count: count / lanes, width: lanes)
    let tail = count % lanes
    if tail > 0 { cascade.add(run + (count &- tail), rowStride: 0, count: 1, width: tail) }
  }

  /// Strided runs that fit in the tile, several at a time.
  @inline(__always)
  func gatheredRuns(
    _ cascade: inout Cascade<R>, count: Int, width: Int, whole: inout StridedWalk,
    tile: UnsafeMutablePointer<R.Element>
  ) {
    var index = 0
    while index < count {
      let runs = min(count &- index, tileCount / width)
      whole.gather(runs &* width, from: base, into: tile)
      for run in 0..<runs {
        cascade.reset(width: lanes)
        if R.readsCentre { cascade.centre.update(repeating: result[index], count: lanes) }
        addRun(&cascade, tile + run &* width, count: width)
        result[index] = reducer.finish(
          fold(reducer, cascade.collapse(), count: lanes), result[index])
        index &+= 1
      }
    }
  }

  /// Runs of one row each, such as the logits of ten classes: no cascade is needed.
  @inline(__always)
  private func shortRuns(_ partials: UnsafeMutablePointer<R.Partial>, kept: inout StridedWalk) {
    for index in 0..<kept.count {
      let row = base + kept.offset
      let centre = result[index]
      for lane in 0..<lanes { partials[lane] = reducer.lift(row[lane], centre) }
      result[index] = reducer.finish(fold(reducer, partials, count: lanes), centre)
      kept.advance()
    }
  }
}

/// Joins lanes in halves.
@inline(__always)
private func fold<R: Reducer>(
  _ reducer: R, _ lanes: UnsafeMutablePointer<R.Partial>, count: Int
) -> R.Partial {
  var width = count
  while width > 1 {
    let half = (width &+ 1) / 2
    for lane in 0..<(width &- half) { lanes[lane] = reducer.join(lanes[lane], lanes[half &+ lane]) }
    width = half
  }
  return lanes[0]
}

/// Calls `body` with an empty cascade that has levels enough for `rows` rows.
@inline(__always)
private func withCascade<R: Reducer>(
  _ reducer: R, lanes: Int, rows: Int, _ body: (inout Cascade<R>) -> Void
) {
  var levels = 1
  var reach = fanIn
  while reach < rows {
    levels &+= 1
    reach &*= fanIn
  }
  withScratch(of: R.Partial.self, count: levels &* lanes) { partials in
    withScratch(of: R.Output.self, count: lanes) { centre in
      withScratch(of: Int.self, count: levels) { filled in
        var cascade = Cascade(
          reducer: reducer, partials: partials, filled: filled, centre: centre, capacity: lanes,
          levels: levels)
        body(&cascade)
      }
    }
  }
}

/// Partial results of rows, sixteen joined at a time on each level.
private struct Cascade<R: Reducer> {
  let reducer: R
  /// `levels` rows of `capacity` lanes.
  let partials: UnsafeMutablePointer<R.Partial>
  /// How many rows, or groups of the level below, each level has joined.
  let filled: UnsafeMutablePointer<Int>
  /// The centre of each lane; meaningful where the reducer reads it.
  let centre: UnsafeMutablePointer<R.Output>
  let capacity: Int
  let levels: Int
  private var width: Int

  init(
    reducer: R, partials: UnsafeMutablePointer<R.Partial>, filled: UnsafeMutablePointer<Int>,
    centre: UnsafeMutablePointer<R.Output>, capacity: Int, levels: Int
  ) {
    self.reducer = reducer
    self.partials = partials
    self.filled = filled
    self.centre = centre
    self.capacity = capacity
    self.levels = levels
    width = capacity
  }

  mutating func reset(width: Int) {
    self.width = width
    for level in 0..<levels { filled[level] = 0 }
  }

  /// Joins `count` rows in order; a row narrower than the others leaves the lanes behind it as they are.
  @inline(never)
  mutating func add(_ rows: UnsafePointer<R.Element>, rowStride: Int, count: Int, width: Int) {
    var done = 0
    while done < count {
      if filled[0] == fanIn { carry() }
      let take = min(count &- done, fanIn &- filled[0])
      join(rows + done &* rowStride, rowStride: rowStride, count: take, width: width)
      filled[0] &+= take
      done &+= take
    }
  }

  @inline(__always)
  private func join(_ rows: UnsafePointer<R.Element>, rowStride: Int, count: Int, width: Int) {
    let lanes = partials
    let centre = UnsafePointer(centre)
    let reducer = reducer
    var row = rows
    var left = count
    if filled[0] == 0 {
      for lane in 0..<width { lanes[lane] = reducer.lift(row[lane], centre[lane]) }
      if width < self.width {
        for lane in width..<self.width { lanes[lane] = reducer.empty }
      }
      row += rowStride
      left &-= 1
    }
    // Four rows at a time, joined in the same order as one by one, spare three trips to the lanes.
    while left >= 4 {
      let second = row + rowStride
      let third = second + rowStride
      let fourth = third + rowStride
      for lane in 0..<width {
        var partial = reducer.join(lanes[lane], reducer.lift(row[lane], centre[lane]))
        partial = reducer.join(partial, reducer.lift(second[lane], centre[lane]))
        partial = reducer.join(partial, reducer.lift(third[lane], centre[lane]))
        lanes[lane] = reducer.join(partial, reducer.lift(fourth[lane], centre[lane]))
      }
      row = fourth + rowStride
      left &-= 4
    }
    while left > 0 {
      for lane in 0..<width {
        lanes[lane] = reducer.join(lanes[lane], reducer.lift(row[lane], centre[lane]))
      }
      row += rowStride
      left &-= 1
    }
  }

  /// Moves the full lowest level up, and with it each level that this fills.
  @inline(never)
  private mutating func carry() {
    var level = 0
    repeat {
      move(up: level)
      level &+= 1
    } while filled[level] == fanIn
  }

  private func move(up level: Int) {
    let from = partials + level &* capacity
    let to = from + capacity
    if filled[level + 1] == 0 {
      to.update(from: from, count: width)
    } else {
      for lane in 0..<width { to[lane] = reducer.join(to[lane], from[lane]) }
    }
    filled[level] = 0
    filled[level + 1] &+= 1
  }

  /// Joins all levels, and returns the lanes.
  mutating func collapse() -> UnsafeMutablePointer<R.Partial> {
    var top = 0
    for level in 0..<levels where filled[level] > 0 { top = level }
    for level in 0..<top where filled[level] > 0 {
      move(up: level)
    }
    return partials + top &* capacity
  }
}
