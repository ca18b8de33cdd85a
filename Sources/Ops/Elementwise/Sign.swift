import Graphs
import Kernels
import Tensors

/// `sign(x)`: -1, 0 or 1.
package struct Sign: ElementwiseUnary {
  package init() {}

  package static let name = "sign"
  package static let documentation = """
    Maps each element to -1, 0 or 1, as it is negative, zero or positive; nan stays.

    Shapes: any -> the same. The derivative is 0 everywhere.

    >>> sign([3, 0, -0.5])
    f32[3]
    [ 1.,  0., -1.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x > 0 ? 1 : (x < 0 ? -1 : x) }
  package static var function: TileFunction { .sign }

  package var gradient: Gradient { .zero(because: "the result is constant but for a jump at 0") }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -0.0, 0, 1e-40, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `sign(x)`.
  package func sign(_ x: GraphValue) throws -> GraphValue { try emit(Sign(), x) }
}
