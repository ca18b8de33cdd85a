import Passes
import Testing

/// A chain of stages with costs drawn at random.
private func randomChain(_ count: Int, options: Int, _ random: inout Random) -> [ChainStage] {
  (0..<count).map { stage in
    let kept = (0..<options).map { $0 == 0 ? 0 : Int.random(in: 1...9, using: &random) }.sorted(by: >)
    return ChainStage(
      forwardSeconds: Double(Int.random(in: 1...20, using: &random)),
      backwardSeconds: Double(Int.random(in: 1...40, using: &random)),
      outputBytes: stage == count - 1 ? 0 : Int.random(in: 1...9, using: &random),
      cotangentBytes: Int.random(in: 0...9, using: &random), forwardBytes: Int.random(in: 0...5, using: &random),
      heldBytes: Int.random(in: 0...2, using: &random),
      options: kept.enumerated().map { place, bytes in
        ChainStage.Option(
          keptBytes: bytes, extraSeconds: Double(3 * place + Int.random(in: 0...2, using: &random)),
          backwardBytes: Int.random(in: 1...12, using: &random))
      })
  }
}

/// Runs a schedule by what its operations say: which values are there, and what is then read.
private struct ChainRun {
  var bytes = 0
  var seconds = 0.0
  /// What is wrong with it.
  var problem: String?

  init(_ stages: [ChainStage], _ operations: [ChainOperation]) {
    var outputs = [Bool](repeating: false, count: stages.count)
    var kept = [Int](repeating: -1, count: stages.count)
    var isBehind = false
    var next = stages.count - 1
    // What is there: outputs, what options keep, and what backward passes have left.
    var present = 0
    func change(output stage: Int, to isThere: Bool) {
      if outputs[stage] != isThere { present += isThere ? stages[stage].outputBytes : -stages[stage].outputBytes }
      outputs[stage] = isThere
    }
    func change(kept stage: Int, to option: Int) {
      if kept[stage] >= 0 { present -= stages[stage].options[kept[stage]].keptBytes }
      if option >= 0 { present += stages[stage].options[option].keptBytes }
      kept[stage] = option
    }
    func forward(_ stage: Int) {
      if stage > 0 && !outputs[stage - 1] { problem = problem ?? "stage \(stage) has no input" }
      change(output: stage, to: true)
      // The cotangent waits while stages run forward again.
      bytes = max(bytes, present + (isBehind ? stages[next].cotangentBytes : 0) + stages[stage].forwardBytes)
      seconds += stages[stage].forwardSeconds
    }
    for operation in operations {
      switch operation {
      case .run(let range):
        for stage in range {
          forward(stage)
          if stage > range.lowerBound { change(output: stage - 1, to: false) }
        }
      case .keep(let stage, let option):
        change(kept: stage, to: option)
        forward(stage)
      case .backward(let stage):
        if stage != next || !outputs[stage] || (stage > 0 && !outputs[stage - 1]) {
          problem = problem ?? "the backward pass of \(stage) comes too early, or lacks something"
        }
        let option = stages[stage].options[kept[stage] >= 0 ? kept[stage] : stages[stage].options.count - 1]
        bytes = max(bytes, present + option.backwardBytes)
        seconds += stages[stage].backwardSeconds + option.extraSeconds
        change(output: stage, to: false)
        change(kept: stage, to: -1)
        present += stages[stage].heldBytes
        next -= 1
        isBehind = true
      }
    }
    if next != -1 { problem = problem ?? "stages are left" }
  }
}

/// Spells out all persistent schedules of stages `first...last`, one after the other: there are too many to hold.
private func forEachSchedule(
  _ stages: [ChainStage], _ first: Int, _ last: Int, isBehind: Bool, after operations: [ChainOperation],
  _ body: ([ChainOperation]) -> Void
) {
  if first == last && isBehind { return body(operations + [.backward(first)]) }
  for option in stages[first].options.indices {
    let begun = operations + [.keep(stage: first, option: option)]
    if first == last {
      body(begun + [.backward(first)])
    } else {
      forEachSchedule(stages, first + 1, last, isBehind: isBehind, after: begun) { body($0 + [.backward(first)]) }
    }
  }
  for split in first + 1..<max(last, first) + 1 {
    forEachSchedule(stages, split, last, isBehind: isBehind, after: operations + [.run(first...split - 1)]) { later in
      forEachSchedule(stages, first, split - 1, isBehind: true, after: later, body)
    }
  }
}

