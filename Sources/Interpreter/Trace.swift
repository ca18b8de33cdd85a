import Execution
import Graphs
import Ops
import Passes
import Support
import Tensors

/// Where a traced input comes from: looked up again at each later call of the step.
enum Source {
  case argument(Int, name: String)
  case global(Int, name: String)
  case cell(Cell, name: String)
  /// A variable that the step itself closes over, by its place: another closure of the same declaration has its own.
  case captured(Int, name: String)
  case field(ModelValue, Int, name: String)
  case hyperparameter(OptimizerValue, Int, name: String)

  var name: String {
    switch self {
    case .argument(_, let name), .global(_, let name), .cell(_, let name), .captured(_, let name),
      .field(_, _, let name), .hyperparameter(_, _, let name):
      name
    }
  }

  /// What a tensor from here is called in the ledger.
  var role: InputRole {
    if case .argument = self { return InputRole(.inputs, name: name) }
    return InputRole(.captured, name: name)
  }

  /// Its value now; `.unset` where it has none.
  func value(_ arguments: [Value], _ captured: [Cell], _ globals: UnsafeMutablePointer<Value>) -> Value {
    switch self {
    case .argument(let index, _): arguments[index]
    case .global(let slot, _): globals[slot]
    case .cell(let cell, _): cell.value
    case .captured(let index, _): captured[index].value
    case .field(let model, let index, _): model.fields[index]
    case .hyperparameter(let optimizer, let index, _): optimizer.hyperparameters[index]
    }
  }

  fileprivate var key: SourceKey {
    switch self {
    case .argument(let index, _): SourceKey(kind: 0, object: nil, index: index)
    case .global(let slot, _): SourceKey(kind: 1, object: nil, index: slot)
    case .cell(let cell, _): SourceKey(kind: 2, object: ObjectIdentifier(cell), index: 0)
    case .captured(let index, _): SourceKey(kind: 5, object: nil, index: index)
    case .field(let model, let index, _):
      SourceKey(kind: 3, object: ObjectIdentifier(model), index: index)
    case .hyperparameter(let optimizer, let index, _):
      SourceKey(kind: 4, object: ObjectIdentifier(optimizer), index: index)
    }
  }
}

private struct SourceKey: Hashable {
  let kind: Int
  let object: ObjectIdentifier?
  let index: Int
}

/// What a step took for granted of a value when it was traced. New tensors and numbers fit the old plan;
/// anything else must be as it was.
indirect enum Pattern {
  case tensor(TensorType, isWholeList: Bool)
  case int
  case double
  case none
  case bool(Bool)
  case dtype(DType)
  case string(String)
  case range(Int, Int)
  case list([Pattern])
  case record([String?], [Pattern])
  /// The same object.
  case identity(AnyObject)
  /// A function made from the same declaration, its variables captured one by one.
  case function(FunctionTemplate, [Cell], owner: ModelValue?)

  /// Appends the leaves of `value` in order; false where it does not fit.
  func match(_ value: Value, into leaves: inout [Value]) -> Bool {
    switch (self, value) {
    case (.tensor(let type, let isWholeList), .tensor(let tensor)):
      guard tensor.type == type, tensor.isWholeList == isWholeList, !tensor.isTraced || tensor.tensor != nil else { return false }
      leaves.append(value)
      return true
    case (.int, .int), (.double, .double):
      leaves.append(value)
      return true
    case (.none, .none): return true
    case (.bool(let a), .bool(let b)): return a == b
    case (.dtype(let a), .dtype(let b)): return a == b
    case (.string(let a), .string(let b)): return a == b.known
    case (.range(let start, let end), .range(let range)): return range.start == start && range.end == end
    case (.list(let patterns), .list(let list)):
      guard patterns.count == list.items.count else { return false }
      for (pattern, item) in zip(patterns, list.items) where !pattern.match(item, into: &leaves) {
        return false
      }
      return true
    case (.record(let names, let patterns), .record(let record)):
      guard names == record.names else { return false }
      for (pattern, item) in zip(patterns, record.items) where !pattern.match(item, into: &leaves) {
        return false
      }
      return true
    case (.identity(let object), _): return object === value.identity
    case (.function(let template, let cells, let owner), .callable(let callable)):
      guard callable.isFunction else { return false }
      let function = unsafeDowncast(callable, to: FunctionValue.self)
      return function.template === template && function.owner === owner
        && function.captured.elementsEqual(cells, by: ===)
    default: return false
    }
  }

  var description: String {
    switch self {
    case .tensor(let type, _): type.description
    case .int: "int"
    case .double: "number"
    case .none: "none"
    case .bool(let value): "\(value)"
    case .dtype(let dtype): dtype.name
    case .string(let text): "\"\(text)\""
    case .range(let start, let end): "\(start)..<\(end)"
    case .list(let items): "a list of \(items.count)"
    case .record: "a record"
    case .identity: "this object"
    case .function(let template, _, _): "the function `\(template.name)`"
    }
  }
}

