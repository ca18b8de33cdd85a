import Tensors

// Note [Reduction trees]
//
// The elements that fall on one result are read as rows of lanes. Where the inner axis is kept, a row
// lies across results and each lane is one result; where it is reduced, a row is `runLanes` neighbours
// (fewer in the tail of a run, or where runs are shorter) and at the end the lanes are folded in halves.
// Rows are joined by a cascade: sixteen rows in order make a group, sixteen groups a larger one, so that
// rounding grows with the logarithm of the count, and memory is streamed once. Where results are few and
// long, rows are cut into equal blocks, each with a cascade of its own; blocks are joined in halves.
//
// All of it follows from the logical shape and the reduced axes, never from strides, alignment or
// threads: a strided operand is gathered into a tile of the same rows, and so is the result of a program,
// which then lies nowhere else. Equal operands give equal bits.
// See also Note [Threads and bits].

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
/// Elements of a strided operand that are gathered at a time.
private let tileCount = 8192
/// With more units than this, each is one part's work; fewer are cut into blocks, so many in all.
private let fewUnits = 16
private let mostBlocks = 64

/// What a reduction reads: a tensor, or what a program makes of its operands while the reduction asks for it.
struct ReductionOperand {
  /// Where elements lie; of a program's result as it would lie in a row, at no place in particular.
  let view: TensorView
  let program: TileProgram?
  let operands: [TensorView]
  /// Of the program's tiles.
  let sizes: TileStream.Sizes?

  init(_ view: TensorView) {
    self.view = view
    program = nil
    operands = []
    sizes = nil
  }

  /// The only result of `program`, seen as `shape`.
  init(_ program: TileProgram, _ operands: [TensorView], as shape: [Int]) {
    let any = UnsafeMutableRawPointer(bitPattern: 64)!
    view = TensorView(
      base: any, dtype: program.instructions[program.results[0]].dtype, shape: shape,
      strides: Shape(shape).contiguousStrides)
    self.program = program
    self.operands = operands
    // A whole row of lanes at a time.
    sizes = TileStream.Sizes(program, operands, count: view.elementCount, least: columnLanes)
  }
}

/// Reduces `operand` over `axes` into contiguous `result`.
///
/// - Shapes: `[..., n, ...] -> [..., ...]`, in row-major order of the axes that are kept.
/// - Parameter fault: where a program failed; results are then of no use.
/// See Note [Reduction trees].
@inline(never)
func reduce<R: Reducer>(
  _ reducer: R, _ operand: ReductionOperand, over axes: [Int],
  into result: UnsafeMutablePointer<R.Output>, _ fault: borrowing FirstFault
) {
  let x = operand.view
  let sizes = ReductionSizes(operand, over: axes)
  if sizes.resultCount == 0 { return }
  if sizes.isEmpty {
    for index in 0..<sizes.resultCount { result[index] = reducer.finish(reducer.empty, result[index]) }
    return
  }
  let pass = ReductionPass<R>(
    reducer: reducer, operand: operand, x: x, axes: axes, sizes: sizes,
    base: UnsafePointer(x.base.assumingMemoryBound(to: R.Element.self)), result: result)
  if sizes.blocks == 1 {
    inParallel(sizes.units, cost: sizes.unitWork, unit: sizes.cutUnit) { from, to in
      pass.reduce(units: from..<to, rows: 0..<sizes.rows, partials: nil, fault)
    }
    return
  }
  withScratch(of: R.Partial.self, count: sizes.partialCount) { partials in
    inParallel(parts: sizes.groups &* sizes.blocks) { part in
      let (group, block) = part.quotientAndRemainder(dividingBy: sizes.blocks)
      let units = sizes.units(ofGroup: group)
      let first = block &* sizes.blockRows
      pass.reduce(
        units: units, rows: first..<min(first &+ sizes.blockRows, sizes.rows),
        partials: partials + (units.lowerBound &* sizes.blocks &+ block) &* sizes.unitResults, fault)
    }
    for unit in 0..<sizes.units {
      pass.finish(unit, joining: partials + unit &* sizes.blocks &* sizes.unitResults)
    }
  }
}

