import ArgumentParser
import Interpreter
import Notebook
import Support

/// `gradus`, `gradus FILE [-- key=value …]`, `gradus -e 'EXPR'`, and programs from standard input.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a script, an expression, or the REPL.",
    usage: GradusCommand.usage, shouldDisplay: false)

  @OptionGroup var common: CommonOptions

  @Option(
    name: .customShort("e"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Run this text; may be given several times.", valueName: "expression"))
  var expressions: [String] = []

  @Flag(name: .customLong("no-init"), help: "Open the REPL without the start-up file.")
  var skipsInit = false

  @Flag(name: .customLong("no-check"), help: "Run the script without looking for mistakes of shapes first.")
  var skipsCheck = false

  @Argument(
    help: ArgumentHelp(
      "The script, or - for standard input; then key=value for its inputs.", valueName: "file"), completion: .scripts)
  var arguments: [String] = []

  func run() throws {
    let terminal = Terminal(color: common.color)
    let outcome = try outcome(terminal)
    terminal.flush()
    if outcome != .finished { throw ExitCode(outcome.exitCode) }
  }

  private func outcome(_ terminal: Terminal) throws -> Session.Outcome {
    if arguments.isEmpty, expressions.isEmpty, Terminal.isInteractive {
      return Repl(Session(output: terminal), terminal).run(startingWith: skipsInit ? nil : Repl.initPath())
    }
    Interrupts.install(.script)
    let (file, inputs) = try program()
    let session = Session(output: terminal)
    let script = Script(file)
    let mistakes = session.setInputs(inputs, for: script)
    if !mistakes.isEmpty {
      mistakes.forEach(terminal.report)
      throw ExitCode.usage
    }
    let prepared = session.prepare(script)
    if prepared.unexpectedMistakes.isEmpty, isFile, !skipsCheck {
      let mistakes = ScriptCheck(script, inputs: inputs, purpose: .run).report().refusals
      if !mistakes.isEmpty {
        mistakes.forEach(terminal.report)
        terminal.writeError("nothing has run: the script would come to this; `--no-check` runs it up to there")
        return .failed
      }
    }
    return session.run(prepared)
  }

  /// Whether the program is a file: what was piped or typed is run as it is.
  private var isFile: Bool { expressions.isEmpty && arguments.first.map { $0 != "-" } ?? false }

  /// The program that the arguments name, and values for its inputs.
  private func program() throws -> (file: SourceFile, inputs: [(key: String, value: String)]) {
    if !expressions.isEmpty {
      let file = SourceFile(name: "<command line>", text: expressions.joined(separator: "\n"))
      return (file, try keysAndValues(arguments[...]))
    }
    guard let path = arguments.first, path != "-" else {
      return (SourceFile(name: "<stdin>", bytes: readStandardInput()), try keysAndValues(arguments.dropFirst()))
    }
    let inputs = try keysAndValues(arguments.dropFirst())
    return (try readProgram(path), inputs)
  }
}

/// Reads a program file.
/// - Throws: a message for the command line.
func readProgram(_ path: String) throws -> SourceFile {
  do {
    return SourceFile(name: path, bytes: try readProgramFile(path))
  } catch {
    throw ValidationError("cannot read the script: \(error)")
  }
}
