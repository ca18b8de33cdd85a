import Support
import Syntax
import Tensors

// The left side of `=`. Its bases and indices are evaluated once, into a place; then the place is read, written, or
// changed where it stands. A list that nobody else holds is changed without a copy: while that happens the variable
// that holds it is empty, so that the list has one reference.

/// Where a value goes.
indirect enum Place {
  case variable(AssignTarget, read: Node)
  /// What an expression gave. Objects can be changed; other values belong to nobody.
  case value(Value)
  case member(Place, Name, Site)
  case element(Place, [IndexValue], Site, base: Site)
}

/// A place as the program writes it.
class PlaceNode {
  func evaluate(_ frame: Frame) throws(Failure) -> Place { .value(.none) }

  /// The same, but an object stands for itself: what holds it does not change when it does.
  final func evaluateBase(_ frame: Frame, _ interpreter: Interpreter) throws(Failure) -> Place {
    let place = try evaluate(frame)
    if case .value = place { return place }
    let value = try interpreter.read(place, frame)
    switch value {
    case .model, .optimizer, .object, .callable: return .value(value)
    default: return place
    }
  }
}

final class VariablePlace: PlaceNode {
  let target: AssignTarget
  let read: Node
  init(_ target: AssignTarget, read: Node) {
    self.target = target
    self.read = read
  }
  override func evaluate(_ frame: Frame) throws(Failure) -> Place { .variable(target, read: read) }
}

final class ExpressionPlace: PlaceNode {
  let node: Node
  init(_ node: Node) { self.node = node }
  override func evaluate(_ frame: Frame) throws(Failure) -> Place { .value(try node.eval(frame)) }
}

final class MemberPlace: PlaceNode {
  let base: PlaceNode
  let name: Name
  let interpreter: Interpreter
  let site: Site
  init(_ base: PlaceNode, _ name: Name, _ interpreter: Interpreter, _ site: Site) {
    self.base = base
    self.name = name
    self.interpreter = interpreter
    self.site = site
  }
  override func evaluate(_ frame: Frame) throws(Failure) -> Place {
    .member(try base.evaluateBase(frame, interpreter), name, site)
  }
}

final class ElementPlace: PlaceNode {
  let base: PlaceNode
  let items: [IndexNode.Item]
  let interpreter: Interpreter
  let site: Site
  let baseSite: Site
  init(_ base: PlaceNode, _ items: [IndexNode.Item], _ interpreter: Interpreter, _ site: Site, base baseSite: Site) {
    self.base = base
    self.items = items
    self.interpreter = interpreter
    self.site = site
    self.baseSite = baseSite
  }
  override func evaluate(_ frame: Frame) throws(Failure) -> Place {
    let place = try base.evaluateBase(frame, interpreter)
    var indices: [IndexValue] = []
    for item in items { indices.append(try item.evaluate(frame)) }
    return .element(place, indices, site, base: baseSite)
  }
}

/// `base.name = value`, `base[…] = value`: objects change in place, records, lists and tensors where they are kept.
final class PlaceTarget: AssignTarget {
  let place: PlaceNode
  let interpreter: Interpreter
  init(_ place: PlaceNode, _ interpreter: Interpreter, _ site: Site) {
    self.place = place
    self.interpreter = interpreter
    super.init(site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    try interpreter.write(place.evaluate(frame), value, frame)
  }
}

/// `place += value`: the place is evaluated once.
final class UpdateNode: Node {
  let place: PlaceNode
  /// Where the old value lies while the new one is computed.
  let slot: Int
  let value: Node
  let interpreter: Interpreter
  init(_ place: PlaceNode, slot: Int, _ value: Node, _ interpreter: Interpreter, _ site: Site) {
    self.place = place
    self.slot = slot
    self.value = value
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    let place = try place.evaluate(frame)
    frame[slot] = try interpreter.read(place, frame)
    let new = try value.eval(frame)
    frame[slot] = .unset
    try interpreter.write(place, new, frame)
    return .normal
  }
}

/// `xs = append(xs, value)` with a variable that only its own function can assign: the list grows where it is.
final class AppendNode: Node {
  let target: AssignTarget
  let list: Node
  let value: Node
  let interpreter: Interpreter
  /// The same by a call of the built-in, for what is no list.
  let call: Node
  init(_ target: AssignTarget, _ list: Node, _ value: Node, call: Node, _ interpreter: Interpreter, _ site: Site) {
    self.target = target
    self.list = list
    self.value = value
    self.call = call
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    guard let count = try elementCount(frame) else {
      try target.bind(call.eval(frame), frame)
      return .normal
    }
    let item = try value.eval(frame)
    try requireDepth(item.depth + 1, at: call.site)
    if count & (count - 1) == 0 { try interpreter.checkFits(elements: 2 * count + 1, at: call.site) }
    try interpreter.modify(.variable(target, read: list), frame) { owner throws(Failure) in
      guard var list = owner.takeList() else { return }
      if !isKnownUniquelyReferenced(&list) { list = ListValue(list.items, site: self.call.site) }
      list.append(item)
      owner = .list(list)
    }
    return .normal
  }

  /// Apart from its use, so that the list is not held while it grows.
  @inline(never)
  private func elementCount(_ frame: Frame) throws(Failure) -> Int? {
    if case .list(let list) = try list.eval(frame) { list.items.count } else { nil }
  }
}

extension Value {
  /// The list, which nobody holds on account of this value any more; nil where it is none.
  ///
  /// Not inlined, and so without copies that live longer than the call.
  @inline(never)
  mutating func takeList() -> ListValue? {
    guard case .list(let list) = self else { return nil }
    self = .none
    return list
  }

