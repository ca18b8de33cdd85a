import Support

/// A command of the terminal or of a notebook: a word after a colon.
package enum Command: String, CaseIterable, Sendable {
  case clear, explain, help, load, quit, reset, save, time, type, vars

  /// What a command takes.
  package enum Argument: Sendable { case name, path, expression, code }

  package var argument: Argument? {
    switch self {
    case .explain: .code
    case .help: .name
    case .load, .save: .path
    case .time, .type: .expression
    case .clear, .quit, .reset, .vars: nil
    }
  }

  /// How `:help` writes it.
  package var usage: String {
    switch self {
    case .clear: ":clear"
    case .explain: ":explain [code]"
    case .help: ":help [name]"
    case .load: ":load FILE"
    case .quit: ":quit"
    case .reset: ":reset"
    case .save: ":save FILE"
    case .time: ":time expression"
    case .type: ":type expression"
    case .vars: ":vars"
    }
  }

  package var summary: String {
    switch self {
    case .clear: "an empty screen, or an empty output of a notebook's cell"
    case .explain: "the last error at length, or the one with this code"
    case .help: "this page, or the page of a name; also ?name"
    case .load: "run a file here"
    case .quit: "leave; also Ctrl-D, exit, quit"
    case .reset: "forget all names"
    case .save: "write this session as a script, its outputs as tests"
    case .time: "run it and say how long it took"
    case .type: "the type of a value: f32[2, 3]"
    case .vars: "the names of this session and what they hold"
    }
  }

  private var aliases: [String] {
    switch self {
    case .help: ["h", "doc", "?"]
    case .load: ["l"]
    case .quit: ["q", "exit"]
    case .type: ["t"]
    default: []
    }
  }

  static let spellings = allCases.map { ":" + $0.rawValue }

  /// Returns the command of a name or another word for it.
  package static func named(_ name: String) -> Command? {
    Command(rawValue: name) ?? allCases.first { $0.aliases.contains(name) }
  }

  /// A line that is typed in and is not a program.
  package enum Line: Equatable, Sendable {
    case command(Command, argument: String)
    case unknown(String)
  }

  /// Reads `:command argument`, `?name`, `name?`, `exit` and `quit`; nil for anything else.
  package static func parse(_ text: String) -> Line? {
    let line = trimmingEnd(text.drop(while: \.isWhitespace))
    if line.contains("\n") { return nil }
    if line == "exit" || line == "quit" || line == "exit()" || line == "quit()" {
      return .command(.quit, argument: "")
    }
    if line.first == "?" {
      return .command(.help, argument: trimmingEnd(line.drop { $0 == "?" || $0 == " " }))
    }
    if line.last == "?", !line.contains("#"), !line.contains("\"") {
      let name = line.prefix { $0 != "?" }
      if name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }) {
        return .command(.help, argument: String(name))
      }
    }
    guard line.first == ":" else { return nil }
    let name = line.dropFirst().prefix { !$0.isWhitespace }
    let argument = line.dropFirst(1 + name.count).drop(while: \.isWhitespace)
    guard let command = named(String(name)) else { return .unknown(String(name)) }
    return .command(command, argument: String(argument))
  }

  /// The error for a word that is no command.
  package static func unknown(_ name: String) -> Diagnostic {
    let suggestion = didYouMean(name, among: allCases.map(\.rawValue))
    return Diagnostic(
      .error, "unknown-command", "there is no command `:\(name)`", at: nil,
      help: suggestion.map { "did you mean `:\($0)`?" } ?? "`:help` lists them")
  }
}
