import Support
import Syntax
import Tensors

/// A piece of a compiled program. Compiling resolves names to slots; running walks the tree.
///
/// Final classes with strong `let` children measured fastest here: children cost no reference counting.
class Node {
  let site: Site
  init(_ site: Site) { self.site = site }

  /// The value of an expression.
  func eval(_ frame: Frame) throws(Failure) -> Value {
    throw Failure("internal", "a statement was asked for its value", at: site)
  }

  /// Runs a statement.
  func exec(_ frame: Frame) throws(Failure) -> Flow {
    _ = try eval(frame)
    return .normal
  }

  /// The value of a condition.
  func test(_ frame: Frame) throws(Failure) -> Bool {
    try truth(of: eval(frame), at: site)
  }
}

/// How a statement ended.
enum Flow {
  case normal, broken, continued, returned
}

/// What `if`, `while`, `and`, `or` and `not` make of a value.
func truth(of value: Value, at site: Site) throws(Failure) -> Bool {
  switch value {
  case .bool(let value): return value
  case .tensor(let tensor): return try truth(of: tensor, at: site)
  default:
    throw Failure(
      "bad-condition", "a condition must be true or false, got \(value.described)", at: site,
      help: conditionHint(value))
  }
}

private func conditionHint(_ value: Value) -> String? {
  switch value {
  case .int, .double: "compare it, as in `x != 0`"
  case .list, .string, .record: "ask for its length, as in `len(x) > 0`"
  case .none: "compare it, as in `x == none`"
  default: nil
  }
}

private func truth(of tensor: TensorValue, at site: Site) throws(Failure) -> Bool {
  guard tensor.type.elementCount == 1 else {
    throw Failure(
      "bad-condition", "a condition must be one truth value, got \(tensor.type)", at: site,
      help: "use `any(…)` or `all(…)`")
  }
  if let trace = tensor.trace, trace.isRecording, tensor.tensor == nil || tensor.isNumber {
    return try trace.hostBool(of: tensor, at: site)
  }
  guard let real = tensor.tensor else { throw tensor.missing(at: site) }
  guard tensor.dtype == .bool else {
    throw Failure(
      "bad-condition", "a condition must be true or false, got \(tensor.type)", at: site,
      help: "compare it, as in `x != 0`")
  }
  return real.scalar != 0
}

// MARK: Leaves

