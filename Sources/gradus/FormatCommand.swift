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
      guard let text = layout(of: file) else {
        let mistakes = Syntax.parse(file).diagnostics
        mistakes.forEach(terminal.report)
        if mistakes.isEmpty { terminal.writeError("error: \(path) is not all UTF-8; it stays as it is") }
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

  /// The text of a script laid out, with the line ends that it has; nil where it does not parse or is no text.
  private func layout(of file: SourceFile) -> String? {
    let text = String(decoding: file.bytes, as: UTF8.self)
    guard text.utf8.elementsEqual(file.bytes), let laidOut = Syntax.format(file) else { return nil }
    return text.utf8.contains(UInt8(ascii: "\r")) ? laidOut.replacing("\r\n", with: "\n").replacing("\n", with: "\r\n") : laidOut
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
