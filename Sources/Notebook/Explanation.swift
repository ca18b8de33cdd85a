import Support

/// What `gradus explain` says about one kind of diagnostic.
package struct Explanation: Sendable {
  /// The stable identifier, such as `shape-mismatch`.
  package let code: String
  package let text: String
  /// A program that has the error, and the way out.
  package let example: String

  init(_ code: String, _ text: String, example: String = "") {
    self.code = code
    self.text = text
    self.example = example
  }

  package static func named(_ code: String) -> Explanation? {
    // People paste `error[shape-mismatch]` too.
    var code = code[...]
    if let open = code.firstIndex(of: "[") { code = code[code.index(after: open)...] }
    if let close = code.firstIndex(of: "]") { code = code[..<close] }
    return all.first { $0.code == code }
  }

  package var page: String {
    let indented = example.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.isEmpty ? "" : "    " + line
    }
    return "\(code)\n\n\(text)" + (example.isEmpty ? "" : "\n\n" + indented.joined(separator: "\n"))
  }

  /// Returns all codes in columns.
  package static func index() -> String { HelpTopic.columns(all.map(\.code)) }

  /// The error for a code that is none.
  package static func unknown(_ code: String) -> Diagnostic {
    let suggestion = didYouMean(code, among: all.map(\.code))
    return Diagnostic(
      .error, "unknown-code", "no error has the code `\(code)`", at: nil,
      help: suggestion.map { "did you mean `\($0)`?" } ?? "`gradus explain` alone lists the codes")
  }
}
