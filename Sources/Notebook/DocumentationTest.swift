import Interpreter
import Support

/// Runs the examples in the help pages of everything built in.
package struct DocumentationTest {
  let color: Bool

  package init(color: Bool) { self.color = color }

  package func run() -> GoldenTest.Report {
    var report = GoldenTest.Report()
    let recorder = Recorder()
    let session = Session(output: recorder)
    for name in session.interpreter.main.visibleNames {
      guard case .callable(let callable)? = session.interpreter.value(of: name) else { continue }
      session.reset()
      let page = SourceFile(name: "help \(name)", text: callable.documentation)
      for example in DocumentationExample.examples(inDocumentation: callable.documentation) {
        guard let check = example.check(in: page, session, recorder) else {
          report.isInterrupted = true
          return report
        }
        if check.passes {
          report.passed += 1
        } else {
          report.fail(check.diff(fileName: page.name, color: color))
        }
      }
    }
    return report
  }
}

extension DocumentationExample {
  /// Runs the example and compares; nil where it was interrupted.
  func check(in page: SourceFile, _ session: Session, _ recorder: Recorder) -> Check? {
    let source = SourceFile(name: "<example>", text: code)
    let outcome = session.run(source)
    let (printed, diagnostics) = recorder.take()
    if outcome == .interrupted { return nil }
    return Check(
      lines: line...lastLine, in: source, code: (line...lastLine).map { page.text(ofLine: $0) },
      expectation: expectation, style: .documentation(margin: margin), printed: printed,
      diagnostics: diagnostics, extent: .unexpected)
  }
}
