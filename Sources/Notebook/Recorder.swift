import Interpreter
import Support

/// Keeps what a program says, for tests.
package final class Recorder: Output {
  private var text = ""
  private var reported: [Diagnostic] = []

  package init() {}
  package func write(_ text: String) { self.text += text }
  package func report(_ diagnostic: Diagnostic) { reported.append(diagnostic) }

  /// Returns the lines written and the diagnostics reported since the last call.
  package func take() -> (lines: [String], diagnostics: [Diagnostic]) {
    defer { (text, reported) = ("", []) }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    // The newline at the end begins no line.
    if lines.last?.isEmpty == true { lines.removeLast() }
    return (lines, reported)
  }
}
