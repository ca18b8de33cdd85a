/// Returns a diagnostic as text for people, without a final newline.
///
///     error[shape-mismatch]: matmul: inner sizes differ, 128 and 64
///       --> digits.nn:14:10
///        |
///     14 |   relu(h @ w2 |> scale)
///        |        - ^ -- w2 : f32[64, 10]
///        |        |
///        |        h : f32[32, 128]
///        |
///        = the columns of `h` (128) must equal the rows of `w2` (64)
///        = help: make `w2` with `normal([128, 10])`
package func render(_ diagnostic: Diagnostic, color: Bool) -> String {
  var renderer = DiagnosticRenderer(diagnostic, palette: color ? .terminal : .plain)
  return renderer.render()
}

struct DiagnosticRenderer {
  private let diagnostic: Diagnostic
  private let palette: Palette
  private var lines: [String] = []
  /// The width of line numbers.
  private let gutter: Int

  /// Source lines wider than this are cut around the caret.
  private static let widestLine = 120
  /// A recursion's trace is shown from both ends.
  private static let longestTrace = (head: 6, tail: 2)

  init(_ diagnostic: Diagnostic, palette: Palette) {
    self.diagnostic = diagnostic
    self.palette = palette
    let sites = [diagnostic.site].compactMap(\.self) + diagnostic.labels.map(\.site)
    gutter = max(2, sites.map { "\($0.line)".count }.max() ?? 0)
  }

  mutating func render() -> String {
    let heading = "\(diagnostic.severity.rawValue)[\(diagnostic.code)]"
    lines.append(
      palette.paint(heading, .severity(diagnostic.severity))
        + palette.paint(": " + diagnostic.message.printable, .message))
    if let site = diagnostic.site {
      renderWindows(around: site)
      if !diagnostic.notes.isEmpty || diagnostic.help != nil || !diagnostic.trace.isEmpty {
        lines.append(margin("|"))
      }
    }
    for note in diagnostic.notes { renderNote(note) }
    if let help = diagnostic.help { renderNote("help: " + help) }
    renderTrace()
    return lines.joined(separator: "\n")
  }

  // MARK: - Source windows

  /// A site on one line, in bytes of that line.
  private struct Mark {
    let line: Int
    let range: Range<Int>
    let text: String
    let isPrimary: Bool

    init(_ site: Site, text: String, isPrimary: Bool) {
      let start = min(max(site.start, 0), site.file.bytes.count)
      line = site.file.line(at: start)
      let whole = site.file.range(ofLine: line)
      let first = min(start, whole.upperBound)
      // Of a site over several lines the first is marked.
      range =
        first - whole.lowerBound..<max(first, min(site.end, whole.upperBound)) - whole.lowerBound
      self.text = text
      self.isPrimary = isPrimary
    }
  }

  private mutating func renderWindows(around site: Site) {
    var marks = [Mark(site, text: "", isPrimary: true)]
    var foreign: [(file: SourceFile, marks: [Mark], first: Site)] = []
    for label in diagnostic.labels {
      let mark = Mark(label.site, text: label.text, isPrimary: false)
      if label.site.file === site.file {
        marks.append(mark)
      } else if let index = foreign.firstIndex(where: { $0.file === label.site.file }) {
        foreign[index].marks.append(mark)
      } else {
        foreign.append((label.site.file, [mark], label.site))
      }
    }
    renderWindow(of: site.file, head: "-->", at: site, marks)
    for other in foreign {
      renderWindow(of: other.file, head: ":::", at: other.first, other.marks)
    }
  }

  private mutating func renderWindow(
    of file: SourceFile, head: String, at site: Site, _ marks: [Mark]
  ) {
    lines.append(
      spaces(gutter) + palette.paint(head, .frame) + " \(file.name):\(site.line):\(site.column)")
    lines.append(margin("|"))
    var previous: Int?
    for line in Set(marks.map(\.line)).sorted() {
      if let previous, line == previous + 2 {
        renderSource(DisplayLine(file.text(ofLine: previous + 1)), number: previous + 1, cut: nil)
      } else if let previous, line > previous + 2 {
        lines.append(spaces(gutter - 2) + palette.paint("...", .frame))
      }
      render(marks.filter { $0.line == line }, on: line, of: file)
      previous = line
    }
  }

  private mutating func renderSource(_ line: DisplayLine, number: Int, cut: Range<Int>?) {
    let range = cut ?? 0..<min(line.cells.count, Self.widestLine)
    var text = line.cells[range].joined()
    if range.lowerBound > 0 { text = "…" + text }
    if range.upperBound < line.cells.count { text += "…" }
    let digits = "\(number)"
    let head = palette.paint(spaces(gutter - digits.count) + digits + " |", .frame)
    lines.append(text.isEmpty ? head : head + " " + text)
  }

