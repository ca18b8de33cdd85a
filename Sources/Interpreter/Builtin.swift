import Graphs
import Ops
import Support
import Tensors

/// A function of the language written in Swift.
package final class Builtin: Callable {
  private let builtinName: String
  /// As programs would declare it: `x, axis = none`. `values…` takes any number of arguments, `name: argument…` any
  /// that have names.
  private let parameterText: String
  private let text: String
  let isVariadic: Bool
  private let takesAnyLabel: Bool
  private let body: (BuiltinCall) throws(Failure) -> Value

  init(
    _ name: String, _ parameters: String, _ documentation: String,
    _ body: @escaping (BuiltinCall) throws(Failure) -> Value
  ) {
    builtinName = name
    isVariadic = parameters.contains("…")
    takesAnyLabel = parameters.hasSuffix(": argument…")
    parameterText = parameters
    text = documentation
    self.body = body
    super.init()
  }

  /// Names and defaults, read from the text at first need.
  private(set) lazy var names: [(name: String, defaultText: String?)] =
    parameterText.split(separator: ",").map { part in
      let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmed }
      return (sides[0], sides.count > 1 ? sides[1] : nil)
    }

  /// nil where any number of arguments goes.
  private(set) lazy var parameters: ParameterList? =
    isVariadic
    ? nil
    : ParameterList(
      names: names.map(\.name), defaults: names.map { _ in nil }, defaultTexts: names.map(\.defaultText))

  package override var name: String { builtinName }
  package override var kind: String { "function" }
  package override var signature: String { "\(builtinName)(\(parameterText))" }
  package override var documentation: String { text }
  package override var parameterNames: [String]? { isVariadic ? nil : names.map(\.name) }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    guard let parameters else {
      for argument in arguments.items {
        guard let label = argument.label, !takesAnyLabel,
          !names.contains(where: { $0.name == label && $0.defaultText != nil })
        else { continue }
        throw Failure(
          "unknown-argument", "`\(builtinName)` has no parameter `\(label)`", at: argument.site,
          notes: ["it is `\(signature)`"])
      }
      return try checked(
        run(
          BuiltinCall(
            interpreter: interpreter, values: arguments.items.map(\.value),
            sites: arguments.items.map(\.site), labels: arguments.items.map(\.label), site: arguments.site,
            callee: arguments.callee ?? arguments.site, name: builtinName)), arguments)
    }
    let given = try parameters.arranged(arguments, callee: builtinName)
    let values = given.map { $0?.value }
    let sites = given.map { $0?.site ?? arguments.site }
    return try checked(
      run(
        BuiltinCall(
          interpreter: interpreter, values: values, sites: sites,
          labels: [String?](repeating: nil, count: values.count), site: arguments.site,
          callee: arguments.callee ?? arguments.site, name: builtinName)), arguments)
  }

  @inline(__always)
  private func run(_ call: BuiltinCall) throws(Failure) -> Value {
    if let abstract = call.interpreter.abstract { return try runAbstractly(call, abstract) }
    return try body(call)
  }

  private func runAbstractly(_ call: BuiltinCall, _ abstract: AbstractRun) throws(Failure) -> Value {
    do throws(Failure) {
      if let rule = AbstractRun.rules[builtinName], let value = try rule(call, abstract) { return value }
      return try body(call)
    } catch {
      // What is said of a number or text that nobody knows may not be true of it.
      if case .diagnostic = error.kind, call.interpreter.trace?.isStep != true,
        error.diagnostic.code == "traced-value"
          || call.values.contains(where: { abstract.isUnknownHostValue($0 ?? .none) })
      {
        throw .unchecked("`\(builtinName)` takes what only a run knows", at: call.site)
      }
      throw error
    }
  }

  /// A result that is not nested too deep.
  @inline(__always)
  private func checked(_ result: Value, _ arguments: Arguments) throws(Failure) -> Value {
    switch result {
    case .int, .double, .tensor, .none: break
    default: try requireDepth(result.depth, at: arguments.site)
    }
    return result
  }
}

