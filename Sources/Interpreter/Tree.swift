import CStack
import Support

// Lists, records and models hold values that hold values. How deep that goes and how much it is in all is known here,
// so that whoever walks a tree may recurse: none is deeper than the limit, and what is shared is not gone through
// more often than it can be.

/// What is known of a list or record as a whole, gathered at first need.
struct TreeSummary {
  /// Leaves, shared parts counted wherever they stand; it stops at `.max`.
  var leafCount = 0
  /// Whether it can be seen as a tensor: numbers, truth values, tensors, and lists of them.
  var isTensorLike = true
  /// Whether it holds whole numbers only, and lists of them.
  var isWhole = true
  /// Whether models are in it, whose fields may change.
  var holdsModels = false

  init(of items: [Value]) {
    for item in items {
      var count = 1
      switch item {
      case .int: break
      case .double, .bool, .tensor: isWhole = false
      case .list(let list):
        let inner = list.summary
        count = inner.leafCount
        isTensorLike = isTensorLike && inner.isTensorLike
        isWhole = isWhole && inner.isWhole
        holdsModels = holdsModels || inner.holdsModels
      case .record(let record):
        (isTensorLike, isWhole) = (false, false)
        count = record.summary.leafCount
        holdsModels = holdsModels || record.summary.holdsModels
      case .model:
        (isTensorLike, isWhole, holdsModels) = (false, false, true)
      default: (isTensorLike, isWhole) = (false, false)
      }
      let (sum, overflow) = leafCount.addingReportingOverflow(count)
      leafCount = overflow ? .max : sum
    }
  }
}

extension Value {
  /// Values nested deeper than this are refused where they would be made.
  static let deepestNesting = 10_000
  /// Trees with more leaves than this, shared parts counted wherever they stand, are not gone through.
  static let largestTree = 1 << 24

  /// How many values hold each other, this one the outermost; 0 for what holds none.
  var depth: Int {
    switch self {
    case .list(let list): list.depth
    case .record(let record): record.depth
    case .model(let model): model.depth
    case .optimizer(let optimizer): optimizer.depth
    case .callable(let callable): callable.depth
    default: 0
    }
  }

  /// Whether it is a model, or a list or record with models in it.
  var mayHoldModels: Bool {
    switch self {
    case .model: true
    case .list(let list): list.summary.holdsModels
    case .record(let record): record.summary.holdsModels
    default: false
    }
  }

  /// One more than the deepest of `values`.
  static func depth(holding values: [Value]) -> Int {
    var depth = 0
    for value in values {
      switch value {
      case .int, .double, .tensor: break
      default: depth = max(depth, value.depth)
      }
    }
    return depth + 1
  }
}

/// Refuses a value that holds values too deep for anyone to walk.
@inline(__always)
func requireDepth(_ depth: Int, at site: Site) throws(Failure) {
  if depth > Value.deepestNesting { throw nestingFailure(at: site) }
}

func nestingFailure(at site: Site) -> Failure {
  Failure(
    "nesting-too-deep", "values are nested more than \(grouped(Value.deepestNesting)) deep", at: site,
    help: "use one list, and `append` to it")
}

/// Refuses a tree that nobody would see the end of, before it is gone through.
func requireWalkable(_ value: Value, at site: Site) throws(Failure) {
  var seen: [ObjectIdentifier: Int] = [:]
  func count(_ value: Value, _ depth: Int) throws(Failure) -> Int {
    try requireDepth(depth, at: site)
    let (id, items): (ObjectIdentifier, [Value])
    switch value {
    case .list(let list):
      if !list.summary.holdsModels { return list.summary.leafCount }
      (id, items) = (ObjectIdentifier(list), list.items)
    case .record(let record):
      if !record.summary.holdsModels { return record.summary.leafCount }
      (id, items) = (ObjectIdentifier(record), record.items)
    case .model(let model): (id, items) = (ObjectIdentifier(model), model.fields)
    default: return 1
    }
    if let known = seen[id] { return known }
    var total = 0
    for item in items {
      let (sum, overflow) = total.addingReportingOverflow(try count(item, depth + 1))
      total = overflow ? .max : sum
    }
    seen[id] = total
    return total
  }
  let leaves = try count(value, 0)
  if leaves > Value.largestTree {
    throw Failure(
      "out-of-memory", "a tree of \(leaves == .max ? "countless" : grouped(leaves)) leaves is too large to go through",
      at: site, notes: ["parts that several lists share count wherever they stand"])
  }
}

/// Maps the leaves of lists and records. A part that stands in several places is mapped once and stays shared.
struct TreeMapper {
  private let leaf: (Value) -> Value
  private var seen: [ObjectIdentifier: Value] = [:]

  init(_ leaf: @escaping (Value) -> Value) { self.leaf = leaf }

  mutating func map(_ value: Value) -> Value {
    switch value {
    case .list(let list):
      if let known = seen[ObjectIdentifier(list)] { return known }
      let new = Value.list(ListValue(list.items.map { map($0) }, site: list.site))
      seen[ObjectIdentifier(list)] = new
      return new
    case .record(let record):
      if let known = seen[ObjectIdentifier(record)] { return known }
      let new = Value.record(RecordValue(names: record.names, items: record.items.map { map($0) }))
      seen[ObjectIdentifier(record)] = new
      return new
    default: return leaf(value)
    }
  }
}

