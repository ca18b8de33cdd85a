import Graphs
import Kernels
import Tensors

/// `argmin(x, axis, keep)`: where the smallest element stands.
package struct Argmin: ArgumentReduction {
  package let axis: Int?
  package let keep: Bool

  package init(axis: Int?, keep: Bool) {
    self.axis = axis
    self.keep = keep
  }

  package static let name = "argmin"
  package static let documentation = """
    Says where the smallest element along an axis stands.

    Without `axis` the index counts through all elements in row-major order. Of equal elements the first
    counts, and a nan before all. With `keep: true` the axis stays with size 1. The result is i64.

    >>> argmin([[4, 5, 2], [7, 3, 3]], axis: 1)
    i64[2]
    [2, 1]
    """
  package static let extreme = Extreme.smallest
}
