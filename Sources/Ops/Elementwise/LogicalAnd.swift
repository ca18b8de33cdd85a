import Graphs
import Kernels

/// `logical_and(a, b)` of truth values.
package struct LogicalAnd: Connective {
  package init() {}

  package static let name = "logical_and"
  package static let documentation = """
    Tells where both are true.

    Shapes: a and b broadcast. Both must be bool.

    >>> logical_and([1, 2] > 0, [1, 2] < 2)
    bool[2]
    [ true, false]
    """

  package static func scalar(_ a: Double, _ b: Double) -> Double { a * b }
  package static var function: TileFunction { .logicalAnd }
  package static let identities: IdentityElements = (left: 1, right: 1)
}

extension GraphBuilder {
  /// Appends `logical_and(a, b)`, the operands broadcast first.
  package func logicalAnd(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(LogicalAnd(), a, b)
  }
}
