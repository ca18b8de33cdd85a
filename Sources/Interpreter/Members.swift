import Graphs
import Ops
import Support
import Syntax
import Tensors

/// Members that every tensor has.
package let tensorMembers = ["T", "dtype", "rank", "shape", "size"]

extension Interpreter {
  /// `owner.name`
  func member(_ name: Name, of owner: Value, at site: Site) throws(Failure) -> Value {
    switch owner {
    case .tensor(let tensor):
      switch name.text {
      case "shape": return .list(tensor.shape.sizes.map { .int($0) })
      case "dtype": return .dtype(tensor.dtype)
      case "rank": return .int(tensor.shape.rank)
      case "size": return .int(tensor.shape.elementCount)
      case "T":
        let tensor = try usable(tensor, at: site)
        guard tensor.shape.rank >= 2 else {
          throw Failure(
            "bad-axis", "`.T` needs at least two axes, got \(tensor.type)", at: site,
            labels: [.init(site: site, text: describe(tensor, at: site))])
        }
        do {
          return try build([tensor], at: site) { g, values in try g.swapLastAxes(values[0]) }
        } catch { throw Failure.from(error, at: site) }
      default: throw unknownMember(name, owner, tensorMembers)
      }
    case .record(let record):
      if let value = record[name.text] { return value }
      throw unknownMember(name, owner, record.names.compactMap { $0 })
    case .model(let model):
      if let index = model.definition.fieldIndex[name.text] {
        return try model.read(field: index, self, at: site)
      }
      if let method = model.definition.methods[name.text] {
        return .callable(FunctionValue(method, captured: [], owner: model))
      }
      var seen = Set<String>()
      throw unknownMember(
        name, owner,
        model.definition.fields.map(\.name).filter { seen.insert($0).inserted }
          + model.definition.methods.keys.sorted())
    case .optimizer(let optimizer):
      if let index = optimizer.definition.parameters.names.firstIndex(of: name.text) {
        return optimizer.hyperparameters[index]
      }
      throw unknownMember(name, owner, optimizer.definition.parameters.names)
    case .object(let object):
      if let value = object.member(name.text) { return value }
      throw unknownMember(name, owner, object.memberNames)
    case .callable(let callable) where callable is StepValue:
      if let value = unsafeDowncast(callable, to: StepValue.self).member(name.text) { return value }
      throw unknownMember(name, owner, StepValue.memberNames)
    case .list(let list) where tensorMembers.contains(name.text):
      guard isTensorLike(owner) else { break }
      return try member(name, of: .tensor(try tensorValue(.list(list), at: site)), at: site)
    case .range(let range):
      switch name.text {
      case "start": return .int(range.start)
      case "end": return .int(range.end)
      default: break
      }
    case .int, .double, .bool:
      switch name.text {
      case "shape": return .list([])
      case "rank": return .int(0)
      case "size": return .int(1)
      case "dtype":
        switch owner {
        case .int: return .dtype(.i64)
        case .bool: return .dtype(.bool)
        default: return .dtype(.f64)
        }
      default: break
      }
    default: break
    }
    throw Failure(
      "unknown-member", "\(owner.described) has no member `\(name.text)`", at: name.site)
  }

  private func unknownMember(_ name: Name, _ owner: Value, _ known: [String]) -> Failure {
    let suggestion = didYouMean(name.text, among: known)
    return Failure(
      "unknown-member", "\(owner.described) has no member `\(name.text)`", at: name.site,
      notes: known.isEmpty || known.count > 12 ? [] : ["it has \(known.joined(separator: ", "))"],
      help: suggestion.map { "did you mean `\($0)`?" })
  }

  /// The members of a value, for completion.
  package func memberNames(of value: Value) -> [String] {
    switch value {
    case .tensor: tensorMembers
    case .record(let record): record.names.compactMap { $0 }
    case .model(let model):
      (model.definition.fields.map(\.name) + model.definition.methods.keys).sorted()
    case .optimizer(let optimizer): optimizer.definition.parameters.names
    case .object(let object): object.memberNames
    case .callable(let callable) where callable is StepValue: StepValue.memberNames
    default: []
    }
  }

