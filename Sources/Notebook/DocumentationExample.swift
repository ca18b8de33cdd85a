import Support
import Syntax

/// An example in a help text: what follows `>>>`, and what it prints.
///
///     >>> softmax([0.0, 0.0])
///     f32[2]
///     [0.5000, 0.5000]
package struct DocumentationExample: Sendable {
  package let code: String
  /// The line of `>>>` in its file or text, from 1.
  package let line: Int
  /// The last line of the code.
  package let lastLine: Int
  package let expectation: Expectation
  /// What stands before each of its lines in the file: `# ` and the example's indentation.
  package let margin: String

  /// Finds the examples in a help text.
  package static func examples(inDocumentation text: String) -> [DocumentationExample] {
    examples(in: text.split(separator: "\n", omittingEmptySubsequences: false).map { ("", $0) })
  }

  /// Finds the examples in the comments of a program.
  package static func examples(in file: SourceFile) -> [DocumentationExample] {
    examples(
      in: (1...file.lineCount).map { line in
        let text = file.text(ofLine: line)[...]
        guard text.first == "#" else { return ("", "") }
        let content = text.dropFirst().first == " " ? text.dropFirst(2) : text.dropFirst()
        return (String(text[..<content.startIndex]), content)
      })
  }

  private static func examples(in lines: [(margin: String, text: Substring)]) -> [DocumentationExample] {
    var result: [DocumentationExample] = []
    var index = 0
    while index < lines.count {
      let first = index
      let indentation = lines[index].text.prefix { $0 == " " }
      index += 1
      guard var code = content(after: ">>>", in: lines[first].text.dropFirst(indentation.count)) else { continue }
      // What hangs over from a bracket follows `...`.
      while index < lines.count, inputStatus(of: code) == .incomplete,
        let more = content(after: "...", in: lines[index].text.dropFirst(indentation.count))
      {
        code += "\n" + more
        index += 1
      }
      let lastLine = index
      var expectation = Expectation()
      var isError = false
      while index < lines.count, !lines[index].text.allSatisfy(\.isWhitespace) {
        let text =
          lines[index].text.hasPrefix(indentation)
          ? lines[index].text.dropFirst(indentation.count) : lines[index].text
        if content(after: ">>>", in: text) != nil { break }
        isError = isError || DiagnosticHeading(String(text)) != nil
        expectation.lines.append(
          ExpectedLine(isError ? .error : .output, text.trimmedAtEnd, line: index + 1))
        index += 1
      }
      result.append(
        DocumentationExample(
          code: String(code), line: first + 1, lastLine: lastLine, expectation: expectation,
          margin: lines[first].margin + indentation))
    }
    return result
  }

  /// Returns what stands behind a mark and one space.
  private static func content(after mark: String, in text: Substring) -> String? {
    guard text.hasPrefix(mark) else { return nil }
    let rest = text.dropFirst(mark.count)
    if rest.isEmpty { return "" }
    return rest.first == " " ? String(rest.dropFirst()) : nil
  }
}
