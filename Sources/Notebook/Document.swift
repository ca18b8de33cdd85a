import Interpreter
import Support
import Syntax

/// A script and what stands below its entries, to be written as a page, a text or a notebook.
package struct Document {
  package let script: Script
  package let cells: [ScriptCell]
  /// What is shown below each entry.
  package let outputs: [[CellOutput]]
  /// What names hold where they are written.
  let descriptions: [Site: String]

  /// With the outputs of a run.
  package init(_ run: RecordedRun) {
    script = run.script
    cells = run.script.cells
    outputs = zip(run.script.entries, run.entries).map { CellOutput.outputs(of: $0, $1, in: run.script.file) }
    descriptions = run.entries.reduce(into: [:]) { $0.merge($1.descriptions) { $1 } }
  }

  /// With the outputs that stand in the script.
  package init(asWritten script: Script) {
    self.script = script
    cells = script.cells
    outputs = script.entries.map { CellOutput.outputs(asWritten: $0.expectation) }
    descriptions = [:]
  }

  /// The name of its file.
  package var name: String { lastPathComponent(script.file.name) }

  /// Its first heading; where there is none, the name of its file.
  var title: String {
    for cell in cells {
      if !cell.title.isEmpty { return cell.title }
      if cell.kind == .prose, let heading = script.prose(of: cell).first(where: { $0.hasPrefix("#") }) {
        return String(heading.drop { $0 == "#" || $0 == " " })
      }
    }
    return name
  }

  package func parts(of cell: ScriptCell) -> [Script.CodePart] {
    script.parts(of: cell) { !outputs[$0].isEmpty }
  }

  package func text(of part: Script.CodePart) -> String {
    part.lines.map { script.file.text(ofLine: $0) }.joined(separator: "\n")
  }
}

/// What stands below an entry.
package enum CellOutput {
  /// Lines that were written; the newline at their end is left out.
  case text(String, isMeasured: Bool)
  case value(ShownValue, isMeasured: Bool)
  case warning(String)
  /// An error, and its text as the terminal has it.
  case error(code: String, message: String, text: String)

  static func outputs(
    of entry: Script.Entry, _ record: RecordedRun.EntryRecord, in file: SourceFile
  ) -> [CellOutput] {
    let isMeasured = entry.expectation.showsOutput && !entry.expectation.expectsOutput
    return record.pieces.map { piece in
      switch piece {
      case .text(let text): return .text(text.hasSuffix("\n") ? String(text.dropLast()) : text, isMeasured: isMeasured)
      case .value(let value): return .value(value, isMeasured: isMeasured)
      case .diagnostic(let diagnostic):
        // Where the file lies on this machine is nobody's business.
        let text = replacing(file.name, with: lastPathComponent(file.name), in: render(diagnostic, color: false))
        guard diagnostic.severity == .error else { return .warning(text) }
        return .error(code: diagnostic.code, message: diagnostic.message, text: text)
      }
    }
  }

  /// The lines of an expectation: those of one kind are one output.
  static func outputs(asWritten expectation: Expectation) -> [CellOutput] {
    var outputs: [CellOutput] = []
    var lines = expectation.lines[...]
    while let first = lines.first {
      var group = lines.prefix { $0.kind == first.kind }
      if first.kind == .error {
        let next = group.dropFirst().firstIndex { DiagnosticHeading($0.text) != nil } ?? group.endIndex
        group = group[..<next]
      }
      lines = lines[group.endIndex...]
      let text = group.map(\.text).joined(separator: "\n")
      switch first.kind {
      case .output: outputs.append(.text(text, isMeasured: false))
      case .shown: outputs.append(.text(text, isMeasured: true))
      case .error:
        if let heading = DiagnosticHeading(first.text), heading.severity == .error {
          outputs.append(.error(code: heading.code, message: heading.message ?? "", text: text))
        } else {
          outputs.append(.warning(text))
        }
      }
    }
    return outputs
  }
}