/// The scratch that `reduce` takes.
func reductionScratchByteCount<R: Reducer>(
  _: R.Type, _ operand: ReductionOperand, over axes: [Int]
) -> Int {
  let sizes = ReductionSizes(operand, over: axes)
  if sizes.resultCount == 0 || sizes.isEmpty { return 0 }
  return scratchByteCount(of: R.Partial.self, count: sizes.blocks == 1 ? 0 : sizes.partialCount)
    &+ scratchByteCount(of: WalkAxis.self, count: sizes.walkAxisCount)
    &+ scratchByteCount(of: R.Partial.self, count: sizes.group &* sizes.levels &* sizes.lanes)
    &+ scratchByteCount(of: R.Output.self, count: sizes.group &* sizes.lanes)
    &+ scratchByteCount(of: Int.self, count: sizes.group &* sizes.levels)
    &+ (operand.sizes?.scratchByteCount ?? scratchByteCount(of: R.Element.self, count: sizes.gatherCount))
}

/// How a reduction is done, and cut: a unit is the work on one result, or on results side by side.
private struct ReductionSizes {
  private let rank: Int
  /// Where the inner axes begin: the longest tail of axes that are all reduced or all kept, sizes of 1 aside.
  let innerStart: Int
  let keepsInner: Bool
  /// Whether inner elements are gathered before they are joined, and how many at a time: whole rows of
  /// `runLanes`, or all there are. A tensor's go to a tile, a program's are where it made them.
  let isGathered: Bool
  let gatherCount: Int
  private(set) var kept = 1
  private(set) var reduced = 1
  private(set) var inner = 1

  let lanes: Int
  /// Rows of a unit, and of each run of the inner axes.
  let rows: Int
  let runRows: Int
  let units: Int
  private(set) var blocks = 1
  /// Units side by side that one part walks together, where a program makes their rows: what it reads is then
  /// long enough for memory to be read ahead, and a turned operand, whose rows have 4096 elements at most, is
  /// turned once for all of them.
  let group: Int
  /// Parts begin at multiples of so many units.
  let cutUnit: Int

  init(_ operand: ReductionOperand, over axes: [Int]) {
    let x = operand.view
    rank = x.shape.count
    var isReduced: Bool?
    var first = rank
    for axis in stride(from: rank - 1, through: 0, by: -1) {
      if x.shape[axis] != 1 {
        if isReduced == nil { isReduced = axes.contains(axis) }
        if isReduced != axes.contains(axis) { break }
      }
      first = axis
    }
    innerStart = first
    keepsInner = !(isReduced ?? false)
    for axis in 0..<first {
      if axes.contains(axis) { reduced &*= x.shape[axis] } else { kept &*= x.shape[axis] }
    }
    var isContiguous = true
    for axis in stride(from: rank - 1, through: first, by: -1) where x.shape[axis] != 1 {
      if x.strides[axis] != inner { isContiguous = false }
      inner &*= x.shape[axis]
    }
    isGathered = operand.program != nil || !isContiguous
    gatherCount = operand.sizes?.capacity ?? (isContiguous ? 0 : Kernels.tileCount)
    lanes = max(1, min(inner, keepsInner ? columnLanes : runLanes))
    runRows = keepsInner ? 1 : (inner &+ lanes &- 1) / lanes
    rows = reduced &* runRows
    let unitsOfRow = keepsInner ? (inner &+ lanes &- 1) / lanes : 1
    units = kept &* unitsOfRow
    group = operand.program == nil ? 1 : max(1, unitsOfRow <= 8 ? unitsOfRow : 4)
    // A program that is asked for rows one after the other would turn what two parts share twice.
    let isInOrder = !keepsInner && reduced == 1
    cutUnit = max(group, isInOrder ? (operand.sizes?.unit ?? 1) / max(inner, 1) : 1)
    if units > 0 && units < fewUnits {
      let wanted = min(rows / fanIn, unitWork / partGrain, mostBlocks / units)
      if wanted > 1 {
        let length = (rows &+ wanted &- 1) / wanted
        blocks = (rows &+ length &- 1) / length
      }
    }
  }

