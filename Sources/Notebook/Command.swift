import Support
import Syntax

/// A command of the terminal or of a notebook: a word after a colon.
package enum Command: String, CaseIterable, Sendable {
  case bench, browse, clear, edit, explain, help, load, mem, plan, quit, reload, reset, save, source, time, type, vars, why
  case shell = "!"

  /// What a command takes.
  package enum Argument: Sendable { case name, path, expression, code }

  /// A row of the table that `:help`, completion and errors read.
  private struct Row {
    let usage: String
    let summary: String
    var argument: Argument?
    /// What people call it elsewhere.
    var aliases: [String] = []
  }

  private var row: Row {
    switch self {
    case .bench:
      Row(
        usage: ":bench expression", summary: "run it many times: mean time and deviation", argument: .expression,
        aliases: ["timeit"])
    case .browse:
      Row(usage: ":browse [prefix]", summary: "names of the library, a line each", argument: .name, aliases: ["apropos"])
    case .clear: Row(usage: ":clear", summary: "an empty screen, or an empty output of a notebook's cell")
    case .edit:
      Row(
        usage: ":edit [n or FILE]", summary: "the last input, input n or a file in $VISUAL or $EDITOR, then run it",
        argument: .path, aliases: ["e"])
    case .explain: Row(usage: ":explain [code]", summary: "the last error at length, or the one with this code", argument: .code)
    case .help:
      Row(
        usage: ":help [name]", summary: "this page, or the page of a name; also ?name, name?", argument: .name,
        aliases: ["h", "doc", "info", "?"])
    case .load: Row(usage: ":load FILE", summary: "run a file here", argument: .path, aliases: ["l", "run", "script"])
    case .mem:
      Row(usage: ":mem", summary: "live tensors by name, the largest first, and their total", aliases: ["memory"])
    case .plan:
      Row(
        usage: ":plan step(args)", summary: "the memory of a step from its plan; nothing runs", argument: .expression)
    case .quit: Row(usage: ":quit", summary: "leave; also Ctrl-D, exit, quit", aliases: ["q", "exit"])
    case .reload: Row(usage: ":reload", summary: "run the file loaded last again", aliases: ["r"])
    case .reset: Row(usage: ":reset", summary: "forget all names")
    case .save:
      Row(usage: ":save FILE", summary: "write this session as a script, its outputs as tests", argument: .path)
    case .shell: Row(usage: ":! command", summary: "run a command of the shell", aliases: ["shell", "sh"])
    case .source:
      Row(usage: ":source name", summary: "its source, where it is written in the language; also ??name", argument: .name)
    case .time: Row(usage: ":time expression", summary: "run it and say how long it took", argument: .expression)
    case .type:
      Row(
        usage: ":type expression", summary: "its type, shape and bytes, by a trace where that will do",
        argument: .expression, aliases: ["t", "shape", "typeof"])
    case .vars:
      Row(
        usage: ":vars", summary: "the names of this session, what they hold, and bytes",
        aliases: ["who", "whos", "bindings"])
    case .why:
      Row(usage: ":why name", summary: "where a value came from, line by line", argument: .name, aliases: ["where"])
    }
  }

  package var argument: Argument? { row.argument }
  /// How `:help` writes it.
  package var usage: String { row.usage }
  package var summary: String { row.summary }

  /// Returns the command of a name or another word for it.
  package static func named(_ name: String) -> Command? {
    Command(rawValue: name) ?? allCases.first { $0.row.aliases.contains(name) }
  }

  /// A line that is typed in and is not a program.
  package enum Line: Equatable, Sendable {
    case command(Command, argument: String)
    case unknown(String)
  }

  /// Reads `:command argument`, `?name`, `name?`, `??name`, `help`, `exit` and `quit`; nil for anything else. Only what
  /// takes a program may have several lines.
  package static func parse(_ text: String) -> Line? {
    let line = text.drop(while: \.isWhitespace).trimmedAtEnd
    guard let colon = commandAfterColon(line) else { return line.contains("\n") ? nil : word(line) }
    if line.contains("\n") {
      guard case .command(let command, _) = colon, command.argument == .expression else { return nil }
    }
    return colon
  }

  private static func commandAfterColon(_ line: String) -> Line? {
    guard line.first == ":" else { return nil }
    let rest = line.dropFirst()
    if rest.first == "!" { return .command(.shell, argument: String(rest.dropFirst().drop(while: \.isWhitespace))) }
    let name = rest.prefix { !$0.isWhitespace }
    let argument = rest.dropFirst(name.count).drop(while: \.isWhitespace)
    guard let command = named(String(name)) else { return .unknown(String(name)) }
    return .command(command, argument: String(argument))
  }

  private static func word(_ line: String) -> Line? {
    switch line {
    case "exit", "quit", "exit()", "quit()": return .command(.quit, argument: "")
    case "help", "help()": return .command(.help, argument: "")
    default: break
    }
    if line.first == "?" {
      let name = line.drop { $0 == "?" || $0 == " " }.trimmedAtEnd
      return .command(line.hasPrefix("??") ? .source : .help, argument: name)
    }
    guard line.last == "?", !line.contains("#"), !line.contains("\"") else { return nil }
    let name = line.prefix { $0 != "?" }
    guard name.allSatisfy({ $0.isLetter || $0.isNumber || "_.[]".contains($0) }) else { return nil }
    return .command(line.hasSuffix("??") ? .source : .help, argument: String(name))
  }

  /// Whether a command's program wants another line.
  package static func isIncomplete(_ text: String) -> Bool {
    guard case .command(let command, let argument)? = parse(text), command.argument == .expression else { return false }
    return inputStatus(of: argument) == .incomplete
  }

  /// The error for a word that is no command.
  package static func unknown(_ name: String) -> Diagnostic {
    let suggestion = didYouMean(name, among: allCases.map(\.rawValue))
    return Diagnostic(
      .error, "unknown-command", "there is no command `:\(name)`", at: nil,
      help: suggestion.map { "did you mean `:\($0)`?" } ?? "`:help` lists them")
  }
}
