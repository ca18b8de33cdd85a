import Interpreter
import Support

extension Session {
  /// Returns the page of a name, a member (`net.weight`) or a topic.
  ///
  ///     adamw(lr = 1e-3, decay = 0.01)                 optimizer, stdlib/optimizers.nn:88
  ///       Adam with decoupled weight decay …
  ///
  /// - Returns: nil where there is no such name.
  package func helpPage(of name: String) -> String? {
    if let value = interpreter.value(of: name) { return page(of: name, value) }
    return HelpTopic.named(name)?.text
  }

  /// Lines of a value on its page.
  private static let longestValue = 24

  func page(of name: String, _ value: Value) -> String {
    guard case .callable(let callable) = value else {
      var text = interpreter.display(value)
      let all = text.split(separator: "\n", omittingEmptySubsequences: false)
      if all.count > Session.longestValue { text = (all.prefix(Session.longestValue) + ["…"]).joined(separator: "\n") }
      let isLong = text.contains("\n")
      return isLong ? "\(name): \(value.typeDescription)\n\(text)" : "\(name): \(value.typeDescription) = \(text)"
    }
    var place = callable.kind
    if let site = callable.declaration { place += ", \(site.file.name):\(site.line)" }
    let signature = callable.signature
    let gap = max(3, HelpTopic.width - signature.displayWidth - place.displayWidth)
    var lines = [signature + String(repeating: " ", count: gap) + place]
    if !callable.documentation.isEmpty {
      lines += callable.documentation.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.isEmpty ? "" : "  " + line
      }
    }
    return lines.joined(separator: "\n")
  }

  /// Returns what a name holds in a few words: `x: f32[2, 3]`, `epochs: int = 5`, `relu(x)   function`; nil where there is no
  /// such name.
  package func briefDescription(of name: String) -> String? {
    guard let value = interpreter.value(of: name) else { return nil }
    switch value {
    case .callable(let callable): return "\(callable.signature)   \(callable.kind)"
    case .none, .bool, .int, .double, .dtype, .range:
      return "\(name): \(value.typeDescription) = \(interpreter.display(value))"
    case .list(let list): return "\(name): list of \(list.items.count)"
    case .tensor(let tensor): return "\(name): \(value.typeDescription), \(byteText(tensor.type.byteCount))"
    default: return "\(name): \(value.typeDescription)"
    }
  }

  /// The error for a name without a page.
  ///
  /// - Parameter what: what there is not.
  package func unknownHelp(_ name: String, _ what: String = "there is no help on") -> Diagnostic {
    let suggestion = didYouMean(name, among: interpreter.main.visibleNames + HelpTopic.names)
    return Diagnostic(
      .error, "unknown-name", "\(what) `\(name)`", at: nil,
      help: suggestion.map { "did you mean `\($0)`?" } ?? "`help` alone lists the topics and functions")
  }

  /// Returns the front page: topics, and every built-in name by kind.
  package func helpIndex() -> String {
    var kinds: [(kind: String, names: [String])] = []
    for name in interpreter.main.parent?.names ?? [] {
      guard case .callable(let callable)? = interpreter.value(of: name) else { continue }
      if let index = kinds.firstIndex(where: { $0.kind == callable.kind }) {
        kinds[index].names.append(name)
      } else {
        kinds.append((callable.kind, [name]))
      }
    }
    var sections = [(title: "topics", names: HelpTopic.names)]
    sections += kinds.sorted { $0.kind < $1.kind }.map { ($0.kind + "s", $0.names) }
    return sections.map { section in
      "\(section.title)\n" + HelpTopic.columns(section.names)
    }.joined(separator: "\n\n")
  }
}
