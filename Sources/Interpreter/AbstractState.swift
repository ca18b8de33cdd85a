import Support
import Tensors

// What branches change, and what is known where they meet again.

/// All that a branch or a loop's round may change: the variables of the function under way, those of the user's files,
/// and the fields of models.
struct AbstractState {
  fileprivate let frame: Frame
  fileprivate var slots: [Value]
  fileprivate var cells: [(cell: Cell, value: Value)]
  fileprivate var globals: [Value]
  fileprivate var models: [(model: ModelValue, fields: [Value])]
  fileprivate var parameters: [(parameter: ModelParameter, tensor: Tensor)]
}

extension AbstractRun {
  /// The state now. `frame` is that of the function under way.
  func state(_ frame: Frame) -> AbstractState {
    let interpreter = interpreter
    let slots = Array(UnsafeBufferPointer(start: frame, count: interpreter.top - frame))
    var cells: [(cell: Cell, value: Value)] = []
    for case .cell(let cell) in slots { cells.append((cell, cell.value)) }
    let globals = Array(
      UnsafeBufferPointer(start: interpreter.globals + firstGlobal, count: interpreter.globalNames.count - firstGlobal))
    var parameters: [(parameter: ModelParameter, tensor: Tensor)] = []
    for model in models {
      for case .object(let object) in model.fields {
        if let parameter = object as? ModelParameter { parameters.append((parameter, parameter.tensor)) }
      }
    }
    return AbstractState(
      frame: frame, slots: slots, cells: cells, globals: globals, models: models.map { ($0, $0.fields) },
      parameters: parameters)
  }

  /// Goes back, or on, to a state of the same function.
  func restore(_ state: AbstractState) {
    let interpreter = interpreter
    for (index, value) in state.slots.enumerated() { state.frame[index] = value }
    for (cell, value) in state.cells { cell.value = value }
    for (index, value) in state.globals.enumerated() { interpreter.globals[firstGlobal + index] = value }
    for (model, fields) in state.models { model.fields = fields }
    for (parameter, tensor) in state.parameters { parameter.tensor = tensor }
  }

  /// What is known where two states meet.
  func joined(_ a: AbstractState, _ b: AbstractState) -> AbstractState {
    var result = a
    for index in result.slots.indices { result.slots[index] = joined(a.slots[index], b.slots[index]) }
    let cells = Dictionary(b.cells.map { (ObjectIdentifier($0.cell), $0.value) }, uniquingKeysWith: { first, _ in first })
    for (index, entry) in a.cells.enumerated() {
      if let other = cells[ObjectIdentifier(entry.cell)] { result.cells[index].value = joined(entry.value, other) }
    }
    let known = Set(a.cells.map { ObjectIdentifier($0.cell) })
    result.cells += b.cells.filter { !known.contains(ObjectIdentifier($0.cell)) }
    for index in result.globals.indices { result.globals[index] = joined(a.globals[index], b.globals[index]) }
    let models = Dictionary(b.models.map { (ObjectIdentifier($0.model), $0.fields) }, uniquingKeysWith: { first, _ in first })
    for (index, entry) in a.models.enumerated() {
      guard let other = models[ObjectIdentifier(entry.model)] else { continue }
      for field in entry.fields.indices { result.models[index].fields[field] = joined(entry.fields[field], other[field]) }
    }
    let parameters = Dictionary(
      b.parameters.map { (ObjectIdentifier($0.parameter), $0.tensor.type) }, uniquingKeysWith: { first, _ in first })
    for entry in a.parameters {
      // Nothing can be said of a param of two shapes, nor of what uses it.
      if let other = parameters[ObjectIdentifier(entry.parameter)], other != entry.tensor.type { loseCertainty() }
    }
    return result
  }

  /// Whether nothing is known in one state that is not in the other.
  func areSame(_ a: AbstractState, _ b: AbstractState) -> Bool {
    func same(_ a: [Value], _ b: [Value]) -> Bool { zip(a, b).allSatisfy { isSame($0, $1) } }
    return same(a.slots, b.slots) && same(a.globals, b.globals)
      && zip(a.cells, b.cells).allSatisfy { isSame($0.value, $1.value) }
      && zip(a.models, b.models).allSatisfy { same($0.fields, $1.fields) }
  }