  var resultCount: Int { kept &* (keepsInner ? inner : 1) }
  /// Whether nothing falls on the results.
  var isEmpty: Bool { reduced == 0 || inner == 0 }
  var unitWork: Int { reduced &* (keepsInner ? lanes : inner) }
  var blockRows: Int { (rows &+ blocks &- 1) / blocks }
  /// Results of a unit, fewer in the last of a row.
  var unitResults: Int { keepsInner ? lanes : 1 }
  var unitsOfRow: Int { keepsInner ? (inner &+ lanes &- 1) / lanes : 1 }
  var groups: Int { kept &* groupsOfRow }
  private var groupsOfRow: Int { (unitsOfRow &+ group &- 1) / group }

  func units(ofGroup index: Int) -> Range<Int> {
    let (row, place) = index.quotientAndRemainder(dividingBy: groupsOfRow)
    let first = place &* group
    return row &* unitsOfRow &+ first..<row &* unitsOfRow &+ min(first &+ group, unitsOfRow)
  }

  /// Elements that follow each other in the order in which they are reduced.
  func readCount(_ shape: [Int], _ axes: [Int]) -> Int {
    if !keepsInner { return reduced == 1 ? kept &* inner : inner }
    if unitsOfRow > 1 { return lanes }
    var count = inner
    for axis in (0..<innerStart).reversed() where shape[axis] != 1 {
      if !axes.contains(axis) { break }
      count &*= shape[axis]
    }
    return count
  }

  // MARK: Scratch

  var partialCount: Int { units &* blocks &* unitResults }
  /// Four walks: kept, reduced and inner axes, and all.
  var walkAxisCount: Int { 4 &* rank }
  /// Levels of a cascade for the rows of a block.
  var levels: Int {
    var levels = 1
    var reach = fanIn
    while reach < blockRows {
      levels &+= 1
      reach &*= fanIn
    }
    return levels
  }
  /// Whether runs are gathered several at a time.
  var gathersRuns: Bool {
    !keepsInner && isGathered && reduced == 1 && inner <= gatherCount && blocks == 1
  }
}

/// Gathers what does not lie in a row.
private struct Gatherer<Element> {
  let base: UnsafePointer<Element>
  let tile: UnsafeMutablePointer<Element>
  var stream: TileStream?

  /// Returns `count` elements until the next call: those from a row-major position on, or, which is the same,
  /// those of `walk` from the element that lies at `start`.
  @inline(__always)
  mutating func elements(
    at position: Int, count: Int, of walk: inout StridedWalk, from start: Int
  ) -> UnsafePointer<Element> {
    if let made = stream?.elements(from: position, count: count) {
      return made.assumingMemoryBound(to: Element.self)
    }
    walk.gather(count, from: base + start, into: tile)
    return UnsafePointer(tile)
  }
}

/// Whether a reduction over such axes asks for enough elements at a time that a program may make them: each
/// time costs as much as some dozens.
package func reductionReadsAtLength(_ shape: [Int], over axes: [Int]) -> Bool {
  let any = UnsafeMutableRawPointer(bitPattern: 64)!
  let view = TensorView(base: any, dtype: .f32, shape: shape, strides: Shape(shape).contiguousStrides)
  let sizes = ReductionSizes(ReductionOperand(view), over: axes)
  return sizes.readCount(shape, axes) >= min(32, view.elementCount)
}

/// What the ways through an operand share.
private struct ReductionPass<R: Reducer> {
  let reducer: R
  let operand: ReductionOperand
  let x: TensorView
  let axes: [Int]
  let sizes: ReductionSizes
  let base: UnsafePointer<R.Element>
  let result: UnsafeMutablePointer<R.Output>

