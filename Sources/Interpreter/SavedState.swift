import Formats
import Support
import Tensors

// What `save` writes is a safetensors file. Params and buffers stand under their paths; with several things in one
// call each path begins with the thing's place, `0.`. An optimizer's state stands under
// `optimizer.<place>.<state>.<path>`; its name, its step numbers, the seed and the tick in the metadata.

private struct SavedThing {
  let value: Value
  let prefix: String
  let site: Site
}

/// The arguments after the path; models get a prefix where there are several. `verb` is what is done to them.
private func things(_ call: BuiltinCall, _ verb: String) throws(Failure) -> [SavedThing] {
  var models = 0
  for value in call.values.dropFirst() {
    if let value, isTree(value) { models += 1 }
  }
  for (value, site) in zip(call.values, call.sites).dropFirst() { try requireWalkable(value ?? .none, at: site) }
  var result: [SavedThing] = []
  var place = 0
  for index in 1..<call.values.count {
    let value = call[index]
    switch value {
    case .optimizer, .callable:
      if case .callable(let callable) = value, !(callable is StepValue) { break }
      result.append(SavedThing(value: value, prefix: "", site: call.sites[index]))
      continue
    default: break
    }
    guard isTree(value) else {
      throw Failure(
        "bad-argument", "a model, tensor, optimizer or step can be \(verb), got \(value.described)",
        at: call.sites[index])
    }
    result.append(SavedThing(value: value, prefix: models > 1 ? "\(place)." : "", site: call.sites[index]))
    place += 1
  }
  return result
}

private func isTree(_ value: Value) -> Bool {
  switch value {
  case .model, .list, .record, .tensor: true
  default: false
  }
}

