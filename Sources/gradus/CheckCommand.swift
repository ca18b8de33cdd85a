import ArgumentParser
import Interpreter
import Notebook

/// `gradus check FILE…`
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Look for mistakes of syntax, names and arguments without running.")

  @OptionGroup var common: CommonOptions

  @Argument(help: "Scripts, and folders of scripts.", completion: .scripts)
  var paths: [String]

  func run() throws {
    let terminal = Terminal(color: common.color)
    var mistakeCount = 0
    for path in paths {
      guard let scripts = scriptPaths(at: path) else {
        throw ValidationError("there is nothing at \(path)")
      }
      for path in scripts {
        let script = Script(try readProgram(path))
        let mistakes = Session(output: terminal).prepare(script).unexpectedMistakes
        mistakes.forEach(terminal.report)
        mistakeCount += mistakes.count
        if mistakes.isEmpty {
          terminal.write(
            "\(path): syntax, names and arguments are sound; shapes and memory are not looked at\n")
        }
      }
    }
    terminal.flush()
    if mistakeCount > 0 { throw ExitCode(1) }
  }
}
