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
  var mode: ModeOverride = .undecided
  private var plans: [TracedStep] = []
  private var traceCount = 0

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

  /// The same function with plans of its own.
  func copy() -> StepValue { StepValue(function) }

  /// How many plans are kept, least recently used ones dropped.
  static let planLimit = 16

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
    for (index, plan) in plans.enumerated().reversed() {
      if let inputs = plan.inputs(for: values, interpreter) {
        if index != plans.count - 1 {
          plans.remove(at: index)
          plans.append(plan)
        }
        return try plan.run(inputs, interpreter, at: arguments.site)
      }
    }
    let plan = try trace(values, arguments, interpreter)
    plans.append(plan)
    if plans.count > StepValue.planLimit { plans.removeFirst() }
    traceCount += 1
    if traceCount == 9 { interpreter.output.report(retraceNote(plan, at: arguments.site)) }
    guard let inputs = plan.inputs(for: values, interpreter) else {
      throw Failure("internal", "a fresh plan does not fit its own arguments", at: arguments.site)
    }
    return try plan.run(inputs, interpreter, at: arguments.site)
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

  private func trace(
    _ values: [Value], _ arguments: Arguments, _ interpreter: Interpreter
  ) throws(Failure) -> TracedStep {
    let trace = Trace(interpreter, isStep: true)
    let outer = (interpreter.trace, interpreter.isCapturing, interpreter.mode)
    interpreter.trace = trace
    interpreter.isCapturing = true
    interpreter.mode = mode
    defer {
      trace.finish()
      (interpreter.trace, interpreter.isCapturing, interpreter.mode) = outer
    }
    var traced: [Value] = []
    for (index, value) in values.enumerated() {
      traced.append(
        try trace.capture(
          .argument(index, name: function.template.parameters.names[index]), value, at: arguments.site))
    }
    let result = try function.callBody(Arguments(values: traced, at: arguments.site), interpreter)
    return try TracedStep(trace, result: result, name: name, at: arguments.site)
  }

  private func retraceNote(_ plan: TracedStep, at site: Site) -> Diagnostic {
    var changing: [String] = []
    if let before = plans.dropLast().last {
      for (old, new) in zip(before.sources, plan.sources) where old.source.name == new.source.name {
        if old.pattern.description != new.pattern.description {
          changing.append(
            "`\(new.source.name)`: \(old.pattern.description), now \(new.pattern.description)")
        }
      }
      if changing.isEmpty, !plan.numberGuards.isEmpty {
        changing.append("a number that decides a shape, a range or an `if`")
      }
    }
    return Diagnostic(
      .note, "retraced", "the step `\(name)` has been traced 9 times", at: site,
      notes: changing.isEmpty ? [] : ["what changed last: " + changing.joined(separator: "; ")],
      help: "give it arguments of the same shapes, or use `where` instead of `if`")
  }
}

/// A step traced for one kind of arguments: the plan, what it took for granted, and what it changes.
final class TracedStep {
  let sources: [(source: Source, pattern: Pattern)]
  let numberGuards: [(value: GraphValue, expected: Double)]
  let graph: Graph
  /// The graph before any pass, which may drop what only the guards need; empty without guards.
  private let guardGraph: Graph
  private let plan: Plan
  private let feeds: [InputFeed]
  private let result: ResultShape
  private let parameterTypes: [(ModelParameter, TensorType)]
  private let writtenParameters: [ModelParameter]
  private let writtenStates: [(slot: OptimizerSlot, index: Int)]
  private let slots: [OptimizerSlot]
  private let newSlots: [OptimizerSlot]
  private let prints: [[TextPiece]]
  private let assertions: [(message: String, site: Site)]
  private let usesRandom: Bool
  private let freezeEpoch: Int
  let name: String

  /// How outputs become the value that the step returns.
  private indirect enum ResultShape {
    case output(Int, isNumber: Bool, made: Site?)
    case constant(Value)
    case list([ResultShape])
    case record([String?], [ResultShape])
    /// A string whose values the outputs from the n-th on fill in.
    case text([TextPiece], Range<Int>)
  }

