import Drawings
import Execution
import Graphs
import Support
import Tensors

/// What `timeline(step, arguments…)` gives: live bytes over the steps of a plan, drawn as text or SVG.
final class Timeline: ObjectValue {
  private let heading: String
  private let ledger: Ledger

  init(_ step: TracedStep) {
    heading = step.heading
    ledger = step.plan.ledger
  }

  override var kind: String { "timeline" }
  override var memberNames: [String] { ["bytes", "phases", "peak"] }
  override func member(_ name: String) -> Value? {
    switch name {
    case "bytes": .list(totals.map { .int($0) })
    case "phases": .list(ledger.steps.map { .string($0.origin.phase.rawValue) })
    case "peak": .int(ledger.peak)
    default: nil
    }
  }

  private var totals: [Int] { ledger.steps.indices.map { ledger.usage.total($0) } }

  // MARK: Sections

  /// Stretches of one phase. Updates run along with the backward pass unless something holds them back.
  private var sections: [(name: String, steps: Range<Int>)] {
    let phases = ledger.steps.map(\.origin.phase)
    var sections: [(name: String, steps: Range<Int>)] = []
    // Pieces of a batch that differ in size each have a forward and a backward pass.
    var start = 0
    while start < phases.count {
      let backward = phases[start...].firstIndex { $0 != .forward } ?? phases.count
      let end = phases[backward...].firstIndex(of: .forward) ?? phases.count
      if backward > start { sections.append(("forward", start..<backward)) }
      let update = (phases[backward..<end].lastIndex(of: .backward) ?? backward - 1) + 1
      let hasEarlyUpdates = phases[backward..<update].contains(.update)
      if update > backward { sections.append((hasEarlyUpdates ? "backward and update" : "backward", backward..<update)) }
      if update < end { sections.append(("update", update..<end)) }
      start = end
    }
    return sections
  }

  // MARK: Text

  private static let height = 6
  /// What labels and the frame leave of a line.
  private static let margin = 16

  override var summary: String { text(on: .plain) }

  override func text(on surface: Surface) -> String {
    let totals = totals
    guard let top = totals.max(), let bottom = totals.min() else { return "timeline of \(heading): no steps" }
    let sections = sections
    let columns = columns(surface.width - Timeline.margin)
    let span = max(top - bottom, 1)
    let eighths = columns.map { 1 + (totals[$0].max()! - bottom) * (8 * Timeline.height - 1) / span }
    let frame = TextFrame(labels: [0: byteText(top), Timeline.height - 1: byteText(bottom)])
    var rule = ""
    for (index, section) in sections.enumerated() {
      let count = columns.count { section.steps.contains($0.lowerBound) }
      let name = count >= section.name.count + 2 ? " \(section.name) " : ""
      rule += name + String(repeating: "─", count: max(0, count - name.count))
      if index + 1 < sections.count && !rule.isEmpty {
        rule.removeLast()
        rule += "┴"
      }
    }
    let lines = frame.lines(Bars.lines(eighths, rows: Timeline.height))
    return (["live bytes of \(heading)"] + lines + [frame.rule(rule), peakLine]).joined(separator: "\n")
  }

  /// The steps that each column stands for: several where there are many, one over some columns where there are few.
  private func columns(_ width: Int) -> [Range<Int>] {
    let count = ledger.steps.count
    return (0..<width).map { column in
      let start = column * count / width
      return start..<max(start + 1, (column + 1) * count / width)
    }
  }

  private var peakLine: String {
    let step = ledger.steps[ledger.peakStep]
    var line = "peak \(byteText(ledger.peak))"
    if let site = step.origin.site {
      line += " at \(site.placeInFile)"
      if let text = site.shortText { line += " `\(text)`" }
    }
    if !step.origin.path.isEmpty { line += " of \(step.origin.path)" }
    return line + ", \(step.origin.phase.rawValue)"
  }

  // MARK: SVG

  /// A stepped area over the steps of the plan, one colour a category, phases marked below.
  override var svg: String? {
    let (left, top, width, height) = (80.0, 40.0, 700.0, 300.0)
    let places = Axis(low: 0, high: Double(max(ledger.steps.count, 1)), ticks: [])
    let frame = SVGFrame(left: left, top: top, width: width, height: height, places, byteAxis(upTo: ledger.peak))
    var svg = SVG(width: left + width + 160, height: top + height + 56)
    frame.draw(on: &svg, title: "live bytes of \(heading)")
    var below = [Int](repeating: 0, count: ledger.steps.count)
    var shown = 0
    for category in MemoryCategory.allCases {
      let bytes = ledger.usage.bytes.map { $0[category.rawValue] }
      if bytes.allSatisfy({ $0 == 0 }) { continue }
      var upper: [(x: Double, y: Double)] = []
      var lower: [(x: Double, y: Double)] = []
      for step in bytes.indices {
        let (start, end) = (frame.x(Double(step)), frame.x(Double(step + 1)))
        let (low, high) = (frame.y(Double(below[step])), frame.y(Double(below[step] + bytes[step])))
        upper += [(start, high), (end, high)]
        lower += [(start, low), (end, low)]
        below[step] += bytes[step]
      }
      let color = "hsl(\(category.rawValue * 360 / MemoryCategory.allCases.count),55%,55%)"
      svg.polygon(upper + lower.reversed(), fill: color, title: category.name)
      let y = top + 12 + 18 * Double(shown)
      svg.rectangle(left + width + 14, y - 10, width: 12, height: 12, fill: color)
      svg.text(category.name, left + width + 32, y)
      shown += 1
    }
    for section in sections {
      let x = frame.x(Double(section.steps.lowerBound))
      svg.line(x, top, x, top + height + 20, class: "rule")
      svg.text(section.name, x + 4, top + height + 16)
    }
    svg.text(peakLine, left, top + height + 42)
    return svg.document
  }

  /// Ticks at round numbers of the unit in which the most is told.
  private func byteAxis(upTo most: Int) -> Axis {
    let (unit, name) = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")].first { most >= $0.0 } ?? (1, "B")
    let counts = Axis(0...Double(max(most, 1)) / Double(unit), .init(wanted: 5))
    return Axis(
      low: 0, high: Double(max(most, 1)), ticks: counts.ticks.map { .init($0.value * Double(unit), "\($0.label) \(name)") })
  }
}
