import Graphs
import Kernels
import Tensors

/// `var(x, axis, keep, correction)`: the mean square distance from the mean.
package struct Variance: Reduction {
  package let axes: [Int]
  package let keep: Bool
  /// What is taken off the count.
  package let correction: Double

  package init(axes: [Int], keep: Bool) {
    self.init(axes: axes, keep: keep, correction: 1)
  }

  package init(axes: [Int], keep: Bool, correction: Double) {
    self.axes = axes
    self.keep = keep
    self.correction = correction
  }

  package static let name = "var"
  package static let documentation = """
    Measures the variance along axes: squared distances from the mean, over the count less `correction`.

    Without `axis` of all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. `correction: 1` (the default) estimates the variance of what the elements were drawn from;
    `correction: 0` is that of the elements themselves. Too few elements give nan.

    >>> var([1, 2, 3, 4])
    1.6667
    >>> var([[1, 3], [2, 6]], axis: 1, correction: 0)
    f32[2]
    [1., 4.]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("axis", .axes, default: AttributeValue.none),
    .attribute("keep", .bool, default: .bool(false)),
    .attribute("correction", .number, default: .number(1)))
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.reduction

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.init(
      axes: try attributes.axes("axis", rank: operands[0].rank), keep: try attributes.bool("keep"),
      correction: try attributes.number("correction"))
  }

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { operand }

  package static func reduce(_ elements: [Double]) -> Double { variance(elements, correction: 1) }
  private static func variance(_ elements: [Double], correction: Double) -> Double {
    let origin = elements.first ?? 0
    let mean = origin + elements.reduce(0) { $0 + ($1 - origin) } / Double(elements.count)
    let squares = elements.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return squares / max(0, Double(elements.count) - correction)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [reducing(operands[0]) { Variance.variance($0, correction: correction) }]
  }

  package var kernel: ReductionKind { .variance(correction: correction) }

  // y = sum((x - m)^2) / d with m the mean:  dx = dy * 2 (x - m) / d; what flows through m adds up to 0
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let count = axes.reduce(1) { $0 * x.shape[$1] }
      let mean = try g.mean(x, axes: axes, keepingAxes: true)
      let distance = try g.subtract(x, try g.broadcast(mean, to: x.shape))
      let rate = 2 / max(0, Double(count) - correction)
      let scaled = try g.multiply(at.cotangent, try g.number(rate, like: at.cotangent))
      return [try g.multiply(try spread(g, scaled, over: x), distance)]
    }
  }

  package static let samples = [
    OpSample("all", [.normal([3, 5])]),
    OpSample(
      "last axis, of the elements", [.normal([2, 3, 5])],
      [("axis", .int(-1)), ("correction", .int(0))]),
    OpSample("first axis, kept", [.normal([5, 4])], [("axis", .int(0)), ("keep", .bool(true))]),
    OpSample("outer and inner axis", [.normal([2, 3, 4])], [("axis", .ints([0, 2]))]),
    OpSample(
      "many rows far from zero", [.uniform([300, 3], 100...101)], [("axis", .int(0))],
      isSmooth: false),
    OpSample("no results", [.normal([0, 3])], [("axis", .int(1))]),
    OpSample("of one", [.normal([1])], isSmooth: false),
    OpSample("of nothing", [.normal([0])], isSmooth: false),
  ]
  package static let rejections =
    OpSample.Rejected.reductionAxes + [
      .init("integers", [TensorType(.i64, [2])], message: "var expects f32 or f64, got i64")
    ]
}

extension GraphBuilder {
  /// Appends the variance of `x` over `axes`.
  package func variance(
    _ x: GraphValue, axes: [Int], keepingAxes: Bool, correction: Double = 1
  ) throws -> GraphValue {
    try emit(Variance(axes: axes.sorted(), keep: keepingAxes, correction: correction), x)
  }
}
