import Execution
import Formats
import Graphs
import Support
import Tensors

/// What `profile(step, arguments…)` gives: where the time of a step goes, by line of the program and kernel.
final class ProfileReport: ObjectValue {
  /// The kernels of one kind that one line of the program brought about.
  private struct Row {
    let op: String
    let place: String
    let phase: Phase
    /// Kernels in a run of the step.
    var calls = 0
    /// In a run, the medians of the kernels added up.
    var seconds = 0.0
    var arithmetic = 0.0
    var byteCount = 0.0
    /// What the machine would take at its own rates.
    var leastSeconds = 0.0
  }

  private let heading: String
  private let threadCount: Int
  /// The median of whole runs, as long as kernels are watched.
  private let seconds: Double
  private let rows: [Row]
  private let trace: [(name: String, phase: Phase, place: String, event: StepTimer.Event)]

  /// - Parameter costs: the rates of this machine.
  init(_ step: TracedStep, _ runs: [(timer: StepTimer, seconds: Double)], _ costs: CostTable, threadCount: Int) {
    heading = step.heading
    self.threadCount = threadCount
    let ordered = runs.sorted { $0.seconds < $1.seconds }
    let median = ordered[ordered.count / 2]
    seconds = median.seconds
    let steps = step.plan.ledger.steps
    let work = step.plan.work(costs)
    func place(_ step: Int) -> String { steps[step].origin.site?.placeInFile ?? "" }
    var places: [String: Int] = [:]
    var rows: [Row] = []
    for (index, event) in median.timer.events.enumerated() {
      let origin = steps[event.step].origin
      let key = "\(steps[event.step].op)|\(place(event.step))|\(origin.phase)"
      let row = places[key] ?? rows.count
      if row == rows.count {
        places[key] = row
        rows.append(Row(op: steps[event.step].op, place: place(event.step), phase: origin.phase))
      }
      // Every run has the same events.
      let times = ordered.map { $0.timer.events[index].seconds }.sorted()
      rows[row].calls += 1
      rows[row].seconds += times[times.count / 2]
      rows[row].arithmetic += work[event.step].arithmetic
      // What is handed out at the end is no kernel's.
      if work[event.step].seconds > 0 { rows[row].byteCount += Double(event.byteCount) }
      rows[row].leastSeconds += work[event.step].seconds
    }
    self.rows = rows.enumerated().sorted { ($1.element.seconds, $0.offset) < ($0.element.seconds, $1.offset) }.map(\.element)
    trace = median.timer.events.map { (steps[$0.step].op, steps[$0.step].origin.phase, place($0.step), $0) }
  }

  override var kind: String { "profile" }
  override var memberNames: [String] { ["seconds", "rows"] }
  override func member(_ name: String) -> Value? {
    switch name {
    case "seconds": .double(seconds)
    case "rows":
      .list(
        rows.map { row in
          .record([
            "op": .string(row.op), "place": .string(row.place), "phase": .string("\(row.phase)"), "calls": .int(row.calls),
            "seconds": .double(row.seconds), "arithmetic": .double(row.arithmetic), "bytes": .double(row.byteCount),
            "limit": .double(limit(row)),
          ])
        })
    default: nil
    }
  }

  /// The share of the machine's limit that was reached; above 1 where bytes came from a cache.
  private func limit(_ row: Row) -> Double { row.seconds > 0 ? row.leastSeconds / row.seconds : 0 }

  private static let mostRows = 16

  override var summary: String {
    let inKernels = rows.reduce(0) { $0 + $1.seconds }
    var table = [["time", "share", "calls", "GFLOP/s", "GB/s", "of limit", "phase", "at", "kernel"]]
    for row in rows.prefix(ProfileReport.mostRows) {
      let op = row.op.displayWidth > 48 ? row.op.prefix(47) + "…" : row.op
      table.append([
        durationText(row.seconds), percent(row.seconds / max(seconds, 1e-12)), "\(row.calls)",
        rate(row.arithmetic, row.seconds), rate(row.byteCount, row.seconds),
        row.leastSeconds > 0 ? percent(limit(row)) : "—", "\(row.phase)", row.place, op,
      ])
    }
    var lines = [
      "profile of \(heading)   \(durationText(seconds)), \(percent(inKernels / max(seconds, 1e-12))) of it in kernels, \(threadCount) thread\(threadCount == 1 ? "" : "s")",
      "",
    ]
    lines += aligned(table, gap: 2, toTheLeft: [6, 7, 8]).map { "  " + $0 }
    if rows.count > ProfileReport.mostRows {
      let rest = rows.dropFirst(ProfileReport.mostRows)
      lines.append("  and \(rest.count) more, \(percent(rest.reduce(0) { $0 + $1.seconds } / max(seconds, 1e-12)))")
    }
    return lines.joined(separator: "\n")
  }

  private func rate(_ amount: Double, _ seconds: Double) -> String {
    amount == 0 || seconds == 0 ? "—" : format(amount / seconds / 1e9, spec: ".1f") ?? ""
  }

  /// The kernels of one run in the format that trace viewers of browsers read: complete events, in microseconds.
  override var json: String? {
    func microseconds(_ seconds: Double) -> String { format(seconds * 1e6, spec: ".3f") ?? "0" }
    let events = trace.map { entry in
      """
      {"name":\(jsonString(entry.name)),"cat":\(jsonString("\(entry.phase)")),"ph":"X","pid":1,"tid":1,"ts":\(microseconds(entry.event.start)),"dur":\(microseconds(entry.event.seconds)),"args":{"at":\(jsonString(entry.place)),"bytes":\(entry.event.byteCount)}}
      """
    }
    return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + events.joined(separator: ",\n") + "\n]}\n"
  }
}

var profileBuiltins: [Builtin] {
  [
    Builtin(
      "profile", "step, arguments…, name: argument…",
      """
      Where the time of a step goes: kernels by line of the program, with the rates that they reach and the share of what
      this machine can do, which is measured first. Like `time`, it runs on copies of what the step writes. Above 100 % of the
      limit bytes came from a cache.

      `save("step.json", profile(train, x, y))` writes a run as a trace, which browsers draw (chrome://tracing, Perfetto).
      Members: seconds, and rows: op, place, phase, calls, seconds, arithmetic (operations), bytes, limit (share).

      >>> step double(x) = 2 * x
      >>> profile(double, [1.0, 2.0]).rows[0].calls
      1
      """
    ) { call throws(Failure) in
      let step = try call.plannedStep()
      let runs = try step.timedRuns(call.interpreter, at: call.site)
      do {
        return .object(ProfileReport(step, runs, try call.interpreter.machineCosts(), threadCount: StepTimer.threadCount))
      } catch { throw Failure.from(error, at: call.site) }
    }
  ]
}
