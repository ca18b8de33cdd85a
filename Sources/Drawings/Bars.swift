/// Columns of eighths of blocks.
package enum Bars {
  package static let eighths: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

  /// Returns `rows` lines of text, the topmost first.
  ///
  /// - Parameter heights: in eighths of a row.
  package static func lines(_ heights: [Int], rows: Int) -> [String] {
    (0..<rows).reversed().map { row in
      String(heights.map { eighths[max(0, min(8, $0 - 8 * row))] })
    }
  }

  /// One line for counts; a count that is not 0 can be seen.
  package static func sparkline(_ counts: [Int]) -> String {
    let top = max(counts.max() ?? 1, 1)
    return String(counts.map { count in count == 0 ? " " : eighths[max(1, (count * 8 + top / 2) / top)] })
  }

  /// The height of a part of the whole, in eighths of `rows` rows; 0 only for nothing.
  package static func height(_ value: Double, of whole: Double, rows: Int) -> Int {
    if value <= 0 { return 0 }
    return max(1, Int((value / whole * Double(8 * rows)).rounded()))
  }
}
