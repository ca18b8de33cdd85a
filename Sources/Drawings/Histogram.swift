import Support

#if canImport(Glibc)
  import Glibc
#endif

/// How many of some numbers lie in each of a row of bins.
package struct Histogram {
  package private(set) var edges: [Double]
  package private(set) var counts: [Int]
  /// The place of a number among the bins.
  private let axis: Axis

  /// The most bins that are chosen.
  private static let mostBins = 40

  /// Bins of one width; without `bins` as many as the numbers bear, with edges that are easy to read.
  ///
  /// - Parameter range: of the numbers; nil where there are none.
  package init(_ range: ClosedRange<Double>?, count: Int, isWhole: Bool, bins: Int?) {
    let axis: Axis
    if let bins {
      var (low, high) = range.map { ($0.lowerBound, $0.upperBound) } ?? (0, 1)
      if low == high { (low, high) = Histogram.around(low) }
      axis = Axis(low: low, high: high, ticks: [])
      edges = (0...bins).map { step in
        let share = Double(step) / Double(bins)
        return step == bins ? high : low * (1 - share) + high * share
      }
    } else if isWhole, let range, range.upperBound - range.lowerBound < Double(Histogram.mostBins) {
      edges = stride(from: range.lowerBound - 0.5, through: range.upperBound + 0.5, by: 1).map { $0 }
      axis = Axis(low: edges[0], high: edges[edges.count - 1], ticks: [])
    } else {
      let wanted = min(Histogram.mostBins, max(5, Int(2 * cbrt(Double(count)))))
      let fitted = Axis(range, .init(wanted: wanted, extends: true))
      edges = fitted.ticks.map(\.value)
      axis = Axis(low: fitted.low, high: fitted.high, ticks: [])
    }
    self.axis = axis
    counts = [Int](repeating: 0, count: max(edges.count - 1, 1))
  }

  private static func around(_ value: Double) -> (Double, Double) {
    let distance = value == 0 ? 0.5 : max(abs(value) / 2, .leastNonzeroMagnitude)
    return (max(value - distance, -.greatestFiniteMagnitude), min(value + distance, .greatestFiniteMagnitude))
  }

  /// Counts a finite number of the range. The upper edge belongs to the last bin.
  package mutating func add(_ value: Double) {
    var bin = min(max(Int(axis.position(value) * Double(counts.count)), 0), counts.count - 1)
    // Edges decide, not what a division makes of them.
    if value < edges[bin], bin > 0 { bin -= 1 }
    if bin + 1 < counts.count, value >= edges[bin + 1] { bin += 1 }
    counts[bin] += 1
  }

  private func horizontal(wanted: Int) -> Axis {
    Axis(low: axis.low, high: axis.high, ticks: Axis(axis.low...axis.high, .init(wanted: wanted)).ticks)
  }
  private var vertical: Axis {
    Axis(0...Double(max(counts.max() ?? 1, 1)), .init(wanted: 3, extends: true, isWhole: true))
  }

  // MARK: Text

  private static let rows = 8

  package func text(title: String?, remark: String, on surface: Surface) -> String {
    let vertical = vertical
    let frame = TextFrame(vertical, rows: Histogram.rows, .cells)
    let room = surface.width - frame.indent
    // More bins than columns: each column has the sum of some.
    let share = (counts.count + room - 1) / room
    let shown = stride(from: 0, to: counts.count, by: share).map { counts[$0..<min($0 + share, counts.count)].reduce(0, +) }
    let wide = max(1, min(6, min(room, 64) / max(shown.count, 1)))
    let top = share == 1 ? vertical.high : Double(max(shown.max() ?? 1, 1))
    let heights = shown.map { Bars.height(Double($0), of: top, rows: Histogram.rows) }
    var lines = title.map { [$0] } ?? []
    let labelled = share == 1 ? frame : TextFrame(Axis(0...top, .init(wanted: 3)), rows: Histogram.rows, .cells)
    lines += labelled.lines(Bars.lines(heights.flatMap { [Int](repeating: $0, count: wide) }, rows: Histogram.rows))
    let columns = shown.count * wide
    lines += labelled.bottom(horizontal(wanted: max(3, columns / 9)), columns: columns, .cells, name: nil)
    lines.append(labelled.below(remark))
    return lines.joined(separator: "\n")
  }

  // MARK: SVG

  package func svg(title: String?, remark: String) -> String {
    let (left, top, width, height) = (76.0, title == nil ? 16.0 : 40.0, 600.0, 240.0)
    var svg = SVG(width: left + width + 24, height: top + height + 56)
    svg.useSeries(1)
    let frame = SVGFrame(left: left, top: top, width: width, height: height, horizontal(wanted: 10), vertical)
    frame.draw(on: &svg, title: title)
    for (bin, count) in counts.enumerated() where count > 0 {
      let (start, end) = (frame.x(edges[bin]), frame.x(edges[bin + 1]))
      svg.rectangle(
        start + 0.5, frame.y(Double(count)), width: max(end - start - 1, 0.5), height: top + height - frame.y(Double(count)),
        class: SVG.fillClass(0),
        title: "\(Axis.label(of: edges[bin], digits: 6)) to \(Axis.label(of: edges[bin + 1], digits: 6)): \(count)")
    }
    svg.text(remark, left, top + height + 44)
    return svg.document
  }
}
