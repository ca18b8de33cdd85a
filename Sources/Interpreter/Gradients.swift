import Graphs
import Ops
import Passes
import Support
import Tensors

/// `grad(f)`, `value_and_grad(f)`: a function that differentiates another by its first argument.
final class GradientFunction: Callable {
  let function: Callable
  let givesValue: Bool
  init(_ function: Callable, givesValue: Bool) {
    self.function = function
    self.givesValue = givesValue
    super.init()
  }
  override var name: String { (givesValue ? "value_and_grad" : "grad") + "(\(function.name))" }
  override var depth: Int { function.depth + 1 }
  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    // Derivatives of derivatives call each other.
    let frame = try interpreter.push(0, at: arguments.site)
    defer { interpreter.pop(frame, 0) }
    guard let first = arguments.items.first, first.label == nil else {
      throw Failure(
        "missing-argument", "`\(name)` needs the value to differentiate by", at: arguments.site)
    }
    return try interpreter.recording(arguments.site) { trace throws(Failure) in
      let tree = try DifferentiatedTree(first.value, trace, at: first.site)
      let outerMode = interpreter.mode
      if tree.holdsModel, interpreter.mode == .evaluation { interpreter.mode = .training }
      defer { interpreter.mode = outerMode }
      var inner = arguments
      inner.items[0] = .init(label: nil, value: tree.traced, site: first.site)
      let result = try function.call(inner, interpreter)
      // A record or tuple gives the loss first and passes the rest along.
      var loss = result
      if case .record(let record) = result, let head = record.items.first { loss = head }
      guard case .tensor(let tensor) = loss, tensor.isTraced, tensor.trace === trace else {
        if interpreter.isTensorLike(loss) {
          // Constant in its argument: every gradient is zero.
          let zeros = try tree.gradients([GraphValue?](repeating: nil, count: tree.targets.count), trace, at: arguments.site)
          return self.givesValue ? .tuple([result, zeros]) : zeros
        }
        throw Failure(
          "bad-loss", "`grad` needs a function with a number as its result, got \(loss.described)",
          at: arguments.site)
      }
      guard tensor.type.elementCount == 1 else {
        throw Failure(
          "bad-loss", "`grad` needs a function with a single number as its result, got \(tensor.type)",
          at: arguments.site,
          labels: tensor.made.map { [.init(site: $0, text: "made here: \(tensor.type)")] } ?? [],
          help: "use `sum(…)` or `mean(…)`, or `vjp` with a cotangent")
      }
      guard tensor.dtype.isFloating else {
        throw Failure(
          "bad-loss", "`grad` needs a function with a float as its result, got \(tensor.type)", at: arguments.site,
          notes: ["whole numbers and truth values have no derivative"])
      }
      do {
        let value = tensor.value!
        trace.setOrigin(arguments.site)
        if tree.holdsModel { trace.trainedValues.append(value) }
        let one = try trace.builder.broadcast(trace.builder.constant(1, value.dtype), to: value.shape)
        let cotangents = try pullBack(trace.builder, from: [value], cotangents: [one], to: tree.targets)
        let gradients = try tree.gradients(cotangents, trace, at: arguments.site)
        return self.givesValue ? .tuple([result, gradients]) : gradients
      } catch {
        throw Failure.from(error, at: arguments.site)
      }
    }
  }
}

/// The leaves of a value that is differentiated by, and how to put their gradients into a tree like it.
struct DifferentiatedTree {
  private indirect enum Node {
    case leaf(Int, isNumber: Bool)
    /// Not a float: no gradient.
    case other
    case list([Node])
    case record([String?], [Node])
    case model([(name: String, node: Node)])
  }
  /// The argument with traced leaves.
  private(set) var traced: Value = .none
  private(set) var targets: [GraphValue] = []
  private(set) var holdsModel = false
  private var node: Node = .other
  private var seen: [ObjectIdentifier: Int] = [:]

  init(_ value: Value, _ trace: Trace, at site: Site) throws(Failure) {
    try requireWalkable(value, at: site)
    (node, traced) = try walk(value, trace, site)
    if targets.isEmpty {
      throw Failure(
        "not-differentiable", "`grad` cannot differentiate by \(value.described)", at: site,
        help: {
          if case .tensor(let tensor) = value { return "convert it: `f32(…)` instead of \(tensor.dtype)" }
          return nil
        }())
    }
  }

