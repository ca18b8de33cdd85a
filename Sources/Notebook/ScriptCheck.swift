import Glibc
import Interpreter
import Support
import Syntax

/// A script gone through without computing anything: its names, its shapes and the memory of its steps.
///
/// It has an interpreter of its own, so that whoever runs the script afterwards finds nothing changed.
package final class ScriptCheck {
  /// What a check is for.
  package enum Purpose {
    /// All that can be said, the memory of steps with it.
    case report
    /// A run that is about to begin: only errors that it would certainly come to, found quickly or not at all.
    case run
    /// An editor, which shows what names stand for.
    case editor
  }

  /// What came of it.
  package struct Report {
    /// Errors that no `#!` line expects, in the order of the program.
    package var mistakes: [Diagnostic] = []
    /// Those among them that every run comes to.
    package var certain: [Diagnostic] = []
    /// Errors that a `#!` line expects and that cannot come.
    package var unfulfilled: [Diagnostic] = []
    /// Entries that expect errors, by their first lines: the codes, and what the check came to; nil where it is left to a run.
    package var expectedErrors: [(line: Int, codes: [String], found: String?)] = []
    package var unchecked: [Diagnostic] = []
    package var steps: [AbstractRun.PlannedStep] = []
    package var meanings: [AbstractRun.Meaning] = []
    /// Whether the time was over before the program was.
    package var isIncomplete = false

    package init() {}
  }

  package let session: Session
  private let run: AbstractRun
  private let script: Script

  /// - Parameters:
  ///   - inputs: values for the script's inputs; those that it does not declare are passed over.
  ///   - isTimed: whether it gives up when it has taken longer than its purpose allows.
  package init(
    _ script: Script, inputs: [(key: String, value: String)] = [], purpose: Purpose, isTimed: Bool = true
  ) {
    self.script = script
    let seconds: Double =
      switch purpose {
      case .report: 30
      case .run: 0.25
      case .editor: 2
      }
    run = AbstractRun(plansSteps: purpose == .report, notesMeanings: purpose == .editor, isInHaste: purpose == .run, seconds: isTimed ? seconds : nil)
    session = Session(output: SilentOutput(), abstract: run)
    _ = session.setInputs(inputs, for: script)
  }

  deinit { session.interpreter.dismantle() }

  /// Looks for files of data beside the script too, as editors do not say where a run will begin.
  package func readsData(beside path: String) {
    let folder = String(path.dropLast(lastPathComponent(path).count))
    session.interpreter.resolveDataPath = { name, _ in
      name.hasPrefix("/") || access(name, F_OK) == 0 || access(folder + name, F_OK) != 0 ? name : folder + name
    }
  }

  package func report() -> Report {
    let prepared = session.prepare(script)
    var report = Report()
    var certain = Set<Int>()
    /// Where elements decide whether a run comes to them, they may be what the program guards against.
    var uncertain: [Diagnostic] = []
    func add(_ diagnostics: [Diagnostic], areCertain: Bool) {
      for diagnostic in diagnostics {
        if areCertain { certain.insert(report.mistakes.count) }
        report.mistakes.append(diagnostic)
      }
    }
    entries: for entry in script.entries {
      let mistakes = prepared.mistakes(in: entry)
      let expectation = entry.expectation
      let expected = expectation.diagnostics.filter { $0.heading.severity == .error }.map(\.heading.code)
      if !mistakes.isEmpty {
        // An entry with mistakes is not run.
        if !expectation.allows(mistakes) { add(mistakes, areCertain: true) }
        if !expected.isEmpty { report.expectedErrors.append((entry.lines.lowerBound, expected, mistakes[0].code)) }
        if expected.isEmpty { prepared.forgetNames(of: entry) }
        continue
      }
      run.expectsErrors = !expected.isEmpty
      let (findings, unchecked) = (run.findings.count, run.unchecked.count)
      var error: Diagnostic?
      statements: for index in entry.statements {
        switch session.outcome(ofStatement: index, in: prepared) {
        case .finished: continue
        case .failed(let diagnostic):
          error = diagnostic
          break statements
        case .ended:
          add(run.findings[findings...].map(\.diagnostic), areCertain: true)
          break entries
        case .abandoned:
          report.isIncomplete = true
          break
        }
        if report.isIncomplete { break }
      }
      for finding in run.findings[findings...] {
        if !finding.isCertain, ScriptCheck.isOfRuns(finding.diagnostic.code) {
          uncertain.append(finding.diagnostic)
        } else {
          add([finding.diagnostic], areCertain: finding.isCertain)
        }
      }
      if report.isIncomplete { break }
      guard run.expectsErrors else { continue }
      report.expectedErrors.append((entry.lines.lowerBound, expected, error?.code))
      // Where another error than the expected one is found, a run may come to that one first.
      if error == nil {
        // What it assigns, a run does not.
        prepared.forgetNames(of: entry)
        if run.unchecked.count == unchecked, run.isCertain, expected.allSatisfy(ScriptCheck.isDecided) {
          report.unfulfilled.append(
            Diagnostic(
              .error, "no-error", "an error is expected here, `\(expected[0])`, and there is none",
              at: prepared.site(of: entry), help: "take the `#!` line away"))
        }
      }
    }
    if report.isIncomplete { report.unfulfilled = [] }
    report.certain = report.mistakes.indices.filter { certain.contains($0) }.map { report.mistakes[$0] }
    report.unchecked = run.unchecked + uncertain
    report.steps = run.steps
    report.meanings = run.meanings
    return report
  }

  /// Whether an error is one of numbers, asserts, files or limits, rather than of names and shapes.
  fileprivate static func isOfRuns(_ code: String) -> Bool {
    let codes: Set<String> = [
      "assertion-failed", "division-by-zero", "index-out-of-range", "integer-overflow", "out-of-memory",
      "recursion-too-deep", "nesting-too-deep", "no-answer", "interrupted", "internal", "torn-model", "bad-input",
      "gradient-mismatch", "circular-use",
    ]
    return codes.contains(code) || code.hasPrefix("file-")
  }

  /// Codes of errors that depend on no element, so that a check sees every one of them.
  private static func isDecided(_ code: String) -> Bool {
    ["shape-mismatch", "unknown-name", "unknown-argument", "too-many-arguments", "missing-argument", "duplicate-argument",
      "unknown-member", "unknown-policy", "bad-axis", "ragged-list", "not-callable", "bad-unpack"].contains(code)
  }
}

