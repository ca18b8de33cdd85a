import Graphs
import Kernels
import Tensors

/// `reciprocal(x)`: 1 / x.
package struct Reciprocal: ElementwiseUnary {
  package init() {}

  package static let name = "reciprocal"
  package static let documentation = """
    Divides 1 by each element.

    Shapes: any -> the same. Whole numbers become f32. reciprocal(0) is inf.

    >>> reciprocal([4, -0.5])
    f32[2]
    [ 0.2500, -2.0000]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { 1 / x }
  package static var function: TileFunction { .reciprocal }

  // dx = -dy y^2
  package var gradient: Gradient {
    .pullback { g, at in
      let square = try g.multiply(at.result, at.result)
      return [try g.negate(g.multiply(at.cotangent, square))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: 0.2...5, special: [-.infinity, -2, -0.0, 0, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `reciprocal(x)`.
  package func reciprocal(_ x: GraphValue) throws -> GraphValue { try emit(Reciprocal(), x) }
}