  /// Reduces some rows of some units: all of them into results, or a block of one unit into `partials`.
  @inline(never)
  func reduce(
    units: Range<Int>, rows: Range<Int>, partials: UnsafeMutablePointer<R.Partial>?,
    _ fault: borrowing FirstFault
  ) {
    withScratch(of: WalkAxis.self, count: sizes.walkAxisCount) { scratch in
      let rank = x.shape.count
      var kept = StridedWalk(scratch: scratch)
      var reduced = StridedWalk(scratch: scratch + rank)
      var inner = StridedWalk(scratch: scratch + 2 * rank)
      var whole = StridedWalk(scratch: scratch + 3 * rank)
      for axis in 0..<rank {
        let (count, stride) = (x.shape[axis], x.strides[axis])
        if axis >= sizes.innerStart {
          inner.append(count: count, stride: stride)
        } else if axes.contains(axis) {
          reduced.append(count: count, stride: stride)
        } else {
          kept.append(count: count, stride: stride)
        }
        whole.append(count: count, stride: stride)
      }
      withCascades(reducer, count: sizes.group, lanes: sizes.lanes, levels: sizes.levels) { cascade in
        withGatherer(fault) { gatherer in
          if sizes.keepsInner {
            columns(&cascade, units, rows, partials, &kept, &reduced, &inner, &gatherer)
          } else if sizes.gathersRuns {
            gatheredRuns(&cascade, units, &whole, &gatherer)
          } else {
            runs(&cascade, units, rows, partials, &kept, &reduced, &inner, &gatherer)
          }
        }
      }
    }
  }

  @inline(__always)
  private func withGatherer(
    _ fault: borrowing FirstFault, _ body: (inout Gatherer<R.Element>) -> Void
  ) {
    guard let program = operand.program, let streamSizes = operand.sizes else {
      return withScratch(of: R.Element.self, count: sizes.gatherCount) { tile in
        var gatherer = Gatherer(base: base, tile: tile, stream: nil)
        body(&gatherer)
      }
    }
    program.withStream(operand.operands, streamSizes) { stream in
      var gatherer = Gatherer(base: base, tile: UnsafeMutablePointer(mutating: base), stream: stream)
      body(&gatherer)
      if let (position, code) = gatherer.stream?.failure { fault.note(code, at: position) }
    }
  }

  /// The results of a unit.
  private func results(of unit: Int) -> (first: Int, count: Int) {
    if !sizes.keepsInner { return (unit, 1) }
    let (row, piece) = unit.quotientAndRemainder(dividingBy: sizes.unitsOfRow)
    let column = piece &* sizes.lanes
    return (row &* sizes.inner &+ column, min(sizes.lanes, sizes.inner &- column))
  }

  /// Joins the blocks of a unit in halves.
  func finish(_ unit: Int, joining partials: UnsafeMutablePointer<R.Partial>) {
    let (first, count) = results(of: unit)
    var left = sizes.blocks
    while left > 1 {
      let half = (left &+ 1) / 2
      for block in 0..<(left &- half) {
        let a = partials + block &* sizes.unitResults
        let b = partials + (half &+ block) &* sizes.unitResults
        for lane in 0..<count { a[lane] = reducer.join(a[lane], b[lane]) }
      }
      left = half
    }
    let target = result + first
    for lane in 0..<count { target[lane] = reducer.finish(partials[lane], target[lane]) }
  }

  /// The inner axes are kept: each lane is one result.
  @inline(__always)
  private func columns(
    _ cascade: inout Cascade<R>, _ units: Range<Int>, _ rows: Range<Int>,
    _ partials: UnsafeMutablePointer<R.Partial>?, _ kept: inout StridedWalk,
    _ reduced: inout StridedWalk, _ inner: inout StridedWalk, _ gatherer: inout Gatherer<R.Element>
  ) {
    var unit = units.lowerBound
    while unit < units.upperBound {
      let (row, place) = unit.quotientAndRemainder(dividingBy: sizes.unitsOfRow)
      let side = unit..<unit &+ min(sizes.group, units.upperBound &- unit, sizes.unitsOfRow &- place)
      kept.seek(row)
      reduced.seek(rows.lowerBound)
      for unit in side {
        let (first, count) = results(of: unit)
        cascade.select(unit &- side.lowerBound)
        cascade.reset(width: count)
        if R.readsCentre { cascade.centre.update(from: result + first, count: count) }
      }
      addColumns(&cascade, side, rows, kept.offset, column: place &* sizes.lanes, &reduced, &inner, &gatherer)
      for unit in side {
        let (first, count) = results(of: unit)
        cascade.select(unit &- side.lowerBound)
        cascade.width = count
        let lanes = cascade.collapse()
        if let partials {
          let target = partials + (unit &- side.lowerBound) &* sizes.blocks &* sizes.unitResults
          for lane in 0..<count { target[lane] = lanes[lane] }
        } else {
          let target = result + first
          for lane in 0..<count { target[lane] = reducer.finish(lanes[lane], target[lane]) }
        }
      }
      unit = side.upperBound
    }
  }

