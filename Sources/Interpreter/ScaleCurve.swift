import Support
import Tensors

/// `train.scales`: the loss scales of the steps that a step has made, as a curve.
///
/// A loop over it gives the scale of each step; the scales are kept by runs.
final class ScaleCurve: ObjectValue {
  private static let width = 60
  private static let mostRows = 12

  private let history: ScaleHistory
  /// The scale of the step to come.
  private let next: Float
  private let name: String

  init(_ history: ScaleHistory, next: Float, name: String) {
    self.history = history
    self.next = next
    self.name = name
  }

  override var kind: String { "loss scales" }
  override var memberNames: [String] { ["steps", "skipped", "runs"] }
  override func member(_ name: String) -> Value? {
    switch name {
    case "steps": .int(history.stepCount)
    case "skipped": .list(history.skipped.map { .int($0) })
    // Steps in a row under one scale, with their number.
    case "runs": .list(history.runs.indices.map { run in
      .record(["scale": .double(Double(history.runs[run].scale)), "steps": .int(history.steps(of: run).count)])
    })
    default: nil
    }
  }

  override var count: Int? { history.stepCount }
  override func makeIterator(_ interpreter: Interpreter, at site: Site) throws(Failure) -> ValueIterator? {
    let history = history
    var (run, step) = (0, 0)
    return ClosureIterator { () throws(Failure) -> Value? in
      step += 1
      if step > history.stepCount { return nil }
      if step > history.steps(of: run).upperBound { run += 1 }
      return .double(Double(history.runs[run].scale))
    }
  }

  private func exponent(_ scale: Float) -> Int { Int(scale.exponent) }

  private func text(of scale: Float) -> String {
    scale.significand == 1 ? "2^\(exponent(scale))" : format(number: Double(scale))
  }

  private var heading: String {
    let skipped = history.skipped.count
    return "loss scale of \(name): \(plural(history.stepCount, "step")), \(skipped) skipped, \(text(of: next)) for the next"
  }

  /// A row for each power of two, or each few of them; a column for some steps, the last scale of which is shown.
  override var summary: String {
    guard history.stepCount > 0 else { return heading }
    let exponents = history.runs.map { exponent($0.scale) }
    let (low, high) = (exponents.min()!, exponents.max()!)
    let rowHeight = (high - low) / ScaleCurve.mostRows + 1
    let columnCount = min(history.stepCount, ScaleCurve.width)
    let top = (high - low) / rowHeight
    var rows = [[Character]](repeating: [Character](repeating: " ", count: columnCount), count: top + 1)
    var (run, skip) = (0, 0)
    for column in 0..<columnCount {
      let last = (column + 1) * history.stepCount / columnCount
      while history.steps(of: run).upperBound < last { run += 1 }
      var isSkipped = false
      while skip < history.skipped.count, history.skipped[skip] <= last {
        isSkipped = true
        skip += 1
      }
      rows[(exponent(history.runs[run].scale) - low) / rowHeight][column] = isSkipped ? "×" : "─"
    }
    var lines = [heading]
    let labels = (0...top).map { "2^\(low + $0 * rowHeight)" }
    let margin = labels.map(\.count).max()!
    for row in (0...top).reversed() {
      var line = padded("", margin - labels[row].count) + labels[row] + " ┤" + String(rows[row])
      while line.last == " " { line.removeLast() }
      lines.append(line)
    }
    lines.append(padded("", margin) + " └" + String(repeating: "─", count: columnCount) + " \(grouped(history.stepCount)) step\(history.stepCount == 1 ? "" : "s")")
    if skip > 0 { lines.append(padded("", margin) + "  × a step that was skipped") }
    return lines.joined(separator: "\n")
  }

  // MARK: SVG

  /// A stepped line over the steps, powers of two upwards, and a mark for each step that was skipped; light and dark.
  override var svg: String? {
    let (width, height, left, top) = (720.0, 200.0, 60.0, 40.0)
    let exponents = history.runs.map { exponent($0.scale) } + [exponent(next)]
    let (low, high) = (exponents.min()! - 1, exponents.max()! + 1)
    func number(_ value: Double) -> String { format(value, spec: ".1f") ?? "0" }
    func x(_ step: Int) -> String { number(left + width * Double(step) / Double(max(history.stepCount, 1))) }
    func y(_ scale: Float) -> String {
      let level = Double(exponent(scale)) + Double(scale.significand) - 1
      return number(top + height * (1 - (level - Double(low)) / Double(high - low)))
    }
    var points: [String] = []
    for run in history.runs.indices {
      let steps = history.steps(of: run)
      points += ["\(x(steps.lowerBound - 1)),\(y(history.runs[run].scale))", "\(x(steps.upperBound)),\(y(history.runs[run].scale))"]
    }
    var parts = ["<polyline points=\"\(points.joined(separator: " "))\" class=\"curve\"/>"]
    var run = 0
    for step in history.skipped {
      while history.steps(of: run).upperBound < step { run += 1 }
      parts.append(
        "<circle cx=\"\(x(step))\" cy=\"\(y(history.runs[run].scale))\" r=\"3\" class=\"skip\"><title>step \(grouped(step)) was skipped</title></circle>")
    }
    let every = max(1, (high - low) / ScaleCurve.mostRows)
    for exponent in stride(from: low, through: high, by: every) {
      let place = number(top + height * (1 - Double(exponent - low) / Double(high - low)))
      parts.append("<text x=\"\(left - 6)\" y=\"\(place)\" text-anchor=\"end\">2^\(exponent)</text>")
    }
    parts.append("<text x=\"\(left)\" y=\"18\">\(escapedHTML(heading))</text>")
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(left + width + 20)) \(Int(top + height + 20))" font-family="sans-serif" font-size="12">
      <style>text{fill:#333}.curve{fill:none;stroke:hsl(210,55%,55%);stroke-width:2}.skip{fill:#c33}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>
      \(parts.joined(separator: "\n"))
      </svg>

      """
  }
}
