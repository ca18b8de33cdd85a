import Support

/// An entry of a script, or an example of a help text, with what it should have printed and what it did.
struct Check {
  /// Where its text stands in its file.
  let lines: ClosedRange<Int>
  let code: [String]
  let expectation: Expectation
  let style: Style
  let alignment: Alignment
  /// Errors that no `#!` line asks for.
  let unexpectedErrors: [Diagnostic]

  /// Which words of an entry are compared.
  enum Extent {
    /// Those of a kind that some line expects.
    case expected
    /// Also those of an entry without expectations.
    case unexpected
    /// Also warnings, and output where only an error is expected: all but output that `#~` lines stand for.
    case everything
  }

  /// How expected lines are written in the file.
  enum Style {
    case script
    /// In a comment, behind this margin.
    case documentation(margin: String)

    func line(_ kind: ExpectedLine.Kind, _ text: String) -> String {
      let text =
        switch self {
        case .script: text.isEmpty ? kind.rawValue : "\(kind.rawValue) \(text)"
        case .documentation(let margin): margin + text
        }
      return text.trimmedAtEnd
    }
  }

  /// - Parameters:
  ///   - printed: the lines written.
  ///   - diagnostics: what was reported, then the error that ended the entry.
  init(
    lines: ClosedRange<Int>, in file: SourceFile, code: [String], expectation: Expectation,
    style: Style = .script, printed: [String], diagnostics: [Diagnostic], extent: Extent
  ) {
    self.lines = lines
    self.code = code
    self.expectation = expectation
    self.style = style
    let errors = diagnostics.filter { $0.severity == .error }
    let expectedDiagnostics = expectation.diagnostics
    let expectsErrors = expectedDiagnostics.contains { $0.heading.severity == .error }
    unexpectedErrors = expectation.allows(errors) ? [] : errors

    let comparesOutput =
      switch extent {
      case .expected: expectation.expectsOutput
      case .unexpected: expectation.expectsOutput || expectation.isEmpty
      case .everything: expectation.expectsOutput || !expectation.showsOutput
      }
    var actual: [Alignment.PrintedLine] = comparesOutput
      ? printed.map { .init(kind: .output, text: $0) } : []
    let fileName = lastPathComponent(file.name)
    var waiting = expectedDiagnostics
    for diagnostic in diagnostics {
      let rendered = render(diagnostic, color: false).split(separator: "\n", omittingEmptySubsequences: false)
        .map { replacing(file.name, with: fileName, in: String($0)) }
      var shown = rendered
      if let index = waiting.firstIndex(where: { $0.heading.severity == diagnostic.severity }) {
        shown = waiting.remove(at: index).comparedLines(of: diagnostic, rendered: rendered)
      } else if diagnostic.severity != .error {
        // Warnings are compared only where one is expected.
        if extent != .everything { continue }
        shown = [rendered[0]]
      } else if extent != .expected, !expectsErrors {
        shown = [rendered[0]]
      }
      actual += shown.map { .init(kind: .error, text: $0) }
    }
    let wanted = expectation.lines.filter { comparesOutput || $0.kind == .error }
    alignment = Alignment(wanted, actual)
  }

  var passes: Bool { alignment.isExact }

  /// Whether new expectation lines may be written: never an error in the place of output.
  func canBless(_ blessing: Blessing) -> Bool {
    switch blessing {
    case .never: false
    case .changed:
      expectation.isCompared
        && (unexpectedErrors.isEmpty || expectation.lines.contains { $0.kind == .error })
    case .all: expectation.isEmpty || expectation.isCompared
    }
  }

  /// Puts the changes that make the check pass into `edits`.
  func bless(_ edits: inout LineEdits) {
    var anchor = lines.upperBound
    for step in alignment.steps {
      switch step {
      case .kept(let line, _): anchor = line.line
      case .covered: break
      case .missing(let line):
        edits.removed.insert(line.line)
        anchor = line.line
      case .extra(let line):
        edits.inserted[anchor, default: []].append(style.line(line.kind, line.text))
      }
    }
  }