  private mutating func walk(_ value: Value, _ trace: Trace, _ site: Site) throws(Failure) -> (Node, Value) {
    switch value {
    case .int(let number): return leaf(trace, Tensor.number(Double(number), .f64), isNumber: true, site)
    case .double(let number): return leaf(trace, Tensor.number(number, .f64), isNumber: true, site)
    case .tensor(let tensor):
      guard tensor.dtype.isFloating || tensor.isNumber else { return (.other, value) }
      if tensor.isTraced, tensor.trace === trace {
        var graphValue = tensor.value!
        do {
          if !tensor.dtype.isFloating { graphValue = try trace.builder.cast(graphValue, to: .f64) }
        } catch { throw Failure.from(error, at: site) }
        targets.append(graphValue)
        return (
          .leaf(targets.count - 1, isNumber: tensor.isNumber),
          trace.wrap(graphValue, isNumber: tensor.isNumber, made: tensor.made)
        )
      }
      if trace.interpreter.abstract != nil, tensor.isAbstract {
        do {
          let value = try trace.value(of: tensor, at: site)
          targets.append(value)
          return (
            .leaf(targets.count - 1, isNumber: tensor.isNumber),
            trace.wrap(value, isNumber: tensor.isNumber, made: tensor.made ?? site)
          )
        } catch { throw Failure.from(error, at: site) }
      }
      guard let real = tensor.tensor else { throw tensor.missing(at: site) }
      return leaf(trace, real, isNumber: false, tensor.made ?? site)
    case .list(let list):
      if let tensor = literalFloats(list, trace.interpreter, site) {
        return leaf(trace, tensor, isNumber: false, list.site ?? site)
      }
      var nodes: [Node] = []
      var items: [Value] = []
      for item in list.items {
        let (node, traced) = try walk(item, trace, site)
        nodes.append(node)
        items.append(traced)
      }
      return (.list(nodes), .list(ListValue(items, site: list.site)))
    case .record(let record):
      var nodes: [Node] = []
      var items: [Value] = []
      for item in record.items {
        let (node, traced) = try walk(item, trace, site)
        nodes.append(node)
        items.append(traced)
      }
      return (.record(record.names, nodes), .record(RecordValue(names: record.names, items: items)))
    case .model(let model):
      holdsModel = true
      return (walk(model, trace), value)
    default: return (.other, value)
    }
  }

  private func literalFloats(_ list: ListValue, _ interpreter: Interpreter, _ site: Site) -> Tensor? {
    func isNumeric(_ list: ListValue) -> Bool {
      !list.items.isEmpty
        && list.items.allSatisfy {
          switch $0 {
          case .int, .double: true
          case .list(let inner): isNumeric(inner)
          default: false
          }
        }
    }
    guard isNumeric(list) else { return nil }
    return (try? interpreter.tensorValue(.list(list), at: site))?.tensor
  }

  private mutating func leaf(
    _ trace: Trace, _ tensor: Tensor, isNumber: Bool, _ made: Site
  ) -> (Node, Value) {
    let value: GraphValue
    if trace.isStep {
      value = trace.builder.constant(tensor)
    } else {
      value = trace.builder.input(tensor.type, concrete: tensor)
    }
    targets.append(value)
    return (
      .leaf(targets.count - 1, isNumber: isNumber),
      trace.wrap(value, isNumber: isNumber, made: made)
    )
  }

  private mutating func walk(_ model: ModelValue, _ trace: Trace) -> Node {
    var parts: [(name: String, node: Node)] = []
    for (index, field) in model.definition.fields.enumerated() {
      if let node = walkField(model.fields[index], trace) { parts.append((field.name, node)) }
    }
    return .model(parts)
  }

