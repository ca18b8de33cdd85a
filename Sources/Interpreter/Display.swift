import Graphs
import Ops
import Support
import Tensors

/// A piece of a text that a program makes: known, or a value that each run of a step fills in.
enum TextPiece {
  case text(String)
  case value(GraphValue, isNumber: Bool, format: String?)
  /// A list or record, and the traced values in it.
  case tree(Value, [TensorValue], format: String?, Site)
  /// Which gradients hold how many values that are not finite.
  case overflow([(path: String, count: GraphValue)])
  /// What an abstract run does not know.
  case unknown

  /// What a run has to hand over for it.
  var values: [GraphValue] {
    switch self {
    case .text: []
    case .value(let value, _, _): [value]
    case .tree(_, let values, _, _): values.map { $0.value! }
    case .overflow(let counts): counts.map(\.count)
    case .unknown: []
    }
  }
}

extension Interpreter {
  // MARK: Interpolation and print

  /// What a value contributes to a string.
  func pieces(of value: Value, format spec: String?, at site: Site) throws(Failure) -> [TextPiece] {
    if let abstract, trace?.isStep != true, abstract.isUnknown(value) {
      try checkFormat(spec, ofUnknown: value, at: site)
      return [.unknown]
    }
    switch value {
    case .string(let string) where spec == nil: return string.pieces
    case .tensor(let tensor) where tensor.isTraced && tensor.tensor == nil:
      try requireRecording(tensor, at: site)
      try requireOneNumber(tensor, format: spec, at: site)
      return [.value(tensor.value!, isNumber: tensor.isNumber, format: spec)]
    case .list, .record:
      var traced: [TensorValue] = []
      if trace != nil {
        try forEachLeaf(of: value) { leaf throws(Failure) in
          if case .string(let string) = leaf { _ = try string.text(at: site) }
          guard case .tensor(let tensor) = leaf, tensor.isTraced, tensor.tensor == nil else { return }
          try requireRecording(tensor, at: site)
          try requireOneNumber(tensor, format: spec, at: site)
          traced.append(tensor)
        }
      }
      if !traced.isEmpty { return [.tree(value, traced, format: spec, site)] }
    default: break
    }
    return [.text(try text(of: value, format: spec, at: site))]
  }

  /// Refuses a format that no value of this kind has.
  private func checkFormat(_ spec: String?, ofUnknown value: Value, at site: Site) throws(Failure) {
    guard let spec else { return }
    if abstract?.isLarge(value) == true { return try requireWalkable(value, at: site) }
    switch value {
    case .tensor(let tensor):
      try requireOneNumber(tensor, format: spec, at: site)
      _ = try text(of: tensor.dtype.isInteger ? .int(1) : .double(1), format: spec, at: site)
    case .list(let list): for item in list.items { _ = try pieces(of: item, format: spec, at: site) }
    case .record(let record) where record.isTuple:
      for item in record.items { _ = try pieces(of: item, format: spec, at: site) }
    default: break
    }
  }

  private func requireOneNumber(_ tensor: TensorValue, format spec: String?, at site: Site) throws(Failure) {
    guard let spec, tensor.type.elementCount != 1 else { return }
    throw Failure("bad-format", "the format `\(spec)` needs one number, got \(tensor.type)", at: site)
  }

  private func requireRecording(_ tensor: TensorValue, at site: Site) throws(Failure) {
    guard let trace = tensor.trace, trace.isRecording, trace === self.trace else { throw Trace.escaped(at: site) }
  }

  func string(of pieces: [TextPiece], at site: Site) throws(Failure) -> Value {
    var byteCount = 0
    var isTraced = false
    for piece in pieces {
      if case .text(let part) = piece { byteCount += part.utf8.count } else { isTraced = true }
    }
    try checkFits(characters: byteCount, at: site)
    if abstract != nil, byteCount > 1 << 20 { return .string(StringValue(pieces: [.unknown])) }
    if isTraced {
      let string = StringValue(pieces: pieces)
      return .string(string.isUnknown ? StringValue(pieces: [.unknown]) : string)
    }
    var text = ""
    text.reserveCapacity(byteCount)
    for case .text(let part) in pieces { text += part }
    return .string(text)
  }

