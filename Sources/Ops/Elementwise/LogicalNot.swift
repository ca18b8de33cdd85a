import Graphs
import Kernels
import Tensors

/// `logical_not(x)` of truth values.
package struct LogicalNot: ElementwiseUnary {
  package init() {}

  package static let name = "logical_not"
  package static let documentation = """
    Tells where an element is false.

    Shapes: any -> the same. The operand must be bool.

    >>> logical_not([1, -2] > 0)
    bool[2]
    [false,  true]
    """
  package static let dtypes: DTypeSet = .bool
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { 1 - x }
  package static var function: TileFunction { .logicalNot }

  package var gradient: Gradient { .zero(because: "the result is a truth value") }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.booleans([3, 5])], isSmooth: false),
    OpSample("single number", [.booleans([])], isSmooth: false),
    OpSample("no elements", [.booleans([0])], isSmooth: false),
    OpSample("more than a tile", [.booleans([1100])], isSmooth: false),
  ]
}

extension GraphBuilder {
  /// Appends `logical_not(x)`.
  package func logicalNot(_ x: GraphValue) throws -> GraphValue { try emit(LogicalNot(), x) }
}
