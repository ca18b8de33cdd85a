import Support
import Syntax

/// A cell of a script in the percent format that editors know.
///
///     # %% [markdown]
///     # Prose, in comments.
///
///     # %% Train
///     train(x, y)
package struct ScriptCell {
  package enum Kind: Sendable { case code, prose }

  package let kind: Kind
  /// The line of its `# %%`; nil at the head of a file, and for code that follows prose without one.
  package let markerLine: Int?
  /// What stands behind `# %%`.
  package let title: String
  /// Its lines, from 1, up to the next cell; blank ones at the end included.
  package let lines: Range<Int>
}

/// A line that begins a cell.
package struct CellMarker {
  package let kind: ScriptCell.Kind
  package let title: String

  package init?(_ line: String) {
    guard line.first == "#" else { return nil }
    var rest = line.dropFirst().drop { $0 == " " }
    guard rest.hasPrefix("%%") else { return nil }
    rest = rest.dropFirst(2)
    // Some editors make cells within cells: `# %%%`.
    guard rest.first.map({ $0 == " " || $0 == "\t" }) ?? true else { return nil }
    var words = rest.split(whereSeparator: \.isWhitespace)
    let tag = words.firstIndex { $0 == "[markdown]" || $0 == "[md]" }
    if let tag { words.remove(at: tag) }
    kind = tag == nil ? .code : .prose
    title = words.joined(separator: " ")
  }
}

extension Script {
  /// The cells, in order; they cover the file. A script without `# %%` is one cell of code.
  package var cells: [ScriptCell] {
    var cells: [ScriptCell] = []
    var starts: [(line: Int, marker: CellMarker?)] = [(1, nil)]
    for line in 1...file.lineCount {
      // A comment inside a statement begins no cell.
      guard let marker = CellMarker(file.text(ofLine: line)), !isInsideEntry(line) else { continue }
      if line == 1 { starts = [] }
      starts.append((line, marker))
    }
    for (index, start) in starts.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1].line : file.lineCount + 1
      let first = start.marker == nil ? start.line : start.line + 1
      let markerLine = start.marker == nil ? nil : start.line
      guard start.marker?.kind == .prose else {
        cells.append(
          ScriptCell(kind: .code, markerLine: markerLine, title: start.marker?.title ?? "", lines: first..<end))
        continue
      }
      // What is no comment is code, wherever it stands.
      let code = (first..<end).first { !Script.isProse(file.text(ofLine: $0)) } ?? end
      cells.append(
        ScriptCell(kind: .prose, markerLine: markerLine, title: start.marker?.title ?? "", lines: first..<code))
      if code < end { cells.append(ScriptCell(kind: .code, markerLine: nil, title: "", lines: code..<end)) }
    }
    return cells
  }

  private func isInsideEntry(_ line: Int) -> Bool {
    entries.contains { $0.lines.lowerBound <= line && line <= $0.lines.upperBound }
  }

  /// Whether a line may stand in a cell of prose: a comment or nothing.
  package static func isProse(_ line: String) -> Bool {
    if line.allSatisfy(\.isWhitespace) { return true }
    return line.first == "#" && !isExpectation(line)
  }

  /// Whether a line is one of `#>`, `#~` and `#!`.
  package static func isExpectation(_ line: String) -> Bool { ExpectedLine(line, line: 1) != nil }

  /// The texts of a cell's lines, without the blank ones at its end.
  package func text(of cell: ScriptCell) -> [String] {
    var lines = cell.lines.map { file.text(ofLine: $0) }
    while let last = lines.last, last.allSatisfy(\.isWhitespace) { lines.removeLast() }
    return lines
  }

  /// The prose of a cell: its lines without `# `.
  package func prose(of cell: ScriptCell) -> [String] { text(of: cell).map(ScriptCell.prose) }

  /// Code of a cell in pieces: the lines down to an entry that something is shown for.
  package struct CodePart {
    /// Lines of code and comments; expectations are left out.
    package var lines: [Int] = []
    /// The entry whose output comes below.
    package var entry: Int?
  }

  /// Returns the pieces of a cell of code.
  ///
  /// - Parameter isShown: whether there is anything to show below an entry.
  package func parts(of cell: ScriptCell, where isShown: (Int) -> Bool) -> [CodePart] {
    let expectations = Set(entries.flatMap { $0.expectation.lines.map(\.line) })
    let ends = Dictionary(entries.enumerated().map { ($1.lines.upperBound, $0) }, uniquingKeysWith: { $1 })
    var parts: [CodePart] = []
    var part = CodePart()
    for line in cell.lines where !expectations.contains(line) {
      part.lines.append(line)
      if let entry = ends[line], isShown(entry) {
        part.entry = entry
        parts.append(part)
        part = CodePart()
      }
    }
    parts.append(part)
    func isBlank(_ line: Int) -> Bool { file.text(ofLine: line).allSatisfy(\.isWhitespace) }
    return parts.compactMap { part in
      var part = part
      part.lines = Array(part.lines.drop(while: isBlank))
      while let last = part.lines.last, isBlank(last) { part.lines.removeLast() }
      return part.lines.isEmpty ? nil : part
    }
  }
}

extension ScriptCell {
  /// A line of prose without its `# `.
  package static func prose(_ line: String) -> String {
    guard line.first == "#" else { return line }
    let text = line.dropFirst()
    return text.first == " " ? String(text.dropFirst()) : String(text)
  }

  /// The opposite.
  package static func comment(_ prose: String) -> String { prose.isEmpty ? "#" : "# " + prose }
}