extension Value {
  var identity: AnyObject? {
    switch self {
    case .callable(let callable): callable
    case .model(let model): model
    case .optimizer(let optimizer): optimizer
    case .object(let object): object
    default: nil
    }
  }
}

/// Feeds one input of a step's graph at each call.
enum InputFeed {
  /// The n-th leaf of the matched sources.
  case leaf(Int)
  case parameter(ModelParameter)
  /// A state tensor of an optimizer for one parameter.
  case state(OptimizerSlot, Int)
  /// The number of the step that an optimizer is about to make, for these parameters alike.
  case stepNumber([OptimizerSlot])
  /// i64[2]: seed and tick.
  case randomKey
  /// f32: what the loss is multiplied by.
  case lossScale(LossScaler)
}

/// What is being recorded: a step's trace, with no values, or `grad` outside a step, with real ones.
final class Trace {
  let interpreter: Interpreter
  let builder: GraphBuilder
  let isStep: Bool
  let serial: Int
  private(set) var isRecording = true

  var phase = Phase.forward
  /// The last call in the user's program: where nodes made by the standard library come from.
  var userCall: Site?
  private var path = ""
  /// The call of `checkpoint(f)` that is being recorded, 0 outside of any, and how many there have been.
  private var checkpoint = 0
  private var checkpointCount = 0

  // What a step's plan needs.
  private(set) var sources: [(source: Source, pattern: Pattern)] = []
  private var captured: [SourceKey: Value] = [:]
  private(set) var feeds: [InputFeed] = []
  /// What each leaf comes from.
  private var leafRoles: [InputRole] = []
  /// Numbers whose value shaped the trace, and the values they had.
  private(set) var numberGuards: [(value: GraphValue, expected: Tensor)] = []
  /// The call's numbers by input, for deciding what a host number is now.
  private var exampleNumbers: [Int: Tensor] = [:]
  /// Whether there are numbers among the inputs that an abstract run does not know.
  private(set) var hasUnknownNumbers = false
  private var key: GraphValue?

  /// What the leaves that are being added come from.
  private var leafRole = InputRole(.captured, name: "")

  /// All values a parameter has had in this trace, the newest last.
  private(set) var histories: [ObjectIdentifier: [GraphValue]] = [:]
  private(set) var parameters: [ObjectIdentifier: ModelParameter] = [:]
  private var inputIndex: [ObjectIdentifier: Int] = [:]
  /// Writes to buffers by the model that makes them, kept if that model turns out to be training.
  private(set) var bufferWrites: [(owner: ModelValue, parameter: ModelParameter, value: GraphValue)] = []
  private(set) var parameterWrites: [ObjectIdentifier: GraphValue] = [:]
  var stateWrites: [(slot: OptimizerSlot, index: Int, input: Int, value: GraphValue)] = []
  /// The updates so far, with the tests that each depends on.
  var updates: [(slot: OptimizerSlot, tests: Range<Int>)] = []
  var minimizations = 0
  /// Values whose gradient was taken with respect to a model: what they depend on is in training mode.
  var trainedValues: [GraphValue] = []
  /// The model whose mode each switch node decides.
  var modeOwners: [Int: ModelValue] = [:]
  /// Switches made so far: each has its own number.
  var modeCount = 0
  var prints: [[TextPiece]] = []
  var assertions: [(message: String, site: Site)] = []
  var isInsideOwnGradient = false
  /// The 16-bit dtype of the step's policy: parameters in f32 are master weights.
  var precision: DType?
  var lossScaling = LossScaling.none
  /// The scale that changes from step to step, where there is one.
  var scaler: LossScaler?
  private var scaleInput: GraphValue?
  /// Under a dynamic scale: the tests of the gradients.
  var overflow: OverflowTest?
  /// Whether the update that is being traced is applied; nil where it is in any case.
  var isApplied: GraphValue?
  /// Whether warnings are left out: the step is recorded once more, or only looked at.
  var isQuiet = false

