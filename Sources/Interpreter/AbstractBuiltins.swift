import Formats
import Glibc
import Graphs
import Support
import Tensors

// What an abstract run makes of built-ins that look at elements, at files, at the clock or at the world outside. All others
// run as they are.

/// What stands in the place of a built-in; nil: it runs as it is after all.
typealias AbstractRule = (BuiltinCall, AbstractRun) throws(Failure) -> Value?

extension AbstractRun {
  // Written once; the closures keep nothing.
  nonisolated(unsafe) static let rules: [String: AbstractRule] = [
    "assert": { call, run throws(Failure) in
      if call.interpreter.trace?.isStep == true { return nil }
      return run.isUnknown(call[0]) ? Value.none : nil
    },
    "int": { call, run throws(Failure) in run.hostNumber(of: call, .i64) },
    "float": { call, run throws(Failure) in run.hostNumber(of: call, .f64) },
    "clock": { _, _ throws(Failure) in unknownNumber(.f64) },
    "ask": { _, _ throws(Failure) in .string(StringValue(pieces: [.unknown])) },
    "calibrate": { _, _ throws(Failure) in Value.none },
    "load": { call, run throws(Failure) in try run.load(call) },
    "exists": { call, run throws(Failure) in
      let path = call.interpreter.path(try call.string(0, "the path"), at: call.sites[0])
      // The program may write it before it asks.
      return access(path, R_OK) == 0 ? .bool(true) : unknownNumber(.bool)
    },
    "save": { call, run throws(Failure) in
      if call.values.count > 1, case .string(let name) = call[0] { run.savedNames.insert(name.known.map(AbstractRun.fileName)) }
      return nil
    },
    "decode": { call, run throws(Failure) in run.isUnknown(call[0]) ? .string(StringValue(pieces: [.unknown])) : nil },
    "encode": { call, _ throws(Failure) in
      guard case .string(let text) = call[0], let known = text.known, known.utf8.count > 4096,
        known.utf8.allSatisfy({ $0 < 0x80 && $0 != 0x0D })
      else { return nil }
      return .tensor(TensorValue(abstract: TensorType(.i64, [known.utf8.count]), made: call.site))
    },
    "bits": refusingUnknown, "histogram": refusingUnknown, "plot": refusingUnknown, "scatter": refusingUnknown,
    "heatmap": refusingUnknown,
    "graph": { call, run throws(Failure) in
      if case .optimizer = call[0] { return Value.none }
      return nil
    },
    "check_grad": { call, run throws(Failure) in
      let x = try call.interpreter.cast(call[1], to: .f64, at: call.sites[1])
      _ = try GradientFunction(try call.callable(0, "`f`"), givesValue: false).call(
        Arguments(values: [x], at: call.site), call.interpreter)
      return unknownNumber(.f64)
    },
    "time": { call, run throws(Failure) in
      try run.trace(call)
      return unknownNumber(.f64)
    },
    "profile": tracing, "fit": tracing,
    "compare": { call, run throws(Failure) in
      let areSteps = zip(call.values, call.labels).allSatisfy { value, label in
        if label != nil { return label == "args" }
        guard case .callable(let callable)? = value else { return false }
        return callable is StepValue
      }
      // What is wrong with its arguments it says itself.
      if !areSteps || call.values.count == 1 && call.labels[0] != nil { return nil }
      try run.trace(call)
      throw .unchecked("`compare` reports what only a run knows", at: call.site)
    },
    "explain": { call, run throws(Failure) in
      try run.trace(call)
      return nil
    },
  ]

  /// A report on what a run of a step takes, of which nothing is known; but its step can be traced.
  nonisolated(unsafe) private static let tracing: AbstractRule = { call, run throws(Failure) in
    try run.trace(call)
    throw .unchecked("`\(call.name)` reports what only a run knows", at: call.site)
  }

  nonisolated(unsafe) private static let refusingUnknown: AbstractRule = { call, run throws(Failure) in
    if call.values.contains(where: { run.holdsUnknown($0 ?? .none) }) {
      throw .unchecked("`\(call.name)` looks at elements", at: call.site)
    }
    return nil
  }

