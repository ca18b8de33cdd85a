import ArgumentParser
import Interpreter
import Notebook
import Support

/// `gradus check FILE… [-- key=value …]`
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Go through a script without computing: names, shapes, and the memory of its steps.",
    discussion: """
      Tensors have dtypes and shapes, but no elements; of data files the headers are read, and nothing is written. What cannot \
      be known without running is listed as unchecked. An error that a `#!` line expects is none.
      """)

  @OptionGroup var common: CommonOptions

  @Argument(
    help: ArgumentHelp("Scripts, and folders of scripts; then key=value for their inputs.", valueName: "path"), completion: .scripts)
  var arguments: [String]

  func run() throws {
    let terminal = Terminal(color: common.color)
    var inputs: [(key: String, value: String)] = []
    var paths: [String] = []
    for argument in arguments {
      if scriptPaths(at: argument) == nil, let input = keyAndValue(argument) { inputs.append(input) } else { paths.append(argument) }
    }
    guard !paths.isEmpty else { throw ValidationError("name a script to check") }
    var mistakeCount = 0
    for path in paths {
      guard let scripts = scriptPaths(at: path) else { throw ValidationError("there is nothing at \(path)") }
      for script in scripts { mistakeCount += try check(script, inputs, terminal) }
    }
    terminal.flush()
    if mistakeCount > 0 { throw ExitCode(1) }
  }

  /// Checks a script, says what came of it, and returns the number of its mistakes.
  private func check(_ path: String, _ inputs: [(key: String, value: String)], _ terminal: Terminal) throws -> Int {
    let script = Script(try readProgram(path))
    let check = ScriptCheck(script, inputs: inputs, purpose: .report)
    let unknown = inputs.filter { !script.inputNames.contains($0.key) }
    let report = check.report()
    let mistakes = check.session.setInputs(unknown, for: script) + report.mistakes + report.unfulfilled
    mistakes.forEach(terminal.report)
    terminal.write(report.summary(of: path, mistakeCount: mistakes.count))
    return mistakes.count
  }
}
