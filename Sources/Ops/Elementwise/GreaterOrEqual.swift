import Graphs
import Kernels

/// `greater_equal(a, b)`, written `a >= b`.
package struct GreaterOrEqual: Comparison {
  package init() {}

  package static let name = "greater_equal"
  package static let documentation = """
    Tells where elements are equal or in falling order. Written `a >= b`.

    Shapes: a and b broadcast -> bool. Where one is nan the answer is false.

    >>> f32([1, 2, 3]) >= 2
    bool[3]
    [false,  true,  true]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a >= b }
  package static var function: TileFunction { .greaterOrEqual }
}

extension GraphBuilder {
  /// Appends `greater_equal(a, b)`, the operands broadcast first.
  package func greaterOrEqual(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(GreaterOrEqual(), a, b)
  }
}
