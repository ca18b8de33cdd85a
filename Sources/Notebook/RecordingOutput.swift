import Interpreter
import Support

/// Passes a program's words on, and keeps them for the record of the session.
final class RecordingOutput: Output {
  private let target: any Output
  private let recorder = Recorder()
  private var hasValue = false
  private var byteCount = 0
  /// What an entry prints beyond this is not kept.
  private static let byteLimit = 1 << 15

  init(_ target: any Output) { self.target = target }

  func write(_ text: String) {
    keep(text)
    target.write(text)
  }

  private func keep(_ text: String) {
    byteCount += text.utf8.count
    if byteCount <= RecordingOutput.byteLimit { recorder.write(text) }
  }

  func report(_ diagnostic: Diagnostic) {
    recorder.report(diagnostic)
    target.report(diagnostic)
  }

  func echo(_ value: Value, as text: String, isLast: Bool) {
    keep(text + "\n")
    hasValue = true
    target.echo(value, as: text, isLast: isLast)
  }

  func show(_ progress: Progress) { target.show(progress) }
  func ask(_ prompt: String) -> Answer { target.ask(prompt) }

  /// What an entry said.
  struct Taken {
    let lines: [String]
    /// Whether there was too much to keep all of it.
    let isCut: Bool
    let diagnostics: [Diagnostic]
    /// Whether it ended in a value.
    let hasValue: Bool
  }

  /// Returns what was said since the last call.
  func take() -> Taken {
    defer { (hasValue, byteCount) = (false, 0) }
    let (lines, diagnostics) = recorder.take()
    return Taken(
      lines: lines, isCut: byteCount > RecordingOutput.byteLimit, diagnostics: diagnostics, hasValue: hasValue)
  }
}

/// Hears nothing.
package final class SilentOutput: Output {
  package init() {}
  package func write(_ text: String) {}
  package func report(_ diagnostic: Diagnostic) {}
}