/// The pairs that no other is as good as.
private func best(_ runs: [(bytes: Int, seconds: Double)]) -> [(bytes: Int, seconds: Double)] {
  var result: [(bytes: Int, seconds: Double)] = []
  for run in runs.sorted(by: { $0 < $1 }) where run.seconds < result.last?.seconds ?? .infinity { result.append(run) }
  return result
}

@Suite(.serialized) struct ChainPlannerTests {
  /// Chains of up to 12 stages; of long ones with one option a stage, or all schedules would be too many.
  @Test(arguments: [(1, 3), (2, 3), (3, 3), (4, 3), (5, 2), (6, 2), (8, 1), (10, 1), (11, 1), (12, 1)])
  func theFrontierIsThatOfAllSchedules(_ count: Int, _ options: Int) {
    for seed in 0..<(count > 10 ? 1 : count > 4 ? 3 : 8) {
      var random = Random(seed: "chain \(count) \(seed)")
      let stages = randomChain(count, options: options, &random)
      var runs: [(bytes: Int, seconds: Double)] = []
      var problem: String?
      forEachSchedule(stages, 0, count - 1, isBehind: false, after: []) { operations in
        let run = ChainRun(stages, operations)
        problem = problem ?? run.problem
        runs.append((run.bytes, run.seconds))
      }
      #expect(problem == nil)
      let expected = best(runs)
      let found = ChainPlanner(stages).frontier
      #expect(found.map(\.bytes) == expected.map(\.bytes), "\(count) stages, seed \(seed)")
      #expect(found.map(\.seconds) == expected.map(\.seconds), "\(count) stages, seed \(seed)")
    }
  }

  @Test(arguments: [12, 40, 100])
  func schedulesTakeWhatTheFrontierSays(_ count: Int) {
    var random = Random(seed: "schedules \(count)")
    let stages = randomChain(count, options: 3, &random)
    let planner = ChainPlanner(stages)
    let frontier = planner.frontier
    #expect(frontier.count > 2)
    for point in stride(from: 0, to: frontier.count, by: max(1, frontier.count / 40)) {
      let run = ChainRun(stages, planner.schedule(point))
      #expect(run.problem == nil)
      #expect(run.bytes == frontier[point].bytes)
      #expect((run.seconds - frontier[point].seconds).magnitude < 1e-6 * run.seconds)
    }
    for (a, b) in zip(frontier, frontier.dropFirst()) { #expect(a.bytes < b.bytes && a.seconds > b.seconds) }
  }

  /// `every(k)`: inputs of every k-th stage are kept; a stretch runs again as a whole, keeping what it has inside.
  private func every(_ length: Int, _ count: Int) -> [ChainOperation] {
    let starts = Array(stride(from: 0, to: count, by: length))
    var operations: [ChainOperation] = []
    for start in starts.dropLast() { operations.append(.run(start...start + length - 1)) }
    for start in starts.reversed() {
      let end = min(start + length, count)
      // The output of the last stage is there, but what it has inside is not.
      for stage in start..<end where start == starts.last || stage < end - 1 {
        operations.append(.keep(stage: stage, option: 0))
      }
      for stage in (start..<end).reversed() { operations.append(.backward(stage)) }
    }
    return operations
  }

  @Test(arguments: 0..<2)
  func longChainsBeatFixedStrides(_ seed: Int) {
    var random = Random(seed: "long \(seed)")
    let stages = randomChain(100, options: 3, &random)
    let frontier = ChainPlanner(stages).frontier
    var gains: [Double] = []
    // The root of 100 is one of the strides.
    for length in [1, 2, 3, 5, 7, 10, 20, 50] {
      let run = ChainRun(stages, every(length, 100))
      #expect(run.problem == nil, "every(\(length))")
      guard let planned = frontier.last(where: { $0.bytes <= run.bytes }) else {
        Issue.record("every(\(length)) takes \(run.bytes), less than any plan")
        continue
      }
      #expect(planned.seconds <= run.seconds, "every(\(length))")
      gains.append(run.seconds / planned.seconds)
    }
    #expect(gains[5] > 1.02, "sqrt: \(gains)")
    #expect(gains.filter { $0 > 1.02 }.count >= 5, "\(gains)")
  }
}
