import Support
import Syntax

/// The prompts of the terminal. A pasted transcript is recognized by them.
package enum Prompt {
  package static let first = "nn> "
  package static let continuation = "...> "
}

/// Returns the inputs in a text that was typed or pasted: one, or each that follows a prompt where the text is a
/// transcript of a session. A transcript's outputs are dropped.
package func inputs(inPastedText text: String) -> [String] {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  guard lines.contains(where: { $0.hasPrefix(Prompt.first) || $0 == "nn>" }) else { return [text] }
  var inputs: [String] = []
  var continues = false
  for line in lines {
    if line.hasPrefix(Prompt.first) {
      inputs.append(String(line.dropFirst(Prompt.first.count)))
      continues = true
    } else if continues, line.hasPrefix(Prompt.continuation) || line == "...>" {
      inputs[inputs.count - 1] += "\n" + line.dropFirst(Prompt.continuation.count)
    } else if continues, inputStatus(of: inputs[inputs.count - 1].trimmedAtEnd) == .incomplete {
      // A block pasted into the session whose transcript this is has no prompts inside.
      inputs[inputs.count - 1] += "\n" + line
    } else {
      // An output.
      continues = false
    }
  }
  return inputs.filter { !$0.allSatisfy(\.isWhitespace) }
}
