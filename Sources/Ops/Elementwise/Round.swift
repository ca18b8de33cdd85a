import Graphs
import Kernels
import Tensors

/// `round(x)`: to the nearest whole number, halves to the even one.
package struct Round: ElementwiseUnary {
  package init() {}

  package static let name = "round"
  package static let documentation = """
    Rounds each element to the nearest whole number, halves to the even one.

    Shapes: any -> the same. Whole numbers stay as they are. The derivative is 0.

    >>> round([0.5, 1.5, -1.7])
    f32[3]
    [ 0.,  2., -2.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x.rounded(.toNearestOrEven) }
  package static var function: TileFunction { .round }

  package var gradient: Gradient { .zero(because: "the result is constant between jumps") }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -2.5, -1.5, -0.5, 0, 0.5, 2.5, 1e20, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `round(x)`.
  package func round(_ x: GraphValue) throws -> GraphValue { try emit(Round(), x) }
}
