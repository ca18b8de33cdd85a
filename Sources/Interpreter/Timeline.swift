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

  private static let width = 64
  private static let height = 6

  override var summary: String {
    let totals = totals
    guard let top = totals.max(), let bottom = totals.min() else { return "timeline of \(heading): no steps" }
    let sections = sections
    let columns = columns
    let labels = [byteText(top), byteText(bottom)]
    let margin = labels.map(\.count).max() ?? 0
    let span = max(top - bottom, 1)
    let eighths = columns.map { 1 + (totals[$0].max()! - bottom) * (8 * Timeline.height - 1) / span }
    var lines: [String] = ["live bytes of \(heading)"]
    for row in (0..<Timeline.height).reversed() {
      let label = row == Timeline.height - 1 ? labels[0] : row == 0 ? labels[1] : ""
      let axis = label.isEmpty ? "│" : "┤"
      var line = String(repeating: " ", count: margin - label.count) + label + " " + axis
      for height in eighths {
        let filled = max(0, min(8, height - 8 * row))
        line += String(Array(" ▁▂▃▄▅▆▇█")[filled])
      }
      while line.last == " " { line.removeLast() }
      lines.append(line)
    }
    var rule = String(repeating: " ", count: margin) + " └"
    for (index, section) in sections.enumerated() {
      let count = columns.count { section.steps.contains($0.lowerBound) }
      let name = count >= section.name.count + 2 ? " \(section.name) " : ""
      rule += name + String(repeating: "─", count: max(0, count - name.count))
      if index + 1 < sections.count && !rule.isEmpty {
        rule.removeLast()
        rule += "┴"
      }
    }
    lines.append(rule)
    lines.append(peakLine)
    return lines.joined(separator: "\n")
  }

  /// The steps that each column stands for: several where there are many, one over some columns where there are few.
  private var columns: [Range<Int>] {
    let count = ledger.steps.count
    return (0..<Timeline.width).map { column in
      let start = column * count / Timeline.width
      return start..<max(start + 1, (column + 1) * count / Timeline.width)
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

  /// A stepped area over the steps of the plan, one colour a category, phases marked below; light and dark.
  override var svg: String? {
    let (width, height, left, top) = (720.0, 300.0, 80.0, 30.0)
    let count = max(ledger.steps.count, 1)
    let peak = Double(max(ledger.peak, 1))
    func x(_ step: Int) -> String { format(left + width * Double(step) / Double(count), spec: ".1f") ?? "0" }
    func y(_ bytes: Int) -> String { format(top + height * (1 - Double(bytes) / peak), spec: ".1f") ?? "0" }
    var parts: [String] = []
    var below = [Int](repeating: 0, count: ledger.steps.count)
    for category in MemoryCategory.allCases {
      let bytes = ledger.usage.bytes.map { $0[category.rawValue] }
      if bytes.allSatisfy({ $0 == 0 }) { continue }
      var upper: [String] = []
      var lower: [String] = []
      for step in bytes.indices {
        let level = below[step] + bytes[step]
        upper += ["\(x(step)),\(y(level))", "\(x(step + 1)),\(y(level))"]
        lower += ["\(x(step)),\(y(below[step]))", "\(x(step + 1)),\(y(below[step]))"]
        below[step] = level
      }
      let points = (upper + lower.reversed()).joined(separator: " ")
      let hue = category.rawValue * 360 / MemoryCategory.allCases.count
      parts.append(
        "<polygon points=\"\(points)\" fill=\"hsl(\(hue),55%,55%)\"><title>\(category.name)</title></polygon>")
      parts.append(
        "<text x=\"\(left + width + 12)\" y=\"\(top + 14 + Double(parts.count / 2) * 18)\" style=\"fill:hsl(\(hue),55%,45%)\">\(category.name)</text>")
    }
    for section in sections {
      parts.append(
        "<line x1=\"\(x(section.steps.lowerBound))\" x2=\"\(x(section.steps.lowerBound))\" y1=\"\(top)\" y2=\"\(top + height + 6)\" class=\"rule\"/>")
      parts.append("<text x=\"\(x(section.steps.lowerBound))\" y=\"\(top + height + 20)\" dx=\"4\">\(section.name)</text>")
    }
    parts.append("<text x=\"\(left - 6)\" y=\"\(top + 4)\" text-anchor=\"end\">\(byteText(ledger.peak))</text>")
    parts.append("<text x=\"\(left - 6)\" y=\"\(top + height)\" text-anchor=\"end\">0</text>")
    parts.append("<text x=\"\(left)\" y=\"18\">\(escapedHTML("live bytes of \(heading)"))</text>")
    parts.append("<text x=\"\(left)\" y=\"\(top + height + 40)\">\(escapedHTML(peakLine))</text>")
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 \(Int(top + height + 50))" font-family="sans-serif" font-size="12">
      <style>text{fill:#333}.rule{stroke:#999}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>
      \(parts.joined(separator: "\n"))
      </svg>

      """
  }
}
