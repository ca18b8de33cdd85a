import Support
import Syntax
import Tensors

final class ListNode: Node {
  let items: [Node]
  private let elementSites: [Site]
  init(_ items: [Node], _ site: Site) {
    self.items = items
    elementSites = items.map(\.site)
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var values: [Value] = []
    values.reserveCapacity(items.count)
    for item in items { values.append(try item.eval(frame)) }
    let list = ListValue(values, site: site, elementSites: elementSites)
    try requireDepth(list.depth, at: site)
    return .list(list)
  }
}

final class RecordNode: Node {
  let names: [String?]
  let items: [Node]
  init(_ names: [String?], _ items: [Node], _ site: Site) {
    self.names = names
    self.items = items
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var values: [Value] = []
    values.reserveCapacity(items.count)
    for item in items { values.append(try item.eval(frame)) }
    let record = RecordValue(names: names, items: values)
    try requireDepth(record.depth, at: site)
    return .record(record)
  }
}

final class RangeNode: Node {
  let start: Node
  let end: Node
  let isClosed: Bool
  init(_ start: Node, _ end: Node, isClosed: Bool, _ site: Site) {
    self.start = start
    self.end = end
    self.isClosed = isClosed
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let first = try hostInteger(start.eval(frame), "a bound of a range", at: start.site)
    let last = try hostInteger(end.eval(frame), "a bound of a range", at: end.site)
    let (past, overflow) = last.addingReportingOverflow(isClosed ? 1 : 0)
    if overflow || past.subtractingReportingOverflow(first).overflow {
      throw Failure("integer-overflow", "the range \(first)\(isClosed ? "..." : "..<")\(last) is too long to count", at: site)
    }
    return .range(RangeValue(first, past))
  }
}

final class StringNode: Node {
  enum Part {
    case text(String)
    case value(Node, format: String?)
  }
  let parts: [Part]
  let interpreter: Interpreter
  init(_ parts: [Part], _ interpreter: Interpreter, _ site: Site) {
    self.parts = parts
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var pieces: [TextPiece] = []
    for part in parts {
      switch part {
      case .text(let text): pieces.append(.text(text))
      case .value(let node, let format):
        pieces += try interpreter.pieces(of: node.eval(frame), format: format, at: node.site)
      }
    }
    return try interpreter.string(of: pieces, at: site)
  }
}

/// `base.name`
final class MemberNode: Node {
  let base: Node
  let name: Name
  let interpreter: Interpreter
  init(_ base: Node, _ name: Name, _ interpreter: Interpreter, _ site: Site) {
    self.base = base
    self.name = name
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    try interpreter.member(name, of: base.eval(frame), at: site)
  }
}

final class IndexNode: Node {
  enum Item {
    case at(Node)
    case slice(Node?, Node?, Node?, Site)
    case rest(Site)

    func evaluate(_ frame: Frame) throws(Failure) -> IndexValue {
      switch self {
      case .at(let node): return .at(try node.eval(frame), node.site)
      case .rest(let site): return .rest(site)
      case .slice(let start, let end, let step, let site):
        return .slice(
          try bound(start, frame), try bound(end, frame), try bound(step, frame), site)
      }
    }
    private func bound(_ node: Node?, _ frame: Frame) throws(Failure) -> Int? {
      guard let node else { return nil }
      let value = try node.eval(frame)
      if case .none = value { return nil }
      return try hostInteger(value, "a bound of a slice", at: node.site)
    }
  }
  let base: Node
  let items: [Item]
  let interpreter: Interpreter
  init(_ base: Node, _ items: [Item], _ interpreter: Interpreter, _ site: Site) {
    self.base = base
    self.items = items
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let owner = try base.eval(frame)
    if items.count == 1, case .at(let node) = items[0] {
      let index = try node.eval(frame)
      if case .list(let list) = owner, case .int(let index) = index {
        let position = index < 0 ? index + list.items.count : index
        if position >= 0 && position < list.items.count { return list.items[position] }
      }
      return try interpreter.index(owner, [.at(index, node.site)], at: site, base: base.site)
    }
    var indices: [IndexValue] = []
    for item in items { indices.append(try item.evaluate(frame)) }
    return try interpreter.index(owner, indices, at: site, base: base.site)
  }
}

