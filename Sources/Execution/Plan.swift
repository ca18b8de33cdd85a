import Graphs
import Kernels
import Ops
import Support
import Tensors

/// Scratch memory that plans hold offsets into: one per session, as large as the largest plan that ran.
package final class Arena {
  package private(set) var storage = Storage(byteCount: 0)
  package init() {}

  func reserve(_ byteCount: Int) {
    if byteCount > storage.byteCount {
      // The old one goes first: both together might not fit.
      storage = Storage(byteCount: 0)
      storage = Storage(byteCount: byteCount)
    }
  }
}

/// Stops a run between two steps, before anything was committed.
package struct Interrupted: Error {
  package init() {}
}

/// A run was stopped behind its commit point: some inputs have new values, others old ones.
package struct Torn: Error {}

/// A failure with the place of the node that met it.
package struct PlacedFault: Error {
  package let error: any Error
  package let origin: Origin
  /// The rows of the batch that the node was working on, where it is cut into pieces.
  package var rows: Range<Int>?
}

/// An assertion of the program that did not hold.
package struct AssertionFault: Error {
  /// Its place among the graph's effects.
  package let effect: Int
}

/// What an input of a graph stands for, for the ledger.
package struct InputRole: Sendable {
  package let category: MemoryCategory
  package let name: String
  package init(_ category: MemoryCategory, name: String) {
    self.category = category
    self.name = name
  }
}

/// How urgently someone wants a run to stop.
package enum StopRequest: Sendable {
  case none
  /// Before the commit point, or not at all.
  case soon
  /// At once, even if what the run writes is then neither old nor new.
  case now
}

/// What runs a step: its memory is known before, and measured while it runs.
package protocol StepPlan: AnyObject {
  var ledger: Ledger { get }
  /// Scratch of the thread that used most in the last run that was observed.
  var measuredScratchByteCount: Int { get }
  /// The number of products and the like of the forward pass, and how many of them run once more.
  var products: (all: Int, rebuilt: Int) { get }
  /// The floating-point operations of the step, and those among them that compute something once more.
  var arithmetic: (all: Double, rebuilt: Double) { get }
  /// The time of a run by a table of costs.
  func seconds(_ costs: CostTable) -> Double
  /// What each step of the ledger has to do, once.
  func work(_ costs: CostTable) -> [KernelWork]

  /// Computes outputs, and gives inputs that are written their new values.
  ///
  /// - Parameters:
  ///   - inputs: the first element of each input, contiguous and of the step's types. What is written must be
  ///     nobody else's.
  ///   - request: asked between kernels.
  ///   - report: called for prints of the program, in order, when all has run.
  /// - Throws: `PlacedFault`, `AssertionFault`, `Interrupted`: nothing was written; `Torn`.
  func run(
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, in arena: Arena, observer: (any RunObserver)?,
    request: () -> StopRequest, report: (Int, [Tensor]) -> Void
  ) throws -> [Tensor]

  /// What a run held, from the addresses that kernels touched. Its lifetimes are found without the plan's; only what
  /// a result is called comes from here.
  func usage(
    measuredBy recorder: TouchRecorder, inputs: UnsafePointer<UnsafeMutableRawPointer>, roles: [InputRole]
  ) -> MemoryUsage
}

extension StepPlan {
  /// Bytes of scratch on all threads.
  package var workspaceByteCount: Int { ledger.scratchByteCount * ThreadPool.threadCount }

  /// Bytes that a run needs besides what is there already: the arena, outputs and scratch.
  package var newByteCount: Int { ledger.arenaByteCount + ledger.outputByteCount + workspaceByteCount }
  /// How much larger the arena must become.
  package func growth(of arena: Arena) -> Int { max(0, ledger.arenaByteCount - arena.storage.byteCount) }

  /// Bytes of all that a run uses: what is there already, and what it needs besides.
  package var totalByteCount: Int { totalByteCount(threads: ThreadPool.threadCount) }
  /// The same on so many threads.
  package func totalByteCount(threads: Int) -> Int {
    ledger.residentByteCount + ledger.arenaByteCount + ledger.outputByteCount + ledger.scratchByteCount * threads
  }
}

