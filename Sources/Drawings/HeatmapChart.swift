import Support

/// A matrix as colours or shades, its first row on top.
package struct HeatmapChart {
  private let rows: Int
  private let columns: Int
  private let values: [Double]
  private let title: String?
  private let range: ClosedRange<Double>?
  private let missing: Int

  /// - Requires: `rows * columns` values, row by row.
  package init(rows: Int, columns: Int, values: [Double], title: String?) {
    (self.rows, self.columns, self.values, self.title) = (rows, columns, values, title)
    var extent = Extent()
    var missing = 0
    for value in values { if value.isFinite { extent.include(value) } else { missing += 1 } }
    range = extent.range
    self.missing = missing
  }

  /// Cells that each stand for the mean of some elements.
  private struct Grid {
    let rows: Int
    let columns: Int
    let block: (rows: Int, columns: Int)
    /// From 0 to 1; nil where nothing is finite.
    let shares: [Double?]

    subscript(row: Int, column: Int) -> Double? { shares[row * columns + column] }
  }

  private func grid(rows mostRows: Int, columns mostColumns: Int) -> Grid {
    let block = (rows: max(1, (rows + mostRows - 1) / mostRows), columns: max(1, (columns + mostColumns - 1) / mostColumns))
    let size = (rows: (rows + block.rows - 1) / block.rows, columns: (columns + block.columns - 1) / block.columns)
    let color = Axis(low: range?.lowerBound ?? 0, high: range?.upperBound ?? 1, ticks: [])
    var shares: [Double?] = []
    for row in 0..<size.rows {
      for column in 0..<size.columns {
        var (sum, count) = (0.0, 0)
        for y in row * block.rows..<min((row + 1) * block.rows, rows) {
          for x in column * block.columns..<min((column + 1) * block.columns, columns) {
            let value = values[y * columns + x]
            // Positions lie between 0 and 1: their sum is finite where that of values may not be.
            if value.isFinite { (sum, count) = (sum + (color.low == color.high ? 0.5 : color.position(value)), count + 1) }
          }
        }
        shares.append(count == 0 ? nil : sum / Double(count))
      }
    }
    return Grid(rows: size.rows, columns: size.columns, block: block, shares: shares)
  }

  private func remarks(_ grid: Grid) -> [String] {
    if values.isEmpty { return ["nothing to draw: no elements"] }
    var remarks: [String] = []
    if grid.block != (1, 1) { remarks.append("each cell is the mean of \(grid.block.rows) x \(grid.block.columns) elements") }
    if missing > 0 { remarks.append("\(counted(missing, "element")) not finite") }
    return remarks
  }

  private var ends: (low: String, high: String) {
    (Axis.label(of: range?.lowerBound ?? 0, digits: 4), Axis.label(of: range?.upperBound ?? 0, digits: 4))
  }

  /// Indices along a side, in the middle of their cells.
  private func indices(_ count: Int, wanted: Int) -> Axis {
    let fitted = Axis(0...Double(max(count - 1, 1)), .init(wanted: wanted, isWhole: true))
    return Axis(low: -0.5, high: Double(max(count, 1)) - 0.5, ticks: fitted.ticks.filter { $0.value < Double(max(count, 1)) })
  }

  // MARK: Text

  private static let mostLines = 24

  package func text(on surface: Surface) -> String {
    let side = indices(rows, wanted: 4)
    let margin = side.ticks.map(\.label.count).max() ?? 0
    let room = surface.width - margin - 4
    let lines: [String]
    let grid: Grid
    if surface.hasColors {
      // Half a character is as wide as it is high: two rows a line.
      grid = self.grid(rows: 2 * HeatmapChart.mostLines, columns: room)
      let zoom = max(1, min(room / max(grid.columns, 1), 32 / max(grid.rows, grid.columns, 1)))
      lines = halfBlocks(grid, zoom, surface)
    } else {
      let wide = columns * 2 <= room
      grid = self.grid(rows: HeatmapChart.mostLines, columns: room)
      lines = (0..<grid.rows).map { row in
        String((0..<grid.columns).flatMap { column in
          [Character](repeating: grid[row, column].map(ColorRamp.shade) ?? "?", count: wide ? 2 : 1)
        }) + "│"
      }
    }
    let width = lines.first.map(visibleWidth).map { surface.hasColors ? $0 : $0 - 1 } ?? 0
    var labels: [Int: String] = [:]
    for tick in side.ticks {
      let line = min(Int(side.position(tick.value) * Double(lines.count)), max(lines.count - 1, 0))
      if labels[line] == nil { labels[line] = tick.label }
    }
    let frame = TextFrame(labels: labels)
    var text = title.map { [$0] } ?? []
    text += frame.lines(lines)
    if width > 0 { text += frame.bottom(indices(columns, wanted: max(2, width / 10)), columns: width, .cells, name: nil) }
    if range != nil { text.append(frame.below(legend(on: surface))) }
    text += remarks(grid).map(frame.below)
    return text.joined(separator: "\n")
  }

  private func legend(on surface: Surface) -> String {
    let ramp =
      surface.hasColors
      ? (0..<24).map { surface.painted("█", ColorRamp.color(at: Double($0) / 23)) }.joined()
      : "│" + ColorRamp.shades.map { String(repeating: $0, count: 2) }.joined() + "│"
    return "\(ends.low) \(ramp) \(ends.high)"
  }

  private func halfBlocks(_ grid: Grid, _ zoom: Int, _ surface: Surface) -> [String] {
    func color(_ row: Int, _ column: Int) -> Color { grid[row / zoom, column].map(ColorRamp.color) ?? ColorRamp.missing }
    let height = grid.rows * zoom
    return stride(from: 0, to: height, by: 2).map { row in
      (0..<grid.columns).map { column in
        let lower = row + 1 < height ? color(row + 1, column) : nil
        return surface.painted(String(repeating: "▀", count: zoom), color(row, column), on: lower)
      }.joined()
    }
  }

  // MARK: SVG

  private static let mostCells = 128
  /// Of more cells nobody wants to know each.
  private static let mostTitles = 1024

  package var svg: String {
    let grid = grid(rows: HeatmapChart.mostCells, columns: HeatmapChart.mostCells)
    let size = min(24, 520 / Double(max(grid.columns, 1)), 400 / Double(max(grid.rows, 1)))
    let (left, top) = (60.0, title == nil ? 16.0 : 40.0)
    let (width, height) = (size * Double(grid.columns), size * Double(grid.rows))
    let remarks = remarks(grid)
    let ramp = (left: left + width + 24, height: max(height, 80))
    var svg = SVG(
      width: max(ramp.left + 110, 320), height: top + ramp.height + 34 + 18 * Double(remarks.count))
    svg.style(".cells", light: "shape-rendering:crispEdges", dark: "shape-rendering:crispEdges")
    let hasTitles = grid.block == (1, 1) && values.count <= HeatmapChart.mostTitles
    svg.group(class: "cells") { svg in
      for row in 0..<grid.rows {
        for column in 0..<grid.columns {
          svg.rectangle(
            left + size * Double(column), top + size * Double(row), width: size, height: size,
            fill: (grid[row, column].map(ColorRamp.color) ?? ColorRamp.missing).hex,
            title: hasTitles ? "\(row), \(column): \(Axis.label(of: values[row * columns + column], digits: 6))" : nil)
        }
      }
    }
    let side = indices(rows, wanted: max(2, Int(height / 30)))
    let upright = Axis(
      low: -side.high, high: -side.low, ticks: side.ticks.map { .init(-$0.value, $0.label) })
    let frame = SVGFrame(
      left: left, top: top, width: width, height: height, indices(columns, wanted: max(2, Int(width / 50))), upright)
    frame.draw(on: &svg, title: title, hasGrid: false)
    if range != nil {
      for step in 0..<64 {
        let share = Double(step) / 63
        svg.rectangle(
          ramp.left, top + ramp.height * (1 - Double(step + 1) / 64), width: 14, height: ramp.height / 64 + 0.5,
          class: "cells", fill: ColorRamp.color(at: share).hex)
      }
      svg.text(ends.high, ramp.left + 20, top + 10)
      svg.text(ends.low, ramp.left + 20, top + ramp.height)
    }
    for (index, remark) in remarks.enumerated() { svg.text(remark, left, top + height + 40 + 18 * Double(index)) }
    return svg.document
  }
}
