import Execution
import Graphs
import Passes
import Support
import Tensors

/// What `fit(step, arguments…)` gives: the ways to run a step from the fewest bytes to the least time, and with a
/// budget the one that fits. As a policy, `train with fit(…)`, it stands for its budget.
final class FitReport: ObjectValue {
  private let heading: String
  private let frontier: Frontier
  /// The bytes that the step may take in all; nil where none were named.
  let budget: Int?

  /// Whether pieces of the batch are among the ways.
  let choosesPieces: Bool
  /// What the step takes in pieces of its batch, by their number.
  private let inPieces: [(count: Int, totalBytes: Int)]
  /// Why it cannot be taken in pieces.
  private let refusal: Failure?

  init(
    _ step: TracedStep, _ frontier: Frontier, _ inPieces: StepInPieces, choosesPieces: Bool, budget: Int?
  ) {
    heading = step.heading
    self.frontier = frontier
    self.choosesPieces = choosesPieces
    self.inPieces = inPieces.steps.map { ($0.pieceCount, $0.plan.totalByteCount) }
    refusal = inPieces.steps.isEmpty ? inPieces.refusal : nil
    self.budget = budget
  }

  private var choice: Frontier.Candidate? { budget.map { frontier.choice(within: $0) } ?? frontier.plain }

  override var kind: String { "fit" }
  override var memberNames: [String] {
    [
      "fits", "budget", "total", "peak", "activations", "slowdown", "recomputed", "accumulate", "smallest", "lower_bound",
      "frontier", "in_pieces",
    ]
  }

  override func member(_ name: String) -> Value? {
    switch name {
    case "fits": .bool(choice != nil)
    case "budget": budget.map { .int($0) } ?? Value.none
    case "smallest": .int(frontier.choices[0].totalBytes)
    case "lower_bound": .int(frontier.lowerBound.bytes)
    case "frontier":
      .list(frontier.choices.map { .record(RecordValue(names: FitReport.fields, items: numbers($0))) })
    case "in_pieces":
      .list(
        inPieces.map {
          .record(RecordValue(names: ["accumulate", "total"], items: [.int($0.count), .int($0.totalBytes)]))
        })
    default:
      FitReport.fields.firstIndex(of: name).map { index in choice.map { numbers($0)[index] } ?? Value.none }
    }
  }

  private static let fields = ["total", "peak", "activations", "slowdown", "recomputed", "accumulate"]

  private func numbers(_ candidate: Frontier.Candidate) -> [Value] {
    [
      .int(candidate.totalBytes), .int(candidate.peakBytes), .int(candidate.activationBytes),
      .double(frontier.slowdown(candidate)), .double(candidate.recomputedShare(beside: frontier.plain)),
      .int(candidate.pieceCount),
    ]
  }

  // MARK: The table

  override var summary: String {
    var lines = ["fit of \(heading)" + (budget.map { "   budget \(byteText($0))" } ?? ""), "", "  \(answer)", ""]
    let table = [FitReport.heads] + shown.map { cells($0.index, $0.candidate) }
    let rows = aligned(table.map { Array($0.dropFirst()) }, gap: 3, toTheLeft: [table[0].count - 2])
    for (row, line) in zip(table, rows) { lines.append("  \(padded(row[0], 1)) \(line)") }
    return (lines + notes.map { "  " + $0 }).joined(separator: "\n")
  }

  private static let heads = ["", "total", "peak", "activations", "planned time", "recomputed", "by"]

  private func cells(_ index: Int, _ candidate: Frontier.Candidate) -> [String] {
    let isChosen = budget != nil && choice?.totalBytes == candidate.totalBytes
    return [
      isChosen ? "▸" : "", byteText(candidate.totalBytes), byteText(candidate.peakBytes),
      byteText(candidate.activationBytes),
      index == frontier.choices.count - 1 ? "as it is" : "+\(percent(frontier.slowdown(candidate)))",
      recomputedText(candidate.products, share: candidate.recomputedShare(beside: frontier.plain)),
      way(candidate),
    ]
  }

