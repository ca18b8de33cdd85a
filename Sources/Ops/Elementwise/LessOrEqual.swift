import Graphs
import Kernels

/// `less_equal(a, b)`, written `a <= b`.
package struct LessOrEqual: Comparison {
  package init() {}

  package static let name = "less_equal"
  package static let documentation = """
    Tells where elements are equal or in rising order. Written `a <= b`.

    Shapes: a and b broadcast -> bool. Where one is nan the answer is false.

    >>> f32([1, 2, 3]) <= 2
    bool[3]
    [ true,  true, false]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a <= b }
  package static var function: TileFunction { .lessOrEqual }
}

extension GraphBuilder {
  /// Appends `less_equal(a, b)`, the operands broadcast first.
  package func lessOrEqual(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(LessOrEqual(), a, b)
  }
}
