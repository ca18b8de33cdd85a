import Glibc
import Graphs
import Kernels
import Tensors

/// `logsumexp(x, axis, keep)`: the logarithm of the sum of exponentials along axes.
package struct LogSumExp: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "logsumexp"
  package static let documentation = """
    Takes log(sum(exp(x))) along axes: a smooth maximum.

    Without `axis` over all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. The maximum is taken out first, so that large elements do not overflow. Where all are -inf
    the result is -inf; an axis of size 0 is an error.

    >>> logsumexp([1000, 1000])
    1000.6932
    >>> logsumexp([[0, 0], [0, 1]], axis: 1)
    f32[2]
    [0.6931, 1.3133]
    """
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.reduction

  package static let hasEmptyResult = false
  package func resultDType(of operand: DType) -> DType { operand }
  package static func reduce(_ elements: [Double]) -> Double {
    let top = Max.reduce(elements)
    if top.isInfinite { return top }
    return log(elements.reduce(0) { $0 + exp($1 - top) }) + top
  }

  package var kernel: ReductionKind { .logSumExp }

  // y = log(sum(exp(x))):  dx = dy * exp(x - y)
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let share = try g.exp(try g.subtract(x, try spread(g, at.result, over: x)))
      return [try g.multiply(try spread(g, at.cotangent, over: x), share)]
    }
  }

  package static let samples =
    OpSample.reductionSamples + [
      OpSample("large", [.uniform([2, 8], 800...810)], [("axis", .int(1))]),
      OpSample(
        "infinities",
        [.values([-.infinity, -.infinity, 1, .infinity, -.infinity, 2], [3, 2])],
        [("axis", .int(1))], isSmooth: false),
    ]
  package static let rejections = OpSample.Rejected.reductionAxes + OpSample.Rejected.ofNothing
}

extension GraphBuilder {
  /// Appends the logarithm of the sum of exponentials of `x` over `axes`.
  package func logSumExp(_ x: GraphValue, axes: [Int], keepingAxes: Bool) throws -> GraphValue {
    try emit(LogSumExp(axes: axes.sorted(), keep: keepingAxes), x)
  }
}
