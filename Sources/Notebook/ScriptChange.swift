import Support
import Syntax

extension Script {
  /// Returns the first entry that another version of the script does not share; nil where all are shared.
  ///
  /// Statements are compared by their syntax trees: comments, space and expected output do not count. Expected errors do,
  /// since a script goes on after them.
  package func firstChange(from old: Script) -> Int? {
    let shared = min(entries.count, old.entries.count)
    return (0..<shared).first { meaning(of: entries[$0]) != old.meaning(of: old.entries[$0]) }
      ?? (entries.count == old.entries.count ? nil : shared)
  }

  private func meaning(of entry: Entry) -> [String] {
    let statements = program.statements[entry.statements].map { statement in
      dump(Program(file: file, statements: [statement]))
    }
    let mistakes = entry.mistakes.isEmpty ? [] : entry.lines.map { file.text(ofLine: $0) }
    let expected = entry.expectation.diagnostics.map { "#! \($0.heading.severity.rawValue)[\($0.heading.code)]" }
    return statements + mistakes + expected
  }

  /// The entries at which a run can begin anew: the first of each cell. Where there are no cells, each entry is one.
  package var borders: [Int] {
    let cells = cells.filter { $0.kind == .code }
    if !cells.contains(where: { $0.markerLine != nil }) { return Array(entries.indices) }
    return cells.compactMap { cell in entries.firstIndex { cell.lines.contains($0.lines.lowerBound) } }
  }

  /// The first entry that takes in another file.
  package var firstUse: Int? {
    entries.firstIndex { entry in
      program.statements[entry.statements].contains { if case .use = $0.kind { true } else { false } }
    }
  }
}