  /// The same for a record.
  @inline(never)
  mutating func takeRecord() -> RecordValue? {
    guard case .record(let record) = self else { return nil }
    self = .none
    return record
  }
}

extension Interpreter {
  func read(_ place: Place, _ frame: Frame) throws(Failure) -> Value {
    switch place {
    case .variable(_, let node): try node.eval(frame)
    case .value(let value): value
    case .member(let base, let name, let site): try member(name, of: read(base, frame), at: site)
    case .element(let base, let items, let site, let baseSite):
      try index(read(base, frame), items, at: site, base: baseSite)
    }
  }

  func write(_ place: Place, _ value: Value, _ frame: Frame) throws(Failure) {
    switch place {
    case .variable(let target, _): try target.bind(value, frame)
    case .value: break
    case .member(.value(.model(let model)), let name, let site): try model.assign(name.text, value, self, at: site)
    case .member(.value(.optimizer(let optimizer)), let name, _):
      try optimizer.assign(name.text, value, at: name.site)
    case .member(.value(let owner), let name, let site): throw notAssignable(owner, name, at: site)
    case .member(let base, let name, let site):
      try modify(base, frame) { owner throws(Failure) in
        try requireDepth(value.depth + 1, at: site)
        guard var record = owner.takeRecord() else { throw self.notAssignable(owner, name, at: site) }
        if !isKnownUniquelyReferenced(&record) { record = RecordValue(names: record.names, items: record.items) }
        record.set(name.text, to: value)
        owner = .record(record)
      }
    case .element(.value(let owner), let items, let site, let baseSite):
      var copy = owner
      try replace(items, in: &copy, with: value, at: site, base: baseSite)
      throw Failure("bad-assignment", "cannot assign to an element of this expression", at: site)
    case .element(let base, let items, let site, let baseSite):
      try modify(base, frame) { owner throws(Failure) in
        try self.replace(items, in: &owner, with: value, at: site, base: baseSite)
      }
    }
  }

  private func notAssignable(_ owner: Value, _ name: Name, at site: Site) -> Failure {
    Failure("bad-assignment", "cannot assign `.\(name.text)` of \(owner.described)", at: site)
  }

  /// Changes the value in a place. Where `change` fails it leaves the value as it was.
  func modify(
    _ place: Place, _ frame: Frame, _ change: (inout Value) throws(Failure) -> Void
  ) throws(Failure) {
    switch place {
    case .variable(let target, let node):
      guard var value = target.take(frame) else {
        var value = try node.eval(frame)
        try change(&value)
        return try target.bind(value, frame)
      }
      do throws(Failure) {
        try change(&value)
      } catch {
        try target.bind(value, frame)
        throw error
      }
      try target.bind(value, frame)
    case .member(let base, let name, _):
      guard !base.isValue else { return try modifyCopy(place, frame, change) }
      try modify(base, frame) { owner throws(Failure) in
        guard let position = owner.position(of: name.text), var record = owner.takeRecord() else {
          // Whatever is wrong with it, reading it says so.
          _ = try self.member(name, of: owner, at: name.site)
          throw self.notAssignable(owner, name, at: name.site)
        }
        if !isKnownUniquelyReferenced(&record) { record = RecordValue(names: record.names, items: record.items) }
        var item = record.items[position]
        record.replace(position, with: .none)
        defer {
          record.replace(position, with: item)
          owner = .record(record)
        }
        try change(&item)
        try requireDepth(item.depth + 1, at: name.site)
      }
    case .element(let base, let items, let site, let baseSite):
      guard !base.isValue else { return try modifyCopy(place, frame, change) }
      try modify(base, frame) { owner throws(Failure) in
        guard items.count == 1, case .at(.int(let index), _) = items[0],
          let position = owner.position(of: index), var list = owner.takeList()
        else {
          var item = try self.index(owner, items, at: site, base: baseSite)
          try change(&item)
          return try self.replace(items, in: &owner, with: item, at: site, base: baseSite)
        }
        if !isKnownUniquelyReferenced(&list) { list = ListValue(list.items, site: list.site) }
        var item = list.items[position]
        list.replace(position, with: .none)
        defer {
          list.replace(position, with: item)
          owner = .list(list)
        }
        try change(&item)
        try requireDepth(item.depth + 1, at: site)
      }
    case .value: break
    }
  }

  /// The same by reading and writing, for members of objects and elements of what an expression gave.
  private func modifyCopy(
    _ place: Place, _ frame: Frame, _ change: (inout Value) throws(Failure) -> Void
  ) throws(Failure) {
    var value = try read(place, frame)
    try change(&value)
    try write(place, value, frame)
  }
}

extension Value {
  /// Where a record has a field; nil where it has none.
  @inline(never)
  fileprivate func position(of name: String) -> Int? {
    if case .record(let record) = self { record.names.firstIndex(of: name) } else { nil }
  }

  /// Where a list has the element of an index; nil where it has none.
  @inline(never)
  fileprivate func position(of index: Int) -> Int? {
    guard case .list(let list) = self else { return nil }
    let count = list.items.count
    guard index >= -count, index < count else { return nil }
    return index < 0 ? index + count : index
  }
}

extension Place {
  fileprivate var isValue: Bool { if case .value = self { true } else { false } }
}
