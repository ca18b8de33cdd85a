import Graphs
import Kernels

/// `greater(a, b)`, written `a > b`.
package struct Greater: Comparison {
  package init() {}

  package static let name = "greater"
  package static let documentation = """
    Tells where elements are in falling order. Written `a > b`.

    Shapes: a and b broadcast -> bool. Where one is nan the answer is false.

    >>> f32([1, 2, 3]) > 2
    bool[3]
    [false, false,  true]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a > b }
  package static var function: TileFunction { .greater }
}

extension GraphBuilder {
  /// Appends `greater(a, b)`, the operands broadcast first.
  package func greater(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Greater(), a, b)
  }
}
