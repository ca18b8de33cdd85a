import Support

/// Points over two axes, in groups that colours or characters tell apart.
package struct ScatterChart {
  private let x: [Double]
  private let y: [Double]
  /// The group of each point; none where there is one group.
  private let groups: [Int]
  private let names: [String]
  private let setting: LineChart.Setting
  private let ranges: (horizontal: ClosedRange<Double>?, vertical: ClosedRange<Double>?)
  private let missing: Int

  /// - Parameter names: of the groups; none where all points are alike.
  package init(x: [Double], y: [Double], groups: [Int], names: [String], _ setting: LineChart.Setting) {
    (self.x, self.y, self.groups, self.names, self.setting) = (x, y, groups, names, setting)
    var (horizontal, vertical) = (Extent(), Extent())
    var missing = 0
    for (x, y) in zip(x, y) {
      if x.isFinite, y.isFinite {
        horizontal.include(x)
        vertical.include(y)
      } else {
        missing += 1
      }
    }
    ranges = (horizontal.range, vertical.range)
    self.missing = missing
  }

  private func axis(_ range: ClosedRange<Double>?, wanted: Int) -> Axis {
    Axis(range, .init(wanted: wanted, extends: true))
  }

  private var remark: String? {
    if missing > 0 { return "\(counted(missing, "point")) not finite" }
    return ranges.vertical == nil ? "nothing to draw: no points" : nil
  }

  /// Where the points lie on the axes, each with its group.
  private func places(_ horizontal: Axis, _ vertical: Axis) -> [(x: Double, y: Double, group: Int)] {
    x.indices.compactMap { index in
      guard x[index].isFinite, y[index].isFinite else { return nil }
      return (horizontal.position(x[index]), vertical.position(y[index]), groups.isEmpty ? 0 : groups[index])
    }
  }

  // MARK: Text

  private static let rows = 16

  package func text(on surface: Surface) -> String {
    let vertical = axis(ranges.vertical, wanted: 4)
    let frame = TextFrame(vertical, rows: ScatterChart.rows, .dots)
    let columns = min(surface.width - frame.indent, 72)
    let horizontal = axis(ranges.horizontal, wanted: max(2, columns / 14))
    var canvas = Canvas(columns: columns, rows: ScatterChart.rows)
    // The group with most points in a cell has it.
    var counts: [Int: [Int: Int]] = [:]
    for place in places(horizontal, vertical) {
      let (column, row) = (canvas.column(at: place.x), canvas.row(at: place.y))
      canvas.dot(column, row, series: place.group)
      if !names.isEmpty { counts[row / 4 * columns + column / 2, default: [:]][place.group, default: 0] += 1 }
    }
    let marks = marks
    for (cell, groups) in counts {
      guard let most = groups.min(by: { ($1.value, $0.key) < ($0.value, $1.key) }) else { continue }
      let (column, row) = (cell % columns * 2, cell / columns * 4)
      if surface.hasColors {
        canvas.recolor(column, row, series: most.key)
      } else {
        canvas.mark(column, row, marks[most.key])
      }
    }
    var lines = setting.title.map { [$0] } ?? []
    if let name = setting.verticalName { lines.append(name) }
    lines += frame.lines(canvas.lines(on: surface))
    lines += frame.bottom(horizontal, columns: columns, .dots, name: setting.horizontalName)
    lines += legend(marks, on: surface).map(frame.below)
    if let remark { lines.append(frame.below(remark)) }
    return lines.joined(separator: "\n")
  }

  /// A character for each group: its name, where names are characters, its first letter, where those differ.
  private var marks: [Character] {
    let first = names.map { $0.printable.first ?? "·" }
    if Set(first).count == names.count { return first }
    let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return names.indices.map { letters[$0 % letters.count] }
  }

  private func legend(_ marks: [Character], on surface: Surface) -> [String] {
    if names.isEmpty { return [] }
    if !surface.hasColors, zip(marks, names).allSatisfy({ String($0) == $1 }) { return [] }
    var lines: [String] = []
    var (line, width) = ("", 0)
    for (group, name) in names.enumerated() {
      let name = name.printable
      let entry = surface.hasColors ? surface.inked("⣿", series: group) + " " + name : "\(marks[group]) \(name)"
      let entryWidth = name.displayWidth + 2
      if width > 0, width + 3 + entryWidth > surface.width - 10 {
        lines.append(line)
        (line, width) = ("", 0)
      }
      line += (width > 0 ? "   " : "") + entry
      width += (width > 0 ? 3 : 0) + entryWidth
    }
    return lines + [line]
  }

  // MARK: SVG

  package var svg: String {
    let (left, top, width, height) = (76.0, setting.title == nil ? 16.0 : 40.0, 520.0, 400.0)
    let frame = SVGFrame(
      left: left, top: top, width: width, height: height, axis(ranges.horizontal, wanted: 7),
      axis(ranges.vertical, wanted: 6))
    let below = setting.horizontalName == nil ? 28.0 : 46.0
    var svg = SVG(
      width: left + width + (names.isEmpty ? 24 : 160),
      height: max(top + height + below + (remark == nil ? 0 : 18), top + 18 * Double(names.count)))
    svg.useSeries(max(names.count, 1))
    svg.style("circle", light: "fill-opacity:.75", dark: "fill-opacity:.75")
    frame.draw(
      on: &svg, title: setting.title, horizontalName: setting.horizontalName, verticalName: setting.verticalName)
    // Points of one group that share a spot are drawn once: no file grows beyond what can be seen.
    var seen: Set<[Int]> = []
    for place in places(frame.horizontal, frame.vertical) {
      let (x, y) = (left + width * place.x, top + height * (1 - place.y))
      if seen.insert([Int(2 * x), Int(2 * y), place.group]).inserted {
        svg.circle(x, y, radius: 2.6, class: SVG.fillClass(place.group))
      }
    }
    for (group, name) in names.enumerated() {
      let y = top + 10 + 18 * Double(group)
      svg.circle(left + width + 20, y - 4, radius: 4, class: SVG.fillClass(group))
      svg.text(name, left + width + 30, y)
    }
    if let remark { svg.text(remark, left, top + height + below + 10) }
    return svg.document
  }
}
