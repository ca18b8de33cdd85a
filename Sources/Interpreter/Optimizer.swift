import Graphs
import Ops
import Passes
import Support
import Syntax
import Tensors

/// An `optimizer` declaration: calling it makes an optimizer.
package final class OptimizerDefinition: Callable {
  struct State {
    let name: String
    let initial: Node
    let slotCount: Int
  }
  let declaredName: String
  let parameters: ParameterList
  private let slotCount: Int
  private let text: String
  private let site: Site
  private(set) var update: FunctionTemplate?
  private(set) var hyperSlots: [Int] = []
  private(set) var stateSlots: [Int] = []
  private(set) var states: [State] = []

  init(name: String, parameters: ParameterList, slotCount: Int, documentation: String, site: Site) {
    declaredName = name
    self.parameters = parameters
    self.slotCount = max(slotCount, parameters.count)
    text = documentation
    self.site = site
    super.init()
  }

  func complete(update: FunctionTemplate, hyperSlots: [Int], stateSlots: [Int], states: [State]) {
    self.update = update
    self.hyperSlots = hyperSlots
    self.stateSlots = stateSlots
    self.states = states
  }

  package override var name: String { declaredName }
  package override var kind: String { "optimizer" }
  package override var signature: String { declaredName + parameters.description }
  package override var documentation: String { text }
  package override var declaration: Site? { site }
  package override var parameterNames: [String]? { parameters.names }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let frame = try interpreter.push(slotCount, at: arguments.site)
    defer { interpreter.pop(frame, slotCount) }
    try parameters.bind(arguments, callee: name, into: frame)
    for (index, argument) in try parameters.arranged(arguments, callee: name).enumerated() {
      if let argument { try check(argument.value, for: index, at: argument.site) }
    }
    let optimizer = OptimizerValue(self, hyperparameters: (0..<parameters.count).map { frame[$0] })
    try requireDepth(optimizer.depth, at: arguments.site)
    return .optimizer(optimizer)
  }

  /// Whether a hyperparameter's default is a number: then a number or a schedule must stand there.
  private func isNumeric(_ index: Int) -> Bool {
    switch (parameters.defaults[index] as? ConstantNode)?.value {
    case .int, .double: true
    default: false
    }
  }

  func check(_ value: Value, for index: Int, at site: Site) throws(Failure) {
    guard isNumeric(index) else { return }
    let name = parameters.names[index]
    switch value {
    case .int, .double, .callable: return
    case .tensor(let tensor) where tensor.type.elementCount == 1: return
    default:
      throw Failure(
        "bad-argument", "`\(name)` of `\(declaredName)` must be a number or a function of the step number, got \(value.described)",
        at: site)
    }
  }
}

