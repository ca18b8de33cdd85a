import Support
import Tensors

/// How far a loop over `progress(…)` has come.
package struct Progress: Sendable {
  /// Tells loops apart.
  package let loop: Int
  package let done: Int
  /// nil where it is not known.
  package let total: Int?
  package let seconds: Double
  /// What the last training step in it gave, if there was one.
  package let loss: Double?
  /// Whether the loop is over, at its end or earlier.
  package let isOver: Bool

  /// The share that is done, if the total is known.
  package var share: Double? { total.map { $0 == 0 ? 1 : Double(done) / Double($0) } }

  private var rate: Double { seconds > 0 ? Double(done) / seconds : 0 }

  /// The seconds to go, if the total is known and the loop goes on.
  private var remaining: Double? {
    guard let total, !isOver, rate > 0 else { return nil }
    return Double(total - done) / rate
  }

  /// ` 61%  1,098/1,797  4,210 it/s  0:00:12 < 0:00:07  loss 0.3121`
  package var figures: String {
    var text = ""
    if let total, let share {
      text = "\(padLeft(format(share * 100, spec: ".0f") ?? "", 3))%  \(grouped(done))/\(grouped(total))"
    } else {
      text = grouped(done)
    }
    text += "  \(rate >= 100 ? grouped(Int(min(rate, 1e15))) : format(rate, spec: ".1f") ?? "") it/s  \(clock(seconds))"
    if let remaining { text += " < \(clock(remaining))" }
    if let loss { text += "  loss \(format(loss, spec: ".4g") ?? "")" }
    return text
  }

  /// The figures behind a bar.
  package var line: String {
    guard let share else { return figures }
    let eighths = Int(share * Double(8 * Progress.barWidth))
    let bar =
      String(repeating: "█", count: eighths / 8)
      + (eighths % 8 == 0 ? "" : ["▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8 - 1])
    return "\(padded(bar, Progress.barWidth)) \(figures)"
  }

  /// `done=1098 total=1797 rate=91.5 elapsed=12.0 remaining=7.6 loss=0.3121`, for logs.
  package var fields: String {
    func number(_ value: Double, _ spec: String) -> String { format(value, spec: spec) ?? "" }
    return "done=\(done)" + (total.map { " total=\($0)" } ?? "") + " rate=\(number(rate, ".1f")) elapsed=\(number(seconds, ".1f"))"
      + (remaining.map { " remaining=\(number($0, ".1f"))" } ?? "") + (loss.map { " loss=\(number($0, ".4g"))" } ?? "")
  }

  private static let barWidth = 20

  private func padLeft(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private func clock(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e9).rounded(.down))
    let (minutes, rest) = (whole / 60 % 60, whole % 60)
    return "\(whole / 3600):\(minutes < 10 ? "0" : "")\(minutes):\(rest < 10 ? "0" : "")\(rest)"
  }
}

/// What `progress(values)` gives: the values, and a report now and then of how many are done.
final class Watched: ObjectValue {
  let values: Value
  private let site: Site

  init(_ values: Value, at site: Site) {
    self.values = values
    self.site = site
  }

  override var kind: String { "progress" }
  override var summary: String { "progress of \(values.described)" }

  override var count: Int? {
    switch values {
    case .list(let list): list.items.count
    case .record(let record): record.items.count
    case .range(let range): range.count
    case .tensor(let tensor): tensor.type.rank > 0 ? tensor.type.shape[0] : nil
    case .object(let object): object.count
    default: nil
    }
  }

  override func makeIterator(_ interpreter: Interpreter, at site: Site) throws(Failure) -> ValueIterator? {
    WatchedIterator(try interpreter.iterate(values, at: self.site), count, interpreter)
  }
}

private final class WatchedIterator: ValueIterator {
  /// A loop that is over sooner is not worth a line.
  private static let delay = 0.2
  private static let interval = 0.1

  private let values: ValueIterator
  private let total: Int?
  private let interpreter: Interpreter
  /// The losses that were there before the loop.
  private let lossesBefore: Int
  private let loop: Int
  private let start = ContinuousClock.now
  private var started = 0
  private var lastReport = 0.0
  private var isShown = false

  init(_ values: ValueIterator, _ total: Int?, _ interpreter: Interpreter) {
    self.values = values
    self.total = total
    self.interpreter = interpreter
    lossesBefore = interpreter.lossCount
    loop = WatchedIterator.loopCount
    WatchedIterator.loopCount += 1
  }

  // One thread runs one interpreter; loops of others may share a number, which does no harm.
  private nonisolated(unsafe) static var loopCount = 0

  override func next() throws(Failure) -> Value? {
    let seconds = self.seconds
    if seconds >= max(lastReport + WatchedIterator.interval, WatchedIterator.delay) { report(seconds, isOver: false) }
    guard let value = try values.next() else {
      finish()
      return nil
    }
    started += 1
    return value
  }

  private var seconds: Double { start.duration(to: .now).inSeconds }

  /// The value that was handed out last is done when the next one is asked for.
  private func report(_ seconds: Double, isOver: Bool) {
    lastReport = seconds
    isShown = !isOver
    let loss = interpreter.lossCount > lossesBefore ? interpreter.lastLoss?.scalar : nil
    interpreter.output.show(
      Progress(loop: loop, done: started, total: total, seconds: seconds, loss: loss, isOver: isOver))
  }

  private func finish() {
    if isShown { report(seconds, isOver: true) }
  }

  /// A loop that ends early leaves the line as far as it came.
  deinit { finish() }
}
