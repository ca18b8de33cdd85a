import Support

/// What `gradus explain` says about one kind of diagnostic.
package struct Explanation: Sendable {
  /// The stable identifier, such as `shape-mismatch`.
  package let code: String
  package let text: String
  /// A program that ends in the error; empty where only circumstances bring it about.
  package let wrong: String
  /// The program mended.
  package let right: String

  init(_ code: String, _ text: String, wrong: String = "", right: String = "") {
    self.code = code
    self.text = text
    self.wrong = wrong
    self.right = right
  }

  package static func named(_ code: String) -> Explanation? {
    // People paste `error[shape-mismatch]` too.
    var code = code[...]
    if let open = code.firstIndex(of: "[") { code = code[code.index(after: open)...] }
    if let close = code.firstIndex(of: "]") { code = code[..<close] }
    return all.first { $0.code == code }
  }

  package var page: String {
    func example(_ title: String, _ program: String) -> String {
      if program.isEmpty { return "" }
      let lines = program.split(separator: "\n", omittingEmptySubsequences: false)
      return "\n\n  \(title)\n" + lines.map { "      " + $0 }.joined(separator: "\n")
    }
    return "\(code)\n\n\(text)" + example("wrong", wrong) + example("right", right)
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
