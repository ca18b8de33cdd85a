import Support

/// Series of numbers as curves over one pair of axes.
package struct LineChart {
  package struct Series {
    package let name: String?
    package let curve: Curve

    package init(name: String?, curve: Curve) {
      self.name = name
      self.curve = curve
    }
  }

  /// What is written around a picture, and how its axes run.
  package struct Setting {
    package var title: String?
    package var horizontalName: String?
    package var verticalName: String?
    package var isLogarithmic = (horizontal: false, vertical: false)

    package init() {}
  }

  private let series: [Series]
  private let setting: Setting
  private let isNamed: Bool
  private let ranges: (horizontal: ClosedRange<Double>?, vertical: ClosedRange<Double>?)
  private let hasWholePlaces: Bool
  /// Points without a place: not finite, and not positive where the axis needs that.
  package private(set) var missing = (notFinite: 0, notPositive: 0)

  package init(_ series: [Series], _ setting: Setting) {
    self.series = series
    self.setting = setting
    isNamed = series.contains { $0.name != nil }
    var horizontal = Extent()
    var vertical = Extent()
    var hasWholePlaces = true
    for curve in series.map(\.curve) {
      for (x, y) in zip(curve.x, curve.y) {
        if !x.isFinite || !y.isFinite {
          missing.notFinite += 1
        } else if setting.isLogarithmic.horizontal && x <= 0 || setting.isLogarithmic.vertical && y <= 0 {
          missing.notPositive += 1
        } else {
          horizontal.include(x)
          vertical.include(y)
          if x != x.rounded() { hasWholePlaces = false }
        }
      }
    }
    ranges = (horizontal.range, vertical.range)
    self.hasWholePlaces = hasWholePlaces
  }

  private func horizontal(wanted: Int) -> Axis {
    Axis(
      ranges.horizontal,
      .init(wanted: wanted, isLogarithmic: setting.isLogarithmic.horizontal, isWhole: hasWholePlaces))
  }
  private func vertical(wanted: Int) -> Axis {
    Axis(ranges.vertical, .init(wanted: wanted, isLogarithmic: setting.isLogarithmic.vertical, extends: true))
  }

  /// What the picture does not show.
  private var remarks: [String] {
    if ranges.vertical == nil && missing == (0, 0) { return ["nothing to draw: no points"] }
    var remarks: [String] = []
    if missing.notFinite > 0 { remarks.append("\(counted(missing.notFinite, "point")) not finite: \(missing.notFinite == 1 ? "a gap" : "gaps")") }
    if missing.notPositive > 0 {
      remarks.append("\(counted(missing.notPositive, "point")) not positive: no place on a logarithmic axis")
    }
    return remarks
  }

  // MARK: Text

  private static let rows = 10
  private static let longestName = 20

  package func text(on surface: Surface) -> String {
    let vertical = vertical(wanted: 3)
    let frame = TextFrame(vertical, rows: LineChart.rows, .dots)
    let names = series.map { $0.name.map { clipped($0) } ?? "" }
    let nameWidth = isNamed ? names.map(\.displayWidth).max()! + 1 : 0
    let columns = max(10, surface.width - frame.indent - nameWidth)
    let horizontal = horizontal(wanted: max(2, columns / 12))
    var canvas = Canvas(columns: columns, rows: LineChart.rows)
    var ends: [(series: Int, row: Int)] = []
    for (index, one) in series.enumerated() {
      // Colours tell curves apart where there are some; dashes do where there are none.
      var pattern = Canvas.Pattern(surface.hasColors ? 0 : index)
      let runs = one.curve.runs(horizontal, vertical, columns: canvas.width)
      for run in runs {
        var last: (x: Int, y: Int)?
        for place in run {
          let point = (x: canvas.column(at: place.x), y: canvas.row(at: place.y))
          if let last { canvas.line(from: last, to: point, &pattern, series: index) }
          if last == nil { canvas.dot(point.x, point.y, series: index) }
          // A single dot is easily overlooked.
          if run.count == 1 { canvas.mark(point.x, point.y, "•", series: index) }
          last = point
        }
      }
      if let place = runs.last?.last { ends.append((index, canvas.row(at: place.y) / 4)) }
    }
    var picture = canvas.lines(on: surface)
    let unplaced = isNamed ? write(names, at: ends, beside: &picture, columns, surface) : []

    var lines = setting.title.map { [$0] } ?? []
    if let name = setting.verticalName { lines.append(name) }
    lines += frame.lines(picture) + frame.bottom(horizontal, columns: columns, .dots, name: setting.horizontalName)
    if !unplaced.isEmpty { lines.append(frame.below("also " + unplaced.joined(separator: ", "))) }
    lines += remarks.map(frame.below)
    return lines.joined(separator: "\n")
  }

  private func clipped(_ name: String) -> String {
    let name = name.printable
    return name.displayWidth <= LineChart.longestName ? name : String(name.prefix(LineChart.longestName - 1)) + "…"
  }

  /// Puts each name beside the end of its curve, or near it where several end there.
  /// - Returns: those without a place.
  private func write(
    _ names: [String], at ends: [(series: Int, row: Int)], beside picture: inout [String], _ columns: Int,
    _ surface: Surface
  ) -> [String] {
    var taken: [Int: Int] = [:]
    var unplaced: [String] = []
    for end in ends.sorted(by: { ($0.row, $0.series) < ($1.row, $1.series) }) {
      let free = picture.indices.filter { taken[$0] == nil }
      guard let row = free.min(by: { (abs($0 - end.row), $0) < (abs($1 - end.row), $1) }) else {
        unplaced.append(names[end.series])
        continue
      }
      taken[row] = end.series
    }
    // Names stand in the order of the ends, though nearness alone gave them their rows.
    let order = ends.filter { end in taken.values.contains(end.series) }.sorted { ($0.row, $0.series) < ($1.row, $1.series) }
    for (row, end) in zip(taken.keys.sorted(), order) {
      let space = String(repeating: " ", count: max(0, columns - visibleWidth(picture[row])) + 1)
      picture[row] += space + surface.inked(names[end.series], series: end.series)
    }
    // A series without a point has no end.
    return unplaced + names.indices.filter { index in !ends.contains { $0.series == index } }.map { names[$0] }
  }

  // MARK: SVG

  package var svg: String {
    let (left, top, width, height) = (76.0, setting.title == nil ? 16.0 : 40.0, 600.0, 260.0)
    let frame = SVGFrame(
      left: left, top: top, width: width, height: height, horizontal(wanted: 8), vertical(wanted: 6))
    let remarks = remarks
    let below = setting.horizontalName == nil ? 28.0 : 46.0
    var svg = SVG(
      width: left + width + (isNamed ? 170 : 24),
      height: max(top + height + below + 18 * Double(remarks.count), isNamed ? top + 18 * Double(series.count) : 0))
    svg.useSeries(series.count)
    frame.draw(
      on: &svg, title: setting.title, horizontalName: setting.horizontalName, verticalName: setting.verticalName)
    for (index, one) in series.enumerated() {
      for run in one.curve.runs(frame.horizontal, frame.vertical, columns: 2 * Int(width)) {
        let points = run.map { (x: left + width * $0.x, y: top + height * (1 - $0.y)) }
        if points.count == 1 {
          svg.circle(points[0].x, points[0].y, radius: 2, class: SVG.fillClass(index))
        } else {
          svg.polyline(points, class: SVG.lineClass(index))
        }
      }
      if let name = one.name {
        let y = top + 10 + 18 * Double(index)
        svg.line(left + width + 14, y - 4, left + width + 34, y - 4, class: SVG.lineClass(index))
        svg.text(name, left + width + 40, y)
      }
    }
    for (index, remark) in remarks.enumerated() { svg.text(remark, left, top + height + below + 10 + 18 * Double(index)) }
    return svg.document
  }
}

/// The least and the greatest of some numbers.
package struct Extent {
  private var low = Double.infinity
  private var high = -Double.infinity

  package init() {}

  package mutating func include(_ value: Double) {
    if value < low { low = value }
    if value > high { high = value }
  }

  package var range: ClosedRange<Double>? { low <= high ? low...high : nil }
}

/// `1 point is`, `3 points are`
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? " is" : "s are")" }

/// The columns of a text in which colours may change.
func visibleWidth(_ text: String) -> Int {
  var width = 0
  var isCode = false
  for scalar in text.unicodeScalars {
    if scalar == "\u{1B}" { isCode = true }
    if !isCode { width += scalar.displayWidth }
    if isCode, scalar == "m" { isCode = false }
  }
  return width
}
