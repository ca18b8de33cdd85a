import Graphs
import Ops
import Support
import Tensors

/// A piece of a text that a program makes: known, or a value that each run of a step fills in.
enum TextPiece {
  case text(String)
  case value(GraphValue, isNumber: Bool, format: String?)
}

extension Interpreter {
  // MARK: Interpolation and print

  /// What a value contributes to a string.
  func piece(of value: Value, format spec: String?, at site: Site) throws(Failure) -> TextPiece {
    if case .tensor(let tensor) = value, tensor.isTraced, tensor.tensor == nil {
      guard let trace = tensor.trace, trace.isRecording, trace === self.trace else {
        throw Trace.escaped(at: site)
      }
      return .value(tensor.value!, isNumber: tensor.isNumber, format: spec)
    }
    return .text(try text(of: value, format: spec, at: site))
  }

  func string(of pieces: [TextPiece]) -> Value {
    var text = ""
    var isTraced = false
    for piece in pieces {
      switch piece {
      case .text(let part): text += part
      case .value: isTraced = true
      }
    }
    return .string(isTraced ? StringValue(pieces: pieces) : StringValue(text))
  }

  /// The text of a value inside a string or from `print`; strings stand without quotes.
  func text(of value: Value, format spec: String?, at site: Site) throws(Failure) -> String {
    if case .string(let string) = value, spec == nil { return string.text }
    guard let spec else { return display(value) }
    let text: String?
    switch value {
    case .int(let number): text = format(number, spec: spec)
    case .double(let number): text = format(number, spec: spec)
    case .string(let string): text = format(string.text, spec: spec)
    case .bool(let flag): text = format(flag ? "true" : "false", spec: spec)
    case .tensor(let tensor):
      guard let real = tensor.tensor else { throw Trace.escaped(at: site) }
      guard real.elementCount == 1 else {
        throw Failure(
          "bad-format", "the format `\(spec)` needs one number, got \(tensor.type)", at: site)
      }
      text =
        real.dtype.isInteger
        ? format(real.integerScalar, spec: spec) : format(real.scalar, spec: spec)
    // Each number of a list or tuple by itself.
    case .list(let list):
      let parts = try list.items.map { item throws(Failure) in try self.text(of: item, format: spec, at: site) }
      return "[" + parts.joined(separator: ", ") + "]"
    case .record(let record) where record.isTuple:
      let parts = try record.items.map { item throws(Failure) in try self.text(of: item, format: spec, at: site) }
      return "(" + parts.joined(separator: ", ") + (parts.count == 1 ? ",)" : ")")
    default: text = format(display(value), spec: spec)
    }
    guard let text else {
      throw Failure(
        "bad-format", "`\(spec)` is no format for \(value.described)", at: site,
        notes: ["`.4` four decimals, `.3e` scientific, `8.2` width and decimals, `<8` `>8` alignment, `,` thousands, `%` percent"])
    }
    return text
  }

  /// Prints now, or at every run where a step is traced.
  func print(_ pieces: [TextPiece], at site: Site) {
    if let trace, trace.isStep, trace.isRecording {
      trace.setOrigin(site)
      var values: [GraphValue] = []
      for case .value(let value, _, _) in pieces { values.append(value) }
      trace.prints.append(pieces)
      trace.builder.graph.effects.append(
        .init(kind: .report(values, slot: trace.prints.count - 1), origin: Origin(site: site)))
      trace.assertions.append((message: "", site: site))
      return
    }
    var text = ""
    for case .text(let part) in pieces { text += part }
    output.write(text + "\n")
  }

  /// Prints what a run of a step hands over.
  func printPieces(_ pieces: [TextPiece], _ tensors: [Tensor]) {
    output.write(text(of: pieces, tensors[...]) + "\n")
  }

  /// A text of a step with the values of one run.
  func text(of pieces: [TextPiece], _ tensors: ArraySlice<Tensor>) -> String {
    var text = ""
    var next = tensors.makeIterator()
    for piece in pieces {
      switch piece {
      case .text(let part): text += part
      case .value(_, let isNumber, let spec):
        guard let tensor = next.next() else { continue }
        let value: Value = isNumber ? hostNumber(tensor) : .tensor(TensorValue(tensor, made: nil))
        if let spec, tensor.elementCount == 1 {
          text +=
            (tensor.dtype.isInteger
              ? format(tensor.integerScalar, spec: spec) : format(tensor.scalar, spec: spec)) ?? display(value)
        } else {
          text += display(value)
        }
      }
    }
    return text
  }

  // MARK: Echo

  /// The text that echoing a value prints.
  package func display(_ value: Value) -> String { display(value, indent: "") }