  /// The places of the variables that the step itself closes over.
  private let stepCells: [ObjectIdentifier: Int]

  init(_ interpreter: Interpreter, isStep: Bool, closingOver cells: [Cell] = []) {
    self.interpreter = interpreter
    stepCells = Dictionary(
      cells.enumerated().map { (ObjectIdentifier($1), $0) }, uniquingKeysWith: { first, _ in first })
    self.isStep = isStep
    builder = GraphBuilder(evaluator: isStep || interpreter.abstract != nil ? nil : interpreter.evaluator)
    interpreter.traceSerial += 1
    serial = interpreter.traceSerial
  }

  func finish() { isRecording = false }

  static func escaped(at site: Site) -> Failure {
    Failure(
      "escaped-value", "this value belongs to a step that has ended", at: site,
      notes: ["inside a step tensors have no elements yet, so they cannot be kept in variables outside"],
      help: "return it from the step")
  }

  // MARK: Nodes

  func setOrigin(_ site: Site) {
    let place = site.file.isLibrary ? userCall ?? site : site
    builder.origin = Origin(site: place, path: path, phase: phase)
    builder.origin.checkpoint = checkpoint
  }

  /// Enters a call of `checkpoint(f)`; the returned number is for `leaveCheckpoint`.
  func enterCheckpoint() -> Int {
    defer {
      checkpointCount += 1
      checkpoint = checkpointCount
    }
    return checkpoint
  }

  func leaveCheckpoint(_ outer: Int) { checkpoint = outer }

  /// Enters a model's function; the returned path is for `leave`.
  func enter(_ model: ModelValue) -> String {
    defer { path = model.path }
    return path
  }

  func enterPath(_ new: String) -> String {
    defer { path = new }
    return path
  }

  func leave(_ outer: String) { path = outer }

  func wrap(_ value: GraphValue, isNumber: Bool, made: Site?) -> Value {
    .tensor(
      TensorValue(
        value, in: self, concrete: builder.concrete(of: value), isNumber: isNumber, made: made))
  }

  /// The graph value of a tensor: its own, or a constant of its elements.
  func value(of tensor: TensorValue, at site: Site) throws -> GraphValue {
    if let value = tensor.value, tensor.trace === self { return value }
    if interpreter.abstract != nil, tensor.isAbstract {
      if isStep { addLeaf() }
      return builder.input(tensor.type)
    }
    guard let real = tensor.tensor else { throw tensor.missing(at: site) }
    return builder.constant(real)
  }

  func randomKey() throws -> GraphValue {
    if let key { return key }
    let interpreter = self.interpreter
    if isStep {
      feeds.append(.randomKey)
      let value = builder.input(TensorType(.i64, [2]))
      key = value
      return value
    }
    let value = builder.constant(
      Tensor(integers: [interpreter.seed, interpreter.tick], shape: [2]))
    interpreter.tick &+= 1
    key = value
    return value
  }

  /// What the loss is multiplied by; nil for 1.
  func lossScale() throws -> GraphValue? {
    switch lossScaling {
    case .none: return nil
    case .fixed(let scale): return builder.constant(scale, .f32)
    case .dynamic:
      if let scaleInput { return scaleInput }
      guard let scaler else { return nil }
      feeds.append(.lossScale(scaler))
      scaleInput = builder.input(TensorType(.f32, .scalar))
      return scaleInput
    }
  }

  /// A new value, or the old one where the step is skipped.
  func unlessSkipped(_ new: GraphValue, _ old: GraphValue) throws -> GraphValue {
    guard let isApplied else { return new }
    // Element by element, blocks would be rounded once more.
    if new.dtype.isBlocked { return try builder.choose(isApplied, new, old) }
    return try builder.select(builder.broadcast(isApplied, to: new.shape), new, old)
  }

