import Tensors

/// The parameters of an op in the order that programs pass them.
package struct Signature: Sendable {
  package struct Parameter: Sendable {
    package enum Kind: Sendable {
      /// A tensor.
      case operand
      /// A list of tensors, which become all remaining operands.
      case operands
      case attribute(AttributeKind)
    }
    package let name: String
    package let kind: Kind
    /// What is taken where the program gives nothing; nil: must be given.
    package let defaultValue: AttributeValue?
    /// Whether the operand names places, so that a list of whole numbers given for it is i64.
    package var namesPlaces = false
  }

  package let parameters: [Parameter]
  package init(_ parameters: Parameter...) { self.parameters = parameters }
  package init(_ parameters: [Parameter]) { self.parameters = parameters }

  /// Whether the operand at `index` names places.
  package func namesPlaces(operand index: Int) -> Bool {
    var operands = 0
    for parameter in parameters {
      guard case .operand = parameter.kind else { continue }
      if operands == index { return parameter.namesPlaces }
      operands += 1
    }
    return false
  }
}

extension Signature.Parameter {
  package static func operand(_ name: String) -> Self {
    Self(name: name, kind: .operand, defaultValue: nil)
  }
  /// A tensor of whole numbers that name places, classes or the like.
  package static func indices(_ name: String) -> Self {
    Self(name: name, kind: .operand, defaultValue: nil, namesPlaces: true)
  }
  /// A tensor that may be missing: the op then has one operand less. Only after the operands that must be there.
  package static func optionalOperand(_ name: String) -> Self {
    Self(name: name, kind: .operand, defaultValue: AttributeValue.none)
  }
  package static func operands(_ name: String) -> Self {
    Self(name: name, kind: .operands, defaultValue: nil)
  }
  package static func attribute(
    _ name: String, _ kind: AttributeKind, default value: AttributeValue? = nil
  ) -> Self {
    Self(name: name, kind: .attribute(kind), defaultValue: value)
  }
}

package enum AttributeKind: Sendable {
  case int, ints, number, bool, string, dtype
  /// Whole numbers or a word that stands for them: `padding: [1, 2]`, `padding: "same"`.
  case intsOrString
  /// An axis, or with `.axes` a list of them; `none` stands for all.
  case axis, axes
  case shape
}

/// The value of an attribute as a program gives it.
package enum AttributeValue: Hashable, Sendable {
  case none
  case int(Int)
  case ints([Int])
  case number(Double)
  case bool(Bool)
  case string(String)
  case dtype(DType)
}

/// Attributes by name, defaults filled in.
package struct Attributes: Sendable {
  private var values: [(name: String, value: AttributeValue)]

  package init(_ values: [(String, AttributeValue)] = []) {
    self.values = values.map { (name: $0.0, value: $0.1) }
  }

  package subscript(name: String) -> AttributeValue {
    for entry in values where entry.name == name { return entry.value }
    return .none
  }

  package mutating func set(_ name: String, _ value: AttributeValue) {
    values.removeAll { $0.name == name }
    values.append((name: name, value: value))
  }

  package func int(_ name: String) throws(OpRejection) -> Int {
    switch self[name] {
    case .int(let value): return value
    case .number(let value) where value == value.rounded() && abs(value) < 0x1p53: return Int(value)
    case let other: throw mistyped(name, "a whole number", other)
    }
  }

  package func ints(_ name: String) throws(OpRejection) -> [Int] {
    switch self[name] {
    case .ints(let values): return values
    case .int(let value): return [value]
    case let other: throw mistyped(name, "a list of whole numbers", other)
    }
  }

  package func number(_ name: String) throws(OpRejection) -> Double {
    switch self[name] {
    case .number(let value): return value
    case .int(let value): return Double(value)
    case let other: throw mistyped(name, "a number", other)
    }
  }

  package func bool(_ name: String) throws(OpRejection) -> Bool {
    if case .bool(let value) = self[name] { return value }
    throw mistyped(name, "true or false", self[name])
  }

  package func string(_ name: String) throws(OpRejection) -> String {
    if case .string(let value) = self[name] { return value }
    throw mistyped(name, "a string", self[name])
  }

  package func dtype(_ name: String) throws(OpRejection) -> DType {
    if case .dtype(let value) = self[name] { return value }
    throw mistyped(name, "a dtype", self[name])
  }

  /// Returns sizes, none of them negative, whose product fits in memory's address range.
  package func shape(_ name: String) throws(OpRejection) -> Shape {
    let sizes = try ints(name)
    for size in sizes where size < 0 {
      throw OpRejection("a size cannot be negative, got \(size)", code: "bad-shape")
    }
    guard Shape(sizes).checkedElementCount != nil else {
      throw OpRejection("\(Shape(sizes)) has too many elements", code: "out-of-memory")
    }
    return Shape(sizes)
  }

  /// Returns the axis, negative ones resolved.
  package func axis(_ name: String, rank: Int) throws(OpRejection) -> Int {
    let axis = try int(name)
    return try resolve(axis, rank: rank)
  }

  /// Returns the axes in rising order without duplicates; all of them for `none`.
  package func axes(_ name: String, rank: Int) throws(OpRejection) -> [Int] {
    if case .none = self[name] { return Array(0..<rank) }
    var resolved: [Int] = []
    for axis in try ints(name) {
      let axis = try resolve(axis, rank: rank)
      if resolved.contains(axis) {
        throw OpRejection("axis \(axis) is named twice", code: "bad-axis")
      }
      resolved.append(axis)
    }
    return resolved.sorted()
  }

  private func resolve(_ axis: Int, rank: Int) throws(OpRejection) -> Int {
    guard let resolved = Shape([Int](repeating: 1, count: rank)).resolved(axis: axis) else {
      throw OpRejection(
        rank == 0
          ? "axis \(axis) does not exist: a single number has no axes"
          : "axis \(axis) is out of range for rank \(rank)",
        code: "bad-axis",
        notes: rank == 0
          ? [] : [rank == 1 ? "its only axis is 0, or -1" : "axes run from 0 to \(rank - 1), or from -\(rank) to -1"])
    }
    return resolved
  }

  private func mistyped(_ name: String, _ expected: String, _ got: AttributeValue) -> OpRejection {
    let what: String =
      switch got {
      case .none: "none"
      case .int(let value): "\(value)"
      case .ints(let values): "\(values)"
      case .number(let value): "\(value)"
      case .bool(let value): "\(value)"
      case .string(let value): "\"\(value)\""
      case .dtype(let value): "the dtype \(value)"
      }
    return OpRejection("`\(name)` must be \(expected), got \(what)", code: "bad-argument")
  }
}