  /// Puts what the entry said into `edits`: what differs, and what is shown without being compared.
  func fill(_ edits: inout LineEdits, printed: [String]) {
    bless(&edits)
    let measured = expectation.lines.filter { $0.kind == .shown }
    if expectation.expectsOutput {
      for case .kept(let line, let printed?) in alignment.steps
      where line.kind == .shown && line.text != printed.text.trimmedAtEnd {
        edits.removed.insert(line.line)
        edits.inserted[line.line, default: []].insert(style.line(.shown, printed.text), at: 0)
      }
    } else if let first = measured.first, !printed.isEmpty, measured.map(\.text) != printed.map(\.trimmedAtEnd) {
      edits.removed.formUnion(measured.map(\.line))
      edits.inserted[first.line, default: []].insert(contentsOf: printed.map { style.line(.shown, $0) }, at: 0)
    }
  }

  // MARK: - The diff

  /// Returns the code, and under it what was expected and what was printed instead.
  func diff(fileName: String, color: Bool) -> String {
    let gutter = max(4, "\(lines.upperBound)".count)
    func row(_ mark: String, _ text: String) -> String {
      let padded = String(repeating: " ", count: max(0, gutter - mark.count)) + mark
      return "  \(padded) | \(text)".trimmedAtEnd
    }
    func painted(_ text: String, _ code: Int) -> String {
      color ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
    var rows = ["FAIL \(fileName):\(lines.lowerBound)"]
    for (offset, line) in code.prefix(Self.longestCode).enumerated() {
      rows.append(row("\(lines.lowerBound + offset)", line))
    }
    if code.count > Self.longestCode { rows.append(row("", "…")) }
    let steps = alignment.steps
    let isChange = steps.map { step in
      switch step {
      case .missing, .extra: true
      case .kept, .covered: false
      }
    }
    var isCut = false
    for (index, step) in steps.enumerated() {
      let around = max(0, index - Self.context)...min(steps.count - 1, index + Self.context)
      guard isChange[around].contains(true) else {
        if !isCut { rows.append(row("", "…")) }
        isCut = true
        continue
      }
      isCut = false
      switch step {
      case .kept(let line, _): rows.append(row("", style.line(line.kind, line.text)))
      case .covered: continue
      case .missing(let line): rows.append(painted(row("-", style.line(line.kind, line.text)), 31))
      case .extra(let line): rows.append(painted(row("+", style.line(line.kind, line.text)), 32))
      }
    }
    return rows.joined(separator: "\n")
  }

  private static let longestCode = 12
  private static let context = 3
}

/// What `gradus test` writes.
package enum Blessing: Sendable {
  case never
  /// Lines that changed, in entries that have expectations.
  case changed
  /// Those, and the output of entries that have none.
  case all
}

/// Lines to take out of a text and to put in; all others keep their bytes.
struct LineEdits {
  var removed: Set<Int> = []
  /// New lines by the line that they follow.
  var inserted: [Int: [String]] = [:]

  var isEmpty: Bool { removed.isEmpty && inserted.isEmpty }
  var count: Int { removed.count + inserted.values.reduce(0) { $0 + $1.count } }

  func applied(to file: SourceFile) -> [UInt8] {
    let bytes = file.bytes
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + 1024)
    let usesReturns = file.lineCount > 1 && bytes[file.range(ofLine: 1).upperBound] == 0x0D
    let newline: [UInt8] = usesReturns ? [0x0D, 0x0A] : [0x0A]
    for line in 1...file.lineCount {
      let start = file.range(ofLine: line).lowerBound
      let end = line < file.lineCount ? file.range(ofLine: line + 1).lowerBound : bytes.count
      if !removed.contains(line) { result += bytes[start..<end] }
      for text in inserted[line] ?? [] {
        if let last = result.last, last != 0x0A { result += newline }
        result += Array(text.utf8) + newline
      }
    }
    return result
  }
}

/// Returns the part of a path after its last slash.
package func lastPathComponent(_ path: String) -> String {
  path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
}

func replacing(_ word: String, with other: String, in text: String) -> String {
  guard word != other, !word.isEmpty else { return text }
  var result = ""
  var rest = text[...]
  while let range = firstRange(of: word, in: rest) {
    result += rest[..<range.lowerBound] + other
    rest = rest[range.upperBound...]
  }
  return result + rest
}

private func firstRange(of word: String, in text: Substring) -> Range<String.Index>? {
  var start = text.startIndex
  while start < text.endIndex {
    if text[start...].hasPrefix(word) {
      return start..<text.index(start, offsetBy: word.count)
    }
    start = text.index(after: start)
  }
  return nil
}
