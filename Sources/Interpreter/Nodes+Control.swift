import Support
import Syntax
import Tensors

// MARK: Blocks and conditions

/// Statements in order. As an expression its value is that of the last one.
final class BlockNode: Node {
  let statements: [Node]
  init(_ statements: [Node], _ site: Site) {
    self.statements = statements
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    guard let last = statements.last else { return .none }
    for statement in statements.dropLast() { _ = try statement.exec(frame) }
    return try last.eval(frame)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    for statement in statements {
      let flow = try statement.exec(frame)
      if flow != .normal { return flow }
    }
    return .normal
  }
}

final class ConditionalNode: Node {
  let condition: Node
  let then: Node
  let otherwise: Node?
  init(_ condition: Node, then: Node, otherwise: Node?, _ site: Site) {
    self.condition = condition
    self.then = then
    self.otherwise = otherwise
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    if try condition.test(frame) { return try then.eval(frame) }
    return try otherwise?.eval(frame) ?? .none
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    if try condition.test(frame) { return try then.exec(frame) }
    return try otherwise?.exec(frame) ?? .normal
  }
}

final class ReturnNode: Node {
  let value: Node?
  let interpreter: Interpreter
  init(_ value: Node?, _ interpreter: Interpreter, _ site: Site) {
    self.value = value
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    interpreter.returned = try value?.eval(frame) ?? .none
    return .returned
  }
}

final class BreakNode: Node {
  override func exec(_ frame: Frame) throws(Failure) -> Flow { .broken }
}

final class ContinueNode: Node {
  override func exec(_ frame: Frame) throws(Failure) -> Flow { .continued }
}

