import Notebook
import Support

/// A program run in a fresh session, and what came of it.
struct ScriptRun: Sendable {
  let outcome: Session.Outcome
  let lines: [String]
  let diagnostics: [Diagnostic]

  init(_ text: String, name: String = "test.nn") {
    self = runOnLargeStack {
      let recorder = Recorder()
      let outcome = Session(output: recorder).run(SourceFile(name: name, text: text))
      let (lines, diagnostics) = recorder.take()
      return ScriptRun(outcome: outcome, lines: lines, diagnostics: diagnostics)
    }
  }

  private init(outcome: Session.Outcome, lines: [String], diagnostics: [Diagnostic]) {
    self.outcome = outcome
    self.lines = lines
    self.diagnostics = diagnostics
  }

  var codes: [String] { diagnostics.map(\.code) }
  var messages: String { diagnostics.map { render($0, color: false) }.joined(separator: "\n") }
}
