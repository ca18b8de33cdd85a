import Glibc
import Formats
import Interpreter
import Notebook
import Support
import Syntax

/// The terminal: reads inputs, runs them, and says what came of it.
final class Repl {
  private let session: Session
  private let terminal: Terminal
  private let dialogue: Dialogue

  init(_ session: Session, _ terminal: Terminal) {
    self.session = session
    self.terminal = terminal
    dialogue = Dialogue(session, terminal)
  }

  /// - Parameter initPath: a program to begin with, where there is such a file.
  func run(startingWith initPath: String?) -> Session.Outcome {
    Interrupts.install(.session)
    let editor = LineEditor { [session] text in
      let completion = session.completion(of: text)
      return .init(start: completion.start, words: completion.subject == .path ? nil : completion.items)
    }
    if let path = historyPath() { editor.openHistory(at: path) }
    terminal.write("Gradus \(GradusCommand.version)   \(coreCount())   :help   ?name\n")
    if let initPath, access(initPath, F_OK) == 0, case .exited(let code) = report(dialogue.start(with: initPath)) {
      return code == 0 ? .finished : .exited(code)
    }
    while true {
      terminal.flush()
      guard let text = readInput(editor) else {
        // Ctrl-D leaves the shell's prompt on a line of its own.
        terminal.write("\n")
        return .finished
      }
      for input in inputs(inPastedText: text) {
        editor.remember(input)
        let outcome = run(input)
        if let edited = terminal.takeEditedText() { editor.remember(edited) }
        switch outcome {
        case .finished, .failed: continue
        case .interrupted: break
        case .exited(let code): return code == 0 ? .finished : .exited(code)
        }
        break
      }
    }
  }

  // MARK: - Reading

  /// Reads lines until they are a whole input; nil at the end.
  private func readInput(_ editor: LineEditor) -> String? {
    var text = ""
    while true {
      switch editor.readLine(prompt: text.isEmpty ? Prompt.first : Prompt.continuation) {
      case .endOfFile:
        if text.isEmpty { return nil }
        return text
      case .interrupted(let hadText):
        if text.isEmpty, !hadText { terminal.write("Ctrl-D or :quit leaves\n") }
        terminal.flush()
        Interrupts.begin()
        text = ""
      case .line(let line):
        text += text.isEmpty ? line : "\n" + line
        if text.allSatisfy(\.isWhitespace) {
          text = ""
          continue
        }
        if Command.parse(text) != nil {
          if Command.isIncomplete(text) { continue }
          return text
        }
        let pasted = inputs(inPastedText: text)
        if pasted != [text] {
          // A terminal that does not bracket what is pasted sends a transcript line by line.
          if let last = pasted.last, inputStatus(of: last) == .incomplete { continue }
          return text
        }
        if inputStatus(of: text) != .incomplete { return text }
      }
    }
  }

  // MARK: - Running

  private func run(_ input: String) -> Session.Outcome {
    Interrupts.begin()
    return report(dialogue.run(input))
  }

  private func report(_ end: Session.EntryOutcome) -> Session.Outcome {
    switch end {
    case .failed(let errors): errors.forEach(terminal.report)
    case .interrupted(let diagnostic): terminal.report(diagnostic)
    case .finished, .exited: break
    }
    return end.outcome
  }

  // MARK: - Around the session

  private func coreCount() -> String {
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    return count == 1 ? "1 core" : "\(count) cores"
  }

  /// The program that each session begins with.
  static func initPath() -> String? {
    folder(in: "XDG_CONFIG_HOME", orUnderHome: "/.config").map { $0 + "/gradus/init.nn" }
  }

  /// Returns where the history is kept, its folder made; nil where there is no home.
  private func historyPath() -> String? {
    guard let state = Repl.folder(in: "XDG_STATE_HOME", orUnderHome: "/.local/state") else { return nil }
    let folder = state + "/gradus"
    var made = ""
    for part in folder.split(separator: "/") {
      made += "/" + part
      mkdir(made, 0o700)
    }
    return folder + "/history"
  }

  private static func folder(in variable: String, orUnderHome path: String) -> String? {
    if let folder = environment(variable), folder.hasPrefix("/") { return folder }
    guard let home = environment("HOME"), !home.isEmpty else { return nil }
    return home + path
  }
}