  /// What stands below the table.
  private var notes: [String] {
    var notes: [String] = []
    if shown.count < frontier.choices.count { notes.append("\(shown.count) of \(frontier.choices.count) plans shown") }
    let bound = frontier.lowerBound
    notes.append("no plan takes less than \(byteText(bound.bytes)): \(bound.holders.joined(separator: "; "))")
    if choosesPieces {
      if let refusal { notes.append("not in pieces of the batch: \(refusal.diagnostic.message)") }
    } else if !inPieces.isEmpty {
      let ways = inPieces.map { "\(byteText($0.totalBytes)) with accumulate: \($0.count)" }
      notes.append("in pieces of the batch, sums taken in another order: " + ways.joined(separator: ", "))
    }
    return notes
  }

  override var html: String? {
    var table = HTMLTable(
      "fit of \(heading)" + (budget.map { ", budget \(byteText($0))" } ?? "") + " — \(answer)", heads: FitReport.heads,
      wordColumns: [0, 6])
    for (index, candidate) in shown {
      let isChosen = budget != nil && choice?.totalBytes == candidate.totalBytes
      table.add(cells(index, candidate), isStrong: isChosen)
    }
    notes.forEach { table.add(note: $0) }
    return table.text
  }

  /// `4 pieces, every(2)`
  private func way(_ candidate: Frontier.Candidate) -> String {
    let name = candidate.checkpointing.shortName
    if candidate.pieceCount == 1 { return name }
    return "\(candidate.pieceCount) pieces" + (candidate.checkpointing == .none ? "" : ", \(name)")
  }

  /// One of three: it fits as it is, it fits with a plan, it cannot fit.
  private var answer: String {
    let (most, least) = (byteText(frontier.plain.totalBytes), byteText(frontier.choices[0].totalBytes))
    guard let budget else { return "takes \(most) as it is, \(least) with the smallest plan found" }
    guard let choice else {
      return "cannot fit: the smallest found is \(least), the lower bound \(byteText(frontier.lowerBound.bytes))"
    }
    if choice.totalBytes == frontier.plain.totalBytes { return "fits as it is: \(most) of \(byteText(budget))" }
    return
      "fits with this plan at +\(percent(frontier.slowdown(choice))) time: \(byteText(choice.totalBytes)) instead of \(most)"
  }

  /// A dozen rows that tell most, the first, the last and the chosen one among them.
  private var shown: [(index: Int, candidate: Frontier.Candidate)] {
    let rows = Array(frontier.choices.enumerated())
    var indices = Set(Frontier.sample(rows.map { ($0.element.totalBytes, $0.element.seconds) }, count: 12))
    if budget != nil, let chosen = rows.last(where: { $0.element.totalBytes == choice?.totalBytes }) {
      indices.insert(chosen.offset)
    }
    return rows.filter { indices.contains($0.offset) }.map { ($0.offset, $0.element) }
  }
}

extension Frontier {
  /// By how much a choice is planned to take longer than the step as it is, as a share.
  func slowdown(_ candidate: Candidate) -> Double {
    plain.seconds == 0 ? 0 : candidate.seconds / plain.seconds - 1
  }

  /// The error of a step that no plan brings below a budget.
  ///
  /// - Parameters:
  ///   - pieces: the step in pieces of its batch.
  ///   - isChoice: whether they are among the ways already.
  func doesNotFit(
    _ name: String, in budget: Int, _ pieces: StepInPieces, isChoice: Bool, at site: Site
  ) -> Failure {
    var notes = lowerBound.holders
    var help =
      "with `budget: \(choices[0].totalBytes)` it runs, planned to take \(percent(slowdown(choices[0]))) longer than without; fewer rows at a time take less"
    if isChoice {
      if pieces.steps.isEmpty, let refusal = pieces.refusal {
        notes.append("it cannot run in pieces of its batch: \(refusal.diagnostic.message)")
      }
    } else if let fitting = pieces.steps.first(where: { $0.plan.totalByteCount <= budget }) {
      help =
        "with `accumulate: auto` beside the budget it runs, in \(fitting.pieceCount) pieces of the batch or fewer: the same mathematics, sums taken in another order"
    }
    notes.append("nothing has been computed")
    var (budgetText, smallestText) = (byteText(budget), byteText(choices[0].totalBytes))
    if budgetText == smallestText {
      (budgetText, smallestText) = ("\(grouped(budget)) B", "\(grouped(choices[0].totalBytes)) B")
    }
    return Failure(
      "over-budget",
      "the step `\(name)` does not fit in \(budgetText): the smallest found is \(smallestText), the lower bound \(byteText(lowerBound.bytes))",
      at: site, notes: notes, help: help)
  }
}

