/// Points that are joined in their order.
package struct Curve: Sendable {
  package let x: [Double]
  package let y: [Double]

  /// - Requires: as many of both.
  package init(x: [Double], y: [Double]) {
    self.x = x
    self.y = y
  }

  package typealias Position = (x: Double, y: Double)

  /// The stretches without a gap, as positions from 0 to 1 along the axes: a point that an axis does not hold is a gap.
  ///
  /// Of neighbours in one of `columns` columns the first, the last, the lowest and the highest are kept: what is drawn of
  /// them looks the same, peaks included.
  package func runs(_ horizontal: Axis, _ vertical: Axis, columns: Int) -> [[Position]] {
    var runs: [[Position]] = []
    var run: [Position] = []
    var column = ColumnOfPoints()
    for index in x.indices {
      guard horizontal.holds(x[index]), vertical.holds(y[index]) else {
        column.leave(&run)
        if !run.isEmpty { runs.append(run) }
        run = []
        continue
      }
      let place = (x: horizontal.position(x[index]), y: vertical.position(y[index]))
      let number = Int(place.x * Double(columns))
      if number != column.number { column.leave(&run) }
      column.enter(place, number)
    }
    column.leave(&run)
    if !run.isEmpty { runs.append(run) }
    return runs
  }
}

/// Neighbours in one column.
private struct ColumnOfPoints {
  private(set) var number = Int.min
  private var count = 0
  private var first, last, low, high: (place: Curve.Position, order: Int)

  init() {
    let nothing = (place: (x: 0.0, y: 0.0), order: 0)
    (first, last, low, high) = (nothing, nothing, nothing, nothing)
  }

  mutating func enter(_ place: Curve.Position, _ number: Int) {
    let entry = (place: place, order: count)
    if count == 0 { (first, low, high) = (entry, entry, entry) }
    last = entry
    if place.y < low.place.y { low = entry }
    if place.y > high.place.y { high = entry }
    self.number = number
    count += 1
  }

  /// Hands over what is kept, in order.
  mutating func leave(_ run: inout [Curve.Position]) {
    if count == 0 { return }
    run.append(first.place)
    let (earlier, later) = low.order < high.order ? (low, high) : (high, low)
    if earlier.order > 0 { run.append(earlier.place) }
    if later.order > earlier.order { run.append(later.place) }
    if last.order > later.order { run.append(last.place) }
    count = 0
    number = Int.min
  }
}
