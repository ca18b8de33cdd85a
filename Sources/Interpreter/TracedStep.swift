import Execution
import Glibc
import Graphs
import Ops
import Passes
import Support
import Tensors

/// A step traced for one kind of arguments: the plan, what it took for granted, and what it changes.
final class TracedStep {
  let sources: [(source: Source, pattern: Pattern)]
  let numberGuards: [(value: GraphValue, expected: Tensor)]
  let name: String
  let plan: any StepPlan
  /// What each input stands for.
  let roles: [InputRole]
  /// What the first run held, from what kernels touched.
  private(set) var measurement: Measurement?

  /// For other ways to run the step; nil where it has a checkpointing of its own.
  let draft: StepDraft?
  /// The ways to run the step that were found, by whether pieces of its batch are among them.
  private var knownWays: [Bool: WaysToRun] = [:]
  /// The graph before any pass, which may drop what only the guards need; empty without guards.
  private let guardGraph: Graph
  private let feeds: [InputFeed]
  private let result: ResultShape
  /// Inputs by the order of feeds: where each lies in the call under way, and room for numbers.
  private let bases: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private let numbers: UnsafeMutablePointer<Int>
  /// Whether the step writes an input in place, so that nobody else may hold its storage.
  private let isWritten: [Bool]
  private let inputTypes: [TensorType]
  /// Tensors of the call under way that only the call holds.
  private var held: [Tensor] = []
  private var leaves: [Value] = []
  private let updates: [(slot: OptimizerSlot, tests: Range<Int>)]
  private let prints: [[TextPiece]]
  private let assertions: [(message: String, site: Site)]
  private let usesRandom: Bool
  /// The loss scale that the step reads and moves.
  let scaler: LossScaler?
  /// Tests of gradients, of each `minimize` one; before the counts they are the last outputs.
  private let testCount: Int
  /// The paths of the gradients whose counts are the last outputs.
  private let overflowPaths: [String]
  private let freezeEpoch: Int

  /// How outputs become the value that the step returns.
  private indirect enum ResultShape {
    case output(Int, isNumber: Bool, made: Site?)
    case constant(Value)
    case list([ResultShape])
    case record([String?], [ResultShape])
    /// A string whose values the outputs from the n-th on fill in.
    case text([TextPiece], Range<Int>)
  }

  /// What a run held beside what was planned.
  struct Measurement {
    let usage: MemoryUsage
    /// Scratch of the thread that used most.
    let scratchByteCount: Int
    /// By how much the process grew in memory.
    let residentGrowth: Int
  }

  /// A step as recorded on rows of its batch.
  struct Recording {
    let trace: Trace
    let result: Value
    let rowCount: Int
  }

  /// - Parameters:
  ///   - whole: the step as recorded on its arguments.
  ///   - pieces: the same on fewer rows, for each number of rows that a piece has; empty where the batch stays whole.
  ///   - isTrial: whether pieces with statistics of their own are refused.
  init(
    _ whole: Recording, pieces: [Recording], name: String, policy: StepPolicy, isTrial: Bool, at site: Site
  ) throws(Failure) {
    let trace = whole.trace
    self.name = name
    freezeEpoch = trace.interpreter.freezeEpoch
    sources = trace.sources
    numberGuards = trace.numberGuards
    guardGraph = trace.numberGuards.isEmpty ? Graph() : trace.builder.graph
    feeds = trace.feeds
    prints = trace.prints
    assertions = trace.assertions
    updates = trace.updates
    usesRandom = trace.feeds.contains { if case .randomKey = $0 { true } else { false } }
    roles = trace.feeds.map { trace.role(of: $0) }
    scaler = trace.overflow == nil ? nil : trace.scaler
    testCount = trace.tests.count
    overflowPaths = trace.overflow?.counts.map(\.path) ?? []

    let (recorded, shape) = try TracedStep.graph(of: whole, at: site)
    result = shape
    do {
      let draft =
        pieces.isEmpty
        ? try StepDraft(recorded, inputs: roles)
        : try TracedStep.cut(recorded, whole, pieces, policy, isTrial: isTrial, roles: roles, at: site)
      plan = try draft.plan(policy.checkpointing)
      self.draft = policy.checkpointing == .none ? draft : nil
    } catch {
      throw Failure.from(error, at: site)
    }
    let graph = recorded
    let written = Set(graph.writes.map(\.input))
    isWritten = graph.inputs.indices.map { written.contains($0) }
    inputTypes = graph.inputs.map(\.type)
    (bases, numbers) = TracedStep.room(for: graph.inputs.count)
  }

