import Graphs
import Ops
import Support
import Tensors

extension Interpreter {
  /// Runs the optimizer's formula once per parameter.
  ///
  /// - Parameter tests: those of the gradients that must be finite for the update to be applied.
  func update(
    _ gradients: [(ParameterPath, GraphValue)], _ optimizer: OptimizerValue, _ trace: Trace, tests: Range<Int>,
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
    trace.isApplied = try trace.areFinite(tests)
    defer { trace.isApplied = nil }
    // Parameters that have made equally many steps share one step number.
    var numbers: [StepsMade: TensorValue] = [:]
    for made in Set(slots.map { trace.stepsMade(with: $0) }).sorted(by: { $0.before < $1.before }) {
      let group = slots.filter { trace.stepsMade(with: $0) == made }
      numbers[made] = try trace.stepNumber(after: made, of: group, at: site)
    }
    for ((entry, gradient), slot) in zip(gradients, slots) {
      let step = numbers[trace.stepsMade(with: slot)]!
      try update(entry, gradient, slot, step, optimizer, template, trace, at: site)
    }
    trace.updates += slots.map { ($0, tests) }
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
      // State that stays as it is is not rounded once more.
      if state.dtype.isBlocked && new.id == olds[index].id { continue }
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
      let dtype: DType = entry.parameter.tensor.dtype == .f64 ? .f64 : .f32
      frame[0] = .tensor(
        abstract == nil
          ? TensorValue(try cast(entry.parameter.tensor, to: dtype), made: entry.parameter.made)
          : TensorValue(abstract: TensorType(dtype, entry.parameter.tensor.shape), made: entry.parameter.made))
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
      if abstract != nil {
        tensors.append(.phantom(TensorType(optimizer.stateDType(of: entry, value.type), value.shape)))
        continue
      }
      guard let tensor = value.tensor else { throw value.missing(at: site) }
      let stored = try cast(tensor, to: optimizer.stateDType(of: entry, tensor.type))
      tensors.append(stored.copiedForState())
    }
    var compensation: Tensor?
    if optimizer.rounding(of: entry) == .kahan {
      compensation = abstract == nil ? .zeros(entry.parameter.tensor.type) : .phantom(entry.parameter.tensor.type)
    }
    return OptimizerSlot(entry.parameter, states: tensors, compensation: compensation, of: definition)
  }
}

extension Trace {
  func stepsMade(with slot: OptimizerSlot) -> StepsMade {
    StepsMade(before: slot.count, inside: updates.filter { $0.slot === slot }.map(\.tests))
  }

  /// The number of the step that is next for some slots; those that are skipped do not count.
  func stepNumber(after made: StepsMade, of slots: [OptimizerSlot], at site: Site) throws -> TensorValue {
    let base = numberInput(.stepNumber(slots), Tensor.number(integer: made.before + 1, .i64), made: site)
    if made.inside.isEmpty { return base }
    var number = base.value!
    for tests in made.inside {
      number = try builder.add(
        number, areFinite(tests).map { try builder.cast($0, to: .i64) } ?? builder.constant(1, .i64))
    }
    return TensorValue(number, in: self, concrete: nil, isNumber: true, made: site)
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

/// The steps that an optimizer has made with a parameter.
struct StepsMade: Hashable {
  /// Before the step that is traced.
  let before: Int
  /// In that step, where a parameter is updated twice: the tests that each depends on.
  let inside: [Range<Int>]
}
