import Execution
import Glibc
import Graphs
import Ops
import Passes
import Support
import Tensors

/// Gradients, and the training of models.
var gradientBuiltins: [Builtin] {
  [
  Builtin(
    "grad", "f",
    """
    The function that gives the gradient of `f` by its first argument: a number, a tensor, a tree of them, or
    a model, whose gradient is a record with the model's own paths.

    >>> grad(fn(x) = sum(x^3))([1.0, 2.0])
    f32[2]
    [ 3., 12.]
    """
  ) { call throws(Failure) in
    .callable(GradientFunction(try call.callable(0, "`f`"), givesValue: false))
  },
  Builtin(
    "value_and_grad", "f",
    "Like `grad`, but gives the value too.\n\n>>> value_and_grad(fn(x) = x^2)(3.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    .callable(GradientFunction(try call.callable(0, "`f`"), givesValue: true))
  },
  Builtin(
    "vjp", "f, x, dy = none",
    "The value of `f` at `x`, and the product of `dy` with its Jacobian; without `dy`, a function of it.\n\n>>> vjp(fn(x) = x^2, 3.0, 1.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    try call.interpreter.vjp(
      try call.callable(0, "`f`"), call[1], call.isMissing(2) ? nil : call[2], at: call.site)
  },
  Builtin(
    "jvp", "f, x, v",
    "The value of `f` at `x`, and its derivative in the direction `v`.\n\n>>> jvp(fn(x) = x^2, 3.0, 1.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    try call.interpreter.jvp(try call.callable(0, "`f`"), call[1], call[2], at: call.site)
  },
  Builtin(
    "stop_gradient", "x",
    "The value of `x`, through which no gradient flows.\n\n>>> grad(fn(x) = x * stop_gradient(x))(3.0)\n3.0"
  ) { call throws(Failure) in
    switch call[0] {
    case .tensor(let tensor) where tensor.isTraced:
      guard let trace = tensor.trace, trace.isRecording else { return call[0] }
      do {
        let value = try trace.builder.emit(StopGradient(), tensor.value!)
        return trace.wrap(value, isNumber: tensor.isNumber, made: call.site)
      } catch { throw Failure.from(error, at: call.site) }
    case .list, .record:
      return try mapTree(
        NativeFunction("stop_gradient", ["x"]) { interpreter, values, site throws(Failure) in
          guard case .callable(let stop)? = interpreter.prelude.slot(of: "stop_gradient").map({ interpreter.globals[$0] })
          else { return values[0] }
          return try interpreter.call(stop, values, at: site)
        }, [call[0]], call)
    default: return call[0]
    }
  },
  Builtin(
    "check_grad", "f, x, tolerance = 0.0001",
    """
    Compares the gradient of `f` at `x` with central differences in f64, and gives the largest error relative
    to the gradient's size; an error above the tolerance stops the program.

    >>> check_grad(fn(x) = sum(sin(x)), [0.5, 1.0]) < 0.0001
    true
    """
  ) { call throws(Failure) in try checkGradient(call) },
  Builtin(
    "graph", "f, arguments…",
    """
    Prints the graph that calling `f` records, and that of its gradient where it has one. Of an optimizer it prints
    what an update does, and in how many passes over memory.

    >>> graph(sgd(lr: 0.1))
    sgd: 1 pass over p, g
      multiply add multiply subtract
    """
  ) { call throws(Failure) in try printGraph(call) },
  Builtin(
    "when_training", "in_training, in_use",
    """
    The first function's value where a gradient by a model is taken of it, else the second's: how Dropout and
    BatchNorm know what to do. Inside a step both are recorded and the choice falls when the step is complete.

    >>> when_training(fn() = 1, fn() = 2)
    2
    """
  ) { call throws(Failure) in try whenTraining(call) },
  ]
}

