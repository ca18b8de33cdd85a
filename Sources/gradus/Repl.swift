import Glibc
import Formats
import Interpreter
import Notebook
import Support
import Syntax

/// The terminal: reads inputs, runs them, and says what came of it.
final class Repl {
  private let session: Session
  private let terminal: Terminal
  private let recording: RecordingOutput

  init(_ session: Session, _ terminal: Terminal) {
    self.session = session
    self.terminal = terminal
    recording = RecordingOutput(terminal)
    session.output = recording
  }

  func run() -> Session.Outcome {
    Interrupts.install(.session)
    let editor = LineEditor { [session] text in
      let completion = session.completion(of: text)
      return .init(start: completion.start, words: completion.subject == .path ? nil : completion.candidates)
    }
    if let path = historyPath() { editor.openHistory(at: path) }
    terminal.write("Gradus \(GradusCommand.version)   \(coreCount())   :help   ?name\n")
    while true {
      terminal.flush()
      guard let text = readInput(editor) else {
        // Ctrl-D leaves the shell's prompt on a line of its own.
        terminal.write("\n")
        return .finished
      }
      for input in inputs(inPastedText: text) {
        editor.remember(input)
        switch run(input) {
        case .finished, .failed: continue
        case .interrupted: break
        case .exited(let code): return code == 0 ? .finished : .exited(code)
        }
        break
      }
    }
  }

  // MARK: - Reading

  /// Reads lines until they are a whole input; nil at the end.
  private func readInput(_ editor: LineEditor) -> String? {
    var text = ""
    while true {
      switch editor.readLine(prompt: text.isEmpty ? Prompt.first : Prompt.continuation) {
      case .endOfFile:
        if text.isEmpty { return nil }
        return text
      case .interrupted(let hadText):
        if text.isEmpty, !hadText { terminal.write("Ctrl-D or :quit leaves\n") }
        terminal.flush()
        Interrupts.begin()
        text = ""
      case .line(let line):
        text += text.isEmpty ? line : "\n" + line
        if text.allSatisfy(\.isWhitespace) {
          text = ""
          continue
        }
        if Command.parse(text) != nil { return text }
        let pasted = inputs(inPastedText: text)
        if pasted != [text] {
          // A terminal that does not bracket what is pasted sends a transcript line by line.
          if let last = pasted.last, inputStatus(of: last) == .incomplete { continue }
          return text
        }
        if inputStatus(of: text) != .incomplete { return text }
      }
    }
  }

  // MARK: - Running

  private func run(_ input: String) -> Session.Outcome {
    Interrupts.begin()
    switch Command.parse(input) {
    case .command(let command, let argument): return run(command, argument)
    case .unknown(let name):
      terminal.report(Command.unknown(name))
      return .failed
    case nil:
      let outcome = recording.record(input) { session.run(session.makeInput(input)) }
      return outcome
    }
  }

  private func run(_ command: Command, _ argument: String) -> Session.Outcome {
    switch command {
    case .explain: explain(argument)
    case .help: help(argument)
    case .load: return argument.isEmpty ? usage(command) : load(argument)
    case .quit: return .exited(0)
    case .reset: session.reset()
    case .save: return argument.isEmpty ? usage(command) : save(argument)
    case .time: return argument.isEmpty ? usage(command) : time(argument)
    case .type: return argument.isEmpty ? usage(command) : type(argument)
    case .vars: session.variables().forEach { terminal.write($0 + "\n") }
    }
    return .finished
  }

  private func usage(_ command: Command) -> Session.Outcome {
    terminal.report(Diagnostic(.error, "bad-command", "it is `\(command.usage)`", at: nil))
    return .failed
  }

  private func help(_ name: String) {
    if name.isEmpty {
      terminal.write("\(HelpTopic.named("commands")?.text ?? "")\n\n\(session.helpIndex())\n")
    } else if let page = session.helpPage(of: name) {
      terminal.write(page + "\n")
    } else {
      terminal.report(session.unknownHelp(name))
    }
  }

  private func explain(_ code: String) {
    let code = code.isEmpty ? session.lastError?.code ?? "" : code
    if code.isEmpty {
      terminal.write(Explanation.index() + "\n")
    } else if let explanation = Explanation.named(code) {
      terminal.write(explanation.page + "\n")
    } else {
      terminal.report(Explanation.unknown(code))
    }
  }

  private func load(_ path: String) -> Session.Outcome {
    let path = unquoted(path)
    do {
      return session.run(SourceFile(name: path, bytes: try readProgramFile(path)))
    } catch {
      terminal.report(
        Diagnostic(.error, fileErrorCode(error), "\(error)", at: nil))
      return .failed
    }
  }

  private func save(_ path: String) -> Session.Outcome {
    do {
      try recording.save(to: unquoted(path))
      return .finished
    } catch {
      terminal.report(Diagnostic(.error, "file-unwritable", "\(error)", at: nil))
      return .failed
    }
  }

  private func time(_ text: String) -> Session.Outcome {
    let start = monotonicNanoseconds()
    let outcome = session.run(session.makeInput(text))
    let seconds = Double(monotonicNanoseconds() - start) * 1e-9
    if outcome == .finished { terminal.write(duration(seconds) + "\n") }
    return outcome
  }

  private func type(_ text: String) -> Session.Outcome {
    let (value, outcome) = session.evaluate(session.makeInput(text))
    if outcome == .finished { terminal.write((value?.typeDescription ?? "none") + "\n") }
    return outcome
  }

  /// Returns a path without the quotes that completion or habit put around it.
  private func unquoted(_ path: String) -> String {
    path.count > 1 && path.first == "\"" && path.last == "\"" ? String(path.dropFirst().dropLast()) : path
  }

  // MARK: - Around the session

  private func coreCount() -> String {
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    return count == 1 ? "1 core" : "\(count) cores"
  }

  /// Returns where the history is kept, its folder made; nil where there is no home.
  private func historyPath() -> String? {
    let state: String
    if let folder = environment("XDG_STATE_HOME"), folder.hasPrefix("/") {
      state = folder
    } else if let home = environment("HOME"), !home.isEmpty {
      state = home + "/.local/state"
    } else {
      return nil
    }
    let folder = state + "/gradus"
    var made = ""
    for part in folder.split(separator: "/") {
      made += "/" + part
      mkdir(made, 0o700)
    }
    return folder + "/history"
  }
}

/// Returns a time with a unit that fits it: `1.24 ms`.
private func duration(_ seconds: Double) -> String {
  let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
  let (scale, name) = units.first { seconds >= $0.0 } ?? (1e-9, "ns")
  let value = seconds / scale
  let decimals = value < 10 ? 2 : value < 100 ? 1 : 0
  var digits = [CChar](repeating: 0, count: 32)
  withVaList([Int32(decimals), value]) { _ = vsnprintf(&digits, 32, "%.*f", $0) }
  return String(decoding: digits.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self) + " " + name
}
