import Support
import Syntax

/// What a name stands for where it is used.
enum Resolution {
  case local(Int)
  /// A variable in a cell, shared with closures.
  case cell(Int)
  /// A field of the enclosing model.
  case field(Int)
  case method
  case global(Int)
}

/// The members of a model while its functions are compiled.
final class ModelScope {
  var fields: [String: Int] = [:]
  /// Fields that assignment inside the model writes: params and buffers.
  var writable: Set<String> = []
  var methods: Set<String> = []
}

/// The names of one function, or of a file's top level, while it is compiled.
final class FunctionScope {
  let parent: FunctionScope?
  let module: Module
  let model: ModelScope?
  /// Whether assigned names are globals.
  let isTopLevel: Bool
  var selfSlot: Int?
  private(set) var slotCount = 0
  private var slots: [String: Int] = [:]
  private var boxed: Set<String> = []
  private var outers: [String: Node] = [:]
  /// Comprehension variables hide outer names while their comprehension is compiled.
  private var hidden: [(name: String, slot: Int, isBoxed: Bool)] = []
  /// Slots of the parent whose cells this function takes along.
  private(set) var captures: [Int] = []
  /// Names that inner functions mention.
  var sharedNames: Set<String> = []

  init(parent: FunctionScope?, module: Module, model: ModelScope?, isTopLevel: Bool) {
    self.parent = parent
    self.module = module
    self.model = model
    self.isTopLevel = isTopLevel
  }

  func makeSlot() -> Int {
    defer { slotCount += 1 }
    return slotCount
  }

  @discardableResult
  func declare(_ name: String) -> Int {
    if let slot = slots[name] { return slot }
    let slot = makeSlot()
    slots[name] = slot
    if sharedNames.contains(name) { boxed.insert(name) }
    return slot
  }

  /// Declares a name that stands for something outside as long as the variable has no value.
  func declare(_ name: String, hiding outer: Node) -> Int {
    outers[name] = outer
    return declare(name)
  }

  /// What the name stands for while its variable has no value.
  func outer(_ name: String) -> Node? { hidden.contains { $0.name == name } ? nil : outers[name] }

  var boxedSlots: Set<Int> { Set(boxed.compactMap { slots[$0] }) }

  func isBoxed(_ name: String) -> Bool { boxed.contains(name) }

  /// Takes along the cells of outer variables that the body mentions.
  func capture(_ names: Set<String>) {
    for name in names.sorted() where slots[name] == nil {
      guard let parent, let outer = parent.cellSlot(of: name) else { continue }
      let slot = makeSlot()
      slots[name] = slot
      boxed.insert(name)
      captures.append(outer)
    }
  }

  /// The slot of a shared variable of this function, for an inner function to capture.
  private func cellSlot(of name: String) -> Int? {
    for entry in hidden.reversed() where entry.name == name { return entry.isBoxed ? entry.slot : nil }
    if let slot = slots[name], boxed.contains(name) { return slot }
    return nil
  }

  func hide(_ name: String) -> (slot: Int, isBoxed: Bool) {
    let slot = makeSlot()
    let isBoxed = sharedNames.contains(name)
    hidden.append((name, slot, isBoxed))
    return (slot, isBoxed)
  }

  func unhide(_ count: Int) { hidden.removeLast(count) }

  func resolve(_ name: String) -> Resolution? {
    for entry in hidden.reversed() where entry.name == name {
      return entry.isBoxed ? .cell(entry.slot) : .local(entry.slot)
    }
    if let slot = slots[name] { return boxed.contains(name) ? .cell(slot) : .local(slot) }
    if let model {
      if let field = model.fields[name] { return .field(field) }
      if model.methods.contains(name) { return .method }
    }
    if let slot = module.slot(of: name) { return .global(slot) }
    return nil
  }

  /// Whether `name` is a parameter or variable of this or an enclosing function, or a field of its model.
  func isBoundOutside(_ name: String) -> Bool {
    if model?.fields[name] != nil { return true }
    return parent?.knows(name) ?? false
  }

  private func knows(_ name: String) -> Bool {
    slots[name] != nil || hidden.contains { $0.name == name } || (parent?.knows(name) ?? false)
  }

  /// Every name in reach, for suggestions.
  var visibleNames: [String] {
    var names = Array(slots.keys) + hidden.map(\.name) + module.visibleNames
    if let model { names += Array(model.fields.keys) + Array(model.methods) }
    return names.sorted()
  }
}
