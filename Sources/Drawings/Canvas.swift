/// Dots on a grid of cells, 2 x 4 of them in each, as the characters of braille have them.
package struct Canvas {
  package let columns: Int
  package let rows: Int
  private var dots: [UInt8]
  /// The series that was last in a cell.
  private var series: [Int]
  /// What stands in a cell in the place of dots.
  private var marks: [Character?]

  package var width: Int { 2 * columns }
  package var height: Int { 4 * rows }

  package init(columns: Int, rows: Int) {
    self.columns = columns
    self.rows = rows
    dots = [UInt8](repeating: 0, count: columns * rows)
    series = [Int](repeating: 0, count: columns * rows)
    marks = [Character?](repeating: nil, count: columns * rows)
  }

  /// The dot at a position from 0 to 1, from the left.
  package func column(at position: Double) -> Int { Int((position * Double(width - 1)).rounded()) }
  /// The same from the bottom.
  package func row(at position: Double) -> Int { Int(((1 - position) * Double(height - 1)).rounded()) }

  private func cell(_ x: Int, _ y: Int) -> Int? {
    guard 0..<width ~= x, 0..<height ~= y else { return nil }
    return y / 4 * columns + x / 2
  }

  package mutating func dot(_ x: Int, _ y: Int, series: Int = 0) {
    guard let cell = cell(x, y) else { return }
    // Bits of a character go down the left column, then the right one; the lowest row came later.
    let bit = y % 4 == 3 ? 6 + x % 2 : y % 4 + 3 * (x % 2)
    dots[cell] |= 1 << UInt8(bit)
    self.series[cell] = series
  }

  /// Puts a character in the cell of a dot.
  package mutating func mark(_ x: Int, _ y: Int, _ mark: Character, series: Int = 0) {
    guard let cell = cell(x, y) else { return }
    marks[cell] = mark
    self.series[cell] = series
  }

  /// Gives the cell of a dot to a series.
  package mutating func recolor(_ x: Int, _ y: Int, series: Int) {
    if let cell = cell(x, y) { self.series[cell] = series }
  }

  /// Which dots of a line are drawn, in turn.
  package struct Pattern {
    private let lengths: [Int]
    private var index = 0
    private var left: Int

    /// Unbroken, dashed, dotted, dash and dot.
    private static let all = [[Int.max], [5, 3], [1, 2], [5, 2, 1, 2]]

    package init(_ number: Int) {
      lengths = Pattern.all[number % Pattern.all.count]
      left = lengths[0]
    }

    package mutating func next() -> Bool {
      while left == 0 {
        index = (index + 1) % lengths.count
        left = lengths[index]
      }
      left -= 1
      return index % 2 == 0
    }
  }

  /// Draws a line but for its first dot, which ended the line before it.
  package mutating func line(
    from start: (x: Int, y: Int), to end: (x: Int, y: Int), _ pattern: inout Pattern, series: Int = 0
  ) {
    let (width, height) = (end.x - start.x, end.y - start.y)
    let count = max(abs(width), abs(height))
    if count == 0 { return }
    for step in 1...count where pattern.next() {
      // Halves are rounded alike in both directions.
      let x = start.x + (2 * width * step + (width < 0 ? -count : count)) / (2 * count)
      let y = start.y + (2 * height * step + (height < 0 ? -count : count)) / (2 * count)
      dot(x, y, series: series)
    }
  }

  /// The lines of text, without spaces at their ends.
  package func lines(on surface: Surface) -> [String] {
    (0..<rows).map { row in
      let cells = row * columns..<(row + 1) * columns
      let isEmpty = { (cell: Int) in dots[cell] == 0 && marks[cell] == nil }
      guard let last = cells.last(where: { !isEmpty($0) }) else { return "" }
      var line = ""
      // One change of colour for neighbours that share it.
      var run = ""
      var runSeries = 0
      for cell in cells.lowerBound...last {
        if !isEmpty(cell), series[cell] != runSeries {
          line += surface.inked(run, series: runSeries)
          (run, runSeries) = ("", series[cell])
        }
        run.append(marks[cell] ?? (dots[cell] == 0 ? " " : Character(Unicode.Scalar(0x2800 + UInt32(dots[cell]))!)))
      }
      return line + surface.inked(run, series: runSeries)
    }
  }
}
