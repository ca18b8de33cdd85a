// Schedules of chains
//
// A chain of stages is run forward and then backward; the backward pass of a stage reads its input, its output and
// what the stage has inside. Where memory does not hold all of that, stages run forward more than once. This file
// finds the best trade between bytes and seconds; it knows no graph.
//
// The schedules are the persistent ones (Beaumont, Herrmann et al. 2019, "Optimal checkpointing for heterogeneous
// chains", as in rotor): what is stored stays until the backward pass has read it. For stages i...j there are two
// ways to go on:
// - keep: stage i runs and one of its options says what it keeps; then come i + 1...j, then the backward pass of i;
// - split at k: stages i..<k run, only the input of k is kept; then come k...j, then i..<k by themselves.
// Unlike in rotor, the output of i..<k need not be computed again in the end: it was the input of k, and is still there.
// And the bytes are bytes: instead of a table over slots of memory, each stretch has its Pareto set of (bytes,
// seconds). Two sets, one after the other, join in a sweep over bytes: the larger peak counts, times add up.
//
// Before the loss all stages run in the forward pass of the step; behind it a stretch runs with its output, the
// cotangent of that, and what earlier backward passes have left: so there are two tables, and the first needs only
// stretches that reach to the end of the chain.

/// A stretch of a forward pass as the planner sees it.
package struct ChainStage: Sendable {
  /// What a stage keeps from its forward for its backward pass, besides input and output.
  package struct Option: Sendable {
    package let keptBytes: Int
    /// How much longer the backward pass takes, because the rest is computed again.
    package let extraSeconds: Double
    /// What the backward pass holds at most besides input, output and what was kept: cotangents, and what it computes
    /// again. Below zero where output and what was kept are gone by then.
    package let backwardBytes: Int

    package init(keptBytes: Int, extraSeconds: Double, backwardBytes: Int) {
      self.keptBytes = keptBytes
      self.extraSeconds = extraSeconds
      self.backwardBytes = backwardBytes
    }
  }

  package let forwardSeconds: Double
  /// The backward pass where everything is at hand.
  package let backwardSeconds: Double
  package let outputBytes: Int
  package let cotangentBytes: Int
  /// What the forward pass holds at most besides input, output and what is kept.
  package let forwardBytes: Int
  /// What the backward pass leaves behind to the end of the step: gradients that wait to be clipped.
  package let heldBytes: Int
  /// The last one keeps nothing.
  package let options: [Option]

  package init(
    forwardSeconds: Double, backwardSeconds: Double, outputBytes: Int, cotangentBytes: Int, forwardBytes: Int,
    heldBytes: Int, options: [Option]
  ) {
    self.forwardSeconds = forwardSeconds
    self.backwardSeconds = backwardSeconds
    self.outputBytes = outputBytes
    self.cotangentBytes = cotangentBytes
    self.forwardBytes = forwardBytes
    self.heldBytes = heldBytes
    self.options = options
  }
}

/// A step of a chain's schedule.
package enum ChainOperation: Hashable, Sendable {
  /// The stages run forward; of what they make only the output of the last stays.
  case run(ClosedRange<Int>)
  /// The stage runs forward; its output stays, and what its n-th option keeps.
  case keep(stage: Int, option: Int)
  case backward(Int)
}