/// Calls `body` with the leaves of lists and records, those of shared parts once.
func forEachLeaf(of value: Value, _ body: (Value) throws(Failure) -> Void) throws(Failure) {
  var seen = Set<ObjectIdentifier>()
  func walk(_ value: Value) throws(Failure) {
    switch value {
    case .list(let list):
      if seen.insert(ObjectIdentifier(list)).inserted { for item in list.items { try walk(item) } }
    case .record(let record):
      if seen.insert(ObjectIdentifier(record)).inserted { for item in record.items { try walk(item) } }
    default: try body(value)
    }
  }
  try walk(value)
}

extension ModelValue {
  /// The model and the models in its fields, each once; without recursion, since fields are assigned in any order.
  func forEachModel(_ body: (ModelValue) -> Void) {
    var seen = Set<ObjectIdentifier>()
    var open: [Value] = [.model(self)]
    while let value = open.popLast() {
      switch value {
      case .model(let model):
        guard seen.insert(ObjectIdentifier(model)).inserted else { continue }
        body(model)
        open += model.fields
      case .list(let list):
        if list.summary.holdsModels, seen.insert(ObjectIdentifier(list)).inserted { open += list.items }
      case .record(let record):
        if record.summary.holdsModels, seen.insert(ObjectIdentifier(record)).inserted { open += record.items }
      default: break
      }
    }
  }

  /// Whether the model is in `value`, or in the parts of a model there.
  func isInside(_ value: Value) -> Bool {
    guard value.mayHoldModels else { return false }
    var found = false
    try? forEachLeaf(of: value) { leaf in
      if case .model(let model) = leaf { model.forEachModel { if $0 === self { found = true } } }
    }
    return found
  }
}

// MARK: Letting go

/// Lets go of a value that may be the head of a long chain of closures: where the stack has come far since the first
/// of them, the rest waits until that one is done.
func release(_ value: inout Value) {
  let state = gradus_release_state()!
  let position = gradus_stack_position()
  if state.pointee.outermost == 0 {
    state.pointee.outermost = position
    value = .none
    while let link = state.pointee.pending {
      let waiting = Unmanaged<Waiting>.fromOpaque(link).takeRetainedValue()
      state.pointee.pending = waiting.next
      waiting.value = .none
    }
    state.pointee.outermost = 0
  } else if state.pointee.outermost &- position > 1 << 18 {
    let waiting = Waiting(value, next: state.pointee.pending)
    state.pointee.pending = Unmanaged.passRetained(waiting).toOpaque()
    value = .none
  } else {
    value = .none
  }
}

/// A value that waits to be let go.
private final class Waiting {
  var value: Value
  let next: UnsafeMutableRawPointer?
  init(_ value: Value, next: UnsafeMutableRawPointer?) {
    self.value = value
    self.next = next
  }
}

/// The tree of the function's results; trees must have one form.
func mapTree(_ function: Callable, _ trees: [Value], _ call: BuiltinCall) throws(Failure) -> Value {
  try call.interpreter.checkInterrupt(at: call.site)
  func different() -> Failure {
    Failure("tree-mismatch", "`map`: the trees differ in form", at: call.site)
  }
  switch trees[0] {
  case .list(let list):
    var items: [Value] = []
    for index in list.items.indices {
      var parts: [Value] = []
      for tree in trees {
        guard case .list(let other) = tree, other.items.count == list.items.count else { throw different() }
        parts.append(other.items[index])
      }
      items.append(try mapTree(function, parts, call))
    }
    return .list(ListValue(items, site: list.site))
  case .record(let record):
    var items: [Value] = []
    for index in record.items.indices {
      var parts: [Value] = []
      for tree in trees {
        guard case .record(let other) = tree, other.names == record.names else { throw different() }
        parts.append(other.items[index])
      }
      items.append(try mapTree(function, parts, call))
    }
    return .record(RecordValue(names: record.names, items: items))
  case .model(let model):
    // A model's params as a record of its own paths.
    var trees = trees
    trees[0] = parameterTree(of: .model(model)) ?? .record([:])
    for index in trees.indices.dropFirst() {
      if case .model = trees[index] { trees[index] = parameterTree(of: trees[index]) ?? .record([:]) }
    }
    return try mapTree(function, trees, call)
  case .range(let range):
    try call.interpreter.checkFits(elements: range.count, at: call.site)
    return try mapTree(
      function, [.list((range.start..<range.end).map { Value.int($0) })] + trees.dropFirst(), call)
  // A place without a value: a layer without params among those that have some.
  case .none where trees.allSatisfy({ if case .none = $0 { true } else { false } }): return .none
  default: return try call.interpreter.call(function, trees, at: call.site)
  }
}

/// A model's params (not its buffers) as a record shaped like the model; nil where it has none.
func parameterTree(of value: Value) -> Value? {
  switch value {
  case .object(let object):
    guard let parameter = object as? ModelParameter, !parameter.isBuffer else { return nil }
    return .tensor(TensorValue(parameter.tensor, made: parameter.made))
  case .model(let model):
    var names: [String?] = []
    var items: [Value] = []
    for (index, field) in model.definition.fields.enumerated() {
      if let tree = parameterTree(of: model.fields[index]) {
        names.append(field.name)
        items.append(tree)
      }
    }
    return names.isEmpty ? nil : .record(RecordValue(names: names, items: items))
  case .list(let list):
    let items = list.items.map { parameterTree(of: $0) }
    if items.allSatisfy({ $0 == nil }) { return nil }
    return .list(items.map { $0 ?? .none })
  case .record(let record):
    let items = record.items.map { parameterTree(of: $0) }
    if items.allSatisfy({ $0 == nil }) { return nil }
    return .record(RecordValue(names: record.names, items: items.map { $0 ?? .none }))
  default: return nil
  }
}
