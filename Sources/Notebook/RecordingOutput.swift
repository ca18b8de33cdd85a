import Formats
import Interpreter
import Support

/// Passes a program's words on, and keeps them with the input that they came from: a session can be saved as a script
/// whose outputs are its tests.
package final class RecordingOutput: Output {
  private let target: any Output
  private let recorder = Recorder()
  private var pieces: [String] = []

  package init(_ target: any Output) { self.target = target }

  package func write(_ text: String) {
    recorder.write(text)
    target.write(text)
  }

  package func report(_ diagnostic: Diagnostic) {
    recorder.report(diagnostic)
    target.report(diagnostic)
  }

  package func echo(_ value: Value, as text: String, isLast: Bool) {
    recorder.write(text + "\n")
    target.echo(value, as: text, isLast: isLast)
  }

  package func show(_ progress: Progress) { target.show(progress) }
  package func ask(_ prompt: String) -> Answer { target.ask(prompt) }

  /// Keeps `input`, what `body` says while it runs, and what it ends in.
  package func record(_ input: String, _ body: () -> Session.EntryOutcome) -> Session.EntryOutcome {
    _ = recorder.take()
    let outcome = body()
    var (lines, diagnostics) = recorder.take()
    switch outcome {
    // What was stopped half way has no outcome to expect.
    case .interrupted: return outcome
    case .failed(let errors): diagnostics += errors
    case .finished, .exited: break
    }
    // Expectations that came with a pasted input are replaced by what it printed here.
    var kept = input.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
      ExpectedLine(String(line), line: 1).map { $0.kind == .shown } ?? true
    }.map(String.init)
    kept += lines.map { Check.Style.script.line(.output, $0) }
    for diagnostic in diagnostics where diagnostic.severity == .error {
      kept.append(
        Check.Style.script.line(.error, "\(diagnostic.severity.rawValue)[\(diagnostic.code)]: \(diagnostic.message)"))
    }
    pieces.append(kept.joined(separator: "\n"))
    return outcome
  }

  /// Writes the session as a script.
  package func save(to path: String) throws {
    try writeAtomically(Array((pieces.joined(separator: "\n") + "\n").utf8), to: path)
  }
}
