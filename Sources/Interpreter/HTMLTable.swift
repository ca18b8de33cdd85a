import Support

/// A table for notebooks, which show it in the place of the text that stands for a value.
struct HTMLTable {
  /// What stands above it; empty for nothing.
  let caption: String
  /// The names of its columns; none without.
  var heads: [String] = []
  /// Columns of words; numbers stand to the right.
  let wordColumns: Set<Int>
  private var rows: [String] = []
  private var notes: [String] = []

  init(_ caption: String = "", heads: [String] = [], wordColumns: Set<Int>) {
    self.caption = caption
    self.heads = heads
    self.wordColumns = wordColumns
  }

  mutating func add(_ cells: [String], isStrong: Bool = false) {
    rows.append(row(cells, tag: isStrong ? "th" : "td"))
  }

  /// A row of one name and one text that takes all other columns.
  mutating func add(_ name: String, remark: String, of columnCount: Int) {
    let left = "style=\"text-align:left\""
    let rest = "colspan=\"\(columnCount - 1)\" \(left)"
    rows.append("<tr><td \(left)>\(escapedHTML(name))</td><td \(rest)>\(escapedHTML(remark))</td></tr>")
  }

  /// A line below the table.
  mutating func add(note: String) { notes.append("<div>\(escapedHTML(note))</div>") }

  private func row(_ cells: [String], tag: String) -> String {
    "<tr>"
      + cells.enumerated().map { column, cell in
        "<\(tag) style=\"text-align:\(wordColumns.contains(column) ? "left" : "right")\">\(escapedHTML(cell))</\(tag)>"
      }.joined() + "</tr>"
  }

  var text: String {
    let above = caption.isEmpty ? "" : "<caption style=\"text-align:left\">\(escapedHTML(caption))</caption>\n"
    let head = heads.isEmpty ? "" : "<thead>\(row(heads, tag: "th"))</thead>\n"
    return """
      <table>
      \(above)\(head)<tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table>
      \(notes.joined(separator: "\n"))
      """
  }
}