/// An optimizer with its hyperparameters and the state it keeps for each parameter.
package final class OptimizerValue {
  package let definition: OptimizerDefinition
  /// Hyperparameter values for the parameters whose path matches; later rules win.
  struct Rule {
    let pattern: String
    let values: [(index: Int, value: Value)]
    /// What the state of these parameters is stored in; nil where the rule does not say.
    var stateDType: DType?
    /// How these parameters are rounded; nil where the rule does not say.
    var rounding: Rounding?
  }
  var hyperparameters: [Value]
  var rules: [Rule] = []
  /// What state is stored in; nil: as it is computed.
  var stateDType: DType?
  /// How new values of parameters in bf16 are rounded.
  var rounding = Rounding.nearest
  private(set) var slots: [ObjectIdentifier: OptimizerSlot] = [:]

  init(_ definition: OptimizerDefinition, hyperparameters: [Value]) {
    self.definition = definition
    self.hyperparameters = hyperparameters
  }

  var depth: Int { Value.depth(holding: hyperparameters) }

  /// Gives a hyperparameter another value, if it is one of its kind.
  func set(_ index: Int, to value: Value, at site: Site) throws(Failure) {
    try definition.check(value, for: index, at: site)
    try requireDepth(value.depth + 1, at: site)
    hyperparameters[index] = value
  }

  func assign(_ name: String, _ value: Value, at site: Site) throws(Failure) {
    guard let index = definition.parameters.names.firstIndex(of: name) else {
      throw Failure(
        "unknown-member", "`\(definition.name)` has no hyperparameter `\(name)`", at: site,
        help: didYouMean(name, among: definition.parameters.names).map { "did you mean `\($0)`?" })
    }
    try set(index, to: value, at: site)
  }

  /// The state kept for `parameter`, if it is still of its shape and dtype. What a vanished parameter left is dropped.
  func slot(for parameter: ModelParameter) -> OptimizerSlot? {
    slots = slots.filter { $0.value.parameter != nil }
    guard let slot = slots[ObjectIdentifier(parameter)], slot.parameter === parameter, slot.isCurrent
    else { return nil }
    slot.forgetStaleCompensation()
    return slot
  }

  /// The type for which state was kept that does not fit the parameter any more; the state is dropped.
  func dropStaleState(of parameter: ModelParameter) -> TensorType? {
    guard let slot = slots[ObjectIdentifier(parameter)], slot.parameter === parameter, !slot.isCurrent,
      slot.type != parameter.tensor.type
    else { return nil }
    slots[ObjectIdentifier(parameter)] = nil
    return slot.type
  }

  /// Lets go of the state of a parameter: the next step makes a new one.
  func drop(_ parameter: ModelParameter) {
    slots[ObjectIdentifier(parameter)]?.drop()
    slots[ObjectIdentifier(parameter)] = nil
  }

  /// Keeps the state of a parameter; plans that hold an earlier one do not fit any more.
  func keep(_ slot: OptimizerSlot) {
    guard let parameter = slot.parameter else { return }
    slots[ObjectIdentifier(parameter)]?.drop()
    slots[ObjectIdentifier(parameter)] = slot
    slot.isKept(by: parameter)
  }

  /// A copy with further rules or other hyperparameters; it has no state yet.
  func copy() -> OptimizerValue {
    let copy = OptimizerValue(definition, hyperparameters: hyperparameters)
    copy.rules = rules
    copy.stateDType = stateDType
    copy.rounding = rounding
    return copy
  }

  /// Tensors with fewer elements keep their state as it is computed: they are most of what goes wrong and least of
  /// the memory. The bound is that of bitsandbytes.
  static let leastStored = 4096

  /// What a state tensor of a parameter is stored in: what the last rule for its path says, else the optimizer's
  /// policy, which leaves small tensors and the tables of embeddings alone.
  func stateDType(of entry: ParameterPath, _ type: TensorType) -> DType {
    guard type.dtype.isFloating else { return type.dtype }
    func stored(_ dtype: DType) -> DType { dtype == .f32 ? type.dtype : dtype }
    for rule in rules.reversed() where matches(entry.path, rule.pattern) {
      if let dtype = rule.stateDType { return stored(dtype) }
    }
    guard let dtype = stateDType, type.elementCount >= OptimizerValue.leastStored else { return type.dtype }
    // Rows of rare tokens have gradients far from those of their neighbours in a block.
    if dtype.isBlocked, entry.parameter.home?.definition.declaredName == "Embedding" { return type.dtype }
    return stored(dtype)
  }

  /// How the new value of a parameter is rounded: what the last rule for its path says, else the optimizer's policy.
  func rounding(of entry: ParameterPath) -> Rounding {
    // What is wider than bf16 loses nothing that these could save.
    guard entry.parameter.tensor.dtype == .bf16 else { return .nearest }
    for rule in rules.reversed() where matches(entry.path, rule.pattern) {
      if let rounding = rule.rounding { return rounding }
    }
    return rounding
  }

  /// Whether any parameters are to be rounded in another way than to the nearest.
  var hasRounding: Bool { rounding != .nearest || rules.contains { ($0.rounding ?? .nearest) != .nearest } }

  /// The values that hold for a parameter at `path`.
  func effectiveHyperparameters(at path: String) -> [(value: Value, isOwn: Bool)] {
    var result = hyperparameters.map { (value: $0, isOwn: true) }
    for rule in rules where matches(path, rule.pattern) {
      for (index, value) in rule.values { result[index] = (value, false) }
    }
    return result
  }
}