  /// Params inside a field; nil where there are none.
  private mutating func walkField(_ value: Value, _ trace: Trace) -> Node? {
    switch value {
    case .object(let object):
      guard let parameter = object as? ModelParameter, !parameter.isBuffer, !parameter.isFrozen else { return nil }
      let id = ObjectIdentifier(parameter)
      if let known = seen[id] { return .leaf(known, isNumber: false) }
      targets.append(trace.track(parameter))
      seen[id] = targets.count - 1
      return .leaf(targets.count - 1, isNumber: false)
    case .model(let model):
      let node = walk(model, trace)
      if case .model(let parts) = node, parts.isEmpty { return nil }
      return node
    case .list(let list):
      let nodes = list.items.map { walkField($0, trace) }
      if nodes.allSatisfy({ $0 == nil }) { return nil }
      return .list(nodes.map { $0 ?? .other })
    case .record(let record):
      let nodes = record.items.map { walkField($0, trace) }
      if nodes.allSatisfy({ $0 == nil }) { return nil }
      return .record(record.names, nodes.map { $0 ?? .other })
    default: return nil
    }
  }

  /// The gradients in a tree like the argument's; zeros where no path leads.
  func gradients(_ cotangents: [GraphValue?], _ trace: Trace, at site: Site) throws(Failure) -> Value {
    do { return try build(node, cotangents, trace, site) } catch { throw Failure.from(error, at: site) }
  }

  private func build(
    _ node: Node, _ cotangents: [GraphValue?], _ trace: Trace, _ site: Site
  ) throws -> Value {
    switch node {
    case .leaf(let index, let isNumber):
      let value = try cotangents[index] ?? trace.builder.zeros(like: targets[index])
      return trace.wrap(value, isNumber: isNumber, made: site)
    case .other: return .none
    case .list(let nodes): return .list(try nodes.map { try build($0, cotangents, trace, site) })
    case .record(let names, let nodes):
      return .record(
        RecordValue(names: names, items: try nodes.map { try build($0, cotangents, trace, site) }))
    case .model(let parts):
      return .record(
        RecordValue(
          names: parts.map(\.name), items: try parts.map { try build($0.node, cotangents, trace, site) }))
    }
  }
}

extension Interpreter {
  /// Runs `body` in the trace under way, or in a new recording with real values, and lets go of the
  /// recording in what it returns.
  func recording(
    _ site: Site, _ body: (Trace) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    if let trace, trace.isRecording { return try body(trace) }
    let trace = Trace(self, isStep: false)
    let outer = self.trace
    self.trace = trace
    defer {
      trace.finish()
      self.trace = outer
    }
    return released(try body(trace))
  }

  /// The value with real tensors instead of traced ones.
  func released(_ value: Value) -> Value {
    var mapper = TreeMapper { leaf in
      guard case .tensor(let tensor) = leaf, tensor.isTraced else { return leaf }
      guard let real = tensor.tensor else {
        return self.abstract == nil
          ? leaf : .tensor(TensorValue(abstract: tensor.type, isNumber: tensor.isNumber, made: tensor.made))
      }
      return tensor.isNumber ? self.hostNumber(real) : .tensor(TensorValue(real, made: tensor.made))
    }
    return mapper.map(value)
  }

  /// `vjp(f, x)`: the value and a function from a cotangent; `vjp(f, x, dy)`: the value and the product.
  func vjp(_ function: Callable, _ x: Value, _ dy: Value?, at site: Site) throws(Failure) -> Value {
    guard let dy else {
      let value = try call(function, [x], at: site)
      let pull = NativeFunction("vjp(\(function.name))", ["dy"]) { interpreter, values, site throws(Failure) in
        guard case .record(let pair) = try interpreter.vjp(function, x, values[0], at: site) else { return .none }
        return pair.items[1]
      }
      return .tuple([value, .callable(pull)])
    }
    return try recording(site) { trace throws(Failure) in
      let tree = try DifferentiatedTree(x, trace, at: site)
      let result = try call(function, [tree.traced], at: site)
      let value = try self.tensorValue(result, at: site)
      let cotangent = try self.tensorValue(dy, at: site)
      guard cotangent.shape == value.shape else {
        throw Failure(
          "shape-mismatch",
          "vjp: the cotangent has shape \(cotangent.shape), the function's result \(value.shape)", at: site)
      }
      do {
        let output = try trace.value(of: value, at: site)
        let seed = try trace.builder.cast(trace.value(of: cotangent, at: site), to: output.dtype)
        let products = try pullBack(trace.builder, from: [output], cotangents: [seed], to: tree.targets)
        return .tuple([result, try tree.gradients(products, trace, at: site)])
      } catch { throw Failure.from(error, at: site) }
    }
  }

