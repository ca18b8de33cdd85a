import Graphs
import Kernels

/// `equal(a, b)`, written `a == b`.
package struct Equal: Comparison {
  package init() {}

  package static let name = "equal"
  package static let documentation = """
    Tells where elements are equal. Written `a == b`.

    Shapes: a and b broadcast -> bool. nan differs from everything, itself included.

    >>> f32([1, 2, 3]) == 2
    bool[3]
    [false,  true, false]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a == b }
  package static var function: TileFunction { .equal }
}

extension GraphBuilder {
  /// Appends `equal(a, b)`, the operands broadcast first.
  package func equal(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Equal(), a, b)
  }
}
