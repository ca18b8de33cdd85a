import ArgumentParser
import Glibc
import LanguageServer

/// `gradus lsp`: a language server for editors, on standard input and output.
struct LanguageServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lsp", abstract: "Serve an editor: mistakes, shapes on hover, completion, layout.")

  /// Editors that serve others add it; there is no other way to talk.
  @Flag(name: .customLong("stdio"), help: "Talk over standard input and output, as it does in any case.")
  var usesStandardIO = false

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    let server = LanguageServer(Connection(input: STDIN_FILENO, output: STDOUT_FILENO), version: GradusCommand.version)
    let code = server.run()
    if code != 0 { throw ExitCode(code) }
  }
}
