import Graphs
import Kernels
import Tensors

/// `floor(x)`: rounded down.
package struct Floor: ElementwiseUnary {
  package init() {}

  package static let name = "floor"
  package static let documentation = """
    Rounds each element down to a whole number.

    Shapes: any -> the same. Whole numbers stay as they are. The derivative is 0.

    >>> floor([1.5, -1.5])
    f32[2]
    [ 1., -2.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x.rounded(.down) }
  package static var function: TileFunction { .floor }

  package var gradient: Gradient { .zero(because: "the result is constant between jumps") }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -0.5, -0.0, 0, 1e20, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `floor(x)`.
  package func floor(_ x: GraphValue) throws -> GraphValue { try emit(Floor(), x) }
}
