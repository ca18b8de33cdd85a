import Support

/// A drawing as SVG: shapes with classes, whose colours go with the reader's scheme, light or dark. Text stays text.
package struct SVG {
  private let width: Double
  private let height: Double
  private var parts: [String] = []
  private var rules: [(selector: String, light: String, dark: String)] = [
    (".paper", "fill:#fff", "fill:#181a1b"), ("text", "fill:#333", "fill:#ccc"),
    (".rule", "stroke:#888", "stroke:#888"), (".grid", "stroke:#e4e4e4", "stroke:#333638"),
    (".edge", "fill:none;stroke:#888", "fill:none;stroke:#888"),
  ]

  package init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  // MARK: Colours

  /// Okabe and Ito's colours, told apart by most, and a few more, each darker or lighter for its paper.
  private static let series: [(light: String, dark: String)] = [
    ("#0072b2", "#56a8e0"), ("#d55e00", "#f0883e"), ("#008a66", "#35c29a"), ("#b5609a", "#dd8fc0"),
    ("#b8860b", "#e6b84d"), ("#5b6770", "#a9b4bd"), ("#2ca6d4", "#86d3f2"), ("#8a4b2a", "#c98d6b"),
    ("#6a3d9a", "#b39ddb"), ("#6f8f00", "#b5d334"),
  ]

  /// Classes of a series: `.line3` for strokes, `.fill3` for areas and words.
  package mutating func useSeries(_ count: Int) {
    for (index, color) in SVG.series.prefix(count).enumerated() {
      rules.append((".line\(index)", "fill:none;stroke-width:1.6;stroke:\(color.light)", "stroke:\(color.dark)"))
      rules.append((".fill\(index)", "fill:\(color.light)", "fill:\(color.dark)"))
    }
  }

  package static func lineClass(_ series: Int) -> String { "line\(series % SVG.series.count)" }
  package static func fillClass(_ series: Int) -> String { "fill\(series % SVG.series.count)" }

  package mutating func style(_ selector: String, light: String, dark: String) { rules.append((selector, light, dark)) }

  // MARK: Shapes

  package enum Anchor: String {
    case start, middle, end
  }

  package mutating func text(
    _ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, class name: String? = nil, attributes: String = ""
  ) {
    parts.append(
      "<text x=\"\(number(x))\" y=\"\(number(y))\"" + (anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\"")
        + classText(name) + attributes + ">\(escapedHTML(text.printable))</text>")
  }

  package mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class name: String) {
    parts.append("<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"\(classText(name))/>")
  }

  package mutating func polyline(_ points: [(x: Double, y: Double)], class name: String) {
    parts.append("<polyline points=\"\(list(points))\"\(classText(name))/>")
  }

  package mutating func polygon(_ points: [(x: Double, y: Double)], fill: String, title: String) {
    parts.append("<polygon points=\"\(list(points))\" fill=\"\(fill)\">\(titleText(title))</polygon>")
  }

  package mutating func circle(_ x: Double, _ y: Double, radius: Double, class name: String, title: String? = nil) {
    let shape = "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"\(number(radius))\"\(classText(name))"
    parts.append(title.map { "\(shape)>\(titleText($0))</circle>" } ?? shape + "/>")
  }

  package mutating func rectangle(
    _ x: Double, _ y: Double, width: Double, height: Double, class name: String? = nil, fill: String? = nil,
    title: String? = nil
  ) {
    let shape =
      "<rect x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" height=\"\(number(height))\""
      + classText(name) + (fill.map { " fill=\"\($0)\"" } ?? "")
    parts.append(title.map { "\(shape)>\(titleText($0))</rect>" } ?? shape + "/>")
  }

  /// Shapes of one class.
  package mutating func group(class name: String, _ body: (inout SVG) -> Void) {
    parts.append("<g class=\"\(name)\">")
    body(&self)
    parts.append("</g>")
  }

  private func classText(_ name: String?) -> String { name.map { " class=\"\($0)\"" } ?? "" }
  private func titleText(_ text: String) -> String { "<title>\(escapedHTML(text.printable))</title>" }

  private func list(_ points: [(x: Double, y: Double)]) -> String {
    points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
  }

  /// Tenths of a pixel are enough.
  private func number(_ value: Double) -> String {
    let tenths = Int((min(max(value, -1e6), 1e6) * 10).rounded())
    let (whole, rest) = (abs(tenths) / 10, abs(tenths) % 10)
    return (tenths < 0 ? "-" : "") + "\(whole)" + (rest == 0 ? "" : ".\(rest)")
  }

  // MARK: The whole

  package var document: String {
    // A page may hold other drawings: nothing of this one's style is to reach them.
    let light = rules.map { ".gradus \($0.selector){\($0.light)}" }.joined()
    let dark = rules.map { ".gradus \($0.selector){\($0.dark)}" }.joined()
    return """
      <svg xmlns="http://www.w3.org/2000/svg" class="gradus" width="\(number(width))" height="\(number(height))" viewBox="0 0 \(number(width)) \(number(height))" style="max-width:100%;height:auto" font-family="sans-serif" font-size="12">
      <style>\(light)@media(prefers-color-scheme:dark){\(dark)}</style>
      <rect class="paper" width="100%" height="100%"/>
      \(parts.joined(separator: "\n"))
      </svg>

      """
  }
}

/// The place of a picture in an SVG, between its axes.
package struct SVGFrame {
  package let left, top, width, height: Double
  package let horizontal: Axis
  package let vertical: Axis

  package init(left: Double, top: Double, width: Double, height: Double, _ horizontal: Axis, _ vertical: Axis) {
    (self.left, self.top, self.width, self.height) = (left, top, width, height)
    (self.horizontal, self.vertical) = (horizontal, vertical)
  }

  package func x(_ value: Double) -> Double { left + width * horizontal.position(value) }
  package func y(_ value: Double) -> Double { top + height * (1 - vertical.position(value)) }

  /// Draws the sides, with lines of a grid for ticks, their labels, and names of the axes.
  package func draw(on svg: inout SVG, title: String?, horizontalName: String? = nil, verticalName: String? = nil, hasGrid: Bool = true) {
    for tick in vertical.ticks {
      if hasGrid { svg.line(left, y(tick.value), left + width, y(tick.value), class: "grid") }
      svg.text(tick.label, left - 8, y(tick.value) + 4, .end)
    }
    for tick in horizontal.ticks {
      if hasGrid { svg.line(x(tick.value), top, x(tick.value), top + height, class: "grid") }
      svg.line(x(tick.value), top + height, x(tick.value), top + height + 4, class: "rule")
      svg.text(tick.label, x(tick.value), top + height + 18, .middle)
    }
    svg.rectangle(left, top, width: width, height: height, class: "edge")
    if let title { svg.text(title, left, top - 12, attributes: " font-size=\"14\"") }
    if let horizontalName { svg.text(horizontalName, left + width / 2, top + height + 36, .middle) }
    if let verticalName {
      let (x, y) = (14.0, top + height / 2)
      svg.text(verticalName, x, y, .middle, attributes: " transform=\"rotate(-90 \(Int(x)) \(Int(y)))\"")
    }
  }
}