  /// `dtype(x)`: the value in another dtype.
  func castCall(_ dtype: DType, _ arguments: Arguments) throws(Failure) -> Value {
    guard arguments.items.count == 1, arguments.items[0].label == nil else {
      throw Failure(
        "missing-argument", "`\(dtype)` takes 1 argument, got \(arguments.items.count)", at: arguments.site)
    }
    return try cast(arguments.items[0].value, to: dtype, at: arguments.items[0].site)
  }

  func cast(_ value: Value, to dtype: DType, at site: Site) throws(Failure) -> Value {
    let tensor: TensorValue
    switch value {
    case .tensor(let number) where number.isAbstract && number.isNumber:
      return .tensor(TensorValue(abstract: TensorType(dtype, .scalar), made: site))
    case .tensor(let stored): tensor = try usable(stored, at: site)
    case .model where DTypeSet.floating.contains(dtype): return try copyTree(value, as: dtype, at: site)
    case .list(let list) where dtype != .f32 && isTensorLike(value):
      // Whole numbers stay whole and others f64 up to the dtype that is asked for: nothing rounds on the way.
      let exact = try literal(list, whole: dtype.isFloating ? .f64 : .i64, fraction: .f64, at: site)
      if let exact {
        tensor = TensorValue(exact, made: site)
      } else {
        try requireWalkable(value, at: site)
        var items: [Value] = []
        for item in list.items { items.append(try cast(item, to: dtype, at: site)) }
        return .tensor(try tensorValue(.list(ListValue(items, site: list.site)), at: site))
      }
    case .int, .double:
      if dtype.isInteger {
        let whole = try wholePart(of: value, as: dtype, at: site)
        return .tensor(TensorValue(Tensor.number(integer: whole, dtype), made: site))
      }
      let number = try hostDouble(value, "the value", at: site)
      return .tensor(TensorValue(Tensor.number(number, dtype), made: site))
    default: tensor = try tensorValue(value, at: site)
    }
    do {
      return try build([tensor], at: site) { g, values in try g.cast(values[0], to: dtype) }
    } catch { throw explain(error, [tensor], [site], at: site) }
  }

  /// What the op `cast` makes of a number in an integer dtype, and its refusal where that does not hold it:
  /// a number of the program goes past the op, which would take it in f32.
  private func wholePart(
    of number: Value, as dtype: DType, in shape: [Int] = [], index: Int = 0, at site: Site
  ) throws(Failure) -> Int {
    let whole: Int?
    if case .int(let integer) = number {
      whole = integer
    } else {
      whole = Int(exactly: try hostDouble(number, "the value", at: site).rounded(.towardZero))
    }
    if let whole, dtype.holds(whole) { return whole }
    var place: [Int] = []
    var rest = index
    for size in shape.reversed() {
      place.insert(rest % size, at: 0)
      rest /= size
    }
    let written = try text(of: number, format: nil, at: site)
    throw Failure(
      "integer-overflow",
      "cast(\(written)) does not fit \(dtype)" + (place.isEmpty ? "" : ", at index \(Shape(place))"), at: site)
  }

  /// `owner with (name: value, …)`
  func with(_ owner: Value, _ fields: [Arguments.Argument], at site: Site) throws(Failure) -> Value {
    switch owner {
    case .record(let record):
      let copy = RecordValue(names: record.names, items: record.items)
      for field in fields {
        guard let label = field.label else { throw unnamedField(field) }
        copy.set(label, to: field.value)
      }
      try requireDepth(copy.depth, at: site)
      return .record(copy)
    case .optimizer(let optimizer):
      let copy = optimizer.copy()
      for field in fields { try apply(field, to: copy) }
      return .optimizer(copy)
    case .callable(let callable):
      if let step = callable as? StepValue {
        let copy = step.copy()
        copy.mode = step.mode
        copy.policy = step.policy
        for field in fields {
          switch field.label {
          case "training": copy.mode = try trainingMode(field)
          case "precision": copy.policy.precision = try StepPolicy.precision(field.value, at: field.site)
          case "loss_scale": copy.policy.lossScaling = try StepPolicy.lossScaling(field.value, at: field.site)
          case "accumulate": try copy.policy.accumulate(field.value, at: field.site)
          case "batch": copy.policy.batch = try StepPolicy.batch(field.value, of: copy, at: field.site)
          case "checkpoint": copy.policy.checkpointing = try StepPolicy.checkpointing(field.value, at: field.site)
          case "budget": copy.policy.budget = try StepPolicy.budget(field.value, at: field.site)
          case nil:
            guard case .object(let object) = field.value, let fit = object as? FitReport else { throw unnamedField(field) }
            copy.policy.budget = fit.budget
            if fit.choosesPieces { (copy.policy.pieceCount, copy.policy.choosesPieces) = (1, true) }
          default: throw unknownPolicy(field)
          }
        }
        try copy.policy.check(at: site)
        return .callable(copy)
      }
      return .callable(try withMode(owner, fields))
    case .model: return .callable(try withMode(owner, fields))
    default:
      throw Failure("bad-operand", "`with` cannot change \(owner.described)", at: site)
    }
  }

