import Execution
import Graphs
import Support
import Tensors

/// What `memory(step, arguments…)` gives: the ledger of a step's plan, and what its first run held once it has run.
final class MemoryReport: ObjectValue {
  private let heading: String
  let ledger: Ledger
  private let workspaceByteCount: Int
  private let totalByteCount: Int
  private let measurement: TracedStep.Measurement?
  /// What runs once more for the backward pass, in words; empty where nothing does.
  private let recomputed: String

  /// Whether an abstract run made it, which knows nothing of what runs would have measured.
  private let isAbstract: Bool

  init(_ step: TracedStep, isAbstract: Bool = false) {
    self.isAbstract = isAbstract
    recomputed =
      step.plan.products.rebuilt == 0
      ? "" : recomputedText(step.plan.products, share: step.plan.recomputedShare)

    heading = step.heading
    ledger = step.plan.ledger
    workspaceByteCount = step.plan.workspaceByteCount
    totalByteCount = step.plan.totalByteCount
    measurement = step.measurement
  }

  override var kind: String { "memory report" }
  override var summary: String {
    let state = measurement == nil ? "planned, nothing has run" : "planned and measured"
    return (["memory of \(heading)   \(state)", ""] + table).joined(separator: "\n")
  }

  // MARK: Members

  private var members: [(name: String, value: Int)] {
    MemoryCategory.allCases.map { ($0.name.replacing(" ", with: "_"), ledger.peakBytes($0)) } + [
      ("peak", ledger.peak), ("total", totalByteCount), ("workspace", workspaceByteCount),
      ("arena", ledger.arenaByteCount), ("lower_bound", ledger.arenaLowerBound),
    ]
  }

  override var memberNames: [String] { members.map(\.name) + ["measured", "measured_workspace", "resident"] }

  override func member(_ name: String) -> Value? {
    if isAbstract, ["measured", "measured_workspace", "resident"].contains(name) { return UnknownValue.value }
    switch name {
    case "measured": return measurement.map { .int($0.usage.peak) } ?? Value.none
    case "measured_workspace":
      let threads = workspaceByteCount / max(ledger.scratchByteCount, 1)
      return measurement.map { .int($0.scratchByteCount * threads) } ?? Value.none
    case "resident": return measurement.map { .int($0.residentGrowth) } ?? Value.none
    default: return members.first { $0.name == name }.map { .int($0.value) }
    }
  }

  // MARK: The table

  /// Rows of categories, largest holders named, and what they add up to.
  var table: [String] {
    let step = ledger.peakStep
    let holders = ledger.entries(at: step)
    let rows = MemoryCategory.allCases.map { ($0, ledger.peakBytes($0)) }.filter { $0.1 > 0 }
    let largest = max(rows.map(\.1).max() ?? 1, 1)
    var lines = rows.map { category, bytes in
      row(
        category.name, bytes, bar: bar(bytes, of: largest),
        remark: MemoryReport.names(holders.filter { $0.category == category }))
    }
    lines.append(row("peak", ledger.peak, bar: "", remark: place(of: step)))
    lines.append(row("workspace", workspaceByteCount, bar: "", remark: "scratch of kernels, on all threads"))
    if ledger.arenaLowerBound > 0 {
      let ratio = Double(ledger.arenaByteCount) / Double(ledger.arenaLowerBound)
      lines.append("  \(padded("arena / lower bound", 19))  \(format(ratio, spec: ".3f") ?? "")")
    }
    if !recomputed.isEmpty { lines.append("  \(padded("recomputed", 19))  \(recomputed) more arithmetic") }
    if let measurement {
      lines.append(
        "  planned \(grouped(ledger.peak))   measured \(grouped(measurement.usage.peak))   resident \(signed(measurement.residentGrowth))"
      )
    }
    return lines
  }

  override var html: String? {
    let step = ledger.peakStep
    let holders = ledger.entries(at: step)
    let rows = MemoryCategory.allCases.map { ($0, ledger.peakBytes($0)) }.filter { $0.1 > 0 }
    let largest = max(rows.map(\.1).max() ?? 1, 1)
    let state = measurement == nil ? "planned, nothing has run" : "planned and measured"
    var table = HTMLTable(
      "memory of \(heading) — \(state)", heads: ["", "bytes", "", "largest"], wordColumns: [0, 2, 3])
    for (category, bytes) in rows {
      let names = MemoryReport.names(holders.filter { $0.category == category })
      table.add([category.name, grouped(bytes), bar(bytes, of: largest), names])
    }
    table.add(["peak", grouped(ledger.peak), "", place(of: step)], isStrong: true)
    table.add(["workspace", grouped(workspaceByteCount), "", "scratch of kernels, on all threads"])
    if !recomputed.isEmpty { table.add(note: "recomputed: \(recomputed) more arithmetic") }
    if let measurement {
      table.add(
        note:
          "planned \(grouped(ledger.peak)), measured \(grouped(measurement.usage.peak)), resident \(signed(measurement.residentGrowth))"
      )
    }
    return table.text
  }