  private func display(_ value: Value, indent: String) -> String {
    switch value {
    case .none: return "none"
    case .bool(let flag): return flag ? "true" : "false"
    case .int(let number): return String(number)
    case .double(let number): return format(number: number)
    case .dtype(let dtype): return dtype.name
    case .string(let string): return quoted(string.text)
    case .range(let range): return "\(range.start)..<\(range.end)"
    case .tensor(let tensor):
      guard let real = tensor.tensor else { return "\(tensor.type) of a step" }
      if tensor.isNumber { return display(hostNumber(real)) }
      return format(real)
    case .list(let list):
      if list.items.allSatisfy(isInline) {
        let parts = list.items.map { display($0, indent: indent) }
        let line = "[" + parts.joined(separator: ", ") + "]"
        if line.utf8.count <= 100 || list.items.count <= 1 { return line }
        return wrapped(parts, open: "[", close: "]")
      }
      return nested(list.items.enumerated().map { (String($0), $1) }, indent: indent)
    case .record(let record):
      if record.items.allSatisfy(isInline) {
        let parts = zip(record.names, record.items).map { name, item in
          (name.map { "\($0): " } ?? "") + display(item, indent: indent)
        }
        return "(" + parts.joined(separator: ", ") + (record.isTuple && parts.count == 1 ? ",)" : ")")
      }
      return nested(
        zip(record.names, record.items).enumerated().map { ($1.0 ?? String($0), $1.1) }, indent: indent)
    case .callable(let callable):
      if callable.name.isEmpty { return callable.signature }
      return callable.kind == "function" ? "fn " + callable.signature : callable.kind + " " + callable.signature
    case .model(let model): return summary(of: model)
    case .optimizer(let optimizer):
      let settings = zip(optimizer.definition.parameters.names, optimizer.hyperparameters).map { name, value in
        if case .callable(let schedule) = value { return "\(name): \(schedule.name.isEmpty ? "fn" : schedule.name)" }
        return "\(name): \(display(value))"
      }
      let rules = optimizer.rules.map { rule in
        ", \"\(rule.pattern)\" → "
          + rule.values.map { "\(optimizer.definition.parameters.names[$0.index]): \(display($0.value))" }
          .joined(separator: ", ")
      }
      return optimizer.definition.name + "(" + settings.joined(separator: ", ") + rules.joined() + ")"
    case .object(let object): return object.summary
    case .cell, .unset: return "unset"
    }
  }

  /// Values nested deeper than this are not shown.
  private static let deepestDisplay = 64

  private func isInline(_ value: Value) -> Bool { isInline(value, depth: 0) }

  /// Whether a value prints on one line among others.
  private func isInline(_ value: Value, depth: Int) -> Bool {
    switch value {
    case .tensor(let tensor): tensor.type.rank == 0
    case .list(let list):
      list.items.count <= 16 && depth < Self.deepestDisplay
        && list.items.allSatisfy { isInline($0, depth: depth + 1) }
    case .record(let record):
      depth < Self.deepestDisplay && record.items.allSatisfy { isInline($0, depth: depth + 1) }
    case .model: false
    default: true
    }
  }

  /// One line per leaf: `layers.0.weight  f32[64, 128]`, small tensors with their elements.
  private func nested(_ items: [(String, Value)], indent: String) -> String {
    var lines: [(path: String, text: [String])] = []
    func walk(_ value: Value, _ path: String, _ depth: Int) {
      if depth > Self.deepestDisplay {
        lines.append((path, ["…"]))
        return
      }
      switch value {
      case .list(let list) where !isInline(value):
        for (index, item) in list.items.enumerated() { walk(item, "\(path).\(index)", depth + 1) }
      case .record(let record) where !isInline(value):
        for (index, item) in record.items.enumerated() {
          walk(item, "\(path).\(record.names[index] ?? String(index))", depth + 1)
        }
      case .tensor(let tensor) where tensor.type.rank > 0:
        guard let real = tensor.tensor, real.elementCount <= 64 else {
          lines.append((path, [tensor.type.description]))
          return
        }
        lines.append((path, format(real).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))
      default:
        lines.append(
          (path, display(value, indent: "").split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))
      }
    }
    for (name, item) in items { walk(item, name, 0) }
    let width = lines.map { $0.path.count }.max() ?? 0
    return lines.map { line in
      let head = line.path + String(repeating: " ", count: width - line.path.count) + "  "
      let rest = line.text.dropFirst().map { String(repeating: " ", count: width + 2) + $0 }
      return ([head + (line.text.first ?? "")] + rest).joined(separator: "\n")
    }.joined(separator: "\n")
  }

  private func wrapped(_ parts: [String], open: String, close: String) -> String {
    var lines: [String] = []
    var line = open
    for (index, part) in parts.enumerated() {
      let piece = part + (index + 1 < parts.count ? "," : close)
      if line.utf8.count + piece.utf8.count + 1 > 80, line != open {
        lines.append(line)
        line = " " + piece
      } else {
        line += (line == open ? "" : " ") + piece
      }
    }
    lines.append(line)
    return lines.joined(separator: "\n")
  }

  private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "{": result += "\\{"
      case "}": result += "\\}"
      // A terminal would obey it.
      case _ where scalar.properties.generalCategory == .control:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  // MARK: Models

  /// Paths, types, counts and bytes of a model's tensors.
  private func summary(of model: ModelValue) -> String {
    let entries = parameters(of: .model(model))
    guard !entries.isEmpty else { return model.definition.name + " (no parameters)" }
    var rows: [[String]] = []
    var trained = 0
    var frozen = 0
    var bytes = 0
    for entry in entries {
      let type = entry.parameter.tensor.type
      bytes += type.byteCount
      if !entry.parameter.isBuffer {
        if entry.parameter.isFrozen { frozen += type.elementCount } else { trained += type.elementCount }
      }
      rows.append([
        entry.path, type.description, grouped(type.elementCount), grouped(type.byteCount) + " B",
        entry.parameter.isBuffer ? "buffer" : entry.parameter.isFrozen ? "frozen" : "",
      ])
    }
    var text = model.definition.name + "\n" + table(rows, rightAligned: [2, 3])
    let count = trained + frozen
    text += "\n  \(grouped(count)) parameter\(count == 1 ? "" : "s"), \(grouped(bytes)) B"
    if frozen > 0 { text += ", \(grouped(frozen)) frozen" }
    return text
  }

  private func table(_ rows: [[String]], rightAligned: Set<Int>) -> String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = " "
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += " " + (rightAligned.contains(column) ? padding + cell : cell + padding) + " "
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

/// `1,234,567`
func grouped(_ number: Int) -> String {
  var digits = Array(String(abs(number)))
  var position = digits.count - 3
  while position > 0 {
    digits.insert(",", at: position)
    position -= 3
  }
  return (number < 0 ? "-" : "") + String(digits)
}