  /// Lets buffers stay as they are where the step is skipped.
  func guardBuffers() throws {
    if overflow == nil { return }
    builder.origin.phase = .update
    builder.origin.isBatchStatistic = false
    isApplied = try areFinite(tests)
    for index in bufferWrites.indices {
      let write = bufferWrites[index]
      bufferWrites[index].value = try unlessSkipped(write.value, histories[ObjectIdentifier(write.parameter)]![0])
    }
  }

  // MARK: Inputs

  /// The traced form of a value from outside the step: its tensors and numbers become inputs.
  func capture(_ source: Source, _ value: Value, at site: Site) throws(Failure) -> Value {
    var source = source
    if case .cell(let cell, let name) = source, let place = stepCells[ObjectIdentifier(cell)] {
      source = .captured(place, name: name)
    }
    let key = source.key
    if let known = captured[key] { return known }
    leafRole = source.role
    try requireWalkable(value, at: site)
    let (pattern, lifted) = lift(value, made: site)
    sources.append((source, pattern))
    captured[key] = lifted
    return lifted
  }

  private func lift(_ value: Value, made: Site) -> (Pattern, Value) {
    switch value {
    case .tensor(let tensor):
      if tensor.isTraced, tensor.trace === self { return (.tensor(tensor.type, isWholeList: tensor.isWholeList), value) }
      let input = builder.input(tensor.type)
      addLeaf()
      if tensor.isNumber { hasUnknownNumbers = true }
      return (
        .tensor(tensor.type, isWholeList: tensor.isWholeList),
        .tensor(
          TensorValue(
            input, in: self, concrete: nil, isNumber: tensor.isNumber, isWholeList: tensor.isWholeList,
            made: tensor.made ?? made))
      )
    case .int(let number): return (.int, liftNumber(Tensor.number(integer: number, .i64), made))
    case .double(let number): return (.double, liftNumber(Tensor.number(number, .f64), made))
    case .none: return (.none, value)
    case .bool(let flag): return (.bool(flag), value)
    case .dtype(let dtype): return (.dtype(dtype), value)
    case .string(let string): return (.string(string.known ?? ""), value)
    case .range(let range): return (.range(range.start, range.end), value)
    case .list(let list):
      let parts = list.items.map { lift($0, made: made) }
      return (.list(parts.map(\.0)), .list(ListValue(parts.map(\.1), site: list.site)))
    case .record(let record):
      let parts = record.items.map { lift($0, made: made) }
      return (
        .record(record.names, parts.map(\.0)),
        .record(RecordValue(names: record.names, items: parts.map(\.1)))
      )
    case .callable(let callable):
      if callable.isFunction {
        let function = unsafeDowncast(callable, to: FunctionValue.self)
        if function.ownGradient == nil {
          return (
            .function(function.template, function.captured, owner: function.owner), value
          )
        }
      }
      return (.identity(callable), value)
    case .model(let model): return (.identity(model), value)
    case .optimizer(let optimizer): return (.identity(optimizer), value)
    case .object(let object): return (.identity(object), value)
    case .cell, .unset: return (.none, value)
    }
  }

  private func addLeaf() {
    feeds.append(.leaf(leafRoles.count))
    leafRoles.append(leafRole)
  }

  /// What an input is called in the ledger.
  func role(of feed: InputFeed) -> InputRole {
    switch feed {
    case .leaf(let leaf): leafRoles[leaf]
    case .parameter(let parameter):
      InputRole(
        parameter.isBuffer
          ? .buffers : precision != nil && parameter.tensor.dtype == .f32 ? .masterWeights : .parameters,
        name: parameter.path)
    case .state(let slot, let index):
      InputRole(.optimizerState, name: slot.role(of: index))
    case .stepNumber: InputRole(.captured, name: "step number")
    case .randomKey: InputRole(.captured, name: "random key")
    case .lossScale: InputRole(.captured, name: "loss scale")
    }
  }

  private func liftNumber(_ number: Tensor, _ made: Site) -> Value {
    let input = builder.input(number.type)
    addLeaf()
    exampleNumbers[input.id] = number
    return .tensor(TensorValue(input, in: self, concrete: nil, isNumber: true, made: made))
  }

  /// A host number of the runtime's own, such as an optimizer's step number.
  func numberInput(_ feed: InputFeed, _ number: Tensor, made: Site) -> TensorValue {
    let input = builder.input(number.type)
    feeds.append(feed)
    exampleNumbers[input.id] = number
    return TensorValue(input, in: self, concrete: nil, isNumber: true, made: made)
  }