  private func row(_ name: String, _ bytes: Int, bar: String, remark: String) -> String {
    let count = grouped(bytes) + " B"
    let space = String(repeating: " ", count: max(0, 16 - count.count))
    let line = "  \(padded(name, 17))\(space)\(count)"
    if remark.isEmpty { return bar.isEmpty ? line : "\(line)   \(bar)" }
    return "\(line)   \(padded(bar, MemoryReport.barWidth))   \(remark)"
  }

  private static let barWidth = 20

  /// A bar in eighths of a character.
  private func bar(_ bytes: Int, of largest: Int) -> String {
    let eighths = max(1, Int((Double(bytes) / Double(largest) * Double(8 * MemoryReport.barWidth)).rounded()))
    let rest = eighths % 8
    return String(repeating: "█", count: eighths / 8) + (rest == 0 ? "" : ["▏", "▎", "▍", "▌", "▋", "▊", "▉"][rest - 1])
  }

  /// The largest holders with their bytes, and that there are more.
  private static func names(_ entries: [Ledger.Entry]) -> String {
    var seen: [(name: String, bytes: Int)] = []
    for entry in entries.prefix(2) { seen.append((entry.name, entry.byteCount)) }
    let text = seen.map { "\($0.name) \(grouped($0.bytes))" }.joined(separator: " · ")
    return entries.count > 2 ? text + " · …" : text
  }

  /// Where the peak lies: `digits.nn:21 minimize (update, matmul …)`.
  private func place(of step: Int) -> String {
    let step = ledger.steps[step]
    var text = ""
    if let site = step.origin.site {
      text = site.placeInFile
      if let source = site.shortText { text += "  `\(source)`" }
      text += "  "
    }
    return text + "(\(step.origin.phase.rawValue): \(step.op))"
  }
}

extension Site {
  /// The file's own name and the line, wherever the file lies: `digits.nn:21`.
  var placeInFile: String { "\(file.name.split(separator: "/").last ?? ""):\(line)" }
}

/// `172.0 MiB`, or bytes where there are few.
package func byteText(_ bytes: Int) -> String {
  for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes >= size {
    return "\(format(Double(bytes) / Double(size), spec: ".1f") ?? "") \(unit)"
  }
  return "\(bytes) B"
}

private func signed(_ bytes: Int) -> String { bytes < 0 ? "-\(byteText(-bytes))" : "+\(byteText(bytes))" }

/// The text with spaces behind it up to a width.
func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.displayWidth))
}

extension TracedStep {
  /// `train(x: f32[32, 64], y: i64[32])`
  var heading: String {
    let arguments = sources.compactMap { source, pattern in
      if case .argument(_, let name) = source { "\(name): \(pattern.description)" } else { nil }
    }
    let call = "\(name)(\(arguments.joined(separator: ", ")))"
    guard let pieces = (plan as? AccumulatedPlan)?.pieces else { return call }
    let counts = Set(pieces.map(\.count)).sorted(by: >).map { "\($0)" }
    return "\(call) in \(pieces.count) pieces of \(counts.joined(separator: " or ")) rows"
  }
}

extension BuiltinCall {
  /// What a step costs is asked outside of steps: inside one there are no arguments yet.
  fileprivate func refuseInStep() throws(Failure) {
    if let trace = interpreter.trace, trace.isRecording {
      throw Failure("inspection-in-step", "`\(name)` cannot be called inside a step or `grad`", at: site)
    }
  }

  /// The plan for a step and the arguments behind it, as in `memory(train, x, y)`; nothing runs.
  func plannedStep() throws(Failure) -> TracedStep {
    let (step, arguments) = try stepAndArguments()
    return try step.plan(for: arguments, interpreter)
  }

  /// A step and the arguments behind it, without that of a label which is not for the step.
  func stepAndArguments(without label: String? = nil) throws(Failure) -> (StepValue, Arguments) {
    try refuseInStep()
    guard case .callable(let callable)? = values.first ?? nil, let step = callable as? StepValue else {
      throw Failure(
        "bad-argument", "`\(name)` needs a step and its arguments, got \((values.first ?? nil)?.described ?? "nothing")",
        at: sites.first ?? site, help: "write `step train(x, y) { … }`, then `\(name)(train, x, y)`")
    }
    let arguments = values.indices.dropFirst().filter { label == nil || labels[$0] != label }.map {
      Arguments.Argument(label: labels[$0], value: self[$0], site: sites[$0])
    }
    return (step, Arguments(arguments, at: site))
  }
}