  /// Rows of units side by side, from `column` on, each to the cascade of its unit.
  @inline(__always)
  private func addColumns(
    _ cascade: inout Cascade<R>, _ units: Range<Int>, _ rows: Range<Int>, _ outer: Int, column: Int,
    _ reduced: inout StridedWalk, _ inner: inout StridedWalk, _ gatherer: inout Gatherer<R.Element>
  ) {
    let lanes = sizes.lanes
    // As many units as one read may serve. A program makes rows one after the other, if it makes them whole.
    let readUnits = max(1, min(units.count, sizes.gatherCount / lanes))
    let isWhole = operand.program != nil && units.count == sizes.unitsOfRow && readUnits == units.count
    var row = rows.lowerBound
    while row < rows.upperBound {
      let start = outer &+ reduced.offset
      var run = min(reduced.runCount, rows.upperBound &- row)
      if sizes.isGathered { run = isWhole ? min(run, sizes.gatherCount / sizes.inner) : 1 }
      var place = 0
      while place < units.count {
        let read = place..<min(place &+ readUnits, units.count)
        let left = column &+ place &* lanes
        var elements = base + (start &+ left)
        var stride = reduced.runStride
        if sizes.isGathered {
          let width = min(read.count &* lanes, sizes.inner &- left)
          inner.seek(left)
          elements = gatherer.elements(
            at: start &+ left, count: run &* width, of: &inner, from: start)
          stride = width
        }
        for unit in read {
          cascade.select(unit)
          cascade.width = min(lanes, sizes.inner &- column &- unit &* lanes)
          cascade.add(
            elements + (unit &- place) &* lanes, rowStride: stride, count: run, width: cascade.width)
        }
        place = read.upperBound
      }
      reduced.advance(by: run)
      row &+= run
    }
  }

  /// The inner axes are reduced: lanes are folded into one result.
  @inline(__always)
  private func runs(
    _ cascade: inout Cascade<R>, _ units: Range<Int>, _ rows: Range<Int>,
    _ partials: UnsafeMutablePointer<R.Partial>?, _ kept: inout StridedWalk,
    _ reduced: inout StridedWalk, _ inner: inout StridedWalk, _ gatherer: inout Gatherer<R.Element>
  ) {
    let lanes = sizes.lanes
    kept.seek(units.lowerBound)
    if sizes.rows == 1 && !sizes.isGathered { return shortRuns(cascade.partials, units, &kept) }
    for index in units {
      cascade.reset(width: lanes)
      if R.readsCentre { cascade.centre.update(repeating: result[index], count: lanes) }
      reduced.seek(rows.lowerBound / sizes.runRows)
      var row = rows.lowerBound
      while row < rows.upperBound {
        let start = kept.offset &+ reduced.offset
        if !sizes.isGathered && sizes.inner == lanes {
          let run = min(reduced.runCount, rows.upperBound &- row)
          cascade.add(base + start, rowStride: reduced.runStride, count: run, width: lanes)
          reduced.advance(by: run)
          row &+= run
          continue
        }
        // The rows of this run that are asked for.
        let first = row % sizes.runRows
        let last = min(sizes.runRows, first &+ (rows.upperBound &- row))
        let end = min(last &* lanes, sizes.inner)
        var done = first &* lanes
        if sizes.isGathered {
          inner.seek(done)
          while done < end {
            let count = min(sizes.gatherCount, end &- done)
            let elements = gatherer.elements(
              at: start &+ done, count: count, of: &inner, from: start)
            addRun(&cascade, elements, count: count)
            done &+= count
          }
        } else {
          addRun(&cascade, base + (start &+ done), count: end &- done)
        }
        reduced.advance()
        row &+= last &- first
      }
      let partial = fold(reducer, cascade.collapse(), count: lanes)
      if let partials {
        partials[0] = partial
      } else {
        result[index] = reducer.finish(partial, result[index])
      }
      kept.advance()
    }
  }

