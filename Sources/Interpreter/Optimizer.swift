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
    if dtype == .q8, entry.parameter.home?.definition.declaredName == "Embedding" { return type.dtype }
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
    states[compensation] = Tensor(
      [Double](repeating: 0, count: type.elementCount), dtype: states[compensation].dtype, shape: type.shape)
  }

  /// Whether the parameter still has the shape and dtype that the state was made for.
  package var isCurrent: Bool { parameter?.tensor.type == type && !isDropped }

  /// `m of layers.0.weight`, `m in q8 of layers.0.weight`
  func role(of index: Int) -> String {
    let dtype = states[index].dtype
    let stored = dtype == .f32 || dtype == .f64 ? "" : " in \(dtype)"
    return "\(stateNames[index])\(stored) of \(parameter?.path ?? "a parameter")"
  }

  /// Gives the state up: the next step makes a new one.
  func drop() { isDropped = true }
}

extension Interpreter {
  /// `minimize(loss, tree, opt, clip: c, clip_value: v)`: gradients, then one update of every parameter, at
  /// the values that the loss was computed from.
  ///
  /// - Returns: `(applied, reason, norm, scale)`.
  func minimize(
    _ loss: Value, _ tree: Value, _ optimizer: OptimizerValue, clip: Value?, clipValue: Value?,
    at site: Site, lossSite: Site, treeSite: Site
  ) throws(Failure) -> Value {
    guard let trace, trace.isRecording, trace.isStep else {
      throw Failure(
        "no-history", "`minimize` works inside a step", at: site,
        notes: ["outside one there is no record of how the loss was computed"],
        help: "put these lines into `step train(x, y) { … }`")
    }
    guard case .tensor(let lossTensor) = loss, let lossValue = lossTensor.value,
      lossTensor.trace === trace
    else {
      throw Failure(
        "bad-loss", "the loss does not depend on anything in this step, got \(loss.described)",
        at: lossSite)
    }
    guard lossTensor.type.elementCount == 1, lossTensor.dtype.isFloating else {
      let isFloat = lossTensor.dtype.isFloating
      throw Failure(
        "bad-loss",
        "the loss must be a single \(isFloat ? "number" : "float"), got \(lossTensor.type)", at: lossSite,
        labels: [.init(site: lossSite, text: describe(lossTensor, at: lossSite))],
        notes: isFloat ? [] : ["whole numbers and truth values have no derivative"],
        help: isFloat ? "use `mean(…)` or `sum(…)`" : nil)
    }
    let found = parameters(of: tree).filter { !$0.parameter.isBuffer }
    guard !found.isEmpty else {
      throw Failure(
        "no-parameters", "there is nothing to train in \(tree.described)", at: treeSite,
        notes: ["`minimize` takes a model, a part of one, or a list of them"])
    }
    let paths = found.filter { !$0.parameter.isFrozen }
    guard !paths.isEmpty else {
      throw Failure(
        "no-parameters", "there is nothing to train in \(tree.described): all of it is frozen", at: treeSite,
        help: "free it with `unfreeze(\(treeSite.text))`")
    }
    let g = trace.builder
    let outerPhase = trace.phase
    defer { trace.phase = outerPhase }
    do {
      // Targets: every value each parameter has had; the last that the loss depends on counts.
      trace.phase = .backward
      trace.setOrigin(site)
      var targets: [GraphValue] = []
      for entry in paths {
        _ = trace.track(entry.parameter)
        targets += trace.histories[ObjectIdentifier(entry.parameter)]!
      }
      let scale = try trace.lossScale()
      let start = try scale.map { try g.cast($0, to: lossValue.dtype) } ?? g.constant(1, lossValue.dtype)
      let one = try g.broadcast(start, to: lossValue.shape)
      let cotangents = try pullBack(g, from: [lossValue], cotangents: [one], to: targets)
      trace.trainedValues.append(lossValue)
      trace.minimizations += 1

      var gradients: [(entry: ParameterPath, gradient: GraphValue)] = []
      var unreached: [String] = []
      var position = 0
      for entry in paths {
        let count = trace.histories[ObjectIdentifier(entry.parameter)]!.count
        let own = cotangents[position..<(position + count)].compactMap { $0 }
        position += count
        if let gradient = own.last {
          var wide = try g.cast(gradient, to: gradient.dtype == .f64 ? .f64 : .f32)
          if let scale {
            // Right after the backward pass, so that bounds of clipping keep their meaning.
            let inverse = try g.cast(g.divide(g.constant(1, .f64), g.cast(scale, to: .f64)), to: wide.dtype)
            wide = try g.multiply(wide, g.broadcast(inverse, to: wide.shape))
          }
          g.graph.gradients.append((wide, entry.path))
          gradients.append((entry, wide))
        } else {
          unreached.append(entry.path.isEmpty ? "this parameter" : entry.path)
        }
      }
      guard !gradients.isEmpty else {
        throw Failure(
          "unreached-parameter", "the loss depends on no parameter of `\(treeSite.text)`", at: lossSite,
          labels: [.init(site: treeSite, text: "to be trained")])
      }
      for path in unreached where !trace.isPiece {
        output.report(
          Diagnostic(
            .warning, "unreached-parameter", "the loss does not depend on `\(path)`; it stays as it is",
            at: lossSite))
      }

      if trace.lossScaling == .dynamic {
        let counts = try gradients.map { (path: $0.entry.path, count: try g.countOfNonFinite($0.gradient)) }
        let total = try counts.dropFirst().reduce(counts[0].count) { try g.add($0, $1.count) }
        var isFinite = try g.equal(total, g.number(0, like: total))
        if let earlier = trace.overflow { isFinite = try g.logicalAnd(earlier.isFinite, isFinite) }
        trace.overflow = OverflowTest(isFinite: isFinite, counts: (trace.overflow?.counts ?? []) + counts)
      }

      // Clipping: by value first, then by the norm of all gradients together.
      if let clipValue {
        for index in gradients.indices {
          let gradient = gradients[index].gradient
          let bound = try numberValue(clipValue, "`clip_value`", gradient.dtype, trace, at: site)
          let high = try g.broadcast(bound, to: gradient.shape)
          gradients[index].gradient = try g.maximum(try g.minimum(gradient, high), try g.negate(high))
        }
      }
      let wide = gradients.contains { $0.gradient.dtype == .f64 } ? DType.f64 : .f32
      var total: GraphValue?
      for (_, gradient) in gradients {
        let flat = try g.reshape(gradient, to: [gradient.shape.elementCount])
        let square = try g.cast(
          try g.sum(try g.multiply(flat, flat), axes: [0], keepingAxes: false), to: wide)
        total = try total.map { try g.add($0, square) } ?? square
      }
      let norm = try g.sqrt(total!)
      if let clip {
        // torch.nn.utils.clip_grad_norm_: the factor never exceeds 1, 1e-6 keeps a zero norm finite.
        let bound = try numberValue(clip, "`clip`", wide, trace, at: site)
        let factor = try g.minimum(
          try g.divide(bound, try g.add(norm, g.constant(1e-6, wide))), g.constant(1, wide))
        for index in gradients.indices {
          let gradient = gradients[index].gradient
          gradients[index].gradient = try g.multiply(gradient, try g.cast(factor, to: gradient.dtype))
        }
      }

      trace.phase = .update
      do {
        try update(gradients.map { ($0.entry, $0.gradient) }, optimizer, trace, at: site)
      } catch {
        let failure = Failure.from(error, at: site)
        failure.add(call: optimizer.definition.name, at: site)
        throw failure
      }
      trace.setOrigin(site)
      var applied = Value.bool(true)
      var reason = Value.none
      if let overflow = trace.overflow {
        applied = trace.wrap(overflow.isFinite, isNumber: false, made: site)
        reason = .string(StringValue(pieces: [.overflow(overflow.counts)]))
      }
      let scaleValue: Value =
        switch trace.lossScaling {
        case .none: .double(1)
        case .fixed(let scale): .double(scale)
        case .dynamic: trace.wrap(scale!, isNumber: false, made: site)
        }
      return .record([
        "applied": applied, "reason": reason, "norm": trace.wrap(norm, isNumber: false, made: site),
        "scale": scaleValue,
      ])
    } catch {
      throw Failure.from(error, at: site)
    }
  }