var memoryBuiltins: [Builtin] {
  [
    Builtin(
      "explain", "step, arguments…",
      """
      In which precision a step runs each kind of op of its forward pass, and why; nothing runs. Classes: `low` ops read
      16 bits under `precision: bf16` or `f16`, `f32` ops never do, `widest` ops follow their largest operand, the others keep
      the dtype they get. (`gradus explain CODE` tells an error at length.)
      """
    ) { call throws(Failure) in
      let (step, arguments) = try call.stepAndArguments()
      return .object(try step.precisionTable(for: arguments, call.interpreter))
    },
    Builtin(
      "memory", "step, arguments…, name: argument…",
      """
      The memory of a step, from its plan: bytes by category when most is held, where that is, and who holds them.
      Nothing runs. Once the step has run with such arguments, what was measured stands beside it.

      Members: peak, total (with scratch, and what a run needs in all), workspace, arena, lower_bound, and the
      categories at the peak: parameters, buffers, gradients, optimizer_state, master_weights, activations,
      temporaries, inputs, captured, outputs. After a run also measured, the peak found,
      measured_workspace and resident.

      >>> step double(x) = 2 * x
      >>> memory(double, [1.0, 2.0]).outputs
      8
      """
    ) { call throws(Failure) in
      .object(MemoryReport(try call.plannedStep(), isAbstract: call.interpreter.abstract != nil))
    },
    Builtin(
      "timeline", "step, arguments…, name: argument…",
      """
      The live bytes of a step through forward, backward and update, from its plan; nothing runs. Echoed it is a chart,
      `save("memory.svg", timeline(…))` draws it. Members: bytes and phases of each step of the plan, peak.

      >>> step double(x) = 2 * x
      >>> timeline(double, [1.0, 2.0]).peak > 0
      true
      """
    ) { call throws(Failure) in .object(Timeline(try call.plannedStep())) },
    Builtin(
      "compare", "steps…, args = ()",
      """
      Steps side by side, called with the same arguments: `compare(a, b, args: (x, y))`. Memory is that of their plans;
      the time is measured on copies of what they write, so that models, optimizers and the random counter stay as
      they are. `rows` has the numbers.

      >>> step double(x) = 2 * x
      >>> step twice(x) = x + x
      >>> compare(double, twice, args: ([1.0, 2.0],)).rows[1].name
      "twice"
      """
    ) { call throws(Failure) in try compareSteps(call) },
    Builtin(
      "time", "step, arguments…, name: argument…",
      """
      The seconds that a call of a step takes, the median of several, measured on copies of what it writes: models,
      optimizers and the random counter stay as they are.

      >>> step double(x) = 2 * x
      >>> time(double, [1.0, 2.0]) < 1
      true
      """
    ) { call throws(Failure) in
      .double(try call.plannedStep().seconds(call.interpreter, at: call.site))
    },
  ]
}

private func compareSteps(_ call: BuiltinCall) throws(Failure) -> Value {
  try call.refuseInStep()
  var arguments: [Arguments.Argument] = []
  var steps: [(step: StepValue, site: Site)] = []
  for (index, value) in call.values.enumerated() {
    if call.labels[index] == "args" {
      // A tuple or a list of arguments; anything else is the only one.
      let items: [(label: String?, value: Value)] =
        switch value ?? .none {
        case .record(let record): Array(zip(record.names, record.items))
        case .list(let list): list.items.map { (nil, $0) }
        case let single: [(nil, single)]
        }
      arguments = items.map { Arguments.Argument(label: $0.label, value: $0.value, site: call.sites[index]) }
      continue
    }
    if let label = call.labels[index] {
      throw Failure("unknown-argument", "`compare` takes steps and `args`, not `\(label)`", at: call.sites[index])
    }
    guard case .callable(let callable)? = value, let step = callable as? StepValue else {
      throw Failure(
        "bad-argument", "`compare` compares steps, got \(call[index].described)", at: call.sites[index],
        help: "write `compare(a, b, args: (x, y))`")
    }
    steps.append((step, call.sites[index]))
  }
  guard !steps.isEmpty else {
    throw Failure("missing-argument", "`compare` needs steps", at: call.site)
  }
  var rows: [Comparison.Row] = []
  for (step, site) in steps {
    let name = site.text.count <= 60 && !site.text.contains("\n") ? site.text : step.name
    let arguments = Arguments(arguments, at: call.site)
    if let budget = step.policy.budget {
      let frontier = try step.frontier(for: arguments, call.interpreter)
      if frontier.choice(within: budget) == nil {
        rows.append(Comparison.Row(name: name, outcome: .doesNotFit(frontier)))
        continue
      }
    }
    let traced = try step.plan(for: arguments, call.interpreter)
    rows.append(
      Comparison.Row(
        name: name, outcome: .fits(traced.plan, seconds: try traced.seconds(call.interpreter, at: call.site))))
  }
  return .object(Comparison(rows))
}
