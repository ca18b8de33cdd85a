import Graphs
import Kernels
import Tensors

/// `max(x, axis, keep)`: the largest element along axes.
package struct Max: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "max"
  package static let documentation = """
    Takes the largest element along axes.

    Without `axis` of all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. A nan wins over all. An axis of size 0 is an error. Where several elements are largest, they
    share the gradient evenly. `maximum` compares two tensors; `argmax` says where.

    >>> max([[1, 5], [4, 2]])
    5.0
    >>> max([[1, 5], [4, 2]], axis: 1)
    f32[2]
    [5., 4.]
    """
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.exactReduction

  package static let hasEmptyResult = false
  package func resultDType(of operand: DType) -> DType { operand }
  package static func reduce(_ elements: [Double]) -> Double {
    elements.reduce(-.infinity) { $0 > $1 || $0.isNaN ? $0 : $1 }
  }

  package var kernel: ReductionKind { .maximum }

  package var gradient: Gradient {
    .pullback { g, at in [try shareAmongTies(g, at)] }
  }

  package static let samples =
    OpSample.reductionSamples + [
      OpSample("ties", [.values([1, 3, 3, 2, 2, 2], [2, 3])], [("axis", .int(1))], isSmooth: false),
      OpSample("nan", [.values([1, .nan, 3], [3], dtype: .f32)], isSmooth: false),
      OpSample("infinities", [.values([-.infinity, -.infinity], [2], dtype: .f32)], isSmooth: false),
    ]
  package static let rejections = OpSample.Rejected.reductionAxes + OpSample.Rejected.ofNothing
}

extension Reduction {
  // y = max(x):  dx = dy / (how many equal y) where x = y, else 0
  func shareAmongTies(_ g: GraphBuilder, _ at: Pullback) throws -> GraphValue {
    let x = at.operands[0]
    let chosen = try g.cast(try g.equal(x, try spread(g, at.result, over: x)), to: x.dtype)
    let count = try g.sum(chosen, axes: axes, keepingAxes: keep)
    let share = try g.divide(at.cotangent, count)
    return try g.multiply(chosen, try spread(g, share, over: x))
  }
}

extension OpSample.Rejected {
  static let ofNothing: [OpSample.Rejected] = [
    .init(
      "of nothing", [TensorType(.f32, [3, 0])], [("axis", .int(1))],
      message: "axis 1 of f32[3, 0] has size 0")
  ]
}

extension GraphBuilder {
  /// Appends the largest elements of `x` over `axes`.
  package func maximumReduce(_ x: GraphValue, axes: [Int], keepingAxes: Bool) throws -> GraphValue {
    try emit(Max(axes: axes.sorted(), keep: keepingAxes), x)
  }
}
