extension Document {
  /// The document in Markdown: prose as it is, code and outputs fenced.
  package var markdown: String {
    var blocks: [String] = []
    for cell in cells {
      if !cell.title.isEmpty { blocks.append("## " + cell.title) }
      switch cell.kind {
      case .prose:
        let prose = script.prose(of: cell)
        if !prose.isEmpty { blocks.append(prose.joined(separator: "\n")) }
      case .code:
        for part in parts(of: cell) {
          blocks.append(fenced(text(of: part), language: "nn"))
          for output in part.entry.map({ outputs[$0] }) ?? [] { blocks.append(fenced(output.text, language: "text")) }
        }
      }
    }
    return blocks.joined(separator: "\n\n") + "\n"
  }

  private func fenced(_ text: String, language: String) -> String {
    // Longer than any fence in the text.
    var longest = 0
    var run = 0
    for character in text {
      run = character == "`" ? run + 1 : 0
      longest = max(longest, run)
    }
    let fence = String(repeating: "`", count: max(3, longest + 1))
    return "\(fence)\(language)\n\(text)\n\(fence)"
  }
}

extension CellOutput {
  /// The output as the terminal has it.
  package var text: String {
    switch self {
    case .text(let text, _), .warning(let text), .error(_, _, let text): text
    case .value(let value, _): value.text
    }
  }
}