/// A statement in value position that has no value: an assignment at the end of a block.
final class ValuelessNode: Node {
  let statement: Node
  init(_ statement: Node) {
    self.statement = statement
    super.init(statement.site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    _ = try statement.exec(frame)
    return .none
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow { try statement.exec(frame) }
}

// MARK: Loops

final class WhileNode: Node {
  let condition: Node
  let body: Node
  let interpreter: Interpreter
  init(_ condition: Node, _ body: Node, _ interpreter: Interpreter, _ site: Site) {
    self.condition = condition
    self.body = body
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    while try condition.test(frame) {
      try interpreter.checkInterrupt(at: site)
      switch try body.exec(frame) {
      case .broken: return .normal
      case .returned: return .returned
      case .normal, .continued: break
      }
    }
    return .normal
  }
}

final class ForNode: Node {
  let target: AssignTarget
  let iterable: Node
  let body: Node
  let interpreter: Interpreter
  init(
    _ target: AssignTarget, _ iterable: Node, _ body: Node, _ interpreter: Interpreter, _ site: Site
  ) {
    self.target = target
    self.iterable = iterable
    self.body = body
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    let values = try iterable.eval(frame)
    if case .range(let range) = values {
      for index in range.start..<range.end {
        try target.bind(.int(index), frame)
        let flow = try step(frame)
        if flow == .broken { break }
        if flow == .returned { return .returned }
      }
      return .normal
    }
    let iterator = try interpreter.iterate(values, at: iterable.site)
    while let value = try iterator.next() {
      try target.bind(value, frame)
      let flow = try step(frame)
      if flow == .broken { break }
      if flow == .returned { return .returned }
    }
    return .normal
  }

  @inline(__always)
  private func step(_ frame: Frame) throws(Failure) -> Flow {
    try interpreter.checkInterrupt(at: site)
    return try body.exec(frame)
  }
}

/// `[e for x in xs if c for y in ys]`
final class ComprehensionNode: Node {
  struct Clause {
    let target: AssignTarget
    let iterable: Node
    let conditions: [Node]
  }
  let element: Node
  let clauses: [Clause]
  let interpreter: Interpreter
  init(_ element: Node, _ clauses: [Clause], _ interpreter: Interpreter, _ site: Site) {
    self.element = element
    self.clauses = clauses
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var items: [Value] = []
    try run(0, frame, into: &items)
    let list = ListValue(items, site: site)
    try requireDepth(list.depth, at: site)
    return .list(list)
  }
  private func run(_ depth: Int, _ frame: Frame, into items: inout [Value]) throws(Failure) {
    if depth == clauses.count {
      items.append(try element.eval(frame))
      if items.count & (items.count - 1) == 0 { try interpreter.checkFits(elements: 2 * items.count, at: site) }
      return
    }
    let clause = clauses[depth]
    let iterator = try interpreter.iterate(try clause.iterable.eval(frame), at: clause.iterable.site)
    values: while let value = try iterator.next() {
      try interpreter.checkInterrupt(at: site)
      if let abstract = interpreter.abstract { try abstract.spend(at: site) }
      try clause.target.bind(value, frame)
      for condition in clause.conditions where try !condition.test(frame) { continue values }
      try run(depth + 1, frame, into: &items)
    }
  }
}

// MARK: Assignment

/// Something that a value can be bound to.
class AssignTarget {
  let site: Site
  init(_ site: Site) { self.site = site }
  func bind(_ value: Value, _ frame: Frame) throws(Failure) {}

  /// Empties a variable, so that its value can be changed where it is; nil where that cannot be.
  func take(_ frame: Frame) -> Value? { nil }
}

/// The part of a frame or of the globals that holds a variable, emptied.
private func emptied(_ slot: UnsafeMutablePointer<Value>) -> Value? {
  switch slot.pointee {
  case .unset, .cell: return nil
  default:
    let value = slot.move()
    slot.initialize(to: .unset)
    return value
  }
}

final class LocalTarget: AssignTarget {
  let slot: Int
  init(_ slot: Int, _ site: Site) {
    self.slot = slot
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) { frame[slot] = value }
  override func take(_ frame: Frame) -> Value? { emptied(frame + slot) }
}

/// A variable that closures share. Loops make a new one each round, so that closures keep theirs.
final class CellTarget: AssignTarget {
  let slot: Int
  let isFresh: Bool
  let interpreter: Interpreter
  init(_ slot: Int, isFresh: Bool, _ interpreter: Interpreter, _ site: Site) {
    self.slot = slot
    self.isFresh = isFresh
    self.interpreter = interpreter
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    if !isFresh, case .cell(let cell) = frame[slot] {
      cell.value = value
    } else {
      frame[slot] = .cell(
        Cell(value, trace: interpreter.isCapturing ? interpreter.traceSerial : 0))
    }
  }
  override func take(_ frame: Frame) -> Value? {
    guard !interpreter.isCapturing, case .cell(let cell) = frame[slot] else { return nil }
    if case .unset = cell.value { return nil }
    defer { cell.value = .unset }
    return cell.value
  }
}

final class GlobalTarget: AssignTarget {
  let slot: Int
  let interpreter: Interpreter
  init(_ slot: Int, _ interpreter: Interpreter, _ site: Site) {
    self.slot = slot
    self.interpreter = interpreter
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    interpreter.globals[slot] = value
  }
  /// Makes it unknown to an abstract run.
  func forget() { interpreter.globals[slot] = UnknownValue.value }
  override func take(_ frame: Frame) -> Value? {
    interpreter.isCapturing ? nil : emptied(interpreter.globals + slot)
  }
}

final class TupleTarget: AssignTarget {
  let parts: [AssignTarget]
  let interpreter: Interpreter
  init(_ parts: [AssignTarget], _ interpreter: Interpreter, _ site: Site) {
    self.parts = parts
    self.interpreter = interpreter
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    if case .object(let object) = value, object is UnknownValue {
      for part in parts { try part.bind(value, frame) }
      return
    }
    let items = try interpreter.unpack(value, count: parts.count, at: site)
    for (part, item) in zip(parts, items) { try part.bind(item, frame) }
  }
}

final class AssignNode: Node {
  let target: AssignTarget
  let value: Node
  init(_ target: AssignTarget, _ value: Node, _ site: Site) {
    self.target = target
    self.value = value
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    try target.bind(value.eval(frame), frame)
    return .normal
  }
}

/// The commonest assignment, without a virtual call for the target.
final class AssignLocalNode: Node {
  let slot: Int
  let value: Node
  init(_ slot: Int, _ value: Node, _ site: Site) {
    self.slot = slot
    self.value = value
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    frame[slot] = try value.eval(frame)
    return .normal
  }
}

final class AssignGlobalNode: Node {
  let globals: UnsafeMutablePointer<Value>
  let slot: Int
  let value: Node
  init(_ slot: Int, _ value: Node, _ interpreter: Interpreter, _ site: Site) {
    globals = interpreter.globals
    self.slot = slot
    self.value = value
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    globals[slot] = try value.eval(frame)
    return .normal
  }
}
