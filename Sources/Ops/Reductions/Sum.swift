import Graphs
import Kernels
import Tensors

/// `sum(x, axis, keep)`: elements added up along axes.
package struct Sum: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "sum"
  package static let documentation = """
    Adds up elements along axes.

    Without `axis` all elements are added; `axis` is one axis or a list. With `keep: true` the axes stay
    with size 1. Floats keep their dtype and are added in groups, so that rounding grows with the
    logarithm of the count. Whole numbers and bool give i64; a sum beyond it is an error. A sum of
    nothing is 0.

    >>> sum([[1, 2], [3, 4]])
    10.0
    >>> sum([[1, 2], [3, 4]], axis: 0)
    f32[2]
    [4., 6.]
    >>> sum([[1, 2], [3, 4]], axis: 1, keep: true)
    f32[2, 1]
    [[3.],
     [7.]]
    """
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits(
    precision: .f32, cost: .memoryBound, fusion: .reduction, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { operand.isFloating ? operand : .i64 }
  package static func reduce(_ elements: [Double]) -> Double { elements.reduce(0, +) }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    var map = reducedAxes(operands[0].rank)
    map.sums = axes.map { [$0] }
    map.additivity = .together
    return map
  }

  package var kernel: ReductionKind { .sum }

  // y = sum(x):  dx = dy, once for each element
  package var gradient: Gradient {
    .pullback { g, at in [try spread(g, at.cotangent, over: at.operands[0])] }
  }

  package static let samples = OpSample.reductionSamples + OpSample.emptyReductionSamples(isSmooth: true)
  package static let rejections = OpSample.Rejected.reductionAxes
}

extension GraphBuilder {
  /// Appends the sum of `x` over `axes`; returns `x` itself where there are none.
  package func sum(_ x: GraphValue, axes: [Int], keepingAxes: Bool) throws -> GraphValue {
    if axes.isEmpty && x.dtype.isFloating && !keepsIdentities { return x }
    return try appendWidening(Sum(axes: axes.sorted(), keep: keepingAxes), [x])[0]
  }

  /// Appends the reverse of a broadcast from `shape`: sums over the axes that were added or stretched.
  package func sumTo(_ x: GraphValue, shape: Shape) throws -> GraphValue {
    let added = x.rank - shape.rank
    let axes = (0..<x.rank).filter { $0 < added || (shape[$0 - added] == 1 && x.shape[$0] != 1) }
    return try reshape(try sum(x, axes: axes, keepingAxes: true), to: shape)
  }
}