extension Frontier.LowerBound {
  /// What holds those bytes, in words.
  var holders: [String] {
    var holders = ["\(byteText(residentBytes)) are there before the step: parameters, state, arguments"]
    if outputBytes >= 1024 { holders.append("\(byteText(outputBytes)) are what it returns") }
    if nodeBytes > 0 {
      let place = origin?.site.map { " at \($0.placeInFile)" } ?? ""
      holders.append("`\(node)`\(place) needs \(byteText(nodeBytes)) at once")
    }
    return holders
  }
}

extension Checkpointing {
  /// As a policy is written, and `planned` for what a planner found.
  var shortName: String {
    switch self {
    case .none: "—"
    case .every(let count): "every(\(count))"
    case .squareRoot: "sqrt"
    case .selective: "selective"
    case .full: "full"
    case .planned: "a plan of its own"
    }
  }
}

/// `16 of 31 products, 15.6 %`: what runs once more, and by how much that adds to the arithmetic.
func recomputedText(_ products: (all: Int, rebuilt: Int), share: Double) -> String {
  products.rebuilt == 0 ? "—" : "\(products.rebuilt) of \(products.all) products, \(percent(share))"
}

func percent(_ share: Double) -> String { "\(format(100 * share, spec: ".1f") ?? "") %" }

var budgetBuiltins: [Builtin] {
  [
    Builtin(
      "fit", "step, arguments…, budget = none",
      """
      The ways to run a step, from the fewest bytes to the least time: `fit(train, x, y)`; nothing runs. Each way computes
      part of the forward pass once more in the backward pass, with the same bits, and is planned to the byte: `total` has
      workspace and packing in it. Times come from a fixed table of costs, or that of `calibrate()`.

      With `budget: 24MiB` it answers whether the step fits as it is, fits with a plan, or cannot fit. The fastest
      that fits is marked; `train with fit(train, x, y, budget: 24MiB)` uses it, as does `train with budget: 24MiB`.

      Of `train with accumulate: auto` the ways include those that take the batch in 2, 4, 8 and more pieces, where the loss
      is a sum over its rows. The gradients are those of the whole batch, but their sums are taken in another order, so
      that the last bits differ.

      Members: fits, total, peak, activations, slowdown, recomputed (shares), accumulate (pieces) of the chosen one;
      budget, smallest, lower_bound, and frontier, a list of all; in_pieces, what the step takes in 2, 4 and 8 pieces without
      checkpointing.

      >>> step double(x) = 2 * x
      >>> fit(double, [1.0, 2.0], budget: 1MiB).fits
      true
      """
    ) { call throws(Failure) in try fit(call) },
    Builtin(
      "calibrate", "",
      """
      Measures how fast this machine multiplies, computes and moves bytes, prints it, and plans by it from then on. Without,
      budgets are planned by a fixed table, so that they choose the same everywhere for the same number of threads, each of
      which has a workspace of its own.
      """
    ) { call throws(Failure) in try calibrate(call) },
  ]
}

private func fit(_ call: BuiltinCall) throws(Failure) -> Value {
  var budget: Int?
  if let index = call.labels.firstIndex(of: "budget") { budget = try StepPolicy.budget(call[index], at: call.sites[index]) }
  let (step, arguments) = try call.stepAndArguments(without: "budget")
  return .object(try step.plain.fit(arguments, call.interpreter, budget: budget))
}

private func calibrate(_ call: BuiltinCall) throws(Failure) -> Value {
  do {
    let table = try CostTable.measured()
    call.interpreter.costs = table
    func giga(_ rate: Double) -> String { format(rate / 1e9, spec: ".1f") ?? "" }
    call.interpreter.output.write(
      """
      products   \(giga(table.productRate)) GFLOP/s
      in bf16    \(giga(table.narrowProductRate)) GFLOP/s
      elements   \(giga(table.elementRate)) G/s
      memory     \(giga(table.bandwidth)) GB/s
      a kernel   \(durationText(table.overhead))

      """)
    return .none
  } catch { throw Failure.from(error, at: call.site) }
}