  private func withMode(_ owner: Value, _ fields: [Arguments.Argument]) throws(Failure) -> Callable {
    var mode: Mode?
    var result = owner
    for field in fields {
      switch field.label {
      case "training": mode = try trainingMode(field)
      case "precision":
        result = .callable(SettingCall(result, \.precision, try StepPolicy.precision(field.value, at: field.site)))
      default:
        if let label = field.label, Policy.names(of: .step).contains(label) {
          throw Failure(
            "unknown-policy", "`\(label)` is a policy of steps, and this is \(owner.described)", at: field.site,
            notes: ["of functions and models: \(Policy.names(of: .call).joined(separator: ", "))"])
        }
        throw unknownPolicy(field)
      }
    }
    if let mode {
      // Of two modes the last counts.
      if case .callable(let callable) = result, let inner = callable as? SettingCall<Mode> { result = inner.target }
      return SettingCall(result, \.mode, mode)
    }
    guard case .callable(let callable) = result else { return SettingCall(owner, \.mode, .evaluation) }
    return callable
  }

  private func unnamedField(_ field: Arguments.Argument) -> Failure {
    Failure("bad-argument", "`with` takes named values, such as `with training: on`", at: field.site)
  }

  private func unknownPolicy(_ field: Arguments.Argument) -> Failure {
    guard let label = field.label else { return unnamedField(field) }
    let later = ["nan"]
    let known = Policy.names(of: .step)
    return Failure(
      "unknown-policy", "there is no policy `\(label)`" + (later.contains(label) ? " yet" : ""), at: field.site,
      notes: ["known: \(known.joined(separator: ", "))"],
      help: didYouMean(label, among: known).map { "did you mean `\($0)`?" })
  }

  private func trainingMode(_ field: Arguments.Argument) throws(Failure) -> Mode {
    switch field.value {
    case .bool(let flag): return flag ? .training : .evaluation
    case .string(let word) where word.known == "on": return .training
    case .string(let word) where word.known == "off": return .evaluation
    default:
      throw Failure("bad-argument", "`training` is `on` or `off`, got \(field.value.described)", at: field.site)
    }
  }