  /// `apply_gradients(gradients, tree, opt)`: one update of every parameter that has a gradient.
  func applyGradients(
    _ gradients: Value, _ tree: Value, _ optimizer: OptimizerValue, at site: Site, gradientSite: Site, treeSite: Site
  ) throws(Failure) -> Value {
    guard let trace, trace.isRecording, trace.isStep else {
      throw Failure(
        "no-history", "`apply_gradients` works inside a step", at: site,
        help: "put it into one: `step descend(g) { apply_gradients(g, net, opt) }`")
    }
    try requireWalkable(gradients, at: gradientSite)
    var found: [(entry: ParameterPath, gradient: TensorValue)] = []
    try pair(gradients, with: tree, path: "", at: gradientSite, &found)
    guard !found.isEmpty else {
      throw Failure("no-parameters", "there is nothing to train in \(tree.described)", at: treeSite)
    }
    let outerPhase = trace.phase
    defer { trace.phase = outerPhase }
    trace.phase = .update
    trace.setOrigin(site)
    do {
      var wide: [(ParameterPath, GraphValue)] = []
      for (entry, gradient) in found {
        _ = trace.track(entry.parameter)
        let value = try trace.value(of: gradient, at: gradientSite)
        wide.append((entry, try trace.builder.cast(value, to: value.dtype == .f64 ? .f64 : .f32)))
      }
      try update(wide, optimizer, trace, at: site)
    } catch {
      throw Failure.from(error, at: site)
    }
    return .none
  }