  static func unknownNumber(_ dtype: DType) -> Value {
    .tensor(TensorValue(abstract: TensorType(dtype, .scalar), isNumber: true, made: nil))
  }

  private func hostNumber(of call: BuiltinCall, _ dtype: DType) -> Value? {
    switch call[0] {
    case .tensor(let tensor) where tensor.type.elementCount == 1 && isUnknown(call[0]): AbstractRun.unknownNumber(dtype)
    case .string(let string) where string.isUnknown: AbstractRun.unknownNumber(dtype)
    default: nil
    }
  }

  private func holdsUnknown(_ value: Value) -> Bool {
    if case .model = value { return true }
    if isLarge(value) { return true }
    if case .list(let list) = value { return list.items.contains(where: holdsUnknown) }
    if case .record(let record) = value { return record.items.contains(where: holdsUnknown) }
    return isUnknown(value)
  }

  /// Traces the steps of a call such as `time(train, x, y)`.
  private func trace(_ call: BuiltinCall) throws(Failure) {
    guard call.name != "compare" else {
      guard let index = call.labels.firstIndex(of: "args") else { return }
      let items: [(label: String?, value: Value)] =
        switch call[index] {
        case .record(let record): Array(zip(record.names, record.items))
        case .list(let list): list.items.map { (nil, $0) }
        case let single: [(nil, single)]
        }
      let arguments = items.map { Arguments.Argument(label: $0.label, value: $0.value, site: call.sites[index]) }
      for case .callable(let callable) in call.values {
        if let step = callable as? StepValue { _ = try step.call(Arguments(arguments, at: call.site), call.interpreter) }
      }
      return
    }
    let (step, arguments) = try call.stepAndArguments(without: call.name == "fit" ? "budget" : nil)
    _ = try step.call(arguments, call.interpreter)
  }

  // MARK: Files

  /// The header of a file of data.
  private func load(_ call: BuiltinCall) throws(Failure) -> Value? {
    guard !call.values.isEmpty else { return nil }
    let name = try call.string(0, "the path")
    if call.values.count > 1 {
      // What it restores keeps its shapes.
      return Value.none
    }
    if name == "stdlib" { return nil }
    if name == "digits" { return AbstractRun.digits }
    let site = call.sites[0]
    let path = call.interpreter.path(name, at: site)
    if savedNames.contains(AbstractRun.fileName(name)) || savedNames.contains(nil) {
      throw .unchecked("the program writes this file itself", at: site)
    }
    do {
      guard let loaded = try DataFile.loadHeader(path: path) else {
        throw Failure.unchecked("its shape is not in a header", at: site)
      }
      return value(of: loaded, made: call.site)
    } catch let failure as Failure {
      throw failure
    } catch {
      if !savedNames.isEmpty { throw .unchecked("the program writes files itself", at: site) }
      throw Failure.from(error, file: name, path: path, at: site)
    }
  }

  /// Folders have several names; what differs in its last part is another file.
  fileprivate static func fileName(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

  /// The digits that ship with Gradus, known without unpacking them.
  private static var digits: Value {
    func part(_ count: Int) -> Value {
      .record([
        "x": .tensor(TensorValue(abstract: TensorType(.f32, [count, 64]), made: nil)),
        "y": .tensor(TensorValue(abstract: TensorType(.i64, [count]), made: nil)),
      ])
    }
    return .record(["train": part(1442), "test": part(355), "classes": .int(10)])
  }

  private func value(of loaded: Loaded, made: Site) -> Value {
    func abstract(_ tensor: Tensor) -> Value { .tensor(TensorValue(abstract: tensor.type, made: made)) }
    switch loaded {
    case .tensor(let tensor): return abstract(tensor)
    case .tensors(let tensors, _):
      return .record(RecordValue(names: tensors.map(\.name), items: tensors.map { abstract($0.tensor) }))
    case .table(let table):
      guard let columns = table.columns else { return abstract(table.tensor) }
      return .record(["columns": .list(columns.map { .string($0) }), "data": abstract(table.tensor)])
    case .text(let text): return .string(text)
    }
  }
}
