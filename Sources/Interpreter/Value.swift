import Drawings
import Support
import Tensors

/// What a name can hold. Numbers are stored in place; everything else is a reference to an object,
/// so that a value stays 9 bytes and copying it is one retain.
package enum Value {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case dtype(DType)
  case tensor(TensorValue)
  case string(StringValue)
  case list(ListValue)
  case record(RecordValue)
  case range(RangeValue)
  case callable(Callable)
  case model(ModelValue)
  case optimizer(OptimizerValue)
  case object(ObjectValue)
  /// A variable shared with a closure. Only frames hold these; no expression evaluates to one.
  case cell(Cell)
  /// A variable before its first assignment. Only frames and globals hold it.
  case unset
}

/// An immutable string.
package final class StringValue {
  /// The text; nil for one that a step makes anew at each run.
  package let known: String?
  /// What it is made of.
  let pieces: [TextPiece]

  init(_ text: String) {
    known = text
    pieces = [.text(text)]
  }

  /// A string with values in it that each run of a step fills in.
  init(pieces: [TextPiece]) {
    known = nil
    self.pieces = pieces
  }

  /// Whether it is a text of which an abstract run knows nothing, or not all.
  var isUnknown: Bool { known == nil && pieces.contains { if case .unknown = $0 { true } else { false } } }

  /// The text where the program needs it now.
  func text(at site: Site) throws(Failure) -> String {
    if let known { return known }
    if isUnknown { throw .unchecked("it depends on a text that only a run knows", at: site) }
    throw Failure(
      "traced-value", "the text of this string is not known while the step is traced", at: site,
      notes: ["it holds values that differ from run to run"],
      help: "print it, return it, or make it outside the step")
  }
}

/// A list. A value: assignment to an element makes a new list unless this is the only reference.
package final class ListValue {
  package private(set) var items: [Value]
  /// One more than that of its deepest element, or than that of one that was here.
  private(set) var depth: Int
  private var knownSummary: TreeSummary?
  /// Where it was written, for errors about the tensor it becomes.
  let site: Site?
  /// Where its elements were written, if it is a list as written.
  private let elementSites: [Site]
  init(_ items: [Value], site: Site? = nil, elementSites: [Site] = []) {
    self.items = items
    self.site = site
    self.elementSites = elementSites
    depth = Value.depth(holding: items)
  }

  var summary: TreeSummary {
    if let knownSummary { return knownSummary }
    let summary = TreeSummary(of: items)
    knownSummary = summary
    return summary
  }

  /// Whether it holds whole numbers only, and lists of them.
  var isWhole: Bool { summary.isWhole }

  /// Adds an element at the end.
  /// - Requires: nobody else holds the list.
  func append(_ value: Value) {
    items.append(value)
    depth = max(depth, value.depth + 1)
    knownSummary = nil
  }

  /// Replaces an element.
  /// - Requires: nobody else holds the list.
  func replace(_ position: Int, with value: Value) {
    items[position] = value
    depth = max(depth, value.depth + 1)
    knownSummary = nil
  }

  /// The places of the elements, as far as they lie within `site`; else `site` itself for each.
  func sites(within site: Site) -> [Site] {
    if elementSites.count == items.count, elementSites.allSatisfy(site.contains) { return elementSites }
    return [Site](repeating: site, count: items.count)
  }
}

/// A record or, where fields have no names, a tuple.
package final class RecordValue {
  package private(set) var names: [String?]
  package private(set) var items: [Value]
  /// One more than that of its deepest field, or than that of one that was here.
  private(set) var depth: Int
  private var knownSummary: TreeSummary?

  init(names: [String?], items: [Value]) {
    self.names = names
    self.items = items
    depth = Value.depth(holding: items)
  }

  var summary: TreeSummary {
    if let knownSummary { return knownSummary }
    let summary = TreeSummary(of: items)
    knownSummary = summary
    return summary
  }

  /// Replaces a field.
  /// - Requires: nobody else holds the record.
  func replace(_ position: Int, with value: Value) {
    items[position] = value
    depth = max(depth, value.depth + 1)
    knownSummary = nil
  }

  /// Replaces the field of a name, or adds one.
  /// - Requires: nobody else holds the record.
  func set(_ name: String, to value: Value) {
    if let position = names.firstIndex(of: name) { return replace(position, with: value) }
    names.append(name)
    items.append(value)
    depth = max(depth, value.depth + 1)
    knownSummary = nil
  }

  convenience init(_ fields: KeyValuePairs<String, Value>) {
    self.init(names: fields.map { $0.key }, items: fields.map { $0.value })
  }

  package subscript(name: String) -> Value? {
    for (index, candidate) in names.enumerated() where candidate == name { return items[index] }
    return nil
  }

  package var isTuple: Bool { names.allSatisfy { $0 == nil } }
}

/// `a...b` or `a..<b`: whole numbers counting up.
package final class RangeValue {
  package let start: Int
  /// One past the last.
  package let end: Int
  init(_ start: Int, _ end: Int) {
    self.start = start
    self.end = max(start, end)
  }
  package var count: Int { end - start }
}

