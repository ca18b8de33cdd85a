import Glibc
import Interpreter
import Support

/// `:bench`: how long a program takes, from several runs of many loops.
struct Benchmark {
  /// The seconds of one loop, by run.
  let runs: [Double]
  let loopCount: Int

  var mean: Double { runs.reduce(0, +) / Double(runs.count) }
  /// The standard deviation of the runs.
  var deviation: Double {
    (runs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(runs.count)).squareRoot()
  }

  /// `12.3 µs ± 0.4 µs per loop (mean ± deviation of 7 runs of 10,000 loops each)`
  var summary: String {
    let loops = loopCount == 1 ? "1 loop" : "\(grouped(loopCount)) loops"
    return "\(durationText(mean)) ± \(durationText(deviation)) per loop (mean ± standard deviation of \(runs.count) runs of \(loops) each)"
  }

  static let runCount = 7
  /// A run goes on for so long, unless one loop takes longer.
  static let shortestRun = 0.1
}

extension Session {
  /// Runs a program over and over; what it says is not heard, and the random counter is left where it was. What it
  /// changes stays changed.
  func benchmark(_ file: SourceFile) -> (result: Benchmark?, outcome: EntryOutcome) {
    let prepared = prepare(Script(file))
    let outer = (output, interpreter.seed, interpreter.tick)
    output = SilentOutput()
    defer { (output, interpreter.seed, interpreter.tick) = outer }

    var seconds = 0.0
    var loopCount = 1
    // 1, 2, 5, 10, 20 … loops, until a run of them is long enough to be measured.
    var steps = [2.0, 2.5, 2.0].makeIterator()
    while true {
      let outcome = time(prepared, loopCount, &seconds)
      guard case .finished = outcome else { return (nil, outcome) }
      if seconds >= Benchmark.shortestRun { break }
      if let step = steps.next() {
        loopCount = Int(Double(loopCount) * step)
      } else {
        steps = [2.0, 2.5, 2.0].makeIterator()
      }
    }
    var runs: [Double] = []
    // Of what takes seconds, three runs say enough.
    for _ in 0..<(seconds > 1 ? 3 : Benchmark.runCount) {
      let outcome = time(prepared, loopCount, &seconds)
      guard case .finished = outcome else { return (nil, outcome) }
      runs.append(seconds / Double(loopCount))
    }
    return (Benchmark(runs: runs, loopCount: loopCount), .finished)
  }

  private func time(_ prepared: PreparedScript, _ loopCount: Int, _ seconds: inout Double) -> EntryOutcome {
    let start = monotonicNanoseconds()
    for _ in 0..<loopCount {
      let outcome = runSilently(prepared)
      guard case .finished = outcome else { return outcome }
    }
    seconds = Double(monotonicNanoseconds() - start) * 1e-9
    return .finished
  }
}
