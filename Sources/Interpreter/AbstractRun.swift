import Execution
import Glibc
import Graphs
import Ops
import Support
import Tensors

/// What `check` knows and finds while an interpreter goes through a program without computing anything.
///
/// Tensors have a dtype and a shape and no elements. Host numbers are known where the program writes them down, unknown
/// where they come from elements. What cannot be known at all is unknown as a whole: reading a variable that holds it ends
/// the statement, whose own variables then are unknown too, and nothing is said against either.
package final class AbstractRun {
  /// Tensors with at most so many elements keep them: shapes and places that a program computes.
  static let largestFolded = 64
  /// The work after which a loop's rounds are taken together, once it has gone round three times.
  static let patience = 2_000
  /// The work after which a statement is left unchecked.
  static let endurance = 200_000
  /// The same before a run.
  static let enduranceInHaste = 10_000

  /// An error that the program has.
  package struct Finding {
    package let diagnostic: Diagnostic
    /// Whether every run comes to it: not where only one side of an unknown condition leads there.
    package let isCertain: Bool
  }

  /// A step with arguments of some shapes.
  package struct PlannedStep {
    package let name: String
    /// The call as the program writes it.
    package let site: Site
    /// `x: f32[32, 64]`
    package let arguments: [String]
    package let peak: Int
    package let total: Int
  }

  /// What an expression of the program is.
  package struct Meaning {
    package let site: Site
    package let value: Value

    /// `x : f32[32, 64], 8.0 KiB`
    package var description: String {
      let name = site.text.utf8.count <= 60 ? site.text : "it"
      switch value {
      case .int, .double, .bool, .dtype: return "\(name) = \(value.described)"
      case .tensor(let tensor) where !tensor.isNumber:
        return "\(name) : \(tensor.type), \(byteText(tensor.type.byteCount))"
      case .list(let list): return "\(name) : a list of \(list.items.count)"
      case .record(let record):
        let parts = zip(record.names, record.items).map { ($0.map { "\($0): " } ?? "") + $1.typeDescription }
        return "\(name) : (\(parts.joined(separator: ", ")))"
      case .model(let model):
        let entries = parameters(of: value)
        let count = entries.filter { !$0.parameter.isBuffer }.reduce(0) { $0 + $1.parameter.tensor.elementCount }
        let bytes = entries.reduce(0) { $0 + $1.parameter.tensor.type.byteCount }
        return "\(name) : \(model.definition.name), \(grouped(count)) parameters, \(byteText(bytes))"
      case .callable(let callable): return "\(name) : \(callable.kind) \(callable.signature)"
      default: return "\(name) : \(value.typeDescription)"
      }
    }
  }

  /// Whether steps are planned, for their memory and for what only a plan finds.
  let plansSteps: Bool
  /// Whether to note what names stand for, for who looks at the program.
  let notesMeanings: Bool
  private let deadline: ContinuousClock.Instant?
  private let endurance: Int

  package private(set) var findings: [Finding] = []
  /// Places that were not looked at, and why.
  package private(set) var unchecked: [Diagnostic] = []
  package private(set) var steps: [PlannedStep] = []
  package private(set) var meanings: [Meaning] = []
  /// Whether errors end the statement under way, as in a run, because one is expected.
  package var expectsErrors = false

  /// The interpreter that goes through the program; it holds the run.
  private unowned(unsafe) var holder: Interpreter?
  var interpreter: Interpreter { holder.unsafelyUnwrapped }
  /// All models made so far, whose fields branches may change.
  var models: [ModelValue] = []
  /// Whether functions of the program assign members of objects: then a call that is not gone through may have changed
  /// a shape.
  var callsMayChangeObjects = false
  /// The names of files that the program writes, without their folders; nil stands for one that is not known.
  var savedNames: Set<String?> = []
  private var seenFindings: Set<FindingKey> = []
  private var seenUnchecked: Set<FindingKey> = []
  /// The first slot of the user's variables.
  private(set) var firstGlobal = 0

  private struct FindingKey: Hashable {
    let code: String
    let site: Site?
  }

  /// - Parameters:
  ///   - plansSteps: whether steps are planned.
  ///   - notesMeanings: whether `meanings` is filled.
  ///   - seconds: the time after which the run gives up.
  ///   - isInHaste: whether a run waits for the answer.
  package init(plansSteps: Bool, notesMeanings: Bool = false, isInHaste: Bool = false, seconds: Double? = nil) {
    endurance = isInHaste ? AbstractRun.enduranceInHaste : AbstractRun.endurance
    self.plansSteps = plansSteps
    self.notesMeanings = notesMeanings
    deadline = seconds.map { .now + .seconds($0) }
  }

  func begin(_ interpreter: Interpreter) {
    holder = interpreter
    firstGlobal = interpreter.globalNames.count
  }

  /// Lets go of all values.
  func forget() {
    (models, meanings, tracedCalls, tracedTemplates) = ([], [], [:], [])
    (pendingReturns, loopExits, loopContinuations, generalLoops) = ([], [], [], [])
  }

  // MARK: Work and time

  private(set) var work = 0
  private var workAtStatement = 0
  private var isExhausted = false

  /// Counts a piece of work.
  /// - Throws: where it has become too much.
  @inline(__always)
  func spend(_ amount: Int = 1, at site: Site) throws(Failure) {
    work += amount
    if work & 63 < amount { try look(at: site) }
  }

  @inline(never)
  private func look(at site: Site) throws(Failure) {
    if let deadline, ContinuousClock.now > deadline {
      throw Failure(kind: .abandoned, diagnostic: Diagnostic(.note, "unchecked", "the time for checking is over", at: site))
    }
    if work - workAtStatement > endurance || isExhausted {
      isExhausted = true
      throw .unchecked("going through it takes too long", at: site)
    }
  }

  /// Begins a statement of the file.
  func beginStatement() {
    workAtStatement = work
    isExhausted = false
  }

  // MARK: Findings

  /// Branches of unknown conditions that are being looked at.
  private var branchDepth = 0
  /// Whether some run may have left the loop, the function or the program before it comes here.
  private var mayHaveLeftLoop = false
  /// The same of the round of a loop.
  private var mayHaveLeftRound = false
  private var mayHaveLeftFunction = false
  var mayHaveEnded = false

  package var isCertain: Bool { branchDepth == 0 && !mayHaveLeftLoop && !mayHaveLeftRound && !mayHaveLeftFunction && !mayHaveEnded }

  /// Notes that from here on nothing is certain.
  func loseCertainty() { mayHaveEnded = true }

  func note(_ failure: Failure) {
    failure.leaveLibrary()
    let error = failure.diagnostic
    let key = FindingKey(code: error.code, site: error.site)
    guard seenFindings.insert(key).inserted else { return }
    findings.append(Finding(diagnostic: error, isCertain: isCertain && !failure.isUncertain))
  }

  /// Takes back what was noted since there were `count` findings: it may be found once more.
  func takeFindings(from count: Int) -> [Finding] {
    let taken = Array(findings[count...])
    findings.removeSubrange(count...)
    for finding in taken { seenFindings.remove(FindingKey(code: finding.diagnostic.code, site: finding.diagnostic.site)) }
    return taken
  }

  /// Notes what was not found once more.
  func noteAsUncertain(_ taken: [Finding]) {
    for finding in taken
    where seenFindings.insert(FindingKey(code: finding.diagnostic.code, site: finding.diagnostic.site)).inserted {
      findings.append(Finding(diagnostic: finding.diagnostic, isCertain: false))
    }
  }

  /// Runs a part of the program, and marks what it fails in if not every run comes there.
  private func marking<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    do throws(Failure) {
      return try body()
    } catch {
      if !isCertain { error.isUncertain = true }
      throw error
    }
  }

  func noteUnchecked(_ failure: Failure, in statement: Site) {
    var diagnostic = failure.diagnostic
    if diagnostic.site == nil || diagnostic.site?.file.isLibrary == true { diagnostic.site = statement }
    guard diagnostic.site?.file.isLibrary != true,
      seenUnchecked.insert(FindingKey(code: diagnostic.message, site: diagnostic.site)).inserted
    else { return }
    unchecked.append(diagnostic)
  }

  func noteMeaning(_ value: Value, at site: Site) {
    if notesMeanings, !site.file.isLibrary { meanings.append(Meaning(site: site, value: value)) }
  }

  /// Decides what comes of a statement that failed: `nil` where the program is gone through further behind it.
  ///
  /// - Parameters:
  ///   - isTopLevel: whether it stands outside of functions.
  ///   - isOutermost: whether no other statement is around it.
  func recovered(from failure: Failure, at site: Site, isTopLevel: Bool, isOutermost: Bool) -> Failure? {
    // A step is compiled whole or not at all.
    if interpreter.trace?.isStep == true { return failure }
    switch failure.kind {
    case .unchecked:
      if isExhausted, !isOutermost { return failure }
      noteUnchecked(failure, in: site)
      if callsMayChangeObjects { loseCertainty() }
      return nil
    case .diagnostic:
      guard isTopLevel, !expectsErrors, interpreter.trace == nil else { return failure }
      note(failure)
      return nil
    case .exit, .interrupted, .abandoned: return failure
    }
  }

  // MARK: Branches, loops and functions

  /// Runs one side of an unknown condition.
  func inBranch<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    branchDepth += 1
    defer { branchDepth -= 1 }
    return try marking(body)
  }

  /// Values that the function under way may have returned, and states in which the loop under way may have been left or
  /// gone on from.
  private(set) var pendingReturns: [Value] = []
  var loopExits: [AbstractState] = []
  var loopContinuations: [AbstractState] = []

  /// Notes that some runs leave here.
  func leave(_ flow: Flow, _ frame: Frame) {
    switch flow {
    case .normal: break
    case .broken:
      loopExits.append(state(frame))
      mayHaveLeftLoop = true
    case .continued:
      loopContinuations.append(state(frame))
      mayHaveLeftRound = true
    case .returned:
      pendingReturns.append(interpreter.returned)
      interpreter.returned = .none
      mayHaveLeftFunction = true
    }
  }

  /// Notes that some runs end here.
  func mayEnd() { mayHaveEnded = true }

  /// Runs a function's body, and joins what it may have returned early with its end.
  func inFunction(at site: Site, _ body: () throws(Failure) -> Value) throws(Failure) -> Value {
    let outer = (pendingReturns, loopExits, loopContinuations, mayHaveLeftLoop, mayHaveLeftRound, mayHaveLeftFunction)
    (pendingReturns, loopExits, loopContinuations) = ([], [], [])
    defer { (pendingReturns, loopExits, loopContinuations, mayHaveLeftLoop, mayHaveLeftRound, mayHaveLeftFunction) = outer }
    var result = try marking(body)
    for value in pendingReturns { result = joined(result, value) }
    if isUnknown(whole: result) { throw .unchecked("what it returns is not known", at: site) }
    return result
  }

  /// Begins a round of a loop, which some runs may leave before its end; `endRound` takes what this returns.
  func beginRound() -> Bool { mayHaveLeftRound }
  func endRound(_ outer: Bool) { mayHaveLeftRound = outer }

  /// Runs a loop, and joins the states in which it may have been left early with its end.
  func inLoop(_ frame: Frame, _ body: () throws(Failure) -> Flow) throws(Failure) -> Flow {
    let outer = (loopExits, loopContinuations, mayHaveLeftLoop, mayHaveLeftRound, generalLoops)
    (loopExits, loopContinuations) = ([], [])
    defer { (loopExits, loopContinuations, mayHaveLeftLoop, mayHaveLeftRound, generalLoops) = outer }
    let flow = try marking(body)
    if flow == .normal, !loopExits.isEmpty {
      var end = state(frame)
      for exit in loopExits { end = joined(end, exit) }
      restore(end)
    }
    return flow
  }

  /// Loops whose rounds are being taken together, with the numbers that their variables go through.
  var generalLoops: [(target: AssignTarget, frame: Frame, numbers: Range<Int>)] = []

  // MARK: Tensors

  /// The results of an op by its rule alone.
  func compute(
    _ op: any TensorOp.Type, types: [TensorType], rounded: DType?, _ attributes: Attributes, isHostResult: Bool,
    _ site: Site
  ) throws -> [Value] {
    var (types, attributes) = (types, attributes)
    if op.traits.effect == .random {
      types.insert(TensorType(.i64, [2]), at: 0)
      attributes.set("ordinal", .int(0))
    }
    try spend(at: site)
    let instance = try op.init(attributes, operands: types)
    return try instance.resultTypes(of: types).map { type in
      try EagerEvaluator.checkFits(type)
      var type = type
      if type.dtype == .f32, let rounded { type = TensorType(rounded, type.shape) }
      return .tensor(TensorValue(abstract: type, isNumber: isHostResult, made: site))
    }
  }

  /// A param or buffer: training gives it any elements.
  func parameter(_ value: TensorValue, isBuffer: Bool, at site: Site) throws(Failure) -> Value {
    guard value.dtype.isFloating || isBuffer else {
      throw Failure(
        "bad-param", "a param needs a float tensor, got \(value.type)", at: site,
        help: "use `f32(…)`, or make it a buffer")
    }
    return .object(ModelParameter(.phantom(value.type), isBuffer: isBuffer, made: site))
  }

  /// Whether a value, or something in it, is not known.
  func isUnknown(_ value: Value) -> Bool {
    if isLarge(value) { return true }
    return switch value {
    case .tensor(let tensor): tensor.tensor == nil && !(tensor.trace?.isStep ?? false)
    case .string(let string): string.isUnknown
    case .list(let list): list.items.contains { isUnknown($0) }
    case .record(let record): record.items.contains { isUnknown($0) }
    case .object(let object): object is UnknownValue
    default: false
    }
  }

  /// Whether it is a tree that takes long to go through. What is in it does not matter to a check.
  func isLarge(_ value: Value) -> Bool {
    switch value {
    case .list(let list): list.depth > 256 || list.items.count > 8192 || list.summary.leafCount > 8192
    case .record(let record): record.depth > 256 || record.summary.leafCount > 8192
    default: false
    }
  }

  /// Whether it is a number or text that only a run knows.
  func isUnknownHostValue(_ value: Value) -> Bool {
    switch value {
    case .tensor(let tensor): tensor.isNumber && isUnknown(value)
    case .string(let string): string.isUnknown
    default: false
    }
  }

  /// Whether nothing at all is known of it.
  func isUnknown(whole value: Value) -> Bool {
    if case .object(let object) = value { object is UnknownValue } else { false }
  }

  // MARK: Steps

  /// A step as traced for arguments of some types.
  private final class TracedCall {
    let policy: StepPolicy
    let mode: Mode
    let owner: ModelValue?
    let recording: TracedStep.Recording
    /// The leaves of its sources, where numbers among them decided a shape.
    let numbers: [Value]?
    let parameters: [(parameter: ModelParameter, type: TensorType)]
    let freezeEpoch: Int
    let result: Value
    /// Its plan, once somebody asked for it.
    var plan: TracedStep?

    init(_ step: StepValue, _ recording: TracedStep.Recording, numbers: [Value]?, freezeEpoch: Int, result: Value) {
      policy = step.policy
      mode = step.mode
      owner = step.function.owner
      self.recording = recording
      self.numbers = numbers
      parameters = recording.trace.parameters.values.map { ($0, $0.tensor.type) }
      self.freezeEpoch = freezeEpoch
      self.result = result
    }
  }
  private var tracedCalls: [ObjectIdentifier: [TracedCall]] = [:]
  /// What the keys of `tracedCalls` stand for, so that no other comes to have its address.
  private var tracedTemplates: [FunctionTemplate] = []

  /// What a call of a step gives: traced as in a run, planned where memory is asked for, and not run.
  func call(_ step: StepValue, _ values: [Value], _ arguments: Arguments) throws(Failure) -> Value {
    let call = try traced(step, values, arguments)
    if plansSteps { _ = try plan(call, step, values, arguments) }
    return call.result
  }

  private func traced(_ step: StepValue, _ values: [Value], _ arguments: Arguments) throws(Failure) -> TracedCall {
    let key = ObjectIdentifier(step.function.template)
    if let known = tracedCalls[key]?.last(where: { fits($0, step, values) }) {
      try spend(20, at: arguments.site)
      return known
    }
    try spend(200, at: arguments.site)
    let recording = try step.record(values, arguments, interpreter, step.policy, isQuiet: true)
    let trace = recording.trace
    let call = TracedCall(
      step, recording, numbers: trace.numberGuards.isEmpty ? nil : leaves(trace.sources, step.function, values) ?? [],
      freezeEpoch: interpreter.freezeEpoch, result: released(recording.result, in: trace))
    if tracedCalls[key] == nil { tracedTemplates.append(step.function.template) }
    tracedCalls[key, default: []].append(call)
    return call
  }

  private func leaves(
    _ sources: [(source: Source, pattern: Pattern)], _ function: FunctionValue, _ values: [Value]
  ) -> [Value]? {
    var leaves: [Value] = []
    for (source, pattern) in sources {
      guard pattern.match(source.value(values, function.captured, interpreter.globals), into: &leaves) else { return nil }
    }
    return leaves
  }

  private func fits(_ call: TracedCall, _ step: StepValue, _ values: [Value]) -> Bool {
    guard call.policy == step.policy, call.mode == step.mode, call.owner === step.function.owner,
      call.freezeEpoch == interpreter.freezeEpoch, call.parameters.allSatisfy({ $0.parameter.tensor.type == $0.type }),
      let leaves = leaves(call.recording.trace.sources, step.function, values)
    else { return false }
    guard let numbers = call.numbers else { return true }
    // A number that decided a shape decides it anew.
    return zip(numbers, leaves).allSatisfy { isSame($0, $1) }
  }

  /// Values of a trace as what a run returns in their place.
  private func released(_ value: Value, in trace: Trace) -> Value {
    var mapper = TreeMapper { leaf in
      switch leaf {
      case .tensor(let tensor) where tensor.isTraced && tensor.trace === trace:
        .tensor(TensorValue(abstract: tensor.type, isNumber: tensor.isNumber, made: tensor.made))
      case .string(let string) where string.known == nil: .string(StringValue(pieces: [.unknown]))
      default: leaf
      }
    }
    return mapper.map(value)
  }

  /// The plan of a step that nothing is bound to; nil where a budget chooses it.
  func plan(_ step: StepValue, _ values: [Value], _ arguments: Arguments) throws(Failure) -> TracedStep? {
    try plan(traced(step, values, arguments), step, values, arguments)
  }

  private func plan(
    _ call: TracedCall, _ step: StepValue, _ values: [Value], _ arguments: Arguments
  ) throws(Failure) -> TracedStep? {
    if let plan = call.plan { return plan }
    if step.policy.isChoice {
      noteUnchecked(.unchecked("a budget chooses how this step runs", at: arguments.site), in: arguments.site)
      return nil
    }
    let plan =
      step.policy.pieceCount == 1
      ? try TracedStep(
        call.recording, pieces: [], name: step.name, policy: step.policy, isTrial: false, at: arguments.site)
      : try step.trace(values, arguments, interpreter, step.policy)
    call.plan = plan
    let shapes = plan.sources.compactMap { source, pattern in
      if case .argument(_, let name) = source { "\(name): \(pattern.description)" } else { nil }
    }
    if !steps.contains(where: { $0.name == step.name && $0.arguments == shapes && $0.peak == plan.plan.ledger.peak }) {
      steps.append(
        PlannedStep(
          name: step.name, site: arguments.site, arguments: shapes, peak: plan.plan.ledger.peak,
          total: plan.plan.totalByteCount))
    }
    return plan
  }
}

/// The value of a variable of which an abstract run knows nothing.
final class UnknownValue: ObjectValue {
  // It has no state, so that threads may share it.
  nonisolated(unsafe) static let value = Value.object(UnknownValue())
  override var kind: String { "unknown" }
}