/// The best schedules of a chain.
package struct ChainPlanner {
  /// A schedule's peak, its time, and how it begins.
  private struct Point {
    var bytes: Int
    var seconds: Double
    /// An option; or below zero, the negative of the stage to split at.
    var choice: Int32
    /// Points of the stretches that follow: behind the choice, and for a split before it.
    var later: Int32 = 0
    var earlier: Int32 = 0
  }

  private let stages: [ChainStage]
  /// More points than this are thinned out: of neighbours in bytes the fastest stays.
  private let limit: Int
  /// What backward passes behind a stage have left.
  private let held: [Int]
  /// Stretches from a stage to the end of the chain, in the first forward pass.
  private var ahead: [[Point]]
  /// Stretches i...j once the backward pass has come to the output of j.
  private var behind: [[[Point]]]

  package init(_ stages: [ChainStage]) {
    self.stages = stages
    let count = stages.count
    limit = max(256, min(4096, 2_000_000 / max(1, count * count)))
    var held = [Int](repeating: 0, count: count)
    for stage in stride(from: count - 2, through: 0, by: -1) {
      held[stage] = held[stage + 1] + stages[stage + 1].heldBytes
    }
    self.held = held
    ahead = Array(repeating: [], count: count)
    behind = Array(repeating: Array(repeating: [], count: count), count: count)
    for first in stride(from: count - 1, through: 0, by: -1) {
      // What lies ahead is split into stretches behind that are shorter, and begin at the same stage.
      for last in first..<max(first, count - 1) { behind[first][last] = solve(first, last, isBehind: true) }
      ahead[first] = solve(first, count - 1, isBehind: false)
    }
  }

  /// The peaks and times of the best schedules, from the smallest and slowest to the largest and fastest.
  package var frontier: [(bytes: Int, seconds: Double)] { ahead.first?.map { ($0.bytes, $0.seconds) } ?? [] }

  /// The operations of a point of the frontier.
  package func schedule(_ point: Int) -> [ChainOperation] {
    var operations: [ChainOperation] = []
    append(ahead[0][point], 0, stages.count - 1, isBehind: false, to: &operations)
    return operations
  }

  // MARK: Tables

  private func solve(_ first: Int, _ last: Int, isBehind: Bool) -> [Point] {
    let stage = stages[first]
    func backwardPeak(_ option: ChainStage.Option) -> Int {
      stage.outputBytes + option.keptBytes + option.backwardBytes + held[first]
    }
    // What is there while stages run forward again.
    let present = isBehind ? stages[last].outputBytes + stages[last].cotangentBytes + held[last] : 0
    var best: [Point] = []
    if first == last {
      if isBehind {
        // Input and output are there: only what lies between is computed.
        let option = stage.options.count - 1
        return [
          Point(
            bytes: backwardPeak(stage.options[option]),
            seconds: stage.backwardSeconds + stage.options[option].extraSeconds, choice: Int32(option))
        ]
      }
      for (number, option) in stage.options.enumerated() {
        let point = Point(
          bytes: max(stage.outputBytes + option.keptBytes + stage.forwardBytes, backwardPeak(option)),
          seconds: stage.forwardSeconds + stage.backwardSeconds + option.extraSeconds, choice: Int32(number))
        best = merged(best, [point])
      }
      return best
    }
    for (number, option) in stage.options.enumerated() {
      let stays = stage.outputBytes + option.keptBytes
      let floor = max(present + stays + stage.forwardBytes, backwardPeak(option))
      let seconds = stage.forwardSeconds + stage.backwardSeconds + option.extraSeconds
      let next = isBehind ? behind[first + 1][last] : ahead[first + 1]
      var points: [Point] = []
      for (index, later) in next.enumerated() {
        let bytes = max(floor, stays + later.bytes)
        // Of several at the floor the last is the fastest.
        if points.last?.bytes == bytes { points.removeLast() }
        points.append(
          Point(bytes: bytes, seconds: seconds + later.seconds, choice: Int32(number), later: Int32(index)))
      }
      best = merged(best, points)
    }
    var (floor, seconds) = (present + stage.outputBytes + stage.forwardBytes, stage.forwardSeconds)
    for split in (first + 1)..<(last + 1) {
      let input = stages[split - 1].outputBytes
      if split > first + 1 {
        floor = max(
          floor, present + stages[split - 2].outputBytes + input + stages[split - 1].forwardBytes)
        seconds += stages[split - 1].forwardSeconds
      }
      let later = isBehind ? behind[split][last] : ahead[split]
      best = merged(
        best, joined(later, plus: input, behind[first][split - 1], floor: floor, seconds: seconds, choice: -split))
    }
    return best
  }

  /// Two stretches one after the other, the first beside some bytes more: for every peak the fastest of each.
  private func joined(
    _ later: [Point], plus input: Int, _ earlier: [Point], floor: Int, seconds: Double, choice: Int
  ) -> [Point] {
    var points: [Point] = []
    var (a, b) = (0, 0)
    var bytes = max(floor, later[0].bytes + input, earlier[0].bytes)
    while true {
      while a + 1 < later.count, later[a + 1].bytes + input <= bytes { a += 1 }
      while b + 1 < earlier.count, earlier[b + 1].bytes <= bytes { b += 1 }
      points.append(
        Point(
          bytes: bytes, seconds: seconds + later[a].seconds + earlier[b].seconds, choice: Int32(choice),
          later: Int32(a), earlier: Int32(b)))
      let next = min(
        a + 1 < later.count ? later[a + 1].bytes + input : .max, b + 1 < earlier.count ? earlier[b + 1].bytes : .max)
      if next == .max { return points }
      bytes = next
    }
  }

  /// The points of two sets that no other is as good as, in rising bytes and falling seconds.
  private func merged(_ first: [Point], _ second: [Point]) -> [Point] {
    var points: [Point] = []
    points.reserveCapacity(first.count + second.count)
    var (a, b) = (0, 0)
    var fastest = Double.infinity
    while a < first.count || b < second.count {
      let takesFirst =
        b == second.count
        || (a < first.count && (first[a].bytes, first[a].seconds) <= (second[b].bytes, second[b].seconds))
      let point = takesFirst ? first[a] : second[b]
      if takesFirst { a += 1 } else { b += 1 }
      if point.seconds < fastest {
        points.append(point)
        fastest = point.seconds
      }
    }
    return points.count > limit ? thinned(points) : points
  }

  private func thinned(_ points: [Point]) -> [Point] {
    let (low, high) = (points[0].bytes, points[points.count - 1].bytes)
    let width = max(1, (high - low) / (limit / 2))
    return points.indices.filter { index in
      index == 0 || index == points.count - 1
        || (points[index].bytes - low) / width != (points[index + 1].bytes - low) / width
    }.map { points[$0] }
  }

  // MARK: Schedules

  private func append(
    _ point: Point, _ first: Int, _ last: Int, isBehind: Bool, to operations: inout [ChainOperation]
  ) {
    if point.choice < 0 {
      let split = Int(-point.choice)
      operations.append(.run(first...split - 1))
      let later = isBehind ? behind[split][last] : ahead[split]
      append(later[Int(point.later)], split, last, isBehind: isBehind, to: &operations)
      append(behind[first][split - 1][Int(point.earlier)], first, split - 1, isBehind: true, to: &operations)
      return
    }
    if first < last || !isBehind { operations.append(.keep(stage: first, option: Int(point.choice))) }
    if first < last {
      let next = isBehind ? behind[first + 1][last] : ahead[first + 1]
      append(next[Int(point.later)], first + 1, last, isBehind: isBehind, to: &operations)
    }
    operations.append(.backward(first))
  }
}
