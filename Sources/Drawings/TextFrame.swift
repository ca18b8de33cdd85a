import Support

/// A picture of text with axes: labels to the left, a rule below.
package struct TextFrame {
  /// What a position on an axis falls on.
  package enum Grain {
    /// A dot of a canvas, and the cell that it is in.
    case dots
    /// A cell of the picture, or the top of a bar.
    case cells
  }

  private let margin: Int
  private let labels: [Int: String]

  /// - Parameter labels: by line of the picture, from the top.
  package init(labels: [Int: String]) {
    self.labels = labels
    margin = labels.values.map(\.displayWidth).max() ?? 0
  }

  /// Labels for the ticks of an axis along so many lines.
  package init(_ axis: Axis, rows: Int, _ grain: Grain) {
    var labels: [Int: String] = [:]
    for tick in axis.ticks {
      let position = 1 - axis.position(tick.value)
      let row = grain == .dots ? Int((position * Double(4 * rows - 1)).rounded()) / 4 : Int(position * Double(rows) + 1e-9)
      let place = min(max(row, 0), rows - 1)
      if labels[place] == nil { labels[place] = tick.label }
    }
    self.init(labels: labels)
  }

  /// Columns to the left of the picture.
  package var indent: Int { margin + 2 }
  private var space: String { String(repeating: " ", count: margin) }

  package func lines(_ picture: [String]) -> [String] {
    picture.enumerated().map { row, line in
      let label = labels[row] ?? ""
      let line = String(repeating: " ", count: margin - label.displayWidth) + label + (label.isEmpty ? " │" : " ┤") + line
      return line.trimmedAtEnd
    }
  }

  /// A rule with what is written in it.
  package func rule(_ text: String) -> String { "\(space) └\(text)" }

  /// A line below the rule.
  package func below(_ text: String) -> String { "\(space)  \(text)".trimmedAtEnd }

  /// The rule and the labels of an axis along the lower side, `columns` wide.
  package func bottom(_ axis: Axis, columns: Int, _ grain: Grain, name: String?) -> [String] {
    var rule = [Character](repeating: "─", count: columns)
    var labels = [Character](repeating: " ", count: columns + indent)
    var end = 0
    for tick in axis.ticks {
      let position = axis.position(tick.value)
      let place =
        grain == .dots ? Int((position * Double(2 * columns - 1)).rounded()) / 2 : Int(position * Double(columns) + 1e-9)
      let column = min(max(place, 0), columns - 1)
      let label = Array(tick.label)
      let start = min(max(column + indent - (label.count - 1) / 2, end), labels.count - label.count)
      // A label without room would be taken for that of another tick.
      guard start >= end, start <= column + indent else { continue }
      rule[column] = "┬"
      labels.replaceSubrange(start..<start + label.count, with: label)
      end = start + label.count + 1
    }
    var lines = [self.rule(String(rule)), String(labels).trimmedAtEnd]
    if let name {
      lines.append(below(String(repeating: " ", count: max(0, (columns - name.displayWidth) / 2)) + name))
    }
    return lines
  }
}