  /// `no_decay: "*.bias"`, `rules: [("*.bias", (lr: 0.1))]`, `state: q8`, or another value of a hyperparameter.
  private func apply(_ field: Arguments.Argument, to optimizer: OptimizerValue) throws(Failure) {
    guard let label = field.label else { throw unnamedField(field) }
    let names = optimizer.definition.parameters.names
    switch label {
    case "no_decay":
      guard let decay = names.firstIndex(of: "decay") else {
        throw Failure(
          "unknown-argument", "`\(optimizer.definition.name)` has no `decay`", at: field.site)
      }
      for pattern in try patterns(field.value, at: field.site) {
        optimizer.rules.append(.init(pattern: pattern, values: [(decay, .double(0))]))
      }
    case "state": optimizer.stateDType = try stateDType(field.value, at: field.site)
    case "rounding": optimizer.rounding = try rounding(field.value, of: optimizer, at: field.site)
    case "rules":
      guard case .list(let list) = field.value else { throw badRules(field.site) }
      for item in list.items {
        guard case .record(let pair) = item, pair.items.count == 2,
          case .record(let settings) = pair.items[1]
        else { throw badRules(field.site) }
        var values: [(index: Int, value: Value)] = []
        var stateDType: DType?
        var rounding: Rounding?
        for (name, value) in zip(settings.names, settings.items) {
          if name == "state" {
            stateDType = try self.stateDType(value, at: field.site)
            continue
          }
          if name == "rounding" {
            rounding = try self.rounding(value, of: optimizer, at: field.site)
            continue
          }
          guard let name, let index = names.firstIndex(of: name) else {
            throw Failure(
              "unknown-argument", "`\(optimizer.definition.name)` has no hyperparameter `\(name ?? "")`",
              at: field.site, notes: ["it has \((names + ["state", "rounding"]).joined(separator: ", "))"])
          }
          try optimizer.definition.check(value, for: index, at: field.site)
          values.append((index, value))
        }
        for pattern in try patterns(pair.items[0], at: field.site) {
          optimizer.rules.append(.init(pattern: pattern, values: values, stateDType: stateDType, rounding: rounding))
        }
      }
    default:
      guard let index = names.firstIndex(of: label) else {
        let known = names + Policy.names(of: .optimizer)
        throw Failure(
          "unknown-policy", "`\(optimizer.definition.name)` has no hyperparameter or policy `\(label)`", at: field.site,
          notes: ["known: \(known.joined(separator: ", "))"],
          help: didYouMean(label, among: known).map { "did you mean `\($0)`?" })
      }
      try optimizer.set(index, to: field.value, at: field.site)
    }
  }

  /// What the value of `rounding:` stands for.
  private func rounding(
    _ value: Value, of optimizer: OptimizerValue, at site: Site
  ) throws(Failure) -> Rounding {
    let rounding: Rounding? = if case .string(let word) = value { word.known.flatMap(Rounding.init) } else { nil }
    guard let rounding else {
      throw Failure(
        "bad-argument", "`rounding` is `nearest`, `stochastic` or `kahan`, got \(value.described)", at: site,
        notes: ["it says how an update of params in bf16 is rounded"])
    }
    if rounding == .kahan, optimizer.definition.states.contains(where: { $0.name == OptimizerSlot.compensationName }) {
      throw Failure(
        "bad-policy",
        "`rounding: kahan` keeps a state called `\(OptimizerSlot.compensationName)`, and `\(optimizer.definition.name)` has one of that name",
        at: site)
    }
    return rounding
  }

  /// What an optimizer's state may be stored in.
  private func stateDType(_ value: Value, at site: Site) throws(Failure) -> DType {
    guard case .dtype(let dtype) = value else {
      throw Failure(
        "bad-argument", "`state` is the dtype that state is stored in, got \(value.described)", at: site,
        notes: [stateDTypes])
    }
    switch dtype {
    case .f32, .bf16, .q8, .q8e4m3: return dtype
    // In blocks: its own range would lose the squares of gradients.
    case .f8e4m3: return .q8e4m3
    case .f16, .f8e5m2:
      throw Failure(
        "unsupported-dtype", "state cannot be stored in \(dtype)", at: site,
        notes: [
          "squares of gradients are smaller than the smallest numbers of \(dtype) above 0, and steps are divided by their roots",
          stateDTypes,
        ])
    case .f64, .i32, .i64, .u8, .bool:
      throw Failure("unsupported-dtype", "state cannot be stored in \(dtype)", at: site, notes: [stateDTypes])
    }
  }

  private var stateDTypes: String {
    "state is stored in q8 or f8e4m3, 1 byte a number and 4 for each 256; in bf16, 2 bytes; or in f32, as it is without this"
  }

  private func badRules(_ site: Site) -> Failure {
    Failure(
      "bad-argument", "`rules` is a list of pairs of a pattern and settings", at: site,
      help: "write `rules: [(\"*.bias\", (decay: 0.0))]`")
  }

  private func patterns(_ value: Value, at site: Site) throws(Failure) -> [String] {
    switch value {
    case .string(let pattern): return [try pattern.text(at: site)]
    case .list(let list):
      var result: [String] = []
      for item in list.items { result += try patterns(item, at: site) }
      return result
    default:
      throw Failure("bad-argument", "a path pattern is a string such as \"*.bias\", got \(value.described)", at: site)
    }
  }
}
