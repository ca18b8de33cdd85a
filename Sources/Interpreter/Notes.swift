import Support
import Tensors

// What is said of values without running anything: for completion, hovers and lists of names.

extension Interpreter {
  /// What a value is, in the words that stand beside its name in a list: `f32[2, 3]`, `int 5`, `list of 3`.
  package func note(on value: Value) -> String {
    switch value {
    case .int, .double, .bool, .dtype: return "\(value.typeDescription) \(display(value))"
    case .string(let string):
      guard let text = string.known, text.utf8.count <= 40, !text.contains("\n") else { return "string" }
      return "string \(display(value))"
    case .list(let list): return "list of \(list.items.count)"
    case .record(let record):
      let names = record.names.compactMap { $0 }
      if names.isEmpty { return "tuple of \(record.items.count)" }
      return "record (" + names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", …)" : ")")
    case .range: return "range \(display(value))"
    case .callable(let callable): return "\(callable.kind) \(callable.signature)"
    case .model(let model):
      guard (try? requireWalkable(value, at: model.definition.place)) != nil else { return model.definition.name }
      let count = parameters(of: value).filter { !$0.parameter.isBuffer }
        .reduce(0) { $0 + $1.parameter.tensor.elementCount }
      return "\(model.definition.name), \(grouped(count)) parameter" + (count == 1 ? "" : "s")
    case .optimizer(let optimizer):
      let slots = optimizer.slots.values.filter { $0.parameter != nil }
      let states = Set(slots.flatMap(\.stateNames)).sorted().joined(separator: ", ")
      return "optimizer \(optimizer.definition.name)" + (states.isEmpty ? "" : ", \(states) of \(plural(slots.count, "param"))")
    case .none, .tensor, .object, .cell, .unset: return value.typeDescription
    }
  }

  /// The members of a value with a note on each; nothing is computed.
  package func members(of value: Value) -> [(name: String, note: String)] {
    switch value {
    case .tensor(let tensor):
      return tensorMembers.map { name in
        switch name {
        case "shape": (name, tensor.shape.description)
        case "dtype": (name, tensor.dtype.name)
        case "rank": (name, "int \(tensor.shape.rank)")
        case "size": (name, "int \(tensor.shape.elementCount)")
        default: (name, "the last two axes swapped")
        }
      }
    case .record(let record):
      return zip(record.names, record.items).compactMap { name, item in name.map { ($0, memberNote(item)) } }
    case .model(let model):
      // A param hides the argument of its name.
      let fields = model.definition.fieldIndex.map { ($0.key, memberNote(model.fields[$0.value])) }
      let methods = model.definition.methods.map { ($0.key, $0.value.parameters.description) }
      return (fields + methods).sorted { $0.0 < $1.0 }
    default: return memberNames(of: value).map { ($0, "") }
    }
  }

  private func memberNote(_ value: Value) -> String {
    switch value {
    case .callable(let callable): callable.argumentList
    case .object(let object as ModelParameter): object.tensor.type.description
    default: note(on: value)
    }
  }

  /// The params and buffers further inside than a model's own fields, as a program writes them: `layers[0].weight`.
  package func parameterPaths(of value: Value) -> [(path: String, note: String)] {
    guard case .model(let model) = value, (try? requireWalkable(value, at: model.definition.place)) != nil else { return [] }
    return parameters(of: value).filter { $0.path.contains(".") }.map { entry in
      var path = ""
      for part in entry.path.split(separator: ".") {
        path += Int(part) != nil ? "[\(part)]" : path.isEmpty ? String(part) : "." + part
      }
      return (path, entry.parameter.tensor.type.description)
    }
  }

  /// What a call of a value runs: the function itself, or a model's `forward`.
  package func callable(_ value: Value) -> Callable? {
    switch value {
    case .callable(let callable): callable
    case .model(let model): model.definition.methods["forward"].map { FunctionValue($0, captured: [], owner: model) }
    default: nil
    }
  }

  /// Which policies `with` takes for a value; a declaration of an optimizer stands for what it makes.
  package func policySubject(of value: Value) -> Policy.Subject? {
    switch value {
    case .optimizer: .optimizer
    case .callable(let callable): callable is StepValue ? .step : callable is OptimizerDefinition ? .optimizer : .call
    case .model: .call
    default: nil
    }
  }

  /// The hyperparameters of an optimizer or of its declaration, with what they are.
  package func hyperparameters(of value: Value) -> [(name: String, note: String)] {
    switch value {
    case .optimizer(let optimizer):
      zip(optimizer.definition.parameters.names, optimizer.hyperparameters).map { ($0, display($1)) }
    case .callable(let definition as OptimizerDefinition):
      zip(definition.parameters.names, definition.parameters.defaultTexts).map { ($0, $1 ?? "…") }
    default: []
    }
  }
}

extension Callable {
  /// The signature without the name: `(x, axis = -1)`.
  package var argumentList: String {
    signature.firstIndex(of: "(").map { String(signature[$0...]) } ?? "()"
  }

  /// The parameters that a call can name, with the text of their defaults.
  package var labels: [(name: String, defaultText: String?)] {
    let parts = Callable.parts(of: argumentList)
    let isVariadic = parts.contains { $0.contains("…") }
    return parts.compactMap { part in
      let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmed }
      guard let name = sides.first, !name.contains("…"), !isVariadic || sides.count > 1 else { return nil }
      return (name, sides.count > 1 ? sides[1] : nil)
    }
  }

  /// Cuts `(a, b = [1, 2])` at the commas between parameters.
  private static func parts(of text: String) -> [Substring] {
    var parts: [Substring] = []
    var depth = 0
    var isInString = false
    let inside = text.dropFirst().dropLast()
    var start = inside.startIndex
    for index in inside.indices {
      switch inside[index] {
      case "\"": isInString.toggle()
      case "(", "[", "{": depth += 1
      case ")", "]", "}": depth -= 1
      case "," where depth == 0 && !isInString:
        parts.append(inside[start..<index])
        start = inside.index(after: index)
      default: break
      }
    }
    return inside.isEmpty ? [] : parts + [inside[start...]]
  }
}

extension Interpreter {
  /// The user's optimizers that have trained a param of a model, and in how many steps.
  package func training(of name: String, in model: ModelValue) -> [(optimizer: String, count: Int)] {
    guard let parameter = model.parameter(name) else { return [] }
    return main.names.compactMap { name in
      guard name != "_", case .optimizer(let optimizer)? = value(of: name), let slot = optimizer.slot(for: parameter),
        slot.count > 0
      else { return nil }
      return (name, slot.count)
    }
  }
}
