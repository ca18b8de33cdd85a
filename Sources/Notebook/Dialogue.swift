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
}

/// What people type: programs and commands. The terminal and notebooks share it, so that both understand the same.
package final class Dialogue {
  package let session: Session
  private let front: any DialogueOutput
  private let recording: RecordingOutput

  package init(_ session: Session, _ front: any DialogueOutput) {
    self.session = session
    self.front = front
    recording = RecordingOutput(front)
    session.output = recording
  }

  /// Runs an input. What stopped it is handed over, not reported.
  package func run(_ input: String) -> Session.EntryOutcome {
    switch Command.parse(input) {
    case .command(let command, let argument): run(command, argument)
    case .unknown(let name): .failed([Command.unknown(name)])
    case nil: recording.record(input) { runProgram(session.makeInput(input)) }
    }
  }

  private func runProgram(_ file: SourceFile) -> Session.EntryOutcome {
    session.runToEnd(session.prepare(Script(file)))
  }

  // MARK: - Commands

  private func run(_ command: Command, _ argument: String) -> Session.EntryOutcome {
    switch command {
    case .clear:
      front.clear()
      return .finished
    case .explain: return explain(argument)
    case .help: return help(argument)
    case .load: return argument.isEmpty ? usage(command) : load(argument)
    case .quit: return .exited(0)
    case .reset:
      session.reset()
      return .finished
    case .save: return argument.isEmpty ? usage(command) : save(argument)
    case .time: return argument.isEmpty ? usage(command) : time(argument)
    case .type: return argument.isEmpty ? usage(command) : type(argument)
    case .vars:
      session.variables().forEach { front.write($0 + "\n") }
      return .finished
    }
  }

  private func usage(_ command: Command) -> Session.EntryOutcome {
    .failed([Diagnostic(.error, "bad-command", "it is `\(command.usage)`", at: nil)])
  }

  private func help(_ name: String) -> Session.EntryOutcome {
    if name.isEmpty {
      front.page("\(HelpTopic.named("commands")?.text ?? "")\n\n\(session.helpIndex())")
    } else if let page = session.helpPage(of: name) {
      front.page(page)
    } else {
      return .failed([session.unknownHelp(name)])
    }
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

  private func load(_ path: String) -> Session.EntryOutcome {
    let path = unquoted(path)
    do {
      return runProgram(SourceFile(name: path, bytes: try readProgramFile(path)))
    } catch {
      return .failed([Diagnostic(.error, fileErrorCode(error), "\(error)", at: nil)])
    }
  }

  private func save(_ path: String) -> Session.EntryOutcome {
    do {
      try recording.save(to: unquoted(path))
      return .finished
    } catch {
      return .failed([Diagnostic(.error, "file-unwritable", "\(error)", at: nil)])
    }
  }

  private func time(_ text: String) -> Session.EntryOutcome {
    let start = monotonicNanoseconds()
    let outcome = runProgram(session.makeInput(text))
    let seconds = Double(monotonicNanoseconds() - start) * 1e-9
    if case .finished = outcome { front.write(duration(seconds) + "\n") }
    return outcome
  }

  private func type(_ text: String) -> Session.EntryOutcome {
    let (value, outcome) = session.evaluate(session.makeInput(text))
    if case .finished = outcome { front.write((value?.typeDescription ?? "none") + "\n") }
    return outcome
  }

  /// Returns a path without the quotes that completion or habit put around it.
  private func unquoted(_ path: String) -> String {
    path.count > 1 && path.first == "\"" && path.last == "\"" ? String(path.dropFirst().dropLast()) : path
  }
}

package func monotonicNanoseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
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