  /// The text of a value inside a string or from `print`; strings stand without quotes.
  func text(of value: Value, format spec: String?, at site: Site) throws(Failure) -> String {
    if case .string(let string) = value, spec == nil { return try string.text(at: site) }
    guard let spec else { return display(value) }
    // Each number is formatted: a list that is shared many times over would never end.
    try requireWalkable(value, at: site)
    let text: String?
    switch value {
    case .int(let number): text = format(number, spec: spec)
    case .double(let number): text = format(number, spec: spec)
    case .string(let string): text = format(try string.text(at: site), spec: spec)
    case .bool(let flag): text = format(flag ? "true" : "false", spec: spec)
    case .tensor(let tensor):
      guard let real = tensor.tensor else { throw tensor.missing(at: site) }
      try requireOneNumber(tensor, format: spec, at: site)
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
      let values = pieces.flatMap(\.values)
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
      case .unknown: text += "…"
      case .overflow(let counts):
        var found: [(path: String, count: Int)] = []
        for (path, _) in counts { if let tensor = next.next() { found.append((path, tensor.integerScalar)) } }
        text += overflowText(found)
      case .tree(let value, let traced, let spec, let site):
        var known: [ObjectIdentifier: Value] = [:]
        for number in traced {
          guard let tensor = next.next() else { continue }
          known[ObjectIdentifier(number)] =
            number.isNumber ? hostNumber(tensor) : .tensor(TensorValue(tensor, made: nil))
        }
        var mapper = TreeMapper { leaf in
          if case .tensor(let tensor) = leaf { known[ObjectIdentifier(tensor)] ?? leaf } else { leaf }
        }
        let filled = mapper.map(value)
        text += (try? self.text(of: filled, format: spec, at: site)) ?? display(filled)
      }
    }
    return text
  }

  // MARK: Echo

  /// The text that echoing a value prints.
  package func display(_ value: Value) -> String {
    var room = DisplayRoom()
    return display(value, &room)
  }

  /// What one display may still show: a list that is shared many times over would never end.
  private struct DisplayRoom {
    var elements = 100_000
    var bytes = 1 << 26
    var isFull: Bool { elements <= 0 || bytes <= 0 || Interpreter.isInterrupted }

    mutating func take(_ text: String) -> String {
      elements -= 1
      bytes -= text.utf8.count
      return text
    }
  }

  private func display(_ value: Value, _ room: inout DisplayRoom) -> String {
    switch value {
    case .none: return "none"
    case .bool(let flag): return flag ? "true" : "false"
    case .int(let number): return String(number)
    case .double(let number): return format(number: number)
    case .dtype(let dtype): return dtype.name
    case .string(let string): return string.known.map(quoted) ?? "a text of a step"
    case .range(let range): return "\(range.start)..<\(range.end)"
    case .tensor(let tensor):
      guard let real = tensor.tensor else { return "\(tensor.type) of a step" }
      if tensor.isNumber { return display(hostNumber(real)) }
      return format(real)
    case .list(let list):
      if list.items.allSatisfy(isInline) {
        let parts = inline(list.items, &room)
        let line = "[" + parts.joined(separator: ", ") + "]"
        if line.utf8.count <= 100 || list.items.count <= 1 { return line }
        return wrapped(parts, open: "[", close: "]")
      }
      return nested(list.items.enumerated().map { (String($0), $1) }, &room)
    case .record(let record):
      if record.items.allSatisfy(isInline) {
        let parts = zip(record.names, inline(record.items, &room)).map { name, item in
          (name.map { "\($0): " } ?? "") + item
        }
        return "(" + parts.joined(separator: ", ") + (record.isTuple && parts.count == 1 ? ",)" : ")")
      }
      return nested(
        zip(record.names, record.items).enumerated().map { ($1.0 ?? String($0), $1.1) }, &room)
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
          + (rule.values.map { "\(optimizer.definition.parameters.names[$0.index]): \(display($0.value))" }
            + (rule.stateDType.map { ["state: \($0.nameInState)"] } ?? []) + (rule.rounding.map { ["rounding: \($0)"] } ?? []))
          .joined(separator: ", ")
      }
      let policies =
        (optimizer.stateDType.map { ["state: \($0.nameInState)"] } ?? [])
        + (optimizer.rounding == .nearest ? [] : ["rounding: \(optimizer.rounding)"])
      let with = policies.isEmpty ? "" : policies.count == 1 ? " with " + policies[0] : " with (\(policies.joined(separator: ", ")))"
      return optimizer.definition.name + "(" + settings.joined(separator: ", ") + rules.joined() + ")" + with
    case .object(let object): return object.summary
    case .cell, .unset: return "unset"
    }
  }

  /// The texts of values on one line; `…` stands for the rest where there is no more room.
  private func inline(_ items: [Value], _ room: inout DisplayRoom) -> [String] {
    var parts: [String] = []
    for item in items {
      if room.isFull {
        parts.append("…")
        break
      }
      parts.append(room.take(display(item, &room)))
    }
    return parts
  }

  /// Values nested deeper than this are not shown.
  private static let deepestDisplay = 64
  /// A list or record with more leaves than this has lines of its own.
  private static let longestInline = 1024

  /// Whether a value prints on one line among others.
  private func isInline(_ value: Value) -> Bool {
    switch value {
    case .tensor(let tensor): tensor.type.rank == 0
    case .list(let list): isShort(list.depth, list.summary) && isInlineInside(value)
    case .record(let record): isShort(record.depth, record.summary) && isInlineInside(value)
    case .model: false
    default: true
    }
  }

  private func isShort(_ depth: Int, _ summary: TreeSummary) -> Bool {
    depth <= Self.deepestDisplay && summary.leafCount <= Self.longestInline && !summary.holdsModels
  }

  /// - Requires: there are few leaves in it.
  private func isInlineInside(_ value: Value) -> Bool {
    switch value {
    case .tensor(let tensor): tensor.type.rank == 0
    case .list(let list): list.items.count <= 16 && list.items.allSatisfy(isInlineInside)
    case .record(let record): record.items.allSatisfy(isInlineInside)
    default: true
    }
  }

  /// One line per leaf: `layers.0.weight  f32[64, 128]`, small tensors with their elements.
  private func nested(_ items: [(String, Value)], _ room: inout DisplayRoom) -> String {
    var lines: [(path: String, text: [String])] = []
    var isCut = false
    func walk(_ value: Value, _ path: String, _ depth: Int, _ room: inout DisplayRoom) {
      if depth > Self.deepestDisplay || room.isFull {
        if !isCut { lines.append((path, ["…"])) }
        isCut = room.isFull
        return
      }
      room.bytes -= path.utf8.count
      switch value {
      case .list(let list) where !isInline(value):
        for (index, item) in list.items.enumerated() where !isCut { walk(item, "\(path).\(index)", depth + 1, &room) }
      case .record(let record) where !isInline(value):
        for (index, item) in record.items.enumerated() where !isCut {
          walk(item, "\(path).\(record.names[index] ?? String(index))", depth + 1, &room)
        }
      case .tensor(let tensor) where tensor.type.rank > 0:
        guard let real = tensor.tensor, real.elementCount <= 64 else {
          lines.append((path, [room.take(tensor.type.description)]))
          return
        }
        lines.append((path, linesOfText(room.take(format(real)))))
      default: lines.append((path, linesOfText(room.take(display(value, &room)))))
      }
    }
    func linesOfText(_ text: String) -> [String] {
      text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }
    for (name, item) in items where !isCut { walk(item, name, 0, &room) }
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
    if (try? requireWalkable(.model(model), at: model.definition.place)) == nil {
      return model.definition.name + " (too many parts to show)"
    }
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
package func grouped(_ number: Int) -> String {
  var digits = Array(String(abs(number)))
  var position = digits.count - 3
  while position > 0 {
    digits.insert(",", at: position)
    position -= 3
  }
  return (number < 0 ? "-" : "") + String(digits)
}

/// Rows of cells with columns of one width, numbers to the right; without spaces at the ends.
package func aligned(_ rows: [[String]], gap: Int, toTheLeft left: Set<Int> = [0]) -> [String] {
  let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].displayWidth }.max() ?? 0 }
  return rows.map { cells in
    var line = ""
    for (column, cell) in cells.enumerated() {
      if column > 0 { line += String(repeating: " ", count: gap) }
      let space = String(repeating: " ", count: widths[column] - cell.displayWidth)
      line += left.contains(column) ? cell + space : space + cell
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}

/// Which gradients are not finite, the worst first: empty where all are.
func overflowText(_ counts: [(path: String, count: Int)]) -> String {
  let bad = counts.filter { $0.count > 0 }.sorted { ($1.count, $0.path) < ($0.count, $1.path) }
  guard !bad.isEmpty else { return "" }
  let named = bad.prefix(3).map { "\($0.path.isEmpty ? "the parameter" : $0.path) \(grouped($0.count))" }
  return "values that are not finite: " + named.joined(separator: ", ")
    + (bad.count > 3 ? " and \(bad.count - 3) more" : "")
}
