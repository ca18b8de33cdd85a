import Drawings
import Support
import Tensors

/// `train.scales`: the loss scales of the steps that a step has made, as a curve.
///
/// A loop over it gives the scale of each step; the scales are kept by runs.
final class ScaleCurve: ObjectValue {
  /// What labels and the number of steps leave of a line.
  private static let margin = 20
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
  override var summary: String { text(on: .plain) }

  override func text(on surface: Surface) -> String {
    guard history.stepCount > 0 else { return heading }
    let exponents = history.runs.map { exponent($0.scale) }
    let (low, high) = (exponents.min()!, exponents.max()!)
    let rowHeight = (high - low) / ScaleCurve.mostRows + 1
    let columnCount = min(history.stepCount, surface.width - ScaleCurve.margin)
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
    let frame = TextFrame(labels: Dictionary(uniqueKeysWithValues: (0...top).map { (top - $0, "2^\(low + $0 * rowHeight)") }))
    var lines = [heading] + frame.lines(rows.reversed().map { String($0) })
    lines.append(frame.rule(String(repeating: "─", count: columnCount) + " \(grouped(history.stepCount)) step\(history.stepCount == 1 ? "" : "s")"))
    if skip > 0 { lines.append(frame.below("× a step that was skipped")) }
    return lines.joined(separator: "\n")
  }

  // MARK: SVG

  /// A stepped line over the steps, powers of two upwards, and a mark for each step that was skipped.
  override var svg: String? {
    let (left, top, width, height) = (60.0, 40.0, 700.0, 200.0)
    let exponents = history.runs.map { exponent($0.scale) } + [exponent(next)]
    let (low, high) = (exponents.min()! - 1, exponents.max()! + 1)
    let every = max(1, (high - low) / ScaleCurve.mostRows)
    let powers = Axis(
      low: Double(low), high: Double(high),
      ticks: stride(from: low, through: high, by: every).map { .init(Double($0), "2^\($0)") })
    let steps = Axis(0...Double(max(history.stepCount, 1)), .init(wanted: 8, isWhole: true))
    let frame = SVGFrame(left: left, top: top, width: width, height: height, steps, powers)
    func y(_ scale: Float) -> Double { frame.y(Double(exponent(scale)) + Double(scale.significand) - 1) }
    var svg = SVG(width: left + width + 24, height: top + height + 46)
    svg.useSeries(2)
    frame.draw(on: &svg, title: heading, horizontalName: "steps")
    var points: [(x: Double, y: Double)] = []
    for run in history.runs.indices {
      let steps = history.steps(of: run)
      points += [steps.lowerBound - 1, steps.upperBound].map { (frame.x(Double($0)), y(history.runs[run].scale)) }
    }
    svg.polyline(points, class: SVG.lineClass(0))
    var run = 0
    for step in history.skipped {
      while history.steps(of: run).upperBound < step { run += 1 }
      svg.circle(
        frame.x(Double(step)), y(history.runs[run].scale), radius: 3, class: SVG.fillClass(1),
        title: "step \(grouped(step)) was skipped")
    }
    return svg.document
  }
}
