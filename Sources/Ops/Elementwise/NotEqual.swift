import Graphs
import Kernels

/// `not_equal(a, b)`, written `a != b`.
package struct NotEqual: Comparison {
  package init() {}

  package static let name = "not_equal"
  package static let documentation = """
    Tells where elements differ. Written `a != b`.

    Shapes: a and b broadcast -> bool. nan differs from everything, itself included.

    >>> f32([1, 2, 3]) != 2
    bool[3]
    [ true, false,  true]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a != b }
  package static var function: TileFunction { .notEqual }
}

extension GraphBuilder {
  /// Appends `not_equal(a, b)`, the operands broadcast first.
  package func notEqual(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(NotEqual(), a, b)
  }
}
