import ArgumentParser
import Interpreter
import Notebook
import Support

/// `gradus doc FILE [-- key=value …]`
struct DocCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doc",
    abstract: "Print a script with its outputs: the #>, #~ and #! lines that this run gives.",
    discussion: """
      Lines that agree with what was printed stay as they are. The script runs with the inputs that its header \
      asks for, as in `gradus test`, unless key=value says otherwise.
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var source: ScriptArguments

  func run() throws {
    let terminal = Terminal(color: common.color)
    defer { terminal.flush() }
    Interrupts.install(.script)
    let run = RecordedRun(of: Script(try source.readFile()), inputs: try source.inputs(), front: terminal)
    if run.hasStarted { terminal.write(run.filledScript()) }
    try finish(run.end, terminal)
  }
}

/// A script and values for its inputs.
struct ScriptArguments: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The script, or - for standard input.", valueName: "file"), completion: .scripts)
  var path: String

  @Argument(help: ArgumentHelp("Values for its inputs.", valueName: "key=value"), completion: .inputs)
  var inputTexts: [String] = []

  func readFile() throws -> SourceFile {
    path == "-" ? SourceFile(name: "<stdin>", bytes: readStandardInput()) : try readProgram(path)
  }

  func inputs() throws -> [(key: String, value: String)] { try keysAndValues(inputTexts[...]) }
}

/// Reads `key=value` arguments.
/// - Throws: a message for the command line.
func keysAndValues(_ arguments: ArraySlice<String>) throws -> [(key: String, value: String)] {
  try arguments.map { argument in
    guard let input = keyAndValue(argument) else {
      throw ValidationError("`\(argument)` is no input: write key=value")
    }
    return input
  }
}

/// Reports what stopped a run, and ends with its exit code.
func finish(_ end: Session.EntryOutcome, _ terminal: Terminal) throws {
  switch end {
  case .finished: return
  case .failed(let errors): errors.forEach(terminal.report)
  case .interrupted(let diagnostic): terminal.report(diagnostic)
  case .exited: break
  }
  if end.outcome.exitCode != 0 {
    terminal.flush()
    throw ExitCode(end.outcome.exitCode)
  }
}
