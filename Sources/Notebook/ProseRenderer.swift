import Interpreter
import Support

/// Turns the Markdown of prose into HTML: headings, paragraphs, lists, quotes, tables, code, emphasis and links.
///
/// All text is escaped, HTML in it too, and a link leads to the web, to mail or to a place beside the page.
package struct ProseRenderer {
  /// Headings met so far, for a table of contents.
  private(set) var headings: [(level: Int, html: String, id: String)] = []

  /// Quotes and lists nest no deeper.
  private static let deepest = 12

  package init() {}

  package mutating func html(_ lines: [String]) -> String { blocks(lines[...], depth: 0) }

  /// A heading, which the table of contents can lead to.
  mutating func heading(_ text: String, level: Int) -> String {
    let id = "s\(headings.count + 1)"
    let html = inline(text)
    headings.append((level, html, id))
    return "<h\(level) id=\"\(id)\">\(html)</h\(level)>"
  }

  // MARK: - Blocks

  private mutating func blocks(_ lines: ArraySlice<String>, depth: Int) -> String {
    var rest = lines
    var result: [String] = []
    while let line = rest.first {
      let text = line.drop { $0 == " " }
      if text.isEmpty {
        rest = rest.dropFirst()
      } else if let level = headingLevel(text) {
        let title = text.drop { $0 == "#" || $0 == " " }
        result.append(heading(String(title), level: level))
        rest = rest.dropFirst()
      } else if text.hasPrefix("```") {
        let body = rest.dropFirst().prefix { !$0.drop { $0 == " " }.hasPrefix("```") }
        rest = rest[body.endIndex...].dropFirst()
        result.append(code(body))
      } else if line.hasPrefix("    ") {
        var body = rest.prefix { $0.hasPrefix("    ") || $0.allSatisfy(\.isWhitespace) }
        rest = rest[body.endIndex...]
        while body.last?.allSatisfy(\.isWhitespace) == true { body = body.dropLast() }
        result.append(code(body.map { String($0.dropFirst(4)) }[...]))
      } else if isRule(text) {
        result.append("<hr>")
        rest = rest.dropFirst()
      } else if text.first == ">", depth < Self.deepest {
        let body = rest.prefix { $0.drop { $0 == " " }.first == ">" }
        rest = rest[body.endIndex...]
        let inner = body.map { line in
          let text = line.drop { $0 == " " }.dropFirst()
          return String(text.first == " " ? text.dropFirst() : text)
        }
        result.append("<blockquote>\n\(blocks(inner[...], depth: depth + 1))\n</blockquote>")
      } else if ListItem(line) != nil, depth < Self.deepest {
        result.append(list(&rest, depth: depth))
      } else if text.first == "|", rest.dropFirst().first.map(isTableRule) == true {
        let body = rest.prefix { $0.drop { $0 == " " }.first == "|" }
        rest = rest[body.endIndex...]
        result.append(table(body))
      } else {
        // At least one line, or a mark that is too deep would be met again and again.
        let more = rest.dropFirst().prefix { !endsParagraph($0) }
        result.append("<p>\(inline((rest.prefix(1) + more).joined(separator: "\n")))</p>")
        rest = rest[more.endIndex...]
      }
    }
    return result.joined(separator: "\n")
  }

  private func code(_ lines: ArraySlice<String>) -> String {
    "<pre class=\"sample\"><code>\(escapedHTML(lines.joined(separator: "\n")))</code></pre>"
  }

  private func headingLevel(_ text: Substring) -> Int? {
    let level = text.prefix { $0 == "#" }.count
    return (1...6).contains(level) && text.dropFirst(level).first == " " ? level : nil
  }

  private func isRule(_ text: Substring) -> Bool {
    let marks = text.filter { $0 != " " }
    return marks.count >= 3 && (marks.allSatisfy { $0 == "-" } || marks.allSatisfy { $0 == "*" })
  }

  private func isTableRule(_ line: String) -> Bool {
    line.contains("-") && line.contains("|") && line.allSatisfy { "|-: ".contains($0) }
  }

  private func endsParagraph(_ line: String) -> Bool {
    let text = line.drop { $0 == " " }
    return text.isEmpty || headingLevel(text) != nil || text.hasPrefix("```") || text.first == ">"
      || text.first == "|" || ListItem(line) != nil
  }

  /// A line that begins an item: how far its text is indented, and the number that it begins with.
  private struct ListItem {
    let indent: Int
    let textStart: Int
    let number: Int?

    init?(_ line: String) {
      indent = line.prefix { $0 == " " }.count
      let text = line.dropFirst(indent)
      let digits = text.prefix { $0.isASCII && $0.isNumber }
      if let first = text.first, "-*+".contains(first), text.dropFirst().first == " " {
        number = nil
        textStart = indent + 2
      } else if !digits.isEmpty, digits.count < 10, text.dropFirst(digits.count).hasPrefix(". ") {
        number = Int(digits)
        textStart = indent + digits.count + 2
      } else {
        return nil
      }
    }
  }

  private mutating func list(_ rest: inout ArraySlice<String>, depth: Int) -> String {
    guard let first = rest.first.flatMap(ListItem.init) else { return "" }
    var items: [String] = []
    while let line = rest.first, let item = ListItem(line), item.indent < first.textStart,
      (item.number == nil) == (first.number == nil)
    {
      // Lines that hang under its text belong to it, and those of its paragraph.
      var body = [String(line.dropFirst(item.textStart))]
      rest = rest.dropFirst()
      while let next = rest.first {
        let indent = next.prefix { $0 == " " }.count
        let isBlank = indent == next.count
        if isBlank {
          // A blank line ends the item unless what follows hangs under it.
          let after = rest.dropFirst().first { !$0.allSatisfy(\.isWhitespace) }
          guard let after, after.prefix(while: { $0 == " " }).count > item.indent + 1 else { break }
        } else if indent <= item.indent + 1 {
          if ListItem(next) != nil || body.last?.isEmpty == true || endsParagraph(next) { break }
        }
        body.append(String(next.dropFirst(min(indent, item.textStart))))
        rest = rest.dropFirst()
      }
      // An item of one paragraph needs no margins around it.
      let isPlain = !body.contains { $0.isEmpty } && !body.dropFirst().contains(where: endsParagraph)
      items.append(
        "<li>\(isPlain ? inline(body.joined(separator: "\n")) : blocks(body[...], depth: depth + 1))</li>")
      while rest.first?.allSatisfy(\.isWhitespace) == true, rest.dropFirst().first.flatMap(ListItem.init) != nil {
        rest = rest.dropFirst()
      }
    }
    let tag = first.number == nil ? "ul" : "ol"
    let start = first.number.map { $0 == 1 ? "" : " start=\"\($0)\"" } ?? ""
    return "<\(tag)\(start)>\n\(items.joined(separator: "\n"))\n</\(tag)>"
  }

  private func table(_ lines: ArraySlice<String>) -> String {
    func cells(_ line: String) -> [String] {
      var text = line.drop { $0 == " " }.dropFirst()
      while text.last == " " { text = text.dropLast() }
      if text.last == "|" { text = text.dropLast() }
      return text.split(separator: "|", omittingEmptySubsequences: false).map { cell in
        String(cell).trimmingSpace
      }
    }
    let rules = lines.dropFirst().first.map(cells) ?? []
    func row(_ line: String, _ tag: String) -> String {
      let cells = cells(line).enumerated().map { column, cell in
        let isRight = column < rules.count && rules[column].hasSuffix(":")
        return "<\(tag)\(isRight ? " class=\"right\"" : "")>\(inline(cell))</\(tag)>"
      }
      return "<tr>\(cells.joined())</tr>"
    }
    let head = lines.first.map { row($0, "th") } ?? ""
    let body = lines.dropFirst(2).map { row($0, "td") }.joined(separator: "\n")
    return "<table>\n<thead>\(head)</thead>\n<tbody>\n\(body)\n</tbody>\n</table>"
  }

  // MARK: - Within a line

  /// Returns text with code, emphasis and links.
  func inline(_ text: String) -> String {
    var result = ""
    var plain = ""
    var rest = Substring(text)
    func flush() {
      result += escapedHTML(plain)
      plain = ""
    }
    /// The text up to `mark`, if it comes on.
    func enclosed(_ mark: String) -> Substring? {
      let inside = rest.dropFirst(mark.count)
      guard let first = inside.first, first != " ", let end = inside.firstRange(of: mark) else { return nil }
      return end.lowerBound > inside.startIndex ? inside[..<end.lowerBound] : nil
    }
    func wrap(_ tag: String, _ inner: Substring, _ mark: String) {
      flush()
      result += "<\(tag)>\(inline(String(inner)))</\(tag)>"
      rest = rest[inner.endIndex...].dropFirst(mark.count)
    }
    while let character = rest.first {
      switch character {
      case "\\" where rest.dropFirst().first.map { "\\`*_[]#|<>".contains($0) } == true:
        plain.append(rest[rest.index(after: rest.startIndex)])
        rest = rest.dropFirst(2)
        continue
      case "`":
        let mark = String(rest.prefix { $0 == "`" })
        let inside = rest.dropFirst(mark.count)
        if let end = inside.firstRange(of: mark) {
          flush()
          let code = String(inside[..<end.lowerBound])
          result += "<code>\(escapedHTML(mark.count > 1 ? code.trimmingSpace : code))</code>"
          rest = inside[end.upperBound...]
        } else {
          plain += mark
          rest = inside
        }
        continue
      case "*" where rest.hasPrefix("**"):
        if let inner = enclosed("**") {
          wrap("strong", inner, "**")
          continue
        }
      case "*":
        if let inner = enclosed("*"), inner.last != " " {
          wrap("em", inner, "*")
          continue
        }
      case "_" where plain.last.map({ !$0.isLetter && !$0.isNumber && $0 != "_" }) ?? true:
        if let inner = enclosed("_"), inner.last != " ",
          rest[inner.endIndex...].dropFirst().first.map({ !$0.isLetter && !$0.isNumber }) ?? true
        {
          wrap("em", inner, "_")
          continue
        }
      case "[":
        if let link = Link(rest) {
          flush()
          result += "<a href=\"\(escapedHTML(link.target))\">\(inline(link.text))</a>"
          rest = rest[link.end...]
          continue
        }
      case "<":
        if let end = rest.firstIndex(of: ">") {
          let target = String(rest[rest.index(after: rest.startIndex)..<end])
          if Link.isWeb(target), !target.contains(where: \.isWhitespace) {
            flush()
            result += "<a href=\"\(escapedHTML(target))\">\(escapedHTML(target))</a>"
            rest = rest[end...].dropFirst()
            continue
          }
        }
      default: break
      }
      plain.append(character)
      rest = rest.dropFirst()
    }
    flush()
    return result
  }

  /// `[text](target)`
  private struct Link {
    let text: String
    let target: String
    let end: Substring.Index

    init?(_ source: Substring) {
      guard let close = source.firstRange(of: "]("), let end = source[close.upperBound...].firstIndex(of: ")") else {
        return nil
      }
      text = String(source[source.index(after: source.startIndex)..<close.lowerBound])
      target = String(source[close.upperBound..<end]).trimmingSpace
      self.end = source.index(after: end)
      // A scheme of another kind might run a program.
      let head = target.prefix { $0 != "/" && $0 != "#" && $0 != "?" }
      guard Link.isWeb(target) || !head.contains(":"), !text.contains("[") else { return nil }
    }

    static func isWeb(_ target: String) -> Bool {
      ["http://", "https://", "mailto:"].contains { target.lowercased().hasPrefix($0) }
    }
  }
}

extension String {
  fileprivate var trimmingSpace: String { drop { $0.isWhitespace }.trimmedAtEnd }
}
