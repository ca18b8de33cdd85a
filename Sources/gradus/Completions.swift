import ArgumentParser
import Interpreter
import Notebook
import Support

extension CompletionKind {
  /// Programs, and the folders that hold them.
  static var scripts: CompletionKind { .file(extensions: ["nn"]) }

  /// `epochs=` for each input of the script that stands before.
  static var inputs: CompletionKind {
    .custom { words, _, _ in
      guard let path = words.first(where: { $0.hasSuffix(".nn") }), let file = try? readProgram(path) else { return [] }
      return Script(file).inputNames.map { $0 + "=" }
    }
  }

  /// What `gradus help` has pages of.
  static var helpNames: CompletionKind {
    .custom { _, _, _ in
      let session = Session(output: SilentOutput())
      return session.interpreter.main.visibleNames.filter { $0 != Session.lastValueName } + HelpTopic.names
    }
  }

  static var errorCodes: CompletionKind { .custom { _, _, _ in Explanation.all.map(\.code) } }
}

extension GradusCommand {
  /// Returns the script that teaches a shell to complete this program's arguments, if the arguments ask for one.
  static func completionScript(for arguments: [String]) -> String? {
    guard let option = arguments.dropFirst().first, option.hasPrefix("--generate-completion-script") else { return nil }
    let name = option.split(separator: "=").dropFirst().first.map(String.init) ?? arguments.dropFirst(2).first
    guard let shell = name.flatMap(CompletionShell.init(rawValue:)) else { return nil }
    return mended(completionScript(for: shell).split(separator: "\n", omittingEmptySubsequences: false))
      .joined(separator: "\n")
      // Before version 4, fish does not take these options together.
      .replacing("__gradus_tokens -tC", with: "commandline -tC").replacing("__gradus_tokens -t)", with: "commandline -t)")
  }

  /// The library adds a `help` of its own after ours, and does not know that a script may stand where a subcommand does.
  private static func mended(_ lines: [Substring]) -> [Substring] {
    var result: [Substring] = []
    var helpCount = 0
    var rest = lines[...]
    var knowsFiles = false
    while let line = rest.popFirst() {
      if line.contains("Show subcommand help information.") { continue }
      if line == "_gradus_help() {" {
        helpCount += 1
        if helpCount == 2 {
          rest = rest.drop { $0 != "}" }.dropFirst()
          continue
        }
      }
      if !knowsFiles, line.contains("compgen -W 'test ") {
        knowsFiles = true
        result.append(Substring(line.replacing(" help' --", with: "' --")))
        result.append("        __gradus_add_completions -o plusdirs -fX '!*.@(nn)'")
      } else if !knowsFiles, line.contains("_describe -V subcommand subcommands") {
        knowsFiles = true
        result += [line, "        _files -g '*.nn' && ret=0"]
      } else if !knowsFiles, line.contains("positional \"gradus test\" -ge 1") {
        knowsFiles = true
        result += [Substring(line.replacing("\"gradus test\" -ge 1", with: "\"gradus\" -eq 1")), line]
      } else {
        result.append(line)
      }
    }
    return result
  }
}
