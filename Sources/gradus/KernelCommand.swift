import ArgumentParser
import Glibc
import Interpreter
import JupyterKernel
import Notebook

/// `gradus kernel install` and `gradus kernel run`
struct KernelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernel", abstract: "Be the language of Jupyter notebooks and consoles.",
    subcommands: [Install.self, Run.self])

  struct Install: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tell Jupyter about this program; afterwards its menus offer Gradus.")

    @Flag(help: "For this user, which is meant where nothing is said.")
    var user = false

    @Option(
      help: "Below this folder instead: an environment of Python, or /usr/local for all users.", completion: .directory)
    var prefix: String?

    func validate() throws {
      if user, prefix != nil { throw ValidationError("--user and --prefix exclude each other") }
    }

    func run() throws {
      let terminal = Terminal(color: .auto)
      defer { terminal.flush() }
      do {
        let folder = try KernelSpec(program: programPath()).install(in: KernelSpec.dataFolder(prefix: prefix))
        terminal.write("installed in \(folder)\n")
      } catch let error as KernelError {
        terminal.writeError("error: \(error)")
        throw ExitCode(1)
      }
    }

    /// Returns where this program lies.
    private func programPath() -> String {
      var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
      if readlink("/proc/self/exe", &buffer, Int(PATH_MAX)) > 0 {
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }
      return CommandLine.arguments[0]
    }
  }

  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Serve a front end; Jupyter calls this.")

    @Argument(help: ArgumentHelp("What Jupyter wrote for the kernel to read.", valueName: "connection file"))
    var connectionFile: String

    func run() throws {
      Interrupts.install(.session)
      let bytes: [UInt8]
      do {
        bytes = try readProgramFile(connectionFile)
      } catch {
        throw ValidationError("cannot read the connection file: \(error)")
      }
      do {
        try Kernel(connection: connectionFile, bytes: bytes, version: GradusCommand.version).run()
      } catch let error as KernelError {
        Terminal(color: .auto).writeError("error: \(error)")
        throw ExitCode(1)
      }
    }
  }
}
