import Graphs
import Kernels
import Tensors

/// `any(x, axis, keep)`: whether an element along axes is true.
package struct AnyTrue: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "any"
  package static let documentation = """
    Says whether any element along axes is true.

    Without `axis` of all elements; `axis` is one axis or a list. With `keep: true` the axes stay with
    size 1. `any` of nothing is false. Numbers are compared first: `any(x != 0)`.

    >>> any(f32([1, 2, 3]) > 2)
    true
    >>> any(f32([[1, 2], [3, 4]]) > 2, axis: 1)
    bool[2]
    [false,  true]
    """
  package static let dtypes = DTypeSet.bool
  package static let traits = OpTraits.exactReduction

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { .bool }
  package static func reduce(_ elements: [Double]) -> Double { elements.contains(1) ? 1 : 0 }

  package var kernel: ReductionKind { .any }

  package var gradient: Gradient { .zero(because: "truth has no derivative") }

  package static let samples =
    OpSample.reductionSamples { .booleans($0) } + [OpSample("of nothing", [.booleans([0])])]
  package static let rejections: [OpSample.Rejected] = [
    .init("numbers", [TensorType(.f32, [2])], message: "any expects bool, got f32")
  ]
}