extension ScriptCheck.Report {
  /// The mistakes of names and shapes for which a script is refused before it runs.
  ///
  /// Not those of numbers, asserts and files: a script may be meant to come to them, and what it prints before is wanted.
  package var refusals: [Diagnostic] {
    certain.filter { !ScriptCheck.isOfRuns($0.code) }
  }
}

// MARK: - In words

extension ScriptCheck.Report {
  /// What is said of a script after its errors: the memory of its steps, and what was left unchecked.
  package func summary(of path: String, mistakeCount: Int) -> String {
    var lines = ["\(path): " + (mistakeCount == 0 ? "no mistakes found" : "\(mistakeCount) \(mistakeCount == 1 ? "mistake" : "mistakes")")]
    if !steps.isEmpty {
      lines.append("  memory at the peak of each step, planned:")
      let calls = steps.map { "\($0.name)(\($0.arguments.joined(separator: ", ")))" }
      let width = min(calls.map(\.count).max() ?? 0, 60)
      for (call, step) in zip(calls, steps) {
        let gap = String(repeating: " ", count: max(0, width - call.count))
        lines.append("    \(call)\(gap)  \(byteText(step.peak)), \(byteText(step.total)) with scratch")
      }
    }
    if isIncomplete { lines.append("  it was not gone through to its end: the time was over") }
    if !unchecked.isEmpty {
      lines.append("  left unchecked:")
      let shown = unchecked.prefix(12)
      for note in shown { lines.append("    line \(note.site?.line ?? 0): \(note.message)") }
      if unchecked.count > shown.count { lines.append("    and \(unchecked.count - shown.count) more places") }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
