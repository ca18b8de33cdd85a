import Graphs
import Ops
import Support
import Tensors

/// What `loss_scale:` says of a step.
enum LossScaling: Equatable {
  case none
  case fixed(Double)
  case dynamic
}

/// The scale by which a step multiplies its loss, so that gradients do not vanish in f16: doubled after 2000 clean steps
/// in a row, halved by a step whose gradients are not finite, which is then skipped.
///
/// The constants and the order are those of PyTorch's GradScaler (`torch/amp/grad_scaler.py`). Beyond it there is a floor:
/// where even a scale of 1 overflows, smaller ones do not help.
package final class LossScaler {
  package static let initialScale: Float = 65536
  package static let growthFactor: Float = 2
  package static let backoffFactor: Float = 0.5
  package static let growthInterval = 2000
  package static let floor: Float = 1

  package private(set) var scale: Float
  /// Steps since the scale last changed.
  package private(set) var cleanSteps = 0
  /// What has happened so far; it grows where the scale changes, not with each step.
  package private(set) var history = ScaleHistory()
  /// The scale as plans read it.
  let storage: UnsafeMutablePointer<Float>

  package init(scale: Float = LossScaler.initialScale) {
    self.scale = scale
    storage = .allocate(capacity: 1)
    storage.initialize(to: scale)
  }

  deinit { storage.deallocate() }

  /// Counts a step.
  /// - Returns: false where the scale would fall below its floor; it stays there.
  package func update(isFinite: Bool) -> Bool {
    history.append(scale, isSkipped: !isFinite)
    var holds = true
    if isFinite {
      cleanSteps += 1
      if cleanSteps == LossScaler.growthInterval {
        cleanSteps = 0
        let grown = scale * LossScaler.growthFactor
        if grown.isFinite { scale = grown }
      }
    } else {
      cleanSteps = 0
      holds = scale > LossScaler.floor
      scale = max(LossScaler.floor, scale * LossScaler.backoffFactor)
    }
    storage.pointee = scale
    return holds
  }

  /// Goes on from a saved scale.
  func restore(scale: Float, cleanSteps: Int) {
    self.scale = scale
    self.cleanSteps = cleanSteps
    storage.pointee = scale
  }
}

/// The loss scales of the steps that have been made.
package struct ScaleHistory: Equatable {
  /// Steps in a row under one scale, the first counted from 1.
  package struct Run: Equatable {
    package let first: Int
    package let scale: Float
  }
  package private(set) var stepCount = 0
  package private(set) var runs: [Run] = []
  /// The steps, counted from 1, that were not applied.
  package private(set) var skipped: [Int] = []

  mutating func append(_ scale: Float, isSkipped: Bool) {
    stepCount += 1
    if runs.last?.scale != scale { runs.append(Run(first: stepCount, scale: scale)) }
    if isSkipped { skipped.append(stepCount) }
  }

  /// The steps of the run at an index.
  package func steps(of run: Int) -> ClosedRange<Int> {
    runs[run].first...(run + 1 < runs.count ? runs[run + 1].first - 1 : stepCount)
  }
}

/// Under a dynamic scale: what decides whether updates of a step are applied.
struct OverflowTest {
  /// Of each `minimize`, whether all its gradients are finite. Each is applied or skipped by itself; the scale is the step's.
  var isFinite: [GraphValue] = []
  /// How many elements of each gradient are not.
  var counts: [(path: String, count: GraphValue)] = []
}

extension Trace {
  /// Appends the test of gradients, under a dynamic scale.
  ///
  /// - Returns: which test of the step it is, and how many elements of each gradient are not finite.
  func testOverflow(
    _ gradients: [(path: String, gradient: GraphValue)]
  ) throws -> (tests: Range<Int>, counts: [(path: String, count: GraphValue)]) {
    guard lossScaling == .dynamic else { return (0..<0, []) }
    let counts = try gradients.map { (path: $0.path, count: try builder.countOfNonFinite($0.gradient)) }
    let total = try counts.dropFirst().reduce(counts[0].count) { try builder.add($0, $1.count) }
    var test = overflow ?? OverflowTest()
    test.isFinite.append(try builder.equal(total, builder.number(0, like: total)))
    test.counts += counts
    overflow = test
    return (test.isFinite.count - 1..<test.isFinite.count, counts)
  }

  /// Whether the gradients of several tests are all finite; nil for no test.
  func areFinite(_ tests: Range<Int>) throws -> GraphValue? {
    guard let overflow, let first = tests.first else { return nil }
    return try tests.dropFirst().reduce(overflow.isFinite[first]) { try builder.logicalAnd($0, overflow.isFinite[$1]) }
  }

  /// The tests so far.
  var tests: Range<Int> { 0..<(overflow?.isFinite.count ?? 0) }
}

extension GraphBuilder {
  /// Appends the number of elements that are infinite or no numbers.
  func countOfNonFinite(_ x: GraphValue) throws -> GraphValue {
    // x - x is 0 for what is finite, and no number for the rest.
    let gap = try subtract(x, x)
    let isBad = try notEqual(gap, number(0, like: gap))
    return try sum(isBad, axes: Array(0..<x.rank), keepingAxes: false)
  }
}

extension StepPolicy {
  /// What the value of `loss_scale:` stands for.
  static func lossScaling(_ value: Value, at site: Site) throws(Failure) -> LossScaling {
    switch value {
    case .none: return .none
    case .string(let word) where word.known == "dynamic": return .dynamic
    case .int, .double:
      let scale = try hostDouble(value, "`loss_scale`", at: site)
      // A step multiplies by it, and by its inverse, in f32.
      guard scale > 0, Float(scale).isNormal, (1 / Float(scale)).isNormal else {
        throw Failure(
          "bad-argument", "`loss_scale` must be above 0, and it and its inverse numbers of f32, got \(format(number: scale))",
          at: site, notes: ["from 2^-126 to 2^126"])
      }
      return .fixed(scale)
    default:
      throw Failure("bad-argument", "`loss_scale` is `dynamic`, a number or `none`, got \(value.described)", at: site)
    }
  }
}