final class ConstantNode: Node {
  let value: Value
  init(_ value: Value, _ site: Site) {
    self.value = value
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { value }
}

/// A mistake found while compiling, thrown where the program reaches it.
final class FailNode: Node {
  let diagnostic: Diagnostic
  init(_ diagnostic: Diagnostic, _ site: Site) {
    self.diagnostic = diagnostic
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { throw Failure(diagnostic) }
}

final class LocalNode: Node {
  let slot: Int
  let name: String
  init(_ slot: Int, _ name: String, _ site: Site) {
    self.slot = slot
    self.name = name
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    // Numbers are copied without a look at the other kinds of value.
    if case .int(let number) = frame[slot] { return .int(number) }
    let value = frame[slot]
    if case .unset = value { throw unset(name, at: site) }
    return value
  }
}

/// A variable that hides something outside once it has a value.
final class OuterNode: Node {
  let slot: Int
  let outer: Node
  init(_ slot: Int, _ outer: Node, _ site: Site) {
    self.slot = slot
    self.outer = outer
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    if case .unset = frame[slot] { return try outer.eval(frame) }
    return frame[slot]
  }
}

/// A variable that a closure shares.
final class CellNode: Node {
  let slot: Int
  let name: String
  let interpreter: Interpreter
  init(_ slot: Int, _ name: String, _ interpreter: Interpreter, _ site: Site) {
    self.slot = slot
    self.name = name
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    guard case .cell(let cell) = frame[slot] else { throw unset(name, at: site) }
    if case .unset = cell.value { throw unset(name, at: site) }
    if interpreter.isCapturing, cell.trace != interpreter.traceSerial {
      return try interpreter.trace!.capture(.cell(cell, name: name), cell.value, at: site)
    }
    return cell.value
  }
}

final class GlobalNode: Node {
  let slot: Int
  let interpreter: Interpreter
  private let globals: UnsafeMutablePointer<Value>
  init(_ slot: Int, _ interpreter: Interpreter, _ site: Site) {
    self.slot = slot
    self.interpreter = interpreter
    globals = interpreter.globals
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    if case .int(let number) = globals[slot], !interpreter.isCapturing { return .int(number) }
    let value = globals[slot]
    if case .unset = value { throw unset(interpreter.globalNames[slot], at: site) }
    if interpreter.isCapturing {
      return try interpreter.trace!.capture(
        .global(slot, name: interpreter.globalNames[slot]), value, at: site)
    }
    return value
  }
}

func unset(_ name: String, at site: Site) -> Failure {
  Failure(
    "unset-name", "`\(name)` has no value yet", at: site,
    notes: ["it is assigned elsewhere, but that has not run"])
}

// MARK: Arithmetic on host numbers, tensors by way of the ops

/// An arithmetic operator: what it does to two host numbers, and the op that does it to tensors.
protocol Arithmetic {
  static var op: String { get }
  static var symbol: String { get }
  /// nil where it overflows or does not exist; the slow path says which.
  static func integers(_ a: Int, _ b: Int) -> Value?
  static func doubles(_ a: Double, _ b: Double) -> Double
}

enum Addition: Arithmetic {
  static let op = "add"
  static let symbol = "+"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? nil : .int(result)
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double { a + b }
}

enum Subtraction: Arithmetic {
  static let op = "subtract"
  static let symbol = "-"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    let (result, overflow) = a.subtractingReportingOverflow(b)
    return overflow ? nil : .int(result)
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double { a - b }
}

enum Multiplication: Arithmetic {
  static let op = "multiply"
  static let symbol = "*"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : .int(result)
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double { a * b }
}

enum Division: Arithmetic {
  static let op = "divide"
  static let symbol = "/"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    .double(Double(a) / Double(b))
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double { a / b }
}

enum FloorDivision: Arithmetic {
  static let op = "floor_divide"
  static let symbol = "//"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    if b == 0 || (a == .min && b == -1) { return nil }
    let quotient = a / b
    return .int(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient)
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double {
    if b == 0 { return a / b }
    // As kernels do it, exact where the quotient rounds up: 1 // 0.1 is 9, since 0.1 is a bit more.
    return ((a - Modulo.doubles(a, b)) / b).rounded()
  }
}

enum Modulo: Arithmetic {
  static let op = "mod"
  static let symbol = "%"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Value? {
    if b == 0 { return nil }
    if b == -1 { return .int(0) }
    let rest = a % b
    return .int(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest)
  }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Double {
    let rest = a.truncatingRemainder(dividingBy: b)
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
  }
}

/// An operator with two operands.
///
/// What they are is noted when it is compiled: whole numbers in local variables and whole constants are read
/// in place, without a virtual call and without a copy.
class OperatorNode: Node {
  let left: Node
  let right: Node
  let operatorSite: Site
  let interpreter: Interpreter
  /// The slot of the local variable on the left, else -1.
  private let slot: Int
  /// The whole constant on the right.
  fileprivate let constant: Int
  fileprivate let hasConstant: Bool

  init(_ left: Node, _ right: Node, operatorSite: Site, _ interpreter: Interpreter, _ site: Site) {
    self.left = left
    self.right = right
    self.operatorSite = operatorSite
    self.interpreter = interpreter
    slot = (left as? LocalNode)?.slot ?? -1
    if let node = right as? ConstantNode, case .int(let value) = node.value {
      constant = value
      hasConstant = true
    } else {
      constant = 0
      hasConstant = false
    }
    super.init(site)
  }

  @inline(__always)
  fileprivate final func evaluateLeft(_ frame: Frame) throws(Failure) -> Value {
    if slot >= 0, case .int(let number) = frame[slot] { return .int(number) }
    return try left.eval(frame)
  }

  final var sites: BinarySites {
    BinarySites(whole: site, operator: operatorSite, left: left.site, right: right.site)
  }
}

/// An operator on numbers.
///
/// Each has a class of its own, not generic: the methods of a generic class are compiled once for all
/// operators, and reach each by tables.
class ArithmeticNode: OperatorNode {
  /// What `eval` does in the class of `Operator`.
  @inline(__always)
  final func evaluate<Operator: Arithmetic>(_: Operator.Type, _ frame: Frame) throws(Failure) -> Value {
    let a = try evaluateLeft(frame)
    if hasConstant, case .int(let a) = a, let result = Operator.integers(a, constant) { return result }
    let b = try right.eval(frame)
    switch (a, b) {
    case (.int(let a), .int(let b)):
      if let result = Operator.integers(a, b) { return result }
    case (.double(let a), .double(let b)): return .double(Operator.doubles(a, b))
    case (.int(let a), .double(let b)): return .double(Operator.doubles(Double(a), b))
    case (.double(let a), .int(let b)): return .double(Operator.doubles(a, Double(b)))
    default: break
    }
    return try slow(a, b, op: Operator.op, symbol: Operator.symbol)
  }

