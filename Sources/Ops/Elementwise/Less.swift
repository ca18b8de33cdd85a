import Graphs
import Kernels

/// `less(a, b)`, written `a < b`.
package struct Less: Comparison {
  package init() {}

  package static let name = "less"
  package static let documentation = """
    Tells where elements are in rising order. Written `a < b`.

    Shapes: a and b broadcast -> bool. Where one is nan the answer is false.

    >>> f32([1, 2, 3]) < 2
    bool[3]
    [ true, false, false]
    """

  package static func holds(_ a: Double, _ b: Double) -> Bool { a < b }
  package static var function: TileFunction { .less }
}

extension GraphBuilder {
  /// Appends `less(a, b)`, the operands broadcast first.
  package func less(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Less(), a, b)
  }
}