/// One evaluated axis of `x[…]`.
enum IndexValue {
  case at(Value, Site)
  case slice(Int?, Int?, Int?, Site)
  case rest(Site)
  var site: Site {
    switch self {
    case .at(_, let site), .slice(_, _, _, let site), .rest(let site): site
    }
  }
}

/// `base with (name: value, …)`
final class WithNode: Node {
  let base: Node
  let fields: [(name: Name?, value: Node)]
  let interpreter: Interpreter
  init(_ base: Node, _ fields: [(name: Name?, value: Node)], _ interpreter: Interpreter, _ site: Site) {
    self.base = base
    self.fields = fields
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let owner = try base.eval(frame)
    var arguments: [Arguments.Argument] = []
    for field in fields {
      arguments.append(
        .init(label: field.name?.text, value: try field.value.eval(frame), site: field.value.site))
    }
    return try interpreter.with(owner, arguments, at: site)
  }
}

// MARK: Calls

/// A call of anything with anything: `f(a, label: b)`; also `x |> f(a)`.
final class CallNode: Node {
  let callee: Node
  let arguments: [Node]
  let labels: [String?]
  private let hasLabels: Bool
  private let isUserCode: Bool
  // The first arguments once more: reading a constant field counts no references, reading an array does.
  private let first: Node
  private let second: Node
  private let count: Int
  let interpreter: Interpreter
  /// Where the callee stands if it is a global.
  private let global: UnsafeMutablePointer<Value>?
  /// The first plain function that the global was seen to hold. It is never let go, so that no other can come
  /// to have its address, and its code can be run without counting references.
  private var known: FunctionValue?
  private var knownAddress: UnsafeMutableRawPointer?
  private var knownCode: Unmanaged<FunctionTemplate.Code>?

  init(
    _ callee: Node, _ arguments: [Node], labels: [String?], _ interpreter: Interpreter, _ site: Site
  ) {
    self.callee = callee
    self.arguments = arguments
    first = arguments.first ?? callee
    second = arguments.count > 1 ? arguments[1] : callee
    count = arguments.count
    self.labels = labels
    hasLabels = labels.contains { $0 != nil }
    isUserCode = !site.file.isLibrary
    self.interpreter = interpreter
    global = (callee as? GlobalNode).map { interpreter.globals + $0.slot }
    super.init(site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    // A step's trace must see which globals it reads.
    if isKnown, !interpreter.isCapturing {
      return try knownCode.unsafelyUnwrapped.withGuaranteed { (code) throws(Failure) in
        try callDirectly(code, frame)
      }
    }
    return try callAny(frame)
  }

  /// Whether the callee is the known function. Apart from its use, so that the callee is not kept through
  /// the call.
  @inline(__always)
  private var isKnown: Bool {
    guard let global, case .callable(let callable) = global.pointee else { return false }
    return Unmanaged.passUnretained(callable).toOpaque() == knownAddress
  }

  @inline(never)
  private func callAny(_ frame: Frame) throws(Failure) -> Value {
    let target = try callee.eval(frame)
    if !hasLabels, case .callable(let callable) = target, callable.isFunction {
      let function = unsafeDowncast(callable, to: FunctionValue.self)
      if let code = function.template.simpleCode, code.parameterCount == count {
        if global != nil, known == nil {
          known = function
          knownAddress = Unmanaged.passUnretained(function).toOpaque()
          knownCode = .passUnretained(code)
        }
        return try callDirectly(code, frame)
      }
    }
    var items: [Arguments.Argument] = []
    items.reserveCapacity(arguments.count)
    for (index, argument) in arguments.enumerated() {
      items.append(
        .init(label: labels[index], value: try argument.eval(frame), site: argument.site))
    }
    noteUserCall()
    return try interpreter.call(
      target, Arguments(items, at: site, callee: callee.site))
  }

  @inline(__always)
  private func noteUserCall() {
    if isUserCode, let trace = interpreter.trace { trace.userCall = site }
  }

  /// The path of most calls: positional arguments straight into the callee's slots.
  @inline(__always)
  private func callDirectly(_ code: FunctionTemplate.Code, _ frame: Frame) throws(Failure) -> Value {
    guard let slots = interpreter.push(code.slotCount) else { throw interpreter.stackFailure(at: site) }
    // Where an argument fails the function has not been called.
    var isInside = false
    do throws(Failure) {
      // The slots are `.unset`: there is nothing to release in them.
      if count > 0 { slots.initialize(to: try first.eval(frame)) }
      if count > 1 { (slots + 1).initialize(to: try second.eval(frame)) }
      if count > 2 {
        for index in 2..<count { (slots + index).initialize(to: try arguments[index].eval(frame)) }
      }
      noteUserCall()
      isInside = true
      let result = try code.run(slots, interpreter)
      interpreter.pop(slots, code.slotCount)
      return result
    } catch {
      if isInside { leave(code, slots, error) } else { interpreter.pop(slots, code.slotCount) }
      throw error
    }
  }

  /// Notes the call in an error that it ended in, and takes its frame away.
  @inline(never)
  private func leave(_ code: FunctionTemplate.Code, _ slots: Frame, _ error: Failure) {
    if isUserCode, error.diagnostic.site?.file.isLibrary == true {
      let given = arguments.indices.map { (slots[$0], arguments[$0].site) }
      error.leaveLibrary(call: code.name, at: callee.site, arguments: interpreter.labels(given))
    } else {
      error.add(call: code.name, at: site)
    }
    interpreter.pop(slots, code.slotCount)
  }
}

extension Unmanaged {
  /// Lends the object to `body` without counting a reference.
  ///
  /// - Requires: something else keeps it until `body` is done.
  @inline(__always)
  fileprivate func withGuaranteed<Result>(
    _ body: (Instance) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // The standard library's version has no typed errors.
    try _withUnsafeGuaranteedRef { (instance) -> Swift.Result<Result, Failure> in
      do throws(Failure) { return .success(try body(instance)) } catch { return .failure(error) }
    }.get()
  }
}

/// `base.name(…)`: a method of a model, or a call of what the member holds.
final class MethodCallNode: Node {
  let base: Node
  let name: Name
  let arguments: [Node]
  let labels: [String?]
  let interpreter: Interpreter

