import Interpreter
import Support

/// Passes a program's words on, and keeps them for the record of the session.
final class RecordingOutput: Output {
  private let target: any Output
  private let recorder = Recorder()
  private var hasValue = false

  init(_ target: any Output) { self.target = target }

  func write(_ text: String) {
    recorder.write(text)
    target.write(text)
  }

  func report(_ diagnostic: Diagnostic) {
    recorder.report(diagnostic)
    target.report(diagnostic)
  }

  func echo(_ value: Value, as text: String, isLast: Bool) {
    recorder.write(text + "\n")
    hasValue = true
    target.echo(value, as: text, isLast: isLast)
  }

  func show(_ progress: Progress) { target.show(progress) }
  func ask(_ prompt: String) -> Answer { target.ask(prompt) }

  /// Returns what was said since the last call, and whether a value was echoed.
  func take() -> (lines: [String], diagnostics: [Diagnostic], hasValue: Bool) {
    defer { hasValue = false }
    let (lines, diagnostics) = recorder.take()
    return (lines, diagnostics, hasValue)
  }
}

/// Hears nothing.
final class SilentOutput: Output {
  func write(_ text: String) {}
  func report(_ diagnostic: Diagnostic) {}
}
