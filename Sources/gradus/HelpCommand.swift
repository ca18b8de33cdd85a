import ArgumentParser
import Notebook

/// `gradus help [NAME]`
struct HelpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "help", abstract: "Show the page of a function, a layer, an optimizer or a topic.")

  @OptionGroup var common: CommonOptions

  @Argument(help: "A name of the language or a topic; without one, all are listed.", completion: .helpNames)
  var name: String?

  func run() throws {
    let terminal = Terminal(color: common.color)
    defer { terminal.flush() }
    let session = Session(output: terminal)
    guard let name else {
      terminal.write("\(GradusCommand.helpMessage())\n\n\(session.helpIndex())\n")
      return
    }
    guard let page = session.helpPage(of: name) else {
      terminal.report(session.unknownHelp(name))
      throw ExitCode(1)
    }
    terminal.write(page + "\n")
  }
}

/// `gradus explain CODE`
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Explain an error code at length; without one, list them.")

  @OptionGroup var common: CommonOptions

  @Argument(help: "A code, as in error[shape-mismatch].", completion: .errorCodes)
  var code: String?

  func run() throws {
    let terminal = Terminal(color: common.color)
    defer { terminal.flush() }
    guard let code else {
      terminal.write(Explanation.index() + "\n")
      return
    }
    guard let explanation = Explanation.named(code) else {
      terminal.report(Explanation.unknown(code))
      throw ExitCode(1)
    }
    terminal.write(explanation.page + "\n")
  }
}