  init(
    _ base: Node, _ name: Name, _ arguments: [Node], labels: [String?], _ interpreter: Interpreter,
    _ site: Site
  ) {
    self.base = base
    self.name = name
    self.arguments = arguments
    self.labels = labels
    self.interpreter = interpreter
    super.init(site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let owner = try base.eval(frame)
    var items: [Arguments.Argument] = []
    items.reserveCapacity(arguments.count)
    for (index, argument) in arguments.enumerated() {
      items.append(
        .init(label: labels[index], value: try argument.eval(frame), site: argument.site))
    }
    let call = Arguments(items, at: site, callee: name.site)
    if let trace = interpreter.trace, !site.file.isLibrary { trace.userCall = site }
    if case .model(let model) = owner, let method = model.definition.methods[name.text] {
      return try interpreter.call(method, of: model, call)
    }
    let member = try interpreter.member(name, of: owner, at: base.site.joined(with: name.site))
    return try interpreter.call(member, call)
  }
}

/// A method of the model that the running method belongs to, called by its bare name.
final class OwnMethodNode: Node {
  let selfSlot: Int
  let method: String
  init(selfSlot: Int, method: String, _ site: Site) {
    self.selfSlot = selfSlot
    self.method = method
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    guard case .model(let model) = frame[selfSlot], let template = model.definition.methods[method]
    else { throw unset(method, at: site) }
    return .callable(FunctionValue(template, captured: [], owner: model))
  }
}

/// A field of the model (or optimizer) that the running method belongs to.
final class OwnFieldNode: Node {
  let selfSlot: Int
  let field: Int
  let name: String
  let interpreter: Interpreter
  init(selfSlot: Int, field: Int, name: String, _ interpreter: Interpreter, _ site: Site) {
    self.selfSlot = selfSlot
    self.field = field
    self.name = name
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    switch frame[selfSlot] {
    case .model(let model): return try model.read(field: field, interpreter, at: site)
    default: throw unset(name, at: site)
    }
  }
}

final class OwnFieldTarget: AssignTarget {
  let selfSlot: Int
  let name: String
  let interpreter: Interpreter
  init(selfSlot: Int, name: String, _ interpreter: Interpreter, _ site: Site) {
    self.selfSlot = selfSlot
    self.name = name
    self.interpreter = interpreter
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    guard case .model(let model) = frame[selfSlot] else { throw unset(name, at: site) }
    try model.assign(name, value, interpreter, at: site)
  }
}
