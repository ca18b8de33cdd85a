import Interpreter
import Support
import Syntax

/// One run of a script, with what each of its entries said: what `gradus doc` and `gradus export` show.
///
/// It runs as in `gradus test`: with the inputs that the script's header asks for, unless others are given.
package struct RecordedRun {
  package let script: Script
  /// By entry, in order; those after the end of the run said nothing.
  package private(set) var entries: [EntryRecord]
  /// How the run ended. Errors that stopped it are in the record of their entry too.
  package private(set) var end: Session.EntryOutcome = .finished
  /// Whether it ran at all: a script with mistakes that it does not expect is refused.
  package private(set) var hasStarted = false
  /// The entries that ran, the one that stopped it included.
  private var ranCount = 0

  /// What one entry said, and what was known of the names in it.
  package struct EntryRecord {
    package fileprivate(set) var pieces: [Piece] = []
    /// What names held, by the place where they are written.
    package fileprivate(set) var descriptions: [Site: String] = [:]

    /// The lines written, values included.
    var printed: [String] {
      var text = ""
      for piece in pieces {
        switch piece {
        case .text(let piece): text += piece
        case .value(let value): text += value.text + "\n"
        case .diagnostic: break
        }
      }
      var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      // The newline at the end begins no line.
      if lines.last?.isEmpty == true { lines.removeLast() }
      return lines
    }

    var diagnostics: [Diagnostic] {
      pieces.compactMap { if case .diagnostic(let diagnostic) = $0 { diagnostic } else { nil } }
    }
  }

  package enum Piece {
    /// What was written, newlines included.
    case text(String)
    case value(ShownValue)
    case diagnostic(Diagnostic)
  }

  /// Runs a script.
  ///
  /// - Parameters:
  ///   - inputs: values for its inputs that go before those of its header.
  ///   - front: where progress is shown and questions are asked.
  ///   - describesNames: whether to note what names hold.
  package init(
    of script: Script, inputs: [(key: String, value: String)], front: any Output, describesNames: Bool = false
  ) {
    self.script = script
    entries = script.entries.map { _ in EntryRecord() }
    let listener = Listener(front)
    let session = Session(output: listener)
    listener.interpreter = session.interpreter
    let prepared = session.prepare(script)
    let mistakes = session.setInputs(script.header.inputs + inputs, for: script) + prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      end = .failed(mistakes)
      return
    }
    hasStarted = true
    for (index, entry) in script.entries.enumerated() {
      let uses = describesNames ? script.program.statements[entry.statements].flatMap(globalNameUses) : []
      let before = uses.map { use in use.isBinding ? nil : session.briefDescription(of: use.name) }
      var outcome = session.run(entry, of: prepared)
      var pieces = listener.take()
      if case .failed(let errors) = outcome {
        pieces += errors.map { .diagnostic($0) }
        if entry.expectation.allows(errors) { outcome = .finished }
      }
      entries[index].pieces = pieces
      ranCount += 1
      for (use, known) in zip(uses, before) {
        entries[index].descriptions[use.site] = known ?? session.briefDescription(of: use.name)
      }
      guard case .finished = outcome else {
        end = outcome
        return
      }
    }
  }

  /// Returns the script with its expected lines as this run would have them.
  ///
  /// A line that agrees with what was printed stays as it is written, decimals and `...` included. `#~` lines show this run.
  package func filledScript() -> [UInt8] {
    var edits = LineEdits()
    let file = script.file
    for (entry, record) in zip(script.entries, entries.prefix(ranCount)) {
      let printed = record.printed
      let check = Check(
        lines: entry.lines, in: file, code: [], expectation: entry.expectation, printed: printed,
        diagnostics: record.diagnostics, extent: .everything)
      check.fill(&edits, printed: printed)
    }
    return edits.applied(to: file)
  }

}

/// A value that was echoed, as files can show it.
package struct ShownValue: Sendable {
  /// As in the terminal.
  package let text: String
  /// A drawing, where it has one.
  package let svg: String?
  /// A table, where it has one.
  package let html: String?

  /// - Parameter interpreter: makes tables; nil for none.
  package init(_ value: Value, as text: String, by interpreter: Interpreter?) {
    self.text = text
    if case .object(let object) = value { svg = object.svg } else { svg = nil }
    html = interpreter?.html(of: value)
  }
}

/// Keeps what is said in order. Progress and questions go on to whoever started the run.
private final class Listener: Output {
  private let front: any Output
  /// Makes tables of values. It holds this listener.
  weak var interpreter: Interpreter?
  private var pieces: [RecordedRun.Piece] = []

  init(_ front: any Output) { self.front = front }

  func write(_ text: String) {
    if case .text(let before)? = pieces.last {
      pieces[pieces.count - 1] = .text(before + text)
    } else {
      pieces.append(.text(text))
    }
  }

  func report(_ diagnostic: Diagnostic) { pieces.append(.diagnostic(diagnostic)) }
  func echo(_ value: Value, as text: String, isLast: Bool) { pieces.append(.value(ShownValue(value, as: text, by: interpreter))) }
  func show(_ progress: Progress) { front.show(progress) }
  func ask(_ prompt: String) -> Answer { front.ask(prompt) }

  func take() -> [RecordedRun.Piece] {
    defer { pieces = [] }
    return pieces
  }
}
