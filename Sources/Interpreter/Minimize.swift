import Graphs
import Ops
import Passes
import Support
import Tensors

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
    let lossValue = try lossValue(loss, in: trace, at: lossSite)
    let paths = try trained(tree, at: treeSite)
    let outerPhase = trace.phase
    defer { trace.phase = outerPhase }
    do {
      trace.phase = .backward
      trace.setOrigin(site)
      var gradients = try self.gradients(of: lossValue, paths, trace, lossSite: lossSite, treeSite: treeSite)
      let overflow = try trace.testOverflow(gradients.map { ($0.entry.path, $0.gradient) })
      let norm = try self.clip(&gradients, by: clip, values: clipValue, trace, at: site)

      trace.phase = .update
      do {
        try update(gradients.map { ($0.entry, $0.gradient) }, optimizer, trace, tests: overflow.tests, at: site)
      } catch {
        let failure = Failure.from(error, at: site)
        failure.add(call: optimizer.definition.name, at: site)
        throw failure
      }
      trace.setOrigin(site)
      var applied = Value.bool(true)
      var reason = Value.none
      if let isFinite = try trace.areFinite(overflow.tests) {
        applied = trace.wrap(isFinite, isNumber: false, made: site)
        reason = .string(StringValue(pieces: [.overflow(overflow.counts)]))
      }
      let scaleValue: Value =
        switch trace.lossScaling {
        case .none: .double(1)
        case .fixed(let scale): .double(scale)
        case .dynamic: trace.wrap(try trace.lossScale()!, isNumber: false, made: site)
        }
      return .record([
        "applied": applied, "reason": reason, "norm": trace.wrap(norm, isNumber: false, made: site),
        "scale": scaleValue,
      ])
    } catch {
      throw Failure.from(error, at: site)
    }
  }

  /// The loss as a value of the graph: a single float that depends on the step.
  private func lossValue(_ loss: Value, in trace: Trace, at site: Site) throws(Failure) -> GraphValue {
    guard case .tensor(let tensor) = loss, let value = tensor.value, tensor.trace === trace else {
      throw Failure(
        "bad-loss", "the loss does not depend on anything in this step, got \(loss.described)", at: site)
    }
    guard tensor.type.elementCount == 1, tensor.dtype.isFloating else {
      let isFloat = tensor.dtype.isFloating
      throw Failure(
        "bad-loss", "the loss must be a single \(isFloat ? "number" : "float"), got \(tensor.type)", at: site,
        labels: [.init(site: site, text: describe(tensor, at: site))],
        notes: isFloat ? [] : ["whole numbers and truth values have no derivative"],
        help: isFloat ? "use `mean(…)` or `sum(…)`" : nil)
    }
    return value
  }

  /// The params of a tree that are trained.
  private func trained(_ tree: Value, at site: Site) throws(Failure) -> [ParameterPath] {
    let found = parameters(of: tree).filter { !$0.parameter.isBuffer }
    guard !found.isEmpty else {
      throw Failure(
        "no-parameters", "there is nothing to train in \(tree.described)", at: site,
        notes: ["`minimize` takes a model, a part of one, or a list of them"])
    }
    let paths = found.filter { !$0.parameter.isFrozen }
    guard !paths.isEmpty else {
      throw Failure(
        "no-parameters", "there is nothing to train in \(tree.described): all of it is frozen", at: site,
        help: "free it with `unfreeze(\(site.text))`")
    }
    return paths
  }

  /// The gradients of a loss, in f32 or wider and without its scale; of params that it does not reach there is a warning.
  private func gradients(
    of loss: GraphValue, _ paths: [ParameterPath], _ trace: Trace, lossSite: Site, treeSite: Site
  ) throws -> [(entry: ParameterPath, gradient: GraphValue)] {
    let g = trace.builder
    // Targets: every value each parameter has had; the last that the loss depends on counts.
    var targets: [GraphValue] = []
    for entry in paths {
      _ = trace.track(entry.parameter)
      targets += trace.histories[ObjectIdentifier(entry.parameter)]!
    }
    let scale = try trace.lossScale()
    let start = try scale.map { try g.cast($0, to: loss.dtype) } ?? g.constant(1, loss.dtype)
    let cotangents = try pullBack(g, from: [loss], cotangents: [g.broadcast(start, to: loss.shape)], to: targets)
    trace.trainedValues.append(loss)
    trace.minimizations += 1

    var gradients: [(entry: ParameterPath, gradient: GraphValue)] = []
    var unreached: [String] = []
    var position = 0
    for entry in paths {
      let count = trace.histories[ObjectIdentifier(entry.parameter)]!.count
      let own = cotangents[position..<(position + count)].compactMap { $0 }
      position += count
      guard let gradient = own.last else {
        unreached.append(entry.path.isEmpty ? "this parameter" : entry.path)
        continue
      }
      var wide = try g.cast(gradient, to: gradient.dtype == .f64 ? .f64 : .f32)
      if let scale {
        // Right after the backward pass, so that bounds of clipping keep their meaning.
        let inverse = try g.cast(g.divide(g.constant(1, .f64), g.cast(scale, to: .f64)), to: wide.dtype)
        wide = try g.multiply(wide, g.broadcast(inverse, to: wide.shape))
      }
      g.graph.gradients.append((wide, entry.path))
      gradients.append((entry, wide))
    }
    guard !gradients.isEmpty else {
      throw Failure(
        "unreached-parameter", "the loss depends on no parameter of `\(treeSite.text)`", at: lossSite,
        labels: [.init(site: treeSite, text: "to be trained")])
    }
    for path in unreached where !trace.isQuiet {
      output.report(
        Diagnostic(
          .warning, "unreached-parameter", "the loss does not depend on `\(path)`; it stays as it is", at: lossSite))
    }
    return gradients
  }

  /// Bounds gradients by value first, then by the norm of all together.
  /// - Returns: the norm before the second.
  private func clip(
    _ gradients: inout [(entry: ParameterPath, gradient: GraphValue)], by clip: Value?, values clipValue: Value?,
    _ trace: Trace, at site: Site
  ) throws -> GraphValue {
    let g = trace.builder
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
    return norm
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
    // A param that stands at several places, tied or in a list twice, has its whole gradient at each.
    var seen = Set<ObjectIdentifier>()
    found.removeAll { !seen.insert(ObjectIdentifier($0.entry.parameter)).inserted }
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
      try update(wide, optimizer, trace, tests: trace.tests, at: site)
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
}