  @inline(never)
  private final func slow(_ a: Value, _ b: Value, op: String, symbol: String) throws(Failure) -> Value {
    if case .int(let x) = a, case .int(let y) = b { throw integerFailure(x, symbol, y, at: operatorSite) }
    return try interpreter.binary(op, a, b, sites)
  }
}

final class AdditionNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(Addition.self, frame) }
}
final class SubtractionNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(Subtraction.self, frame) }
}
final class MultiplicationNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(Multiplication.self, frame) }
}
final class DivisionNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(Division.self, frame) }
}
final class FloorDivisionNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(FloorDivision.self, frame) }
}
final class ModuloNode: ArithmeticNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value { try evaluate(Modulo.self, frame) }
}

func integerFailure(_ a: Int, _ symbol: String, _ b: Int, at site: Site) -> Failure {
  if b == 0, symbol == "//" || symbol == "%" {
    return Failure("division-by-zero", "cannot compute \(a) \(symbol) 0", at: site)
  }
  return Failure(
    "integer-overflow", "\(a) \(symbol) \(b) does not fit in a 64-bit integer", at: site,
    help: "make one of them a float: `\(a).0`")
}

final class PowerNode: OperatorNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let a = try left.eval(frame)
    let b = try right.eval(frame)
    return try interpreter.power(a, b, sites)
  }
}

final class MatmulNode: OperatorNode {
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let a = try left.eval(frame)
    let b = try right.eval(frame)
    return try interpreter.matmul(a, b, sites)
  }
}

final class NegateNode: Node {
  let operand: Node
  let interpreter: Interpreter
  init(_ operand: Node, _ interpreter: Interpreter, _ site: Site) {
    self.operand = operand
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let value = try operand.eval(frame)
    switch value {
    case .int(let value):
      let (result, overflow) = (0).subtractingReportingOverflow(value)
      if overflow { throw integerFailure(0, "-", value, at: site) }
      return .int(result)
    case .double(let value): return .double(-value)
    default: return try interpreter.unary("negate", value, at: site, operand: operand.site)
    }
  }
}

// MARK: Comparison

/// A comparison operator on host numbers, and the op that compares tensors.
protocol Comparing {
  static var op: String { get }
  static var symbol: String { get }
  static func integers(_ a: Int, _ b: Int) -> Bool
  static func doubles(_ a: Double, _ b: Double) -> Bool
}

enum Less: Comparing {
  static let op = "less"
  static let symbol = "<"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a < b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a < b }
}
enum LessOrEqual: Comparing {
  static let op = "less_equal"
  static let symbol = "<="
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a <= b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a <= b }
}
enum Greater: Comparing {
  static let op = "greater"
  static let symbol = ">"
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a > b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a > b }
}
enum GreaterOrEqual: Comparing {
  static let op = "greater_equal"
  static let symbol = ">="
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a >= b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a >= b }
}
enum Equal: Comparing {
  static let op = "equal"
  static let symbol = "=="
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a == b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a == b }
}
enum NotEqual: Comparing {
  static let op = "not_equal"
  static let symbol = "!="
  @inline(__always) static func integers(_ a: Int, _ b: Int) -> Bool { a != b }
  @inline(__always) static func doubles(_ a: Double, _ b: Double) -> Bool { a != b }
}

/// A comparison of two values; a class for each operator, as in arithmetic.
class ComparisonNode: OperatorNode {
  final override func eval(_ frame: Frame) throws(Failure) -> Value {
    let a = try left.eval(frame)
    return try compare(a, right.eval(frame))
  }

  /// Compares two values that were evaluated already.
  func compare(_ a: Value, _ b: Value) throws(Failure) -> Value { .none }

  /// What `test` does in the class of `Operator`.
  @inline(__always)
  final func evaluate<Operator: Comparing>(_: Operator.Type, _ frame: Frame) throws(Failure) -> Bool {
    let a = try evaluateLeft(frame)
    if hasConstant, case .int(let a) = a { return Operator.integers(a, constant) }
    let b = try right.eval(frame)
    if case .int(let a) = a, case .int(let b) = b { return Operator.integers(a, b) }
    return try slow(a, b)
  }

  @inline(never)
  private final func slow(_ a: Value, _ b: Value) throws(Failure) -> Bool {
    try truth(of: compare(a, b), at: site)
  }