  init(_ trace: Trace, result: Value, name: String, at site: Site) throws(Failure) {
    self.name = name
    freezeEpoch = trace.interpreter.freezeEpoch
    sources = trace.sources
    numberGuards = trace.numberGuards
    guardGraph = trace.numberGuards.isEmpty ? Graph() : trace.builder.graph
    feeds = trace.feeds
    prints = trace.prints
    assertions = trace.assertions
    slots = trace.steppedSlots
    newSlots = trace.newSlots
    usesRandom = trace.feeds.contains { if case .randomKey = $0 { true } else { false } }
    parameterTypes = trace.feeds.compactMap { feed in
      if case .parameter(let parameter) = feed { (parameter, parameter.tensor.type) } else { nil }
    }

    var outputs: [GraphValue] = []
    self.result = try TracedStep.shape(result, trace, &outputs, at: site)
    var graph = trace.builder.graph
    graph.outputs = outputs

    var writtenParameters: [ModelParameter] = []
    var writtenStates: [(slot: OptimizerSlot, index: Int)] = []
    for (id, value) in trace.parameterWrites.sorted(by: {
      trace.inputIndex(of: trace.parameters[$0.key]!) < trace.inputIndex(of: trace.parameters[$1.key]!)
    }) {
      let parameter = trace.parameters[id]!
      graph.writes.append(.init(input: trace.inputIndex(of: parameter), value: value))
      writtenParameters.append(parameter)
    }
    for write in trace.stateWrites {
      graph.writes.append(.init(input: write.input, value: write.value))
      writtenStates.append((write.slot, write.index))
    }
    do {
      // Buffers of models that turn out to be in use, not in training, stay as they are.
      let training = resolveModes(&graph, trained: trace.trainedValues)
      let owners = Set(training.compactMap { trace.modeOwners[$0].map(ObjectIdentifier.init) })
      let undecided = Set(trace.modeOwners.values.map(ObjectIdentifier.init))
      var buffers: [ObjectIdentifier: (ModelParameter, GraphValue)] = [:]
      var order: [ObjectIdentifier] = []
      for write in trace.bufferWrites where trace.minimizations > 0 {
        let owner = ObjectIdentifier(write.owner)
        if undecided.contains(owner) && !owners.contains(owner) { continue }
        let id = ObjectIdentifier(write.parameter)
        if buffers[id] == nil { order.append(id) }
        buffers[id] = (write.parameter, write.value)
      }
      for id in order {
        let (parameter, value) = buffers[id]!
        graph.writes.append(.init(input: trace.inputIndex(of: parameter), value: value))
        // Written like params, after the states: `commit` walks them in this order.
        writtenStates.append((OptimizerSlot.buffer(parameter), 0))
      }
      try Pipeline.run(Pipeline.step, on: &graph)
      self.graph = graph
      plan = try Plan(graph)
    } catch {
      throw Failure.from(error, at: site)
    }
    self.writtenParameters = writtenParameters
    self.writtenStates = writtenStates
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
      guard let pieces = string.pieces else { return .constant(value) }
      let first = outputs.count
      for case .value(let part, _, _) in pieces { outputs.append(part) }
      return .text(pieces, first..<outputs.count)
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

  // MARK: Running

  /// The inputs for a call with `arguments`, or nil where the plan does not fit it.
  func inputs(for arguments: [Value], _ interpreter: Interpreter) -> [Tensor]? {
    if interpreter.freezeEpoch != freezeEpoch { return nil }
    var leaves: [Value] = []
    for (source, pattern) in sources {
      if !pattern.match(source.value(arguments, interpreter.globals), into: &leaves) { return nil }
    }
    for (parameter, type) in parameterTypes where parameter.tensor.type != type { return nil }
    var inputs: [Tensor] = []
    inputs.reserveCapacity(feeds.count)
    for (index, feed) in feeds.enumerated() {
      switch feed {
      case .leaf(let leaf): inputs.append(tensor(leaves[leaf], graph.inputs[index].dtype))
      case .parameter(let parameter): inputs.append(parameter.tensor)
      case .state(let slot, let position):
        guard slot.isCurrent, slot.states[position].type == graph.inputs[index].type else { return nil }
        inputs.append(slot.states[position])
      case .stepNumber(let slots):
        let next = slots[0].count + 1
        for slot in slots where slot.count + 1 != next || !slot.isCurrent { return nil }
        inputs.append(Tensor.number(integer: next, .i64))
      case .randomKey:
        inputs.append(Tensor(integers: [interpreter.seed, interpreter.tick], shape: [2]))
      }
    }
    for (value, expected) in numberGuards {
      let number = evaluateNumber(value, in: guardGraph) { value in
        if case .input(let index) = guardGraph.definition(of: value), inputs[index].elementCount == 1 {
          return inputs[index].scalar
        }
        return nil
      }
      if number != expected { return nil }
    }
    return inputs
  }

  private func tensor(_ leaf: Value, _ dtype: DType) -> Tensor {
    switch leaf {
    case .int(let value): Tensor.number(integer: value, .i64)
    case .double(let value): Tensor.number(value, .f64)
    case .tensor(let tensor): tensor.tensor!.contiguous()
    default: Tensor.number(0, dtype)
    }
  }

  func run(_ inputs: [Tensor], _ interpreter: Interpreter, at site: Site) throws(Failure) -> Value {
    let results: Plan.Results
    do {
      results = try plan.run(
        inputs, in: interpreter.arena, isInterrupted: { Interpreter.isInterrupted },
        report: { slot, tensors in interpreter.printPieces(prints[slot], tensors) })
    } catch is Interrupted {
      throw Failure.interrupted(at: site)
    } catch let fault as AssertionFault {
      let assertion = assertions[fault.effect]
      let failure = assertionFailure(assertion.message, at: assertion.site)
      failure.add(call: name, at: site)
      throw failure
    } catch let fault as PlacedFault {
      let failure = Failure.from(fault.error, at: fault.origin.site ?? site)
      failure.add(call: name, at: site)
      throw failure
    } catch {
      throw Failure.from(error, at: site)
    }
    commit(results.writes)
    if usesRandom { interpreter.tick += 1 }
    return value(result, results.outputs, interpreter)
  }

  /// The commit point: parameters, state and step numbers move on together.
  private func commit(_ writes: [Tensor]) {
    for (parameter, tensor) in zip(writtenParameters, writes) { parameter.tensor.replace(with: tensor) }
    for (target, tensor) in zip(writtenStates, writes.dropFirst(writtenParameters.count)) {
      target.slot.states[target.index].replace(with: tensor)
    }
    for slot in slots { slot.count += 1 }
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
  /// Takes over the elements of a tensor of the same type: in place where nobody else holds the storage.
  mutating func replace(with other: Tensor) {
    let source = other.contiguous()
    if type == other.type, layout.isContiguous, layout.offset == 0, isKnownUniquelyReferenced(&storage) {
      storage.base.copyMemory(
        from: source.storage.base + source.layout.offset * dtype.byteCount, byteCount: type.byteCount)
    } else {
      let fresh = Tensor(uninitialized: other.type)
      fresh.storage.base.copyMemory(
        from: source.storage.base + source.layout.offset * dtype.byteCount, byteCount: other.type.byteCount)
      self = fresh
    }
  }
}
