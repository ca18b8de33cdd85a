import Glibc
import Graphs
import Kernels
import Tensors

/// `exp(x)`: e to the power of each element.
package struct Exp: ElementwiseUnary {
  package init() {}

  package static let name = "exp"
  package static let documentation = """
    Raises e to the power of each element.

    Shapes: any -> the same. Whole numbers become f32.

    >>> exp([0, 1, -1])
    f32[3]
    [1.0000, 2.7183, 0.3679]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.exp(x) }
  package static var function: TileFunction { .exp }

  // dx = dy y
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.multiply(at.cotangent, at.result)]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -2...2, special: [-.infinity, -200, -88, -0.0, 0, 88, 200, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `exp(x)`.
  package func exp(_ x: GraphValue) throws -> GraphValue { try emit(Exp(), x) }
}
