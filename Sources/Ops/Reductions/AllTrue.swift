import Graphs
import Kernels
import Tensors

/// `all(x, axis, keep)`: whether each element along axes is true.
package struct AllTrue: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "all"
  package static let documentation = """
    Says whether all elements along axes are true.

    Without `axis` of all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. `all` of nothing is true. Numbers are compared first: `all(x > 0)`.

    >>> all(f32([1, 2, 3]) > 0)
    true
    >>> all(f32([[1, 2], [3, 4]]) > 2, axis: 1)
    bool[2]
    [false,  true]
    """
  package static let dtypes = DTypeSet.bool
  package static let traits = OpTraits.exactReduction

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { .bool }
  package static func reduce(_ elements: [Double]) -> Double { elements.contains(0) ? 0 : 1 }

  package var kernel: ReductionKind { .all }

  package var gradient: Gradient { .zero(because: "truth has no derivative") }

  package static let samples =
    OpSample.reductionSamples { .booleans($0) } + [OpSample("of nothing", [.booleans([0])])]
  package static let rejections: [OpSample.Rejected] = [
    .init("numbers", [TensorType(.f32, [2])], message: "all expects bool, got f32")
  ]
}
