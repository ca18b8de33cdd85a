import Graphs
import Kernels
import Tensors

/// `argmax(x, axis, keep)`: where the largest element stands.
package struct Argmax: ArgumentReduction {
  package let axis: Int?
  package let keep: Bool

  package init(axis: Int?, keep: Bool) {
    self.axis = axis
    self.keep = keep
  }

  package static let name = "argmax"
  package static let documentation = """
    Says where the largest element along an axis stands.

    Without `axis` the index counts through all elements in row-major order. Of equal elements the first
    counts, and a nan before all. With `keep: true` the axis stays with size 1. The result is i64.

    >>> argmax([[1, 5, 2], [7, 3, 7]], axis: 1)
    i64[2]
    [1, 0]
    >>> argmax([[1, 5, 2], [7, 3, 7]])
    3
    """
  package static let extreme = Extreme.largest
}

extension GraphBuilder {
  /// Appends the index of the largest element of `x` along `axis`.
  package func argmax(_ x: GraphValue, axis: Int, keepingAxis: Bool) throws -> GraphValue {
    try emit(Argmax(axis: axis, keep: keepingAxis), x)
  }
}