private func whenTraining(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  func value(_ index: Int) throws(Failure) -> Value {
    if case .callable(let callable) = call[index] { return try interpreter.call(callable, [], at: call.site) }
    return call[index]
  }
  switch interpreter.mode {
  case .training:
    // Buffers move in steps that minimize; here training only shows what it would give.
    let outer = interpreter.freezesBuffers
    interpreter.freezesBuffers = true
    defer { interpreter.freezesBuffers = outer }
    return try value(0)
  case .evaluation: return try value(1)
  case .undecided:
    guard let trace = interpreter.trace, trace.isRecording else { return try value(1) }
    let writes = trace.bufferWrites.count
    let nodes = trace.builder.graph.nodes.count
    let training = try interpreter.tensorValue(try value(0), at: call.site)
    let owner = trace.bufferWrites.count > writes ? trace.bufferWrites.last?.owner : nil
    // A layer that moves buffers in training does so by what it finds in its batch.
    if owner != nil {
      for index in nodes..<trace.builder.graph.nodes.count {
        trace.builder.graph.nodes[index].origin.isBatchStatistic = true
      }
    }
    let use = try interpreter.tensorValue(try value(1), at: call.site)
    do {
      trace.setOrigin(call.site)
      let id = trace.modeCount
      trace.modeCount += 1
      if let owner { trace.modeOwners[id] = owner }
      let result = try trace.builder.emit(
        ModeSwitch(id: id), trace.value(of: use, at: call.site), trace.value(of: training, at: call.site))
      return trace.wrap(result, isNumber: false, made: call.site)
    } catch { throw Failure.from(error, at: call.site) }
  }
}

private func checkGradient(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  let function = try call.callable(0, "`f`")
  let tolerance = try call.double(2, "the tolerance", default: 1e-4)
  // In f64, so that differences mean something.
  let x = try interpreter.cast(call[1], to: .f64, at: call.sites[1])
  let gradient = try GradientFunction(function, givesValue: false).call(
    Arguments(values: [x], at: call.site), interpreter)
  guard case .tensor(let point) = x, let values = point.tensor?.doubles(),
    case .tensor(let analytic) = gradient, let slopes = analytic.tensor?.doubles()
  else {
    throw Failure("bad-argument", "`check_grad` needs a tensor to differentiate by", at: call.sites[1])
  }
  func short(_ number: Double) -> String { format(number, spec: ".6g") ?? format(number: number) }
  func at(_ values: [Double]) throws(Failure) -> Double {
    let shifted = Value.tensor(
      TensorValue(Tensor(values, dtype: .f64, shape: point.shape), made: call.site))
    return try hostDouble(interpreter.call(function, [shifted], at: call.site), "the result of `f`", at: call.site)
  }
  var worst = 0.0
  var worstIndex = 0
  var numeric = [Double](repeating: 0, count: values.count)
  let scale = max(slopes.map(abs).max() ?? 0, 1e-8)
  for index in values.indices {
    try interpreter.checkInterrupt(at: call.site)
    let step = 1e-5 * max(1, abs(values[index]))
    var shifted = values
    shifted[index] = values[index] + step
    let up = try at(shifted)
    shifted[index] = values[index] - step
    let down = try at(shifted)
    numeric[index] = (up - down) / (2 * step)
    let error = abs(numeric[index] - slopes[index]) / scale
    if !(error <= worst) {
      worst = error
      worstIndex = index
    }
  }
  if !(worst <= tolerance) {
    throw Failure(
      "gradient-mismatch",
      "the gradient of element \(worstIndex) is \(short(slopes[worstIndex])), differences say \(short(numeric[worstIndex]))",
      at: call.site, notes: ["relative error \(short(worst)), tolerance \(short(tolerance))"])
  }
  return .double(worst)
}

