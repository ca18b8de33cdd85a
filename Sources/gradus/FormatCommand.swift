import ArgumentParser
import Formats
import Interpreter
import Notebook
import Support
import Syntax

/// `gradus fmt PATH… [--check]`
struct FormatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fmt",
    abstract: "Lay scripts out anew: spaces, indentation, long lines.",
    discussion: """
      Comments, cells and expected output stay as they are, and so does what the script means. A script that does not \
      parse keeps its layout. `-` formats standard input to standard output.
      """)

  @OptionGroup var common: CommonOptions

  @Flag(name: .customLong("check"), help: "Change nothing: name the scripts that would change, and exit with 1 if there are any.")
  var onlyChecks = false

  @ArgumentParser.Argument(help: ArgumentHelp("Scripts, and folders of scripts.", valueName: "path"), completion: .scripts)
  var paths: [String]

  func run() throws {
    let terminal = Terminal(color: common.color)
    defer { terminal.flush() }
    // All paths are looked at before anything is written.
    var scripts: [String] = []
    for path in paths {
      guard path != "-" else {
        scripts.append(path)
        continue
      }
      guard let found = scriptPaths(at: path) else { throw ValidationError("there is nothing at \(path)") }
      scripts += found
    }
    var changed = 0
    var broken = 0
    for path in scripts {
      let file = path == "-" ? SourceFile(name: "<stdin>", bytes: readStandardInput()) : try readProgram(path)
      guard let text = Syntax.format(file) else {
        Syntax.parse(file).diagnostics.forEach(terminal.report)
        broken += 1
        continue
      }
      let isSame = text == String(decoding: file.bytes, as: UTF8.self)
      if !isSame { changed += 1 }
      if path == "-" && !onlyChecks {
        terminal.write(text)
      } else if !isSame {
        if !onlyChecks { try write(text, to: path, terminal) }
        terminal.write("\(onlyChecks ? "would change" : "changed") \(path)\n")
      }
    }
    if broken > 0 || onlyChecks && changed > 0 { throw ExitCode(1) }
  }

  private func write(_ text: String, to path: String, _ terminal: Terminal) throws {
    do {
      try writeAtomically(Array(text.utf8), to: path)
    } catch {
      terminal.writeError("error: \(error)")
      throw ExitCode(1)
    }
  }
}