/// How the new value of a parameter in bf16 is rounded from the f32 in which it is computed.
enum Rounding: String, CaseIterable {
  case nearest
  /// Up or down by chance, so that the mean is right.
  case stochastic
  /// To the nearest, and what was lost is kept in bf16 and added before the next update (Kahan 1965, "Further remarks on
  /// reducing truncation errors"; for weights in bf16 Zamirai et al. 2020, "Revisiting BFloat16 Training").
  case kahan
}

extension DType {
  /// What programs call it as the dtype of state: `state: f8e4m3` stands for blocks of those.
  var nameInState: String { self == .q8e4m3 ? DType.f8e4m3.name : name }
}

/// Whether a dotted path matches a pattern in which `*` stands for anything.
func matches(_ path: String, _ pattern: String) -> Bool {
  let text = Array(path.utf8)
  let glob = Array(pattern.utf8)
  var (t, g, star, mark) = (0, 0, -1, 0)
  while t < text.count {
    if g < glob.count, glob[g] == UInt8(ascii: "*") {
      star = g
      mark = t
      g += 1
    } else if g < glob.count, glob[g] == text[t] {
      t += 1
      g += 1
    } else if star >= 0 {
      g = star + 1
      mark += 1
      t = mark
    } else {
      return false
    }
  }
  while g < glob.count, glob[g] == UInt8(ascii: "*") { g += 1 }
  return g == glob.count
}

/// What an optimizer keeps for one parameter: its state tensors and how many steps it has made.
///
/// A parameter has those of the optimizer's states whose first value is a tensor: a factored second
/// moment stands for matrices only, a mean of gradients only where one is asked for. The others are
/// `none` in the update.
package final class OptimizerSlot {
  package private(set) weak var parameter: ModelParameter?
  let type: TensorType
  package var states: [Tensor]
  /// Which of the definition's states each of `states` is; the compensation, which comes last, is none of them.
  let places: [Int]
  let stateNames: [String]
  /// Under `rounding: kahan`, which of `states` holds what rounding took from the parameter.
  let compensation: Int?
  /// What it is called in files and in the ledger.
  static let compensationName = "compensation"
  /// How often the parameter had been assigned when the compensation was last right.
  private var knownAssignments = 0
  package var count = 0
  /// Whether another one has taken its place, or it was half written.
  private(set) var isDropped = false

  /// - Parameters:
  ///   - states: by the order of `definition`, nil where the parameter has no such state.
  ///   - compensation: what rounding took from the parameter; nil where it is not kept.
  init(_ parameter: ModelParameter, states: [Tensor?], compensation: Tensor?, of definition: OptimizerDefinition) {
    places = states.indices.filter { states[$0] != nil }
    stateNames = places.map { definition.states[$0].name } + (compensation == nil ? [] : [OptimizerSlot.compensationName])
    self.parameter = parameter
    type = parameter.tensor.type
    self.states = states.compactMap { $0 }
    self.compensation = compensation == nil ? nil : self.states.count
    if let compensation { self.states.append(compensation) }
    knownAssignments = parameter.assignmentCount
  }

  /// Notes that the parameter and the compensation fit.
  func isKept(by parameter: ModelParameter) { knownAssignments = parameter.assignmentCount }

  /// Makes the compensation 0 where the parameter has been given another value since: nothing was lost of that one.
  func forgetStaleCompensation() {
    guard let parameter, parameter.assignmentCount != knownAssignments else { return }
    knownAssignments = parameter.assignmentCount
    guard let compensation else { return }
    states[compensation] = .zeros(states[compensation].type)
  }

  /// Whether the parameter still has the shape and dtype that the state was made for.
  package var isCurrent: Bool { parameter?.tensor.type == type && !isDropped }

  /// `m of layers.0.weight`, `m in q8 of layers.0.weight`
  func role(of index: Int) -> String {
    let dtype = states[index].dtype
    let stored = dtype == .f32 || dtype == .f64 ? "" : " in \(dtype.nameInState)"
    return "\(stateNames[index])\(stored) of \(parameter?.path ?? "a parameter")"
  }

  /// Gives the state up: the next step makes a new one.
  func drop() { isDropped = true }
}
