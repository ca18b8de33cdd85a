import ArgumentParser
import Formats
import Interpreter
import JupyterKernel
import Notebook
import Support

/// `gradus export FILE --to ipynb|html|md|nn [-o OUT]`
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Run a script and write it, with its outputs, as a notebook, a page or Markdown.",
    discussion: """
      The script runs with the inputs that its header asks for, as in `gradus test`, unless key=value says \
      otherwise. A notebook of Jupyter (FILE.ipynb) becomes a script with --to nn; --to html and --to md run it.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case ipynb, html, md, nn
  }

  @OptionGroup var common: CommonOptions

  @Option(help: "ipynb: a notebook of Jupyter; html: one page that needs no network; md: Markdown; nn: a script.")
  var to: Format?

  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp("Write to this file; its ending may stand for --to. Without it, to standard output.", valueName: "out"),
    completion: .file())
  var output: String?

  @Flag(name: .customLong("no-run"), help: "Take the outputs that stand in the file.")
  var skipsRun = false

  @Argument(
    help: ArgumentHelp("The script or notebook, or - for a script from standard input.", valueName: "file"),
    completion: .file(extensions: ["nn", "ipynb"]))
  var path: String

  @Argument(help: ArgumentHelp("Values for its inputs.", valueName: "key=value"), completion: .inputs)
  var inputTexts: [String] = []

  func run() throws {
    let terminal = Terminal(color: common.color)
    defer { terminal.flush() }
    Interrupts.install(.script)
    let format = try format()
    let inputs = try keysAndValues(inputTexts[...])
    let file = try readFile(terminal)
    if format == .nn { return try write(file.bytes, terminal) }
    let script = Script(file)
    if skipsRun { return try write(bytes(of: Document(asWritten: script), format), terminal) }
    let run = RecordedRun(of: script, inputs: inputs, front: terminal, describesNames: format == .html)
    if run.hasStarted, run.end.outcome != .interrupted { try write(bytes(of: Document(run), format), terminal) }
    try finish(run.end, terminal)
  }

  private func format() throws -> Format {
    if let to { return to }
    guard let output else { throw ValidationError("say --to ipynb, --to html, --to md or --to nn") }
    let ending = lastPathComponent(output).split(separator: ".").last.map(String.init) ?? ""
    guard let format = Format(rawValue: ending) else {
      throw ValidationError("`\(output)` does not tell the format: say --to ipynb, --to html, --to md or --to nn")
    }
    return format
  }

  private func readFile(_ terminal: Terminal) throws -> SourceFile {
    let file = path == "-" ? SourceFile(name: "<stdin>", bytes: readStandardInput()) : try readProgram(path)
    guard path.hasSuffix(".ipynb") else { return file }
    do {
      return SourceFile(name: path.dropLast("ipynb".count) + "nn", bytes: try NotebookFile.script(of: file.bytes))
    } catch {
      terminal.writeError("error: \(path): \(error)")
      throw ExitCode(1)
    }
  }

  private func bytes(of document: Document, _ format: Format) -> [UInt8] {
    switch format {
    case .ipynb: NotebookFile.bytes(of: document, version: GradusCommand.version)
    case .html: Array(document.html.utf8)
    case .md: Array(document.markdown.utf8)
    case .nn: document.script.file.bytes
    }
  }

  private func write(_ bytes: [UInt8], _ terminal: Terminal) throws {
    guard let output, output != "-" else {
      terminal.write(bytes)
      return
    }
    do {
      try writeAtomically(bytes, to: output)
    } catch {
      terminal.writeError("error: \(error)")
      throw ExitCode(1)
    }
  }
}
