import Execution
import Support
import Tensors

/// What `compare(steps…, args: (…))` gives: a row a step, with its memory and the time that it takes.
final class Comparison: ObjectValue {
  struct Row {
    enum Outcome {
      case fits(any StepPlan, seconds: Double)
      /// No plan keeps the step's budget.
      case doesNotFit(Frontier)
    }
    let name: String
    let outcome: Outcome
  }
  private let rows: [Row]

  init(_ rows: [Row]) { self.rows = rows }

  override var kind: String { "comparison" }
  override var memberNames: [String] { ["rows"] }
  override func member(_ name: String) -> Value? {
    guard name == "rows" else { return nil }
    return .list(
      rows.map { row in
        switch row.outcome {
        case .fits(let plan, let seconds):
          .record([
            "name": .string(row.name), "fits": .bool(true), "peak": .int(plan.ledger.peak),
            "total": .int(plan.totalByteCount), "activations": .int(plan.ledger.peakBytes(.activations)),
            "state": .int(plan.ledger.peakBytes(.optimizerState)), "time": .double(seconds),
            "recomputed": .int(plan.products.rebuilt), "recomputed_share": .double(plan.recomputedShare),
          ])
        case .doesNotFit(let frontier):
          .record([
            "name": .string(row.name), "fits": .bool(false), "smallest": .int(frontier.choices[0].totalBytes),
            "lower_bound": .int(frontier.lowerBound.bytes),
          ])
        }
      })
  }

  private static let heads = ["", "peak", "activations", "gradients", "state", "time", "recomputed"]

  private func cells(_ row: Row, _ plan: any StepPlan, _ seconds: Double) -> [String] {
    let ledger = plan.ledger
    return [
      row.name, byteText(ledger.peak), byteText(ledger.peakBytes(.activations)),
      byteText(ledger.peakBytes(.gradients)), byteText(ledger.peakBytes(.optimizerState)), durationText(seconds),
      recomputedText(plan.products, share: plan.recomputedShare),
    ]
  }

  private func refusal(_ frontier: Frontier) -> String {
    "does not fit: the smallest found is \(byteText(frontier.choices[0].totalBytes)), the lower bound \(byteText(frontier.lowerBound.bytes))"
  }

  override var html: String? {
    var table = HTMLTable(heads: Comparison.heads, wordColumns: [0])
    for row in rows {
      switch row.outcome {
      case .fits(let plan, let seconds): table.add(cells(row, plan, seconds))
      case .doesNotFit(let frontier):
        table.add(row.name, remark: refusal(frontier), of: Comparison.heads.count)
      }
    }
    return table.text
  }

  override var summary: String {
    var table = [Comparison.heads]
    for row in rows {
      if case .fits(let plan, let seconds) = row.outcome { table.append(cells(row, plan, seconds)) }
    }
    var widths = table[0].indices.map { column in table.map { $0[column].displayWidth }.max() ?? 0 }
    widths[0] = max(widths[0], rows.map(\.name.displayWidth).max() ?? 0)
    func line(_ cells: [String]) -> String {
      var line = padded(cells[0], widths[0])
      for column in cells.indices.dropFirst() {
        line += "   " + String(repeating: " ", count: widths[column] - cells[column].displayWidth) + cells[column]
      }
      return line
    }
    var lines = [line(table.removeFirst())]
    for row in rows {
      switch row.outcome {
      case .fits: lines.append(line(table.removeFirst()))
      case .doesNotFit(let frontier):
        lines.append("\(padded(row.name, widths[0]))   \(refusal(frontier))")
      }
    }
    return lines.joined(separator: "\n")
  }
}

extension StepPlan {
  /// What is computed once more, as a share of the arithmetic without it.
  var recomputedShare: Double {
    let once = arithmetic.all - arithmetic.rebuilt
    return once > 0 ? arithmetic.rebuilt / once : 0
  }
}
