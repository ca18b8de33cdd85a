import Drawings
import Kernels
import Support
import Tensors

/// What `summary(tree)` gives: a line for each tensor, from one reading of its elements.
final class TensorSummary: ObjectValue {
  private struct Row {
    let path: String
    let type: TensorType
    let found: Statistics
  }

  private let rows: [Row]
  private let all: Statistics

  init(_ tensors: [(path: String, tensor: Tensor)], _ call: BuiltinCall) throws(Failure) {
    var rows: [Row] = []
    var all = Statistics()
    for (path, tensor) in tensors {
      try call.interpreter.checkInterrupt(at: call.site)
      let found = statistics(of: tensor.view)
      all.join(found)
      rows.append(Row(path: path, type: tensor.type, found: found))
    }
    self.rows = rows
    self.all = all
  }

  // MARK: Numbers

  private static let fields = ["count", "bytes", "min", "max", "mean", "deviation", "nan", "inf"]

  override var kind: String { "summary" }
  override var memberNames: [String] { TensorSummary.fields + ["rows"] }
  override func member(_ name: String) -> Value? {
    if name == "rows" {
      return .list(rows.map { row in
        let fields = TensorSummary.fields.map { self.field($0, row.found, row.type.byteCount) ?? .none }
        return .record(RecordValue(names: ["path", "type"] + TensorSummary.fields, items: [.string(row.path), .string(row.type.description)] + fields))
      })
    }
    return field(name, all, rows.reduce(0) { $0 + $1.type.byteCount })
  }

  private func field(_ name: String, _ found: Statistics, _ bytes: Int) -> Value? {
    let isEmpty = found.finiteCount == 0
    return switch name {
    case "count": .int(found.count)
    case "bytes": .int(bytes)
    case "min": isEmpty ? Value.none : found.wholeRange.map { .int($0.lowerBound) } ?? .double(found.least)
    case "max": isEmpty ? Value.none : found.wholeRange.map { .int($0.upperBound) } ?? .double(found.greatest)
    case "mean": isEmpty ? Value.none : .double(found.mean)
    case "deviation": .double(found.deviation)
    case "nan": .int(found.nanCount)
    case "inf": .int(found.infiniteCount)
    default: nil
    }
  }

  // MARK: Text

  /// `-4.213 │▁▂▅█▅▂▁│ 4.331`, and so on: cells of a row.
  private func cells(_ row: Row) -> [String] {
    let found = row.found
    var cells = [row.path, row.type.description, byteText(row.type.byteCount)]
    if found.finiteCount == 0 {
      cells += ["", "", "", "", ""]
    } else {
      let ends = found.wholeRange.map { (String($0.lowerBound), String($0.upperBound)) }
        ?? (Interpreter.shortNumber(found.least, 4), Interpreter.shortNumber(found.greatest, 4))
      cells += [
        ends.0, found.least < found.greatest ? "│\(Bars.sparkline(shape(found)))│" : "", ends.1,
        "mean \(Interpreter.shortNumber(found.mean, 4))",
        found.finiteCount > 1 ? "deviation \(Interpreter.shortNumber(found.deviation, 4))" : "",
      ]
    }
    var remarks: [String] = []
    if found.count == 0 { remarks.append("empty") }
    if found.nanCount > 0 { remarks.append("\(grouped(found.nanCount)) nan") }
    if found.infiniteCount > 0 { remarks.append("\(grouped(found.infiniteCount)) inf") }
    return cells + [remarks.joined(separator: "  ")]
  }

  private static let bins = 10

  private func shape(_ found: Statistics) -> [Int] {
    var histogram = Histogram(found.least...found.greatest, count: found.finiteCount, isWhole: false, bins: TensorSummary.bins)
    for value in found.sample where value.isFinite { histogram.add(value) }
    return histogram.counts
  }

  override var summary: String {
    if rows.isEmpty { return "no tensors" }
    // Columns without anything in them take no room.
    let cells = rows.map(cells)
    let used = cells[0].indices.filter { column in cells.contains { !$0[column].isEmpty } }
    let left = Set([0, 1, 5, 6, 7, 8].compactMap { used.firstIndex(of: $0) })
    return aligned(cells.map { row in used.map { row[$0] } }, gap: 2, toTheLeft: left).joined(separator: "\n")
  }

  // MARK: HTML

  override var html: String? {
    if rows.isEmpty { return nil }
    var table = HTMLTable(
      heads: ["", "type", "bytes", "min", "", "max", "mean", "deviation", ""], wordColumns: [0, 1, 4, 8])
    for row in rows {
      var cells = cells(row)
      for (column, word) in [(6, "mean "), (7, "deviation ")] where cells[column].hasPrefix(word) {
        cells[column].removeFirst(word.count)
      }
      table.add(cells)
    }
    return table.text
  }
}