  /// As many elements of a run as there are, in rows of lanes and a tail.
  @inline(__always)
  private func addRun(_ cascade: inout Cascade<R>, _ run: UnsafePointer<R.Element>, count: Int) {
    let lanes = sizes.lanes
    cascade.add(run, rowStride: lanes, count: count / lanes, width: lanes)
    let tail = count % lanes
    if tail > 0 { cascade.add(run + (count &- tail), rowStride: 0, count: 1, width: tail) }
  }

  /// Gathered runs that fit in a tile, several at a time.
  @inline(__always)
  private func gatheredRuns(
    _ cascade: inout Cascade<R>, _ units: Range<Int>, _ whole: inout StridedWalk,
    _ gatherer: inout Gatherer<R.Element>
  ) {
    let width = sizes.inner
    var index = units.lowerBound
    whole.seek(index &* width)
    while index < units.upperBound {
      let runs = min(units.upperBound &- index, sizes.gatherCount / width)
      let elements = gatherer.elements(
        at: index &* width, count: runs &* width, of: &whole, from: 0)
      for run in 0..<runs {
        if sizes.rows == 1 {
          shortRun(cascade.partials, elements + run &* width, into: result + index)
        } else {
          cascade.reset(width: sizes.lanes)
          if R.readsCentre { cascade.centre.update(repeating: result[index], count: sizes.lanes) }
          addRun(&cascade, elements + run &* width, count: width)
          result[index] = reducer.finish(
            fold(reducer, cascade.collapse(), count: sizes.lanes), result[index])
        }
        index &+= 1
      }
    }
  }

  @inline(__always)
  private func shortRuns(
    _ partials: UnsafeMutablePointer<R.Partial>, _ units: Range<Int>, _ kept: inout StridedWalk
  ) {
    for index in units {
      shortRun(partials, base + kept.offset, into: result + index)
      kept.advance()
    }
  }

  /// A run of one row, such as the logits of ten classes: no cascade is needed.
  @inline(__always)
  private func shortRun(
    _ partials: UnsafeMutablePointer<R.Partial>, _ row: UnsafePointer<R.Element>,
    into result: UnsafeMutablePointer<R.Output>
  ) {
    let lanes = sizes.lanes
    let centre = result.pointee
    for lane in 0..<lanes { partials[lane] = reducer.lift(row[lane], centre) }
    result.pointee = reducer.finish(fold(reducer, partials, count: lanes), centre)
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

/// Calls `body` with room for cascades, the first of them selected.
@inline(__always)
private func withCascades<R: Reducer>(
  _ reducer: R, count: Int, lanes: Int, levels: Int, _ body: (inout Cascade<R>) -> Void
) {
  withScratch(of: R.Partial.self, count: count &* levels &* lanes) { partials in
    withScratch(of: R.Output.self, count: count &* lanes) { centre in
      withScratch(of: Int.self, count: count &* levels) { filled in
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
  private(set) var partials: UnsafeMutablePointer<R.Partial>
  /// How many rows, or groups of the level below, each level has joined.
  private var filled: UnsafeMutablePointer<Int>
  /// The centre of each lane; meaningful where the reducer reads it.
  private(set) var centre: UnsafeMutablePointer<R.Output>
  let capacity: Int
  let levels: Int
  /// Lanes in use.
  var width: Int
  private var selected = 0

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

  /// Turns to another of the cascades that lie one after the other. Its width is for the caller to set.
  @inline(__always)
  mutating func select(_ index: Int) {
    let distance = index &- selected
    partials += distance &* levels &* capacity
    centre += distance &* capacity
    filled += distance &* levels
    selected = index
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