  /// What `compare` does in the class of `Operator`.
  @inline(__always)
  final func compare<Operator: Comparing>(
    _: Operator.Type, _ a: Value, _ b: Value
  ) throws(Failure) -> Value {
    switch (a, b) {
    case (.int(let a), .int(let b)): return .bool(Operator.integers(a, b))
    case (.double(let a), .double(let b)): return .bool(Operator.doubles(a, b))
    case (.int(let a), .double(let b)): return .bool(Operator.doubles(Double(a), b))
    case (.double(let a), .int(let b)): return .bool(Operator.doubles(a, Double(b)))
    default:
      return try interpreter.compare(Operator.op, Operator.symbol, a, b, sites)
    }
  }
}

final class LessNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(Less.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(Less.self, a, b)
  }
}
final class LessOrEqualNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(LessOrEqual.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(LessOrEqual.self, a, b)
  }
}
final class GreaterNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(Greater.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(Greater.self, a, b)
  }
}
final class GreaterOrEqualNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(GreaterOrEqual.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(GreaterOrEqual.self, a, b)
  }
}
final class EqualNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(Equal.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(Equal.self, a, b)
  }
}
final class NotEqualNode: ComparisonNode {
  override func test(_ frame: Frame) throws(Failure) -> Bool { try evaluate(NotEqual.self, frame) }
  override func compare(_ a: Value, _ b: Value) throws(Failure) -> Value {
    try compare(NotEqual.self, a, b)
  }
}

/// `a < b <= c`: each pair compared, middle operands evaluated once.
final class ChainNode: Node {
  let comparisons: [ComparisonNode]
  init(_ comparisons: [ComparisonNode], _ site: Site) {
    self.comparisons = comparisons
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { .bool(try test(frame)) }
  override func test(_ frame: Frame) throws(Failure) -> Bool {
    var left = try comparisons[0].left.eval(frame)
    for comparison in comparisons {
      let right = try comparison.right.eval(frame)
      if try !truth(of: comparison.compare(left, right), at: comparison.site) { return false }
      left = right
    }
    return true
  }
}

/// `x in xs`
final class ContainedNode: Node {
  let left: Node
  let right: Node
  let interpreter: Interpreter
  init(_ left: Node, _ right: Node, _ interpreter: Interpreter, _ site: Site) {
    self.left = left
    self.right = right
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let value = try left.eval(frame)
    let container = try right.eval(frame)
    switch container {
    case .list(let list):
      for item in list.items where try interpreter.areEqual(item, value, at: site) { return .bool(true) }
      return .bool(false)
    case .range(let range):
      if case .int(let value) = value { return .bool(value >= range.start && value < range.end) }
      if case .tensor(let tensor) = value, tensor.isNumber, tensor.dtype.isInteger, let trace = tensor.trace,
        trace.isRecording, case .int(let value) = try trace.hostNumber(of: tensor, at: left.site)
      {
        return .bool(value >= range.start && value < range.end)
      }
      return .bool(false)
    case .string(let string):
      if case .string(let part) = value {
        let (text, part) = (try string.text(at: right.site), try part.text(at: left.site))
        return .bool(part.isEmpty || text.contains(part))
      }
    case .record(let record):
      if case .string(let name) = value { return .bool(record[try name.text(at: left.site)] != nil) }
    default: break
    }
    throw Failure(
      "bad-operand", "`in` needs a list, range, string or record on its right, got \(container.described)",
      at: site)
  }
}

final class AndNode: Node {
  let left: Node
  let right: Node
  init(_ left: Node, _ right: Node, _ site: Site) {
    self.left = left
    self.right = right
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { .bool(try test(frame)) }
  override func test(_ frame: Frame) throws(Failure) -> Bool {
    guard try left.test(frame) else { return false }
    return try right.test(frame)
  }
}

final class OrNode: Node {
  let left: Node
  let right: Node
  init(_ left: Node, _ right: Node, _ site: Site) {
    self.left = left
    self.right = right
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { .bool(try test(frame)) }
  override func test(_ frame: Frame) throws(Failure) -> Bool {
    if try left.test(frame) { return true }
    return try right.test(frame)
  }
}

final class NotNode: Node {
  let operand: Node
  init(_ operand: Node, _ site: Site) {
    self.operand = operand
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value { .bool(try !operand.test(frame)) }
  override func test(_ frame: Frame) throws(Failure) -> Bool { try !operand.test(frame) }
}