extension Substring {
  var trimmed: String {
    var text = self
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

/// The arguments of a built-in, by parameter.
struct BuiltinCall {
  let interpreter: Interpreter
  /// nil where a parameter with a default was left out.
  let values: [Value?]
  let sites: [Site]
  let labels: [String?]
  let site: Site
  /// Where the function is named.
  let callee: Site
  let name: String

  subscript(index: Int) -> Value { values[index] ?? .none }

  func int(_ index: Int, _ what: String, default value: Int? = nil) throws(Failure) -> Int {
    if let value, isMissing(index) { return value }
    return try hostInteger(self[index], what, at: sites[index])
  }

  func double(_ index: Int, _ what: String, default value: Double? = nil) throws(Failure) -> Double {
    if let value, isMissing(index) { return value }
    return try hostDouble(self[index], what, at: sites[index])
  }

  func bool(_ index: Int, _ what: String, default value: Bool) throws(Failure) -> Bool {
    if isMissing(index) { return value }
    if case .bool(let flag) = self[index] { return flag }
    throw Failure("bad-argument", "\(what) must be true or false, got \(self[index].described)", at: sites[index])
  }

  func string(_ index: Int, _ what: String) throws(Failure) -> String {
    if case .string(let string) = self[index] { return try string.text(at: sites[index]) }
    throw Failure("bad-argument", "\(what) must be a string, got \(self[index].described)", at: sites[index])
  }

  func callable(_ index: Int, _ what: String) throws(Failure) -> Callable {
    switch self[index] {
    case .callable(let callable): return callable
    case .model: return SettingCall(self[index], \.mode, interpreter.mode)
    default:
      throw Failure(
        "bad-argument", "\(what) of `\(name)` must be a function, got \(self[index].described)", at: sites[index])
    }
  }

  func tensor(_ index: Int, meansIndex: Bool = false) throws(Failure) -> TensorValue {
    try interpreter.tensorValue(self[index], meansIndex: meansIndex, at: sites[index])
  }

  func list(_ index: Int, _ what: String) throws(Failure) -> [Value] {
    switch self[index] {
    case .list(let list): return list.items
    case .record(let record) where record.isTuple: return record.items
    case .range(let range):
      try interpreter.checkFits(elements: range.count, at: sites[index])
      return (range.start..<range.end).map { .int($0) }
    default:
      var items: [Value] = []
      let iterator = try interpreter.iterate(self[index], at: sites[index])
      while let item = try iterator.next() { items.append(item) }
      return items
    }
  }

  /// Sizes: a list of whole numbers, or one.
  func shape(_ index: Int) throws(Failure) -> Shape {
    var sizes: [Int] = []
    switch self[index] {
    case .list(let list):
      for item in list.items { sizes.append(try hostInteger(item, "a size", at: sites[index])) }
    case .tensor(let tensor) where !tensor.isNumber && tensor.shape.rank == 1:
      guard let real = tensor.tensor else { throw tensor.missing(at: sites[index]) }
      sizes = real.integers()
    default: sizes = [try hostInteger(self[index], "a size", at: sites[index])]
    }
    for size in sizes where size < 0 {
      throw Failure("bad-shape", "a size cannot be negative, got \(size)", at: sites[index])
    }
    guard Shape(sizes).checkedElementCount != nil else {
      throw Failure("out-of-memory", "\(Shape(sizes)) has too many elements", at: sites[index])
    }
    return Shape(sizes)
  }

  func dtype(_ index: Int, default dtype: DType) throws(Failure) -> DType {
    if isMissing(index) { return dtype }
    if case .dtype(let dtype) = self[index] {
      guard !DTypeSet.storage.contains(dtype) else {
        throw Failure(
          "unsupported-dtype", "\(dtype) tensors come only by conversion", at: sites[index],
          help: "make it in f32 and convert it: `\(dtype)(x)`")
      }
      return dtype
    }
    throw Failure("bad-argument", "a dtype such as f32 is needed, got \(self[index].described)", at: sites[index])
  }

  func isMissing(_ index: Int) -> Bool {
    switch values[index] {
    case nil, .some(.none): true
    default: false
    }
  }
}

/// An op under its name in programs.
final class OpFunction: Callable {
  let op: any TensorOp.Type
  private let parameters: ParameterList

  init(_ op: any TensorOp.Type) {
    self.op = op
    let signature = op.signature.parameters
    parameters = ParameterList(
      names: signature.map(\.name), defaults: signature.map { _ in nil },
      defaultTexts: signature.map { $0.defaultValue.map(OpFunction.text) })
    super.init()
  }

  override var name: String { op.name }
  override var signature: String { op.name + parameters.description }
  override var documentation: String { op.documentation }
  override var parameterNames: [String]? { parameters.names }
  var known: ParameterList { parameters }

  private static func text(_ value: AttributeValue) -> String {
    switch value {
    case .none: "none"
    case .int(let value): String(value)
    case .ints(let values): values.description
    case .number(let value): format(number: value)
    case .bool(let value): value ? "true" : "false"
    case .string(let value): "\"\(value)\""
    case .dtype(let dtype): dtype.name
    }
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let given = try parameters.arranged(arguments, callee: op.name)
    var operands: [Value] = []
    var sites: [Site] = []
    var attributes = Attributes()
    for (index, parameter) in op.signature.parameters.enumerated() {
      switch parameter.kind {
      case .operand:
        guard let argument = given[index] else { continue }
        if case .none = argument.value, parameter.defaultValue != nil { continue }
        operands.append(argument.value)
        sites.append(argument.site)
      case .operands:
        guard let argument = given[index] else { continue }
        let items: [Value]
        switch argument.value {
        case .list(let list):
          items = list.items
          sites += list.sites(within: argument.site)
        case .record(let record):
          items = record.items
          sites += items.map { _ in argument.site }
        default:
          throw Failure(
            "bad-argument", "`\(parameter.name)` is a list of tensors, got \(argument.value.described)",
            at: argument.site, help: "write `\(op.name)([a, b])`")
        }
        operands += items
      case .attribute(let kind):
        if let argument = given[index] {
          attributes.set(
            parameter.name,
            try attribute(argument.value, kind, parameter.name, at: argument.site))
        } else if let value = parameter.defaultValue {
          attributes.set(parameter.name, value)
        }
      }
    }
    return try interpreter.apply(
      op, operands, attributes, sites, at: arguments.callee ?? arguments.site, arguments.site)
  }

  private func attribute(
    _ value: Value, _ kind: AttributeKind, _ name: String, at site: Site
  ) throws(Failure) -> AttributeValue {
    switch (kind, value) {
    case (_, .none): return .none
    case (.bool, .bool(let flag)): return .bool(flag)
    case (.string, .string(let string)), (.intsOrString, .string(let string)):
      return .string(try string.text(at: site))
    case (.dtype, .dtype(let dtype)): return .dtype(dtype)
    // Whole numbers stay whole: `arange(3)` counts in i64.
    case (.number, .int(let number)): return .int(number)
    case (.number, .tensor(let tensor)) where tensor.isNumber && tensor.dtype.isInteger:
      return .int(try hostInteger(value, "`\(name)`", at: site))
    case (.number, _): return .number(try hostDouble(value, "`\(name)`", at: site))
    case (.ints, .list(let list)), (.axes, .list(let list)), (.shape, .list(let list)),
      (.intsOrString, .list(let list)):
      var items: [Int] = []
      for item in list.items { items.append(try hostInteger(item, "`\(name)`", at: site)) }
      return .ints(items)
    case (.ints, .record(let record)), (.axes, .record(let record)), (.shape, .record(let record)),
      (.intsOrString, .record(let record)):
      var items: [Int] = []
      for item in record.items { items.append(try hostInteger(item, "`\(name)`", at: site)) }
      return .ints(items)
    case (.int, _), (.axis, _), (.ints, _), (.axes, _), (.shape, _), (.intsOrString, _):
      return .int(try hostInteger(value, "`\(name)`", at: site))
    case (.bool, .tensor(let tensor)) where tensor.isAbstract && tensor.isNumber: throw tensor.missing(at: site)
    case (.bool, _):
      throw Failure("bad-argument", "`\(name)` must be true or false, got \(value.described)", at: site)
    case (.string, _):
      throw Failure("bad-argument", "`\(name)` must be a string, got \(value.described)", at: site)
    case (.dtype, _):
      throw Failure("bad-argument", "`\(name)` must be a dtype such as f32, got \(value.described)", at: site)
    }
  }
}