  /// `jvp(f, x, v)`: the value and the directional derivative. Reverse mode twice: the pullback is linear in
  /// its cotangent, so its own pullback pushes `v` forward.
  func jvp(_ function: Callable, _ x: Value, _ v: Value, at site: Site) throws(Failure) -> Value {
    try recording(site) { trace throws(Failure) in
      let tree = try DifferentiatedTree(x, trace, at: site)
      try requireWalkable(v, at: site)
      let directions = try self.tensorLeaves(of: v, at: site)
      let result = try call(function, [tree.traced], at: site)
      let value = try self.tensorValue(result, at: site)
      guard directions.count == tree.targets.count else {
        throw Failure(
          "shape-mismatch", "jvp: the direction has \(directions.count) tensors, the argument \(tree.targets.count)",
          at: site)
      }
      do {
        let g = trace.builder
        let output = try trace.value(of: value, at: site)
        // Any cotangent will do; as an input it can be differentiated by.
        let zero = Tensor.zeros(output.type)
        let dummy = trace.isStep ? g.constant(zero) : g.input(output.type, concrete: zero)
        let products = try pullBack(g, from: [output], cotangents: [dummy], to: tree.targets)
        var outputs: [GraphValue] = []
        var seeds: [GraphValue] = []
        for (index, product) in products.enumerated() {
          guard let product else { continue }
          let direction = try trace.value(of: directions[index], at: site)
          guard direction.shape == product.shape else {
            throw Failure(
              "shape-mismatch", "jvp: the direction has shape \(direction.shape), the argument \(product.shape)",
              at: site)
          }
          outputs.append(product)
          seeds.append(try g.cast(direction, to: product.dtype))
        }
        let pushed = try pullBack(g, from: outputs, cotangents: seeds, to: [dummy])[0]
        let derivative = try pushed ?? g.zeros(like: output)
        return .tuple([result, trace.wrap(derivative, isNumber: value.isNumber, made: site)])
      } catch { throw Failure.from(error, at: site) }
    }
  }

  /// The tensors of a tree in order.
  func tensorLeaves(of value: Value, at site: Site) throws(Failure) -> [TensorValue] {
    switch value {
    case .list(let list):
      if isTensorLike(value) { return [try tensorValue(value, at: site)] }
      var result: [TensorValue] = []
      for item in list.items { result += try tensorLeaves(of: item, at: site) }
      return result
    case .record(let record):
      var result: [TensorValue] = []
      for item in record.items { result += try tensorLeaves(of: item, at: site) }
      return result
    case .none: return []
    default: return [try tensorValue(value, at: site)]
    }
  }

  // MARK: Own gradients

  /// Calls a function that carries its derivative: its body is recorded as a constant, and one node stands
  /// for it whose gradient asks the rule.
  func callWithOwnGradient(
    _ function: FunctionValue, _ rule: Callable, _ arguments: Arguments, _ trace: Trace
  ) throws(Failure) -> Value {
    guard arguments.items.contains(where: { if case .tensor(let t) = $0.value { t.isTraced } else { false } })
    else { return try function.callBody(arguments, self) }
    var operands: [TensorValue] = []
    for item in arguments.items { operands.append(try tensorValue(item.value, at: item.site)) }
    trace.isInsideOwnGradient = true
    let value: Value
    do throws(Failure) {
      value = try function.callBody(arguments, self)
      trace.isInsideOwnGradient = false
    } catch {
      trace.isInsideOwnGradient = false
      throw error
    }
    let result = try tensorValue(value, at: arguments.site)
    do {
      let g = trace.builder
      trace.setOrigin(arguments.site)
      let inputs = try operands.map { try trace.value(of: $0, at: arguments.site) }
      let node = OwnGradient(
        rule: GradientRule { [unowned self] g, pullback in
          try self.applyRule(rule, pullback, trace, at: arguments.site)
        })
      let output = try g.append(node, [trace.value(of: result, at: arguments.site)] + inputs)[0]
      return trace.wrap(output, isNumber: result.isNumber, made: arguments.site)
    } catch { throw Failure.from(error, at: arguments.site) }
  }

