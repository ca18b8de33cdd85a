import Formats
import Glibc
import Interpreter
import Support

/// Where a dialogue shows more than what programs say.
package protocol DialogueOutput: Output {
  /// A page that was asked for, such as one of help.
  func page(_ text: String)
  /// Takes away what was shown so far.
  func clear()
  /// Lets the person change a text in an editor; nil where there is none, with the reason.
  func edit(_ text: String) -> Result<String, Diagnostic>
  /// Lets the person change a file in an editor; what went wrong.
  func editFile(_ path: String) -> Diagnostic?
  /// Runs a command of the shell, its words shown as they come, and returns its exit code.
  func runShell(_ command: String) -> Int32
}

extension DialogueOutput {
  package func edit(_ text: String) -> Result<String, Diagnostic> { .failure(noEditor) }
  package func editFile(_ path: String) -> Diagnostic? { noEditor }
  private var noEditor: Diagnostic { Diagnostic(.error, "no-editor", "there is no editor to open here", at: nil) }

  package func runShell(_ command: String) -> Int32 { runInShell(command, hear: write) }
}

/// What people type: programs and commands. The terminal and notebooks share it, so that both understand the same.
package final class Dialogue {
  package let session: Session
  private let front: any DialogueOutput
  private let recording: RecordingOutput
  private var record = SessionRecord()
  private var provenance = Provenance()
  /// The programs that were typed, by their numbers.
  private var inputs: [Int: String] = [:]
  /// The file that was loaded last.
  private var loadedPath: String?

  package init(_ session: Session, _ front: any DialogueOutput) {
    self.session = session
    self.front = front
    recording = RecordingOutput(front)
    session.output = recording
    session.keepOutputs()
  }

  /// Runs an input. What stopped it is handed over, not reported.
  package func run(_ input: String) -> Session.EntryOutcome {
    let outcome = runAny(input)
    if case .failed(let errors) = outcome { session.lastError = errors.last }
    return outcome
  }

  private func runAny(_ input: String) -> Session.EntryOutcome {
    // Words such as `help` are commands as long as nobody gives the name to something.
    if session.interpreter.main.ownSlot(of: input.trimmedAtEnd) != nil { return runInput(input) }
    switch Command.parse(input) {
    case .command(let command, let argument): return run(command, argument)
    case .unknown(let name): return .failed([Command.unknown(name)])
    case nil: return runInput(input)
    }
  }

  /// Runs the file that a session begins with; it is part of the record.
  package func start(with path: String) -> Session.EntryOutcome {
    defer { loadedPath = nil }
    return load(path)
  }

  private func runInput(_ text: String) -> Session.EntryOutcome {
    let file = session.makeInput(text)
    inputs[session.inputCount] = text
    return runProgram(file)
  }

  private func runProgram(_ file: SourceFile) -> Session.EntryOutcome {
    _ = recording.take()
    let prepared = session.prepare(Script(file))
    let input = session.inputCount
    let outcome = session.runToEnd(prepared) { entry, outcome in
      record.add(entry, of: prepared, input: input, recording.take(), outcome)
      if case .finished = outcome { provenance.note(prepared.script.program.statements[entry.statements]) }
    }
    if case .finished = outcome { record.addEnd(of: prepared.script, input: input) }
    return outcome
  }

  // MARK: - Commands

  private func run(_ command: Command, _ argument: String) -> Session.EntryOutcome {
    switch command {
    case .browse: return browse(argument)
    case .clear: front.clear()
    case .edit: return edit(argument)
    case .explain: return explain(argument)
    case .help: return help(argument)
    case .mem: show(session.interpreter.memoryTable())
    case .quit: return .exited(0)
    case .reload:
      guard let loadedPath else { return refuse("no file has been loaded", help: "`\(Command.load.usage)` runs one") }
      return load(loadedPath)
    case .reset:
      session.reset()
      record.reset()
      provenance = Provenance()
    case .vars: show(session.interpreter.variableTable())
    case .bench, .load, .plan, .save, .shell, .source, .time, .type, .why:
      if argument.isEmpty { return refuse("it is `\(command.usage)`") }
      return run(command, on: argument)
    }
    return .finished
  }

  /// Runs a command that is nothing without its argument.
  private func run(_ command: Command, on argument: String) -> Session.EntryOutcome {
    switch command {
    case .bench: return bench(argument)
    case .load: return load(unquoted(argument))
    case .plan: return plan(argument)
    case .save: return save(argument)
    case .source: return source(argument)
    case .time: return time(argument)
    case .type: return type(argument)
    case .why: return why(argument)
    case .shell:
      let code = front.runShell(argument)
      if Interpreter.isInterrupted {
        return .interrupted(Diagnostic(.error, "interrupted", "interrupted", at: nil))
      }
      if code != 0 { show("exit code \(code)") }
    default: break
    }
    return .finished
  }

  private func refuse(_ message: String, help: String? = nil) -> Session.EntryOutcome {
    .failed([Diagnostic(.error, "bad-command", message, at: nil, help: help)])
  }

  /// Writes lines that are no output of a program.
  private func show(_ text: String) { if !text.isEmpty { front.write(text + "\n") } }

  // MARK: Looking up

  private func help(_ name: String) -> Session.EntryOutcome {
    if name.isEmpty {
      front.page("\(HelpTopic.named("commands")?.text ?? "")\n\n\(session.helpIndex())")
    } else if let page = session.helpPage(of: name) ?? session.helpPage(at: name.utf8.count, in: name) {
      front.page(page)
    } else {
      return .failed([session.unknownHelp(name)])
    }
    return .finished
  }

  private func source(_ name: String) -> Session.EntryOutcome {
    guard let value = session.valueOfPath(name) else { return .failed([session.unknownHelp(name, "nothing is called")]) }
    if let text = session.source(of: value) {
      front.page(text)
    } else if case .callable = value {
      front.page(session.page(of: name, value) + "\n\n  built in: it has no source in the language")
    } else {
      return why(name)
    }
    return .finished
  }

  private func browse(_ prefix: String) -> Session.EntryOutcome {
    let lines = session.browse(prefix)
    if lines.isEmpty { return .failed([session.unknownHelp(prefix, "no name holds")]) }
    front.page(lines.joined(separator: "\n"))
    return .finished
  }

  private func explain(_ code: String) -> Session.EntryOutcome {
    let code = code.isEmpty ? session.lastError?.code ?? "" : code
    if code.isEmpty {
      front.page(Explanation.index())
    } else if let explanation = Explanation.named(code) {
      front.page(explanation.page)
    } else {
      return .failed([Explanation.unknown(code)])
    }
    return .finished
  }

  private func why(_ path: String) -> Session.EntryOutcome {
    guard let value = session.valueOfPath(path) else { return .failed([session.unknownHelp(path, "nothing is called")]) }
    let root = String(path.prefix { $0 != "." && $0 != "[" })
    var lines: [String] = []
    if root != path { lines = session.origin(of: path, value) }
    lines += provenance.lines(of: root, session.interpreter.value(of: root), in: session)
    if lines.isEmpty {
      let isOwn = session.interpreter.main.ownSlot(of: root) != nil
      lines = ["\(path) : \(session.interpreter.note(on: value))" + (isOwn ? "" : "   comes with the language")]
    }
    show(lines.joined(separator: "\n"))
    return .finished
  }

  // MARK: Files

  private func load(_ path: String) -> Session.EntryOutcome {
    do {
      let bytes = try readProgramFile(path)
      loadedPath = path
      return runProgram(SourceFile(name: path, bytes: bytes))
    } catch {
      return .failed([Diagnostic(.error, fileErrorCode(error), "\(error)", at: nil)])
    }
  }

  private func save(_ path: String) -> Session.EntryOutcome {
    do {
      try record.save(to: unquoted(path))
      return .finished
    } catch {
      return .failed([Diagnostic(.error, "file-unwritable", "\(error)", at: nil)])
    }
  }

  private func edit(_ argument: String) -> Session.EntryOutcome {
    if !argument.isEmpty, !argument.allSatisfy({ ("0"..."9").contains($0) }) {
      let path = unquoted(argument)
      if let problem = front.editFile(path) { return .failed([problem]) }
      return load(path)
    }
    let number = argument.isEmpty ? inputs.keys.max() : Int(argument)
    guard let number, let text = inputs[number] else {
      let known = inputs.keys.max().map { "the last one is \($0)" } ?? "there is none yet"
      return refuse("there is no input \(argument.isEmpty ? "to edit" : argument): \(known)")
    }
    switch front.edit(text) {
    case .failure(let problem): return .failed([problem])
    case .success(let edited):
      let edited = edited.trimmedAtEnd
      if edited.isEmpty { return .finished }
      return runInput(edited)
    }
  }

  // MARK: Measuring

  private func time(_ text: String) -> Session.EntryOutcome {
    let start = monotonicNanoseconds()
    let outcome = runInput(text)
    let seconds = Double(monotonicNanoseconds() - start) * 1e-9
    if case .finished = outcome { show(durationText(seconds)) }
    return outcome
  }

  private func bench(_ text: String) -> Session.EntryOutcome {
    let (result, outcome) = session.benchmark(Dialogue.aside(text))
    if let result { show(result.summary) }
    return outcome
  }

  private func type(_ text: String) -> Session.EntryOutcome {
    let (type, wasEvaluated, outcome) = session.type(of: Dialogue.aside(text))
    // To run it may be more than was asked for.
    if let type { show(type + (wasEvaluated ? "   (evaluated)" : "")) }
    return outcome
  }

  private func plan(_ call: String) -> Session.EntryOutcome {
    // `train(x, y)`, `train x, y` and `train x y`.
    let name = call.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    var arguments = call.dropFirst(name.count).drop { $0 == " " || $0 == "," }.trimmedAtEnd
    if arguments.first == "(", arguments.last == ")" { arguments = String(arguments.dropFirst().dropLast()) }
    let words = arguments.split(separator: " ")
    let areOperands = words.allSatisfy { word in
      !word.contains(",") && word.first.map { $0.isLetter || $0.isNumber || $0 == "_" } == true
        && word.filter { "([".contains($0) }.count == word.filter { ")]".contains($0) }.count
    }
    if areOperands { arguments = words.joined(separator: ", ") }
    let list = arguments.isEmpty ? String(name) : "\(name), \(arguments)"
    for report in ["memory", "timeline"] {
      let (value, outcome) = session.evaluate(Dialogue.aside("\(report)(\(list))"))
      guard case .finished = outcome, let value else { return outcome }
      show(session.interpreter.display(value))
    }
    return .finished
  }

  /// A program of a command, which takes no number of the session's inputs.
  private static func aside(_ text: String) -> SourceFile { SourceFile(name: "<command>", text: text) }

  /// Returns a path without the quotes that completion or habit put around it.
  private func unquoted(_ path: String) -> String {
    path.count > 1 && path.first == "\"" && path.last == "\"" ? String(path.dropFirst().dropLast()) : path
  }
}
