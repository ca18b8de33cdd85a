import Execution
import Graphs
import Ops
import Passes
import Support
import Tensors

/// A `step`: a function that is traced once per kind of arguments and then runs as a plan.
package final class StepValue: Callable {
  let function: FunctionValue
  /// `with training: on`
  var mode: Mode = .undecided
  /// `with checkpoint: sqrt`
  var policy = StepPolicy()
  /// The loss scale of this step, and of no other way to run it.
  private(set) lazy var scaler = LossScaler()
  /// Shared by all steps of the declaration: a function that makes its step anew at each call finds its plans again.
  private var plans: PlanStore { function.template.plans }

  init(_ function: FunctionValue) {
    self.function = function
    super.init()
  }

  package override var name: String { function.name }
  package override var kind: String { "step" }
  package override var signature: String { function.signature }
  package override var documentation: String { function.documentation }
  package override var declaration: Site? { function.declaration }
  package override var parameterNames: [String]? { function.parameterNames }

  static let memberNames = ["scale", "scales", "skipped"]

  /// `scale`: the loss scale of the next step; `scales`: the history of it; `skipped`: the steps, counted from 1, that
  /// were not applied.
  func member(_ name: String) -> Value? {
    switch (name, policy.effectiveLossScaling) {
    case ("scale", .none): .double(1)
    case ("scale", .fixed(let scale)): .double(scale)
    case ("scale", .dynamic): .double(Double(scaler.scale))
    case ("scales", .dynamic): .object(ScaleCurve(scaler.history, next: scaler.scale, name: self.name))
    case ("skipped", .dynamic): .list(scaler.history.skipped.map { .int($0) })
    case ("scales", _): Value.none
    case ("skipped", _): .list([Value]())
    default: nil
    }
  }

  /// The same function, to be run in another way.
  func copy() -> StepValue { StepValue(function) }

  /// The step without a budget or checkpointing; what a budget may choose from stays.
  var plain: StepValue {
    let step = copy()
    step.mode = mode
    step.policy = policy
    step.policy.budget = nil
    step.policy.checkpointing = .none
    return step
  }

  /// The ways to run the step with these arguments; nothing runs.
  func frontier(for arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Frontier {
    let tick = interpreter.tick
    defer { interpreter.tick = tick }
    return try ways(for: bind(arguments, interpreter), arguments, interpreter, plain.policy).ways.frontier
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    // A step called inside a step or `grad` is part of it.
    if let trace = interpreter.trace, trace.isRecording {
      if !trace.isStep {
        throw Failure(
          "step-in-grad", "a step cannot be called inside `grad`", at: arguments.site,
          help: "put what it computes into a function")
      }
      return try function.call(arguments, interpreter)
    }
    let values = try bind(arguments, interpreter)
    if let abstract = interpreter.abstract { return try abstract.call(self, values, arguments) }
    return try plan(for: values, arguments, interpreter, policy).run(interpreter, at: arguments.site)
  }

  /// The plan for arguments, bound to them: one that fits, or a new one.
  private func plan(
    for values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy,
    isInspection: Bool = false
  ) throws(Failure) -> TracedStep {
    if let abstract = interpreter.abstract {
      guard abstract.plansSteps, let plan = try abstract.plan(self, values, arguments) else {
        throw .unchecked("it depends on the plan of a step", at: arguments.site)
      }
      return plan
    }
    let captured = function.captured
    if let plan = plans.first(where: {
      $0.mode == mode && $0.policy == policy && $0.owner === function.owner
        && ($0.step.scaler == nil || $0.step.scaler === scaler)
        && ($0.costs == nil || $0.costs == interpreter.costs) && $0.step.bind(values, captured, interpreter)
    }) {
      return plan
    }
    let plan = try newPlan(for: values, arguments, interpreter, policy, isInspection)
    let changes = plans.newest.map { self.changes(to: plan, from: $0) } ?? []
    // Under a budget the plan without one counts: any number of budgets share it.
    let counts = !isInspection && !policy.isChoice && !changes.isEmpty
    plans.keep(
      .init(
        step: plan, mode: mode, policy: policy, owner: function.owner,
        costs: policy.isChoice ? interpreter.costs : nil), counts: counts)
    if counts, plans.changeCount == 8, !function.template.declaration.site.file.isLibrary {
      interpreter.output.report(
        Diagnostic(
          .note, "retraced", "the step `\(name)` has been traced 9 times", at: arguments.site,
          notes: ["what changed last: " + changes.joined(separator: "; ")],
          help: "give it arguments of the same shapes, or use `where` instead of `if`"))
    }
    guard plan.bind(values, captured, interpreter) else {
      throw Failure("internal", "a fresh plan does not fit its own arguments", at: arguments.site)
    }
    return plan
  }

  private func newPlan(
    for values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy,
    _ isInspection: Bool
  ) throws(Failure) -> TracedStep {
    guard policy.isChoice else { return try trace(values, arguments, interpreter, policy) }
    // All budgets choose from what is found once, beside the plan without any.
    let budget: Int
    if let bytes = policy.budget {
      budget = bytes
    } else {
      let whole = try plan(for: values, arguments, interpreter, policy.withoutChoice, isInspection: isInspection)
      budget = whole.memoryLimit(interpreter.arena)
      if whole.plan.totalByteCount <= budget { return whole }
    }
    let (plain, ways) = try ways(for: values, arguments, interpreter, policy, isInspection: isInspection)
    guard let choice = ways.frontier.choice(within: budget) else {
      throw ways.frontier.doesNotFit(
        name, in: budget, policy.choosesPieces ? ways.pieces : try inPieces(for: values, arguments, interpreter, policy, limit: 8),
        isChoice: policy.choosesPieces, at: arguments.site)
    }
    if choice.pieceCount != plain.pieceCount {
      interpreter.output.report(
        Diagnostic(
          .note, "in-pieces",
          "`\(name)` takes its batch in \(choice.pieceCount) pieces, to stay within \(byteText(budget))", at: arguments.site,
          notes: ["the gradients are those of the whole batch; their sums are taken in another order"]))
    }
    let chosen = ways.pieces.steps.first { $0.pieceCount == choice.pieceCount } ?? plain
    return choice.checkpointing == .none ? chosen : try TracedStep(chosen, choice.checkpointing, at: arguments.site)
  }

  /// A step without checkpointing, and the ways to run it.
  private func ways(
    for values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy,
    isInspection: Bool = true
  ) throws(Failure) -> (plain: TracedStep, ways: WaysToRun) {
    let plain = try plan(for: values, arguments, interpreter, policy.withoutChoice, isInspection: isInspection)
    let ways = try plain.ways(interpreter.costs, areInPieces: policy.choosesPieces, at: arguments.site) { () throws(Failure) in
      try inPieces(for: values, arguments, interpreter, policy, limit: Int.max)
    }
    return (plain, ways)
  }

  /// The step in 2, 4, 8 pieces of its batch, and so on as long as bytes become fewer, where that is the same
  /// mathematics. Sums are then taken in another order, so that a budget chooses it only where it is told so.
  private func inPieces(
    for values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy, limit: Int
  ) throws(Failure) -> StepInPieces {
    var result = StepInPieces()
    if policy.pieceCount > 1 { return result }
    let tick = interpreter.tick
    defer { interpreter.tick = tick }
    var policy = policy.withoutChoice
    policy.pieceCount = 2
    while policy.pieceCount <= limit {
      try interpreter.checkInterrupt(at: arguments.site)
      do throws(Failure) {
        let step = try trace(values, arguments, interpreter, policy, isTrial: true)
        // What does not shrink with the rows is all that is left.
        if let last = result.steps.last, Double(step.plan.totalByteCount) > 0.99 * Double(last.plan.totalByteCount) { break }
        result.steps.append(step)
      } catch {
        result.refusal = error
        break
      }
      policy.pieceCount *= 2
    }
    return result
  }

  /// What `fit` reports of the step with these arguments; nothing runs.
  func fit(_ arguments: Arguments, _ interpreter: Interpreter, budget: Int?) throws(Failure) -> FitReport {
    let tick = interpreter.tick
    defer { interpreter.tick = tick }
    let values = try bind(arguments, interpreter)
    let (step, ways) = try ways(for: values, arguments, interpreter, policy)
    let pieces = policy.choosesPieces ? ways.pieces : try inPieces(for: values, arguments, interpreter, policy, limit: 8)
    return FitReport(step, ways.frontier, pieces, choosesPieces: policy.choosesPieces, budget: budget)
  }

  /// The plan that a call with these arguments would run; nothing runs.
  func plan(for arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> TracedStep {
    // First values of an optimizer's state may be random; looking on draws nothing.
    let tick = interpreter.tick
    defer { interpreter.tick = tick }
    return try plan(for: bind(arguments, interpreter), arguments, interpreter, policy, isInspection: true)
  }

  /// The precision of each op that a call with these arguments would run; nothing runs.
  func precisionTable(for arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> PrecisionTable {
    let tick = interpreter.tick
    defer { interpreter.tick = tick }
    let values = try bind(arguments, interpreter)
    return PrecisionTable(
      try record(values, arguments, interpreter, policy, isQuiet: true), heading: name, precision: policy.precision)
  }

  /// The type of what a call without arguments gives; nil where it cannot be traced. Nothing runs.
  func typeOfResult(_ interpreter: Interpreter) -> String? {
    let (tick, seed) = (interpreter.tick, interpreter.seed)
    defer { (interpreter.tick, interpreter.seed) = (tick, seed) }
    let arguments = Arguments(values: [], at: function.template.declaration.site)
    guard let recording = try? record([], arguments, interpreter, policy, isQuiet: true) else { return nil }
    return interpreter.typeText(of: recording.result)
  }

  /// Arguments by parameter, defaults filled in.
  private func bind(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> [Value] {
    let parameters = function.template.parameters
    let slotCount = function.template.body.slotCount
    let frame = try interpreter.push(slotCount, at: arguments.site)
    defer { interpreter.pop(frame, slotCount) }
    try parameters.bind(arguments, callee: name, into: frame)
    var values: [Value] = []
    for index in 0..<parameters.count {
      if case .list = frame[index], let tensor = try? interpreter.tensorValue(frame[index], at: arguments.site),
        tensor.tensor != nil
      {
        values.append(.tensor(tensor))
      } else {
        values.append(frame[index])
      }
    }
    return values
  }

  /// - Parameter isTrial: whether only what computes the same is wanted, and nothing said of it: then pieces with
  ///   statistics of their own are refused.
  func trace(
    _ values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy, isTrial: Bool = false
  ) throws(Failure) -> TracedStep {
    let cut = try policy.pieceCount > 1 ? batch(values, arguments, policy) : nil
    let whole = try record(values, arguments, interpreter, policy, rowCount: cut?.rowCount ?? 0, isQuiet: isTrial)
    var pieces: [TracedStep.Recording] = []
    if let cut {
      // Pieces may differ by a row. One row does not show where the batch is, so that two are looked at as well.
      var counts = Set(rowRanges(cut.rowCount, pieceCount: policy.pieceCount).map(\.count))
      if counts == [1], cut.rowCount > 2 { counts.insert(2) }
      for count in counts.sorted(by: >) {
        let part = try mapTensors(of: values, at: arguments.site) { index, tensor in
          cut.arguments.contains(index) && tensor.shape.sizes.first == cut.rowCount ? tensor.firstRows(count) : tensor
        }
        do {
          pieces.append(try record(part, arguments, interpreter, policy, rowCount: count, isQuiet: true))
        } catch {
          error.diagnostic.notes.append("the batch of \(cut.rowCount) rows is cut into \(policy.pieceCount) pieces; this came up with \(count) rows")
          throw error
        }
      }
    }
    return try TracedStep(whole, pieces: pieces, name: name, policy: policy, isTrial: isTrial, at: arguments.site)
  }

  /// The step as recorded on some arguments.
  func record(
    _ values: [Value], _ arguments: Arguments, _ interpreter: Interpreter, _ policy: StepPolicy, rowCount: Int = 0,
    isQuiet: Bool
  ) throws(Failure) -> TracedStep.Recording {
    let trace = Trace(interpreter, isStep: true, closingOver: function.captured)
    trace.isQuiet = isQuiet
    trace.builder.keepsIdentities = policy.pieceCount > 1
    trace.precision = policy.precision
    trace.lossScaling = policy.effectiveLossScaling
    if trace.lossScaling == .dynamic { trace.scaler = scaler }
    let outer = (interpreter.trace, interpreter.isCapturing, interpreter.mode, interpreter.precision)
    interpreter.trace = trace
    interpreter.isCapturing = true
    interpreter.mode = mode
    interpreter.precision = policy.precision
    defer {
      trace.finish()
      (interpreter.trace, interpreter.isCapturing, interpreter.mode, interpreter.precision) = outer
    }
    var traced: [Value] = []
    for (index, value) in values.enumerated() {
      traced.append(
        try trace.capture(
          .argument(index, name: function.template.parameters.names[index]), value, at: arguments.site))
    }
    let result = try function.callBody(Arguments(values: traced, at: arguments.site), interpreter)
    return TracedStep.Recording(trace: trace, result: result, rowCount: rowCount)
  }

  /// The number of rows of the batch, and the arguments that have it as their first axis.
  private func batch(
    _ values: [Value], _ arguments: Arguments, _ policy: StepPolicy
  ) throws(Failure) -> (rowCount: Int, arguments: Set<Int>) {
    let names = function.template.parameters.names
    var candidates = Array(values.indices)
    if let batch = policy.batch { candidates = batch.compactMap { names.firstIndex(of: $0) } }
    var rowCount: Int?
    for index in candidates where rowCount == nil {
      _ = try mapTensors(of: [values[index]], at: arguments.site) { _, tensor in
        if rowCount == nil, let first = tensor.shape.sizes.first { rowCount = first }
        return tensor
      }
      if policy.batch != nil && rowCount == nil {
        throw Failure("bad-batch", "`\(names[index])` has no rows to cut", at: arguments.site)
      }
    }
    guard let rowCount else {
      throw Failure(
        "bad-batch", "`accumulate` cuts a batch, but no argument of `\(name)` has an axis", at: arguments.site)
    }
    guard rowCount >= policy.pieceCount else {
      throw Failure(
        "bad-batch", "a batch of \(plural(rowCount, "row")) cannot be cut into \(policy.pieceCount) pieces", at: arguments.site)
    }
    if policy.batch != nil {
      for index in candidates {
        _ = try mapTensors(of: [values[index]], at: arguments.site) { (_, tensor) throws(Failure) in
          guard tensor.shape.sizes.first == rowCount else {
            throw Failure(
              "bad-batch", "`\(names[index])` is \(tensor.type), the batch has \(plural(rowCount, "row"))", at: arguments.site)
          }
          return tensor
        }
      }
    }
    return (rowCount, Set(candidates))
  }

  /// What a plan takes in other forms than the one before. Another model or function in a name's place is none.
  private func changes(to plan: TracedStep, from before: TracedStep) -> [String] {
    var changes: [String] = []
    for (old, new) in zip(before.sources, plan.sources) where old.source.name == new.source.name {
      if old.pattern.description != new.pattern.description {
        changes.append("`\(new.source.name)`: \(old.pattern.description), now \(new.pattern.description)")
      }
    }
    let (old, new) = (before.numberGuards.map(\.expected), plan.numberGuards.map(\.expected))
    if changes.isEmpty, !old.elementsEqual(new, by: { $0.type == $1.type && $0.hasSameBits(as: $1) }) {
      changes.append("a number that decides a shape, a range or an `if`")
    }
    return changes
  }
}

/// A step in pieces of its batch.
struct StepInPieces {
  /// Rising in pieces, falling in bytes.
  var steps: [TracedStep] = []
  /// Why there are no more pieces.
  var refusal: Failure?
}

/// The ways to run a step, and the step in the pieces that are among them.
struct WaysToRun {
  let frontier: Frontier
  let pieces: StepInPieces
}

/// The plans of a step's declaration, the least recently used first.
final class PlanStore {
  struct Entry {
    let step: TracedStep
    /// What its trace took for granted beside the sources.
    let mode: Mode
    let policy: StepPolicy
    let owner: ModelValue?
    /// What the plan was chosen by, where a budget chose it.
    let costs: CostTable?
  }
  private var entries: [Entry] = []
  private(set) var changeCount = 0
  /// Plans hold on to the models they were traced with, so not many are kept.
  private static let limit = 16

  var newest: TracedStep? { entries.last?.step }

  func keep(_ entry: Entry, counts: Bool) {
    if counts { changeCount += 1 }
    entries.append(entry)
    if entries.count > PlanStore.limit { entries.removeFirst() }
  }

  /// The plan that `fits`, which becomes the newest.
  func first(where fits: (Entry) -> Bool) -> TracedStep? {
    for index in entries.indices.reversed() where fits(entries[index]) {
      if index != entries.count - 1 { entries.append(entries.remove(at: index)) }
      return entries[entries.count - 1].step
    }
    return nil
  }
}

/// Values with other tensors in the place of theirs; `body` is told which of the values each belongs to.
private func mapTensors(
  of values: [Value], at site: Site, _ body: (Int, Tensor) throws(Failure) -> Tensor
) throws(Failure) -> [Value] {
  func map(_ value: Value, _ index: Int) throws(Failure) -> Value {
    switch value {
    case .tensor(let tensor):
      let phantom = tensor.isAbstract && !tensor.isNumber ? Tensor.phantom(tensor.type) : nil
      guard let real = tensor.tensor ?? phantom else { return value }
      let new = try body(index, real)
      return .tensor(TensorValue(new, made: tensor.made, isWholeList: tensor.isWholeList))
    case .list(let list):
      var items: [Value] = []
      for item in list.items { items.append(try map(item, index)) }
      return .list(ListValue(items, site: list.site))
    case .record(let record):
      var items: [Value] = []
      for item in record.items { items.append(try map(item, index)) }
      return .record(RecordValue(names: record.names, items: items))
    default: return value
    }
  }
  var result: [Value] = []
  for (index, value) in values.enumerated() {
    try requireWalkable(value, at: site)
    result.append(try map(value, index))
  }
  return result
}

extension Tensor {
  /// A view of the first rows.
  fileprivate func firstRows(_ count: Int) -> Tensor {
    var layout = layout
    layout.shape[0] = count
    return Tensor(storage: storage, dtype: dtype, layout: layout)
  }
}