  /// A state with unknown values wherever two differ.
  func widened(_ a: AbstractState, _ b: AbstractState) -> AbstractState {
    var result = a
    func widen(_ values: inout [Value], _ others: [Value]) {
      for index in values.indices where !isSame(values[index], others[index]) { values[index] = UnknownValue.value }
    }
    widen(&result.slots, b.slots)
    widen(&result.globals, b.globals)
    for index in result.cells.indices where index < b.cells.count && !isSame(a.cells[index].value, b.cells[index].value) {
      result.cells[index].value = UnknownValue.value
    }
    for index in result.models.indices where index < b.models.count { widen(&result.models[index].fields, b.models[index].fields) }
    return result
  }

  // MARK: Values

  /// What is known of something that is the one or the other.
  func joined(_ a: Value, _ b: Value) -> Value {
    if isSame(a, b) { return a }
    if isLarge(a) || isLarge(b) { return UnknownValue.value }
    if let first = a.numberDType, let second = b.numberDType {
      return first == second ? .tensor(TensorValue(abstract: TensorType(first, .scalar), isNumber: true, made: nil)) : UnknownValue.value
    }
    switch (a, b) {
    case (.tensor(let first), .tensor(let second)):
      guard first.type == second.type, first.isNumber == second.isNumber, first.isWholeList == second.isWholeList else { break }
      return .tensor(TensorValue(abstract: first.type, isNumber: first.isNumber, isWholeList: first.isWholeList, made: first.made))
    case (.string, .string): return .string(StringValue(pieces: [.unknown]))
    case (.list(let first), .list(let second)):
      guard first.items.count == second.items.count, let items = joined(first.items, second.items) else { break }
      return .list(ListValue(items, site: first.site))
    case (.record(let first), .record(let second)):
      guard first.names == second.names, let items = joined(first.items, second.items) else { break }
      return .record(RecordValue(names: first.names, items: items))
    default: break
    }
    return UnknownValue.value
  }

  private func joined(_ a: [Value], _ b: [Value]) -> [Value]? {
    let items = zip(a, b).map { joined($0, $1) }
    // Unknown values stand in variables only: who takes a list apart need not look out for them.
    return items.contains(where: isUnknown(whole:)) ? nil : items
  }

  /// Whether two values are known to be the same, or the same is known of both.
  func isSame(_ first: Value, _ second: Value) -> Bool {
    switch (first, second) {
    case (.none, .none), (.unset, .unset): return true
    case (.int(let a), .int(let b)): return a == b
    case (.double(let a), .double(let b)): return a.bitPattern == b.bitPattern
    case (.bool(let a), .bool(let b)): return a == b
    case (.dtype(let a), .dtype(let b)): return a == b
    case (.tensor(let a), .tensor(let b)):
      if a === b { return true }
      return a.isAbstract && b.isAbstract && a.type == b.type && a.isNumber == b.isNumber && a.isWholeList == b.isWholeList
    case (.string(let a), .string(let b)):
      return a === b || a.known == b.known && (a.known != nil || a.isUnknown && b.isUnknown)
    case (.list(let a), .list(let b)):
      return a === b || a.items.count == b.items.count && !isLarge(first) && !isLarge(second) && zip(a.items, b.items).allSatisfy { isSame($0, $1) }
    case (.record(let a), .record(let b)):
      return a === b || a.names == b.names && !isLarge(first) && !isLarge(second) && zip(a.items, b.items).allSatisfy { isSame($0, $1) }
    case (.range(let a), .range(let b)): return a.start == b.start && a.end == b.end
    case (.cell(let a), .cell(let b)): return a === b
    case (.callable(let one), .callable(let other)):
      if one === other { return true }
      guard let a = one as? FunctionValue, let b = other as? FunctionValue else { return false }
      return a.template === b.template && a.owner === b.owner && a.ownGradient === b.ownGradient
        && a.captured.elementsEqual(b.captured, by: ===)
    default:
      guard let a = first.identity, let b = second.identity else { return false }
      return a === b
    }
  }
}
