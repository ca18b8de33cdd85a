import Graphs
import Kernels
import Tensors

/// `mean(x, axis, keep)`: averages along axes.
package struct Mean: Reduction, AveragingOp {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "mean"
  package static let documentation = """
    Averages elements along axes.

    Without `axis` over all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. Whole numbers and bool are averaged in f32: the mean of `a == b` is the share that agrees.
    The mean of nothing is nan.

    >>> mean([[1, 2], [3, 4]])
    2.5000
    >>> mean([[1, 2], [3, 4]], axis: 0)
    f32[2]
    [2., 3.]
    """
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.reduction

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { operand }
  package static func reduce(_ elements: [Double]) -> Double {
    elements.reduce(0, +) / Double(elements.count)
  }

  package var kernel: ReductionKind { .mean }

  // y = sum(x) / n:  dx = dy / n
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let count = axes.reduce(1) { $0 * x.shape[$1] }
      let share = try g.divide(at.cotangent, try g.number(Double(count), like: at.cotangent))
      return [try spread(g, share, over: x)]
    }
  }

  package func separate(_ g: GraphBuilder, _ operands: [GraphValue]) throws -> [GraphValue] {
    let x = operands[0]
    let sum = try g.sum(x, axes: axes, keepingAxes: keep)
    let count = axes.reduce(1) { $0 * x.shape[$1] }
    return [try g.divide(sum, try g.number(Double(count), like: sum))]
  }

  package static let samples = OpSample.reductionSamples + OpSample.emptyReductionSamples(isSmooth: false)
  package static let rejections =
    OpSample.Rejected.reductionAxes + [
      .init("integers", [TensorType(.i64, [2])], message: "mean expects f32 or f64, got i64")
    ]
}

extension GraphBuilder {
  /// Appends the mean of `x` over `axes`.
  package func mean(_ x: GraphValue, axes: [Int], keepingAxes: Bool) throws -> GraphValue {
    try appendWidening(Mean(axes: axes.sorted(), keep: keepingAxes), [x])[0]
  }
}