  func tensorInput(_ feed: InputFeed, _ type: TensorType) -> (value: GraphValue, index: Int) {
    feeds.append(feed)
    let value = builder.input(type)
    return (value, builder.graph.inputs.count - 1)
  }

  // MARK: Parameters

  /// Makes a parameter's value an input to differentiate, in a recording.
  func track(_ parameter: ModelParameter) -> GraphValue {
    let id = ObjectIdentifier(parameter)
    if let value = histories[id]?.last { return value }
    let isKnown = !isStep && !parameter.tensor.storage.isPhantom
    let value = builder.input(parameter.tensor.type, concrete: isKnown ? parameter.tensor : nil)
    if isStep { feeds.append(.parameter(parameter)) }
    histories[id] = [value]
    parameters[id] = parameter
    inputIndex[id] = builder.graph.inputs.count - 1
    return value
  }

  func read(_ parameter: ModelParameter, at site: Site) throws(Failure) -> TensorValue {
    if !isStep, histories[ObjectIdentifier(parameter)] == nil {
      return TensorValue(parameter.tensor, made: parameter.made)
    }
    let value = track(parameter)
    return TensorValue(
      value, in: self, concrete: builder.concrete(of: value), isNumber: false, made: parameter.made)
  }

  /// Buffers written inside a trace; params are changed by `minimize` alone.
  func write(
    _ value: TensorValue, to parameter: ModelParameter, owner: ModelValue, at site: Site
  ) throws(Failure) {
    guard parameter.isBuffer else {
      throw Failure(
        "assignment-in-step", "a param cannot be assigned inside a step or `grad`", at: site,
        help: "use `minimize`, or make it a buffer")
    }
    guard isStep else { return }  // `grad` never writes buffers.
    _ = track(parameter)
    do {
      let new = try builder.cast(self.value(of: value, at: site), to: parameter.tensor.dtype)
      guard new.shape == parameter.tensor.shape else {
        throw Failure(
          "shape-mismatch",
          "a buffer keeps its shape inside a step: it is \(parameter.tensor.type), the new value \(value.type)",
          at: site)
      }
      bufferWrites.append((owner, parameter, new))
    } catch {
      throw Failure.from(error, at: site)
    }
  }

  /// Notes the new value of a parameter; later reads in the step see it.
  func update(_ parameter: ModelParameter, to value: GraphValue) {
    let id = ObjectIdentifier(parameter)
    histories[id, default: []].append(value)
    parameterWrites[id] = value
  }

  /// Whether a value that `g` made is that of a parameter as the step finds it. What is computed at once has a builder of
  /// its own, and outside of steps inputs have no feeds.
  func isParameter(_ value: GraphValue, in g: GraphBuilder) -> Bool {
    guard g === builder, case .input(let index) = g.graph.definition(of: value), index < feeds.count,
      case .parameter = feeds[index]
    else { return false }
    return true
  }

  func inputIndex(of parameter: ModelParameter) -> Int { inputIndex[ObjectIdentifier(parameter)]! }

  // MARK: Host numbers

  /// What a traced number is now. From here on the plan holds only while it stays so.
  func hostNumber(of tensor: TensorValue, at site: Site) throws(Failure) -> Value {
    if let real = tensor.tensor { return interpreter.hostNumber(real) }
    guard let value = tensor.value, let number = try evaluate(value, at: site) else {
      if hasUnknownNumbers || interpreter.abstract != nil && !isStep {
        throw .unchecked("it depends on a number that only a run knows", at: site)
      }
      throw Failure(
        "traced-value", "\(site.shortText.map { "`\($0)`" } ?? "this value") is not known while the step is traced", at: site,
        notes: ["a step is compiled once for all values of its tensors"],
        help: "use `where(condition, a, b)`, or compute it before the step and pass it in")
    }
    if !numberGuards.contains(where: { $0.value.id == value.id }) {
      numberGuards.append((value, number))
    }
    return interpreter.hostNumber(number)
  }