private func printGraph(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  guard call.values.count >= 1 else {
    throw Failure("missing-argument", "`graph` needs a function and its arguments", at: call.site)
  }
  if case .optimizer(let optimizer) = call[0] {
    try interpreter.printGraph(of: optimizer, at: call.site)
    return .none
  }
  let function = try call.callable(0, "`f`")
  let trace = Trace(interpreter, isStep: false)
  let outer = interpreter.trace
  interpreter.trace = trace
  defer {
    trace.finish()
    interpreter.trace = outer
  }
  var traced: [Value] = []
  var targets: [GraphValue] = []
  var names: [String] = []
  for index in 1..<max(call.values.count, 1) {
    guard let tree = try? DifferentiatedTree(call[index], trace, at: call.sites[index]) else {
      traced.append(call[index])
      continue
    }
    traced.append(tree.traced)
    targets += tree.targets
    let parameter = function.parameterNames.flatMap { index <= $0.count ? $0[index - 1] : nil } ?? "x\(index)"
    let paths = parameters(of: call[index]).filter { !$0.parameter.isBuffer && !$0.parameter.isFrozen }.map(\.path)
    if tree.targets.count == 1, paths.isEmpty {
      names.append(parameter)
    } else {
      names += tree.targets.indices.map {
        "\(parameter).\(paths.count == tree.targets.count ? paths[$0] : String($0))"
      }
    }
  }
  let result = try interpreter.call(function, traced, at: call.site)
  var outputs = ["value"]
  if case .tensor(let tensor) = result, let value = tensor.value {
    trace.builder.graph.outputs = [value]
    if tensor.type.elementCount == 1, tensor.dtype.isFloating, !targets.isEmpty {
      do {
        trace.phase = .backward
        trace.setOrigin(call.site)
        let one = try trace.builder.broadcast(trace.builder.constant(1, value.dtype), to: value.shape)
        let gradients = try pullBack(trace.builder, from: [value], cotangents: [one], to: targets)
        for (gradient, name) in zip(gradients, names) {
          guard let gradient else { continue }
          trace.builder.graph.outputs.append(gradient)
          outputs.append("gradient of \(name)")
        }
      } catch { throw Failure.from(error, at: call.site) }
    }
  }
  // Derivatives by constants were recorded too; nobody asked for them.
  if !trace.builder.graph.outputs.isEmpty { removeDeadCode(&trace.builder.graph) }
  interpreter.output.write(describe(trace.builder.graph, inputs: names, outputs: outputs))
  return .none
}

var modelBuiltins: [Builtin] {
  [
  Builtin(
    "minimize", "loss, tree, opt, clip = none, clip_value = none",
    """
    One step of an optimizer on every param of a model, a part of one, or a list of them. Only inside a step.
    `clip` bounds the norm of all gradients together, `clip_value` each element.
    Gives (applied, reason, norm, scale).
    """
  ) { call throws(Failure) in
    guard case .optimizer(let optimizer) = call[2] else {
      if case .callable(let callable) = call[2], callable is OptimizerDefinition {
        throw Failure(
          "bad-argument", "`minimize` needs an optimizer, got `\(callable.name)` before it is made", at: call.sites[2],
          help: "make one outside the step: `opt = \(callable.name)(…)`")
      }
      throw Failure(
        "bad-argument", "`minimize` needs an optimizer, got \(call[2].described)", at: call.sites[2])
    }
    return try call.interpreter.minimize(
      call[0], call[1], optimizer, clip: call.isMissing(3) ? nil : call[3],
      clipValue: call.isMissing(4) ? nil : call[4], at: call.site, lossSite: call.sites[0],
      treeSite: call.sites[1])
  },
  Builtin(
    "apply_gradients", "gradients, tree, opt",
    """
    One step of an optimizer with gradients that the program has: a tree like `parameters(tree)`, as `grad` gives it and
    sums of such are. Only inside a step; `none` stands for a param that has no gradient.

    >>> net = Linear(2, 1); opt = sgd(lr: 0.1)
    >>> step descend(g) { apply_gradients(g, net, opt) }
    >>> before = net.bias
    >>> descend((weight: ones([2, 1]), bias: ones([1])))
    >>> net.bias - before
    f32[1]
    [-0.1000]
    """
  ) { call throws(Failure) in
    guard case .optimizer(let optimizer) = call[2] else {
      throw Failure(
        "bad-argument", "`apply_gradients` needs an optimizer, got \(call[2].described)", at: call.sites[2])
    }
    return try call.interpreter.applyGradients(
      call[0], call[1], optimizer, at: call.site, gradientSite: call.sites[0], treeSite: call.sites[1])
  },
  Builtin("tied", "parameter", "Shares a param of another model: `param weight = tied(embed.weight)`.") {
    call throws(Failure) in
    throw Failure(
      "bad-tie", "`tied` stands right after `param name =` in a model", at: call.site)
  },
  Builtin("copy", "model", "A model (or optimizer settings) of its own with the same values; ties are kept.") {
    call throws(Failure) in
    switch call[0] {
    case .model, .list, .record: return try copyTree(call[0], at: call.sites[0])
    case .optimizer(let optimizer): return .optimizer(optimizer.copy())
    default: return call[0]
    }
  },
  Builtin("freeze", "tree", "Keeps the params of a model, or of a part of one, from being trained.") {
    call throws(Failure) in try setFrozen(call, true)
  },
  Builtin("unfreeze", "tree", "Lets frozen params be trained again.") { call throws(Failure) in
    try setFrozen(call, false)
  },
  Builtin("parameter_count", "tree", "The number of trainable elements of a model.") {
    call throws(Failure) in
    .int(
      parameters(of: call[0]).filter { !$0.parameter.isBuffer }
        .reduce(0) { $0 + $1.parameter.tensor.elementCount })
  },
  Builtin(
    "parameters", "tree", "The params of a model as a record shaped like it."
  ) { call throws(Failure) in
    try requireWalkable(call[0], at: call.sites[0])
    return parameterTree(of: call[0]) ?? .record([:])
  },
  ]
}

