import Execution
import Support
import Tensors

/// What `compare(steps…, args: (…))` gives: a row a step, with its memory and the time that it takes.
final class Comparison: ObjectValue {
  struct Row {
    let name: String
    let ledger: Ledger
    let seconds: Double
    /// Products and the like of the forward pass, and how many of them run once more.
    let products: (all: Int, rebuilt: Int)
  }
  private let rows: [Row]

  init(_ rows: [Row]) { self.rows = rows }

  override var kind: String { "comparison" }
  override var memberNames: [String] { ["rows"] }
  override func member(_ name: String) -> Value? {
    guard name == "rows" else { return nil }
    return .list(
      rows.map { row in
        .record([
          "name": .string(row.name), "peak": .int(row.ledger.peak),
          "activations": .int(row.ledger.peakBytes(.activations)),
          "state": .int(row.ledger.peakBytes(.optimizerState)), "time": .double(row.seconds),
          "recomputed": .int(row.products.rebuilt),
        ])
      })
  }

  override var summary: String {
    var table = [["", "peak", "activations", "gradients", "state", "time", "recomputed"]]
    for row in rows {
      table.append([
        row.name, byteText(row.ledger.peak), byteText(row.ledger.peakBytes(.activations)),
        byteText(row.ledger.peakBytes(.gradients)), byteText(row.ledger.peakBytes(.optimizerState)),
        timeText(row.seconds),
        row.products.rebuilt == 0 ? "—" : "\(row.products.rebuilt) of \(row.products.all) products",
      ])
    }
    let widths = table[0].indices.map { column in table.map { $0[column].displayWidth }.max() ?? 0 }
    return table.map { cells in
      var line = padded(cells[0], widths[0])
      for column in cells.indices.dropFirst() {
        line += "   " + String(repeating: " ", count: widths[column] - cells[column].displayWidth) + cells[column]
      }
      return line
    }.joined(separator: "\n")
  }
}

/// `1.20 ms`
func timeText(_ seconds: Double) -> String {
  for (unit, size) in [("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)] where seconds >= size {
    return "\(format(seconds / size, spec: ".2f") ?? "") \(unit)"
  }
  return "\(format(seconds / 1e-9, spec: ".0f") ?? "") ns"
}
