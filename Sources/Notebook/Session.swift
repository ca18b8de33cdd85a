import Interpreter
import Support
import Syntax

/// One conversation with the language: an interpreter and the scripts, cells and expressions it was given.
///
/// Batch runs, piped programs, the terminal and the tests all run through here, so that they say the same.
package final class Session {
  package let interpreter: Interpreter
  /// Where a run's words go.
  package var output: any Output {
    get { interpreter.output }
    set { interpreter.output = newValue }
  }
  /// Inputs read so far, for the names of their sources: `<repl 3>`.
  private var inputCount = 0
  /// The last error, for `:explain`.
  package private(set) var lastError: Diagnostic?

  package init(output: any Output) {
    interpreter = Interpreter(output: output)
    forgetLastValue()
  }

  /// How a run ended.
  package enum Outcome: Equatable, Sendable {
    case finished
    /// An error that no `#!` line expects; it has been reported.
    case failed
    case interrupted
    /// The program called `exit(code)`.
    case exited(Int)

    /// What a process that ends so returns to its shell.
    package var exitCode: Int32 {
      switch self {
      case .finished: 0
      case .failed: 1
      case .interrupted: 130
      case .exited(let code): Int32(truncatingIfNeeded: code)
      }
    }
  }

  /// What happened in one entry.
  package enum EntryOutcome {
    case finished
    /// Mistakes of its text, or the error that stopped it; not reported yet.
    case failed([Diagnostic])
    case interrupted(Diagnostic)
    case exited(Int)
  }

  // MARK: - Scripts

  /// A script whose names are resolved: ready to run entry by entry.
  package struct PreparedScript {
    package let script: Script
    fileprivate let statements: [CompiledStatement]

    /// Returns the mistakes of an entry that are known before it runs.
    package func mistakes(in entry: Script.Entry) -> [Diagnostic] {
      (entry.mistakes + statements[entry.statements].flatMap(\.diagnostics)).filter {
        $0.severity == .error
      }
    }

    /// The mistakes that no `#!` line expects. A script that has some does not start.
    package var unexpectedMistakes: [Diagnostic] {
      script.entries.flatMap { entry -> [Diagnostic] in
        let mistakes = mistakes(in: entry)
        return entry.expectation.allows(mistakes) ? [] : mistakes
      }
    }
  }

  package func prepare(_ script: Script) -> PreparedScript {
    PreparedScript(script: script, statements: interpreter.compile(script.program))
  }

  /// Runs a program from its text: refuses it whole if it has mistakes that are not expected, then goes entry by entry
  /// until the first error that is not expected.
  package func run(_ file: SourceFile) -> Outcome { run(prepare(Script(file))) }

  package func run(_ prepared: PreparedScript) -> Outcome {
    let mistakes = prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      mistakes.forEach(report)
      return .failed
    }
    for entry in prepared.script.entries {
      switch run(entry, of: prepared) {
      case .finished: continue
      case .failed(let errors):
        errors.forEach(report)
        if !entry.expectation.allows(errors) { return .failed }
      case .interrupted(let diagnostic):
        output.report(diagnostic)
        return .interrupted
      case .exited(let code): return .exited(code)
      }
    }
    return .finished
  }

  /// Runs one entry, echoing the values of its expressions. One with mistakes is not run.
  package func run(_ entry: Script.Entry, of prepared: PreparedScript) -> EntryOutcome {
    let mistakes = prepared.mistakes(in: entry)
    if !mistakes.isEmpty { return .failed(mistakes) }
    for statement in prepared.statements[entry.statements] {
      do throws(Failure) {
        if let value = try interpreter.run(statement) { echo(value) }
      } catch {
        switch error.kind {
        case .diagnostic: return .failed([error.diagnostic])
        case .interrupted: return .interrupted(error.diagnostic)
        case .exit(let code): return .exited(code)
        }
      }
    }
    return .finished
  }

  private func report(_ error: Diagnostic) {
    lastError = error
    output.report(error)
  }

  // MARK: - Values

  private func echo(_ value: Value) {
    output.write(interpreter.display(value) + "\n")
    interpreter.define(Session.lastValueName, value, in: interpreter.main)
  }

  /// Names the last echoed value.
  package static let lastValueName = "_"

  private func forgetLastValue() {
    interpreter.define(Session.lastValueName, .none, in: interpreter.main)
  }

  /// Forgets all names, values and inputs.
  package func reset() {
    interpreter.reset()
    interpreter.inputs = [:]
    interpreter.usedInputs = []
    forgetLastValue()
  }

  // MARK: - Inputs

  /// Makes a source of the next text typed in.
  package func makeInput(_ text: String) -> SourceFile {
    inputCount += 1
    return SourceFile(name: "<repl \(inputCount)>", text: text)
  }

  /// Runs a text without echoing, and returns the value of its last statement; for `:type` and its kin.
  ///
  /// An error is reported; then there is no value, and the outcome says why.
  package func evaluate(_ file: SourceFile) -> (value: Value?, outcome: Outcome) {
    let prepared = prepare(Script(file))
    let mistakes = prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      mistakes.forEach(report)
      return (nil, .failed)
    }
    var value: Value?
    for statement in prepared.statements {
      do throws(Failure) {
        value = try interpreter.run(statement)
      } catch {
        if case .exit(let code) = error.kind { return (nil, .exited(code)) }
        report(error.diagnostic)
        if case .interrupted = error.kind { return (nil, .interrupted) }
        return (nil, .failed)
      }
    }
    return (value, .finished)
  }

  /// Evaluates an expression without a word, whatever comes of it.
  func valueQuietly(of file: SourceFile) -> Value? {
    let outer = (output, lastError)
    output = Recorder()
    defer { (output, lastError) = outer }
    return evaluate(file).value
  }

  /// Gives values from the command line to the `input` declarations of a script.
  ///
  /// - Returns: a diagnostic for each that the script does not declare.
  package func setInputs(_ inputs: [(key: String, value: String)], for script: Script) -> [Diagnostic] {
    let known = script.inputNames
    var mistakes: [Diagnostic] = []
    for (key, value) in inputs {
      if known.contains(key) {
        interpreter.inputs[key] = value
      } else {
        let suggestion = didYouMean(key, among: known).map { "did you mean `\($0)`?" }
        mistakes.append(
          Diagnostic(
            .error, "unknown-input", "\(script.file.name) has no input `\(key)`", at: nil,
            notes: known.isEmpty ? ["it declares none"] : ["it has \(known.joined(separator: ", "))"],
            help: suggestion))
      }
    }
    return mistakes
  }
}
