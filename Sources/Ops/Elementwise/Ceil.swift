import Graphs
import Kernels
import Tensors

/// `ceil(x)`: rounded up.
package struct Ceil: ElementwiseUnary {
  package init() {}

  package static let name = "ceil"
  package static let documentation = """
    Rounds each element up to a whole number.

    Shapes: any -> the same. Whole numbers stay as they are. The derivative is 0.

    >>> ceil([1.5, -1.5])
    f32[2]
    [ 2., -1.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x.rounded(.up) }
  package static var function: TileFunction { .ceil }

  package var gradient: Gradient { .zero(because: "the result is constant between jumps") }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -0.5, -0.0, 0, 1e20, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `ceil(x)`.
  package func ceil(_ x: GraphValue) throws -> GraphValue { try emit(Ceil(), x) }
}
