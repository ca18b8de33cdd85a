import Graphs
import Kernels

/// `logical_or(a, b)` of truth values.
package struct LogicalOr: Connective {
  package init() {}

  package static let name = "logical_or"
  package static let documentation = """
    Tells where at least one is true.

    Shapes: a and b broadcast. Both must be bool.

    >>> logical_or([1, 2] > 0, [1, 2] < 2)
    bool[2]
    [true, true]
    """

  package static func scalar(_ a: Double, _ b: Double) -> Double { max(a, b) }
  package static var function: TileFunction { .logicalOr }
  package static let identities: IdentityElements = (left: 0, right: 0)
}

extension GraphBuilder {
  /// Appends `logical_or(a, b)`, the operands broadcast first.
  package func logicalOr(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(LogicalOr(), a, b)
  }
}
