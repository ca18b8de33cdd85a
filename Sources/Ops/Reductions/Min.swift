import Graphs
import Kernels
import Tensors

/// `min(x, axis, keep)`: the smallest element along axes.
package struct Min: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "min"
  package static let documentation = """
    Takes the smallest element along axes.

    Without `axis` of all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. A nan wins over all. An axis of size 0 is an error. Where several elements are smallest, they
    share the gradient evenly. `minimum` compares two tensors; `argmin` says where.

    >>> min([[1, 5], [4, 2]])
    1.0
    >>> min([[1, 5], [4, 2]], axis: 1)
    f32[2]
    [1., 2.]
    """
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.exactReduction

  package static let hasEmptyResult = false
  package func resultDType(of operand: DType) -> DType { operand }
  package static func reduce(_ elements: [Double]) -> Double {
    elements.reduce(.infinity) { $0 < $1 || $0.isNaN ? $0 : $1 }
  }

  package var kernel: ReductionKind { .minimum }

  package var gradient: Gradient {
    .pullback { g, at in [try shareAmongTies(g, at)] }
  }

  package static let samples =
    OpSample.reductionSamples + [
      OpSample("ties", [.values([1, 3, 1, 2, 2, 2], [2, 3])], [("axis", .int(1))], isSmooth: false),
      OpSample("nan", [.values([1, .nan, 3], [3], dtype: .f32)], isSmooth: false),
    ]
  package static let rejections = OpSample.Rejected.reductionAxes + OpSample.Rejected.ofNothing
}

extension GraphBuilder {
  /// Appends the smallest elements of `x` over `axes`.
  package func minimumReduce(_ x: GraphValue, axes: [Int], keepingAxes: Bool) throws -> GraphValue {
    try emit(Min(axes: axes.sorted(), keep: keepingAxes), x)
  }
}