/// A scheduled graph made ready to run: kernels in order, each with its operands and results at fixed places.
///
/// Views take no memory. Intermediate values lie in the arena; two share bytes when their lifetimes do not meet.
/// Outputs lie in tensors of their own. New values of inputs are written in place where the schedule says so.
/// The first such write is the commit point: what may refuse the step comes before it, so that a run
/// that fails leaves no trace.
package final class Plan: StepPlan {
  private struct Step {
    let op: any TensorOp
    var operands: [TensorView]
    var results: [TensorView]
    let origin: Origin
  }

  /// Where a value lies.
  private enum Place {
    case input(Int)
    case constant(Tensor)
    case buffer(Int)
    case output(Int)
  }

  private struct Location {
    let place: Place
    let layout: Layout
  }

  /// A view to be pointed at memory that is known at each run only.
  private struct Patch {
    let step: Int
    let position: Int
    let isResult: Bool
    /// The input or output, or 0 for the arena.
    let index: Int
    let byteOffset: Int
  }

  package let graph: Graph
  package private(set) var ledger: Ledger
  /// Where its part of the arena begins, in bytes.
  private let arenaOffset: Int
  /// The first step that writes an input; the step count where none does.
  package private(set) var commitStep: Int
  private var steps: [Step] = []
  private var inputPatches: [Patch] = []
  private var outputPatches: [Patch] = []
  private var arenaPatches: [Patch] = []
  private var arenaBase: UnsafeMutableRawPointer?
  private var locations: [Location?]
  private var buffers: [ArenaBuffer] = []
  /// The graph's outputs that a step writes where they will stay; the others are copied.
  private var directOutputs: [Int?]
  private var assertions: [Int] = []
  /// Whether any kernel reads or writes an input.
  private(set) var isUsed: [Bool] = []
  /// Constants that kernels read.
  private(set) var usedConstants: [Tensor] = []
  /// The ledger's entries of what kernels make.
  private(set) var madeEntries: [Ledger.Entry] = []
  package private(set) var measuredScratchByteCount = 0
  package var products: (all: Int, rebuilt: Int) { graph.products }
  package var arithmetic: (all: Double, rebuilt: Double) { graph.arithmetic }
  package func seconds(_ costs: CostTable) -> Double { graph.nodes.reduce(0) { $0 + costs.seconds($1) } }
  package func work(_ costs: CostTable) -> [KernelWork] {
    graph.nodes.filter { !$0.isView }.map { KernelWork($0, costs) } + [.none]
  }
  /// The category of each step's results.
  private(set) var resultCategories: [[MemoryCategory]] = []

  /// - Parameters:
  ///   - graph: a scheduled graph; its order is kept.
  ///   - arenaOffset: where its part of the arena begins, in bytes.
  /// - Throws: `OpRejection` with code `out-of-memory` where a value has more bytes than the machine could ever hold.
  package init(_ graph: Graph, inputs roles: [InputRole] = [], arenaOffset: Int = 0) throws {
    self.graph = graph
    self.arenaOffset = arenaOffset
    locations = Array(repeating: nil, count: graph.values.count)
    directOutputs = Array(repeating: nil, count: graph.outputs.count)
    commitStep = 0
    ledger = Ledger(entries: [], steps: [], arenaByteCount: 0, arenaLowerBound: 0, scratchByteCount: 0)
    var lives = Lifetimes(graph)
    isUsed = graph.inputs.map { lives.last[$0.id] >= 0 }
    try placeValues(&lives)
    try verifyCommitPoint(lives)
    let (byteCount, lowerBound) = packArena(&buffers)
    arenaPatches = arenaPatches.map {
      Patch(
        step: $0.step, position: $0.position, isResult: $0.isResult, index: 0,
        byteOffset: buffers[$0.index].offset + $0.byteOffset)
    }
    for (index, effect) in graph.effects.enumerated() {
      if case .assertion = effect.kind { assertions.append(index) }
    }
    for (id, value) in graph.values.enumerated() where lives.last[id] >= 0 {
      if case .constant(let tensor) = value.definition { usedConstants.append(tensor) }
    }
    madeEntries = entriesOfResults(lives)
    ledger = Ledger(
      entries: entriesOfInputs(lives, roles) + madeEntries, steps: ledgerSteps(), arenaByteCount: byteCount,
      arenaLowerBound: lowerBound,
      scratchByteCount: steps.map { $0.op.scratchByteCount($0.operands, $0.results) }.max() ?? 0)
  }

  // MARK: Planning

  /// When values are made and last read, by the value that is looked at through views, in steps with kernels.
  private struct Lifetimes {
    let base: [Int]
    var first: [Int]
    var last: [Int]
    /// Whether bytes were handed on to a result of the last reader.
    var isTakenOver: [Bool]
    let stepCount: Int

    init(_ graph: Graph) {
      base = graph.viewBases()
      first = Array(repeating: -1, count: graph.values.count)
      last = Array(repeating: -1, count: graph.values.count)
      isTakenOver = Array(repeating: false, count: graph.values.count)
      var step = 0
      for node in graph.nodes where !node.isView {
        // Of an operand without elements nothing is read.
        for operand in node.operands where operand.type.elementCount > 0 { last[base[operand.id]] = step }
        for result in node.results {
          first[result.id] = step
          last[result.id] = step
        }
        step += 1
      }
      stepCount = step
      // What leaves is read, or copied, by one more step behind all others; inputs that change stay to the end.
      for value in graph.leavingValues where value.type.elementCount > 0 { last[base[value.id]] = step }
      for write in graph.writes { last[graph.inputs[write.input].id] = step }
    }
  }

  private func placeValues(_ lives: inout Lifetimes) throws {
    for (id, value) in graph.values.enumerated() {
      switch value.definition {
      case .input(let index):
        locations[id] = Location(place: .input(index), layout: Layout(contiguous: value.type.shape))
      case .constant(let tensor):
        locations[id] = Location(place: .constant(tensor), layout: tensor.layout)
      case .result: break
      }
    }
    var inputOf: [Int: Int] = [:]
    for write in graph.writes where write.isInPlace { inputOf[write.value.id] = write.input }
    var outputOf: [Int: Int] = [:]
    for (index, output) in graph.outputs.enumerated() where outputOf[output.id] == nil {
      outputOf[output.id] = index
    }
    var commit: Int?
    for node in graph.nodes {
      if let view = node.op as? any ViewOp {
        let operand = locations[node.operands[0].id]!
        guard let layout = view.layout(of: operand.layout) else {
          throw InternalError("plan", "\(type(of: view).name) finds no layout for its operand")
        }
        locations[node.results[0].id] = Location(place: operand.place, layout: layout)
        continue
      }
      let step = steps.count
      var taken = Set<Int>()
      for (position, result) in node.results.enumerated() {
        let place: Place
        if let input = inputOf[result.id] {
          place = .input(input)
          commit = commit ?? step
        } else if let output = outputOf[result.id] {
          try EagerEvaluator.checkCountable(result.type)
          place = .output(output)
          directOutputs[output] = result.id
        } else if let operand = node.overwritableOperands(lives.base, byResult: position).first(where: { operand in
          guard case .buffer? = locations[operand]?.place else { return false }
          return lives.last[operand] == step && !taken.contains(operand)
            && graph.values[operand].type.byteCount == result.type.byteCount
        }), case .buffer(let buffer)? = locations[operand]?.place {
          taken.insert(operand)
          lives.isTakenOver[operand] = true
          place = .buffer(buffer)
        } else {
          try EagerEvaluator.checkCountable(result.type)
          buffers.append(ArenaBuffer(byteCount: result.type.byteCount, first: step, last: step))
          place = .buffer(buffers.count - 1)
        }
        if case .buffer(let buffer) = place {
          buffers[buffer].last = max(buffers[buffer].last, lives.last[result.id])
        }
        locations[result.id] = Location(place: place, layout: Layout(contiguous: result.shape))
      }
      steps.append(
        Step(
          op: node.op,
          operands: node.operands.enumerated().map { view($1, step, $0, isResult: false) },
          results: node.results.enumerated().map { view($1, step, $0, isResult: true) },
          origin: node.origin))
    }
    commitStep = commit ?? steps.count
  }

  /// Checks what the schedule promises: nothing behind the commit point can refuse the step.
  /// - Throws: `InternalError`: a violation is our bug.
  private func verifyCommitPoint(_ lives: Lifetimes) throws {
    struct Check: Hashable {
      let value: Int
      let allowed: AllowedIndices
    }
    var checked = Set<Check>()
    var step = 0
    for node in graph.nodes where !node.isView {
      let types = node.operands.map(\.type)
      if node.op.mayRefuse(types) {
        let check = (node.op as? any IndexCheckingOp)?.indexCheck(types).map {
          Check(value: node.operands[$0.operand].id, allowed: $0.allowed)
        }
        let isNew = check.map { checked.insert($0).inserted } ?? true
        if isNew && step >= commitStep {
          throw InternalError("plan", "\(type(of: node.op).name) may refuse the step behind its commit point")
        }
      }
      step += 1
    }
    for case .assertion(let value) in graph.effects.map(\.kind) where lives.first[lives.base[value.id]] >= commitStep {
      throw InternalError("plan", "an assertion is decided behind the commit point")
    }
  }

  /// A view of a value; a patch gives it its address where that is not known yet.
  private func view(_ value: GraphValue, _ step: Int, _ position: Int, isResult: Bool) -> TensorView {
    let location = locations[value.id]!
    let byteOffset = location.layout.offset * value.dtype.byteCount
    func patch(_ index: Int) -> Patch {
      Patch(step: step, position: position, isResult: isResult, index: index, byteOffset: byteOffset)
    }
    var base = UnsafeMutableRawPointer(bitPattern: Storage.alignment)!
    switch location.place {
    case .constant(let tensor): base = tensor.storage.base + byteOffset
    case .input(let index): inputPatches.append(patch(index))
    case .output(let index): outputPatches.append(patch(index))
    case .buffer(let index): arenaPatches.append(patch(index))
    }
    return TensorView(
      base: base, dtype: value.dtype, shape: location.layout.shape.sizes, strides: location.layout.strides)
  }

  // MARK: The ledger

  private func ledgerSteps() -> [Ledger.Step] {
    steps.map { step in
      Ledger.Step(
        op: (step.op as? any FusedOp)?.summary ?? type(of: step.op).name, origin: step.origin)
    } + [Ledger.Step(op: "results", origin: steps.last?.origin ?? Origin(site: nil))]
  }

  private func entriesOfInputs(_ lives: Lifetimes, _ roles: [InputRole]) -> [Ledger.Entry] {
    var entries: [Ledger.Entry] = []
    for (id, value) in graph.values.enumerated() where lives.last[id] >= 0 {
      let role: InputRole
      switch value.definition {
      case .input(let index):
        role = index < roles.count ? roles[index] : InputRole(.inputs, name: "input \(index)")
      case .constant: role = InputRole(.captured, name: "constant")
      case .result: continue
      }
      entries.append(
        Ledger.Entry(
          name: role.name, category: role.category, type: value.type, phase: .forward, site: nil, first: 0,
          last: steps.count))
    }
    return entries
  }

  private func entriesOfResults(_ lives: Lifetimes) -> [Ledger.Entry] {
    let end = steps.count
    var entries: [Ledger.Entry] = []
    // Who reads a value, by phase.
    var readLater = [Bool](repeating: false, count: graph.values.count)
    for node in graph.nodes where !node.isView && node.origin.phase != .forward {
      for operand in node.operands { readLater[lives.base[operand.id]] = true }
    }
    var gradientPaths: [Int: String] = [:]
    for gradient in graph.gradients { gradientPaths[lives.base[gradient.value.id]] = gradient.path }
    let written = Set(graph.writes.filter(\.isInPlace).map(\.value.id))
    for node in graph.nodes where !node.isView {
      var categories: [MemoryCategory] = []
      for (position, result) in node.results.enumerated() {
        let origin = (node.op as? any FusedOp)?.origin(ofResult: position) ?? node.origin
        let category: MemoryCategory
        if case .output? = locations[result.id]?.place {
          category = .outputs
        } else if gradientPaths[result.id] != nil {
          category = .gradients
        } else if origin.phase == .forward && readLater[result.id] {
          category = .activations
        } else {
          category = .temporaries
        }
        categories.append(category)
        if written.contains(result.id) { continue }
        let path = gradientPaths[result.id] ?? origin.path
        entries.append(
          Ledger.Entry(
            name: path.isEmpty ? name(of: node, position) : path, category: category, type: result.type,
            phase: origin.phase, site: origin.site, first: lives.first[result.id],
            last: lives.isTakenOver[result.id] ? lives.last[result.id] - 1 : isOutput(result) ? end : lives.last[result.id]))
      }
      resultCategories.append(categories)
    }
    // What is copied out when all kernels have run.
    for (index, output) in graph.outputs.enumerated() where directOutputs[index] == nil {
      entries.append(
        Ledger.Entry(
          name: "output", category: .outputs, type: output.type, phase: .forward, site: nil, first: end,
          last: end))
    }
    for case .report(let values, _) in graph.effects.map(\.kind) {
      for value in values {
        entries.append(
          Ledger.Entry(
            name: "print", category: .outputs, type: value.type, phase: .forward, site: nil, first: end,
            last: end))
      }
    }
    return entries
  }

  private func isOutput(_ value: GraphValue) -> Bool {
    if case .output? = locations[value.id]?.place { return true }
    return false
  }

  private func name(of node: Graph.Node, _ result: Int) -> String {
    (node.op as? any FusedOp)?.name(ofResult: result) ?? type(of: node.op).name
  }

  // MARK: Running

  package func run(
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, in arena: Arena, observer: (any RunObserver)? = nil,
    request: () -> StopRequest = { .none }, report: (Int, [Tensor]) -> Void = { _, _ in }
  ) throws -> [Tensor] {
    arena.reserve(arenaOffset + ledger.arenaByteCount)
    Scratch.reserve(bytesPerThread: ledger.scratchByteCount)
    let base = arena.storage.base + arenaOffset
    if arenaBase != base {
      for patch in arenaPatches { point(patch, at: base) }
      arenaBase = base
    }
    for patch in inputPatches { point(patch, at: inputs[patch.index]) }
    var outputs: [Tensor?] = Array(repeating: nil, count: graph.outputs.count)
    for (index, value) in directOutputs.enumerated() where value != nil {
      outputs[index] = Tensor(uninitialized: graph.outputs[index].type)
    }
    for patch in outputPatches { point(patch, at: outputs[patch.index]!.storage.base) }

    if observer != nil { Scratch.resetHighWater() }
    defer { ProductBreak.allow(false) }
    for index in steps.indices {
      if index == commitStep { try checkAssertions(inputs, outputs, arena) }
      switch request() {
      case .none: break
      case .soon: if index <= commitStep { throw Interrupted() }
      case .now: if index <= commitStep { throw Interrupted() } else { throw Torn() }
      }
      observer?.willRun(step: index, reads: steps[index].operands, writes: steps[index].results)
      ProductBreak.allow(index < commitStep)
      do {
        try steps[index].op.run(steps[index].operands, into: steps[index].results)
      } catch {
        let origin =
          (steps[index].op as? any FusedOp).map { $0.origin(of: error) } ?? steps[index].origin
        throw PlacedFault(error: error, origin: origin)
      }
      if ProductBreak.takeHappened() { throw Interrupted() }
      observer?.didRun(step: index)
    }
    if commitStep == steps.count { try checkAssertions(inputs, outputs, arena) }
    if observer != nil { measuredScratchByteCount = Scratch.highWater }
    return finish(inputs, outputs, arena, observer, report)
  }

  @inline(__always)
  private func point(_ patch: Patch, at base: UnsafeMutableRawPointer) {
    if patch.isResult {
      steps[patch.step].results[patch.position].base = base + patch.byteOffset
    } else {
      steps[patch.step].operands[patch.position].base = base + patch.byteOffset
    }
  }

  private func checkAssertions(
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ outputs: [Tensor?], _ arena: Arena
  ) throws {
    for index in assertions {
      guard case .assertion(let value) = graph.effects[index].kind else { continue }
      if copy(of: view(of: value, inputs, outputs, arena)).doubles().contains(0) {
        throw AssertionFault(effect: index)
      }
    }
  }

  /// What happens when all kernels have run: copies of what lies elsewhere, and prints.
  private func finish(
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ direct: [Tensor?], _ arena: Arena,
    _ observer: (any RunObserver)?, _ report: (Int, [Tensor]) -> Void
  ) -> [Tensor] {
    var outputs = direct
    var copies: [Tensor] = []
    func copied(_ value: GraphValue) -> Tensor {
      let tensor = copy(of: view(of: value, inputs, direct, arena))
      if observer != nil { copies.append(tensor) }
      return tensor
    }
    for (index, value) in graph.outputs.enumerated() where outputs[index] == nil { outputs[index] = copied(value) }
    for effect in graph.effects {
      if case .report(let values, let slot) = effect.kind {
        report(slot, values.map(copied))
      }
    }
    for write in graph.writes where !write.isInPlace {
      copyRegion(view(of: write.value, inputs, direct, arena), into: contiguousView(write.value.type, at: inputs[write.input]))
    }
    if let observer { show(observer, inputs, direct, copies, arena) }
    return outputs.map { $0! }
  }

  /// Tells an observer what lies where at the end, and what was copied.
  private func show(
    _ observer: any RunObserver, _ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ direct: [Tensor?], _ copies: [Tensor],
    _ arena: Arena
  ) {
    func source(_ value: GraphValue) -> TensorView { view(of: value, inputs, direct, arena) }
    var reads = zip(graph.outputs, direct).map { value, tensor in tensor?.view ?? source(value) }
    for effect in graph.effects {
      switch effect.kind {
      case .assertion(let value): reads.append(source(value))
      case .report(let values, _): reads += values.map(source)
      }
    }
    for write in graph.writes {
      let target = contiguousView(write.value.type, at: inputs[write.input])
      reads += write.isInPlace ? [target] : [source(write.value), target]
    }
    observer.willRun(step: steps.count, reads: reads, writes: copies.map(\.view))
    observer.didRun(step: steps.count)
  }

  private func contiguousView(_ type: TensorType, at base: UnsafeMutableRawPointer) -> TensorView {
    TensorView(
      base: base, dtype: type.dtype, shape: type.shape.sizes, strides: type.shape.contiguousStrides)
  }

  private func view(
    of value: GraphValue, _ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ outputs: [Tensor?], _ arena: Arena
  ) -> TensorView {
    let location = locations[value.id]!
    let base: UnsafeMutableRawPointer
    switch location.place {
    case .input(let index): base = inputs[index]
    case .constant(let tensor): base = tensor.storage.base
    case .buffer(let index): base = arena.storage.base + arenaOffset + buffers[index].offset
    case .output(let index): base = outputs[index]!.storage.base
    }
    return TensorView(
      base: base + location.layout.offset * value.dtype.byteCount, dtype: value.dtype,
      shape: location.layout.shape.sizes, strides: location.layout.strides)
  }

  private func copy(of view: TensorView) -> Tensor {
    let result = Tensor(uninitialized: TensorType(view.dtype, Shape(view.shape)))
    copyRegion(view, into: result.view)
    return result
  }

  // MARK: Measuring

  package func usage(
    measuredBy recorder: TouchRecorder, inputs: UnsafePointer<UnsafeMutableRawPointer>, roles: [InputRole]
  ) -> MemoryUsage {
    var residents: [(start: UInt, byteCount: Int, category: MemoryCategory)] = []
    for (index, input) in graph.inputs.enumerated() where isUsed[index] && input.type.byteCount > 0 {
      residents.append(
        (
          UInt(bitPattern: inputs[index]), input.type.byteCount,
          index < roles.count ? roles[index].category : .inputs
        ))
    }
    for value in graph.values {
      if case .constant(let tensor) = value.definition, value.type.byteCount > 0 {
        let start = UInt(bitPattern: tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount)
        residents.append((start, value.type.byteCount, .captured))
      }
    }
    return recorder.usage(residents: residents) { step, result in
      step < resultCategories.count ? resultCategories[step][result] : .outputs
    }
  }

  package var stepCount: Int { steps.count }
}