private func setFrozen(_ call: BuiltinCall, _ isFrozen: Bool) throws(Failure) -> Value {
  let found = parameters(of: call[0])
  guard !found.isEmpty else {
    throw Failure("no-parameters", "there are no params in \(call[0].described)", at: call.sites[0])
  }
  if call.interpreter.isCapturing {
    throw Failure(
      "assignment-in-step", "`\(call.name)` cannot be called inside a step", at: call.site,
      help: "call it before the step: steps that exist notice")
  }
  for entry in found { entry.parameter.isFrozen = isFrozen }
  call.interpreter.freezeEpoch += 1
  return .none
}

/// Models copied deeply, each param once; in another dtype if one is given, but for what is no float.
func copyTree(_ value: Value, as dtype: DType? = nil, at site: Site) throws(Failure) -> Value {
  try requireWalkable(value, at: site)
  var parametersByOld: [ObjectIdentifier: ModelParameter] = [:]
  var modelsByOld: [ObjectIdentifier: ModelValue] = [:]
  func walk(_ value: Value) throws(Failure) -> Value {
    switch value {
    case .object(let object):
      guard let parameter = object as? ModelParameter else { return value }
      if let known = parametersByOld[ObjectIdentifier(parameter)] { return .object(known) }
      var tensor = parameter.tensor.copiedForState()
      if let dtype, tensor.dtype.isFloating, tensor.storage.isPhantom {
        tensor = .phantom(TensorType(dtype, tensor.shape))
      } else if let dtype, tensor.dtype.isFloating, tensor.dtype != dtype {
        do {
          tensor = try EagerEvaluator.run(Cast(to: dtype), [tensor], resultTypes: [TensorType(dtype, tensor.shape)])[0]
        } catch { throw Failure.from(error, at: site) }
      }
      let copy = ModelParameter(
        tensor, isBuffer: parameter.isBuffer, made: parameter.made)
      copy.isFrozen = parameter.isFrozen
      parametersByOld[ObjectIdentifier(parameter)] = copy
      return .object(copy)
    case .model(let model):
      if let known = modelsByOld[ObjectIdentifier(model)] { return .model(known) }
      let copy = ModelValue(model.definition)
      modelsByOld[ObjectIdentifier(model)] = copy
      copy.torn = model.torn
      for (index, field) in model.definition.fields.enumerated() {
        copy.fields[index] = try walk(model.fields[index])
        try copy.hold(copy.fields[index], as: field.name, at: site)
      }
      return .model(copy)
    case .list(let list): return .list(ListValue(try list.items.map(walk), site: list.site))
    case .record(let record):
      return .record(RecordValue(names: record.names, items: try record.items.map(walk)))
    default: return value
    }
  }
  return try walk(value)
}