  /// A step under a checkpointing.
  ///
  /// - Parameter other: the step without.
  init(_ other: TracedStep, _ checkpointing: Checkpointing, at site: Site) throws(Failure) {
    do { plan = try other.draft!.plan(checkpointing) } catch { throw Failure.from(error, at: site) }
    draft = nil
    name = other.name
    sources = other.sources
    numberGuards = other.numberGuards
    guardGraph = other.guardGraph
    feeds = other.feeds
    roles = other.roles
    result = other.result
    updates = other.updates
    testCount = other.testCount
    prints = other.prints
    assertions = other.assertions
    usesRandom = other.usesRandom
    scaler = other.scaler
    overflowPaths = other.overflowPaths
    freezeEpoch = other.freezeEpoch
    isWritten = other.isWritten
    inputTypes = other.inputTypes
    (bases, numbers) = TracedStep.room(for: inputTypes.count)
  }

  /// Room for where inputs lie, and for inputs that are numbers: the random key is two of them.
  private static func room(
    for inputCount: Int
  ) -> (UnsafeMutablePointer<UnsafeMutableRawPointer>, UnsafeMutablePointer<Int>) {
    let count = max(inputCount, 1)
    let bases = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: count)
    bases.initialize(repeating: UnsafeMutableRawPointer(bitPattern: Storage.alignment)!, count: count)
    let numbers = UnsafeMutablePointer<Int>.allocate(capacity: 2 * count)
    numbers.initialize(repeating: 0, count: 2 * count)
    return (bases, numbers)
  }

  /// The pieces that the batch is taken in.
  var pieceCount: Int { (plan as? AccumulatedPlan)?.pieces.count ?? 1 }

  deinit {
    bases.deallocate()
    numbers.deallocate()
  }

  /// What a step computes, before any pass, and how its outputs become the value that it returns.
  private static func graph(of recording: Recording, at site: Site) throws(Failure) -> (Graph, ResultShape) {
    let trace = recording.trace
    try requireWalkable(recording.result, at: site)
    var outputs: [GraphValue] = []
    let shape = try shape(recording.result, trace, &outputs, at: site)
    if let overflow = trace.overflow { outputs += overflow.isFinite + overflow.counts.map(\.count) }
    do { try trace.guardBuffers() } catch { throw Failure.from(error, at: site) }
    var graph = trace.builder.graph
    graph.outputs = outputs
    for (id, value) in trace.parameterWrites.sorted(by: {
      trace.inputIndex(of: trace.parameters[$0.key]!) < trace.inputIndex(of: trace.parameters[$1.key]!)
    }) {
      graph.writes.append(.init(input: trace.inputIndex(of: trace.parameters[id]!), value: value))
    }
    for write in trace.stateWrites { graph.writes.append(.init(input: write.input, value: write.value)) }
    // Buffers of models that turn out to be in use, not in training, stay as they are.
    let training = resolveModes(&graph, trained: trace.trainedValues)
    let owners = Set(training.compactMap { trace.modeOwners[$0].map(ObjectIdentifier.init) })
    let undecided = Set(trace.modeOwners.values.map(ObjectIdentifier.init))
    var buffers: [Int: GraphValue] = [:]
    for write in trace.bufferWrites where trace.minimizations > 0 {
      let owner = ObjectIdentifier(write.owner)
      if undecided.contains(owner) && !owners.contains(owner) { continue }
      buffers[trace.inputIndex(of: write.parameter)] = write.value
    }
    for (input, value) in buffers.sorted(by: { $0.key < $1.key }) {
      graph.writes.append(.init(input: input, value: value))
    }
    return (graph, shape)
  }

  /// A step that runs in pieces of its batch.
  private static func cut(
    _ recorded: Graph, _ whole: Recording, _ pieces: [Recording], _ policy: StepPolicy, isTrial: Bool,
    roles: [InputRole], at site: Site
  ) throws -> StepDraft {
    var graphs: [(rowCount: Int, graph: Graph)] = []
    for piece in pieces { graphs.append((piece.rowCount, try graph(of: piece, at: site).0)) }
    let parameters = Set(
      whole.trace.feeds.indices.filter { index in
        if case .parameter(let parameter) = whole.trace.feeds[index] { return !parameter.isBuffer }
        return false
      })
    var sections = try cutBatch(
      recorded, rowCount: whole.rowCount, pieces: graphs, parameters: parameters, losses: whole.trace.trainedValues)
    let rows = rowRanges(whole.rowCount, pieceCount: policy.pieceCount)
    sections.pieces.removeAll { piece in !rows.contains { $0.count == piece.rowCount } }
    if sections.hasOwnStatistics {
      let word = "each of the \(policy.pieceCount) pieces takes its own batch statistics"
      if isTrial { throw Failure("batch-statistics", word, at: site) }
      whole.trace.interpreter.output.report(
        Diagnostic(
          .note, "batch-statistics", word, at: site,
          notes: ["their running means are moved once a step, by the mean over the pieces"]))
    }
    return try StepDraft(
      sections, rows: rows, inputs: recorded.inputs.map(\.type), roles: roles)
  }

  private static func shape(
    _ value: Value, _ trace: Trace, _ outputs: inout [GraphValue], at site: Site
  ) throws(Failure) -> ResultShape {
    switch value {
    case .tensor(let tensor):
      guard tensor.isTraced, tensor.trace === trace else { return .constant(value) }
      outputs.append(tensor.value!)
      return .output(outputs.count - 1, isNumber: tensor.isNumber, made: tensor.made)
    case .string(let string):
      if string.known != nil { return .constant(value) }
      let first = outputs.count
      outputs += string.pieces.flatMap(\.values)
      return .text(string.pieces, first..<outputs.count)
    case .list(let list):
      var shapes: [ResultShape] = []
      for item in list.items { shapes.append(try shape(item, trace, &outputs, at: site)) }
      return .list(shapes)
    case .record(let record):
      var shapes: [ResultShape] = []
      for item in record.items { shapes.append(try shape(item, trace, &outputs, at: site)) }
      return .record(record.names, shapes)
    case .callable(let callable) where callable.isFunction:
      let function = unsafeDowncast(callable, to: FunctionValue.self)
      if function.captured.contains(where: { $0.trace == trace.serial }) {
        throw Failure(
          "escaped-value", "a step cannot return a function that it made", at: site)
      }
      return .constant(value)
    default: return .constant(value)
    }
  }

  /// The ways to run the step, found once; of a step without checkpointing.
  ///
  /// - Parameters:
  ///   - areInPieces: whether pieces of the batch are a choice.
  ///   - pieces: the step in pieces.
  func ways(
    _ costs: CostTable, areInPieces: Bool, at site: Site, pieces: () throws(Failure) -> StepInPieces
  ) throws(Failure) -> WaysToRun {
    if let known = knownWays[areInPieces], known.frontier.costs == costs { return known }
    guard let draft else { throw Failure("internal", "a frontier of a step with checkpointing", at: site) }
    let pieces = areInPieces ? try pieces() : StepInPieces()
    do {
      let ways = WaysToRun(
        frontier: try Frontier(draft, orInPieces: pieces.steps.map { $0.draft! }, costs, request: { Interpreter.stopRequest }),
        pieces: pieces)
      knownWays[areInPieces] = ways
      return ways
    } catch is Interrupted {
      throw Failure.interrupted(at: site)
    } catch { throw Failure.from(error, at: site) }
  }

  // MARK: Binding

  /// Points the plan's inputs at a call's arguments and at what it reads besides; false where the plan does not
  /// fit them. Nothing but the step's own room for numbers changes, except that what is written gets storage of its own.
  func bind(_ arguments: [Value], _ captured: [Cell], _ interpreter: Interpreter) -> Bool {
    if interpreter.freezeEpoch != freezeEpoch { return false }
    leaves.removeAll(keepingCapacity: true)
    held.removeAll(keepingCapacity: true)
    for (source, pattern) in sources {
      if !pattern.match(source.value(arguments, captured, interpreter.globals), into: &leaves) { return false }
    }
    for index in feeds.indices {
      switch feeds[index] {
      case .leaf(let leaf): bind(leaves[leaf], index)
      case .parameter(let parameter):
        if parameter.tensor.type != inputTypes[index] { return false }
        if isWritten[index] { parameter.tensor.makeUnique() }
        bases[index] = parameter.tensor.firstElement
      case .state(let slot, let position):
        // That the parameter is still of the state's type, its own feed checks.
        slot.forgetStaleCompensation()
        guard !slot.isDropped, slot.states[position].type == inputTypes[index] else { return false }
        if isWritten[index] { slot.states[position].makeUnique() }
        bases[index] = slot.states[position].firstElement
      case .stepNumber(let slots):
        let next = slots[0].count + 1
        for slot in slots where slot.count + 1 != next || slot.isDropped { return false }
        bind(number: next, index)
      case .lossScale(let scaler): bases[index] = UnsafeMutableRawPointer(scaler.storage)
      case .randomKey:
        bind(number: interpreter.seed, index)
        numbers[2 * index + 1] = interpreter.tick
      }
    }
    return numberGuards.allSatisfy(holds)
  }

  /// Whether a number that shaped the trace is as it was then.
  private func holds(_ value: GraphValue, _ expected: Tensor) -> Bool {
    // Most are fields and arguments as they are, such as the sizes of a layer.
    if case .input(let input) = guardGraph.definition(of: value) {
      return memcmp(bases[input], expected.firstElement, value.type.byteCount) == 0
    }
    // A number that cannot be computed any more fits no plan: tracing again says why.
    let number = try? evaluateNumber(value, in: guardGraph) { value in
      guard case .input(let input) = guardGraph.definition(of: value), value.type.elementCount == 1 else {
        return nil
      }
      let copy = Tensor(uninitialized: value.type)
      copy.firstElement.copyMemory(from: bases[input], byteCount: value.type.byteCount)
      return copy
    }
    return number?.hasSameBits(as: expected) ?? false
  }

  private func bind(number: Int, _ index: Int) {
    numbers[2 * index] = number
    bases[index] = UnsafeMutableRawPointer(numbers + 2 * index)
  }

  private func bind(_ leaf: Value, _ index: Int) {
    switch leaf {
    case .int(let value): bind(number: value, index)
    case .double(let value): bind(number: Int(bitPattern: UInt(value.bitPattern)), index)
    case .tensor(let value):
      let tensor = value.tensor!.contiguous()
      held.append(tensor)
      bases[index] = tensor.firstElement
    default: bind(number: 0, index)
    }
  }

  // MARK: Running

  /// Runs the plan on what it was bound to.
  func run(_ interpreter: Interpreter, at site: Site) throws(Failure) -> Value {
    try refuseTorn(at: site)
    try refuseWithoutMemory(interpreter.arena, at: site)
    let recorder = measurement == nil ? TouchRecorder() : nil
    let residentBefore = recorder == nil ? 0 : residentByteCount()
    let outputs: [Tensor]
    do {
      outputs = try plan.run(
        bases, in: interpreter.arena, observer: recorder, request: { Interpreter.stopRequest },
        report: { slot, tensors in interpreter.printPieces(prints[slot], tensors) })
    } catch is Torn {
      interpreter.lastTraining = nil
      throw tear(at: site)
    } catch {
      throw failure(error, at: site)
    }
    if let recorder {
      let measured = Measurement(
        usage: plan.usage(measuredBy: recorder, inputs: bases, roles: roles),
        scratchByteCount: plan.measuredScratchByteCount, residentGrowth: residentByteCount() - residentBefore)
      measurement = measured
      if Machine.checksMemory, let difference = plan.ledger.difference(from: measured.usage, measured.scratchByteCount) {
        throw Failure("internal", "the memory of `\(name)` is not as planned: \(difference)", at: site)
      }
    }
    let tested = Array(outputs.suffix(testCount + overflowPaths.count))
    let areFinite = tested.prefix(testCount).map { $0.scalar != 0 }
    for update in updates where areFinite[update.tests].allSatisfy({ $0 }) { update.slot.count += 1 }
    if let update = updates.first { interpreter.lastTraining = (name, update.slot.count) }
    try moveScale(isFinite: areFinite.allSatisfy { $0 }, counts: tested[testCount...], at: site)
    if usesRandom { interpreter.tick &+= 1 }
    held.removeAll(keepingCapacity: true)
    leaves.removeAll(keepingCapacity: true)
    let value = value(result, outputs, interpreter)
    if !updates.isEmpty, let loss = TracedStep.loss(in: value) { interpreter.noteLoss(loss) }
    return value
  }

  /// The number that a training step gives: itself, or the first of several.
  private static func loss(in value: Value) -> Tensor? {
    switch value {
    case .tensor(let tensor) where tensor.type.elementCount == 1: tensor.tensor
    case .record(let record): (record["loss"] ?? record.items.first).flatMap { if case .tensor = $0 { loss(in: $0) } else { nil } }
    default: nil
    }
  }

  /// Counts a step with the loss scale.
  /// - Throws: where no scale helps any more.
  private func moveScale(isFinite: Bool, counts: ArraySlice<Tensor>, at site: Site) throws(Failure) {
    guard let scaler, !scaler.update(isFinite: isFinite) else { return }
    let counts = zip(overflowPaths, counts).map { (path: $0, count: $1.integerScalar) }
    let kept = "parameters and optimizer state are as before the step"
    throw Failure(
      "scale-too-small", "gradients overflow even with a loss scale of \(format(number: Double(LossScaler.floor)))", at: site,
      notes: [overflowText(counts), testCount == 1 ? kept : "where gradients overflow, " + kept],
      help: "look at the loss: it may be infinite or nan itself; or use `precision: bf16`, whose range is that of f32")
  }

  /// The error of a run in terms of the program.
  private func failure(_ error: any Error, at site: Site) -> Failure {
    let failure: Failure
    switch error {
    case is Interrupted, is Torn: return Failure.interrupted(at: site)
    case let fault as AssertionFault:
      let assertion = assertions[fault.effect]
      failure = assertionFailure(assertion.message, at: assertion.site)
    case let fault as PlacedFault:
      failure = Failure.from(fault.error, at: fault.origin.site ?? site)
      if let rows = fault.rows {
        failure.diagnostic.notes.append("this was in the piece of the batch that begins with row \(rows.lowerBound), where its rows count from 0")
      }
    default: return Failure.from(error, at: site)
    }
    failure.add(call: name, at: site)
    return failure
  }

  private func refuseTorn(at site: Site) throws(Failure) {
    if !ModelValue.isAnyTorn { return }
    for case .parameter(let parameter) in feeds {
      if let torn = parameter.home?.torn { throw Failure("torn-model", torn, at: site) }
    }
  }

  /// The bytes that the step may take in all: what is there already, and what is free.
  func memoryLimit(_ arena: Arena) -> Int {
    min(Machine.memoryLimit, plan.ledger.residentByteCount + arena.storage.byteCount + availableMemory())
  }

  /// Refuses a step that needs more memory than there is, before anything is computed.
  private func refuseWithoutMemory(_ arena: Arena, at site: Site) throws(Failure) {
    // What is free is asked for only where it may matter: that takes longer than a small step.
    let mayGrow = plan.growth(of: arena) > 1 << 20 || plan.ledger.outputByteCount > 1 << 26
    guard mayGrow || plan.totalByteCount > Machine.memoryLimit else { return }
    let limit = memoryLimit(arena)
    if plan.totalByteCount <= limit { return }
    throw Failure(
      "out-of-memory",
      "the step `\(name)` needs \(byteText(plan.totalByteCount)) in all, and \(byteText(max(limit, 0))) can be had",
      at: site, notes: MemoryReport(self).table + ["nothing has been computed"],
      help: fittingBatch(available: limit - plan.ledger.residentByteCount))
  }

  /// The number of rows with which the step would fit, where its memory grows with the first argument's.
  private func fittingBatch(available: Int) -> String? {
    guard let index = roles.firstIndex(where: { $0.category == .inputs }), let rows = inputTypes[index].shape.sizes.first,
      rows > 1
    else { return nil }
    // Some of it does not grow with the rows, so a little less than the share that is there.
    let perRow = plan.newByteCount / rows
    let fitting = perRow == 0 ? 0 : available / perRow * 7 / 8
    return fitting > 0
      ? "about \(fitting) rows of `\(roles[index].name)` at a time would fit, instead of \(rows)"
      : nil
  }

  /// The median time of a run on what the step was bound to, measured on copies of all that it writes. Prints are
  /// not repeated.
  func seconds(_ interpreter: Interpreter, at site: Site) throws(Failure) -> Double {
    let durations = try runsOnCopies(interpreter, at: site) { nil }.sorted()
    return durations[durations.count / 2]
  }

  /// The same kernel by kernel: several runs, each with the time that it took in all.
  func timedRuns(_ interpreter: Interpreter, at site: Site) throws(Failure) -> [(timer: StepTimer, seconds: Double)] {
    var timers: [StepTimer] = []
    let durations = try runsOnCopies(interpreter, at: site) {
      timers.append(StepTimer())
      return timers.last
    }
    return Array(zip(timers.suffix(durations.count), durations))
  }

  /// The times of runs on copies of all that the step writes, but for the first.
  private func runsOnCopies(
    _ interpreter: Interpreter, at site: Site, observer: () -> StepTimer?
  ) throws(Failure) -> [Double] {
    try refuseTorn(at: site)
    try refuseWithoutMemory(interpreter.arena, at: site)
    var copies: [Tensor] = []
    for index in feeds.indices where isWritten[index] {
      let copy = Tensor(uninitialized: inputTypes[index])
      copy.storage.base.copyMemory(from: bases[index], byteCount: copy.type.byteCount)
      bases[index] = copy.storage.base
      copies.append(copy)
    }
    // The next call binds anew.
    defer { withExtendedLifetime(copies) { held.removeAll() } }
    let clock = ContinuousClock()
    var durations: [Double] = []
    var total = 0.0
    // The first run touches pages and fills caches.
    for run in 0..<200 where run < 6 || total < 0.2 {
      let observer = observer()
      let start = clock.now
      do {
        _ = try plan.run(
          bases, in: interpreter.arena, observer: observer, request: { Interpreter.stopRequest }, report: { _, _ in })
      } catch {
        throw failure(error, at: site)
      }
      let seconds = start.duration(to: clock.now).inSeconds
      if run > 0 { durations.append(seconds) }
      total += seconds
      if total > 5 && run > 1 { break }
    }
    return durations
  }

  /// Marks what a run was stopped in the middle of writing.
  private func tear(at site: Site) -> Failure {
    let reason = "the step `\(name)` was stopped while it wrote to this model: some of it is new, some old"
    for (index, feed) in feeds.enumerated() where isWritten[index] {
      switch feed {
      case .parameter(let parameter): parameter.home?.tear(reason)
      case .state(let slot, _): slot.drop()
      case .leaf, .stepNumber, .randomKey, .lossScale: break
      }
    }
    let failure = Failure.interrupted(at: site)
    failure.diagnostic.message += " while the step `\(name)` wrote: load its model or make it anew"
    return failure
  }

  private func value(
    _ shape: ResultShape, _ outputs: [Tensor], _ interpreter: Interpreter
  ) -> Value {
    switch shape {
    case .output(let index, let isNumber, let made):
      return isNumber
        ? interpreter.hostNumber(outputs[index]) : .tensor(TensorValue(outputs[index], made: made))
    case .constant(let value): return value
    case .list(let shapes): return .list(shapes.map { value($0, outputs, interpreter) })
    case .record(let names, let shapes):
      return .record(
        RecordValue(names: names, items: shapes.map { value($0, outputs, interpreter) }))
    case .text(let pieces, let range):
      return .string(interpreter.text(of: pieces, outputs[range]))
    }
  }
}

extension Tensor {
  /// The address of the first element.
  var firstElement: UnsafeMutableRawPointer { storage.base + layout.offset * dtype.byteCount }

  /// Whether the first elements of two tensors of one dtype agree bit for bit: NaN is itself.
  func hasSameBits(as other: Tensor) -> Bool {
    memcmp(firstElement, other.firstElement, dtype.byteCount) == 0
  }

  /// Gives the tensor storage that nobody else holds, so that it may be written to.
  mutating func makeUnique() {
    if isKnownUniquelyReferenced(&storage), !storage.isBorrowed, layout.isContiguous { return }
    self = copiedForState()
  }

  /// Contiguous elements on storage that nobody shares.
  func copiedForState() -> Tensor {
    if storage.isPhantom { return .phantom(type) }
    let copy = Tensor(uninitialized: type)
    let source = contiguous()
    copy.storage.base.copyMemory(from: source.firstElement, byteCount: type.byteCount)
    return copy
  }
}

/// The rows of each of so many pieces of a batch: their numbers differ by one at most.
func rowRanges(_ rowCount: Int, pieceCount: Int) -> [Range<Int>] {
  (0..<pieceCount).map { rowCount * $0 / pieceCount..<rowCount * ($0 + 1) / pieceCount }
}
