import Graphs
import Kernels
import Tensors

/// A step that runs in pieces of its batch: a plan for what comes before them, one for a piece, and one for what comes after.
///
/// What passes between the plans lies in slots at the start of the arena, with rows that are gathered for a piece; the
/// plans share what is behind. Only the
/// last plan writes inputs of the step, so a run that is stopped or refused before leaves no trace.
package final class AccumulatedPlan: StepPlan {
  /// A plan and where its inputs come from.
  private final class Section {
    let plan: Plan
    let feeds: [BatchSections.Feed]
    let pointers: UnsafeMutablePointer<UnsafeMutableRawPointer>
    /// Its first step among those of the whole run.
    let firstStep: Int
    let rowCount: Int

    init(_ plan: Plan, _ feeds: [BatchSections.Feed], firstStep: Int, rowCount: Int) {
      self.plan = plan
      self.feeds = feeds
      self.firstStep = firstStep
      self.rowCount = rowCount
      pointers = .allocate(capacity: max(feeds.count, 1))
      pointers.initialize(
        repeating: UnsafeMutableRawPointer(bitPattern: Storage.alignment)!, count: max(feeds.count, 1))
    }

    deinit { pointers.deallocate() }
  }

  package let ledger: Ledger
  package private(set) var measuredScratchByteCount = 0
  package let products: (all: Int, rebuilt: Int)
  package var arithmetic: (all: Double, rebuilt: Double) {
    runs.reduce(into: (0, 0)) {
      $0.all += $1.arithmetic.all
      $0.rebuilt += $1.arithmetic.rebuilt
    }
  }
  package func seconds(_ costs: CostTable) -> Double { runs.reduce(0) { $0 + $1.seconds(costs) } }
  package func work(_ costs: CostTable) -> [KernelWork] {
    (before.map { $0.plan.work(costs) } ?? []) + [.none] + (cut + [after]).flatMap { $0.plan.work(costs) }
  }
  /// The plans as often as they run.
  private var runs: [Plan] {
    [before, after].compactMap { $0?.plan } + pieces.map { rows in cut.first { $0.rowCount == rows.count }!.plan }
  }
  /// The rows of each piece, in order.
  package let pieces: [Range<Int>]

  private let slots: [BatchSections.Slot]
  private let slotOffsets: [Int]
  private let before: Section?
  private let cut: [Section]
  private let after: Section
  private let inputTypes: [TensorType]
  /// The step that clears what pieces add to.
  private let clearingStep: Int
  /// Where in the arena rows are gathered that do not follow each other, by section and input.
  private let staging: [Int: (offset: Int, type: TensorType)]
  /// Keys of what is drawn for pieces, by section and input.
  private var keys: [Int: Tensor] = [:]
  private var usedConstants: [Tensor] = []
  private var isUsed: [Bool]
  /// Where the arena lay in the last run.
  private var arenaBase: UnsafeMutableRawPointer?

  /// - Parameters:
  ///   - sections: with scheduled graphs.
  ///   - inputTypes: those of the step, with roles.
  ///   - pieces: the rows of each piece.
  package init(
    _ sections: BatchSections, inputs inputTypes: [TensorType], roles: [InputRole], pieces: [Range<Int>]
  ) throws {
    self.pieces = pieces
    self.inputTypes = inputTypes
    slots = sections.slots
    var ownByteCount = 0
    func reserve(_ type: TensorType) -> Int {
      defer { ownByteCount += (type.byteCount + Storage.alignment - 1) / Storage.alignment * Storage.alignment }
      return ownByteCount
    }
    slotOffsets = sections.slots.map { reserve($0.type) }
    var staging: [Int: (offset: Int, type: TensorType)] = [:]
    let parts = [sections.before].compactMap { $0 } + sections.pieces.map(\.section) + [sections.after]
    for (place, part) in parts.enumerated() {
      for (index, feed) in part.feeds.enumerated() {
        guard let rows = feed.rows else { continue }
        let type = part.graph.inputs[index].type
        if type.shape.sizes[..<rows.axis].reduce(rows.outer, *) == 1 { continue }
        staging[AccumulatedPlan.place(place, index)] = (reserve(type), type)
      }
    }
    self.staging = staging
    isUsed = Array(repeating: false, count: inputTypes.count)
    var steps: [Ledger.Step] = []
    var entries: [Ledger.Entry] = []
    func section(_ section: BatchSections.Section, rowCount: Int) throws -> Section {
      let roles = section.feeds.map { feed -> InputRole in
        switch feed {
        case .input(let index), .inputRows(let index), .key(let index, _): roles[index]
        case .constantRows: InputRole(.captured, name: "constant")
        case .slot(let slot), .slotRows(let slot, _): AccumulatedPlan.role(of: sections.slots[slot])
        }
      }
      let plan = try Plan(section.graph, inputs: roles, arenaOffset: ownByteCount)
      defer { steps += plan.ledger.steps }
      entries += plan.madeEntries.map { $0.moved(by: steps.count) }
      return Section(plan, section.feeds, firstStep: steps.count, rowCount: rowCount)
    }
    before = try sections.before.map { try section($0, rowCount: 0) }
    clearingStep = steps.count
    steps.append(Ledger.Step(op: "clear", origin: Origin(site: nil, phase: .forward)))
    cut = try sections.pieces.map { try section($0.section, rowCount: $0.rowCount) }
    after = try section(sections.after, rowCount: 0)
    products = cut[0].plan.products

    // What is there all the time: inputs, constants, keys and slots.
    let all = [before].compactMap { $0 } + cut + [after]
    for (place, section) in all.enumerated() {
      for constant in section.plan.usedConstants
      where !usedConstants.contains(where: { $0.storage === constant.storage && $0.layout == constant.layout }) {
        usedConstants.append(constant)
      }
      for (index, feed) in section.feeds.enumerated() {
        switch feed {
        case .input(let input), .inputRows(let input): if section.plan.isUsed[index] { isUsed[input] = true }
        case .key:
          if section.plan.isUsed[index] {
            keys[AccumulatedPlan.place(place, index)] = Tensor(uninitialized: section.plan.graph.inputs[index].type)
          }
        case .constantRows(let tensor, _):
          let whole = tensor.contiguous()
          if section.plan.isUsed[index], !usedConstants.contains(where: { $0.storage === whole.storage }) {
            usedConstants.append(whole)
          }
        case .slotRows, .slot: break
        }
      }
    }
    func held(_ name: String, _ category: MemoryCategory, _ type: TensorType) -> Ledger.Entry {
      Ledger.Entry(
        name: name, category: category, type: type, phase: .forward, site: nil, first: 0, last: steps.count - 1)
    }
    for (index, type) in inputTypes.enumerated() where isUsed[index] {
      entries.append(held(roles[index].name, roles[index].category, type))
    }
    for constant in usedConstants { entries.append(held("constant", .captured, constant.type)) }
    for key in keys.values { entries.append(held("random key", .captured, key.type)) }
    for (_, rows) in staging.sorted(by: { $0.key < $1.key }) {
      entries.append(held("rows", .temporaries, rows.type))
    }
    for slot in slots {
      let role = AccumulatedPlan.role(of: slot)
      entries.append(held(role.name, role.category, slot.type))
    }
    let plans = all.map(\.plan.ledger)
    ledger = Ledger(
      entries: entries, steps: steps,
      arenaByteCount: ownByteCount + (plans.map(\.arenaByteCount).max() ?? 0),
      arenaLowerBound: ownByteCount + (plans.map(\.arenaLowerBound).max() ?? 0),
      scratchByteCount: plans.map(\.scratchByteCount).max() ?? 0)
  }

  private static func role(of slot: BatchSections.Slot) -> InputRole {
    if let path = slot.gradientPath { return InputRole(.gradients, name: path) }
    return InputRole(.temporaries, name: "between pieces")
  }

  private static func place(_ section: Int, _ input: Int) -> Int { section << 32 | input }

  // MARK: Running

  package func run(
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, in arena: Arena, observer: (any RunObserver)? = nil,
    request: () -> StopRequest = { .none }, report: (Int, [Tensor]) -> Void = { _, _ in }
  ) throws -> [Tensor] {
    arena.reserve(ledger.arenaByteCount)
    Scratch.reserve(bytesPerThread: ledger.scratchByteCount)
    arenaBase = arena.storage.base
    measuredScratchByteCount = 0
    var place = 0
    if let before {
      bind(before, place, inputs, arena, rows: 0..<0)
      try run(before, arena, observer, request)
      place += 1
    }
    clear(arena, observer)
    var observed = Set<Int>()
    for rows in pieces {
      let index = cut.firstIndex { $0.rowCount == rows.count }!
      let section = cut[index]
      bind(section, place + index, inputs, arena, rows: rows)
      copyStaged(section, place + index, arena, rows, isRead: true)
      // Later pieces touch what the first of their size has touched.
      let isFirst = observed.insert(index).inserted
      do {
        try run(section, arena, isFirst || observer?.watchesRepetitions == true ? observer : nil, request)
      } catch var fault as PlacedFault {
        fault.rows = rows
        throw fault
      }
      copyStaged(section, place + index, arena, rows, isRead: false)
    }
    bind(after, place + cut.count, inputs, arena, rows: 0..<0)
    let outputs = try after.plan.run(
      after.pointers, in: arena, observer: observer.map { ShiftedObserver($0, by: after.firstStep) },
      request: request, report: report)
    measuredScratchByteCount = max(measuredScratchByteCount, after.plan.measuredScratchByteCount)
    return outputs
  }

  /// Runs a section that changes nothing but slots.
  private func run(
    _ section: Section, _ arena: Arena, _ observer: (any RunObserver)?, _ request: () -> StopRequest
  ) throws {
    do {
      _ = try section.plan.run(
        section.pointers, in: arena, observer: observer.map { ShiftedObserver($0, by: section.firstStep) },
        request: request)
    } catch is Torn {
      throw Interrupted()
    }
    if observer != nil {
      measuredScratchByteCount = max(measuredScratchByteCount, section.plan.measuredScratchByteCount)
    }
  }

  private func clear(_ arena: Arena, _ observer: (any RunObserver)?) {
    var views: [TensorView] = []
    for (index, slot) in slots.enumerated() {
      switch slot.kind {
      case .rows, .early: continue
      case .sum, .mean: break
      }
      let base = arena.storage.base + slotOffsets[index]
      base.initializeMemory(as: UInt8.self, repeating: 0, count: slot.type.byteCount)
      views.append(
        TensorView(
          base: base, dtype: slot.type.dtype, shape: slot.type.shape.sizes,
          strides: slot.type.shape.contiguousStrides))
    }
    observer?.willRun(step: clearingStep, reads: [], writes: views)
    observer?.didRun(step: clearingStep)
  }

  private func bind(
    _ section: Section, _ place: Int, _ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ arena: Arena,
    rows: Range<Int>
  ) {
    for (index, feed) in section.feeds.enumerated() {
      switch feed {
      case .input(let input): section.pointers[index] = inputs[input]
      case .inputRows(let input):
        let type = inputTypes[input]
        let row = type.byteCount / max(type.shape[0], 1)
        section.pointers[index] = inputs[input] + rows.lowerBound * row
      case .key(let input, let elementsPerRow):
        guard let key = keys[AccumulatedPlan.place(place, index)] else { continue }
        let words = key.storage.base.assumingMemoryBound(to: Int.self)
        let given = inputs[input].assumingMemoryBound(to: Int.self)
        words[0] = given[0]
        words[1] = given[1]
        words[2] = rows.lowerBound * elementsPerRow
        section.pointers[index] = key.storage.base
      case .constantRows(let tensor, let own):
        let whole = tensor.contiguous()
        section.pointers[index] =
          staged(place, index, arena) ?? whole.storage.base + whole.layout.offset * whole.dtype.byteCount
          + offset(of: rows, own, whole.type)
      case .slot(let slot): section.pointers[index] = arena.storage.base + slotOffsets[slot]
      case .slotRows(let slot, let own):
        section.pointers[index] =
          staged(place, index, arena) ?? arena.storage.base + slotOffsets[slot] + offset(of: rows, own, slots[slot].type)
      }
    }
  }

  private func staged(_ place: Int, _ index: Int, _ arena: Arena) -> UnsafeMutableRawPointer? {
    staging.isEmpty ? nil : staging[AccumulatedPlan.place(place, index)].map { arena.storage.base + $0.offset }
  }

  /// Bytes from the start of a value to its rows, which follow each other.
  private func offset(of rows: Range<Int>, _ own: BatchRows, _ type: TensorType) -> Int {
    let behind = type.shape.sizes[(own.axis + 1)...].reduce(own.inner, *)
    return rows.lowerBound * behind * type.dtype.byteCount
  }

  /// Copies rows that do not follow each other to where a piece reads them, or from where it wrote them.
  private func copyStaged(_ section: Section, _ place: Int, _ arena: Arena, _ rows: Range<Int>, isRead: Bool) {
    if staging.isEmpty { return }
    for (index, feed) in section.feeds.enumerated() {
      guard let gathered = staged(place, index, arena) else { continue }
      let (base, type, own, isInput): (UnsafeMutableRawPointer, TensorType, BatchRows, Bool)
      switch feed {
      case .slotRows(let slot, let found):
        let isEarly = if case .early = slots[slot].kind { true } else { false }
        (base, type, own, isInput) = (arena.storage.base + slotOffsets[slot], slots[slot].type, found, isEarly)
      case .constantRows(let constant, let found):
        let whole = constant.contiguous()
        (base, type, own, isInput) = (whole.storage.base, whole.type, found, true)
      case .input, .inputRows, .key, .slot: continue
      }
      if isInput != isRead { continue }
      let sizes = type.shape.sizes
      let outer = sizes[..<own.axis].reduce(own.outer, *)
      let inner = sizes[(own.axis + 1)...].reduce(own.inner, *)
      let whole = TensorView(
        base: base + rows.lowerBound * inner * type.dtype.byteCount, dtype: type.dtype,
        shape: [outer, rows.count * inner], strides: [type.shape.elementCount / outer, 1])
      let part = TensorView(
        base: gathered, dtype: type.dtype, shape: whole.shape, strides: [rows.count * inner, 1])
      if isRead { copyRegion(whole, into: part) } else { copyRegion(part, into: whole) }
    }
  }

  // MARK: Measuring

  package func usage(
    measuredBy recorder: TouchRecorder, inputs: UnsafePointer<UnsafeMutableRawPointer>, roles: [InputRole]
  ) -> MemoryUsage {
    var residents: [(start: UInt, byteCount: Int, category: MemoryCategory)] = []
    func add(_ base: UnsafeRawPointer, _ type: TensorType, _ category: MemoryCategory) {
      if type.byteCount > 0 { residents.append((UInt(bitPattern: base), type.byteCount, category)) }
    }
    for (index, type) in inputTypes.enumerated() where isUsed[index] { add(inputs[index], type, roles[index].category) }
    for constant in usedConstants {
      add(constant.storage.base + constant.layout.offset * constant.dtype.byteCount, constant.type, .captured)
    }
    for key in keys.values { add(key.storage.base, key.type, .captured) }
    if let arenaBase {
      for rows in staging.values { add(arenaBase + rows.offset, rows.type, .temporaries) }
      for (slot, offset) in zip(slots, slotOffsets) {
        add(arenaBase + offset, slot.type, AccumulatedPlan.role(of: slot).category)
      }
    }
    let all = [before].compactMap { $0 } + cut + [after]
    return recorder.usage(residents: residents) { step, result in
      guard let section = all.last(where: { $0.firstStep <= step }) else { return .outputs }
      let own = section.plan.resultCategories
      let place = step - section.firstStep
      return place < own.count ? own[place][result] : .outputs
    }
  }

}

/// Gives the steps of a part their places in the whole run.
private final class ShiftedObserver: RunObserver {
  private let observer: any RunObserver
  private let distance: Int

  init(_ observer: any RunObserver, by distance: Int) {
    self.observer = observer
    self.distance = distance
  }

  func willRun(step: Int, reads: [TensorView], writes: [TensorView]) {
    observer.willRun(step: step + distance, reads: reads, writes: writes)
  }
  func didRun(step: Int) { observer.didRun(step: step + distance) }
  var watchesRepetitions: Bool { observer.watchesRepetitions }
}
