import Foundation
import Interpreter
import Support
import Syntax
import Tensors

/// A value of a JSON file in `Tests/Reference`.
enum Figure: Sendable {
  case none
  case flag(Bool)
  case number(Double)
  case text(String)
  case list([Figure])
  case record([String: Figure])

  /// Reads a whole file.
  init(file name: String) {
    let data = FileManager.default.contents(atPath: referencePath(name))!
    self.init(try! JSONSerialization.jsonObject(with: data))
  }

  private init(_ value: Any) {
    switch value {
    case let number as NSNumber:
      // A truth value comes as a number of C's type `char`.
      self = String(cString: number.objCType) == "c" ? .flag(number.boolValue) : .number(number.doubleValue)
    case let text as String: self = .text(text)
    case let list as [Any]: self = .list(list.map(Figure.init))
    case let record as [String: Any]: self = .record(record.mapValues(Figure.init))
    default: self = .none
    }
  }

  subscript(name: String) -> Figure {
    if case .record(let fields) = self { fields[name] ?? .none } else { .none }
  }
  var isMissing: Bool { if case .none = self { true } else { false } }
  var text: String { if case .text(let text) = self { text } else { "" } }
  var list: [Figure] { if case .list(let list) = self { list } else { [] } }
  /// The fields by name, sorted.
  var fields: [(name: String, value: Figure)] {
    guard case .record(let fields) = self else { return [] }
    return fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
  var number: Double {
    switch self {
    case .number(let number): number
    case .text("inf"): .infinity
    case .text("-inf"): -.infinity
    default: .nan
    }
  }
  var numbers: [Double] { list.map(\.number) }

  /// The value as a program writes it; a tensor (`{dtype, shape, values}`) bit for bit.
  var source: String {
    switch self {
    case .none: return "none"
    case .flag(let flag): return flag ? "true" : "false"
    case .number(let number):
      return number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : "\(number)"
    case .text(let text): return "\"\(text)\""
    case .list(let items): return "[" + items.map(\.source).joined(separator: ", ") + "]"
    case .record:
      let shape = self["shape"].source
      let values = self["values"].list
      if shape == "[]" { return "\(self["dtype"].text)(\(values[0].source))" }
      return "reshape(\(self["dtype"].text)(\(self["values"].source)), \(shape))"
    }
  }
}

/// The path of a file in `Tests/Reference`.
func referencePath(_ name: String) -> String {
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Reference/\(name)").path
}

/// A program that stopped with an error, as a user would see it.
struct ProgramFailure: Error, CustomStringConvertible {
  let description: String
}

/// Runs programs as a fresh session and reads what they computed.
final class ProgramSession {
  private final class Ear: Output {
    var text = ""
    func write(_ text: String) { self.text += text }
    func report(_ diagnostic: Diagnostic) { text += render(diagnostic, color: false) + "\n" }
  }
  private let ear = Ear()
  let interpreter: Interpreter

  init() { interpreter = Interpreter(output: ear) }

  /// Runs a program.
  /// - Returns: what it printed and echoed, warnings included.
  @discardableResult
  func run(_ program: String, name: String = "test.nn") throws -> String {
    ear.text = ""
    do {
      try interpreter.execute(SourceFile(name: name, bytes: Array(program.utf8)))
    } catch {
      throw ProgramFailure(description: render(error.diagnostic, color: false))
    }
    return ear.text
  }

  /// The elements of a tensor, a number, or a list of them that a program bound to `name`.
  func numbers(_ name: String) throws -> [Double] {
    guard let value = interpreter.value(of: name) else {
      throw ProgramFailure(description: "nothing is called \(name)")
    }
    return try numbers(value)
  }

  private func numbers(_ value: Value) throws -> [Double] {
    switch value {
    case .int(let number): return [Double(number)]
    case .double(let number): return [number]
    case .tensor(let tensor): if let real = tensor.tensor { return real.doubles() }
    case .list(let list): return try list.items.flatMap(numbers)
    default: break
    }
    throw ProgramFailure(description: "\(value.typeDescription) holds no numbers")
  }
}

/// The largest difference, relative to the largest expected element or `floor`.
func distance(_ got: [Double], _ expected: [Double], floor: Double = 1e-300) -> Double {
  guard got.count == expected.count else { return .infinity }
  let scale = max(expected.map(abs).max() ?? 0, floor)
  var worst = 0.0
  for (a, b) in zip(got, expected) where a != b {
    let error = abs(a - b) / scale
    if !(error <= worst) { worst = error.isNaN ? .infinity : error }
  }
  return worst
}
