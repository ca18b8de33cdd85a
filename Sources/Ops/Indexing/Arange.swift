import Graphs
import Kernels
import Tensors

/// `arange(start, stop, step)`: numbers at equal steps.
package struct Arange: TensorOp {
  /// Whole numbers are counted exactly, others as `start + i * step` in f64.
  private enum Progression: Hashable, Sendable {
    case whole(start: Int, step: Int)
    case real(start: Double, step: Double)
  }
  private let progression: Progression
  private let count: Int
  private let dtype: DType

  package static let name = "arange"
  package static let documentation = """
    Counts from `start` up to, but not including, `stop` in steps.

    `arange(n)` counts from 0 to n - 1. Whole numbers give i64, others f32, unless `dtype` says otherwise.
    A negative step counts down. Element i is start + i * step, so errors do not add up.

    >>> arange(5)
    i64[5]
    [0, 1, 2, 3, 4]
    >>> arange(1, 0, -0.25)
    f32[4]
    [1.0000, 0.7500, 0.5000, 0.2500]
    """
  package static let signature = Signature(
    .attribute("start", .number), .attribute("stop", .number, default: AttributeValue.none),
    .attribute("step", .number, default: .int(1)),
    .attribute("dtype", .dtype, default: AttributeValue.none))
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.source

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    var (first, last) = (attributes["start"], attributes["stop"])
    if last == .none { (first, last) = (.int(0), first) }
    let isWhole: Bool
    if case (.int(let start), .int(let stop), .int(let step)) = (first, last, attributes["step"]) {
      isWhole = true
      progression = .whole(start: start, step: step)
      count = try Arange.count(from: start, to: stop, by: step)
    } else {
      isWhole = false
      let ends = Attributes([("start", first), ("stop", last)])
      let (start, stop) = (try ends.number("start"), try ends.number("stop"))
      let step = try attributes.number("step")
      progression = .real(start: start, step: step)
      count = try Arange.count(from: start, to: stop, by: step)
    }
    if case .none = attributes["dtype"] {
      dtype = isWhole ? .i64 : .f32
    } else {
      dtype = try attributes.dtype("dtype")
    }
    try checkEnds()
  }

  /// Refuses numbers that the dtype cannot hold; it holds all if it holds the first and the last.
  private func checkEnds() throws(OpRejection) {
    guard dtype.isInteger, count > 0 else { return }
    for index in [0, count - 1] {
      let number: Int?
      switch progression {
      case .whole(let start, let step): number = start + index * step
      case .real(let start, let step):
        number = Int(exactly: (start + Double(index) * step).rounded(.towardZero))
      }
      guard let number, dtype.holds(number) else {
        throw OpRejection("element \(index) of \(count) does not fit \(dtype)", code: "integer-overflow")
      }
    }
  }

  private static func count(from start: Int, to stop: Int, by step: Int) throws(OpRejection) -> Int {
    if step == 0 { throw OpRejection("the step is 0", code: "bad-argument") }
    let distance = Int128(stop) - Int128(start)
    if distance == 0 || (distance > 0) != (step > 0) { return 0 }
    let count = (distance + Int128(step) - (step > 0 ? 1 : -1)) / Int128(step)
    return try checked(count: Double(count))
  }

  private static func count(
    from start: Double, to stop: Double, by step: Double
  ) throws(OpRejection) -> Int {
    if step == 0 { throw OpRejection("the step is 0", code: "bad-argument") }
    guard start.isFinite, stop.isFinite, step.isFinite else {
      throw OpRejection("start, stop and step are finite numbers", code: "bad-argument")
    }
    return try checked(count: max(0, ((stop - start) / step).rounded(.up)))
  }

  private static func checked(count: Double) throws(OpRejection) -> Int {
    guard count < 0x1p53, Shape([Int(count)]).checkedElementCount != nil else {
      throw OpRejection("\(count) elements are too many", code: "out-of-memory")
    }
    return Int(count)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    [TensorType(dtype, [count])]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let values = (0..<count).map { index in
      switch progression {
      case .whole(let start, let step): Double(start + index * step)
      case .real(let start, let step): start + Double(index) * step
      }
    }
    return [ReferenceTensor(TensorType(dtype, [count]), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    switch progression {
    case .whole(let start, let step): fillProgression(results[0], start: start, step: step)
    case .real(let start, let step): fillProgression(results[0], start: start, step: step)
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "it has no operands") }

  package static let samples = [
    OpSample("to a number", [], [("start", .int(5))]),
    OpSample("from one to another", [], [("start", .int(-3)), ("stop", .int(7)), ("step", .int(3))]),
    OpSample("downwards", [], [("start", .int(5)), ("stop", .int(0)), ("step", .int(-2))]),
    OpSample("fractions", [], [("start", .int(0)), ("stop", .int(1)), ("step", .number(0.1))]),
    OpSample(
      "of a dtype", [], [("start", .int(0)), ("stop", .int(4)), ("dtype", .dtype(.f64))]),
    OpSample("nothing", [], [("start", .int(3)), ("stop", .int(1))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init("step 0", [], [("start", .int(3)), ("step", .int(0))], message: "the step is 0"),
    .init(
      "too many", [], [("start", .int(.min)), ("stop", .int(.max))], message: "are too many"),
    .init(
      "beyond the dtype", [], [("start", .int(250)), ("stop", .int(300)), ("dtype", .dtype(.u8))],
      message: "element 49 of 50 does not fit u8"),
    .init(
      "not finite", [], [("start", .int(0)), ("stop", .number(.infinity))],
      message: "start, stop and step are finite numbers"),
  ]
}