  /// The params of a tree with the gradients that stand at their places.
  private func pair(
    _ gradient: Value, with tree: Value, path: String, at site: Site,
    _ found: inout [(entry: ParameterPath, gradient: TensorValue)]
  ) throws(Failure) {
    func place(_ path: String) -> String { path.isEmpty ? "the tree" : "`\(path)`" }
    func inner(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    if case .none = gradient { return }
    switch tree {
    case .object(let object):
      guard let parameter = object as? ModelParameter, !parameter.isBuffer else { return }
      let given = try tensorValue(gradient, at: site)
      guard given.shape == parameter.tensor.shape else {
        throw Failure(
          "shape-mismatch", "the gradient of \(place(path)) is \(given.type), the param \(parameter.tensor.type)", at: site)
      }
      if !parameter.isFrozen { found.append((ParameterPath(path: path, parameter: parameter), given)) }
    case .model(let model):
      guard case .record(let record) = gradient else {
        throw Failure("tree-mismatch", "\(place(path)) needs a record of gradients, got \(gradient.described)", at: site)
      }
      for (name, item) in zip(record.names, record.items) {
        // A constructor's argument may have the name of a param: `bias` of Linear.
        let fields = model.definition.fields
        guard let name,
          let index = fields.indices.first(where: {
            fields[$0].name == name && parameterTree(of: model.fields[$0]) != nil
          })
        else {
          throw Failure("tree-mismatch", "\(place(path)) has no param `\(name ?? "")`", at: site)
        }
        try pair(item, with: model.fields[index], path: inner(name), at: site, &found)
      }
    case .list(let list):
      guard case .list(let gradients) = gradient, gradients.items.count == list.items.count else {
        throw Failure(
          "tree-mismatch", "\(place(path)) needs a list of \(plural(list.items.count, "gradient")), got \(gradient.described)",
          at: site)
      }
      for (index, item) in list.items.enumerated() {
        try pair(gradients.items[index], with: item, path: inner("\(index)"), at: site, &found)
      }
    case .record(let record):
      guard case .record(let gradients) = gradient, gradients.items.count == record.items.count else {
        throw Failure("tree-mismatch", "\(place(path)) needs a record of gradients, got \(gradient.described)", at: site)
      }
      for (index, item) in record.items.enumerated() {
        try pair(
          gradients.items[index], with: item, path: inner(record.names[index] ?? "\(index)"), at: site, &found)
      }
    default:
      throw Failure("tree-mismatch", "\(place(path)) has no params, got a gradient for it", at: site)
    }
  }

  /// A bound, traced or not, as a graph value of `dtype`.
  private func numberValue(
    _ value: Value, _ what: String, _ dtype: DType, _ trace: Trace, at site: Site
  ) throws -> GraphValue {
    switch value {
    case .int, .double:
      let number = try hostDouble(value, what, at: site)
      guard number > 0 else {
        throw Failure("bad-argument", "\(what) must be above 0, got \(format(number: number))", at: site)
      }
      return trace.builder.constant(number, dtype)
    case .tensor(let tensor) where tensor.type.elementCount == 1:
      return try trace.builder.cast(
        trace.builder.reshape(trace.value(of: tensor, at: site), to: .scalar), to: dtype)
    default:
      throw Failure("bad-argument", "\(what) must be a number, got \(value.described)", at: site)
    }
  }

  /// Runs the optimizer's formula once per parameter.
  func update(
    _ gradients: [(ParameterPath, GraphValue)], _ optimizer: OptimizerValue, _ trace: Trace,
    at site: Site
  ) throws {
    let definition = optimizer.definition
    guard let template = definition.update else {
      throw Failure("bad-optimizer", "`\(definition.name)` has no `update`", at: site)
    }
    if optimizer.hasRounding, !gradients.contains(where: { $0.0.parameter.tensor.dtype == .bf16 }) {
      let first = gradients[0].0
      throw Failure(
        "bad-policy", "`rounding` is for params in bf16, and there are none: \(first.path.isEmpty ? "this one" : "`\(first.path)`") is \(first.parameter.tensor.type)",
        at: site, help: "`net = bf16(net)` makes them bf16; params in f32 need no rounding")
    }
    // State is made now, and kept when the step has run to its end.
    var slots: [OptimizerSlot] = []
    for (entry, _) in gradients {
      slots.append(try optimizerSlot(optimizer, entry, at: site))
    }
    // Parameters that have made equally many steps share one step number.
    var numbers: [Int: TensorValue] = [:]
    for count in Set(slots.map { $0.count + trace.pendingSteps(of: $0) }).sorted() {
      let group = slots.filter { $0.count + trace.pendingSteps(of: $0) == count }
      let pending = trace.pendingSteps(of: group[0])
      let base = trace.numberInput(
        .stepNumber(group), Tensor.number(integer: group[0].count + 1, .i64), made: site)
      if pending == 0 {
        numbers[count] = base
      } else {
        let shifted = try trace.builder.add(base.value!, trace.builder.constant(Double(pending), .i64))
        numbers[count] = TensorValue(shifted, in: trace, concrete: nil, isNumber: true, made: site)
      }
    }
    for ((entry, gradient), slot) in zip(gradients, slots) {
      let step = numbers[slot.count + trace.pendingSteps(of: slot)]!
      try update(entry, gradient, slot, step, optimizer, template, trace, at: site)
      trace.steppedSlots.append(slot)
    }
  }

  private func update(
    _ entry: ParameterPath, _ gradient: GraphValue, _ slot: OptimizerSlot, _ step: TensorValue,
    _ optimizer: OptimizerValue, _ template: FunctionTemplate, _ trace: Trace, at site: Site
  ) throws {
    let definition = optimizer.definition
    let body = template.body
    let frame = try push(body.slotCount, at: site)
    defer { pop(frame, body.slotCount) }
    let g = trace.builder
    let parameter = entry.parameter
    let now = trace.track(parameter)
    let current = trace.histories[ObjectIdentifier(parameter)]!.last ?? now
    let wide = parameter.tensor.dtype == .f64 ? DType.f64 : .f32
    func tensor(_ value: GraphValue) -> Value { trace.wrap(value, isNumber: false, made: site) }
    var value = try g.cast(current, to: wide)
    // The formula sees the parameter with what rounding took from it, so that it need not know of rounding.
    let compensation = slot.compensation.map { index in
      let (value, input) = trace.stateInput(slot, index, slot.states[index].type)
      return (index: index, value: value, input: input)
    }
    if let compensation { value = try g.add(value, g.cast(compensation.value, to: wide)) }
    frame[0] = tensor(value)
    frame[1] = tensor(try g.cast(gradient, to: wide))
    frame[2] = .tensor(step)

    func fill(_ slot: Int, _ value: Value) {
      // A variable that a helper function shares sits in a cell.
      if body.boxedSlots.contains(slot) {
        frame[slot] = .cell(Cell(value, trace: traceSerial))
      } else {
        frame[slot] = value
      }
    }
    let settings = optimizer.effectiveHyperparameters(at: entry.path)
    for (index, setting) in settings.enumerated() {
      var value = setting.value
      if setting.isOwn {
        value = try trace.capture(
          .hyperparameter(optimizer, index, name: definition.parameters.names[index]), value, at: site)
      }
      if case .callable(let schedule) = value { value = try call(schedule, [.tensor(step)], at: site) }
      fill(definition.hyperSlots[index], value)
    }
    for place in definition.stateSlots { fill(place, .none) }
    var inputs: [Int] = []
    var before: [GraphValue] = []
    var olds: [GraphValue] = []
    for (index, state) in slot.states.enumerated() where index != slot.compensation {
      let (value, input) = trace.stateInput(slot, index, state.type)
      inputs.append(input)
      before.append(value)
      // What is stored in fewer bits is computed as the update is.
      let computed: DType = state.dtype == .f64 || state.dtype != .f32 && wide == .f64 ? .f64 : .f32
      olds.append(try g.cast(value, to: computed))
      fill(definition.stateSlots[slot.places[index]], tensor(olds[index]))
    }
    let outerPath = trace.enterPath(entry.path)
    defer { trace.leave(outerPath) }
    let result = try template.run(frame, self)
    let made = template.declaration.body.statements.last?.site ?? template.declaration.site
    let new = try tensorValue(result, at: made)
    guard new.shape == parameter.tensor.shape else {
      throw Failure(
        "shape-mismatch",
        "\(definition.name): the update of `\(entry.path)` is \(new.type), the parameter \(parameter.tensor.type)",
        at: made, labels: new.made.map { $0 == made ? [] : [.init(site: $0, text: "made here: \(new.type)")] } ?? [])
    }
    func held(_ place: Int) -> Value {
      let value = frame[definition.stateSlots[place]]
      if case .cell(let cell) = value { return cell.value }
      return value
    }
    for place in definition.states.indices where !slot.places.contains(place) {
      guard case .none = held(place) else {
        let state = "the state `\(definition.states[place].name)` of `\(entry.path)`"
        throw Failure(
          "bad-optimizer", "\(definition.name): \(state) is none and became \(held(place).described)", at: made,
          notes: ["a parameter has the states whose lines give a tensor at its first step"])
      }
    }
    for (index, state) in slot.states.enumerated() where index != slot.compensation {
      let place = slot.places[index]
      let value = try tensorValue(held(place), at: made)
      guard value.shape == state.shape else {
        throw Failure(
          "shape-mismatch",
          "\(definition.name): the state `\(definition.states[place].name)` of `\(entry.path)` changes from \(state.type) to \(value.type)",
          at: value.made ?? made, notes: ["a state keeps its shape from step to step"])
      }
      let new = try trace.value(of: value, at: made)
      if state.dtype == .q8 {
        // State that stays as it is is not rounded once more; a step that is skipped would do that.
        if new.id == olds[index].id { continue }
        guard trace.overflow == nil else { throw unsteady(entry, at: site) }
      }
      let next = try g.cast(new, to: state.dtype)
      trace.writeState(
        slot, index, input: inputs[index], try trace.unlessSkipped(next, before[index]))
    }

    // Last, so that all that is elementwise comes before what draws random numbers, and runs as one pass.
    let exact = try g.cast(trace.value(of: new, at: made), to: wide)
    let next: GraphValue
    switch optimizer.rounding(of: entry) {
    case .nearest, .kahan: next = try g.cast(exact, to: parameter.tensor.dtype)
    case .stochastic: next = try g.stochasticRound(exact, key: trace.randomKey())
    }
    trace.update(parameter, to: try trace.unlessSkipped(next, current))
    if let compensation {
      let lost = try g.cast(g.subtract(exact, g.cast(next, to: wide)), to: compensation.value.dtype)
      trace.writeState(
        slot, compensation.index, input: compensation.input, try trace.unlessSkipped(lost, compensation.value))
    }
  }

  /// Blocks of q8 cannot stay as they are in a step that is skipped: rounding them anew may change them.
  private func unsteady(_ entry: ParameterPath, at site: Site) -> Failure {
    Failure(
      "unsupported-dtype",
      "the optimizer state of `\(entry.path)` is stored in q8, which a step with loss scaling cannot leave as it is where it is skipped",
      at: site, help: "use `precision: bf16`, which needs no loss scale, or store the state in bf16")
  }

  /// The state for a parameter: what there is, or fresh from the optimizer's `state` lines.
  private func optimizerSlot(
    _ optimizer: OptimizerValue, _ entry: ParameterPath, at site: Site
  ) throws -> OptimizerSlot {
    if let slot = optimizer.slot(for: entry.parameter) { return slot }
    if let old = optimizer.dropStaleState(of: entry.parameter) {
      let name = entry.path.isEmpty ? "this parameter" : entry.path
      output.report(
        Diagnostic(
          .note, "state-dropped",
          "`\(name)` is \(entry.parameter.tensor.type) now, its optimizer state was for \(old)",
          at: site, notes: ["the state begins anew, at t = 1"]))
    }
    let slot = try freshSlot(optimizer, entry, at: site)
    optimizer.keep(slot)
    return slot
  }

  /// The state that an optimizer's `state` lines give for a parameter.
  func freshSlot(
    _ optimizer: OptimizerValue, _ entry: ParameterPath, at site: Site
  ) throws -> OptimizerSlot {
    let definition = optimizer.definition
    let outer = (trace, isCapturing)
    (trace, isCapturing) = (nil, false)
    defer { (trace, isCapturing) = outer }
    var tensors: [Tensor?] = []
    for state in optimizer.definition.states {
      let frame = try push(state.slotCount, at: site)
      defer { pop(frame, state.slotCount) }
      let wide = try cast(entry.parameter.tensor, to: entry.parameter.tensor.dtype == .f64 ? .f64 : .f32)
      frame[0] = .tensor(TensorValue(wide, made: entry.parameter.made))
      for (index, setting) in optimizer.effectiveHyperparameters(at: entry.path).enumerated() {
        var value = setting.value
        if case .callable(let schedule) = value { value = try call(schedule, [.int(1)], at: site) }
        frame[1 + index] = value
      }
      let first = try state.initial.eval(frame)
      if case .none = first {
        tensors.append(nil)
        continue
      }
      let value = try tensorValue(first, at: state.initial.site)
      guard let tensor = value.tensor else { throw Trace.escaped(at: site) }
      let stored = try cast(tensor, to: optimizer.stateDType(of: entry, tensor.type))
      tensors.append(stored.copiedForState())
    }
    var compensation: Tensor?
    if optimizer.rounding(of: entry) == .kahan {
      let type = entry.parameter.tensor.type
      compensation = Tensor([Double](repeating: 0, count: type.elementCount), dtype: type.dtype, shape: type.shape)
    }
    return OptimizerSlot(entry.parameter, states: tensors, compensation: compensation, of: definition)
  }
}

extension Trace {
  /// Steps that this trace has already made with a slot: a second `minimize` of the same parameter counts on.
  func pendingSteps(of slot: OptimizerSlot) -> Int {
    steppedSlots.count { $0 === slot }
  }

  /// The state as a graph value: written earlier in this trace, or an input.
  func stateInput(_ slot: OptimizerSlot, _ index: Int, _ type: TensorType) -> (GraphValue, Int) {
    if let write = stateWrites.last(where: { $0.slot === slot && $0.index == index }) {
      return (write.value, write.input)
    }
    let (value, input) = tensorInput(.state(slot, index), type)
    return (value, input)
  }

  func writeState(_ slot: OptimizerSlot, _ index: Int, input: Int, _ value: GraphValue) {
    stateWrites.removeAll { $0.slot === slot && $0.index == index }
    stateWrites.append((slot, index, input, value))
  }
}