/// A variable that a closure shares with the function that made it.
package final class Cell {
  var value: Value
  /// The serial number of the trace in which it was made, 0 outside any: a cell from outside a trace is
  /// an input of the step, one from inside is not.
  let trace: Int
  init(_ value: Value, trace: Int) {
    self.value = value
    self.trace = trace
  }

  deinit { release(&value) }
}

/// Something that can be called: functions, built-ins, model and optimizer declarations, steps.
package class Callable {
  /// Whether this is a `FunctionValue`: a test without a dynamic cast, for the path of every call.
  final let isFunction: Bool
  init(isFunction: Bool = false) { self.isFunction = isFunction }

  /// How many callables it is made of, each of the one before.
  var depth: Int { 0 }

  package var name: String { "" }
  /// What `type` prints.
  package var kind: String { "function" }
  /// Shown by `?name`: the call's shape, such as `relu(x)`.
  package var signature: String { name }
  package var documentation: String { "" }
  /// Where it is declared, if in a program.
  package var declaration: Site? { nil }

  func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    throw Failure("internal", "a callable without a call", at: arguments.site)
  }

  /// Parameters by name, for completion and early arity checks; nil where anything goes.
  package var parameterNames: [String]? { nil }
}

/// An object of the standard library that programs hold but cannot look into: a data loader, a data set.
package class ObjectValue {
  package var kind: String { "object" }
  package var summary: String { kind }
  func member(_ name: String) -> Value? { nil }
  package var memberNames: [String] { [] }
  /// The text that stands for it where it is echoed: drawings fit the width, and may have colours.
  package func text(on surface: Surface) -> String { summary }
  /// A drawing of it, for files and notebooks; nil where it has none.
  package var svg: String? { nil }
  /// The same as a file for other tools, in JSON; nil where there is none.
  package var json: String? { nil }
  /// A table of it, for notebooks; nil where its summary says it all.
  package var html: String? { nil }
  /// Elements for `for`; nil where it has none.
  func makeIterator(_ interpreter: Interpreter, at site: Site) throws(Failure) -> ValueIterator? { nil }
  /// The number of elements where it is known.
  var count: Int? { nil }
}

/// Produces values one at a time.
class ValueIterator {
  func next() throws(Failure) -> Value? { nil }
}

/// The arguments of one call with their places.
struct Arguments {
  struct Argument {
    let label: String?
    let value: Value
    let site: Site
  }
  var items: [Argument]
  let site: Site
  /// How errors name the callee.
  var callee: Site?

  init(_ items: [Argument], at site: Site, callee: Site? = nil) {
    self.items = items
    self.site = site
    self.callee = callee
  }

  /// Arguments that the runtime itself passes.
  init(values: [Value], at site: Site) {
    self.init(values.map { Argument(label: nil, value: $0, site: site) }, at: site)
  }
}

extension Value {
  static func string(_ text: String) -> Value { .string(StringValue(text)) }
  static func list(_ items: [Value]) -> Value { .list(ListValue(items)) }
  static func tuple(_ items: [Value]) -> Value {
    .record(RecordValue(names: [String?](repeating: nil, count: items.count), items: items))
  }
  static func record(_ fields: KeyValuePairs<String, Value>) -> Value { .record(RecordValue(fields)) }

  /// What errors call this value: `a number`, `f32[2, 3]`, `a list`.
  package var typeDescription: String {
    switch self {
    case .none: "none"
    case .bool: "bool"
    case .int: "int"
    case .double: "number"
    case .dtype: "dtype"
    case .tensor(let tensor) where tensor.isNumber:
      // As outside a step.
      tensor.dtype == .bool ? "bool" : tensor.dtype.isInteger ? "int" : "number"
    case .tensor(let tensor): tensor.type.description
    case .string: "string"
    case .list: "list"
    case .record(let record): record.isTuple ? "tuple" : "record"
    case .range: "range"
    case .callable(let callable): callable.kind
    case .model(let model): model.definition.name
    case .optimizer: "optimizer"
    case .object(let object): object.kind
    case .cell, .unset: "variable"
    }
  }

  /// The same with an article, for the middle of a sentence.
  var described: String {
    switch self {
    case .none: "none"
    case .bool(let value): "\(value)"
    case .int(let value): "\(value)"
    case .double(let value): format(number: value)
    case .dtype(let dtype): "the dtype \(dtype)"
    case .tensor(let tensor): tensor.isNumber ? "a number" : "a tensor \(tensor.type)"
    case .string(let string):
      if let text = string.known, text.utf8.count < 30 { "the string \"\(text)\"" } else { "a string" }
    case .list: "a list"
    case .record(let record): record.isTuple ? "a tuple" : "a record"
    case .range(let range): "the range \(range.start)..<\(range.end)"
    case .callable(let callable):
      callable.name.isEmpty ? "a \(callable.kind)" : "the \(callable.kind) `\(callable.name)`"
    case .model(let model): "the model `\(model.definition.name)`"
    case .optimizer: "an optimizer"
    case .object(let object): "a \(object.kind)"
    case .cell, .unset: "a variable"
    }
  }
}
