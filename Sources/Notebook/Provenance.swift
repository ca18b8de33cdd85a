import Interpreter
import Support
import Syntax

/// `:why`: the statements of the session that names were bound by, so that a value can be followed back to what it was
/// made of.
struct Provenance {
  /// A statement that gave a name its value.
  private struct Binding {
    let statement: Site
    /// The names that it mentions.
    let sources: [String]
    /// Its place in the order of the session.
    let serial: Int
  }
  private var bindings: [String: [Binding]] = [:]
  private var count = 0
  /// Earlier bindings of a name are forgotten beyond this.
  private static let longestHistory = 8
  private static let deepest = 12

  /// Takes note of what statements assign.
  mutating func note(_ statements: ArraySlice<Statement>) {
    for statement in statements {
      count += 1
      let names = Interpreter.names(in: [statement])
      // In the order of the text, as far as it shows.
      let sources = names.mentioned.sorted { place(of: $0, in: statement.site) < place(of: $1, in: statement.site) }
      for name in names.assigned {
        bindings[name, default: []].append(Binding(statement: statement.site, sources: sources, serial: count))
        if bindings[name]!.count > Provenance.longestHistory { bindings[name]!.removeFirst() }
      }
    }
  }

  private func place(of name: String, in site: Site) -> Int {
    let text = site.text
    return text.firstRange(of: name).map { text.utf8.distance(from: text.startIndex, to: $0.lowerBound) } ?? .max
  }

  /// The lines that tell where the value of a name came from; empty where no statement of the session gave it one.
  ///
  /// - Parameter value: the name's value now, for its type and the expression that made it.
  func lines(of name: String, _ value: Value?, in session: Session) -> [String] {
    var lines: [String] = []
    var shown = Set<Int>()
    func add(_ name: String, before serial: Int, _ depth: Int) {
      guard let binding = bindings[name]?.last(where: { $0.serial < serial }) else { return }
      let margin = String(repeating: "  ", count: depth)
      let isNow = bindings[name]?.last?.serial == binding.serial
      let type = isNow ? session.interpreter.value(of: name).map { " : " + session.interpreter.note(on: $0) } ?? "" : ", earlier"
      lines.append(margin + name + type)
      guard shown.insert(binding.serial).inserted else {
        lines[lines.count - 1] += "   (above)"
        return
      }
      lines.append("\(margin)  \(Provenance.text(of: binding.statement))")
      if isNow, case .tensor(let tensor)? = session.interpreter.value(of: name), let made = tensor.made,
        !binding.statement.contains(made)
      {
        lines.append("\(margin)  \(Provenance.text(of: made))")
      }
      if depth >= Provenance.deepest { return }
      for source in binding.sources where source != name || bindings[name]?.first?.serial != binding.serial {
        add(source, before: binding.serial, depth + 1)
      }
    }
    add(name, before: .max, 0)
    if lines.isEmpty, case .tensor(let tensor)? = value, let made = tensor.made {
      lines = ["\(name) : \(tensor.type)", "  \(Provenance.text(of: made))"]
    }
    return lines
  }

  /// `<repl 3>:1   h = x @ w`
  static func text(of site: Site) -> String {
    let source = site.text.split(separator: "\n", omittingEmptySubsequences: false)
    return "\(site.file.name):\(site.line)   \((source.first ?? "") + (source.count > 1 ? " …" : ""))"
  }
}
