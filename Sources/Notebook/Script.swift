import Support
import Syntax

/// A program with its expectations: statements grouped into entries, each with what it should print.
package struct Script {
  package let program: Program
  package let entries: [Entry]
  package let header: ScriptHeader

  package var file: SourceFile { program.file }

  /// The statements that share lines, or a piece of text that did not parse. What an entry prints is compared with the
  /// expectation lines below it.
  package struct Entry {
    /// Indices of its statements in the program.
    package var statements: Range<Int>
    /// Mistakes of syntax.
    package var mistakes: [Diagnostic]
    /// The lines that it takes, from 1.
    package var lines: ClosedRange<Int>
    package var expectation = Expectation()
  }

  /// Parses `file`. Mistakes of syntax are in the entries.
  package init(_ file: SourceFile) {
    let (program, diagnostics) = parse(file)
    self.program = program
    let commentLines = (1...file.lineCount).compactMap { line in
      ExpectedLine(file.text(ofLine: line), line: line)
    }
    var entries = Script.entries(of: program)
    Script.attach(diagnostics, to: &entries, separatedBy: commentLines.map(\.line))
    Script.attach(commentLines, to: &entries)
    self.entries = entries
    header = ScriptHeader(file)
  }

  private static func entries(of program: Program) -> [Entry] {
    var entries: [Entry] = []
    for (index, statement) in program.statements.enumerated() {
      let site = statement.site
      let last = max(site.line, site.file.line(at: max(site.start, site.end - 1)))
      if let previous = entries.last, previous.lines.upperBound >= site.line {
        entries[entries.count - 1].statements = previous.statements.lowerBound..<index + 1
        entries[entries.count - 1].lines =
          previous.lines.lowerBound...max(previous.lines.upperBound, last)
      } else {
        entries.append(Entry(statements: index..<index + 1, mistakes: [], lines: site.line...last))
      }
    }
    return entries
  }

  /// Gives each mistake to the entry it stands in. Text between entries that did not parse becomes an entry: one for all
  /// mistakes that neither a statement nor an expectation separates.
  private static func attach(
    _ diagnostics: [Diagnostic], to entries: inout [Entry], separatedBy expectationLines: [Int]
  ) {
    for diagnostic in diagnostics {
      let line = diagnostic.site?.line ?? 1
      if let index = entries.firstIndex(where: { $0.lines.contains(line) }) {
        entries[index].mistakes.append(diagnostic)
        continue
      }
      let next = entries.firstIndex { $0.lines.lowerBound > line } ?? entries.count
      if next > 0, entries[next - 1].statements.isEmpty,
        !expectationLines.contains(where: { entries[next - 1].lines.upperBound < $0 && $0 < line })
      {
        entries[next - 1].mistakes.append(diagnostic)
        entries[next - 1].lines = entries[next - 1].lines.lowerBound...line
      } else {
        let position = next > 0 ? entries[next - 1].statements.upperBound : 0
        entries.insert(
          Entry(statements: position..<position, mistakes: [diagnostic], lines: line...line), at: next)
      }
    }
  }

  private static func attach(_ lines: [ExpectedLine], to entries: inout [Entry]) {
    var index = 0
    for line in lines {
      while index + 1 < entries.count, entries[index + 1].lines.lowerBound < line.line { index += 1 }
      // A comment inside a block is no expectation.
      guard index < entries.count, entries[index].lines.upperBound < line.line else { continue }
      entries[index].expectation.lines.append(line)
    }
  }

  /// The names that `input` declares at the top level.
  package var inputNames: [String] {
    program.statements.compactMap { statement in
      if case .input(let name, _) = statement.kind { name.text } else { nil }
    }
  }
}

/// What the comments at the head of a script ask of `gradus test`.
///
///     # inputs: epochs=1 quick=true
///     # requires: mnist/t10k-images-idx3-ubyte.gz
package struct ScriptHeader: Sendable {
  /// Values for `input`, so that a test is quick.
  package private(set) var inputs: [(key: String, value: String)] = []
  /// Files without which the script is skipped.
  package private(set) var requirements: [String] = []

  init(_ file: SourceFile) {
    for line in 1...file.lineCount {
      let text = file.text(ofLine: line).drop { $0 == " " || $0 == "\t" }
      if text.isEmpty { continue }
      guard text.first == "#" else { return }
      let comment = text.drop { $0 == "#" || $0 == " " }
      if comment.hasPrefix("inputs:") {
        inputs += comment.dropFirst("inputs:".count).split(separator: " ").compactMap(keyAndValue)
      } else if comment.hasPrefix("requires:") {
        requirements += comment.dropFirst("requires:".count).split(separator: " ").map(String.init)
      }
    }
  }
}

/// Returns the two sides of `key=value`.
package func keyAndValue(_ text: some StringProtocol) -> (key: String, value: String)? {
  guard let equal = text.firstIndex(of: "="), equal > text.startIndex else { return nil }
  return (String(text[..<equal]), String(text[text.index(after: equal)...]))
}
