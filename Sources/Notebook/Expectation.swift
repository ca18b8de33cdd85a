import Support

/// A comment line that says what the statement above it prints.
///
///     softmax([0.0, 0.0])
///     #> f32[2]
///     #> [0.5000, 0.5000]
package struct ExpectedLine: Hashable, Sendable {
  package enum Kind: String, Sendable {
    /// `#>`: what the statement prints.
    case output = "#>"
    /// `#~`: what it printed once; shown to readers, never compared.
    case shown = "#~"
    /// `#!`: the error that it ends in.
    case error = "#!"
  }

  package let kind: Kind
  /// What follows the mark, without the space after it and without space at its end.
  package let text: String
  /// The line of the file, from 1.
  package let line: Int

  package init(_ kind: Kind, _ text: String, line: Int) {
    self.kind = kind
    self.text = text
    self.line = line
  }

  /// Reads a line of a script, if it is an expectation. Strings end on their line, so a line that begins with `#` is
  /// never inside one.
  init?(_ source: String, line: Int) {
    let content = source.drop { $0 == " " || $0 == "\t" }
    guard let kind = Kind(rawValue: String(content.prefix(2))) else { return nil }
    var text = content.dropFirst(2)
    if text.first == " " { text = text.dropFirst() }
    self.init(kind, text.trimmedAtEnd, line: line)
  }

  /// Whether the line stands for any number of lines.
  var isEllipsis: Bool { text == "..." }
}

/// The expectations under one entry, in the order of their lines.
package struct Expectation: Sendable {
  package var lines: [ExpectedLine]

  package init(lines: [ExpectedLine] = []) { self.lines = lines }

  package var isEmpty: Bool { lines.isEmpty }
  /// Whether there is something to compare: `#~` lines alone are only shown.
  package var isCompared: Bool { lines.contains { $0.kind != .shown } }
  package var expectsOutput: Bool { lines.contains { $0.kind == .output } }
  /// Whether output is shown that is not compared.
  var showsOutput: Bool { lines.contains { $0.kind == .shown } }

  /// What the `#!` lines ask for, one after the other.
  package var diagnostics: [ExpectedDiagnostic] {
    var result: [ExpectedDiagnostic] = []
    for line in lines where line.kind == .error {
      if let heading = DiagnosticHeading(line.text) {
        result.append(ExpectedDiagnostic(heading: heading, lineCount: 1))
      } else if !result.isEmpty {
        result[result.count - 1].lineCount += 1
      }
    }
    return result
  }

  /// Whether errors with these codes, and no others, are expected. Then a script goes on.
  package func allows(_ errors: [Diagnostic]) -> Bool {
    !errors.isEmpty
      && diagnostics.filter { $0.heading.severity == .error }.map(\.heading.code) == errors.map(\.code)
  }
}

/// A diagnostic that `#!` lines ask for.
package struct ExpectedDiagnostic: Sendable {
  package let heading: DiagnosticHeading
  /// 1 where only the heading is given; more where the rendered text is.
  fileprivate(set) var lineCount: Int

  /// Returns the lines of `rendered` that are compared: as much as was written down.
  func comparedLines(of diagnostic: Diagnostic, rendered: [String]) -> [String] {
    if lineCount > 1 { return rendered }
    return heading.message == nil ? ["\(diagnostic.severity.rawValue)[\(diagnostic.code)]"] : [rendered[0]]
  }
}

/// The first line of a diagnostic: `error[shape-mismatch]: matmul: inner sizes differ, 2 and 3`.
package struct DiagnosticHeading: Sendable {
  package let severity: Diagnostic.Severity
  package let code: String
  /// nil where only the code is given.
  package let message: String?

  init?(_ text: String) {
    guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]"),
      let severity = Diagnostic.Severity(rawValue: String(text[..<open]))
    else { return nil }
    self.severity = severity
    code = String(text[text.index(after: open)..<close])
    var rest = text[text.index(after: close)...]
    if rest.first == ":" { rest = rest.dropFirst() }
    rest = rest.drop { $0 == " " }
    message = rest.isEmpty ? nil : String(rest)
  }
}
