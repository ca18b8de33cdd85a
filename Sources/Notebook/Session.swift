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
  /// Inputs read so far, for the names of their sources: `<repl 3>`. A front end that numbers them itself sets it.
  package var inputCount = 0
  /// What inputs are called: `repl`, `cell`.
  package var inputKind = "repl"
  /// The last error, for `:explain`.
  package internal(set) var lastError: Diagnostic?

  /// - Parameter abstract: where given, programs are gone through without computing anything.
  package init(output: any Output, abstract: AbstractRun? = nil) {
    interpreter = Interpreter(output: output, abstract: abstract)
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

  /// What happened in one entry, or came at the end of several.
  package enum EntryOutcome {
    case finished
    /// Mistakes of its text, or the error that stopped it; not reported yet.
    case failed([Diagnostic])
    case interrupted(Diagnostic)
    case exited(Int)

    package var outcome: Outcome {
      switch self {
      case .finished: .finished
      case .failed: .failed
      case .interrupted: .interrupted
      case .exited(let code): .exited(code)
      }
    }
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

    /// Makes what an entry assigns unknown to an abstract run.
    func forgetNames(of entry: Script.Entry) { for index in entry.statements { statements[index].forgetNames() } }

    /// The place of an entry's first statement.
    func site(of entry: Script.Entry) -> Site? { entry.statements.first.map { statements[$0].statement.site } }

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
    let end = runToEnd(prepared)
    switch end {
    case .failed(let errors): errors.forEach(output.report)
    case .interrupted(let diagnostic): output.report(diagnostic)
    case .finished, .exited: break
    }
    return end.outcome
  }

  /// Does the same, and hands over what stopped it instead of reporting it.
  ///
  /// - Parameter observe: is told of each entry that was run, and of those with mistakes of a script that was refused.
  package func runToEnd(
    _ prepared: PreparedScript, observe: (Script.Entry, EntryOutcome) -> Void = { _, _ in }
  ) -> EntryOutcome {
    let mistakes = prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      lastError = mistakes.last
      for entry in prepared.script.entries {
        let mistakes = prepared.mistakes(in: entry)
        if !mistakes.isEmpty { observe(entry, .failed(mistakes)) }
      }
      return .failed(mistakes)
    }
    for entry in prepared.script.entries {
      let outcome = run(entry, of: prepared)
      observe(entry, outcome)
      switch outcome {
      case .finished: continue
      case .failed(let errors):
        lastError = errors.last
        if !entry.expectation.allows(errors) { return .failed(errors) }
        errors.forEach(output.report)
      case .interrupted(let diagnostic): return .interrupted(diagnostic)
      case .exited(let code): return .exited(code)
      }
    }
    return .finished
  }

  /// Runs one entry, echoing the values of its expressions. One with mistakes is not run.
  package func run(_ entry: Script.Entry, of prepared: PreparedScript) -> EntryOutcome {
    let mistakes = prepared.mistakes(in: entry)
    if !mistakes.isEmpty { return .failed(mistakes) }
    for index in entry.statements {
      do throws(Failure) {
        if let value = try interpreter.run(prepared.statements[index]) {
          echo(value, isLast: index == prepared.statements.count - 1)
        }
      } catch {
        return outcome(of: error)
      }
    }
    return .finished
  }

  /// How a statement of an abstract run ended.
  enum AbstractOutcome {
    case finished
    case failed(Diagnostic)
    /// The program ends here.
    case ended
    /// The time is over.
    case abandoned
  }

  func outcome(ofStatement index: Int, in prepared: PreparedScript) -> AbstractOutcome {
    do throws(Failure) {
      if let value = try interpreter.run(prepared.statements[index]) {
        interpreter.define(Session.lastValueName, value, in: interpreter.main)
      }
      return .finished
    } catch {
      switch error.kind {
      case .diagnostic: return .failed(error.diagnostic)
      case .exit: return .ended
      case .unchecked: return .finished
      case .interrupted, .abandoned: return .abandoned
      }
    }
  }

  private func outcome(of failure: Failure) -> EntryOutcome {
    switch failure.kind {
    case .diagnostic: .failed([failure.diagnostic])
    case .interrupted: .interrupted(failure.diagnostic)
    case .exit(let code): .exited(code)
    // Of abstract runs, which are no sessions.
    case .unchecked, .abandoned: .failed([failure.diagnostic])
    }
  }

  // MARK: - Values

  private func echo(_ value: Value, isLast: Bool) {
    output.echo(value, as: interpreter.display(value), isLast: isLast)
    interpreter.define(Session.lastValueName, value, in: interpreter.main)
    outputs?.keep(value, number: inputCount)
  }

  /// The values of inputs by their numbers, where a person types them.
  private var outputs: KeptOutputs?

  /// Keeps the values of inputs from now on, under the name `Out`.
  func keepOutputs() {
    let outputs = KeptOutputs(interpreter)
    interpreter.define(KeptOutputs.name, .object(outputs), in: interpreter.main)
    self.outputs = outputs
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
    if outputs != nil { keepOutputs() }
  }

  // MARK: - Inputs

  /// Makes a source of the next text typed in.
  package func makeInput(_ text: String) -> SourceFile {
    inputCount += 1
    return SourceFile(name: "<\(inputKind) \(inputCount)>", text: text)
  }

  /// Runs a text without echoing, and returns the value of its last statement; for `:type` and its kin.
  ///
  /// Where it does not finish there is no value, and the outcome says why: nothing is reported.
  package func evaluate(_ file: SourceFile) -> (value: Value?, outcome: EntryOutcome) {
    let prepared = prepare(Script(file))
    let mistakes = prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      lastError = mistakes.last
      return (nil, .failed(mistakes))
    }
    var value: Value?
    let outcome = runSilently(prepared) { value = $0 }
    if case .finished = outcome { return (value, outcome) }
    if case .failed(let errors) = outcome { lastError = errors.last }
    return (nil, outcome)
  }

  /// Runs all statements without echoing or reporting.
  ///
  /// - Parameter take: is handed the value of each, nil where it has none.
  func runSilently(_ prepared: PreparedScript, take: (Value?) -> Void = { _ in }) -> EntryOutcome {
    for statement in prepared.statements {
      do throws(Failure) {
        if let first = statement.diagnostics.first(where: { $0.severity == .error }) { return .failed([first]) }
        take(try interpreter.run(statement))
      } catch {
        return outcome(of: error)
      }
    }
    return .finished
  }

  /// Evaluates an expression without a word, whatever comes of it.
  func valueQuietly(of file: SourceFile) -> Value? {
    let outer = (output, lastError)
    output = SilentOutput()
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