  private func applyRule(
    _ rule: Callable, _ pullback: Pullback, _ trace: Trace, at site: Site
  ) throws -> [GraphValue?] {
    let inputs = pullback.operands.dropFirst()
    let values =
      inputs.map { trace.wrap($0, isNumber: false, made: site) }
      + [trace.wrap(pullback.cotangent, isNumber: false, made: site)]
    let first = trace.builder.graph.nodes.count
    let result = try call(rule, values, at: site)
    for index in first..<trace.builder.graph.nodes.count {
      trace.builder.graph.nodes[index].origin.isWrittenDerivative = true
    }
    var gradients: [Value] = [result]
    if case .record(let record) = result { gradients = record.items }
    guard gradients.count == inputs.count else {
      throw Failure(
        "bad-gradient", "the derivative gives \(plural(gradients.count, "value")) for \(plural(inputs.count, "argument"))",
        at: site)
    }
    var cotangents: [GraphValue?] = [nil]
    for (gradient, input) in zip(gradients, inputs) {
      if case .none = gradient {
        cotangents.append(nil)
        continue
      }
      let tensor = try tensorValue(gradient, at: site)
      let value = try trace.value(of: tensor, at: site)
      guard input.shape.broadcast(with: value.shape) == input.shape else {
        throw Failure(
          "bad-gradient", "the derivative has shape \(value.shape), the argument \(input.shape)", at: site)
      }
      cotangents.append(
        try trace.builder.cast(trace.builder.broadcast(value, to: input.shape), to: input.dtype))
    }
    return cotangents
  }
}

/// The derivative that a program wrote for a function, as one object that a node can hold.
final class GradientRule: Hashable, @unchecked Sendable {
  let apply: (GraphBuilder, Pullback) throws -> [GraphValue?]
  init(_ apply: @escaping (GraphBuilder, Pullback) throws -> [GraphValue?]) { self.apply = apply }
  static func == (a: GradientRule, b: GradientRule) -> Bool { a === b }
  func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The value of a function that carries its own derivative. Operand 0 is the value, the rest its arguments.
struct OwnGradient: ViewOp {
  let rule: GradientRule
  init(rule: GradientRule) { self.rule = rule }
  init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }
  static let name = "own_gradient"
  static let documentation = "Passes a value on; its derivative is the program's."
  static let signature = Signature(.operand("value"), .operands("arguments"))
  static let dtypes = DTypeSet.all
  static let traits = OpTraits(
    precision: .asIs, cost: .view, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)
  func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] { [operands[0]] }
  /// Only the value is looked at.
  func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: 1, additivity: .together, attributes: 0)
  }
  func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] { [operands[0]] }
  func layout(of operand: Layout) -> Layout? { operand }
  var gradient: Gradient {
    .pullback { [rule] g, pullback in try rule.apply(g, pullback) }
  }
  static var samples: [OpSample] { [] }
  static var rejections: [OpSample.Rejected] { [] }
}

/// A function of the runtime given to programs.
final class NativeFunction: Callable {
  private let text: String
  private let parameters: [String]
  private let body: (Interpreter, [Value], Site) throws(Failure) -> Value
  init(
    _ name: String, _ parameters: [String],
    _ body: @escaping (Interpreter, [Value], Site) throws(Failure) -> Value
  ) {
    text = name
    self.parameters = parameters
    self.body = body
    super.init()
  }
  override var name: String { text }
  override var parameterNames: [String]? { parameters }
  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    guard arguments.items.count == parameters.count, arguments.items.allSatisfy({ $0.label == nil }) else {
      throw Failure(
        "missing-argument",
        "`\(text)` takes \(plural(parameters.count, "argument")), got \(arguments.items.count)",
        at: arguments.site)
    }
    // Such functions call each other without any of the program's between them.
    let frame = try interpreter.push(0, at: arguments.site)
    defer { interpreter.pop(frame, 0) }
    return try body(interpreter, arguments.items.map(\.value), arguments.site)
  }
}
