import Foundation
import Interpreter
import Testing

/// The loss scale over 10,000 steps against PyTorch's GradScaler, from `Tests/Reference/loss_scale.json`.
@Suite struct LossScaleTests {
  private static let figures = Figure(file: "loss_scale.json")

  /// The rules of `scripts/reference/loss_scale.py`: whether the gradient of step k, counted from 1, is infinite.
  private static let rules: [String: @Sendable (Int) -> Bool] = [
    "edges": { $0 <= 3 || $0 == 2004 || $0 == 4004 || $0 > 9000 && $0 % 97 == 0 },
    "scattered": { ($0 * 7919 + $0 / 7 * 104_729) % 911 == 5 },
    "none": { _ in false },
  ]

  /// The figures' scale before each step.
  private func scales(_ sequence: Figure) -> [Float] {
    let runs = sequence["runs"].list
    var result: [Float] = []
    for (index, run) in runs.enumerated() {
      let end = index + 1 < runs.count ? Int(runs[index + 1].numbers[0]) : Int(Self.figures["steps"].number) + 1
      result += [Float](repeating: Float(run.numbers[1]), count: end - Int(run.numbers[0]))
    }
    return result
  }

  @Test(arguments: ["edges", "scattered", "none"])
  func everyScale(name: String) {
    let figures = Self.figures["sequences"][name]
    let scaler = LossScaler(scale: Float(figures["start"].number))
    let expected = scales(figures)
    #expect(expected.count == 10_000)
    var skipped: [Double] = []
    var found: [Float] = []
    for step in 1...10_000 {
      found.append(scaler.scale)
      let isBad = Self.rules[name]!(step)
      if isBad { skipped.append(Double(step)) }
      if !scaler.update(isFinite: !isBad) { Issue.record("step \(step) ends below the floor") }
    }
    let first = expected.indices.first { found[$0] != expected[$0] }
    #expect(first == nil, "step \((first ?? 0) + 1): \(found[first ?? 0]), in PyTorch \(expected[first ?? 0])")
    #expect(scaler.scale == Float(figures["last"].number))
    #expect(skipped == figures["skipped"].numbers)
    // What is remembered grows with the changes, not with the steps.
    #expect(scaler.history.stepCount == 10_000)
    #expect(scaler.history.runs.map { [Double($0.first), Double($0.scale)] } == figures["runs"].list.map { [$0.numbers[0], Double(Float($0.numbers[1]))] })
    #expect(scaler.history.skipped.map(Double.init) == skipped)
  }

  /// The same through a program: steps that are skipped leave params, state and step number as they are.
  @Test(arguments: ["edges", "scattered"])
  func throughSteps(name: String) throws {
    let figures = Self.figures["sequences"][name]
    let rule = name == "edges"
      ? "k <= 3 or k == 2004 or k == 4004 or k > 9000 and k % 97 == 0"
      : "(k * 7919 + k // 7 * 104729) % 911 == 5"
    let session = ProgramSession()
    try session.run(
      """
      model Point() { param w = zeros([3]) }
      net = Point()
      optimizer count() {
        state steps = zeros_like(p)
        fn update(p, g, t) {
          steps = steps + 1
          p + t - steps
        }
      }
      opt = count()
      step plain(x) {
        r = minimize(sum(net.w * x), net, opt)
        (applied: r.applied, scale: r.scale)
      }
      train = plain with loss_scale: dynamic
      scales = []
      applied = 0
      for k in 1...10000 {
        bad = \(rule)
        r = train([1.0, if bad { inf } else { -1.0 }, 0.0])
        assert(r.applied == not bad, "step {k}")
        if r.applied { applied += 1 }
        scales = append(scales, float(r.scale))
      }
      seen = [s for s in train.scales]
      runs = train.scales.runs
      lengths = [r.steps for r in runs]
      values = [r.scale for r in runs]
      skipped = train.skipped
      now = train.scale
      moved = sum(abs(net.w))
      """)
    let expected = scales(figures).map(Double.init)
    #expect(try session.numbers("scales") == expected)
    #expect(try session.numbers("seen") == expected)
    #expect(try session.numbers("skipped") == figures["skipped"].numbers)
    #expect(try session.numbers("values") == figures["runs"].list.map { $0.numbers[1] })
    #expect(try session.numbers("lengths").reduce(0, +) == 10_000)
    #expect(try session.numbers("now") == [figures["last"].number])
    // The optimizer's step number and its own count of steps stayed together.
    #expect(try session.numbers("moved") == [0])
    #expect(try session.numbers("applied")[0] == Double(10_000 - figures["skipped"].list.count))
  }

  /// Where even a scale of 1 overflows there is an error, which names the params and says that nothing was changed.
  @Test func floor() throws {
    let session = ProgramSession()
    try session.run(
      """
      model Pair() {
        param good = ones([2])
        param bad = ones([3])
      }
      net = Pair()
      step plain(x) { minimize(sum(net.good) + sum(net.bad * x), net, sgd(lr: 0.1)) }
      train = plain with loss_scale: dynamic
      for k in 1...16 { train([1.0, inf, nan]) }
      """)
    #expect(throws: ProgramFailure.self) { try session.run("train([1.0, inf, nan])") }
    do { try session.run("train([1.0, inf, nan])") } catch let failure as ProgramFailure {
      #expect(failure.description.contains("error[scale-too-small]"))
      #expect(failure.description.contains("values that are not finite: bad 2"))
      #expect(!failure.description.contains("good"))
    }
    try session.run("left = concat([net.good, net.bad], axis: 0)\nskips = train.skipped\nnow = train.scale")
    #expect(try session.numbers("left") == [1, 1, 1, 1, 1])
    #expect(try session.numbers("now") == [1])
    #expect(try session.numbers("skips").count == 18)
    // It recovers by itself.
    try session.run("r = train([1.0, 2.0, 3.0])\nok = if r.applied { 1 } else { 0 }")
    #expect(try session.numbers("ok") == [1])
  }
}