  func hostBool(of tensor: TensorValue, at site: Site) throws(Failure) -> Bool {
    guard tensor.isNumber else {
      if interpreter.abstract != nil, !isStep { throw tensor.missing(at: site) }
      throw Failure(
        "traced-condition", "this condition depends on tensor values, which a step does not know while it is traced",
        at: site, help: "use `where(condition, a, b)`")
    }
    if case .bool(let flag) = try hostNumber(of: tensor, at: site) { return flag }
    throw Failure(
      "bad-condition", "a condition must be true or false, got a number", at: site,
      help: "compare it, as in `x != 0`")
  }

  /// The value of a node that depends on numbers alone.
  private func evaluate(_ value: GraphValue, at site: Site) throws(Failure) -> Tensor? {
    do {
      return try evaluateNumber(value, in: builder.graph) { exampleNumbers[$0.id] }
    } catch let fault as NumberFault {
      throw Failure.from(fault.error, at: fault.site ?? site)
    } catch {
      throw Failure.from(error, at: site)
    }
  }
}

/// What a node of a step's numbers had to say of their values.
struct NumberFault: Error {
  let error: any Error
  let site: Site?
}

/// Evaluates a host number of a graph by the kernels that a run would use, so that it is the same number bit for bit.
///
/// Each node once, and without recursion: a loop in a step can make the chain long.
///
/// - Returns: nil where it depends on something that `known` does not know.
/// - Throws: `NumberFault` of the node that has no value for these numbers.
func evaluateNumber(
  _ value: GraphValue, in graph: Graph, known: (GraphValue) -> Tensor?
) throws -> Tensor? {
  var numbers: [Int: Tensor] = [:]
  var stack = [value]
  while let next = stack.last {
    if numbers[next.id] != nil {
      stack.removeLast()
      continue
    }
    if let number = known(next) {
      numbers[next.id] = number
      continue
    }
    switch graph.definition(of: next) {
    case .input: return nil
    case .constant(let tensor):
      guard tensor.elementCount == 1 else { return nil }
      numbers[next.id] = tensor
    case .result(let index, _):
      let node = graph.nodes[index]
      guard type(of: node.op).traits.effect == .pure,
        (node.operands + node.results).allSatisfy({ $0.type.elementCount == 1 })
      else { return nil }
      let missing = node.operands.filter { numbers[$0.id] == nil }
      guard missing.isEmpty else {
        stack += missing
        continue
      }
      do {
        let results = try EagerEvaluator.run(
          node.op, node.operands.map { numbers[$0.id]! }, resultTypes: node.results.map(\.type))
        for (result, number) in zip(node.results, results) { numbers[result.id] = number }
      } catch {
        throw NumberFault(error: error, site: node.origin.site)
      }
    }
  }
  return numbers[value.id]
}

/// A whole number where the program needs one now: a size, an axis, a bound.
func hostInteger(_ value: Value, _ what: String, at site: Site) throws(Failure) -> Int {
  switch value {
  case .int(let number): return number
  case .double(let number) where number == number.rounded() && abs(number) < 0x1p53:
    return Int(number)
  case .tensor(let tensor) where tensor.type.elementCount == 1:
    if tensor.isNumber, let trace = tensor.trace, trace.isRecording {
      return try hostInteger(trace.hostNumber(of: tensor, at: site), what, at: site)
    }
    if let real = tensor.tensor, tensor.dtype.isInteger { return real.integerScalar }
    if tensor.tensor == nil, let trace = tensor.trace {
      return try hostInteger(trace.hostNumber(of: tensor, at: site), what, at: site)
    }
    if tensor.isAbstract, tensor.isNumber || tensor.dtype.isInteger { throw tensor.missing(at: site) }
  default: break
  }
  throw Failure("bad-argument", "\(what) must be a whole number, got \(value.described)", at: site)
}

func hostDouble(_ value: Value, _ what: String, at site: Site) throws(Failure) -> Double {
  switch value {
  case .int(let number): return Double(number)
  case .double(let number): return number
  case .tensor(let tensor) where tensor.type.elementCount == 1:
    if let trace = tensor.trace, trace.isRecording, tensor.tensor == nil {
      return try hostDouble(trace.hostNumber(of: tensor, at: site), what, at: site)
    }
    if let real = tensor.tensor { return real.scalar }
    if tensor.isAbstract { throw tensor.missing(at: site) }
  default: break
  }
  throw Failure("bad-argument", "\(what) must be a number, got \(value.described)", at: site)
}