/// Tensors of a tree beside its models: what `save("x.safetensors", (a: t))` writes.
private func plainTensors(_ value: Value, _ path: String, _ interpreter: Interpreter, _ site: Site) throws(Failure) -> [(String, Tensor)] {
  func inner(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
  switch value {
  case .tensor(let tensor):
    guard let real = tensor.tensor else { throw tensor.missing(at: site) }
    return [(path.isEmpty ? "value" : path, real.contiguous())]
  case .list(let list):
    if interpreter.isTensorLike(value), !list.items.contains(where: { if case .tensor = $0 { true } else { false } }) {
      return try plainTensors(.tensor(interpreter.tensorValue(value, at: site)), path, interpreter, site)
    }
    var result: [(String, Tensor)] = []
    for (index, item) in list.items.enumerated() {
      result += try plainTensors(item, inner(String(index)), interpreter, site)
    }
    return result
  case .record(let record):
    var result: [(String, Tensor)] = []
    for (index, item) in record.items.enumerated() {
      result += try plainTensors(item, inner(record.names[index] ?? String(index)), interpreter, site)
    }
    return result
  case .int, .double, .bool:
    return try plainTensors(.tensor(interpreter.tensorValue(value, at: site)), path, interpreter, site)
  case .model, .none: return []
  default:
    throw Failure(
      "bad-argument", "`\(path)` is no tensor, number or model: got \(value.described)", at: site,
      help: {
        if case .optimizer = value { return "an optimizer is an argument of its own: `save(path, net, opt)`" }
        return nil
      }())
  }
}

/// Params of all models among the things, by path: what optimizers keep state for.
private func parameterPaths(_ things: [SavedThing]) -> [ParameterPath] {
  things.flatMap { thing in
    parameters(of: thing.value).map { ParameterPath(path: thing.prefix + $0.path, parameter: $0.parameter) }
  }
}

/// `save("memory.svg", timeline(…))`, `save("step.json", profile(…))`
private func saveReport(_ call: BuiltinCall, _ name: String) throws(Failure) -> Value {
  let isDrawing = name.hasSuffix(".svg")
  guard call.values.count == 2, case .object(let object) = call[1], let text = isDrawing ? object.svg : object.json else {
    let what = isDrawing ? "only one thing that can be drawn is saved as SVG, such as a timeline" : "only a profile is saved as JSON"
    throw Failure("bad-argument", "\(name): \(what); got \(call[1].described)", at: call.sites[1])
  }
  if call.interpreter.abstract != nil { return .none }
  do {
    try writeAtomically(Array(text.utf8), to: call.interpreter.path(name, at: call.sites[0]))
  } catch { throw Failure(error.code, error.description, at: call.sites[0]) }
  return .none
}

func saveState(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  guard call.values.count >= 2 else {
    throw Failure("missing-argument", "`save` needs a path and something to save", at: call.site)
  }
  if interpreter.isCapturing {
    throw Failure("assignment-in-step", "`save` cannot be called inside a step", at: call.site)
  }
  let name = try call.string(0, "the path")
  if name.hasSuffix(".svg") || name.hasSuffix(".json") { return try saveReport(call, name) }
  guard name.hasSuffix(".safetensors") else {
    // `load` goes by the ending: under another one it could not read the file back.
    throw Failure(
      "file-unsupported", "\(name): `save` writes safetensors, the ending must say so", at: call.sites[0],
      help: "name it `\(withoutEnding(name)).safetensors`")
  }
  var tensors: [NamedTensor] = []
  var metadata = [
    "format": "gradus", "seed": String(interpreter.seed), "tick": String(interpreter.tick),
  ]
  let things = try things(call, "saved")
  if interpreter.abstract != nil { return .none }
  let paths = parameterPaths(things)
  var optimizers = 0
  var steps = 0
  for thing in things {
    switch thing.value {
    case .optimizer(let optimizer):
      let prefix = "optimizer.\(optimizers)."
      metadata["optimizer.\(optimizers)"] = optimizer.definition.name
      optimizers += 1
      for entry in paths {
        guard let slot = optimizer.slot(for: entry.parameter) else { continue }
        metadata[prefix + "t." + entry.path] = String(slot.count)
        for (state, tensor) in zip(slot.stateNames, slot.states) {
          tensors.append(NamedTensor("\(prefix)\(state).\(entry.path)", tensor))
        }
      }
    case .callable(let callable):
      // What a step keeps besides is its loss scale.
      if let step = callable as? StepValue, step.policy.effectiveLossScaling == .dynamic {
        metadata["step.\(steps).scale"] = String(step.scaler.scale)
        metadata["step.\(steps).clean"] = String(step.scaler.cleanSteps)
      }
      steps += 1
    case .model(let model):
      if let torn = model.torn { throw Failure("torn-model", torn, at: thing.site) }
      for entry in parameters(of: thing.value) {
        tensors.append(NamedTensor(thing.prefix + entry.path, entry.parameter.tensor))
      }
    default:
      for entry in parameters(of: thing.value) {
        tensors.append(NamedTensor(thing.prefix + entry.path, entry.parameter.tensor))
      }
      for (path, tensor) in try plainTensors(thing.value, "", interpreter, thing.site) {
        tensors.append(NamedTensor(thing.prefix + path, tensor))
      }
    }
  }
  let path = interpreter.path(name, at: call.sites[0])
  do {
    try Safetensors.write(.init(tensors, metadata: metadata), to: path)
  } catch { throw Failure.from(error, file: name, path: path, at: call.sites[0]) }
  return .none
}

/// The numbers in a file's metadata, none of which is believed unseen.
private struct SavedNumbers {
  var seed: Int?
  var tick: Int?
  /// Step numbers by their keys, `optimizer.0.t.layers.0.weight`.
  var counts: [String: Int] = [:]
  /// The names of optimizers by their places; empty where none is told.
  var optimizers: [Int: String] = [:]

  init(_ metadata: [String: String], _ name: String, at site: Site) throws(Failure) {
    func number(_ key: String, _ text: String) throws(Failure) -> Int {
      // Counts go on from here, so they stay far from the end of the whole numbers.
      if let number = Int(text), key == "seed" || (0..<1 << 53).contains(number) { return number }
      throw Failure(
        "file-damaged", "\(name): `\(key)` is \"\(text.prefix(40))\", not a whole number that counts something",
        at: site)
    }
    for (key, text) in metadata.sorted(by: { $0.key < $1.key }) {
      let parts = key.split(separator: ".", maxSplits: 3)
      switch key {
      case "seed": seed = try number(key, text)
      case "tick": tick = try number(key, text)
      default:
        guard parts.count >= 2, parts[0] == "optimizer", let place = Int(parts[1]), (0..<1 << 20).contains(place)
        else { continue }
        if parts.count == 2 { optimizers[place] = text }
        if parts.count > 3, parts[2] == "t" {
          counts[key] = try number(key, text)
          // A file that names no optimizer is taken at its states' word.
          if optimizers[place] == nil { optimizers[place] = "" }
        }
      }
    }
  }
}

/// Restores what `save` wrote: everything is checked before anything changes.
func loadState(_ call: BuiltinCall, _ name: String) throws(Failure) -> Value {
  let interpreter = call.interpreter
  if interpreter.isCapturing {
    throw Failure("assignment-in-step", "`load` cannot be called inside a step", at: call.site)
  }
  let site = call.sites[0]
  let path = interpreter.path(name, at: site)
  let loaded: Loaded
  do {
    loaded = try DataFile.load(path: path)
  } catch { throw Failure.from(error, file: name, path: path, at: site) }
  guard case .tensors(let list, let metadata) = loaded else {
    throw Failure("file-unsupported", "\(name): it holds no named tensors", at: site)
  }
  let byName = Dictionary(list.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
  let things = try things(call, "restored")
  let paths = parameterPaths(things)
  let names = byName.keys.sorted()
  let contents =
    "it holds \(names.prefix(8).joined(separator: ", "))" + (names.count > 8 ? " and \(names.count - 8) more" : "")
  var changes: [() -> Void] = []
  let saved = try SavedNumbers(metadata, name, at: site)
  for thing in things where isTree(thing.value) && parameters(of: thing.value).isEmpty {
    throw Failure(
      "no-parameters", "there are no params in \(thing.value.described) that could be restored", at: thing.site,
      help: "read the tensors of a file with `load(\"\(name)\")`")
  }
  for entry in paths {
    guard let tensor = byName[entry.path] else {
      throw Failure(
        "file-mismatch", "\(name): there is no tensor `\(entry.path)`", at: site, notes: [contents],
        help: didYouMean(entry.path, among: byName.keys.sorted()).map { "did the model have `\($0)` when it was saved?" })
    }
    guard tensor.type == entry.parameter.tensor.type else {
      throw Failure(
        "file-mismatch",
        "\(name): `\(entry.path)` is \(tensor.type), the model's is \(entry.parameter.tensor.type)", at: site,
        labels: things.filter { parameters(of: $0.value).contains { $0.parameter === entry.parameter } }.map {
          .init(site: $0.site, text: "its \(entry.path) : \(entry.parameter.tensor.type)")
        })
    }
    changes.append { entry.parameter.assign(tensor.copiedForState()) }
  }
  var optimizers = 0
  for thing in things {
    guard case .optimizer(let optimizer) = thing.value else { continue }
    let prefix = "optimizer.\(optimizers)."
    optimizers += 1
    guard let usual = saved.optimizers[optimizers - 1] else {
      throw Failure(
        "file-mismatch",
        saved.optimizers.isEmpty
          ? "\(name): there is no optimizer in it"
          : "\(name): it holds \(plural(saved.optimizers.count, "optimizer")), this is number \(optimizers)",
        at: thing.site, notes: [contents], help: "leave the optimizer out to begin with a fresh one")
    }
    guard usual.isEmpty || usual == optimizer.definition.name else {
      throw Failure(
        "file-mismatch",
        "\(name): the optimizer was `\(usual)`, this one is `\(optimizer.definition.name)`", at: thing.site)
    }
    for entry in paths {
      // One that had made no step when it was saved, or none with this parameter.
      guard let count = saved.counts[prefix + "t." + entry.path] else {
        changes.append { optimizer.drop(entry.parameter) }
        continue
      }
      let fresh: OptimizerSlot
      // Random first values move the tick, which is not to change unless all is well.
      let tick = interpreter.tick
      defer { interpreter.tick = tick }
      do { fresh = try interpreter.freshSlot(optimizer, entry, at: thing.site) } catch {
        throw Failure.from(error, at: thing.site)
      }
      for (index, state) in fresh.stateNames.enumerated() {
        let key = "\(prefix)\(state).\(entry.path)"
        let usual = fresh.states[index].type
        guard let tensor = byName[key].map({ usual.dtype.isBlocked ? joined($0, byName[key + ".scale"]) : $0 }) else {
          throw Failure(
            "file-mismatch",
            "\(name): the state `\(state)` of `\(entry.path)` is missing; was it saved by another optimizer?", at: site)
        }
        guard tensor.type == usual else {
          let saved = byName[key + ".scale"].map { joined(tensor, $0).type } ?? tensor.type
          throw Failure(
            "file-mismatch",
            "\(name): the state `\(state)` of `\(entry.path)` is \(saved.dtype.nameInState)\(saved.shape), the optimizer's is \(usual.dtype.nameInState)\(usual.shape)",
            at: site,
            help: saved.shape == usual.shape
              ? "load it into an optimizer with the `state` that it was saved with" : nil)
        }
        fresh.states[index] = tensor.copiedForState()
      }
      changes.append {
        fresh.count = count
        optimizer.keep(fresh)
      }
    }
  }
  var steps = 0
  for thing in things {
    guard case .callable(let callable) = thing.value, let step = callable as? StepValue else { continue }
    if step.policy.effectiveLossScaling == .dynamic {
      guard let scale = metadata["step.\(steps).scale"] else {
        throw Failure(
          "file-mismatch", "\(name) has no loss scale for the step `\(step.name)`", at: site,
          help: "`save(\"…\", net, opt, \(step.name))` writes it, where the step scales dynamically")
      }
      guard let scale = Float(scale), scale >= LossScaler.floor, scale.isFinite,
        let clean = Int(metadata["step.\(steps).clean"] ?? "0"), (0..<LossScaler.growthInterval).contains(clean)
      else { throw Failure("file-damaged", "\(name): the loss scale of step \(steps) is no scale", at: site) }
      changes.append { step.scaler.restore(scale: scale, cleanSteps: clean) }
    }
    steps += 1
  }
  for change in changes { change() }
  if let seed = saved.seed { interpreter.seed = seed }
  if let tick = saved.tick { interpreter.tick = tick }
  for thing in things { if case .model(let model) = thing.value { model.mend() } }
  return .none
}

/// A tensor of blocks from its two parts in a file; the codes alone where they do not fit.
private func joined(_ codes: Tensor, _ scales: Tensor?) -> Tensor {
  scales.flatMap { QuantizedBlock.tensor(codes: codes, scales: $0) } ?? codes
}

private func withoutEnding(_ name: String) -> Substring {
  let start = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
  return name[..<(name[start...].dropFirst().lastIndex(of: ".") ?? name.endIndex)]
}