  /// Draws a source line, the marks under it and their texts.
  private mutating func render(_ marks: [Mark], on number: Int, of file: SourceFile) {
    let line = DisplayLine(file.text(ofLine: number))
    var spans = marks.map { mark in
      let start = line.column(ofByte: mark.range.lowerBound)
      let end = max(start + 1, line.column(ofByte: mark.range.upperBound))
      return Span(start: start, end: end, text: mark.text, isPrimary: mark.isPrimary)
    }
    let cut = Self.cut(width: line.cells.count, around: spans)
    renderSource(line, number: number, cut: cut)
    // The ellipsis at the left takes one column.
    let shift = cut.lowerBound - (cut.lowerBound > 0 ? 1 : 0)
    for index in spans.indices {
      spans[index].start = max(0, min(spans[index].start, cut.upperBound) - shift)
      spans[index].end = max(spans[index].start + 1, min(spans[index].end, cut.upperBound) - shift)
    }
    for row in Self.underline(spans) { lines.append(margin("| ") + row.painted(palette)) }
  }

  /// A mark in terminal columns.
  private struct Span {
    var start: Int
    var end: Int
    let text: String
    let isPrimary: Bool
  }

  /// Returns the columns of a line to show: all, or those around the primary mark.
  private static func cut(width: Int, around spans: [Span]) -> Range<Int> {
    guard width > widestLine else { return 0..<width }
    let all = (spans.map(\.start).min() ?? 0)..<(spans.map(\.end).max() ?? 0)
    let primary = spans.first { $0.isPrimary } ?? spans[0]
    let focus =
      all.count <= widestLine
      ? all : primary.start..<min(primary.end, primary.start + widestLine)
    let start = max(0, min(focus.lowerBound - (widestLine - focus.count) / 2, width - widestLine))
    return start..<start + widestLine
  }

  /// Returns the rows under a source line: the underlines with the rightmost text, then connectors and the
  /// other texts from right to left, so that no connector crosses a text.
  private static func underline(_ spans: [Span]) -> [Row] {
    var first = Row()
    for span in spans where !span.isPrimary { first.fill(span.start..<span.end, with: "-", .label) }
    for span in spans where span.isPrimary {
      first.fill(span.start..<span.end, with: "^", .primary)
    }
    // Texts are taken from the end: the rightmost first, at one column in the order given.
    var hanging = spans.filter { !$0.text.isEmpty }.enumerated().sorted {
      ($0.element.start, $0.element.end, $1.offset) < ($1.element.start, $1.element.end, $0.offset)
    }.map(\.element)
    if let last = hanging.last, spans.allSatisfy({ $0.end <= last.end && $0.start <= last.start }),
      hanging.dropLast().allSatisfy({ $0.start < last.start })
    {
      first.put(last.text, at: first.cells.count + 1, .label)
      hanging.removeLast()
    }
    var rows = [first]
    if !hanging.isEmpty {
      var connectors = Row()
      for span in hanging { connectors.put("|", at: span.start, .label) }
      rows.append(connectors)
    }
    while let span = hanging.popLast() {
      var row = Row()
      for other in hanging where other.start < span.start { row.put("|", at: other.start, .label) }
      row.put(span.text, at: span.start, .label)
      rows.append(row)
    }
    return rows
  }

  // MARK: - Notes and trace

  private mutating func renderNote(_ note: String) {
    for (index, line) in note.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      lines.append(index == 0 ? margin("= ") + line : spaces(gutter + 3) + line)
    }
  }

  private mutating func renderTrace() {
    let (head, tail) = Self.longestTrace
    let isLong = diagnostic.trace.count + diagnostic.omittedCalls > head + tail + 1
    for (index, call) in diagnostic.trace.enumerated() {
      if isLong, index == head {
        lines.append(margin("= ") + "… \(diagnostic.trace.count + diagnostic.omittedCalls - head - tail) more calls")
      }
      if isLong, index >= head, index < diagnostic.trace.count - tail { continue }
      lines.append(
        margin("= ") + "in \(call.text) called at \(call.site.file.name):\(call.site.line)")
    }
  }

  private func margin(_ text: String) -> String {
    spaces(gutter + 1) + palette.paint(text, .frame)
  }

  private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}

/// A row of characters in styles, one a column.
private struct Row {
  private(set) var cells: [(text: String, style: Palette.Style)] = []

  mutating func fill(_ columns: Range<Int>, with text: String, _ style: Palette.Style) {
    while cells.count < columns.upperBound { cells.append((" ", .plain)) }
    for column in columns { cells[column] = (text, style) }
  }

  /// Puts a text at a column; as it may be of any width, nothing is put to its right later.
  mutating func put(_ text: String, at column: Int, _ style: Palette.Style) {
    fill(column..<column + 1, with: text, style)
  }

  func painted(_ palette: Palette) -> String {
    var result = ""
    var run = ""
    var style = Palette.Style.plain
    for cell in cells {
      if cell.style != style {
        result += palette.paint(run, style)
        run = ""
        style = cell.style
      }
      run += cell.text
    }
    return result + palette.paint(run, style)
  }
}

/// The colours of diagnostics.
enum Palette {
  case plain, terminal

  enum Style: Equatable {
    case plain, message, frame, primary, label
    case severity(Diagnostic.Severity)
  }

  func paint(_ text: String, _ style: Style) -> String {
    if self == .plain || text.isEmpty || style == .plain { return text }
    let code =
      switch style {
      case .plain: "0"
      case .message: "1"
      case .frame, .label: "1;34"
      case .primary, .severity(.error): "1;31"
      case .severity(.warning): "1;33"
      case .severity(.note): "1;36"
      }
    return "\u{1B}[\(code)m\(text)\u{1B}[0m"
  }
}
