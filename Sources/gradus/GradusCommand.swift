import ArgumentParser
import Glibc
import Kernels
import Notebook
import Tensors

/// The command line: `gradus`, `gradus FILE`, `gradus test PATH` and so on.
struct GradusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gradus",
    abstract: "A small tensor language for training neural networks, one step at a time.",
    usage: usage,
    discussion: "Exit codes: 0; 1 the script failed; 2 usage; 130 interrupted.",
    version: "Gradus \(version)",
    subcommands: [
      RunCommand.self, TestCommand.self, CheckCommand.self, DocCommand.self, ExportCommand.self, WatchCommand.self,
      FormatCommand.self, HelpCommand.self, ExplainCommand.self, KernelCommand.self, LanguageServerCommand.self,
    ],
    defaultSubcommand: RunCommand.self)

  static let version = "0.1"

  static let usage = """
    gradus                               the REPL; a program where standard input is no terminal
    gradus FILE [-- key=value ...]       run a script, with values for its inputs
    gradus -e 'EXPRESSION'               run an expression; several are allowed
    gradus test PATH [--bless]           compare scripts with the outputs written in them
    gradus doc FILE                      the script with the outputs of this run
    gradus export FILE -o OUT            the same as OUT.ipynb, OUT.html or OUT.md
    gradus watch FILE                    run again from the first changed cell at each save
    gradus check FILE [-- key=value ...] names, shapes and memory, without computing
    gradus fmt PATH [--check]            lay scripts out anew
    gradus help [NAME]                   the page of a function or topic
    gradus explain [CODE]                an error at length
    gradus kernel install [--prefix P]   be a kernel of Jupyter notebooks
    gradus lsp                           be a language server of editors
    """

  func validate() throws {
    if let value = getenv("GRADUS_MEMORY"), Machine.byteCount(of: String(cString: value)) == nil {
      throw ValidationError(
        "GRADUS_MEMORY must be a number of bytes, KiB, MiB or GiB, such as 64MiB, got `\(String(cString: value))`")
    }
    guard let value = getenv("GRADUS_THREADS") else { return }
    let text = String(cString: value)
    guard ThreadPool.threadCount(in: text) != nil else {
      let (low, high) = (ThreadPool.threadCounts.lowerBound, ThreadPool.threadCounts.upperBound)
      throw ValidationError("GRADUS_THREADS must be a whole number from \(low) to \(high), got `\(text)`")
    }
  }

  /// Parses the arguments of the process, runs what they ask for, and returns the exit code.
  static func runMain() -> Int32 {
    if let script = completionScript(for: CommandLine.arguments) {
      let terminal = Terminal(color: .auto)
      terminal.write(script)
      terminal.flush()
      return 0
    }
    do {
      var command = try parseAsRoot()
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    } catch {
      // Asking for help or the version is an "error" that succeeds.
      let isSuccess = exitCode(for: error).isSuccess
      let terminal = Terminal(color: .auto)
      if isSuccess { terminal.write(fullMessage(for: error) + "\n") } else { terminal.writeError("error: " + message(for: error)) }
      terminal.flush()
      return isSuccess ? 0 : ExitCode.usage.rawValue
    }
  }
}

extension ExitCode {
  static let usage = ExitCode(2)
}

/// Options that every command takes.
struct CommonOptions: ParsableArguments {
  @Option(name: .long, help: "Colours: auto, always or never; NO_COLOR and FORCE_COLOR are heeded.")
  var color: ColorChoice = .auto
}

enum ColorChoice: String, ExpressibleByArgument, CaseIterable {
  case auto, always, never
}
